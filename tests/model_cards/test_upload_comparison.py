"""What of a folder has arrived on the Hub, and when to try again, without a server."""

import hashlib
from types import SimpleNamespace

import httpx2
import pytest
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.hf_api import RepoFile, RepoFolder

from cephalo.model_cards import upload
from cephalo.model_cards.upload import arrived, differing, remote_files, same_content

SMALL, LARGE = b"a figure", b"weights\0"


def blob(path: str, content: bytes) -> RepoFile:
    """A file of git, with the hash of its blob."""
    oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    return RepoFile(path=path, size=len(content), oid=oid)


def pointer(path: str, content: bytes) -> RepoFile:
    """A file of LFS; `oid` is that of its pointer."""
    lfs = {"size": len(content), "oid": hashlib.sha256(content).hexdigest(), "pointerSize": 130}
    return RepoFile(path=path, size=len(content), oid="0" * 40, lfs=lfs)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "eval").mkdir()
    (tmp_path / "a.txt").write_bytes(SMALL)
    (tmp_path / "eval/w.bin").write_bytes(LARGE)
    return tmp_path


FILES = ["a.txt", "eval/w.bin"]
WHOLE = [blob("a.txt", SMALL), pointer("eval/w.bin", LARGE)]


def listing(entries, error: Exception | None = None):
    """A client whose repository has these entries; and what it was asked for."""

    def tree(repo_id, **asked):
        assert (repo_id, asked) == (
            "a/b",
            {"repo_type": "model", "recursive": True, "revision": "main"},
        )
        if error:
            raise error
        return entries

    return SimpleNamespace(list_repo_tree=tree)


@pytest.mark.parametrize(
    ("entries", "patterns", "whole"),
    [
        (WHOLE, None, True),
        (WHOLE, ["*.txt", "eval/*"], True),  # what is pushed is not stale
        ([*WHOLE, blob("old.txt", b"")], None, True),
        ([*WHOLE, blob("old.txt", b"")], ["*.txt"], False),
        ([*WHOLE, blob("old.md", b"")], ["*.txt"], True),
        ([*WHOLE, RepoFolder(path="old.txt", oid="1")], ["*.txt"], True),
        (WHOLE[:1], None, False),
        (WHOLE[1:], None, False),
        ([], None, False),
        ([blob("a.txt", b"A figure"), WHOLE[1]], None, False),
        ([blob("a.txt", SMALL + b"s"), WHOLE[1]], None, False),
        ([WHOLE[0], pointer("eval/w.bin", b"Weights\0")], None, False),
        ([WHOLE[0], pointer("eval/w.bin", LARGE * 2)], None, False),
        ([blob("b.txt", SMALL), WHOLE[1]], None, False),
    ],
)
def test_all_has_arrived_when_each_file_is_there_and_none_is_stale(
    folder, entries, patterns, whole
):
    api = listing(entries)
    assert arrived(api, folder, "a/b", "model", FILES, patterns, "main") is whole


@pytest.mark.parametrize("kind", [RepositoryNotFoundError, RevisionNotFoundError])
def test_nothing_has_arrived_where_there_is_no_repository_or_branch(folder, kind):
    response = httpx2.Response(404, request=httpx2.Request("GET", "https://hub"))
    api = listing([], kind("gone", response=response))
    assert arrived(api, folder, "a/b", "model", FILES, None, "main") is False


def test_files_that_differ_are_named_in_their_order(folder):
    found = remote_files(
        listing([*WHOLE, RepoFolder(path="eval", oid="1")]), "a/b", "model", "main"
    )
    assert list(found) == FILES and differing(folder, FILES, found) == []
    found["a.txt"] = blob("a.txt", b"Another")
    assert differing(folder, FILES, found) == ["a.txt"]
    del found["eval/w.bin"]
    assert differing(folder, FILES, found) == FILES
    assert differing(folder, [], found) == []


def test_content_is_compared_by_size_and_hash(folder):
    path = folder / "a.txt"
    assert same_content(path, blob("x", SMALL)) and same_content(path, pointer("x", SMALL))
    for other in (b"A figure", b"B figure", b"C figure", b"D figure", SMALL[:-1], b""):
        assert not same_content(path, blob("x", other))
        assert not same_content(path, pointer("x", other))


def failed(status: int | None, **headers: str) -> Exception:
    if status is None:
        return httpx2.ConnectError("no route")
    response = httpx2.Response(status, headers=headers, request=httpx2.Request("GET", "https://h"))
    return httpx2.HTTPStatusError("no", request=response.request, response=response)


def test_what_may_pass_is_tried_again():
    again = [None, 409, 412, 429, 500, 502, 503, 504]
    never = [400, 401, 403, 404, 413, 501]
    assert [s for s in again + never if upload.worth_retrying(failed(s))] == again


def test_waits_grow_unless_the_hub_asks_for_one(monkeypatch):
    monkeypatch.setattr(upload.random, "uniform", lambda low, high: high - low + 10)
    waits = [upload.wait_seconds(failed(503), attempt) for attempt in (1, 2, 3)]
    assert waits == [11, 22, 44]
    headers = {"retry-after": "7"}
    assert upload.wait_seconds(failed(429, **headers), 3) == 7
    assert upload.wait_seconds(failed(429, **{"retry-after": "301"}), 1) == 300
    assert upload.wait_seconds(failed(429, **{"retry-after": "soon"}), 1) == 11
    assert upload.wait_seconds(failed(None), 2) == 22


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "does not accept the token; run `hf auth login`"),
        (403, "this token may not write to a/b on https://hub"),
        (None, "cannot be reached or closed the connection (ConnectError)"),
        (400, "answered 400 while pushing to a/b; nothing is lost"),
    ],
)
def test_a_refusal_says_what_to_do(status, said):
    refused = upload.refusal(failed(status), "https://hub", "a/b")
    assert said in str(refused)
