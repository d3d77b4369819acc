"""Routes about a repo's metadata: its description, and the validation of a card."""

import re
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from cephalo.hub.cards import BadCard, card_data, card_tags, has_header
from cephalo.hub.names import RepoName
from cephalo.hub.store import FileEntry, RepoState
from cephalo.hub.web import (
    MAX_JSON_BYTES,
    REPO,
    Hub,
    HubError,
    bounded_body,
    caller,
    hub_of,
    only,
    param,
    parse_object,
    repo_to_read,
    run_costly,
    value_of,
)

# huggingface_hub's `ModelCard.validate` sends no token; longer cards are validated with one.
MAX_STRANGERS_CARD_BYTES = 64 << 10


# The JSON of a repo by field, of which a query may want some.
Info: TypeAlias = dict[str, Any]


def describe(hub: Hub, repo: RepoName, state: RepoState, sha: str, blobs: bool = False) -> Info:
    """Return the JSON of `ModelInfo` and `DatasetInfo`; `blobs` adds sizes and hashes."""
    commit = hub.store.commit(repo, sha)
    card = hub.cards.data(repo.namespace, commit.tree)
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
        "tags": card_tags(repo.kind, card),
        "cardData": card,
        "library_name": card.get("library_name"),
        "pipeline_tag": card.get("pipeline_tag"),
        "sdk": card.get("sdk"),
        "safetensors": hub.weights.parameters(repo.namespace, commit.tree),
        "siblings": [sibling(path, commit.tree[path], blobs) for path in sorted(commit.tree)],
    }


def sibling(path: str, entry: FileEntry, blobs: bool) -> dict[str, object]:
    """Return the JSON of `RepoSibling`."""
    if not blobs:
        return {"rfilename": path}
    described: dict[str, object] = {"rfilename": path, "size": entry.size, "blobId": entry.oid}
    if entry.lfs:
        described["lfs"] = {"sha256": entry.sha256, "size": entry.size, "pointerSize": 134}
    return described


def repo_info(request: Request) -> Response:
    """GET /api/KINDs/ID and /api/KINDs/ID/revision/REV, with ?blobs or ?expand."""
    only(request.query_params, "blobs", "expand")
    repo, state = repo_to_read(request)
    sha = state.resolve(param(request, "rev") if "rev" in request.path_params else "main")
    described = describe(hub_of(request), repo, state, sha, flag(request, "blobs"))
    return JSONResponse(expanded(request, described))


def expanded(request: Request, described: Info) -> Info:
    """Return the fields of a description in the query's `expand`, or all of them."""
    wanted = request.query_params.getlist("expand")
    other = sorted(set(wanted) - described.keys())
    if other:
        raise HubError(400, f"This hub does not support {', '.join(map(repr, other))[:500]}")
    return {name: described[name] for name in ("_id", "id", *wanted)} if wanted else described


async def validate_yaml(request: Request) -> Response:
    """POST /api/validate-yaml: `ModelCard.validate` expects a 400 in plain text, commits expect
    JSON."""
    user = caller(request)
    limit = MAX_JSON_BYTES if user else MAX_STRANGERS_CARD_BYTES
    body = parse_object(await bounded_body(request, limit))
    text = value_of(body, "content", str)
    try:
        await run_costly(request, card_data, text)
    except BadCard as error:
        if request.headers.get("accept") == "text/plain":
            return PlainTextResponse(str(error), 400)
        return JSONResponse({"errors": [{"message": str(error)}], "warnings": []}, 400)
    warning = {"message": "empty or missing yaml metadata in README.md"}
    return JSONResponse({"errors": [], "warnings": [] if has_header(text) else [warning]})


def flag(request: Request, name: str) -> bool:
    """Return whether `name` is true in the query."""
    return request.query_params.get(name, "").lower() in ("1", "true")


def number(request: Request, name: str, default: int) -> int:
    """Return a count in the query."""
    text = request.query_params.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise HubError(400, f"{name} is not a count")
    return int(text)


ROUTES = [
    Route("/api/validate-yaml", validate_yaml, methods=["POST"]),
    Route(REPO, repo_info),
    Route(f"{REPO}/revision/{{rev}}", repo_info),
]
