"""Arrangements of the panels of a drawn figure: cells in the order of their letters."""

import numpy as np

from benchmarks.panels.canvas import Rect

ARRANGEMENTS = ("grid", "short grid", "rows", "columns", "mosaic")


def arrange(random: np.random.Generator, area: Rect, gap: int) -> tuple[list[Rect], str]:
    """Return cells that fill an area, in the order of their letters, and the arrangement."""
    arrangement = str(random.choice(ARRANGEMENTS, p=[0.4, 0.05, 0.2, 0.1, 0.25]))
    x0, y0, x1, y1 = area
    if arrangement == "mosaic":
        return _mosaic(random, area, gap, int(random.integers(3, 9))), arrangement
    if arrangement == "columns":
        cells = _rows(random, (y0, x0, y1, x1), gap, _uneven(random), same=False)
        return [(left, top, right, bottom) for top, left, bottom, right in cells], arrangement
    if arrangement == "rows":
        return _rows(random, area, gap, _uneven(random), same=False), arrangement
    if arrangement == "short grid":
        across = int(random.integers(2, 5))
        cells = _rows(random, area, gap, [across] * int(random.integers(2, 5)), same=True)
        return cells[: -int(random.integers(1, across))], arrangement
    columns = [int(random.integers(1, 5))] * int(random.integers(1, 5))
    columns = [2] if sum(columns) < 2 else columns
    return _rows(random, area, gap, columns, same=random.random() < 0.75), arrangement


def _uneven(random: np.random.Generator) -> list[int]:
    """Draw the number of panels in each row."""
    return [int(random.integers(1, 4)) for _ in range(int(random.integers(2, 5)))]


def _rows(
    random: np.random.Generator, area: Rect, gap: int, columns: list[int], same: bool
) -> list[Rect]:
    """Return cells in rows with given numbers of columns."""
    x0, y0, x1, y1 = area
    regular = len(set(columns)) == 1
    widths = _shares(random, x1 - x0, columns[0], gap, same)
    cells = []
    for number, (top, bottom) in zip(
        columns, _shares(random, y1 - y0, len(columns), gap, same), strict=True
    ):
        if not (regular and same):
            widths = _shares(random, x1 - x0, number, gap, random.random() < 0.5)
        cells += [(x0 + left, y0 + top, x0 + right, y0 + bottom) for left, right in widths]
    return cells


def _mosaic(random: np.random.Generator, area: Rect, gap: int, count: int) -> list[Rect]:
    """Return cells of unequal size: the area is divided recursively into `count` cells."""
    x0, y0, x1, y1 = area
    wide, high = x1 - x0, y1 - y0
    if count == 1:
        return [area]
    first = int(random.integers(1, count)) if count > 2 else 1
    share = np.clip(first / count + random.uniform(-0.12, 0.12), 0.25, 0.75)
    if random.random() < wide / (wide + high):
        cut = round(share * (wide - gap))
        parts = (x0, y0, x0 + cut, y1), (x0 + cut + gap, y0, x1, y1)
    else:
        cut = round(share * (high - gap))
        parts = (x0, y0, x1, y0 + cut), (x0, y0 + cut + gap, x1, y1)
    return _mosaic(random, parts[0], gap, first) + _mosaic(random, parts[1], gap, count - first)


def _shares(
    random: np.random.Generator, length: int, count: int, gap: int, same: bool
) -> list[tuple[int, int]]:
    """Return the starts and ends of equal or unequal parts of a length."""
    parts = np.ones(count) if same else random.uniform(0.6, 1.4, count)
    ends = np.cumsum(parts / parts.sum() * (length - gap * (count - 1))).round().astype(int)
    starts = np.concatenate([[0], ends[:-1]])
    return [
        (int(start) + gap * index, int(end) + gap * index)
        for index, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]
