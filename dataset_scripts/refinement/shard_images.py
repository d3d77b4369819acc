"""The images of shards, read when they are wanted: a shard can hold more than fits into memory."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from threading import Lock
from typing import Any

import pyarrow as pa

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.common.shards import damaged, open_shard

KEPT = 32 << 20  # bytes; the tasks of one figure and the figures of one document come together


class Images:
    """Undecoded images by shard and row. Those read last are kept; threads take turns."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.kept: OrderedDict[tuple[Path, int], bytes] = OrderedDict()
        self.size = 0
        self.shard: Path | None = None  # that is being read, with the rows its groups start at
        self.starts: list[int] = []
        self.rows: Iterator[bytes] = iter(())
        self.place = 0  # of the next of `rows`

    def filled(self, shard: Path, figures: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """FIGURES rows of a shard, which have their "row" and "crop", with the bytes of their
        images.

        Raises CephaloError if the shard cannot be read, OSError if a crop cannot be.
        """
        return [
            figure | {"image": figure["image"] | {"bytes": self.bytes_of(shard, figure)}}
            for figure in figures
        ]

    def bytes_of(self, shard: Path, figure: dict[str, Any]) -> bytes:
        """The image of a row: of its corrected box, or as it stands in the shard."""
        crop: Path | None = figure["crop"]
        return crop.read_bytes() if crop else self.image(shard, figure["row"])

    def image(self, shard: Path, row: int) -> bytes:
        """The image in a row of a shard. Raises CephaloError if it cannot be read."""
        with self.lock:
            if (shard, row) not in self.kept:
                self.read(shard, row)
            if (shard, row) not in self.kept:
                raise CephaloError(f"{shard} changed while it was read; run it again")
            self.kept.move_to_end((shard, row))
            return self.kept[shard, row]

    def read(self, shard: Path, row: int) -> None:
        """Read on to a row, from where the last reading ended or from the start of a row group."""
        if shard != self.shard:
            self.starts = group_starts(shard)
        start = max(one for one in self.starts if one <= row)
        if shard != self.shard or not start <= self.place <= row:
            self.shard, self.place = shard, start
            self.rows = images_from(shard, self.starts.index(start))
        for data in self.rows:
            self.keep(shard, self.place, data)
            self.place += 1
            if self.place > row:
                return

    def keep(self, shard: Path, row: int, data: bytes) -> None:
        """Keep an image, and let go of those that were wanted longest ago."""
        self.size += len(data) - len(self.kept.pop((shard, row), b""))
        self.kept[shard, row] = data
        while self.size > KEPT and len(self.kept) > 1:
            self.size -= len(self.kept.popitem(last=False)[1])


def group_starts(shard: Path) -> list[int]:
    """The number of the first row of each row group."""
    facts = open_shard(shard).metadata
    counts = [facts.row_group(number).num_rows for number in range(facts.num_row_groups)]
    return [0, *accumulate(counts)][: len(counts)]


def images_from(shard: Path, group: int) -> Iterator[bytes]:
    """The images of a shard from a row group on; empty if there is none."""
    file = open_shard(shard)
    groups = range(group, file.num_row_groups)
    try:
        for batch in file.iter_batches(1, row_groups=groups, columns=["image"]):
            for image in batch.column(0).to_pylist():
                yield (image or {}).get("bytes") or b""
    except (OSError, pa.ArrowException) as error:
        raise damaged(shard, error) from error
