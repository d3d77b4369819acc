"""Write one shard of each table per document, and record the outcome.

Imports neither `datasets` nor other slow modules, since every worker would pay for it; the parent
passes the schemas as bytes.
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

# Key of what was excluded from a document, in the metadata of its shard.
_LEFT_OUT = {
    "scans": b"cephalo.unread_scans",
    "cut pages": b"cephalo.cut_pages",
    "garbled pages": b"cephalo.garbled_pages",
}
MEMORY_LIMIT = 4 << 30  # bytes of address space; a decompression bomb ends only its worker


@dataclass(frozen=True)
class DocumentOutcome:
    """The outcome of one document.

    Attributes:
        error: A one-line reason, None if the shard was written.
        left_out: Reasons by figure that could not be extracted.
        died: Whether the worker died.
        sentences: Number of "kept" sentences of the running text, and of excluded ones by reason.
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
    """Set up a worker process that writes shards: the schemas of the tables (Arrow IPC), and a
    memory limit."""
    for table, schema in (("figures", figures), ("text", text)):
        _schemas[table] = pa.ipc.read_schema(pa.BufferReader(schema))
    limit_memory()
    _hide_pandas()


def limit_memory() -> None:
    """Set up a worker process that only reads documents: a memory limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = MEMORY_LIMIT if hard == resource.RLIM_INFINITY else min(hard, MEMORY_LIMIT)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


class _NoPandas:
    """An import hook that makes `import pandas` fail, as if it were not installed."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name, name=name)


def _hide_pandas() -> None:
    """Make pyarrow's only search for pandas fail.

    It would load pandas, in 30 to 60 MB, to find out whether a list of rows is a Series.
    """
    hider = _NoPandas()
    sys.meta_path.insert(0, hider)
    pa.array([None])
    sys.meta_path.remove(hider)


def shard_name(stem: str, key: str) -> str:
    """Return the file name of a shard, valid on any file system. `key` is 64 hexadecimal digits."""
    safe = re.sub(r"[^\w.+]+", "-", stem).strip("-.")[:80] or "document"
    return f"{safe}-{key[:12]}.parquet"


def write_shards(
    shard: Path,
    rows: list[dict],
    passages: list[dict] | None,
    left_out: dict[str, str] | None = None,
) -> None:
    """Write OUT/text/NAME, if passages were requested, and then OUT/figures/NAME.

    A document is finished when its `figures` shard exists. `left_out` ("scans", "cut pages", ...)
    is stored in its metadata. Raises ShardError.
    """
    if passages is not None:
        _write_shard(shard.parents[1] / "text" / shard.name, passages, "text")
    _write_shard(shard, rows, "figures", left_out)


def read_left_out(shard: Path) -> dict[str, str]:
    """Return the `left_out` that `write_shards` stored."""
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
    """Write the rows of a table. Images are already compressed, and the rest is small."""
    schema = _schemas[table]
    with path.open("wb") as file:
        with pq.ParquetWriter(file, schema, compression="none", use_dictionary=False) as writer:
            if rows:  # `datasets` cannot read a row group without rows
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))
            if left_out:
                told = {_LEFT_OUT[what]: reason for what, reason in left_out.items()}
                writer.add_key_value_metadata(told)
        file.flush()
        os.fsync(file.fileno())
