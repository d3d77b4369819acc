"""Features of the place of a candidate caption: the lines and graphics around it."""

from dataclasses import dataclass

import numpy as np

from cephalo.dataset_scripts.common.geometry import overlap_x
from cephalo.dataset_scripts.pdf.caption_features import Growing, PageText
from cephalo.dataset_scripts.pdf.text import Line


@dataclass(frozen=True)
class Parameters:
    """Limits of the place features, in caption font sizes."""

    near: float = 4.0  # largest distance between a caption and graphics near it


P = Parameters()


def place_features(growing: Growing, line: Line) -> dict[str, float]:
    """Return features of the lines above a candidate and of the graphics near it."""
    text, size = growing.text, line.size
    box = line.box
    block = text.block_of.get(id(line))
    index = next((k for k, other in enumerate(block.lines) if other is line), 0) if block else 0
    above = block.lines[index - 1] if block and index else None
    full = bool(above and block and above.box[2] > block.box[2] - 2 * size)
    left = [o for o in text.rows.level(line) if 0 <= box[0] - o.box[2] < 2 * size]
    graphics = _near_graphics(text.solid, growing, size)
    return {
        "first_in_block": index == 0,
        "above_full": full and above is not None and abs(above.size - size) < 0.08 * size,
        "above_in_order": above is not None and line.continues(above),
        "free_above": not lines_above(text, line),
        "text_left": bool(left),
        **graphics,
    }


def lines_above(text: PageText, line: Line) -> list[Line]:
    """Return the lines in the row above a line."""
    size, box = line.size, line.box
    over = text.rows.between(box[3] - 3.4 * size, box[3] - 0.4 * size)
    return [other for other in over if overlap_x(other.box, box) > 0]


def _near_graphics(boxes: np.ndarray, growing: Growing, size: float) -> dict[str, float]:
    """Return whether graphics end just above a caption, begin just below it, or are beside it."""
    if not len(boxes):
        return {}
    lines = growing.lines
    x0, y0 = (min(line.box[k] for line in lines) for k in (0, 1))
    x1, y1 = (max(line.box[k] for line in lines) for k in (2, 3))
    large = (boxes[:, 2:] - boxes[:, :2]).max(axis=1) > 2 * size
    boxes = boxes[large]
    across = (boxes[:, 0] < x1) & (boxes[:, 2] > x0)
    down = (boxes[:, 1] < y1) & (boxes[:, 3] > y0)
    reach = P.near * size
    over = across & (boxes[:, 3] <= y0 + size) & (boxes[:, 3] > y0 - reach)
    under = across & (boxes[:, 1] >= y1 - size) & (boxes[:, 1] < y1 + reach)
    left, right = boxes[:, 0] - x1, x0 - boxes[:, 2]
    beside = down & (np.maximum(left, right) < reach) & (np.maximum(left, right) >= -size)
    return {
        "graphics_above": float(over.any()),
        "graphics_below": float(under.any()),
        "graphics_beside": float(beside.any()),
    }
