"""What the real clients do with a hub, as tests. `test_hub_clients` runs them over Xet and LFS.

Needs HF_ENDPOINT, HF_TOKEN (alice's), BOB_TOKEN and a fresh HF_HOME in the environment before
anything here is imported, so it runs in a process of its own, with `hub_library_operations`, which
has what transformers and datasets do. Every test has repos of its own, named after it.
"""

import io
import os
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    HfApi,
    HfFileSystem,
    ModelCard,
    ModelCardData,
    hf_hub_download,
    snapshot_download,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

XET = os.environ["HF_HUB_DISABLE_XET"] == "0"
MEGABYTE = 1_000_000


@pytest.fixture
def api() -> HfApi:
    return HfApi()


@pytest.fixture
def repo(api, request) -> str:
    """An empty model repo named after the test."""
    name = f"alice/{request.node.name.replace('[', '-').strip(']')}"
    api.create_repo(name)
    return name


@pytest.fixture
def folder(tmp_path):
    """A short text, an empty file, incompressible bytes and repeated bytes over several chunks."""
    files = {
        "a.txt": b"hi",
        "sub/empty.txt": b"",
        "w.bin": os.urandom(3 * MEGABYTE),
        "big.bin": os.urandom(1000) * 12_000,
        "floats.npy": np.arange(300_000, dtype=np.float32).tobytes(),
    }
    for name, content in files.items():
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(content)
    return tmp_path / "folder"


def contents(folder) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".cache" not in path.parts
    }


def status_of(error: pytest.ExceptionInfo) -> int:
    return error.value.response.status_code


# --- repos


def test_whoami(api):
    answer = api.whoami()
    assert (answer["name"], answer["orgs"]) == ("alice", [])
    assert answer["auth"]["accessToken"]["role"] == "write"


def test_create_move_delete(api, repo):
    assert api.create_repo(repo, exist_ok=True).repo_id == repo
    with pytest.raises(HfHubHTTPError) as error:
        api.create_repo(repo)
    assert status_of(error) == 409
    assert api.repo_exists(repo) and not api.repo_exists("alice/nowhere")
    api.auth_check(repo)
    api.move_repo(repo, f"{repo}-moved")
    assert api.list_repo_files(f"{repo}-moved") == [".gitattributes"]
    assert api.repo_info(repo).id == f"{repo}-moved"
    api.delete_repo(f"{repo}-moved")
    assert not api.repo_exists(f"{repo}-moved")
    api.delete_repo(f"{repo}-moved", missing_ok=True)


def test_lists(api):
    for number, tag in ((1, "steel"), (2, "silk")):
        name = f"alice/listed-{number}"
        api.create_repo(name)
        ModelCard(f"---\ntags: [{tag}]\nlicense: mit\n---\ntext").push_to_hub(name)
    api.create_repo("alice/listed-hidden", private=True)
    listed = [model.id for model in api.list_models(author="alice", search="LISTED-")]
    assert listed == ["alice/listed-1", "alice/listed-2", "alice/listed-hidden"]
    assert [model.id for model in api.list_models(filter="silk")] == ["alice/listed-2"]
    assert len(list(api.list_models(author="alice", search="listed-", limit=2))) == 2
    assert list(api.list_models(author="bob")) == []
    strangers = HfApi(token=os.environ["BOB_TOKEN"]).list_models(search="listed-")
    assert [model.id for model in strangers] == ["alice/listed-1", "alice/listed-2"]


def test_private_repo(api, tmp_path):
    name = "alice/private"
    api.create_repo(name, private=True)
    api.upload_file(path_or_fileobj=b"s" * 3000, path_in_repo="s.bin", repo_id=name)
    assert api.model_info(name).private
    for token in (False, os.environ["BOB_TOKEN"]):
        with pytest.raises(RepositoryNotFoundError):
            hf_hub_download(name, "s.bin", token=token, cache_dir=tmp_path / "no")
        with pytest.raises(RepositoryNotFoundError):
            HfApi(token=token).upload_file(
                path_or_fileobj=b"x", path_in_repo="x", repo_id=name, token=token
            )
    api.update_repo_settings(name, private=False)
    path = hf_hub_download(name, "s.bin", token=False, cache_dir=tmp_path / "yes")
    assert Path(path).read_bytes() == b"s" * 3000
    assert api.list_repo_files(name) == [".gitattributes", "s.bin"]


def test_wrong_tokens(api, repo):
    with pytest.raises(HfHubHTTPError) as error:
        HfApi(token="hf_nonsense").whoami()
    assert status_of(error) == 401
    with pytest.raises(HfHubHTTPError) as error:
        api.upload_file(
            path_or_fileobj=b"x", path_in_repo="x", repo_id=repo, token=os.environ["BOB_TOKEN"]
        )
    assert status_of(error) == 403
    assert api.list_repo_files(repo) == [".gitattributes"]


# --- uploads and downloads


def test_upload_folder_and_snapshot(api, repo, folder, tmp_path):
    commit = api.upload_folder(repo_id=repo, folder_path=folder, path_in_repo="f")
    assert commit.oid == api.repo_info(repo).sha
    path = snapshot_download(repo, local_dir=tmp_path / "all")
    expected = {f"f/{name}": content for name, content in contents(folder).items()}
    found = contents(tmp_path / "all")
    assert path == str(tmp_path / "all")
    assert found.pop(".gitattributes")
    assert found == expected
    snapshot_download(repo, local_dir=tmp_path / "some", allow_patterns="*.bin")
    assert set(contents(tmp_path / "some")) == {"f/w.bin", "f/big.bin"}
    facts = {item.path: item for item in api.list_repo_tree(repo, recursive=True, expand=True)}
    assert facts["f/w.bin"].size == facts["f/w.bin"].lfs.size == 3 * MEGABYTE
    assert bool(facts["f/w.bin"].xet_hash) == XET
    assert facts["f/a.txt"].lfs is None
    assert facts["f/a.txt"].last_commit.oid == facts["f"].last_commit.oid == commit.oid
    assert facts[".gitattributes"].last_commit.title == "initial commit"


def test_unchanged_folder_makes_no_commit(api, repo, folder):
    first = api.upload_folder(repo_id=repo, folder_path=folder)
    api.upload_folder(repo_id=repo, folder_path=folder)
    assert api.repo_info(repo).sha == first.oid


def test_delete_patterns(api, repo, folder):
    api.upload_folder(repo_id=repo, folder_path=folder, path_in_repo="f")
    (folder / "a.txt").unlink()
    api.upload_folder(repo_id=repo, folder_path=folder, path_in_repo="f", delete_patterns="*")
    files = set(api.list_repo_files(repo)) - {".gitattributes"}
    assert files == {f"f/{name}" for name in contents(folder)}


@pytest.mark.parametrize("name", ["b.txt", "o.bin", "empty.bin"])
def test_upload_file(api, repo, name):
    content = b"" if name.startswith("empty") else b"z" * 5000
    api.upload_file(path_or_fileobj=content, path_in_repo=name, repo_id=repo)
    assert Path(hf_hub_download(repo, name)).read_bytes() == content
    api.upload_file(path_or_fileobj=io.BytesIO(content), path_in_repo=f"x/{name}", repo_id=repo)
    assert Path(hf_hub_download(repo, f"x/{name}")).read_bytes() == content


def test_same_large_content_twice(api, repo):
    content = os.urandom(2 * MEGABYTE)
    for name in ("one.bin", "two.bin"):
        api.upload_file(path_or_fileobj=content, path_in_repo=name, repo_id=repo)
        assert Path(hf_hub_download(repo, name)).read_bytes() == content


def test_changed_large_file(api, repo):
    first = os.urandom(6 * MEGABYTE)
    second = first[: 3 * MEGABYTE] + b"inserted" + first[3 * MEGABYTE :]
    for content in (first, second):
        api.upload_file(path_or_fileobj=content, path_in_repo="m.bin", repo_id=repo)
        assert Path(hf_hub_download(repo, "m.bin")).read_bytes() == content


def test_copy_and_delete(api, repo):
    content = os.urandom(MEGABYTE)
    api.upload_file(path_or_fileobj=content, path_in_repo="w.bin", repo_id=repo)
    api.upload_file(path_or_fileobj=b"text", path_in_repo="d/b.txt", repo_id=repo)
    operations = [
        CommitOperationCopy("w.bin", "w2.bin"),
        CommitOperationCopy("d/b.txt", "b2.txt"),
        CommitOperationDelete("w.bin"),
    ]
    api.create_commit(repo, operations, commit_message="copy")
    assert set(api.list_repo_files(repo)) == {".gitattributes", "w2.bin", "d/b.txt", "b2.txt"}
    assert Path(hf_hub_download(repo, "w2.bin")).read_bytes() == content
    assert Path(hf_hub_download(repo, "b2.txt")).read_bytes() == b"text"
    api.delete_file("b2.txt", repo)
    api.delete_folder("d", repo)
    assert set(api.list_repo_files(repo)) == {".gitattributes", "w2.bin"}
    with pytest.raises(EntryNotFoundError):
        api.delete_file("b2.txt", repo)


def test_missing_things(api, repo):
    with pytest.raises(EntryNotFoundError) as error:
        hf_hub_download(repo, "nope")
    assert error.value.response.headers["X-Repo-Commit"] == api.repo_info(repo).sha
    with pytest.raises(RevisionNotFoundError):
        hf_hub_download(repo, ".gitattributes", revision="nope")
    with pytest.raises(RepositoryNotFoundError):
        hf_hub_download("alice/nope", "nope")
    with pytest.raises(EntryNotFoundError):
        list(api.list_repo_tree(repo, "nope"))
    assert api.file_exists(repo, ".gitattributes") and not api.file_exists(repo, "nope")
    assert api.revision_exists(repo, "main") and not api.revision_exists(repo, "nope")


def test_file_system(api, repo):
    content = os.urandom(2 * MEGABYTE)
    api.upload_file(path_or_fileobj=content, path_in_repo="w.bin", repo_id=repo)
    files = HfFileSystem()
    assert files.ls(repo, detail=False) == [f"{repo}/.gitattributes", f"{repo}/w.bin"]
    with files.open(f"{repo}/w.bin") as file:
        file.seek(1_000_000)
        assert file.read(50) == content[1_000_000:1_000_050]
    with files.open(f"{repo}/new.txt", "w") as file:
        file.write("yo")
    assert files.read_text(f"{repo}/new.txt") == "yo"
    files.rm(f"{repo}/new.txt")
    assert api.list_repo_files(repo) == [".gitattributes", "w.bin"]


# --- history


def test_branches_and_tags(api, repo):
    api.create_branch(repo, branch="feat/x")
    api.upload_file(path_or_fileobj=b"x", path_in_repo="x.txt", repo_id=repo, revision="feat/x")
    assert api.list_repo_files(repo) == [".gitattributes"]
    assert api.list_repo_files(repo, revision="feat/x") == [".gitattributes", "x.txt"]
    api.create_tag(repo, tag="v1", revision="feat/x")
    refs = api.list_repo_refs(repo)
    assert [branch.name for branch in refs.branches] == ["main", "feat/x"]
    assert refs.tags[0].target_commit == api.repo_info(repo, revision="feat/x").sha
    assert Path(hf_hub_download(repo, "x.txt", revision="v1")).read_bytes() == b"x"
    with pytest.raises(HfHubHTTPError) as error:
        api.create_tag(repo, tag="v1")
    assert status_of(error) == 409
    api.delete_tag(repo, tag="v1")
    api.delete_branch(repo, branch="feat/x")
    assert [branch.name for branch in api.list_repo_refs(repo).branches] == ["main"]


def test_history(api, repo):
    for number in range(3):
        api.upload_file(
            path_or_fileobj=b"%d" % number,
            path_in_repo="n.txt",
            repo_id=repo,
            commit_message=f"number {number}",
        )
    commits = api.list_repo_commits(repo)
    titles = ["number 2", "number 1", "number 0", "initial commit"]
    assert [commit.title for commit in commits] == titles
    assert commits[0].authors == ["alice"]
    assert commits[0].created_at - commits[-1].created_at < timedelta(minutes=1)
    old = hf_hub_download(repo, "n.txt", revision=commits[1].commit_id)
    assert Path(old).read_text() == "1"
    api.super_squash_history(repo, commit_message="all in one")
    assert [commit.title for commit in api.list_repo_commits(repo)] == ["all in one"]
    assert Path(hf_hub_download(repo, "n.txt")).read_text() == "2"


def test_pull_request(api, repo):
    commit = api.upload_file(
        path_or_fileobj=b"pr", path_in_repo="pr.txt", repo_id=repo, create_pr=True
    )
    assert (commit.pr_revision, commit.pr_num) == ("refs/pr/1", 1)
    assert api.list_repo_files(repo) == [".gitattributes"]
    assert api.list_repo_files(repo, revision="refs/pr/1") == [".gitattributes", "pr.txt"]
    opened = api.create_pull_request(repo, title="an empty one")
    assert (opened.num, opened.title, opened.target_branch) == (
        2,
        "an empty one",
        "refs/heads/main",
    )
    assert [pull.num for pull in api.get_repo_discussions(repo)] == [2, 1]
    refs = api.list_repo_refs(repo, include_pull_requests=True)
    assert [ref.ref for ref in refs.pull_requests] == ["refs/pr/1", "refs/pr/2"]


def test_stale_parent(api, repo):
    stale = api.repo_info(repo).sha
    new = [CommitOperationAdd("a.txt", b"a")]
    api.create_commit(repo, new, commit_message="a", parent_commit=stale)
    with pytest.raises(HfHubHTTPError) as error:
        api.create_commit(
            repo, [CommitOperationAdd("b.txt", b"b")], commit_message="b", parent_commit=stale
        )
    assert status_of(error) == 412
    assert api.list_repo_files(repo) == [".gitattributes", "a.txt"]


# --- cards


def test_model_card(api, repo):
    data = ModelCardData(license="mit", library_name="transformers", tags=["foo"], language="en")
    ModelCard.from_template(data, model_id="m").push_to_hub(repo)
    assert ModelCard.load(repo).data.license == "mit"
    info = api.model_info(repo)
    assert (info.card_data.license, info.library_name, info.tags) == (
        "mit",
        "transformers",
        ["foo", "license:mit", "transformers", "en"],
    )
    with pytest.raises(ValueError, match="metadata is not valid YAML"):
        api.upload_file(
            path_or_fileobj=b"---\nfoo: [\n---\n", path_in_repo="README.md", repo_id=repo
        )
    assert api.model_info(repo).sha == info.sha
