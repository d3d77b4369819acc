"""Trim white margins of images.

Some images have white margins that overlap their caption and the text below. Without trimming, such
an image would seem to be behind the text, and not a figure.
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from cephalo.dataset_scripts.common.geometry import hits
from cephalo.dataset_scripts.common.pixels import ink_box
from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf import rendering
from cephalo.dataset_scripts.pdf.graphics import IMAGE, Graphics
from cephalo.dataset_scripts.pdf.labels import match_label
from cephalo.dataset_scripts.pdf.text import Line

_SENTENCE = 40  # characters; a longer line, or a label, is not part of an image
_DPI = 72  # one pixel per point
_MOST = 20  # images rendered per page; a page with more under text is a mosaic


def trim_pictures(page: fast.Page, lines: list[Line], graphics: Graphics) -> Graphics:
    """Trim images behind text to their visible part outside the text.

    Completely white images are removed. Other images are not rendered, to save time.

    Args:
        page: Page of pdfium.
        lines: Lines of text.
        graphics: Graphics of the page.
    """
    pictures = np.flatnonzero(graphics.kinds == IMAGE)
    if not len(pictures):
        return graphics
    texts = [line for line in lines if len(line.text) >= _SENTENCE or match_label(line.text)]
    if not texts:
        return graphics
    edges = np.array([line.box for line in texts if not line.quarters]).reshape(-1, 4)
    boxes, keep = graphics.boxes.copy(), np.ones(len(graphics.boxes), bool)
    behind = [k for k in pictures if _held(boxes[k], edges).any()]
    for number in behind[:_MOST]:
        box = _ink(page, boxes[number], edges, lines)
        keep[number] = box is not None
        boxes[number] = boxes[number] if box is None else box
    return replace(graphics, boxes=boxes[keep], kinds=graphics.kinds[keep])


def _held(box: np.ndarray, lines: np.ndarray) -> np.ndarray:
    """Return which lines (n, 4) are inside a box, as bool of shape (n,)."""
    inside = (lines[:, :2] >= box[:2] - 1) & (lines[:, 2:] <= box[2:] + 1)
    return np.all(inside, axis=1)


def _ink(
    page: fast.Page, box: np.ndarray, texts: np.ndarray, lines: list[Line]
) -> np.ndarray | None:
    """Return the box of ink between two of the `texts` (n, 4) in a box, except `lines`.

    The gap with the most ink is used. Returns `None` without ink.
    """
    pixels, dpi = rendering.render(page, tuple(box.tolist()), _DPI)
    scale, corner = dpi / 72.0, np.tile(box[:2], 2)
    pixels = pixels.copy()
    own = np.array([line.box for line in lines if not line.quarters]).reshape(-1, 4)
    for x0, y0, x1, y1 in (own[hits(own, tuple(box))] - corner) * scale:
        rows = slice(max(0, int(y0) - 1), max(0, int(y1) + 2))
        pixels[rows, max(0, int(x0) - 1) : max(0, int(x1) + 2)] = 255
    cuts = np.sort((texts[_held(box, texts)] - corner)[:, [1, 3]].ravel() * scale)
    edges = np.rint([0, *cuts, len(pixels)]).astype(int).clip(0, len(pixels)).tolist()
    bands = [(top, pixels[top:bottom]) for top, bottom in pairwise(edges) if bottom > top]
    top, band = max(bands, key=lambda band: (band[1].min(axis=2) < fast.WHITE).sum())
    ink = ink_box(band)
    if ink is None:
        return None
    left, upper, right, lower = ink
    return np.array([left, top + upper, right, top + lower]) / scale + corner
