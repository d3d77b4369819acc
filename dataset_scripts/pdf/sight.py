"""Find the graphics that each caption sees, and the features of choosing a side for each.

A caption sees graphics above, below, left or right of it that are not separated from it by running
text or another caption.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from cephalo.dataset_scripts.common.geometry import Box, area, hits, overlap_x, overlap_y, union
from cephalo.dataset_scripts.pdf.captions import Caption
from cephalo.dataset_scripts.pdf.layout import in_one_column
from cephalo.dataset_scripts.pdf.regions import Scene

ABOVE, BELOW, LEFT, RIGHT = "above", "below", "left", "right"
SIDES = (ABOVE, BELOW, LEFT, RIGHT)  # position of the figure relative to its caption
_TABLES = ("table", "algorithm")  # kinds with the caption above


@dataclass(frozen=True)
class SightParameters:
    """Limits for what a caption sees. Lengths are in body font sizes unless stated otherwise."""

    far: float = 4.0  # distance above which a figure may belong to another caption
    least_overlap: float = 0.15  # share of the narrower width; with less overlap it is beside
    height_inside: float = 0.35  # share of a graphic's height that may exceed the caption's edge
    inside: float = 4.0  # largest such excess
    past_side: float = 2.0  # how far a caption beside a figure may exceed its bottom or top
    row_gap: float = 4.0  # largest gap in a row of panels, also across a column gutter
    row_slack: float = 0.5  # tolerance of the tops and bottoms of panels in a row
    stack_gap: float = 1.2  # largest gap in a column of panels; captioned figures have more
    beside: float = 3.0  # largest vertical offset of captions side by side


P = SightParameters()


@dataclass
class Problem:
    """The pairing of one page.

    Attributes:
        scene: The page.
        captions: Captions of the page.
        prior: Log share of the document's figures on each side.
        walls: For each caption, boxes (n, 4) that its figure does not cross: running text and other
            captions.
        seen: For each caption and side, the index of each visible atom and its distance in points.
        visible: For captions and sides tried so far, the atoms that the caption may have there.
    """

    scene: Scene
    captions: list[Caption]
    prior: dict[str, float]
    walls: list[np.ndarray] = field(init=False)
    seen: list[dict[str, dict[int, float]]] = field(init=False)
    visible: dict[tuple[int, str], list[tuple[int, float]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        boxes = [caption.box for caption in self.captions]
        self.walls = [
            np.concatenate(
                [self.scene.barriers, np.array(boxes[:k] + boxes[k + 1 :]).reshape(-1, 4)]
            )
            for k in range(len(boxes))
        ]
        self.seen = [self._look_around(k, box) for k, box in enumerate(boxes)]
        self.sizes = [area(atom.box) for atom in self.scene.atoms]
        self.whole = sum(self.sizes) or 1.0
        self.grids = _grids(self)

    def _look_around(self, index: int, cap: Box) -> dict[str, dict[int, float]]:
        """Return the atoms that a caption sees on each side.

        If it sees none, because it is beside its figure, its box is widened to the free space.
        """
        seen = {side: self._look(index, side, cap) for side in SIDES}
        if any(seen.values()) or self.captions[index].kind in _TABLES:
            return seen
        wide = self._widened(index, cap)
        return {side: self._look(index, side, wide) for side in (ABOVE, BELOW)} | {
            side: {} for side in (LEFT, RIGHT)
        }

    def _widened(self, index: int, cap: Box) -> Box:
        """Return the box of a caption with the free space on both sides, up to text or graphics."""
        graphics = np.array([atom.box for atom in self.scene.atoms]).reshape(-1, 4)
        others = np.concatenate([self.walls[index], graphics])
        level = others[(others[:, 1] < cap[3]) & (others[:, 3] > cap[1])]
        left = level[level[:, 2] <= cap[0] + 1, 2].max(initial=0.0)
        right = level[level[:, 0] >= cap[2] - 1, 0].min(initial=self.scene.page.width)
        return min(left, cap[0]), cap[1], max(right, cap[2]), cap[3]

    def _look(self, index: int, side: str, cap: Box) -> dict[int, float]:
        """Return the atoms on one side of a caption's box: index → distance in points."""
        if self.captions[index].kind in _TABLES and side in (LEFT, RIGHT):
            return {}
        seen = {}
        atoms = self.scene.atoms
        for number, atom in enumerate(atoms):
            gap = _gap(cap, atom.box, side, self.scene.profile.size)
            if gap is not None and not _wall_between(cap, atom.box, side, self.walls[index]):
                seen[number] = gap
        if side in (LEFT, RIGHT):
            level = {k: gap for k, gap in seen.items() if overlap_y(cap, atoms[k].box) > 0}
            return level or seen
        return seen

    def options(self, index: int) -> list[str | None]:
        """Return the sides with visible atoms, and `None` for a figure elsewhere."""
        return [*(side for side in SIDES if self.seen[index][side]), None]


def choice_features(
    problem: Problem, index: int, side: str | None, owner: dict[int, int]
) -> dict[str, float]:
    """Return the features of a caption's side.

    Args:
        problem: The page.
        index: Index of the caption.
        side: The side, or `None`.
        owner: Index of the caption of each atom.
    """
    caption = problem.captions[index]
    table = caption.kind in _TABLES
    own = [k for k, who in owner.items() if who == index]
    if side is None or not own:
        return {"no_table": 1.0} if table else {"no_figure": 1.0}
    scene = problem.scene
    size = scene.profile.size
    seen = problem.seen[index][side]
    near = min(seen[k] for k in own if k in seen) if any(k in seen for k in own) else 0.0
    share = sum(problem.sizes[k] for k in own) / problem.whole
    # The reference side is below, and above for tables.
    if table:
        return {"table_below": float(side == BELOW), "table_gap": near / size, "covered": share}
    return {
        **({side: 1.0} if side != BELOW else {}),
        "usual_side": problem.prior.get(side, 0.0),
        "far": float(near > P.far * size),
        "covered": share,
    }


def owners(problem: Problem, sides: dict[int, str | None]) -> dict[int, int]:
    """Map atoms to captions, for the atoms that captions see on their chosen sides."""
    owner: dict[int, tuple[float, int]] = {}
    for index, side in sides.items():
        if side is None:
            continue
        if (index, side) not in problem.visible:
            problem.visible[index, side] = list(_visible(problem, index, side))
        for atom, gap in problem.visible[index, side]:
            if atom not in owner or gap < owner[atom][0]:
                owner[atom] = gap, index
    _keep_grids(problem, owner)
    return {atom: index for atom, (_, index) in owner.items()}


def _keep_grids(problem: Problem, owner: dict[int, tuple[float, int]]) -> None:
    """Assign aligned panels to one caption, unless they are above captions side by side.

    `owner` has the distance and the caption of each atom, and is changed in place.
    """
    size = problem.scene.profile.size
    for grid in problem.grids:
        owned = [atom for atom in grid if atom in owner]
        if not owned:
            continue
        best = min(owner[atom] for atom in owned)
        for atom in owned:
            boxes = [problem.captions[k].box for k in (owner[atom][1], best[1])]
            if overlap_y(*boxes) <= -P.beside * size:
                owner[atom] = best


def _grids(problem: Problem) -> list[list[int]]:
    """Return groups of atoms that are panels of one figure, arranged in rows and columns."""
    groups: list[set[int]] = []
    for pair in _in_line(problem):
        touching = [group for group in groups if group.intersection(pair)]
        groups = [group for group in groups if not group.intersection(pair)]
        groups.append(set(pair).union(*touching))
    return [sorted(group) for group in groups]


def _in_line(problem: Problem) -> list[tuple[int, int]]:
    """Return pairs of neighbouring atoms that are panels in a row, or in a column of a grid.

    They have the same height or width, with no wall between them.
    """
    scene, size = problem.scene, problem.scene.profile.size
    captions = np.array([caption.box for caption in problem.captions]).reshape(-1, 4)
    walls = np.concatenate([scene.barriers, captions])
    found, stacked = [], []
    for one, first in enumerate(scene.atoms):
        for other, second in enumerate(scene.atoms):
            if _are_in_line(first.box, second.box, 0, P.row_gap * size, scene.barriers, size):
                found.append((one, other))
            elif _are_in_line(first.box, second.box, 1, P.stack_gap * size, walls, size):
                stacked.append((one, other))
    in_rows = {atom for pair in found for atom in pair}
    return found + [pair for pair in stacked if in_rows.issuperset(pair)]


def _are_in_line(
    first: Box, second: Box, axis: int, reach: float, walls: np.ndarray, size: float
) -> bool:
    """Return whether a box is the next one after another along an axis (0: x, 1: y) of a grid."""
    across = 1 - axis
    gap = second[axis] - first[axis + 2]
    ends = (abs(first[k] - second[k]) for k in (across, across + 2))
    if not 0 <= gap < reach or max(ends) > P.row_slack * size:
        return False
    start, stop = first[axis + 2] + 1, second[axis] - 1
    low, high = first[across] + 1, second[across + 2] - 1
    between = (start, low, stop, high) if axis == 0 else (low, start, high, stop)
    return start >= stop or not hits(walls, between).any()


def _visible(problem: Problem, index: int, side: str) -> Iterator[tuple[int, float]]:
    """Yield the atoms that a caption may have on a side, with their distances in points."""
    scene, seen = problem.scene, problem.seen[index][side]
    others = np.array([c.box for k, c in enumerate(problem.captions) if k != index]).reshape(-1, 4)
    _, nearest = min((gap, scene.atoms[atom].box) for atom, gap in seen.items())
    for atom, gap in seen.items():
        box = scene.atoms[atom].box
        if side in (ABOVE, BELOW) and _captioned_between(problem, index, box, nearest):
            continue
        # A caption might see the legend of another figure past that figure's caption, or a logo or
        # portrait past the text beside it.
        hull = inset(union([nearest, box]))
        walls = others
        if side in (ABOVE, BELOW):
            walls = np.concatenate([others, scene.barriers[_rows_in(scene.barriers, hull)]])
        if (hits(walls, hull) & ~hits(walls, nearest) & ~hits(walls, box)).any():
            continue
        yield atom, gap


def _rows_in(lines: np.ndarray, box: Box) -> np.ndarray:
    """Return which lines (n, 4) are rows that extend into a box by more than their height.

    Axis titles are vertical, and rows of the next column may touch the box.
    """
    wide, high = lines[:, 2] - lines[:, 0], lines[:, 3] - lines[:, 1]
    inside = np.minimum(lines[:, 2], box[2]) - np.maximum(lines[:, 0], box[0])
    return (wide > high) & (inside > high)


def _captioned_between(problem: Problem, index: int, box: Box, nearest: Box) -> bool:
    """Return whether a caption across all columns is between a graphic and the nearest one.

    The graphic then belongs to that caption, even if it is not directly above it.
    """
    page = problem.scene.page
    top, bottom = min(box[3], nearest[3]), max(box[1], nearest[1])
    for number, other in enumerate(problem.captions):
        inside = other.box[1] > top - 2 and other.box[3] < bottom + 2
        if number == index or not inside:
            continue
        if len(page.columns) > 1 and in_one_column(other.box, page) is None:
            return True
    return False


def _gap(cap: Box, box: Box, side: str, size: float) -> float | None:
    """Return the distance from a caption to a box on one side, or `None` if it is not there.

    `size` is the body font size in points.
    """
    slack = min(P.height_inside * (box[3] - box[1]), P.inside * size)
    if side in (ABOVE, BELOW):
        narrow = min(cap[2] - cap[0], box[2] - box[0])
        if overlap_x(cap, box) < P.least_overlap * narrow:
            return None
        gap = cap[1] - box[3] if side == ABOVE else box[1] - cap[3]
        return max(gap, 0.0) if gap > -slack else None
    # A caption on a baseline with the bottom or top of its figure may slightly exceed it.
    past = -overlap_y(cap, box)
    gap = cap[0] - box[2] if side == LEFT else box[0] - cap[2]
    if gap < -P.past_side * size or past > P.past_side * size:
        return None
    return max(gap, 0.0) + 2 * max(past, 0.0)


def _wall_between(cap: Box, box: Box, side: str, walls: np.ndarray) -> bool:
    """Return whether a wall is between a caption and a box."""
    if side in (ABOVE, BELOW):
        x0, x1 = max(cap[0], box[0]), min(cap[2], box[2])
        y0, y1 = (box[3], cap[1]) if side == ABOVE else (cap[3], box[1])
    else:
        y0, y1 = max(cap[1], box[1]), min(cap[3], box[3])
        x0, x1 = (box[2], cap[0]) if side == LEFT else (cap[2], box[0])
    inset_x, inset_y = 0.02 * (x1 - x0), 0.02 * (y1 - y0)  # ignore walls that only touch
    corridor = (x0 + inset_x, y0 + inset_y, x1 - inset_x, y1 - inset_y)
    if corridor[0] >= corridor[2] or corridor[1] >= corridor[3] or not len(walls):
        return False
    return bool(hits(walls, corridor).any())


def inset(box: Box) -> Box:
    """Return a box reduced by one point on each side."""
    return box[0] + 1, box[1] + 1, box[2] - 1, box[3] - 1
