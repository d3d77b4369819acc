"""Routes that write a repo's files: what to upload how, and the commit itself.

A commit is sent as JSON Lines: first a `header` (`summary`, `description`, `parentCommit`), then
`file` (content in base64), `lfsFile` (sha256 of a content uploaded over LFS or Xet), `deletedFile`
and `deletedFolder`, each as {"key": ..., "value": {...}}.
"""

import base64
import binascii
import re
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cephalo.cli.json_files import Json
from cephalo.hub.cas import adopt
from cephalo.hub.files import clashing
from cephalo.hub.gitignore import (
    MAX_GITIGNORE_BYTES,
    BadGitignore,
    check_steps,
    ignores,
    parse,
)
from cephalo.hub.info import flag
from cephalo.hub.names import BadName, RepoName, check_path
from cephalo.hub.repos import LARGE_SUFFIXES
from cephalo.hub.store import FileEntry, NotThere, Store
from cephalo.hub.web import (
    REPO,
    HubError,
    base_url,
    body_lines,
    hub_of,
    json_body,
    need_caller,
    param,
    parse_object,
    repo_to_write,
    run_while_connected,
    value_of,
)

MAX_REGULAR_BYTES = 10 << 20
MAX_LINE_BYTES = 16 << 20  # MAX_REGULAR_BYTES in base64, and its path
MAX_CHANGES = 100_000
MAX_PREUPLOAD = 1000  # files of one request; huggingface_hub sends 256
MAX_TITLE = 4096  # characters
MAX_MESSAGE = 65_536

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Change(NamedTuple):
    """Put `entry` at `path`; if it is None, delete the file or, with `folder`, the folder."""

    path: str
    entry: FileEntry | None = None
    folder: bool = False


class Uploaded(NamedTuple):
    """Put at `path` what was uploaded before; `size` is None if the commit does not say it."""

    path: str
    sha256: str
    size: int | None


async def preupload(request: Request) -> Response:
    """POST preupload/REV: for each file, "regular" or "lfs", and the hash of its stored version.

    The client does not upload files with an unchanged hash, nor files that are ignored by the
    `.gitignore` of the request or of the repo.
    """
    body = await json_body(request)
    files = value_of(body, "files", list)
    if len(files) > MAX_PREUPLOAD:
        raise HubError(413, f"At most {MAX_PREUPLOAD} files at once")
    sent = None if body.get("gitIgnore") is None else value_of(body, "gitIgnore", str)
    return await run_in_threadpool(_preupload, request, files, sent)


def _preupload(request: Request, files: list[Json], sent: str | None) -> Response:
    repo = repo_to_write(request)
    store = hub_of(request).store
    sha = store.load(repo).resolve(param(request, "rev"))
    tree = store.commit(repo, sha).tree
    described = [file for file in files if isinstance(file, dict)]
    if len(described) < len(files):
        raise HubError(400, "Each of the files must be a JSON object")
    paths = [check_path(value_of(file, "path", str)) for file in described]
    try:
        patterns = parse(gitignore_of(store, repo, tree) if sent is None else sent)
        check_steps(patterns, paths)
    except BadGitignore as error:
        raise HubError(400, str(error)) from error
    answers = []
    for file, path in zip(described, paths, strict=True):
        # As in git, a file that is already in the repo stays tracked.
        ignored = path not in tree and ignores(patterns, path)
        answer = {"path": path, "uploadMode": upload_mode(path, file), "shouldIgnore": ignored}
        # Without its hash, the client sends a file again, for instance one that was lost.
        if path in tree and store.object_path(repo.namespace, tree[path].sha256).exists():
            answer["oid"] = tree[path].etag
        answers.append(answer)
    return JSONResponse({"files": answers, "commitOid": sha})


def gitignore_of(store: Store, repo: RepoName, tree: dict[str, FileEntry]) -> str:
    """Return the text of the `.gitignore` in a tree, "" if it has none or its content is lost.

    Raises BadGitignore.
    """
    entry = tree.get(".gitignore")
    if entry is None:
        return ""
    if entry.size > MAX_GITIGNORE_BYTES:
        raise BadGitignore(f".gitignore is longer than {MAX_GITIGNORE_BYTES} bytes")
    path = store.object_path(repo.namespace, entry.sha256)
    return path.read_text("utf-8", "replace") if path.exists() else ""


def upload_mode(path: str, file: dict[str, Json]) -> str:
    """Return "lfs" for large and binary files; `sample` is the start of the file in base64."""
    if path.lower().endswith(tuple(f".{suffix}" for suffix in LARGE_SUFFIXES)):
        return "lfs"
    if value_of(file, "size", int) >= MAX_REGULAR_BYTES:
        return "lfs"
    sample = value_of(file, "sample", str, "")
    return "lfs" if b"\0" in from_base64(sample) else "regular"


def from_base64(text: str) -> bytes:
    """Decode, or answer 400."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise HubError(400, "The content is not valid base64") from error


async def commit(request: Request) -> Response:
    """POST commit/REV[?create_pr]: all of the changes or none."""
    repo = await run_in_threadpool(repo_to_write, request)
    header: dict[str, Json] | None = None
    changes: list[Change | Uploaded] = []
    async for line in body_lines(request, MAX_LINE_BYTES):
        if not line.strip():
            continue
        item = parse_object(line)
        key, value = value_of(item, "key", str), value_of(item, "value", dict)
        if header is None:
            if key != "header":
                raise HubError(400, "A commit starts with its header")
            header = value
        elif len(changes) == MAX_CHANGES:
            raise HubError(413, f"A commit has at most {MAX_CHANGES} changes")
        else:
            store = hub_of(request).store
            changes.append(await run_in_threadpool(read_change, store, repo, key, value))
    if header is None:
        raise HubError(400, "The commit is empty")
    return await run_while_connected(request, partial(_commit, request, repo, header, changes))


def read_change(
    store: Store, repo: RepoName, key: str, value: dict[str, Json]
) -> Change | Uploaded:
    """Check one line of a commit and store the content that it brings."""
    path = value_of(value, "path", str)
    if key == "deletedFile":
        return Change(path)
    if key == "deletedFolder":
        return Change(path.rstrip("/"), folder=True)
    check_path(path)
    if key == "file":
        data = from_base64(value_of(value, "content", str))
        if len(data) > MAX_REGULAR_BYTES:
            raise HubError(413, f"{path} is too large for a regular file; upload it over LFS")
        return Change(path, store.add_content(repo.namespace, data))
    if key == "lfsFile":
        sha256 = value_of(value, "oid", str)
        if not _SHA256.fullmatch(sha256):
            raise HubError(400, f"{path}: the oid is not a sha256")
        # A copy of a file in the repo has no size.
        size = None if value.get("size") is None else value_of(value, "size", int)
        return Uploaded(path, sha256, size)
    raise HubError(400, f"A commit has no {key[:100]!r}")


def find_uploaded(
    store: Store, repo: RepoName, uploaded: Uploaded, left: Callable[[], bool]
) -> Change:
    """Return the change by a file that was uploaded before, over LFS or Xet."""
    path, sha256, size = uploaded
    xet = adopt(store, repo.namespace, sha256, size, left)
    try:
        entry = store.lfs_entry(repo.namespace, sha256, xet)
    except FileNotFoundError as error:
        raise HubError(400, f"{path}: no content with sha256 {sha256} was uploaded") from error
    if size not in (None, entry.size):
        raise HubError(400, f"{path} has {entry.size} bytes, not the size in the commit")
    return Change(path, entry)


def _commit(
    request: Request,
    repo: RepoName,
    header: dict[str, Json],
    lines: list[Change | Uploaded],
    left: Callable[[], bool],
) -> Response:
    title = value_of(header, "summary", str)
    message = value_of(header, "description", str, "")
    if len(title) > MAX_TITLE or len(message) > MAX_MESSAGE:
        limits = f"{MAX_TITLE} characters, a description {MAX_MESSAGE}"
        raise HubError(400, f"A summary has at most {limits}")
    expected = value_of(header, "parentCommit", str, "")
    revision, user = param(request, "rev"), need_caller(request)
    store = hub_of(request).store
    page = f"{base_url(request)}/{repo.url_path}"
    changes = [
        find_uploaded(store, repo, line, left) if isinstance(line, Uploaded) else line
        for line in lines
    ]
    with store.edit(repo) as state:
        parent = state.resolve(revision)
        if expected and not parent.startswith(expected):
            raise HubError(
                412,
                "A commit has happened since. The branch was updated since you opened this page. "
                "Please refresh and try again.",
            )
        pull, ref = flag(request, "create_pr"), state.branch(revision)
        if ref is None:
            # Pull requests against a commit are rejected, as on the Hub.
            message = f"{revision[:200]} is neither a branch nor a pull request"
            raise HubError(404 if pull else 400, message, "RevisionNotFound" if pull else "")
        tree = apply(store.commit(repo, parent).tree, changes)
        sha = store.add_commit(repo, state, parent, tree, title, message, user)
        answer = {
            "success": True,
            "commitOid": sha,
            "commitUrl": f"{page}/commit/{sha}",
            "hookOutput": "",
        }
        if pull:
            number = state.new_pull(title, user, sha, ref)
            answer["pullRequestUrl"] = f"{page}/discussions/{number}"
        else:
            state.refs[ref] = sha
    return JSONResponse(answer)


def apply(tree: dict[str, FileEntry], changes: list[Change]) -> dict[str, FileEntry]:
    """Apply changes in order, and return a new tree.

    Raises NotThere for the deletion of a missing path, and BadName for a path that would be both a
    file and a folder.
    """
    tree = dict(tree)
    for path, entry, folder in changes:
        if entry is not None:
            tree[path] = entry
        elif path in tree and not folder:
            del tree[path]
        else:
            # `deletedFile` of a folder deletes the folder, as on the Hub.
            inside = [name for name in tree if name.startswith(f"{path}/")]
            if not inside:
                kind = "folder" if folder else "file"
                raise NotThere("EntryNotFound", f"A {kind} with this name doesn't exist: {path}")
            for name in inside:
                del tree[name]
    if clash := clashing(tree):
        raise BadName(f"{min(clash)!r} would be a file and a folder")
    return tree


ROUTES = [
    Route(f"{REPO}/preupload/{{rev}}", preupload, methods=["POST"]),
    Route(f"{REPO}/commit/{{rev}}", commit, methods=["POST"]),
]
