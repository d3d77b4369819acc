"""Rectangles of pixels, runs of blank ones, and sums over them."""

import numpy as np

Rect = tuple[int, int, int, int]  # left, top, right, bottom in pixels


def find_runs(blank: np.ndarray, least: int = 1) -> list[tuple[int, int]]:
    """Starts and ends of runs of `least` or more True."""
    padded = np.zeros(len(blank) + 2, bool)
    padded[1:-1] = blank
    steps = (padded[1:] != padded[:-1]).nonzero()[0].reshape(-1, 2)
    return steps[steps[:, 1] - steps[:, 0] >= least].tolist()


def centre(rect: Rect) -> tuple[float, float]:
    """The point in the middle of a rectangle."""
    return (rect[0] + rect[2] - 1) / 2, (rect[1] + rect[3] - 1) / 2


def holds(rect: Rect, point: tuple[float, float]) -> bool:
    """Whether a point lies in a rectangle."""
    return rect[0] <= point[0] < rect[2] and rect[1] <= point[1] < rect[3]


def integral(ink: np.ndarray) -> np.ndarray:
    """Sums of `ink` over all rectangles from the corner: int32 (height + 1, width + 1)."""
    sums = np.zeros((ink.shape[0] + 1, ink.shape[1] + 1), np.int32)
    np.cumsum(ink, axis=0, dtype=np.int32, out=sums[1:, 1:])
    np.cumsum(sums[1:, 1:], axis=1, out=sums[1:, 1:])
    return sums
