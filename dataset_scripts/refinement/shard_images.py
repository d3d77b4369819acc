"""Read the images of shards on demand, since a shard can be larger than memory."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from threading import Lock

import pyarrow as pa

from cephalo.cli.errors import CephaloError
from cephalo.cli.rows import Row
from cephalo.dataset_scripts.common.shards import damaged, open_shard

KEPT = 32 << 20  # bytes; the tasks of a figure and the figures of a document are consecutive


class Images:
    """A cache of undecoded images by shard and row. It is thread-safe, and evicts the least
    recently used."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.kept: OrderedDict[tuple[Path, int], bytes] = OrderedDict()
        self.size = 0
        self.shard: Path | None = None  # being read; `starts` are the first rows of its groups
        self.starts: list[int] = []
        self.rows: Iterator[bytes] = iter(())
        self.place = 0  # row of the next of `rows`

    def filled(self, shard: Path, figures: Iterable[Row]) -> list[Row]:
        """Add the bytes of their images to FIGURES rows of a shard that have a "row" and a "crop".

        Raises CephaloError if the shard cannot be read, OSError if a crop cannot be read.
        """
        return [
            figure | {"image": figure["image"] | {"bytes": self.bytes_of(shard, figure)}}
            for figure in figures
        ]

    def bytes_of(self, shard: Path, figure: Row) -> bytes:
        """Return the image of a row: the crop of its corrected box, or the one in the shard."""
        crop: Path | None = figure["crop"]
        return crop.read_bytes() if crop else self.image(shard, figure["row"])

    def image(self, shard: Path, row: int) -> bytes:
        """Return the image in a row of a shard. Raises CephaloError if it cannot be read."""
        with self.lock:
            if (shard, row) not in self.kept:
                self.read(shard, row)
            if (shard, row) not in self.kept:
                raise CephaloError(f"{shard} changed while it was read; run it again")
            self.kept.move_to_end((shard, row))
            return self.kept[shard, row]

    def read(self, shard: Path, row: int) -> None:
        """Read up to a row, from the current position or from the start of the row group."""
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
        """Store an image, and evict the least recently used ones."""
        self.size += len(data) - len(self.kept.pop((shard, row), b""))
        self.kept[shard, row] = data
        while self.size > KEPT and len(self.kept) > 1:
            self.size -= len(self.kept.popitem(last=False)[1])


def group_starts(shard: Path) -> list[int]:
    """Return the number of the first row of each row group."""
    facts = open_shard(shard).metadata
    counts = [facts.row_group(number).num_rows for number in range(facts.num_row_groups)]
    return [0, *accumulate(counts)][: len(counts)]


def images_from(shard: Path, group: int) -> Iterator[bytes]:
    """Yield the images of a shard from a row group on."""
    file = open_shard(shard)
    groups = range(group, file.num_row_groups)
    try:
        for batch in file.iter_batches(1, row_groups=groups, columns=["image"]):
            for image in batch.column(0).to_pylist():
                yield (image or {}).get("bytes") or b""
    except (OSError, pa.ArrowException) as error:
        raise damaged(shard, error) from error
