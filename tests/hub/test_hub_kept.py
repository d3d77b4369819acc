"""What the hub keeps is kept as asked; what it does not keep is refused by name."""

import json
import os
import time

import pytest
from hub_fixture import commit, new_repo, regular, sha256
from hub_fixture import hub as hub

from cephalo.hub.cards import BadCard, card_data, card_tags
from cephalo.hub.gitignore import ignores, parse


def test_protected_and_gated_are_refused_and_change_nothing(hub):
    repo = new_repo(hub, private=True)
    for asked, name in (
        ({"visibility": "protected"}, "protected"),
        ({"visibility": "public", "private": True}, "private"),
        ({"gated": "auto"}, "gated"),
        ({"visibility": "public", "discussionsDisabled": True}, "discussionsDisabled"),
    ):
        answer = hub.call("PUT", f"/api/models/{repo}/settings", "alice", asked)
        assert (answer.status, name in answer.json()["error"]) == (400, True), asked
        assert hub.call("GET", f"/api/models/{repo}", "alice").json()["private"] is True
    for asked, name in (
        ({"visibility": "protected"}, "protected"),
        ({"hardware": "t4"}, "hardware"),
        ({"region": "eu"}, "region"),
    ):
        body = {"name": "never-made", "type": "space", "sdk": "static", **asked}
        answer = hub.call("POST", "/api/repos/create", "alice", body)
        assert (answer.status, name in answer.json()["error"]) == (400, True), asked
        assert hub.call("GET", "/api/spaces/alice/never-made", "alice").status == 404
    unchanged = {"gated": False, "visibility": "public"}
    assert hub.call("PUT", f"/api/models/{repo}/settings", "alice", unchanged).status == 200
    assert hub.call("GET", f"/api/models/{repo}").json()["private"] is False


def test_lists_filter_and_sort(hub):
    card = "---\nlicense: mit\nlanguage: [en, de]\ndatasets: a/b\npipeline_tag: {}\n---\n"
    tasks = ("image-text-to-text", "text-generation")
    first, second = (new_repo(hub) for _ in tasks)
    for repo, task in ((second, tasks[1]), (first, tasks[0])):
        assert commit(hub, repo, regular("README.md", card.format(task).encode())).status == 200

    def listed(query: str) -> list[str]:
        found = hub.call("GET", f"/api/models?{query}").json()
        return [item["id"] for item in found if item["id"] in (first, second)]

    assert listed("sort=createdAt") == [second, first]
    assert listed("sort=lastModified") == [first, second]
    assert listed("sort=lastModified&direction=1") == [second, first]
    assert listed(f"pipeline_tag={tasks[0]}") == [first]
    assert listed(f"filter=license:mit&filter=dataset:a/b&filter={tasks[1]}") == [second]
    assert listed("filter=fr") == listed("gated=true") == []
    assert sorted(listed("gated=false&filter=de")) == sorted([first, second])
    assert listed(f"search=alice&search={first}") == [first]
    for query, name in (
        ("sort=downloads", "lastModified"),
        ("num_parameters=min:1B", "num_parameters"),
        ("apps=ollama", "apps"),
        ("expand=downloadsAllTime", "downloadsAllTime"),
    ):
        answer = hub.call("GET", f"/api/models?{query}")
        assert (answer.status, name in answer.json()["error"]) == (400, True), query
    answer = hub.call("GET", f"/api/models/{first}?expand=private&expand=sha").json()
    assert answer.keys() == {"_id", "id", "private", "sha"}
    assert hub.call("GET", f"/api/models/{first}?securityStatus=true").status == 400


def test_tags_of_a_card():
    card = {"license": "mit", "language": "en", "tags": ["silk", 3], "task_ids": ["qa"]}
    assert card_tags("model", card) == ["silk", "3", "license:mit", "en"]
    assert card_tags("dataset", card) == ["silk", "3", "license:mit", "language:en", "task_ids:qa"]


@pytest.mark.parametrize(
    ("line", "ignored", "kept"),
    [
        ("*.env", ["secret.env", "a/b/secret.env"], ["env", "x.envy"]),
        ("build/", ["build/x", "a/build/x/y"], ["build", "a/build"]),
        ("/top", ["top", "top/x"], ["a/top"]),
        ("a/*.txt", ["a/x.txt"], ["b/a/x.txt", "a/b/x.txt"]),
        ("a/**/z", ["a/z", "a/b/c/z", "a/b/z/w"], ["a/b", "b/a/z"]),
        ("docs/**", ["docs/x/y"], ["docs", "a/docs/x"]),
        ("**/deep", ["deep", "a/b/deep"], ["deeper"]),
        ("[ab]?.q", ["a1.q", "x/bz.q"], ["c1.q", "a.q", "a/.q"]),
        ("*.log\n!keep.log", ["x.log"], ["keep.log", "a/keep.log"]),
        ("logs/\n!logs/keep.log", ["logs/keep.log"], []),
        ("# c\n\\#x\n\\!y\nq  \n", ["#x", "!y", "q"], ["# c", "c", "q  "]),
        ("q\\   \n", ["q "], ["q", "q   "]),
        ("\\*.md", ["*.md"], ["a.md"]),
    ],
)
def test_gitignore(line, ignored, kept):
    patterns = parse(line)
    assert [path for path in ignored + kept if ignores(patterns, path)] == ignored


def test_gitignore_in_the_repo_and_in_the_request(hub):
    repo = new_repo(hub)
    commit(hub, repo, regular("kept.env"))
    assert commit(hub, repo, regular(".gitignore", b"*.env\n")).status == 200

    def ignored(**sent) -> list[str]:
        files = [{"path": path, "size": 1, "sample": ""} for path in ("secret.env", "kept.env")]
        body = {"files": [*files, {"path": "a/w.bin", "size": 1}], **sent}
        answer = hub.call("POST", f"/api/models/{repo}/preupload/main", "alice", body)
        return [file["path"] for file in answer.json()["files"] if file["shouldIgnore"]]

    assert ignored() == ["secret.env"]
    assert ignored(gitIgnore="a/\n") == ["a/w.bin"]
    assert ignored(gitIgnore="") == []
    deep = [{"path": "a/" * 500 + "w", "size": 1}]
    before = time.perf_counter()
    for files, sent, why in (
        ([], "x\n" * 1001, "1000 patterns"),
        (deep, "**/a/**/b\n" * 1000, "folders this deep"),
        ([], "a" + " " * 70_000 + "b", "longer than 65536"),
    ):
        body = {"files": files, "gitIgnore": sent}
        answer = hub.call("POST", f"/api/models/{repo}/preupload/main", "alice", body)
        assert answer.status == 400 and why in answer.json()["error"]
    assert ignored(gitIgnore="a" + " " * 60_000 + "b") == []
    assert time.perf_counter() - before < 2


def test_a_gitignore_whose_content_is_lost_ignores_nothing(hub):
    repo, content = new_repo(hub), os.urandom(9).hex().encode()
    assert commit(hub, repo, regular(".gitignore", content)).status == 200
    name = sha256(content)
    (hub.root / "store/alice/objects" / name[:2] / name).unlink()
    body = {"files": [{"path": ".gitignore", "size": 1}]}
    answer = hub.call("POST", f"/api/models/{repo}/preupload/main", "alice", body)
    (file,) = answer.json()["files"]
    assert (file["shouldIgnore"], "oid" in file) == (False, False)


# --- cards that cost


def nested_merges(levels: int) -> str:
    lines = ["a0: &a0 {k: v}"]
    for level in range(1, levels):
        names = ", ".join([f"*a{level - 1}"] * 8)
        lines.append(f"a{level}: &a{level} {{<<: [{names}]}}")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (nested_merges(12), "values"),
        ("a: &a {" + ", ".join(f"k{i}" for i in range(9000)) + "}\nb: {<<: ["
         + ", ".join(["*a"] * 9000) + "]}", "values"),
        ("a: " + "[" * 100_000, "nesting"),
        ("a: " + "{b: " * 90_000, "nesting"),
        ("a: [" + "1," * 150_000 + "]", "values"),
        ("a: 1" + ":59" * 100_000, "number"),
        ("a: 0x" + "f" * 100_000, "number"),
        ("a: 1" + ":59" * 130 + ".5\nb: &b [*b]", "YAML"),
    ],
)  # fmt: skip
def test_a_card_costs_no_more_than_its_budget(text, why):
    before = time.process_time()
    with pytest.raises(BadCard, match=why):
        card_data(f"---\n{text}\n---\n")
    assert time.process_time() - before < 2


def test_merged_keys_that_fit_are_read():
    text = "---\nx: &x {a: 1, b: 2}\ny:\n  <<: *x\n  b: 3\nz: &z\n  <<: [*x]\n---\n"
    assert card_data(text) == {"x": {"a": 1, "b": 2}, "y": {"a": 1, "b": 3}, "z": {"a": 1, "b": 2}}


def test_strangers_check_short_cards_only(hub):
    content = "---\nlicense: mit\n---\n" + "x" * (70 << 10)
    body = json.dumps({"repoType": "model", "content": content}).encode()
    assert hub.call("POST", "/api/validate-yaml", None, body).status == 413
    assert hub.call("POST", "/api/validate-yaml", "alice", body).status == 200
    body = {"content": "---\n" + nested_merges(12) + "\n---\n"}
    assert hub.call("POST", "/api/validate-yaml", None, body).status == 400
    assert (
        hub.call("POST", "/api/validate-yaml", None, {"content": "---\na: 1\n---\n"}).status == 200
    )
