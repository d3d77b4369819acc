"""Pairing: which graphics belong to which caption, decided for all captions of a page at once.

Every caption sees graphics above, below, left or right of it. A choice of one side for each
caption gives every graphic to the caption that sees it nearest; the best choice is the one that
a fitted model scores highest ("pairs"). Captions that see no graphic in common are solved apart,
the others exactly, by branch and bound.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from cephalo.dataset_scripts.pdf.atoms import Atom
from cephalo.dataset_scripts.pdf.captions import Caption
from cephalo.dataset_scripts.pdf.decisions import LinearModel, load_models
from cephalo.dataset_scripts.pdf.geometry import Box, area, hits, overlap_x, overlap_y, union
from cephalo.dataset_scripts.pdf.layout import in_one_column
from cephalo.dataset_scripts.pdf.regions import Scene
from cephalo.dataset_scripts.pdf.text import Line

ABOVE, BELOW, LEFT, RIGHT = "above", "below", "left", "right"
SIDES = (ABOVE, BELOW, LEFT, RIGHT)  # where the figure lies, seen from its caption
_TABLES = ("table", "algorithm")  # their captions stand above
_OPPOSITE = {ABOVE: BELOW, BELOW: ABOVE, LEFT: RIGHT, RIGHT: LEFT}


@dataclass(frozen=True)
class Parameters:
    """Limits of what a caption sees. Lengths are in font sizes of the body, if not said else."""

    least_overlap: float = 0.15  # of the narrower width; less is beside, not above or below
    height_inside: float = 0.35  # of a graphic's height that may reach past the caption's edge
    inside: float = 4.0  # but no more than this
    past_side: float = 2.0  # how far beyond a figure's foot or head a caption beside it may lie
    logo_gap: float = (
        12.0  # farther from the nearest graphic, only what is under the caption counts
    )
    link_gap: float = 12.0  # between a graphic that a caption has and one that nobody sees
    level_share: float = 0.6  # of the lower height; graphics that share it stand in one row
    off_centre: float = 0.3  # of the distance of the middles, added to the gap of a rival
    same_width: float = 0.06  # of a column's width; a caption that wide is set to the column
    figure_width: float = 0.85  # of a figure's width; a caption that wide is set to the figure
    page_centre: float = 0.1  # of the page's width; a caption no further off its middle is over all
    nodes: int = 50_000  # choices that are looked at; no page of the benchmarks needs a tenth


P = Parameters()


@dataclass
class Pair:
    """A caption and its figure. `box` is the region in the page's frame, caption left out.

    `reasons`: the features of the choice of side, with what each adds to its score.
    """

    caption: Caption
    box: Box
    side: str | None
    atoms: list[Atom]
    lines: list[Line]
    reasons: list[tuple[str, float]] = field(default_factory=list)


@dataclass
class Problem:
    """The pairing of one page.

    `walls`: for each caption the boxes (n, 4) that its figure does not cross: running text, and
    the other captions. `seen`: for each caption and side the atoms it sees, and how far they are
    in points. `prior`: features of a side that the rest of the document speaks for.
    """

    scene: Scene
    captions: list[Caption]
    prior: dict[str, float]
    walls: list[np.ndarray] = field(init=False)
    seen: list[dict[str, dict[int, float]]] = field(init=False)

    def __post_init__(self) -> None:
        boxes = [caption.box for caption in self.captions]
        self.walls = [
            np.concatenate(
                [self.scene.barriers, np.array(boxes[:k] + boxes[k + 1 :]).reshape(-1, 4)]
            )
            for k in range(len(boxes))
        ]
        self.seen = [
            {side: self._look(k, side) for side in SIDES} for k in range(len(self.captions))
        ]
        self.sizes = [area(atom.box) for atom in self.scene.atoms]
        self.whole = sum(self.sizes) or 1.0

    def _look(self, index: int, side: str) -> dict[int, float]:
        """The atoms that a caption sees on one side: index → distance in points."""
        caption = self.captions[index]
        if caption.kind in _TABLES and side in (LEFT, RIGHT):
            return {}
        seen = {}
        cap, atoms = caption.box, self.scene.atoms
        for number, atom in enumerate(atoms):
            gap = _gap(cap, atom.box, side, self.scene.profile.size)
            if gap is not None and not _wall_between(cap, atom.box, side, self.walls[index]):
                seen[number] = gap
        if side in (LEFT, RIGHT):
            level = {k: gap for k, gap in seen.items() if overlap_y(cap, atoms[k].box) > 0}
            return level or seen
        return seen

    def options(self, index: int) -> list[str | None]:
        """The sides on which a caption sees something, and None: its figure is elsewhere."""
        return [*(side for side in SIDES if self.seen[index][side]), None]


def pair_page(scene: Scene, prior: dict[str, float] | None = None) -> list[Pair]:
    """Give every atom of a page to at most one caption and every caption its region.

    `prior` has for each side (ABOVE, ...) the share of the document's figures that lie there.
    Captions of tables take part, since ruled tables are graphics too. A caption without graphics
    gets no pair.
    """
    if not scene.captions or not scene.atoms:
        return []
    problem = Problem(scene, scene.captions, prior or {})
    sides = best_sides(problem)
    owner = owners(problem, dict(enumerate(sides)))
    pairs = []
    for index, atoms in enumerate(claims(problem, sides)):
        if not atoms:
            continue
        caption, own = problem.captions[index], [scene.atoms[k] for k in atoms]
        box = cut_off(union([atom.box for atom in own]), caption.box, sides[index])
        lines = [line for atom in own for line in atom.lines]
        more = _between(problem, index, sides[index], box, lines)
        box = union([box, *(line.box for line in more)])
        lines += more
        reasons = _model().reasons(choice_features(problem, index, sides[index], owner))
        pairs.append(Pair(caption, box, sides[index], own, lines, reasons))
    return pairs


def _between(
    problem: Problem, index: int, side: str | None, box: Box, lines: list[Line]
) -> list[Line]:
    """Text between a figure and its caption: letters of panels, a legend, the name of an axis.

    `lines` are those that the figure has already.
    """
    cap, scene = problem.captions[index].box, problem.scene
    if side not in (ABOVE, BELOW):
        return []
    top, bottom = (box[3], cap[1]) if side == ABOVE else (cap[3], box[1])
    known = {id(line) for line in lines}
    walls = problem.walls[index]
    found = []
    for line in scene.loose:
        inside = line.box[1] > top - 1 and line.box[3] < bottom + 1
        within = line.box[0] > box[0] - 1 and line.box[2] < box[2] + 1
        if inside and within and id(line) not in known:
            hull = _inset(union([box, line.box]))
            if not len(walls) or not hits(walls, hull).any():
                found.append(line)
    return found


def side_shares(count: Counter[str | None]) -> dict[str, float]:
    """What the number of a document's figures on each side says of a side: log shares.

    Few figures say little: half a figure is added to each side.
    """
    total = sum(count.values())
    return {side: math.log((count[side] + 0.5) / (total + 1)) for side in SIDES}


def _model() -> LinearModel:
    return load_models()["pairs"]


def best_sides(problem: Problem) -> list[str | None]:
    """The side for each caption, None for those without, that score highest together."""
    sides: list[str | None] = [None] * len(problem.captions)
    for group in groups(problem):
        for index, side in _solve(problem, group).items():
            sides[index] = side
    return sides


def groups(problem: Problem) -> list[list[int]]:
    """Captions that see an atom in common, directly or through others."""
    found: list[tuple[list[int], set[int]]] = []
    for index, seen in enumerate(problem.seen):
        atoms = {atom for own in seen.values() for atom in own}
        touching = [group for group in found if group[1] & atoms]
        found = [group for group in found if not group[1] & atoms]
        members = [k for group in touching for k in group[0]] + [index]
        found.append((members, atoms.union(*(group[1] for group in touching))))
    return [sorted(members) for members, _ in found]


def _solve(problem: Problem, group: list[int]) -> dict[int, str | None]:
    """The best sides of some captions, by depth first search with a bound on what is to come."""
    model = _model()
    most = {k: _bounds(problem, k, model) for k in group}
    order = sorted(group, key=lambda k: len(most[k]))
    rest = [0.0]
    for k in reversed(order):
        rest.insert(0, rest[0] + max(most[k].values()))
    best, chosen, nodes = -np.inf, dict.fromkeys(group), 0

    def search(depth: int, sides: dict[int, str | None], bound: float) -> None:
        nonlocal best, chosen, nodes
        nodes += 1
        if nodes > P.nodes or bound + rest[depth] <= best:
            return
        if depth == len(order):
            total = score_sides(problem, sides, model)
            if total > best:
                best, chosen = total, dict(sides)
            return
        k = order[depth]
        for side in sorted(most[k], key=lambda side: -most[k][side]):
            search(depth + 1, {**sides, k: side}, bound + most[k][side])

    search(0, {}, 0.0)
    return chosen


def _bounds(problem: Problem, index: int, model: LinearModel) -> dict[str | None, float]:
    """For each option of a caption the most that it can add: with all that it sees its own."""
    bounds = {}
    for side in problem.options(index):
        alone = owners(problem, {index: side})
        score = model.score(choice_features(problem, index, side, alone))
        # With fewer atoms its own, the figure may be nearer to what fits the caption.
        slack = abs(model.weights.get("misfit", 0.0)) + abs(model.weights.get("contested", 0.0))
        bounds[side] = score + (slack if side else 0.0)
    return bounds


def score_sides(problem: Problem, sides: dict[int, str | None], model: LinearModel) -> float:
    """The score of a choice of sides for some captions."""
    owner = owners(problem, sides)
    return sum(model.score(choice_features(problem, k, s, owner)) for k, s in sides.items())


def choice_features(
    problem: Problem, index: int, side: str | None, owner: dict[int, int]
) -> dict[str, float]:
    """Features of a caption's side, where `owner` says whose each atom is."""
    caption = problem.captions[index]
    table = caption.kind in _TABLES
    own = [k for k, who in owner.items() if who == index]
    if side is None or not own:
        return {"no_table": 1.0} if table else {"no_figure": 1.0}
    scene = problem.scene
    size = scene.profile.size
    near = min(problem.seen[index][side][k] for k in own)
    boxes = [scene.atoms[k].box for k in own]
    share = sum(problem.sizes[k] for k in own) / problem.whole
    if table:
        return {f"table_{side}": 1.0, "table_gap": near / size, "covered": share}
    return {
        side: 1.0,
        "usual_side": problem.prior.get(side, 0.0),
        "gap": near / size,
        "far": float(near > 4 * size),
        "misfit": float(_misfit(caption, side, boxes, scene)),
        "covered": share,
        "text_like": float(_is_flat(boxes, size)),
        "off_centre": _off_centre(caption.box, union(boxes), side) / scene.page.width,
    }


def _is_flat(boxes: list[Box], size: float) -> bool:
    """Whether graphics are no higher than two lines: a formula, a rule with its ends, a logo."""
    box = union(boxes)
    return box[3] - box[1] < 2.5 * size


def owners(problem: Problem, sides: dict[int, str | None]) -> dict[int, int]:
    """Atom index → caption index, for the atoms that captions see on their chosen sides."""
    scene, captions = problem.scene, problem.captions
    owner: dict[int, tuple[float, int]] = {}
    for index, side in sides.items():
        if side is None:
            continue
        for atom, gap in _visible(problem, index, side):
            cost = gap + _off_centre(captions[index].box, scene.atoms[atom].box, side)
            if atom not in owner or cost < owner[atom][0]:
                owner[atom] = cost, index
    return {atom: index for atom, (_, index) in owner.items()}


def _visible(problem: Problem, index: int, side: str) -> Iterator[tuple[int, float]]:
    """The atoms that a caption sees on a side and may have, with their distances in points."""
    scene, cap = problem.scene, problem.captions[index].box
    seen = problem.seen[index][side]
    others = np.array([c.box for k, c in enumerate(problem.captions) if k != index]).reshape(-1, 4)
    first, nearest = min((gap, scene.atoms[atom].box) for atom, gap in seen.items())
    for atom, gap in seen.items():
        box = scene.atoms[atom].box
        if side in (ABOVE, BELOW) and _captioned_between(problem, index, box, nearest):
            continue
        # The legend beside another figure may be seen past that figure's caption.
        hull = _inset(union([nearest, box]))
        if len(others) and hits(others, hull).any():
            continue
        # A logo above the title may be seen past the title's end.
        if gap > first + P.logo_gap * scene.profile.size and side in (ABOVE, BELOW):
            past = overlap_x(cap, box) < 0.5 * (box[2] - box[0])
            if past and hits(scene.barriers, hull).any():
                continue
        yield atom, gap


def _captioned_between(problem: Problem, index: int, box: Box, nearest: Box) -> bool:
    """Whether a caption over all columns stands between a graphic and the nearest one.

    Then the graphic is of that caption, though it may not stand right over it.
    """
    page = problem.scene.page
    top, bottom = min(box[3], nearest[3]), max(box[1], nearest[1])
    for number, other in enumerate(problem.captions):
        x0, y0, x1, y1 = other.box
        if number == index or not (y0 > top - 2 and y1 < bottom + 2):
            continue
        column = in_one_column(other.box, page)
        centred = abs(x0 + x1 - page.width) < P.page_centre * page.width
        if column is None and (len(page.columns) > 1 or centred):
            return True
    return False


def _gap(cap: Box, box: Box, side: str, size: float) -> float | None:
    """Distance from a caption to a box on one side; None where the box is not on that side.

    `size`: that of the body, in points.
    """
    slack = min(P.height_inside * (box[3] - box[1]), P.inside * size)
    if side in (ABOVE, BELOW):
        narrow = min(cap[2] - cap[0], box[2] - box[0])
        if overlap_x(cap, box) < P.least_overlap * narrow:
            return None
        gap = cap[1] - box[3] if side == ABOVE else box[1] - cap[3]
        return max(gap, 0.0) if gap > -slack else None
    # Set on one baseline with the foot or the head of its figure, a caption may lie just past it.
    past = -overlap_y(cap, box)
    gap = cap[0] - box[2] if side == LEFT else box[0] - cap[2]
    if gap < -P.past_side * size or past > P.past_side * size:
        return None
    return max(gap, 0.0) + 2 * max(past, 0.0)


def _wall_between(cap: Box, box: Box, side: str, walls: np.ndarray) -> bool:
    if side in (ABOVE, BELOW):
        x0, x1 = max(cap[0], box[0]), min(cap[2], box[2])
        y0, y1 = (box[3], cap[1]) if side == ABOVE else (cap[3], box[1])
    else:
        y0, y1 = max(cap[1], box[1]), min(cap[3], box[3])
        x0, x1 = (box[2], cap[0]) if side == LEFT else (cap[2], box[0])
    inset_x, inset_y = 0.02 * (x1 - x0), 0.02 * (y1 - y0)  # what only touches is no wall
    corridor = (x0 + inset_x, y0 + inset_y, x1 - inset_x, y1 - inset_y)
    if corridor[0] >= corridor[2] or corridor[1] >= corridor[3] or not len(walls):
        return False
    return bool(hits(walls, corridor).any())


def _misfit(caption: Caption, side: str, boxes: list[Box], scene: Scene) -> bool:
    """Whether the width of a caption does not fit to lie above or below its figure.

    There it is broken at the width of the figure or of the column; beside the figure, at what
    is left of the width.
    """
    if side not in (ABOVE, BELOW) or len(caption.lines) < 2:
        return False
    width = _measure(caption)
    figure = union(boxes)
    columns = [b - a for a, b in scene.page.columns]
    spans = [*columns, max(b for _, b in scene.page.columns) - scene.page.columns[0][0]]
    own = caption.box[2] - caption.box[0]
    fits_figure = width > P.figure_width * (figure[2] - figure[0])
    return not fits_figure and not any(abs(own - s) < P.same_width * s for s in spans)


def _measure(caption: Caption) -> float:
    """The most, in points, to which the lines of a caption may have been set.

    Justified lines end there; a ragged one ends where the next word would have gone beyond it.
    """
    ends = [line.box[2] for line in caption.lines[:-1]]
    if len(ends) < 2 or max(ends) - min(ends) > 0.2 * caption.lines[0].size:
        ends = [line.box[2] + after.first_word for line, after in pairwise(caption.lines)]
    return max(*ends, caption.box[2]) - caption.box[0]


def _off_centre(cap: Box, box: Box, side: str) -> float:
    axis = 0 if side in (ABOVE, BELOW) else 1
    return P.off_centre * abs(cap[axis] + cap[axis + 2] - box[axis] - box[axis + 2]) / 2


def claims(problem: Problem, sides: list[str | None]) -> list[list[int]]:
    """The atoms of each caption: those it sees, then their neighbours that nobody sees."""
    atoms = problem.scene.atoms
    owner = owners(problem, dict(enumerate(sides)))
    free = set(range(len(atoms))) - set(owner)
    while free:
        links = []
        for new in free:
            for old, index in owner.items():
                distance = _link(problem, index, sides[index], atoms[new].box, atoms[old].box)
                if distance is not None:
                    links.append((distance, new, index))
        if not links:
            break
        _, new, index = min(links)
        owner[new] = index
        free.discard(new)
    return [
        sorted(k for k, who in owner.items() if who == index)
        for index in range(len(problem.captions))
    ]


def _link(problem: Problem, index: int, side: str | None, new: Box, old: Box) -> float | None:
    """Distance of an atom to one that a caption has; None where they do not belong together."""
    cap, walls, page = problem.captions[index].box, problem.walls[index], problem.scene.page
    middle = (new[1] + new[3]) / 2
    if (side == ABOVE and middle > cap[1]) or (side == BELOW and middle < cap[3]):
        return None
    if (side == LEFT and new[0] > cap[0]) or (side == RIGHT and new[2] < cap[2]):
        return None
    column = in_one_column(cap, page)
    own = column and in_one_column(old, page) == column
    level = overlap_y(new, old) > P.level_share * min(new[3] - new[1], old[3] - old[1])
    other = own and in_one_column(new, page) not in (None, column)
    if other and not level and _column_busy(column, cap, walls):
        return None
    across, down = -overlap_x(new, old), -overlap_y(new, old)
    if across > 0 and down > 0:
        return None
    hull = union([new, old])
    if len(walls) and hits(walls, _inset(hull)).any():
        return None
    distance = max(across, down, 0.0)
    return distance if distance < P.link_gap * problem.scene.profile.size else None


def _column_busy(column: tuple[float, float], cap: Box, walls: np.ndarray) -> bool:
    """Whether another column holds text beside the caption, so that the figure keeps to its own."""
    if not len(walls):
        return False
    beside = (walls[:, 1] < cap[3] + 20) & (walls[:, 3] > cap[1] - 20)
    other = (walls[:, 0] > column[1]) | (walls[:, 2] < column[0])
    return bool((beside & other).any())


def _inset(box: Box) -> Box:
    return box[0] + 1, box[1] + 1, box[2] - 1, box[3] - 1


def cut_off(box: Box, cap: Box, side: str | None) -> Box:
    """`box` without the part that overlaps the caption on its side."""
    x0, y0, x1, y1 = box
    if overlap_x(box, cap) > 0 and overlap_y(box, cap) > 0:
        match side:
            case "above":
                y1 = min(y1, cap[1])
            case "below":
                y0 = max(y0, cap[3])
            case "left":
                x1 = min(x1, cap[0])
            case "right":
                x0 = max(x0, cap[2])
    return x0, y0, x1, y1
