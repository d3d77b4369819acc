"""Whether a picture shows a part of another: keypoints give the transform, pixels decide.

The transform is an affine one with little stretch, of either handedness. The pictures are then laid
over each other, and their tiles compared: axes, legends and data bars that strangers share leave
most of what is drawn unlike.
"""

from typing import NamedTuple

import cv2
import numpy as np

from cephalo.dataset_scripts.local_features import Local, mirror_mask

MAX_DISTANCE = 38  # bits of 128 in which the descriptors of one keypoint differ
NEIGHBOURS = 2  # keypoints of the other picture that one may be
MAX_MATCHES, GUESSES = 250, 80  # the nearest ones, and those of which each gives a transform
# Error of a keypoint's place, in pixels of the other picture; of a first guess from one keypoint
# alone, in addition a share of the distance from it (a stretch of 15 %, an angle by 5 degrees).
MAX_ERROR, GUESS_ERROR = 3.0, 0.15
MAX_SCALE_ERROR, MAX_ANGLE_ERROR = 0.5, 0.5  # of two keypoints: natural logarithm, radians
MIN_INLIERS = 4  # at places of their own; an affine transform fits any 3
MAX_STRETCH = 1.35  # of one direction against the other: 15 %, and what few keypoints err by
MAX_SCALE = 8.0  # of one picture against the other
MIN_SPAN = 0.2  # of the common area's sides, that the inliers extend over
# The common area's tiles: so many along its longer side, but no smaller than so many pixels.
TILES, TILE_PIXELS = 10, 12
FLAT = 4.0  # standard deviation of the grey levels of a tile that shows nothing
SHIFTS = (-2, 0, 2)  # pixels, in both directions, by which the transform may err in a tile
MIN_CORRELATION = 0.6  # of the grey levels of a tile that agrees
MIN_AGREEMENT = 0.8  # of the tiles that show something
MIN_TILES = 6  # that agree
MAX_APART = 3  # tiles side by side that do not: a letter or an arrow, but no curve
MIN_COVER = 0.6  # of the contents of one of the pictures, that lies in the common area


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


def shows_part(one: Local, other: Local, mirrored: bool) -> bool:
    """Whether one of the pictures shows a part, or the whole, of the other or its mirror image."""
    return agrees(compare(one, other, mirrored))


def same_picture(one: Local, other: Local) -> bool:
    """Whether two pictures show the same, laid edge to edge or where their keypoints tell."""
    height, width = one.picture.shape
    sides = np.array(other.picture.shape[::-1])
    factors = sides / (width, height)
    # A pixel's centre lies at a whole number.
    whole = np.column_stack([np.diag(factors), (factors - 1) / 2])
    return agrees(lay_over(one, other, whole, np.array([(0, 0), sides - 1]))) or shows_part(
        one, other, False
    )


def agrees(agreement: Agreement | None) -> bool:
    """Whether pictures that agree so much show the same where they lie over each other."""
    return (
        agreement is not None
        and agreement.share >= MIN_AGREEMENT
        and agreement.tiles >= MIN_TILES
        and agreement.apart <= MAX_APART
        and agreement.cover >= MIN_COVER
    )


def compare(one: Local, other: Local, mirrored: bool) -> Agreement | None:
    """How a picture, or its mirror image, agrees with another; None without a common transform."""
    if min(len(one.points), len(other.points)) < MIN_INLIERS:
        return None
    signs = one.signs ^ mirror_mask() if mirrored else one.signs
    matches = cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(signs, other.signs, k=NEIGHBOURS)
    found = sorted(
        (match.distance, match.queryIdx, match.trainIdx)
        for few in matches
        for match in few
        if match.distance <= MAX_DISTANCE
    )
    if len(found) < MIN_INLIERS:
        return None
    _, first, second = np.array(found[:MAX_MATCHES], np.int64).T
    fitted = fit_transform(one.points[first], other.points[second], mirrored)
    if fitted is None:
        return None
    transform, inliers = fitted
    return lay_over(one, other, transform, other.points[second[inliers], :2])


def fit_transform(
    points: np.ndarray, others: np.ndarray, mirrored: bool
) -> tuple[np.ndarray, np.ndarray] | None:
    """The affine transform (2, 3) on which most of n matched keypoints (n, 4) agree, and which
    they are, (n,) bool; None where too few agree, or on no likely transform.

    They come nearest first. Each gives a similarity transform by itself, so the first ones are all
    tried, and nothing by chance.
    """
    places, angles = points[:, :2].astype(np.float64), points[:, 3].astype(np.float64)
    if mirrored:
        places, angles = places * (-1, 1), np.pi - angles
    targets = others[:, :2].astype(np.float64)
    scales, turns = others[:, 2] / points[:, 2].astype(np.float64), others[:, 3] - angles
    # As complex numbers: turned and scaled about each of the guesses, (guesses, matches).
    ones, twos, tries = places @ (1, 1j), targets @ (1, 1j), np.s_[:GUESSES, None]
    logs, directions = np.log(scales), np.exp(1j * turns)
    steps = (ones - ones[tries]) * (scales * directions)[tries]
    agreeing = np.abs(steps - (twos - twos[tries])) < MAX_ERROR * 3 + GUESS_ERROR * np.abs(steps)
    agreeing &= np.abs(logs - logs[tries]) < MAX_SCALE_ERROR
    agreeing &= (directions * directions[tries].conj()).real > np.cos(MAX_ANGLE_ERROR)
    likely = inliers = agreeing[agreeing.sum(1).argmax()]
    design = np.column_stack([places, np.ones(len(places))])
    for tolerance in (4, 2, 1, 1):
        if len(np.unique(targets[inliers].round(), axis=0)) < MIN_INLIERS:
            return None
        solved = np.linalg.lstsq(design[inliers], targets[inliers], rcond=1e-6)[0]
        inliers = likely & (np.hypot(*(design @ solved - targets).T) < MAX_ERROR * tolerance)
    if len(np.unique(targets[inliers].round(), axis=0)) < MIN_INLIERS:
        return None
    transform = solved.T
    if mirrored:
        transform = transform * (-1, 1, 1)
    large, small = np.linalg.svd(transform[:, :2], compute_uv=False)
    if large > MAX_STRETCH * small or not 1 / MAX_SCALE < small * large < MAX_SCALE**2:
        return None
    return transform, inliers


def lay_over(
    one: Local, other: Local, transform: np.ndarray, inliers: np.ndarray
) -> Agreement | None:
    """How two pictures agree under the transform from the one to the other; `inliers` (n, 2) are
    places in the other. None where these span too little.

    They are compared at the resolution of the one that shows less of it.
    """
    scale = abs(np.linalg.det(transform[:, :2])) ** 0.5
    if scale > 1:
        inverse = cv2.invertAffineTransform(transform)
        inliers = inliers @ inverse[:, :2].T + inverse[:, 2]
        one, other, transform, scale = other, one, inverse, 1 / scale
    height, width = other.picture.shape
    moved, shown = warp(one.picture, transform, scale, (width, height))
    rows, columns = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
    if not len(rows):
        return None
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    sides = np.array([columns[-1] - columns[0], rows[-1] - rows[0]]) + 1
    if (np.ptp(inliers, axis=0) < MIN_SPAN * sides).any():
        return None
    tile = max(TILE_PIXELS, -(-int(sides.max()) // TILES))
    correlations, seen = correlate(moved[box], other.picture[box], shown[box], tile)
    differ = (correlations < MIN_CORRELATION) & seen
    _, areas = cv2.connectedComponents(differ.astype(np.uint8))
    apart = int(np.bincount(areas[differ], minlength=1).max())
    agreeing = int(seen.sum() - differ.sum())
    covers = (
        contents(other.picture, shown),
        contents(one.picture, seen_in(one.picture.shape, transform, (width, height))),
    )
    share = agreeing / max(int(seen.sum()), 1)
    return Agreement(len(inliers), share, agreeing, apart, max(covers))


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
    one: np.ndarray, other: np.ndarray, shown: np.ndarray, tile: int
) -> tuple[np.ndarray, np.ndarray]:
    """The correlation of each tile of two pictures of one size, at the best of the `SHIFTS`, and
    whether the tile shows something in either and lies in `shown`, each (rows, columns)."""
    # A line is as wide as the error of its place.
    ones, others = (cv2.GaussianBlur(p.astype(np.float32), (0, 0), 1.2) for p in (one, other))
    weights = tile_means(shown.astype(np.float32), tile)
    mean, mean_square = tile_means(others, tile), tile_means(others * others, tile)
    variance = np.maximum(mean_square - mean**2, 0)
    best = np.full(weights.shape, -1.0)
    first_variance = None
    for down in SHIFTS:
        for right in SHIFTS:
            moved = np.roll(ones, (down, right), (0, 1))
            own = tile_means(moved, tile)
            own_variance = np.maximum(tile_means(moved * moved, tile) - own**2, 0)
            if not down and not right:
                first_variance = own_variance
            shared = tile_means(moved * others, tile) - own * mean
            scale = np.sqrt(np.maximum(own_variance * variance, 1e-6))
            best = np.maximum(best, shared / scale)
    seen = (np.maximum(first_variance, variance) >= FLAT**2) & (weights > 0.8)
    return best, seen


def tile_means(levels: np.ndarray, tile: int) -> np.ndarray:
    """The means of square tiles, those at the right and below being smaller."""
    height, width = levels.shape
    rows, columns = np.arange(0, height, tile), np.arange(0, width, tile)
    sums = np.add.reduceat(np.add.reduceat(levels, rows, 0), columns, 1)
    counts = np.outer(np.diff(np.append(rows, height)), np.diff(np.append(columns, width)))
    return sums / counts
