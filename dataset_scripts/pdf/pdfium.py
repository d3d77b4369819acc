"""pdfium behind calls that are cheap enough to make for every character and object.

pypdfium2's generated bindings release the interpreter lock and convert every argument; at
thousands of calls a page that is most of the time. The prototypes here keep the lock and take
plain addresses, so that `map` can drive them from ranges over a numpy buffer. To convert an
argument takes half as long as such a call: those that are made most often convert none, and take
handles, and the places of what they find, as `c_void_p`.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import repeat
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pypdfium2.raw as pdfium

from cephalo.dataset_scripts.common.geometry import Box

_ROWS = 512  # characters or objects that are asked for at once
WHITE = 250  # a channel at or above this is taken for paper
_INT, _UINT, _FLOAT, _POINTER = ctypes.c_int, ctypes.c_uint, ctypes.c_float, ctypes.c_void_p
# What functions of pdfium take for a page, an object or a font.
Handle: TypeAlias = "ctypes.c_void_p | ctypes._Pointer[Any]"
_HANDLE = ctypes.c_size_t  # a pointer that is returned as a number, 0 for none


class _Segment(ctypes.c_void_p):
    """A segment of a path; a result of a type of its own is not converted either."""


def _fast(function, result, *arguments):
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address  # a function of the library
    return ctypes.PYFUNCTYPE(result, *arguments)(address)


# ctypes converts no argument of these, and passes an integer as a C int.
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

# Handles and places are integers to these.
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
    """A document or page that pdfium does not read. The message is the reason, one line."""


_REASONS = {
    pdfium.FPDF_ERR_FILE: "the file cannot be read",
    pdfium.FPDF_ERR_FORMAT: "not a PDF, or damaged beyond repair",
    pdfium.FPDF_ERR_PASSWORD: "encrypted: needs a password",
    pdfium.FPDF_ERR_SECURITY: "encrypted with an unknown security handler",
    pdfium.FPDF_ERR_PAGE: "a page is missing or damaged",
}


@contextmanager
def open_document(path: Path) -> Iterator[ctypes.c_void_p]:
    """A pdfium document handle of the file at `path`. Raises UnreadableError."""
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
    """An open page: handles, the size in points as displayed, and the way there.

    `to_display` is the (3, 2) matrix that takes [x, y, 1] in PDF user space to the displayed
    page (origin at the top left, y downwards): crop box and /Rotate applied.
    """

    document: ctypes.c_void_p
    handle: ctypes.c_void_p
    number: int
    width: float
    height: float
    to_display: np.ndarray


@contextmanager
def open_page(document: ctypes.c_void_p, number: int) -> Iterator[Page]:
    """Page `number` (0-based) of `document`. Raises UnreadableError."""
    page = _load_page(document, number)
    try:
        yield page
    finally:
        pdfium.FPDF_ClosePage(page.handle)


@contextmanager
def open_text(page: Page) -> Iterator[ctypes.c_void_p]:
    """The text of a page, as functions such as `text_unicode` take it.

    Raises UnreadableError.
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
    """The pages of a document that is read, then drawn.

    To open a page is to parse it, which costs as much the second time. So pages may be kept open
    until then, as many as `room` holds in top-level objects.
    """

    def __init__(self, document: ctypes.c_void_p, room: int = 50_000) -> None:
        self.document = document
        self.room = room
        self._kept: dict[int, Page] = {}

    @contextmanager
    def open(self, number: int) -> Iterator[Page]:
        """Page `number` (0-based), closed at the end unless it is to be kept then.

        Raises UnreadableError.
        """
        page = self._kept.pop(number, None) or _load_page(self.document, number)
        try:
            yield page
        finally:
            if number not in self._kept:
                pdfium.FPDF_ClosePage(page.handle)

    def keep(self, page: Page) -> None:
        """Keep an open page for the next time, if there is room for it."""
        size = max(count_objects(page.handle), 500)  # every page has fixed costs
        if size <= self.room:
            self.room -= size
            self._kept[page.number] = page

    def close(self) -> None:
        """Close the pages that are still open."""
        while self._kept:
            pdfium.FPDF_ClosePage(self._kept.popitem()[1].handle)


def _display_matrix(handle: ctypes.c_void_p) -> np.ndarray:
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
    """Boxes (n, 4) as [left, bottom, right, top] through a (3, 2) matrix of quarter turns.

    The result is [x0, y0, x1, y1] around the two mapped corners.
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
    """Boxes of some characters in user space: float32 (n, 4), [left, bottom, right, top].

    A loose box is as high as the font (ascent to descent) and as wide as the advance.
    """
    boxes, _ = _ask(text_loose_box, [textpage], chars.tolist(), (0, 0, 0, 0), np.float32)
    return boxes[:, [0, 3, 2, 1]]  # FS_RECTF is left, top, right, bottom


def text_objects(textpage: ctypes.c_void_p, chars: np.ndarray) -> np.ndarray:
    """The text objects of some characters, 0 where one has none: uint64 (n,)."""
    found = map(text_object, repeat(textpage), chars.tolist())
    return np.fromiter(found, np.uint64, len(chars))


def origins(textpage: ctypes.c_void_p, chars: list[int]) -> np.ndarray:
    """Where some characters stand on their baselines, in user space: float64 (n, 2)."""
    return _ask(text_origin, [textpage], chars, (0, 0), np.float64, apart=True)[0]


def ink_boxes(textpage: ctypes.c_void_p, chars: list[int]) -> np.ndarray:
    """Boxes of the ink of some characters in user space: float64 (n, 4), as `loose_boxes`."""
    boxes, _ = _ask(text_ink_box, [textpage], chars, (0, 0, 0, 0), np.float64, apart=True)
    return boxes[:, [0, 2, 1, 3]]  # pdfium gives left, right, bottom, top


def text_matrices(textpage: ctypes.c_void_p, chars: list[int]) -> np.ndarray:
    """The matrices [a, b, c, d, e, f] of some characters: float32 (n, 6); 1 without one."""
    return _ask(text_matrix, [textpage], chars, (1, 0, 0, 1, 0, 0), np.float32)[0]


def _ask(
    call, before: list, things: list, blank: tuple, kind: type, apart: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """What `call` writes for each of some `things`: (n, items) of a `kind` of number.

    It is `blank` where the call writes nothing; the second array, boolean (n,), is what the call
    returns. It is given what is `before`, the thing, and the place of its row, or, `apart`, of each
    item in that.
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
def _room(items: int, kind: type, apart: bool) -> tuple[np.ndarray, list[list[ctypes.c_void_p]]]:
    """Room that one `_ask` after the other uses, since to make all those pointers takes time."""
    room = np.zeros((_ROWS, items), kind)
    columns = _columns(room) if apart else _columns(room)[:1]
    return room, [list(map(ctypes.c_void_p, column)) for column in columns]


def text_scales(textpage: ctypes.c_void_p, chars: list[int]) -> list[float]:
    """What the matrices of some characters make of their font sizes, upwards; 1 without one."""
    matrices = text_matrices(textpage, chars)
    return np.hypot(matrices[:, 2], matrices[:, 3], dtype=np.float64).tolist()


def bounds(objects: list[int]) -> np.ndarray:
    """Boxes of page objects in their space: float64 (n, 4), [left, bottom, right, top].

    NaN where an object has none.
    """
    buffer = np.zeros((len(objects), 4), np.float32)
    told = np.fromiter(map(object_bounds, objects, *_columns(buffer)), bool, len(objects))
    buffer[~told] = np.nan
    return buffer.astype(np.float64)


def draw_modes(paths: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """How paths are filled (0: not) and whether they are stroked, int32 (n, 2), where it is told.

    The second array, boolean (n,), says where.
    """
    handles = list(map(ctypes.c_void_p, paths))
    return _ask(path_draw_mode, [], handles, (0, 0), np.int32, apart=True)


def marks(colour, objects: list[int]) -> np.ndarray:
    """Which objects leave a mark on white paper: boolean (n,).

    `colour` is `object_fill` or `object_stroke`. A pattern has no one colour, and leaves one.
    """
    handles = list(map(ctypes.c_void_p, objects))
    levels, told = _ask(colour, [], handles, (0, 0, 0, 0), np.uint32, apart=True)
    return ~told | (levels[:, 3] > 5) & (levels[:, :3].min(axis=1, initial=WHITE) < WHITE)


def _columns(buffer: np.ndarray) -> list[range]:
    """The addresses of the items of each column of an array (n, k), row by row."""
    start, step = buffer.ctypes.data, buffer.strides[0]
    firsts = range(start, start + buffer.strides[0], buffer.itemsize)
    return [range(first, first + len(buffer) * step, step) for first in firsts]


def metadata(document: ctypes.c_void_p, key: str) -> str:
    """An entry of the document's information dictionary, "" if there is none."""
    size = pdfium.FPDF_GetMetaText(document, key.encode(), None, 0)
    if size <= 2 or size > 20_000:
        return ""
    buffer = ctypes.create_string_buffer(size)
    pdfium.FPDF_GetMetaText(document, key.encode(), buffer, size)
    return buffer.raw[: size - 2].decode("utf-16-le", "replace").strip()


def page_box(page: Page) -> Box:
    """The displayed page as a box."""
    return 0.0, 0.0, page.width, page.height
