"""Pictures of which one shows a part of another, or the whole: crops, panels, joined figures.

They are read from disk as they are compared. `python -m benchmarks.copies FOLDER` measures what is
found.
"""

import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cephalo.dataset_scripts.common.groups import Groups
from cephalo.dataset_scripts.common.processes import Processes
from cephalo.dataset_scripts.publication.dedup_images import Thumbnail, open_grey, thumbnail
from cephalo.dataset_scripts.publication.local_features import Local, local_features
from cephalo.dataset_scripts.publication.local_index import (
    EITHER,
    PARTS,
    Encoded,
    LocalIndex,
    candidates,
    decode,
    encode,
    find_votes,
)
from cephalo.dataset_scripts.publication.local_match import same_picture, shows_part

WAYS = {0: (False,), 1: (True,), EITHER: (False, True)}  # whether one is mirrored
PAIRS_A_JOB = 128  # that a process compares at a time


class Described(NamedTuple):
    """What is compared of a picture: as a whole, and its local features."""

    whole: Thumbnail
    local: Encoded


def describe(image: tuple[bytes, str]) -> Described:
    """Describe an encoded image that comes with its place, which an error names."""
    grey = open_grey(*image)
    return Described(thumbnail(grey), encode(local_features(grey)))


def pairs_of_parts(
    index: LocalIndex, groups: Groups, processes: Processes
) -> Iterator[tuple[int, int]]:
    """The pairs of pictures of other documents of which one shows a part of the other, in order.

    Those that are of one group already are not compared. The index is closed.
    """
    folder, size = index.folder, index.size
    for _ in processes.map(functools.partial(find_votes, folder, size), range(PARTS)):
        pass
    jobs = (
        pairs[start : start + PAIRS_A_JOB]
        for some in candidates(folder, size)
        for pairs in [np.array([p for p in some if groups.find(p[0]) != groups.find(p[1])])]
        for start in range(0, len(pairs), PAIRS_A_JOB)
    )
    for found in processes.map(functools.partial(compare_pairs, folder), jobs):
        yield from found


def compare_pairs(folder: Path, pairs: np.ndarray) -> list[tuple[int, int]]:
    """Those of the pairs (n, 3), as `candidates` has them, that match."""
    read = functools.lru_cache(PAIRS_A_JOB)(functools.partial(read_local, folder))
    return [
        (one, other)
        for one, other, way in pairs.tolist()
        if shows_part(read(one), read(other), WAYS[way])
    ]


def same_on_disk(folder: Path, one: int, other: int) -> bool:
    """Whether two pictures show the same, by their numbers."""
    return same_picture(read_local(folder, one), read_local(folder, other))


def read_local(folder: Path, picture: int) -> Local:
    """The local features of a picture by its number."""
    with (folder / "local.ends").open("rb") as ends, (folder / "local").open("rb") as records:
        start = 0 if picture == 0 else read_end(ends.fileno(), picture - 1)
        end = read_end(ends.fileno(), picture)
        return decode(os.pread(records.fileno(), end - start, start))


def read_end(file: int, picture: int) -> int:
    """Where the record of a picture ends."""
    return int.from_bytes(os.pread(file, 8, 8 * picture), "little")
