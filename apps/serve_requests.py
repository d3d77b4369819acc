"""Validate and limit requests before they reach `transformers serve`.

`transformers serve` accepts any request: it tokenizes prompts of any length, loads and unloads
models on request, and answers many errors of the client with status 500.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    Field,
    StrictBool,
    StrictInt,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cephalo.apps.serve_images import FetchError, ImageFetcher
from cephalo.cli.errors import fault_of
from cephalo.cli.json_files import Json

CHAT = "/v1/chat/completions"
SERVED = {("POST", CHAT), ("GET", "/v1/models"), ("GET", "/health")}
MAX_BODY = 64 << 20  # bytes of a request; some dozens of images
READ_SECONDS = 120.0  # for a request to arrive
# Maximum characters per token of the context. Prose has four; a text with more than eight is too
# long without being tokenized, which takes seconds per megabyte.
LONGEST_TOKENS = 8
MAX_MESSAGES = 1000
# Fields that the server receives as validated: with data URLs and floating-point numbers.
CONVERTED = {"messages", "temperature", "top_p", "frequency_penalty", "logit_bias"}
# Fields that would change an answer but that `transformers serve` ignores, with the values that
# have no effect.
NOT_SERVED: dict[str, tuple[Json, ...]] = {
    "audio": (None,),
    "chat_template_kwargs": (None, {}),
    "function_call": (None, "none"),
    "functions": (None, []),
    "logprobs": (None, False),
    "modalities": (None, ["text"]),
    "presence_penalty": (None, 0),
    "response_format": (None, {"type": "text"}),
    "tool_choice": (None, "none", "auto"),
    "tools": (None, []),
    "top_logprobs": (None, 0),
    "web_search_options": (None,),
}


class RequestError(Exception):
    """A rejected request: the message is one line, `status` is the HTTP status."""

    def __init__(self, message: str, status: int = 400, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.param = status, param


class TextPart(BaseModel):
    """A text within a message."""

    type: Literal["text"]
    text: str


class ImageAddress(BaseModel):
    """Where an image is: a data URL, or an address if those are fetched."""

    url: str


class ImagePart(BaseModel):
    """An image within a message."""

    type: Literal["image_url"]
    image_url: ImageAddress


Part = Annotated[TextPart | ImagePart, Field(discriminator="type")]


StopString = Annotated[str, Field(min_length=1)]


class ChatMessage(BaseModel):
    """A message of a chat."""

    role: Literal["system", "user", "assistant"]
    tool_calls: list[Any] | None = Field(None, exclude=True)
    content: str | list[Part]

    @field_validator("tool_calls")
    @classmethod
    def no_calls(cls, found: list[Any] | None) -> list[Any] | None:
        """Refuse calls: without them, the model would answer another conversation."""
        if found:
            raise ValueError("calls of tools are not supported here; leave the message out")
        return found

    @field_validator("content", mode="before")
    @classmethod
    def empty_answer(cls, found: object, info: ValidationInfo) -> object:
        """Read null as an empty text in answers: OpenAI's clients send back the message that they
        received, and its content may be null."""
        return "" if found is None and info.data.get("role") == "assistant" else found


class ChatRequest(BaseModel):
    """The fields of a chat completion that affect generation; the server ignores or rejects
    others."""

    messages: list[ChatMessage] = Field(min_length=1, max_length=MAX_MESSAGES)
    max_tokens: StrictInt | None = Field(None, ge=1)
    max_completion_tokens: StrictInt | None = Field(None, ge=1)
    seed: StrictInt | None = Field(None, ge=0, lt=2**63)
    temperature: float | None = Field(None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(None, gt=0, le=1, allow_inf_nan=False)
    frequency_penalty: float | None = Field(None, gt=-1, le=2, allow_inf_nan=False)
    n: Literal[1] | None = None
    stop: StopString | list[StopString] | None = None
    stream: StrictBool | None = None
    logit_bias: dict[int, Annotated[float, Field(ge=-100, le=100)]] | None = None
    generation_config: None = None


@dataclass(frozen=True)
class Served:
    """The model behind the server: its name, its context and its vocabulary.

    `fetch_images` is whether images are fetched from the web.
    """

    name: str
    context: int
    vocabulary: int
    fetch_images: bool = False


class Gate:
    """An ASGI application in front of the server that answers invalid requests itself."""

    def __init__(self, app: ASGIApp, served: Served) -> None:
        self.app, self.served = app, served
        self.fetcher = ImageFetcher() if served.fetch_images else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            receive = await self.checked(scope, receive)
        except RequestError as error:
            await refusal(str(error), error.status, error.param)(scope, receive, send)
        except ClientDisconnect:
            return
        else:
            await self.app(scope, receive, send)

    async def checked(self, scope: Scope, receive: Receive) -> Receive:
        """Return the channel from which the server reads a request. Raises RequestError."""
        if (scope["method"], scope["path"]) not in SERVED:
            known = ", ".join(path for _, path in sorted(SERVED))
            raise RequestError(f"no {scope['method']} {scope['path']} here; use {known}", 404)
        if scope["path"] != CHAT:
            return receive
        body = json.dumps(await self.body(Request(scope, receive))).encode()
        return replay(body, receive)

    async def body(self, request: Request) -> Mapping[str, object]:
        """Return the body of a chat completion with its validated messages."""
        try:
            async with asyncio.timeout(READ_SECONDS):
                found: Json = json.loads(await read_bounded(request))
        except TimeoutError as error:
            raise RequestError("the request did not arrive in time; send it again", 408) from error
        except (ValueError, RecursionError) as error:
            raise RequestError("the body is not valid JSON; send a chat completion") from error
        asked, found = chat_request(found)
        self.check_size(asked)
        for message in asked.messages:
            for part in message.content if isinstance(message.content, list) else ():
                if isinstance(part, ImagePart):
                    part.image_url.url = await self.image(part.image_url.url)
        return found | asked.model_dump(include=CONVERTED, exclude_none=True)

    def check_size(self, asked: ChatRequest) -> None:
        """Raise RequestError if a prompt cannot fit, or if it contains tokens that the model
        lacks."""
        length, most = sum(map(text_length, asked.messages)), LONGEST_TOKENS * self.served.context
        if length > most:
            raise RequestError(
                f"the prompt has {length:,} characters and the model reads "
                f"{self.served.context:,} tokens; ask with less text",
                param="messages",
            )
        for name in ("max_tokens", "max_completion_tokens"):
            if (getattr(asked, name) or 0) > self.served.context:
                raise RequestError(
                    f"{name} is more than the {self.served.context:,} tokens of the model's "
                    "context; give less",
                    param=name,
                )
        if any(not 0 <= token < self.served.vocabulary for token in asked.logit_bias or ()):
            raise RequestError(
                f"logit_bias names a token beyond the {self.served.vocabulary:,} of the model",
                param="logit_bias",
            )

    async def image(self, url: str) -> str:
        """Return the data URL of an image. Raises RequestError if it is neither one nor fetched."""
        if url.startswith("data:"):
            return url
        if not url.startswith(("http://", "https://")) or self.fetcher is None:
            raise RequestError(
                "an image must be a data URL; this server fetches none", param="messages"
            )
        try:
            return await self.fetcher.fetch(url)
        except FetchError as error:
            raise RequestError(f"cannot read {url[:200]}: {error}", param="messages") from error


def chat_request(found: Json) -> tuple[ChatRequest, dict[str, Json]]:
    """Return the request in a JSON body, validated and unchanged. Raises RequestError, one line, if
    it is invalid."""
    try:
        asked = ChatRequest.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise RequestError(
            f"{place or 'the body'}: {fault_of(first)}", param=place or None
        ) from error
    assert isinstance(found, dict)  # otherwise validation fails
    for name, nothing in NOT_SERVED.items():
        if found.get(name) not in nothing:
            raise RequestError(f"{name} is not supported here; leave it out", param=name)
    return asked, found


def text_length(message: ChatMessage) -> int:
    """Return the number of characters of text in a message."""
    if isinstance(message.content, str):
        return len(message.content)
    return sum(len(part.text) for part in message.content if isinstance(part, TextPart))


async def read_bounded(request: Request) -> bytes:
    """Return the body of a request. Raises RequestError if it has more than MAX_BODY bytes."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise RequestError(
                f"the request has more than {MAX_BODY >> 20} MB; ask with fewer or smaller images",
                413,
            )
    return bytes(body)


def replay(body: bytes, receive: Receive) -> Receive:
    """Return a channel with a body, followed by the messages of the client."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return messages.pop() if messages else await receive()

    return replayed


def refusal(message: str, status: int, param: str | None = None) -> JSONResponse:
    """Return an error in OpenAI's format."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    error = {"message": message, "type": kind, "param": param, "code": None}
    return JSONResponse({"error": error}, status_code=status)
