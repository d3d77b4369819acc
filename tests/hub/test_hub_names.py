"""Names and paths: nothing that the hub accepts leaves a downloader's folder."""

import ntpath
import posixpath

import pytest
from huggingface_hub.utils import validate_repo_id
from hypothesis import example, given
from hypothesis import strategies as st

from cephalo.hub.names import BadName, check_path, check_ref, check_repo, check_user

# Text that is made of what matters in paths, and any text at all.
SEGMENTS = st.sampled_from(
    ["..", ".", "", "a", "b.txt", ".git", ".GIT", "git~1", "C:", "c:x", "..\\x", "\0", " ", "...",
     ".. ", ".gi\u200ct", "\ud800", "x" * 300, "\uff0e\uff0e", "~", "$HOME", "%2e%2e"]
)  # fmt: skip
PATHS = st.one_of(st.lists(SEGMENTS, max_size=5).map("/".join), st.text(max_size=40))


@given(PATHS)
@example("../x")
@example("a/../../x")
@example("/etc/passwd")
def test_accepted_paths_stay_inside(path):
    try:
        assert check_path(path) == path
    except BadName:
        return
    for module, root in ((posixpath, "/root/folder"), (ntpath, "D:\\root\\folder")):
        whole = module.normpath(module.join(root, path))
        assert whole.startswith(root + module.sep)
    lowered = [part.lower().rstrip(". ") for part in path.split("/")]
    assert not {"", ".git"} & set(lowered)
    assert "\0" not in path and len(path.encode()) <= 1024


@pytest.mark.parametrize(
    "path",
    ["", "/a", "a/", "a//b", "..", "a/..", "./a", "a\\b", "a\0b", "a\nb", ".git/config", "x/.GIT/y",
     ".git./x", ".g\u200cit/x", "git~1/x", "C:x", "c:/x", "\ud800", "a/" * 600 + "b", "x" * 256,
     ".git::$INDEX/x", "a/.. /b", "..."],
)  # fmt: skip
def test_refused_paths(path):
    with pytest.raises(BadName):
        check_path(path)


@pytest.mark.parametrize(
    "path",
    [".gitattributes", ".gitignore", "a/b c/d.txt", "data/train-00000-of-00003.parquet", "ä/ö.png",
     "x" * 255, "a..b", "..a", "-x", "weird:name", "1+2=3&%.txt"],
)  # fmt: skip
def test_accepted_paths(path):
    assert check_path(path) == path


NAME_PARTS = st.text(st.sampled_from("aZ0_-.é/ ~"), min_size=0, max_size=8)


@given(NAME_PARTS, NAME_PARTS)
def test_accepted_repo_names_are_the_clients(namespace, name):
    try:
        repo = check_repo("model", namespace, name)
    except BadName:
        return
    validate_repo_id(repo.id)
    assert "/" not in namespace + name


@pytest.mark.parametrize("name", ["datasets", "api", "a--b", "a.git", ".a", "a.", "", "a" * 97])
def test_refused_users(name):
    with pytest.raises(BadName):
        check_user(name)


@pytest.mark.parametrize(
    "ref", ["", "/x", "x/", "a//b", "a..b", "x.lock", "refs/heads/x", "a b", "a" * 40, "-x", "a/.b"]
)
def test_refused_refs(ref):
    with pytest.raises(BadName):
        check_ref(ref)


@pytest.mark.parametrize("ref", ["main", "feat/x", "v1.0", "release-2+rc", "deadbeef"])
def test_accepted_refs(ref):
    assert check_ref(ref) == ref
