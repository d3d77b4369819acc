"""`cephalo serve`: serve a model with the OpenAI API, through `transformers serve`."""

import socket
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, cast

import typer

from cephalo.cli.errors import CephaloError

if TYPE_CHECKING:
    import torch
    from fastapi import FastAPI
    from PIL.Image import Image
    from starlette.requests import Request
    from starlette.responses import JSONResponse, StreamingResponse
    from transformers import BatchFeature, GenerationConfig

    from cephalo.inference.local import Cephalo, Message
    from modeling_cephalo.annotations import GenerativeModel

# The body of a chat completion for `transformers serve`, validated by `serve_requests`.
Body: TypeAlias = dict[str, Any]

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def serve(
    model: Annotated[str, typer.Argument(help="A model of the Hub, or a folder.")],
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 accepts other machines.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    device: Annotated[
        str | None, typer.Option(help="Device such as cpu or cuda:0; by default GPUs if available.")
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Commit, branch or tag of the model.")
    ] = None,
    trust_remote_code: Annotated[
        bool, typer.Option(help="Run code of the model repository; Cephalo models need none.")
    ] = False,
    fetch_images: Annotated[
        bool,
        typer.Option(
            "--fetch-images",
            help="Also fetch images from public http and https addresses, up to 20 MB each.",
        ),
    ] = False,
) -> None:
    """Serve a model with OpenAI's chat completions API, with images as data URLs.

    Requests are validated before they reach the model. Errors have OpenAI's format. Answers are
    decoded greedily unless a request has a temperature.

    \b
    Example:
      cephalo serve lamm-mit/Cephalo-Phi-3-vision-128k-4b-beta --port 8000
      and with openai's client:
      OpenAI(base_url="http://127.0.0.1:8000/v1", api_key="-").chat.completions.create(
          model="lamm-mit/Cephalo-Phi-3-vision-128k-4b-beta", messages=[...])
    """
    from transformers.utils.import_utils import is_serve_available

    if not is_serve_available():
        raise CephaloError("serving needs more packages; run: pip install 'cephalo[serving]'")
    check_address(host, port)
    from cephalo.inference import local

    loaded = local.load(
        model, revision=revision, device=device, trust_remote_code=trust_remote_code
    )
    run_server(loaded, model, host, port, fetch_images)


def check_address(host: str, port: int) -> None:
    """Raise CephaloError early, before the model is loaded, if host:port cannot be bound."""
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        raise CephaloError(f"cannot listen at {host}:{port}: {error}") from error


def run_server(
    cephalo: "Cephalo", name: str, host: str, port: int, fetch_images: bool = False
) -> None:
    """Run the server of `transformers serve` on a loaded model until it is stopped."""
    import uvicorn

    app = build_app(cephalo, name, fetch_images)
    print(f"serving {name} at http://{host}:{port}/v1; Ctrl-C stops", flush=True)
    uvicorn.Server(uvicorn.Config(app, host=host, port=port, log_level="info")).run()


def build_app(cephalo: "Cephalo", name: str, fetch_images: bool) -> "FastAPI":
    """Build the application of `transformers serve` from its parts, as `Serve` does.

    It would load models by itself, without the checks of `local.load`; here its loader returns the
    loaded one, and errors of the client have status 400.
    """
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException
    from transformers.cli.serving.chat_completion import ChatCompletionHandler
    from transformers.cli.serving.completion import CompletionHandler
    from transformers.cli.serving.model_manager import ModelManager
    from transformers.cli.serving.response import ResponseHandler
    from transformers.cli.serving.server import build_server
    from transformers.cli.serving.systemone import SystemOneHandler
    from transformers.cli.serving.transcription import TranscriptionHandler
    from transformers.cli.serving.utils import GenerationState
    from transformers.utils import logging

    from cephalo.apps.serve_requests import Gate, Served
    from cephalo.inference.endings import Stops

    class Chat(ChatCompletionHandler):
        def _build_generation_config(  # other arguments are passed on, here and below
            self, body: Body, *args: Any, **kwargs: Any
        ) -> "GenerationConfig":
            settings = super()._build_generation_config(body, *args, **kwargs)
            return asked_settings(settings, body, processor)

        async def handle_request(
            self, body: Body, request_id: str
        ) -> "StreamingResponse | JSONResponse":
            asked.set(Stops([*stops_of(body), *cephalo.stop_strings]))
            return await super().handle_request(body, request_id)

        def _build_completion(
            self, request_id: str, content: str, *args: Any, **more: Any
        ) -> dict[str, object]:
            if content:
                text = asked.get()
                content = text.feed(content) + text.rest()
            return super()._build_completion(request_id, content, *args, **more)

        def _build_chunk_sse(self, *args: Any, **more: Any) -> str:
            text, before = asked.get(), ""
            if more.get("content") is not None:
                more["content"] = text.feed(more["content"])
                if not more["content"]:
                    return ""
            if more.get("finish_reason") and (rest := text.rest()):
                before = super()._build_chunk_sse(*args, content=rest, model=more["model"])
            return before + super()._build_chunk_sse(*args, **more)

    class LoadedModel(ModelManager):
        def _load_processor(self, *_: object, **__: object) -> Any:  # used in place of a processor
            return processor

        def _load_model(self, *_: object, **__: object) -> "GenerativeModel":
            return cephalo.model

        @staticmethod
        def get_gen_models(cache_dir: str | None = None) -> list[dict[str, object]]:
            return [{"id": name, "object": "model", "created": started, "owned_by": "cephalo"}]

    asked: ContextVar[Stops] = ContextVar("asked")  # of the request that a task answers
    started, processor = int(time.time()), ServedProcessor(cephalo)
    logging.set_verbosity_warning()
    manager, state = LoadedModel(force_model=name), GenerationState()
    app = build_server(
        manager,
        Chat(manager, state),
        completion_handler=CompletionHandler(manager, state),
        response_handler=ResponseHandler(manager, state),
        transcription_handler=TranscriptionHandler(manager, state),
        systemone_handler=SystemOneHandler(manager, state),
        generation_state=state,
    )
    for kind in (CephaloError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, answer_error)
    vocabulary = len(cephalo.processor.tokenizer)
    app.add_middleware(Gate, served=Served(name, cephalo.context, vocabulary, fetch_images))
    return app


def asked_settings(
    settings: "GenerationConfig", body: Body, processor: "ServedProcessor"
) -> "GenerationConfig":
    """Return the generation settings of a request, with those that `transformers serve` ignores.

    Without this, a temperature has no effect unless the model's own settings sample, stop strings
    replace those that end the turns of the model, and an answer may exceed the context. Raises
    CephaloError for an invalid temperature.
    """
    from modeling_cephalo.generation import checked_temperature

    temperature = checked_temperature(body.get("temperature") or 0)
    settings.do_sample = temperature > 0
    settings.temperature = temperature or None
    settings.max_new_tokens = min(settings.max_new_tokens, processor.room)
    settings.stop_strings = [*stops_of(body), *processor.cephalo.stop_strings] or None
    return settings


def stops_of(body: Body) -> list[str]:
    """Return the stop strings of a request."""
    return [body["stop"]] if isinstance(body.get("stop"), str) else body.get("stop") or []


async def answer_error(request: "Request", error: Exception) -> "JSONResponse":
    """Return the error in OpenAI's format: 400 for errors of the client, 500 for internal
    errors."""
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException

    from cephalo.apps.serve_requests import refusal

    if isinstance(error, RequestValidationError):  # of the whole body, which the gate has read
        return refusal("send the request with Content-Type: application/json", 400)
    if isinstance(error, HTTPException):
        status = 400 if error.status_code == 422 else error.status_code
        return refusal(str(error.detail), status)
    if isinstance(error, CephaloError):
        return refusal(" ".join(str(error).split())[:500], 400)
    return refusal(f"the server failed: {type(error).__name__}", 500)


class ServedProcessor:
    """The processor methods that `transformers serve` calls, implemented with `inference`."""

    def __init__(self, cephalo: "Cephalo") -> None:
        from transformers.cli.serving.utils import get_response_template

        self.cephalo = cephalo
        self.room = 0  # tokens for the answer to the last prompt
        self.tokenizer = cephalo.processor.tokenizer
        # `reasoning_content` of an answer. Otherwise models of some types would be parsed by a
        # template for other tokens.
        if cephalo.thinks or get_response_template(self, cephalo.model):
            self.tokenizer.response_template = cephalo.response_template

    def apply_chat_template(
        self, messages: list[dict[str, Any]], **kwargs: object
    ) -> "BatchFeature":
        """Return the inputs of one request. Raises CephaloError for errors of the client."""
        for message in messages:
            for part in message["content"]:
                if part["type"] == "image" and "url" in part:
                    part["image"] = image_of_url(part.pop("url"))
        inputs = self.cephalo.prepare([cast("list[Message]", messages)])
        # Read for the same request: nothing is awaited in between.
        self.room = self.cephalo.context - inputs["input_ids"].shape[1]
        return inputs

    def decode(self, ids: "torch.Tensor", **kwargs: object) -> str:
        """Return the text of an answer."""
        return self.cephalo.without_stop(self.tokenizer.decode(ids, **kwargs))

    # The stop strings of a request are looked up with this as "the tokenizer".

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # as the tokenizer
        return self.tokenizer(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tokenizer, name)


def image_of_url(url: str) -> "Image":
    """Return the image of a data URL. Raises CephaloError for anything else."""
    import base64
    import binascii
    import io

    from cephalo.inference.images import open_image

    if not url.startswith("data:"):
        raise CephaloError("an image must be a data URL")
    try:
        data = base64.b64decode(url.partition("base64,")[2], validate=True)
    except binascii.Error as error:
        raise CephaloError("a data URL does not contain base64; encode the image again") from error
    return open_image(io.BytesIO(data))
