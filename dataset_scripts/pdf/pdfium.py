"""Calls of pdfium that are cheap enough to make for every character and object.

The generated bindings of pypdfium2 release the interpreter lock and convert every argument, which
takes most of the time at thousands of calls per page. The prototypes here keep the lock and take
plain addresses, so that `map` can call them with ranges over a numpy buffer. Converting an argument
takes half as long as such a call. The most frequent functions therefore convert none, and take
handles and result addresses as `c_void_p`.
"""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import repeat
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pypdfium2.raw as pdfium

from cephalo.dataset_scripts.common.geometry import Box

_ROWS = 512  # characters or objects per batch
WHITE = 250  # channel value at or above which a pixel is paper
_INT, _UINT, _FLOAT, _POINTER = ctypes.c_int, ctypes.c_uint, ctypes.c_float, ctypes.c_void_p
# Type of the page, object and font arguments of pdfium functions.
Handle: TypeAlias = "ctypes.c_void_p | ctypes._Pointer[Any]"
_HANDLE = ctypes.c_size_t  # a pointer returned as a number, 0 for null


class _Segment(ctypes.c_void_p):
    """A segment of a path. A separate result type, so that ctypes does not convert it."""


def _fast(function: Any, result: type, *arguments: type) -> Callable[..., Any]:  # of the library
    """Return a pdfium function that keeps the interpreter lock."""
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address  # not null
    return ctypes.PYFUNCTYPE(result, *arguments)(address)


# ctypes converts no argument of these functions, and passes an integer as a C int.
text_unicode = _fast(pdfium.FPDFText_GetUnicode, _UINT)
text_loose_box = _fast(pdfium.FPDFText_GetLooseCharBox, _INT)
text_ink_box = _fast(pdfium.FPDFText_GetCharBox, _INT)
text_origin = _fast(pdfium.FPDFText_GetCharOrigin, _INT)
text_unmapped = _fast(pdfium.FPDFText_HasUnicodeMapError, _INT)
text_object = _fast(pdfium.FPDFText_GetTextObject, _HANDLE)
text_matrix = _fast(pdfium.FPDFText_GetMatrix, _INT)
text_font_size = _fast(pdfium.FPDFText_GetFontSize, ctypes.c_double)
object_fill = _fast(pdfium.FPDFPageObj_GetFillColor, _INT)
object_stroke = _fast(pdfium.FPDFPageObj_GetStrokeColor, _INT)
path_draw_mode = _fast(pdfium.FPDFPath_GetDrawMode, _INT)
clip_segment = _fast(pdfium.FPDFClipPath_GetPathSegment, _Segment)
segment_point = _fast(pdfium.FPDFPathSegment_GetPoint, _INT)

# These functions take handles and addresses as integers.
text_render_mode = _fast(pdfium.FPDFTextObj_GetTextRenderMode, _INT, _POINTER)
text_font = _fast(pdfium.FPDFTextObj_GetFont, _HANDLE, _POINTER)
font_name = _fast(pdfium.FPDFFont_GetBaseFontName, ctypes.c_size_t, _POINTER, _POINTER, _UINT)
font_ascent = _fast(pdfium.FPDFFont_GetAscent, _INT, _POINTER, _FLOAT, _POINTER)
font_descent = _fast(pdfium.FPDFFont_GetDescent, _INT, _POINTER, _FLOAT, _POINTER)
count_objects = _fast(pdfium.FPDFPage_CountObjects, _INT, _POINTER)
get_object = _fast(pdfium.FPDFPage_GetObject, _POINTER, _POINTER, _INT)
count_form_objects = _fast(pdfium.FPDFFormObj_CountObjects, _INT, _POINTER)
get_form_object = _fast(pdfium.FPDFFormObj_GetObject, _POINTER, _POINTER, ctypes.c_ulong)
object_type = _fast(pdfium.FPDFPageObj_GetType, _INT, _POINTER)
object_bounds = _fast(
    pdfium.FPDFPageObj_GetBounds, _INT, _POINTER, _POINTER, _POINTER, _POINTER, _POINTER
)
object_matrix = _fast(pdfium.FPDFPageObj_GetMatrix, _INT, _POINTER, _POINTER)
object_clip = _fast(pdfium.FPDFPageObj_GetClipPath, _POINTER, _POINTER)
clip_count = _fast(pdfium.FPDFClipPath_CountPaths, _INT, _POINTER)
clip_segments = _fast(pdfium.FPDFClipPath_CountPathSegments, _INT, _POINTER, _INT)


class UnreadableError(Exception):
    """A document or page that pdfium cannot read. The message is a one-line reason."""


_REASONS = {
    pdfium.FPDF_ERR_FILE: "the file cannot be read",
    pdfium.FPDF_ERR_FORMAT: "not a PDF, or damaged beyond repair",
    pdfium.FPDF_ERR_PASSWORD: "encrypted: needs a password",
    pdfium.FPDF_ERR_SECURITY: "encrypted with an unknown security handler",
    pdfium.FPDF_ERR_PAGE: "a page is missing or damaged",
}


@contextmanager
def open_document(path: Path) -> Iterator[ctypes.c_void_p]:
    """Open a PDF file and yield the document handle of pdfium.

    Raises:
        UnreadableError: If pdfium cannot open the file.
    """
    pdfium.FPDF_InitLibrary()
    document = pdfium.FPDF_LoadDocument(str(path).encode(), None)
    if not document:
        reason = _REASONS.get(pdfium.FPDF_GetLastError(), "pdfium cannot open it")
        raise UnreadableError(reason)
    try:
        yield document
    finally:
        pdfium.FPDF_CloseDocument(document)


@dataclass(frozen=True)
class Page:
    """An open page.

    Attributes:
        document: Document handle of pdfium.
        handle: Page handle of pdfium.
        number: Index of the page, from 0.
        width: Width of the displayed page, in points.
        height: Height of the displayed page, in points.
        to_display: Matrix of shape (3, 2) from [x, y, 1] in PDF user space to the displayed page
            (origin at the top left, y downwards), with crop box and /Rotate applied.
    """

    document: ctypes.c_void_p
    handle: ctypes.c_void_p
    number: int
    width: float
    height: float
    to_display: np.ndarray


@contextmanager
def open_page(document: ctypes.c_void_p, number: int) -> Iterator[Page]:
    """Open a page and yield it.

    Args:
        document: Document handle of pdfium.
        number: Index of the page, from 0.

    Raises:
        UnreadableError: If the page is missing or damaged.
    """
    page = _load_page(document, number)
    try:
        yield page
    finally:
        pdfium.FPDF_ClosePage(page.handle)


@contextmanager
def open_text(page: Page) -> Iterator[ctypes.c_void_p]:
    """Yield the text page handle for functions such as `text_unicode`.

    Raises:
        UnreadableError: If the text of the page is damaged.
    """
    textpage = pdfium.FPDFText_LoadPage(page.handle)
    if not textpage:
        raise UnreadableError(f"the text of page {page.number + 1} is damaged")
    try:
        yield ctypes.cast(textpage, ctypes.c_void_p)
    finally:
        pdfium.FPDFText_ClosePage(textpage)


def _load_page(document: ctypes.c_void_p, number: int) -> Page:
    handle = pdfium.FPDF_LoadPage(document, number)
    if not handle:
        raise UnreadableError(f"page {number + 1} is missing or damaged")
    return Page(
        document,
        handle,
        number,
        pdfium.FPDF_GetPageWidthF(handle),
        pdfium.FPDF_GetPageHeightF(handle),
        _display_matrix(handle),
    )


class Pages:
    """The pages of a document, which are first read and then rendered.

    Parsing a page again costs as much as the first time. Pages may therefore be kept open in
    between, as long as their top-level objects do not exceed `room`.
    """

    def __init__(self, document: ctypes.c_void_p, room: int = 50_000) -> None:
        self.document = document
        self.room = room
        self._kept: dict[int, Page] = {}

    def __len__(self) -> int:
        """Number of pages."""
        return pdfium.FPDF_GetPageCount(self.document)

    @contextmanager
    def open(self, number: int) -> Iterator[Page]:
        """Yield page `number` (from 0), and close it afterwards unless it is kept.

        Raises:
            UnreadableError: If the page is missing or damaged.
        """
        page = self._kept.pop(number, None) or _load_page(self.document, number)
        try:
            yield page
        finally:
            if number not in self._kept:
                pdfium.FPDF_ClosePage(page.handle)

    def keep(self, page: Page) -> None:
        """Keep an open page for the next `open`, if there is room."""
        size = max(count_objects(page.handle), 500)  # fixed cost of a page
        if size <= self.room:
            self.room -= size
            self._kept[page.number] = page

    def close(self) -> None:
        """Close all pages that are still open."""
        while self._kept:
            pdfium.FPDF_ClosePage(self._kept.popitem()[1].handle)


def _display_matrix(handle: ctypes.c_void_p) -> np.ndarray:
    """Return `Page.to_display` of a page."""
    box = pdfium.FS_RECTF()
    pdfium.FPDF_GetPageBoundingBox(handle, box)
    match pdfium.FPDFPage_GetRotation(handle):
        case 0:
            rows = ((1, 0), (0, -1), (-box.left, box.top))
        case 1:
            rows = ((0, 1), (1, 0), (-box.bottom, -box.left))
        case 2:
            rows = ((-1, 0), (0, 1), (box.right, -box.bottom))
        case _:
            rows = ((0, -1), (-1, 0), (box.top, box.right))
    return np.array(rows, dtype=np.float64)


def map_boxes(boxes: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Transform boxes by a (3, 2) matrix of quarter turns.

    Args:
        boxes: Boxes [left, bottom, right, top], of shape (n, 4).
        matrix: For example `Page.to_display`.

    Returns:
        Boxes [x0, y0, x1, y1] of the two transformed corners, of shape (n, 4).
    """
    mapped = np.empty((len(boxes), 4))
    for axis in (0, 1):
        source = axis if matrix[axis, axis] else 1 - axis  # the other factor is 0
        one, other = (
            boxes[:, corner + source].astype(np.float64) * matrix[source, axis] + matrix[2, axis]
            for corner in (0, 2)
        )
        np.minimum(one, other, out=mapped[:, axis])
        np.maximum(one, other, out=mapped[:, axis + 2])
    return mapped


def loose_boxes(textpage: ctypes.c_void_p, chars: np.ndarray) -> np.ndarray:
    """Return the boxes of characters in user space, [left, bottom, right, top], float32 (n, 4).

    A loose box has the height of the font (ascent to descent) and the advance as width.
    """
    boxes, _ = _ask(text_loose_box, [textpage], chars.tolist(), (0, 0, 0, 0), np.float32)
    return boxes[:, [0, 3, 2, 1]]  # FS_RECTF: left, top, right, bottom


def text_objects(textpage: ctypes.c_void_p, chars: np.ndarray) -> np.ndarray:
    """Return the text objects of characters, uint64 of shape (n,), 0 for characters without one."""
    found = map(text_object, repeat(textpage), chars.tolist())
    return np.fromiter(found, np.uint64, len(chars))


def origins(textpage: ctypes.c_void_p, chars: list[int]) -> np.ndarray:
    """Return the origins of characters on their baselines, in user space, float64 (n, 2)."""
    return _ask(text_origin, [textpage], chars, (0, 0), np.float64, apart=True)[0]


def ink_boxes(textpage: ctypes.c_void_p, chars: list[int]) -> np.ndarray:
    """Return the ink boxes of characters in user space, float64 (n, 4), as `loose_boxes`."""
    boxes, _ = _ask(text_ink_box, [textpage], chars, (0, 0, 0, 0), np.float64, apart=True)
    return boxes[:, [0, 2, 1, 3]]  # order of pdfium: left, right, bottom, top


def text_matrices(textpage: ctypes.c_void_p, chars: list[int]) -> np.ndarray:
    """Return the matrices [a, b, c, d, e, f] of characters, float32 (n, 6); default: identity."""
    return _ask(text_matrix, [textpage], chars, (1, 0, 0, 1, 0, 0), np.float32)[0]


def _ask(
    call: Callable[..., int],
    before: list[ctypes.c_void_p],
    things: list[int] | list[ctypes.c_void_p],
    blank: tuple[float, ...],
    kind: type[np.number],
    apart: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Call a function of pdfium for many things, and collect the numbers that it writes.

    Args:
        call: Function of pdfium.
        before: Arguments before the thing.
        things: Characters or objects.
        blank: Values for things for which nothing is written.
        kind: Type of the numbers.
        apart: Whether the function takes the address of each number, not that of the row.

    Returns:
        The numbers, of shape (n, items), and the return values as bool of shape (n,).
    """
    room, places = _room(len(blank), kind, apart)
    found, told = np.empty((len(things), len(blank)), kind), np.empty(len(things), bool)
    first = list(map(repeat, before))
    for start in range(0, len(things), _ROWS):
        part = things[start : start + _ROWS]
        own = slice(start, start + len(part))
        room[:] = blank
        told[own] = np.fromiter(map(call, *first, part, *places), bool, len(part))
        found[own] = room[: len(part)]
    return found, told


@cache
def _room(
    items: int, kind: type[np.number], apart: bool
) -> tuple[np.ndarray, list[list[ctypes.c_void_p]]]:
    """Return a buffer that is reused by `_ask`, since creating the pointers takes time."""
    room = np.zeros((_ROWS, items), kind)
    columns = _columns(room) if apart else _columns(room)[:1]
    return room, [list(map(ctypes.c_void_p, column)) for column in columns]


def text_scales(textpage: ctypes.c_void_p, chars: list[int]) -> list[float]:
    """Return the vertical scale of the font size in the matrices of characters, 1 without one."""
    matrices = text_matrices(textpage, chars)
    return np.hypot(matrices[:, 2], matrices[:, 3], dtype=np.float64).tolist()


def bounds(objects: list[int]) -> np.ndarray:
    """Return boxes of page objects in object space, [left, bottom, right, top], float64 (n, 4).

    NaN for objects without bounds.
    """
    buffer = np.zeros((len(objects), 4), np.float32)
    told = np.fromiter(map(object_bounds, objects, *_columns(buffer)), bool, len(objects))
    buffer[~told] = np.nan
    return buffer.astype(np.float64)


def draw_modes(paths: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return fill mode (0 for none) and stroke of paths, int32 (n, 2), and whether they are known.

    The second array is bool of shape (n,).
    """
    handles = list(map(ctypes.c_void_p, paths))
    return _ask(path_draw_mode, [], handles, (0, 0), np.int32, apart=True)


def marks(colour: Callable[..., int], objects: list[int]) -> np.ndarray:
    """Return which objects are visible on white paper, as bool of shape (n,).

    `colour` is `object_fill` or `object_stroke`. A pattern has no single colour and is visible.
    """
    handles = list(map(ctypes.c_void_p, objects))
    levels, told = _ask(colour, [], handles, (0, 0, 0, 0), np.uint32, apart=True)
    return ~told | (levels[:, 3] > 5) & (levels[:, :3].min(axis=1, initial=WHITE) < WHITE)


def _columns(buffer: np.ndarray) -> list[range]:
    """Return the addresses of the items in each column of an array (n, k)."""
    start, step = buffer.ctypes.data, buffer.strides[0]
    firsts = range(start, start + buffer.strides[0], buffer.itemsize)
    return [range(first, first + len(buffer) * step, step) for first in firsts]


def metadata(document: ctypes.c_void_p, key: str) -> str:
    """Return an entry of the information dictionary of a document, "" if it is missing."""
    size = pdfium.FPDF_GetMetaText(document, key.encode(), None, 0)
    if size <= 2 or size > 20_000:
        return ""
    buffer = ctypes.create_string_buffer(size)
    pdfium.FPDF_GetMetaText(document, key.encode(), buffer, size)
    return buffer.raw[: size - 2].decode("utf-16-le", "replace").strip()


def page_box(page: Page) -> Box:
    """Return the displayed page as a box."""
    return 0.0, 0.0, page.width, page.height
