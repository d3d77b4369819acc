"""Xet over plain HTTP: what comes back is what went up, and hashes open nothing."""

import os
import struct
import time

import pytest
from hub_fixture import (
    HubServer,
    commit,
    files,
    hub_in_process,
    large,
    new_repo,
    sha256,
)
from hub_fixture import hub as hub

from cephalo.hub.xet import unpack_chunk


@pytest.fixture
def repo(hub) -> str:
    return new_repo(hub)


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


def test_a_build_ends_when_the_client_leaves_and_begins_anew(tmp_path, monkeypatch):
    unpacked = []

    def slowly(data, chunk):
        unpacked.append(chunk)
        time.sleep(0.05)
        return unpack_chunk(data, chunk)

    with hub_in_process(tmp_path, 1_000_000) as server:
        repo = new_repo(server)
        contents = [bytes([number]) * 10 for number in range(200)]
        whole, xorb, name = b"".join(contents), hash_of("slow"), hash_of("name")
        writer = Xet(server, repo, "write", "alice")
        assert writer.upload(xorb, *contents).status == 200
        recipe = shard(name, sha256(whole), xorb, len(whole), 0, 200)
        assert writer.call("POST", "/v1/shards", recipe).status == 200
        monkeypatch.setattr("cephalo.hub.web.WATCH_SECONDS", 0.05)
        with monkeypatch.context() as patch:
            patch.setattr("cephalo.hub.cas.unpack_chunk", slowly)
            patch.setattr(HubServer, "timeout", 0.3)
            with pytest.raises(TimeoutError):
                commit(server, repo, large("x.bin", whole))
            time.sleep(0.4)
            ended = len(unpacked)
            time.sleep(0.2)
            assert 0 < len(unpacked) == ended < 200
        assert list((tmp_path / "tmp").iterdir()) == []
        assert files(server, repo) == []
        with monkeypatch.context() as patch:
            patch.setattr("cephalo.hub.disk.SPARE_BYTES", 1 << 60)
            assert commit(server, repo, large("x.bin", whole)).status == 507
        assert commit(server, repo, large("x.bin", whole)).status == 200
        assert files(server, repo) == ["x.bin"]
