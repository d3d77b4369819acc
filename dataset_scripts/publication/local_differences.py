"""What differs between two pictures that are laid over each other exactly.

Plots and diagrams of one template agree in most of their tiles: axes, labels and boxes fill more of
them than the curve or the words do, and a tile that holds both a box and a word correlates by the
box. So each place is compared with a window of a few pixels, without shifts, and the share of what
is drawn that differs decides: a curve that lies a pixel elsewhere differs along its length.

The numbers are fitted on 500 copies of 70 figures of the papers in `wide` and of made papers, on 35
such copies with another letter drawn on them, on 34 review copies and joined copies of plots of
dense lines, and on plots of one curve and block diagrams of seeds that `benchmarks.copies` does not
draw. Of the copies 99 % differ in less than 0.3 %, of those of dense lines 90 % in less than 1 %.
Of 24 plots whose tiles agree, the nearest, with 0.7 pixels between the curves, differ in 1.9 %;
block diagrams in 11 %.
"""

import cv2
import numpy as np

from cephalo.dataset_scripts.publication.local_features import Local
from cephalo.dataset_scripts.publication.local_overlay import at_one_scale, warp

WINDOW = 5  # pixels of the square in which grey levels are compared: half a letter's height
BLUR = 1.2  # pixels, of both pictures: levels what compression and resampling change
DRAWN = 25.0  # standard deviation of the grey levels of a window that holds a line or a letter
MIN_CORRELATION = 0.87  # of two windows that agree
LETTER = 24  # pixels of the sides of one place that may differ: another panel's letter
MAX_DIFFERENT = 0.015  # of the windows that hold something, besides that place
# Pixels from the edge of the common area where a window and the blur reach beyond it.
EDGE = WINDOW // 2 + 3


def differs(one: Local, other: Local, transform: np.ndarray) -> bool:
    """Whether too much of what is drawn differs between two pictures, laid over each other under
    the affine transform (2, 3) of the one to the other."""
    return different_share(one, other, transform) > MAX_DIFFERENT


def different_share(one: Local, other: Local, transform: np.ndarray) -> float:
    """The share of what is drawn that differs, beyond the largest place of a letter's size."""
    one, other, transform, scale = at_one_scale(one, other, transform)
    height, width = other.picture.shape
    moved, shown = warp(one.picture, transform, scale, (width, height))
    correlations, deviations = correlate_windows(moved, other.picture)
    drawn = (deviations >= DRAWN) & inner(shown)
    different = (correlations < MIN_CORRELATION) & drawn
    _, _, areas, _ = cv2.connectedComponentsWithStats(different.astype(np.uint8))
    sides = areas[1:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(1)
    sizes = areas[1:, cv2.CC_STAT_AREA]
    letter = sizes[sides <= LETTER].max(initial=0)
    return float((sizes.sum() - letter) / max(drawn.sum(), 1))


def inner(shown: np.ndarray) -> np.ndarray:
    """Which pixels lie `EDGE` or more within an area, (height, width) bool; beyond the picture lies
    none of it."""
    square = np.ones((2 * EDGE + 1, 2 * EDGE + 1), np.uint8)
    return cv2.erode(np.pad(shown, 1).astype(np.uint8), square)[1:-1, 1:-1] > 0


def correlate_windows(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The correlation of the windows about each pixel of two pictures of one size, and the larger
    one of the deviations of their grey levels, each (height, width) float32."""
    ones, others = (cv2.GaussianBlur(p.astype(np.float32), (0, 0), BLUR) for p in (one, other))
    mean, other_mean = window_means(ones), window_means(others)
    variance = np.maximum(window_means(ones * ones) - mean**2, 0)
    other_variance = np.maximum(window_means(others * others) - other_mean**2, 0)
    shared = window_means(ones * others) - mean * other_mean
    correlations = shared / np.sqrt(np.maximum(variance * other_variance, 1))
    return correlations, np.sqrt(np.maximum(variance, other_variance))


def window_means(levels: np.ndarray) -> np.ndarray:
    """The mean of the window about each pixel."""
    return cv2.blur(levels, (WINDOW, WINDOW))
