"""Atoms: the graphics of a page in connected groups, the units that are given to captions."""

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
    """How graphics are grouped. Lengths are in font sizes of the body, if not said else."""

    reach: float = 0.4  # between graphics of one group; panels of a figure are further apart
    most: int = 100  # groups; a page with more, such as a map, is grouped more coarsely
    coarsest: float = 10.0  # reach at which grouping more coarsely ends
    least_side: float = 0.5  # lower or narrower groups are rules or marks
    least_length: float = 1.2  # groups shorter than that are no larger than a few characters
    beyond: float = 0.15  # of a graphic's width that may reach over the middle of two captions
    mark_reach: float = 10.0  # between scattered marks of one figure
    marks: int = 8  # fewer scattered marks are bullets, or bars of fractions
    scatter: float = 4.0  # the least width and height of a figure of scattered marks


P = Parameters()


@dataclass
class Atom:
    """Graphics that touch: the smallest unit that is given to a caption.

    `images`: boxes of the embedded images in it. `lines`: the text at it, which `box` holds too.
    """

    box: Box
    images: list[Box] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)


def part_neighbours(
    atoms: list[Atom], boxes: np.ndarray, captions: list[Box], body: TypeProfile
) -> tuple[list[Atom], list[Box]]:
    """Part atoms that reach over two captions side by side, between the captions.

    `boxes` (n, 4) are the graphics of which the atoms are made. An atom with a graphic that lies
    over both captions stays whole. Also returns the lines of parting, which text does not cross.
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
    """The parts of an atom left and right of x = `cut`; itself where a graphic lies over it."""
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
    """Figures of marks that do not touch, such as dots without axes.

    `walls` (m, 4): running text and captions, which no such figure holds.
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
    """Group boxes (n, 4) that lie close to each other.

    Groups that are a mere horizontal rule, or no larger than a few characters, are left out. A
    page that falls into too many pieces is grouped more coarsely.
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
    """Merge boxes that come within `reach` of each other until none do.

    Large boxes go first and swallow what lies in them, so a plot of 50 000 marks in a frame costs
    as much as the frame. Two boxes are not merged when their union would cover a wall (m, 4).
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
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    return [(float(low[0]), float(low[1]), float(high[0]), float(high[1]))]


def _blocked(box: Box, walls: np.ndarray) -> bool:
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
    """Merge groups whose boxes have come to touch by growing."""
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
