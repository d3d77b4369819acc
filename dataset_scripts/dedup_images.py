"""Near-copies of pictures: a perceptual hash finds candidates, the pixels of a thumbnail decide.

Plots look alike to a hash of 64 bits, and a micrograph beside a plot looks like any other to the
thumbnail as a whole. So the thumbnail's tiles are compared one by one, and most must agree.
`python -m cephalo.dataset_scripts.bench_dedup FOLDER` measures the thresholds.
"""

import io
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy.cluster.hierarchy import DisjointSet

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.pdf.rendering import perceptual_hash

SIDE = 32  # pixels of a thumbnail
MAX_HASH_DISTANCE = 16  # bits of 64
TILES = 4  # along each side of a thumbnail
FLAT = 4  # standard deviation of the grey levels of a tile that shows nothing
# The correlation of the grey levels that three quarters of the tiles reach; the others may hold
# another panel letter or lie at an edge that was cut.
MIN_CORRELATION = 0.5
MAX_ASPECT_CHANGE = 1.1  # a factor
MARGIN_CONTRAST = 32  # grey levels between a margin and what is drawn


class Thumbnail(NamedTuple):
    """A picture without its margins: hash, (SIDE, SIDE) grey levels (uint8), width / height."""

    phash: int
    pixels: np.ndarray
    aspect: float


def thumbnail(data: bytes, where: str) -> Thumbnail:
    """The thumbnail of an encoded image; transparent pixels are white.

    Margins are cut first: two croppings of one figure differ mostly there.
    Raises CephaloError, which names `where`, for bytes that are no readable image.
    """
    try:
        image = Image.open(io.BytesIO(data))
        image.draft(
            "L", (16 * SIDE, 16 * SIDE)
        )  # a large JPEG is decoded at a fraction of its size
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        grey = without_margins(image.convert("L"))
    # Pillow's decoders raise all of these for damaged or oversized files.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise CephaloError(f"{where} holds an image that cannot be read ({error})") from error
    small = grey.resize((3 * SIDE, 3 * SIDE), Image.Resampling.BOX)
    return Thumbnail(
        int(perceptual_hash(np.asarray(small)[:, :, None]), 16),
        np.asarray(small.reduce(3)),
        grey.width / grey.height,
    )


def without_margins(grey: Image.Image) -> Image.Image:
    """The box of an image of mode "L" that differs from the median of its four edges."""
    levels = np.asarray(grey)
    edges = np.concatenate([levels[0], levels[-1], levels[:, 0], levels[:, -1]])
    drawn = np.abs(levels.astype(np.int16) - int(np.median(edges))) > MARGIN_CONTRAST
    rows, columns = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
    if not len(rows):
        return grey
    return grey.crop((int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1))


class ImageIndex:
    """Thumbnails, numbered as they are added, about 1 KB each; `near` compares with all of them."""

    def __init__(self) -> None:
        self.size = 0
        self._hashes = np.empty(256, np.uint64)
        self._aspects = np.empty(256, np.float64)
        self._pixels = np.empty((256, SIDE, SIDE), np.uint8)

    def add(self, picture: Thumbnail) -> int:
        """Keep a thumbnail; returns its number."""
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
        """The numbers of all near-copies of a picture."""
        distances = np.bitwise_count(self._hashes[: self.size] ^ np.uint64(picture.phash))
        found = np.flatnonzero(distances <= MAX_HASH_DISTANCE)
        ratios = self._aspects[found] / picture.aspect
        found = found[(ratios <= MAX_ASPECT_CHANGE) & (ratios >= 1 / MAX_ASPECT_CHANGE)]
        agreement = tile_agreement(self._pixels[found], picture.pixels)
        return found[agreement >= MIN_CORRELATION].tolist()


def tile_agreement(pixels: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The lower quartile of the correlations of all tiles between (n, SIDE, SIDE) thumbnails and
    another; tiles flat in both are passed over. Returns (n,); -1 where all are flat."""
    tiles, deviation = tiles_of(pixels)
    other_tiles, other_deviation = tiles_of(other[None])
    correlations = np.where(
        np.maximum(deviation, other_deviation) < FLAT, np.nan, (tiles * other_tiles).mean(-1)
    )
    seen = ~np.isnan(correlations).all(1)
    agreement = np.full(len(pixels), -1.0)
    agreement[seen] = np.nanquantile(correlations[seen], 0.25, axis=1)
    return agreement


def tiles_of(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The tiles of (n, SIDE, SIDE) thumbnails, (n, TILES², pixels), of mean 0 and deviation 1, and
    the deviation that each had, (n, TILES²)."""
    step = SIDE // TILES
    grid = pixels.astype(np.float32).reshape(-1, TILES, step, TILES, step)
    tiles = grid.swapaxes(2, 3).reshape(len(pixels), TILES * TILES, step * step)
    tiles = tiles - tiles.mean(-1, keepdims=True)
    deviation = tiles.std(-1)
    return tiles / np.maximum(deviation, 1e-6)[..., None], deviation


class NearCopies:
    """Groups of images, named by the sha256 of their pixels: each is near to one of its group."""

    def __init__(self) -> None:
        self._groups = DisjointSet()
        self._index = ImageIndex()
        self._names: list[str] = []  # by the numbers of the index

    def add(self, name: str, picture: Thumbnail) -> None:
        """Enter an image; one that is known already changes nothing."""
        if name in self._groups:
            return
        self._groups.add(name)
        for number in self._index.near(picture):
            self._groups.merge(name, self._names[number])
        self._index.add(picture)
        self._names.append(name)

    def group(self, name: str) -> str:
        """The image that stands for the group of this one."""
        return self._groups[name]
