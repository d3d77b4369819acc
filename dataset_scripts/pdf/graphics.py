"""Read the graphics of a page: images, paths and shadings, also in form objects, within clips.

The number of objects read per page is limited. If a page has more, `Graphics.cut` is true, and the
remaining graphics are found by their ink (`scan.add_ink`).
"""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import repeat

import numpy as np
import pypdfium2.raw as pdfium

from cephalo.dataset_scripts.pdf import pdfium as fast

IMAGE, PATH, SHADING = 1, 2, 3
_KINDS = np.full(8, PATH, np.uint8)  # index: object type of pdfium
_KINDS[pdfium.FPDF_PAGEOBJ_IMAGE], _KINDS[pdfium.FPDF_PAGEOBJ_SHADING] = IMAGE, SHADING
MAX_OBJECTS = 150_000  # objects per page, which take 0.3 s; maps and point clouds have more
MAX_DEPTH = 8  # nesting of forms; a deeper form counts as one graphic
MAX_CLIP_POINTS = 200_000  # points in the clips of a page, 0.3 s; nearly all clips have 4
_PAGE = 0.7  # share of the page's area; text under so large an image is the OCR layer of a scan


@dataclass
class TextObjects:
    """Text objects of a page, by pdfium handle. Valid while the page is open.

    Attributes:
        hidden: Objects that are clipped away, or visible text covered by an image.
        beneath: Objects under the image of a scan, and text without ink under any image, as OCR
            programs write it.
        fonts: Fonts of all text objects, `None` if not all objects were read.
    """

    hidden: set[int] = field(default_factory=set)
    beneath: set[int] = field(default_factory=set)
    fonts: set[int] | None = None


@dataclass
class Graphics:
    """The graphics of a page.

    Attributes:
        boxes: Clipped boxes on the displayed page, in points, float64 of shape (n, 4).
        kinds: `IMAGE`, `PATH` or `SHADING`, uint8 of shape (n,).
        texts: Text objects of the page.
        cut: Whether some graphics were not read.
    """

    boxes: np.ndarray
    kinds: np.ndarray
    texts: TextObjects
    cut: bool = False


def read_graphics(page: fast.Page) -> Graphics:
    """Return the visible graphics of a page: on the page, within their clip, and not white."""
    reader = _Reader()
    identity = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
    reader.walk(page.handle, fast.get_object, fast.count_objects(page.handle), identity, 0)
    reader.read()
    texts = reader.find_texts(page)
    boxes = fast.map_boxes(reader.boxes, page.to_display)
    whole = np.array([page.width, page.height] * 2)
    boxes = np.clip(boxes, 0, whole)
    # Keep hairlines, which have no width. Drop graphics off the page, which were clipped to an
    # edge.
    on_edge = (boxes[:, :2] == boxes[:, 2:]) & ((boxes[:, :2] <= 0) | (boxes[:, :2] >= whole[:2]))
    keep = np.isfinite(boxes).all(axis=1) & ~on_edge.any(axis=1)
    return Graphics(boxes[keep], reader.kinds[keep], texts, reader.cut)


class _Reader:
    """Reads the objects of a page and its forms.

    `walk` lists the objects in drawing order. `read` then queries their properties in bulk, which
    is several times faster than object by object.

    Attributes:
        boxes: Boxes of the graphics in user space, float64 of shape (n, 4).
        kinds: Kind of each graphic, uint8 of shape (n,).
        handles: Handle of each graphic.
    """

    def __init__(self) -> None:
        self.boxes = np.zeros((0, 4))
        self.kinds = np.zeros(0, np.uint8)
        self.handles: list[int] = []
        self.hidden: set[int] = set()
        self.texts: list[int] = []  # handles
        self.before = np.zeros(0, int)  # number of graphics drawn before each text
        self.cut = False
        self.whole = True  # whether all text objects were listed
        self._objects: list[int] = []
        self._types: list[int] = []
        self._matrices: list[tuple[float, ...]] = []
        self._spaces: list[int] = []  # index of each object's matrix to user space
        self._text_spaces = np.zeros(0, int)
        self._seen = 0
        self._cut_at = np.inf  # number of objects before the first omitted one
        self._points = 0
        self._floats = (ctypes.c_float * 6)()
        start = ctypes.addressof(self._floats)
        self._at = [start + 4 * k for k in range(6)]

    def walk(
        self,
        owner: "fast.Handle | int",
        get: "Callable[[fast.Handle | int, int], int]",
        count: int,
        matrix: tuple[float, ...],
        depth: int,
    ) -> None:
        """List `count` objects of `owner`. `matrix` maps its space to user space."""
        room = MAX_OBJECTS - self._seen
        if count > room:
            self._cut_at = min(self._cut_at, len(self._objects))
            self.whole = False
        count = min(count, room)
        self._seen += count
        handles = list(filter(None, map(get, repeat(owner), range(count))))
        types = list(map(fast.object_type, handles))
        space = len(self._matrices)
        self._matrices.append(matrix)
        begin = 0
        form = pdfium.FPDF_PAGEOBJ_FORM
        forms = [k for k, kind in enumerate(types) if kind == form] if form in types else []
        for number in forms:
            if depth >= MAX_DEPTH:
                self.whole = False
                continue
            self._list(handles[begin:number], types[begin:number], space)
            begin = number + 1
            fast.object_matrix(handles[number], self._at[0])
            inner = _concat(tuple(self._floats), matrix)
            children = fast.count_form_objects(handles[number])
            self.walk(handles[number], fast.get_form_object, children, inner, depth + 1)
        self._list(handles[begin:], types[begin:], space)

    def _list(self, handles: list[int], types: list[int], space: int) -> None:
        """Append objects with their types and the index of their matrix."""
        self._objects += handles
        self._types += types
        self._spaces += [space] * len(handles)

    def read(self) -> None:
        """Find the visible graphics among the listed objects, and their boxes."""
        types = np.array(self._types, int)
        spaces = np.array(self._spaces, int)
        is_text = types == pdfium.FPDF_PAGEOBJ_TEXT
        seen = ~is_text
        paths = np.flatnonzero(types == pdfium.FPDF_PAGEOBJ_PATH)
        seen[paths] = _drawn([self._objects[k] for k in paths.tolist()])
        boxes = np.full((len(types), 4), np.nan)
        graphics = np.flatnonzero(seen)
        boxes[graphics] = fast.bounds([self._objects[k] for k in graphics.tolist()])
        seen[graphics] = ~np.isnan(boxes[graphics, 0])
        clips = list(map(fast.object_clip, self._objects))
        clipped = np.fromiter(map(fast.clip_count, clips), int, len(clips)) > 0
        for number in np.flatnonzero(clipped & (seen | is_text)).tolist():
            handle = self._objects[number]
            box = self._clipped_box(handle)
            if not is_text[number]:
                seen[number] = box is not None
                boxes[number] = box or np.nan
            elif box is None and not (self.cut or number >= self._cut_at):
                self.hidden.add(handle)
        self.cut |= self._cut_at < np.inf
        shown = np.flatnonzero(seen)
        self.boxes = self._to_user_space(boxes[shown], spaces[shown])
        self.kinds = _KINDS[np.clip(types[shown], 0, len(_KINDS) - 1)]
        self.handles = [self._objects[k] for k in shown.tolist()]
        texts = np.flatnonzero(is_text)
        self.texts = [self._objects[k] for k in texts.tolist()]
        self._text_spaces = spaces[texts]
        self.before = np.searchsorted(shown, texts)

    def find_texts(self, page: fast.Page) -> TextObjects:
        """Return the listed text objects, with those covered by an opaque image."""
        fonts = set(map(fast.text_font, self.texts))
        found = TextObjects(self.hidden, fonts=fonts - {0} if self.whole else None)
        images = np.flatnonzero(self.kinds == IMAGE)
        if not len(images):
            return found
        early = np.flatnonzero(self.before <= images[-1])
        if not len(early):
            return found
        sides = self.boxes[images]
        areas = (sides[:, 2:] - sides[:, :2]).prod(axis=1)
        whole = areas.sum() > _PAGE * page.width * page.height
        order = self.before[early]
        texts = [self.texts[k] for k in early.tolist()]
        boxes = self._to_user_space(fast.bounds(texts), self._text_spaces[early])
        if whole:  # scans in strips divide lines, so test the centre
            boxes = np.tile((boxes[:, :2] + boxes[:, 2:]) / 2, 2)
        covered = set()
        for number, (x0, y0, x1, y1) in zip(images.tolist(), sides.tolist(), strict=True):
            under = (order <= number) & (boxes[:, 0] > x0) & (boxes[:, 2] < x1)
            under &= (boxes[:, 1] > y0) & (boxes[:, 3] < y1)
            if under.any() and _is_opaque(page, self.handles[number]):
                covered |= {texts[k] for k in np.flatnonzero(under)}
        layer = covered if whole else {text for text in covered if not _has_ink(text)}
        found.beneath.update(layer)
        found.hidden.update(covered - layer)
        return found

    def _to_user_space(self, boxes: np.ndarray, spaces: np.ndarray) -> np.ndarray:
        """Transform boxes (n, 4) to user space, from the spaces with the indices `spaces` (n,)."""
        a, b, c, d, e, f = np.array(self._matrices)[spaces].T
        left, bottom, right, top = boxes.T
        xs = [a * x + c * y + e for x in (left, right) for y in (bottom, top)]
        ys = [b * x + d * y + f for x in (left, right) for y in (bottom, top)]
        low, high = np.minimum.reduce, np.maximum.reduce
        return np.stack([low(xs), low(ys), high(xs), high(ys)], axis=1)

    def _clipped_box(self, handle: int) -> tuple[float, float, float, float] | None:
        """Return [left, bottom, right, top] in object space, or `None` if nothing is visible."""
        if not fast.object_bounds(handle, *self._at[:4]):
            return None
        left, bottom, right, top = self._floats[:4]
        clip = fast.object_clip(handle)
        for path in range(fast.clip_count(clip)):
            box = self._path_box(clip, path)
            if box is None:
                continue
            left, bottom = max(left, box[0]), max(bottom, box[1])
            right, top = min(right, box[2]), min(top, box[3])
            if left > right or bottom > top:
                return None
        return left, bottom, right, top

    def _path_box(self, clip: int, path: int) -> tuple[float, float, float, float] | None:
        """Return the box of a path in a clip: `None` without points, empty over the limit."""
        count = fast.clip_segments(clip, path)
        if count <= 0:
            return None
        self._points += count
        if self._points > MAX_CLIP_POINTS:
            self.cut = True
            return np.inf, np.inf, -np.inf, -np.inf
        handle, x_at, y_at = map(ctypes.c_void_p, (clip, *self._at[4:]))
        xs, ys = [], []
        for number in range(count):
            fast.segment_point(fast.clip_segment(handle, path, number), x_at, y_at)
            xs.append(self._floats[4])
            ys.append(self._floats[5])
        return min(xs), min(ys), max(xs), max(ys)


def _drawn(paths: list[int]) -> np.ndarray:
    """Return which paths are visible on white paper, as bool of shape (n,)."""
    modes, told = fast.draw_modes(paths)
    drawn = ~told
    for column, colour in ((1, fast.object_stroke), (0, fast.object_fill)):
        asked = np.flatnonzero((modes[:, column] != 0) & ~drawn)
        drawn[asked] = fast.marks(colour, [paths[k] for k in asked.tolist()])
    return drawn


def _has_ink(text: int) -> bool:
    """Return whether a text object is painted. The layer of an OCR program is not."""
    return fast.text_render_mode(text) != pdfium.FPDF_TEXTRENDERMODE_INVISIBLE


def _is_opaque(page: fast.Page, image: int) -> bool:
    """Return whether an image covers what is under it: not blended, masked or transparent."""
    handle = ctypes.cast(image, pdfium.FPDF_PAGEOBJECT)
    if pdfium.FPDFPageObj_HasTransparency(handle):
        return False
    # Masks are only visible in the rendered bitmap. It is small, with about a pixel per point.
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
    """Return the matrix (a, b, c, d, e, f) of `inner` followed by `outer` (PDF 32000-1, 8.3.4)."""
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
