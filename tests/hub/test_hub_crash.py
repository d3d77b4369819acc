"""kill -9 at any moment leaves the state before a commit or the one after it, never half."""

import base64
import hashlib
import http.client
import json
import random
import signal
import threading
import time
from pathlib import Path

from hub_fixture import HubServer
from warm_python import warm_python

REPO = "alice/crash"
# A hub that kills itself at its Nth fsync once the file `armed`, which holds N, is there. The
# fsyncs are the moments between the steps of a write: before and after each rename.
DIES_AT_FSYNC = """
import os, signal, sys
from pathlib import Path
from cephalo.cli.main import main
from cephalo.hub import disk

real, calls, armed = os.fsync, [], Path(sys.argv[sys.argv.index("--root") + 1]) / "armed"

def fsync(descriptor):
    if armed.exists():
        calls.append(descriptor)
        if len(calls) == int(armed.read_text()):
            os.kill(os.getpid(), signal.SIGKILL)
    real(descriptor)

disk.os.fsync = fsync
main()
"""


def commit(server: HubServer, number: int) -> bool:
    """Commit two files that hold the same number; whether the hub said that it did."""
    lines = [{"key": "header", "value": {"summary": str(number)}}]
    for name in ("a.txt", "sub/b.txt"):
        content = base64.b64encode(b"%d" % number).decode()
        lines.append({"key": "file", "value": {"path": name, "content": content}})
    body = b"\n".join(json.dumps(line).encode() for line in lines)
    try:
        answer = server.call("POST", f"/api/models/{REPO}/commit/main", "alice", body)
    except (OSError, http.client.HTTPException):
        return False
    assert answer.status == 200
    return True


def committed(server: HubServer) -> int:
    """The number in the files of `main`, after a check that the whole repo reads."""
    commits = server.call("GET", f"/api/models/{REPO}/commits/main").json()
    numbers = [int(one["title"]) for one in commits[:-1]]
    assert numbers == sorted(numbers, reverse=True)
    for one in commits[:-1]:
        for name in ("a.txt", "sub/b.txt"):
            answer = server.call("GET", f"/{REPO}/resolve/{one['id']}/{name}")
            assert answer.status == 200 and answer.body.decode() == one["title"]
    assert [path for path in (server.root / "tmp").rglob("*") if path.is_file()] == []
    for path in (server.root / "store").glob("*/objects/*/*"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    return numbers[0] if numbers else 0


def create(server: HubServer) -> None:
    answer = server.call("POST", "/api/repos/create", "alice", {"name": "crash"})
    assert answer.status == 200


def test_kill_between_any_two_steps_of_a_commit(tmp_path):
    server = HubServer(tmp_path / "root", cephalo=(warm_python(), "-c", DIES_AT_FSYNC))
    armed: Path = server.root / "armed"
    create(server.start())
    before, steps, seen = 0, 0, set()  # the number of each try is also the step it dies at
    try:
        while True:
            steps += 1
            armed.write_text(str(steps))
            done = commit(server, steps)
            armed.unlink()
            server.stop()
            after = committed(server.start())
            assert after == steps if done else after in (before, steps)
            seen.add(after == steps)
            before = after
            if done:
                break
    finally:
        server.stop()
    # Contents, commit and refs, each a file and its folder: there were crashes on both sides.
    assert steps > 6 and seen == {False, True}


def test_kill_at_random_moments(tmp_path):
    server = HubServer(tmp_path / "root")
    chance = random.Random(0)
    create(server.start())
    said, tried = 0, 0
    stopping = threading.Event()

    def write() -> None:
        nonlocal said, tried
        while not stopping.is_set():
            tried += 1
            if not commit(server, tried):
                return
            said = tried

    try:
        for _ in range(5):
            writer = threading.Thread(target=write)
            writer.start()
            time.sleep(chance.uniform(0.05, 0.4))
            server.stop(signal.SIGKILL)
            stopping.set()
            writer.join()
            stopping.clear()
            # What the hub confirmed is there; of what it did not, all or nothing.
            assert said <= committed(server.start()) <= tried
    finally:
        server.stop()
    assert said > 5
