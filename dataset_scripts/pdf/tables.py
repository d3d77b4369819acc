"""Find the region of a table from its caption, rules and rows."""

import re
from dataclasses import dataclass

import numpy as np

from cephalo.dataset_scripts.common.geometry import Box, hits, overlap_x, union
from cephalo.dataset_scripts.pdf.captions import Caption
from cephalo.dataset_scripts.pdf.labels import CONTINUED
from cephalo.dataset_scripts.pdf.layout import Block, PageContent, in_one_column
from cephalo.dataset_scripts.pdf.pairing import Pair
from cephalo.dataset_scripts.pdf.profile import TypeProfile
from cephalo.dataset_scripts.pdf.regions import Scene


@dataclass(frozen=True)
class Parameters:
    """Limits for the extent of a table. Lengths are in points unless stated otherwise."""

    rule: float = 2.5  # a graphic of smaller height is a rule
    rule_width: float = 5.0  # body font sizes; a shorter rule underlines a word
    ruled_lines: float = 3.0  # leadings; largest distance of the first rule
    gap: float = 2.2  # leadings; largest gap between rows: one empty line
    touch: float = 2.0  # largest overlap of the boxes of a caption and its table
    inside: float = 0.5  # smallest share of a row's width inside the table
    slack: float = 2.0  # body font sizes by which a row may exceed the table
    last_rule: float = 1.0  # by which a row may exceed the last rule
    rows: int = 2  # fewer rows are a note below a caption
    pictures: float = 3.0  # leadings; largest distance of a table that is an image
    same_size: float = 0.06  # relative tolerance of the size of running text
    running_width: float = 0.85  # share of a column's width filled by running text
    level: float = 1.0  # leadings; largest distance of tops of a caption and a table beside it
    beside: float = 4.0  # body font sizes; largest gap between them


P = Parameters()
_CONTINUED_AFTER = re.compile(r"[(\[]cont(?:inued|['\u2019]?d)?\.?[)\]]\W*$", re.I)


def find_tables(scene: Scene, pairs: list[Pair]) -> list[Pair]:
    """Find the tables of a page: for each caption, the rows and rules above or below it.

    Tables among `pairs`, found by their graphics (an image, a grid), keep these. A caption without
    rows gives no table.

    Args:
        scene: The page.
        pairs: Pairs of the page found so far.
    """
    page, captions, blocks, body = scene.page, scene.captions, scene.blocks, scene.profile
    drawn = {id(pair.caption): pair for pair in pairs}
    tables = []
    for caption in captions:
        if caption.kind != "table":
            continue
        others = [other.box for other in captions if other is not caption]
        others += [pair.box for pair in pairs if pair.caption is not caption]
        box = _region(caption, page, blocks, others, body)
        own = drawn.get(id(caption))
        boxes = [found for found in (box, own.box if own else None) if found]
        if boxes:
            side = "below" if boxes[0][1] >= caption.box[1] else "above"
            tables.append(Pair(caption, union(boxes), side, own.atoms if own else [], []))
    return tables


def without_later_parts(pairs: list[list[Pair]]) -> list[list[Pair]]:
    """Return the pairs of each page without the later parts of continued tables.

    A table is one row on any number of pages: the captions of the later parts are "(Continued)".
    """
    tables = [pair.caption for own in pairs for pair in own if pair.caption.kind == "table"]
    later = {id(caption) for caption in tables if _is_continued(caption)}
    begun = {caption.number for caption in tables if id(caption) not in later}
    return [
        [p for p in own if id(p.caption) not in later or p.caption.number not in begun]
        for own in pairs
    ]


def _is_continued(caption: Caption) -> bool:
    """Return whether a caption begins or ends with "(Continued)"."""
    return bool(CONTINUED.match(caption.text) or _CONTINUED_AFTER.search(caption.text))


def _region(
    caption: Caption, page: PageContent, blocks: list[Block], others: list[Box], body: TypeProfile
) -> Box | None:
    """Return the rows and rules beside, below or above the caption of a table, or `None`."""
    first = _rule_beside(caption, page, body)
    if first:
        top = (first[0], first[1], first[2], first[1])
        box = _rows(top, (first[0], first[2]), page, blocks, others, body, True)
        if box:
            return box
    window = _window(caption, page, body)
    below = _rows(caption.box, window, page, blocks, others, body, True)
    return below or _rows(caption.box, window, page, blocks, others, body, False)


def _rule_beside(caption: Caption, page: PageContent, body: TypeProfile) -> Box | None:
    """Return the first rule of a table to the right of its caption, or `None`.

    It begins level with the caption, closely beside it, and no rule is below the caption. Springer
    sets the captions of wide tables so.
    """
    cap = caption.box
    if _ruled(caption, page, body):
        return None
    rules = page.boxes[_flat(page.boxes, body)]
    gap = rules[:, 0] - cap[2]
    level = np.abs(rules[:, 1] - cap[1]) < P.level * body.leading
    wider = rules[:, 2] - rules[:, 0] > cap[2] - cap[0]
    fits = level & wider & (gap > -P.touch) & (gap < P.beside * body.size)
    return min(map(tuple, rules[fits].tolist()), key=lambda rule: rule[1], default=None)


def _window(caption: Caption, page: PageContent, body: TypeProfile) -> tuple[float, float]:
    """Return the x range in which the rows of a table are searched."""
    column = in_one_column(caption.box, page)
    left = min(a for a, _ in page.columns)
    right = max(b for _, b in page.columns)
    wide = _ruled(caption, page, body)
    if wide:
        return min(wide[0], caption.box[0]), max(wide[2], caption.box[2])
    if column:
        return min(column[0], caption.box[0]), max(column[1], caption.box[2])
    return min(left, caption.box[0]), max(right, caption.box[2])


def _ruled(caption: Caption, page: PageContent, body: TypeProfile) -> Box | None:
    """Return the rule nearest to a caption, `None` if none is near."""
    cap = caption.box
    best, nearest = None, P.ruled_lines * body.leading
    for rule in page.boxes[_flat(page.boxes, body)].tolist():
        gap = max(rule[1] - cap[3], cap[1] - rule[3])
        if -P.touch < gap < nearest and overlap_x(tuple(rule), cap) > 0:
            best, nearest = tuple(rule), gap
    return best


def _flat(boxes: np.ndarray, body: TypeProfile) -> np.ndarray:
    """Return which boxes (n, 4) are horizontal rules, as bool of shape (n,)."""
    return (boxes[:, 3] - boxes[:, 1] < P.rule) & (
        boxes[:, 2] - boxes[:, 0] > P.rule_width * body.size
    )


def _rows(
    cap: Box,
    window: tuple[float, float],
    page: PageContent,
    blocks: list[Block],
    others: list[Box],
    body: TypeProfile,
    down: bool,
) -> Box | None:
    """Return the box of consecutive rows and rules below or above a caption, or `None`.

    They end at running text, another caption or figure, or a gap.
    """
    slack = P.slack * body.size
    pieces: list[tuple[Box, bool]] = []
    for block in blocks:
        running = block.paragraph and _is_running(block, page, body)
        pieces += [(line.box, running) for line in block.lines]
    rules = page.boxes[_flat(page.boxes, body)]
    pieces += [(tuple(rule), False) for rule in rules.tolist()]
    pieces += [(box, True) for box in others]
    inside = [
        (box, stop)
        for box, stop in pieces
        if min(box[2], window[1]) - max(box[0], window[0]) > P.inside * (box[2] - box[0])
        and (box[1] > cap[3] - P.touch if down else box[3] < cap[1] + P.touch)
    ]
    inside.sort(key=lambda piece: piece[0][1] if down else -piece[0][3])
    edge = cap[3] if down else cap[1]
    taken: list[Box] = []
    for box, stop in inside:
        gap = box[1] - edge if down else edge - box[3]
        if stop or gap > P.gap * body.leading:
            break
        if box[0] < window[0] - slack or box[2] > window[1] + slack:
            continue
        taken.append(box)
        edge = max(edge, box[3]) if down else min(edge, box[1])
    flat = [box for box in taken if box[3] - box[1] < P.rule]
    if len(flat) > 1:  # text after the last rule is a note or running text
        last = max(box[3] for box in flat) if down else min(box[1] for box in flat)
        taken = [
            box
            for box in taken
            if (box[1] < last + P.last_rule if down else box[3] > last - P.last_rule)
        ]
    rows = len(taken) - len(flat)
    under = (window[0], cap[3], window[1], cap[3] + P.pictures * body.leading)
    if rows < P.rows and not (down and hits(page.boxes, under).any()):
        return None
    return union(taken) if taken else None


def _is_running(block: Block, page: PageContent, body: TypeProfile) -> bool:
    """Return whether a block is body text: in body type, with the width of a column."""
    size = block.lines[0].size
    width = block.box[2] - block.box[0]
    column = min((b - a for a, b in page.columns), default=page.width)
    return abs(size - body.size) < P.same_size * body.size and width > P.running_width * column
