"""Boxes of panels: a figure's picture cut along its gutters into a given number of parts.

The picture decides, whether the figure is drawn or embedded. It is cut recursively along blank
rows and columns; of all ways to cut it into as many parts as there are letters, the one with wide
gutters and parts of like size is kept (dynamic programming over rectangles between gutters).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from cephalo.dataset_scripts.pdf.geometry import Box, grow

Rect = tuple[int, int, int, int]  # left, top, right, bottom in pixels


@dataclass(frozen=True)
class CutRules:
    """What counts as a gutter between panels, and what a way to cut is worth."""

    ink: int = 210  # grey level; below it is ink: gutters of a JPEG are not quite white
    dark: int = 60  # grey level; below it is the ground of a dark plate
    # Share of ink up to which rows or columns are a gutter, and its cost in units of `gain`: blank;
    # the noise of a JPEG, a thin rule; an arrow or a common label across it.
    levels: tuple[tuple[float, float], ...] = ((0.002, 0.0), (0.01, 0.7), (0.03, 1.5))
    least_gutter: float = 0.0028  # share of the picture's longer side; less is between letters
    unit_gutter: float = 0.01  # share of the longer side: a gutter of this width gains nothing
    widest: float = 0.08  # share of the longer side: wider gutters gain no more
    pictures: float = 0.5  # share of ink from which on a figure has pictures, which may touch
    step: int = 20  # grey levels: a jump from one picture to the next
    edge: float = 0.3  # share of a column that jumps where pictures touch, above the median
    edge_gain: float = 2.0  # cost of an edge that is seen along none of the column's length
    slack: float = 1.5  # points by which a line's box may be smaller than its ink
    align: float = 1.0  # cost of parts beside each other that do not overlap lengthwise
    anchored: float = 0.2  # of the costs of shape, where each panel has a printed letter
    elongated: float = 3.0  # ratio of a panel's sides; more is rare
    narrow: float = 1.0  # cost of a ratio greater than that by a factor of 2.7
    off_corner: float = 1.5  # cost of a letter a panel's width or height off its corner
    size: float = 1.0  # cost of a panel that is larger or smaller than the mean by a factor of 2.7
    least_side: float = 0.1  # share of the picture's side: smaller parts are labels
    in_row: float = 0.5  # the same in units of an equal share, where all panels stand in one row
    most_uneven: float = 5.0  # ratio of a panel's area and the mean that no cut may exceed
    candidates: tuple[int, ...] = (9, 6, 4)  # widest gutters tried in the whole, in a row of it, …
    drop: float = 2.0  # cost of a piece that is no panel: a common legend, names of rows
    most_dropped: float = 0.4  # its area or its ink in units of the mean panel's
    most_cells: int = 30  # rows or columns of a plate of pictures
    nearly_all: float = 0.6  # share of the whole from which on a piece may hold all panels
    least_gain: float = -2.0  # mean gain of the cuts: below it they are no gutters of panels


RULES = CutRules()


@dataclass(frozen=True)
class Picture:
    """Grey levels of a figure, uint8 (height, width), and the box that they show, in points."""

    grey: np.ndarray
    box: Box

    def to_box(self, rect: Rect) -> Box:
        """Pixels to points."""
        across = (self.box[2] - self.box[0]) / self.grey.shape[1]
        down = (self.box[3] - self.box[1]) / self.grey.shape[0]
        left, top = self.box[:2]
        return (
            left + rect[0] * across,
            top + rect[1] * down,
            left + rect[2] * across,
            top + rect[3] * down,
        )

    def to_rect(self, box: Box) -> Rect:
        """Points to pixels, within the picture."""
        height, width = self.grey.shape
        across, down = width / (self.box[2] - self.box[0]), height / (self.box[3] - self.box[1])
        left, right = ((side - self.box[0]) * across for side in (box[0], box[2]))
        top, bottom = ((side - self.box[1]) * down for side in (box[1], box[3]))
        return (
            min(max(round(left), 0), width),
            min(max(round(top), 0), height),
            min(max(round(right), 0), width),
            min(max(round(bottom), 0), height),
        )


@dataclass(frozen=True)
class _Gutter:
    start: int
    end: int
    gain: float


@dataclass(frozen=True)
class _Way:
    """A way to cut a rectangle: its panels, and what its gutters and shapes are worth."""

    gain: float
    rects: tuple[Rect, ...]


@dataclass
class _Search:
    """A search for the best way to cut one picture.

    `ink` is its integral image, `steps` those of jumps of the grey level along both axes: with
    them, pictures that touch are parted at their edges.
    """

    ink: np.ndarray
    marks: Sequence[tuple[float, float]]
    total: int
    rules: CutRules
    steps: tuple[np.ndarray, np.ndarray] | None = None
    mean: float = 1.0  # area of the whole for each panel, in pixels
    mean_ink: float = 1.0  # the same for its ink
    corner: tuple[bool, bool] = (False, False)  # whether letters stand at the right, at the bottom
    depth: int = 2  # how often a piece is cut again
    known: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.least_side = self.rules.least_side
        if self.total:
            self.least_side = min(self.least_side, self.rules.in_row / self.total)
        self.anchored = len(self.marks) == self.total
        self.shape = self.rules.anchored if self.anchored else 1.0  # how much shape counts
        self.height, self.width = (side - 1 for side in self.ink.shape)
        self.side = max(self.height, self.width)

    def measure(self, whole: Rect) -> None:
        """Take from the whole what its parts are compared with."""
        x0, y0, x1, y1 = whole
        self.mean = (x1 - x0) * (y1 - y0) / max(self.total, 1)
        self.mean_ink = self.amount(whole) / max(self.total, 1)
        if self.marks:
            across, down = zip(*self.marks, strict=True)
            self.corner = (
                min(across) - x0 > x1 - max(across),
                min(down) - y0 > y1 - max(down),
            )

    def profile(self, rect: Rect, axis: int, sums: np.ndarray | None = None) -> np.ndarray:
        """Ink of each column (axis 0) or row (axis 1) of a rectangle, in pixels."""
        x0, y0, x1, y1 = rect
        sums = self.ink if sums is None else sums
        if axis == 0:
            return np.diff(sums[y1, x0 : x1 + 1] - sums[y0, x0 : x1 + 1])
        return np.diff(sums[y0 : y1 + 1, x1] - sums[y0 : y1 + 1, x0])

    def trim(self, rect: Rect) -> Rect | None:
        """The part of a rectangle that has ink; None where there is none."""
        x0, y0, x1, y1 = rect
        across = self.ink[y1, x0 : x1 + 1] - self.ink[y0, x0 : x1 + 1]  # rises where there is ink
        if across[-1] == across[0]:
            return None
        down = self.ink[y0 : y1 + 1, x1] - self.ink[y0 : y1 + 1, x0]
        return (
            x0 + int(across.searchsorted(across[0], "right")) - 1,
            y0 + int(down.searchsorted(down[0], "right")) - 1,
            x0 + int(across.searchsorted(across[-1])),
            y0 + int(down.searchsorted(down[-1])),
        )

    def amount(self, rect: Rect) -> int:
        """Pixels of ink in a rectangle."""
        x0, y0, x1, y1 = rect
        ink = self.ink
        return int(ink[y1, x1]) - int(ink[y0, x1]) - int(ink[y1, x0]) + int(ink[y0, x0])

    def find_gutters(self, rect: Rect, axis: int, most: int) -> list[_Gutter]:
        """Blank columns or rows that cross a trimmed rectangle, `most` of them, from the left."""
        profile = self.profile(rect, axis)
        across = rect[3] - rect[1] if axis == 0 else rect[2] - rect[0]
        least = max(1, math.ceil(self.rules.least_gutter * self.side))
        found = [
            (self._gain(end - start, cost), level, start, end)
            for level, (share, cost) in enumerate(self.rules.levels)
            for start, end in _runs(profile <= share * across, least)
        ]
        if self.steps is not None:
            jumps = self.profile(rect, axis, self.steps[axis]) / across
            for start, end in _runs(jumps > self.rules.edge + float(np.median(jumps))):
                middle = start + int(jumps[start:end].argmax())
                gain = self.rules.edge_gain * (float(jumps[middle]) - 1.0)
                found.append((gain, -1, middle, middle + 1))
        crossed = len(self.rules.levels) - 1
        kept: list[_Gutter] = []
        for gain, level, start, end in sorted(found, key=lambda one: (one[1] < 0, -one[0])):
            if len(kept) == most and level >= 0:
                continue
            if start == 0 or end == len(profile):
                continue
            if any(gutter.start < end and gutter.end > start for gutter in kept):
                continue
            if level == crossed and self._is_framed(rect, axis, start, end):
                continue
            kept.append(_Gutter(start, end, gain))
        widest = sorted(kept, key=lambda gutter: -gutter.gain)[:most]
        return sorted(widest, key=lambda gutter: gutter.start)

    def _is_framed(self, rect: Rect, axis: int, start: int, end: int) -> bool:
        """Whether two lines or more run through a crossed gutter: it lies within a plot's frame."""
        part = list(rect)
        part[axis], part[axis + 2] = rect[axis] + start, rect[axis] + end
        through = self.profile((part[0], part[1], part[2], part[3]), 1 - axis)
        return len(_runs(through == end - start)) > 1

    def _gain(self, width: int, cost: float) -> float:
        share = min(width / self.side, self.rules.widest)
        return math.log(share / self.rules.unit_gutter) - cost

    def ways(self, rect: Rect, axis: int, depth: int) -> dict[int, "_Way"]:
        """Number of panels → the best way to cut a trimmed rectangle into so many.

        It is cut along `axis` (0: between columns) into pieces, each of which is cut along the
        other axis, and so on `depth` times.
        """
        key = rect, axis, depth
        if key not in self.known:
            self.known[key] = self._ways(rect, axis, depth)
        return self.known[key]

    def _ways(self, rect: Rect, axis: int, depth: int) -> dict[int, "_Way"]:
        inside = self.count_marks(rect)
        wide, high = rect[2] - rect[0], rect[3] - rect[1]
        size = wide * high / self.mean
        found: dict[int, _Way] = {}
        if not inside and min(size, self.amount(rect) / self.mean_ink) <= self.rules.most_dropped:
            found[0] = _Way(-self.rules.drop, ())
        least = min(wide / self.width, high / self.height)
        if least < self.least_side or (self.anchored and not inside):
            return found
        if inside <= 1:
            long = max(0.0, abs(math.log(wide / high)) - math.log(self.rules.elongated))
            cost = self.shape * (self.rules.size * abs(math.log(size)) + self.rules.narrow * long)
            cost += self._off_corner(rect)
            found[1] = _Way(-cost, (rect,))
        counts = range(2, self.total + 1)
        if self.anchored:
            counts = range(inside, inside + 1)
        elif size > 1:
            counts = [n for n in counts if n >= inside and size / n < self.rules.most_uneven]
        else:
            counts = [n for n in counts if n >= inside and size / n > 1 / self.rules.most_uneven]
        if size < self.rules.nearly_all * self.total:
            counts = [n for n in counts if n < self.total]
        if depth and counts and counts[-1] > 1:
            most = counts[-1]
            for count, way in self._pieces(rect, axis, depth, most).items():
                if count in counts and count > 1:
                    found[count] = way
        return found

    def _off_corner(self, rect: Rect) -> float:
        """Cost of a letter that stands elsewhere in its panel than the first or last does."""
        mark = next((mark for mark in self.marks if _holds(rect, mark)), None)
        if mark is None:
            return 0.0
        off = 0.0
        for axis in (0, 1):
            share = (mark[axis] - rect[axis]) / (rect[axis + 2] - rect[axis])
            off += 1 - share if self.corner[axis] else share
        return self.rules.off_corner * off

    def _pieces(self, rect: Rect, axis: int, depth: int, most: int) -> dict[int, "_Way"]:
        """The same, cut at least once along the axis, into `most` panels at most."""
        gutters = self.find_gutters(rect, axis, self.rules.candidates[self.depth - depth])
        length = rect[axis + 2] - rect[axis]
        thin = self.least_side * (self.width, self.height)[axis]
        starts = [0, *(gutter.end for gutter in gutters)]
        ends = [*(gutter.start for gutter in gutters), length]
        # Panels so far → the best way up to a gutter, and the piece before it.
        so_far: list[dict[int, tuple[_Way, Rect | None]]] = []
        for last, end in enumerate(ends):
            here: dict[int, tuple[_Way, Rect | None]] = {}
            for first in range(last + 1):
                if first == 0 and last == len(ends) - 1:
                    continue
                if depth < self.depth and end - starts[first] < thin:
                    continue
                piece = self._piece(rect, axis, starts[first], end)
                if piece is None:
                    continue
                before = so_far[first - 1] if first else {0: (_Way(0.0, ()), None)}
                gain = gutters[first - 1].gain if first else 0.0
                for count, way in self.ways(piece, 1 - axis, depth - 1).items():
                    for known, (earlier, previous) in before.items():
                        if known + count > most:
                            continue
                        total = earlier.gain + way.gain
                        if previous is not None and count:
                            apart = 1 - _aligned(previous, piece, 1 - axis)
                            total += gain - self.shape * self.rules.align * apart
                        old = here.get(known + count)
                        if old is None or total > old[0].gain:
                            joined = _Way(total, earlier.rects + way.rects)
                            here[known + count] = joined, piece if count else previous
            so_far.append(here)
        return {count: way for count, (way, _) in so_far[-1].items() if count}

    def _piece(self, rect: Rect, axis: int, start: int, end: int) -> Rect | None:
        """The trimmed part of a rectangle between two gutters."""
        part = list(rect)
        part[axis], part[axis + 2] = rect[axis] + start, rect[axis] + end
        return self.trim((part[0], part[1], part[2], part[3]))

    def count_marks(self, rect: Rect) -> int:
        """How many printed letters lie in a rectangle."""
        return sum(_holds(rect, mark) for mark in self.marks)


def _aligned(first: Rect, second: Rect, axis: int) -> float:
    """How well the extents of two rectangles along an axis agree: 0 to 1."""
    common = min(first[axis + 2], second[axis + 2]) - max(first[axis], second[axis])
    whole = max(first[axis + 2], second[axis + 2]) - min(first[axis], second[axis])
    return max(0.0, common / whole)


def _runs(blank: np.ndarray, least: int = 1) -> list[tuple[int, int]]:
    """Starts and ends of runs of `least` or more True."""
    padded = np.concatenate([[False], blank, [False]]).view(np.int8)
    steps = np.flatnonzero(np.diff(padded)).reshape(-1, 2)
    return steps[steps[:, 1] - steps[:, 0] >= least].tolist()


def split(
    picture: Picture,
    count: int,
    anchors: Sequence[Box] = (),
    outside: Sequence[Box] = (),
    rules: CutRules = RULES,
) -> list[tuple[Box, int | None]]:
    """Boxes of `count` panels, in points, each with the index of the anchor in it.

    Empty where the picture has no such parts. `anchors` are boxes of letters printed in the
    figure: no panel has two, and where there are `count`, each has one. `outside` are captions of
    single panels: no part of any panel.
    """
    ink = picture.grey < rules.ink
    for box in outside:
        left, top, right, bottom = picture.to_rect(grow(box, rules.slack))
        ink[top:bottom, left:right] = False
    marks = [_inked(ink, picture.to_rect(box)) for box in anchors]
    found = _search(picture.grey, ink, marks, count, rules)
    if not found and 0 < len(marks) < count:  # one may be a tick label; all of them are not
        found = _search(picture.grey, ink, [], count, rules)
    holds = [[k for k, mark in enumerate(marks) if _holds(rect, mark)] for rect in found]
    return [
        (picture.to_box(rect), inside[0] if inside else None)
        for rect, inside in zip(found, holds, strict=True)
    ]


def _holds(rect: Rect, point: tuple[float, float]) -> bool:
    return rect[0] <= point[0] < rect[2] and rect[1] <= point[1] < rect[3]


def _inked(ink: np.ndarray, rect: Rect) -> tuple[float, float]:
    """A point of a printed letter, or of what stands over it where the letter is left out."""
    x, y = (rect[0] + rect[2]) // 2, (rect[1] + rect[3]) // 2
    x, y = min(max(x, 0), ink.shape[1] - 1), min(max(y, 0), ink.shape[0] - 1)
    if ink[rect[1] : rect[3], rect[0] : rect[2]].any():
        return x, y
    rows = np.flatnonzero(ink[:y, rect[0] : rect[2]].any(axis=1))
    return x, int(rows[-1]) if len(rows) else y


def _search(
    grey: np.ndarray,
    ink: np.ndarray,
    marks: list[tuple[float, float]],
    count: int,
    rules: CutRules,
) -> tuple[Rect, ...]:
    """The parts of a picture: by its gutters, where it has pictures also by their edges."""
    found: tuple[Rect, ...] = ()
    if ink.mean() < rules.pictures:
        found = _best(_without_frame(ink), marks, count, rules, None)
    if not found:
        found = _best(ink, marks, count, rules, _steps(grey, rules))
    if not found and _is_dark_plate(grey, rules):
        found = _best(grey > rules.dark, marks, count, rules, None)
    return found


def _best(
    ink: np.ndarray,
    marks: list[tuple[float, float]],
    count: int,
    rules: CutRules,
    steps: tuple[np.ndarray, np.ndarray] | None,
) -> tuple[Rect, ...]:
    search = _Search(_integral(ink), marks, count, rules, steps)
    whole = search.trim((0, 0, search.width, search.height))
    if whole is None:
        return ()
    search.measure(whole)
    for depth in (2, 3):
        search.depth = depth
        search.known.clear()
        ways = [search.ways(whole, axis, depth).get(count) for axis in (1, 0)]
        best = max((way for way in ways if way), key=lambda way: way.gain, default=None)
        if best and best.gain / count >= rules.least_gain:
            return best.rects
    return ()


def _without_frame(ink: np.ndarray) -> np.ndarray:
    """Ink without a ruled frame around the whole."""
    height, width = ink.shape
    depth = max(2, min(height, width) // 20)
    sides = []
    for edge in (ink[:depth], ink[-depth:][::-1], ink.T[:depth], ink.T[-depth:][::-1]):
        ruled = np.flatnonzero(edge.mean(axis=1) > 0.9)
        if not len(ruled) or len(ruled) > 4 or ruled[-1] - ruled[0] >= 4:
            return ink
        sides.append(int(ruled[-1]) + 1)
    top, bottom, left, right = sides
    inner = np.zeros_like(ink)
    part = np.s_[top : height - bottom, left : width - right]
    inner[part] = ink[part]
    return inner


def _is_dark_plate(grey: np.ndarray, rules: CutRules) -> bool:
    """Whether the picture stands on one dark ground: its rim is dark."""
    ink = grey < rules.ink
    rows, columns = np.flatnonzero(ink.mean(axis=1) > 0.9), np.flatnonzero(ink.mean(axis=0) > 0.9)
    if len(rows) < 40 or len(columns) < 40:
        return False
    part = grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    rim = np.concatenate([part[4], part[-5], part[:, 4], part[:, -5]])
    return bool((rim < rules.dark).mean() > 0.9)


def _steps(grey: np.ndarray, rules: CutRules) -> tuple[np.ndarray, np.ndarray]:
    """Integral images of where the grey level jumps from column to column, and from row to row."""
    levels = grey.astype(np.int16)
    across, down = np.zeros(grey.shape, bool), np.zeros(grey.shape, bool)
    across[:, 1:-1] = np.abs(levels[:, 2:] - levels[:, :-2]) > rules.step
    down[1:-1] = np.abs(levels[2:] - levels[:-2]) > rules.step
    return _integral(across), _integral(down)


def find_plate(picture: Picture, image: Box, rules: CutRules = RULES) -> list[Box]:
    """Boxes of pictures of one size in a plate: an image cut along all its gutters.

    Empty where there is no gutter or the parts differ in size.
    """
    left, top, right, bottom = picture.to_rect(image)
    ink = np.zeros(picture.grey.shape, bool)
    ink[top:bottom, left:right] = picture.grey[top:bottom, left:right] < rules.ink
    search = _Search(_integral(ink), (), 0, rules)
    whole = search.trim((0, 0, search.width, search.height))
    if whole is None:
        return []
    cells = _cells(search, whole, 1) or _cells(search, whole, 0)
    wide = [cell[2] - cell[0] for cell in cells]
    high = [cell[3] - cell[1] for cell in cells]
    if len(cells) < 2 or max(wide) > 1.1 * min(wide) or max(high) > 1.1 * min(high):
        return []
    return [picture.to_box(cell) for cell in cells]


def _cells(search: _Search, rect: Rect, axis: int, depth: int = 0) -> list[Rect]:
    """Parts of a rectangle between its gutters along one axis, each cut along the other."""
    gutters = [gutter for gutter in search.find_gutters(rect, axis, search.rules.most_cells)]
    edges = [0, *(side for gutter in gutters for side in (gutter.start, gutter.end))]
    edges.append(rect[2 + axis] - rect[axis])
    cells: list[Rect] = []
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        cell = search._piece(rect, axis, start, end)
        if cell is None:
            continue
        cells += [cell] if depth else _cells(search, cell, 1 - axis, 1)
    return cells


def _integral(ink: np.ndarray) -> np.ndarray:
    """Sums of `ink` over all rectangles from the corner: int32 (height + 1, width + 1)."""
    sums = np.zeros((ink.shape[0] + 1, ink.shape[1] + 1), np.int32)
    np.cumsum(ink, axis=0, dtype=np.int32, out=sums[1:, 1:])
    np.cumsum(sums[1:, 1:], axis=1, out=sums[1:, 1:])
    return sums
