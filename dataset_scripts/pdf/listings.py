"""Figures that are text alone: programs, or a framed text, above or under a caption."""

import re

import numpy as np

from cephalo.dataset_scripts.pdf.captions import Caption
from cephalo.dataset_scripts.pdf.geometry import Box, area, hits, union
from cephalo.dataset_scripts.pdf.layout import Block, PageContent, in_one_column
from cephalo.dataset_scripts.pdf.pairing import ABOVE, BELOW, Pair
from cephalo.dataset_scripts.pdf.profile import TypeProfile
from cephalo.dataset_scripts.pdf.regions import Scene
from cephalo.dataset_scripts.pdf.text import Line

# Faces in which all characters are equally wide, as programs are printed.
_TYPEWRITER = re.compile(r"mono|nimbusmon|courier|typewriter|consol|menlo|cmtt|lmtt", re.I)
_ROWS = 3  # fewer are a formula, or what is left of a paragraph
_FIRST, _NEXT = 3.0, 2.2  # of the leading: how far the first row is, and one row from another


def find_listings(scene: Scene, pairs: list[Pair]) -> list[Pair]:
    """Pairs for the captions of figures that have none among `pairs`, the page's own.

    A frame around text next to the caption is the figure; else the lines are that follow each
    other from the caption, up to running text, another caption or another figure. Of `pairs`,
    those that have only a part of a frame, as its coloured head, get all of it.
    """
    page, captions, blocks, body = scene.page, scene.captions, scene.blocks, scene.profile
    drawn = {id(pair.caption): pair for pair in pairs}
    found = []
    for caption in captions:
        own = drawn.get(id(caption))
        if caption.kind != "figure" or not caption.text:
            continue
        others = [other.box for other in captions if other is not caption]
        others += [pair.box for pair in pairs + found if pair is not own]
        for side in (ABOVE, BELOW):
            frame = _frame(caption, side, page, blocks, others, body, own)
            if own:
                own.box = frame or own.box
                continue
            lines = [] if frame else _rows(caption, side, page, blocks, others, body)
            if frame or lines:
                box = frame or union([line.box for line in lines])
                found.append(Pair(caption, box, side, [], lines))
                break
    return found


def _frame(
    caption: Caption,
    side: str,
    page: PageContent,
    blocks: list[Block],
    others: list[Box],
    body: TypeProfile,
    part: Pair | None,
) -> Box | None:
    """The largest graphic next to a caption that holds text, and no caption or other figure.

    And that holds `part`, all but the edges, where the caption has a figure already.
    """
    cap = caption.box
    x0, y0, x1, y1 = page.boxes.T
    gap = cap[1] - y1 if side == ABOVE else y0 - cap[3]
    fits = (gap > -2) & (gap < _FIRST * body.leading)
    fits &= (y1 - y0 > _ROWS * body.leading) & (y1 - y0 < 0.9 * page.height)
    fits &= np.minimum(x1, cap[2]) - np.maximum(x0, cap[0]) > 0.5 * (cap[2] - cap[0])
    if part:
        left, top, right, bottom = part.box
        fits &= (x0 < left + 2) & (y0 < top + 2) & (x1 > right - 2) & (y1 > bottom - 2)
        fits &= (x1 - x0) * (y1 - y0) > 1.5 * area(part.box)
    if not fits.any():
        return None
    lines = np.array([line.box for block in blocks for line in block.lines]).reshape(-1, 4)
    walls = np.array(others).reshape(-1, 4)
    frames = []
    for frame in map(tuple, page.boxes[fits].tolist()):
        between = (frame[0], frame[3], frame[2], cap[1])
        if side == BELOW:
            between = (frame[0], cap[3], frame[2], frame[1])
        rows = hits(lines, frame).sum()
        if rows >= _ROWS and not hits(walls, frame).any() and not hits(lines, between).any():
            frames.append(frame)
    return max(frames, key=area, default=None)


def _rows(
    caption: Caption,
    side: str,
    page: PageContent,
    blocks: list[Block],
    others: list[Box],
    body: TypeProfile,
) -> list[Line]:
    """The lines of a listing on one side of a caption; none where they are no listing."""
    cap = caption.box
    left, right = in_one_column(cap, page) or (0.0, page.width)
    pieces: list[tuple[Box, Line | None]] = [(box, None) for box in others]
    for block in blocks:
        pieces += [(line.box, line if _is_row(line, block, body) else None) for line in block.lines]
    rules = page.boxes[page.boxes[:, 3] - page.boxes[:, 1] < 2.5].tolist()
    pieces += [(tuple(rule), None) for rule in rules if rule[2] - rule[0] > 0.5 * (right - left)]
    # Distances down the page, or up it.
    sign, start = (1, cap[3]) if side == BELOW else (-1, -cap[1])
    spans = [
        (*sorted((sign * box[1], sign * box[3])), line)
        for box, line in pieces
        if min(box[2], right) - max(box[0], left) > 0.5 * min(box[2] - box[0], right - left)
    ]
    taken: list[Line] = []
    edge = start
    for near, far, line in sorted(spans, key=lambda span: span[:2]):
        if far < start + 2 or (line is None and far - near < 2.5 and len(taken) < _ROWS):
            continue
        if line is None or near - edge > (_NEXT if taken else _FIRST) * body.leading:
            break
        taken.append(line)
        edge = max(edge, far)
    rows = {round(line.box[3] / 2) for line in taken}
    return taken if len(rows) >= _ROWS else []


def _is_row(line: Line, block: Block, body: TypeProfile) -> bool:
    """Whether a line may be of a listing: in a typewriter's face, or not in that of the body."""
    if _TYPEWRITER.search(line.font):
        return True
    if line.size > 1.05 * body.size or block.paragraph:
        return False
    if line.size < 0.95 * body.size:
        return True  # also bold: key words of a program, heads of a table
    return not line.bold and line.font not in body.fonts
