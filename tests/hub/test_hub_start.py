"""Starting the hub: what it prints, what it refuses in one line, its files of tokens and keys."""

import json
import resource
import socket
import stat
import subprocess
import sys
import time

import pytest
from hub_fixture import hub as hub
from warm_python import warm_python

from cephalo.cli.errors import CephaloError
from cephalo.hub.access import BadTicket, Tickets, load_tokens
from cephalo.hub.disk import Disk
from cephalo.hub.local import local_hub
from cephalo.hub.server import listen


def serve(*arguments: str, timeout: float = 20) -> subprocess.CompletedProcess:
    command = [warm_python(), "-m", "cephalo.cli.main", "hub", "serve", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout)


def assert_one_line(done: subprocess.CompletedProcess, *words: str) -> None:
    assert done.returncode == 1
    assert done.stderr.startswith("cephalo: error: ") and done.stderr.count("\n") == 1
    assert all(word in done.stderr for word in words), done.stderr


def test_what_it_cannot_start_with_is_one_line(hub, tmp_path):
    assert_one_line(serve("--root", str(hub.root), "--port", "0"), "another `cephalo hub serve`")
    root = str(tmp_path / "root")
    taken = serve("--root", root, "--port", str(hub.port))
    assert_one_line(taken, f"port {hub.port}", "--port")
    assert_one_line(serve("--root", root, "--host", "no such host"), "--host")
    assert_one_line(serve("--root", root, "--host", "192.0.2.1", "--port", "0"), "192.0.2.1")
    (tmp_path / "file").touch()
    assert_one_line(serve("--root", str(tmp_path / "file")), "--root")
    assert_one_line(serve("--root", root, "--user", "nobody"), "tokens.json", "nobody")
    (tmp_path / "root" / "tokens.json").write_text('{"a/b": "hf_x"}')
    assert_one_line(serve("--root", root), "tokens.json")


def test_first_start(tmp_path):
    command = [sys.executable, "-m", "cephalo.cli.main", "hub", "serve", "--port", "0"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    with subprocess.Popen(
        [*command, "--root", str(tmp_path / "a b"), "--user", "carol"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        lines = [process.stdout.readline() for _ in range(3)]
        process.terminate()
        rest = process.stdout.read()
    assert (process.returncode, rest) == (130, "cephalo: stopped\n")
    tokens_file = tmp_path / "a b" / "tokens.json"
    tokens = json.loads(tokens_file.read_text())
    assert list(tokens) == ["carol"] and tokens["carol"].startswith("hf_")
    assert stat.S_IMODE(tokens_file.stat().st_mode) == 0o600
    assert tokens["carol"] not in "".join(lines)
    # The printed lines are shell that sets both variables.
    shell = "".join(lines[1:]) + 'printf "%s %s" "$HF_ENDPOINT" "$HF_TOKEN"'
    output = subprocess.run(["sh", "-c", shell], capture_output=True, text=True).stdout
    endpoint, token = output.split(" ")
    assert endpoint.startswith("http://127.0.0.1:") and token == tokens["carol"]
    # Under one second on an idle machine; of the processor, since others may keep it busy.
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 3


def test_a_temporary_hub_ends_without_a_word(tmp_path, capfd):
    with local_hub(tmp_path, ["carol"]) as hub:
        assert hub.endpoint.startswith("http://127.0.0.1:") and list(hub.tokens) == ["carol"]
    assert capfd.readouterr() == ("", "")
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", int(hub.endpoint.rpartition(":")[2])))


def test_warning_beyond_loopback(tmp_path):
    command = [sys.executable, "-m", "cephalo.cli.main", "hub", "serve", "--port", "0"]
    with subprocess.Popen(
        [*command, "--root", str(tmp_path), "--host", "0.0.0.0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        line = process.stderr.readline()
        process.terminate()
    assert line.startswith("cephalo: warning:") and "not encrypted" in line


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"a": 5}', '{"a": "x"}', '{"a": "hf_1 2"}',
                                  '{"a": "hf_12", "b": "hf_12"}', '{"api": "hf_12"}'])  # fmt: skip
def test_bad_token_files(tmp_path, text):
    disk = Disk(tmp_path)
    (tmp_path / "tokens.json").write_text(text)
    with pytest.raises(CephaloError, match=r"tokens\.json"):
        load_tokens(disk, None)
    disk.close()


def test_two_servers_do_not_share_a_root(tmp_path):
    disk = Disk(tmp_path)
    with pytest.raises(CephaloError, match="another"):
        Disk(tmp_path)
    disk.close()
    Disk(tmp_path).close()


def test_listen_on_ipv6():
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        listener = listen("::1", 0)
    except CephaloError as error:
        pytest.skip(str(error))
    with listener:
        assert listener.family == socket.AF_INET6 and listener.getsockname()[0] == "::1"


def test_tickets(tmp_path):
    disk = Disk(tmp_path)
    tickets = Tickets.load(disk)
    later = int(time.time()) + 60
    ticket = tickets.issue("lfs", later, oid="x")
    assert tickets.read("lfs", ticket)["oid"] == "x"
    assert Tickets.load(disk).read("lfs", ticket)["oid"] == "x"
    forged = Tickets(b"another key").issue("lfs", later, oid="x")
    for bad in (ticket[:-2], ticket[1:], "", ".", "é", forged, tickets.issue("lfs", 1, oid="x")):
        with pytest.raises(BadTicket):
            tickets.read("lfs", bad)
    with pytest.raises(BadTicket, match="not for xet"):
        tickets.read("xet", ticket)
    disk.close()
