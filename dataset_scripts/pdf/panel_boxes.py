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

    pixels: int = 800  # of the longer side that the cuts are sought in: bounds the time
    ink: int = 210  # grey level; below it is ink: gutters of a JPEG are not quite white
    dark: int = 60  # grey level; below it is the ground of a dark plate
    # Share of ink up to which rows or columns are a gutter, and its cost in units of `gain`: blank;
    # the noise of a JPEG, a thin rule; an arrow or a common label across it.
    levels: tuple[tuple[float, float], ...] = ((0.002, 0.0), (0.01, 0.7), (0.03, 3.0))
    least_gutter: float = 0.0028  # share of the picture's longer side; less is between letters
    unit_gutter: float = 0.01  # share of the longer side: a gutter of this width gains nothing
    widest: float = 0.08  # share of the longer side: wider gutters gain no more
    step: int = 24  # grey levels: a jump from one picture to the next
    edge: float = 0.55  # share of a column that jumps where pictures touch; within one about 0.2
    edge_gain: float = 2.0  # cost of an edge that is seen along none of the column's length
    slack: float = 1.5  # points by which a line's box may be smaller than its ink
    balance: float = 1.0  # cost of parts whose areas per letter differ by a factor of 2.7
    align: float = 1.0  # cost of parts beside each other that do not overlap lengthwise
    anchored: float = 0.3  # of the costs of shape, where each panel has a printed letter
    size: float = 1.0  # cost of a panel that is larger or smaller than the mean by a factor of 2.7
    least_side: float = 0.05  # share of the picture's side: smaller parts are labels
    most_uneven: float = 5.0  # ratio of areas per letter that no cut may exceed
    candidates: int = 6  # gutters tried in a rectangle, the widest first
    nodes: int = 2000  # rectangles tried in a picture: bounds the time, not reached by figures
    least_gain: float = -3.0  # mean gain of the cuts: below it they are no gutters of panels


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

    def reduced(self, pixels: int) -> "Picture":
        """Every second, third, … pixel: none of the sides has more than `pixels`."""
        step = -(-max(self.grey.shape) // pixels)
        height, width = self.grey.shape
        grey = np.ascontiguousarray(self.grey[::step, ::step])
        right = self.box[0] + (self.box[2] - self.box[0]) * grey.shape[1] * step / width
        bottom = self.box[1] + (self.box[3] - self.box[1]) * grey.shape[0] * step / height
        return Picture(grey, (*self.box[:2], right, bottom))

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
    known: dict = field(default_factory=dict)
    gutters: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.anchored = len(self.marks) == self.total
        self.shape = self.rules.anchored if self.anchored else 1.0  # how much shape counts
        self.height, self.width = (side - 1 for side in self.ink.shape)
        self.side = max(self.height, self.width)

    def profile(self, rect: Rect, axis: int, sums: np.ndarray | None = None) -> np.ndarray:
        """Ink of each column (axis 0) or row (axis 1) of a rectangle, in pixels."""
        x0, y0, x1, y1 = rect
        sums = self.ink if sums is None else sums
        if axis == 0:
            return np.diff(sums[y1, x0 : x1 + 1] - sums[y0, x0 : x1 + 1])
        return np.diff(sums[y0 : y1 + 1, x1] - sums[y0 : y1 + 1, x0])

    def trim(self, rect: Rect) -> Rect | None:
        """The part of a rectangle that has ink; None where there is none."""
        columns = np.flatnonzero(self.profile(rect, 0))
        rows = np.flatnonzero(self.profile(rect, 1))
        if not len(columns) or not len(rows):
            return None
        x0, y0 = rect[:2]
        return (
            x0 + int(columns[0]),
            y0 + int(rows[0]),
            x0 + int(columns[-1]) + 1,
            y0 + int(rows[-1]) + 1,
        )

    def find_gutters(self, rect: Rect, axis: int) -> list[_Gutter]:
        """Blank columns or rows that cross a trimmed rectangle, from left or top."""
        key = rect, axis
        if key not in self.gutters:
            self.gutters[key] = self._find_gutters(rect, axis)
        return self.gutters[key]

    def _find_gutters(self, rect: Rect, axis: int) -> list[_Gutter]:
        profile = self.profile(rect, axis)
        across = rect[3] - rect[1] if axis == 0 else rect[2] - rect[0]
        found: list[_Gutter] = []
        for most, cost in self.rules.levels:
            for start, end in _runs(profile <= most * across):
                if not any(gutter.start < end and gutter.end > start for gutter in found):
                    found.append(_Gutter(start, end, self._gain(end - start, cost)))
        if self.steps is not None:
            share = self.profile(rect, axis, self.steps[axis]) / across
            for start, end in _runs(share > self.rules.edge):
                middle = start + int(share[start:end].argmax())
                if not any(gutter.start <= end and gutter.end >= start for gutter in found):
                    gain = self.rules.edge_gain * (float(share[middle]) - 1.0)
                    found.append(_Gutter(middle, middle + 1, gain))
        least = self.rules.least_gutter * self.side if self.steps is None else 1
        length = len(profile)
        found = [
            gutter
            for gutter in found
            if gutter.start > 0 and gutter.end < length and gutter.end - gutter.start >= least
        ]
        widest = sorted(found, key=lambda gutter: -gutter.gain)[: self.rules.candidates]
        return sorted(widest, key=lambda gutter: gutter.start)

    def _gain(self, width: int, cost: float) -> float:
        share = min(width / self.side, self.rules.widest)
        return math.log(share / self.rules.unit_gutter) - cost

    def best(self, rect: Rect, count: int, banned: int | None = None):
        """(gain, parts) of the best way to cut a trimmed rectangle into `count`; None if none.

        `banned` is the axis along which it may not be cut first: parts are cut off from the left
        or the top, one at a time.
        """
        key = rect, count, banned
        if key not in self.known:
            if len(self.known) > self.rules.nodes:
                return None
            self.known[key] = None  # while it is being searched
            self.known[key] = self._best(rect, count, banned)
        return self.known[key]

    def _best(self, rect: Rect, count: int, banned: int | None):
        inside = self.count_marks(rect)
        if inside > count or (self.anchored and inside != count):
            return None
        wide, high = rect[2] - rect[0], rect[3] - rect[1]
        if min(wide / self.width, high / self.height) < self.rules.least_side:
            return None
        if count == 1:
            cost = self.shape * self.rules.size * abs(math.log(wide * high / self.mean))
            return -cost, (rect,)
        found = None
        most = -math.log(self.rules.unit_gutter / self.rules.widest) * (count - 2)
        for own, axis, first, second, share in self._cuts(rect, count, banned):
            if found is not None and own + most <= found[0]:
                break
            one = self.best(first, share, axis)
            other = self.best(second, count - share) if one is not None else None
            if other is None:
                continue
            gain = own + one[0] + other[0]
            if found is None or gain > found[0]:
                found = gain, one[1] + other[1]
        return found

    def _cuts(self, rect: Rect, count: int, banned: int | None):
        """Ways to part a rectangle in two, the most promising first."""
        cuts = []
        for axis in (1, 0):
            if axis == banned:
                continue
            for gutter in self.find_gutters(rect, axis):
                first, second = self._halves(rect, axis, gutter)
                if first is None or second is None:
                    continue
                apart = self.rules.align * (1 - _aligned(first, second, 1 - axis))
                for share in self._shares(first, count):
                    uneven = _unevenness(first, share, second, count - share)
                    if self.anchored or uneven <= math.log(self.rules.most_uneven):
                        own = gutter.gain - self.shape * (self.rules.balance * uneven + apart)
                        cuts.append((own, axis, first, second, share))
        cuts.sort(key=lambda cut: -cut[0])
        return cuts

    def _shares(self, first: Rect, count: int) -> range:
        """How many panels the first of two parts may have."""
        if not self.anchored:
            return range(1, count)
        inside = self.count_marks(first)
        return range(inside, inside + 1) if 0 < inside < count else range(0)

    def _halves(self, rect: Rect, axis: int, gutter: _Gutter):
        x0, y0, x1, y1 = rect
        if axis == 0:
            parts = (x0, y0, x0 + gutter.start, y1), (x0 + gutter.end, y0, x1, y1)
        else:
            parts = (x0, y0, x1, y0 + gutter.start), (x0, y0 + gutter.end, x1, y1)
        return self.trim(parts[0]), self.trim(parts[1])

    def count_marks(self, rect: Rect) -> int:
        """How many printed letters lie in a rectangle."""
        return sum(_holds(rect, mark) for mark in self.marks)


def _aligned(first: Rect, second: Rect, axis: int) -> float:
    """How well the extents of two rectangles along an axis agree: 0 to 1."""
    common = min(first[axis + 2], second[axis + 2]) - max(first[axis], second[axis])
    whole = max(first[axis + 2], second[axis + 2]) - min(first[axis], second[axis])
    return max(0.0, common / whole)


def _unevenness(first: Rect, share: int, second: Rect, rest: int) -> float:
    one = (first[2] - first[0]) * (first[3] - first[1]) / share
    other = (second[2] - second[0]) * (second[3] - second[1]) / rest
    return abs(math.log(one / other))


def _runs(blank: np.ndarray) -> list[tuple[int, int]]:
    """Starts and ends of runs of True."""
    padded = np.concatenate([[False], blank, [False]]).view(np.int8)
    steps = np.flatnonzero(np.diff(padded))
    return [(int(start), int(end)) for start, end in steps.reshape(-1, 2)]


def split(
    picture: Picture,
    count: int,
    anchors: Sequence[Box] = (),
    outside: Sequence[Box] = (),
    rules: CutRules = RULES,
) -> list[tuple[Box, int | None]]:
    """Boxes of `count` panels, in points, each with the index of the anchor in it.

    Empty where the picture has no such parts. `anchors` are boxes of letters printed in the figure: no panel has two, and where there are
    `count`, each has one. `outside` are captions of single panels: no part of any panel.
    """
    picture = picture.reduced(rules.pixels)
    ink = picture.grey < rules.ink
    for box in outside:
        left, top, right, bottom = picture.to_rect(grow(box, rules.slack))
        ink[top:bottom, left:right] = False
    marks = [_inked(ink, picture.to_rect(box)) for box in anchors]
    found = None
    for known in (marks, []) if marks else ([],):
        found = _search(_without_frame(ink), known, count, rules)
        if found is None and _is_dark_plate(picture.grey, rules):
            found = _search(picture.grey > rules.dark, known, count, rules)
        if found is None:
            found = _search(ink, known, count, rules, _steps(picture.grey, rules))
        if found is not None:
            break
    return [
        (picture.to_box(rect), next((k for k, mark in enumerate(marks) if _holds(rect, mark)), None))
        for rect in found or ()
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
    ink: np.ndarray,
    marks: list[tuple[float, float]],
    count: int,
    rules: CutRules,
    steps: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[Rect, ...] | None:
    search = _Search(_integral(ink), marks, count, rules, steps)
    whole = search.trim((0, 0, search.width, search.height))
    if whole is None:
        return None
    search.mean = (whole[2] - whole[0]) * (whole[3] - whole[1]) / count
    found = search.best(whole, count)
    if found is None or found[0] / count < rules.least_gain:
        return None
    return found[1]


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
    gutters = [gutter for gutter in search.find_gutters(rect, axis)]
    edges = [0, *(side for gutter in gutters for side in (gutter.start, gutter.end))]
    edges.append(rect[2 + axis] - rect[axis])
    cells: list[Rect] = []
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        part = list(rect)
        part[axis], part[2 + axis] = rect[axis] + start, rect[axis] + end
        cell = search.trim(tuple(part))
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
