"""Find panel letters in images: "A" or "(b)" drawn beside a panel without text on the page.

Isolated connected components of ink are compared with the letters that the caption names. A single
glyph is weak evidence, since tick labels look alike. A set of different letters of equal size is
strong evidence.
"""

import ctypes
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from cephalo.dataset_scripts.pdf.panel_pixels import (
    Rect,
    Runs,
    centre,
    connect,
    find_row_runs,
    holds,
    share,
)


@dataclass(frozen=True)
class Found:
    """A glyph that looks like a letter. `size` is the type size implied by its height."""

    letter: str
    likeness: float
    size: float
    place: Rect


@dataclass(frozen=True)
class LetterRules:
    """Limits for panel letters."""

    # Grey level ranges [from, to): letters in drawings; white and black letters in images.
    drawn: tuple[int, int] = (0, 128)
    pictured: tuple[tuple[int, int], ...] = ((230, 256), (0, 60), (195, 256), (140, 256))
    paper: int = 225  # smallest grey level of paper
    picture: float = 0.1  # share of pixels darker than paper, above which letters may be white
    least_height: float = 3.0  # points; lowercase letter without ascender in 6-point type
    most_height: float = 22.0  # points
    least_pixels: int = 7  # smallest height in pixels at which shapes are distinguishable
    most_components: int = 20000  # components per grey range; more are the grain of a micrograph
    most_glyphs: int = 1200  # components of letter size per grey range
    widest: float = 1.35  # largest ratio of width and height: "m", bold "A"
    narrowest: float = 0.12  # smallest ratio of width and height: "I"
    apart: float = 0.3  # free space beside an isolated letter, as a share of its height
    least_likeness: float = 0.5  # smallest correlation with the letter's shape
    rival: float = 0.06  # how much higher the correlation with another character may be
    same_size: float = 0.13  # relative tolerance of the type sizes in a figure
    least_found: float = 0.3  # smallest share of the letters named in the caption
    # In units of likeness: bonus for a letter that is also text on the page, bonus for a letter in
    # the same row or column as the previous one, cost of a letter above and left of it.
    printed: float = 1.2
    aligned: float = 0.15
    backwards: float = 1.5
    rivals: int = 5  # number of best glyphs tried for each letter
    off_line: float = 0.5  # tolerance of rows and columns, in letter heights
    mostly: float = 0.6  # share of letters in the text, above which others must align with them


RULES = LetterRules()
_SIDE = 16  # pixels; side of the squares in which shapes are compared
_BODY = 48  # pixels; type size in which the shapes are rendered
_CELL = 96  # pixels; cell for a character of that size
_FONTS = ("Helvetica", "Helvetica-Bold", "Times-Roman", "Times-Bold", "Times-Italic")
_PAIRS = 1 << 18  # pairs of components compared at once, which limits the memory
_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True)
class _Shapes:
    """Shapes of characters, regular and bold.

    Attributes:
        names: The characters, of shape (n,).
        vectors: Shapes as unit vectors, of shape (n, side² + 1).
        heights: Heights in type sizes, of shape (n,).
        ratios: Logarithm of width over height, of shape (n,).
    """

    names: np.ndarray
    vectors: np.ndarray
    heights: np.ndarray
    ratios: np.ndarray


@cache
def _shapes() -> _Shapes:
    """Render the shapes of all characters."""
    names, vectors, boxes = [], [], []
    for font in _FONTS:
        page = _draw_characters(font)
        rows, lefts, rights = find_row_runs(page)
        runs = Runs(page.shape, rows, lefts, rights, 1 + lefts // _CELL)
        own = runs.boxes()
        names += [_CHARACTERS[number - 1] for number in own[:, 0]]
        vectors.append(_vectors(runs.numbered(own[:, 0]), own))
        boxes.append(own)
    sides = np.concatenate(boxes)
    wide, high = sides[:, 3] - sides[:, 1], sides[:, 4] - sides[:, 2]
    return _Shapes(np.array(names), np.concatenate(vectors), high / _BODY, np.log(wide / high))


def _draw_characters(font: str) -> np.ndarray:
    """Render the characters side by side in a built-in font: bool of shape (_CELL, n * _CELL)."""
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
    """Stretch each glyph to a square and return unit vectors of shape (n, side² + 1).

    Args:
        labels: Labels of at least the components of these glyphs, int of shape (height, width).
        glyphs: Label and box of each glyph, of shape (n, 5).
    """
    fine = (np.arange(2 * _SIDE) + 0.5) / (2 * _SIDE)
    xs = (glyphs[:, 1, None] + fine * (glyphs[:, 3] - glyphs[:, 1])[:, None]).astype(int)
    ys = (glyphs[:, 2, None] + fine * (glyphs[:, 4] - glyphs[:, 2])[:, None]).astype(int)
    shown = labels[ys[:, :, None], xs[:, None, :]] == glyphs[:, 0, None, None]
    quarters = shown.view(np.uint8).reshape(-1, _SIDE, 2, _SIDE, 2)
    rows = quarters[:, :, 0] + quarters[:, :, 1]  # several times as fast as mean()
    values = ((rows[..., 0] + rows[..., 1]) / 4).reshape(len(glyphs), -1)
    values -= values.mean(axis=1, keepdims=True)
    # A bar such as "I" has no contrast except this constant, which has little weight otherwise.
    values = np.hstack([values, np.ones((len(values), 1))])
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def find_letters(
    grey: np.ndarray,
    scale: float,
    letters: list[str],
    printed: Mapping[str, Rect] | None = None,
    rules: LetterRules = RULES,
) -> dict[str, Rect]:
    """Find the glyphs of panel letters in an image.

    Args:
        grey: uint8 of shape (height, width).
        scale: Points per pixel.
        letters: Letters named in the caption, in order.
        printed: Rectangles of letters found in the text of the page.
        rules: Limits.

    Returns:
        The rectangle of each letter that was found; empty if there are too few.
    """
    shapes, printed = _shapes(), printed or {}
    # Roman numerals have no shape.
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
    """Return isolated components in a range of grey levels that look like one of the letters."""
    runs = connect(grey < high if not low else grey >= low)
    if not 0 < runs.parts <= rules.most_components:
        return []
    least = max(rules.least_height / scale, rules.least_pixels)
    glyphs = _alone(runs.boxes(0.5 * least), least, scale, rules)
    if not 0 < len(glyphs) <= rules.most_glyphs:
        return []
    shapes = _shapes()
    wide, tall = glyphs[:, 3] - glyphs[:, 1], glyphs[:, 4] - glyphs[:, 2]
    likeness = _vectors(runs.numbered(glyphs[:, 0]), glyphs) @ shapes.vectors.T
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


def _alone(boxes: np.ndarray, least: float, scale: float, rules: LetterRules) -> np.ndarray:
    """Return components of letter size with space on both sides, except for brackets.

    Args:
        boxes: Label and box of components of at least half a letter's height, of shape (n, 5).
        least: Height of a letter in pixels.
        scale: Points per pixel.
        rules: Limits.
    """
    wide, high = boxes[:, 3] - boxes[:, 1], boxes[:, 4] - boxes[:, 2]
    sized = (high >= least) & (high <= rules.most_height / scale) & (wide <= rules.widest * high)
    sized &= wide >= rules.narrowest * high
    glyphs = boxes[sized]
    # Possible neighbours in a word: no specks and no plot axes.
    others = boxes[high <= 2 * rules.most_height / scale]
    if len(glyphs) > rules.most_glyphs or not len(glyphs):
        return glyphs[:0]
    others = others[np.argsort(others[:, 2])]
    numbers, lefts, tops, rights, bottoms = np.ascontiguousarray(others.T)
    # Pairs of a glyph and a component that begins above its foot and may end below its top.
    tallest = int((bottoms - tops).max())
    first = np.searchsorted(tops, glyphs[:, 2] - tallest)
    count = np.searchsorted(tops, glyphs[:, 4]) - first
    crowded = np.zeros(len(glyphs), bool)
    ends = np.cumsum(count)
    for start in range(0, int(ends[-1]), _PAIRS):
        pairs = np.arange(start, min(start + _PAIRS, int(ends[-1])))
        own = np.searchsorted(ends, pairs, side="right")
        place = pairs - (ends - count)[own] + first[own]
        room = rules.apart * (glyphs[:, 4] - glyphs[:, 2])
        near = lefts[place] < (glyphs[:, 3] + room)[own]
        near &= rights[place] > (glyphs[:, 1] - room)[own]
        own, place = own[near], place[near]  # few, mostly only the component itself
        height = glyphs[own, 4] - glyphs[own, 2]
        shared = np.minimum(bottoms[place], glyphs[own, 4])
        shared -= np.maximum(tops[place], glyphs[own, 2])
        beside = (shared > 0.4 * height) & (numbers[place] != glyphs[own, 0])
        across, down = rights[place] - lefts[place], bottoms[place] - tops[place]
        bracket = (across <= 0.45 * down) & (down >= 1.05 * height)
        crowded[own[beside & ~bracket]] = True
    return glyphs[~crowded]


def likeliest_set(
    found: list[Found], letters: list[str], printed: Mapping[str, Rect], rules: LetterRules = RULES
) -> dict[str, Rect]:
    """Choose the best set of different letters of one type size, by likeness and position.

    Letters follow each other to the right or downwards, mostly in the same row or column.
    """
    best, chosen = 0.0, {}
    # If few letters are not in the text, glyphs that look like them may be tick labels.
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
    """Choose at most one glyph of each column. Return the score and the place of each letter."""
    states: list[tuple[float, Found, int]] = []  # score up to a glyph, glyph, previous state
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
        # "E" and "F" may match the same glyph in different grey ranges.
        if not any(holds(place, centre(one.place)) for place in places.values()):
            places[one.letter] = one.place
    return worth, places


def _follows(before: Found, one: Found, rules: LetterRules) -> float:
    """Return the score of a letter's position after another letter, in units of likeness."""
    height = max(before.place[3] - before.place[1], one.place[3] - one.place[1])
    lined_up = _line_up(before.place, one.place, rules)
    to_left = one.place[2] <= before.place[2] - height
    above = one.place[3] <= before.place[3] - height
    if all(lined_up) or (to_left and above):  # same glyph, or against the reading order
        return -rules.backwards
    return rules.aligned if any(lined_up) else 0.0


def _line_up(one: Rect, other: Rect, rules: LetterRules) -> tuple[bool, bool]:
    """Return whether two letters are in the same row, and whether in the same column."""
    near = rules.off_line * max(one[3] - one[1], other[3] - other[1])
    same_row = abs(one[3] - other[3]) < near or abs(one[1] - other[1]) < near
    return same_row, abs(one[0] - other[0]) < near
