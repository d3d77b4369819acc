"""Letters of panels in pictures: "A" or "(b)" drawn beside a panel, where the page has no text.

Connected components of ink that stand alone are compared with the letters that the caption
names. A single glyph proves little, since tick labels look alike; a set of different letters of
one size does.
"""

import ctypes
from dataclasses import dataclass
from functools import cache

import numpy as np
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c
from PIL import Image
from scipy import ndimage

Rect = tuple[int, int, int, int]


@dataclass(frozen=True)
class LetterRules:
    """What passes for the letter of a panel."""

    ink: int = 128  # grey level; letters of panels are black
    dark_picture: float = 0.4  # share of ink from which on letters may be white
    least_height: float = 4.0  # points, of a small letter without ascender in 8-point type
    most_height: float = 22.0  # points
    least_pixels: int = 7  # height in pixels below which shapes cannot be told apart
    most_components: int = 6000  # pictures with more are micrographs, not drawings
    widest: float = 1.35  # width over height, of "m" or a bold "A"
    apart: float = 0.45  # of its height: room beside a letter that stands alone
    least_likeness: float = 0.55  # correlation with the letter's shape
    rival: float = 0.06  # by how much another character's shape may be the likelier
    same_size: float = 0.13  # share by which the type sizes of a figure's letters differ
    least_found: float = 0.6  # share of the letters named in the caption


RULES = LetterRules()
_SIDE = 16  # pixels of the square that shapes are compared in
_BODY = 48  # pixels: type size in which the shapes are drawn
_CELL = 96  # pixels: room for a character of that size
_FONTS = ("Helvetica", "Helvetica-Bold", "Times-Roman", "Times-Bold", "Times-Italic")
_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True)
class _Shapes:
    """Shapes of characters, regular and bold. `vectors` (n, side²) have mean 0 and length 1.

    `heights` and `ratios` (width over height) are of the drawn glyphs, in units of the type size.
    """

    names: np.ndarray
    vectors: np.ndarray
    heights: np.ndarray
    ratios: np.ndarray


@cache
def _shapes() -> _Shapes:
    names, vectors, heights, ratios = [], [], [], []
    for font in _FONTS:
        page = _draw_characters(font)
        for index, name in enumerate(_CHARACTERS):
            cell = page[:, index * _CELL : (index + 1) * _CELL]
            rows, columns = np.flatnonzero(cell.any(axis=1)), np.flatnonzero(cell.any(axis=0))
            if not len(rows):
                continue
            glyph = cell[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            names.append(name)
            vectors.append(_vector(glyph))
            heights.append(glyph.shape[0] / _BODY)
            ratios.append(glyph.shape[1] / glyph.shape[0])
    return _Shapes(np.array(names), np.array(vectors), np.array(heights), np.array(ratios))


def _draw_characters(font: str) -> np.ndarray:
    """The characters in one of pdfium's own fonts, side by side: bool (_CELL, n * _CELL)."""
    document = pdfium.PdfDocument.new()
    try:
        page = document.new_page(_CELL * len(_CHARACTERS), _CELL)
        face = pdfium_c.FPDFText_LoadStandardFont(document, font.encode())
        for index, name in enumerate(_CHARACTERS):
            text = pdfium_c.FPDFPageObj_CreateTextObj(document, face, _BODY)
            code = (ctypes.c_ushort * 2)(ord(name), 0)
            pdfium_c.FPDFText_SetText(text, code)
            pdfium_c.FPDFPageObj_Transform(text, 1, 0, 0, 1, index * _CELL + _CELL // 4, _CELL // 4)
            pdfium_c.FPDFPage_InsertObject(page, text)
        pdfium_c.FPDFPage_GenerateContent(page)
        return page.render(scale=1, grayscale=True).to_numpy().reshape(_CELL, -1) < 128
    finally:
        document.close()


def _vector(glyph: np.ndarray) -> np.ndarray:
    """A glyph, stretched to a square, as a vector of mean 0 and length 1."""
    image = Image.fromarray(np.where(glyph, 255, 0).astype(np.uint8))
    values = np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BOX), np.float64).ravel()
    values = values - values.mean()
    return values / max(float(np.linalg.norm(values)), 1e-9)


def find_letters(
    grey: np.ndarray, scale: float, letters: list[str], rules: LetterRules = RULES
) -> dict[str, Rect]:
    """Letter → the place of its glyph, for most of `letters`; empty where too few are found.

    Args:
        grey: uint8 (height, width).
        scale: points that a pixel measures.
        letters: the letters that the caption names.
    """
    found = _find(grey < rules.ink, scale, letters, rules)
    if not found and (grey < rules.ink).mean() > rules.dark_picture:
        found = _find(grey > 255 - rules.ink, scale, letters, rules)
    return found


def _find(ink: np.ndarray, scale: float, letters: list[str], rules: LetterRules) -> dict[str, Rect]:
    labels, count = ndimage.label(ink, np.ones((3, 3)))
    if not count or count > rules.most_components:
        return {}
    glyphs = _alone(_boxes(labels, count), scale, rules)
    if not len(glyphs):
        return {}
    shapes = _shapes()
    # Roman numbers have no shape of their own.
    wanted = {letter: np.flatnonzero(shapes.names == letter) for letter in letters}
    wanted = {letter: places for letter, places in wanted.items() if len(places)}
    found: list[tuple[str, float, float, Rect]] = []  # letter, likeness, type size, place
    for label, x0, y0, x1, y1 in glyphs.tolist():
        vector = _vector(labels[y0:y1, x0:x1] == label)
        ratio = (x1 - x0) / (y1 - y0)
        likeness = shapes.vectors @ vector - 0.3 * np.abs(np.log(ratio / shapes.ratios))
        best = likeness.max()
        for letter, places in wanted.items():
            own = places[likeness[places].argmax()]
            if likeness[own] >= max(rules.least_likeness, best - rules.rival):
                size = (y1 - y0) / shapes.heights[own]
                found.append((letter, float(likeness[own]), float(size), (x0, y0, x1, y1)))
    return _of_one_size(found, len(letters), rules)


def _boxes(labels: np.ndarray, count: int) -> np.ndarray:
    """Label and box of each component: (n, 5)."""
    places = ndimage.find_objects(labels, count)
    return np.array(
        [
            (index + 1, place[1].start, place[0].start, place[1].stop, place[0].stop)
            for index, place in enumerate(places)
        ]
    )


def _alone(boxes: np.ndarray, scale: float, rules: LetterRules) -> np.ndarray:
    """Components of a letter's size with room on both sides, but for brackets."""
    wide, high = boxes[:, 3] - boxes[:, 1], boxes[:, 4] - boxes[:, 2]
    least = max(rules.least_height / scale, rules.least_pixels)
    sized = (high >= least) & (high <= rules.most_height / scale) & (wide <= rules.widest * high)
    sized &= wide >= 0.12 * high
    kept = []
    # What a letter's neighbour in a word can be: not a speck, not the axes of a plot.
    others = boxes[(high >= 0.5 * least) & (high <= 2 * rules.most_height / scale)]
    for box in boxes[sized]:
        _, x0, y0, x1, y1 = box
        height = y1 - y0
        level = (np.minimum(others[:, 4], y1) - np.maximum(others[:, 2], y0)) > 0.4 * height
        gap = np.maximum(others[:, 1] - x1, x0 - others[:, 3])
        near = others[level & (gap < rules.apart * height) & (others[:, 0] != box[0])]
        if all(_is_bracket(other, height) for other in near):
            kept.append(box)
    return np.array(kept)


def _is_bracket(box: np.ndarray, height: int) -> bool:
    """Whether a component beside a letter of `height` may be a bracket: tall and narrow."""
    wide, high = box[3] - box[1], box[4] - box[2]
    return wide <= 0.45 * high and high >= 1.05 * height


def _of_one_size(
    found: list[tuple[str, float, float, Rect]], count: int, rules: LetterRules
) -> dict[str, Rect]:
    """The likeliest set of different letters of one type size."""
    best: tuple[float, dict[str, Rect]] = 0.0, {}
    for size in {entry[2] for entry in found}:
        chosen: dict[str, tuple[float, Rect]] = {}
        for letter, likeness, own, place in found:
            close = abs(own - size) <= rules.same_size * size
            if close and likeness > chosen.get(letter, (0.0, place))[0]:
                chosen[letter] = likeness, place
        total = sum(likeness for likeness, _ in chosen.values())
        if total > best[0]:
            best = total, {letter: place for letter, (_, place) in chosen.items()}
    places = best[1]
    distinct = len(set(places.values())) == len(places)
    return places if distinct and len(places) >= max(2, rules.least_found * count) else {}
