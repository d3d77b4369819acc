"""Lines of a page by baseline, for everything that reads a page row by row."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from cephalo.dataset_scripts.common.geometry import Box, overlap_y, union
from cephalo.dataset_scripts.pdf.labels import match_label
from cephalo.dataset_scripts.pdf.text import Line


@dataclass(frozen=True)
class Parameters:
    """Limits for rows. Lengths are in font sizes of the line."""

    level: float = 0.4  # largest baseline difference in a row
    tab_gap: float = 3.0  # largest gap in a row, if the text continues in the content stream
    word_gap: float = 0.7  # largest gap in a row otherwise; wider gaps separate cells or columns


P = Parameters()


class Rows:
    """Lines sorted by baseline, which is the lower edge of their boxes."""

    def __init__(self, lines: list[Line]) -> None:
        self.lines = sorted(lines, key=lambda line: (line.box[3], line.box[0]))
        self._bases = [line.box[3] for line in self.lines]

    def between(self, low: float, high: float) -> list[Line]:
        """Return the lines with low < baseline <= high, from top to bottom."""
        return self.lines[bisect_right(self._bases, low) : bisect_right(self._bases, high)]

    def level(self, line: Line) -> list[Line]:
        """Return the other lines in the row of `line`, from left to right."""
        reach = P.level * line.size
        start = bisect_left(self._bases, line.box[3] - reach)
        stop = bisect_right(self._bases, line.box[3] + reach)
        found = [other for other in self.lines[start:stop] if other is not line]
        return sorted(found, key=lambda other: other.box[0])

    def below(
        self, base: float, reach: float, span: tuple[float, float], size: float
    ) -> list[list[Line]]:
        """Return the rows below `base`, within `reach` points, that overlap the x range `span`.

        From top to bottom; each row from left to right.
        """
        rows: list[list[Line]] = []
        for line in self.between(base + P.level * size, base + reach):
            if min(line.box[2], span[1]) <= max(line.box[0], span[0]):
                continue
            if rows and line.box[3] - rows[-1][0].box[3] < P.level * size:
                rows[-1].append(line)
            else:
                rows.append([line])
        return [sorted(row, key=lambda line: line.box[0]) for row in rows]


def joined(head: Line, row: list[Line], columns: list[tuple[float, float]]) -> list[Line]:
    """Return `head` and the pieces of its row that touch it or continue it.

    `columns` are the x ranges of the page's columns. Pieces in different columns are not joined,
    however narrow the gutter, unless the text continues in the content stream.
    """
    pieces = sorted([head, *row], key=lambda line: line.box[0])
    start = end = next(k for k, piece in enumerate(pieces) if piece is head)
    while end + 1 < len(pieces) and _touch(pieces[end], pieces[end + 1], columns):
        end += 1
    while start > 0 and _touch(pieces[start - 1], pieces[start], columns):
        start -= 1
    return pieces[start : end + 1]


def _touch(left: Line, right: Line, columns: list[tuple[float, float]]) -> bool:
    """Return whether two pieces of a row touch or continue each other."""
    size = max(left.size, right.size)
    gap = right.box[0] - left.box[2]
    level = overlap_y(left.box, right.box) > 0.5 * min(left.size, right.size)
    in_order = right.continues(left)
    reach = P.tab_gap if in_order else P.word_gap
    if not level or not -size <= gap < reach * size or match_label(right.text):
        return False
    if in_order:
        return True
    # Otherwise they may be line numbers, or lines of another column.
    numbers = min(left.size, right.size) < 0.85 * size or right.text.isdecimal()
    apart = any(right.box[0] > a - 2 > left.box[2] - 4 for a, _ in columns[1:])
    return not numbers and not apart


def box_of(lines: list[Line]) -> Box:
    """Return the bounding box of lines."""
    return union([line.box for line in lines])
