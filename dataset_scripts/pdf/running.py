"""Which lines of a page are running text, and which may be of a figure: a fitted decision.

Running text is what no figure crosses: paragraphs, headings, formulas, tables. Text of a figure is
labels, legends, names of axes, captions of panels; it may be long, and set in the type of the body.
"""

from collections import Counter

import numpy as np

from cephalo.dataset_scripts.pdf.geometry import Box
from cephalo.dataset_scripts.pdf.layout import Block, PageContent
from cephalo.dataset_scripts.pdf.profile import TypeProfile
from cephalo.dataset_scripts.pdf.text import Line

_SENTENCE_ENDS = (".", "\u3002", ";", ":")
_WIDE = 0.72  # of the font size; the mean width of a character, where gaps part labels in a row


def running_features(
    page: PageContent, profile: TypeProfile, blocks: list[Block], graphics: list[Box]
) -> list[dict[str, float]]:
    """Features of "this line is running text", for the lines of `blocks` in their order.

    `graphics` are the boxes of connected graphics on the page.
    """
    lines = [line for block in blocks for line in block.lines]
    if not lines:
        return []
    inside, gap = _near_graphics(np.array([line.box for line in lines]), graphics)
    inner = Counter(_face(line) for line, own in zip(lines, inside, strict=True) if own)
    found = []
    numbers = iter(range(len(lines)))
    for block in blocks:
        shared = _block_features(page, profile, block)
        for index, line in enumerate(block.lines):
            k = next(numbers)
            found.append(shared | _line_features(page, profile, block, index))
            found[-1] |= {
                "in_graphics": float(inside[k]),
                "in_graphics_block": float(inside[k]) * shared["block_rows"],
                "at_graphics": float(gap[k] < 0.5 * profile.size),
                "near_graphics": float(gap[k] < 1.5 * profile.size),
                "far_graphics": float(gap[k] > 4 * profile.size),
                "face_of_labels": min(inner[_face(line)] - inside[k], 4) / 4,
            }
    return found


def _near_graphics(lines: np.ndarray, graphics: list[Box]) -> tuple[np.ndarray, np.ndarray]:
    """Which of `lines` (n, 4) lie in a graphic, and how far each is from the nearest, in points."""
    inside = np.zeros(len(lines), bool)
    gap = np.full(len(lines), np.inf)
    own = np.maximum((lines[:, 2:] - lines[:, :2]).prod(axis=1), 1e-6)
    for x0, y0, x1, y1 in graphics:
        across = np.maximum(lines[:, 0] - x1, x0 - lines[:, 2])
        down = np.maximum(lines[:, 1] - y1, y0 - lines[:, 3])
        gap = np.minimum(gap, np.maximum(np.maximum(across, down), 0.0))
        width = np.minimum(lines[:, 2], x1 + 1) - np.maximum(lines[:, 0], x0 - 1)
        height = np.minimum(lines[:, 3], y1 + 1) - np.maximum(lines[:, 1], y0 - 1)
        inside |= (width > 0) & (height > 0) & (width * height > 0.9 * own)
    return inside, gap


def _block_features(page: PageContent, profile: TypeProfile, block: Block) -> dict[str, float]:
    x0, _, x1, _ = block.box
    column = min((b - a for a, b in page.columns), default=page.width)
    flush = any(abs(x0 - a) < 0.3 * profile.size for a, _ in page.columns)
    filled = any(
        abs(x0 - a) < 2.5 * profile.size and abs(x1 - b) < profile.size for a, b in page.columns
    )
    return {
        "paragraph": float(block.paragraph),
        "block_rows": min(len(block.lines) - 1, 5) / 5,
        "block_narrow": float(x1 - x0 < 0.4 * column),
        "block_flush": float(flush),
        "block_fills": float(filled),
    }


def _line_features(
    page: PageContent, profile: TypeProfile, block: Block, index: int
) -> dict[str, float]:
    line = block.lines[index]
    text = line.text
    width = line.box[2] - line.box[0]
    body = abs(line.size - profile.size) < 0.06 * profile.size
    in_font = line.font in profile.fonts or not profile.fonts
    flush = any(abs(line.box[0] - a) < 0.3 * profile.size for a, _ in page.columns)
    ends = any(abs(line.box[2] - b) < 0.5 * profile.size for _, b in page.columns)
    middle = any(
        abs(line.box[0] + line.box[2] - a - b) < profile.size and not flush for a, b in page.columns
    )
    letters = sum(map(str.isalpha, text))
    above = block.lines[index - 1] if index else None
    found = {
        "long": len(text) > 25,
        "length": min(len(text), 80) / 80,
        "tiny_text": len(text) < 4,
        "body_size": body,
        "body_type": body and in_font,
        "body_type_long": body and in_font and len(text) > 25,
        "smaller": line.size < 0.93 * profile.size,
        "larger": line.size > 1.06 * profile.size,
        "bold": line.bold,
        "flush": flush,
        "flush_both": flush and ends,
        "ends_flush": ends,
        "centred": middle,
        "spread": width > _WIDE * line.size * max(len(text), 1) and len(text) > 8,
        "numerals": letters < 0.3 * len(text),
        "lower": text[:1].islower(),
        "sentence_end": text.endswith(_SENTENCE_ENDS) and len(text) > 8,
        "goes_on": above is not None and line.continues(above),
        "alone": len(block.lines) == 1,
    }
    return {name: float(value) for name, value in found.items()}


def _face(line: Line) -> tuple[str, float]:
    return line.font, round(line.size * 2) / 2
