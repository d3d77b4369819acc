"""What the hub refuses, over plain HTTP: strangers, bad uploads, bad requests, a full disk."""

import base64
import contextlib
import errno
import hashlib
import itertools
import json
import os
import socket
import stat
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hub_fixture import HubServer, hub_in_process, hub_server  # noqa: F401

from cephalo.cli.errors import CephaloError
from cephalo.model_cards.hub.access import BadTicket, Tickets, load_tokens
from cephalo.model_cards.hub.cards import BadCard, card_data
from cephalo.model_cards.hub.disk import Disk
from cephalo.model_cards.hub.server import listen

NUMBERS = itertools.count()


@pytest.fixture
def small_hub(tmp_path):
    with hub_in_process(tmp_path / "root", part_bytes=1_000_000) as server:
        yield server


@pytest.fixture
def repo(hub) -> str:
    return new_repo(hub)


def new_repo(server: HubServer, private: bool = False) -> str:
    name = f"raw-{next(NUMBERS)}-{os.getpid()}"
    visibility = "private" if private else "public"
    body = {"name": name, "visibility": visibility}
    assert server.call("POST", "/api/repos/create", "alice", body).status == 200
    return f"alice/{name}"


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


# --- Xet


def chunked(*contents: bytes) -> bytes:
    return b"".join(struct.pack("<II", len(one) << 8, len(one) << 8) + one for one in contents)


def raw_hash(text: str) -> bytes:
    return struct.pack("<4Q", *(int(text[at : at + 16], 16) for at in range(0, 64, 16)))


def shard(file_hash: str, digest: str, xorb: str, unpacked: int, start: int, end: int) -> bytes:
    header = b"HFRepoMetaData\0".ljust(32, b"x") + struct.pack("<QQ", 2, 0)
    file = struct.pack("<32sIIQ", raw_hash(file_hash), 1 << 30, 1, 0)
    term = struct.pack("<32sIIII", raw_hash(xorb), 0, unpacked, start, end)
    return header + file + term + raw_hash(digest) + bytes(16) + b"\xff" * 32 + bytes(16)


class Xet:
    """A Xet session with a repo: its token as headers, and paths on the storage side."""

    def __init__(self, server: HubServer, repo: str, scope: str, user: str | None):
        answer = server.call("GET", f"/api/models/{repo}/xet-{scope}-token/main", user)
        assert answer.status == 200
        self.server = server
        self.cas = answer.json()["casUrl"].removeprefix(server.endpoint)
        self.headers = {"Authorization": f"Bearer {answer.json()['accessToken']}"}

    def call(self, method: str, path: str, body: bytes | None = None, **headers: str):
        return self.server.call(method, self.cas + path, None, body, self.headers | headers)

    def upload(self, xorb: str, *contents: bytes):
        return self.call("POST", f"/v1/xorbs/default/{xorb}", chunked(*contents))


def hash_of(*parts: object) -> str:
    return sha256(repr(parts).encode())


def push_over_xet(server: HubServer, repo: str, *contents: bytes) -> tuple[str, str]:
    """Commit x.bin, of these chunks; the hashes of its xorb and of the file."""
    whole, xorb, name = b"".join(contents), hash_of("xorb", contents), hash_of("file", contents)
    writer = Xet(server, repo, "write", "alice")
    assert writer.upload(xorb, *contents).status == 200
    recipe = shard(name, sha256(whole), xorb, len(whole), 0, len(contents))
    assert writer.call("POST", "/v1/shards", recipe).status == 200
    assert commit(server, repo, large("x.bin", whole)).status == 200
    return xorb, name


def fetch(reader: Xet, answer: dict, first: int = 0, count: int | None = None) -> bytes:
    """Download what a reconstruction describes."""
    content = b""
    for term in answer["terms"]:
        info = next(
            info for info in answer["fetch_info"][term["hash"]] if info["range"] == term["range"]
        )
        byte_range = f"bytes={info['url_range']['start']}-{info['url_range']['end']}"
        path = info["url"].removeprefix(reader.server.endpoint)
        got = reader.server.call("GET", path, headers={"Range": byte_range})
        assert got.status == 206
        position = 0
        while position < len(got.body):
            size = int.from_bytes(got.body[position + 1 : position + 4], "little")
            content += got.body[position + 8 : position + 8 + size]
            position += 8 + size
    skip = answer["offset_into_first_range"]
    return content[skip:] if count is None else content[skip : skip + count]


def test_xet_round_trip_and_ranges(hub, repo):
    contents = [os.urandom(size) for size in (1000, 2000, 500, 3000)]
    whole = b"".join(contents)
    _, name = push_over_xet(hub, repo, *contents)
    reader = Xet(hub, repo, "read", None)
    path = f"/v1/reconstructions/{name}"
    assert fetch(reader, reader.call("GET", path).json()) == whole
    for first, last in ((0, 0), (999, 1000), (1500, 3200), (3499, 6499), (6000, 99999)):
        answer = reader.call("GET", path, Range=f"bytes={first}-{last}").json()
        count = min(last, 6499) - first + 1
        assert fetch(reader, answer, first, count) == whole[first : first + count]
    for wrong, status in (("bytes=6500-", 400), ("bytes=6500-6600", 416), ("bytes=5-4", 416)):
        assert reader.call("GET", path, Range=wrong).status == status
    assert hub.call("GET", f"/{repo}/resolve/main/x.bin").body == whole


def test_a_read_token_cannot_write(hub, repo):
    for user in (None, "bob", "alice"):
        reader = Xet(hub, repo, "read", user)
        xorb = hash_of("unwanted", user)
        assert reader.upload(xorb, b"abc").status == 403
        assert reader.call("POST", "/v1/shards", b"").status == 403
        assert reader.call("HEAD", f"/v1/xorbs/default/{xorb}").status == 403
        assert not list((hub.root / "store").rglob(xorb))
    for headers in ({}, {"Authorization": "Bearer x.y"}):
        assert hub.call("POST", f"{reader.cas}/v1/shards", None, b"", headers).status == 401
    plain = hub.call("POST", f"{reader.cas}/v1/shards", "alice", b"")
    assert plain.status == 401  # a Hub token is no Xet token


def test_hashes_of_private_chunks_open_nothing(hub):
    public, hidden = new_repo(hub), new_repo(hub, private=True)
    xorb, name = push_over_xet(hub, hidden, b"first secret", b"second secret")
    for user in (None, "bob", "alice"):
        reader = Xet(hub, public, "read", user)
        assert reader.call("GET", f"/v1/reconstructions/{name}").status == 404
    owner = Xet(hub, hidden, "read", "alice")
    answer = owner.call("GET", f"/v1/reconstructions/{name}", Range="bytes=0-3").json()
    (info,) = answer["fetch_info"][xorb]
    assert info["range"] == {"start": 0, "end": 1}
    path = info["url"].removeprefix(hub.endpoint)
    last = info["url_range"]["end"]
    assert hub.call("GET", path, headers={"Range": f"bytes=0-{last}"}).status == 206
    for beyond in (f"bytes=0-{last + 1}", f"bytes=0-{last},0-90", "bytes=0-", "bytes=-5", ""):
        assert hub.call("GET", path, headers={"Range": beyond} if beyond else {}).status == 416
    # Bob cannot build a file of his from Alice's chunks either.
    body = {"name": f"thief-{os.getpid()}", "visibility": "public"}
    assert hub.call("POST", "/api/repos/create", "bob", body).status == 200
    thief = Xet(hub, f"bob/{body['name']}", "write", "bob")
    recipe = shard(name, sha256(b"first secretsecond secret"), xorb, 25, 0, 2)
    assert thief.call("POST", "/v1/shards", recipe).status == 400
    pointer = large("x.bin", b"first secretsecond secret")
    assert commit(hub, f"bob/{body['name']}", pointer, user="bob").status == 400


def test_a_read_token_ends_with_the_right_to_read(hub, repo):
    _, name = push_over_xet(hub, repo, b"once public")
    reader = Xet(hub, repo, "read", "bob")
    assert reader.call("GET", f"/v1/reconstructions/{name}").status == 200
    hub.call("PUT", f"/api/models/{repo}/settings", "alice", {"visibility": "private"})
    assert reader.call("GET", f"/v1/reconstructions/{name}").status == 404


def test_bad_xet_uploads_are_refused(hub, repo):
    writer = Xet(hub, repo, "write", "alice")
    xorb, name = hash_of("x", repo), hash_of("n", repo)
    assert writer.call("POST", f"/v1/xorbs/default/{xorb}", b"garbage").status == 400
    assert writer.call("POST", "/v1/xorbs/default/..%2Fx", chunked(b"a")).status == 400
    assert writer.call("HEAD", f"/v1/xorbs/default/{xorb}").status == 404
    assert writer.upload(xorb, b"abc", b"de").json() == {"was_inserted": True}
    assert writer.upload(xorb, b"other").json() == {"was_inserted": False}
    assert writer.call("HEAD", f"/v1/xorbs/default/{xorb}").status == 200
    good = sha256(b"abcde")
    for wrong in (
        shard(name, good, hash_of("missing"), 5, 0, 2),
        shard(name, good, xorb, 6, 0, 2),
        shard(name, good, xorb, 5, 0, 3),
        b"garbage",
    ):
        assert writer.call("POST", "/v1/shards", wrong).status == 400
    # Well-formed, but not the content that it claims to be: found at the commit.
    lie = shard(name, sha256(b"lies!"), xorb, 5, 0, 2)
    assert writer.call("POST", "/v1/shards", lie).status == 200
    assert commit(hub, repo, large("x", b"lies!")).status == 400
    assert writer.call("POST", "/v1/shards", shard(name, good, xorb, 5, 0, 2)).status == 200
    assert commit(hub, repo, large("x", b"abcde", size=6)).status == 400
    assert not list((hub.root / "store").rglob(good))
    assert files(hub, repo) == []
    assert writer.call("POST", "/v1/shards", shard(name, good, xorb, 5, 0, 2)).status == 200
    assert commit(hub, repo, large("x", b"abcde")).status == 200
    assert hub.call("GET", f"/{repo}/resolve/main/x").body == b"abcde"


# --- LFS


def lfs_target(server: HubServer, repo: str, content: bytes, **changed) -> str:
    item = {"oid": sha256(content), "size": len(content)} | changed
    body = {"operation": "upload", "transfers": ["basic"], "objects": [item]}
    answer = server.call("POST", f"/{repo}.git/info/lfs/objects/batch", "alice", body)
    href = answer.json()["objects"][0]["actions"]["upload"]["href"]
    return href.removeprefix(server.endpoint)


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
    assert commit(hub, repo, regular("good.txt"), regular(path)).status == 400
    body = {"files": [{"path": path, "size": 1, "sample": ""}]}
    assert hub.call("POST", f"/api/models/{repo}/preupload/main", "alice", body).status == 400
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


def test_addresses_follow_the_host_header(hub, repo):
    path = f"/api/models/{repo}/xet-read-token/main"
    answer = hub.call("GET", path, headers={"Host": "lab.example:80"}).json()
    assert answer["casUrl"].startswith("http://lab.example:80/cas/alice-")
    assert hub.call("GET", path, headers={"Host": "a b<"}).status == 400


def test_card_metadata():
    assert card_data("---\ntags: [a]\nn: .nan\nd: 2024-01-02\n---\ntext") == {
        "tags": ["a"],
        "n": None,
        "d": "2024-01-02",
    }
    assert card_data("no header") == card_data("---\n# nothing\n---\n") == {}
    levels = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))
    for text in (
        "foo: [",
        "- a\n- b",
        f"a0: &a0 [x]\n{levels}",
        "a: &a [*a]",
        "[" * 5000,
        "a: " + "x" * 600_000,
    ):
        with pytest.raises(BadCard):
            card_data(f"---\n{text}\n---\n")


# --- starting and stopping


def serve(*arguments: str, timeout: float = 20) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "cephalo.cli.main", "hub", "serve", *arguments]
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
    start = time.perf_counter()
    with subprocess.Popen(
        [*command, "--root", str(tmp_path / "a b"), "--user", "carol"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        lines = [process.stdout.readline() for _ in range(3)]
        took = time.perf_counter() - start
        process.terminate()
        rest = process.stdout.read()
    tokens_file = tmp_path / "a b" / "tokens.json"
    tokens = json.loads(tokens_file.read_text())
    assert list(tokens) == ["carol"] and tokens["carol"].startswith("hf_")
    assert stat.S_IMODE(tokens_file.stat().st_mode) == 0o600
    assert tokens["carol"] not in "".join(lines) + rest
    # The printed lines are shell that sets both variables.
    shell = "".join(lines[1:]) + 'printf "%s %s" "$HF_ENDPOINT" "$HF_TOKEN"'
    output = subprocess.run(["sh", "-c", shell], capture_output=True, text=True).stdout
    endpoint, token = output.split(" ")
    assert endpoint.startswith("http://127.0.0.1:") and token == tokens["carol"]
    assert took < 3  # under one second on an idle machine


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
        listen("::1", 0).close()
    except CephaloError as error:
        pytest.skip(str(error))


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
        patch.setattr("cephalo.model_cards.hub.disk.os.fsync", full)
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
