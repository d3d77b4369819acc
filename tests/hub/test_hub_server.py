"""What the hub refuses over plain HTTP: strangers, bad requests, a full disk."""

import contextlib
import errno
import hashlib
import itertools
import os
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from hub_fixture import (
    commit,
    files,
    hub_in_process,
    large,
    lfs_target,
    new_repo,
    regular,
    sha256,
)
from hub_fixture import hub as hub

from cephalo.hub import connections
from cephalo.hub.disk import Disk


@pytest.fixture
def repo(hub) -> str:
    return new_repo(hub)


@pytest.fixture
def small_hub(tmp_path):
    with hub_in_process(tmp_path / "root", 1_000_000, names=["lab.example"]) as server:
        yield server


# --- who may do what


def test_writing_needs_the_owners_token(hub, repo):
    writes = [
        ("POST", f"/api/models/{repo}/commit/main", b'{"key":"header","value":{"summary":"x"}}'),
        ("POST", f"/api/models/{repo}/preupload/main", {"files": []}),
        ("POST", f"/api/models/{repo}/branch/b", {}),
        ("POST", f"/api/models/{repo}/tag/main", {"tag": "t"}),
        ("DELETE", f"/api/models/{repo}/branch/b", None),
        ("DELETE", f"/api/models/{repo}/tag/t", None),
        ("POST", f"/api/models/{repo}/super-squash/main", {}),
        ("POST", f"/api/models/{repo}/discussions", {"title": "t", "pullRequest": True}),
        ("PUT", f"/api/models/{repo}/settings", {"visibility": "private"}),
        ("POST", f"/{repo}.git/info/lfs/objects/batch", {"operation": "upload", "objects": []}),
        ("GET", f"/api/models/{repo}/xet-write-token/main", None),
        ("DELETE", "/api/repos/delete", {"organization": "alice", "name": repo.split("/")[1]}),
        ("POST", "/api/repos/move", {"fromRepo": repo, "toRepo": f"{repo}-2"}),
        ("POST", "/api/repos/create", {"organization": "alice", "name": "another"}),
    ]
    before = hub.call("GET", f"/api/models/{repo}/refs").json()
    for method, path, body in writes:
        assert hub.call(method, path, None, body).status == 401, path
        wrong = {"Authorization": "Bearer hf_wrong"}
        assert hub.call(method, path, None, body, wrong).status == 401, path
        assert hub.call(method, path, "bob", body).status == 403, path
    assert hub.call("GET", f"/api/models/{repo}/refs").json() == before
    assert not hub.call("GET", f"/api/models/{repo}").json()["private"]
    assert hub.call("GET", "/api/models/alice/another", "alice").status == 404


def test_private_repos_look_like_missing_ones(hub):
    hidden = new_repo(hub, private=True)
    commit(hub, hidden, regular("README.md", b"secret"))
    reads = [
        f"/api/models/{hidden}",
        f"/api/models/{hidden}/tree/main",
        f"/api/models/{hidden}/refs",
        f"/api/models/{hidden}/commits/main",
        f"/api/models/{hidden}/discussions",
        f"/api/models/{hidden}/auth-check",
        f"/api/models/{hidden}/xet-read-token/main",
        f"/{hidden}/resolve/main/README.md",
        f"/{hidden}",
    ]
    for path in reads:
        assert hub.call("GET", path, "alice").status == 200, path
        for user, status in ((None, 401), ("bob", 404)):
            answer = hub.call("GET", path, user)
            missing = hub.call("GET", path.replace(hidden, "alice/missing"), user)
            assert answer.status == missing.status == status, path
            assert answer.body == missing.body and b"secret" not in answer.body
            assert answer.headers["X-Error-Code"] == "RepoNotFound"
    assert hidden not in hub.call("GET", "/api/models").body.decode()
    assert hidden not in hub.call("GET", "/").body.decode()
    assert hidden in hub.call("GET", "/api/models", "alice").body.decode()


# --- LFS


def test_lfs_keeps_only_what_was_announced(hub, repo):
    content = os.urandom(100_000)
    path = lfs_target(hub, repo, content)
    for wrong, status in (
        (content[:-1], 400),
        (content + b"x", 413),
        (bytes(len(content)), 400),
        (b"", 400),
    ):
        assert hub.call("PUT", path, body=wrong).status == status
        assert hub.call("POST", f"{path}/verify", body={}).status == 404
    assert commit(hub, repo, large("w.bin", content)).status == 400
    assert hub.call("PUT", path[:-3] + "abc", body=content).status == 401
    assert hub.call("PUT", path, body=content).status == 200
    assert hub.call("POST", f"{path}/verify", body={}).status == 200
    assert commit(hub, repo, large("w.bin", content, size=5)).status == 400
    assert commit(hub, repo, large("w.bin", content, oid="../../tokens.json")).status == 400
    assert files(hub, repo) == []
    assert commit(hub, repo, large("w.bin", content)).status == 200
    answer = hub.call("GET", f"/{repo}/resolve/main/w.bin")
    assert answer.body == content
    assert answer.headers["ETag"] == f'"{sha256(content)}"'
    assert [path for path in (hub.root / "tmp").rglob("*") if path.is_file()] == []


# --- commits and downloads


@pytest.mark.parametrize(
    "path", ["../x", "a/../../x", "/etc/passwd", ".git/config", "a\\..\\x", "x\0y", "", "a/" * 999]
)
def test_paths_that_leave_the_folder(hub, repo, path):
    assert commit(hub, repo, regular("good.txt"), regular(path)).status == 422
    body = {"files": [{"path": path, "size": 1, "sample": ""}]}
    assert hub.call("POST", f"/api/models/{repo}/preupload/main", "alice", body).status == 422
    assert files(hub, repo) == []


def test_addresses_that_leave_the_folder(hub, repo):
    for path in (
        f"/{repo}/resolve/main/../../../tokens.json",
        f"/{repo}/resolve/main/..%2F..%2F..%2Ftokens.json",
        f"/{repo}/resolve/..%2F..%2Frefs.json/x",
        "/alice/..%2F..%2F/resolve/main/tokens.json",
        "/..%2F/..%2F/resolve/main/tokens.json",
        "/api/models/..%2F..%2F/x",
        "/api/..%2Fmodels",
        "/lfs/..%2F..%2Ftokens.json",
        "/cas/chunks/..%2F..%2Ftokens.json",
    ):
        answer = hub.call("GET", path)
        assert answer.status in (400, 401, 403, 404, 405), path
        assert b"hf_" not in answer.body
    for name in ("..", "a/b", "a--b", "x.git", "a" * 97, "", ".", "ä", 5, None):
        answer = hub.call("POST", "/api/repos/create", "alice", {"name": name})
        assert answer.status == 400, name


def test_malformed_bodies(hub, repo):
    path = f"/api/models/{repo}/commit/main"
    head = b'{"key":"header","value":{"summary":"x"}}\n'
    for body in (
        b"",
        b"\n\n",
        b"garbage",
        b"[1]",
        b"[" * 100_000,
        b'{"key":"file","value":{"path":"a","content":"aGk="}}',
        head + b'{"key":"nonsense","value":{"path":"a"}}',
        head + b'{"key":"file","value":{"path":"a","content":"%%%"}}',
        head + b'{"key":"file","value":{"path":"a","content":5}}',
        head + b'{"key":"file","value":{"path":["a"],"content":"aGk="}}',
        head + b'{"key":"lfsFile","value":{"path":"a","oid":"x"}}',
        head + b'{"key":"file","value":"x"}',
        b'{"key":"header","value":{"summary":7}}',
    ):
        assert hub.call("POST", path, "alice", body).status == 400, body[:80]
    long = head + b'{"key":"file","value":{"path":"a","content":"' + b"A" * (17 << 20) + b'"}}'
    for target, body in ((path, long), ("/api/repos/create", b" " * (5 << 20) + b"{}")):
        # The server answers and hangs up before it has read everything.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            assert hub.call("POST", target, "alice", body).status == 413
    assert files(hub, repo) == []


def test_file_and_folder_do_not_clash(hub, repo):
    assert commit(hub, repo, regular("a/b")).status == 200
    assert commit(hub, repo, regular("a")).status == 400
    assert commit(hub, repo, regular("a/b/c")).status == 400
    gone = {"key": "deletedFolder", "value": {"path": "a/"}}
    assert commit(hub, repo, gone, regular("a")).status == 200
    assert files(hub, repo) == ["a"]


def test_ranges(hub, repo):
    content = bytes(range(256)) * 10
    commit(hub, repo, regular("r.txt", content))
    path = f"/{repo}/resolve/main/r.txt"
    for header, status, body in (
        ("bytes=0-9", 206, content[:10]),
        ("bytes=2550-", 206, content[2550:]),
        ("bytes=-5", 206, content[-5:]),
        ("bytes=100-99999", 206, content[100:]),
        ("bytes=2560-2570", 416, None),
        ("bytes=9-3", 400, None),
        ("lines=1-2", 400, None),
        ("bytes=" + ",".join(["0-"] * 2000), 200, content),
        ("bytes=0-" + "9" * 4000, 206, content),
    ):
        answer = hub.call("GET", path, headers={"Range": header})
        assert answer.status == status, header
        assert body is None or answer.body == body
    head = hub.call("HEAD", path)
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == "2560"
    blob = hashlib.sha1(b"blob 2560\0" + content).hexdigest()
    assert head.headers["ETag"] == f'"{blob}"'
    sha = hub.call("GET", f"/api/models/{repo}").json()["sha"]
    missing = hub.call("GET", f"/{repo}/resolve/main/none")
    assert head.headers["X-Repo-Commit"] == missing.headers["X-Repo-Commit"] == sha
    assert (missing.status, missing.headers["X-Error-Code"]) == (404, "EntryNotFound")


def test_concurrent_commits_with_a_parent(hub, repo):
    parent = hub.call("GET", f"/api/models/{repo}").json()["sha"]
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda number: commit(hub, repo, regular(f"{number}.txt"), parentCommit=parent),
                range(8),
            )
        )
    assert sorted(answer.status for answer in answers) == [200] + [412] * 7
    assert len(files(hub, repo)) == 1
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: commit(hub, repo, regular(f"n{number}.txt")), range(8)))
    assert len(files(hub, repo)) == 1 + 8
    assert len(hub.call("GET", f"/api/models/{repo}/commits/main").json()) == 1 + 1 + 8


def test_quoted_references(hub, repo):
    answer = commit(hub, repo, regular("p.txt"), query="?create_pr=1")
    assert answer.json()["pullRequestUrl"] == f"{hub.endpoint}/{repo}/discussions/1"
    assert hub.call("GET", f"/{repo}/resolve/refs%2Fpr%2F1/p.txt").body == b"text"
    assert hub.call("GET", f"/{repo}/resolve/main/p.txt").status == 404
    assert hub.call("DELETE", f"/api/models/{repo}/branch/main", "alice").status == 403
    assert hub.call("POST", f"/api/models/{repo}/branch/..%2Fx", "alice", {}).status == 400


def test_pages_escape_what_was_uploaded(hub, repo):
    evil = "<script>alert(1)</script>"
    commit(hub, repo, regular("README.md", evil.encode()), regular("<b>&.txt", evil.encode()))
    page = hub.call("GET", f"/{repo}")
    assert page.headers["Content-Type"].startswith("text/html")
    text = page.body.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text and "<script>" not in text
    assert f'href="/{repo}/resolve/main/%3Cb%3E%26.txt"' in text
    file = hub.call("GET", f"/{repo}/resolve/main/%3Cb%3E%26.txt")
    assert file.headers["Content-Type"] == "application/octet-stream"
    assert file.headers["X-Content-Type-Options"] == "nosniff"
    assert f'href="/{repo}"' in hub.call("GET", "/").body.decode()


def test_addresses_follow_the_host_header(hub, small_hub, repo):
    path = f"/api/models/{repo}/xet-read-token/main"
    for host in ("localhost:80", "10.1.2.3", "[::1]:99", "127.0.0.1"):
        answer = hub.call("GET", path, headers={"Host": host}).json()
        assert answer["casUrl"].startswith(f"http://{host}/cas/alice-")
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "a b<", ""):
        answer = hub.call("GET", path, headers={"Host": host})
        assert answer.status == 421 and "--name" in answer.json()["error"]
    answer = small_hub.call("GET", "/api/models", headers={"Host": "LAB.example:80"})
    assert (answer.status, answer.json()) == (200, [])


def test_control_characters_in_an_address(hub, repo):
    for revision in ("a%0Db", "a%0D%0AX-Evil:%201", "%00", "%C3%A4", "%7F%1B"):
        for path in (f"/{repo}/resolve/{revision}/x", f"/api/models/{repo}/tree/{revision}"):
            answer = hub.call("GET", path)
            assert (answer.status, answer.headers["X-Error-Code"]) == (404, "RevisionNotFound")
            assert answer.headers["X-Error-Message"].isprintable()
            assert answer.headers["X-Evil"] is None


def test_half_sent_requests_end_and_hold_nobody_up(small_hub, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 1)
    monkeypatch.setattr(connections, "CHECK_SECONDS", 0.1)
    monkeypatch.setattr(connections.Connection, "max_connections", 20)
    head = b"POST /api/validate-yaml HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n"
    halves = []
    for sent in (b"", b"GET / HT", head, head + b"\r\n", head + b"\r\n{"):
        halves.append(socket.create_connection(("127.0.0.1", small_hub.port), timeout=60))
        halves[-1].sendall(sent)
    # The second request of a connection, too.
    again = socket.create_connection(("127.0.0.1", small_hub.port), timeout=60)
    again.sendall(b"GET /api/models HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = b""
    while not answer.endswith(b"[]"):
        piece = again.recv(9999)
        assert piece
        answer += piece
    again.sendall(b"GET /api")
    for connection in (*halves, again):
        with connection, contextlib.suppress(ConnectionResetError):
            assert connection.recv(100) == b""
    monkeypatch.setattr(connections, "HEAD_SECONDS", 60)
    with contextlib.ExitStack() as stack:
        for _ in range(50):
            address = ("127.0.0.1", small_hub.port)
            stack.enter_context(socket.create_connection(address)).sendall(head)
        assert small_hub.call("GET", "/api/models").status == 200


# --- a full disk


def test_a_full_disk_is_507_and_leaves_nothing(small_hub, monkeypatch):
    server = small_hub
    repo = new_repo(server)
    content = os.urandom(3_000_000)
    target = lfs_target(server, repo, content)
    before = snapshot(server.root)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("cephalo.hub.disk.os.fsync", full)
        assert server.call("PUT", target, body=content).status == 507
        answer = commit(server, repo, regular("a.txt"))
        assert answer.status == 507 and "disk is full" in answer.json()["error"]
        assert server.call("POST", f"/api/models/{repo}/branch/b", "alice", {}).status == 507
        body = {"name": "never"}
        assert server.call("POST", "/api/repos/create", "alice", body).status == 507
    assert snapshot(server.root) == before
    assert server.call("PUT", target, body=content).status == 200
    assert commit(server, repo, regular("a.txt"), large("w.bin", content)).status == 200
    assert files(server, repo) == ["a.txt", "w.bin"]


def snapshot(root) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_failure_between_the_files_of_a_commit(small_hub, monkeypatch):
    server = small_hub
    repo = new_repo(server)
    assert commit(server, repo, regular("a.txt", b"old")).status == 200
    before = server.call("GET", f"/api/models/{repo}/refs").json()
    real = Disk.write
    # The content, the commit, the refs: whichever fails, nothing shows.
    for failing in range(3):
        calls = itertools.count()

        def write(self, path, data, failing=failing, calls=calls):
            if next(calls) == failing:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(self, path, data)

        with monkeypatch.context() as patch:
            patch.setattr(Disk, "write", write)
            assert commit(server, repo, regular("a.txt", b"new%d" % failing)).status == 507
        assert server.call("GET", f"/api/models/{repo}/refs").json() == before
        assert server.call("GET", f"/{repo}/resolve/main/a.txt").body == b"old"
    assert commit(server, repo, regular("a.txt", b"new")).status == 200
    assert server.call("GET", f"/{repo}/resolve/main/a.txt").body == b"new"
