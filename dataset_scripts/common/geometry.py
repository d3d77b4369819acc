"""Boxes: [x0, y0, x1, y1] in points, origin at the top left, y downwards.

One box is a tuple of four floats; many boxes are a float array of shape (n, 4).
"""

import numpy as np

Box = tuple[float, float, float, float]


def union(boxes: list[Box]) -> Box:
    """Return the smallest box around `boxes`. Raises ValueError if there are none."""
    x0, y0, x1, y1 = zip(*boxes, strict=True)
    return min(x0), min(y0), max(x1), max(y1)


def intersection(a: Box, b: Box) -> Box:
    """Return the intersection of two boxes, with `x1 <= x0` or `y1 <= y0` if they have none."""
    # Called for every line and every graphic: comparisons are twice as fast as max() and min().
    return (
        a[0] if a[0] > b[0] else b[0],
        a[1] if a[1] > b[1] else b[1],
        a[2] if a[2] < b[2] else b[2],
        a[3] if a[3] < b[3] else b[3],
    )


def area(box: Box) -> float:
    """Return the area in square points, 0 for an inverted box."""
    x0, y0, x1, y1 = box
    return (x1 - x0) * (y1 - y0) if x1 > x0 and y1 > y0 else 0.0


def iou(a: Box, b: Box) -> float:
    """Return the intersection over union, 0 to 1."""
    common = area(intersection(a, b))
    return common / (area(a) + area(b) - common) if common else 0.0


def overlap_x(a: Box, b: Box) -> float:
    """Return the length of the common x range; negative values are the width of the gap."""
    return min(a[2], b[2]) - max(a[0], b[0])


def overlap_y(a: Box, b: Box) -> float:
    """Return the length of the common y range; negative values are the height of the gap."""
    return min(a[3], b[3]) - max(a[1], b[1])


def covered(inner: Box, outer: Box) -> float:
    """Return the share of the area of `inner` within `outer`, 0 to 1."""
    common = area(intersection(inner, outer))
    return common / area(inner) if common else 0.0


def grow(box: Box, by: float) -> Box:
    """Return `box` with every side moved outwards by `by` points."""
    return box[0] - by, box[1] - by, box[2] + by, box[3] + by


def hits(boxes: np.ndarray, box: Box) -> np.ndarray:
    """Return which rows of `boxes` (n, 4) overlap `box`, as a boolean array of shape (n,)."""
    return (
        (boxes[:, 0] < box[2])
        & (boxes[:, 2] > box[0])
        & (boxes[:, 1] < box[3])
        & (boxes[:, 3] > box[1])
    )


def turn(boxes: np.ndarray, quarters: int, width: float, height: float) -> np.ndarray:
    """Rotate boxes (n, 4) with their page by `quarters` quarter turns clockwise; 0 returns `boxes`.

    `width` and `height` are those of the page before the rotation, in points.
    """
    if quarters % 4 == 0:
        return boxes
    x0, y0, x1, y1 = boxes.T
    match quarters % 4:
        case 1:
            turned = (height - y1, x0, height - y0, x1)
        case 2:
            turned = (width - x1, height - y1, width - x0, height - y0)
        case _:
            turned = (y0, width - x1, y1, width - x0)
    return np.stack(turned, axis=1)
