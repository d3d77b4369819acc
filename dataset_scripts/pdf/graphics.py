"""Graphics of a page: images, paths and shadings, out of form objects, inside their clips.

What is read of a page is bounded. A page that has more says so (`Graphics.cut`), and its other
graphics are found by their ink (`scan.add_ink`).
"""

import ctypes
from dataclasses import dataclass, field
from itertools import repeat

import numpy as np
import pypdfium2.raw as pdfium

from cephalo.dataset_scripts.pdf import pdfium as fast

IMAGE, PATH, SHADING = 1, 2, 3
MAX_OBJECTS = 150_000  # of a page, 0.3 s; maps and point clouds have more
MAX_DEPTH = 8  # forms within forms; a deeper one is one graphic as a whole
MAX_CLIP_POINTS = 200_000  # of all clips of a page, 0.3 s; nearly all clips have 4
_PAGE = 0.7  # of the page; text under pictures that large is the layer of a scan


@dataclass
class TextObjects:
    """What is known of the text objects of a page, by pdfium's handles, while the page is open.

    `hidden` are clipped away, or lie under a picture. `beneath` lie under the picture of a scan.
    `fonts` are those of all; None where not all were seen.
    """

    hidden: set[int] = field(default_factory=set)
    beneath: set[int] = field(default_factory=set)
    fonts: set[int] | None = None


@dataclass
class Graphics:
    """What is drawn on a page besides text.

    `boxes`: float64 (n, 4), displayed page, points, clipped. `kinds`: uint8 (n,), one of IMAGE,
    PATH, SHADING. `cut`: whether the page has graphics that were not read.
    """

    boxes: np.ndarray
    kinds: np.ndarray
    texts: TextObjects
    cut: bool = False


def read_graphics(page: fast.Page) -> Graphics:
    """The visible graphics of a page: nothing off the page, clipped away, or white."""
    reader = _Reader()
    identity = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
    count = fast.count_objects(page.handle)
    reader.walk(page.handle, fast.get_object, count, identity, 0)
    texts = reader.find_texts(page)
    if not reader.boxes:
        return Graphics(np.zeros((0, 4)), np.zeros(0, np.uint8), texts, reader.cut)
    boxes = fast.map_boxes(np.array(reader.boxes, dtype=np.float64), page.to_display)
    whole = np.array([page.width, page.height] * 2)
    boxes = np.clip(boxes, 0, whole)
    kinds = np.array(reader.kinds, np.uint8)
    # A hairline has no width of its own; what lies off the page has collapsed on an edge.
    on_edge = (boxes[:, :2] == boxes[:, 2:]) & ((boxes[:, :2] <= 0) | (boxes[:, :2] >= whole[:2]))
    keep = np.isfinite(boxes).all(axis=1) & ~on_edge.any(axis=1)
    return Graphics(boxes[keep], kinds[keep], texts, reader.cut)


class _Reader:
    """Walks the objects of a page and of the forms in it."""

    def __init__(self) -> None:
        self.boxes: list[tuple[float, float, float, float]] = []
        self.kinds: list[int] = []
        self.handles: list[int] = []
        self.hidden: set[int] = set()
        self.texts: list[tuple[int, int, tuple[float, ...]]] = []  # object, boxes so far, matrix
        self.seen = 0
        self.points = 0
        self.cut = False
        self.whole = True  # whether all text objects were met
        self._floats = (ctypes.c_float * 6)()
        start = ctypes.addressof(self._floats)
        self._at = [start + 4 * k for k in range(6)]
        self._colour = (ctypes.c_uint * 4)()
        start = ctypes.addressof(self._colour)
        self._colour_at = [start + 4 * k for k in range(4)]
        self._modes = (ctypes.c_int * 2)()
        start = ctypes.addressof(self._modes)
        self._modes_at = [start, start + 4]

    def walk(self, owner, get, count: int, matrix: tuple[float, ...], depth: int) -> None:
        """Take in `count` objects of `owner`, whose space `matrix` takes to user space."""
        room = MAX_OBJECTS - self.seen
        if count > room:
            self.cut, self.whole = True, False
        count = min(count, room)
        self.seen += count
        handles = list(filter(None, map(get, repeat(owner), range(count))))
        for handle, kind in zip(handles, map(fast.object_type, handles), strict=True):
            if kind == pdfium.FPDF_PAGEOBJ_TEXT:
                self.texts.append((handle, len(self.boxes), matrix))
                clip = fast.object_clip(handle)
                if clip and fast.clip_count(clip) > 0 and self._clipped_box(handle) is None:
                    self.hidden |= set() if self.cut else {handle}
            elif kind == pdfium.FPDF_PAGEOBJ_FORM and depth < MAX_DEPTH:
                fast.object_matrix(handle, self._at[0])
                inner = _concat(tuple(self._floats), matrix)
                children = fast.count_form_objects(handle)
                self.walk(handle, fast.get_form_object, children, inner, depth + 1)
            else:
                self.whole &= kind != pdfium.FPDF_PAGEOBJ_FORM
                self._take(handle, kind, matrix)

    def find_texts(self, page: fast.Page) -> TextObjects:
        """The text objects that were met, with those over which an opaque picture was drawn."""
        fonts = set(map(fast.text_font, [text for text, _, _ in self.texts]))
        found = TextObjects(self.hidden, fonts=fonts - {None} if self.whole else None)
        images = [number for number, kind in enumerate(self.kinds) if kind == IMAGE]
        texts = [text for text in self.texts if images and text[1] <= images[-1]]
        if not texts:
            return found
        sides = np.array([self.boxes[number] for number in images])
        areas = (sides[:, 2:] - sides[:, :2]).prod(axis=1)
        whole = areas.sum() > _PAGE * page.width * page.height
        order = np.array([before for _, before, _ in texts])
        boxes = np.array([_map(matrix, *self._bounds(text)) for text, _, matrix in texts])
        if whole:  # a scan in strips cuts through lines
            boxes = np.tile((boxes[:, :2] + boxes[:, 2:]) / 2, 2)
        covered = set()
        for number, (x0, y0, x1, y1) in zip(images, sides.tolist(), strict=True):
            under = (order <= number) & (boxes[:, 0] > x0) & (boxes[:, 2] < x1)
            under &= (boxes[:, 1] > y0) & (boxes[:, 3] < y1)
            if under.any() and _is_opaque(page, self.handles[number]):
                covered |= {texts[k][0] for k in np.flatnonzero(under)}
        (found.beneath if whole else found.hidden).update(covered)
        return found

    def _bounds(self, handle: int) -> tuple[float, float, float, float]:
        """[left, bottom, right, top] of an object in its space; infinite where it has none."""
        if not fast.object_bounds(handle, *self._at[:4]):
            return -np.inf, -np.inf, np.inf, np.inf
        return tuple(self._floats[:4])

    def _take(self, handle: int, kind: int, matrix: tuple[float, ...]) -> None:
        if kind == pdfium.FPDF_PAGEOBJ_PATH and not self._drawn(handle):
            return
        box = self._clipped_box(handle)
        if box is None:
            return
        self.boxes.append(_map(matrix, *box))
        names = {pdfium.FPDF_PAGEOBJ_IMAGE: IMAGE, pdfium.FPDF_PAGEOBJ_SHADING: SHADING}
        self.kinds.append(names.get(kind, PATH))
        self.handles.append(handle)

    def _clipped_box(self, handle: int) -> tuple[float, float, float, float] | None:
        """[left, bottom, right, top] in the space of the object; None where nothing is left."""
        if not fast.object_bounds(handle, *self._at[:4]):
            return None
        left, bottom, right, top = self._floats[:4]
        clip = fast.object_clip(handle)
        for path in range(fast.clip_count(clip) if clip else 0):
            box = self._path_box(clip, path)
            if box is None:
                continue
            left, bottom = max(left, box[0]), max(bottom, box[1])
            right, top = min(right, box[2]), min(top, box[3])
            if left > right or bottom > top:
                return None
        return left, bottom, right, top

    def _drawn(self, handle: int) -> bool:
        """Whether a path leaves a mark on white paper."""
        if not fast.path_draw_mode(handle, *self._modes_at):
            return True
        fill, stroke = self._modes
        if stroke and self._marks(fast.object_stroke, handle):
            return True
        return bool(fill) and self._marks(fast.object_fill, handle)

    def _marks(self, colour, handle: int) -> bool:
        if not colour(handle, *self._colour_at):
            return True  # a pattern, which has no one colour
        red, green, blue, alpha = self._colour
        return alpha > 5 and min(red, green, blue) < fast.WHITE

    def _path_box(self, clip: int, path: int) -> tuple[float, float, float, float] | None:
        """The box of a path of a clip; None without points, an empty one beyond the bound."""
        count = fast.clip_segments(clip, path)
        if count <= 0:
            return None
        self.points += count
        if self.points > MAX_CLIP_POINTS:
            self.cut = True
            return np.inf, np.inf, -np.inf, -np.inf
        x_at, y_at = self._at[4:]
        xs, ys = [], []
        for number in range(count):
            fast.segment_point(fast.clip_segment(clip, path, number), x_at, y_at)
            xs.append(self._floats[4])
            ys.append(self._floats[5])
        return min(xs), min(ys), max(xs), max(ys)


def _is_opaque(page: fast.Page, image: int) -> bool:
    """Whether a picture hides most of what is under it: blended, masked or clear ones do not."""
    handle = ctypes.cast(image, pdfium.FPDF_PAGEOBJECT)
    if pdfium.FPDFPageObj_HasTransparency(handle):
        return False
    # Masks are known to the drawn picture only. It has a pixel for a point or so: it is small.
    bitmap = pdfium.FPDFImageObj_GetRenderedBitmap(page.document, page.handle, handle)
    if not bitmap:
        return False
    try:
        if pdfium.FPDFBitmap_GetFormat(bitmap) != pdfium.FPDFBitmap_BGRA:
            return True
        height, stride = pdfium.FPDFBitmap_GetHeight(bitmap), pdfium.FPDFBitmap_GetStride(bitmap)
        data = ctypes.string_at(pdfium.FPDFBitmap_GetBuffer(bitmap), height * stride)
    finally:
        pdfium.FPDFBitmap_Destroy(bitmap)
    alpha = np.frombuffer(data, np.uint8).reshape(height, stride)[:, 3::4]
    return bool(np.median(alpha) > 250)


def _concat(inner: tuple[float, ...], outer: tuple[float, ...]) -> tuple[float, ...]:
    """The matrix (a, b, c, d, e, f) that applies `inner`, then `outer` (PDF 32000-1, 8.3.4)."""
    a, b, c, d, e, f = inner
    p, q, r, s, t, u = outer
    return (
        a * p + b * r,
        a * q + b * s,
        c * p + d * r,
        c * q + d * s,
        e * p + f * r + t,
        e * q + f * s + u,
    )


def _map(matrix, left, bottom, right, top) -> tuple[float, float, float, float]:
    a, b, c, d, e, f = matrix
    if b == c == 0:
        x0, x1 = a * left + e, a * right + e
        y0, y1 = d * bottom + f, d * top + f
        return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)
    xs = [a * x + c * y + e for x in (left, right) for y in (bottom, top)]
    ys = [b * x + d * y + f for x in (left, right) for y in (bottom, top)]
    return min(xs), min(ys), max(xs), max(ys)
