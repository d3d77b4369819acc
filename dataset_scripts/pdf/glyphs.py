# ruff: noqa: RUF001  (signs and Greek letters are what this is about)
"""Drawn glyphs: which character one shows, by its shape.

The text layer of many papers names a glyph wrongly, or not at all: "500 mA g 1" where "g−1" is
printed. What is drawn is right, so a doubtful glyph is drawn once and compared with the glyphs of
the fonts that come with pdfium. Those have the signs and Greek letters of Adobe's Symbol.
"""

import ctypes
import re
from dataclasses import dataclass
from functools import cache
from heapq import nsmallest
from math import ceil
from operator import itemgetter

import numpy as np
import pypdfium2.raw as pdfium
from PIL import Image
from scipy.ndimage import distance_transform_edt

from cephalo.dataset_scripts.pdf import pdfium as fast

PageObject = pdfium.FPDF_PAGEOBJECT

_SIDE = 16  # samples across a shape, each way
_NESTED = 11  # of them that each half of a double sign takes
_DARK = 0.35  # a part of a shape with as much of it covered is ink
_INK = 24  # a coverage (0 to 255) at or above this is ink
_PIXELS = 64.0  # of the longer side of a drawn glyph
_MOST_PIXELS = 200_000  # of the picture of one text object
_TALL = 1.1  # ems
# Distances that decide, from 9,000 glyphs of 89 papers whose text layer is right: 97 signs in 100
# that are taken by them are right, and 91 in 100 are taken.
_ALIKE = 0.2  # a sign that is as like is taken
UNLIKE = 0.4  # nothing that is more unlike is taken
_MARGIN = 0.04  # how much more unlike the next character has to be
_UNLIKELY = 0.1  # added to the distance of a Latin letter in a font of signs
_LATIN_LETTER = re.compile("[0-9A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ff]")
_SHORTEST, _LONGEST = 1e-3, 1e5  # points; the sides of what is drawn
_EM = 48.0  # points; the size at which known glyphs are drawn

_SYMBOL = (
    "\u2212+±×÷=°\u2032\u2033≤≥<>\u223c≈≡≠∞∝∂∇∑∏∫√←→↑↓↔⇒∈•∗⋅αβγδεζηθκλνξπρστφχψω"
    "ΓΘΛΞΠΣΦΨ|\u2206\u2126\u2329\u232a"
)
_LATIN = (
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789()[]{}/+=<>$%&#*@!?,.:;'-~"
    "\u2013\u2014\u2019\u201c\u201d\u2022\u2026°·µ×±÷†‡§¶¼½¾þðÞß©®áàâäãåçéèêëíìîïñóòôöõøúùûüÁÄÅÉÖØÜ"
)
LIGATURES = ["ff", "fi", "fl", "ffi", "ffl", "ft", "Th"]
_DOTTED = {"fi": "fl", "ffi": "ffl"}
_PARTNER = _DOTTED | {right: left for left, right in _DOTTED.items()}
_GAP = 0.7  # of the ink of a stem; less of it below a dot
_LOOKS = {"-": "\u2212", "\u2013": "\u2212", "\u2014": "\u2212", "●": "•"}  # apart by length only
_DINGBATS = "■●▲▼◆"
_SOURCES = {
    "Symbol": list(_SYMBOL),
    "Times-Roman": [*_LATIN, *LIGATURES],
    "Times-Italic": [*_LATIN, *LIGATURES],
    "Helvetica": [*_LATIN, *LIGATURES],
    "Helvetica-Bold": [*_LATIN, *LIGATURES],
    "Courier": list("±+×÷=<>°-"),
    "ZapfDingbats": list(_DINGBATS),
}
SPELLINGS = {"\u2206": "Δ", "\u2126": "Ω", "⋅": "·", "µ": "μ", "∗": "*", "~": "\u223c"}
SPELLINGS |= {"\u2329": "\u27e8", "\u232a": "\u27e9"}


@dataclass(frozen=True)
class Glyph:
    """A drawn glyph.

    `shape`: float32 (256,), how much of each part of its box is ink, row by row. `reach`: float32
    (256,), how far the nearest ink is from each part, in sides of the box. `bottom`, `top` and
    `width` of the box are in ems, the first two above the baseline.
    """

    shape: np.ndarray
    reach: np.ndarray
    bottom: float
    top: float
    width: float

    @property
    def features(self) -> np.ndarray:
        """Place and proportions of the box: (4,), weighted to be compared with shapes."""
        bottom, height, width = self.bottom, self.top - self.bottom, self.width
        if height > _TALL:  # of a bracket or sum around a formula; its size means nothing
            bottom, height, width = -0.2, 0.9, 0.9 * width / height
        aspect = np.log(max(width, 0.02) / max(height, 0.02))
        middle = bottom + height / 2
        return np.array([0.2 * aspect, 0.4 * middle, 0.2 * height, 0.1 * width])


def make_glyph(coverage: np.ndarray, bottom: float, top: float, width: float) -> Glyph | None:
    """A glyph from its picture, uint8 (height, width) of its box; None without ink."""
    if min(coverage.shape) < 1 or coverage.max() < _INK:
        return None
    picture = Image.fromarray(coverage).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    return _from_shape(np.asarray(picture, np.float32) / 255, bottom, top, width)


def _from_shape(shape: np.ndarray, bottom: float, top: float, width: float) -> Glyph:
    """A glyph from its shape, float32 (16, 16)."""
    inked = shape >= min(_DARK, shape.max())
    reach = np.asarray(distance_transform_edt(~inked), np.float32) / _SIDE
    return Glyph(shape.ravel(), reach.ravel(), bottom, top, width)


def draw_object(
    document: ctypes.c_void_p, page: ctypes.c_void_p | None, text: fast.Handle, scale: float
) -> np.ndarray | None:
    """How much of each pixel a text object covers: uint8 (height, width) of its bounds."""
    bitmap = pdfium.FPDFTextObj_GetRenderedBitmap(document, page, text, scale)
    if not bitmap:
        return None
    try:
        width, height = pdfium.FPDFBitmap_GetWidth(bitmap), pdfium.FPDFBitmap_GetHeight(bitmap)
        stride = pdfium.FPDFBitmap_GetStride(bitmap)
        start = pdfium.FPDFBitmap_GetBuffer(bitmap)
        if not start or pdfium.FPDFBitmap_GetFormat(bitmap) != pdfium.FPDFBitmap_BGRA:
            return None
        bytes_ = ctypes.cast(start, ctypes.POINTER(ctypes.c_ubyte * (stride * height))).contents
        pixels = np.frombuffer(bytes_, np.uint8).reshape(height, stride)[:, : 4 * width]
        return pixels.reshape(height, width, 4)[:, :, 3].copy()
    finally:
        pdfium.FPDFBitmap_Destroy(bitmap)


def draw_part(page: fast.Page, text: fast.Handle, box: np.ndarray) -> np.ndarray | None:
    """How much of each pixel of `box` (4,), in user space, a text object covers: uint8 (h, w)."""
    left, bottom, right, top = bounds(text)
    x0, y0, x1, y1 = box.tolist()
    sides = right - left, top - bottom, x1 - x0, y1 - y0
    if not all(_SHORTEST < side < _LONGEST for side in sides):
        return None
    most = (_MOST_PIXELS / ((right - left) * (top - bottom))) ** 0.5
    scale = min(_PIXELS / max(x1 - x0, y1 - y0), most)
    coverage = draw_object(page.document, page.handle, text, scale)
    if coverage is None:
        return None
    across, down = coverage.shape[1] / (right - left), coverage.shape[0] / (top - bottom)
    columns = _pixels((x0 - left) * across, (x1 - left) * across)
    return coverage[_pixels((top - y1) * down, (top - y0) * down), columns]


def _pixels(start: float, stop: float) -> slice:
    """The pixels that a stretch touches, at least one."""
    first = max(0, int(start))
    return slice(first, max(first + 1, ceil(stop)))


def bounds(text: fast.Handle) -> tuple[float, float, float, float]:
    """Left, bottom, right and top of a page object, in user space."""
    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    pdfium.FPDFPageObj_GetBounds(text, left, bottom, right, top)
    return left.value, bottom.value, right.value, top.value


@dataclass(frozen=True)
class KnownGlyphs:
    """Glyphs whose characters are known: `chars` (n), `shapes` and `reaches` (n, 256), `features`
    (n, 4). `inked` (n,) is the sum of each shape."""

    chars: list[str]
    shapes: np.ndarray
    reaches: np.ndarray
    features: np.ndarray
    inked: np.ndarray

    def recognise(self, glyph: Glyph, of_signs: bool) -> tuple[str, dict[str, float]]:
        """The character that a glyph shows, and the distances of all that are near.

        "" where none or several are like it. A letter has to stand out from all others, since
        many look alike. `of_signs`: the glyph is of a font of signs; so it is a sign or a Greek
        letter, unless it is much more like a Latin one.
        """
        distances = self.distances(glyph)
        looks: dict[str, float] = {}
        for char, distance in distances.items():
            char = _LOOKS.get(char, char)
            if of_signs and _LATIN_LETTER.fullmatch(char):
                distance += _UNLIKELY
            looks[char] = min(distance, looks.get(char, distance))
        ranked = nsmallest(3, looks.items(), key=itemgetter(1))
        (char, distance), *others = [*ranked, ("", np.inf), ("", np.inf)]
        if char in _PARTNER:
            others = [(other, d) for other, d in others if other != _PARTNER[char]]
            char = by_dot(char, glyph)
        next_distance = others[0][1]
        clear = distance < UNLIKE and next_distance - distance > _MARGIN
        sure = distance < _ALIKE and not char.isalnum()
        return char if clear or sure else "", distances

    def distances(self, glyph: Glyph) -> dict[str, float]:
        """How unlike known characters a glyph is: 0 for the same, about 0.1 in another font.

        Those whose boxes alone are too unlike are left out.
        """
        apart = np.abs(self.features - glyph.features).sum(axis=1)
        near = np.flatnonzero(apart < UNLIKE)
        shapes = self.shapes[near]
        there = self.reaches[near] @ glyph.shape / glyph.shape.sum()
        back = shapes @ glyph.reach / self.inked[near]
        shapes -= glyph.shape  # a copy of its own, in whose place the differences are made
        differences = np.abs(shapes, out=shapes).mean(axis=1)
        whole = apart[near] + differences + np.maximum(there, back)
        best: dict[str, float] = {}
        for number, distance in zip(near.tolist(), whole.tolist(), strict=True):
            char = self.chars[number]
            best[char] = min(distance, best.get(char, distance))
        return best


def by_dot(char: str, glyph: Glyph) -> str:
    """A character, or for a ligature whose last stem is another's the one with that."""
    if char not in _PARTNER or (char in _DOTTED) == _has_dot(glyph):
        return char
    return _PARTNER[char]


def _has_dot(glyph: Glyph) -> bool:
    """Whether the last stem of a ligature is that of an "i", and not of an "l"."""
    right = glyph.shape.reshape(_SIDE, _SIDE)[:, _SIDE // 2 + 1 :]
    half = _SIDE // 2
    stem = right[:, right[half:].sum(axis=0).argmax()]
    return bool(stem[1 : half + 3].min() < _GAP * stem[half:-1].max())


@cache
def known_glyphs() -> KnownGlyphs:
    """The glyphs of pdfium's own fonts that a doubtful one is compared with."""
    document = pdfium.FPDF_CreateNewDocument()
    try:
        found = []
        for name, texts in _SOURCES.items():
            font = pdfium.FPDFText_LoadStandardFont(document, name.encode())
            for text in texts:
                glyph = _draw_known(document, font, text)
                if glyph is not None:
                    found.append((SPELLINGS.get(text, text), glyph))
            pdfium.FPDFFont_Close(font)
    finally:
        pdfium.FPDF_CloseDocument(document)
    found += _other_designs(dict(found))
    shapes = np.array([glyph.shape for _, glyph in found])
    return KnownGlyphs(
        [char for char, _ in found],
        shapes,
        np.array([glyph.reach for _, glyph in found]),
        np.array([glyph.features for _, glyph in found]),
        shapes.sum(axis=1),
    )


def _other_designs(known: dict[str, Glyph]) -> list[tuple[str, Glyph]]:
    """Signs as Computer Modern has them: ± with its bar close to the plus, a large low prime.

    And those that Symbol lacks: ≪ and ≫, two signs of which one reaches into the other.
    """
    prime = known["\u2032"]
    plus = known["+"].shape.reshape(_SIDE, _SIDE).copy()
    plus[-1] = 1
    double = []
    for sign, single in (("≪", "<"), ("≫", ">")):
        part = Image.fromarray(known[single].shape.reshape(_SIDE, _SIDE))
        narrow = np.asarray(part.resize((_NESTED, _SIDE), Image.Resampling.BOX))
        both = np.zeros((_SIDE, _SIDE), np.float32)
        both[:, :_NESTED] = narrow
        both[:, -_NESTED:] = np.maximum(both[:, -_NESTED:], narrow)
        double.append((sign, _from_shape(both, -0.11, 0.57, 0.87)))
    return [
        *double,
        ("±", _from_shape(plus, 0.0, 0.67, 0.67)),
        ("\u2032", Glyph(prime.shape, prime.reach, 0.04, 0.56, 0.25)),
    ]


def _draw_known(document: ctypes.c_void_p, font: ctypes.c_void_p, text: str) -> Glyph | None:
    """A text in one of pdfium's fonts, as one glyph; None where the font lacks it."""
    made = pdfium.FPDFPageObj_CreateTextObj(document, font, _EM)
    try:
        codes = (text + "\0").encode("utf-16-le")
        wide = (ctypes.c_ushort * (len(codes) // 2)).from_buffer_copy(codes)
        pdfium.FPDFText_SetText(made, wide)
        left, bottom, right, top = bounds(made)
        if right <= left or top <= bottom:
            return None
        coverage = draw_object(document, None, made, _PIXELS / max(right - left, top - bottom))
        if coverage is None:
            return None
        return make_glyph(coverage, bottom / _EM, top / _EM, (right - left) / _EM)
    finally:
        pdfium.FPDFPageObj_Destroy(made)
