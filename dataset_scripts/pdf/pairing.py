"""Pairing: which graphics belong to which caption, decided for all captions of a page at once."""

from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np

from cephalo.dataset_scripts.pdf.captions import Caption
from cephalo.dataset_scripts.pdf.geometry import Box, area, hits, overlap_x, overlap_y, union
from cephalo.dataset_scripts.pdf.layout import PageContent, in_one_column
from cephalo.dataset_scripts.pdf.profile import TypeProfile
from cephalo.dataset_scripts.pdf.regions import Atom, Scene
from cephalo.dataset_scripts.pdf.text import Line

ABOVE, BELOW, LEFT, RIGHT = "above", "below", "left", "right"
SIDES = (ABOVE, BELOW, LEFT, RIGHT)  # where the figure lies, seen from its caption
_PRIOR = {ABOVE: 0.0, BELOW: -1.5, LEFT: -2.0, RIGHT: -2.0}
_TABLES = ("table", "algorithm")  # their captions stand above
_OPPOSITE = {ABOVE: BELOW, BELOW: ABOVE, LEFT: RIGHT, RIGHT: LEFT}
_MAX_CHOICES = 4096


@dataclass
class Pair:
    """A caption and its figure. `box` is the region in the page's frame, caption left out."""

    caption: Caption
    box: Box
    side: str | None
    atoms: list[Atom]
    lines: list[Line]


def pair_page(
    scene: Scene, captions: list[Caption], body: TypeProfile, prior: dict[str, float] | None = None
) -> list[Pair]:
    """Give every atom of a page to at most one caption and every caption its region.

    `prior` weighs the sides (ABOVE, ...) by what the rest of the document does. Captions of
    tables take part, since ruled tables are graphics too. A caption without graphics gets no
    pair.
    """
    figures = list(captions)
    if not figures or not scene.atoms:
        return []
    weights = dict(_PRIOR, **(prior or {}))
    walls = [
        np.concatenate(
            [scene.barriers, np.array([c.box for c in captions if c is not own]).reshape(-1, 4)]
        )
        for own in figures
    ]
    reach = [
        {
            side: _direct(caption, side, scene.atoms, wall, body)
            if side in (ABOVE, BELOW) or caption.kind not in _TABLES
            else {}
            for side in SIDES
        }
        for caption, wall in zip(figures, walls, strict=True)
    ]
    sides = _choose_sides(figures, reach, scene, weights, body)
    claims = _claim(figures, sides, reach, scene, walls, body)
    pairs = []
    for index, caption in enumerate(figures):
        atoms = [scene.atoms[k] for k in claims[index]]
        if not atoms:
            continue
        box = cut_off(union([atom.box for atom in atoms]), caption.box, sides[index])
        lines = [line for atom in atoms for line in atom.lines]
        pairs.append(Pair(caption, box, sides[index], atoms, lines))
    return pairs


def _direct(
    caption: Caption, side: str, atoms: list[Atom], walls: np.ndarray, body: TypeProfile
) -> dict[int, float]:
    """The atoms that `caption` sees on one side: index → distance in points."""
    seen = {}
    cap = caption.box
    for index, atom in enumerate(atoms):
        gap = _gap(cap, atom.box, side, body)
        if gap is None or _wall_between(cap, atom.box, side, walls):
            continue
        seen[index] = gap
    if side in (LEFT, RIGHT):
        level = {k: gap for k, gap in seen.items() if overlap_y(cap, atoms[k].box) > 0}
        return level or seen
    return seen


def _gap(cap: Box, box: Box, side: str, body: TypeProfile) -> float | None:
    """Distance from a caption to a box on one side; None where the box is not on that side."""
    slack = min(0.35 * (box[3] - box[1]), 4 * body.size)
    if side in (ABOVE, BELOW):
        narrow = min(cap[2] - cap[0], box[2] - box[0])
        if overlap_x(cap, box) < 0.15 * narrow:
            return None
        gap = cap[1] - box[3] if side == ABOVE else box[1] - cap[3]
        return max(gap, 0.0) if gap > -slack else None
    # Set on one baseline with the foot or the head of its figure, a caption may lie just past it.
    past = -overlap_y(cap, box)
    gap = cap[0] - box[2] if side == LEFT else box[0] - cap[2]
    if gap < -2 * body.size or past > 2 * body.size:
        return None
    return max(gap, 0.0) + 2 * max(past, 0.0)


def _wall_between(cap: Box, box: Box, side: str, walls: np.ndarray) -> bool:
    if side in (ABOVE, BELOW):
        x0, x1 = max(cap[0], box[0]), min(cap[2], box[2])
        y0, y1 = (box[3], cap[1]) if side == ABOVE else (cap[3], box[1])
    else:
        y0, y1 = max(cap[1], box[1]), min(cap[3], box[3])
        x0, x1 = (box[2], cap[0]) if side == LEFT else (cap[2], box[0])
    inset_x, inset_y = 0.02 * (x1 - x0), 0.02 * (y1 - y0)
    corridor = (x0 + inset_x, y0 + inset_y, x1 - inset_x, y1 - inset_y)
    if corridor[0] >= corridor[2] or corridor[1] >= corridor[3] or not len(walls):
        return False
    return bool(hits(walls, corridor).any())


def _choose_sides(figures, reach, scene, weights, body) -> list[str | None]:
    """The side for each caption that together explain the page's graphics best.

    Where a caption would be left without a graphic, its figure may be on another page: then
    captions may also do without, and leave what they see to others.
    """
    options = [[side for side in SIDES if seen[side]] or [None] for seen in reach]
    sides, owner = _best_sides(options, figures, reach, scene, weights, body)
    given = set(owner.values())
    if any(
        side and index not in given and figures[index].kind not in _TABLES
        for index, side in enumerate(sides)
    ):
        for choice, caption in zip(options, figures, strict=True):
            if caption.kind not in _TABLES and choice != [None]:
                choice.append(None)
        sides, _ = _best_sides(options, figures, reach, scene, weights, body)
    return list(sides)


def _best_sides(
    options, figures, reach, scene, weights, body
) -> tuple[tuple[str | None, ...], dict[int, int]]:
    """Of all choices from `options`, the best sides, and the owners of the atoms with them."""
    combinations = 1
    for choice in options:
        combinations *= len(choice)
    if combinations > _MAX_CHOICES:
        options = [
            sorted(filter(None, choice), key=lambda s, k=k: -_alone(reach[k][s], weights[s], body))[
                :2
            ]
            or [None]
            for k, choice in enumerate(options)
        ]
    if np.prod([len(choice) for choice in options]) > _MAX_CHOICES:
        options = [choice[:1] for choice in options]
    sizes = [area(atom.box) for atom in scene.atoms]
    whole = sum(sizes) or 1.0
    best, chosen, owned = -np.inf, tuple(option[0] for option in options), {}
    for sides in product(*options):
        owner = _owners(figures, sides, reach, scene, body)
        total = 0.0
        for index, side in enumerate(sides):
            own = [k for k, who in owner.items() if who == index]
            table = figures[index].kind in _TABLES
            if not own:
                total -= 0 if table else 12
                continue
            near = min(reach[index][side][k] for k in own)
            weight = _PRIOR[_OPPOSITE[side]] if table else weights[side]
            total += weight - 0.25 * near / body.size
            total -= _misfit(figures[index], side, [scene.atoms[k].box for k in own], scene, body)
        total += 8 * sum(sizes[k] for k in owner) / whole
        if total > best:
            best, chosen, owned = total, sides, owner
    return chosen, owned


def _misfit(
    caption: Caption, side: str, boxes: list[Box], scene: Scene, body: TypeProfile
) -> float:
    """How little the width of a caption fits to lie above or below its figure.

    There it is broken at the width of the figure or of the column; beside the figure, at what
    is left of the width.
    """
    if side not in (ABOVE, BELOW) or len(caption.lines) < 2:
        return 0.0
    width = _measure(caption)
    figure = union(boxes)
    columns = [b - a for a, b in scene.page.columns]
    spans = [*columns, max(b for _, b in scene.page.columns) - scene.page.columns[0][0]]
    own = caption.box[2] - caption.box[0]
    if width > 0.85 * (figure[2] - figure[0]) or any(abs(own - s) < 0.06 * s for s in spans):
        return 0.0
    return 3.0


def _measure(caption: Caption) -> float:
    """The most, in points, to which the lines of a caption may have been set.

    Justified lines end there; a ragged one ends where the next word would have gone beyond it.
    """
    ends = [line.box[2] for line in caption.lines[:-1]]
    if len(ends) < 2 or max(ends) - min(ends) > 0.2 * caption.lines[0].size:
        ends = [line.box[2] + after.first_word for line, after in pairwise(caption.lines)]
    return max(*ends, caption.box[2]) - caption.box[0]


def _alone(seen: dict[int, float], weight: float, body: TypeProfile) -> float:
    return weight - 0.25 * min(seen.values()) / body.size if seen else -99.0


def _owners(figures, sides, reach, scene, body) -> dict[int, int]:
    """Atom index → caption index, for the atoms that captions see on their chosen sides."""
    owner: dict[int, tuple[float, int]] = {}
    for index, side in enumerate(sides):
        if side is None:
            continue
        seen = reach[index][side]
        others = np.array([c.box for c in figures if c is not figures[index]]).reshape(-1, 4)
        first, nearest = min((gap, scene.atoms[atom].box) for atom, gap in seen.items())
        for atom, gap in seen.items():
            # The legend beside another figure may be seen past that figure's caption.
            hull = _inset(union([nearest, scene.atoms[atom].box]))
            if len(others) and hits(others, hull).any():
                continue
            # A logo above the title may be seen past the title's end.
            if gap > first + 12 * body.size and side in (ABOVE, BELOW):
                box = scene.atoms[atom].box
                past = overlap_x(figures[index].box, box) < 0.5 * (box[2] - box[0])
                if past and hits(scene.barriers, hull).any():
                    continue
            cost = gap + _off_centre(figures[index].box, scene.atoms[atom].box, side)
            if atom not in owner or cost < owner[atom][0]:
                owner[atom] = cost, index
    return {atom: index for atom, (_, index) in owner.items()}


def _off_centre(cap: Box, box: Box, side: str) -> float:
    axis = 0 if side in (ABOVE, BELOW) else 1
    return 0.3 * abs(cap[axis] + cap[axis + 2] - box[axis] - box[axis + 2]) / 2


def _claim(figures, sides, reach, scene, walls, body) -> list[list[int]]:
    """The atoms of each caption: those it sees, then their neighbours that nobody sees."""
    owner = _owners(figures, sides, reach, scene, body)
    free = set(range(len(scene.atoms))) - set(owner)
    while free:
        links = []
        for new in free:
            for old, index in owner.items():
                distance = _link(
                    scene.atoms[new].box,
                    scene.atoms[old].box,
                    figures[index],
                    sides[index],
                    walls[index],
                    scene.page,
                    body,
                )
                if distance is not None:
                    links.append((distance, new, index))
        if not links:
            break
        _, new, index = min(links)
        owner[new] = index
        free.discard(new)
    return [sorted(k for k, who in owner.items() if who == index) for index in range(len(figures))]


def _link(
    new: Box,
    old: Box,
    caption: Caption,
    side: str,
    walls: np.ndarray,
    page: PageContent,
    body: TypeProfile,
) -> float | None:
    """Distance of an atom to one that the caption has; None where they do not belong together."""
    cap = caption.box
    middle = (new[1] + new[3]) / 2
    if (side == ABOVE and middle > cap[1]) or (side == BELOW and middle < cap[3]):
        return None
    if (side == LEFT and new[0] > cap[0]) or (side == RIGHT and new[2] < cap[2]):
        return None
    column = in_one_column(cap, page)
    own = column and in_one_column(old, page) == column
    level = overlap_y(new, old) > 0.6 * min(new[3] - new[1], old[3] - old[1])
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
    return distance if distance < 12 * body.size else None


def _column_busy(column, cap: Box, walls: np.ndarray) -> bool:
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
