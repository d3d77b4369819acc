"""Replacement for conftest.py of huggingface_hub: the staging Hub is the embedded hub."""

import contextlib
import os
from collections.abc import Callable, Iterator

import pytest
from huggingface_hub import HfApi, RepoUrl, constants
from huggingface_hub.utils import _auth, _detect_agent

from . import testing_constants

testing_constants.ENDPOINT_STAGING = os.environ["HF_ENDPOINT"]

from .testing_utils import repo_name  # noqa: E402

RepoFactory = Callable[..., RepoUrl]


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Isolate downloads, logins and caches of each test."""
    home = tmp_path_factory.mktemp("home")
    for name, folder in (
        ("HF_HOME", ""),
        ("HF_HUB_CACHE", "hub"),
        ("HUGGINGFACE_HUB_CACHE", "hub"),
        ("HF_XET_CACHE", "xet"),
        ("HF_ASSETS_CACHE", "assets"),
        ("HF_TOKEN_PATH", "token"),
        ("HF_STORED_TOKENS_PATH", "stored_tokens"),
    ):
        monkeypatch.setattr(constants, name, str(home / folder) if folder else str(home))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_EXPERIMENTAL_WARNING", True)
    monkeypatch.setattr(_detect_agent, "_registry", _detect_agent._EMPTY_REGISTRY)
    monkeypatch.setattr(_auth, "_OAUTH_REFRESH_CACHE", None)
    monkeypatch.setattr(_auth, "_OAUTH_REFRESH_WARNED", False)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(autouse=True)
def markers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Apply the markers of their pyproject.toml: xet, no_xet, git_lfs and deprecated."""
    marked = {mark.name for mark in request.node.iter_markers()}
    for name in ("no_xet", "git_lfs"):
        if name in marked:
            pytest.skip(f"marked {name}")
    if "xet" in marked:
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    names = [name for mark in request.node.iter_markers("deprecated") for name in mark.args]
    with contextlib.ExitStack() as stack:
        for name in names:
            stack.enter_context(pytest.warns(FutureWarning, match=f"'{name}'"))
        yield


@pytest.fixture(scope="session")
def api() -> HfApi:
    return HfApi(endpoint=testing_constants.ENDPOINT_STAGING, token=testing_constants.TOKEN)


@pytest.fixture(scope="session")
def api_prod() -> None:
    raise AssertionError("tests that use it are out of scope")


@pytest.fixture
def new_repo_id(api: HfApi) -> Iterator[str]:
    """Yield the name of a repo that the test creates; it is deleted after the test."""
    name = f"{testing_constants.USER}/{repo_name()}"
    yield name
    with contextlib.suppress(Exception):
        api.delete_repo(name)


@pytest.fixture
def repo_factory(api: HfApi) -> Iterator[RepoFactory]:
    """Create repos that are deleted after the test."""
    made: list[tuple[str, str]] = []

    def make(repo_type: str = "model", **arguments: object) -> RepoUrl:
        if repo_type == "space":
            arguments.setdefault("space_sdk", "gradio")
        arguments.setdefault("repo_id", repo_name(prefix=repo_type))
        url = api.create_repo(repo_type=repo_type, **arguments)
        made.append((url.repo_id, repo_type))
        return url

    yield make
    for repo_id, repo_type in made:
        with contextlib.suppress(Exception):
            api.delete_repo(repo_id, repo_type=repo_type)
