"""Transforms from pairs of matched keypoints, for pictures that share few keypoints.

Two matches give a similarity transform exactly, where one alone errs in scale and angle. Of plots
and line drawings often no more are right, and which these are no count of inliers tells. So the
grey levels decide: those along the lines of the one picture are compared with those where they
come to lie in the other, for all likely pairs at once. Transforms are fitted to the pixels by the
enhanced correlation coefficient (Evangelidis and Psarakis, PAMI 2008).
"""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

MATCHES = 64  # of which pairs are made: those with fewest rivals first
PAIRS = 128  # that are tried
# Fewer matches, or pairs that agree with their keypoints, are strangers': four right matches give
# six pairs. Copies that only pairs found had 17 and 8, or more; half of all strangers have 8
# matches, one in twenty has 6 pairs.
MIN_MATCHES, MIN_PAIRS = 8, 6
MIN_DISTANCE = 10  # pixels between the two, in either picture
# Of a pair's transform against what each keypoint tells: natural logarithm of scale, radians.
MAX_SCALE_ERROR, MAX_ANGLE_ERROR = 0.35, 0.25
POINTS = 128  # of the one picture whose grey levels are compared
NEAR_LINES = 3  # pixels from an edge within which these lie
EDGE = 24  # of Sobel's derivative, in grey levels, at an edge
BLUR = 7  # pixels of a box, as wide as a Gaussian of 2: about the error of a pair's transform
MIN_INSIDE = 0.5  # of the points, that lie in the other picture
MIN_CORRELATION = 0.8  # of the grey levels of points, to be fitted
BEST = 2  # transforms that are fitted
# Two fits: iterations, change of the correlation at which they end, pixels of OpenCV's filter. The
# wide filter finds a place from farther away. The narrow one fits pictures of other sharpness, as
# a crop is that is looked at at a larger scale.
FITS = ((20, 1e-3, 5), (60, 1e-4, 3))


def transforms_of_pairs(
    places: np.ndarray, targets: np.ndarray, one: np.ndarray, other: np.ndarray
) -> Iterator[np.ndarray]:
    """Affine transforms (2, 3) of a picture to another under which their lines agree, best first.

    `places`, `targets` (n, 4) are the matched keypoints, as `Local.points` has them; `one`, `other`
    the pictures, uint8.
    """
    if len(places) < MIN_MATCHES:
        return
    factors, offsets = similarities(places.astype(np.float64), targets.astype(np.float64))
    if len(factors) < MIN_PAIRS:
        return
    scores = agreement_of_lines(factors, offsets, one, other)
    tried: list[tuple[complex, complex]] = []
    for number in np.argsort(-scores, kind="stable"):
        if scores[number] < MIN_CORRELATION or len(tried) == BEST:
            return
        transform = complex(factors[number]), complex(offsets[number])
        if any(is_near(transform, earlier, one.shape) for earlier in tried):
            continue
        tried.append(transform)
        factor, offset = transform
        yield np.array(
            [[factor.real, -factor.imag, offset.real], [factor.imag, factor.real, offset.imag]]
        )


def similarities(places: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The transforms z -> factor * z + offset of pairs of matches that agree with both keypoints,
    each (pairs,) complex."""
    kept = np.argsort(rivals(places) * rivals(targets), kind="stable")[:MATCHES]
    places, targets = places[kept], targets[kept]
    ones, twos = places[:, :2] @ (1, 1j), targets[:, :2] @ (1, 1j)
    logs = np.log(targets[:, 2] / places[:, 2])
    directions = np.exp(1j * (targets[:, 3] - places[:, 3]))
    # What agrees with a transform within an error agrees with each other within twice that.
    alike = np.abs(logs[:, None] - logs) < 2 * MAX_SCALE_ERROR
    alike &= np.real(directions[:, None] * directions.conj()) > np.cos(2 * MAX_ANGLE_ERROR)
    first, second = np.nonzero(np.triu(alike, 1))
    steps, moved = ones[second] - ones[first], twos[second] - twos[first]
    apart = (np.abs(steps) >= MIN_DISTANCE) & (np.abs(moved) >= MIN_DISTANCE)
    first, second, factors = first[apart], second[apart], moved[apart] / steps[apart]
    agree = np.ones(len(factors), bool)
    for match in (first, second):
        agree &= np.abs(np.log(np.abs(factors)) - logs[match]) < MAX_SCALE_ERROR
        turned = (factors * directions[match].conj()).real
        agree &= turned > np.cos(MAX_ANGLE_ERROR) * np.abs(factors)
    chosen = np.flatnonzero(agree)
    # Those of matches with few rivals first: pairs are in the order of their first match alone.
    chosen = chosen[np.argsort(first[chosen] + second[chosen], kind="stable")[:PAIRS]]
    return factors[chosen], twos[first[chosen]] - factors[chosen] * ones[first[chosen]]


def rivals(places: np.ndarray) -> np.ndarray:
    """How many of n keypoints lie at the place of each, (n,) int64: hatching matches all over."""
    columns, rows = np.round(places[:, :2]).astype(np.int64).T
    pixels = (rows << 32) + columns
    ordered = np.sort(pixels)
    return np.searchsorted(ordered, pixels, "right") - np.searchsorted(ordered, pixels)


def agreement_of_lines(
    factors: np.ndarray, offsets: np.ndarray, one: np.ndarray, other: np.ndarray
) -> np.ndarray:
    """The correlation of two pictures' grey levels at points near the lines of the one, under each
    of the transforms, (transforms,); -1 where too few lie in the other."""
    across, down = cv2.Sobel(one, cv2.CV_16S, 1, 0), cv2.Sobel(one, cv2.CV_16S, 0, 1)
    edges = (np.abs(across) + np.abs(down) >= EDGE * 4).astype(np.uint8)
    near = np.flatnonzero(cv2.dilate(edges, np.ones((NEAR_LINES, NEAR_LINES), np.uint8)))
    if len(near) < POINTS:
        return np.full(len(factors), -1.0)
    rows, columns = np.divmod(near[np.linspace(0, len(near) - 1, POINTS).astype(int)], one.shape[1])
    ones, others = (cv2.blur(picture, (BLUR, BLUR)) for picture in (one, other))
    moved = factors[:, None] * (columns + 1j * rows) + offsets[:, None]
    x, y = np.round(moved.real).astype(int), np.round(moved.imag).astype(int)
    height, width = other.shape
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    levels = others[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
    counts = np.maximum(inside.sum(1), 1)
    own = np.where(inside, ones[rows, columns], np.float32(0))
    own -= np.where(inside, (own.sum(1) / counts)[:, None], 0)
    levels = np.where(inside, levels, np.float32(0))
    levels -= np.where(inside, (levels.sum(1) / counts)[:, None], 0)
    norms = np.sqrt((own * own).sum(1) * (levels * levels).sum(1))
    correlations = (own * levels).sum(1) / np.maximum(norms, 1e-6)
    return np.where(counts >= MIN_INSIDE * POINTS, correlations, -1.0)


def is_near(
    one: tuple[complex, complex], other: tuple[complex, complex], shape: tuple[int, ...]
) -> bool:
    """Whether two transforms move the corners of a picture to within two pixels of each other."""
    corners = np.array([0, shape[1], 1j * shape[0], shape[1] + 1j * shape[0]])
    return bool(np.abs((one[0] - other[0]) * corners + one[1] - other[1]).max() < 2)


def fit(transform: np.ndarray, one: np.ndarray, other: np.ndarray) -> Iterator[np.ndarray]:
    """The affine transforms (2, 3) near another under which two pictures' pixels agree best, by
    each of `FITS`; none where none is found."""
    start = np.ascontiguousarray(transform, np.float32)
    everywhere: Any = None  # no mask, which OpenCV's stubs do not allow
    for steps, step_size, blur in FITS:
        criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, steps, step_size)
        try:
            _, fitted = cv2.findTransformECC(
                one, other, start.copy(), cv2.MOTION_AFFINE, criteria, everywhere, blur
            )
        except cv2.error as error:
            if error.code != cv2.Error.StsNoConv:
                raise
            continue
        yield fitted.astype(np.float64)
