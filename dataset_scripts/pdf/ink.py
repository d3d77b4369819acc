"""Deskew the image of a page, and separate its graphics from text."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from cephalo.dataset_scripts.pdf.atoms import merge_boxes
from cephalo.dataset_scripts.pdf.pieces import paper_level

_CELL = 1.5  # points; resolution at which graphics are found


@dataclass(frozen=True)
class Straight:
    """A page image with horizontal lines.

    Attributes:
        grey: Minimum of the three channels, so that all colours are dark. uint8 of shape (height,
            width).
        scale: Pixels per point.
        quarters: Clockwise quarter turns from the displayed page.
        skew: Clockwise rotation after the quarter turns that was undone, in radians.
    """

    grey: np.ndarray
    scale: float
    quarters: int
    skew: float

    def to_points(self, boxes: np.ndarray, anchors: np.ndarray | None = None) -> np.ndarray:
        """Convert boxes (n, 4) from pixels to points on the page before deskewing.

        A box keeps its size, so that horizontal lines stay horizontal. It moves with its centre or,
        given `anchors` (n,), with the point at that x and the y of its centre.
        """
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        if anchors is not None:
            middle[:, 0] = anchors
        before = middle
        height, width = self.grey.shape
        centre = np.array([width, height]) / 2
        cos, sin = np.cos(self.skew), np.sin(self.skew)
        middle = (middle - centre) @ np.array([[cos, sin], [-sin, cos]]) + centre
        return (boxes + np.tile(middle - before, 2)) / self.scale


def straighten(grey: np.ndarray, scale: float, quarters: int, skew: float) -> Straight:
    """Rotate an image, uint8 of shape (height, width), by quarter turns, and undo its skew."""
    grey = np.ascontiguousarray(np.rot90(grey, -quarters))
    if abs(skew) > 5e-4:  # less is half a point across a page
        image = Image.fromarray(grey)
        paper = int(paper_level(grey))
        turned = image.rotate(np.degrees(skew), Image.Resampling.BILINEAR, fillcolor=paper)
        grey = np.asarray(turned)
    else:
        skew = 0.0
    return Straight(grey, scale, quarters % 4, skew)


def find_graphics(picture: Straight, text: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the boxes of ink that is not text, of shape (n, 4) in pixels, and their fill, 0 to 1.

    Ink is darker than the paper by more than the noise, in cells of `_CELL` points. Specks and the
    shadows at the edges of a scan are dropped.
    """
    cell = max(1, round(_CELL * picture.scale))
    rows, columns = (side // cell for side in picture.grey.shape)
    if not rows or not columns:
        return np.zeros((0, 4)), np.zeros(0)
    grey = picture.grey[: rows * cell, : columns * cell].astype(np.float32)
    paper = paper_level(picture.grey)
    outwards = np.array([-0.25, -0.25, 0.25, 0.25]) * cell
    for x0, y0, x1, y1 in np.rint(text + outwards).astype(int).tolist():
        grey[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)] = paper
    means = grey.reshape(rows, cell, columns, cell).mean(axis=(1, 3))
    dark = paper - means
    noise = 3.1 * float(np.percentile(np.abs(dark), 25))  # standard deviation, if normal
    labels, count = label_cells(dark > max(12.0, 5 * noise))
    boxes, cells = _cell_boxes(labels, count)
    sides = boxes[:, 2:] - boxes[:, :2]
    fill = cells / np.maximum(sides.prod(axis=1), 1)
    slack = 2 + abs(np.sin(picture.skew)) * max(rows, columns) / 2
    at_edge = (boxes[:, :2].min(axis=1, initial=1e9) < slack) | (
        (np.array([columns, rows]) - boxes[:, 2:]).min(axis=1, initial=1e9) < slack
    )
    shadow = at_edge & ((sides.min(axis=1) < 0.05 * min(rows, columns)) | (fill < 0.3))
    keep = ~shadow & (cells > 2)
    return _gather_marks(boxes[keep] * float(cell), fill[keep], text, 25 * picture.scale)


def _gather_marks(
    boxes: np.ndarray, fill: np.ndarray, text: np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray]:
    """Join marks smaller than `reach` and within `reach` of each other: dots, atoms, arrows.

    Each alone is too small for a figure. Marks are not joined across text.
    """
    small = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0) < reach
    groups = merge_boxes(boxes[small], reach, text)
    whole = np.array(groups).reshape(-1, 4)
    full = np.zeros(len(whole))
    return np.concatenate([boxes[~small], whole]), np.concatenate([fill[~small], full])


def label_cells(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Label the connected components (8-connectivity) of a boolean array of shape (rows, columns).

    Returns:
        int of shape (rows, columns), 0 outside and 1 to n inside, and n. Runs of a row are merged
        with touching runs of the row above (Rosenfeld and Pfaltz, 1966).
    """
    padded = np.zeros((mask.shape[0], mask.shape[1] + 2), np.int8)
    padded[:, 1:-1] = mask
    steps = np.diff(padded, axis=1)
    row, start = np.nonzero(steps == 1)
    _, end = np.nonzero(steps == -1)
    parent = list(range(len(row)))

    def root(run: int) -> int:
        while parent[run] != run:
            parent[run] = parent[parent[run]]
            run = parent[run]
        return run

    first = np.searchsorted(row, np.arange(mask.shape[0] + 1)).tolist()
    starts, ends = start.tolist(), end.tolist()
    for line in range(1, mask.shape[0]):
        above, here = first[line - 1], first[line]
        while above < first[line] and here < first[line + 1]:
            if starts[above] <= ends[here] and starts[here] <= ends[above]:
                parent[root(here)] = root(above)
            if ends[above] < ends[here]:
                above += 1
            else:
                here += 1
    roots = np.array([root(run) for run in range(len(parent))], int)
    names, numbers = np.unique(roots, return_inverse=True)
    labels = np.zeros(mask.shape, int)
    labels[mask] = np.repeat(numbers + 1, end - start)
    return labels, len(names)


def _cell_boxes(labels: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the boxes of components, int of shape (n, 4), and their sizes in cells."""
    rows, columns = np.nonzero(labels)
    own = labels[rows, columns] - 1
    low = np.full((count, 2), np.iinfo(int).max)
    high = np.zeros((count, 2), int)
    places = np.stack([columns, rows], axis=1)
    np.minimum.at(low, own, places)
    np.maximum.at(high, own, places + 1)
    return np.concatenate([low, high], axis=1), np.bincount(own, minlength=count)
