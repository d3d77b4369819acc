"""Panels of a compound figure: letters, boxes and parts of the caption."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from statistics import median
from types import MappingProxyType

from cephalo.dataset_scripts.common.geometry import Box, overlap_y
from cephalo.dataset_scripts.pdf.panel_boxes import Picture, find_plate, split
from cephalo.dataset_scripts.pdf.panel_captions import MAX_PANELS, caption_parts
from cephalo.dataset_scripts.pdf.panel_letters import find_letters
from cephalo.dataset_scripts.pdf.text import Line

_ALONE = re.compile(r"^[(\[]?([A-Za-z])[)\].:]?$")  # letter in the corner of its panel
_MENTIONED = re.compile(r"\(([A-Za-z])\)")  # reference to a panel in a sentence
_BELOW = re.compile(r"^\(([A-Za-z])\)\s+\S")  # caption of a single panel


@dataclass(frozen=True)
class PanelRules:
    """Limits for combining letters, captions and boxes."""

    coarse: int = 800  # pixels of the longer side, for finding gutters
    fine: int = 1600  # pixels of the longer side, for reading letters
    least_printed: float = 0.6  # smallest share of printed letters; some are not read as lines
    untold: int = 1  # letters after the last one mentioned that the image may have
    same_size: float = 0.15  # relative tolerance of the type sizes of letters
    least_leading: float = 0.6  # type sizes; a larger gap ends the caption of a panel


RULES = PanelRules()


@dataclass
class Panel:
    """A part of a figure. `box` is `None` if only the caption names it."""

    letter: str
    box: Box | None
    caption: str


def find_panels(
    images: list[Box], lines: list[Line], caption: str, draw: Callable[[int], Picture]
) -> list[Panel]:
    """Find the panels of a figure. All boxes are in one frame, in points.

    Args:
        images: Boxes of embedded images in the figure.
        lines: Lines of text in the figure.
        caption: Text of the caption.
        draw: Returns the pixels of the figure, given the longest side in pixels. Only called if
            they are needed.

    Returns:
        The panels in the order of their letters; empty for a simple figure.
    """
    printed = _printed_letters(lines)
    parts = caption_parts(caption, set(printed))
    letters = _continued(list(parts), printed)
    letters = letters or _bracketed_run(printed) or _overprinted_run(printed, images)
    mentioned = _MENTIONED.findall(caption) if images and not letters else []
    drawn = _drawn_run(draw(RULES.fine), mentioned) if mentioned else {}
    letters = letters or list(drawn)
    if not letters:
        cells = find_plate(draw(RULES.coarse)) if images else []
        cells = _reading_order(cells)
        names = [chr(ord("a") + index) for index in range(min(len(cells), MAX_PANELS))]
        return [Panel(name, cell, "") for name, cell in zip(names, cells, strict=False)]
    anchors = _anchors(printed, letters)
    # Letters of a drawing are text. In images, and drawings without text, they are ink.
    if len(anchors) < len(letters) and (images or not anchors):
        drawn = drawn or _drawn(draw(RULES.fine), letters, anchors)
        anchors = drawn or anchors
    below = [line.box for line in _sub_captions(lines)]
    cells = split(draw(RULES.coarse), len(letters), list(anchors.values()), below)
    if not cells and drawn and not mentioned:  # a letter in an image may be misread
        cells = split(draw(RULES.coarse), len(letters), (), below)
    placed = _lettered(cells, letters, list(anchors))
    return [Panel(letter, placed.get(letter), parts.get(letter, "")) for letter in letters]


def _sub_captions(lines: list[Line]) -> list[Line]:
    """Return the lines of captions of single panels: "(a) …" and their continuation."""
    found: list[Line] = []
    for line in sorted(lines, key=lambda line: line.box[1]):
        own = _BELOW.match(line.text) is not None
        if own or any(_wraps(before, line) for before in found):
            found.append(line)
    return found


def _wraps(line: Line, following: Line) -> bool:
    """Return whether a line continues in `following`: below, centred, in the same type."""
    gap = following.box[1] - line.box[3]
    off = abs(line.box[0] + line.box[2] - following.box[0] - following.box[2]) / 2
    same = line.font == following.font and abs(line.size - following.size) < 0.1
    near = -0.5 * line.size < gap < RULES.least_leading * line.size
    return same and near and (off < line.size or abs(line.box[0] - following.box[0]) < line.size)


def _printed_letters(lines: list[Line]) -> dict[str, list[Line]]:
    """Return the lines that may mark the panel of each letter: "a" or "(a) …"."""
    found: dict[str, list[Line]] = {}
    for line in lines:
        match = _ALONE.match(line.text) or _BELOW.match(line.text)
        if match:
            found.setdefault(match.group(1), []).append(line)
    return found


def _continued(letters: list[str], printed: dict[str, list[Line]]) -> list[str]:
    """Return the letters of a caption and further letters printed in the same type.

    A caption may continue on another page.
    """
    marks = [printed.get(letter, []) for letter in letters]
    types = {_type_of(lines[0]) for lines in marks if len(lines) == 1}
    if len(types) != 1 or any(len(lines) > 1 for lines in marks) or not all(marks):
        return letters
    letters = list(letters)
    while len(letters) < MAX_PANELS and len(letters[-1]) == 1:
        following = chr(ord(letters[-1]) + 1)
        if [_type_of(line) for line in printed.get(following, [])] != list(types):
            break
        letters.append(following)
    return letters


def _type_of(line: Line) -> tuple[str, float, int]:
    """Return font, size and length of a mark: "A" and "(A)" are different types."""
    return line.font, round(line.size, 1), len(line.text)


def _bracketed_run(printed: dict[str, list[Line]]) -> list[str]:
    """Return letters from "a" or "A", most of them printed in brackets; others may be ticks.

    Empty if there are fewer than two.
    """
    bracketed = {
        letter for letter, lines in printed.items() if any(len(line.text) > 1 for line in lines)
    }
    for first in "aA":
        own = sorted(letter for letter in bracketed if letter.islower() == first.islower())
        span = ord(own[-1]) - ord(first) + 1 if own else 0
        if len(own) > 1 and len(own) >= RULES.least_printed * span:
            return [chr(ord(first) + index) for index in range(span)]
    return []


def _overprinted_run(printed: dict[str, list[Line]], images: list[Box]) -> list[str]:
    """Return bare letters from "a" or "A", printed once over an image in one type."""
    for first in "aA" if images else "":
        own: list[str] = []
        while len(printed.get(letter := chr(ord(first) + len(own)), [])) == 1:
            own.append(letter)
        types = {(printed[letter][0].font, round(printed[letter][0].size, 1)) for letter in own}
        if len(own) > 1 and len(types) == 1:
            return own
    return []


def _drawn_run(picture: Picture, mentioned: list[str]) -> dict[str, Box]:
    """Return letters from "a" or "A" in the image, if the caption mentions some.

    Empty if there are fewer than two. The caption may omit the last one.
    """
    first = "a" if mentioned[0].islower() else "A"
    last = max(letter for letter in mentioned if letter.islower() == first.islower())
    wanted = [chr(code) for code in range(ord(first), ord(last) + RULES.untold + 1)]
    found = _drawn(picture, wanted[:MAX_PANELS])
    run = {letter: found[letter] for letter in takewhile(found.__contains__, wanted)}
    return run if len(run) > 1 else {}


def _anchors(printed: dict[str, list[Line]], letters: list[str]) -> dict[str, Box]:
    """Return the box of each letter's mark in the figure, if exactly one line can be the mark.

    All marks of a figure have the same type size; tick labels and chemical symbols are smaller.
    """
    marks: dict[str, list[Line]] = {}
    for letter in letters:
        lines = printed.get(letter, [])
        lines = [line for line in lines if len(line.text) > 1] or lines
        if lines:
            marks[letter] = lines
    if not marks:
        return {}
    common = median(max(line.size for line in lines) for lines in marks.values())
    anchors = {}
    for letter, lines in marks.items():
        lines = [line for line in lines if abs(line.size - common) <= RULES.same_size * common]
        if len(lines) == 1:
            anchors[letter] = lines[0].box
    return anchors


def _drawn(
    picture: Picture, letters: list[str], printed: Mapping[str, Box] = MappingProxyType({})
) -> dict[str, Box]:
    """Return the box of each letter that is part of the image.

    `printed` are letters in the text of the page. One that disagrees with the others is omitted.
    """
    scale = (picture.box[2] - picture.box[0]) / picture.grey.shape[1]
    known = {letter: picture.to_rect(box) for letter, box in printed.items()}
    found = find_letters(picture.grey, scale, letters, known)
    return {letter: printed.get(letter) or picture.to_box(rect) for letter, rect in found.items()}


def _lettered(
    cells: list[tuple[Box, int | None]], letters: list[str], anchored: list[str]
) -> dict[str, Box]:
    """Assign boxes to letters: printed letters first, the others in order.

    `cells` have the index in `anchored` of their printed letter. Most figures are lettered by rows,
    some by columns. The order that agrees with all printed letters is used.
    """
    placed = {anchored[index]: box for box, index in cells if index is not None}
    boxes = [box for box, _ in cells]
    for order in (_reading_order(boxes), _down_columns(boxes)):
        in_order = dict(zip(letters, order, strict=False))
        if all(in_order.get(letter) == box for letter, box in placed.items()):
            return in_order
    if len(placed) < RULES.least_printed * len(letters):  # few and in no order: misread
        return dict(zip(letters, _reading_order(boxes), strict=False))
    free = _reading_order([box for box, index in cells if index is None])
    rest = [letter for letter in letters if letter not in placed]
    return placed | dict(zip(rest, free, strict=False))


def _down_columns(cells: list[Box]) -> list[Box]:
    """Sort boxes by column from the left, each column from the top."""
    turned = _reading_order([(y0, x0, y1, x1) for x0, y0, x1, y1 in cells])
    return [(x0, y0, x1, y1) for y0, x0, y1, x1 in turned]


def _reading_order(cells: list[Box]) -> list[Box]:
    """Sort boxes by row from the top, each row from the left."""
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
