"""Split a figure into panels: recursive cuts along blank rows and columns.

Among all ways to get as many parts as there are letters, dynamic programming over the rectangles
between gutters finds the one with wide gutters and parts of similar size.
"""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from cephalo.dataset_scripts.pdf.panel_gutters import Gutter, Gutters
from cephalo.dataset_scripts.pdf.panel_pixels import Rect, find_runs, holds


class Way(NamedTuple):
    """A way to split a rectangle: its score and its panels."""

    gain: float
    rects: tuple[Rect, ...]
    clear: bool = False  # whether all its edges are clearly visible


@dataclass
class Search(Gutters):
    """A search for the best way to split a figure."""

    depth: int = 2  # number of recursive cuts
    known: dict = field(default_factory=dict)
    wholes: dict[Rect, Way] = field(default_factory=dict)

    def ways(self, rect: Rect, axis: int, depth: int) -> dict[int, Way]:
        """Return the best way to split a trimmed rectangle, for each number of panels.

        It is cut along `axis` (0: between columns). Each piece is cut along the other axis, and so
        on, `depth` times.
        """
        key = rect, axis, depth
        if key not in self.known:
            self.known[key] = self._ways(rect, axis, depth)
        return self.known[key]

    def _ways(self, rect: Rect, axis: int, depth: int) -> dict[int, Way]:
        """Compute `ways` without the cache."""
        inside = self.count_marks(rect)
        wide, high = rect[2] - rect[0], rect[3] - rect[1]
        size = wide * high / self.mean
        found: dict[int, Way] = {}
        if not inside and self.guided:
            found[0] = Way(-self.rules.left_out - self.rules.left_out_size * size, ())
        least = min(wide / self.width, high / self.height)
        if least < self.least_side or (self.anchored and not inside):
            return found
        if inside <= 1:
            found[1] = self._whole(rect)
        counts = range(2, self.total + 1)
        if self.anchored:
            counts = range(inside, inside + 1)
        elif size > 1:
            counts = [n for n in counts if n >= inside and size / n < self.rules.most_uneven]
        else:
            counts = [n for n in counts if n >= inside and size / n > 1 / self.rules.most_uneven]
        if depth and counts and (counts[-1] > 1 or (self.guided and size > 1)):
            most = counts[-1]
            for count, way in self._pieces(rect, axis, depth, most).items():
                if count in counts and (count not in found or way.gain > found[count].gain):
                    found[count] = way
        return found

    def _whole(self, rect: Rect) -> Way:
        """Return a trimmed rectangle as one panel."""
        if rect not in self.wholes:
            cost = self._off_shape(rect) + self._off_corner(rect) + self._parted(rect)
            self.wholes[rect] = Way(-cost, (rect,))
        return self.wholes[rect]

    def without_labels(self, rect: Rect) -> Rect:
        """Trim row and column labels at the left and top of a rectangle of images."""
        for axis in (0, 1):
            length = rect[axis + 2] - rect[axis]
            for gutter in reversed(self.find_gutters(rect, axis, self.rules.grid_lines)):
                label = self.piece(rect, axis, 0, gutter.start)
                rest = self.piece(rect, axis, gutter.end, length)
                if label is None or rest is None or gutter.end > self.rules.labels[axis] * length:
                    continue
                faint = self.inked(label) * self.rules.faint < self.share
                across = rest[3 - axis] - rest[1 - axis]
                if (
                    self.ink.profile(rest, axis)[: self.rules.side].max()
                    < self.rules.pictures * across
                ):
                    continue  # no image side begins here
                if faint and not self.count_marks(label):
                    rect = rest
                    break
        return rect

    def grid(self, rect: Rect) -> Way | None:
        """Return the best way to split a trimmed rectangle into equal rows and columns."""
        most = self.rules.grid_lines
        lines = [self.find_gutters(rect, axis, most) for axis in (0, 1)]
        ways = []
        for rows in range(1, self.total + 1):
            columns, rest = divmod(self.total, rows)
            if not rest:
                ways.append(self._grid(rect, columns, rows, lines))
        return max((way for way in ways if way), key=lambda way: way.gain, default=None)

    def _grid(self, rect: Rect, columns: int, rows: int, lines: list[list[Gutter]]) -> Way | None:
        """Return the split into a number of columns and rows, `None` if it is not possible."""
        across = self._regular_cuts(rect, 0, columns, lines[0])
        down = self._regular_cuts(rect, 1, rows, lines[1])
        cuts = across + down
        unseen = sum(cut.gain <= self.rules.unseen_gain for cut in cuts)
        if unseen == len(cuts) or (unseen and not self.dark):
            return None
        gain = sum(cut.gain for cut in cuts) / len(cuts) * (self.total - 1)
        clear = min(cut.gain for cut in cuts) > self.rules.clear
        rects = []
        for top, bottom in _between(down, rect[3] - rect[1]):
            for left, right in _between(across, rect[2] - rect[0]):
                cell = (rect[0] + left, rect[1] + top, rect[0] + right, rect[1] + bottom)
                trimmed = self.trim(cell) if left < right and top < bottom else None
                inside = self.count_marks(cell)
                if trimmed is None or inside > 1 or (self.anchored and not inside):
                    return None
                parted = self._parted(trimmed)
                gain -= self._off_shape(trimmed) + self._off_corner(trimmed) + parted
                clear &= parted <= self.rules.off_grid
                rects.append(trimmed)
        clear &= all(self._off_corner(rect) <= self.rules.off_grid for rect in rects)
        return Way(gain, tuple(rects), clear)

    def _regular_cuts(self, rect: Rect, axis: int, count: int, lines: list[Gutter]) -> list[Gutter]:
        """Return one cut near each line that divides a rectangle into `count` equal parts."""
        length = rect[axis + 2] - rect[axis]
        cell = length / count
        cuts = []
        for place in (cell * number for number in range(1, count)):
            best = Gutter(round(place), round(place) + 1, self.rules.unseen_gain)
            for line in lines:
                off = abs((line.start + line.end) / 2 - place) / cell
                gain = line.gain - self.rules.off_regular * off * off
                if off < self.rules.most_off and gain > best.gain:
                    best = Gutter(line.start, line.end, gain)
            cuts.append(best)
        return cuts

    def _off_shape(self, rect: Rect) -> float:
        """Return the cost of a panel whose size differs from the mean."""
        wide, high = rect[2] - rect[0], rect[3] - rect[1]
        return self.shape * self.rules.size * abs(math.log(wide * high / self.mean))

    def _parted(self, rect: Rect) -> float:
        """Return the cost of a blank gutter inside a panel, whose sides may not belong together.

        The gap between a letter and its panel is not counted.
        """
        if self.dark:
            return 0.0
        held = (m for m, point in zip(self.marks, self.points, strict=True) if holds(rect, point))
        mark = next(held, None)
        widest = 0  # pixels
        for axis in (0, 1):
            first, length = rect[axis], rect[axis + 2] - rect[axis]
            room = 0.0 if mark is None else self.rules.beside * (mark[axis + 2] - mark[axis])
            for start, end in find_runs(self.ink.profile(rect, axis) == 0, widest + 1):
                lettered = mark is not None and (
                    (mark[axis] - first < start <= room)
                    or (mark[axis + 2] - first > end >= length - room)
                )
                if not lettered:
                    widest = max(widest, end - start)
        return self.rules.through * max(self.gain_of(widest, 0.0), 0.0) if widest else 0.0

    def _off_corner(self, rect: Rect) -> float:
        """Return the cost of a letter whose position in its panel differs from the others."""
        mark = next((point for point in self.points if holds(rect, point)), None)
        if mark is None:
            return 0.0
        off = 0.0
        for axis in (0, 1):
            head, foot = mark[axis] - rect[axis], rect[axis + 2] - mark[axis]
            own = foot if self.corner[axis] else head
            middle = self.centred and axis == 0
            away = (head - foot) / 2 if middle else own - self.margin[axis]
            off += abs(away) / math.sqrt(self.mean)
        return self.rules.off_corner[self.anchored] * off

    def _pieces(self, rect: Rect, axis: int, depth: int, most: int) -> dict[int, Way]:
        """Return the best ways to split with at least one cut, into at most `most` panels."""
        tried = self.rules.candidates[self.depth - depth]
        gutters = self.find_gutters(rect, axis, tried)
        length = rect[axis + 2] - rect[axis]
        thin = self.least_side * (self.width, self.height)[axis]
        starts = [0, *(gutter.end for gutter in gutters)]
        ends = [*(gutter.start for gutter in gutters), length]
        so_far: list[dict[int, Way]] = []  # for each piece end: number of panels → best way
        for last, end in enumerate(ends):
            here: dict[int, Way] = {}
            for first in range(last + 1):
                whole = first == 0 and last == len(ends) - 1
                narrow = depth < self.depth and end - starts[first] < thin
                before = so_far[first - 1] if first else {0: Way(0.0, ())}
                if not before or whole or (narrow and not self.guided):
                    continue
                piece = self.piece(rect, axis, starts[first], end)
                if piece is None:
                    continue
                gain = gutters[first - 1].gain if first else 0.0
                for count, way in self.ways(piece, 1 - axis, depth - 1).items():
                    for known, earlier in before.items():
                        if known + count > most:
                            continue
                        # Omitted labels and legends are not a gutter between panels.
                        total = earlier.gain + way.gain
                        total += gain if known and count else min(gain, 0.0)
                        old = here.get(known + count)
                        if old is None or total > old.gain:
                            here[known + count] = Way(total, earlier.rects + way.rects)
            so_far.append(here)
        return so_far[-1]


def _between(cuts: list[Gutter], length: int) -> list[tuple[int, int]]:
    """Return the starts and ends of the intervals between cuts."""
    edges = [0, *(side for cut in cuts for side in (cut.start, cut.end)), length]
    return list(zip(edges[::2], edges[1::2], strict=True))
