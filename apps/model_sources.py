"""The models of a run, local or behind a server, asked one question at a time.

with Models({"cephalo": ModelSource(model="runs/nacre")}) as models:
    picture = as_picture("nacre.png")
    models.ask("cephalo", Question("Be brief.", (picture, "What is shown?")), Sampling())
"""

import asyncio
import hashlib
import io
import os
import time
import unicodedata
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from cephalo.cli.errors import CephaloError, fault_of
from cephalo.inference.images import open_image, shrunk
from cephalo.inference.questions import (
    Answer,
    Model,
    NoAnswerError,
    Picture,
    Question,
    ReplyCache,
    Respondent,
    Sampling,
    Usage,
)

if TYPE_CHECKING:
    from cephalo.inference.endpoint import Endpoint
    from cephalo.inference.local_model import LocalModel


LONGEST_ERROR = 300  # characters
UNSEEN = {"Cc", "Cf", "Cs"}  # categories of Unicode


class ModelSource(BaseModel):
    """A checkpoint (a folder or a Hub name) or, with `base_url`, a server's model.

    The server's key is read from the environment variable `api_key_env`, so that no file contains
    it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(min_length=1, max_length=300)
    base_url: str | None = None
    api_key_env: str | None = None

    @field_validator("base_url")
    @classmethod
    def without_secrets(cls, value: str | None) -> str | None:
        """Reject URLs with credentials, since the address is printed and saved."""
        if value is not None:
            address = urlsplit(value)
            if address.scheme not in ("http", "https") or not address.hostname:
                raise ValueError("give an address like http://127.0.0.1:8000/v1")
            if address.username or address.password or address.query or address.fragment:
                raise ValueError(
                    "give the address without the key, and name the key's variable as api_key_env"
                )
        return value

    def api_key(self) -> str:
        """Return the key of the server, "-" if it needs none.

        Raises CephaloError if the variable is not set.
        """
        if self.api_key_env is None:
            return "-"
        if key := os.environ.get(self.api_key_env):
            return key
        raise CephaloError(f"{self.model} needs a key; set the variable {self.api_key_env}")


def source_of(model: str, base_url: str | None) -> ModelSource:
    """Return a checkpoint, or a server's model with the key of OPENAI_API_KEY if it is set. Raises
    CephaloError for an invalid address."""
    variable = "OPENAI_API_KEY"
    key = variable if base_url and os.environ.get(variable) else None
    try:
        return ModelSource(model=model, base_url=base_url, api_key_env=key)
    except ValidationError as error:
        first = error.errors()[0]
        raise CephaloError(
            f"--{str(first['loc'][0]).replace('_', '-')}: {fault_of(first)}"
        ) from error


class Models:
    """Models by name, each opened when it is first asked. Use it with `with`.

    `timeout` limits one request to a server, `max_seconds` all questions together, in seconds;
    `max_image_edge` is in pixels. A malformed reply is requested again up to `wrong_form_retries`
    times. Replies are cached in the file `cache`, by default in memory.
    """

    def __init__(
        self,
        sources: dict[str, ModelSource],
        cache: Path = Path(":memory:"),
        timeout: float = 300.0,
        max_seconds: float = 3600.0,
        max_image_edge: int = 1024,
        wrong_form_retries: int = 2,
    ) -> None:
        self.sources, self.timeout, self.max_image_edge = sources, timeout, max_image_edge
        self.max_seconds, self.wrong_form_retries = max_seconds, wrong_form_retries
        self.usage = Usage()
        self.cache = ReplyCache(cache)
        self.runner, self.stack = asyncio.Runner(), AsyncExitStack()
        self.opened: dict[ModelSource, Model] = {}
        self.lost: dict[ModelSource, CephaloError] = {}  # failed models, with the reason

    def __enter__(self) -> "Models":
        self.deadline = time.monotonic() + self.max_seconds
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()
        self.cache.close()

    def ask(self, name: str, question: Question, sampling: Sampling) -> Answer:
        """Return the answer of the model `name`.

        Raises NoAnswerError if it gives none, or none in the required form, and CephaloError, on
        every call, if the model cannot be loaded or its server cannot be used.
        """
        source = self.sources[name]
        if source in self.lost:
            raise self.lost[source]
        try:
            answer = self.runner.run(self.answer(source, question, sampling))
        except CephaloError as error:
            self.lost[source] = error
            raise
        except NoAnswerError:
            raise
        except Exception as error:  # the code of a model on the Hub may raise anything
            raise NoAnswerError(f"{type(error).__name__}: {in_one_line(error)}") from error
        if answer.error is not None:
            raise NoAnswerError(answer.error)
        return answer

    async def answer(self, source: ModelSource, question: Question, sampling: Sampling) -> Answer:
        """Return the answer of `ask`, in the event loop of the models."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise NoAnswerError(f"the {self.max_seconds:,.0f} seconds of the run are over")
        if source not in self.opened:
            self.opened[source] = await self.stack.enter_async_context(self.open(source))
        model = self.opened[source]
        respondent = Respondent(model, sampling, self.cache, self.usage, self.wrong_form_retries)
        try:
            return await asyncio.wait_for(respondent.ask(harmless(question, model)), left)
        except TimeoutError as error:
            raise NoAnswerError("it was interrupted at the time limit of the run") from error

    def open(self, source: ModelSource) -> "Endpoint | LocalModel":
        """Return the model of a source. Raises CephaloError if it cannot be loaded."""
        if source.base_url is None and source.api_key_env is None:
            from cephalo.inference import local
            from cephalo.inference.local_model import LocalModel

            loaded = local.load(source.model)
            return LocalModel(loaded, source.model, self.usage, 1, self.max_image_edge)
        from cephalo.inference.endpoint import Endpoint, Limits

        limits = Limits(1, 2, self.timeout, self.max_image_edge)
        return Endpoint(source.base_url, source.model, source.api_key(), self.usage, limits)


def harmless(question: Question, model: Model) -> Question:
    """Break the control tokens of a local `model` in a question by a space, so that one model's
    output cannot end another's turn. Servers do this themselves."""
    if not (cephalo := getattr(model, "cephalo", None)):
        return question

    def broken(text: str) -> str:
        return cephalo.control.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)

    parts = tuple(broken(part) if isinstance(part, str) else part for part in question.parts)
    return replace(question, system=broken(question.system), parts=parts)


def as_picture(source: str | Path | Image.Image, max_edge: int = 1024) -> Picture:
    """Return a PNG of an image with its longer edge at most `max_edge` pixels, without metadata of
    the file.

    Raises CephaloError if it is not an image.
    """
    image = shrunk(open_image(source), max_edge)
    out = io.BytesIO()
    image.save(out, "PNG")
    return Picture(hashlib.sha256(out.getvalue()).hexdigest(), out.getvalue())


def in_one_line(error: BaseException) -> str:
    """Return the message of an error, with all white space folded and of bounded length."""
    return clean(" ".join(str(error).split()))[:LONGEST_ERROR]


def clean(text: str) -> str:
    """Remove invisible characters from `text`: control and format characters, which can reverse the
    direction of a line, and halves of surrogate pairs, which cannot be encoded."""
    return "".join(
        sign for sign in text if sign in "\n\t" or unicodedata.category(sign) not in UNSEEN
    )
