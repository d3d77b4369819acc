"""One document to one Parquet shard: what a worker process does.

Imports neither `datasets` nor anything else that is slow, since every worker pays for it; the
schema comes from the parent as bytes.
"""

import os
import resource
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cephalo.dataset_scripts.pdf.document import Settings, extract_document
from cephalo.dataset_scripts.pdf.pdfium import UnreadableError

MEMORY_LIMIT = 4 << 30  # bytes of address space; a decompression bomb ends its worker only


@dataclass(frozen=True)
class Outcome:
    """What became of a document. `error` is one line; None where its shard was written."""

    figures: int = 0
    pages: int = 0
    error: str | None = None


class ShardError(OSError):
    """The shard cannot be written. The message is one line."""


_schema: pa.Schema | None = None


def start_worker(schema: bytes) -> None:
    """Set up a worker process: the shard's schema (Arrow IPC) and a limit on its memory."""
    global _schema
    _schema = pa.ipc.read_schema(pa.BufferReader(schema))
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = MEMORY_LIMIT if hard == resource.RLIM_INFINITY else min(hard, MEMORY_LIMIT)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


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
    aside = shard.with_name(f".{shard.name}.{os.getpid()}.tmp")
    try:
        write_rows(result.rows, aside)
        aside.replace(shard)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise ShardError(f"{shard}: {error.strerror or error}") from error
    return Outcome(len(result.rows), result.pages)


def write_rows(rows: list[dict], path: Path) -> None:
    """Write rows of the `figures` table. The images are compressed already, the rest is small."""
    with path.open("wb") as file:
        with pq.ParquetWriter(file, _schema, compression="none", use_dictionary=False) as writer:
            if rows:  # `datasets` stumbles over a row group without rows
                writer.write_table(pa.Table.from_pylist(rows, schema=_schema))
        file.flush()
        os.fsync(file.fileno())
