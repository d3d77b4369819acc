"""Routes about the disk usage of repos, and copies of repos and of large files."""

import contextlib
import dataclasses
from typing import NotRequired, TypedDict

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cephalo.hub.names import KINDS, RepoName, check_repo
from cephalo.hub.repos import private_of, split_id
from cephalo.hub.store import FileEntry, NotThere, RepoState, Store
from cephalo.hub.web import (
    REPO,
    HubError,
    base_url,
    hub_of,
    json_body,
    need_caller,
    only,
    repo_to_read,
    repo_to_write,
    run_costly,
    value_of,
    writable,
)

MAX_FILES = 1000  # per request; huggingface_hub sends as many


async def list_own(request: Request) -> Response:
    """GET /api/settings/repositories: the caller's repos, and the bytes that each names."""
    user = need_caller(request)
    return await run_costly(request, _list_own, request, user)


def _list_own(request: Request, user: str) -> Response:
    store = hub_of(request).store
    found: list[Usage] = []
    for kind in KINDS:
        for repo in store.names(kind):
            if repo.namespace == user:
                with contextlib.suppress(NotThere):  # deleted since its name was read
                    found.append(_usage(store, repo))
    total = sum(item["storage"] for item in found) or 1
    for item in found:
        item["storagePercent"] = 100 * item["storage"] / total
    return JSONResponse(found)


class Usage(TypedDict):
    """A repo of `list_own`; `storage` is in bytes."""

    id: str
    type: str
    updatedAt: str
    visibility: str
    storage: int
    storagePercent: NotRequired[float]


def _usage(store: Store, repo: RepoName) -> Usage:
    state = store.load(repo)
    sizes: dict[str, int] = {}
    for sha in state.commits:
        sizes.update({one.sha256: one.size for one in store.commit(repo, sha).tree.values()})
    return {
        "id": repo.id,
        "type": repo.kind,
        "updatedAt": store.commit(repo, state.resolve("main")).date,
        "visibility": "private" if state.private else "public",
        "storage": sum(sizes.values()),
    }


# --- large files


async def list_large(request: Request) -> Response:
    """GET lfs-files: every large file that a commit ever named, newest first."""
    repo = await run_in_threadpool(repo_to_write, request)
    return JSONResponse(await run_costly(request, _list_large, hub_of(request).store, repo))


def _list_large(store: Store, repo: RepoName) -> list[dict[str, object]]:
    state = store.load(repo)
    refs: dict[str, str] = {}
    for ref in sorted(state.refs, key=lambda ref: ref != "refs/heads/main"):
        for commit in store.history(repo, state.refs[ref]):
            refs.setdefault(commit.sha, ref)
    found: dict[str, dict[str, object]] = {}
    for sha in state.commits:
        commit = store.commit(repo, sha)
        for path, entry in commit.tree.items():
            if entry.lfs and entry.sha256 not in found:
                found[entry.sha256] = {
                    "fileOid": entry.sha256,
                    "oid": entry.sha256,
                    "filename": path,
                    "size": entry.size,
                    "pushedAt": commit.date,
                    "pusher": {"name": commit.author},
                    "ref": refs.get(sha),
                }
    return list(found.values())[::-1]


async def delete_large(request: Request) -> Response:
    """POST lfs-files/batch: rewrite the history without some files.

    Their contents stay on disk until `cephalo hub gc`, as other repos may name them.
    """
    repo = await run_in_threadpool(repo_to_write, request)
    deletions = value_of(await json_body(request), "deletions", dict)
    names = value_of(deletions, "sha", list)
    if not value_of(deletions, "rewriteHistory", bool, False):
        raise HubError(400, "This hub deletes large files with rewriteHistory only")
    if len(names) > MAX_FILES or not all(isinstance(name, str) for name in names):
        raise HubError(400, f"sha has at most {MAX_FILES} texts")
    await run_costly(request, _delete_large, hub_of(request).store, repo, set(names))
    return JSONResponse({})


def _delete_large(store: Store, repo: RepoName, names: set[str]) -> None:
    with store.edit(repo) as state:
        store.without(repo, state, names)


async def duplicate_large(request: Request) -> Response:
    """POST lfs-files/duplicate: large files of a repo, for commits to another."""
    body = await json_body(request)
    target, files = value_of(body, "target", dict), value_of(body, "files", list)
    if len(files) > MAX_FILES:
        raise HubError(413, f"At most {MAX_FILES} files at once")
    names = [value_of(file, "sha256", str) for file in files if isinstance(file, dict)]
    into = check_repo(value_of(target, "type", str), *split_id(value_of(target, "name", str)))
    return await run_costly(request, _duplicate_large, request, into, names)


def _duplicate_large(request: Request, into: RepoName, names: list[str]) -> Response:
    (repo, state), store = repo_to_read(request), hub_of(request).store
    into = writable(request, into)
    known = {
        entry.sha256 for sha in state.commits for entry in store.commit(repo, sha).tree.values()
    }
    failed = [{"sha256": name, "error": "no such file"} for name in names if name not in known]
    done = [name for name in names if name in known]
    for name in done:
        store.share_content(repo.namespace, into.namespace, name)
    return JSONResponse({"success": [{"sha256": name} for name in done], "failed": failed})


# --- whole repos


async def duplicate(request: Request) -> Response:
    """POST duplicate: create a repo of the caller whose first commit is the head of another."""
    user, body = need_caller(request), await json_body(request)
    only(body, "repository", "visibility", "private")
    parts = split_id(value_of(body, "repository", str))
    return await run_costly(request, _duplicate, request, user, parts, private_of(body))


def _duplicate(request: Request, user: str, parts: list[str], private: bool | None) -> Response:
    repo, state = repo_to_read(request)
    target, store = check_repo(repo.kind, *parts), hub_of(request).store
    if target.namespace != user:
        raise HubError(403, f"You don't have the rights to create {target.id}")
    url = f"{base_url(request)}/{target.url_path}"
    tree = copied_tree(store, repo, state, target.namespace)
    hidden = state.private if private is None else private
    if not store.create(target, hidden, tree, f"Duplicate from {repo.id}"):
        return JSONResponse({"error": f"{target.id} exists already", "url": url}, 409)
    return JSONResponse({"url": url, "filesCopyPending": False})


def copied_tree(
    store: Store, repo: RepoName, state: RepoState, namespace: str
) -> dict[str, FileEntry]:
    """Return the files of a repo's main branch, with their contents in another namespace."""
    tree = store.commit(repo, state.resolve("main")).tree
    if namespace == repo.namespace:
        return tree
    for entry in tree.values():
        store.share_content(repo.namespace, namespace, entry.sha256)
    # Chunks of Xet uploads exist in the other namespace only.
    return {path: dataclasses.replace(entry, xet=None) for path, entry in tree.items()}


ROUTES = [
    Route("/api/settings/repositories", list_own),
    Route(f"{REPO}/lfs-files", list_large),
    Route(f"{REPO}/lfs-files/batch", delete_large, methods=["POST"]),
    Route(f"{REPO}/lfs-files/duplicate", duplicate_large, methods=["POST"]),
    Route(f"{REPO}/duplicate", duplicate, methods=["POST"]),
]
