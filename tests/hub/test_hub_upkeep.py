"""`cephalo hub gc` and `cephalo hub check`, and a hub that fetches from another one."""

import contextlib
import http.client
import os

import pytest
from hub_fixture import (
    TOKENS,
    HubServer,
    commit,
    files,
    hub_in_process,
    large,
    lfs_target,
    new_repo,
    regular,
    sha256,
)
from starlette.requests import Request
from test_hub_cas import Xet, push_over_xet
from typer.testing import CliRunner

from cephalo.cli.errors import CephaloError
from cephalo.hub.disk import Disk
from cephalo.hub.mirror import Arrival, Mirror
from cephalo.hub.names import RepoName
from cephalo.hub.server import app
from cephalo.hub.store import FileEntry, Store
from cephalo.hub.upkeep import check, collect
from cephalo.hub.web import moved_to

CAROL = {"carol": "hf_carol_for_tests"}


def push_large(server: HubServer, repo: str, path: str, content: bytes, user="alice") -> None:
    target = lfs_target(server, repo, content, user)
    assert server.call("PUT", target, body=content).status == 200
    assert commit(server, repo, large(path, content), user=user).status == 200


def upkeep(root, work):
    disk = Disk(root)
    try:
        return work(Store(disk))
    finally:
        disk.close()


def object_path(root, content: bytes, namespace="alice"):
    name = sha256(content)
    return root / "store" / namespace / "objects" / name[:2] / name


def test_gc_frees_what_no_repo_names_and_nothing_else(tmp_path):
    kept, dropped = os.urandom(50_000), os.urandom(70_000)
    with hub_in_process(tmp_path, 1_000_000) as server:
        stays, goes = new_repo(server), new_repo(server)
        push_large(server, stays, "old.bin", kept)
        commit(server, stays, {"key": "deletedFile", "value": {"path": "old.bin"}})
        push_large(server, goes, "w.bin", dropped)
        xorb, _ = push_over_xet(server, goes, b"chunk", b"of one")
        address = Xet(server, stays, "write", "alice").cas
        namespace, name = goes.split("/")
        body = {"organization": namespace, "name": name}
        assert server.call("DELETE", "/api/repos/delete", "alice", body).status == 200
    assert xorb in {path.name for path in tmp_path.rglob("*")}
    freed = upkeep(tmp_path, collect)
    # The large file, the one that came over Xet, its xorb and its recipe.
    assert (freed.files, freed.size > 70_000) == (4, True)
    names = {path.name for path in tmp_path.rglob("*")}
    assert not names & {sha256(dropped), xorb}
    assert object_path(tmp_path, kept).read_bytes() == kept  # an older commit names it
    assert upkeep(tmp_path, collect).files == 0
    with hub_in_process(tmp_path, 1_000_000) as server:
        # Clients that remember the xorb must not think that it is still there.
        assert Xet(server, stays, "write", "alice").cas != address
        first = server.call("GET", f"/api/models/{stays}/commits/main").json()[1]["id"]
        assert server.call("GET", f"/{stays}/resolve/{first}/old.bin").body == kept
        xorb, _ = push_over_xet(server, stays, b"chunk", b"of one")
        assert files(server, stays) == ["x.bin"]


def test_check_mends_from_chunks_and_copies_and_names_what_is_lost(tmp_path):
    shared, lost = os.urandom(3000), os.urandom(4000)
    with hub_in_process(tmp_path, 1_000_000) as server:
        repo, other = new_repo(server), new_repo(server, user="bob")
        push_over_xet(server, repo, b"abc" * 100, b"def" * 100)
        push_large(server, repo, "shared.bin", shared)
        push_large(server, repo, "lost.bin", lost)
        push_large(server, other, "shared.bin", shared, "bob")
        commit(server, repo, regular("a.txt", b"text"))
    assert upkeep(tmp_path, check).mended == []
    over_xet = b"abc" * 100 + b"def" * 100
    object_path(tmp_path, over_xet).unlink()
    object_path(tmp_path, shared).write_bytes(shared[:-1])
    object_path(tmp_path, lost).write_bytes(b"x" + lost[1:])
    found = upkeep(tmp_path, check)
    assert sorted(found.mended) == [f"{repo}: shared.bin", f"{repo}: x.bin"]
    assert found.lost == [f"{repo}: lost.bin"]
    assert object_path(tmp_path, over_xet).read_bytes() == over_xet
    assert object_path(tmp_path, shared).read_bytes() == shared
    done = CliRunner().invoke(app, ["check", "--root", str(tmp_path)])
    assert done.exit_code == 1 and f"lost: {repo}: lost.bin" in done.output
    # A corrupt xorb: its file is served without it.
    (xorb,) = tmp_path.glob("store/alice/xorbs/*/*")
    xorb.write_bytes(b"\xff" * 50)
    assert upkeep(tmp_path, check).chunks == [f"{repo}: x.bin"]
    with hub_in_process(tmp_path, 1_000_000) as server:
        head = server.call("HEAD", f"/{repo}/resolve/main/x.bin")
        assert (head.status, head.headers["X-Xet-Hash"]) == (200, None)
        assert server.call("GET", f"/{repo}/resolve/main/x.bin").body == over_xet
        assert server.call("GET", f"/{repo}/resolve/main/lost.bin").status == 500
        # The client would leave out an unchanged file; this one it sends again.
        body = {"files": [{"path": path, "size": 1} for path in ("lost.bin", "shared.bin")]}
        answer = server.call("POST", f"/api/models/{repo}/preupload/main", "alice", body).json()
        assert ["oid" in file for file in answer["files"]] == [False, True]
        push_large(server, repo, "lost.bin", lost)
        assert server.call("GET", f"/{repo}/resolve/main/lost.bin").body == lost
        address = Xet(server, repo, "write", "alice").cas
        push_over_xet(server, repo, b"abc" * 100, b"def" * 100)
    # Neither its content nor its chunks are whole: sent again over Xet, they are.
    (xorb,) = tmp_path.glob("store/alice/xorbs/*/*")
    xorb.write_bytes(b"\xff" * 50)
    object_path(tmp_path, over_xet).unlink()
    found = upkeep(tmp_path, check)
    assert (found.lost, found.chunks) == ([f"{repo}: x.bin"], [])
    with hub_in_process(tmp_path, 1_000_000) as server:
        assert Xet(server, repo, "write", "alice").cas != address
        push_over_xet(server, repo, b"abc" * 100, b"def" * 100)
        assert server.call("GET", f"/{repo}/resolve/main/x.bin").body == over_xet


def test_nothing_is_deleted_where_a_commit_does_not_read(tmp_path):
    with hub_in_process(tmp_path, 1_000_000) as server:
        repo = new_repo(server)
        push_large(server, repo, "w.bin", b"weights")
    commits = sorted(tmp_path.glob("repos/models/alice/*/commits/*.json"))
    for content in (b"{", b"[]", b"{}"):
        commits[-1].write_bytes(content)
        with pytest.raises(CephaloError, match=rf"{commits[-1].name} is missing or corrupt"):
            upkeep(tmp_path, collect)
    assert object_path(tmp_path, b"weights").exists()


def test_upkeep_needs_a_root_that_nobody_serves(tmp_path):
    done = CliRunner().invoke(app, ["gc", "--root", str(tmp_path / "none")])
    assert done.exit_code == 1 and not (tmp_path / "none").exists()
    with hub_in_process(tmp_path, 1_000_000):
        done = CliRunner().invoke(app, ["gc", "--root", str(tmp_path)])
        assert done.exit_code == 1 and "stop it first" in str(done.exception)


# --- upstream


@pytest.fixture
def two_hubs(tmp_path):
    """A hub of carol's, and one that fetches from it."""
    with (
        hub_in_process(tmp_path / "far", 1_000_000, tokens=CAROL) as far,
        hub_in_process(tmp_path / "near", 1_000_000, tokens=TOKENS, upstream=far.endpoint) as near,
    ):
        yield far, near


def test_what_is_not_here_is_fetched_once_and_kept(two_hubs):
    far, near = two_hubs
    repo, weights = new_repo(far, user="carol"), os.urandom(3_000_000)
    push_large(far, repo, "w.bin", weights, "carol")
    card = b"---\nlicense: mit\n---\n# A card\n"
    commit(far, repo, regular("README.md", card), regular("c.json", b"{}"), user="carol")
    commit(far, repo, regular("empty", b""), user="carol")
    sha = far.call("GET", f"/api/models/{repo}").json()["sha"]
    # Strangers make it fetch nothing.
    assert near.call("GET", f"/api/models/{repo}").status == 401
    info = near.call("GET", f"/api/models/{repo}", "alice").json()
    assert (info["sha"], info["cardData"]) == (sha, {"license": "mit"})
    path = f"/{repo}/resolve/main"
    assert near.call("GET", f"{path}/w.bin").status == 401
    head = near.call("HEAD", f"{path}/w.bin", "alice")
    assert head.headers["Content-Length"] == "3000000"
    assert head.headers["X-Linked-Etag"] == f'"{sha256(weights)}"'
    part = near.call("GET", f"{path}/w.bin", "alice", headers={"Range": "bytes=5-9"})
    assert (part.status, part.body) == (206, weights[5:10])
    for name, content in (("w.bin", weights), ("c.json", b"{}"), ("empty", b"")):
        assert near.call("GET", f"{path}/{name}", "alice").body == content
    # Now it is here, whatever becomes of it there, and for everybody.
    body = {"organization": "carol", "name": repo.split("/")[1]}
    assert far.call("DELETE", "/api/repos/delete", "carol", body).status == 200
    assert near.call("GET", f"{path}/w.bin").body == weights
    assert near.call("GET", f"/{repo}/resolve/{sha}/c.json").body == b"{}"
    assert near.call("GET", f"/{repo}/resolve/other/c.json", "alice").status == 404
    assert commit(near, repo, regular("x")).status == 403
    assert near.call("GET", "/api/models/carol/none", "alice").status == 404


def test_names_of_upstream_lead_to_what_it_has(two_hubs):
    far, near = two_hubs
    repo = new_repo(far, user="carol")
    moved = {"fromRepo": repo, "toRepo": f"{repo}-new"}
    assert far.call("POST", "/api/repos/move", "carol", moved).status == 200
    for path in ("/{}/resolve/main/.gitattributes", "/api/models/{}?blobs=true"):
        answer = near.call("GET", path.format(repo), "alice")
        assert (answer.status, answer.headers["Location"]) == (307, path.format(f"{repo}-new"))
    assert near.call("GET", "/api/models/gpt2", "alice").headers["X-Error-Code"] == "RepoNotFound"
    hidden = new_repo(far, private=True, user="carol")
    assert near.call("GET", f"/api/models/{hidden}", "alice").status == 404


def test_main_is_upstreams_main_whichever_revision_is_asked_for_first(two_hubs):
    far, near = two_hubs
    repo = new_repo(far, user="carol")
    api = f"/api/models/{repo}"
    assert far.call("POST", f"{api}/tag/main", "carol", {"tag": "v1"}).status == 200
    commit(far, repo, regular("new.txt", b"new"), user="carol")
    shas = [far.call("GET", f"{api}/revision/{rev}").json()["sha"] for rev in ("v1", "main")]
    for rev, sha in zip(("v1", "main"), shas, strict=True):
        assert near.call("GET", f"{api}/revision/{rev}", "alice").json()["sha"] == sha
    assert near.call("GET", f"/{repo}/resolve/main/new.txt", "alice").body == b"new"


def test_a_fault_while_a_file_arrives_ends_the_wait(tmp_path, monkeypatch):
    disk = Disk(tmp_path)
    mirror = Mirror("http://127.0.0.1:9", Store(disk))
    monkeypatch.setattr(Mirror, "_read", None)
    entry, key = FileEntry(1, "0" * 40, "0" * 64, lfs=True), ("carol", "0" * 64)
    arrival = mirror._arrivals[key] = Arrival(disk.stage())
    with pytest.raises(TypeError):
        mirror._fetch(arrival, key, "http://127.0.0.1:9/x", entry)
    assert (arrival.done, arrival.error) == (False, "http://127.0.0.1:9/x cannot be fetched")
    assert not mirror._arrivals and not list((tmp_path / "tmp").iterdir())
    disk.close()


@pytest.mark.parametrize("name", ["a", "models", "api-x"])
def test_a_redirect_changes_the_name_and_nothing_else(name):
    target = RepoName("model", "lab", "new")
    for path, query in (
        ("/api/models/{}", b"expand=sha&expand=tags"),
        ("/{}/resolve/main/models/a", b""),
        ("/datasets/{}/resolve/main/a", b"download=1"),
        ("/{}.git/info/lfs/objects/batch", b""),
    ):
        scope = {"type": "http", "path": path.format(name), "query_string": query, "headers": []}
        address = moved_to(Request(scope), name, target).address
        assert address == path.format("lab/new") + (f"?{query.decode()}" if query else "")


def test_a_file_with_another_hash_is_not_kept(two_hubs, tmp_path):
    far, near = two_hubs
    repo, content = new_repo(far, user="carol"), os.urandom(2_000_000)
    push_large(far, repo, "w.bin", content, "carol")
    assert near.call("GET", f"/api/models/{repo}", "alice").status == 200
    there = object_path(tmp_path / "far", content, "carol")
    there.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    # Found out before the first byte was sent on, or after.
    with contextlib.suppress(http.client.IncompleteRead):
        assert near.call("GET", f"/{repo}/resolve/main/w.bin", "alice").status == 502
    assert not object_path(tmp_path / "near", content, "carol").exists()
    there.write_bytes(content)
    assert near.call("GET", f"/{repo}/resolve/main/w.bin", "alice").body == content
    assert list((tmp_path / "near" / "tmp").iterdir()) == []
