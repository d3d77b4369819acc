"""What a repo says about itself: its description, the lists of repos, the check of a card."""

import re
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from cephalo.model_cards.hub.cards import BadCard, card_data
from cephalo.model_cards.hub.names import RepoName, check_repo
from cephalo.model_cards.hub.store import FileEntry, NotThere, RepoState
from cephalo.model_cards.hub.web import (
    Hub,
    HubError,
    base_url,
    caller,
    hub_of,
    json_body,
    param,
    repo_to_read,
    value_of,
)

PAGE = 1000


def describe(
    hub: Hub, repo: RepoName, state: RepoState, sha: str, blobs: bool = False
) -> dict[str, Any]:
    """The JSON that `ModelInfo` and `DatasetInfo` are made from; `blobs` adds sizes and hashes."""
    commit = hub.store.commit(repo, sha)
    card = hub.cards.data(repo.namespace, commit.tree)
    tags = card.get("tags")
    return {
        "_id": state.key,
        "id": repo.id,
        "modelId": repo.id,
        "author": repo.namespace,
        "sha": sha,
        "createdAt": state.created,
        "lastModified": commit.date,
        "private": state.private,
        "gated": False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": [str(tag) for tag in tags] if isinstance(tags, list) else [],
        "cardData": card,
        "library_name": card.get("library_name"),
        "pipeline_tag": card.get("pipeline_tag"),
        "siblings": [sibling(path, commit.tree[path], blobs) for path in sorted(commit.tree)],
    }


def sibling(path: str, entry: FileEntry, blobs: bool) -> dict[str, Any]:
    """The JSON that `RepoSibling` is made from."""
    if not blobs:
        return {"rfilename": path}
    described = {"rfilename": path, "size": entry.size, "blobId": entry.oid}
    if entry.lfs:
        described["lfs"] = {"sha256": entry.sha256, "size": entry.size, "pointerSize": 134}
    return described


def repo_info(request: Request) -> Response:
    """GET /api/KINDs/ID and /api/KINDs/ID/revision/REV."""
    repo, state = repo_to_read(request)
    revision = param(request, "rev") if "rev" in request.path_params else "main"
    blobs = flag(request, "blobs")
    return JSONResponse(describe(hub_of(request), repo, state, state.resolve(revision), blobs))


def list_repos(request: Request) -> Response:
    """GET /api/KINDs?author&search&filter&limit&cursor&full: the repos that the caller may read."""
    kind = request.path_params["kind"].removesuffix("s")
    check_repo(kind, "any", "any")
    query, user = request.query_params, caller(request)
    limit, start = number(request, "limit", PAGE), number(request, "cursor", 0)
    found = []
    for repo in hub_of(request).store.names(kind):
        if query.get("author", repo.namespace) != repo.namespace:
            continue
        if query.get("search", "").lower() not in repo.id.lower():
            continue
        described = _listed(request, repo, user)
        if described is not None:
            found.append(described)
    headers = {}
    if start + limit < len(found):
        following = request.url.include_query_params(cursor=start + limit).query
        headers["Link"] = f'<{base_url(request)}/api/{kind}s?{following}>; rel="next"'
    return JSONResponse(found[start : start + limit], headers=headers)


def _listed(request: Request, repo: RepoName, user: str | None) -> dict[str, Any] | None:
    hub = hub_of(request)
    try:
        state = hub.store.load(repo)
        if state.private and user != repo.namespace:
            return None
        described = describe(hub, repo, state, state.resolve("main"))
    except NotThere:
        return None  # deleted since its name was read
    marks = {*described["tags"], described["library_name"], described["pipeline_tag"]}
    if not marks.issuperset(request.query_params.getlist("filter")):
        return None
    if not flag(request, "full"):
        del described["siblings"]
    return described


async def validate_yaml(request: Request) -> Response:
    """POST /api/validate-yaml: cards ask for a 400 in plain text, commits read one in JSON."""
    text = value_of(await json_body(request), "content", str)
    try:
        await run_in_threadpool(card_data, text)
    except BadCard as error:
        if request.headers.get("accept") == "text/plain":
            return PlainTextResponse(str(error), 400)
        return JSONResponse({"errors": [{"message": str(error)}], "warnings": []}, 400)
    return JSONResponse({"errors": [], "warnings": []})


def flag(request: Request, name: str) -> bool:
    """Whether the query says yes to `name`."""
    return request.query_params.get(name, "").lower() in ("1", "true")


def number(request: Request, name: str, default: int) -> int:
    """A count in the query."""
    text = request.query_params.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise HubError(400, f"{name} is no count")
    return int(text)


ROUTES = [
    Route("/api/validate-yaml", validate_yaml, methods=["POST"]),
    Route("/api/{kind}", list_repos),
    Route("/api/{kind}/{namespace}/{name}", repo_info),
    Route("/api/{kind}/{namespace}/{name}/revision/{rev}", repo_info),
]
