"""Pictures that may show parts of each other, found among millions on disk by local features.

Each keypoint has a number in each of several orders of its bits (`keys_of`). All numbers of an
order are sorted, in parts, and those beside each other that begin alike are a vote for their two
pictures, the heavier the longer they agree (an LSH forest; Bawa, Condie and Ganesan, WWW 2005).
Votes must agree on a rotation and a scale. What recurs in very many pictures, as the letters of a
common font do, is beside only a few of them, so it joins none by itself. The cost is bounded by the
number of keypoints times `WINDOW`, whatever the pictures are.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from cephalo.dataset_scripts.publication.local_features import KEY_BITS, KEY_BYTES, Local, keys_of

# Files of postings, by their order and their first 8 bits; each is sorted in memory.
PARTS_AN_ORDER = 256
PARTS = PARTS_AN_ORDER * len(KEY_BYTES)
OWN_BITS = 28  # first bits in which keypoints of one picture differ: hatching counts once
BUFFERED = 4_000_000  # postings in memory before they are appended to the files, 48 MB
WINDOW = 10  # postings behind each, in their order, with which it is compared
# Bits of two numbers that must agree, in a corpus of 256 pictures. With each doubling, strangers
# agree by chance in about one bit more among those first, and two more in the best of all votes.
MIN_BITS, MIN_BITS_GROWTH, SCORE_GROWTH = 18, 1, 2
SMALL_CORPUS = 256
CANDIDATES = 8  # with which a picture is compared, at most, of those that come later
FEW_KEYPOINTS = 10  # added to a picture's, by whose root its votes are divided: one vote is chance
# A pair may be mirrored or not where the other way has so large a share of the best one's votes: of
# 185 crops by 20 % a share of 0.34 lost one more, and saved no time.
AS_LIKELY, EITHER = 0.2, 2
TURNS, OCTAVES = 16, 8  # intervals of the rotation; the largest change of scale
PICTURES_A_RANGE = 100_000  # whose votes are counted at a time
JPEG_QUALITY = 80

POSTING = np.dtype([("word", "<u8"), ("picture", "<u4")])
"""A keypoint: number (48 bits), whether mirrored (1), angle (8), logarithm of the size (7)."""
VOTE = np.dtype([("pair", "<u8"), ("transform", "<u2"), ("weight", "<u2")])
"""Numbers of two pictures, the lower one first; mirrored, rotation and scale; bits that agree."""
KEYPOINT = np.dtype(
    [("x", "<u2"), ("y", "<u2"), ("size", "<f2"), ("angle", "<f2"), ("signs", "u1", 16)]
)
"""A keypoint on disk; x and y in 64ths of a pixel."""


class Encoded(NamedTuple):
    """Local features as they are kept: for comparison, and the postings' words in each order, (n,)
    uint64."""

    record: bytes
    words: tuple[np.ndarray, ...]


def encode(local: Local) -> Encoded:
    """Local features as they are kept on disk."""
    stored = np.empty(len(local.points), KEYPOINT)
    for column, name in enumerate(("x", "y")):
        stored[name] = np.clip(local.points[:, column] * 64, 0, 65535)
    stored["size"], stored["angle"] = local.points[:, 2], local.points[:, 3]
    stored["signs"] = local.signs
    picture = cv2.imencode(".jpg", local.picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    counts = np.array([len(stored), local.indexed], "<u2").tobytes()
    words = tuple(words_of(local, order) for order in range(len(KEY_BYTES)))
    return Encoded(counts + stored.tobytes() + picture.tobytes(), words)


def words_of(local: Local, order: int) -> np.ndarray:
    """The postings' words of the keypoints that differ, in an order of the bits, (n,) uint64."""
    keys, mirrored = keys_of(local.signs[: local.indexed], order)
    _, _, sizes, angles = local.points[: local.indexed].T
    angle = np.floor(angles / (2 * math.pi) * 256).astype(np.int64) % 256
    size = np.clip(np.log2(np.maximum(sizes, 1)) * 16, 0, 127).astype(np.int64)
    tail = (mirrored.astype(np.int64) << 15 | angle << 7 | size).astype(np.uint64)
    _, first = np.unique(keys >> np.uint64(KEY_BITS - OWN_BITS), return_index=True)
    return (keys << np.uint64(16) | tail)[np.sort(first)]


def decode(record: bytes) -> Local:
    """Local features from disk."""
    count, indexed = np.frombuffer(record[:4], "<u2").tolist()
    end = 4 + count * KEYPOINT.itemsize
    stored = np.frombuffer(record[4:end], KEYPOINT)
    points = np.column_stack(
        [stored["x"] / 64, stored["y"] / 64, stored["size"], stored["angle"]]
    ).astype(np.float32)
    picture = cv2.imdecode(np.frombuffer(record[end:], np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture is not None  # a JPEG of our own
    return Local(points, stored["signs"].copy(), picture, indexed)


class LocalIndex:
    """Local features of pictures on disk, about 18 KB each, and 36 bytes a keypoint beside."""

    def __init__(self, folder: Path) -> None:
        self.size = 0
        self.folder = folder
        self._records = (folder / "local").open("wb")
        self._ends = (folder / "local.ends").open("wb")
        self._documents = (folder / "local.documents").open("wb")
        self._keypoints = (folder / "local.keypoints").open("wb")
        self._postings: list[list[np.ndarray]] = [[] for _ in KEY_BYTES]  # by order
        self._buffered = 0

    def add(self, document: int, encoded: Encoded) -> None:
        """Append a picture of a document, by their numbers; pictures count from 0."""
        self._records.write(encoded.record)
        self._ends.write(self._records.tell().to_bytes(8, "little"))
        self._documents.write(document.to_bytes(4, "little"))
        self._keypoints.write(max(map(len, encoded.words), default=0).to_bytes(2, "little"))
        for order, words in enumerate(encoded.words):
            postings = np.empty(len(words), POSTING)
            postings["word"], postings["picture"] = words, self.size
            self._postings[order].append(postings)
            self._buffered += len(postings)
        if self._buffered >= BUFFERED:
            self._flush()
        self.size += 1

    def close(self) -> None:
        """Write what is left; pictures can be found then."""
        self._flush()
        for file in (self._records, self._ends, self._documents, self._keypoints):
            file.close()

    def _flush(self) -> None:
        for order, waiting in enumerate(self._postings):
            if waiting:
                self._append(order, np.concatenate(waiting))
                waiting.clear()
        self._buffered = 0

    def _append(self, order: int, postings: np.ndarray) -> None:
        """Append postings of an order to its parts."""
        parts = postings["word"] >> np.uint64(64 - 8)
        sorting = np.argsort(parts, kind="stable")
        bounds = np.searchsorted(parts[sorting], np.arange(PARTS_AN_ORDER + 1))
        for part in range(PARTS_AN_ORDER):
            if bounds[part] < bounds[part + 1]:
                with (self.folder / f"postings-{order * PARTS_AN_ORDER + part}").open("ab") as file:
                    file.write(postings[sorting[bounds[part] : bounds[part + 1]]].tobytes())


def growth(pictures: int) -> float:
    """How many times a corpus is twice as large as a small one."""
    return max(math.log2(max(pictures, 1) / SMALL_CORPUS), 0)


def find_votes(folder: Path, pictures: int, part: int) -> None:
    """Write the votes of a part of the postings, sorted by pair."""
    path = folder / f"postings-{part}"
    if not path.exists():
        return
    postings = np.fromfile(path, POSTING)
    documents = np.fromfile(folder / "local.documents", "<u4")
    # They lie in the order of the pictures, so a stable order is the same in every run.
    postings = postings[np.argsort(postings["word"], kind="stable")]
    min_bits = round(MIN_BITS + MIN_BITS_GROWTH * growth(pictures))
    found = [
        votes_between(postings[:-step], postings[step:], documents, min_bits)
        for step in range(1, min(WINDOW, len(postings) - 1) + 1)
    ]
    if found:
        add_up(np.concatenate(found)).tofile(folder / f"votes-{part}")


def votes_between(
    ones: np.ndarray, others: np.ndarray, documents: np.ndarray, min_bits: int
) -> np.ndarray:
    """The votes of postings, each with the other at its place, as (n,) `VOTE`."""
    close = (ones["word"] ^ others["word"]) < np.uint64(1 << (64 - min_bits))
    close &= documents[ones["picture"]] != documents[others["picture"]]
    ones, others = ones[close], others[close]
    swapped = ones["picture"] > others["picture"]
    ones, others = np.where(swapped, others, ones), np.where(swapped, ones, others)
    # Bits beyond the first one that differs: exact in float64, whose fraction has 53.
    _, differing = np.frexp(((ones["word"] ^ others["word"]) >> np.uint64(16)).astype(np.float64))
    tails, other_tails = ones["word"].astype(np.int64), others["word"].astype(np.int64)
    mirrored = (tails ^ other_tails) >> 15 & 1
    angle, other_angle = tails >> 7 & 255, other_tails >> 7 & 255
    turn = np.where(mirrored, other_angle + angle - 128, other_angle - angle)
    turn = (turn + 128 // TURNS) % 256 * TURNS // 256
    octaves = ((other_tails & 127) - (tails & 127) + 4) // 8 + 2 * OCTAVES
    votes = np.empty(len(ones), VOTE)
    votes["pair"] = ones["picture"].astype(np.uint64) << np.uint64(32) | others["picture"]
    votes["transform"] = (mirrored << 15 | turn << 8 | octaves).astype(np.uint16)
    votes["weight"] = KEY_BITS - differing - min_bits + 1
    return votes


def add_up(votes: np.ndarray) -> np.ndarray:
    """Votes in order, those for the same transform of the same pair as one."""
    votes = votes[np.lexsort((votes["transform"], votes["pair"]))]
    if not len(votes):
        return votes
    new = np.flatnonzero(
        (np.diff(votes["pair"], prepend=~votes["pair"][:1]) != 0)
        | (np.diff(votes["transform"], prepend=0) != 0)
    )
    new = new if len(new) and new[0] == 0 else np.append(0, new)
    summed = votes[new]
    weights = np.add.reduceat(votes["weight"].astype(np.int64), new)
    summed["weight"] = np.minimum(weights, 65535)
    return summed


def candidates(folder: Path, pictures: int) -> Iterator[np.ndarray]:
    """Pairs of pictures to compare, in order, some at a time.

    Each has the numbers of both, and whether one is mirrored: 0, 1, or `EITHER`, (n, 3) int64.
    """
    runs = [
        np.memmap(path, VOTE, "r")
        for part in range(PARTS)
        if (path := folder / f"votes-{part}").exists() and path.stat().st_size
    ]
    keypoints = np.fromfile(folder / "local.keypoints", "<u2")
    min_score = 1 + (SCORE_GROWTH - MIN_BITS_GROWTH) * growth(pictures)
    for start in range(0, pictures, PICTURES_A_RANGE):
        bounds = np.array([start, start + PICTURES_A_RANGE], np.uint64) << np.uint64(32)
        votes = [run[slice(*np.searchsorted(run["pair"], bounds))] for run in runs]
        if not sum(map(len, votes)):
            continue
        yield best_of(add_up(np.concatenate(votes)), keypoints, min_score)


def best_of(votes: np.ndarray, keypoints: np.ndarray, min_score: float) -> np.ndarray:
    """The pairs and their ways, (n, 3) as `candidates` has them, whose best transform has enough
    votes, the best of each first picture; `keypoints` (pictures,) that each picture has.

    Votes by chance grow with the keypoints of the other picture, and vary by their root. So those
    for a crop of a plot, with few keypoints, count more than as many for a micrograph.
    """
    mirrored, lightness = votes["transform"] >> 15, -votes["weight"].astype(np.int64)
    # The heaviest transform of each pair, as it is and mirrored.
    votes = votes[np.lexsort((votes["transform"], lightness, mirrored, votes["pair"]))]
    new = np.diff(votes["pair"], prepend=~votes["pair"][:1]) != 0
    new |= np.diff(votes["transform"] >> 15, prepend=0) != 0
    votes = votes[new]
    lightness = -votes["weight"].astype(np.int64)
    votes = votes[np.lexsort((votes["transform"], lightness, votes["pair"]))]
    pairs, best = np.unique(votes["pair"], return_index=True)
    second = votes[np.minimum(best + 1, len(votes) - 1)]
    either = (second["pair"] == pairs) & (second["transform"] != votes["transform"][best])
    either &= second["weight"] >= AS_LIKELY * votes["weight"][best]
    ways = np.where(either, EITHER, votes["transform"][best] >> 15)
    votes = votes[best]
    enough = votes["weight"] >= min_score
    votes, ways = votes[enough], ways[enough]
    first = votes["pair"] >> np.uint64(32)
    other = (votes["pair"] & np.uint64(0xFFFFFFFF)).astype(np.int64)
    scores = votes["weight"] / np.sqrt(keypoints[other] + FEW_KEYPOINTS)
    order = np.lexsort((-scores, first))
    ranks = np.arange(len(order)) - np.searchsorted(first[order], first[order])
    kept = np.sort(order[ranks < CANDIDATES])
    return np.column_stack([first[kept], other[kept], ways[kept]]).astype(np.int64)
