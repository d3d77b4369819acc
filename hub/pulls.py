"""Routes about pull requests: open, list, comment, close, merge.

A pull request is a ref, refs/pr/N, and an entry of `RepoState.pulls`. Discussions without one are
not supported.
"""

import re
import secrets
from collections.abc import Callable
from typing import TypedDict

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cephalo.cli.json_files import Json
from cephalo.hub.files import clashing
from cephalo.hub.names import RepoName
from cephalo.hub.pull_records import Author, Event, Pull
from cephalo.hub.store import FileEntry, RepoState, Store, now
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
    value_of,
)

MAX_EVENTS = 1000
MAX_TEXT = 65_536  # characters of a comment
MAX_TITLE = 200
STATUSES = ("open", "closed")
MAIN = "refs/heads/main"


async def create(request: Request) -> Response:
    """POST discussions: an empty pull request."""
    body = await json_body(request)
    if not value_of(body, "pullRequest", bool, False):
        raise HubError(501, "This hub has pull requests, but no other discussions")
    title = text_of(body, "title", MAX_TITLE)
    description = text_of(body, "description", MAX_TEXT) if body.get("description") else ""

    def open_pull() -> int:
        with hub_of(request).store.edit(repo_to_write(request)) as state:
            user = need_caller(request)
            number = state.new_pull(title, user, state.resolve("main"))
            if description:
                add_event(state.pulls[number - 1], user, "comment", comment(user, description))
            return number

    return JSONResponse({"num": await run_in_threadpool(open_pull)})


def list_pulls(request: Request) -> Response:
    """GET discussions, newest first, all on one page."""
    query = request.query_params
    only(query, "type", "status", "author", "p")
    repo, state = repo_to_read(request)
    pulls = [_describe(request, repo, state, number) for number in range(len(state.pulls), 0, -1)]
    asked = {"closed": ("closed", "merged"), "open": ("open", "draft")}.get(query.get("status", ""))
    found = [
        pull
        for pull in pulls
        if query.get("type") != "discussion"
        and query.get("author", pull["author"]["name"]) == pull["author"]["name"]
        and (asked is None or pull["status"] in asked)
    ]
    return JSONResponse({"discussions": found, "count": len(found), "start": 0})


def get_pull(request: Request) -> Response:
    """GET discussions/N."""
    repo, state = repo_to_read(request)
    return JSONResponse(_describe(request, repo, state, number_of(request, state)))


def number_of(request: Request, state: RepoState) -> int:
    """Return the number of the pull request in the address, or answer 404."""
    text = request.path_params["number"]
    if not re.fullmatch(r"[1-9][0-9]{0,5}", text) or int(text) > len(state.pulls):
        raise HubError(404, "No such discussion")
    return int(text)


class Described(TypedDict):
    """The JSON of `DiscussionWithDetails`."""

    num: int
    title: str
    author: Author
    createdAt: str
    status: str
    isPullRequest: bool
    repo: dict[str, str]
    changes: dict[str, str | None]
    filesWithConflicts: list[str]
    events: list[Event]
    diff: str
    url: str


def _describe(request: Request, repo: RepoName, state: RepoState, number: int) -> Described:
    pull = state.pulls[number - 1]
    return {
        "num": number,
        "title": pull["title"],
        "author": {"name": pull["author"]},
        "createdAt": pull["created"],
        "status": pull.get("status", "draft"),
        "isPullRequest": True,
        "repo": {"name": repo.id, "type": repo.kind},
        "changes": {"base": pull.get("base", MAIN), "mergeCommitId": pull.get("merged")},
        "filesWithConflicts": [],
        "events": pull.get("events", []),
        "diff": "",
        "url": f"{base_url(request)}/{repo.url_path}/discussions/{number}",
    }


# --- changes


def text_of(body: dict[str, Json], key: str, limit: int) -> str:
    """Return a text of the body, of 1 to `limit` characters."""
    text = value_of(body, key, str).strip()
    if not 0 < len(text) <= limit:
        raise HubError(400, f"{key} has 1 to {limit} characters")
    return text


def comment(user: str, text: str) -> dict[str, object]:
    """Return the data of a comment's event."""
    latest = {"raw": text, "html": "", "updatedAt": now(), "author": {"name": user}}
    return {"edited": False, "hidden": False, "latest": latest, "history": [latest]}


def add_event(pull: Pull, user: str, kind: str, data: dict[str, object]) -> Event:
    """Append to the events of a pull request, and return the new one."""
    events = pull.setdefault("events", [])
    if len(events) >= MAX_EVENTS:
        raise HubError(400, f"A pull request has at most {MAX_EVENTS} events")
    event: Event = {
        "id": secrets.token_hex(12),
        "type": kind,
        "createdAt": now(),
        "data": data,
        "author": {"name": user},
    }
    events.append(event)
    return event


async def add_comment(request: Request) -> Response:
    """POST discussions/N/comment."""
    text = text_of(await json_body(request), "comment", MAX_TEXT)

    def add(pull: Pull, user: str) -> dict[str, Event]:
        return {"newMessage": add_event(pull, user, "comment", comment(user, text))}

    return await _edit(request, add)


async def edit_comment(request: Request) -> Response:
    """POST discussions/N/comment/ID/edit."""
    text = text_of(await json_body(request), "content", MAX_TEXT)

    def edit(pull: Pull, user: str) -> dict[str, Event]:
        event = comment_of(request, pull)
        changed = comment(user, text)
        event["data"] |= changed | {"edited": True, "hidden": event["data"]["hidden"]}
        return {"updatedComment": event}

    return await _edit(request, edit)


async def hide_comment(request: Request) -> Response:
    """POST discussions/N/comment/ID/hide: delete its text permanently."""

    def hide(pull: Pull, user: str) -> dict[str, Event]:
        event = comment_of(request, pull)
        event["data"] = comment(user, "This comment has been hidden") | {"hidden": True}
        return {"updatedComment": event}

    return await _edit(request, hide)


def comment_of(request: Request, pull: Pull) -> Event:
    """Return the comment in the address, or answer 404."""
    for event in pull.get("events", []):
        if event["id"] == request.path_params["comment"] and event["type"] == "comment":
            return event
    raise HubError(404, "No such comment")


async def rename(request: Request) -> Response:
    """POST discussions/N/title."""
    title = text_of(await json_body(request), "title", MAX_TITLE)

    def change(pull: Pull, user: str) -> dict[str, Event]:
        event = add_event(pull, user, "title-change", {"from": pull["title"], "to": title})
        pull["title"] = title
        return {"newTitle": event}

    return await _edit(request, change)


async def set_status(request: Request) -> Response:
    """POST discussions/N/status: open or closed."""
    body = await json_body(request)
    status = value_of(body, "status", str)
    if status not in STATUSES:
        raise HubError(400, f"status is one of {', '.join(STATUSES)}")
    text = text_of(body, "comment", MAX_TEXT) if body.get("comment") else ""

    def change(pull: Pull, user: str) -> dict[str, Event]:
        if pull.get("status") == "merged":
            raise HubError(400, "The pull request is merged already")
        if text:
            add_event(pull, user, "comment", comment(user, text))
        pull["status"] = status
        return {"newStatus": add_event(pull, user, "status-change", {"status": status})}

    return await _edit(request, change)


async def _edit(request: Request, change: Callable[[Pull, str], dict[str, Event]]) -> Response:
    def edit() -> dict[str, Event]:
        repo = repo_to_write(request)
        with hub_of(request).store.edit(repo) as state:
            return change(state.pulls[number_of(request, state) - 1], need_caller(request))

    return JSONResponse(await run_in_threadpool(edit))


# --- merging


async def merge(request: Request) -> Response:
    """POST discussions/N/merge: the changes of a pull request become one commit on its branch."""
    body = await json_body(request)
    text = text_of(body, "comment", MAX_TEXT) if body.get("comment") else ""
    return await run_in_threadpool(_merge, request, text)


def _merge(request: Request, text: str) -> Response:
    repo, user, store = repo_to_write(request), need_caller(request), hub_of(request).store
    with store.edit(repo) as state:
        number = number_of(request, state)
        pull = state.pulls[number - 1]
        if (status := pull.get("status")) in ("merged", "closed"):
            raise HubError(400, f"The pull request is {status} already")
        base = pull.get("base", MAIN)
        if base not in state.refs:
            raise HubError(409, f"{base} does not exist any more")
        main, head = state.refs[base], state.refs[f"refs/pr/{number}"]
        tree = merged_tree(store, repo, main, head)
        title = f"{pull['title']} (#{number})"
        sha = store.add_commit(repo, state, main, tree, title, "", user)
        state.refs[base] = sha
        if text:
            add_event(pull, user, "comment", comment(user, text))
        add_event(pull, user, "status-change", {"status": "merged"})
        pull["status"], pull["merged"] = "merged", sha
    return JSONResponse({})


def merged_tree(store: Store, repo: RepoName, main: str, head: str) -> dict[str, FileEntry]:
    """Return the files of a branch with the changes of `head` since they diverged; 409 on a
    conflict."""
    on_main = {commit.sha for commit in store.history(repo, main)}
    common = (commit.tree for commit in store.history(repo, head) if commit.sha in on_main)
    base = next(common, {})
    ours, theirs = store.commit(repo, main).tree, store.commit(repo, head).tree
    changed = {path for path in base | theirs if base.get(path) != theirs.get(path)}
    clashes = {path for path in changed if ours.get(path) not in (base.get(path), theirs.get(path))}
    merged = {path: entry for path, entry in ours.items() if path not in changed}
    merged |= {path: theirs[path] for path in changed if path in theirs}
    if clashes := clashes or clashing(merged):
        raise HubError(409, f"Conflicts: {', '.join(sorted(clashes))[:500]}")
    return merged


_PULLS = f"{REPO}/discussions"
ROUTES = [
    Route(_PULLS, list_pulls),
    Route(_PULLS, create, methods=["POST"]),
    Route(f"{_PULLS}/{{number}}", get_pull),
    Route(f"{_PULLS}/{{number}}/comment", add_comment, methods=["POST"]),
    Route(f"{_PULLS}/{{number}}/comment/{{comment}}/edit", edit_comment, methods=["POST"]),
    Route(f"{_PULLS}/{{number}}/comment/{{comment}}/hide", hide_comment, methods=["POST"]),
    Route(f"{_PULLS}/{{number}}/title", rename, methods=["POST"]),
    Route(f"{_PULLS}/{{number}}/status", set_status, methods=["POST"]),
    Route(f"{_PULLS}/{{number}}/merge", merge, methods=["POST"]),
]
