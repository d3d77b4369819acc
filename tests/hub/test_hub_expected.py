"""What clients expect of a Hub beside pushes and pulls, over plain HTTP."""

import json
import struct

import pytest
from hub_fixture import commit, files, large, lfs_target, new_repo, regular, sha256
from hub_fixture import hub as hub


@pytest.fixture
def repo(hub) -> str:
    return new_repo(hub)


def test_names_without_a_namespace_are_missing_repos(hub, repo):
    for method, path in (
        ("GET", "/api/models/gpt2"),
        ("GET", "/api/models/gpt2/revision/main"),
        ("GET", "/api/models/gpt2/tree/main"),
        ("POST", "/api/datasets/squad/paths-info/main"),
        ("DELETE", "/api/models/gpt2/like"),
        ("GET", "/gpt2/resolve/main/config.json"),
        ("GET", "/datasets/squad/resolve/main/data/train.parquet"),
    ):
        for user, status in ((None, 401), ("alice", 404)):
            answer = hub.call(method, path, user)
            assert (answer.status, answer.headers["X-Error-Code"]) == (status, "RepoNotFound"), path
    answer = hub.call("GET", f"/api/models/{repo}/no/such/route")
    assert (answer.status, answer.headers["X-Error-Code"]) == (404, None)


def test_what_is_not_here_is_501_by_name(hub, repo):
    for method, path, name in (
        ("POST", "/api/buckets/alice/b", "buckets"),
        ("GET", "/api/settings/webhooks", "webhooks"),
        ("POST", "/api/jobs/alice", "jobs"),
        ("POST", f"/api/models/{repo}/like", "likes"),
        ("GET", f"/api/models/{repo}/user-access-request/pending", "gated repos"),
        ("POST", f"/api/spaces/{repo}/secrets", "secrets"),
    ):
        answer = hub.call(method, path, "alice", {})
        assert (answer.status, name in answer.json()["error"]) == (501, True), path
    body = {"title": "talk", "pullRequest": False}
    assert hub.call("POST", f"/api/models/{repo}/discussions", "alice", body).status == 501


def test_paths_with_the_commits_that_changed_them(hub, repo):
    for title, *operations in (
        ("first", regular("a/x", b"1"), regular("b", b"1")),
        ("second", regular("a/y", b"2")),
        ("third", regular("b", b"3")),
    ):
        assert commit(hub, repo, *operations, summary=title).status == 200
    body = b"paths=a&paths=a/x&paths=b&paths=none&expand=true"
    found = hub.call("POST", f"/api/models/{repo}/paths-info/main", None, body).json()
    titles = {item["path"]: item["lastCommit"]["title"] for item in found}
    assert titles == {"a": "second", "a/x": "first", "b": "third"}
    plain = hub.call("POST", f"/api/models/{repo}/paths-info/main", None, b"paths=b").json()
    assert "lastCommit" not in plain[0]


def test_moved_repos_are_found_by_their_old_names(hub, repo):
    commit(hub, repo, regular("a.txt", b"here"))
    second, third = f"{repo}-b", f"{repo}-c"
    for one, other in ((repo, second), (second, third)):
        body = {"fromRepo": one, "toRepo": other}
        assert hub.call("POST", "/api/repos/move", "alice", body).status == 200
    answer = hub.call("HEAD", f"/{repo}/resolve/main/a.txt?download=true")
    target = f"/{third}/resolve/main/a.txt?download=true"
    assert (answer.status, answer.headers["Location"]) == (307, target)
    answer = hub.call("POST", f"/api/models/{second}/commit/main", "alice", b"")
    assert (answer.status, answer.headers["Location"]) == (307, f"/api/models/{third}/commit/main")
    # A stranger learns nothing of a private one, and a new repo of the old name is itself.
    hub.call("PUT", f"/api/models/{third}/settings", "alice", {"visibility": "private"})
    assert hub.call("GET", f"/api/models/{repo}", "bob").status == 404
    body = {"name": repo.split("/")[1]}
    assert hub.call("POST", "/api/repos/create", "alice", body).status == 200
    assert hub.call("GET", f"/api/models/{repo}").json()["id"] == repo


def test_capitals_do_not_count(hub, repo):
    assert commit(hub, repo.upper().replace("ALICE", "Alice"), regular("a")).status == 200
    assert files(hub, repo) == ["a"]
    answer = hub.call("POST", "/api/repos/create", "alice", {"name": repo.split("/")[1].upper()})
    assert (answer.status, answer.json()["name"]) == (409, repo)
    other = new_repo(hub)
    for source, target, status in (
        (repo, other.upper().replace("ALICE", "alice"), 409),
        (repo, repo, 409),
        (other.upper(), f"{other}-New", 200),
        (f"{other}-new", f"{other}-NEW", 200),  # changes the capitals alone
    ):
        body = {"fromRepo": source, "toRepo": target}
        assert hub.call("POST", "/api/repos/move", "alice", body).status == status, target
    assert hub.call("GET", f"/api/models/{other}-new").json()["id"] == f"{other}-NEW"
    body = {"name": f"{other}-new".split("/")[1]}
    assert hub.call("DELETE", "/api/repos/delete", "alice", body).status == 200
    assert hub.call("GET", f"/api/models/{other}-NEW", "alice").status == 404


def test_pull_requests_are_talked_about_and_merged(hub, repo):
    commit(hub, repo, regular("a", b"1"), regular("b", b"1"), regular("c", b"1"))
    gone = {"key": "deletedFile", "value": {"path": "c"}}
    for _ in range(2):
        commit(hub, repo, regular("a", b"2"), regular("new"), gone, query="?create_pr=1")
    commit(hub, repo, regular("b", b"3"))
    pulls = f"/api/models/{repo}/discussions"
    body = {"comment": "well done"}
    event = hub.call("POST", f"{pulls}/1/comment", "alice", body).json()["newMessage"]
    assert hub.call("POST", f"{pulls}/1/title", "alice", {"title": "Better"}).status == 200
    assert hub.call("POST", f"{pulls}/1/merge", "bob", {}).status == 403
    assert hub.call("POST", f"{pulls}/1/merge", "alice", {}).status == 200
    details = hub.call("GET", f"{pulls}/1").json()
    head = hub.call("GET", f"/api/models/{repo}").json()["sha"]
    assert (details["status"], details["title"]) == ("merged", "Better")
    assert details["changes"]["mergeCommitId"] == head
    kinds = [event["type"] for event in details["events"]]
    assert kinds == ["comment", "title-change", "status-change"]
    assert details["events"][0]["id"] == event["id"]
    assert files(hub, repo) == ["a", "b", "new"]
    assert hub.call("GET", f"/{repo}/resolve/main/a").body == b"2"
    assert hub.call("GET", f"/{repo}/resolve/main/b").body == b"3"
    # The same changes again are no conflict; other ones to the same file are.
    assert hub.call("POST", f"{pulls}/2/merge", "alice", {}).status == 200
    commit(hub, repo, regular("a", b"5"), query="?create_pr=1")
    commit(hub, repo, regular("a", b"6"))
    answer = hub.call("POST", f"{pulls}/3/merge", "alice", {})
    assert (answer.status, answer.json()["error"]) == (409, "Conflicts: a")
    assert hub.call("POST", f"{pulls}/1/merge", "alice", {}).status == 400
    closed = {"status": "closed"}
    assert hub.call("POST", f"{pulls}/3/status", "alice", closed).status == 200
    assert [
        pull["num"] for pull in hub.call("GET", f"{pulls}?status=open").json()["discussions"]
    ] == []


def test_a_file_in_the_place_of_a_folder_is_a_conflict(hub, repo):
    assert commit(hub, repo, regular("a", b"1"), query="?create_pr=1").status == 200
    assert commit(hub, repo, regular("a/x", b"1")).status == 200
    answer = hub.call("POST", f"/api/models/{repo}/discussions/1/merge", "alice", {})
    assert (answer.status, answer.json()["error"]) == (409, "Conflicts: a")


def push_large(hub, repo: str, path: str, content: bytes, branch: str = "main") -> None:
    target = lfs_target(hub, repo, content)
    assert hub.call("PUT", target, body=content).status == 200
    body = [{"key": "header", "value": {"summary": "x"}}, large(path, content)]
    lines = b"\n".join(json.dumps(line).encode() for line in body)
    assert hub.call("POST", f"/api/models/{repo}/commit/{branch}", "alice", lines).status == 200


def test_large_files_are_listed_and_deleted_from_the_history(hub, repo):
    keep, drop = f"keep {repo}".encode(), f"drop {repo}".encode()
    push_large(hub, repo, "keep.bin", keep)
    push_large(hub, repo, "drop.bin", drop)
    hub.call("POST", f"/api/models/{repo}/branch/side", "alice", {})
    commit(hub, repo, regular("new"), query="?create_pr=1")
    pull = f"/api/models/{repo}/discussions/1"
    assert hub.call("POST", f"{pull}/merge", "alice", {}).status == 200
    found = hub.call("GET", f"/api/models/{repo}/lfs-files", "alice").json()
    assert [(item["filename"], item["ref"]) for item in found] == [
        ("drop.bin", "refs/heads/main"),
        ("keep.bin", "refs/heads/main"),
    ]
    assert hub.call("GET", f"/api/models/{repo}/lfs-files", "bob").status == 403
    body = {"deletions": {"sha": [sha256(drop)], "rewriteHistory": False}}
    assert hub.call("POST", f"/api/models/{repo}/lfs-files/batch", "alice", body).status == 400
    body["deletions"]["rewriteHistory"] = True
    assert hub.call("POST", f"/api/models/{repo}/lfs-files/batch", "alice", body).status == 200
    assert files(hub, repo) == ["keep.bin", "new"]
    head = hub.call("GET", f"/api/models/{repo}").json()["sha"]
    assert hub.call("GET", pull).json()["changes"]["mergeCommitId"] == head
    history = hub.call("GET", f"/api/models/{repo}/commits/side").json()
    assert len(history) == 3
    for one in history:
        tree = hub.call("GET", f"/api/models/{repo}/tree/{one['id']}").json()
        assert "drop.bin" not in [item["path"] for item in tree]
    assert hub.call("GET", f"/{repo}/resolve/main/keep.bin").body == keep


def test_repos_and_large_files_are_copied_to_another_user(hub, repo):
    content = f"content {repo}".encode()
    push_large(hub, repo, "w.bin", content)
    copy = repo.replace("alice", "bob")
    answer = hub.call("POST", f"/api/models/{repo}/duplicate", "bob", {"repository": copy})
    assert answer.json()["url"] == f"{hub.endpoint}/{copy}"
    assert hub.call("GET", f"/{copy}/resolve/main/w.bin").body == content
    again = hub.call("POST", f"/api/models/{repo}/duplicate", "bob", {"repository": copy})
    assert again.status == 409
    assert (
        hub.call("POST", f"/api/models/{repo}/duplicate", "bob", {"repository": repo}).status == 403
    )
    other = f"other {repo}".encode()
    push_large(hub, repo, "o.bin", other)
    named = [{"sha256": sha256(one), "filename": "x", "xetHash": "0"} for one in (other, b"none")]
    body = {"target": {"type": "model", "name": copy}, "files": named}
    assert hub.call("POST", f"/api/models/{repo}/lfs-files/duplicate", "alice", body).status == 403
    answer = hub.call("POST", f"/api/models/{repo}/lfs-files/duplicate", "bob", body).json()
    assert [item["sha256"] for item in answer["failed"]] == [sha256(b"none")]
    assert commit(hub, copy, large("o.bin", other), user="bob").status == 200
    assert hub.call("GET", f"/{copy}/resolve/main/o.bin").body == other


def test_the_callers_repos_and_what_they_take(hub, repo):
    push_large(hub, repo, "w.bin", bytes(1000))
    assert commit(hub, repo, large("same.bin", bytes(1000))).status == 200
    found = hub.call("GET", "/api/settings/repositories", "alice").json()
    (own,) = [item for item in found if item["id"] == repo]
    assert (own["type"], own["visibility"]) == ("model", "public")
    attributes = hub.call("GET", f"/{repo}/resolve/main/.gitattributes").body
    assert own["storage"] == 1000 + len(attributes)
    assert hub.call("GET", "/api/settings/repositories").status == 401
    assert repo not in hub.call("GET", "/api/settings/repositories", "bob").body.decode()


def tensors(**shapes: list[int]) -> bytes:
    header = json.dumps(
        {"__metadata__": {"format": "pt"}}
        | {n: {"dtype": "F32", "shape": s, "data_offsets": [0, 0]} for n, s in shapes.items()}
    ).encode()
    return struct.pack("<Q", len(header)) + header


def test_parameters_are_counted_from_headers(hub, repo):
    push_large(hub, repo, "model.safetensors", tensors(a=[2, 3], b=[], c=[0, 5]))
    path = f"/api/models/{repo}"
    assert hub.call("GET", path).json()["safetensors"] == {"parameters": {"F32": 7}, "total": 7}
    for bad in (b"\xff" * 8, b"short", struct.pack("<Q", 3) + b"[1]", tensors(a=[-1])):
        push_large(hub, repo, "model.safetensors", bad)
        assert hub.call("GET", path).json()["safetensors"] is None


def test_sharded_parameters(hub, repo):
    index = {
        "metadata": {"total_size": 40},
        "weight_map": {"a": "1.safetensors", "b": "2.safetensors"},
    }
    push_large(hub, repo, "1.safetensors", tensors(a=[4]))
    push_large(hub, repo, "2.safetensors", tensors(b=[6]))
    name = "model.safetensors.index.json"
    commit(hub, repo, regular(name, json.dumps(index).encode()))
    assert hub.call("GET", f"/api/models/{repo}").json()["safetensors"]["total"] == 10
    answer = hub.call("GET", f"/api/models/{repo}/safetensors-metadata/{name}").json()
    assert answer["index"] == {"metadata": {"total_size": 40}}
    assert answer["headers"]["2.safetensors"]["b"]["shape"] == [6]
    lost = sha256(tensors(b=[6]))
    (hub.root / "store/alice/objects" / lost[:2] / lost).unlink()
    assert hub.call("GET", f"/api/models/{repo}/safetensors-metadata/{name}").status == 404
    commit(hub, repo, regular(name, b'{"weight_map": {"a": ["x"]}}'))
    answer = hub.call("GET", f"/api/models/{repo}/safetensors-metadata/{name}")
    assert answer.status == 400 and "index" in answer.json()["error"]


def test_a_file_that_the_client_has_is_not_sent_again(hub, repo):
    commit(hub, repo, regular("a", b"x"))
    path = f"/{repo}/resolve/main/a"
    etag = hub.call("HEAD", path).headers["ETag"]
    answer = hub.call("GET", path, headers={"If-None-Match": etag})
    assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", etag)
    assert hub.call("GET", path, headers={"If-None-Match": '"other"'}).body == b"x"


def test_collections_and_their_items_change(hub, repo):
    made = hub.call("POST", "/api/collections", "alice", {"title": f"One {repo[-9:]}"}).json()
    path = f"/api/collections/{made['slug']}"
    for name in (repo, new_repo(hub)):
        body = {"item": {"type": "model", "id": name}, "note": "first"}
        assert hub.call("POST", f"{path}/items", "alice", body).status == 200
    first, second = (item["_id"] for item in hub.call("GET", path).json()["items"])
    assert hub.call("PATCH", f"{path}/items/{first}", "bob", {"position": 1}).status == 403
    changed = {"position": 1, "note": "second"}
    assert hub.call("PATCH", f"{path}/items/{first}", "alice", changed).status == 200
    items = hub.call("GET", path).json()["items"]
    assert [(item["_id"], item["note"]["text"]) for item in items] == [
        (second, "first"),
        (first, "second"),
    ]
    assert hub.call("DELETE", f"{path}/items/{second}", "alice").status == 200
    assert hub.call("DELETE", f"{path}/items/{second}", "alice").status == 404
    answer = hub.call("PATCH", path, "alice", {"title": "Two", "private": True}).json()["data"]
    assert (answer["title"], answer["private"], len(answer["items"])) == ("Two", True, 1)
    assert hub.call("GET", path).status == 404
    assert hub.call("PATCH", path, "alice", {"theme": "plaid"}).status == 400


def test_answers_name_the_request(hub):
    answer = hub.call("GET", "/api/models", headers={"X-Request-Id": "mine-1"})
    assert answer.headers.get_all("X-Request-Id") == ["mine-1"]
    for other in ("a b", "x" * 200):
        named = hub.call("GET", "/nothing", headers={"X-Request-Id": other})
        assert len(named.headers["X-Request-Id"]) == 16
