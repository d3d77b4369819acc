"""The route for the metadata of a model's shards."""

import json

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cephalo.hub.tensors import BadWeights, header_of, shards_of
from cephalo.hub.web import HubError, hub_of, param, repo_to_read, run_costly


async def sharded_metadata(request: Request) -> Response:
    """GET safetensors-metadata/INDEX: the header of every shard on main."""
    return await run_costly(request, _sharded_metadata, request)


def _sharded_metadata(request: Request) -> Response:
    repo, state = repo_to_read(request)
    store, path = hub_of(request).store, param(request, "path")
    tree = store.commit(repo, state.resolve("main")).tree
    if path not in tree:
        raise HubError(404, "Entry not found", "EntryNotFound")
    try:
        shards = shards_of(store, repo.namespace, tree, path)
        folder = path.rpartition("/")[0]
        headers = {
            shard.removeprefix(f"{folder}/"): header_of(
                store.object_path(repo.namespace, tree[shard].sha256)
            )
            for shard in shards
        }
    except BadWeights as error:
        raise HubError(400, f"{path[:200]}: {error}") from error
    except FileNotFoundError as error:
        raise HubError(404, f"{path[:200]}: not all shards are here", "EntryNotFound") from error
    index = json.loads(store.object_path(repo.namespace, tree[path].sha256).read_bytes())
    metadata = index.get("metadata")
    return JSONResponse({"index": {"metadata": metadata}, "headers": headers})


ROUTES = [
    Route("/api/models/{namespace}/{name}/safetensors-metadata/{path:path}", sharded_metadata)
]
