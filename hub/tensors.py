"""Read the parameters of a repo's safetensors files from their headers."""

import json
import math
import struct
from collections import Counter
from functools import lru_cache
from pathlib import Path

from cephalo.cli.json_files import Json
from cephalo.hub.store import FileEntry, Store

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
MAX_HEADER_BYTES = 8 << 20  # of one file; that of 60,000 tensors
MAX_INDEX_BYTES = 8 << 20
MAX_SHARDS = 200
MAX_DIMENSIONS = 16


class BadWeights(ValueError):
    """Not a safetensors header, or one above the size limit."""


def header_of(path: Path) -> dict[str, Json]:
    """Return the header of a safetensors file. Raises BadWeights."""
    with path.open("rb") as file:
        start = file.read(8)
        size = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= size <= MAX_HEADER_BYTES:
            raise BadWeights("the header is missing or too long")
        text = file.read(size)
    try:
        header: Json = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadWeights("the header is not valid JSON") from error
    if not isinstance(header, dict):
        raise BadWeights("the header is not a JSON object")
    return header


def shards_of(store: Store, namespace: str, tree: dict[str, FileEntry], index: str) -> list[str]:
    """Return the existing weight files in an index. Raises BadWeights."""
    entry = tree.get(index)
    if entry is None or entry.size > MAX_INDEX_BYTES:
        raise BadWeights("the index is missing or too long")
    try:
        content = json.loads(store.object_path(namespace, entry.sha256).read_bytes())
        names = set(content["weight_map"].values())
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise BadWeights("the index is not valid JSON with a weight_map") from error
    folder = index.rpartition("/")[0]
    paths = [f"{folder}/{name}" if folder else str(name) for name in names]
    if len(paths) > MAX_SHARDS or not set(paths) <= tree.keys():
        raise BadWeights(f"the index names missing files, or more than {MAX_SHARDS} files")
    return sorted(paths)


class Weights:
    """The parameters of models, counted once for each content."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._count = lru_cache(maxsize=1024)(self._count_file)

    def parameters(self, namespace: str, tree: dict[str, FileEntry]) -> dict[str, object] | None:
        """Return the number of parameters by dtype, or None for a repo without safetensors."""
        try:
            names = [SINGLE] if SINGLE in tree else shards_of(self._store, namespace, tree, INDEX)
            counts: Counter[str] = Counter()
            for name in names:
                counts.update(self._count(namespace, tree[name].sha256))
        except (BadWeights, FileNotFoundError):
            return None  # or not fetched from upstream yet
        return {"parameters": dict(counts), "total": sum(counts.values())}

    def _count_file(self, namespace: str, sha256: str) -> dict[str, int]:
        counts: Counter[str] = Counter()
        header = header_of(self._store.object_path(namespace, sha256))
        header.pop("__metadata__", None)
        for tensor in header.values():
            shape, dtype = (
                (tensor.get("shape"), tensor.get("dtype")) if isinstance(tensor, dict) else (0, 0)
            )
            if not isinstance(shape, list) or not isinstance(dtype, str) or len(dtype) > 16:
                raise BadWeights("a tensor without shape and dtype")
            sizes = [size for size in shape if isinstance(size, int) and 0 <= size < 1 << 48]
            if len(shape) > MAX_DIMENSIONS or len(sizes) < len(shape):
                raise BadWeights("a tensor of an impossible shape")
            counts[dtype] += math.prod(sizes)
        return dict(counts)
