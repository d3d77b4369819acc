"""Routes about branches, tags, history and pull requests."""

import re
from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cephalo.model_cards.hub.names import RepoName, check_ref
from cephalo.model_cards.hub.store import NotThere, RepoState
from cephalo.model_cards.hub.web import (
    HubError,
    base_url,
    hub_of,
    json_body,
    need_caller,
    param,
    repo_to_read,
    repo_to_write,
    value_of,
)


def list_refs(request: Request) -> Response:
    """GET refs."""
    _, state = repo_to_read(request)
    return JSONResponse(
        {
            "branches": _refs_under("refs/heads/", state),
            "tags": _refs_under("refs/tags/", state),
            "pullRequests": _refs_under("refs/pr/", state),
            "converts": [],
        }
    )


def _refs_under(prefix: str, state: RepoState) -> list[dict[str, str]]:
    return [
        {"name": ref.removeprefix(prefix), "ref": ref, "targetCommit": sha}
        for ref, sha in state.refs.items()
        if ref.startswith(prefix)
    ]


def list_commits(request: Request) -> Response:
    """GET commits/REV, newest first, all on one page."""
    repo, state = repo_to_read(request)
    sha = state.resolve(param(request, "rev"))
    return JSONResponse(
        [
            {
                "id": commit.sha,
                "title": commit.title,
                "message": commit.message,
                "date": commit.date,
                "authors": [{"user": commit.author}],
            }
            for commit in hub_of(request).store.history(repo, sha)
        ]
    )


async def create_branch(request: Request) -> Response:
    """POST branch/B with `startingPoint`."""
    body = await json_body(request)
    start = value_of(body, "startingPoint", str, "main")
    return await _add_ref(request, "refs/heads/" + check_ref(param(request, "ref")), start)


async def create_tag(request: Request) -> Response:
    """POST tag/REV with `tag`."""
    body = await json_body(request)
    ref = "refs/tags/" + check_ref(value_of(body, "tag", str))
    return await _add_ref(request, ref, param(request, "ref"))


async def _add_ref(request: Request, ref: str, start: str) -> Response:
    def change(state: RepoState) -> None:
        if ref in state.refs:
            raise HubError(409, f"Reference already exists: {ref}")
        state.refs[ref] = state.resolve(start)

    return await _edit(request, change)


async def delete_branch(request: Request) -> Response:
    """DELETE branch/B; `main` stays."""
    if param(request, "ref") == "main":
        raise HubError(403, "The branch main cannot be deleted")
    return await _drop_ref(request, "refs/heads/")


async def delete_tag(request: Request) -> Response:
    """DELETE tag/T."""
    return await _drop_ref(request, "refs/tags/")


async def _drop_ref(request: Request, prefix: str) -> Response:
    ref = prefix + param(request, "ref")

    def change(state: RepoState) -> None:
        if state.refs.pop(ref, None) is None:
            raise NotThere("RevisionNotFound", f"No reference {ref[:200]}")

    return await _edit(request, change)


async def _edit(request: Request, change: Callable[[RepoState], None]) -> Response:
    def edit() -> None:
        with hub_of(request).store.edit(repo_to_write(request)) as state:
            change(state)

    await run_in_threadpool(edit)
    return JSONResponse({})


async def super_squash(request: Request) -> Response:
    """POST super-squash/B: the branch becomes one commit with the same tree.

    The old commits stay readable by their hash.
    """
    body = await json_body(request)
    title = value_of(body, "message", str, "") or "Super-squash branch"
    return await run_in_threadpool(_squash, request, title)


def _squash(request: Request, title: str) -> Response:
    repo, user, branch = repo_to_write(request), need_caller(request), param(request, "ref")
    store = hub_of(request).store
    with store.edit(repo) as state:
        ref = f"refs/heads/{branch}"
        if ref not in state.refs:
            raise NotThere("RevisionNotFound", f"No branch {branch[:200]}")
        tree = store.commit(repo, state.refs[ref]).tree
        state.refs[ref] = store.add_commit(repo, state, None, tree, title, "", user)
    return JSONResponse({})


async def create_pull(request: Request) -> Response:
    """POST discussions: an empty pull request. Discussions without one are not kept here."""
    body = await json_body(request)
    if not value_of(body, "pullRequest", bool, False):
        raise HubError(400, "This hub has pull requests, but no other discussions")
    title = value_of(body, "title", str)

    def open_pull() -> int:
        with hub_of(request).store.edit(repo_to_write(request)) as state:
            return state.new_pull(title, need_caller(request), state.resolve("main"))

    return JSONResponse({"num": await run_in_threadpool(open_pull)})


def list_pulls(request: Request) -> Response:
    """GET discussions, newest first, all on one page."""
    repo, state = repo_to_read(request)
    pulls = [_pull(request, repo, state, number) for number in range(len(state.pulls), 0, -1)]
    return JSONResponse({"discussions": pulls, "count": len(pulls), "start": 0})


def get_pull(request: Request) -> Response:
    """GET discussions/N."""
    repo, state = repo_to_read(request)
    text = request.path_params["number"]
    if not re.fullmatch(r"[1-9][0-9]{0,5}", text) or int(text) > len(state.pulls):
        raise HubError(404, "No such discussion")
    return JSONResponse(_pull(request, repo, state, int(text)))


def _pull(request: Request, repo: RepoName, state: RepoState, number: int) -> dict[str, Any]:
    pull = state.pulls[number - 1]
    return {
        "num": number,
        "title": pull["title"],
        "author": {"name": pull["author"]},
        "createdAt": pull["created"],
        "status": "draft",
        "isPullRequest": True,
        "repo": {"name": repo.id, "type": repo.kind},
        "changes": {"base": "refs/heads/main", "mergeCommitId": None},
        "filesWithConflicts": [],
        "events": [],
        "diff": "",
        "url": f"{base_url(request)}/{repo.url_path}/discussions/{number}",
    }


_REPO = "/api/{kind}/{namespace}/{name}"
ROUTES = [
    Route(f"{_REPO}/refs", list_refs),
    Route(f"{_REPO}/commits/{{rev}}", list_commits),
    Route(f"{_REPO}/branch/{{ref:path}}", create_branch, methods=["POST"]),
    Route(f"{_REPO}/branch/{{ref:path}}", delete_branch, methods=["DELETE"]),
    Route(f"{_REPO}/tag/{{ref:path}}", create_tag, methods=["POST"]),
    Route(f"{_REPO}/tag/{{ref:path}}", delete_tag, methods=["DELETE"]),
    Route(f"{_REPO}/super-squash/{{ref}}", super_squash, methods=["POST"]),
    Route(f"{_REPO}/discussions", list_pulls),
    Route(f"{_REPO}/discussions", create_pull, methods=["POST"]),
    Route(f"{_REPO}/discussions/{{number}}", get_pull),
]
