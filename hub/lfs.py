"""Uploads over LFS: the batch request, then PUTs of whole files or of parts.

The client sends no Hub token with its PUTs, so each address is a ticket for one content in one
namespace (github.com/git-lfs/git-lfs, docs/api/batch.md; the multipart form with numbered addresses
is the Hub's own, see `huggingface_hub.lfs._upload_multi_part`).
"""

import re
import time
from pathlib import Path
from typing import TypedDict, cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cephalo.cli.json_files import Json
from cephalo.hub.access import BadTicket
from cephalo.hub.disk import Staged
from cephalo.hub.web import (
    WRITE_BYTES,
    Hub,
    HubError,
    base_url,
    hub_of,
    json_body,
    param,
    receive,
    repo_to_write,
    value_of,
)

TICKET_SECONDS = 24 * 3600  # enough for a large model over a slow connection
MAX_OBJECTS = 1000

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Claims(TypedDict):
    """What a ticket is for."""

    namespace: str
    oid: str
    size: int


async def batch(request: Request) -> Response:
    """POST [datasets/]ID.git/info/lfs/objects/batch: where to upload missing contents."""
    repo = await run_in_threadpool(repo_to_write, request)
    body = await json_body(request)
    if value_of(body, "operation", str) != "upload":
        raise HubError(400, "Only uploads go over LFS; downloads go over resolve/")
    objects = value_of(body, "objects", list)
    if len(objects) > MAX_OBJECTS:
        raise HubError(413, f"At most {MAX_OBJECTS} objects at once")
    multipart = "multipart" in value_of(body, "transfers", list, ["basic"])
    hub, base = hub_of(request), base_url(request)
    answers = [_instructions(hub, base, repo.namespace, item, multipart) for item in objects]
    return JSONResponse({"transfer": "multipart" if multipart else "basic", "objects": answers})


def _instructions(
    hub: Hub, base: str, namespace: str, item: Json, multipart: bool
) -> dict[str, object]:
    if not isinstance(item, dict):
        raise HubError(400, "Each of the objects must be a JSON object")
    oid, size = value_of(item, "oid", str), value_of(item, "size", int)
    if not _SHA256.fullmatch(oid) or size < 0:
        raise HubError(400, "An object needs its sha256 and its size")
    answer: dict[str, object] = {"oid": oid, "size": size}
    if hub.store.object_path(namespace, oid).exists():
        return answer
    expires = int(time.time()) + TICKET_SECONDS
    ticket = hub.tickets.issue("lfs", expires, namespace=namespace, oid=oid, size=size)
    url = f"{base}/lfs/{ticket}"
    upload: dict[str, object] = {"href": url}
    if multipart and size > hub.part_bytes:
        count = -(-size // hub.part_bytes)
        parts = {str(number): f"{url}/{number}" for number in range(1, count + 1)}
        upload["header"] = {"chunk_size": str(hub.part_bytes), **parts}
    answer["actions"] = {"upload": upload, "verify": {"href": f"{url}/verify"}}
    return answer


async def put_whole(request: Request) -> Response:
    """PUT lfs/TICKET: a whole file, stored only with the size and sha256 of the ticket."""
    hub, claims = hub_of(request), _claims(request)
    with hub.store.disk.stage() as staged:
        await receive(request, staged, claims["size"])
        await run_in_threadpool(_keep, hub, claims, staged)
    return Response(headers={"ETag": f'"{claims["oid"]}"'})


async def put_part(request: Request) -> Response:
    """PUT lfs/TICKET/N: one part, stored under tmp/ until the file is complete."""
    hub, claims = hub_of(request), _claims(request)
    text = param(request, "part")
    count = -(-claims["size"] // hub.part_bytes)
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text) or int(text) > count:
        raise HubError(404, "No such part")
    number = int(text)
    size = min(hub.part_bytes, claims["size"] - (number - 1) * hub.part_bytes)
    with hub.store.disk.stage() as staged:
        await receive(request, staged, size)
        if staged.size != size:
            raise HubError(400, f"The part has {staged.size} bytes, not {size}")
        await run_in_threadpool(staged.publish, _part_path(hub, claims, number))
        return Response(headers={"ETag": f'"{staged.sha256}"'})


async def complete(request: Request) -> Response:
    """POST lfs/TICKET: assemble the parts; the file is stored only with the right sha256."""
    claims = _claims(request)
    parts = value_of(await json_body(request), "parts", list)
    numbers = [part.get("partNumber") if isinstance(part, dict) else None for part in parts]
    await run_in_threadpool(_join, hub_of(request), claims, numbers)
    return JSONResponse({})


def _join(hub: Hub, claims: Claims, numbers: list[Json]) -> None:
    if hub.store.object_path(claims["namespace"], claims["oid"]).exists():
        return  # the answer to an earlier completion was lost
    count = -(-claims["size"] // hub.part_bytes)
    if numbers != list(range(1, count + 1)):
        raise HubError(400, f"The parts must be 1 to {count}, in order")
    paths = [_part_path(hub, claims, number) for number in range(1, count + 1)]
    with hub.store.disk.stage() as staged:
        for path in paths:
            if not path.exists():
                raise HubError(400, "A part is missing; upload the file again")
            with path.open("rb") as part:
                while data := part.read(WRITE_BYTES):
                    staged.write(data)
        _keep(hub, claims, staged)
    for path in paths:
        path.unlink(missing_ok=True)


def _keep(hub: Hub, claims: Claims, staged: Staged) -> None:
    if staged.size != claims["size"] or staged.sha256 != claims["oid"]:
        raise HubError(400, f"The content does not have the sha256 {claims['oid']}")
    staged.publish(hub.store.object_path(claims["namespace"], claims["oid"]))


def verify(request: Request) -> Response:
    """POST lfs/TICKET/verify: the client asks whether the upload arrived."""
    hub, claims = hub_of(request), _claims(request)
    path = hub.store.object_path(claims["namespace"], claims["oid"])
    if not path.exists() or path.stat().st_size != claims["size"]:
        raise HubError(404, "The object was not uploaded")
    return JSONResponse({})


def _claims(request: Request) -> Claims:
    try:
        return cast("Claims", hub_of(request).tickets.read("lfs", param(request, "ticket")))
    except BadTicket as error:
        raise HubError(401, f"This upload address is {error}") from error


def _part_path(hub: Hub, claims: Claims, number: int) -> Path:
    # Parts of one content never mix with those of another namespace or size.
    name = f"{claims['namespace']}-{claims['size']}-{claims['oid']}"
    return hub.store.disk.tmp / "parts" / f"{name}.{number}"


ROUTES = [
    *(
        Route(
            f"{prefix}/{{namespace}}/{{name}}.git/info/lfs/objects/batch", batch, methods=["POST"]
        )
        for prefix in ("/datasets", "/spaces", "")
    ),
    Route("/lfs/{ticket}", put_whole, methods=["PUT"]),
    Route("/lfs/{ticket}", complete, methods=["POST"]),
    Route("/lfs/{ticket}/verify", verify, methods=["POST"]),
    Route("/lfs/{ticket}/{part}", put_part, methods=["PUT"]),
]
