"""Gutters of a figure: blank rows and columns along which it may be split into panels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from operator import attrgetter
from typing import NamedTuple

import numpy as np

from cephalo.dataset_scripts.pdf.panel_pixels import (
    Rect,
    Sums,
    centre,
    count_runs,
    find_runs,
    holds,
)
from cephalo.dataset_scripts.pdf.panel_rules import CutRules


class Gutter(NamedTuple):
    """Blank columns or rows [start, end) of a rectangle, and the gain of a cut there."""

    start: int
    end: int
    gain: float
    crossed: bool = False  # whether more ink than a thin rule crosses it


@dataclass
class Gutters:
    """The gutters of a figure and the positions of its letters.

    Attributes:
        ink: Sums of its ink.
        marks: Rectangles of printed letters.
        total: Number of panels.
        rules: Limits and costs.
        steps: Sums of grey level jumps along both axes, to separate touching images.
    """

    ink: Sums
    marks: Sequence[Rect]
    total: int
    rules: CutRules
    steps: tuple[Sums, Sums] | None = None
    mean: float = 1.0  # mean panel area, in pixels
    share: float = 1.0  # share of ink in the figure
    corner: tuple[bool, bool] = (False, False)  # whether letters are at the right, at the bottom
    margin: tuple[float, float] = (0.0, 0.0)  # between the letters and the sides of their panels
    centred: bool = False  # whether letters are centred above or below their panels
    dark: bool = False  # whether the figure consists of images: cuts may be implied by letters
    gutters: dict[tuple[Rect, int], list[Gutter]] = field(default_factory=dict)
    trimmed: dict[Rect, Rect | None] = field(default_factory=dict)
    marked: dict[tuple[Rect, int], bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.least_side = self.rules.least_side
        if self.total:
            self.least_side = min(self.least_side, self.rules.in_row / self.total)
        self.anchored = len(self.marks) == self.total
        self.guided = len(self.marks) >= self.rules.guided * max(self.total, 1)
        self.shape = self.rules.anchored if self.anchored else 1.0  # weight of the shape
        self.points = [centre(mark) for mark in self.marks]
        self.height, self.width = self.ink.height, self.ink.width
        self.side = max(self.height, self.width)

    def measure(self, whole: Rect) -> None:
        """Measure the whole figure, as reference for its parts."""
        x0, y0, x1, y1 = whole
        self.mean = (x1 - x0) * (y1 - y0) / max(self.total, 1)
        self.share = self.inked(whole)
        if self.guided and self.marks:  # few letters are not sufficient
            across, down = zip(*self.points, strict=True)
            self.corner = (
                min(across) - x0 > x1 - max(across),
                min(down) - y0 > y1 - max(down),
            )
            self.margin = self._margin(whole, 0), self._margin(whole, 1)
            widest = max(mark[2] - mark[0] for mark in self.marks)  # a mark may be an image
            least = max(self.rules.centred * math.sqrt(self.mean), widest)
            self.centred = self.margin[0] > least

    def _margin(self, whole: Rect, axis: int) -> float:
        """Return the pixels from the outermost letters to the side of their panels.

        A legend or title may be between them and the side of the figure.
        """
        places = [point[axis] for point in self.points]
        if self.corner[axis]:
            outer, side = max(places), whole[axis + 2]
            ends = [whole[axis] + one.start for one in self._wide(whole, axis)]
            return min([end for end in ends if end > outer] + [side]) - outer
        outer, side = min(places), whole[axis]
        starts = [whole[axis] + one.end for one in self._wide(whole, axis)]
        return outer - max([start for start in starts if start < outer] + [side])

    def _wide(self, whole: Rect, axis: int) -> list[Gutter]:
        """Return blank gutters of at least the unit width."""
        return [
            one for one in self.find_gutters(whole, axis, self.rules.grid_lines) if one.gain > 0
        ]

    def trim(self, rect: Rect) -> Rect | None:
        """Return the part of a rectangle with ink, or `None`."""
        x0, y0, _, _ = rect
        across = self.ink.marked(rect, 0)
        left = across.find(1)
        if left < 0:
            return None
        down = self.ink.marked(rect, 1)
        return x0 + left, y0 + down.find(1), x0 + across.rfind(1) + 1, y0 + down.rfind(1) + 1

    def piece(self, rect: Rect, axis: int, start: int, end: int) -> Rect | None:
        """Return the trimmed part of a rectangle between two gutters."""
        if axis == 0:
            part = rect[0] + start, rect[1], rect[0] + end, rect[3]
        else:
            part = rect[0], rect[1] + start, rect[2], rect[1] + end
        if part not in self.trimmed:
            self.trimmed[part] = self._trim_piece(part, rect, axis, start, end)
        return self.trimmed[part]

    def _trim_piece(self, part: Rect, rect: Rect, axis: int, start: int, end: int) -> Rect | None:
        """Trim a part of a rectangle. Its marks along `axis` are those of the whole rectangle."""
        if (rect, axis) not in self.marked:
            self.marked[rect, axis] = self.ink.marked(rect, axis)
        along = self.marked[rect, axis]
        first = along.find(1, start, end)
        if first < 0:
            return None
        last = along.rfind(1, start, end) + 1
        across = self.ink.marked(part, 1 - axis)
        low, high = part[1 - axis] + across.find(1), part[1 - axis] + across.rfind(1) + 1
        if axis == 0:
            return rect[0] + first, low, rect[0] + last, high
        return low, rect[1] + first, high, rect[1] + last

    def inked(self, rect: Rect) -> float:
        """Return the share of ink in a trimmed rectangle."""
        x0, y0, x1, y1 = rect
        return float(self.ink.profile(rect, 0).sum()) / ((x1 - x0) * (y1 - y0))

    def count_marks(self, rect: Rect) -> int:
        """Return the number of printed letters in a rectangle."""
        x0, y0, x1, y1 = rect
        return len([x for x, y in self.points if x0 <= x < x1 and y0 <= y < y1])

    def find_gutters(self, rect: Rect, axis: int, most: int) -> list[Gutter]:
        """Return blank columns or rows of a trimmed rectangle, from the left.

        These are the gutters beside printed letters and the best `most` others.
        """
        key = rect, axis
        if key not in self.gutters:
            self.gutters[key] = self._gutters(rect, axis)
        kept = self.gutters[key]
        chosen = self._beside_letters(rect, axis, kept)
        most += len(chosen)
        for one in kept:
            if len(chosen) >= most:
                break
            if one not in chosen and not (one.crossed and self._is_framed(rect, axis, one)):
                chosen.add(one)
        narrowed = [self._through(rect, axis, one) if one.crossed else one for one in chosen]
        return sorted(narrowed, key=lambda gutter: gutter.start)

    def _through(self, rect: Rect, axis: int, gutter: Gutter) -> Gutter:
        """Return the longest part of a crossed gutter with no more ink than crosses all of it.

        An arrow or a common label crosses it; other ink belongs to a plot.
        """
        part = self.ink.profile(rect, axis)[gutter.start : gutter.end]
        through = part.min() + self.rules.levels[0][0] * (rect[3 - axis] - rect[1 - axis])
        first, last = max(find_runs(part <= through), key=lambda run: run[1] - run[0])
        return gutter._replace(start=gutter.start + first, end=gutter.start + last)

    def _gutters(self, rect: Rect, axis: int) -> list[Gutter]:
        """Return all gutters of a trimmed rectangle, best first."""
        length = rect[axis + 2] - rect[axis]
        found = self._blank(rect, axis)
        if self.steps is not None:
            found += self._edges(rect, axis)
            if self.guided and self.dark:
                found += self._implied(rect, axis)
        # Count lines through a gutter last, only if no better gutter overlaps it.
        queue = [
            (-min(level, 0), -gain, order, level <= 0, level, start, end)
            for order, (gain, level, start, end) in enumerate(found)
            if start > 0 and end < length
        ]
        heapify(queue)
        crossed = len(self.rules.levels) - 1
        kept: list[Gutter] = []
        taken = bytearray(length)
        while queue:
            rank, loss, order, priced, level, start, end = heappop(queue)
            if 1 in taken[start:end]:
                continue
            cost = 0.0 if priced else self._lined(rect, axis, start, end)
            if cost:
                heappush(queue, (rank, loss + cost, order, True, level, start, end))
                continue
            middle = (start + end) // 2
            start, end = (middle, middle + 1) if level == -2 else (start, end)
            kept.append(Gutter(start, end, -loss, level == crossed))
            taken[start:end] = b"\1" * (end - start)
        return sorted(kept, key=lambda gutter: -gutter.gain)

    def _blank(self, rect: Rect, axis: int) -> list[tuple[float, int, int, int]]:
        """Return gain, level, start and end of gutters with little ink besides crossing lines."""
        profile = self.ink.profile(rect, axis)
        across = rect[3 - axis] - rect[1 - axis]
        least = max(1, math.ceil(self.rules.least_gutter * self.side))
        found: dict[tuple[int, int], tuple[float, int, int, int]] = {}
        for level, (share, cost) in enumerate(self.rules.levels):
            runs = find_runs(profile <= share * across, least)
            for start, end in self._clear(rect, axis, runs):
                gain = self.gain_of(end - start, cost)
                found.setdefault((start, end), (gain, level, start, end))
        return list(found.values())

    def _edges(self, rect: Rect, axis: int) -> list[tuple[float, int, int, int]]:
        """Return gain, level, start and end of edges with grey level jumps."""
        if self.steps is None:
            return []
        jumps = self.steps[axis].profile(rect, axis) / (rect[3 - axis] - rect[1 - axis])
        found = []
        ranked = np.sort(jumps)  # four times as fast as np.median
        median = float(ranked[(len(ranked) - 1) // 2] + ranked[len(ranked) // 2]) / 2
        for start, end in find_runs(jumps > self.rules.edge + median):
            middle = start + int(jumps[start:end].argmax())
            gain = self.rules.edge_gain * (float(jumps[middle]) - 1.0)
            found.append((gain, -1, middle, middle + 1))
        return found

    def _beside_letters(self, rect: Rect, axis: int, gutters: list[Gutter]) -> set[Gutter]:
        """Return the nearest gutter to each letter, on the side of its panel's corner."""
        beside = set()
        for mark, point in zip(self.marks, self.points, strict=True):
            if not holds(rect, point):
                continue
            head, foot = mark[axis] - rect[axis], mark[axis + 2] - rect[axis]
            if self.corner[axis]:
                after = [one for one in gutters if one.start >= foot]
                own = min(after, key=attrgetter("start"), default=None)
            else:
                before = [one for one in gutters if one.end <= head]
                own = max(before, key=attrgetter("end"), default=None)
            if own:
                beside.add(own)
        return beside

    def _clear(self, rect: Rect, axis: int, runs: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Cut runs at printed letters, whose ink may be too little to end a gutter."""
        for mark, point in zip(self.marks, self.points, strict=True):
            if holds(rect, point):
                head, foot = mark[axis] - rect[axis], mark[axis + 2] - rect[axis]
                runs = [
                    ((max(start, foot), end) if self.corner[axis] else (start, min(end, head)))
                    if start < foot and end > head
                    else (start, end)
                    for start, end in runs
                ]
        return [(start, end) for start, end in runs if start < end]

    def _implied(self, rect: Rect, axis: int) -> list[tuple[float, int, int, int]]:
        """Return cuts as far from each letter as the outer letters are from the figure's side."""
        room = max(1, round(self.rules.implied_apart * self.side))
        found = []
        if self.centred and axis == 0:
            return found
        for mark in self.points:
            if not holds(rect, mark):
                continue
            away = self.margin[axis] if self.corner[axis] else -self.margin[axis]
            middle = round(mark[axis] + away) - rect[axis]
            if room < middle < rect[axis + 2] - rect[axis] - room:
                found.append((self.rules.implied_gain, -2, middle - room, middle + room))
        return found

    def _lined(self, rect: Rect, axis: int, start: int, end: int) -> float:
        """Return the cost of lines through a gutter, which may separate an axis and its labels."""
        return self.rules.lined * min(self._count_lines(rect, axis, start, end), 2)

    def _is_framed(self, rect: Rect, axis: int, gutter: Gutter) -> bool:
        """Return whether at least two lines cross a gutter, so that it is inside a plot frame."""
        return self._count_lines(rect, axis, gutter.start, gutter.end) > 1

    def _count_lines(self, rect: Rect, axis: int, start: int, end: int) -> int:
        """Return the number of lines through a gutter."""
        part = list(rect)
        part[axis], part[axis + 2] = rect[axis] + start, rect[axis] + end
        through = self.ink.profile((part[0], part[1], part[2], part[3]), 1 - axis)
        return count_runs(through == end - start)

    def gain_of(self, width: int, cost: float) -> float:
        """Return the gain of a cut at a gutter of a width in pixels."""
        share = min(width / self.side, self.rules.widest)
        return math.log(share / self.rules.unit_gutter) - cost
