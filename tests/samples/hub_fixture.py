"""A running `cephalo hub serve` for tests.

tests/conftest.py has the fixture `hub`, one server for all test files of a worker; tests keep apart
by the names of their repositories. A file that imports it from here has a server of its own.

The clients read HF_ENDPOINT when they are imported, so what talks to the hub runs in a process of
its own: `hub.run(code)` does that, with the environment of `hub.environment()`.
"""

import base64
import hashlib
import http.client
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
from warm_python import warm_python

from cephalo.hub.disk import Disk
from cephalo.hub.server import create_app, listen, server_of

NUMBERS = itertools.count()
TOKENS = {"alice": "hf_alice_for_tests", "bob": "hf_bob_for_tests"}


@dataclass
class Answer:
    """What a hub answered; `json()` parses the body."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class HubServer:
    """`endpoint` is http://127.0.0.1:PORT; `tokens` maps alice and bob to their tokens.

    `cephalo` is the command to run; a test of crashes has one with a flaw.
    """

    root: Path
    port: int = 0
    cephalo: tuple[str, ...] = (sys.executable, "-m", "cephalo.cli.main")
    tokens: dict[str, str] = field(default_factory=lambda: dict(TOKENS))
    process: subprocess.Popen | None = None
    endpoint: str = ""
    timeout: ClassVar[float] = 60  # seconds for an answer

    def start(self) -> "HubServer":
        """Start the server and wait until it listens; after a `stop`, at the same port."""
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / "tokens.json").write_text(json.dumps(self.tokens))
        arguments = ["serve", "--root", str(self.root), "--port", str(self.port)]
        self.process = subprocess.Popen(
            [*self.cephalo, "hub", *arguments],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "HF_TOKEN": ""},
        )
        # The socket listens before the first line is printed; connections wait in its queue.
        for line in self.process.stdout:
            if line.startswith("export HF_ENDPOINT="):
                self.endpoint = line.strip().partition("=")[2]
                self.port = int(self.endpoint.rpartition(":")[2])
                return self
        raise RuntimeError(f"the hub did not start (exit code {self.process.wait()})")

    def stop(self, how: int = signal.SIGTERM) -> None:
        """End the server; `how` is a signal."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(timeout=60)
        if self.process is not None:
            self.process.stdout.close()
        self.process = None

    def call(
        self,
        method: str,
        path: str,
        user: str | None = None,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send one request, the path exactly as given; a body that is not bytes goes as JSON."""
        if not isinstance(body, bytes | None):
            body = json.dumps(body).encode()
        headers = dict(headers or {})
        if user is not None:
            headers.setdefault("Authorization", f"Bearer {self.tokens[user]}")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def environment(self, home: Path, user: str | None = "alice", xet: bool = True) -> dict:
        """The environment of a client whose caches lie in `home`; no user means no token."""
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith("HF_")},
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(home),
            "HF_TOKEN": self.tokens[user] if user else "",
            "HF_HUB_DISABLE_XET": "0" if xet else "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
            "DISABLE_SAFETENSORS_CONVERSION": "1",
            "TOKENIZERS_PARALLELISM": "false",
        }

    def run(
        self,
        code: str,
        home: Path,
        *arguments: str,
        user: str | None = "alice",
        xet: bool = True,
        timeout: float = 120,
    ) -> str:
        """Run Python in a process that talks to this hub; its output, or an error with all of it.

        `timeout` is in seconds.
        """
        done = subprocess.run(
            [warm_python(), "-c", code, *arguments],
            env=self.environment(home, user, xet),
            cwd=home,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if done.returncode:
            raise AssertionError(f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    """One hub for all tests of a worker; tests keep apart by the names of their repos."""
    command = (warm_python(), "-m", "cephalo.cli.main")
    server = HubServer(tmp_path_factory.mktemp("hub"), cephalo=command)
    try:
        yield server.start()
    finally:
        server.stop()


@contextmanager
def hub_in_process(
    root: Path,
    part_bytes: int,
    wrap: Callable[[Any], Any] = lambda app: app,
    names: Collection[str] = (),
    tokens: dict[str, str] = TOKENS,
    upstream: str = "",
) -> Iterator[HubServer]:
    """A hub in a thread, whose code can be patched; `wrap` puts another ASGI app around it."""
    disk, listener = Disk(root), listen("127.0.0.1", 0)
    app = wrap(create_app(disk, tokens, part_bytes, names, upstream))
    server = server_of(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        port = listener.getsockname()[1]
        yield HubServer(root, port, tokens=tokens, endpoint=f"http://127.0.0.1:{port}")
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
        disk.close()


# --- requests by hand


def new_repo(server: HubServer, private: bool = False, user: str = "alice") -> str:
    name = f"raw-{next(NUMBERS)}-{os.getpid()}"
    visibility = "private" if private else "public"
    body = {"name": name, "visibility": visibility}
    assert server.call("POST", "/api/repos/create", user, body).status == 200
    return f"{user}/{name}"


def commit(server: HubServer, repo: str, *operations: dict, user="alice", query="", **header):
    lines = [{"key": "header", "value": {"summary": "test", **header}}, *operations]
    body = b"\n".join(json.dumps(line).encode() for line in lines)
    return server.call("POST", f"/api/models/{repo}/commit/main{query}", user, body)


def regular(path: str, content: bytes = b"text") -> dict:
    encoded = base64.b64encode(content).decode()
    return {"key": "file", "value": {"path": path, "content": encoded, "encoding": "base64"}}


def large(path: str, content: bytes, **changed) -> dict:
    value = {"path": path, "algo": "sha256", "oid": sha256(content), "size": len(content)}
    return {"key": "lfsFile", "value": value | changed}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def files(server: HubServer, repo: str, user="alice") -> list[str]:
    info = server.call("GET", f"/api/models/{repo}", user).json()
    return [item["rfilename"] for item in info["siblings"] if item["rfilename"] != ".gitattributes"]


def lfs_target(server: HubServer, repo: str, content: bytes, user: str = "alice", **changed) -> str:
    item = {"oid": sha256(content), "size": len(content)} | changed
    body = {"operation": "upload", "transfers": ["basic"], "objects": [item]}
    answer = server.call("POST", f"/{repo}.git/info/lfs/objects/batch", user, body)
    href = answer.json()["objects"][0]["actions"]["upload"]["href"]
    return href.removeprefix(server.endpoint)
