"""Find the region of a table from its caption, rules and rows."""

from dataclasses import dataclass

import numpy as np

from cephalo.dataset_scripts.common.geometry import Box, hits, overlap_x, union
from cephalo.dataset_scripts.pdf.captions import Caption
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


P = Parameters()


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
        window = _window(caption, page, body)
        box = None
        for down in (True, False):
            box = _rows(caption.box, window, page, blocks, others, body, down)
            if box:
                break
        own = drawn.get(id(caption))
        boxes = [found for found in (box, own.box if own else None) if found]
        if boxes:
            side = "below" if boxes[0][1] >= caption.box[1] else "above"
            tables.append(Pair(caption, union(boxes), side, own.atoms if own else [], []))
    return tables


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
