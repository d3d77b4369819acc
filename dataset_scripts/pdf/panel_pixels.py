"""Pixel rectangles, runs of blank pixels, and sums over them."""

from itertools import pairwise

import numpy as np

Rect = tuple[int, int, int, int]  # left, top, right, bottom in pixels


def find_runs(blank: np.ndarray, least: int = 1) -> list[tuple[int, int]]:
    """Return the starts and ends of runs of at least `least` True values."""
    marks = blank.tobytes()  # a few byte searches are faster than one numpy call
    found, end = [], 0
    while (start := marks.find(1, end)) >= 0:
        end = marks.find(0, start)
        end = len(marks) if end < 0 else end
        if end - start >= least:
            found.append((start, end))
    return found


def centre(rect: Rect) -> tuple[float, float]:
    """Return the centre of a rectangle."""
    return (rect[0] + rect[2] - 1) / 2, (rect[1] + rect[3] - 1) / 2


def holds(rect: Rect, point: tuple[float, float]) -> bool:
    """Return whether a point is inside a rectangle."""
    return rect[0] <= point[0] < rect[2] and rect[1] <= point[1] < rect[3]


class Sums:
    """Cumulative sums of a mask (height, width) in both directions, for fast profiles."""

    def __init__(self, mask: np.ndarray) -> None:
        self.height, self.width = mask.shape
        self._sums = _from_top(mask), _from_top(np.ascontiguousarray(mask.T))

    def profile(self, rect: Rect, axis: int) -> np.ndarray:
        """Return the sum of each column (axis 0) or row (axis 1) of a rectangle."""
        sums, across = self._sums[axis], 1 - axis
        part = slice(rect[axis], rect[axis + 2])
        return sums[rect[across + 2], part] - sums[rect[across], part]

    def marked(self, rect: Rect, axis: int) -> bytes:
        """Return which columns (axis 0) or rows (axis 1) of a rectangle have a sum, as bytes."""
        sums, across = self._sums[axis], 1 - axis
        part = slice(rect[axis], rect[axis + 2])
        return (sums[rect[across + 2], part] != sums[rect[across], part]).tobytes()


def _from_top(mask: np.ndarray) -> np.ndarray:
    """Return cumulative sums of each column: int32 of shape (height + 1, width)."""
    sums = np.zeros((mask.shape[0] + 1, mask.shape[1]), np.int32)
    sums[1:] = mask  # convert once, since summing booleans into integers is slower
    rows = list(sums)
    for above, row in pairwise(rows):  # twice as fast as cumsum along columns
        np.add(above, row, out=row)
    return sums


def count_runs(marked: np.ndarray) -> int:
    """Return the number of runs of True."""
    return (b"\0" + marked.tobytes()).count(b"\0\1")


def share(marked: np.ndarray) -> float:
    """Return the share of True."""
    return np.count_nonzero(marked) / marked.size
