"""Build text lines from the characters of a page, in one frame per orientation.

A line is a run of characters on a baseline without gaps much wider than the text height. A table
row gives one line per cell, and two columns of a page never share a line.
"""

import ctypes
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import repeat

import numpy as np
import pypdfium2.raw as pdfium

from cephalo.dataset_scripts.common.geometry import Box, turn
from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf import text_layer
from cephalo.dataset_scripts.pdf.accents import ERASED, compose_accents
from cephalo.dataset_scripts.pdf.graphics import TextObjects
from cephalo.dataset_scripts.pdf.gutters import find_gutters
from cephalo.dataset_scripts.pdf.text_styles import Styles, choose_styles
from cephalo.dataset_scripts.pdf.type_heights import CharBoxes

_ICONS = f" {text_layer.UNREAD}"  # a line of only these is a logo or a button
MAX_CHARS = 200_000  # a newspaper page has 30,000; more is an attack or a data dump
_HYPHENS = (0x02, 0xAD, 0xFFFE)  # codes of pdfium for a hyphen at a line end
_EXPANSIONS = text_layer.EXPANSIONS | {ERASED: ""}
# Surrogates and the keys of `_EXPANSIONS`.
_RARE = re.compile("[\ud800-\udfff\u200b\U0010f000-\U0010ffff]")
_BLANKS = (0xA0, 0x200B)  # the second has no width, and may have size 0


@dataclass(frozen=True)
class Parameters:
    """Limits for lines."""

    long_run: int = 20  # characters; a longer run is part of a line, not a sign in it


P = Parameters()


@dataclass(slots=True)
class Line:
    """One line of text.

    Attributes:
        text: The text.
        box: Box in points on the displayed page after `quarters` turns; the text is horizontal.
        size: Font size in points.
        font: Name of the font in the middle of the line.
        lead: Name of the font of the first character.
        quarters: Clockwise quarter turns.
        visible: Whether it is neither white nor invisible, such as the OCR layer of a scan.
        span: Indices of the first and last character. Consecutive text has consecutive indices.
        tags: Roles of the line, such as "caption".
    """

    text: str
    box: Box
    size: float
    font: str
    lead: str
    quarters: int = 0
    visible: bool = True
    span: tuple[int, int] = (0, 0)
    tags: set[str] = field(default_factory=set)

    def continues(self, other: "Line") -> bool:
        """Return whether this line follows `other` in the content stream of the page."""
        return 0 < self.span[0] - other.span[1] <= 4

    @property
    def first_word(self) -> float:
        """Width of the first word in points, estimated by its share of the characters."""
        word = self.text.split(maxsplit=1)[0] if self.text else ""
        return len(word) / max(len(self.text), 1) * (self.box[2] - self.box[0])

    @property
    def bold(self) -> bool:
        """Whether the first characters are bold, judged by the font name."""
        return is_bold(self.lead)


def is_bold(font: str) -> bool:
    """Return whether a PostScript font name is that of a bold face ("Times-Bold", "CMBX10")."""
    name = font.lower()
    bold = ("bold", "black", "heavy", "cmbx", "ssbx", "sfbx", "sfsx", "-bd", "demi", "medi")
    return any(part in name for part in bold) or name.endswith((".b", "-b"))


def read_lines(
    page: fast.Page,
    texts: TextObjects | None = None,
    memory: text_layer.Memory | None = None,
) -> list[Line]:
    """Read the lines of a page, each in the frame of its orientation (`Line.quarters`).

    `texts` has hidden text objects: some tools of publishers keep there the text around a figure in
    another version of the page. `memory` has glyphs recognised on other pages of the document.
    """
    textpage = pdfium.FPDFText_LoadPage(page.handle)
    if not textpage:
        return []
    try:
        handle = ctypes.cast(textpage, ctypes.c_void_p)
        count = min(pdfium.FPDFText_CountChars(textpage), MAX_CHARS)
        if count <= 0:
            return []
        codes = text_layer.repair(page, handle, _codes(textpage, handle, count), memory)
        codes = compose_accents(handle, codes)
        return _lines(page, handle, codes, texts or TextObjects())
    finally:
        pdfium.FPDFText_ClosePage(textpage)


def _lines(
    page: fast.Page, handle: ctypes.c_void_p, codes: np.ndarray, texts: TextObjects
) -> list[Line]:
    """Return the lines of a page with the given character codes."""
    blank = np.logical_or.reduce([codes == code for code in _BLANKS])
    solid = ~((codes <= 32) & (codes != 2) | blank)
    boxes = CharBoxes(page, handle, solid, texts)
    marks = _read_marks(boxes, solid, texts.hidden)
    if not len(marks.chars):
        return []
    string = _string(codes)
    lines = []
    for turns in np.unique(marks.quarters).tolist():
        own = marks if (marks.quarters == turns).all() else marks.of(marks.quarters == turns)
        lines += _runs(boxes, string, solid, own, turns)
    return lines


@dataclass
class _Marks:
    """Characters at which lines may begin and end, in text order.

    `chars` are their indices, `boxes` (n, 4) their boxes on the displayed page in points, and
    `quarters` the clockwise turns that make each upright. `joined` is true for the end of a word
    whose start is the previous mark; the characters between are omitted.
    """

    chars: np.ndarray
    boxes: np.ndarray
    quarters: np.ndarray
    joined: np.ndarray

    def of(self, chosen: np.ndarray) -> "_Marks":
        """Return the marks for which the boolean array `chosen` is true."""
        return _Marks(
            self.chars[chosen], self.boxes[chosen], self.quarters[chosen], self.joined[chosen]
        )


def _read_marks(char_boxes: CharBoxes, solid: np.ndarray, hidden: set[int]) -> _Marks:
    """Read the first and last characters of plain words, and all characters of others.

    Calls per character dominate the cost; a horizontal word of one size needs two.
    """
    page, handle = char_boxes.page, char_boxes.textpage
    edges = np.flatnonzero(np.diff(np.concatenate([[False], solid, [False]])))
    first, last = edges[::2], edges[1::2] - 1
    ends = np.stack([first, last], axis=1)
    boxes = char_boxes(ends.ravel()).reshape(-1, 2, 4)
    plain = _is_plain(page, boxes, last - first + 1) if not hidden else np.zeros(len(first), bool)
    spread = np.repeat(~plain, last - first + 1)
    others = np.flatnonzero(solid)[spread]
    other_boxes = _boxes_within(char_boxes, others, first[~plain], last[~plain], boxes[~plain])
    seen = _is_seen(page, handle, others, other_boxes, hidden)
    others, other_boxes = others[seen], other_boxes[seen]
    begins = np.ones(len(others), bool)
    begins[1:] = np.diff(others) > 1
    chars = np.concatenate([ends[plain].ravel(), others])
    joined = np.zeros(len(chars), bool)
    joined[1 : 2 * plain.sum() : 2] = True
    quarters = np.zeros(len(chars), int)  # plain words are horizontal on the displayed page
    quarters[2 * plain.sum() :] = _orientations(page, handle, others, begins)
    order = np.argsort(chars, kind="stable")
    every = np.concatenate([boxes[plain].reshape(-1, 4), other_boxes])
    return _Marks(chars[order], every[order], quarters[order], joined[order])


def _boxes_within(
    char_boxes: CharBoxes, chars: np.ndarray, first: np.ndarray, last: np.ndarray, ends: np.ndarray
) -> np.ndarray:
    """Return boxes (n, 4) of the characters of words, given the boxes `ends` (words, 2, 4).

    `first` and `last` (words,) are the indices of the first and last character of each word.
    """
    boxes = np.empty((len(chars), 4))
    inner = np.ones(len(chars), bool)
    for column, end in enumerate((first, last)):
        places = np.searchsorted(chars, end)
        boxes[places] = ends[:, column]
        inner[places] = False
    boxes[inner] = char_boxes(chars[inner])
    return boxes


def _is_plain(page: fast.Page, ends: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Return which words are horizontal, of one height, on the page, and of usual width.

    `ends` (n, 2, 4) are the boxes of the first and last character, `length` (n,) the number of
    characters.
    """
    (x0, y0, x1, y1), (x2, y2, x3, y3) = ends[:, 0].T, ends[:, 1].T
    high = y1 - y0
    level = (np.abs(y2 - y0) < 0.02 * high) & (np.abs(y3 - y1) < 0.02 * high)
    proper = (x1 > x0) & (x3 > x2) & (high > 0)
    inside = (x0 > 0) & (x3 < page.width) & (y0 > 0) & (y1 < page.height)
    along = (length > 1) & (x2 > x1 - 0.2 * high)
    width = (x3 - x0) / np.maximum(high * length, 1e-6)  # 0.31 to 0.73 for 99.8 % of the words
    usual = (width > 0.33) & (width < 0.9)
    return level & proper & inside & along & usual


def _is_seen(
    page: fast.Page, handle: ctypes.c_void_p, chars: np.ndarray, boxes: np.ndarray, hidden: set[int]
) -> np.ndarray:
    """Return which characters have a size, are on the page, and are not clipped away."""
    proper = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    # Publishers leave text beyond the page edge, which readers never see.
    middle_x, middle_y = ((boxes[:, :2] + boxes[:, 2:]) / 2).T
    inside = (middle_x > 0) & (middle_x < page.width) & (middle_y > 0) & (middle_y < page.height)
    if hidden:
        owners = fast.text_objects(handle, chars)
        inside &= ~np.isin(owners, np.fromiter(hidden, np.uint64, len(hidden)))
    return proper & inside


def _codes(textpage: fast.Handle, handle: ctypes.c_void_p, count: int) -> np.ndarray:
    """Return the Unicode code points of all characters of a page."""
    buffer = np.zeros(count + 1, np.uint16)
    pointer = buffer.ctypes.data_as(ctypes.POINTER(ctypes.c_ushort))
    if pdfium.FPDFText_GetText(textpage, 0, count, pointer) == count + 1:
        return buffer[:count].astype(np.uint32)
    # Characters without a text index, or outside the BMP: one call per character.
    numbers = range(count)
    return np.fromiter(map(fast.text_unicode, repeat(handle), numbers), np.uint32, count)


def _string(codes: np.ndarray) -> str:
    """Convert the codes of a page to a text with one element per code (see `_whole`)."""
    hyphens = np.logical_or.reduce([codes == code for code in _HYPHENS])
    codes = np.where(hyphens, ord("-"), codes)
    if codes.max() < 0xD800:
        return codes.astype("<u2").tobytes().decode("utf-16-le")
    return codes.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")


def _whole(text: str) -> str:
    """Normalise white space and join surrogate pairs."""
    if text.isascii() or not _RARE.search(text):
        return " ".join(text.split())
    text = " ".join(text.translate(_EXPANSIONS).split())
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _orientations(
    page: fast.Page, handle: ctypes.c_void_p, chars: np.ndarray, begins: np.ndarray
) -> np.ndarray:
    """Return the clockwise quarter turns that make each of `chars` upright, as int array.

    Only the first character of each word is queried.
    """
    starts = np.flatnonzero(begins)
    # pdfium's own angle is that of the glyph height, and bitmap fonts are mirrored.
    along = fast.text_matrices(handle, chars[starts].tolist())
    angles = np.arctan2(along[:, 1], along[:, 0])
    # The angle is counterclockwise in user space; /Rotate is clockwise.
    turns = np.rint(angles / (np.pi / 2)).astype(int) - pdfium.FPDFPage_GetRotation(page.handle)
    return np.repeat(turns % 4, np.diff(np.append(starts, len(chars))))


def _runs(
    char_boxes: CharBoxes, string: str, solid: np.ndarray, marks: _Marks, turns: int
) -> list[Line]:
    """Divide marks of one orientation into runs, and join the runs on the same baseline."""
    page = char_boxes.page
    boxes = turn(marks.boxes, turns, page.width, page.height)
    x0, y0, x1, y1 = boxes.T
    high = y1 - y0
    least = np.minimum(high[1:], high[:-1])
    shared = np.minimum(y1[1:], y1[:-1]) - np.maximum(y0[1:], y0[:-1])
    gap = x0[1:] - x1[:-1]
    most = np.maximum(high[1:], high[:-1])
    # Line numbers are separate from the text and smaller. A superscript ends a word.
    apart = (gap > 0.2 * most) | (shared < 0.3 * least)
    number = (least < 0.75 * most) & (gap > 0.2 * most) & _is_between_sizes(high, apart)
    cut = (shared < 0.3 * least) | (gap > 1.6 * most) | (gap < -1.5 * most) | number
    cut &= ~marks.joined[1:]
    gutters = find_gutters(boxes, cut, marks.joined[1:])
    cut |= gutters
    starts = np.concatenate([[0], np.flatnonzero(cut) + 1])
    ends = np.append(starts[1:], len(boxes)) - 1
    lows = np.minimum.reduceat(boxes[:, :2], starts).tolist()
    highs = np.maximum.reduceat(boxes[:, 2:], starts).tolist()
    first, last = marks.chars[starts], marks.chars[ends]
    styles = Styles(char_boxes)
    leads, mains, bases = choose_styles(styles, solid, first, last)
    lines = [
        Line(_whole(string[a : b + 1]), (*low, *upper), size, font, lead, turns, visible, (a, b))
        for a, b, low, upper, (lead, _, visible), (font, size, _) in zip(
            first.tolist(), last.tolist(), lows, highs, leads, mains, strict=True
        )
    ]
    _set_heights(char_boxes, lines, bases, turns)
    joined = join_runs(lines, set(marks.chars[1:][gutters].tolist()))
    return [line for line in joined if line.text.strip(_ICONS)]


def _is_between_sizes(high: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """Return which gaps separate a word from one that is much smaller throughout, bool (n - 1,).

    `high` (n,) are the heights of marks, `apart` (n - 1,) is true for gaps.
    """
    starts = np.concatenate([[0], np.flatnonzero(apart) + 1])
    tallest = np.maximum.reduceat(high, starts)
    word = np.concatenate([[0], np.cumsum(apart)])
    left, right = tallest[word[:-1]], tallest[word[1:]]
    return np.minimum(left, right) < 0.75 * np.maximum(left, right)


def _set_heights(char_boxes: CharBoxes, lines: list[Line], bases: list[int], turns: int) -> None:
    """Set the height of each line to its type: 0.8 sizes above the baseline and 0.2 below.

    The heights in fonts vary by a factor of two, even within a line if a font is split into
    subsets. `bases` has one character of each line in its main style.
    """
    page = char_boxes.page
    points = fast.origins(char_boxes.textpage, bases) @ page.to_display[:2] + page.to_display[2]
    upright = turn(np.concatenate([points, points], axis=1), turns, page.width, page.height)
    boxes = turn(char_boxes(np.array(bases)), turns, page.width, page.height)
    heights = (boxes[:, 3] - boxes[:, 1]).tolist()
    for line, high, base in zip(lines, heights, upright[:, 1].tolist(), strict=True):
        x0, y0, x1, y1 = line.box
        if not 0.3 * high < line.size < 2 * high:  # Type 3 font sizes may be arbitrary
            line.size = high / 1.2
        elif y0 - line.size < base < y1 + line.size:
            line.box = x0, base - 0.8 * line.size, x1, base + 0.2 * line.size


def join_runs(lines: list[Line], parted: Collection[int] = ()) -> list[Line]:
    """Join runs that continue each other on a baseline (a formula, a change of font).

    `parted` has the first characters of runs that begin to the right of a gutter.
    """
    lines = sorted(lines, key=lambda line: (line.box[0], line.box[1]))
    farthest = 0.5 * max((line.box[3] - line.box[1] for line in lines), default=0.0)
    by_row: dict[int, list[Line]] = {}
    kept: list[Line] = []
    for line in lines:
        box = line.box
        high = box[3] - box[1]
        row = int((box[1] + box[3]) / 2 // 8)
        level_runs = [other for key in (row - 1, row, row + 1) for other in by_row.get(key, ())]
        best = None
        for other in level_runs:
            gap = box[0] - other.box[2]
            if not -farthest < gap < 1.6 * farthest:  # most runs are far away
                continue
            tall = max(high, other.box[3] - other.box[1])
            shared = min(box[3], other.box[3]) - max(box[1], other.box[1])
            least = min(high, other.box[3] - other.box[1])
            reach = 0.5 if least > 0.75 * tall else 0.2  # see `_runs` on line numbers
            level = least > 0.95 * tall and abs(box[3] - other.box[3]) < 0.02 * tall
            if level and line.continues(other) and line.span[0] not in parted:
                reach = 0.9  # a wide space in a justified line
            near = -0.3 * tall < gap < reach * tall and shared > 0.5 * least
            if near and not _in_two_columns(other, line):
                best = other
        if best is None:
            by_row.setdefault(row, []).append(line)
            kept.append(line)
        else:
            tall = max(high, best.box[3] - best.box[1])
            blank = " " if box[0] - best.box[2] > 0.12 * tall else ""
            main = line if len(line.text) > len(best.text) else best
            best.font, best.size = main.font, main.size
            best.text += blank + line.text
            best.box = best.box[0], main.box[1], max(best.box[2], box[2]), main.box[3]
            best.span = best.span[0], line.span[1]
    return kept


def _in_two_columns(left: Line, right: Line) -> bool:
    """Return whether two runs are lines of adjacent columns: long, of two sizes, not in order."""
    long = min(len(left.text), len(right.text)) > P.long_run
    sizes = left.size, right.size
    return long and max(sizes) - min(sizes) > 0.05 * max(sizes) and not right.continues(left)
