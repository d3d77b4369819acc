"""Fetch missing repos from another Hub, once, and store them (`cephalo hub serve --upstream`).

A repo of the upstream Hub is described here when a user first requests it, at its current commit,
together with its README.md. Other files are fetched on their first download, and streamed
meanwhile. Each is verified by the hash that upstream announced.

Only users with a token make the hub fetch; everybody may read what it has. Requests to the upstream
Hub have no token, so only its public repos are available.
"""

import asyncio
import contextlib
import hashlib
import json
import math
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO
from urllib.parse import quote

import httpx2
from starlette.concurrency import run_in_threadpool

from cephalo.hub.disk import Staged
from cephalo.hub.names import BadName, RepoName, check_path, check_repo
from cephalo.hub.store import (
    GIT_KEY,
    Commit,
    FileEntry,
    RepoState,
    Store,
    as_told,
    git_blob_sha1,
    git_blob_start,
    lfs_pointer,
    now,
)

MAX_DESCRIPTION_BYTES = 64 << 20  # for 400,000 files
MAX_FILES = 400_000
MAX_README_BYTES = 4 << 20
ANSWER_SECONDS = 10  # for each step of an answer of upstream
DESCRIPTION_SECONDS = 60  # for a whole description; one of 400,000 files takes a few seconds
LEAST_RATE = 10_000  # bytes per second on average; at this rate a gigabyte takes over a day
WAIT_SECONDS = 0.05  # between two checks of a file that is being fetched
PIECE_BYTES = 1 << 20


class UpstreamError(Exception):
    """Upstream cannot be reached, or its answer is invalid. `status` is for the client."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Arrival:
    """A file that is being fetched: `size` bytes of it are in `staged`. `error` ends it."""

    staged: Staged
    size: int = 0
    done: bool = False
    error: str = ""


@dataclass
class Mirror:
    """The Hub at `endpoint`, and what is being fetched from it.

    The namespaces of the `users` of this hub are never fetched.
    """

    endpoint: str
    store: Store
    users: Collection[str] = ()
    _tls: ssl.SSLContext = field(default_factory=httpx2.create_ssl_context)
    _describing: threading.Lock = field(default_factory=threading.Lock)
    _arriving: threading.Lock = field(default_factory=threading.Lock)
    _arrivals: dict[tuple[str, str], Arrival] = field(default_factory=dict)

    # --- repos

    def describe(self, kind: str, name: str, revision: str) -> RepoName | None:
        """Store the description of a repo at a revision; return None if upstream has none.

        `name` may lack a namespace, which upstream redirects. Raises UpstreamError.
        """
        with self._one_at_a_time():
            return self._describe(kind, name, revision)

    def _describe(self, kind: str, name: str, revision: str) -> RepoName | None:
        path = f"/api/{kind}s/{quote(name)}/revision/{quote(revision, safe='')}?blobs=true"
        answer = self._json(path)
        if answer is None:
            return None
        try:
            repo = check_repo(kind, *str(answer["id"]).split("/"))
            if answer.get("private") or answer.get("gated") or self._of_a_user(repo):
                return None
            if revision != "main" and not self.store.repo_path(repo).exists():
                self._describe(kind, repo.id, "main")  # requests without a revision use it
            self._keep(repo, checked_hex(answer["sha"], 40), answer, revision)
        except (BadName, KeyError, TypeError, ValueError, OverflowError) as error:
            raise UpstreamError(502, f"{self.endpoint}{path} cannot be read") from error
        return repo

    def _of_a_user(self, repo: RepoName) -> bool:
        return repo.namespace.casefold() in {user.casefold() for user in self.users}

    @contextlib.contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        if not self._describing.acquire(timeout=ANSWER_SECONDS):
            raise UpstreamError(503, f"{self.endpoint} is slow to answer; try again")
        try:
            yield
        finally:
            self._describing.release()

    def _keep(self, repo: RepoName, sha: str, answer: dict[str, Any], revision: str) -> None:
        siblings = answer["siblings"]
        if len(siblings) > MAX_FILES:
            raise ValueError("too many files")
        tree = dict(entry_of(one) for one in siblings)
        state = RepoState(upstream=self.endpoint)
        if self.store.repo_path(repo).exists():
            state = self.store.load(repo)
            if not state.upstream:
                raise ValueError("the repo is one of this hub")
        readme = tree.get("README.md")
        if readme is not None and not readme.lfs and readme.size <= MAX_README_BYTES:
            self._whole(repo, sha, "README.md", readme)
        date = as_told(datetime.fromisoformat(answer.get("lastModified") or now()))
        commit = Commit(sha, None, "as fetched from upstream", "", repo.namespace, date, tree)
        if sha not in state.commits:
            state.commits.append(sha)
        state.refs.setdefault("refs/heads/main", sha)
        if revision != sha:
            state.refs.setdefault(f"refs/heads/{revision}", sha)
        self.store.keep_mirrored(repo, state, commit)

    def _json(self, path: str) -> dict[str, Any] | None:
        data = bytearray()

        def take(piece: bytes) -> None:
            data.extend(piece)
            if len(data) > MAX_DESCRIPTION_BYTES:
                raise UpstreamError(502, f"{self.endpoint}{path} is too long")

        try:
            self._read(self.endpoint + path, take, DESCRIPTION_SECONDS)
            value = json.loads(data)
        except httpx2.HTTPStatusError as error:
            if error.response.status_code in (401, 403, 404):
                return None
            raise UpstreamError(502, f"{self.endpoint} did not answer: {error}") from error
        except (httpx2.HTTPError, ValueError, RecursionError) as error:
            raise UpstreamError(502, f"{self.endpoint} did not answer: {error}") from error
        return value if isinstance(value, dict) else None

    # --- files

    async def stream(
        self, repo: RepoName, sha: str, path: str, entry: FileEntry, start: int, stop: int
    ) -> AsyncIterator[bytes]:
        """Yield the bytes `start` to `stop` of a file while it is fetched.

        The last ones follow once the whole has the right hash. Raises UpstreamError.
        """
        arrival = await run_in_threadpool(self._arrival, repo, sha, path, entry)
        with self._open(arrival, repo, entry) as file:
            file.seek(start)
            while start < stop or not (entry.size or arrival.done):
                # Before `size` is read: everything is there once the arrival is done.
                done, error = arrival.done, arrival.error
                if error:
                    raise UpstreamError(502, error)
                limit = stop if done else min(stop, arrival.size, entry.size - 1)
                piece = await run_in_threadpool(file.read, min(PIECE_BYTES, max(limit - start, 0)))
                if piece:
                    start += len(piece)
                    yield piece
                else:
                    await asyncio.sleep(WAIT_SECONDS)

    def _open(self, arrival: Arrival, repo: RepoName, entry: FileEntry) -> BinaryIO:
        try:
            return arrival.staged.path.open("rb")
        except FileNotFoundError as error:
            if arrival.error:
                raise UpstreamError(502, arrival.error) from error
            return self.store.object_path(repo.namespace, entry.sha256).open("rb")

    def _whole(self, repo: RepoName, sha: str, path: str, entry: FileEntry) -> None:
        if not self.store.object_path(repo.namespace, entry.sha256).exists():
            arrival = self._arrival(repo, sha, path, entry)
            began = time.monotonic()
            while not (arrival.done or arrival.error):
                if time.monotonic() - began > DESCRIPTION_SECONDS:
                    raise UpstreamError(503, f"{self.endpoint} is slow to answer; try again")
                time.sleep(WAIT_SECONDS)
            if arrival.error:
                raise UpstreamError(502, arrival.error)

    def _arrival(self, repo: RepoName, sha: str, path: str, entry: FileEntry) -> Arrival:
        """Return the download of a file, which continues in a thread even if its client leaves."""
        key = repo.namespace, entry.sha256
        with self._arriving:
            if key not in self._arrivals:
                self.store.disk.need(entry.size)
                arrival = self._arrivals[key] = Arrival(self.store.disk.stage())
                url = f"{self.endpoint}/{repo.url_path}/resolve/{sha}/{quote(path)}"
                arguments = (arrival, key, url, entry)
                threading.Thread(target=self._fetch, args=arguments, daemon=True).start()
            return self._arrivals[key]

    def _fetch(self, arrival: Arrival, key: tuple[str, str], url: str, entry: FileEntry) -> None:
        digest = digest_for(entry)
        try:
            with arrival.staged as staged:

                def take(piece: bytes) -> None:
                    if staged.size + len(piece) > entry.size:
                        raise ValueError("it is longer than announced")
                    digest.update(piece)
                    staged.write(piece)
                    staged.flush()
                    arrival.size = staged.size

                self._read(url, take)
                if staged.size < entry.size:  # otherwise readers would wait for the rest
                    raise ValueError("it is shorter than announced")
                if digest.hexdigest() != entry.sha256.removeprefix(GIT_KEY):
                    raise ValueError("its hash is not the announced one")
                staged.publish(self.store.object_path(*key))
            arrival.done = True
        except (httpx2.HTTPError, ValueError, OSError) as error:
            arrival.error = f"{url} cannot be fetched: {error}"
        finally:
            if not arrival.done and not arrival.error:  # a defect: no reader may wait forever
                arrival.error = f"{url} cannot be fetched"
            with self._arriving:
                del self._arrivals[key]

    def _read(self, url: str, take: Callable[[bytes], None], seconds: float = math.inf) -> None:
        """Pass the body of an answer to `take`, piece by piece.

        Raises httpx2.HTTPError, and ValueError for an answer that takes longer than `seconds` or is
        slower than `LEAST_RATE` after `ANSWER_SECONDS`, measured from the request, since redirects
        and headers may be slow too.
        """
        try:
            asyncio.run(self._read_in_time(url, take, seconds))
        except TimeoutError as error:
            slow = f"it comes slower than {LEAST_RATE:,} bytes a second"
            if seconds < math.inf:
                slow += f", or not in {seconds:g} seconds"
            raise ValueError(slow) from error

    async def _read_in_time(self, url: str, take: Callable[[bytes], None], seconds: float) -> None:
        began, size = asyncio.get_running_loop().time(), 0
        async with (
            httpx2.AsyncClient(
                verify=self._tls, timeout=ANSWER_SECONDS, follow_redirects=True
            ) as client,
            asyncio.timeout(ANSWER_SECONDS) as limit,
            client.stream("GET", url) as answer,
        ):
            answer.raise_for_status()
            async for piece in answer.aiter_bytes():
                take(piece)
                size += len(piece)
                limit.reschedule(began + min(ANSWER_SECONDS + size / LEAST_RATE, seconds))


def entry_of(sibling: dict[str, Any]) -> tuple[str, FileEntry]:
    """Return path and entry of a file in upstream's description. Raises ValueError and BadName.

    Upstream states the sha256 of large files only; the others are identified by their git hash.
    """
    path, size = check_path(sibling["rfilename"]), sibling["size"]
    if type(size) is not int or size < 0:
        raise ValueError("not a size")
    large = sibling.get("lfs")
    if large:
        sha256 = checked_hex(large["sha256"], 64)
        oid = git_blob_sha1(lfs_pointer(sha256, size))
        return path, FileEntry(size, oid, sha256, lfs=True)
    oid = checked_hex(sibling["blobId"], 40)
    return path, FileEntry(size, oid, GIT_KEY + oid)


def checked_hex(text: str, length: int) -> str:
    """Return `text` if it is a hash of `length` hex digits. Raises ValueError."""
    if len(text) != length or set(text) - set("0123456789abcdef"):
        raise ValueError("not a hash")
    return text


def digest_for(entry: FileEntry) -> "hashlib._Hash":
    """Return the digest that verifies the content of an entry."""
    if entry.sha256.startswith(GIT_KEY):
        return hashlib.sha1(git_blob_start(entry.size), usedforsecurity=False)
    return hashlib.sha256()
