"""Routes about whole repos: the caller, create, delete, move, settings."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cephalo.cli.json_files import Json
from cephalo.hub.names import RepoName, check_repo
from cephalo.hub.web import (
    REPO,
    Hub,
    HubError,
    base_url,
    hub_of,
    json_body,
    need_caller,
    only,
    repo_to_read,
    repo_to_write,
    value_of,
    writable,
)

# Suffixes of files that are uploaded over LFS or Xet whatever their size: binary formats of models,
# datasets and images. The first commit of a repo lists them in .gitattributes.
LARGE_SUFFIXES = (
    *("safetensors", "bin", "pt", "pth", "gguf", "h5", "msgpack", "onnx", "ckpt", "model"),
    *("parquet", "arrow", "npy", "npz", "pkl", "zip", "gz", "tar", "zst", "7z"),
    *("png", "jpg", "jpeg", "gif", "webp", "tif", "tiff", "pdf", "mp4", "wav"),
)
VISIBILITIES = ("public", "private")
SDKS = ("gradio", "streamlit", "docker", "static")


def gitattributes() -> bytes:
    """Return the first file of a new repo."""
    return "".join(
        f"*.{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LARGE_SUFFIXES
    ).encode()


def whoami(request: Request) -> Response:
    """GET /api/whoami-v2."""
    user = need_caller(request)
    token = {"displayName": "token", "role": "write"}
    return JSONResponse(
        {
            "type": "user",
            "id": user,
            "name": user,
            "fullname": user,
            "email": None,
            "emailVerified": True,
            "isPro": False,
            "canPay": False,
            "orgs": [],
            "auth": {"type": "access_token", "accessToken": token},
        }
    )


def auth_check(request: Request) -> Response:
    """GET /api/KINDs/ID/auth-check."""
    repo_to_read(request)
    return JSONResponse({})


async def create(request: Request) -> Response:
    """POST /api/repos/create; 409 if the repo exists."""
    user = need_caller(request)
    body = await json_body(request)
    only(body, "name", "organization", "type", "visibility", "private", "sdk")
    repo = _repo_in_body(body, user)
    if repo.namespace != user:
        message = f"You don't have the rights to create a {repo.kind} under the namespace"
        raise HubError(403, f"{message} {repo.namespace}")
    sdk = value_of(body, "sdk", str, "")
    if sdk and (repo.kind != "space" or sdk not in SDKS):
        raise HubError(400, f"sdk {sdk[:100]!r} is not supported; Spaces have {', '.join(SDKS)}")
    return await run_in_threadpool(_create, request, repo, bool(private_of(body)), sdk)


def _create(request: Request, repo: RepoName, private: bool, sdk: str) -> Response:
    store = hub_of(request).store
    first = {".gitattributes": store.add_content(repo.namespace, gitattributes())}
    if sdk:
        first["README.md"] = store.add_content(repo.namespace, f"---\nsdk: {sdk}\n---\n".encode())
    created = store.create(repo, private, first)
    repo = store.spelled(repo)
    state = store.load(repo)
    answer = {
        "url": f"{base_url(request)}/{repo.url_path}",
        "name": repo.id,
        "id": state.key,
        "private": state.private,
    }
    if not created:
        return JSONResponse({"error": f"You already created this {repo.kind} repo", **answer}, 409)
    return JSONResponse(answer)


async def delete(request: Request) -> Response:
    """DELETE /api/repos/delete."""
    repo = _repo_in_body(await json_body(request), need_caller(request))
    repo = await run_in_threadpool(writable, request, repo)
    await run_in_threadpool(hub_of(request).store.delete, repo)
    return JSONResponse({})


async def move(request: Request) -> Response:
    """POST /api/repos/move, within the caller's namespace."""
    user = need_caller(request)
    body = await json_body(request)
    kind = value_of(body, "type", str, "model")
    source = check_repo(kind, *split_id(value_of(body, "fromRepo", str)))
    target = check_repo(kind, *split_id(value_of(body, "toRepo", str)))
    source = await run_in_threadpool(writable, request, source)
    if target.namespace != user:
        raise HubError(403, "A repo can only move within its namespace")
    if not await run_in_threadpool(hub_of(request).store.move, source, target):
        raise HubError(409, f"A {kind} repository called {target.id} already exists")
    return JSONResponse({})


async def settings(request: Request) -> Response:
    """PUT /api/KINDs/ID/settings: visibility."""
    repo = await run_in_threadpool(repo_to_write, request)
    body = await json_body(request)
    only(body, "visibility", "private")
    private = private_of(body)
    return await run_in_threadpool(_set_private, hub_of(request), repo, private)


def _set_private(hub: Hub, repo: RepoName, private: bool | None) -> Response:
    with hub.store.edit(repo) as state:
        if private is not None:
            state.private = private
    return JSONResponse({"private": state.private})


def private_of(body: dict[str, Json]) -> bool | None:
    """Return whether a repo should be private; None if unspecified. Older clients send
    `private`."""
    private = None if body.get("private") is None else value_of(body, "private", bool)
    if body.get("visibility") is None:
        return private
    visibility = value_of(body, "visibility", str)
    if visibility not in VISIBILITIES:
        raise HubError(
            400,
            f"visibility {visibility[:100]!r} is not supported; use {' or '.join(VISIBILITIES)}",
        )
    if private is not None and private != (visibility == "private"):
        raise HubError(
            400, f"visibility {visibility!r} and private {private} contradict each other"
        )
    return visibility == "private"


def _repo_in_body(body: dict[str, Json], user: str) -> RepoName:
    namespace = value_of(body, "organization", str, user)
    name = value_of(body, "name", str)
    return check_repo(value_of(body, "type", str, "model"), namespace, name)


def split_id(repo_id: str) -> list[str]:
    """Return namespace and name of a repo, or answer 400."""
    parts = repo_id.split("/")
    if len(parts) != 2:
        raise HubError(400, f"{repo_id[:200]!r} is not NAMESPACE/NAME")
    return parts


ROUTES = [
    Route("/api/whoami-v2", whoami),
    Route("/api/repos/create", create, methods=["POST"]),
    Route("/api/repos/delete", delete, methods=["DELETE"]),
    Route("/api/repos/move", move, methods=["POST"]),
    Route(f"{REPO}/auth-check", auth_check),
    Route(f"{REPO}/settings", settings, methods=["PUT"]),
]
