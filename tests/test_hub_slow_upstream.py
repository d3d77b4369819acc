"""An upstream that answers a byte at a time, or does not stop, holds up no user of the hub."""

import json
import socket
import threading
import time
from contextlib import contextmanager

import httpx2
import pytest
from hub_fixture import hub_in_process

from cephalo.model_cards.hub import mirror

TOKENS = {"alice": "hf_alice"}


@contextmanager
def upstream(pieces, pause):
    """The address of a server that answers every request with `pieces`, `pause` seconds apart."""
    listener, over = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def answer(connection):
        connection.recv(65536)
        try:
            connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
            for piece in pieces:
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


def ask(tmp_path, pieces, pause=0.0):
    with (
        upstream(pieces, pause) as address,
        hub_in_process(tmp_path, 1_000_000, tokens=TOKENS, upstream=address) as hub,
    ):
        headers = {"Authorization": "Bearer hf_alice"}
        return httpx2.get(f"{hub.endpoint}/api/models/a/b", headers=headers, timeout=20)


def test_an_answer_of_a_byte_at_a_time_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(mirror, "ANSWER_SECONDS", 0.5)
    began = time.monotonic()
    answer = ask(tmp_path, [b" "] * 1000, pause=0.1)
    assert answer.status_code == 502
    assert "slower than 10,000 bytes a second" in answer.json()["error"]
    assert time.monotonic() - began < 10


def test_answers_of_other_forms_are_named(tmp_path):
    broken = {"id": "a/b", "sha": 5, "siblings": "x"}
    answer = ask(tmp_path, [json.dumps(broken).encode()])
    assert (answer.status_code, answer.json()["error"].rpartition(" ")[2]) == (502, "read")


def test_what_comes_in_time(monkeypatch):
    monkeypatch.setattr(mirror, "ANSWER_SECONDS", 0)
    assert list(mirror.in_time([b"a" * 10**6] * 3)) == [b"a" * 10**6] * 3

    def slow():
        for _ in range(9):
            time.sleep(0.01)
            yield b"a"

    with pytest.raises(ValueError, match="slower than 10,000 bytes a second"):
        list(mirror.in_time(slow()))
