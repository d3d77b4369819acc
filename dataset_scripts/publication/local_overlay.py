"""Compare two aligned images tile by tile, within their common area.

Axes, legends and data bars that unrelated images share leave most of the content different.
"""

import functools
from typing import NamedTuple

import cv2
import numpy as np

from cephalo.dataset_scripts.publication.local_features import Local

MIN_SPAN = 0.2  # of the sides of the common area that the inliers extend over
# Ratio of the inliers' extents across and along their main axis: below 0.01 for a straight line of
# markers in unrelated images, at least 0.2 for copies of figures of 36 papers.
MIN_SPREAD = 0.12
# Tiles along the longer side of the common area, and their minimum size in pixels.
TILES, TILE_PIXELS = 10, 12
FLAT = 4.0  # standard deviation of the grey levels of an empty tile
MIN_TILES = 6  # that agree
MAX_APART = 3  # adjacent tiles that disagree: a letter or an arrow, but no curve
MIN_COVER = 0.6  # of the contents of one of the images within the common area


class Look(NamedTuple):
    """How closely tiles are compared.

    Attributes:
        blur: Of both images, in pixels.
        shifts: In pixels, in both directions, by which the transform may be off in a tile.
        correlation: Of the grey levels of a tile that agrees.
        share: Of the tiles with content that must agree.
    """

    blur: float
    shifts: tuple[int, ...]
    correlation: float
    share: float


# Under a transform from keypoints, which is off by pixels: a line is as wide as that error.
ROUGH = Look(1.2, (-2, 0, 2), 0.6, 0.8)
# Under one fitted to the pixels: as many tiles, but with a higher correlation. `local_differences`
# finds the remaining differences: of 185 crops by 20 % a share of 0.9 lost one more.
EXACT = Look(0.8, (-1, 0, 1), 0.88, 0.8)


class Agreement(NamedTuple):
    """How well two aligned images agree.

    Attributes:
        inliers: Their number.
        share: Of the tiles with content that agree.
        tiles: Number of tiles that agree.
        apart: Maximum number of adjacent tiles that disagree.
        cover: Share of an image's contents in the common area.
    """

    inliers: int
    share: float
    tiles: int
    apart: int
    cover: float


def agrees(agreement: Agreement | None, look: Look) -> bool:
    """Return whether images with this agreement show the same in their common area."""
    return (
        agreement is not None
        and agreement.share >= look.share
        and agreement.tiles >= MIN_TILES
        and agreement.apart <= MAX_APART
        and agreement.cover >= MIN_COVER
    )


def lay_over(
    one: Local, other: Local, transform: np.ndarray, inliers: np.ndarray, look: Look
) -> Agreement | None:
    """Compare two images under the transform from the first to the second.

    They are compared at the lower of their resolutions. Returns None if the `inliers` (n, 2),
    places in the second image, span too little or lie on a line.
    """
    first = one
    one, other, transform, scale = at_one_scale(one, other, transform)
    if one is not first:
        inliers = inliers @ transform[:, :2].T + transform[:, 2]
    spans = np.ptp(inliers, axis=0)
    if spread(inliers / np.maximum(spans, 1)) < MIN_SPREAD:
        return None
    height, width = other.picture.shape
    moved, shown = warp(one.picture, transform, scale, (width, height))
    rows, columns = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
    if not len(rows):
        return None
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    sides = np.array([columns[-1] - columns[0], rows[-1] - rows[0]]) + 1
    if (spans < MIN_SPAN * sides).any():
        return None
    tile = max(TILE_PIXELS, -(-int(sides.max()) // TILES))
    correlations, seen = correlate(moved[box], other.picture[box], shown[box], tile, look)
    differ = (correlations < look.correlation) & seen
    _, areas = cv2.connectedComponents(differ.astype(np.uint8))
    apart = int(np.bincount(areas[differ], minlength=1).max())
    agreeing = int(seen.sum() - differ.sum())
    covers = (
        contents(other.picture, shown),
        contents(one.picture, seen_in(one.picture.shape, transform, (width, height))),
    )
    share = agreeing / max(int(seen.sum()), 1)
    return Agreement(len(inliers), share, agreeing, apart, max(covers))


def at_one_scale(
    one: Local, other: Local, transform: np.ndarray
) -> tuple[Local, Local, np.ndarray, float]:
    """Order two images so that the affine transform (2, 3) from the first to the second does not
    enlarge it.

    Returns:
        Both images, the transform, and its scale.
    """
    scale = abs(np.linalg.det(transform[:, :2])) ** 0.5
    if scale > 1:
        return other, one, cv2.invertAffineTransform(transform), 1 / scale
    return one, other, transform, scale


def spread(places: np.ndarray) -> float:
    """Return the ratio of the extents of places (n, 2) across and along their main axis."""
    across, along = np.linalg.svd(places - places.mean(0), compute_uv=False)[::-1]
    return float(across / max(along, 1e-9))


def warp(
    picture: np.ndarray, transform: np.ndarray, scale: float, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Apply a transform of `scale`, at most 1, to an image.

    Returns:
        The result of `size` (width, height), and which of its pixels the image covers, bool.
    """
    height, width = picture.shape
    small = max(1, round(width * scale)), max(1, round(height * scale))
    reduced = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
    # Pixel centers have integer coordinates.
    factors = np.array([width / small[0], height / small[1]])
    linear = transform[:, :2] * factors
    offset = transform[:, 2] + transform[:, :2] @ ((factors - 1) / 2)
    adapted = np.column_stack([linear, offset])
    moved = cv2.warpAffine(reduced, adapted, size, flags=cv2.INTER_LINEAR)
    shown = cv2.warpAffine(np.full_like(reduced, 255), adapted, size, flags=cv2.INTER_LINEAR)
    return moved, shown > 250


def seen_in(shape: tuple[int, ...], transform: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return which pixels of an image of some shape fall into one of `size` (width, height),
    bool."""
    inside = np.full((size[1], size[0]), 255, np.uint8)
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(inside, transform, (shape[1], shape[0]), flags=flags) > 0


def contents(picture: np.ndarray, where: np.ndarray) -> float:
    """Return the share of an image's contents, by edge strength, within `where`."""
    levels = picture.astype(np.float32)
    edges = np.abs(cv2.Sobel(levels, cv2.CV_32F, 1, 0)) + np.abs(
        cv2.Sobel(levels, cv2.CV_32F, 0, 1)
    )
    # Binary, so that black lines do not count more than grey ones.
    drawn = cv2.blur((edges > 32).astype(np.float32), (9, 9)) > 0.05
    return float((drawn & where).sum() / max(drawn.sum(), 1))


def correlate(
    one: np.ndarray, other: np.ndarray, shown: np.ndarray, tile: int, look: Look
) -> tuple[np.ndarray, np.ndarray]:
    """Return the best correlation over the shifts for each tile of two images of one size, and
    whether the tile has content in either and is within `shown`, each (rows, columns)."""
    ones, others = (cv2.GaussianBlur(p.astype(np.float32), (0, 0), look.blur) for p in (one, other))
    weights = tile_means(shown.astype(np.float32), tile)
    mean, variance = mean_and_variance(others, tile)
    best = np.full(weights.shape, -1.0)
    first_variance = np.zeros(weights.shape)
    for down in look.shifts:
        for right in look.shifts:
            moved = np.roll(ones, (down, right), (0, 1))
            own, own_variance = mean_and_variance(moved, tile)
            if not down and not right:
                first_variance = own_variance
            shared = tile_means(moved * others, tile) - own * mean
            scale = np.sqrt(np.maximum(own_variance * variance, 1e-6))
            best = np.maximum(best, shared / scale)
    seen = (np.maximum(first_variance, variance) >= FLAT**2) & (weights > 0.8)
    return best, seen


def mean_and_variance(levels: np.ndarray, tile: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the variance of each tile."""
    mean = tile_means(levels, tile)
    return mean, np.maximum(tile_means(levels * levels, tile) - mean**2, 0)


def tile_means(levels: np.ndarray, tile: int) -> np.ndarray:
    """Return the means of square tiles; those at the right and at the bottom may be smaller."""
    height, width = levels.shape
    return averaging(height, tile) @ levels @ averaging(width, tile).T


@functools.lru_cache(64)
def averaging(length: int, tile: int) -> np.ndarray:
    """Return the matrix that averages every `tile` of `length` numbers, float32."""
    tiles = np.arange(length) // tile == np.arange(-(-length // tile))[:, None]
    return (tiles / tiles.sum(1, keepdims=True)).astype(np.float32)
