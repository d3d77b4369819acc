"""`cephalo hub serve`: the application, its socket, and its output."""

import contextlib
import re
import secrets
import shlex
import socket
import sys
from collections.abc import Collection, Generator
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cephalo.cli.addresses import is_web_address
from cephalo.cli.errors import CephaloError
from cephalo.hub import (
    absent,
    cas,
    collection,
    commits,
    files,
    info,
    lfs,
    lists,
    pages,
    pulls,
    refs,
    repos,
    usage,
    weights,
)
from cephalo.hub.access import Tickets, load_tokens
from cephalo.hub.cards import Cards
from cephalo.hub.connections import BACKLOG, Connection, allow_connections
from cephalo.hub.disk import Disk
from cephalo.hub.mirror import Mirror
from cephalo.hub.store import Store
from cephalo.hub.tensors import Weights
from cephalo.hub.upkeep import check, collect
from cephalo.hub.web import HANDLED, Hub, HubError, answer_error, check_host

PART_BYTES = 256 << 20

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.callback()
def hub() -> None:
    """Run a Hugging Face Hub from a folder, for laboratories without a network and for tests."""


def create_app(
    disk: Disk,
    tokens: dict[str, str],
    part_bytes: int = PART_BYTES,
    names: Collection[str] = (),
    upstream: str = "",
) -> ASGIApp:
    """Create the hub of one root as an ASGI app, which other ASGI apps can wrap.

    Args:
        disk: The root.
        tokens: Tokens by user.
        part_bytes: Size of the parts of longer LFS uploads.
        names: Lower-case host names that clients may use in addition to "localhost" and IP
            addresses.
        upstream: Hub to fetch missing repos from; "" for none.
    """
    # The first matching route is used: fixed addresses come before those with a kind in them.
    modules = (repos, collection, usage, lists, info, weights, refs, pulls, files, commits, lfs)
    routes = [route for module in (*modules, cas, absent, pages) for route in module.ROUTES]
    routes = [*absent.FIRST, *routes]
    starlette = Starlette(routes=routes, exception_handlers=dict.fromkeys(HANDLED, answer_error))
    starlette.router.redirect_slashes = False
    store = Store(disk)
    starlette.state.hub = Hub(
        store,
        Cards(store),
        tokens,
        Tickets.load(disk),
        part_bytes,
        Weights(store),
        Mirror(upstream, store, tokens) if upstream else None,
    )
    return route_on_raw_path(starlette, names)


def route_on_raw_path(inner: ASGIApp, names: Collection[str]) -> ASGIApp:
    """Match routes against the quoted path, in which `refs%2Fpr%2F1` is one part instead of three.

    Requests for other hosts than `names` are rejected.
    """

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "path": scope["raw_path"].decode("latin-1")}
            request = Request(scope)
            send = naming_the_request(request, send)
            try:
                check_host(request.headers.get("host", ""), names)
            except HubError as error:
                await answer_error(request, error)(scope, receive, send)
                return
        await inner(scope, receive, send)

    return outer


def naming_the_request(request: Request, send: Send) -> Send:
    """Return answers with the client's request id, or with a new one."""
    given = request.headers.get("x-request-id") or request.headers.get("x-amzn-trace-id") or ""
    name = given if re.fullmatch(r"[\w.:=;-]{1,128}", given, re.ASCII) else secrets.token_hex(8)

    async def named(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", name.encode())]
        await send(message)

    return named


@app.command()
def serve(
    root: Annotated[Path, typer.Option(help="Folder of the Hub; created if missing.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port to listen on; 0 for any free one.", min=0, max=65535)
    ] = 8931,
    user: Annotated[
        str | None,
        typer.Option(
            help="User whose token command is printed; created at the first start ('local')."
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(help="Additional host name that clients use for the hub; repeatable."),
    ] = None,
    upstream: Annotated[
        str,
        typer.Option(help="Hub from which missing public repos are fetched and kept."),
    ] = "",
) -> None:
    """Serve models and datasets from a folder to huggingface_hub, transformers and datasets.

    Reading public repos needs no token. Writing does, and each user writes below their own name.
    The tokens are in ROOT/tokens.json as {"user": "token"}; to add users, edit it and restart.

    Files uploaded over Xet take twice their size on disk, others once (set HF_HUB_DISABLE_XET=1 in
    the client). `cephalo hub gc` deletes files that no repo uses any more.

    With --upstream https://huggingface.co, missing public repos are fetched from there on first use
    and kept at that revision.

    Example:

      cephalo hub serve --root hub
    """
    upstream = upstream.rstrip("/")
    whole = re.fullmatch(r"https?://[^/\s?#]+", upstream) and is_web_address(upstream)
    if upstream and not whole:
        raise CephaloError(
            f"--upstream {upstream!r} is not an address such as https://huggingface.co"
        )
    disk = Disk(root.resolve())
    tokens = load_tokens(disk, user)
    listener = listen(host, port)
    endpoint = endpoint_of(host, listener)
    print(f"Serving {disk.root} at {endpoint} until Ctrl-C. In the shell of a client:")
    print(f"export HF_ENDPOINT={endpoint}")
    print(f"export HF_TOKEN={token_command(disk.root / 'tokens.json', user or next(iter(tokens)))}")
    sys.stdout.flush()
    if not is_loopback(listener):
        print(
            f"cephalo: warning: {host} can be reached from outside and traffic is not encrypted",
            file=sys.stderr,
        )
    names = {one.lower() for one in (host, socket.gethostname(), *(name or ()))}
    allow_connections()
    server_of(create_app(disk, tokens, names=names, upstream=upstream)).run(sockets=[listener])


def server_of(application: ASGIApp) -> uvicorn.Server:
    """Create the server of the hub's app, with limits on the size and duration of requests."""
    return uvicorn.Server(
        uvicorn.Config(
            application,
            http=Connection,
            ws="none",
            backlog=BACKLOG,
            access_log=False,
            log_level="warning",
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=3,
        )
    )


@app.command("gc")
def collect_garbage(root: Annotated[Path, typer.Option(help="Folder of the Hub.")]) -> None:
    """Delete files that no repo uses any more. The Hub must not be running.

    Example:

      cephalo hub gc --root hub
    """
    with opened(root) as store:
        freed = collect(store)
    print(f"Deleted {freed.files} files, {freed.size / 1e6:.1f} MB")


@app.command("check")
def check_contents(root: Annotated[Path, typer.Option(help="Folder of the Hub.")]) -> None:
    """Read every file of every repo and repair corrupt ones. The Hub must not be running.

    Files are repaired from their Xet chunks or from the same file of another user. Files that
    cannot be repaired are listed; push them again.

    Example:

      cephalo hub check --root hub
    """
    with opened(root) as store:
        checked = check(store)
    for what, places in (
        ("repaired", checked.mended),
        ("corrupt Xet chunks dropped, the file is intact", checked.chunks),
        ("lost", checked.lost),
    ):
        for place in places:
            print(f"{what}: {place}")
    print(
        f"Read {checked.contents} files: repaired {len(checked.mended)}, lost {len(checked.lost)}"
    )
    if checked.lost:
        raise CephaloError(f"{len(checked.lost)} files are lost; push them again")


@contextlib.contextmanager
def opened(root: Path) -> Generator[Store]:
    """Open the store of an existing Hub that is not being served. Raises CephaloError."""
    if not (root / "signing.key").exists():
        raise CephaloError(
            f"{root} is not the folder of a hub; give the --root of `cephalo hub serve`"
        )
    disk = Disk(root.resolve())
    try:
        yield Store(disk)
    finally:
        disk.close()


def listen(host: str, port: int) -> socket.socket:
    """Bind before anything is printed. Raises CephaloError if that fails."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise CephaloError(f"{host!r} is not an address of this machine; see --host") from error
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise CephaloError(
            f"cannot listen on {host} port {port} ({error.strerror}); choose another with --port"
        ) from error
    return listener


def is_loopback(listener: socket.socket) -> bool:
    """Return whether only this machine can reach the socket."""
    address = listener.getsockname()[0]
    return address == "::1" or address.startswith("127.")


def endpoint_of(host: str, listener: socket.socket) -> str:
    """Return the address for HF_ENDPOINT, with the port of the socket."""
    address, port = listener.getsockname()[:2]
    if address in ("0.0.0.0", "::"):
        host = socket.gethostname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def token_command(path: Path, user: str) -> str:
    """Return shell text that reads the token of `user`, so that the token itself is not printed."""
    code = "import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])"
    return f'"$(python3 -c {shlex.quote(code)} {shlex.quote(str(path))} {shlex.quote(user)})"'
