"""Read routes: downloads, listings of folders, facts about single paths."""

import dataclasses
import hashlib
import re
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple, NotRequired, TypedDict

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from cephalo.hub.cas import recipe_path
from cephalo.hub.info import flag
from cephalo.hub.names import RepoName
from cephalo.hub.store import Commit, FileEntry, Store
from cephalo.hub.web import (
    REPO,
    BigFile,
    HubError,
    base_url,
    caller,
    form_body,
    hub_of,
    param,
    repo_to_read,
    run_costly,
    run_in_thread,
)

MAX_LOOKED_THROUGH = 1_000_000  # files of trees, which take about two seconds


class Listed(TypedDict):
    """The JSON of `RepoFile`, or of `RepoFolder`, whose `type` is "directory"."""

    type: str
    path: str
    size: int
    oid: str
    lfs: NotRequired[dict[str, str | int]]
    xetHash: NotRequired[str]
    lastCommit: NotRequired[dict[str, str]]
    securityFileStatus: NotRequired[None]


class Wanted(NamedTuple):
    """A file of the upstream Hub that has not been fetched yet."""

    repo: RepoName
    path: str
    entry: FileEntry
    headers: dict[str, str]


async def resolve(request: Request) -> Response:
    """GET or HEAD [datasets/]ID/resolve/REV/PATH.

    The headers are those of `huggingface_hub.file_download.get_hf_file_metadata`. The answer for a
    missing file includes the commit too, by which the client remembers that it is missing.
    """
    found = await run_in_threadpool(_resolve, request)
    return await arriving(request, *found) if isinstance(found, Wanted) else found


def _resolve(request: Request) -> Response | Wanted:
    repo, state = repo_to_read(request)
    sha = state.resolve(param(request, "rev"))
    store = hub_of(request).store
    path = param(request, "path")
    entry = store.commit(repo, sha).tree.get(path)
    if entry is None:
        raise HubError(404, "Entry not found", "EntryNotFound", commit=sha)
    headers = {"X-Repo-Commit": sha, "ETag": f'"{entry.etag}"', "X-Content-Type-Options": "nosniff"}
    if f'"{entry.etag}"' in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if entry.lfs:
        headers["X-Linked-Etag"] = f'"{entry.sha256}"'
        headers["X-Linked-Size"] = str(entry.size)
    if entry.xet and recipe_path(store, repo.namespace, True, entry.sha256).exists():
        token_route = f"{base_url(request)}/api/{repo.kind}s/{repo.id}/xet-read-token/{sha}"
        headers["X-Xet-Hash"] = entry.xet
        headers["X-Xet-Refresh-Route"] = token_route
        headers["Link"] = f'<{token_route}>; rel="xet-auth"'
    content = store.object_path(repo.namespace, entry.sha256)
    if content.exists():
        return BigFile(content, headers)
    if not state.upstream:
        raise HubError(500, f"{path[:200]} is lost; run `cephalo hub check`")
    return Wanted(repo, path, entry, headers)


async def arriving(
    request: Request, repo: RepoName, path: str, entry: FileEntry, headers: dict[str, str]
) -> Response:
    """Stream a file of the upstream Hub while it is fetched."""
    mirror = hub_of(request).mirror
    if mirror is None or caller(request) is None:
        raise HubError(401, f"{path[:200]} is not fetched yet; users with a token can fetch it")
    start, stop = 0, entry.size
    match = re.fullmatch(r"bytes=([0-9]{1,18})-([0-9]{0,18})", request.headers.get("range", ""))
    if match is not None:
        start = int(match[1])
        stop = min(int(match[2]) + 1, stop) if match[2] else stop
        if start >= stop:
            raise HubError(416, f"The file has {entry.size} bytes")
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{entry.size}"
    headers |= {"Content-Length": str(stop - start), "Accept-Ranges": "bytes"}
    status, kind = 200 if match is None else 206, "application/octet-stream"
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=kind)
    pieces = mirror.stream(repo, headers["X-Repo-Commit"], path, entry, start, stop)
    # If upstream does not answer, it is an error instead of a truncated file.
    first = await anext(pieces, b"")
    return StreamingResponse(_after(first, pieces), status, headers, kind)


async def _after(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


async def list_tree(request: Request) -> Response:
    """GET tree/REV[/FOLDER]?recursive&expand, all on one page."""
    run = run_costly if flag(request, "expand") else run_in_thread
    return await run(request, _list_tree, request)


def _list_tree(request: Request) -> Response:
    repo, state = repo_to_read(request)
    commit = hub_of(request).store.commit(repo, state.resolve(param(request, "rev")))
    folder = param(request, "path").strip("/") if "path" in request.path_params else ""
    found = list(_under(commit.tree, folder, flag(request, "recursive")))
    if folder and not found:
        raise HubError(404, f"{folder[:200]} does not exist", "EntryNotFound", commit=commit.sha)
    if flag(request, "expand"):
        tell_last_commits(hub_of(request).store, repo, commit, found)
    return JSONResponse(found)


def _under(tree: dict[str, FileEntry], folder: str, recursive: bool) -> Iterator[Listed]:
    """Yield the folders and files under `folder`, folders before their content."""
    prefix = f"{folder}/" if folder else ""
    seen = set()
    for path in sorted(tree):
        if not path.startswith(prefix):
            continue
        parts = path.removeprefix(prefix).split("/")
        for depth in range(1, len(parts) if recursive else min(2, len(parts))):
            inner = prefix + "/".join(parts[:depth])
            if inner not in seen:
                seen.add(inner)
                yield folder_item(inner)
        if recursive or len(parts) == 1:
            yield file_item(path, tree[path])


def tell_last_commits(store: Store, repo: RepoName, commit: Commit, found: list[Listed]) -> None:
    """Add the commit that last changed it to each path; see `last_changes`."""
    changed = last_changes(store, repo, commit)
    for item in found:
        latest = changed.get(item["path"])
        if latest is not None:
            item["lastCommit"] = {"id": latest.sha, "title": latest.title, "date": latest.date}
        item["securityFileStatus"] = None


def last_changes(store: Store, repo: RepoName, commit: Commit) -> dict[str, Commit]:
    """Return the commit that last changed each file and each folder of `commit`, by path.

    At most MAX_LOOKED_THROUGH files of trees are compared.
    """
    changed: dict[str, Commit] = {}
    left, looked = dict(commit.tree), 0
    for past in store.history(repo, commit.sha):
        before = store.commit(repo, past.parent).tree if past.parent else {}
        for path in [path for path, entry in left.items() if before.get(path) != entry]:
            del left[path]
            for name in (path, *parents(path)):
                changed.setdefault(name, dataclasses.replace(past, tree={}))
        looked += len(before) + len(left)
        if not left or looked > MAX_LOOKED_THROUGH:
            break
    return changed


def parents(path: str) -> Iterator[str]:
    """Yield the folders above `path`, nearest first."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def clashing(tree: dict[str, FileEntry]) -> set[str]:
    """Return the paths that would be both a file and a folder."""
    return {folder for path in tree for folder in parents(path)} & tree.keys()


async def paths_info(request: Request) -> Response:
    """POST paths-info/REV with a URL-encoded form; unknown paths are omitted from the answer."""
    form = await form_body(request)
    expand = form.get("expand", [""])[0].lower() in ("1", "true")
    run = run_costly if expand else run_in_thread
    return await run(request, _paths_info, request, form.get("paths", []), expand)


def _paths_info(request: Request, wanted: list[str], expand: bool) -> Response:
    repo, state = repo_to_read(request)
    commit = hub_of(request).store.commit(repo, state.resolve(param(request, "rev")))
    folders = {folder for path in commit.tree for folder in parents(path)}
    found = []
    for path in (name.strip("/") for name in wanted):
        if path in commit.tree:
            found.append(file_item(path, commit.tree[path]))
        elif path in folders:
            found.append(folder_item(path))
    if expand:
        tell_last_commits(hub_of(request).store, repo, commit, found)
    return JSONResponse(found)


def file_item(path: str, entry: FileEntry) -> Listed:
    """Return the JSON of `RepoFile`."""
    item: Listed = {"type": "file", "path": path, "size": entry.size, "oid": entry.oid}
    if entry.lfs:
        item["lfs"] = {"oid": entry.sha256, "size": entry.size, "pointerSize": 134}
    if entry.xet:
        item["xetHash"] = entry.xet
    return item


def folder_item(path: str) -> Listed:
    """Return the JSON of `RepoFolder`; there are no git trees here to take `oid` from."""
    oid = hashlib.sha1(path.encode(), usedforsecurity=False).hexdigest()
    return {"type": "directory", "path": path, "size": 0, "oid": oid}


ROUTES = [
    Route(f"{REPO}/tree/{{rev}}", list_tree),
    Route(f"{REPO}/tree/{{rev}}/{{path:path}}", list_tree),
    Route(f"{REPO}/paths-info/{{rev}}", paths_info, methods=["POST"]),
    *(
        Route(f"{prefix}/{{namespace}}/{{name}}/{verb}/{{rev}}/{{path:path}}", resolve)
        for prefix in ("/datasets", "/spaces", "")
        for verb in ("resolve", "raw")
    ),
]
