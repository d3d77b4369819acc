"""Text lines: from the characters of a page to lines of one orientation, in reading frames.

A line is a run of characters on one baseline without a gap much wider than the text is high, so a
table row gives one line per cell and the two columns of a page never share a line.
"""

import ctypes
from dataclasses import dataclass, field

import numpy as np
import pypdfium2.raw as pdfium

from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf.geometry import Box, turn

MAX_CHARS = 200_000  # a page of a newspaper has 30 000; more is an attack or a data dump
HYPHENS = "\x02\xad\ufffe"  # how pdfium writes a hyphen at the end of a line


@dataclass(slots=True)
class Line:
    """One line of text.

    `box` is in points on the displayed page turned by `quarters` quarter turns clockwise, so
    that the text reads from left to right. `size` is the font size in points. `font` is the
    name of the font in the middle of the line, `lead` of its first character. `span` holds the
    numbers of its first and last character: text that goes on has the next numbers.
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
        """Whether this line comes next after `other` in the page's content."""
        return 0 < self.span[0] - other.span[1] <= 4

    @property
    def bold(self) -> bool:
        """Whether the line's first characters are set in a bold face, by the font's name."""
        return is_bold(self.lead)


def is_bold(font: str) -> bool:
    """Whether a PostScript font name is that of a bold face ("Times-Bold", "CMBX10")."""
    name = font.lower()
    bold = ("bold", "black", "heavy", "cmbx", "-bd", "semibold", "demi", "medi")
    return any(part in name for part in bold) or name.endswith((".b", "-b"))


def read_lines(page: fast.Page, hidden: set[int] | None = None) -> list[Line]:
    """The lines of a page, each in the frame of its own orientation (`Line.quarters`).

    `hidden` are text objects that are clipped away: publishers' tools leave there what stood
    around a figure in another version of the page.
    """
    textpage = pdfium.FPDFText_LoadPage(page.handle)
    if not textpage:
        return []
    try:
        handle = ctypes.cast(textpage, ctypes.c_void_p).value
        count = min(pdfium.FPDFText_CountChars(textpage), MAX_CHARS)
        if count <= 0:
            return []
        return _lines(page, textpage, handle, count, hidden or set())
    finally:
        pdfium.FPDFText_ClosePage(textpage)


def _lines(page: fast.Page, textpage, handle: int, count: int, hidden: set[int]) -> list[Line]:
    codes = _codes(textpage, handle, count)
    boxes = fast.map_boxes(fast.loose_boxes(handle, count), page.to_display)
    space = (codes <= 32) & (codes != 2) | (codes == 0xA0)
    proper = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    # Publishers leave text beyond the page's edge; a reader never sees it.
    middle_x, middle_y = boxes[:, [0, 2]].mean(axis=1), boxes[:, [1, 3]].mean(axis=1)
    inside = (middle_x > 0) & (middle_x < page.width) & (middle_y > 0) & (middle_y < page.height)
    if hidden:
        owners = map(fast.text_object, [handle] * count, range(count))
        inside &= np.fromiter((owner not in hidden for owner in owners), bool, count)
    marks = np.flatnonzero(~space & proper & inside)
    if not len(marks):
        return []
    string = _string(codes)
    quarters = _orientations(page, handle, marks, space)
    lines = []
    for turns in np.unique(quarters):
        chosen = marks[quarters == turns]
        upright = turn(boxes[chosen], int(turns), page.width, page.height)
        lines += _runs(page, handle, string, chosen, upright, int(turns))
    return lines


def _codes(textpage, handle: int, count: int) -> np.ndarray:
    buffer = np.zeros(count + 1, np.uint16)
    pointer = buffer.ctypes.data_as(ctypes.POINTER(ctypes.c_ushort))
    if pdfium.FPDFText_GetText(textpage, 0, count, pointer) == count + 1:
        return buffer[:count].astype(np.uint32)
    # Characters without a text index, or outside the basic plane: one call for each.
    numbers = range(count)
    return np.fromiter(map(fast.text_unicode, [handle] * count, numbers), np.uint32, count)


def _string(codes: np.ndarray) -> str:
    """The text of a page, one element for each code: surrogates stay apart (see `_whole`)."""
    codes = np.where(codes == 2, 0xAD, codes)
    if codes.max() < 0xD800:
        return codes.astype("<u2").tobytes().decode("utf-16-le")
    return "".join(map(chr, codes.tolist()))


def _whole(text: str) -> str:
    """Text with white space folded and pairs of surrogates joined."""
    text = " ".join(text.split())
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _orientations(page: fast.Page, handle: int, marks: np.ndarray, space: np.ndarray) -> np.ndarray:
    """Quarter turns clockwise that set each mark upright: int array like `marks`."""
    first = np.ones(len(marks), bool)
    first[1:] = (np.diff(marks) > 1) | space[marks[1:] - 1]
    starts = np.flatnonzero(first)
    angles = np.fromiter(
        map(fast.text_angle, [handle] * len(starts), marks[starts].tolist()), float, len(starts)
    )
    # The angle runs counterclockwise in user space; /Rotate turns the page clockwise.
    turns = np.rint(-angles / (np.pi / 2)).astype(int) - pdfium.FPDFPage_GetRotation(page.handle)
    return np.repeat(turns % 4, np.diff(np.append(starts, len(marks))))


def _runs(page: fast.Page, handle: int, string: str, chosen, boxes, turns: int) -> list[Line]:
    """Cut the marks `chosen` into runs, then join the runs that share a baseline."""
    x0, y0, x1, y1 = boxes.T
    high = y1 - y0
    least = np.minimum(high[1:], high[:-1])
    shared = np.minimum(y1[1:], y1[:-1]) - np.maximum(y0[1:], y0[:-1])
    gap = x0[1:] - x1[:-1]
    most = np.maximum(high[1:], high[:-1])
    # Line numbers stand off from the text and are set smaller.
    number = (least < 0.75 * most) & (gap > 0.2 * most)
    cut = (shared < 0.3 * least) | (gap > 1.6 * most) | (gap < -1.5 * most) | number
    edges = np.concatenate([[0], np.flatnonzero(cut) + 1, [len(chosen)]])
    starts, ends = edges[:-1], edges[1:]
    lows = np.minimum.reduceat(boxes[:, :2], starts)
    highs = np.maximum.reduceat(boxes[:, 2:], starts)
    lows, highs = lows.tolist(), highs.tolist()
    style = _Styles(handle)
    lines, bases = [], []
    for start, end, low, upper in zip(starts.tolist(), ends.tolist(), lows, highs, strict=True):
        first, last = int(chosen[start]), int(chosen[end - 1])
        lead = style(first)
        # A character in the middle may be a subscript; of three, the median is that of the line.
        length = end - start
        places = (start + length // 4, start + length // 2, start + 3 * length // 4)
        inner = [style(int(chosen[place])) for place in places] if length > 3 else [lead]
        places = places if length > 3 else (start,)
        middle = sorted(range(len(inner)), key=lambda k: inner[k][1])[len(inner) // 2]
        font, size, _ = inner[middle]
        bases.append(places[middle])
        text = _whole(string[first : last + 1])
        span = first, last
        lines.append(Line(text, (*low, *upper), size, font, lead[0], turns, lead[2], span))
    points = fast.origins(handle, chosen[bases].tolist())
    _set_heights(page, lines, high[bases].tolist(), points, turns)
    return join_runs(lines)


def _set_heights(
    page: fast.Page, lines: list[Line], heights: list[float], points: np.ndarray, turns: int
) -> None:
    """Make each line as high as its type: 0.8 sizes above the baseline, 0.2 below.

    What fonts say of their height differs by a factor of two, even within one line where a
    font is split into subsets. For each line, `heights` has the height of a character by its
    font, and `points` (n, 2) where that character stands on the baseline, in user space.
    """
    points = points @ page.to_display[:2] + page.to_display[2]
    upright = turn(np.concatenate([points, points], axis=1), turns, page.width, page.height)
    for line, high, base in zip(lines, heights, upright[:, 1].tolist(), strict=True):
        x0, y0, x1, y1 = line.box
        if not 0.3 * high < line.size < 2 * high:  # the size of a Type 3 font may mean nothing
            line.size = high / 1.2
        elif y0 - line.size < base < y1 + line.size:
            line.box = x0, base - 0.8 * line.size, x1, base + 0.2 * line.size


class _Styles:
    """Font name, size in points and visibility of a character, remembered by text object."""

    def __init__(self, textpage: int) -> None:
        self.textpage = textpage
        self.objects: dict[int, tuple[str, float, bool]] = {}
        self.fonts: dict[int, str] = {}
        self.matrix = (ctypes.c_float * 6)()
        self.buffer = ctypes.create_string_buffer(256)

    def __call__(self, char: int) -> tuple[str, float, bool]:
        text_object = fast.text_object(self.textpage, char)
        if text_object not in self.objects:
            size = fast.text_font_size(self.textpage, char)
            if fast.text_matrix(self.textpage, char, ctypes.addressof(self.matrix)):
                _, _, c, d, _, _ = self.matrix
                size *= float(np.hypot(c, d))
            visible = not text_object or fast.text_render_mode(text_object) != 3
            self.objects[text_object] = (self._font(text_object), size, visible)
        return self.objects[text_object]

    def _font(self, text_object: int | None) -> str:
        font = fast.text_font(text_object) if text_object else None
        if not font:
            return ""
        if font not in self.fonts:
            fast.font_name(font, ctypes.addressof(self.buffer), 256)
            name = self.buffer.value.decode("latin-1")
            self.fonts[font] = name[7:] if name[6:7] == "+" else name
        return self.fonts[font]


def join_runs(lines: list[Line]) -> list[Line]:
    """Join runs that continue each other on one baseline (a formula, a change of font)."""
    lines = sorted(lines, key=lambda line: (line.box[0], line.box[1]))
    by_row: dict[int, list[Line]] = {}
    kept: list[Line] = []
    for line in lines:
        box = line.box
        high = box[3] - box[1]
        row = int((box[1] + box[3]) / 2 // 8)
        near = [other for key in (row - 1, row, row + 1) for other in by_row.get(key, ())]
        best = None
        for other in near:
            gap = box[0] - other.box[2]
            tall = max(high, other.box[3] - other.box[1])
            shared = min(box[3], other.box[3]) - max(box[1], other.box[1])
            least = min(high, other.box[3] - other.box[1])
            reach = 0.5 if least > 0.75 * tall else 0.2  # see `_runs` on line numbers
            if -0.3 * tall < gap < reach * tall and shared > 0.5 * least:
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
