"""Features of the line decisions about captions: named numbers, scored by a fitted model.

Lengths are in caption font sizes, so that features do not depend on the scale of the page. Most
features are 0 or 1. Features named "over_…" increase linearly above a threshold and are capped.
"""

import re
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from statistics import median

import numpy as np

from cephalo.dataset_scripts.common.geometry import Box
from cephalo.dataset_scripts.pdf.labels import WORD_ALONE, kind_of, match_label, number_of
from cephalo.dataset_scripts.pdf.layout import Block, PageContent
from cephalo.dataset_scripts.pdf.profile import TypeProfile
from cephalo.dataset_scripts.pdf.rows import Rows, box_of
from cephalo.dataset_scripts.pdf.text import Line

# End of a sentence, or of an entry in a list of figures: leaders and a page number.
_SENTENCE_END = re.compile(
    r"[.!?\u3002:;]\W{0,3}$|(?:[.\u2026\u00b7\u2022\u2027\ua78f]\s*){5,}\d{1,4}$"
)
# End of a row with an unfinished sentence: a comma, an article, a preposition, "and".
_DANGLING = re.compile(
    r"(?:[,(]|\b(?:the|an?|of|and|or|in|to|with|for|by|from|at|on|as|is|are|was|were|that|which"
    r"|between|than|der|die|das|und|von|mit|für|im|des|du|de|la|les?|et|en|el|los|del|y|da|do))$",
    re.I,
)
_END = 20  # characters searched by these two patterns, at the end of a text
_SIGN = re.compile(r"[^\W_]")


@dataclass(frozen=True)
class Parameters:
    """Limits used by the features of rows and their surroundings."""

    rule: float = 2.5  # points; a graphic of smaller height is a rule
    nearer: float = 1.2  # ratio; steps that differ by less are equal leadings, one with an index
    same_size: float = 0.04  # relative difference; smaller ones come from rounding


P = Parameters()


@dataclass
class PageText:
    """The text of a page as input of the line decisions.

    Attributes:
        page: Content of the page.
        profile: Type of the body text.
        blocks: Blocks of text on the page.
    """

    page: PageContent
    profile: TypeProfile
    blocks: list[Block]

    @cached_property
    def rows(self) -> Rows:
        """The upright lines of the page, sorted by baseline."""
        return Rows(self.page.lines)

    @cached_property
    def block_of(self) -> dict[int, Block]:
        """The block of each line, by the id of the line."""
        return {id(line): block for block in self.blocks for line in block.lines}

    @cached_property
    def rules(self) -> np.ndarray:
        """Boxes of horizontal rules, of shape (n, 4), in points."""
        boxes = self.page.boxes
        flat = boxes[:, 3] - boxes[:, 1] < P.rule
        return boxes[flat & (boxes[:, 2] - boxes[:, 0] > 3 * self.profile.size)]

    @cached_property
    def solid(self) -> np.ndarray:
        """Boxes of graphics except rules and graphics as large as the page, of shape (n, 4)."""
        boxes = self.page.boxes
        high, wide = boxes[:, 3] - boxes[:, 1], boxes[:, 2] - boxes[:, 0]
        large = (high > 0.93 * self.page.height) & (wide > 0.93 * self.page.width)
        return boxes[(high >= P.rule) & ~large]

    def column_of(self, box: Box) -> tuple[float, float]:
        """Return the x range of the column in which a box begins, or of the page."""
        slack = self.profile.size
        inside = (c for c in self.page.columns if c[0] - slack < box[0] < c[1])
        return next(inside, (0.0, self.page.width))

    def is_body(self, line: Line) -> bool:
        """Return whether a line has the font and size of the body text."""
        profile = self.profile
        return abs(line.size - profile.size) < 0.06 * profile.size and (
            line.font in profile.fonts or not profile.fonts
        )

    def fills_column(self, line: Line) -> bool:
        """Return whether a body line begins at the left edge of a column and has its width."""
        size = self.profile.size
        return self.is_body(line) and any(
            abs(line.box[0] - a) < 2 * size and line.box[2] - line.box[0] > 0.85 * (b - a)
            for a, b in self.page.columns
        )


@dataclass
class Growing:
    """A caption whose rows are being collected, from top to bottom.

    Attributes:
        kind: Kind of the figure, such as "figure" or "table".
        text: The page.
        rows: Rows so far. Each is a list of pieces from left to right.
        segment: Index of the first row in the present column.
        usual: Faces (font and size) of the other captions of the document.
    """

    kind: str
    text: PageText
    rows: list[list[Line]]
    segment: int = 0
    usual: frozenset[tuple[str, float]] = frozenset()
    reasons: list[tuple[str, float]] = field(default_factory=list)

    @property
    def lines(self) -> list[Line]:
        """All lines so far, in reading order."""
        return [line for row in self.rows for line in row]

    @property
    def last(self) -> Line:
        """The last line so far."""
        return self.rows[-1][-1]

    @property
    def own(self) -> list[list[Line]]:
        """The rows in the present column."""
        return self.rows[self.segment :]

    @property
    def span(self) -> tuple[float, float]:
        """The x range of the rows in the present column, in points."""
        box = box_of([line for row in self.own for line in row])
        return box[0], box[2]

    @property
    def string(self) -> str:
        """The text so far, with lines joined by spaces."""
        return " ".join(line.text for line in self.lines)

    @property
    def label_only(self) -> bool:
        """Whether the caption so far consists of the label alone."""
        string = self.string
        match = match_label(string)
        if match is None:
            return WORD_ALONE.fullmatch(string) is not None
        return not _SIGN.search(string, match.end())

    def steps(self) -> list[float]:
        """Return the baseline distances between rows in the present column, in points."""
        bases = [max(line.box[3] for line in row) for row in self.own]
        return [b - a for a, b in pairwise(bases)]


def face_of(line: Line) -> tuple[str, float]:
    """Return the font and the size of a line, rounded to half a point."""
    return line.font, round(line.size * 2) / 2


def row_features(caption: Growing, row: list[Line], level: list[Line]) -> dict[str, float]:
    """Return the features for the decision whether a caption continues in the row below it.

    Args:
        caption: The caption so far.
        row: Candidate row.
        level: All lines at the height of the row, including its own.
    """
    text = caption.text
    head, last = row[0], caption.last
    size = max(last.size, 1.0)
    left, right = caption.span
    x0, _, x1, base = box_of(row)
    face = type_features(caption, row)
    words = text_features(caption, row)
    alone = caption.label_only
    room = last.box[2] + 0.25 * size + head.first_word < max(right, x1)
    ended = words["ended"]
    middle = abs((x0 + x1) - (left + right)) / 2 < 0.6 * size
    changed = face["size_differs"] or face["turns_body"] or face["turns_bold"]
    in_order = head.continues(last)
    crossed = _between(text.rules, (left, right), last, base, size)
    cells = min(len(level) - len(row), 3) / 3 if _apart(level, row, right) else 0.0
    wider = len(caption.own) == 1 and x1 > right + 1.2 * size and not middle
    several = len(caption.own) > 1
    centred = several and _is_centred(caption.own, size)
    found = _distance_features(caption, (x0, x1), base, size) | {
        "ended": ended,
        "dangling": words["dangling"],
        "lower": words["lower"],
        "lower_unfinished": words["lower"] and not ended,
        "own_label": words["own_label"],
        "own_label_after_end": words["own_label"] and ended,
        "label_in_order": words["own_label"] and in_order,
        "size_far": face["size_far"],
        "stays_body": face["stays_body"],
        "fills_column": face["fills_column"],
        "stays_column": face["stays_column"],
        "usual_face": face["usual_face"],
        "unusual_face": face["unusual_face"],
        "same_type": not (changed or face["new_font"]),
        "changed_after_end": changed and ended,
        "full": not room,
        # A label without text leaves room on its line for the text below it.
        "room": room and not alone,
        "room_inside": room and not alone and not ended,
        "wider_than_first": wider and not alone,
        "flush": abs(x0 - left) < 0.35 * size,
        "centred": middle and abs(x0 - left) >= 0.35 * size and not several,
        "keeps_centre": centred and middle,
        "breaks_centre": centred and not middle,
        "room_after_end": room and not alone and ended,
        "far_right": x0 - left > 4 * size and not middle,
        "outdented": x0 - left < -0.35 * size and not middle,
        "in_order": in_order,
        "in_order_ended": in_order and ended and room,
        "elsewhere": head.span[0] < caption.lines[0].span[0] or head.span[0] - last.span[1] > 400,
        "same_block": text.block_of.get(id(head)) is text.block_of.get(id(last)) is not None,
        "cells": cells,
        "rule_between": crossed,
    }
    if alone:
        found["over_first"] = 0.0
    if caption.kind == "table":
        found |= {"table_room": found["room"], "table_rule": crossed}
    return {name: float(value) for name, value in found.items()}


def _distance_features(
    caption: Growing, span: tuple[float, float], base: float, size: float
) -> dict[str, float]:
    """Return features of the distance between the caption and a row with the x range `span`.

    The distance is relative to the caption's own leading or, in its first row, to the usual
    leading.
    """
    step = base - max(line.box[3] for line in caption.rows[-1])
    nearer = _any_line(caption.text.rows, span, base + 0.4 * size, base + step / P.nearer)
    found: dict[str, float] = {"nearer_below": nearer}
    steps = caption.steps()
    if steps:
        own = median(steps)
        over = min(max(step / own - 1.08, 0.0), 1.0)
        return found | {"over_own": over, "far_own": float(step > 1.3 * own)}
    profile = caption.text.profile
    leading = profile.leading / profile.size * size
    return found | {
        "over_first": min(max(step / (1.25 * size) - 1.0, 0.0), 1.5),
        "far_first": float(step > 1.3 * max(leading, 1.2 * size)),
    }


def _any_line(rows: Rows, span: tuple[float, float], low: float, high: float) -> bool:
    """Return whether a line in an x range has its baseline between two heights."""
    return any(line.box[0] < span[1] and line.box[2] > span[0] for line in rows.between(low, high))


def type_features(caption: Growing, row: list[Line]) -> dict[str, float]:
    """Compare font and size of a row with the caption, the body and other captions."""
    text = caption.text
    main = max(row, key=lambda line: len(line.text))
    lines = caption.lines
    fonts = {line.font for line in lines} | {line.lead for line in lines}
    sizes = [line.size for line in lines if len(line.text) > 3] or [lines[0].size]
    change = min(abs(main.size - size) / size for size in sizes)
    body = text.is_body(main)
    body_caption = any(text.is_body(line) for line in lines)
    known = bool(caption.usual)
    return {
        "size_differs": change > P.same_size,
        "size_far": change > 0.12,
        "new_font": main.font not in fonts,
        "turns_bold": row[0].bold and not caption.last.bold,
        "turns_body": body and not body_caption,
        "stays_body": body and body_caption,
        "fills_column": text.fills_column(main) and not body_caption,
        "stays_column": text.fills_column(main) and body_caption,
        "usual_face": known and face_of(main) in caption.usual,
        "unusual_face": known and face_of(main) not in caption.usual,
    }


def text_features(caption: Growing, row: list[Line]) -> dict[str, float]:
    """Return features of the words: an unfinished sentence, a label at the start of the row."""
    head = row[0].text
    end = caption.string.rstrip()[-_END:]
    return {
        "ended": bool(_SENTENCE_END.search(end)),
        "dangling": bool(_DANGLING.search(end)),
        "lower": head[:1].islower(),
        "own_label": _has_other_label(caption, row[0]),
    }


def _has_other_label(caption: Growing, head: Line) -> bool:
    """Return whether a row begins with a label other than the caption's.

    A note below a title may repeat the caption's own label: "Figure 1 shows ...". Running text may
    do so too.
    """
    match = match_label(head.text)
    if match is None:
        return False
    own = match_label(caption.rows[0][0].text)
    again = own and (kind_of(own), number_of(own)) == (kind_of(match), number_of(match))
    return not again or caption.text.is_body(head)


def _is_centred(rows: list[list[Line]], size: float) -> bool:
    """Return whether rows are centred: equal centres but different left edges."""
    boxes = [box_of(row) for row in rows]
    middles = [(box[0] + box[2]) / 2 for box in boxes]
    lefts = [box[0] for box in boxes]
    return max(middles) - min(middles) < 0.8 * size and max(lefts) - min(lefts) > 0.5 * size


def _apart(level: list[Line], row: list[Line], right: float) -> bool:
    """Return whether other lines are beside the row within the caption's width, as in a table."""
    inside = {id(line) for line in row}
    return any(id(line) not in inside and line.box[0] < right for line in level)


def _between(
    boxes: np.ndarray, span: tuple[float, float], last: Line, base: float, size: float
) -> bool:
    """Return whether a box is between the last line and a row with the baseline `base`."""
    if not len(boxes):
        return False
    top, bottom = last.box[3] - 0.3 * size, base - 0.3 * size
    inside = (boxes[:, 1] > top) & (boxes[:, 3] < bottom)
    inside &= (boxes[:, 0] < span[1]) & (boxes[:, 2] > span[0])
    return bool(inside.any())
