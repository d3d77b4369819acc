"""Panels of a compound figure: their letters, boxes and shares of the caption."""

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

_ALONE = re.compile(r"^[(\[]?([A-Za-z])[)\].:]?$")  # a letter in the corner of its panel
_MENTIONED = re.compile(r"\(([A-Za-z])\)")  # a panel that a sentence of the caption refers to
_BELOW = re.compile(r"^\(([A-Za-z])\)\s+\S")  # a caption of the panel's own


@dataclass(frozen=True)
class PanelRules:
    """How letters, captions and boxes go together."""

    coarse: int = 800  # pixels of the longer side that gutters are sought in
    fine: int = 1600  # pixels of the longer side that letters are read in
    least_printed: float = 0.6  # share of a run of letters printed; some are not read as lines
    untold: int = (
        1  # letters after the last one that a caption mentions, which the picture may have
    )
    same_size: float = 0.15  # share by which the type sizes of a figure's letters differ
    least_leading: float = 0.6  # type sizes; a larger gap ends a panel's own caption


RULES = PanelRules()


@dataclass
class Panel:
    """A part of a figure. `box` is None where only the caption tells of it."""

    letter: str
    box: Box | None
    caption: str


def find_panels(
    images: list[Box], lines: list[Line], caption: str, draw: Callable[[int], Picture]
) -> list[Panel]:
    """The panels of a figure, in the order of their letters; empty for a plain figure.

    `images` are the boxes of its embedded images, `lines` the text in it. `draw` gives its pixels,
    so many at most on the longer side, and is called only where they decide. All boxes are in one
    frame, in points.
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
    # Letters of a drawing are text; pictures hold theirs as ink, as do drawings that print none.
    if len(anchors) < len(letters) and (images or not anchors):
        drawn = drawn or _drawn(draw(RULES.fine), letters, anchors)
        anchors = drawn or anchors
    below = [line.box for line in _sub_captions(lines)]
    cells = split(draw(RULES.coarse), len(letters), list(anchors.values()), below)
    if not cells and drawn and not mentioned:  # a letter within a picture may be misread
        cells = split(draw(RULES.coarse), len(letters), (), below)
    placed = _lettered(cells, letters, list(anchors))
    return [Panel(letter, placed.get(letter), parts.get(letter, "")) for letter in letters]


def _sub_captions(lines: list[Line]) -> list[Line]:
    """Lines of captions that single panels have of their own: "(a) …" and how it goes on."""
    found: list[Line] = []
    for line in sorted(lines, key=lambda line: line.box[1]):
        own = _BELOW.match(line.text) is not None
        if own or any(_wraps(before, line) for before in found):
            found.append(line)
    return found


def _wraps(line: Line, following: Line) -> bool:
    """Whether a line goes on in `following`: below it, centred, in the same type."""
    gap = following.box[1] - line.box[3]
    off = abs(line.box[0] + line.box[2] - following.box[0] - following.box[2]) / 2
    same = line.font == following.font and abs(line.size - following.size) < 0.1
    near = -0.5 * line.size < gap < RULES.least_leading * line.size
    return same and near and (off < line.size or abs(line.box[0] - following.box[0]) < line.size)


def _printed_letters(lines: list[Line]) -> dict[str, list[Line]]:
    """Letter → the lines that may mark its panel: they hold no more, or begin with "(a)"."""
    found: dict[str, list[Line]] = {}
    for line in lines:
        match = _ALONE.match(line.text) or _BELOW.match(line.text)
        if match:
            found.setdefault(match.group(1), []).append(line)
    return found


def _continued(letters: list[str], printed: dict[str, list[Line]]) -> list[str]:
    """A caption's letters and those that go on from the last one, printed in the same type.

    A caption may go on on another page.
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
    """Font, size and characters of a mark: "A" is none of the kind of "(A)"."""
    return line.font, round(line.size, 1), len(line.text)


def _bracketed_run(printed: dict[str, list[Line]]) -> list[str]:
    """Letters from "a" or "A" on, most of them printed with a bracket: a bare one may be a tick.

    Empty where there are fewer than two.
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
    """Bare letters from "a" or "A" on, printed over an image in one type, each once."""
    for first in "aA" if images else "":
        own: list[str] = []
        while len(printed.get(letter := chr(ord(first) + len(own)), [])) == 1:
            own.append(letter)
        types = {(printed[letter][0].font, round(printed[letter][0].size, 1)) for letter in own}
        if len(own) > 1 and len(types) == 1:
            return own
    return []


def _drawn_run(picture: Picture, mentioned: list[str]) -> dict[str, Box]:
    """Letters from "a" or "A" on in the picture, if the caption mentions some.

    Empty if there are fewer than two. A caption may leave the last one unmentioned.
    """
    first = "a" if mentioned[0].islower() else "A"
    last = max(letter for letter in mentioned if letter.islower() == first.islower())
    wanted = [chr(code) for code in range(ord(first), ord(last) + RULES.untold + 1)]
    found = _drawn(picture, wanted[:MAX_PANELS])
    run = {letter: found[letter] for letter in takewhile(found.__contains__, wanted)}
    return run if len(run) > 1 else {}


def _anchors(printed: dict[str, list[Line]], letters: list[str]) -> dict[str, Box]:
    """Letter → the box of its mark in the figure, where one line alone can be that mark.

    Marks have one type size in a figure: tick labels and chemical symbols are set smaller.
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
    """Letter → the box of its glyph, where letters are part of the picture.

    `printed` are those of the page's text; one that agrees with no other is left out.
    """
    scale = (picture.box[2] - picture.box[0]) / picture.grey.shape[1]
    known = {letter: picture.to_rect(box) for letter, box in printed.items()}
    found = find_letters(picture.grey, scale, letters, known)
    return {letter: printed.get(letter) or picture.to_box(rect) for letter, rect in found.items()}


def _lettered(
    cells: list[tuple[Box, int | None]], letters: list[str], anchored: list[str]
) -> dict[str, Box]:
    """Letter → box: the letter printed in it, the others in order.

    `cells` come with the index into `anchored` of the letter in them. Most figures are lettered
    row by row, some column by column: the order that all the printed letters agree with counts.
    """
    placed = {anchored[index]: box for box, index in cells if index is not None}
    boxes = [box for box, _ in cells]
    for order in (_reading_order(boxes), _down_columns(boxes)):
        in_order = dict(zip(letters, order, strict=False))
        if all(in_order.get(letter) == box for letter, box in placed.items()):
            return in_order
    if len(placed) < RULES.least_printed * len(letters):  # few, in no order: misread
        return dict(zip(letters, _reading_order(boxes), strict=False))
    free = _reading_order([box for box, index in cells if index is None])
    rest = [letter for letter in letters if letter not in placed]
    return placed | dict(zip(rest, free, strict=False))


def _down_columns(cells: list[Box]) -> list[Box]:
    """Column by column from the left, each column from the top."""
    turned = _reading_order([(y0, x0, y1, x1) for x0, y0, x1, y1 in cells])
    return [(x0, y0, x1, y1) for y0, x0, y1, x1 in turned]


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
