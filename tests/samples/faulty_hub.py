"""The embedded hub in a thread of this process, with faults that a test asks for.

The hub is the real one; only the faults are made.
"""

import asyncio
import contextlib
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cephalo.hub.disk import Disk
from cephalo.hub.server import create_app

TOKENS = {"alice": "hf_alice", "bob": "hf_bob"}


@dataclass
class Fault:
    """What happens to `times` requests of `method` whose path matches `path`, after `skip` others.

    `status` answers with that status and serves nothing. None cuts the connection: once the
    request was served, so that its answer is lost, or with `served=False` before it is.
    `stall` never answers.
    """

    method: str
    path: str
    status: int | None
    times: int = 1
    retry_after: int | None = None
    skip: int = 0
    served: bool = True
    stall: bool = False


class FaultyHub:
    """An ASGI app around the hub's, with its `faults` and a log of "METHOD path" lines."""

    def __init__(self, hub: ASGIApp):
        self.hub = hub
        self.faults: list[Fault] = []
        self.log: list[str] = []
        self.endpoint = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.log.append(f"{scope['method']} {scope['path']}")
        for fault in self.faults:
            if (
                fault.times
                and scope["method"] == fault.method
                and re.search(fault.path, scope["path"])
            ):
                if fault.skip:
                    fault.skip -= 1
                    break
                fault.times -= 1
                await self.misbehave(fault, scope, receive, send)
                return
        await self.hub(scope, receive, send)

    async def misbehave(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.stall:
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        if fault.status is None:

            async def lose(message: Message) -> None:
                pass

            if fault.served:
                await self.hub(scope, receive, lose)
            receive.__self__.transport.abort()  # uvicorn's own connection
            await asyncio.sleep(0)
            return
        headers = [(b"content-length", b"0")]
        if fault.retry_after is not None:
            headers.append((b"retry-after", str(fault.retry_after).encode()))
        await send({"type": "http.response.start", "status": fault.status, "headers": headers})
        await send({"type": "http.response.body"})


@contextlib.contextmanager
def faulty_hub(root: Path) -> Iterator[FaultyHub]:
    """Serve a hub of `root` on a free loopback port."""
    app = FaultyHub(create_app(Disk(root), TOKENS))
    config = uvicorn.Config(app, port=0, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    app.endpoint = f"http://127.0.0.1:{port}"
    try:
        yield app
    finally:
        server.should_exit = True
        thread.join(10)
