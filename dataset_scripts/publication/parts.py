"""Find images that show a part or all of another image: crops, panels, joined figures.

Images are read from disk as they are compared. `python -m benchmarks.copies FOLDER` measures the
recall.
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

WAYS = {0: (False,), 1: (True,), EITHER: (False, True)}  # which orientations to try
PAIRS_A_JOB = 128  # per call of a process


class Described(NamedTuple):
    """The features by which an image is compared: as a whole, and its local features."""

    whole: Thumbnail
    local: Encoded


def describe(image: tuple[bytes, str]) -> Described:
    """Describe an encoded image, given with its place for error messages."""
    grey = open_grey(*image)
    return Described(thumbnail(grey), encode(local_features(grey)))


def pairs_of_parts(
    index: LocalIndex, groups: Groups, processes: Processes
) -> Iterator[tuple[int, int]]:
    """Yield, in order, the pairs of images of different documents of which one shows a part of the
    other.

    Pairs within a group are not compared. The index is closed.
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
    """Return those of the pairs (n, 3), as from `candidates`, that match."""
    read = functools.lru_cache(PAIRS_A_JOB)(functools.partial(read_local, folder))
    return [
        (one, other)
        for one, other, way in pairs.tolist()
        if shows_part(read(one), read(other), WAYS[way])
    ]


def same_on_disk(folder: Path, one: int, other: int) -> bool:
    """Return whether two images, by their numbers, show the same."""
    return same_picture(read_local(folder, one), read_local(folder, other))


def read_local(folder: Path, picture: int) -> Local:
    """Read the local features of an image by its number."""
    with (folder / "local.ends").open("rb") as ends, (folder / "local").open("rb") as records:
        start = 0 if picture == 0 else read_end(ends.fileno(), picture - 1)
        end = read_end(ends.fileno(), picture)
        return decode(os.pread(records.fileno(), end - start, start))


def read_end(file: int, picture: int) -> int:
    """Return where the record of an image ends."""
    return int.from_bytes(os.pread(file, 8, 8 * picture), "little")
