"""Letters of panels in pictures: "A" or "(b)" drawn beside a panel, where the page has no text.

Connected components of ink that stand alone are compared with the letters that the caption
names. A single glyph proves little, since tick labels look alike; a set of different letters of
one size does.
"""

import ctypes
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c
from scipy import ndimage

from cephalo.dataset_scripts.pdf.panel_pixels import Rect, centre, holds, share


@dataclass(frozen=True)
class Found:
    """A glyph that looks like a letter. `size` is the type size that its height implies."""

    letter: str
    likeness: float
    size: float
    place: Rect


@dataclass(frozen=True)
class LetterRules:
    """What passes for the letter of a panel."""

    # Grey levels, [from, to): letters in drawings; white and black ones in pictures.
    drawn: tuple[int, int] = (0, 128)
    pictured: tuple[tuple[int, int], ...] = ((230, 256), (0, 60), (195, 256), (140, 256))
    paper: int = 225  # grey level from which on a pixel is paper
    picture: float = 0.1  # share of pixels darker than paper from which on letters may be white
    least_height: float = 3.0  # points, of a small letter without ascender in 6-point type
    most_height: float = 22.0  # points
    least_pixels: int = 7  # height in pixels below which shapes cannot be told apart
    most_components: int = 20000  # of one range of grey; more are the grain of a micrograph
    most_glyphs: int = 1200  # of a letter's size, of one range of grey
    widest: float = 1.35  # width over height, of "m" or a bold "A"
    narrowest: float = 0.12
    apart: float = 0.3  # of its height: room beside a letter that stands alone
    least_likeness: float = 0.5  # correlation with the letter's shape
    rival: float = 0.06  # by how much another character's shape may be the likelier
    same_size: float = 0.13  # share by which the type sizes of a figure's letters differ
    least_found: float = 0.3  # share of the letters named in the caption
    # In units of likeness: what a letter is worth that is read in the page's text, what stands in
    # one row or column with the letter before, and the cost of one above it and left of it.
    printed: float = 1.2
    aligned: float = 0.15
    backwards: float = 1.5
    rivals: int = 5  # likeliest glyphs for a letter that are tried together with the others'
    off_line: float = 0.5  # heights by which letters of one row or column are off it
    mostly: float = 0.6  # share of the letters in the text from which on others line up with them


RULES = LetterRules()
_SIDE = 16  # pixels of the square that shapes are compared in
_BODY = 48  # pixels: type size in which the shapes are drawn
_CELL = 96  # pixels: room for a character of that size
_FONTS = ("Helvetica", "Helvetica-Bold", "Times-Roman", "Times-Bold", "Times-Italic")
_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True)
class _Shapes:
    """Shapes of characters, regular and bold, as `vectors` (n, side² + 1) of length 1.

    `heights`, in type sizes, and `ratios`, logarithms of width over height, are of drawn glyphs.
    """

    names: np.ndarray
    vectors: np.ndarray
    heights: np.ndarray
    ratios: np.ndarray


@cache
def _shapes() -> _Shapes:
    names, vectors, boxes = [], [], []
    for font in _FONTS:
        page = _draw_characters(font)
        labels = page * (1 + np.arange(page.shape[1]) // _CELL)
        own = _boxes(labels, len(_CHARACTERS))
        names += [_CHARACTERS[number - 1] for number in own[:, 0]]
        vectors.append(_vectors(labels, own))
        boxes.append(own)
    sides = np.concatenate(boxes)
    wide, high = sides[:, 3] - sides[:, 1], sides[:, 4] - sides[:, 2]
    return _Shapes(np.array(names), np.concatenate(vectors), high / _BODY, np.log(wide / high))


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


def _vectors(labels: np.ndarray, glyphs: np.ndarray) -> np.ndarray:
    """Glyphs, each stretched to a square, as vectors of length 1: (n, side² + 1).

    Args:
        labels: numbers of connected components, (height, width).
        glyphs: number and box of each glyph: (n, 5).
    """
    fine = (np.arange(2 * _SIDE) + 0.5) / (2 * _SIDE)
    xs = (glyphs[:, 1, None] + fine * (glyphs[:, 3] - glyphs[:, 1])[:, None]).astype(int)
    ys = (glyphs[:, 2, None] + fine * (glyphs[:, 4] - glyphs[:, 2])[:, None]).astype(int)
    shown = labels[ys[:, :, None], xs[:, None, :]] == glyphs[:, 0, None, None]
    values = shown.reshape(-1, _SIDE, 2, _SIDE, 2).mean(axis=(2, 4)).reshape(len(glyphs), -1)
    values -= values.mean(axis=1, keepdims=True)
    # A bar, as "I" is, has no other contrast than this constant, which counts little elsewhere.
    values = np.hstack([values, np.ones((len(values), 1))])
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def find_letters(
    grey: np.ndarray,
    scale: float,
    letters: list[str],
    printed: Mapping[str, Rect] | None = None,
    rules: LetterRules = RULES,
) -> dict[str, Rect]:
    """Letter → the place of its glyph, for most of `letters`; empty where too few are found.

    Args:
        grey: uint8 (height, width).
        scale: points that a pixel measures.
        letters: the letters that the caption names, in order.
        printed: places of some of them in the page's text.
        rules: what passes for a letter.
    """
    shapes, printed = _shapes(), printed or {}
    # Roman numbers have no shape of their own.
    wanted = {letter: np.flatnonzero(shapes.names == letter) for letter in letters}
    wanted = {letter: places for letter, places in wanted.items() if len(places)}
    for letter in printed:
        wanted.pop(letter, None)
    ranges = [rules.drawn]
    if share(grey[::4, ::4] < rules.paper) > rules.picture:
        ranges += rules.pictured
    found: list[Found] = []
    places: dict[str, Rect] = {}
    for low, high in ranges:
        found += _likely(grey, low, high, scale, wanted, rules)
        places = likeliest_set(found, letters, printed, rules)
        if len(places) == len(letters):
            break
    return places


def _likely(
    grey: np.ndarray,
    low: int,
    high: int,
    scale: float,
    wanted: dict[str, np.ndarray],
    rules: LetterRules,
) -> list[Found]:
    """What stands alone in one range of grey levels and looks like one of the letters."""
    ink = grey < high if not low else grey >= low
    labelled: Any = ndimage.label(ink, np.ones((3, 3)))
    labels, count = labelled
    if not count or count > rules.most_components:
        return []
    least = max(rules.least_height / scale, rules.least_pixels)
    glyphs = _alone(_boxes(labels, count, 0.5 * least), least, scale, rules)
    if not 0 < len(glyphs) <= rules.most_glyphs:
        return []
    shapes = _shapes()
    wide, tall = glyphs[:, 3] - glyphs[:, 1], glyphs[:, 4] - glyphs[:, 2]
    likeness = _vectors(labels, glyphs) @ shapes.vectors.T
    likeness -= 0.3 * np.abs(np.log(wide / tall)[:, None] - shapes.ratios)
    best = likeness.max(axis=1)
    found = []
    for letter, places in wanted.items():
        own = places[likeness[:, places].argmax(axis=1)]
        like = likeness[np.arange(len(glyphs)), own]
        for index in np.flatnonzero(like >= np.maximum(rules.least_likeness, best - rules.rival)):
            size = tall[index] / shapes.heights[own[index]]
            place = tuple(glyphs[index, 1:].tolist())
            found.append(Found(letter, float(like[index]), float(size), place))
    return found


def _boxes(labels: np.ndarray, count: int, least: float = 1.0) -> np.ndarray:
    """Label and box of each component of `least` pixels' height: (n, 5).

    From the ends of its runs in each row, which are far fewer than its pixels.
    """
    height, width = labels.shape
    padded = np.zeros((height, width + 2), bool)
    padded[:, 1:-1] = labels > 0
    ends = np.flatnonzero(padded.ravel()[1:] != padded.ravel()[:-1]).reshape(-1, 2)
    rows, lefts = np.divmod(ends[:, 0], width + 2)
    rights = lefts + ends[:, 1] - ends[:, 0]
    owners = labels[rows, lefts]
    boxes = np.zeros((count + 1, 5), int)
    boxes[:, 0] = np.arange(count + 1)
    boxes[:, 1] = width
    boxes[owners[::-1], 2] = rows[::-1]  # of all rows of a component the last written stays
    boxes[owners, 4] = rows + 1
    np.minimum.at(boxes[:, 1], owners, lefts)
    np.maximum.at(boxes[:, 3], owners, rights)
    return boxes[1:][boxes[1:, 4] - boxes[1:, 2] >= least]


def _alone(boxes: np.ndarray, least: float, scale: float, rules: LetterRules) -> np.ndarray:
    """Components of a letter's size with room on both sides, but for brackets.

    Args:
        boxes: those of half a letter's height or more, (n, 5).
        least: height of a letter, in pixels.
        scale: points that a pixel measures.
        rules: what passes for a letter.
    """
    wide, high = boxes[:, 3] - boxes[:, 1], boxes[:, 4] - boxes[:, 2]
    sized = (high >= least) & (high <= rules.most_height / scale) & (wide <= rules.widest * high)
    sized &= wide >= rules.narrowest * high
    glyphs = boxes[sized]
    # What a letter's neighbour in a word can be: not a speck, not the axes of a plot.
    others = boxes[high <= 2 * rules.most_height / scale]
    if len(glyphs) > rules.most_glyphs or not len(glyphs):
        return glyphs[:0]
    others = others[np.argsort(others[:, 2])]
    numbers, lefts, tops, rights, bottoms = np.ascontiguousarray(others.T)
    tallest = int((bottoms - tops).max())
    firsts = np.searchsorted(tops, glyphs[:, 2] - tallest).tolist()
    lasts = np.searchsorted(tops, glyphs[:, 4]).tolist()
    kept = []
    bounds = zip(glyphs.tolist(), firsts, lasts, strict=True)
    for index, ((number, x0, y0, x1, y1), first, last) in enumerate(bounds):
        height, level = y1 - y0, slice(first, last)
        room = rules.apart * height
        near = np.flatnonzero((lefts[level] < x1 + room) & (rights[level] > x0 - room))
        for place in (near + first).tolist():  # few, mostly itself alone
            shared = min(bottoms[place], y1) - max(tops[place], y0)
            if shared <= 0.4 * height or numbers[place] == number:
                continue
            if not _is_bracket(others[place], height):
                break
        else:
            kept.append(index)
    return glyphs[kept]


def _is_bracket(box: np.ndarray, height: int) -> bool:
    """Whether a component beside a letter of `height` may be a bracket: tall and narrow."""
    wide, high = box[3] - box[1], box[4] - box[2]
    return wide <= 0.45 * high and high >= 1.05 * height


def likeliest_set(
    found: list[Found], letters: list[str], printed: Mapping[str, Rect], rules: LetterRules = RULES
) -> dict[str, Rect]:
    """The likeliest set of different letters of one type size, in the places that letters take.

    One letter follows another to the right or further down, mostly in its row or column.
    """
    best, chosen = 0.0, {}
    # What looks like one of the few letters that are no text may be a tick label.
    if len(printed) >= rules.mostly * len(letters):
        places = printed.values()
        found = [
            one for one in found if any(any(_line_up(place, one.place, rules)) for place in places)
        ]
    known = {letter: Found(letter, rules.printed, 0.0, place) for letter, place in printed.items()}
    steps = {round(math.log(max(one.size, 1.0)) / rules.same_size) for one in found}
    for size in [math.exp(step * rules.same_size) for step in sorted(steps)] or [0.0]:
        close = [one for one in found if abs(one.size - size) <= rules.same_size * size]
        close.sort(key=lambda one: -one.likeness)
        columns = [
            [known[letter]]
            if letter in known
            else [one for one in close if one.letter == letter][: rules.rivals]
            for letter in letters
        ]
        most = sum(column[0].likeness + rules.aligned for column in columns if column)
        if most > best:
            total, row = _best_chain(columns, rules)
            if total > best:
                best, chosen = total, row
    return chosen if len(chosen) >= max(2, rules.least_found * len(letters)) else {}


def _best_chain(columns: list[list[Found]], rules: LetterRules) -> tuple[float, dict[str, Rect]]:
    """The best choice of at most one glyph of each column: its worth, and letter → place."""
    states: list[tuple[float, Found, int]] = []  # worth up to a glyph, and the state before
    for column in columns:
        earlier = len(states)
        for one in column:
            total, before = one.likeness, -1
            for index in range(earlier):
                known = states[index][0] + one.likeness + _follows(states[index][1], one, rules)
                if known > total:
                    total, before = known, index
            states.append((total, one, before))
    if not states:
        return 0.0, {}
    at = max(range(len(states)), key=lambda index: states[index][0])
    worth, chain = states[at][0], []
    while at >= 0:
        chain.append(states[at][1])
        at = states[at][2]
    places: dict[str, Rect] = {}
    for one in sorted(chain, key=lambda one: -one.likeness):
        # "E" and "F" may look like one glyph, which another range of grey shows again.
        if not any(holds(place, centre(one.place)) for place in places.values()):
            places[one.letter] = one.place
    return worth, places


def _follows(before: Found, one: Found, rules: LetterRules) -> float:
    """What the place of a letter is worth after that of another, in units of likeness."""
    height = max(before.place[3] - before.place[1], one.place[3] - one.place[1])
    lined_up = _line_up(before.place, one.place, rules)
    to_left = one.place[2] <= before.place[2] - height
    above = one.place[3] <= before.place[3] - height
    if all(lined_up) or (to_left and above):  # the same glyph, or against the order of reading
        return -rules.backwards
    return rules.aligned if any(lined_up) else 0.0


def _line_up(one: Rect, other: Rect, rules: LetterRules) -> tuple[bool, bool]:
    """Whether two letters stand in one row, and whether in one column."""
    near = rules.off_line * max(one[3] - one[1], other[3] - other[1])
    same_row = abs(one[3] - other[3]) < near or abs(one[1] - other[1]) < near
    return same_row, abs(one[0] - other[0]) < near
