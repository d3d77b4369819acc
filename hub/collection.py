"""Routes about collections and their items: create, read, list, change, delete.

A collection is one JSON file, ROOT/collections/OWNER/ID.json. Its slug is OWNER/TITLE-ID, of which
only OWNER and ID are significant.
"""

import json
import re
import secrets
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import NotRequired, TypedDict

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cephalo.cli.json_files import Json
from cephalo.hub.names import RepoName, check_repo, check_user
from cephalo.hub.store import now
from cephalo.hub.web import (
    Hub,
    HubError,
    caller,
    hub_of,
    json_body,
    need_caller,
    only,
    open_for,
    param,
    value_of,
)

MAX_TITLE = 60  # characters, as on the Hub
MAX_ITEMS = 1000
THEMES = ("orange", "blue", "green", "purple", "pink", "indigo")
ID = re.compile(r"[0-9a-f]{24}")


class Item(TypedDict):
    """An item of a collection."""

    _id: str
    id: str
    type: str
    note: str


class Collection(TypedDict):
    """The content of a collection's file."""

    id: str
    title: str
    owner: str
    private: bool
    description: str
    updated: str
    items: list[Item]
    theme: NotRequired[str]


_writing = threading.Lock()  # a file is read, changed and replaced by one request at a time


def list_collections(request: Request) -> Response:
    """GET /api/collections?owner: those that the caller may read."""
    owner, user = check_user(request.query_params.get("owner", "")), caller(request)
    files = sorted(folder(hub_of(request), owner).glob("*.json"))
    found: list[Collection] = [json.loads(file.read_bytes()) for file in files]
    shown = [describe(request, one) for one in found if not one["private"] or user == owner]
    for one in shown:
        del one["position"]  # the client counts them itself
    return JSONResponse(shown)


async def create(request: Request) -> Response:
    """POST /api/collections; 409 with the slug if the owner has one with that title."""
    user, body = need_caller(request), await json_body(request)
    title, owner = value_of(body, "title", str), value_of(body, "namespace", str, user)
    if owner != user:
        raise HubError(403, f"You don't have the rights to create a collection of {owner[:100]}")
    if not 0 < len(title) <= MAX_TITLE:
        raise HubError(400, f"A title has 1 to {MAX_TITLE} characters")
    made: Collection = {
        "id": secrets.token_hex(12),
        "title": title,
        "owner": user,
        "private": value_of(body, "private", bool, False),
        "description": value_of(body, "description", str, "")[:150],
        "updated": now(),
        "items": [],
    }
    return await run_in_threadpool(_create, request, made)


def _create(request: Request, made: Collection) -> Response:
    hub = hub_of(request)
    with _writing:
        for file in folder(hub, made["owner"]).glob("*.json"):
            other: Collection = json.loads(file.read_bytes())
            if other["title"] == made["title"]:
                message = "You already have a collection of that title"
                return JSONResponse({"error": message, "slug": slug(other)}, 409)
        save(hub, made)
    return JSONResponse(describe(request, made))


def read(request: Request) -> Response:
    """GET /api/collections/SLUG."""
    return JSONResponse(describe(request, collection(request)))


def delete(request: Request) -> Response:
    """DELETE /api/collections/SLUG."""
    with _writing:
        found = owned(request)
        path(hub_of(request), found).unlink()
    return JSONResponse({})


async def add_item(request: Request) -> Response:
    """POST /api/collections/SLUG/items; 409 for an existing item."""
    body = await json_body(request)
    return await run_in_threadpool(_add_item, request, body)


def _add_item(request: Request, body: dict[str, Json]) -> Response:
    hub, user = hub_of(request), need_caller(request)
    with _writing:
        found = owned(request)
        repo = item_repo(value_of(body, "item", dict))
        open_for(hub, user, repo)
        if any((item["type"], item["id"]) == (repo.kind, repo.id) for item in found["items"]):
            raise HubError(409, "The item is in the collection already")
        if len(found["items"]) >= MAX_ITEMS:
            raise HubError(400, f"A collection has at most {MAX_ITEMS} items")
        note = value_of(body, "note", str, "")[:500]
        item: Item = {"_id": secrets.token_hex(12), "id": repo.id, "type": repo.kind, "note": note}
        found["items"].append(item)
        found["updated"] = now()
        save(hub, found)
    return JSONResponse(describe(request, found))


def item_repo(item: Mapping[str, object]) -> RepoName:
    """Return the repo of an item; other items are not supported."""
    namespace, _, name = value_of(item, "id", str).partition("/")
    return check_repo(value_of(item, "type", str), namespace, name)


async def change(request: Request) -> Response:
    """PATCH /api/collections/SLUG: title, description, private, theme."""
    body = await json_body(request)
    only(body, "title", "description", "private", "theme")
    return await run_in_threadpool(_change, request, body)


def _change(request: Request, body: dict[str, Json]) -> Response:
    with _writing:
        found = owned(request)
        found["title"] = value_of(body, "title", str, found["title"])
        if not 0 < len(found["title"]) <= MAX_TITLE:
            raise HubError(400, f"A title has 1 to {MAX_TITLE} characters")
        found["description"] = value_of(body, "description", str, found["description"])[:150]
        found["theme"] = value_of(body, "theme", str, found.get("theme", THEMES[0]))
        if found["theme"] not in THEMES:
            raise HubError(400, f"theme is one of {', '.join(THEMES)}")
        if body.get("private") is not None:
            found["private"] = value_of(body, "private", bool)
        found["updated"] = now()
        save(hub_of(request), found)
    return JSONResponse({"success": True, "data": describe(request, found)})


async def change_item(request: Request) -> Response:
    """PATCH /api/collections/SLUG/items/ID: note, position."""
    body = await json_body(request)
    only(body, "note", "position")
    return await run_in_threadpool(_change_item, request, body)


def _change_item(request: Request, body: dict[str, Json]) -> Response:
    with _writing:
        found = owned(request)
        item, place = _take_item(request, found)
        item["note"] = value_of(body, "note", str, item["note"])[:500]
        place = value_of(body, "position", int, place)
        found["items"].insert(max(place, 0), item)
        found["updated"] = now()
        save(hub_of(request), found)
    return JSONResponse({"success": True})


def delete_item(request: Request) -> Response:
    """DELETE /api/collections/SLUG/items/ID."""
    with _writing:
        found = owned(request)
        _take_item(request, found)
        found["updated"] = now()
        save(hub_of(request), found)
    return JSONResponse({"success": True})


def _take_item(request: Request, found: Collection) -> tuple[Item, int]:
    """Remove the item in the address from a collection; return it and its position."""
    for place, item in enumerate(found["items"]):
        if item["_id"] == param(request, "item"):
            return found["items"].pop(place), place
    raise HubError(404, "The item is not in the collection")


def collection(request: Request) -> Collection:
    """Return the collection in the address, if the caller may read it."""
    owner, number = check_user(param(request, "owner")), param(request, "slug")[-24:]
    missing = HubError(404, "Collection not found")
    if not ID.fullmatch(number):
        raise missing
    try:
        content = (folder(hub_of(request), owner) / f"{number}.json").read_bytes()
    except FileNotFoundError as error:
        raise missing from error
    found: Collection = json.loads(content)
    if found["private"] and caller(request) != owner:
        raise missing
    return found


def owned(request: Request) -> Collection:
    """Return the collection in the address, if it is the caller's."""
    user, found = need_caller(request), collection(request)
    if found["owner"] != user:
        raise HubError(403, "You don't have the rights to change this collection")
    return found


def describe(request: Request, found: Collection) -> dict[str, object]:
    """Return the JSON of `Collection`, with the items that the caller may read."""
    items = [item for item in found["items"] if readable(request, item)]
    return {
        "slug": slug(found),
        "title": found["title"],
        "description": found["description"],
        "owner": {"name": found["owner"], "type": "user"},
        "items": [
            {**item, "position": place, "note": {"text": item["note"]} if item["note"] else None}
            for place, item in enumerate(items)
        ],
        "lastUpdated": found["updated"],
        "position": 0,
        "private": found["private"],
        "theme": found.get("theme", THEMES[0]),
        "upvotes": 0,
    }


def readable(request: Request, item: Item) -> bool:
    """Return whether the repo of an item exists and the caller may read it."""
    try:
        open_for(hub_of(request), caller(request), item_repo(item))
    except HubError:
        return False
    return True


def slug(found: Collection) -> str:
    """Return OWNER/TITLE-ID, with the title in lower-case letters, digits and "-"."""
    title = re.sub(r"[^a-z0-9]+", "-", found["title"].lower()).strip("-")
    return f"{found['owner']}/{title}-{found['id']}".replace("/-", "/")


def folder(hub: Hub, owner: str) -> Path:
    """Return the folder of an owner's collections."""
    return hub.store.disk.root / "collections" / owner


def path(hub: Hub, found: Collection) -> Path:
    """Return the file of a collection."""
    return folder(hub, found["owner"]) / f"{found['id']}.json"


def save(hub: Hub, found: Collection) -> None:
    """Write the file of a collection atomically."""
    hub.store.disk.write(path(hub, found), json.dumps(found).encode())


ROUTES = [
    Route("/api/collections", list_collections),
    Route("/api/collections", create, methods=["POST"]),
    Route("/api/collections/{owner}/{slug}", read),
    Route("/api/collections/{owner}/{slug}", delete, methods=["DELETE"]),
    Route("/api/collections/{owner}/{slug}", change, methods=["PATCH"]),
    Route("/api/collections/{owner}/{slug}/items/{item}", change_item, methods=["PATCH"]),
    Route("/api/collections/{owner}/{slug}/items/{item}", delete_item, methods=["DELETE"]),
    Route("/api/collections/{owner}/{slug}/items", add_item, methods=["POST"]),
]
