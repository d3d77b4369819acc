"""Pushes through the real client: one commit, safe to repeat, and honest about what arrived.

The faults that a push can meet are in test_upload_faults.py.
"""

import itertools
import os

import pytest
from faulty_hub import Fault, faulty_hub
from huggingface_hub import HfApi

from cephalo.cli.errors import CephaloError
from cephalo.model_cards import upload
from cephalo.model_cards.hub_names import check_repo_id
from cephalo.model_cards.upload import hub_api, push_folder

NUMBERS = itertools.count()
FILES = ["README.md", "config.json", "model.safetensors"]


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with faulty_hub(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "README.md").write_text("# A model\n")
    (tmp_path / "config.json").write_text("{}\n")
    (tmp_path / "model.safetensors").write_bytes(os.urandom(200_000))
    (tmp_path / "optimizer.pt").write_bytes(b"never pushed")
    return tmp_path


@pytest.fixture
def push(hub, folder, monkeypatch):
    """A function that pushes `folder` to a repository of this test alone."""
    # Waits between tries, ours and the client's, are not what is tested.
    monkeypatch.setattr(upload.time, "sleep", lambda seconds: None)
    hub.faults, hub.log[:] = [], []
    name = f"alice/push-{next(NUMBERS)}"

    def push(token: str = "hf_alice", private: bool = False, repo_id: str = name, **more) -> str:
        more = {"files": FILES, "repo_type": "model", **more}
        api = HfApi(endpoint=hub.endpoint, token=token)
        return push_folder(api, folder, repo_id, private=private, **more)

    push.name, push.api = name, HfApi(endpoint=hub.endpoint, token="hf_alice")
    return push


def commits(push) -> list[str]:
    return [commit.title for commit in push.api.list_repo_commits(push.name)]


def remote_bytes(push, hub, path: str) -> bytes:
    from huggingface_hub import HfFileSystem

    files = HfFileSystem(endpoint=hub.endpoint, token="hf_alice", use_listings_cache=False)
    return files.cat_file(f"{push.name}/{path}")


def assert_whole(push, hub, folder) -> None:
    assert set(push.api.list_repo_files(push.name)) == {".gitattributes", *FILES}
    for name in FILES:
        assert remote_bytes(push, hub, name) == (folder / name).read_bytes()


def test_push_is_one_commit_of_the_named_files(push, hub, folder):
    sha = push(message="First")
    assert push.api.repo_info(push.name).sha == sha
    assert commits(push) == ["First", "initial commit"]
    assert_whole(push, hub, folder)


def test_pushing_the_same_again_makes_no_commit(push):
    assert push() == push()
    assert len(commits(push)) == 2


def test_stale_remote_files_go_in_the_same_commit(push, folder):
    (folder / "data").mkdir()
    for name in ("a", "b"):
        (folder / "data" / f"{name}.parquet").write_bytes(name.encode() * 100)
    push(files=["data/a.parquet", "data/b.parquet"], delete_patterns=["data/*"])
    push(files=["data/a.parquet"], delete_patterns=["data/*"])
    assert "data/b.parquet" not in push.api.list_repo_files(push.name)
    assert len(commits(push)) == 3


def test_commit_whose_answer_was_lost_for_good_is_found_by_comparing(push, hub, folder):
    hub.faults = [Fault("POST", "/commit/", None, times=100)]
    sha = push(message="Landed")
    assert push.api.repo_info(push.name).sha == sha
    assert commits(push) == ["Landed", "initial commit"]
    assert_whole(push, hub, folder)


@pytest.mark.parametrize("lost", [False, True])
def test_the_sha_is_that_of_this_push_when_another_pushes_after_it(push, hub, monkeypatch, lost):
    real = HfApi.upload_folder

    def and_another(api, **arguments):
        try:
            return real(api, **arguments)
        finally:
            hub.faults.clear()
            push.api.upload_file(
                repo_id=push.name,
                path_or_fileobj=b"other",
                path_in_repo="README.md",
                commit_message="Another",
            )

    monkeypatch.setattr(HfApi, "upload_folder", and_another)
    if lost:
        hub.faults = [Fault("POST", "/commit/", None, times=100)]
    sha = push(message="Mine")
    assert commits(push) == ["Another", "Mine", "initial commit"]
    assert sha == push.api.list_repo_commits(push.name)[1].commit_id
    assert remote_bytes(push, hub, "README.md") == b"other"


def test_broken_server_ends_in_one_line(push, hub, monkeypatch):
    monkeypatch.setattr(upload, "ATTEMPTS", 2)
    hub.faults = [Fault("POST", "/api/repos/create", 500, times=1000)]
    with pytest.raises(CephaloError, match="answered 500 while pushing to alice/"):
        push()


@pytest.mark.parametrize(
    ("token", "message"),
    [("hf_wrong", "does not accept the token"), ("hf_bob", "this token may not write to alice/")],
)
def test_refused_tokens_are_not_tried_again(push, hub, token, message):
    with pytest.raises(CephaloError, match=message):
        push(token=token)
    assert len([line for line in hub.log if line.startswith("POST")]) == 1
    assert not push.api.repo_exists(push.name)


def test_unreachable_hub_ends_in_one_line(folder, monkeypatch):
    monkeypatch.setattr(upload, "ATTEMPTS", 1)
    api = HfApi(endpoint="http://127.0.0.1:9", token="hf_x")
    with pytest.raises(CephaloError, match=r"http://127.0.0.1:9 cannot be reached"):
        push_folder(api, folder, "a/b", repo_type="model", private=False, files=FILES)


def test_private_push_to_a_public_repository_is_refused(push):
    push(files=["README.md"])
    with pytest.raises(CephaloError, match="exists and is public, but --private was given"):
        push(private=True)
    assert "model.safetensors" not in push.api.list_repo_files(push.name)


def test_private_push_makes_a_private_repository(push, hub):
    push(private=True)
    assert push.api.repo_info(push.name).private
    assert not HfApi(endpoint=hub.endpoint, token="hf_bob").repo_exists(push.name)


@pytest.mark.parametrize(
    "name",
    ["nacre", "a/b/c", "/b", "a/", "a/..", "../b", "a/b c", "a/b--c", "a/-b", "", "a/é", "a/b."],
)
def test_names_that_the_hub_would_refuse(name):
    with pytest.raises(CephaloError, match="is not NAMESPACE/NAME"):
        check_repo_id(name)
    assert check_repo_id("my-lab/Cephalo.v1_2") == "my-lab/Cephalo.v1_2"


def test_no_token_says_how_to_get_one(monkeypatch):
    monkeypatch.setattr(upload, "get_token", lambda: None)
    with pytest.raises(CephaloError, match=r"no Hub token; run `hf auth login`"):
        hub_api()
    assert hub_api("hf_given").token == "hf_given"
