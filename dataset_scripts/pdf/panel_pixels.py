"""Rectangles of pixels, runs of blank ones, and sums over them."""

from itertools import pairwise

import numpy as np

Rect = tuple[int, int, int, int]  # left, top, right, bottom in pixels


def find_runs(blank: np.ndarray, least: int = 1) -> list[tuple[int, int]]:
    """Starts and ends of runs of `least` or more True."""
    marks = blank.tobytes()  # a few searches of bytes cost less than one call of numpy
    found, end = [], 0
    while (start := marks.find(1, end)) >= 0:
        end = marks.find(0, start)
        end = len(marks) if end < 0 else end
        if end - start >= least:
            found.append((start, end))
    return found


def centre(rect: Rect) -> tuple[float, float]:
    """The point in the middle of a rectangle."""
    return (rect[0] + rect[2] - 1) / 2, (rect[1] + rect[3] - 1) / 2


def holds(rect: Rect, point: tuple[float, float]) -> bool:
    """Whether a point lies in a rectangle."""
    return rect[0] <= point[0] < rect[2] and rect[1] <= point[1] < rect[3]


class Sums:
    """Sums of a mask (height, width) from its top and from its left, for quick profiles."""

    def __init__(self, mask: np.ndarray) -> None:
        self.height, self.width = mask.shape
        self._sums = _from_top(mask), _from_top(np.ascontiguousarray(mask.T))

    def profile(self, rect: Rect, axis: int) -> np.ndarray:
        """The sum of each column (axis 0) or row (axis 1) of a rectangle."""
        sums, across = self._sums[axis], 1 - axis
        part = slice(rect[axis], rect[axis + 2])
        return sums[rect[across + 2], part] - sums[rect[across], part]

    def marked(self, rect: Rect, axis: int) -> bytes:
        """Which columns (axis 0) or rows (axis 1) of a rectangle have a sum, as bytes 1 and 0."""
        sums, across = self._sums[axis], 1 - axis
        part = slice(rect[axis], rect[axis + 2])
        return (sums[rect[across + 2], part] != sums[rect[across], part]).tobytes()


def _from_top(mask: np.ndarray) -> np.ndarray:
    """Sums of each column down to each row: int32 (height + 1, width)."""
    sums = np.zeros((mask.shape[0] + 1, mask.shape[1]), np.int32)
    sums[1:] = mask  # converted once: a sum of booleans into integers is slower
    rows = list(sums)
    for above, row in pairwise(rows):  # twice as fast as a cumsum down the columns
        np.add(above, row, out=row)
    return sums


def count_runs(marked: np.ndarray) -> int:
    """The number of runs of True."""
    return (b"\0" + marked.tobytes()).count(b"\0\1")


def share(marked: np.ndarray) -> float:
    """The share of True."""
    return np.count_nonzero(marked) / marked.size
