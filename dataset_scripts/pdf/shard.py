"""One document to one Parquet shard of each table: what a worker process does.

Imports neither `datasets` nor anything else that is slow, since every worker pays for it; the
schemas come from the parent as bytes.
"""

import os
import re
import resource
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cephalo.dataset_scripts.pdf.document import Settings, extract_document
from cephalo.dataset_scripts.pdf.pdfium import UnreadableError

MEMORY_LIMIT = 4 << 30  # bytes of address space; a decompression bomb ends its worker only


@dataclass(frozen=True)
class Outcome:
    """What became of a document. `error` is one line; None where its shard was written.

    `left_out` maps figures that could not be had to the reason.
    """

    figures: int = 0
    pages: int = 0
    error: str | None = None
    left_out: dict[str, str] = field(default_factory=dict)


class ShardError(OSError):
    """The shard cannot be written. The message is one line."""


_schemas: dict[str, pa.Schema] = {}


def start_worker(figures: bytes, text: bytes) -> None:
    """Set up a worker process: the tables' schemas (Arrow IPC) and a limit on its memory."""
    for table, schema in (("figures", figures), ("text", text)):
        _schemas[table] = pa.ipc.read_schema(pa.BufferReader(schema))
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = MEMORY_LIMIT if hard == resource.RLIM_INFINITY else min(hard, MEMORY_LIMIT)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def shard_name(stem: str, key: str) -> str:
    """The file name of a shard, fit for any file system; `key`: 64 hexadecimal digits."""
    safe = re.sub(r"[^\w.+]+", "-", stem).strip("-.")[:80] or "document"
    return f"{safe}-{key[:12]}.parquet"


def extract_to_shard(path: Path, sha256: str, shard: Path, settings: Settings) -> Outcome:
    """Read one PDF file and write its figures to `shard`, aside first, then renamed.

    A file that cannot be read gives an Outcome with an error. Raises ShardError where the shard
    cannot be written: the disk is full, the folder is not writable.
    """
    try:
        result = extract_document(path, settings, sha256)
    except UnreadableError as error:
        return Outcome(error=str(error))
    except MemoryError:
        return Outcome(error=f"needs more than {MEMORY_LIMIT >> 30} GB of memory")
    except OSError as error:
        return Outcome(error=f"the file cannot be read: {error.strerror or error}")
    write_shards(shard, result.rows, result.passages)
    return Outcome(len(result.rows), result.pages)


def write_shards(shard: Path, rows: list[dict], passages: list[dict] | None) -> None:
    """Write OUT/figures/NAME and, where passages were asked for, OUT/text/NAME before it.

    A document is done when its `figures` shard is there. Raises ShardError.
    """
    if passages is not None:
        _write_shard(shard.parents[1] / "text" / shard.name, passages, "text")
    _write_shard(shard, rows, "figures")


def _write_shard(shard: Path, rows: list[dict], table: str) -> None:
    aside = shard.with_name(f".{shard.name}.{os.getpid()}.tmp")
    try:
        write_rows(rows, aside, table)
        aside.replace(shard)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise ShardError(f"{shard}: {error.strerror or error}") from error


def write_rows(rows: list[dict], path: Path, table: str = "figures") -> None:
    """Write rows of a table. Images are compressed already, the rest is small."""
    schema = _schemas[table]
    with path.open("wb") as file:
        with pq.ParquetWriter(file, schema, compression="none", use_dictionary=False) as writer:
            if rows:  # `datasets` stumbles over a row group without rows
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))
        file.flush()
        os.fsync(file.fileno())
