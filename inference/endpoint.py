"""Query an OpenAI-compatible server: concurrently, with retries, within a budget.

    usage = Usage(max_requests=1000)
    async with Endpoint("http://127.0.0.1:8000/v1", "my-model", "-", usage) as endpoint:
        reply = await endpoint.send(question, Sampling())

Works with OpenAI, vLLM, `transformers serve`, `cephalo serve` and llama.cpp.
"""

import asyncio
import json
import os
import random
import re
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from urllib.request import getproxies, proxy_bypass

import aiohttp
import yarl
from pydantic import BaseModel

from cephalo.cli.addresses import is_web_address
from cephalo.cli.errors import CephaloError
from cephalo.cli.keys import check_key
from cephalo.inference.data_urls import data_url, with_pixels
from cephalo.inference.questions import (
    ModelSettings,
    NoAnswerError,
    Picture,
    Question,
    Reply,
    Sampling,
    Usage,
    json_schema,
)
from cephalo.inference.replies import (
    OPTIONAL,
    RefusedError,
    one_line,
    read_refusal,
    read_reply,
    refused_field,
)

OPENAI = "https://api.openai.com/v1"
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # seconds between retries, doubled each time
LONGEST_RETRY_AFTER = 600.0  # seconds; if a server asks for more, the run ends
ENCODED_KEPT = 128  # images; the tasks of one figure are consecutive
MAX_BODY = 8 << 20  # bytes of a reply; the longest answers have about 100,000 characters
KEEP_ALIVE = 4.0  # seconds; uvicorn closes a connection after 5 without a request
# Statuses that affect every question: key, payment, address or model, a redirection.
FATAL = {301, 302, 303, 307, 308, 401, 402, 404}
FORBIDDEN = 403  # one question is refused by a moderator, or all because of the key
MOST_FORBIDDEN = 16  # questions without any reply, after which the run ends
WORTH_RETRYING = {408, 409, 425, 429}
# Messages of servers about an image that their model cannot process, and about this image alone.
BLIND = re.compile(
    r"image.{0,40}not supported|not support.{0,20}image|not.{0,40}multimodal|most 0 image"
    r"|image.{0,20}only supported by|missing data required for image|unknown variant .?image_url",
    re.I,
)
OF_ONE_IMAGE = re.compile(
    r"\bformat|mime|dimension|resolution|\bsize|too (?:large|small|big)|corrupt", re.I
)
UNKNOWN_MODEL = re.compile(
    r"model.{0,80}(?:not found|not exist|unknown|not available|not loaded)", re.I
)


@dataclass(frozen=True)
class Limits:
    """Limits of requests to a server.

    `timeout` is in seconds, for one request from its first byte to the last one of its reply.
    `max_image_edge` is in pixels of sent images.
    """

    max_concurrency: int = 64
    max_retries: int = 5
    timeout: float = 300.0
    max_image_edge: int = 1024


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
        self.settings: ModelSettings = {"model": model, "max_image_edge": limits.max_image_edge}
        self.address = checked_address(base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI)
        check_key(api_key, f"the key of {model}")
        self.refused: set[str] = set()  # fields of OPTIONAL
        self.slots = asyncio.Semaphore(limits.max_concurrency)
        self.encoded: OrderedDict[str, asyncio.Task[bytes]] = OrderedDict()
        self.resume_at = 0.0  # on the monotonic clock, as requested by a server
        self.last_reply = 0.0
        self.forbidden = 0
        self.fatal = ""  # why no further question can get an answer

    async def __aenter__(self) -> "Endpoint":
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self.limits.max_concurrency, keepalive_timeout=KEEP_ALIVE
            ),
            timeout=aiohttp.ClientTimeout(total=self.limits.timeout),
            headers={
                "Authorization": f"Bearer {self.api_key}",
                "Content-Type": "application/json",
                # Replies have a few kilobytes, and compressed ones could expand to gigabytes.
                "Accept-Encoding": "identity",
            },
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=proxy_of(self.address),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.session.close()

    async def send(self, question: Question, sampling: Sampling) -> Reply:
        """Return one reply of the server.

        Raises NoAnswerError if the server refuses the question or after `max_retries`,
        BudgetSpentError, and CephaloError for errors that affect every question.
        """
        # Images are encoded before a slot is taken, while other requests are in flight.
        messages = await self.messages(question)
        failure: Exception = ValueError("no request was sent")
        async with self.slots:
            if self.fatal:  # an earlier question, which had this slot
                raise CephaloError(self.fatal)
            started = time.monotonic()
            for retry in range(self.limits.max_retries + 1):
                await self.pause(self.resume_at - time.monotonic())
                self.usage.take_request()
                self.usage.retries += retry > 0
                try:
                    reply = await self.request(messages, question, sampling)
                    self.last_reply = time.monotonic()
                    return reply
                except (RefusedError, aiohttp.ClientError, OSError, ValueError) as error:
                    failure = error
                try:
                    wait = self.wait_after(failure, retry)
                except CephaloError as error:
                    self.fatal = str(error)
                    raise
                if retry < self.limits.max_retries:
                    await self.pause(wait)
        # A server that cannot be reached answers no other question either.
        if isinstance(failure, aiohttp.ClientConnectorError) and self.last_reply <= started:
            raise CephaloError(
                f"{self.address} cannot be reached: {self.say(failure)}; start "
                "the server or correct --base-url, and run it again to continue"
            )
        raise NoAnswerError(
            f"no answer after {self.limits.max_retries + 1} tries: {self.say(failure)}"
        )

    async def request(self, messages: list[bytes], question: Question, sampling: Sampling) -> Reply:
        """Send one request, and again at once without optional fields that the server refuses.

        Raises RefusedError, aiohttp.ClientError or TimeoutError without a reply, and ValueError if
        the body is not a chat completion.
        """
        while True:
            fields = self.fields(question, sampling)
            head = ", ".join(f'"{name}": {value}' for name, value in fields.items())
            first, *others = messages
            try:
                return read_reply(await self.post([b"{%b%b" % (head.encode(), first), *others]))
            except RefusedError as error:
                name = refused_field(error, fields.keys() & OPTIONAL.keys())
                if name is None:
                    raise
                self.refused.add(name)
                self.usage.take_request()

    async def post(self, pieces: list[bytes]) -> bytes:
        """Send a request whose body is in pieces, and return the body of the reply. Raises as
        `request` does."""
        async with self.session.post(
            f"{self.address}/chat/completions",
            data=pieces[0] if len(pieces) == 1 else one_after_the_other(pieces),
            headers={"Content-Length": str(sum(map(len, pieces)))},
            allow_redirects=False,
        ) as response:
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > MAX_BODY:
                    raise ValueError(f"a reply of more than {MAX_BODY >> 20} MB")
            if response.status >= 300:
                raise read_refusal(response.status, response.headers, bytes(body))
            return bytes(body)

    def fields(self, question: Question, sampling: Sampling) -> dict[str, str]:
        """Return the fields of a request besides its messages, each value in JSON, without those
        that the server refuses."""
        fields = {
            "model": json.dumps(self.model),
            "max_tokens": json.dumps(sampling.max_tokens),
            "seed": json.dumps(sampling.seed),
            "temperature": json.dumps(sampling.temperature),
        }
        if question.schema:
            fields["response_format"] = response_format(question.schema)
        kept = {name: value for name, value in fields.items() if name not in self.refused}
        if "max_tokens" in self.refused:  # the newer name of the same field
            kept["max_completion_tokens"] = fields["max_tokens"]
        return kept

    async def messages(self, question: Question) -> list[bytes]:
        """Return the end of a request in JSON: the question as OpenAI's messages, with images as
        data URLs. Every second piece is an image, the same object for all questions about it."""
        system = json.dumps({"role": "system", "content": question.system}).encode()
        pieces = [b', "messages": [%b, {"role": "user", "content": [' % system]
        for number, part in enumerate(question.parts):
            pieces[-1] += b", " if number else b""
            if isinstance(part, Picture):
                url = await self.data_url(part)  # needs no escaping
                pieces[-1] += b'{"type": "image_url", "image_url": {"url": "'
                pieces += [url, b'"}}']
            else:
                pieces[-1] += json.dumps({"type": "text", "text": part}).encode()
        pieces[-1] += b"]}]}"
        return pieces

    async def data_url(self, picture: Picture) -> bytes:
        """Return the data URL of an image, encoded in a thread and cached for nearby questions.

        Raises NoAnswerError for an image that cannot be read.
        """
        task = self.encoded.get(picture.sha256)
        if task is None:
            work = with_pixels(data_url, picture.data, self.limits.max_image_edge)
            task = self.encoded[picture.sha256] = asyncio.create_task(work)
            while len(self.encoded) > ENCODED_KEPT:
                self.encoded.popitem(last=False)
        try:
            return await asyncio.shield(task)
        except CephaloError as error:
            raise NoAnswerError(str(error)) from error

    async def pause(self, seconds: float) -> None:
        """Wait if a server asked for it."""
        if seconds > 0:
            await asyncio.sleep(seconds)

    def wait_after(self, error: Exception, retry: int) -> float:
        """Return the seconds to wait before the next try.

        Raises NoAnswerError if another try is useless, and CephaloError if every question is.
        """
        backoff = min(FIRST_WAIT * 2**retry, LONGEST_WAIT) * random.uniform(0.75, 1.0)
        if not isinstance(error, RefusedError):
            return backoff
        status, reason = error.status, self.without_key(error.reason)
        self.forbidden += status == FORBIDDEN
        unknown_model = status == 400 and UNKNOWN_MODEL.search(error.reason)
        none_allowed = self.forbidden >= MOST_FORBIDDEN and not self.last_reply
        if status in FATAL or unknown_model or none_allowed:
            raise CephaloError(
                f"{self.address} answers {status} to model {self.model}: {reason}; "
                "check --base-url, --model and --api-key"
            )
        if BLIND.search(error.reason) and not OF_ONE_IMAGE.search(error.reason):
            raise CephaloError(
                f"{self.model} sees no images: {reason}; use one that does, or --text-only"
            )
        if error.code == "insufficient_quota":
            raise CephaloError(f"{self.address}: {reason}; run it again when there is credit")
        if status < 500 and status not in WORTH_RETRYING:
            raise NoAnswerError(self.say(error))
        if error.retry_after is None:
            return backoff
        if error.retry_after > LONGEST_RETRY_AFTER:
            raise CephaloError(
                f"{self.address} asks to wait {error.retry_after:,.0f} seconds; run it again then"
            )
        # A request to wait applies to all questions.
        self.resume_at = max(self.resume_at, time.monotonic() + error.retry_after)
        return error.retry_after

    def say(self, error: BaseException) -> str:
        """Format an error in one line."""
        if isinstance(error, TimeoutError):
            return f"no complete reply within the {self.limits.timeout:g} seconds of --timeout"
        if isinstance(error, aiohttp.ClientConnectorError) and (number := error.errno or 0) > 0:
            return os.strerror(number)
        return self.without_key(str(error) or type(error).__name__)

    def without_key(self, text: str) -> str:
        """Format a text in one line of bounded length, without the key, which servers may
        repeat."""
        return one_line(text.replace(self.api_key, "[key]") if len(self.api_key) > 3 else text)


@cache
def response_format(form: type[BaseModel]) -> str:
    """Return the JSON value of the field that requests a form of answer."""
    schema = {"name": form.__name__, "schema": json_schema(form), "strict": True}
    return json.dumps({"type": "json_schema", "json_schema": schema})


async def one_after_the_other(pieces: list[bytes]) -> AsyncIterator[bytes]:
    """Yield the pieces of a body, without concatenating them."""
    for piece in pieces:
        yield piece


def checked_address(base_url: str) -> str:
    """Return the address of an API without a trailing slash. Raises CephaloError if it is
    invalid."""
    if not is_web_address(base_url):
        raise CephaloError(f"--base-url {base_url!r}: give one like http://127.0.0.1:8000/v1")
    return base_url.rstrip("/")


def proxy_of(address: str) -> str | None:
    """Return the proxy for an address by HTTP_PROXY, HTTPS_PROXY and NO_PROXY, or None."""
    url = yarl.URL(address)
    if proxy_bypass(url.host or ""):
        return None
    proxy = getproxies().get(url.scheme)
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy
