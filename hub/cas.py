"""The Xet routes: tokens, uploads of xorbs and shards, reconstructions and chunk ranges.

Guarantees:

- A read token opens the files of one revision of one repo, and only while its user may read that
  repo; guessing the hash of another file's chunks opens nothing. Chunks are fetched with tickets
  for a range of bytes of one xorb, which a reconstruction returns.
- A write token lets its user add xorbs and shards to their own namespace. Recipes can only name
  xorbs of that namespace, so knowing the hashes of a file's chunks does not give access to it.
- A recipe is only served after a commit has assembled its content and verified the sha256. Then
  neither it nor its xorbs change: the first upload of a xorb is kept.
- The hash of a xorb is not computed (BLAKE3 is not in the standard library): a wrong one only
  affects uploads to the uploader's namespace, which then fail at the commit.

Content uploaded over Xet is stored twice, as xorbs for the next Xet download and as the plain file
that everything else reads.
"""

import json
import mmap
import os
import re
import time
from array import array
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypedDict

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cephalo.hub.access import BadTicket
from cephalo.hub.disk import Staged
from cephalo.hub.names import RepoName, check_repo
from cephalo.hub.store import Store
from cephalo.hub.web import (
    REPO,
    BigFile,
    HubError,
    base_url,
    bounded_body,
    caller,
    hub_of,
    open_for,
    param,
    receive,
    repo_to_read,
    repo_to_write,
    run_costly,
)
from cephalo.hub.xet import (
    MAX_SHARD_BYTES,
    MAX_XORB_BYTES,
    BadXet,
    Chunk,
    Piece,
    ShardFile,
    Term,
    check_repeats,
    check_term,
    chunk_offsets,
    cut_term,
    parse_shard,
    unpack_chunk,
    xorb_chunks,
)

TICKET_SECONDS = 3600

_HASH = re.compile(r"[0-9a-f]{64}")
_RANGE = re.compile(r"bytes=([0-9]{1,18})-([0-9]{1,18})")


# --- on disk


def xorb_path(store: Store, namespace: str, xorb: str) -> Path:
    """Return the path of a xorb, as it was uploaded."""
    return store.folder(namespace) / "xorbs" / xorb[:2] / xorb


def recipe_path(store: Store, namespace: str, checked: bool, sha256: str) -> Path:
    """Return the path of a content's recipe, before or after a commit verified it."""
    folder = store.folder(namespace) / "xet" / ("files" if checked else "pending")
    return folder / f"{sha256}.json"


def read_xorb(path: Path) -> tuple[memoryview, list[Chunk]]:
    """Return the bytes of a xorb and the positions of its chunks. Raises BadXet and
    FileNotFoundError."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            raise BadXet("the xorb is empty")
        # Memory-mapped, so that only the headers of the chunks are read instead of 64 MiB.
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    return data, xorb_chunks(data)


def read_recipe(path: Path) -> ShardFile:
    """Read a recipe. Raises FileNotFoundError."""
    file_hash, sha256, terms = json.loads(path.read_bytes())
    return ShardFile(file_hash, sha256, [Term(*term) for term in terms])


def adopt(
    store: Store, namespace: str, sha256: str, size: int | None, left: Callable[[], bool]
) -> str | None:
    """Assemble a plain file from an upload over Xet, once, and return its Xet hash.

    Returns None if this content was not uploaded over Xet. Raises HubError if the chunks do not add
    up to `size` bytes with this sha256, and ClientDisconnect once `left` returns True.
    """
    checked = recipe_path(store, namespace, True, sha256)
    pending = recipe_path(store, namespace, False, sha256)
    # Checked twice: another commit may have verified the recipe in between.
    for path in (checked, pending, checked):
        try:
            recipe = read_recipe(path)
        except FileNotFoundError:
            continue
        if path == pending:
            try:
                _build(store, namespace, sha256, size, recipe.terms, left)
            except HubError:
                # A wrong recipe would block the next upload.
                pending.unlink(missing_ok=True)
                raise
            store.disk.write(checked, json.dumps(recipe).encode())
            pending.unlink(missing_ok=True)
        return recipe.file_hash
    return None


def _build(
    store: Store,
    namespace: str,
    sha256: str,
    size: int | None,
    terms: list[Term],
    left: Callable[[], bool],
) -> None:
    # The size first, so that a few chunks repeated a million times do not fill the disk.
    if size is None or sum(term.unpacked for term in terms) != size:
        raise HubError(400, f"The Xet upload does not have the {size} bytes of the commit")
    store.disk.need(size)
    with store.disk.stage() as staged:
        for term in terms:
            data, chunks = read_xorb(xorb_path(store, namespace, term.xorb))
            for chunk in chunks[term.start : term.end]:
                if left():
                    raise ClientDisconnect
                staged.write(unpack_chunk(data, chunk))
        if staged.sha256 != sha256:
            raise HubError(400, f"The Xet upload does not have the sha256 {sha256}")
        staged.publish(store.object_path(namespace, sha256))


# --- tokens


def token(request: Request, scope: str) -> Response:
    """GET xet-read-token/REV and xet-write-token/REV."""
    if scope == "write":
        repo = repo_to_write(request)
    else:
        repo, state = repo_to_read(request)
        state.resolve(param(request, "rev"))
    hub, user = hub_of(request), caller(request)
    expires = int(time.time()) + TICKET_SECONDS
    claims = {"scope": scope, "user": user, "repo": repo, "revision": param(request, "rev")}
    access = hub.tickets.issue("xet", expires, **claims)
    # The client caches by this address which xorbs it has uploaded; another root or namespace does
    # not have them. Nothing else depends on the last part.
    url = f"{base_url(request)}/cas/{repo.namespace}-{hub.tickets.root_id}"
    headers = {
        "X-Xet-Cas-Url": url,
        "X-Xet-Access-Token": access,
        "X-Xet-Token-Expiration": str(expires),
        "Cache-Control": "no-store",
    }
    answer = {"casUrl": url, "accessToken": access, "exp": expires}
    return JSONResponse(answer, headers=headers)


class Claims(TypedDict):
    """The claims of a Xet token: its scope, its user, and the revision of a repo."""

    scope: str
    user: str | None
    repo: RepoName
    revision: str


def _claims(request: Request, scope: str) -> Claims:
    header = request.headers.get("authorization", "").removeprefix("Bearer ")
    try:
        claims = hub_of(request).tickets.read("xet", header)
    except BadTicket as error:
        raise HubError(401, f"The Xet token is {error}") from error
    if scope == "write" and claims["scope"] != "write":
        raise HubError(403, "The Xet token is for reading")
    return {
        "scope": claims["scope"],
        "user": claims["user"],
        "repo": check_repo(*claims["repo"]),
        "revision": claims["revision"],
    }


def _hash(request: Request) -> str:
    text = param(request, "hash")
    if not _HASH.fullmatch(text):
        raise HubError(400, "A hash has 64 hex digits")
    return text


# --- uploads


async def put_xorb(request: Request) -> Response:
    """POST v1/xorbs/default/HASH."""
    namespace, xorb = _claims(request, "write")["repo"].namespace, _hash(request)
    store = hub_of(request).store
    path = xorb_path(store, namespace, xorb)
    with store.disk.stage() as staged:
        await receive(request, staged, MAX_XORB_BYTES)
        inserted = await run_in_threadpool(_keep_xorb, staged, path)
    return JSONResponse({"was_inserted": inserted})


def _keep_xorb(staged: Staged, path: Path) -> bool:
    if path.exists():
        return False
    staged.flush()
    try:
        data, chunks = read_xorb(staged.path)
        for chunk in chunks:
            unpack_chunk(data, chunk)
    except BadXet as error:
        raise HubError(400, f"The xorb cannot be parsed: {error}") from error
    staged.publish(path)
    return True


def has_xorb(request: Request) -> Response:
    """HEAD v1/xorbs/default/HASH."""
    namespace = _claims(request, "write")["repo"].namespace
    found = xorb_path(hub_of(request).store, namespace, _hash(request)).exists()
    return Response(status_code=200 if found else 404)


async def put_shard(request: Request) -> Response:
    """POST v1/shards: recipes, which a commit will verify against their sha256."""
    namespace = _claims(request, "write")["repo"].namespace
    store = hub_of(request).store
    data = await bounded_body(request, MAX_SHARD_BYTES)
    await run_costly(request, _keep_shard, store, namespace, data)
    return JSONResponse({"result": 1})


def _keep_shard(store: Store, namespace: str, data: bytes) -> None:
    offsets: dict[str, array] = {}
    try:
        files = parse_shard(data)
        for file in files:
            for term in file.terms:
                if term.xorb not in offsets:
                    chunks = read_xorb(xorb_path(store, namespace, term.xorb))[1]
                    offsets[term.xorb] = chunk_offsets(chunks)
                check_term(term, offsets[term.xorb])
            check_repeats(file, {xorb: bounds[-1] for xorb, bounds in offsets.items()})
    except BadXet as error:
        raise HubError(400, f"The shard cannot be parsed: {error}") from error
    except FileNotFoundError as error:
        raise HubError(400, "The shard names a xorb that was not uploaded") from error
    for file in files:
        # Without its sha256, no commit can name a file.
        if file.sha256 and not recipe_path(store, namespace, True, file.sha256).exists():
            path = recipe_path(store, namespace, False, file.sha256)
            store.disk.write(path, json.dumps(file).encode())


# --- downloads


def reconstruction(request: Request) -> Response:
    """GET v1/reconstructions/HASH, for a `Range` of the file or for all of it."""
    claims, file_hash = _claims(request, "read"), _hash(request)
    hub, repo = hub_of(request), claims["repo"]
    # Checked each time: the repo may have become private, or the branch may have moved.
    state = open_for(hub, claims["user"], repo)
    tree = hub.store.commit(repo, state.resolve(claims["revision"])).tree
    sha256 = next((entry.sha256 for entry in tree.values() if entry.xet == file_hash), None)
    if sha256 is None:
        raise HubError(404, "The revision of this token has no such file")
    terms = read_recipe(recipe_path(hub.store, repo.namespace, True, sha256)).terms
    start, stop = _asked(request, sum(term.unpacked for term in terms))
    skip, pieces = _pieces(hub.store, repo.namespace, terms, start, stop)
    fetch: dict[str, list[dict[str, object]]] = {}
    for piece in pieces:
        fetch.setdefault(piece.term.xorb, []).append(_fetch_info(request, repo.namespace, piece))
    return JSONResponse(
        {
            "offset_into_first_range": skip,
            "terms": [_term_json(piece.term) for piece in pieces],
            "fetch_info": fetch,
        }
    )


def _asked(request: Request, size: int) -> tuple[int, int]:
    """Return the requested range as the first byte and the one after the last."""
    header = request.headers.get("range")
    if header is None:
        return 0, size
    match = _RANGE.fullmatch(header)
    if match is None:
        raise HubError(400, "The Range must be bytes=FIRST-LAST")
    start, stop = int(match[1]), min(int(match[2]) + 1, size)
    if start >= stop:
        raise HubError(416, f"The file has {size} bytes")
    return start, stop


def _pieces(
    store: Store, namespace: str, terms: list[Term], start: int, stop: int
) -> tuple[int, list[Piece]]:
    """Return the pieces of the terms for the bytes `start` to `stop` of the file, and the number of
    bytes to skip."""
    skip, position = 0, 0
    pieces: list[Piece] = []
    for term in terms:
        low, high = max(start - position, 0), min(stop - position, term.unpacked)
        position += term.unpacked
        if low >= high:
            continue
        chunks = read_xorb(xorb_path(store, namespace, term.xorb))[1]
        before, piece = cut_term(term, chunks, low, high)
        if not pieces:
            skip = before
        pieces.append(piece)
    return skip, pieces


def _term_json(term: Term) -> dict[str, object]:
    return {
        "hash": term.xorb,
        "unpacked_length": term.unpacked,
        "range": {"start": term.start, "end": term.end},
    }


def _fetch_info(request: Request, namespace: str, piece: Piece) -> dict[str, object]:
    byte_range = {"start": piece.first_byte, "end": piece.last_byte}
    expires = int(time.time()) + TICKET_SECONDS
    claims = {"namespace": namespace, "xorb": piece.term.xorb, **byte_range}
    ticket = hub_of(request).tickets.issue("chunks", expires, **claims)
    return {
        "range": {"start": piece.term.start, "end": piece.term.end},
        "url": f"{base_url(request)}/cas/chunks/{ticket}",
        "url_range": byte_range,
    }


def get_chunks(request: Request) -> Response:
    """GET cas/chunks/TICKET with a `Range` within that of the ticket."""
    hub = hub_of(request)
    try:
        claims = hub.tickets.read("chunks", param(request, "ticket"))
    except BadTicket as error:
        # With 403 the client requests a new address.
        raise HubError(403, f"This address is {error}") from error
    match = _RANGE.fullmatch(request.headers.get("range", ""))
    if match is None or int(match[1]) < claims["start"] or int(match[2]) > claims["end"]:
        raise HubError(416, "The Range is not within the one that this address is for")
    return BigFile(xorb_path(hub.store, claims["namespace"], claims["xorb"]), {})


_CAS = "/cas/{owner}/v1"
ROUTES = [
    Route(f"{REPO}/xet-read-token/{{rev}}", partial(token, scope="read")),
    Route(f"{REPO}/xet-write-token/{{rev}}", partial(token, scope="write")),
    Route(f"{_CAS}/xorbs/default/{{hash}}", has_xorb, methods=["HEAD"]),
    Route(f"{_CAS}/xorbs/default/{{hash}}", put_xorb, methods=["POST"]),
    Route(f"{_CAS}/shards", put_shard, methods=["POST"]),
    Route(f"{_CAS}/reconstructions/{{hash}}", reconstruction),
    Route("/cas/chunks/{ticket}", get_chunks),
]
