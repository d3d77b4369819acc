"""Find near-duplicate images: a perceptual hash selects candidates, the pixels of a thumbnail
decide.

Plots have similar 64-bit hashes, and a micrograph beside a plot resembles any other as a whole. The
tiles of the thumbnail are therefore compared one by one, and most must agree. `python -m
benchmarks.bench_dedup FOLDER` measures the thresholds.

Every image is compared with every other image of a similar aspect ratio: no index over the hashes
finds all pairs that differ in up to a quarter of their bits with fewer comparisons. Sorting by
aspect ratio reduces this to a tenth of all pairs, and one core compares a billion hashes per
second.
"""

import io
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from cephalo.cli.errors import CephaloError
from cephalo.cli.logs import no_bars
from cephalo.dataset_scripts.common.groups import Groups
from cephalo.dataset_scripts.common.pixels import perceptual_hash
from cephalo.inference.images import as_rgb, reads_alike

SIDE = 32  # pixels of a thumbnail
MAX_HASH_DISTANCE = 16  # bits of 64
TILES = 4  # along each side of a thumbnail
FLAT = 4  # standard deviation of the grey levels of an empty tile
# Correlation of the grey levels that three quarters of the tiles must reach; the others may contain
# another panel letter or lie at a cropped edge.
MIN_CORRELATION = 0.5
MAX_ASPECT_CHANGE = 1.1  # a factor
WIDEST = MAX_ASPECT_CHANGE * (1 + 1e-9)  # the largest quotient that rounds to it
MARGIN_CONTRAST = 32  # grey levels between a margin and what is drawn
# Numbers compared at a time: hashes with those of a block, which stay in the processor's cache;
# pairs of tiles, 4 KB each; blocks of thumbnails read from disk, 64 MB as tiles.
HASHES, PAIRS, BLOCK = 32, 1024, 16384


class Thumbnail(NamedTuple):
    """An image without its margins: hash, (SIDE, SIDE) grey levels (uint8), width / height."""

    phash: int
    pixels: np.ndarray
    aspect: float


def open_grey(data: bytes, where: str) -> Image.Image:
    """Decode an image in mode "L", without its margins; transparent pixels become white.

    Margins are cut because crops of one figure differ mostly there. Raises CephaloError, naming
    `where`, if the bytes are not a readable image.
    """
    try:
        image = Image.open(io.BytesIO(data))
        image.draft(
            "L", (16 * SIDE, 16 * SIDE)
        )  # a large JPEG is decoded at a fraction of its size
        if not reads_alike(image):
            image = as_rgb(image, where)
        return without_margins(image.convert("L"))
    # Pillow's decoders raise all of these for damaged or oversized files.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise CephaloError(f"{where} contains an image that cannot be read ({error})") from error


def thumbnail(grey: Image.Image) -> Thumbnail:
    """Compute the thumbnail of an image of mode "L"."""
    small = grey.resize((3 * SIDE, 3 * SIDE), Image.Resampling.BOX)
    return Thumbnail(
        int(perceptual_hash(np.asarray(small)[:, :, None]), 16),
        np.asarray(small.reduce(3)),
        grey.width / grey.height,
    )


def without_margins(grey: Image.Image) -> Image.Image:
    """Crop an image of mode "L" to the box that differs from the median of its four edges."""
    levels = np.asarray(grey)
    edges = np.concatenate([levels[0], levels[-1], levels[:, 0], levels[:, -1]])
    drawn = np.abs(levels.astype(np.int16) - int(np.median(edges))) > MARGIN_CONTRAST
    rows, columns = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
    if not len(rows):
        return grey
    return grey.crop((int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1))


Same = Callable[[int, int], bool]
"""Returns whether two images, by their numbers, show the same."""

PICTURE = np.dtype(
    [
        ("number", np.int32),
        ("phash", np.uint64),
        ("pixels", np.uint8, (SIDE, SIDE)),
        ("aspect", "f8"),
    ]
)
"""A thumbnail on disk, with the number of its image."""


class Pictures(NamedTuple):
    """The features of n images.

    `phash` (n,) uint64, `aspect` (n,) float64; `tiles` (n, TILES², pixels) float32 of mean 0 and
    deviation 1, and their original `deviation` (n, TILES²).
    """

    phash: np.ndarray
    aspect: np.ndarray
    tiles: np.ndarray
    deviation: np.ndarray


def alike(
    phash: np.ndarray, aspect: np.ndarray, phashes: np.ndarray, aspects: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs of n images and m others with similar hashes and aspects, as indices of
    both."""
    distances = np.bitwise_count(phash[:, None] ^ phashes)
    one, other = np.divmod(np.flatnonzero(distances <= MAX_HASH_DISTANCE), len(phashes))
    ratios = aspects[other] / aspect[one]
    like = (ratios <= MAX_ASPECT_CHANGE) & (ratios >= 1 / MAX_ASPECT_CHANGE)
    return one[like], other[like]


def tiles_of(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute `tiles` and their `deviation`, as in `Pictures`, of (n, SIDE, SIDE) thumbnails."""
    step = SIDE // TILES
    grid = pixels.astype(np.float32).reshape(-1, TILES, step, TILES, step)
    tiles = grid.swapaxes(2, 3).reshape(len(pixels), TILES * TILES, step * step)
    tiles -= tiles.mean(-1, keepdims=True)
    deviation = np.sqrt(np.einsum("ntp,ntp->nt", tiles, tiles) / step**2)
    tiles /= np.maximum(deviation, 1e-6)[..., None]
    return tiles, deviation


def agree(
    tiles: np.ndarray, deviation: np.ndarray, others: np.ndarray, deviations: np.ndarray
) -> np.ndarray:
    """Return which of n pairs of images agree, (n,) bool: those whose lower quartile of the tiles'
    correlations reaches `MIN_CORRELATION`.

    The others may be a single image. Tiles that are flat in both are ignored.
    """
    correlations = np.einsum("ntp,ntp->nt", tiles, others) / tiles.shape[-1]
    seen = np.maximum(deviation, deviations) >= FLAT
    low = ((correlations < MIN_CORRELATION) & seen).sum(1)
    # If more than a quarter of all tiles are too low, so is the quartile, whichever tiles are
    # ignored.
    near = seen.any(1) & (low <= TILES * TILES // 4)
    known = np.where(seen[near], correlations[near], np.nan)
    near[near] = np.nanquantile(known, 0.25, axis=1) >= MIN_CORRELATION
    return near


class ImageIndex:
    """Thumbnails, numbered in order, about 1 KB each; `near` compares with all of them."""

    def __init__(self) -> None:
        self.size = 0
        self._hashes = np.empty(256, np.uint64)
        self._aspects = np.empty(256, np.float64)
        self._pixels = np.empty((256, SIDE, SIDE), np.uint8)

    def add(self, picture: Thumbnail) -> int:
        """Add a thumbnail, and return its number."""
        if self.size == len(self._hashes):
            for name in ("_hashes", "_aspects", "_pixels"):
                old = getattr(self, name)
                setattr(self, name, np.concatenate([old, np.empty_like(old)]))
        self._hashes[self.size] = picture.phash
        self._aspects[self.size] = picture.aspect
        self._pixels[self.size] = picture.pixels
        self.size += 1
        return self.size - 1

    def near(self, picture: Thumbnail) -> list[int]:
        """Return the numbers of all near-copies of an image."""
        phash, aspect = np.array([picture.phash], np.uint64), np.array([picture.aspect])
        hashes, aspects = self._hashes[: self.size], self._aspects[: self.size]
        _, found = alike(phash, aspect, hashes, aspects)
        near = [
            some[agree(*tiles_of(self._pixels[some]), *tiles_of(picture.pixels[None]))]
            for some in in_parts(found)
        ]
        return np.concatenate(near).tolist() if near else []


def in_parts(numbers: np.ndarray) -> Iterator[np.ndarray]:
    """Split an array into parts of `PAIRS`."""
    for start in range(0, len(numbers), PAIRS):
        yield numbers[start : start + PAIRS]


class NearCopies:
    """Images by the SHA-256 of their pixels, on disk (about 1.2 KB each), and their groups.

    Every image of a group of several is a near-copy of another one in it. Memory: 4 bytes per
    image.
    """

    def __init__(self, folder: Path, database: sqlite3.Connection) -> None:
        self.size = 0
        self._database, self._folder = database, folder
        self._pixels = (folder / "pixels").open("w+b")
        database.execute(
            "CREATE TABLE images (number INTEGER PRIMARY KEY, sha256 TEXT UNIQUE, "
            "phash BLOB, aspect REAL)"
        )

    def add(self, name: str, picture: Thumbnail) -> int:
        """Return the number of an image, adding it if it is new."""
        found = self._database.execute("SELECT number FROM images WHERE sha256 = ?", (name,))
        if known := found.fetchone():
            return known[0]
        phash = picture.phash.to_bytes(8, "little")
        row = (self.size, name, phash, picture.aspect)
        self._database.execute("INSERT INTO images VALUES (?, ?, ?, ?)", row)
        self._pixels.write(picture.pixels.tobytes())
        self.size += 1
        return self.size - 1

    def group(self, same: Same) -> Groups:
        """Return the groups of all images, by number.

        Each block is compared with the following blocks of a similar aspect. `same` makes the final
        decision on two images, by their numbers.
        """
        self._sort()
        groups = Groups(self.size)
        with tqdm(total=self.size, desc="Comparing", unit=" images", disable=no_bars()) as progress:
            for start in range(0, self.size, BLOCK):
                numbers, ones = self._read(start)
                merge_near(groups, numbers, ones, numbers, ones, same)
                for behind in range(start + BLOCK, self.size, BLOCK):
                    other_numbers, others = self._read(behind)
                    if others.aspect[0] > ones.aspect[-1] * WIDEST:
                        break
                    merge_near(groups, numbers, ones, other_numbers, others, same)
                progress.update(len(numbers))
        return groups

    def _sort(self) -> None:
        """Write the file of all thumbnails in the order of their aspects."""
        rows = self._database.execute("SELECT number, phash, aspect FROM images ORDER BY aspect")
        size = SIDE * SIDE
        with self._pixels, (self._folder / "sorted").open("wb") as file:
            self._pixels.flush()
            while some := rows.fetchmany(BLOCK):
                block = np.empty(len(some), PICTURE)
                for place, (number, phash, aspect) in enumerate(some):
                    pixels = os.pread(self._pixels.fileno(), size, number * size)
                    picture = np.frombuffer(pixels, np.uint8).reshape(SIDE, SIDE)
                    block[place] = number, int.from_bytes(phash, "little"), picture, aspect
                file.write(block.tobytes())
        (self._folder / "pixels").unlink()

    def _read(self, start: int) -> tuple[np.ndarray, Pictures]:
        """Return the image numbers and the features of a block of sorted thumbnails."""
        offset = start * PICTURE.itemsize
        block = np.fromfile(self._folder / "sorted", PICTURE, BLOCK, offset=offset)
        phash, aspect = block["phash"].copy(), block["aspect"].copy()
        return block["number"].copy(), Pictures(phash, aspect, *tiles_of(block["pixels"]))


def merge_near(
    groups: Groups,
    numbers: np.ndarray,
    ones: Pictures,
    other_numbers: np.ndarray,
    others: Pictures,
    same: Same,
) -> None:
    """Merge the groups of near-copies in two blocks of images, or within one.

    Both blocks are sorted by aspect. Images that already share a group are not compared.
    """
    roots = np.array([groups.find(number) for number in numbers])
    other_roots = np.array([groups.find(number) for number in other_numbers])
    for start in range(0, len(numbers), HASHES):
        phash, aspect = ones.phash[start : start + HASHES], ones.aspect[start : start + HASHES]
        first = start if ones is others else 0
        last = np.searchsorted(others.aspect, aspect[-1] * WIDEST, side="right")
        if first >= last:
            continue
        one, other = alike(phash, aspect, others.phash[first:last], others.aspect[first:last])
        one, other = one + start, other + first
        apart = roots[one] != other_roots[other]
        if ones is others:
            apart &= one < other
        for some, more in zip(in_parts(one[apart]), in_parts(other[apart]), strict=True):
            near = agree(
                ones.tiles[some], ones.deviation[some], others.tiles[more], others.deviation[more]
            )
            for place, behind in zip(some[near], more[near], strict=True):
                kept, gone = sorted((int(roots[place]), int(other_roots[behind])))
                if kept != gone and same(int(numbers[place]), int(other_numbers[behind])):
                    groups.merge(kept, gone)
                    roots[roots == gone] = kept
                    other_roots[other_roots == gone] = kept
