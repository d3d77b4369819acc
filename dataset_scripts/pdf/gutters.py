"""Gutters narrower than the widest spaces in justified lines: white channels down many lines."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class GutterParameters:
    """What makes gaps in lines a gutter between columns. Lengths are in heights of the type."""

    least: float = 0.55  # width of a gap; a narrower one is a space also to `join_runs`
    side: float = 6.0  # width of the text on both sides; numbers of lists and cells are narrower
    edge: float = 0.15  # by how much the lines right of it differ in where they begin
    lines: int = 6  # one after the other have the gap, with no word across; rivers are shorter
    most: int = 6  # gutters on a page; more are columns of a table


def find_gutters(
    boxes: np.ndarray,
    cut: np.ndarray,
    joined: np.ndarray,
    parameters: GutterParameters | None = None,
) -> np.ndarray:
    """Between which marks a gutter runs: boolean (n - 1,).

    `boxes` (n, 4) are marks in the order of the text, ends of words or characters; `cut` (n - 1,)
    tells where a line ends between two of them, `joined` (n - 1,) where they are ends of one word.
    """
    parameters = parameters or GutterParameters()
    found = np.zeros(len(cut), bool)
    x0, y0, x1, y1 = boxes.T
    high = np.maximum(y1[1:] - y0[1:], y1[:-1] - y0[:-1])
    places = np.flatnonzero(~cut & ~joined & (x0[1:] - x1[:-1] > parameters.least * high))
    if len(places) < parameters.lines:
        return found
    # Where the line of each gap begins and ends.
    ends = np.append(np.flatnonzero(cut), len(boxes) - 1)
    line = np.searchsorted(ends, places)
    starts = np.append(0, ends[:-1] + 1)
    left = x1[places] - x0[starts[line]]
    right = x1[ends[line]] - x0[places + 1]
    places = places[np.minimum(left, right) > parameters.side * high[places]]
    # Words, and characters of those that are not read by their ends.
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
    """How many gaps at most follow each other down the page without a word across, by their y."""
    between = np.searchsorted(np.sort(words), gaps)
    return int(np.bincount(between).max(initial=0))
