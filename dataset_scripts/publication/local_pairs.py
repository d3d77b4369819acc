"""Derive transforms from pairs of matched keypoints, for images that share few keypoints.

Two matches determine a similarity transform exactly, while one alone has errors in scale and angle.
Plots and line drawings often have no more correct matches, and a count of inliers cannot identify
them. The grey levels decide instead: those along the lines of one image are compared with those at
the transformed positions in the other, for all likely pairs at once. Transforms are fitted to the
pixels by the enhanced correlation coefficient (Evangelidis and Psarakis, PAMI 2008).
"""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

MATCHES = 64  # from which pairs are formed: those with fewest rivals first
PAIRS = 128  # that are evaluated
# Fewer matches, or pairs that agree with their keypoints, are from unrelated images: four correct
# matches give six pairs. Copies found only by pairs had at least 17 and 8; half of all unrelated
# images have 8 matches, one in twenty has 6 pairs.
MIN_MATCHES, MIN_PAIRS = 8, 6
MIN_DISTANCE = 10  # pixels between the two, in either picture
# Tolerance between a pair's transform and each of its keypoints: natural logarithm of scale,
# radians.
MAX_SCALE_ERROR, MAX_ANGLE_ERROR = 0.35, 0.25
POINTS = 128  # of one image whose grey levels are compared
NEAR_LINES = 3  # pixels from an edge within which they lie
EDGE = 24  # Sobel derivative, in grey levels, at an edge
BLUR = 7  # pixels of a box as wide as a Gaussian of 2: about the error of a pair's transform
MIN_INSIDE = 0.5  # of the points that fall into the other image
MIN_CORRELATION = 0.8  # of the grey levels of points, for a fit
BEST = 2  # transforms that are fitted
# Two fits: iterations, change of the correlation at which they end, pixels of OpenCV's filter. The
# wide filter converges from farther away. The narrow one fits images of different sharpness, such
# as a crop with a larger working size.
FITS = ((20, 1e-3, 5), (60, 1e-4, 3))


def transforms_of_pairs(
    places: np.ndarray, targets: np.ndarray, one: np.ndarray, other: np.ndarray
) -> Iterator[np.ndarray]:
    """Yield affine transforms (2, 3) from one image to the other under which their lines agree,
    best first.

    Args:
        places: Matched keypoints of the one image, (n, 4) as in `Local.points`.
        targets: Those of the other, (n, 4).
        one: An image, uint8.
        other: The other image, uint8.
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
    """Return the transforms z -> factor * z + offset of pairs of matches that agree with both
    keypoints, each (pairs,) complex."""
    kept = np.argsort(rivals(places) * rivals(targets), kind="stable")[:MATCHES]
    places, targets = places[kept], targets[kept]
    ones, twos = places[:, :2] @ (1, 1j), targets[:, :2] @ (1, 1j)
    logs = np.log(targets[:, 2] / places[:, 2])
    directions = np.exp(1j * (targets[:, 3] - places[:, 3]))
    # Matches that agree with a transform within an error agree with each other within twice that.
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
    # Those of matches with few rivals first; pairs are only sorted by their first match.
    chosen = chosen[np.argsort(first[chosen] + second[chosen], kind="stable")[:PAIRS]]
    return factors[chosen], twos[first[chosen]] - factors[chosen] * ones[first[chosen]]


def rivals(places: np.ndarray) -> np.ndarray:
    """Return how many of n keypoints are at the position of each, (n,) int64: hatching matches
    everywhere."""
    columns, rows = np.round(places[:, :2]).astype(np.int64).T
    pixels = (rows << 32) + columns
    ordered = np.sort(pixels)
    return np.searchsorted(ordered, pixels, "right") - np.searchsorted(ordered, pixels)


def agreement_of_lines(
    factors: np.ndarray, offsets: np.ndarray, one: np.ndarray, other: np.ndarray
) -> np.ndarray:
    """Return the correlation of the grey levels of two images at points near the lines of the
    first, under each of the transforms, (transforms,); -1 if too few points fall into the other."""
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
    """Return whether two transforms move the corners of an image to within two pixels of each
    other."""
    corners = np.array([0, shape[1], 1j * shape[0], shape[1] + 1j * shape[0]])
    return bool(np.abs((one[0] - other[0]) * corners + one[1] - other[1]).max() < 2)


def fit(transform: np.ndarray, one: np.ndarray, other: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the affine transforms (2, 3) near another that maximize the agreement of the pixels, by
    each of `FITS` that converges."""
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
