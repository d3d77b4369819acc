"""Decide whether an image shows a part of another: keypoints give the transform, pixels decide.

The transform is affine with little stretch, of either handedness. Repeated hatching, letters and
axes suggest several, so the images are aligned by the first few of them: first approximately, and
then, after a fit to the pixels, exactly. If few keypoints agree, pairs of them give transforms.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from cephalo.dataset_scripts.publication.local_differences import differs
from cephalo.dataset_scripts.publication.local_features import Local, mirror_mask
from cephalo.dataset_scripts.publication.local_overlay import EXACT, ROUGH, agrees, lay_over
from cephalo.dataset_scripts.publication.local_pairs import fit, transforms_of_pairs

MAX_DISTANCE = 38  # differing bits of the 128 in descriptors of the same keypoint
MAX_FIRST_DISTANCE = 19  # of the first 64, which are more reliable
NEIGHBOURS = 2  # keypoints of the other image that one may match
MAX_MATCHES, GUESSES = 300, 80  # best matches in total, and those from which transforms are derived
TRANSFORMS = 4  # candidates, those with most inliers first
# Position error of a keypoint in pixels of the other image; for a transform from a single keypoint,
# plus a share of the distance from it (a stretch of 15 %, an angle error of 5 degrees).
MAX_ERROR, GUESS_ERROR = 3.0, 0.15
MAX_SCALE_ERROR, MAX_ANGLE_ERROR = 0.5, 0.5  # between two keypoints: natural logarithm, radians
# At distinct positions; an affine transform fits any 3. 99 % of the copies of figures of 36 papers
# have at least 8, bar charts of different papers had 5.
MIN_INLIERS = 7
MAX_STRETCH = 1.35  # of one direction relative to the other: 15 %, and the error of few keypoints
MAX_SCALE = 8.0  # of one image relative to the other

CORNERS = np.array([(0, 0), (1, 0), (0, 1), (1, 1)])  # of an image with sides of 1

Transform = tuple[np.ndarray, np.ndarray]
"""An affine transform (2, 3), and which of n matches are its inliers, (n,) bool."""


def shows_part(one: Local, other: Local, ways: Iterable[bool] = (False, True)) -> bool:
    """Return whether one image shows a part or all of the other, mirrored or not.

    `ways` contains True to try the mirrored image, and False to try it as it is.
    """
    # The smaller one is searched in the larger one.
    small, large = sorted((one, other), key=lambda local: local.picture.size)
    return any(is_in(mirror(small) if mirrored else small, large) for mirrored in ways)


def same_picture(one: Local, other: Local) -> bool:
    """Return whether two images show the same, aligned at their edges or by their keypoints."""
    height, width = one.picture.shape
    sides = np.array(other.picture.shape[::-1])
    factors = sides / (width, height)
    # Pixel centers have integer coordinates.
    whole = np.column_stack([np.diag(factors), (factors - 1) / 2])
    edge_to_edge = lay_over(one, other, whole, (sides - 1) * CORNERS, ROUGH)
    return (agrees(edge_to_edge, ROUGH) and fits(one, other, whole)) or is_in(one, other)


def mirror(local: Local) -> Local:
    """Return the local features of the mirrored image."""
    points = local.points.copy()
    points[:, 0] = local.picture.shape[1] - 1 - points[:, 0]
    points[:, 3] = np.pi - points[:, 3]
    picture = np.ascontiguousarray(local.picture[:, ::-1])
    return Local(points, local.signs ^ mirror_mask(), picture, local.indexed)


def is_in(one: Local, other: Local) -> bool:
    """Return whether an image agrees with another under one of the likely transforms."""
    first, second = match(one, other)
    points, others = one.points[first], other.points[second]
    for transform, inliers in likely_transforms(points, others):
        rough = lay_over(one, other, transform, others[inliers, :2], ROUGH)
        if agrees(rough, ROUGH) and fits(one, other, transform):
            return True
    pairs = transforms_of_pairs(points, others, one.picture, other.picture)
    return any(fits(one, other, transform) for transform in pairs)


def fits(one: Local, other: Local, transform: np.ndarray) -> bool:
    """Return whether an image agrees with another, pixel by pixel, near a transform."""
    corners = (np.array(one.picture.shape[::-1]) - 1) * CORNERS
    for fitted in fit(transform, one.picture, other.picture):
        moved = corners @ fitted[:, :2].T + fitted[:, 2]
        if not is_likely(fitted):
            continue
        exact = lay_over(one, other, fitted, moved, EXACT)
        if agrees(exact, EXACT) and not differs(one, other, fitted):
            return True
    return False


def match(one: Local, other: Local) -> tuple[np.ndarray, np.ndarray]:
    """Match the keypoints and the corners of two images. Returns the indices of matches in both,
    the best first."""
    signs, start, other_start = one.signs, one.indexed, other.indexed
    firsts, seconds, nears = zip(
        near_signs(signs[:start], other.signs[:other_start]),
        near_signs(signs[start:], other.signs[other_start:]),
        strict=True,
    )
    first = np.concatenate([firsts[0], firsts[1] + start])
    second, near = np.concatenate([seconds[0], seconds[1] + other_start]), np.concatenate(nears)
    order = np.lexsort((second, first, near))[:MAX_MATCHES]
    return first[order], second[order]


def near_signs(signs: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the nearest ones of the others' signs (m, 16) for each of signs (n, 16).

    Returns:
        The indices in both, and the number of differing bits.
    """
    words, other_words = (np.ascontiguousarray(bits).view(np.uint64) for bits in (signs, others))
    distances = np.bitwise_count(words[:, None, 0] ^ other_words[:, 0])
    first, second = np.divmod(np.flatnonzero(distances <= MAX_FIRST_DISTANCE), len(others))
    near = distances[first, second] + np.bitwise_count(words[first, 1] ^ other_words[second, 1])
    close = near <= MAX_DISTANCE
    first, second, near = first[close], second[close], near[close]
    order = np.lexsort((second, near, first))
    ranks = np.arange(len(order)) - np.searchsorted(first, first)  # `first` is sorted
    kept = order[ranks < NEIGHBOURS]
    return first[kept], second[kept], near[kept]


def likely_transforms(points: np.ndarray, others: np.ndarray) -> Iterator[Transform]:
    """Yield transforms on which several of n matched keypoints (n, 4) agree, those with most first.

    The matches are sorted by distance. Each of the first ones gives a similarity transform by
    itself, so all are tried and no random sampling is needed.
    """
    scales, turns = others[:, 2] / points[:, 2], others[:, 3] - points[:, 3]
    logs, directions = np.log(scales), np.column_stack([np.cos(turns), np.sin(turns)])
    agreeing = directions[:GUESSES] @ directions.T > np.cos(MAX_ANGLE_ERROR)
    agreeing &= np.abs(logs - logs[:GUESSES, None]) < MAX_SCALE_ERROR
    if len(points) < MIN_INLIERS or agreeing.sum(1).max() < MIN_INLIERS:
        return
    # As complex numbers: rotated and scaled about each of the guesses, (guesses, matches).
    places, targets = points[:, :2].astype(np.float64), others[:, :2].astype(np.float64)
    ones, twos, tries = places @ (1, 1j), targets @ (1, 1j), np.s_[:GUESSES, None]
    steps = (ones - ones[tries]) * (scales * np.exp(1j * turns))[tries]
    agreeing &= np.abs(steps - (twos - twos[tries])) < MAX_ERROR * 3 + GUESS_ERROR * np.abs(steps)
    left = agreeing.copy()
    for _ in range(TRANSFORMS):
        guess = int(left.sum(1).argmax())
        if left[guess].sum() < MIN_INLIERS:
            return
        left &= ~agreeing[guess]
        fitted = fit_transform(places, targets, agreeing[guess])
        if fitted is not None:
            yield fitted


def fit_transform(places: np.ndarray, targets: np.ndarray, likely: np.ndarray) -> Transform | None:
    """Return the transform from places to targets, each (n, 2), on which most of the `likely`
    matches (n,) bool agree, or None if too few do or it stretches too much."""
    inliers, design = likely, np.column_stack([places, np.ones(len(places))])
    for tolerance in (4, 2, 1, 1):
        if min(distinct(places[inliers]), distinct(targets[inliers])) < MIN_INLIERS:
            return None
        solved = np.linalg.lstsq(design[inliers], targets[inliers], rcond=1e-6)[0]
        inliers = likely & (np.hypot(*(design @ solved - targets).T) < MAX_ERROR * tolerance)
    if min(distinct(places[inliers]), distinct(targets[inliers])) < MIN_INLIERS:
        return None
    transform = solved.T
    return (transform, inliers) if is_likely(transform) else None


def is_likely(transform: np.ndarray) -> bool:
    """Return whether the stretch and the scale of a transform are within the range of copies."""
    large, small = np.linalg.svd(transform[:, :2], compute_uv=False)
    return bool(large <= MAX_STRETCH * small and 1 / MAX_SCALE < small * large < MAX_SCALE**2)


def distinct(places: np.ndarray) -> int:
    """Return how many of the places (n, 2) are different pixels."""
    return len(set((np.round(places) @ (1, 1j)).tolist()))
