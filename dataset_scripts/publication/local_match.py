"""Whether a picture shows a part of another: keypoints give the transform, pixels decide.

The transform is an affine one with little stretch, of either handedness. Repeated hatching, letters
and axes make several likely, so the pictures are laid over each other by the first few: roughly,
then, fitted to the pixels, exactly. Where few keypoints agree, pairs of them give transforms.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from cephalo.dataset_scripts.publication.local_differences import differs
from cephalo.dataset_scripts.publication.local_features import Local, mirror_mask
from cephalo.dataset_scripts.publication.local_overlay import (
    EXACT,
    ROUGH,
    Agreement,
    agrees,
    lay_over,
)
from cephalo.dataset_scripts.publication.local_pairs import fit, transforms_of_pairs

MAX_DISTANCE = 38  # bits of 128 in which the descriptors of one keypoint differ
MAX_FIRST_DISTANCE = 19  # of the first 64 of them, which are more certain than the others
NEIGHBOURS = 2  # keypoints of the other picture that one may be
MAX_MATCHES, GUESSES = 300, 80  # the nearest ones, and those of which each gives a transform
TRANSFORMS = 4  # that are tried, those with most inliers first
# Error of a keypoint's place, in pixels of the other picture; of a first guess from one keypoint
# alone, in addition a share of the distance from it (a stretch of 15 %, an angle by 5 degrees).
MAX_ERROR, GUESS_ERROR = 3.0, 0.15
MAX_SCALE_ERROR, MAX_ANGLE_ERROR = 0.5, 0.5  # of two keypoints: natural logarithm, radians
# At places of their own; an affine transform fits any 3. Of copies of figures of 36 papers 99 %
# have at least 8, bar charts of strangers had 5.
MIN_INLIERS = 7
# Inliers that tell the place for certain, though they may err by some pixels, and the share of the
# tiles that must agree then, before the pictures are fitted to the pixels: two of 137 crops by
# 20 % are found by that alone, with 57 and 81 inliers.
MANY_INLIERS, MIN_SHARE = 40, 0.5
MAX_STRETCH = 1.35  # of one direction against the other: 15 %, and what few keypoints err by
MAX_SCALE = 8.0  # of one picture against the other

CORNERS = np.array([(0, 0), (1, 0), (0, 1), (1, 1)])  # of a picture of which a side is 1

Transform = tuple[np.ndarray, np.ndarray]
"""An affine transform (2, 3), and which of n matches are its inliers, (n,) bool."""


def shows_part(one: Local, other: Local, ways: Iterable[bool] = (False, True)) -> bool:
    """Whether one of the pictures shows a part, or the whole, of the other as it is or mirrored;
    `ways` has True to try the mirrored picture, False to try it as it is."""
    # The smaller one is looked for in the larger one.
    small, large = sorted((one, other), key=lambda local: local.picture.size)
    return any(is_in(mirror(small) if mirrored else small, large) for mirrored in ways)


def same_picture(one: Local, other: Local) -> bool:
    """Whether two pictures show the same, laid edge to edge or where their keypoints tell."""
    height, width = one.picture.shape
    sides = np.array(other.picture.shape[::-1])
    factors = sides / (width, height)
    # A pixel's centre lies at a whole number.
    whole = np.column_stack([np.diag(factors), (factors - 1) / 2])
    edge_to_edge = lay_over(one, other, whole, (sides - 1) * CORNERS, ROUGH)
    return (agrees(edge_to_edge, ROUGH) and fits(one, other, whole)) or is_in(one, other)


def mirror(local: Local) -> Local:
    """The local features of a picture's mirror image."""
    points = local.points.copy()
    points[:, 0] = local.picture.shape[1] - 1 - points[:, 0]
    points[:, 3] = np.pi - points[:, 3]
    picture = np.ascontiguousarray(local.picture[:, ::-1])
    return Local(points, local.signs ^ mirror_mask(), picture, local.indexed)


def is_in(one: Local, other: Local) -> bool:
    """Whether a picture agrees with another under one of the transforms that are likely."""
    first, second = match(one, other)
    points, others = one.points[first], other.points[second]
    for transform, inliers in likely_transforms(points, others):
        rough = lay_over(one, other, transform, others[inliers, :2], ROUGH)
        if is_worth_fitting(rough) and fits(one, other, transform):
            return True
    pairs = transforms_of_pairs(points, others, one.picture, other.picture)
    return any(fits(one, other, transform) for transform in pairs)


def is_worth_fitting(rough: Agreement | None) -> bool:
    """Whether pictures agree under a transform from keypoints, or so many of these agree that it
    may only err by some pixels."""
    many = rough is not None and rough.inliers >= MANY_INLIERS and rough.share >= MIN_SHARE
    return many or agrees(rough, ROUGH)


def fits(one: Local, other: Local, transform: np.ndarray) -> bool:
    """Whether a picture agrees with another, pixel by pixel, near a transform."""
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
    """The keypoints and the corners of two pictures that may be the same: their numbers among the
    ones and among the others, nearest first."""
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
    """Of signs (n, 16) the nearest ones of the others (m, 16): their numbers among the ones and
    among the others, and in how many bits they differ."""
    words, other_words = (np.ascontiguousarray(bits).view(np.uint64) for bits in (signs, others))
    distances = np.bitwise_count(words[:, None, 0] ^ other_words[:, 0])
    first, second = np.divmod(np.flatnonzero(distances <= MAX_FIRST_DISTANCE), len(others))
    near = distances[first, second] + np.bitwise_count(words[first, 1] ^ other_words[second, 1])
    close = near <= MAX_DISTANCE
    first, second, near = first[close], second[close], near[close]
    order = np.lexsort((second, near, first))
    ranks = np.arange(len(order)) - np.searchsorted(first, first)  # `first` is in order already
    kept = order[ranks < NEIGHBOURS]
    return first[kept], second[kept], near[kept]


def likely_transforms(points: np.ndarray, others: np.ndarray) -> Iterator[Transform]:
    """Transforms on which several of n matched keypoints (n, 4) agree, those with most first.

    They come nearest first. Each gives a similarity transform by itself, so the first ones are all
    tried, and nothing by chance.
    """
    scales, turns = others[:, 2] / points[:, 2], others[:, 3] - points[:, 3]
    logs, directions = np.log(scales), np.column_stack([np.cos(turns), np.sin(turns)])
    agreeing = directions[:GUESSES] @ directions.T > np.cos(MAX_ANGLE_ERROR)
    agreeing &= np.abs(logs - logs[:GUESSES, None]) < MAX_SCALE_ERROR
    if len(points) < MIN_INLIERS or agreeing.sum(1).max() < MIN_INLIERS:
        return
    # As complex numbers: turned and scaled about each of the guesses, (guesses, matches).
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
    """The transform of places to targets, each (n, 2), on which most of the `likely` ones, (n,)
    bool, agree; None if too few do, or it stretches too much."""
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
    """Whether a transform stretches and scales no more than copies are."""
    large, small = np.linalg.svd(transform[:, :2], compute_uv=False)
    return bool(large <= MAX_STRETCH * small and 1 / MAX_SCALE < small * large < MAX_SCALE**2)


def distinct(places: np.ndarray) -> int:
    """How many of the places (n, 2) are different pixels."""
    return len(set((np.round(places) @ (1, 1j)).tolist()))
