"""Code shared by all routes: the hub, the caller, the repo, bounded bodies, errors."""

import asyncio
import contextlib
import errno
import ipaddress
import json
import re
import threading
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, TypeVarTuple
from urllib.parse import parse_qs, unquote

from anyio import CapacityLimiter, to_thread
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response

from cephalo.cli.json_files import Json
from cephalo.hub.access import Tickets, user_of_token
from cephalo.hub.cards import Cards
from cephalo.hub.disk import Staged
from cephalo.hub.mirror import Mirror, UpstreamError
from cephalo.hub.names import BadName, BadPath, RepoName, check_name, check_repo
from cephalo.hub.store import NotThere, RepoState, Store
from cephalo.hub.tensors import Weights

MAX_JSON_BYTES = 4 << 20
MAX_FORM_FIELDS = 20_000
WRITE_BYTES = 1 << 20
REPO = "/api/{kind}/{namespace}/{name}"  # prefix of the routes about one repo
WATCH_SECONDS = 0.5  # between two checks whether the client is still connected

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@dataclass(frozen=True)
class Hub:
    """The state of a server.

    `part_bytes` is the size of the parts of an LFS upload. `costly` is locked by the one expensive
    request of a user at a time, `strangers` by one without a token.
    """

    store: Store
    cards: Cards
    tokens: dict[str, str]
    tickets: Tickets
    part_bytes: int
    weights: Weights
    mirror: Mirror | None = None
    costly: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(1))
    strangers: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(1))


class HubError(Exception):
    """An answer other than success. `code` becomes the header `X-Error-Code`."""

    def __init__(self, status: int, message: str, code: str = "", commit: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.commit = commit


class Moved(Exception):
    """The request belongs to another address of this hub, given without the host."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.address = address


class BigFile(FileResponse):
    """A file sent in pieces of a size that suits models, with Range and HEAD.

    Always as bytes, so that a browser does not run uploaded content.
    """

    chunk_size = 1 << 20

    def __init__(self, path: Path, headers: dict[str, str]) -> None:
        super().__init__(path, headers=headers, media_type="application/octet-stream")


# --- errors


def answer_error(request: Request, error: Exception) -> Response:
    """Format an error as `huggingface_hub.utils.hf_raise_for_status` expects."""
    if isinstance(error, ClientDisconnect):
        return Response(status_code=499)
    if isinstance(error, Moved):
        return Response(status_code=307, headers={"Location": error.address})
    if isinstance(error, UpstreamError):
        error = HubError(error.status, str(error))
    if isinstance(error, NotThere):
        error = HubError(404, error.message, error.code)
    elif isinstance(error, BadName):
        error = HubError(422 if isinstance(error, BadPath) else 400, str(error))
    elif isinstance(error, OSError):
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise error
        error = HubError(507, "The hub's disk is full; free some space and try again")
    assert isinstance(error, HubError)
    headers = {
        # A header line has neither control characters nor non-ASCII letters.
        "X-Error-Message": re.sub(r"[^ -~]", "?", error.message.replace("\n", " ")),
    }
    if error.code:
        headers["X-Error-Code"] = error.code
    if error.commit:
        headers["X-Repo-Commit"] = error.commit
    return JSONResponse({"error": error.message}, error.status, headers)


HANDLED = (HubError, UpstreamError, Moved, NotThere, BadName, OSError, ClientDisconnect)


# --- the request


def hub_of(request: Request) -> Hub:
    """Return the hub of this request."""
    return request.app.state.hub


async def run_costly(request: Request, function: Callable[[*Ts], T], *arguments: *Ts) -> T:
    """Run an expensive function in a thread, one request at a time; the others wait without a
    thread.

    Files are thus served while strangers request lists and checks, and users only wait for users.
    """
    hub = hub_of(request)
    # Under /cas/ the token is one of Xet, which was read before.
    known = request.scope["path"].startswith("/cas/") or _user(request) is not None
    limiter = hub.costly if known else hub.strangers
    return await to_thread.run_sync(function, *arguments, limiter=limiter)


async def run_in_thread(request: Request, function: Callable[[*Ts], T], *arguments: *Ts) -> T:
    """Run a short read from disk beside other requests."""
    return await run_in_threadpool(function, *arguments)


async def run_while_connected(request: Request, function: Callable[[Callable[[], bool]], T]) -> T:
    """Run `function` in a thread, after the body was read; its argument returns whether the client
    left."""
    left = threading.Event()

    async def watch() -> None:
        while not await request.is_disconnected():
            await asyncio.sleep(WATCH_SECONDS)
        left.set()

    watching = asyncio.create_task(watch())
    try:
        return await run_in_threadpool(function, left.is_set)
    finally:
        watching.cancel()


def param(request: Request, name: str) -> str:
    """Return a part of the address, unquoted; routes match the quoted one (see `server`)."""
    return unquote(request.path_params[name])


def base_url(request: Request) -> str:
    """Return http://HOST as the client wrote it, since clients compare the host of every
    address."""
    host = request.headers.get("host", "")
    if not re.fullmatch(r"[\w.:\[\]-]{1,255}", host, re.ASCII):
        raise HubError(400, "The Host header is missing or malformed")
    return f"{request.url.scheme}://{host}"


def check_host(host: str, names: Collection[str]) -> None:
    """Reject a Host header that is not one of `names`, "localhost" or an IP address.

    A web page can resolve its own name to this machine's address (DNS rebinding) and then read the
    hub's answers, but the Host header still has that name.
    """
    name = re.sub(r":[0-9]*$", "", host).strip("[]").lower()
    if name in ("localhost", *names):
        return
    try:
        ipaddress.ip_address(name)
    except ValueError as error:
        raise HubError(
            421, f"This hub does not serve the name {name[:100]!r}; start it with --name"
        ) from error


def caller(request: Request) -> str | None:
    """Return the user of the request's token, or None without one. 401 for a wrong one."""
    user = _user(request)
    if user is None and "authorization" in request.headers:
        raise HubError(401, "Invalid credentials in Authorization header")
    return user


def _user(request: Request) -> str | None:
    token = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    return user_of_token(hub_of(request).tokens, token)


def need_caller(request: Request) -> str:
    """Return the user of the request's token; 401 without one or for a wrong one."""
    user = caller(request)
    if user is None:
        raise HubError(401, "Invalid username or password.")
    return user


def named_repo(request: Request) -> RepoName:
    """Return the repo in the address, whether it exists or not; capitals are ignored.

    Under /api/ the kind is a parameter; elsewhere models have no prefix.
    """
    first = request.scope["path"].split("/")[1]
    if request.path_params["namespace"] == first and first in ("datasets", "spaces"):
        raise no_repo(request, first.removesuffix("s"), param(request, "name"))
    kind = first if first in ("datasets", "spaces") else request.path_params.get("kind", "models")
    named = check_repo(kind.removesuffix("s"), param(request, "namespace"), param(request, "name"))
    return hub_of(request).store.spelled(named)


def open_for(hub: Hub, user: str | None, repo: RepoName) -> RepoState:
    """Return the state of a repo that `user` may read; any other is reported as missing."""
    try:
        state = hub.store.load(repo)
    except NotThere:
        state = None
    if state is None or (state.private and user != repo.namespace):
        raise HubError(404 if user else 401, "Repository not found", "RepoNotFound")
    return state


def repo_to_read(request: Request) -> tuple[RepoName, RepoState]:
    """Return the repo in the address, if the caller may read it."""
    repo = named_repo(request)
    follow(request, repo)
    mirror(request, repo)
    return repo, open_for(hub_of(request), caller(request), repo)


def repo_to_write(request: Request) -> RepoName:
    """Return the repo in the address, if the caller may write it: it is in the caller's
    namespace."""
    repo = named_repo(request)
    follow(request, repo)
    return writable(request, repo)


def follow(request: Request, repo: RepoName) -> None:
    """Raise Moved if the repo has another name now and the caller may read it."""
    hub = hub_of(request)
    target = hub.store.moved(repo)
    if target is not None:
        open_for(hub, caller(request), target)
        raise moved_to(request, repo.id, target)


def moved_to(request: Request, name: str, target: RepoName) -> Moved:
    """Return the redirect of a request for a repo `name` to `target`."""
    start = r"^(/api/(?:models|datasets|spaces)/|/datasets/|/spaces/|/)"
    path = re.sub(start + re.escape(name), rf"\g<1>{target.id}", request.scope["path"])
    query = request.url.query
    return Moved(f"{path}?{query}" if query else path)


def mirror(request: Request, repo: RepoName) -> None:
    """Describe a repo of the upstream Hub here, at the revision in the address. Raises Moved if
    upstream has it under another name."""
    hub, user = hub_of(request), caller(request)
    if hub.mirror is None or user is None or repo.namespace in hub.tokens:
        return
    revision = param(request, "rev") if "rev" in request.path_params else "main"
    with contextlib.suppress(NotThere):
        state = hub.store.load(repo)
        if not state.upstream:
            return
        state.resolve(revision)
        return
    found = hub.mirror.describe(repo.kind, repo.id, revision)
    if found not in (None, repo):
        raise moved_to(request, repo.id, found)


def no_repo(request: Request, kind: str, name: str) -> Exception:
    """Return the exception for a missing repo without a namespace, such as gpt2, which upstream may
    have."""
    hub, user = hub_of(request), caller(request)
    if hub.mirror is not None and user is not None:
        found = hub.mirror.describe(kind, check_name(name), "main")
        if found is not None:
            return moved_to(request, name, found)
    return HubError(404 if user else 401, "Repository not found", "RepoNotFound")


def writable(request: Request, repo: RepoName) -> RepoName:
    """Return the repo that has this name, if it exists and the caller may write it."""
    user, repo = caller(request), hub_of(request).store.spelled(repo)
    open_for(hub_of(request), user, repo)
    if need_caller(request) != repo.namespace:
        raise HubError(403, f"You don't have the rights to write to {repo.id}")
    return repo


# --- bodies


async def json_body(request: Request) -> dict[str, Json]:
    """Return a JSON object of at most MAX_JSON_BYTES; {} for an empty body."""
    return parse_object(await bounded_body(request, MAX_JSON_BYTES) or b"{}")


async def form_body(request: Request) -> dict[str, list[str]]:
    """Return the fields of a URL-encoded form of at most MAX_JSON_BYTES."""
    try:
        text = (await bounded_body(request, MAX_JSON_BYTES)).decode()
        return parse_qs(text, max_num_fields=MAX_FORM_FIELDS)
    except ValueError as error:
        raise HubError(400, f"The form cannot be parsed: {error}") from error


def parse_object(data: bytes) -> dict[str, Json]:
    """Parse a JSON object, or answer 400."""
    try:
        value: Json = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise HubError(400, "The body is not valid JSON") from error
    if not isinstance(value, dict):
        raise HubError(400, "The body is not a JSON object")
    return value


def value_of(body: Mapping[str, object], key: str, kind: type[T], default: T | None = None) -> T:
    """Return `body[key]`, which must be a `kind`; if it is absent or null, `default`, or answer
    400."""
    value = body.get(key)
    if value is None and default is not None:
        return default
    # JSON's true is a Python int, which no field here accepts.
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise HubError(400, f"The body needs {key!r} as {kind.__name__}")
    return value


def only(asked: Mapping[str, object], *kept: str) -> None:
    """Answer 400 if an unsupported field is set, and name it.

    A field that is null, false or empty counts as absent.
    """
    other = sorted(name for name, value in asked.items() if name not in kept and value)
    if other:
        raise HubError(400, f"This hub does not support {', '.join(map(repr, other))[:500]}")


async def bounded_body(request: Request, limit: int) -> bytes:
    """Return the whole body, or answer 413 if it is longer than `limit` bytes."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limit:
            raise HubError(413, f"The body is longer than {limit} bytes")
    return bytes(body)


async def body_lines(request: Request, limit: int) -> AsyncIterator[bytes]:
    """Yield the lines of the body, or answer 413 if one is longer than `limit` bytes."""
    line = bytearray()
    async for piece in request.stream():
        first, *rest = piece.split(b"\n")
        line += first
        for start in rest:
            yield bytes(line)
            line = bytearray(start)
        if len(line) > limit:
            raise HubError(413, f"A line of the body is longer than {limit} bytes")
    yield bytes(line)


async def receive(request: Request, staged: Staged, limit: int) -> None:
    """Write the body to `staged`, or answer 413 if it is longer than `limit` bytes."""
    buffer = bytearray()
    async for piece in request.stream():
        buffer += piece
        if staged.size + len(buffer) > limit:
            raise HubError(413, f"The body is longer than {limit} bytes")
        if len(buffer) >= WRITE_BYTES:
            await run_in_threadpool(staged.write, buffer)
            buffer = bytearray()
    await run_in_threadpool(staged.write, buffer)
