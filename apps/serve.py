"""`cephalo serve`: a model behind the OpenAI API, through `transformers serve`."""

import socket
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cephalo.cli.errors import CephaloError

if TYPE_CHECKING:
    from PIL.Image import Image
    from starlette.requests import Request
    from starlette.responses import JSONResponse

    from cephalo.inference.local import Cephalo


app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def serve(
    model: Annotated[str, typer.Argument(help="A model of the Hub, or a folder.")],
    host: Annotated[str, typer.Option(help="0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda:0, ...; by default GPUs where there are any.")
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Commit, branch or tag of the model.")
    ] = None,
    trust_remote_code: Annotated[
        bool, typer.Option(help="Run code that comes with the model; no Cephalo needs it.")
    ] = False,
    fetch_images: Annotated[
        bool,
        typer.Option(
            "--fetch-images",
            help="Also fetch images from public http and https addresses, up to 20 MB each.",
        ),
    ] = False,
) -> None:
    """Answer OpenAI's chat completions, streamed or whole, with images as data URLs.

    Requests are checked and bounded before the model sees them; errors come in OpenAI's form.

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
    """Raise CephaloError where nothing can listen at host:port; loading takes long."""
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        raise CephaloError(f"cannot listen at {host}:{port}: {error}") from error


def run_server(
    cephalo: "Cephalo", name: str, host: str, port: int, fetch_images: bool = False
) -> None:
    """Run `transformers serve` on a loaded model until it is stopped.

    The server would load models by itself, without the checks of `local.load`; here its
    loader hands out the loaded one, and what the client can mend is answered with 400.
    """
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException
    from transformers.cli import serve as transformers_serve
    from transformers.cli.serving import model_manager, server

    from cephalo.apps.serve_requests import Gate, Served

    class LoadedModel(model_manager.ModelManager):
        def _load_processor(self, *args: Any, **kwargs: Any) -> Any:
            return ServedProcessor(cephalo)

        def _load_model(self, *args: Any, **kwargs: Any) -> Any:
            return cephalo.model

        @staticmethod
        def get_gen_models(cache_dir: str | None = None) -> list[dict[str, Any]]:
            return [{"id": name, "object": "model", "created": started, "owned_by": "cephalo"}]

    def build_server(*args: Any, **kwargs: Any) -> Any:
        built = original(*args, **kwargs)
        for kind in (CephaloError, HTTPException, RequestValidationError, Exception):
            built.add_exception_handler(kind, answer_error)
        built.add_middleware(Gate, served=served)
        return built

    started = int(time.time())
    vocabulary = len(cephalo.processor.tokenizer)
    served = Served(name, cephalo.context, vocabulary, fetch_images)
    original = server.build_server
    model_manager.ModelManager, server.build_server = LoadedModel, build_server
    print(f"serving {name} at http://{host}:{port}/v1; Ctrl-C stops", flush=True)
    transformers_serve.Serve(force_model=name, host=host, port=port)


async def answer_error(request: "Request", error: Exception) -> "JSONResponse":
    """The error in OpenAI's form: 400 for what the client can mend, 500 for a fault of ours."""
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException

    from cephalo.apps.serve_requests import refusal

    if isinstance(error, RequestValidationError):  # the body as a whole, which the gate has read
        return refusal("send the request with Content-Type: application/json", 400)
    if isinstance(error, HTTPException):
        status = 400 if error.status_code == 422 else error.status_code
        return refusal(str(error.detail), status)
    if isinstance(error, CephaloError):
        return refusal(" ".join(str(error).split())[:500], 400)
    return refusal(f"the server failed: {type(error).__name__}", 500)


class ServedProcessor:
    """What `transformers serve` asks of a processor, answered by `inference`."""

    def __init__(self, cephalo: "Cephalo") -> None:
        self.cephalo = cephalo
        self.tokenizer = cephalo.processor.tokenizer

    def apply_chat_template(self, messages: list[dict[str, Any]], **kwargs: Any) -> Any:
        """The inputs of one request. Raises CephaloError for what the client can mend."""
        for message in messages:
            for part in message["content"]:
                if part["type"] == "image" and "url" in part:
                    part["image"] = image_of_url(part.pop("url"))
        return self.cephalo.prepare([messages])

    def decode(self, ids: Any, **kwargs: Any) -> str:
        """The text of an answer."""
        return self.cephalo.without_stop(self.tokenizer.decode(ids, **kwargs))

    # The stop strings of a request are looked up with this as "the tokenizer".

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.tokenizer(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tokenizer, name)


def image_of_url(url: str) -> "Image":
    """The image of a data URL. Raises CephaloError for anything else."""
    import base64
    import binascii
    import io

    from cephalo.inference.images import open_image

    if not url.startswith("data:"):
        raise CephaloError("an image must be a data URL")
    try:
        data = base64.b64decode(url.partition("base64,")[2], validate=True)
    except binascii.Error as error:
        raise CephaloError("a data URL does not hold base64; encode the image again") from error
    return open_image(io.BytesIO(data))
