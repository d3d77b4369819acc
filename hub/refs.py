"""Routes about branches, tags and history."""

from collections.abc import Callable
from html import escape

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cephalo.hub.names import check_ref
from cephalo.hub.store import Commit, NotThere, RepoState
from cephalo.hub.web import (
    REPO,
    HubError,
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
    formatted = request.query_params.get("expand[]") == "formatted"
    return JSONResponse(
        [
            {
                "id": commit.sha,
                "title": commit.title,
                "message": commit.message,
                "date": commit.date,
                "authors": [{"user": commit.author}],
            }
            | ({"formatted": as_html(commit)} if formatted else {})
            for commit in hub_of(request).store.history(repo, sha)
        ]
    )


def as_html(commit: Commit) -> dict[str, str]:
    """Return title and message of a commit as HTML."""
    return {"title": escape(commit.title), "message": escape(commit.message)}


async def create_branch(request: Request) -> Response:
    """POST branch/B with `startingPoint`."""
    body = await json_body(request)
    start = value_of(body, "startingPoint", str, "main")
    return await _add_ref(request, "refs/heads/", param(request, "ref"), start)


async def create_tag(request: Request) -> Response:
    """POST tag/REV with `tag`."""
    body = await json_body(request)
    return await _add_ref(request, "refs/tags/", value_of(body, "tag", str), param(request, "ref"))


async def _add_ref(request: Request, prefix: str, name: str, start: str) -> Response:
    def change(state: RepoState) -> None:
        sha, ref = state.resolve(start), prefix + check_ref(name)
        if ref in state.refs:
            raise HubError(409, f"Reference {ref} already exists")
        state.refs[ref] = sha

    return await _edit(request, change)


async def delete_branch(request: Request) -> Response:
    """DELETE branch/B; `main` cannot be deleted."""
    if param(request, "ref") == "main":
        raise HubError(403, "Cannot delete refs/heads/main")
    return await _drop_ref(request, "refs/heads/")


async def delete_tag(request: Request) -> Response:
    """DELETE tag/T."""
    return await _drop_ref(request, "refs/tags/")


async def _drop_ref(request: Request, prefix: str) -> Response:
    ref = prefix + param(request, "ref")

    def change(state: RepoState) -> None:
        if state.refs.pop(ref, None) is None:
            raise NotThere("RevisionNotFound", f"Invalid rev id: {ref[:200]}")

    return await _edit(request, change)


async def _edit(request: Request, change: Callable[[RepoState], None]) -> Response:
    def edit() -> None:
        with hub_of(request).store.edit(repo_to_write(request)) as state:
            change(state)

    await run_in_threadpool(edit)
    return JSONResponse({})


async def super_squash(request: Request) -> Response:
    """POST super-squash/B: the branch or pull request becomes one commit with the same tree.

    The old commits remain readable by their hash.
    """
    body = await json_body(request)
    title = value_of(body, "message", str, "") or "Super-squash branch"
    return await run_in_threadpool(_squash, request, title)


def _squash(request: Request, title: str) -> Response:
    repo, user, branch = repo_to_write(request), need_caller(request), param(request, "ref")
    store = hub_of(request).store
    with store.edit(repo) as state:
        ref = state.branch(branch)
        if ref is None:
            raise NotThere("RevisionNotFound", f"No branch {branch[:200]}")
        tree = store.commit(repo, state.refs[ref]).tree
        state.refs[ref] = store.add_commit(repo, state, None, tree, title, "", user)
    return JSONResponse({})


ROUTES = [
    Route(f"{REPO}/refs", list_refs),
    Route(f"{REPO}/commits/{{rev}}", list_commits),
    Route(f"{REPO}/branch/{{ref:path}}", create_branch, methods=["POST"]),
    Route(f"{REPO}/branch/{{ref:path}}", delete_branch, methods=["DELETE"]),
    Route(f"{REPO}/tag/{{ref:path}}", create_tag, methods=["POST"]),
    Route(f"{REPO}/tag/{{ref:path}}", delete_tag, methods=["DELETE"]),
    Route(f"{REPO}/super-squash/{{ref}}", super_squash, methods=["POST"]),
]
