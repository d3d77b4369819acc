"""An upstream that is slow, endless or lying holds up no user of the hub and leaves nothing."""

import contextlib
import hashlib
import itertools
import json
import socket
import threading
import time
from contextlib import contextmanager

import httpx2
import pytest
from hub_fixture import hub_in_process

from cephalo.hub import mirror

TOKENS = {"alice": "hf_alice", "bob": "hf_bob"}
ALICE = {"Authorization": "Bearer hf_alice"}
OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
LOADED = 60  # seconds that a busy machine may take for what takes one


@contextmanager
def upstream(answers, pause=0.0):
    """The address of a server; `answers` gives the pieces of an answer to a path that holds its
    key, which come `pause` seconds apart."""
    listener, over = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def answer(connection):
        path = connection.recv(65536).split()[1].decode()
        try:
            for piece in next(pieces for key, pieces in answers.items() if key in path):
                connection.sendall(piece)
                if over.wait(pause):
                    break
        except OSError:  # the hub has left
            pass
        connection.close()

    def listen():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=listen, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        over.set()
        listener.close()


@contextmanager
def hub(tmp_path, answers, pause=0.0):
    """A client of a hub that fetches from such a server."""
    with (
        upstream(answers, pause) as address,
        hub_in_process(tmp_path, 1_000_000, tokens=TOKENS, upstream=address) as near,
        httpx2.Client(base_url=near.endpoint, headers=ALICE, timeout=LOADED) as client,
    ):
        yield client


@pytest.mark.parametrize(
    "pieces",
    [
        [OK + b"\r\n", *[b" "] * 1000],
        [OK + b"X-Long: ", *[b"a"] * 1000],
        [b"HTTP/1.1 102 Processing\r\n\r\n"] * 1000,
        [b"HTTP/1.1 302 Found\r\nLocation: /api/models/a/b\r\nConnection: close\r\n\r\n"],
    ],
    ids=["body", "header", "answers before the answer", "redirects"],
)
def test_an_answer_of_a_byte_at_a_time_is_given_up(tmp_path, monkeypatch, pieces):
    monkeypatch.setattr(mirror, "ANSWER_SECONDS", 0.5)
    with hub(tmp_path, {"": pieces}, pause=0.1) as client:
        began = time.monotonic()
        answer = client.get("/api/models/a/b")
        assert answer.status_code == 502
        assert "slower than 10,000 bytes a second" in answer.json()["error"]
        assert time.monotonic() - began < LOADED  # 100 seconds would be the whole answer


def test_what_is_fast_enough_is_waited_for(tmp_path, monkeypatch):
    """Longer than `ANSWER_SECONDS`, but no slower than `LEAST_RATE`."""
    monkeypatch.setattr(mirror, "ANSWER_SECONDS", 3.0)
    body = json.dumps(described(content=b"x")).encode() + b" " * 60_000
    pieces = [OK + b"\r\n", *[body[at : at + 20_000] for at in range(0, 60_000, 20_000)]]
    with hub(tmp_path, {"": pieces}, pause=0.9) as client:
        assert client.get("/api/models/a/b").json()["sha"] == "a" * 40


def described(content: bytes, **changes) -> dict:
    """A repo with one large file, as a Hub describes it; `changes` are of the repo or its file."""
    oid = hashlib.sha256(content).hexdigest()
    file = {"rfilename": "w.bin", "size": len(content), "lfs": {"sha256": oid}}
    repo = {"id": "a/b", "sha": "a" * 40, "lastModified": "2024-05-29T10:00:00.000Z"}
    for key, value in changes.items():
        (file if key in file else repo)[key] = value
    return {**repo, "siblings": [file]}


@pytest.mark.parametrize(
    "change",
    [
        {"sha": 5},
        {"sha": "\xe9" * 40},
        {"size": -5},
        {"size": float("inf")},
        {"size": "9"},
        {"lfs": "x"},
        {"rfilename": "../w.bin"},
        {"id": "a/b/c"},
        {"lastModified": "yesterday"},
        {"lastModified": ["x"]},
    ],
    ids=str,
)
def test_descriptions_of_other_forms_are_named(tmp_path, change):
    body = json.dumps(described(b"x", **change)).encode()
    with hub(tmp_path, {"": [OK + b"\r\n", body]}) as client:
        answer = client.get("/api/models/a/b")
        assert (answer.status_code, answer.json()["error"].rpartition(" ")[2]) == (502, "read")
    assert not list((tmp_path / "repos").rglob("refs.json"))


@pytest.mark.parametrize("namespace", ["bob", "Bob"])
def test_no_repo_appears_among_those_of_a_user(tmp_path, namespace):
    body = json.dumps(described(b"x", id=f"{namespace}/b")).encode()
    with hub(tmp_path, {"": [OK + b"\r\n", body]}) as client:
        assert client.get("/api/models/a/b").status_code == 404
    assert not list((tmp_path / "repos").rglob("refs.json"))


ENDLESS = itertools.repeat(b"x" * 65536)


@pytest.mark.parametrize(
    ("size", "pieces", "message"),
    [
        (8, [b"weights"], "shorter than announced"),
        (6, [b"weights"], "longer than announced"),
        (7, [b"weighty"], "its hash is not the announced one"),
        (7, ENDLESS, "longer than announced"),
        (7, [b"weigh"], "shorter than announced"),
    ],
    ids=["small", "large", "other", "endless", "cut"],
)
def test_a_file_that_is_not_the_announced_one_is_an_error_at_once(tmp_path, size, pieces, message):
    body = json.dumps(described(b"weights", size=size)).encode()
    answers = {"/api/": [OK + b"\r\n", body], "/resolve/": itertools.chain([OK + b"\r\n"], pieces)}
    with hub(tmp_path, answers) as client:
        assert client.head("/a/b/resolve/main/w.bin").headers["X-Linked-Size"] == str(size)
        with contextlib.suppress(httpx2.RemoteProtocolError):  # found out after the first bytes
            answer = client.get("/a/b/resolve/main/w.bin")
            assert (answer.status_code, message in answer.json()["error"]) == (502, True)
    assert not list((tmp_path / "store").rglob("objects/*/*"))
    assert not list((tmp_path / "tmp").iterdir())
