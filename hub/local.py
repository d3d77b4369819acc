"""A temporary Hub, started and stopped by the process that uses it."""

import contextlib
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from cephalo.cli.errors import CephaloError


@dataclass(frozen=True)
class LocalHub:
    """A running hub: `endpoint` is http://127.0.0.1:PORT, `tokens` maps users to tokens."""

    endpoint: str
    tokens: dict[str, str]

    def environment(self, user: str, home: Path) -> dict[str, str]:
        """Return the environment of clients that use this hub as `user`, with their caches in
        `home`."""
        return {
            **os.environ,
            "HF_ENDPOINT": self.endpoint,
            "HF_TOKEN": self.tokens[user],
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "DISABLE_SAFETENSORS_CONVERSION": "1",
        }


@contextlib.contextmanager
def local_hub(root: Path, users: list[str]) -> Generator[LocalHub]:
    """Serve a hub of `root` on a free loopback port, with a token for each of `users`.

    Raises CephaloError if it does not start; the server's own error is then on stderr.
    """
    path = root / "tokens.json"
    tokens: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for user in users:
        tokens.setdefault(user, f"hf_{secrets.token_urlsafe(27)}")
    root.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(tokens), encoding="utf-8")
    command = [sys.executable, "-m", "cephalo.cli.main", "hub", "serve"]
    with subprocess.Popen(
        [*command, "--root", str(root), "--port", "0"], stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            yield LocalHub(endpoint_of(server), tokens)
        finally:
            # Killed, since it would tell a user who stopped nothing that it was stopped. What it
            # has acknowledged is stored.
            server.kill()


def endpoint_of(server: subprocess.Popen[str]) -> str:
    """Return the address that a starting server prints, once it listens."""
    for line in server.stdout or ():
        if line.startswith("export HF_ENDPOINT="):
            return line.strip().partition("=")[2]
    raise CephaloError(f"the hub did not start (exit code {server.wait()})")
