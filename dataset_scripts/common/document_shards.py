"""A shard of each table for each document: what became of it, and how its rows are written.

Imports neither `datasets` nor anything else that is slow, since every worker pays for it; the
schemas come from the parent as bytes.
"""

import os
import re
import resource
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cephalo.cli.files import replacing

# What was left out of a document, in the metadata of its shard's Parquet file.
_LEFT_OUT = {"scans": b"cephalo.unread_scans", "cut pages": b"cephalo.cut_pages"}
MEMORY_LIMIT = 4 << 30  # bytes of address space; a decompression bomb ends its worker only


@dataclass(frozen=True)
class DocumentOutcome:
    """What became of a document. `error` is one line; None if its shard was written.

    `left_out` maps figures that could not be extracted to the reason; `died` is true if the
    worker died. `sentences` counts those of the running text that were "kept", and those left out
    by the reason.
    """

    figures: int = 0
    pages: int = 0
    error: str | None = None
    died: bool = False
    left_out: dict[str, str] = field(default_factory=dict)
    sentences: Counter[str] = field(default_factory=Counter)


class ShardError(OSError):
    """The shard cannot be written. The message is one line."""


_schemas: dict[str, pa.Schema] = {}


def start_worker(figures: bytes, text: bytes) -> None:
    """Set up a worker process that writes shards: the tables' schemas (Arrow IPC), and a limit on
    its memory."""
    for table, schema in (("figures", figures), ("text", text)):
        _schemas[table] = pa.ipc.read_schema(pa.BufferReader(schema))
    limit_memory()
    _hide_pandas()


def limit_memory() -> None:
    """Set up a worker process that only looks at documents: a limit on its memory."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = MEMORY_LIMIT if hard == resource.RLIM_INFINITY else min(hard, MEMORY_LIMIT)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


class _NoPandas:
    """Makes `import pandas` fail, as where it is not installed."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name, name=name)


def _hide_pandas() -> None:
    """Let pyarrow look for pandas, which it does once, and not find it.

    It would load it, in 30 to 60 MB, to see whether a list of rows is a Series.
    """
    hider = _NoPandas()
    sys.meta_path.insert(0, hider)
    pa.array([None])
    sys.meta_path.remove(hider)


def shard_name(stem: str, key: str) -> str:
    """The file name of a shard, fit for any file system; `key`: 64 hexadecimal digits."""
    safe = re.sub(r"[^\w.+]+", "-", stem).strip("-.")[:80] or "document"
    return f"{safe}-{key[:12]}.parquet"


def write_shards(
    shard: Path,
    rows: list[dict],
    passages: list[dict] | None,
    left_out: dict[str, str] | None = None,
) -> None:
    """Write OUT/figures/NAME and, where passages were asked for, OUT/text/NAME before it.

    A document is done when its `figures` shard is there; what it says was `left_out` ("scans",
    "cut pages") is kept in that. Raises ShardError.
    """
    if passages is not None:
        _write_shard(shard.parents[1] / "text" / shard.name, passages, "text")
    _write_shard(shard, rows, "figures", left_out)


def read_left_out(shard: Path) -> dict[str, str]:
    """What `write_shards` was told of pages that were left out, with the reasons."""
    metadata = pq.read_metadata(shard).metadata or {}
    return {what: metadata[key].decode() for what, key in _LEFT_OUT.items() if key in metadata}


def _write_shard(
    shard: Path, rows: list[dict], table: str, left_out: dict[str, str] | None = None
) -> None:
    try:
        with replacing(shard, shared=True) as aside:
            write_rows(rows, aside, table, left_out)
    except OSError as error:
        raise ShardError(f"{shard}: {error.strerror or error}") from error


def write_rows(
    rows: list[dict], path: Path, table: str = "figures", left_out: dict[str, str] | None = None
) -> None:
    """Write rows of a table. Images are compressed already, the rest is small."""
    schema = _schemas[table]
    with path.open("wb") as file:
        with pq.ParquetWriter(file, schema, compression="none", use_dictionary=False) as writer:
            if rows:  # `datasets` stumbles over a row group without rows
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))
            if left_out:
                told = {_LEFT_OUT[what]: reason for what, reason in left_out.items()}
                writer.add_key_value_metadata(told)
        file.flush()
        os.fsync(file.fileno())
