"""Regions of a page: connected groups of graphics, and the text between them."""

import re
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from cephalo.dataset_scripts.common.geometry import Box, covered, grow, hits, union
from cephalo.dataset_scripts.pdf.atoms import (
    Atom,
    find_atoms,
    merge_groups,
    part_neighbours,
    scattered_marks,
)
from cephalo.dataset_scripts.pdf.captions import Caption
from cephalo.dataset_scripts.pdf.graphics import IMAGE
from cephalo.dataset_scripts.pdf.labels import kind_of, match_label, number_of
from cephalo.dataset_scripts.pdf.layout import Block, PageContent, background, find_blocks
from cephalo.dataset_scripts.pdf.profile import TypeProfile
from cephalo.dataset_scripts.pdf.text import Line

_PANEL = re.compile(r"\(?[a-h]\)\s", re.I)


@dataclass(frozen=True)
class Parameters:
    """Limits for text in figures. Lengths are in body font sizes unless stated otherwise.

    No paper of the benchmarks needs those of formulas, headers, keys and panels. Tests cover them.
    """

    text_reach: float = 1.3  # largest gap from a graphic to its text, and from line to line
    formula_gap: float = 1.0  # largest gap from running text down to a displayed formula
    same_size: float = 0.03  # relative tolerance of the size of a formula
    header_reach: float = 1.0  # added for a row of names, each centred above an image
    off_middle: float = 0.1  # share of an image's width: tolerance of the centre of a name
    tiny: float = 0.4  # ratio to the body size; footnotes and indices are larger
    tiny_reach: float = 2.5  # added for such small type
    key_gap: float = 1.0  # largest gap between a line sample and its name in a legend
    key_length: float = 3.0  # largest length of a line sample
    key_reach: float = 2.5  # added for such names: a legend may be beside the axes
    panel_reach: float = 4.0  # largest gap between a panel and the line that describes it
    panel_width: float = 0.9  # share of the panel's width; a list item is wider
    least_size: float = 10.0  # points; smallest body size for these limits


P = Parameters()


@dataclass
class Scene:
    """A page as input of pairing.

    Attributes:
        page: Content of the page.
        profile: Type of the body text.
        captions: Captions of the page.
        atoms: Groups of graphics.
        loose: Lines that may belong to a figure: axis labels, legends, panel letters.
        barriers: Boxes of running text, of shape (n, 4), which no figure crosses.
        blocks: All text except captions and furniture.
    """

    page: PageContent
    profile: TypeProfile
    captions: list[Caption]
    atoms: list[Atom]
    loose: list[Line]
    barriers: np.ndarray
    blocks: list[Block] = field(default_factory=list)


def build_scene(page: PageContent, owned: list[Caption], body: TypeProfile) -> Scene:
    """Divide a page, without its captions, into graphics, loose text and running text."""
    # Without the lines of captions, the last line of a figure is not taken for running text.
    blocks = find_blocks(page, body)
    captions = [caption.box for caption in owned]
    captioned = np.array(captions).reshape(-1, 4)
    atoms, channels = bare_atoms(page, blocks, captions, body)
    free, barriers = [], []
    told = iter(_in_captions([line for block in blocks for line in block.lines], captioned))
    labels_of = {(caption.kind, caption.number) for caption in owned}
    for block in blocks:
        note = _is_note(block, labels_of, body)
        for line in block.lines:
            if next(told) or note:
                continue
            sentence = len(line.text) > 25 or line.text.endswith("\u3002")  # Chinese full stop
            running = block.paragraph or (sentence and _in_body_type(line, body))
            labels = len(block.lines) <= 2 and _in_graphics(line, atoms)
            labels = labels or _names_panel(block, atoms, body)
            if running and not labels:
                barriers.append(line.box)
            else:
                free.append(line)
    for line in page.turned:
        if len(line.text) > 30 and abs(line.size - body.size) < 0.08 * body.size:
            barriers.append(line.box)
        else:
            free.append(line)
    formulas = _formulas(free, barriers, atoms, body)
    barriers += [line.box for line in formulas]
    inside = {id(line) for line in formulas}
    free = [line for line in free if id(line) not in inside]
    more = _stand_off(free, page, body)
    loose, far = _near_graphics(free, atoms, body, more)
    more_of = {id(line): own for line, own in zip(free, more.tolist(), strict=True)}
    # A single line that is not in body type (a legend, a tick), or "(a)", is not a wall.
    named = {id(line) for b in blocks if _names_panel(b, atoms, body) for line in b.lines}
    stops = [
        line
        for line in far
        if _in_body_type(line, body) and len(line.text) > 3 and id(line) not in named
    ]
    barriers += [line.box for line in stops]
    walls = np.array([*barriers, *captions, *channels]).reshape(-1, 4)
    atoms = _take_in_text(
        atoms, loose, walls, body, np.array([more_of[id(line)] for line in loose])
    )
    stopped = {id(line) for line in stops}
    loose += [line for line in far if id(line) not in stopped]
    return Scene(page, body, owned, atoms, loose, walls[: len(barriers)], blocks)


def bare_atoms(
    page: PageContent, blocks: list[Block], captions: list[Box], body: TypeProfile
) -> tuple[list[Atom], list[Box]]:
    """Return the connected graphics of a page without text, and the gaps between neighbours."""
    keep = ~background(page, blocks, captions)
    keep &= ~_page_wide(page)
    keep &= ~_frames(page, captions)
    boxes, kinds = page.boxes[keep], page.kinds[keep]
    walls = np.array(captions).reshape(-1, 4)
    atoms = find_atoms(boxes, kinds, body, walls)
    atoms, channels = part_neighbours(atoms, boxes, captions, body)
    running = [line.box for block in blocks if block.paragraph for line in block.lines]
    atoms += scattered_marks(boxes, atoms, np.array([*running, *captions]).reshape(-1, 4), body)
    top, bottom = page.area
    inside = [
        atom
        for atom in atoms
        if min(atom.box[3], bottom) - max(atom.box[1], top) > 0.5 * (atom.box[3] - atom.box[1])
    ]
    return inside, channels


def _in_captions(lines: list[Line], captions: np.ndarray) -> list[bool]:
    """Return which lines are inside one of the boxes (n, 4) of captions by more than 0.6."""
    inside = np.zeros(len(lines), bool)
    x0, y0, x1, y1 = np.array([line.box for line in lines]).reshape(-1, 4).T
    own = (x1 - x0) * (y1 - y0)
    for left, top, right, bottom in captions.tolist():
        width = np.minimum(x1, right) - np.maximum(x0, left)
        height = np.minimum(y1, bottom) - np.maximum(y0, top)
        inside |= (width > 0) & (height > 0) & (width * height > 0.6 * own)
    return inside.tolist()


def _in_graphics(line: Line, atoms: list[Atom]) -> bool:
    """Return whether a line is inside an atom."""
    return any(covered(line.box, grow(atom.box, 1)) > 0.9 for atom in atoms)


def _is_note(block: Block, captioned: set[tuple[str, str]], body: TypeProfile) -> bool:
    """Return whether a block in small type repeats a label, between a title and its graphics.

    `captioned` has kind and number of the captions of the page.
    """
    first = block.lines[0]
    match = match_label(first.text)
    if match is None or _in_body_type(first, body):
        return False
    return (kind_of(match), number_of(match)) in captioned


def _names_panel(block: Block, atoms: list[Atom], body: TypeProfile) -> bool:
    """Return whether a block describes a panel ("(a) In air"), centred above or below a graphic."""
    if len(block.lines) > 2 or not _PANEL.match(block.lines[0].text):
        return False
    x0, y0, x1, y1 = block.box
    return any(
        max(y0 - atom.box[3], atom.box[1] - y1) < P.panel_reach * body.size
        and x1 - x0 < P.panel_width * (atom.box[2] - atom.box[0])
        and abs(x0 + x1 - atom.box[0] - atom.box[2])
        < 2 * P.off_middle * (atom.box[2] - atom.box[0])
        for atom in atoms
    )


def _in_body_type(line: Line, body: TypeProfile) -> bool:
    """Return whether a line has the size of the body, in its font or bold."""
    return line.size > 0.95 * body.size and (line.font in body.fonts or line.bold)


def _take_in_text(
    atoms: list[Atom], loose: list[Line], walls: np.ndarray, body: TypeProfile, more: np.ndarray
) -> list[Atom]:
    """Assign every loose line to the nearest atom, and merge atoms that touch afterwards.

    The gap between two plots is that between their axis labels, not between their frames. `more` is
    the additional reach of each line, in points.
    """
    reach = P.text_reach * max(body.size, P.least_size) + more
    reach[_headers(loose, atoms, body)] += P.header_reach * body.size
    add_text(atoms, loose, walls, reach)
    merged = merge_groups([atom.box for atom in atoms], 0.0, walls)
    result = []
    for box in merged:
        parts = [atom for atom in atoms if covered(atom.box, box) > 0.99]
        atoms = [atom for atom in atoms if atom not in parts]
        images = [image for atom in parts for image in atom.images]
        lines = [line for atom in parts for line in atom.lines]
        result.append(Atom(box, images, lines))
    return result


def _stand_off(lines: list[Line], page: PageContent, body: TypeProfile) -> np.ndarray:
    """Return the additional distance of each line from its figure, in points.

    The name of a vertical axis is farther from the axis than the tick labels, and a legend may be
    beside the axes. Type too small for text labels the parts of a large drawing, in separate
    columns.
    """
    turned = np.array([float(line.quarters != page.quarters) for line in lines])
    tiny = np.array([float(line.size < P.tiny * body.size) for line in lines])
    keys = _behind_samples(lines, page.boxes, body)
    return (0.9 * turned + P.tiny_reach * tiny + P.key_reach * keys) * body.size


def _behind_samples(lines: list[Line], boxes: np.ndarray, body: TypeProfile) -> np.ndarray:
    """Return which lines are names in a legend, right of a line sample: 0 or 1 of shape (n,)."""
    wide, high = (boxes[:, 2:] - boxes[:, :2]).T
    length = P.key_length * body.size
    samples = boxes[(high < body.size) & (wide > high) & (wide < length)]
    samples = samples[np.argsort(samples[:, 2])]
    ends, middles = samples[:, 2], (samples[:, 1] + samples[:, 3]) / 2
    lefts = np.array([line.box[0] for line in lines])
    starts = np.searchsorted(ends, lefts - P.key_gap * body.size)
    stops = np.searchsorted(ends, lefts + 0.5)
    found = np.zeros(len(lines))
    for number in np.flatnonzero(stops > starts).tolist():
        _, top, _, foot = lines[number].box
        near = middles[starts[number] : stops[number]]
        found[number] = ((near > top) & (near < foot)).any()
    return found


def _formulas(
    lines: list[Line], texts: list[Box], atoms: list[Atom], body: TypeProfile
) -> list[Line]:
    """Return lines between running text and a graphic below that are nearer to the text."""
    walls = np.array(texts).reshape(-1, 4)
    graphics = np.array([atom.box for atom in atoms]).reshape(-1, 4)
    found: list[Line] = []
    for line in sorted(lines, key=lambda line: line.box[1]):
        if abs(line.size - body.size) > P.same_size * body.size or line.quarters:
            continue
        x0, y0, x1, y1 = line.box
        below = graphics[(graphics[:, 0] < x1) & (graphics[:, 2] > x0) & (graphics[:, 3] > y0)]
        down = (below[:, 1] - y1).min(initial=np.inf)
        up = y0 - walls[(walls[:, 0] < x1) & (walls[:, 2] > x0) & (walls[:, 3] < y1), 3]
        if up.min(initial=np.inf) < min(P.formula_gap * body.size, down) and down < np.inf:
            found.append(line)
            walls = np.concatenate([walls, [line.box]])
    return found


def _headers(lines: list[Line], atoms: list[Atom], body: TypeProfile) -> list[int]:
    """Return the indices of lines in one row that are each centred above an image."""
    boxes = [atom.box for atom in atoms] + [image for atom in atoms for image in atom.images]
    pictures = np.array(boxes).reshape(-1, 4)
    wide, middles = pictures[:, 2] - pictures[:, 0], (pictures[:, 0] + pictures[:, 2]) / 2
    rows = defaultdict(list)
    for number, line in enumerate(lines):
        x0, _, x1, foot = line.box
        gap = pictures[:, 1] - foot
        over = (gap > 0) & (gap < (P.text_reach + P.header_reach) * body.size)
        over &= (np.abs((x0 + x1) / 2 - middles) < P.off_middle * wide) & (x1 - x0 < wide)
        if over.any():
            picture = int(np.argmax(over))
            rows[round(foot), round(pictures[picture, 1])].append((number, picture))
    return [
        number
        for row in rows.values()
        if len({picture for _, picture in row}) > 1
        for number, _ in row
    ]


def add_text(atoms: list[Atom], loose: list[Line], walls: np.ndarray, reach: np.ndarray) -> None:
    """Extend `atoms` by the lines within their `reach` (points, per line), line by line.

    The nearest lines relative to their reach are added first. A line is added to one atom only, and
    not if the atom would overlap a wall (n, 4).
    """
    if not atoms or not loose:
        return
    boxes = np.array([line.box for line in loose], np.float64)
    gaps = np.stack([_gaps(boxes, atom.box) / reach for atom in atoms])  # (atoms, lines)
    owner = gaps.argmin(axis=0)
    nearest = gaps.min(axis=0)
    crossed = [hits(walls, atom.box) for atom in atoms]
    while nearest.min() <= 1:
        index = int(nearest.argmin())
        atom = atoms[owner[index]]
        nearest[index] = np.inf
        boxes[index] += 1e9  # added or rejected: out of reach from now on
        line = loose[index]
        wide = union([atom.box, line.box])
        crossing = hits(walls, wide)
        if (crossing & ~crossed[owner[index]]).any():
            continue
        crossed[owner[index]] = crossing
        atom.box = wide
        atom.lines.append(line)
        onward = _gaps(boxes, wide) / reach
        closer = onward < nearest
        nearest[closer] = onward[closer]
        owner[closer] = owner[index]


def _gaps(boxes: np.ndarray, box: Box) -> np.ndarray:
    """Return the larger of the horizontal and vertical gap from each box (n, 4) to `box`."""
    across = np.maximum(boxes[:, 0] - box[2], box[0] - boxes[:, 2])
    down = np.maximum(boxes[:, 1] - box[3], box[1] - boxes[:, 3])
    return np.maximum(np.maximum(across, down), 0.0)


def _near_graphics(
    lines: list[Line], atoms: list[Atom], body: TypeProfile, more: np.ndarray
) -> tuple[list[Line], list[Line]]:
    """Divide lines into those near graphics, or near such lines, and the others.

    The first gap is up to two body sizes. The next gaps are from line to line, since tick labels,
    axis names and panel captions follow each other. `more` is the additional reach of each line, in
    points.
    """
    boxes = np.array([line.box for line in lines]).reshape(-1, 4)
    boxes += np.outer(more, (-1, -1, 1, 1))
    near = np.zeros(len(lines), bool)
    for atom in atoms:
        near |= hits(boxes, grow(atom.box, 2 * body.size))
    wave = np.flatnonzero(near)
    while len(wave):
        others = np.flatnonzero(~near)
        found = np.zeros(len(others), bool)
        for start in range(0, len(wave), 64):  # in batches, since a page may have many thousands
            part = boxes[wave[start : start + 64]]
            low, high = part[:, :2] - 1.3 * body.size, part[:, 2:] + 1.3 * body.size
            meet = (boxes[others, None, :2] < high) & (boxes[others, None, 2:] > low)
            found |= np.any(np.all(meet, axis=2), axis=1)
        wave = others[found]
        near[wave] = True
    loose = [line for line, close in zip(lines, near, strict=True) if close]
    return loose, [line for line, close in zip(lines, near, strict=True) if not close]


def _page_wide(page: PageContent) -> np.ndarray:
    """Return graphics as large as the page: background, watermark frames. A lone image is kept."""
    boxes = page.boxes
    wide = (boxes[:, 2] - boxes[:, 0] > 0.93 * page.width) & (
        boxes[:, 3] - boxes[:, 1] > 0.93 * page.height
    )
    if wide.sum() == 1 and len(boxes) == 1 and page.kinds[0] == IMAGE and not page.lines:
        return np.zeros(len(boxes), bool)
    return wide


def _frames(page: PageContent, captions: list[Box]) -> np.ndarray:
    """Return rules that frame a caption: one on each side of equal height, and those across."""
    boxes = page.boxes
    framed = np.zeros(len(boxes), bool)
    thin = boxes[:, 2] - boxes[:, 0] < 2
    flat = boxes[:, 3] - boxes[:, 1] < 2
    for cap in captions:
        beside = thin & (boxes[:, 1] < cap[1]) & (boxes[:, 3] > cap[3])
        left = np.flatnonzero(beside & (boxes[:, 2] <= cap[0] + 1))
        right = np.flatnonzero(beside & (boxes[:, 0] >= cap[2] - 1))
        for a in left:
            for b in right:
                if np.abs(boxes[a, [1, 3]] - boxes[b, [1, 3]]).max() < 3:
                    across = flat & (np.abs(boxes[:, 0] - boxes[a, 0]) < 8)
                    across &= np.abs(boxes[:, 2] - boxes[b, 2]) < 8
                    framed |= across
                    framed[[a, b]] = True
    return framed
