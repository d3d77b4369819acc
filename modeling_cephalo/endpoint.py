"""Questions to an OpenAI-compatible server: many in flight, faults retried, within a budget.

    usage = Usage(max_requests=1000)
    async with Endpoint("http://127.0.0.1:8000/v1", "my-model", "-", usage) as endpoint:
        reply = await endpoint.send(question, Sampling())

Works with OpenAI, vLLM, `transformers serve`, `cephalo serve` and llama.cpp.
"""

import asyncio
import base64
import email.utils
import io
import json
import random
import re
import time
from collections import OrderedDict
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import httpx2
import openai
from PIL import Image

from cephalo.cli.errors import CephaloError
from cephalo.cli.keys import check_key

from .images import open_image
from .questions import NoAnswerError, Picture, Question, Reply, Sampling, Usage, json_schema

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # seconds between tries, doubled each time
LONGEST_RETRY_AFTER = 600.0  # seconds; a server that asks for more ends the run
ENCODED_KEPT = 128  # images; the tasks of one figure come after each other
# Statuses that no other question would escape: key, payment, permission, address or model.
FATAL = {401, 402, 403, 404}
WORTH_RETRYING = {408, 409, 425, 429}
# Optional fields, by what a server says when it does not know them.
OPTIONAL = {
    "response_format": r"response.?format|json.?schema|structured|grammar|guided|json.?mode",
    "max_tokens": r"max_tokens",
    "seed": r"\bseed\b",
    "temperature": r"temperature",
}
# What servers say to an image that their model cannot see.
BLIND = re.compile(r"image.{0,40}not supported|not support.{0,20}image|not.{0,20}multimodal", re.I)


@dataclass(frozen=True)
class Limits:
    """How a server is asked. `timeout` is in seconds for one request, `max_image_edge` in pixels
    of what is sent."""

    max_concurrency: int = 64
    max_retries: int = 5
    timeout: float = 300.0
    max_image_edge: int = 1024


def is_address(url: str) -> bool:
    """Whether a URL is one of http with a host, and a port that there can be."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port past 65535, brackets that do not close
        return False


class Endpoint:
    """A model behind a server. Use it with `async with`."""

    def __init__(
        self,
        base_url: str | None,
        model: str,
        api_key: str,
        usage: Usage,
        limits: Limits = Limits(),
    ) -> None:
        self.model, self.api_key, self.usage, self.limits = model, api_key, usage, limits
        self.settings = {"model": model, "max_image_edge": limits.max_image_edge}
        self.refused: set[str] = set()  # fields of OPTIONAL
        self.slots = asyncio.Semaphore(limits.max_concurrency)
        self.encoded: OrderedDict[str, asyncio.Task[str]] = OrderedDict()
        self.resume_at = 0.0  # on the monotonic clock, as a server asked for
        self.last_reply = 0.0
        if base_url and not is_address(base_url):
            raise CephaloError(f"--base-url {base_url!r}: give one like http://127.0.0.1:8000/v1")
        check_key(api_key, f"the key of {model}")
        self.client = openai.AsyncOpenAI(
            base_url=base_url,
            api_key=api_key,
            max_retries=0,  # ours are counted and obey a budget
            timeout=limits.timeout,
            http_client=openai.DefaultAsyncHttpxClient(
                limits=httpx2.Limits(max_connections=limits.max_concurrency)
            ),
        )

    async def __aenter__(self) -> "Endpoint":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.client.close()

    async def send(self, question: Question, sampling: Sampling) -> Reply:
        """One reply of the server.

        Raises NoAnswerError where the server refuses the question or `max_retries` did not help,
        BudgetSpentError, and CephaloError for what no other question would escape.
        """
        # Images are made ready before a place is taken, while others are in flight.
        messages = await self.messages(question)
        async with self.slots:
            started = time.monotonic()
            for retry in range(self.limits.max_retries + 1):
                await self.pause(self.resume_at - time.monotonic())
                self.usage.take_request()
                self.usage.retries += retry > 0
                try:
                    reply = await self.request(messages, question, sampling)
                    self.last_reply = time.monotonic()
                    return reply
                except (openai.APIError, ValueError) as error:
                    failure = error
                if retry < self.limits.max_retries:
                    await self.pause(self.wait_after(failure, retry))
                else:
                    self.wait_after(failure, retry)
        # A server that cannot be reached at all answers no other question either.
        unreachable = isinstance(failure.__cause__, httpx2.ConnectError)
        if unreachable and self.last_reply <= started:
            raise CephaloError(
                f"{self.client.base_url} cannot be reached: {self.say(failure.__cause__)}; start "
                "the server or correct --base-url, and run it again: it goes on from here"
            )
        raise NoAnswerError(
            f"no answer after {self.limits.max_retries + 1} tries: {self.say(failure)}"
        )

    async def request(self, messages: list[Any], question: Question, sampling: Sampling) -> Reply:
        """Send one request, and again at once without the optional fields that it refuses.

        Raises openai.APIError, and ValueError where the body is no chat completion.
        """
        while True:
            fields = self.fields(question, sampling)
            try:
                # `chat.completions.create` looks through every field for five milliseconds.
                response = await self.client.post(
                    "/chat/completions",
                    cast_to=httpx2.Response,
                    body={"model": self.model, "messages": messages, **fields},
                )
                return read_reply(response.content)
            except openai.APIStatusError as error:
                name = refused_field(error, set(fields) & set(OPTIONAL))
                if name is None:
                    raise
                self.refused.add(name)
                self.usage.take_request()

    def fields(self, question: Question, sampling: Sampling) -> dict[str, Any]:
        """The fields of a request that servers are known to take or not."""
        fields = {
            "max_tokens": sampling.max_tokens,
            "seed": sampling.seed,
            "temperature": sampling.temperature,
        }
        if question.schema:
            schema = {
                "name": question.schema.__name__,
                "schema": json_schema(question.schema),
                "strict": True,
            }
            fields["response_format"] = {"type": "json_schema", "json_schema": schema}
        kept = {name: value for name, value in fields.items() if name not in self.refused}
        if "max_tokens" in self.refused:  # the newer name of the same
            kept["max_completion_tokens"] = sampling.max_tokens
        return kept

    async def messages(self, question: Question) -> list[dict[str, Any]]:
        """The question as OpenAI's messages, with images as data URLs."""
        content = []
        for part in question.parts:
            if isinstance(part, Picture):
                url = await self.data_url(part)
                content.append({"type": "image_url", "image_url": {"url": url}})
            else:
                content.append({"type": "text", "text": part})
        return [
            {"role": "system", "content": question.system},
            {"role": "user", "content": content},
        ]

    async def data_url(self, picture: Picture) -> str:
        """The data URL of an image, made in a thread, and once for questions near each other.

        Raises NoAnswerError for a picture that cannot be read.
        """
        task = self.encoded.get(picture.sha256)
        if task is None:
            work = asyncio.to_thread(data_url, picture.data, self.limits.max_image_edge)
            task = self.encoded[picture.sha256] = asyncio.create_task(work)
            while len(self.encoded) > ENCODED_KEPT:
                self.encoded.popitem(last=False)
        try:
            return await task
        except CephaloError as error:
            raise NoAnswerError(str(error)) from error

    async def pause(self, seconds: float) -> None:
        """Wait, if there is something to wait for."""
        if seconds > 0:
            await asyncio.sleep(seconds)

    def wait_after(self, error: Exception, retry: int) -> float:
        """Seconds to wait before the next try.

        Raises NoAnswerError where trying again is of no use, and CephaloError where asking
        anything is of none.
        """
        backoff = min(FIRST_WAIT * 2**retry, LONGEST_WAIT) * random.uniform(0.75, 1.0)
        if not isinstance(error, openai.APIStatusError):
            return backoff
        status, text = error.status_code, self.say(error)
        unknown_model = status == 400 and re.search(
            r"model.{0,80}(not found|not exist|unknown|not available|not loaded)", text, re.I
        )
        if status in FATAL or unknown_model:
            raise CephaloError(
                f"{self.client.base_url} answers {status} to model {self.model}: {text}; "
                "check --base-url, --model and --api-key"
            )
        if re.search(
            r"image.{0,40}not supported|not.{0,40}multimodal|not support.{0,20}image", text
        ):
            raise CephaloError(
                f"{self.model} sees no images: {text}; use one that does, or --text-only"
            )
        if getattr(error, "code", None) == "insufficient_quota":
            raise CephaloError(f"{self.client.base_url}: {text}; run it again when there is credit")
        if status < 500 and status not in WORTH_RETRYING:
            raise NoAnswerError(f"the server answers {status}: {text}")
        wait = retry_after(error.response.headers)
        if wait is None:
            return backoff
        if wait > LONGEST_RETRY_AFTER:
            raise CephaloError(
                f"{self.client.base_url} asks to wait {wait:,.0f} seconds; run it again then"
            )
        # What one request is told holds for all of them.
        self.resume_at = max(self.resume_at, time.monotonic() + wait)
        return wait

    def say(self, error: BaseException) -> str:
        """An error in one line of bounded length, without the key, which servers repeat."""
        if isinstance(error, openai.APITimeoutError):
            return "the request timed out"
        text = str(error.__cause__ or error) or type(error.__cause__ or error).__name__
        if len(self.api_key) > 3:
            text = text.replace(self.api_key, "[key]")
        return " ".join(text.split())[:300]


def read_reply(body: bytes) -> Reply:
    """The reply in the body of a chat completion. Raises ValueError where it is none."""
    try:
        found = json.loads(body)
        choice = found["choices"][0]
        message, usage = choice["message"], found.get("usage") or {}
        text = message.get("content") or message.get("refusal") or ""
        if not isinstance(text, str):
            raise TypeError
        return Reply(
            text,
            str(choice.get("finish_reason") or "stop"),
            int(usage.get("prompt_tokens") or 0),
            int(usage.get("completion_tokens") or 0),
        )
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise ValueError("the server's answer is no chat completion") from error


def refused_field(error: openai.APIStatusError, sent: set[str]) -> str | None:
    """The optional field that a server did not take, None where something else was wrong."""
    if error.status_code not in (400, 422, 501):
        return None
    for name in OPTIONAL:
        if name in sent and re.search(OPTIONAL[name], str(error), re.I):
            return name
    return None


def retry_after(headers: httpx2.Headers) -> float | None:
    """Seconds that a server asks to wait: a number, or an HTTP date (RFC 9110, 10.2.3)."""
    value = headers.get("retry-after", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def data_url(data: bytes, edge: int) -> str:
    """An image as a data URL, with its longer edge at most `edge` pixels.

    A JPEG or PNG that is small enough goes as it is. Raises CephaloError for what is no picture.
    """
    small = open_image(io.BytesIO(data)) if not _can_go(data, edge) else None
    kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
    if small is not None:
        small.thumbnail((edge, edge))
        out = io.BytesIO()
        small.save(out, "JPEG", quality=90)
        data, kind = out.getvalue(), "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _can_go(data: bytes, edge: int) -> bool:
    """Whether an image needs no change; reads its header only."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.format in ("JPEG", "PNG") and max(image.size) <= edge
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False
