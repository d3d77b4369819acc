"""Panels of a compound figure: their letters, boxes and shares of the caption."""

import re
from dataclasses import dataclass
from statistics import median

import numpy as np

from cephalo.dataset_scripts.pdf.geometry import (
    Box,
    area,
    covered,
    grow,
    hits,
    intersection,
    overlap_x,
    overlap_y,
    union,
)
from cephalo.dataset_scripts.pdf.regions import merge_boxes
from cephalo.dataset_scripts.pdf.text import Line

_ALONE = re.compile(r"^[(\[]?([A-Za-z])[)\].:]?$")  # a letter in the corner of its panel
_BELOW = re.compile(r"^\(([A-Za-z])\)\s+\S")  # a caption of the panel's own
_BRACKETED = re.compile(r"\(([A-Za-z])((?:\s*(?:,|and|&|[\u2013\u2014-]|to)\s*[A-Za-z])*)\)", re.I)
_PLAIN = re.compile(r"(?:^|(?<=[\s.;:,(\u2013-]))([A-Za-z])[),.:|]\s+(?=\S)")
_MOST = 26


@dataclass
class Panel:
    """A part of a figure. `box` is None where only the caption tells of it."""

    letter: str
    box: Box | None
    caption: str


def caption_parts(text: str) -> dict[str, str]:
    """The caption cut at its marks: letter → its share, without mark and closing punctuation.

    Marks are "(a)", "(a, b)", "(a-c)", or "a," and "a)" where they run through the alphabet.
    Empty where the marks do not begin with "a" or do not rise.
    """
    marks = [
        (_spread(match.group(1), match.group(2)), match.start(), match.end())
        for match in _BRACKETED.finditer(text)
    ]
    parts = _cut(text, marks)
    if len(parts) < 2:
        marks = [([match.group(1)], match.start(), match.end()) for match in _PLAIN.finditer(text)]
        parts = _cut(text, marks)
    return parts if len(parts) > 1 else {}


def _spread(first: str, rest: str) -> list[str]:
    """("a", ", c") → a, c; ("a", "-c") → a, b, c."""
    letters = [first]
    for joint, letter in re.findall(r"(,|and|&|[\u2013\u2014-]|to)\s*([A-Za-z])(?![A-Za-z])", rest):
        if joint in "\u2013\u2014-to" and letter > letters[-1]:
            letters += [chr(code) for code in range(ord(letters[-1]) + 1, ord(letter) + 1)]
        else:
            letters.append(letter)
    return letters


def _cut(text: str, marks: list[tuple[list[str], int, int]]) -> dict[str, str]:
    """Keep the marks that bring the next letters of the alphabet, and cut the text at them."""
    kept: list[tuple[list[str], int, int]] = []
    expected = None
    for letters, start, end in marks:
        if expected is None:
            if letters[0] not in "aA":
                continue
            expected = letters[0]
        if letters[0] != expected or len(letters) > _MOST:
            continue
        kept.append((letters, start, end))
        expected = chr(ord(letters[-1]) + 1)
    parts = {}
    for index, (letters, _, end) in enumerate(kept):
        stop = kept[index + 1][1] if index + 1 < len(kept) else len(text)
        for letter in letters:
            parts[letter] = text[end:stop].strip(" ,;:.")
    return parts


def find_panels(
    box: Box, graphics: np.ndarray, images: list[Box], lines: list[Line], caption: str, crop
) -> list[Panel]:
    """The panels of the figure in `box`, in the order of their letters; empty for a plain figure.

    `graphics` (n, 4) are the boxes drawn on the page, `images` those of embedded images, `lines`
    the text in the figure. `crop(box)` gives the ink of a part of the page: a boolean array
    (height, width), True where it is dark enough to
    tell a picture from the gutters beside it. All boxes are in one frame, in points.
    """
    parts = caption_parts(caption)
    anchors = _anchors(lines, parts)
    if not parts and not anchors:
        cells = _cut_images(images, box, crop) if len(images) == 1 else []
        return _lettered(cells, None, {}) if _regular(cells) else []
    letters = _alphabet(set(parts) | set(anchors))
    cells = _cells(box, graphics, images, lines, anchors, len(letters), crop)
    return _lettered(cells, letters, parts, anchors)


def _anchors(lines: list[Line], parts: dict[str, str]) -> dict[str, Line]:
    """Letter → the line that marks its panel, for letters that run from "a" almost without gap.

    A letter without brackets counts only where the caption has it too: it may be a tick label.
    """
    bracketed: dict[str, Line] = {}
    bare: dict[str, Line] = {}
    for line in sorted(lines, key=lambda line: len(line.text)):
        match = _ALONE.match(line.text) or _BELOW.match(line.text)
        if match:
            known = bare if len(line.text) == 1 else bracketed
            known.setdefault(match.group(1), line)
    for found in (bracketed, {k: line for k, line in bare.items() if k in parts}):
        for first in "aA":
            run = [letter for letter in sorted(found) if letter.islower() == first.islower()]
            span = ord(run[-1]) - ord(first) + 1 if run else 0
            if len(run) > 1 and len(run) >= 0.6 * span:
                return {letter: found[letter] for letter in run}
    return {}


def _alphabet(letters: set[str]) -> list[str]:
    """The letters from "a" (or "A") to the last of `letters`."""
    first = "a" if any(letter.islower() for letter in letters) else "A"
    last = max(letter for letter in letters if letter.islower() == first.islower())
    return [chr(code) for code in range(ord(first), ord(last) + 1)][:_MOST]


def _cells(
    box: Box,
    graphics: np.ndarray,
    images: list[Box],
    lines: list[Line],
    anchors: dict[str, Line],
    count: int,
    crop,
) -> list[Box]:
    """Boxes of the drawn parts of a figure, `count` of them where that can be had."""
    inside = graphics[hits(graphics, box)] if len(graphics) else graphics
    size = median([line.size for line in lines]) if lines else 8.0
    cells = merge_boxes(inside, 0.3 * size, np.zeros((0, 4)))
    cells = [intersection(cell, box) for cell in cells]
    texts = [line.box for line in lines if not _BELOW.match(line.text)]
    cells = _with_text(cells, texts)
    cells = _join(cells, count, area(box))
    if len(cells) < count:
        cut = [part for cell in cells for part in _cut_cell(cell, box, crop)]
        if len(cells) < len(cut):
            cells = _join(cut, count, area(box))
    return cells


def _with_text(cells: list[Box], texts: list[Box]) -> list[Box]:
    """Grow cells over the text lines that are nearest to each."""
    cells = list(cells)
    if not cells:
        return cells
    base = np.array(cells)
    for text in texts:
        across = np.maximum(base[:, 0] - text[2], text[0] - base[:, 2])
        down = np.maximum(base[:, 1] - text[3], text[1] - base[:, 3])
        gap = np.hypot(np.maximum(across, 0), np.maximum(down, 0))
        # Small marks and legends are no home for a label where a frame is as near.
        sizes = (base[:, 2] - base[:, 0]) * (base[:, 3] - base[:, 1])
        index = int((gap - 0.02 * np.sqrt(sizes)).argmin())
        if gap[index] < 20:
            cells[index] = union([cells[index], text])
    return cells


def _join(cells: list[Box], count: int, whole: float) -> list[Box]:
    """Join cells that overlap, then the smallest to its neighbour, until `count` are left."""
    cells = sorted(cells, key=area, reverse=True)
    kept: list[Box] = []
    for cell in cells:
        for index, other in enumerate(kept):
            if covered(cell, other) > 0.3:
                kept[index] = union([cell, other])
                break
        else:
            kept.append(cell)
    while len(kept) > 1:
        small = min(kept, key=area)
        if len(kept) <= count and area(small) > 0.15 * whole / max(count, 1):
            break
        rest = [cell for cell in kept if cell is not small]
        near = min(rest, key=lambda cell: _distance(cell, small))
        rest[rest.index(near)] = union([near, small])
        kept = rest
    return kept


def _distance(a: Box, b: Box) -> float:
    return float(np.hypot(max(0.0, -overlap_x(a, b)), max(0.0, -overlap_y(a, b))))


def _cut_images(images: list[Box], box: Box, crop) -> list[Box]:
    return [part for image in images for part in _cut_cell(intersection(image, box), box, crop)]


def _cut_cell(cell: Box, box: Box, crop) -> list[Box]:
    """Cut a cell along white gutters that cross it, as in a plate of pictures."""
    ink = crop(cell)
    if ink is None or min(ink.shape) < 40:
        return [cell]
    scale_x = (cell[2] - cell[0]) / ink.shape[1]
    scale_y = (cell[3] - cell[1]) / ink.shape[0]
    return [
        (
            cell[0] + left * scale_x,
            cell[1] + top * scale_y,
            cell[0] + right * scale_x,
            cell[1] + bottom * scale_y,
        )
        for left, top, right, bottom in _gutters(ink, 0, 0, ink.shape[1], ink.shape[0], 0)
    ]


def _gutters(ink: np.ndarray, x0: int, y0: int, x1: int, y1: int, depth: int) -> list[tuple]:
    """Recursive cut of the ink in [x0, x1) x [y0, y1) at its blank rows and columns."""
    part = ink[y0:y1, x0:x1]
    for axis in (1, 0):  # rows of panels first, then the panels of a row
        filled = np.add.reduce(part.view(np.uint8), axis=axis, dtype=np.uint32)
        filled = filled > 0.02 * part.shape[axis]  # the gutters of a JPEG are not quite white
        bands = _bands(filled)
        if len(bands) > 1 and depth < 4:
            if axis == 1:
                cuts = [(x0, y0 + a, x1, y0 + b) for a, b in bands]
            else:
                cuts = [(x0 + a, y0, x0 + b, y1) for a, b in bands]
            return [leaf for cut in cuts for leaf in _gutters(ink, *cut, depth + 1)]
    return [(x0, y0, x1, y1)]


def _bands(filled: np.ndarray) -> list[tuple[int, int]]:
    """Runs of True of at least an eighth of the whole, apart by two or more."""
    steps = np.flatnonzero(np.diff(np.concatenate([[False], filled, [False]]).astype(np.int8)))
    runs = steps.reshape(-1, 2).tolist()
    joined: list[list[int]] = []
    for start, end in runs:
        if joined and start - joined[-1][1] < 2:
            joined[-1][1] = end
        else:
            joined.append([start, end])
    # A strip too thin for a panel is a label: it goes with the band before it, or after.
    bands: list[list[int]] = []
    for start, end in joined:
        thin = end - start < len(filled) / 8
        if bands and (thin or bands[-1][1] - bands[-1][0] < len(filled) / 8):
            bands[-1][1] = end
        else:
            bands.append([start, end])
    return [(start, end) for start, end in bands]


def _regular(cells: list[Box]) -> bool:
    """Whether cells are two or more of one size, as in a plate."""
    if len(cells) < 2:
        return False
    wide = [cell[2] - cell[0] for cell in cells]
    high = [cell[3] - cell[1] for cell in cells]
    return max(wide) < 1.1 * min(wide) and max(high) < 1.1 * min(high)


def _lettered(
    cells: list[Box],
    letters: list[str] | None,
    parts: dict[str, str],
    anchors: dict[str, Line] | None = None,
) -> list[Panel]:
    """Give letters to cells: where an anchor marks them, else in reading order."""
    ordered = _reading_order(cells)
    letters = letters or [chr(ord("a") + k) for k in range(min(len(ordered), _MOST))]
    boxes: dict[str, Box] = {}
    free = list(ordered)
    for letter, line in sorted((anchors or {}).items()):
        below = _BELOW.match(line.text) is not None
        near = min(free, key=lambda cell: _reach(line.box, cell, below), default=None)
        if near is not None:
            boxes[letter] = near
            free.remove(near)
    for letter in letters:
        if letter not in boxes and free:
            boxes[letter] = free.pop(0)
    return [Panel(letter, boxes.get(letter), parts.get(letter, "")) for letter in letters]


def _reach(anchor: Box, cell: Box, below: bool) -> float:
    """Distance from an anchor to the panel that it marks: its top left corner, or its foot."""
    if below:
        middle = abs(anchor[0] + anchor[2] - cell[0] - cell[2]) / 2
        return max(0.0, abs(anchor[1] - cell[3])) + 0.5 * middle
    if covered(anchor, grow(cell, 2)) > 0.9:
        return 0.01 * float(np.hypot(anchor[0] - cell[0], anchor[1] - cell[1]))
    return float(np.hypot(anchor[0] - cell[0], anchor[1] - cell[1]))


def _reading_order(cells: list[Box]) -> list[Box]:
    """Row by row from the top, each row from the left."""
    rows: list[list[Box]] = []
    for cell in sorted(cells, key=lambda cell: cell[1]):
        for row in rows:
            low = min(cell[3] - cell[1], row[0][3] - row[0][1])
            if overlap_y(cell, row[0]) > 0.5 * low:
                row.append(cell)
                break
        else:
            rows.append([cell])
    return [cell for row in rows for cell in sorted(row)]
