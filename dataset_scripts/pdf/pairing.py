"""Assign the graphics of a page to its captions, for all captions at once.

Each caption sees graphics above, below, left or right of it. Choosing a side for each caption
assigns every graphic to the nearest caption that sees it. The best choice has the highest score of
a fitted model, "pairs". It is found exactly by branch and bound, separately for groups of captions
that share no graphic.
"""

import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np

from cephalo.dataset_scripts.common.geometry import Box, hits, overlap_x, overlap_y, union
from cephalo.dataset_scripts.common.linear_model import LinearModel
from cephalo.dataset_scripts.pdf.atoms import Atom
from cephalo.dataset_scripts.pdf.captions import Caption
from cephalo.dataset_scripts.pdf.decisions import load_models
from cephalo.dataset_scripts.pdf.layout import in_one_column
from cephalo.dataset_scripts.pdf.sight import (
    ABOVE,
    BELOW,
    LEFT,
    RIGHT,
    SIDES,
    Problem,
    choice_features,
    inset,
    owners,
)
from cephalo.dataset_scripts.pdf.text import Line


@dataclass(frozen=True)
class Parameters:
    """Limits for adding graphics. Lengths are in body font sizes."""

    link_gap: float = 12.0  # largest gap between an assigned graphic and one that no caption sees
    nodes: int = 5_000  # largest number of choices evaluated; the benchmarks need less than a tenth


P = Parameters()
_NUMBER = re.compile(r"(.*?)([0-9]+)")  # its series and its own number: "s" and "10" of "s10"


@dataclass
class Pair:
    """A caption and its figure.

    Attributes:
        caption: The caption.
        box: Region without the caption, in the frame of the page, in points.
        side: Side of the caption on which the figure is.
        atoms: Graphics of the figure.
        lines: Lines of text in the figure.
        reasons: Features of the chosen side with their contributions.
    """

    caption: Caption
    box: Box
    side: str | None
    atoms: list[Atom]
    lines: list[Line]
    reasons: list[tuple[str, float]] = field(default_factory=list)


def figure_sides(problem: Problem) -> Counter[str | None]:
    """Count the figures of a page on each side of their captions."""
    sides = best_sides(problem)
    owner = owners(problem, dict(enumerate(sides)))
    drawn = {index for index in owner.values() if problem.captions[index].kind != "table"}
    return Counter(sides[index] for index in drawn)


def pair_page(problem: Problem, prior: dict[str, float] | None = None) -> list[Pair]:
    """Assign each atom of a page to at most one caption.

    Captions of tables take part, since ruled tables are graphics too. A caption without graphics
    gets no pair.

    Args:
        problem: The pairing of the page.
        prior: Log share of the document's figures on each side (ABOVE, ...), set in `problem`.

    Returns:
        The captions with their regions.
    """
    scene = problem.scene
    if not scene.captions or not scene.atoms:
        return []
    problem.prior = prior or {}
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
    """Return text between a figure and its caption: panel letters, a legend, an axis name.

    `lines` are those that already belong to the figure.
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
            hull = inset(union([box, line.box]))
            if not len(walls) or not hits(walls, hull).any():
                found.append(line)
    return found


def side_shares(count: Counter[str | None]) -> dict[str, float]:
    """Return the log share of figures on each side of their captions.

    Half a figure is added to each side, so that few figures have little weight.
    """
    total = sum(count.values())
    return {side: math.log((count[side] + 0.5) / (total + 1)) for side in SIDES}


def _model() -> LinearModel:
    """Return the fitted model for pairs."""
    return load_models()["pairs"]


def best_sides(problem: Problem) -> list[str | None]:
    """Return the side of each caption with the highest total score, `None` for no figure."""
    sides: list[str | None] = [None] * len(problem.captions)
    for group in groups(problem):
        for index, side in _solve(problem, group).items():
            sides[index] = side
    return sides


def groups(problem: Problem) -> list[list[int]]:
    """Return groups of captions that share atoms, directly or through other captions."""
    found: list[tuple[list[int], set[int]]] = []
    for index, seen in enumerate(problem.seen):
        atoms = {atom for own in seen.values() for atom in own}
        touching = [group for group in found if group[1] & atoms]
        found = [group for group in found if not group[1] & atoms]
        members = [k for group in touching for k in group[0]] + [index]
        found.append((members, atoms.union(*(group[1] for group in touching))))
    return [sorted(members) for members, _ in found]


def _solve(problem: Problem, group: list[int]) -> dict[int, str | None]:
    """Return the best sides of a group of captions, by depth-first search with a bound."""
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
    """Return an upper bound of the score for each option of a caption.

    The bound assumes that the caption gets all atoms it sees. With fewer atoms, less is covered and
    the nearest is not nearer, so that only the distance feature could add to the score.
    """
    margin = max(model.weights.get("far", 0.0), 0.0)
    without = model.score(choice_features(problem, index, None, {}))
    bounds: dict[str | None, float] = {}
    for side in problem.options(index):
        alone = owners(problem, {index: side})
        score = model.score(choice_features(problem, index, side, alone))
        bounds[side] = max(score + margin, without) if side else without
    return bounds


def score_sides(problem: Problem, sides: dict[int, str | None], model: LinearModel) -> float:
    """Return the score of a choice of sides for some captions."""
    owner = owners(problem, sides)
    return sum(model.score(choice_features(problem, k, s, owner)) for k, s in sides.items())


def claims(problem: Problem, sides: list[str | None]) -> list[list[int]]:
    """Return the atoms of each caption: those it sees, and neighbours that no caption sees."""
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
    """Return the distance between a new and an assigned atom, or `None` if they are unrelated."""
    cap, walls, page = problem.captions[index].box, problem.walls[index], problem.scene.page
    middle = (new[1] + new[3]) / 2
    if (side == ABOVE and middle > cap[1]) or (side == BELOW and middle < cap[3]):
        return None
    if (side == LEFT and new[0] > cap[0]) or (side == RIGHT and new[2] < cap[2]):
        return None
    column = in_one_column(cap, page)
    own = column and in_one_column(old, page) == column
    other = own and in_one_column(new, page) not in (None, column)
    if column and other and _column_busy(column, cap, walls):
        return None
    across, down = -overlap_x(new, old), -overlap_y(new, old)
    if across > 0 and down > 0:
        return None
    hull = union([new, old])
    if len(walls) and hits(walls, inset(hull)).any():
        return None
    distance = max(across, down, 0.0)
    return distance if distance < P.link_gap * problem.scene.profile.size else None


def _column_busy(column: tuple[float, float], cap: Box, walls: np.ndarray) -> bool:
    """Return whether another column has text beside the caption, which limits the figure."""
    if not len(walls):
        return False
    beside = (walls[:, 1] < cap[3] + 20) & (walls[:, 3] > cap[1] - 20)
    other = (walls[:, 0] > column[1]) | (walls[:, 2] < column[0])
    return bool((beside & other).any())


def cut_off(box: Box, cap: Box, side: str | None) -> Box:
    """Return `box` without the part that overlaps the caption on its side."""
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


def in_order(pairs: list[Pair]) -> list[Pair]:
    """Sort the pairs of a page from top to bottom, and those of one kind by their numbers.

    S8 comes before S9, and 3.9 before 3.10.

    The bottom of a column is lower on the page than the top of the next column.
    """
    series = defaultdict[tuple[str, str], list[tuple[int, int]]](list)
    for place, pair in enumerate(pairs):
        if found := _NUMBER.fullmatch(pair.caption.number):
            series[pair.caption.kind, found[1]].append((int(found[2]), place))
    ordered = list(pairs)
    for numbered in series.values():
        for (_, place), (_, own) in zip(numbered, sorted(numbered), strict=True):
            ordered[place] = pairs[own]
    return ordered
