"""A rate-limited HTTP client: one request at a time, a few per second, all answers cached on disk.

It follows Wikimedia's etiquette: https://www.mediawiki.org/wiki/API:Etiquette
"""

import asyncio
import hashlib
import json
import time
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx2

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import replacing

INTERVAL = 0.34  # seconds from one request to the next: at most three in a second
MAX_ANSWER = 32 << 20  # bytes of HTML or JSON
ATTEMPTS = 5
MAX_WAIT = 120.0  # seconds; if a server asks for more, the run ends
BUSY = {429, 500, 502, 503, 504}
BUSY_API = {"maxlag", "ratelimited", "readonly"}
TIMEOUT = httpx2.Timeout(30.0)
MAX_SECONDS = 300.0  # for one answer, however slowly its redirects, headers and body come


class PageError(Exception):
    """A single page or file is unavailable; others may not be. The message is one line."""


class BusyError(Exception):
    """The server asked to retry later. `wait` is in seconds, None if it did not say."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class Client:
    """Requests each address once: answers are cached in `folder`; delete it to request them again.

    `contact` is the mail or web address of the user, for the User-Agent.
    """

    def __init__(self, folder: Path, contact: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.last = 0.0
        agent = f"Cephalo/{version('cephalo')} ({contact}) httpx2/{httpx2.__version__}"
        self.runner = asyncio.Runner()
        self.http = httpx2.AsyncClient(
            headers={"User-Agent": agent}, timeout=TIMEOUT, follow_redirects=True, max_redirects=5
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *error: object) -> None:
        self.runner.run(self.http.aclose())
        self.runner.close()

    def fetch(self, address: str, limit: int = MAX_ANSWER) -> Path:
        """Return a file with the content of an address, of at most `limit` bytes.

        Raises PageError if it does not exist, and CephaloError if the server stays busy or is
        unreachable; answers so far are cached.
        """
        kept = self.folder / hashlib.sha256(address.encode()).hexdigest()
        if not kept.exists():
            body = self._ask(address, limit)
            try:
                with replacing(kept) as aside:
                    aside.write_bytes(body)
            except OSError as error:
                raise CephaloError(
                    f"cannot write to {self.folder}: {error.strerror}; free disk space"
                ) from error
        return kept

    def get_json(self, address: str, parameters: dict[str, str] | None = None) -> Any:
        """Return the JSON at an address with its query. Raises as `fetch` does."""
        whole = httpx2.URL(address, params=parameters) if parameters else address
        try:
            return json.loads(self.fetch(str(whole)).read_bytes())
        except (ValueError, RecursionError) as error:
            raise PageError(f"{address} did not answer with JSON") from error

    def _ask(self, address: str, limit: int) -> bytes:
        reason = ""
        for attempt in range(ATTEMPTS):
            try:
                return self._ask_once(address, limit)
            except httpx2.TooManyRedirects as error:
                raise PageError(f"{address} redirects too often") from error
            except (httpx2.UnsupportedProtocol, httpx2.InvalidURL) as error:
                raise PageError(
                    f"{address} is, or redirects to, another protocol than http"
                ) from error
            except (httpx2.TransportError, httpx2.DecodingError) as error:
                reason, wait = f"{type(error).__name__}: {error}", None
            except BusyError as error:
                reason, wait = str(error), error.wait
            if wait is not None and wait > MAX_WAIT:
                reason += f" and asks to wait {wait:.0f} s"
                break
            if attempt + 1 < ATTEMPTS:
                time.sleep(2.0**attempt if wait is None else wait)
        raise CephaloError(
            f"{address} cannot be read ({' '.join(reason.split())[:200]}); "
            "nothing is lost, run the same command again later"
        )

    def _ask_once(self, address: str, limit: int) -> bytes:
        started = time.monotonic()
        time.sleep(max(0.0, self.last + INTERVAL - started))
        self.last = time.monotonic()
        try:
            return self.runner.run(asyncio.wait_for(self._read(address, limit), MAX_SECONDS))
        except TimeoutError as error:
            raise PageError(f"{address} took longer than {MAX_SECONDS:.0f} s") from error

    async def _read(self, address: str, limit: int) -> bytes:
        async with self.http.stream("GET", address) as response:
            if response.status_code in BUSY:
                raise BusyError(f"status {response.status_code}", retry_after(response))
            if response.status_code == 404:
                raise PageError(f"there is nothing at {address}")
            if response.status_code != 200:
                raise PageError(f"{address} answered {response.status_code}")
            length = response.headers.get("content-length", "")
            if length.isdecimal() and int(length) > limit:
                raise PageError(f"{address} is larger than {limit >> 20} MB")
            parts, size = [], 0
            async for part in response.aiter_bytes():
                parts.append(part)
                size += len(part)
                if size > limit:
                    raise PageError(f"{address} is larger than {limit >> 20} MB")
            body = b"".join(parts)
            if busy := _busy_api(response, body):
                raise BusyError(busy, retry_after(response))
        return body


def _busy_api(response: httpx2.Response, body: bytes) -> str | None:
    """Return the error of an api.php that asks to retry later, which has the status 200, or
    None."""
    if b'"error"' not in body[:200] or not response.url.path.endswith("/api.php"):
        return None
    try:
        code = json.loads(body)["error"]["code"]
    except (ValueError, KeyError, TypeError):
        return None
    return code if code in BUSY_API else None


def retry_after(response: httpx2.Response) -> float | None:
    """Return the seconds to wait by the Retry-After header, a number or a date; None without it."""
    value = response.headers.get("retry-after", "")
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


def checked_contact(contact: str | None) -> str:
    """Return the mail or web address of the user. Raises CephaloError if it is missing."""
    contact = (contact or "").strip()
    if not contact or not contact.isascii() or not contact.isprintable():
        raise CephaloError(
            "Wikimedia requires a contact; give --contact you@example.org, or set CEPHALO_CONTACT"
        )
    return contact
