"""Find images that may show parts of each other among millions on disk, by local features.

Each keypoint has a number in each of several orders of its bits (`keys_of`). All numbers of an
order are sorted, in parts, and neighbours with equal first bits are a vote for their two images,
with a weight that grows with the number of equal bits (an LSH forest; Bawa, Condie and Ganesan, WWW
2005). Votes must agree on a rotation and a scale. Content of very many images, such as the letters
of a common font, has few of them as neighbours and therefore joins none by itself. The cost is
bounded by the number of keypoints times `WINDOW`, independent of the content.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from cephalo.dataset_scripts.publication.local_features import KEY_BITS, KEY_BYTES, Local, keys_of

# Files of postings, by order and first 8 bits; each is sorted in memory.
PARTS_AN_ORDER = 256
PARTS = PARTS_AN_ORDER * len(KEY_BYTES)
OWN_BITS = 28  # first bits that distinguish keypoints of one image: hatching counts once
BUFFERED = 4_000_000  # postings in memory before they are appended to the files, 48 MB
WINDOW = 10  # following postings, in their order, that a posting is compared with
# Bits of two numbers that must agree, in a corpus of 256 images. With each doubling of the corpus,
# unrelated images agree by chance in about one more bit among the first ones, and in two more in
# the best of all votes.
MIN_BITS, MIN_BITS_GROWTH, SCORE_GROWTH = 18, 1, 2
SMALL_CORPUS = 256
CANDIDATES = 8  # maximum number of later images that an image is compared with
FEW_KEYPOINTS = 10  # added to the keypoints by whose root votes are divided: one vote is chance
# Both orientations of a pair are tried if the weaker one has at least this share of the best votes:
# of 185 crops by 20 % a share of 0.34 lost one more, and saved no time.
AS_LIKELY, EITHER = 0.2, 2
TURNS, OCTAVES = 16, 8  # intervals of the rotation; largest change of scale
PICTURES_A_RANGE = 100_000  # whose votes are counted at a time
JPEG_QUALITY = 80

POSTING = np.dtype([("word", "<u8"), ("picture", "<u4")])
"""A keypoint: number (48 bits), mirrored (1), angle (8), logarithm of the size (7)."""
VOTE = np.dtype([("pair", "<u8"), ("transform", "<u2"), ("weight", "<u2")])
"""Numbers of two images, the lower one first; mirrored, rotation and scale; weight in bits."""
KEYPOINT = np.dtype(
    [("x", "<u2"), ("y", "<u2"), ("size", "<f2"), ("angle", "<f2"), ("signs", "u1", 16)]
)
"""A keypoint on disk; x and y in 64ths of a pixel."""


class Encoded(NamedTuple):
    """Serialized local features: for comparison, and the words of their postings in each order,
    (n,) uint64."""

    record: bytes
    words: tuple[np.ndarray, ...]


def encode(local: Local) -> Encoded:
    """Serialize local features for the disk."""
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
    """Return the words of the postings of distinct keypoints, in an order of the bits, (n,)
    uint64."""
    keys, mirrored = keys_of(local.signs[: local.indexed], order)
    _, _, sizes, angles = local.points[: local.indexed].T
    angle = np.floor(angles / (2 * math.pi) * 256).astype(np.int64) % 256
    size = np.clip(np.log2(np.maximum(sizes, 1)) * 16, 0, 127).astype(np.int64)
    tail = (mirrored.astype(np.int64) << 15 | angle << 7 | size).astype(np.uint64)
    _, first = np.unique(keys >> np.uint64(KEY_BITS - OWN_BITS), return_index=True)
    return (keys << np.uint64(16) | tail)[np.sort(first)]


def decode(record: bytes) -> Local:
    """Deserialize local features."""
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
    """Local features of images on disk, about 18 KB per image and 36 bytes per keypoint."""

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
        """Append an image of a document, by its number; images are numbered from 0."""
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
        """Write buffered postings; required before a search."""
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
    """Return the base-2 logarithm of the size of a corpus relative to the small one."""
    return max(math.log2(max(pictures, 1) / SMALL_CORPUS), 0)


def find_votes(folder: Path, pictures: int, part: int) -> None:
    """Write the votes of a part of the postings, sorted by pair."""
    path = folder / f"postings-{part}"
    if not path.exists():
        return
    postings = np.fromfile(path, POSTING)
    documents = np.fromfile(folder / "local.documents", "<u4")
    # A stable sort keeps the order of the images, which is the same in every run.
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
    """Return the votes of postings, each with the other one at its index, as (n,) `VOTE`."""
    close = (ones["word"] ^ others["word"]) < np.uint64(1 << (64 - min_bits))
    close &= documents[ones["picture"]] != documents[others["picture"]]
    ones, others = ones[close], others[close]
    swapped = ones["picture"] > others["picture"]
    ones, others = np.where(swapped, others, ones), np.where(swapped, ones, others)
    # Bits after the first one that differs, exact in float64, whose significand has 53.
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
    """Add the weights of votes for the same transform of the same pair. The votes are sorted."""
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
    """Yield arrays of pairs of images to compare, in order.

    Each is (n, 3) int64: both numbers, and 0, 1 or `EITHER` for whether one is mirrored.
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
    """Return the pairs (n, 3), as in `candidates`, whose best transform has enough votes, at most
    `CANDIDATES` per first image.

    `keypoints` (pictures,) is the number of each image's keypoints. Votes by chance grow with the
    keypoints of the other image, and vary by their root. Votes for a crop of a plot, with few
    keypoints, therefore count more than the same number for a micrograph.
    """
    mirrored, lightness = votes["transform"] >> 15, -votes["weight"].astype(np.int64)
    # The best transform of each pair, for both orientations.
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
