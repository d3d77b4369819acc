"""Compare two aligned images pixel by pixel.

Plots and diagrams of one template agree in most tiles: axes, labels and boxes fill more of them
than the curve or the words, and the correlation of a tile with a box and a word is dominated by the
box. Each pixel is therefore compared by a window of a few pixels, without shifts, and the share of
the drawn area that differs decides: a curve shifted by one pixel differs along its whole length.

The thresholds are fitted on 500 copies of 70 figures of the papers in `wide` and of synthetic
papers, on 35 such copies with another letter drawn on them, on 34 review copies and joined copies
of plots of dense lines, and on plots of one curve and block diagrams of seeds that
`benchmarks.copies` does not draw. 99 % of the copies differ in less than 0.3 %, 90 % of those of
dense lines in less than 1 %. Of 24 plots whose tiles agree, the most similar, with 0.7 pixels
between the curves, differ in 1.9 %; block diagrams in 11 %.
"""

import cv2
import numpy as np

from cephalo.dataset_scripts.publication.local_features import Local
from cephalo.dataset_scripts.publication.local_overlay import at_one_scale, warp

WINDOW = 5  # pixels of the side of the window: half a letter's height
BLUR = 1.2  # pixels, of both images: evens out compression and resampling
DRAWN = 25.0  # standard deviation of the grey levels of a window with a line or a letter
MIN_CORRELATION = 0.87  # between two windows that agree
LETTER = 24  # pixels of the side of the one area that may differ: another panel letter
MAX_DIFFERENT = 0.015  # of the windows with content, besides that area
# Pixels from the edge of the common area within which the window and the blur extend beyond it.
EDGE = WINDOW // 2 + 3


def differs(one: Local, other: Local, transform: np.ndarray) -> bool:
    """Return whether too much of the drawn area differs between two images.

    `transform` (2, 3) is the affine transform from the first to the second.
    """
    return different_share(one, other, transform) > MAX_DIFFERENT


def different_share(one: Local, other: Local, transform: np.ndarray) -> float:
    """Return the share of the drawn area that differs, without the largest area of a letter's
    size."""
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
    """Return which pixels are `EDGE` or more inside of an area, (height, width) bool; everything
    beyond the image is outside."""
    square = np.ones((2 * EDGE + 1, 2 * EDGE + 1), np.uint8)
    return cv2.erode(np.pad(shown, 1).astype(np.uint8), square)[1:-1, 1:-1] > 0


def correlate_windows(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the correlation of the windows about each pixel of two images of one size, and the
    larger deviation of their grey levels, both (height, width) float32."""
    ones, others = (cv2.GaussianBlur(p.astype(np.float32), (0, 0), BLUR) for p in (one, other))
    mean, other_mean = window_means(ones), window_means(others)
    variance = np.maximum(window_means(ones * ones) - mean**2, 0)
    other_variance = np.maximum(window_means(others * others) - other_mean**2, 0)
    shared = window_means(ones * others) - mean * other_mean
    correlations = shared / np.sqrt(np.maximum(variance * other_variance, 1))
    return correlations, np.sqrt(np.maximum(variance, other_variance))


def window_means(levels: np.ndarray) -> np.ndarray:
    """Return the mean of the window about each pixel."""
    return cv2.blur(levels, (WINDOW, WINDOW))
