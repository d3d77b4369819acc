"""Two pictures laid over each other, tile by tile: whether they show the same where both lie.

Axes, legends and data bars that strangers share leave most of what is drawn unlike.
"""

import functools
from typing import NamedTuple

import cv2
import numpy as np

from cephalo.dataset_scripts.publication.local_features import Local

MIN_SPAN = 0.2  # of the common area's sides, that the inliers extend over
# Of the inliers' places, across the line along which they lie and along it: what strangers share
# of a straight line of markers is below 0.01, copies of figures of 36 papers have at least 0.2.
MIN_SPREAD = 0.12
# The common area's tiles: so many along its longer side, but no smaller than so many pixels.
TILES, TILE_PIXELS = 10, 12
FLAT = 4.0  # standard deviation of the grey levels of a tile that shows nothing
MIN_TILES = 6  # that agree
MAX_APART = 3  # tiles side by side that do not: a letter or an arrow, but no curve
MIN_COVER = 0.6  # of the contents of one of the pictures, that lies in the common area


class Look(NamedTuple):
    """How closely tiles are compared.

    The `blur` of both pictures in pixels; the `shifts` in pixels, in both directions, by which the
    transform may err in a tile; the `correlation` of the grey levels of a tile that agrees; and the
    `share` of the tiles that show something, that must.
    """

    blur: float
    shifts: tuple[int, ...]
    correlation: float
    share: float


# Under a transform from keypoints, which errs by pixels: a line is as wide as that error.
ROUGH = Look(1.2, (-2, 0, 2), 0.6, 0.8)
# Under one that was fitted to the pixels: as many tiles, but alike in more. What differs besides is
# for `local_differences` to find: of 185 crops by 20 % a share of 0.9 lost one more.
EXACT = Look(0.8, (-1, 0, 1), 0.88, 0.8)


class Agreement(NamedTuple):
    """How two pictures laid over each other agree.

    The number of `inliers`; of the common area's tiles that show something, the `share` that agree,
    their number `tiles`, and how many of the others lie side by side, `apart`; and the share
    `cover` of a picture's contents in the common area.
    """

    inliers: int
    share: float
    tiles: int
    apart: int
    cover: float


def agrees(agreement: Agreement | None, look: Look) -> bool:
    """Whether pictures that agree so much show the same where they lie over each other."""
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
    """How two pictures agree under the transform from the one to the other; `inliers` (n, 2) are
    places in the other. None if these span too little, or lie on one line.

    They are compared at the resolution of the one that shows less of it.
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
    """Two pictures in the order in which the affine transform (2, 3) from the first to the second
    makes it no larger, that transform, and how many times as large it makes it."""
    scale = abs(np.linalg.det(transform[:, :2])) ** 0.5
    if scale > 1:
        return other, one, cv2.invertAffineTransform(transform), 1 / scale
    return one, other, transform, scale


def spread(places: np.ndarray) -> float:
    """How far places (n, 2) extend across the line along which they lie, against along it."""
    across, along = np.linalg.svd(places - places.mean(0), compute_uv=False)[::-1]
    return float(across / max(along, 1e-9))


def warp(
    picture: np.ndarray, transform: np.ndarray, scale: float, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """A picture under a transform that makes it `scale` times as large, at most 1, and where it
    lies, bool; `size` is (width, height)."""
    height, width = picture.shape
    small = max(1, round(width * scale)), max(1, round(height * scale))
    reduced = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
    # A pixel's centre lies at a whole number.
    factors = np.array([width / small[0], height / small[1]])
    linear = transform[:, :2] * factors
    offset = transform[:, 2] + transform[:, :2] @ ((factors - 1) / 2)
    adapted = np.column_stack([linear, offset])
    moved = cv2.warpAffine(reduced, adapted, size, flags=cv2.INTER_LINEAR)
    shown = cv2.warpAffine(np.full_like(reduced, 255), adapted, size, flags=cv2.INTER_LINEAR)
    return moved, shown > 250


def seen_in(shape: tuple[int, ...], transform: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Which pixels of a picture of a shape lie in one of a size, (width, height), bool."""
    inside = np.full((size[1], size[0]), 255, np.uint8)
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(inside, transform, (shape[1], shape[0]), flags=flags) > 0


def contents(picture: np.ndarray, where: np.ndarray) -> float:
    """The share of what a picture shows, by the strength of its edges, that lies in `where`."""
    levels = picture.astype(np.float32)
    edges = np.abs(cv2.Sobel(levels, cv2.CV_32F, 1, 0)) + np.abs(
        cv2.Sobel(levels, cv2.CV_32F, 0, 1)
    )
    # Each place counts as one where anything is drawn: black lines no more than grey ones.
    drawn = cv2.blur((edges > 32).astype(np.float32), (9, 9)) > 0.05
    return float((drawn & where).sum() / max(drawn.sum(), 1))


def correlate(
    one: np.ndarray, other: np.ndarray, shown: np.ndarray, tile: int, look: Look
) -> tuple[np.ndarray, np.ndarray]:
    """The correlation of each tile of two pictures of one size, at the best of the shifts, and
    whether the tile shows something in either and lies in `shown`, each (rows, columns)."""
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
    """The mean and the variance of each tile."""
    mean = tile_means(levels, tile)
    return mean, np.maximum(tile_means(levels * levels, tile) - mean**2, 0)


def tile_means(levels: np.ndarray, tile: int) -> np.ndarray:
    """The means of square tiles, those at the right and below being smaller."""
    height, width = levels.shape
    return averaging(height, tile) @ levels @ averaging(width, tile).T


@functools.lru_cache(64)
def averaging(length: int, tile: int) -> np.ndarray:
    """The matrix that takes so many numbers to the means of each `tile` of them, float32."""
    tiles = np.arange(length) // tile == np.arange(-(-length // tile))[:, None]
    return (tiles / tiles.sum(1, keepdims=True)).astype(np.float32)
