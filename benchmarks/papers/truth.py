"""Ground truth, read from the coded PDF of a paper and from the paper itself.

In the coded PDF (see prelude.typ), the fill colour of each text encodes its role and its figure or
table, and figures, panels and tables are filled rectangles. pdfium reports both exactly, wherever
Typst places them. The ink of a figure inside its rectangle is measured on a rendering of the
published PDF.
"""

import ctypes
import io
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import pypdfium2 as pdfium
import pypdfium2.raw as raw

from benchmarks.papers.captions import Caption
from benchmarks.papers.layout import Page, traps
from benchmarks.papers.paper import Paper
from benchmarks.papers.placing import Placed

Box = list[float]
# The same as in prelude.typ.
ROLES = {
    1: "body",
    2: "heading",
    3: "reference",
    4: "furniture",
    5: "table",
    6: "figure",
    7: "caption",
    8: "label",
    9: "table caption",
    10: "table label",
    11: "pointer",
}
_FIGURE, _PANEL, _TABLE, _TURNED = 129, 130, 131, 132
_CAPTION_ROLES = {"caption", "label"}
# Pixels per point for measuring ink, and difference from the paper that counts as ink.
_SCALE, _INK = 2.0, 12
# Points by which outlines may exceed their rectangle.
_HANG = 1.0
# Largest gap in points in a line; less than the narrowest gutter.
_APART = 8.0
# Smallest overlap of two pieces of a line, as a share of the smaller height; indices reach it.
_OVERLAP = 0.4
# Points by which the last line may exceed the text area, and the share of a line that may be
# covered by another line, as with tight leading, and by a figure.
_OVERHANG, _COVERED, _TOUCHED = 4.0, 0.3, 0.1
# Ends of separators that are followed by the text without a space.
_PARTING = (" ", "\u2003", "\u2014")
# Clockwise rotation of pages with rotated content.
_TURN = 270


@dataclass
class Text:
    """A line of text, or a part of it with one role, in reading order."""

    role: str
    index: int
    page: int
    box: Box
    turned: bool = False


@dataclass
class Marks:
    """Content of the coded PDF. Boxes are in points from the top left of the displayed page."""

    pages: int = 0
    texts: list[Text] = field(default_factory=list)
    figures: dict[int, tuple[int, Box]] = field(default_factory=dict)
    panels: dict[int, dict[int, Box]] = field(default_factory=lambda: defaultdict(dict))
    tables: dict[int, tuple[int, Box]] = field(default_factory=dict)
    turned: set[int] = field(default_factory=set)


def read_marks(coded: bytes) -> Marks:
    """Read the coded PDF of a paper."""
    marks = Marks()
    with pdfium.PdfDocument(coded) as document:
        marks.pages = len(document)
        for number, page in enumerate(document):
            _read_page(page, number, marks)
    return marks


def _read_page(page: pdfium.PdfPage, number: int, marks: Marks) -> None:
    width, height = page.get_size()
    texts: list[Text] = []
    for item in page.get_objects(max_depth=1):
        if item.type not in (raw.FPDF_PAGEOBJ_TEXT, raw.FPDF_PAGEOBJ_PATH):
            continue
        code, index, part = _fill(item)
        x0, y0, x1, y1 = item.get_bounds()
        box = [x0, height - y1, x1, height - y0]
        if item.type == raw.FPDF_PAGEOBJ_TEXT:
            if code in ROLES and x1 > x0:
                _append(texts, Text(ROLES[code], index, number, box, _is_turned(item)))
        elif code == _FIGURE:
            marks.figures[index] = number, box
        elif code == _PANEL:
            marks.panels[index][part] = box
        elif code == _TABLE:
            marks.tables[index] = number, box
        elif code == _TURNED:
            marks.turned.add(number)
    if number in marks.turned:
        _turn(number, width, texts, marks)
    marks.texts += texts


def _fill(item: pdfium.PdfObject) -> tuple[int, int, int]:
    red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
    raw.FPDFPageObj_GetFillColor(item.raw, red, green, blue, alpha)
    return red.value, green.value, blue.value


def _is_turned(item: pdfium.PdfObject) -> bool:
    matrix = item.get_matrix()
    return abs(matrix.b) > abs(matrix.a)


def _append(texts: list[Text], text: Text) -> None:
    """Add a piece of text, joined to the line that it continues."""
    last = texts[-1] if texts else None
    if last and (last.role, last.index) == (text.role, text.index) and _same_line(last, text):
        pairs = list(zip(last.box, text.box, strict=True))
        last.box = [*(min(pair) for pair in pairs[:2]), *(max(pair) for pair in pairs[2:])]
        return
    texts.append(text)


def _same_line(last: Text, text: Text) -> bool:
    """Return whether `text` continues the line of `last`. Rotated lines run up or down the page."""
    a, b = last.box, text.box
    along, across = (1, 0) if last.turned else (0, 1)
    overlap = min(a[across + 2], b[across + 2]) - max(a[across], b[across])
    least = min(a[across + 2] - a[across], b[across + 2] - b[across])
    gap = max(a[along], b[along]) - min(a[along + 2], b[along + 2])
    return last.turned == text.turned and overlap > _OVERLAP * least and gap < _APART


def _turn(number: int, width: float, texts: list[Text], marks: Marks) -> None:
    """Rotate the boxes of a page by `_TURN` degrees; `width` is the page width before."""

    def turned(box: Box) -> Box:
        x0, y0, x1, y1 = box
        return [y0, width - x1, y1, width - x0]

    for text in texts:
        text.box, text.turned = turned(text.box), not text.turned
    for areas in (marks.figures, marks.tables):
        for index, (page, box) in areas.items():
            if page == number:
                areas[index] = page, turned(box)
    for index, panels in marks.panels.items():
        if marks.figures.get(index, (None,))[0] == number:
            marks.panels[index] = {part: turned(box) for part, box in panels.items()}


def turn_pages(published: bytes, pages: set[int]) -> bytes:
    """Return the PDF with a /Rotate entry on `pages`."""
    if not pages:
        return published
    out = io.BytesIO()
    with pdfium.PdfDocument(published) as document:
        for number in pages:
            document[number].set_rotation(_TURN)
        document.save(out)
    return out.getvalue()


class Ink:
    """Renders pages of a paper once and measures the ink in boxes."""

    def __init__(self, published: bytes) -> None:
        self._document = pdfium.PdfDocument(published)
        self._pages: dict[int, np.ndarray] = {}

    def within(self, page: int, box: Box, part: Box | None = None) -> Box:
        """Return the ink box in the place of a figure or, exactly, in a `part` of it.

        Args:
            page: Page number from 0.
            box: Place of the figure, in points from the top left. Lines may extend beyond it by
                half their width. The page beside its corner is blank.
            part: Place of a panel in it.

        Raises:
            ValueError: If there is no ink.
        """
        pixels = self._render(page)
        x0, y0, x1, y1 = (
            round((edge + side * _HANG) * _SCALE)
            for edge, side in zip(box, (-1, -1, 1, 1), strict=True)
        )
        ground = pixels[max(y0 - 1, 0), max(x0 - 1, 0)]
        if part is not None:
            x0, y0, x1, y1 = (round(edge * _SCALE) for edge in part)
        x0, y0 = max(x0, 0), max(y0, 0)
        inked = (np.abs(pixels[y0:y1, x0:x1] - ground) > _INK).any(axis=-1)
        rows, columns = np.flatnonzero(inked.any(axis=1)), np.flatnonzero(inked.any(axis=0))
        if not len(rows):
            raise ValueError("a figure or panel is blank")
        edges = (x0 + columns[0], y0 + rows[0], x0 + columns[-1] + 1, y0 + rows[-1] + 1)
        return [float(edge / _SCALE) for edge in edges]

    def _render(self, page: int) -> np.ndarray:
        if page not in self._pages:
            picture = self._document[page].render(scale=_SCALE, rev_byteorder=True)
            self._pages[page] = picture.to_numpy()[..., :3].astype(np.int16)
        return self._pages[page]


def truth(name: str, paper: Paper, marks: Marks, published: bytes) -> dict:
    """Return the ground truth of a paper in the format of ../shared/bench, with all text roles.

    Raises:
        ValueError: If a figure, table or caption is missing or misplaced.
    """
    _check(marks, paper.layout.page)
    ink = Ink(published)
    page, look = paper.layout.page, paper.layout.caption
    return {
        "id": name,
        "class": f"{page.columns} column{'s' if page.columns > 1 else ''}, {look.place}",
        "traps": traps(paper.layout),
        "scanned": False,
        "n_pages": marks.pages,
        "figures": [
            _figure(placed, look.separator, look.stand, marks, ink) for placed in paper.figures
        ],
        "tables": [_table(caption, marks, ink) for caption in paper.tables],
        "paragraphs": paper.paragraphs,
        "texts": [
            {"role": text.role, "index": text.index, "page": text.page, "bbox": _rounded(text.box)}
            for text in marks.texts
        ],
    }


def _check(marks: Marks, page: Page) -> None:
    """Raise `ValueError` if the layout failed: content off the page, or overlapping."""
    bottom = page.height - page.margins[3] + _OVERHANG
    captions = [text for text in marks.texts if text.role in _CAPTION_ROLES]
    areas = [*marks.figures.values(), *marks.tables.values()]
    areas += [(text.page, text.box) for text in captions]
    if any(box[3] > bottom for number, box in areas if number not in marks.turned):
        raise ValueError("content extends beyond its page")
    for text in captions:
        for other in marks.texts:
            apart = (other.role in _CAPTION_ROLES and other.index == text.index) or (
                other.page != text.page
            )
            if not apart and _covered(text.box, other.box) > _COVERED:
                raise ValueError("a caption overlaps other text")
    for number, box in marks.figures.values():
        for text in marks.texts:
            beside = text.role == "figure" or text.page != number
            if not beside and _covered(text.box, box) > _TOUCHED:
                raise ValueError("text overlaps a figure")


def _covered(box: Box, other: Box) -> float:
    """Return the share of `box` that `other` covers."""
    wide = min(box[2], other[2]) - max(box[0], other[0])
    high = min(box[3], other[3]) - max(box[1], other[1])
    area = (box[2] - box[0]) * (box[3] - box[1])
    return wide * high / area if wide > 0 and high > 0 and area > 0 else 0.0


def _figure(placed: Placed, separator: str, stand: str, marks: Marks, ink: Ink) -> dict:
    caption, graphic = placed.caption, placed.graphic
    if caption.index not in marks.figures:
        raise ValueError(f"figure {caption.index} is missing in the PDF")
    page, slot = marks.figures[caption.index]
    panels = marks.panels.get(caption.index, {})
    kinds = _CAPTION_ROLES if stand != "apart" else {"caption"}
    return {
        **_words(caption, separator),
        "kind": graphic.kind,
        "traits": placed.traits,
        "page": page,
        "bbox": _rounded(ink.within(page, slot)),
        "panels": [
            {"letter": panel.letter, "bbox": _rounded(ink.within(page, slot, panels[k]))}
            for k, panel in enumerate(graphic.panels, start=1)
        ],
        **_lines(caption.index, kinds, marks),
    }


def _table(caption: Caption, marks: Marks, ink: Ink) -> dict:
    if caption.index not in marks.tables:
        raise ValueError(f"table {caption.index} is missing in the PDF")
    page, slot = marks.tables[caption.index]
    lines = _lines(caption.index, {"table caption", "table label"}, marks)
    return {
        **_words(caption, ". "),
        "kind": "table",
        "page": page,
        "bbox": _rounded(ink.within(page, slot)),
        **lines,
    }


def _words(caption: Caption, separator: str) -> dict:
    # A label on a separate line is separated from the text by the line break.
    joint = separator if separator.endswith(_PARTING) else f"{separator} "
    printed = f"{caption.label}{joint}{caption.plain}"
    return {"label": caption.label, "caption": caption.plain, "caption_printed": printed}


def _lines(index: int, roles: set[str], marks: Marks) -> dict:
    """Return page and box of a caption, and each of its lines in reading order."""
    found = [text for text in marks.texts if text.role in roles and text.index == index]
    if not found:
        raise ValueError(f"caption {index} is missing in the PDF")
    lines: list[Text] = []
    for text in found:
        _append(lines, Text("caption", index, text.page, list(text.box), text.turned))
    page = lines[0].page
    boxes = np.array([line.box for line in lines if line.page == page])
    around = [*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0)]
    return {
        "caption_page": page,
        "caption_bbox": _rounded(around),
        "caption_lines": [[line.page, *_rounded(line.box)] for line in lines],
    }


def _rounded(box: Box) -> Box:
    return [round(float(edge), 2) for edge in box]
