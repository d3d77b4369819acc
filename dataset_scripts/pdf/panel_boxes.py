"""Find the boxes of panels: split the image of a figure along gutters into a number of parts.

Drawn and embedded figures are treated alike, by their pixels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cephalo.dataset_scripts.common.geometry import Box, grow
from cephalo.dataset_scripts.pdf.panel_cuts import Search, Way
from cephalo.dataset_scripts.pdf.panel_pixels import Rect, Sums, centre, connect, holds, share
from cephalo.dataset_scripts.pdf.panel_rules import RULES, CutRules


@dataclass(frozen=True)
class Picture:
    """The grey levels of a figure, uint8 of shape (height, width), and their box in points."""

    grey: np.ndarray
    box: Box

    def to_box(self, rect: Rect) -> Box:
        """Convert a rectangle from pixels to points."""
        across = (self.box[2] - self.box[0]) / self.grey.shape[1]
        down = (self.box[3] - self.box[1]) / self.grey.shape[0]
        left, top = self.box[:2]
        return (
            left + rect[0] * across,
            top + rect[1] * down,
            left + rect[2] * across,
            top + rect[3] * down,
        )

    def to_rect(self, box: Box) -> Rect:
        """Convert a box from points to pixels, within the image."""
        height, width = self.grey.shape
        across, down = width / (self.box[2] - self.box[0]), height / (self.box[3] - self.box[1])
        left, right = ((side - self.box[0]) * across for side in (box[0], box[2]))
        top, bottom = ((side - self.box[1]) * down for side in (box[1], box[3]))
        return (
            min(max(round(left), 0), width),
            min(max(round(top), 0), height),
            min(max(round(right), 0), width),
            min(max(round(bottom), 0), height),
        )


def split(
    picture: Picture,
    count: int,
    anchors: Sequence[Box] = (),
    outside: Sequence[Box] = (),
    rules: CutRules = RULES,
) -> list[tuple[Box, int | None]]:
    """Split a figure into panels.

    Args:
        picture: The figure.
        count: Number of panels.
        anchors: Boxes of letters printed in the figure. No panel contains two of them; if there are
            `count`, each panel contains one.
        outside: Boxes of captions of single panels, which are not part of any panel.
        rules: Limits and costs.

    Returns:
        The box of each panel in points, with the index of its anchor or `None`. Empty if the figure
        has no such parts.
    """
    grounds = [picture.grey]
    inner = _dark_ground(picture.grey, rules)
    if inner is not None:
        grounds.append(np.full_like(picture.grey, 255))
        grounds[1][inner] = 255 - picture.grey[inner]
    ways = [_parts(picture, grey, count, anchors, outside, rules) for grey in grounds]
    way, marks = max(ways, key=lambda found: found[0].gain if found[0] else -math.inf)
    found = way.rects if way else ()
    inside = [[k for k, mark in enumerate(marks) if holds(rect, centre(mark))] for rect in found]
    return [
        (picture.to_box(rect), own[0] if own else None)
        for rect, own in zip(found, inside, strict=True)
    ]


def _parts(
    picture: Picture,
    grey: np.ndarray,
    count: int,
    anchors: Sequence[Box],
    outside: Sequence[Box],
    rules: CutRules,
) -> tuple[Way | None, list[Rect]]:
    """Return the best way to split a figure on a bright background, and its letters' places."""
    ink = grey < rules.ink
    for box in outside:
        left, top, right, bottom = picture.to_rect(grow(box, rules.slack))
        ink[top:bottom, left:right] = False
    marks = [_inked(ink, picture.to_rect(box)) for box in anchors]
    found = _search(grey, ink, marks, count, rules)
    stray = _stray(found.rects, marks, rules) if found else None
    if found and stray is not None:  # a tick label read as a letter
        fewer = _search(grey, ink, marks[:stray] + marks[stray + 1 :], count, rules)
        if fewer and fewer.gain > found.gain:
            found, marks[stray] = fewer, (-1, -1, 0, 0)
    if not found and 0 < len(marks) < count:  # at least one of them is a tick label
        found = _search(grey, ink, [], count, rules)
    return found, marks


def _stray(rects: Sequence[Rect], marks: list[Rect], rules: CutRules) -> int | None:
    """Return the index of the letter whose position in its panel differs most from the others.

    `None` if all positions agree, or there are too few to compare.
    """
    points = [centre(mark) for mark in marks]
    found = [next((rect for rect in rects if holds(rect, point)), None) for point in points]
    own = [rect for rect in found if rect]
    if len(marks) < rules.least_letters or len(own) < len(points):
        return None
    off = np.zeros(len(marks))
    side = math.sqrt(np.mean([(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in own]))
    for axis in (0, 1):
        heads = np.array(
            [point[axis] - rect[axis] for point, rect in zip(points, own, strict=True)]
        )
        feet = np.array(
            [rect[axis + 2] - point[axis] for point, rect in zip(points, own, strict=True)]
        )
        spread = [abs(ends - np.median(ends)) for ends in (heads, feet, (heads - feet) / 2)]
        off += min(spread, key=lambda ends: float(np.median(ends))) / side
    worst = int(off.argmax())
    return worst if off[worst] > rules.stray else None


def _dark_ground(grey: np.ndarray, rules: CutRules) -> tuple[slice, slice] | None:
    """Return the part inside the white margin if most of its rim is black, else `None`.

    Not if paper is inside that rim, which is then a frame.
    """
    ink = grey < rules.ink
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        return None
    inner = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    edge = rules.frame_width
    part, within = grey[inner], grey[inner][edge:-edge, edge:-edge]
    black = _of_rim(part < 255 - rules.ink, rules)
    paper = _of_rim(within >= rules.ink, rules) if within.size else 1.0
    return inner if black > rules.dark_rim > paper else None


def _of_rim(marked: np.ndarray, rules: CutRules) -> float:
    """Return the share of True in the rim of a mask."""
    deep = max(2, round(rules.rim * min(marked.shape)))
    rim = [marked[:deep], marked[-deep:], marked[:, :deep], marked[:, -deep:]]
    return sum(map(np.count_nonzero, rim)) / sum(side.size for side in rim)


def _inked(ink: np.ndarray, rect: Rect) -> Rect:
    """Return the ink of a printed letter, or a point of the ink above or below it."""
    part = ink[rect[1] : rect[3], rect[0] : rect[2]]
    if part.any():
        rows, columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
        return (
            rect[0] + int(columns[0]),
            rect[1] + int(rows[0]),
            rect[0] + int(columns[-1]) + 1,
            rect[1] + int(rows[-1]) + 1,
        )
    x, y = (rect[0] + rect[2]) // 2, (rect[1] + rect[3]) // 2
    x, y = min(max(x, 0), ink.shape[1] - 1), min(max(y, 0), ink.shape[0] - 1)
    above = np.flatnonzero(ink[:y, rect[0] : rect[2]].any(axis=1))
    below = np.flatnonzero(ink[y:, rect[0] : rect[2]].any(axis=1))
    if len(above):
        y = int(above[-1])
    elif len(below):
        y += int(below[0])
    return x, y, x + 1, y + 1


def _search(
    grey: np.ndarray,
    ink: np.ndarray,
    marks: list[Rect],
    count: int,
    rules: CutRules,
) -> Way | None:
    """Return the best way to split along gutters and, for photographs, along their edges."""
    found = None
    ink = _without_frame(ink, rules)
    if share(ink) < rules.pictures:
        found = _best(ink, marks, count, rules, None)
    if not found:
        found = _best(ink, marks, count, rules, _steps(grey, rules))
    return found


def _best(
    ink: np.ndarray,
    marks: list[Rect],
    count: int,
    rules: CutRules,
    steps: tuple[Sums, Sums] | None,
) -> Way | None:
    """Return the best way to split, as a grid or recursively."""
    dark = bool(steps is not None and share(ink) >= rules.pictures)
    search = Search(Sums(ink), marks, count, rules, steps, dark=dark)
    whole = search.trim((0, 0, search.width, search.height))
    if whole is None:
        return None
    search.measure(whole)
    if dark:
        whole = search.without_labels(whole)
        search.measure(whole)
    grid = search.grid(whole)
    if grid and grid.clear:
        return grid
    for depth in (2, 3):
        search.depth = depth
        search.known.clear()
        ways = [search.ways(whole, axis, depth).get(count) for axis in (1, 0)]
        best = max((way for way in [*ways, grid] if way), key=lambda way: way.gain, default=None)
        if best:
            gains = rules.least_anchored if search.anchored else rules.least_gain
            return None if best.gain < gains[dark] * (count - 1) else best
    return None


def _without_frame(ink: np.ndarray, rules: CutRules) -> np.ndarray:
    """Return the ink without a ruled frame around the whole figure.

    A rule of one pixel may be lost on some sides when an image is scaled down. Plot axes are rules
    at the left and bottom only.
    """
    height, width = ink.shape
    depth = max(2, round(rules.frame_depth * min(height, width)))
    sides = []
    framed = []
    for edge in (ink[:depth], ink[-depth:][::-1], ink.T[:depth], ink.T[-depth:][::-1]):
        shares = np.count_nonzero(edge, axis=1) / edge.shape[1]
        ruled = np.flatnonzero(shares > rules.frame)
        thin = len(ruled) > 0 and ruled[-1] - ruled[0] < rules.frame_width
        framed.append(thin and not edge[: ruled[0]].any())
        sides.append(int(ruled[-1]) + 1 if framed[-1] else 0)
    if sum(framed) < 3 and not (framed[0] and (framed[2] or framed[3])):
        return ink
    top, bottom, left, right = sides
    inner = np.zeros_like(ink)
    part = np.s_[top : height - bottom, left : width - right]
    inner[part] = ink[part]
    return inner


def _steps(grey: np.ndarray, rules: CutRules) -> tuple[Sums, Sums]:
    """Return sums of grey level jumps between columns and between rows."""
    across = _jumps(np.ascontiguousarray(grey.T), rules).T
    return Sums(across), Sums(_jumps(grey, rules))


def _jumps(grey: np.ndarray, rules: CutRules) -> np.ndarray:
    """Return where the grey level jumps between rows, as bool of shape (height, width).

    A jump must exceed the local texture, so that most steps within a photograph are none.
    """
    steps = np.zeros(grey.shape, np.int16)
    np.subtract(grey[2:], grey[:-2], out=steps[1:-1], dtype=np.int16)
    np.abs(steps, out=steps)
    # Mean over `grain` rows as a sum of shifted arrays, which adds whole rows at a time.
    before = rules.grain // 2
    padded = np.pad(steps, ((before, rules.grain - 1 - before), (0, 0)), mode="symmetric")
    around = sum(padded[k : k + len(steps)] for k in range(rules.grain)) // rules.grain
    return steps > rules.stands_out * around + rules.step


def find_plate(picture: Picture, rules: CutRules = RULES) -> list[Box]:
    """Return the boxes of equally sized images in a plate, with axes and labels, in points.

    Empty if there are none, or they cover a small part of the figure.
    """
    ink = picture.grey < rules.paper
    if share(ink) < rules.solid * rules.plate_share:
        return []
    shown = _pictures(ink, rules)
    if not _is_plate(shown, ink.size, rules):
        return []
    anchors = [picture.to_box(rect) for rect in shown]
    return [box for box, _ in split(picture, len(shown), anchors, (), rules)]


def _pictures(ink: np.ndarray, rules: CutRules) -> list[Rect]:
    """Return rectangles filled with ink that touch nothing: photographs and maps, but no bars."""
    found = []
    for left, top, right, bottom in connect(ink, corners=False).boxes()[:, 1:].tolist():
        wide, high = right - left, bottom - top
        square = max(wide, high) < rules.longest * min(wide, high)
        large = wide * high > rules.least_picture * ink.size
        if square and large and share(ink[top:bottom, left:right]) > rules.solid:
            found.append((left, top, right, bottom))
    return found


def _is_plate(pictures: list[Rect], area: int, rules: CutRules) -> bool:
    """Return whether images have equal sizes and cover much of the figure's `area` in pixels."""
    wide = [x1 - x0 for x0, _, x1, _ in pictures]
    high = [y1 - y0 for _, y0, _, y1 in pictures]
    if len(pictures) < 2 or _differ(wide, rules) or _differ(high, rules):
        return False
    return float(np.dot(wide, high)) >= rules.plate_share * area


def _differ(sides: list[int], rules: CutRules) -> bool:
    """Return whether the largest of some sides exceeds the smallest by more than the tolerance."""
    return max(sides) > rules.plate * min(sides)
