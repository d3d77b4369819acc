"""Read Parquet shards a few rows at a time, and write them with bounded size and memory."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from cephalo.cli.errors import CephaloError
from cephalo.cli.rows import Row

if TYPE_CHECKING:
    from datasets import Features

READ_BYTES = 1 << 20  # of one column at a time
MAX_SHARD_BYTES = 500_000_000  # as in `datasets.config.MAX_SHARD_SIZE`
MAX_GROUP_BYTES = 32_000_000  # of images held in memory by one writer
MAX_GROUP_ROWS = 100  # small row groups keep the Hub's viewer and streaming fast


def count_rows(shards: Iterable[Path]) -> int:
    """Return the number of rows of all shards. Raises CephaloError if one cannot be read."""
    return sum(open_shard(shard).metadata.num_rows for shard in shards)


def read_rows(shards: Iterable[Path], columns: Iterable[str], batch_rows: int = 1) -> Iterator[Row]:
    """Yield the rows of all shards in order, with undecoded images and `batch_rows` in memory.

    Raises CephaloError if a shard cannot be read or lacks a column.
    """
    columns = list(columns)
    for shard in shards:
        file = open_shard(shard)
        if missing := sorted(set(columns) - set(file.schema_arrow.names)):
            raise CephaloError(
                f"{shard} has no column {', '.join(map(repr, missing))}; delete it and run the "
                "step that wrote it"
            )
        try:
            for batch in file.iter_batches(batch_rows, columns=columns):
                yield from batch.to_pylist()
        except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
            raise damaged(shard, error) from error


def open_shard(shard: Path) -> pq.ParquetFile:
    """Open a Parquet file for buffered reading. Raises CephaloError if it is not one."""
    try:
        return pq.ParquetFile(shard, buffer_size=READ_BYTES, pre_buffer=False)
    except (OSError, pa.ArrowException) as error:
        raise damaged(shard, error) from error


def damaged(shard: Path, error: Exception) -> CephaloError:
    """Return the error for a shard that cannot be read."""
    # From the system rather than the content.
    if isinstance(error, OSError) and error.errno is not None:
        return CephaloError(f"cannot read {shard}: {os.strerror(error.errno)}")
    return CephaloError(
        f"{shard} is not a complete Parquet file ({type(error).__name__}); "
        "delete it and run the step that wrote it"
    )


def row_images(row: Row) -> list[Row]:
    """Return the undecoded images of a row of any table."""
    return row["images"] if "images" in row else [row["image"]]


def row_groups(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield groups of rows of bounded number and image bytes."""
    group: list[Row] = []
    size = 0
    for row in rows:
        more = sum(len(image["bytes"]) for image in row_images(row))
        if group and (len(group) == MAX_GROUP_ROWS or size + more > MAX_GROUP_BYTES):
            yield group
            group, size = [], 0
        group.append(row)
        size += more
    if group:
        yield group


class ShardWriter:
    """Writes FOLDER/SPLIT-00000.parquet, SPLIT-00001.parquet, ... with explicit features.

    `rows` and `bytes` (of the files) count what has been written.
    """

    def __init__(self, folder: Path, split: str, features: "Features") -> None:
        self.folder, self.split, self.schema = folder, split, features.arrow_schema
        self.rows = self.bytes = self.shards = 0
        self._group: list[Row] = []
        self._group_bytes = 0
        self._writer: pq.ParquetWriter | None = None
        self._path: Path | None = None

    def add(self, row: Row) -> None:
        """Append one row; its images are undecoded {"bytes", "path"}."""
        self._group.append(row)
        self._group_bytes += sum(len(image["bytes"]) for image in row_images(row))
        self.rows += 1
        if self._group_bytes >= MAX_GROUP_BYTES or len(self._group) >= MAX_GROUP_ROWS:
            self._write_group()

    def close(self) -> None:
        """Write the remaining rows."""
        self._write_group()
        self._close_shard()

    def _write_group(self) -> None:
        if not self._group:
            return
        if self._writer is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._path = self.folder / f"{self.split}-{self.shards:05d}.parquet"
            # With content-defined chunks, Xet uploads only what changed.
            self._writer = pq.ParquetWriter(
                self._path, self.schema, use_content_defined_chunking=True
            )
            self.shards += 1
        assert self._path is not None
        self._writer.write_table(pa.Table.from_pylist(self._group, schema=self.schema))
        self._group, self._group_bytes = [], 0
        if self._path.stat().st_size >= MAX_SHARD_BYTES:
            self._close_shard()

    def _close_shard(self) -> None:
        if self._writer is not None and self._path is not None:
            self._writer.close()
            self._writer = None
            self.bytes += self._path.stat().st_size
