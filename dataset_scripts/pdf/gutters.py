"""Find gutters narrower than the widest spaces of justified lines: white channels in many lines."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class GutterParameters:
    """Limits for gutters between columns. Lengths are in type heights."""

    least: float = 0.55  # smallest width of a gap; `join_runs` treats a narrower one as a space
    side: float = 6.0  # smallest width of text on each side; list numbers and cells are narrower
    edge: float = 0.15  # tolerance for the left edges of the lines on the right
    lines: int = 6  # smallest number of consecutive lines with the gap; rivers are shorter
    most: int = 6  # largest number of gutters on a page; more are columns of a table


def find_gutters(
    boxes: np.ndarray,
    cut: np.ndarray,
    joined: np.ndarray,
    parameters: GutterParameters | None = None,
) -> np.ndarray:
    """Return the marks after which a gutter runs.

    Args:
        boxes: Boxes of marks (ends of words, or characters) in text order, of shape (n, 4).
        cut: Whether a line ends between two marks, of shape (n - 1,).
        joined: Whether two marks are the ends of one word, of shape (n - 1,).
        parameters: Limits; the defaults if `None`.

    Returns:
        bool of shape (n - 1,).
    """
    parameters = parameters or GutterParameters()
    found = np.zeros(len(cut), bool)
    x0, y0, x1, y1 = boxes.T
    high = np.maximum(y1[1:] - y0[1:], y1[:-1] - y0[:-1])
    places = np.flatnonzero(~cut & ~joined & (x0[1:] - x1[:-1] > parameters.least * high))
    if len(places) < parameters.lines:
        return found
    # Start and end of the line of each gap.
    ends = np.append(np.flatnonzero(cut), len(boxes) - 1)
    line = np.searchsorted(ends, places)
    starts = np.append(0, ends[:-1] + 1)
    left = x1[places] - x0[starts[line]]
    right = x1[ends[line]] - x0[places + 1]
    places = places[np.minimum(left, right) > parameters.side * high[places]]
    # Words, and characters of words whose ends were not read separately.
    reach = np.where(np.append(joined, False), np.append(x1[1:], 0), x1)
    middle = (y0 + y1) / 2
    for _ in range(parameters.most):
        if len(places) < parameters.lines:
            break
        edges = x0[places + 1]
        near = np.abs(edges[:, None] - edges) < parameters.edge * high[places, None]
        best = int(near.sum(axis=1).argmax())
        own = places[near[best]]
        if len(own) < parameters.lines:
            break
        channel = float((np.median(x1[own]) + edges[best]) / 2)
        through = places[(x1[places] < channel) & (x0[places + 1] > channel)]
        across = np.flatnonzero((x0 < channel) & (reach > channel))
        if _longest(middle[through], middle[across]) >= parameters.lines:
            found[through] = True
        places = places[~near[best] & ~np.isin(places, through)]
    return found


def _longest(gaps: np.ndarray, words: np.ndarray) -> int:
    """Return the largest number of consecutive gaps without a word across, by their y."""
    between = np.searchsorted(np.sort(words), gaps)
    return int(np.bincount(between).max(initial=0))
