"""Pixel rectangles, runs of blank pixels, connected components, and sums over them."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

_SHORT = 65535  # rows of a mask whose sums fit in 16 bits
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


@dataclass(frozen=True)
class Runs:
    """A mask as runs of pixels in its rows, and their connected components.

    Attributes:
        shape: Height and width of the mask, in pixels.
        rows: Row of each run, of shape (runs,), in reading order.
        lefts: First column of each run.
        rights: Column after the last one of each run.
        owners: Label, from 1, of the component of each run.
    """

    shape: tuple[int, ...]
    rows: np.ndarray
    lefts: np.ndarray
    rights: np.ndarray
    owners: np.ndarray

    @property
    def parts(self) -> int:
        """Number of components."""
        return int(self.owners.max(initial=0))

    def boxes(self, least: float = 1.0) -> np.ndarray:
        """Return label and box of each component at least `least` pixels high, of shape (n, 5)."""
        boxes = np.zeros((self.parts + 1, 5), int)
        boxes[:, 0] = np.arange(len(boxes))
        boxes[:, 1] = self.shape[1]
        boxes[self.owners[::-1], 2] = self.rows[
            ::-1
        ]  # the last assignment to a component is its top row
        boxes[self.owners, 4] = self.rows + 1
        np.minimum.at(boxes[:, 1], self.owners, self.lefts)
        np.maximum.at(boxes[:, 3], self.owners, self.rights)
        return boxes[1:][boxes[1:, 4] - boxes[1:, 2] >= least]

    def numbered(self, numbers: np.ndarray) -> np.ndarray:
        """Return an int32 mask with the labels of some components at their pixels, 0 elsewhere."""
        wanted = np.zeros(self.parts + 1, bool)
        wanted[numbers] = True
        own = wanted[self.owners]
        starts = self.rows[own] * self.shape[1] + self.lefts[own]
        lengths = self.rights[own] - self.lefts[own]
        offsets = starts - np.cumsum(lengths) + lengths
        places = np.arange(lengths.sum()) + np.repeat(offsets, lengths)
        found = np.zeros(self.shape, np.int32)
        found.reshape(-1)[places] = np.repeat(self.owners[own], lengths)
        return found


def find_row_runs(ink: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return row, left and right (exclusive) of the runs in the rows of a mask, (runs,) each."""
    height, width = ink.shape
    padded = np.zeros(height * (width + 1) + 1, bool)
    padded[1:].reshape(height, width + 1)[:, :-1] = ink
    starts, ends = (padded[1:] != padded[:-1]).nonzero()[0].reshape(-1, 2).T
    rows, lefts = np.divmod(starts, width + 1)
    return rows, lefts, lefts + ends - starts


def connect(ink: np.ndarray, corners: bool = True) -> Runs:
    """Return the runs of a mask with their connected components.

    Pixels are connected by edges, and with `corners` also by corners. The labels are those of
    `scipy.ndimage.label`, which visits every pixel; runs are usually far fewer.
    """
    rows, lefts, rights = find_row_runs(ink)
    if not len(rows):
        return Runs(ink.shape, rows, lefts, rights, rows)
    below = ink.shape[1] + 1  # pixels from one row to the next, with one between them
    starts, ends = rows * below + lefts, rows * below + rights
    reach = below if corners else below - 1
    first = np.searchsorted(ends, starts + 2 * below - reach)
    count = np.searchsorted(starts, ends + reach, side="right") - first
    bounds = np.concatenate([[0], np.cumsum(count)])
    touched = np.arange(bounds[-1]) + np.repeat(first - bounds[:-1], count)
    size = len(rows), len(rows)
    touches = csr_matrix((np.ones(len(touched), np.int8), touched, bounds), shape=size)
    owners = connected_components(touches, directed=False)[1]
    return Runs(ink.shape, rows, lefts, rights, owners + 1)


def _from_top(mask: np.ndarray) -> np.ndarray:
    """Return cumulative sums of each column: unsigned, of shape (height + 1, width)."""
    kind = np.uint16 if len(mask) <= _SHORT else np.uint32  # half the memory to read and write
    sums = np.zeros((mask.shape[0] + 1, mask.shape[1]), kind)
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
