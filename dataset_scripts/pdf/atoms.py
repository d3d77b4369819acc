"""Group the graphics of a page into atoms, the units that are assigned to captions."""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from cephalo.dataset_scripts.common.geometry import (
    Box,
    area,
    covered,
    grow,
    hits,
    intersection,
    overlap_y,
    union,
)
from cephalo.dataset_scripts.pdf.graphics import IMAGE
from cephalo.dataset_scripts.pdf.profile import TypeProfile
from cephalo.dataset_scripts.pdf.text import Line


@dataclass(frozen=True)
class Parameters:
    """Limits for grouping graphics. Lengths are in body font sizes unless stated otherwise."""

    reach: float = 0.4  # largest gap within a group; panels of a figure are farther apart
    most: int = 100  # largest number of groups; with more, such as in a map, `reach` is doubled
    coarsest: float = 10.0  # largest reach
    least_side: float = 0.5  # smaller groups are rules or marks
    least_length: float = 1.2  # shorter groups are the size of a few characters
    beyond: float = 0.15  # share of a graphic's width that may cross the line between two captions
    mark_reach: float = 10.0  # largest gap between scattered marks of one figure
    marks: int = 8  # fewer scattered marks are bullets or fraction bars
    scatter: float = 4.0  # smallest width and height of a figure of scattered marks


P = Parameters()


@dataclass
class Atom:
    """A group of touching graphics, the smallest unit that is assigned to a caption.

    Attributes:
        box: Bounding box, in points.
        images: Boxes of the embedded images in the group.
        lines: Lines of text that belong to the group. `box` includes them.
    """

    box: Box
    images: list[Box] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)


def part_neighbours(
    atoms: list[Atom], boxes: np.ndarray, captions: list[Box], body: TypeProfile
) -> tuple[list[Atom], list[Box]]:
    """Split atoms that span two captions side by side, midway between the captions.

    An atom is not split if one of its graphics extends over both captions.

    Args:
        atoms: Atoms of the page.
        boxes: Boxes of the graphics in the atoms, of shape (n, 4), in points.
        captions: Boxes of the captions on the page.
        body: Type of the body text.

    Returns:
        The atoms after splitting, and the boxes of the cuts. Text is not assigned across a cut.
    """
    channels: list[Box] = []
    for left, right in pairwise(sorted(captions)):
        level = overlap_y(left, right) > 0
        if right[0] < left[2] or not level:
            continue
        middles = (left[0] + left[2]) / 2, (right[0] + right[2]) / 2
        cut = (left[2] + right[0]) / 2
        parted: list[Atom] = []
        for atom in atoms:
            over = atom.box[0] < middles[0] and atom.box[2] > middles[1]
            beside = atom.box[3] <= min(left[1], right[1]) + 2 * body.size
            beside |= atom.box[1] >= max(left[3], right[3]) - 2 * body.size
            parts = _cut(atom, boxes, cut) if over and beside else [atom]
            if len(parts) > 1:
                channels.append((cut - 0.5, atom.box[1], cut + 0.5, atom.box[3]))
            parted += parts
        atoms = parted
    return atoms, channels


def _cut(atom: Atom, boxes: np.ndarray, cut: float) -> list[Atom]:
    """Split an atom at x = `cut`. Return it unchanged if a graphic crosses the cut."""
    own = boxes[hits(boxes, atom.box)]
    width = np.maximum(own[:, 2] - own[:, 0], 1.0)
    right = (own[:, 0] + own[:, 2]) / 2 > cut
    beyond = np.where(right, cut - own[:, 0], own[:, 2] - cut)
    if (beyond > P.beyond * width).any() or right.all() or not right.any():
        return [atom]
    parts = []
    for side in (~right, right):
        box = union(_bounds(own[side]))
        parts.append(Atom(box, [image for image in atom.images if covered(image, box) > 0.9]))
    return parts


def scattered_marks(
    boxes: np.ndarray, atoms: list[Atom], walls: np.ndarray, body: TypeProfile
) -> list[Atom]:
    """Find figures of marks that do not touch, such as points without axes.

    Args:
        boxes: Boxes of the graphics of the page, of shape (n, 4), in points.
        atoms: Atoms that were found. Their graphics are ignored.
        walls: Boxes of running text and captions, of shape (m, 4). No figure may contain one.
        body: Type of the body text.

    Returns:
        One atom for each group of at least `Parameters.marks` marks.
    """
    free = np.ones(len(boxes), bool)
    for atom in atoms:
        free &= ~hits(boxes, atom.box)
    sides = boxes[:, 2:] - boxes[:, :2]
    free &= sides.max(axis=1, initial=0.0) < P.scatter * body.size
    marks = boxes[free]
    if len(marks) < P.marks:
        return []
    groups = merge_boxes(marks, P.mark_reach * body.size, walls)
    return [
        Atom(box)
        for box in groups
        if min(box[2] - box[0], box[3] - box[1]) >= P.scatter * body.size
        and hits(marks, box).sum() >= P.marks
    ]


def find_atoms(
    boxes: np.ndarray, kinds: np.ndarray, body: TypeProfile, captions: np.ndarray
) -> list[Atom]:
    """Group graphics that are close to each other.

    Groups that are a horizontal rule, or no larger than a few characters, are dropped. If a page
    has more than `Parameters.most` groups, it is grouped again with a larger reach.

    Args:
        boxes: Boxes of the graphics, of shape (n, 4), in points.
        kinds: Kind of each graphic, of shape (n,), see `Graphics.kinds`.
        body: Type of the body text.
        captions: Boxes of the captions, of shape (m, 4). No group may contain one.

    Returns:
        At most `Parameters.most` atoms, sorted by area in descending order.
    """
    reach = P.reach
    atoms = _large_enough(boxes, kinds, body, captions, reach * body.size)
    while len(atoms) > P.most and reach < P.coarsest:
        reach *= 2
        atoms = _large_enough(boxes, kinds, body, captions, reach * body.size)
    return sorted(atoms, key=lambda atom: -area(atom.box))[: P.most]


def _large_enough(
    boxes: np.ndarray, kinds: np.ndarray, body: TypeProfile, captions: np.ndarray, reach: float
) -> list[Atom]:
    """Group graphics within `reach` points, without groups that are too small to be a figure."""
    groups = merge_boxes(boxes, reach, captions)
    atoms = []
    for box in groups:
        width, height = box[2] - box[0], box[3] - box[1]
        if min(width, height) < P.least_side * body.size:
            continue
        if max(width, height) < P.least_length * body.size:
            continue
        inner = [
            tuple(row)
            for row in boxes[kinds == IMAGE].tolist()
            if covered(tuple(row), grow(box, 1)) > 0.9
        ]
        atoms.append(Atom(box, inner))
    return atoms


def merge_boxes(boxes: np.ndarray, reach: float, walls: np.ndarray) -> list[Box]:
    """Merge boxes until no two of them are within `reach` points of each other.

    Large boxes are merged first and absorb the boxes inside them, so that a plot with 50,000 marks
    in a frame costs as much as the frame alone. Two boxes are not merged if their union would
    contain the centre of a wall.

    Args:
        boxes: Boxes of shape (n, 4), in points.
        reach: Largest gap between two boxes of a group, in points.
        walls: Boxes of shape (m, 4) that no group may contain.

    Returns:
        Bounding box of each group.
    """
    if not len(boxes):
        return []
    sizes = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    rest = boxes[np.argsort(-sizes, kind="stable")]
    groups: list[Box] = []
    while len(rest):
        box = tuple(rest[0].tolist())
        rest = rest[1:]
        growing = True
        while growing and len(rest):
            near = hits(rest, grow(box, reach))
            growing = False
            if near.any():
                chosen = rest[near]
                wide = union([box, *_bounds(chosen)])
                if _blocked(wide, walls) and not _blocked(box, walls):
                    good = [
                        k
                        for k in np.flatnonzero(near)
                        if not _blocked(union([box, tuple(rest[k])]), walls)
                    ]
                    near = np.zeros(len(rest), bool)
                    near[good] = True
                    if not good:
                        break
                    chosen = rest[near]
                    wide = union([box, *_bounds(chosen)])
                    if _blocked(wide, walls):
                        near[:] = False
                        near[good[0]] = True
                        wide = union([box, *_bounds(rest[near])])
                rest = rest[~near]
                growing = wide != box
                box = wide
        groups.append(box)
    return merge_groups(groups, reach, walls)


def _bounds(boxes: np.ndarray) -> list[Box]:
    """Return the bounding box of boxes (n, 4), as a list with one element."""
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    return [(float(low[0]), float(low[1]), float(high[0]), float(high[1]))]


def _blocked(box: Box, walls: np.ndarray) -> bool:
    """Return whether a box contains the centre of a wall."""
    if not len(walls):
        return False
    middle = (walls[:, :2] + walls[:, 2:]) / 2
    inside = (
        (middle[:, 0] > box[0])
        & (middle[:, 0] < box[2])
        & (middle[:, 1] > box[1])
        & (middle[:, 1] < box[3])
    )
    return bool(inside.any())


def merge_groups(groups: list[Box], reach: float, walls: np.ndarray) -> list[Box]:
    """Merge groups whose boxes touch after they have grown."""
    merged = True
    while merged and len(groups) < 2000:
        merged = False
        groups.sort(key=area, reverse=True)
        kept: list[Box] = []
        for box in groups:
            for index, other in enumerate(kept):
                near = intersection(other, grow(box, reach))
                if near[0] >= near[2] or near[1] >= near[3]:
                    continue
                wide = union([box, other])
                if not _blocked(wide, walls):
                    kept[index] = wide
                    merged = True
                    break
            else:
                kept.append(box)
        groups = kept
    return groups
