"""Tables: the region of a table, from its caption, its rules and its rows."""

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
    """How far a table goes from its caption. Lengths are in points if not said else."""

    rule: float = 2.5  # a graphic that is less high is a rule
    rule_width: float = 5.0  # font sizes of the body; a shorter one underlines a word
    ruled_lines: float = 3.0  # leadings; the rule that tells a table's width is no farther
    gap: float = 2.2  # leadings; the next row is no farther, with one empty line between groups
    touch: float = 2.0  # by which boxes of a caption and of its table overlap
    inside: float = 0.5  # of a row's width that lies in the table's
    slack: float = 2.0  # font sizes of the body, by which a row may stick out
    last_rule: float = 1.0  # by which a row may stick out of the last rule
    rows: int = 2  # fewer are a note under a caption
    pictures: float = 3.0  # leadings; a table that is a picture begins no farther
    same_size: float = 0.06  # of the body's size, by which running text differs from it
    running_width: float = 0.85  # of a column, that running text fills


P = Parameters()


def find_tables(scene: Scene, pairs: list[Pair]) -> list[Pair]:
    """The tables of a page: for each caption of a table the rows and rules under or over it.

    `pairs` are those that were found by graphics; a table among them (a picture, a grid) keeps
    what it has. A caption without rows gives none.
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
    """The x range in which the rows of a table are looked for."""
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
    """The rule nearest to a caption; None where none is near."""
    cap = caption.box
    best, nearest = None, P.ruled_lines * body.leading
    for rule in page.boxes[_flat(page.boxes, body)].tolist():
        gap = max(rule[1] - cap[3], cap[1] - rule[3])
        if -P.touch < gap < nearest and overlap_x(tuple(rule), cap) > 0:
            best, nearest = tuple(rule), gap
    return best


def _flat(boxes: np.ndarray, body: TypeProfile) -> np.ndarray:
    """Which boxes (n, 4) are horizontal rules: boolean (n,)."""
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
    """Rows and rules one after another from a caption, down or up; None where there are none.

    Running text, another caption or figure, or a gap ends them.
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
    if len(flat) > 1:  # what follows the last rule is a note or the text
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
    """Whether a block is text of the body: in its type, filled to the width of a column."""
    size = block.lines[0].size
    width = block.box[2] - block.box[0]
    column = min((b - a for a, b in page.columns), default=page.width)
    return abs(size - body.size) < P.same_size * body.size and width > P.running_width * column
