"""The server of the workbench, for one user on this machine.

Every address begins with a secret token. Requests with another host name (DNS rebinding), from
pages of other origins, or with other content types are refused.
"""

import asyncio
import hmac
import json
import secrets
import socket
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import cast

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from cephalo.cli.errors import CephaloError
from cephalo.cli.json_files import Json
from cephalo.dataset_scripts.common.correction_values import FIELDS
from cephalo.dataset_scripts.pdf.settings import KINDS
from cephalo.dataset_scripts.workbench import filters
from cephalo.dataset_scripts.workbench.catalogue import STATES, Catalogue, shown
from cephalo.dataset_scripts.workbench.pictures import LARGE, PAGE_DPI, THUMBNAIL, Pictures
from cephalo.dataset_scripts.workbench.searched import in_all_texts
from cephalo.dataset_scripts.workbench.talks import decide_talk, talks_about, warm_up

HERE = Path(__file__).parent
SCRIPTS = ("box", "grid", "keys", "main", "panels", "server", "single", "talks")
PAGE_FILES = {
    "": ("page.html", "text/html"),
    "page.css": ("page.css", "text/css"),
    **{f"{name}.js": (f"{name}.js", "text/javascript") for name in SCRIPTS},
}
ALL_TEXTS = "all"  # of the choice where a text is searched
HOSTS = ("127.0.0.1", "localhost", "[::1]")
MAX_BODY = 200_000  # bytes; a caption has 20,000 characters at most
MOST_FIGURES = 500  # figures per response
MOST_DIGITS = 9  # digits of a figure number
TOKEN_BYTES = 18
SCAN_SECONDS = 2.0  # seconds between scans for new shards
PATIENCE = 3  # seconds for running requests when the server stops
HEADERS = {
    # Nothing is loaded from elsewhere, and no text of a paper can execute or send anything.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # the address contains the token
    "X-Content-Type-Options": "nosniff",
}
KEEP = {"Cache-Control": "private, max-age=86400, immutable"}
NO_STORE = {"Cache-Control": "no-store"}

Handler = Callable[[Request], Awaitable[Response]]


class Workbench:
    """Request handlers for one folder."""

    def __init__(self, catalogue: Catalogue, token: str, refined: Path) -> None:
        self.catalogue, self.token, self.refined = catalogue, token, refined
        self.pictures = Pictures(catalogue)

    def app(self) -> Starlette:
        """Return the ASGI application."""
        routes = [
            ("", "GET", self.file),
            ("{name}", "GET", self.file),
            ("api/state", "GET", self.state),
            ("api/counts", "GET", self.counts),
            ("api/list", "GET", self.find),
            ("api/figures", "GET", self.figures),
            ("api/page/{number}", "GET", self.on_page),
            ("api/mentions/{number}", "GET", self.mentions),
            ("api/talks/{number}", "GET", self.talks),
            ("api/talk", "POST", self.decide_talk),
            ("api/decide", "POST", self.decide),
            ("api/undo", "POST", self.undo),
            ("thumbnail/{number}/{version}", "GET", self.thumbnail),
            ("figure/{number}/{version}", "GET", self.figure),
            ("page/{number}", "GET", self.page),
        ]
        return Starlette(
            routes=[
                Route(f"/{{token}}/{path}", self.guarded(handler), methods=[method])
                for path, method, handler in routes
            ]
        )

    def guarded(self, handler: Handler) -> Handler:
        """Wrap a handler with the checks of the origin of a request."""

        async def answer(request: Request) -> Response:
            if (refused := self.refusal(request)) is not None:
                return refused
            number = request.path_params.get("number", "0")
            if not (number.isdecimal() and len(number) <= MOST_DIGITS):
                return Response("not found", 404)
            request.path_params["number"] = int(number)
            try:
                response = await handler(request)
            except CephaloError as error:
                response = failure(str(error), 400)
            except (ClientDisconnect, asyncio.CancelledError):  # the client or the server stopped
                response = failure("not saved: the request was incomplete", 400)
            except OSError as error:
                response = failure(f"not saved: {error.strerror or error}; free disk space", 507)
            for name, value in HEADERS.items():
                response.headers[name] = value
            return response

        return answer

    def refusal(self, request: Request) -> Response | None:
        """Return the response to a request that is not from the page, else `None`."""
        host = request.headers.get("host", "")
        name = host.rpartition(":")[0] if ":" in host.rpartition("]")[2] else host
        token = request.path_params["token"]
        if name not in HOSTS or not hmac.compare_digest(token.encode(), self.token.encode()):
            return Response("not found", 404)
        if request.method == "POST":
            origin = request.headers.get("origin")
            kind = request.headers.get("content-type", "")
            if (origin and origin != f"http://{host}") or kind != "application/json":
                return failure("refused: the request is not from the page of the workbench", 403)
        return None

    # --- the page

    async def file(self, request: Request) -> Response:
        """Return a file of the page."""
        name, kind = PAGE_FILES.get(request.path_params.get("name", ""), ("", ""))
        if not name:
            return Response("not found", 404)
        return FileResponse(HERE / name, media_type=kind, headers=NO_STORE)

    async def state(self, request: Request) -> Response:
        """Return the contents of the page header, and a version that changes with the figures."""
        found = self.catalogue
        return answer(
            {
                "folder": found.folder.resolve().name,
                "by": found.by,
                "figures": len(found.entries),
                "version": found.version,
                "loaded": found.loaded,
                "damaged": [*found.damaged.values(), *found.refined.damaged.values()][:5],
                "kinds": list(KINDS),
                "states": list(STATES),
                "page_dpi": PAGE_DPI,
            }
        )

    async def counts(self, request: Request) -> Response:
        """Return the values of the filters with their counts."""
        return answer(self.catalogue.counts())

    async def find(self, request: Request) -> Response:
        """Return the numbers of the figures that match the filters, in order.

        A search in all texts returns them by rank.
        """
        wanted = dict(request.query_params)
        if wanted.pop("within", "") != ALL_TEXTS or not wanted.get("text"):
            return answer({"ids": await run_in_threadpool(filters.find, self.catalogue, wanted)})
        text = wanted.pop("text")
        ranked = await run_in_threadpool(in_all_texts, self.catalogue, self.refined, text)
        others = {*await run_in_threadpool(filters.find, self.catalogue, wanted)}
        return answer({"ids": [number for number in ranked if number in others]})

    async def figures(self, request: Request) -> Response:
        """Return figures by number, without removed ones."""
        try:
            numbers = [int(one) for one in request.query_params.get("ids", "").split(",")]
        except ValueError:
            return failure("ids are not numbers", 400)
        entries = self.catalogue.entries
        found = [entries[one] for one in numbers[:MOST_FIGURES] if one in entries]
        return answer({"figures": list(shown(found))})

    async def on_page(self, request: Request) -> Response:
        """Return the figures on the page of a figure, and why the page is not available."""
        entry = self.catalogue.entry(request.path_params["number"])
        problem = await run_in_threadpool(self.pictures.problem, entry)
        figures = list(shown(self.catalogue.on_page(entry)))
        return answer({"figures": figures, "problem": problem})

    async def mentions(self, request: Request) -> Response:
        """Return the paragraphs that cite a figure."""
        number = request.path_params["number"]
        return answer({"mentions": await run_in_threadpool(self.catalogue.mentions, number)})

    async def talks(self, request: Request) -> Response:
        """Return the conversations about a figure."""
        entry = self.catalogue.entry(request.path_params["number"])
        return answer({"talks": await run_in_threadpool(talks_about, self.refined, entry)})

    # --- pictures

    async def thumbnail(self, request: Request) -> Response:
        """Return the thumbnail of a figure."""
        return await self.picture(self.pictures.figure, request, THUMBNAIL)

    async def figure(self, request: Request) -> Response:
        """Return the image of a figure."""
        return await self.picture(self.pictures.figure, request, LARGE)

    async def page(self, request: Request) -> Response:
        """Return the page of a figure."""
        return await self.picture(self.pictures.page, request)

    async def picture(
        self, make: Callable[..., bytes], request: Request, *more: object
    ) -> Response:
        """Return a JPEG. The address of a figure changes with its pixels, so it can be cached."""
        data = await run_in_threadpool(make, request.path_params["number"], *more)
        return Response(data, media_type="image/jpeg", headers=KEEP if more else NO_STORE)

    # --- decisions

    async def decide(self, request: Request) -> Response:
        """Record a decision, {"id", "what", "after"}. It is on disk before the response."""
        body = await read_body(request)
        number, what = body.get("id"), body.get("what")
        after = body.get("after")
        if type(number) is not int or what not in FIELDS:
            return failure("the request is not a decision about a figure", 400)
        if what == "bbox":
            await run_in_threadpool(self.pictures.crop, number, cast("list[float]", after))
        entry = await run_in_threadpool(self.catalogue.decide, number, what, after)
        return answer({"figure": next(shown([entry]))})

    async def decide_talk(self, request: Request) -> Response:
        """Record a decision about a conversation, {"figure", "id", "decision", "turns"}."""
        body = await read_body(request)
        number = body.get("figure")
        if not isinstance(number, int):
            return failure("the request is not a decision about a conversation", 400)
        entry = self.catalogue.entry(number)
        decision = (body.get(name) for name in ("id", "decision", "turns"))
        await run_in_threadpool(decide_talk, self.refined, entry, self.catalogue.by, *decision)
        return answer({"talks": await run_in_threadpool(talks_about, self.refined, entry)})

    async def undo(self, request: Request) -> Response:
        """Revert the last decision of this session."""
        entry = await run_in_threadpool(self.catalogue.undo)
        return answer({"figure": next(shown([entry])) if entry else None})


async def read_body(request: Request) -> dict[str, Json]:
    """Return the JSON object in a request.

    Raises:
        CephaloError: If the body is too long or not a JSON object.
    """
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_BODY:
            raise CephaloError("the request is too long")
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise CephaloError("the request is not a JSON object")
    return body


def answer(value: object) -> Response:
    """Return a value as JSON that is not cached."""
    return JSONResponse(value, headers=NO_STORE)


def failure(message: str, status: int) -> Response:
    """Return a one-line error message."""
    return JSONResponse({"error": message}, status, headers=NO_STORE)


def serve(folder: Path, refined: Path, by: str, port: int) -> None:
    """Serve the workbench until it is stopped. The caller holds the lock of the file of decisions.

    Args:
        folder: Folder of the extraction.
        refined: Folder of `cephalo refine`.
        by: Name of the person who decides.
        port: Port to listen on, 0 for any free port.

    Raises:
        CephaloError: If the port is in use or the file of decisions is damaged.
    """
    import uvicorn

    try:
        listener = socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise CephaloError(
            f"cannot listen on port {port} ({error.strerror}); choose another with --port"
        ) from error
    catalogue = Catalogue(folder, by, refined)
    bench = Workbench(catalogue, secrets.token_urlsafe(TOKEN_BYTES), refined)
    stopped = threading.Event()
    reader = threading.Thread(target=watch, args=(catalogue, stopped), daemon=True)
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/{bench.token}/"
    print(f"review of {folder}: {address} ; stop with Ctrl-C", flush=True)
    reader.start()
    for ready in (bench.pictures.warm_up, partial(warm_up, refined)):
        threading.Thread(target=ready, daemon=True).start()
    config = uvicorn.Config(
        bench.app(),
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=PATIENCE,
    )
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        stopped.set()
        bench.pictures.close()
        reader.join()
        catalogue.close()


def watch(catalogue: Catalogue, stopped: threading.Event) -> None:
    """Scan the folder for new and changed files until stopped."""
    while not stopped.is_set():
        catalogue.scan()
        stopped.wait(SCAN_SECONDS)
