"""Figures that consist of text: programs, grammars, formulas, or framed text next to a caption."""

import re
from dataclasses import dataclass

import numpy as np

from cephalo.dataset_scripts.common.geometry import Box, area, covered, hits, overlap_y, union
from cephalo.dataset_scripts.pdf.captions import Caption
from cephalo.dataset_scripts.pdf.labels import CONTINUED
from cephalo.dataset_scripts.pdf.layout import in_one_column
from cephalo.dataset_scripts.pdf.pairing import Pair
from cephalo.dataset_scripts.pdf.profile import TypeProfile
from cephalo.dataset_scripts.pdf.regions import Scene
from cephalo.dataset_scripts.pdf.rows import Rows
from cephalo.dataset_scripts.pdf.sight import ABOVE, BELOW
from cephalo.dataset_scripts.pdf.text import Line

# Monospaced fonts, in which programs are printed.
_TYPEWRITER = re.compile(r"mono|nimbusmon|courier|typewriter|consol|menlo|cmtt|lmtt", re.I)
_ENDS = re.compile(r"[.!?:\u3002\uff01\uff1f\u201d\"'\]})]\W{0,3}$")  # end of a sentence
_REFERENCE = re.compile(r"\[\d{1,3}\]|\d{1,3}\.?\s.*\b(?:19|20)\d\d\b")  # entry of a list
WALL, RULE, OTHER, PLAIN, RUNNING = "wall", "rule", "other", "plain", "running"


@dataclass(frozen=True)
class Parameters:
    """Limits for text that is a figure. Lengths are in body leadings unless stated otherwise."""

    least_rows: int = 3  # fewer rows are a formula or the rest of a paragraph
    first_gap: float = 3.0  # largest distance from the caption to the first row
    gap: float = 2.2  # largest distance between rows: one empty line
    other_share: float = 0.5  # share of rows that are not in body type
    parted: float = 0.7  # distance from a row in body type to running text: a display skip
    rule: float = 2.5  # points; a graphic of smaller height is a rule
    rule_width: float = 0.5  # share of the window's width; a shorter rule is part of a formula
    inside: float = 0.5  # share of a row's width inside the window
    heading: float = 1.05  # ratio to the body size, above which text is a heading
    smaller: float = 0.95  # ratio to the body size, below which text is not running text
    # Frames
    frame_height: float = 0.9  # share of the page's height; a higher frame surrounds the page
    more: float = 1.5  # smallest ratio of the areas of a frame and the part inside it
    touch: float = 2.0  # points; overlap of touching edges
    # Text in body type
    float_gap: float = 1.2  # distance to running text; LaTeX leaves 1.7 em, Typst 1.5 em
    float_wider: float = 1.8  # ratio to the widest gap inside, such as between paragraphs
    filled: float = 0.8  # share of a column's width; rows of lists and programs are shorter
    float_height: float = 0.8  # share of the text area's height; more is a page of text
    free_side: float = 6.0  # body font sizes; unassigned graphics of this size are the figure


P = Parameters()


@dataclass(frozen=True)
class Row:
    """Text or a rule at one height near a caption; `near` and `far` are distances in points."""

    kind: str
    near: float
    far: float
    lines: list[Line]
    box: Box


@dataclass(frozen=True)
class Search:
    """The search for the text that is the figure of a caption.

    `walls` are the other captions and figures of the page, `part` the current figure of the
    caption.
    """

    scene: Scene
    caption: Caption
    walls: list[Box]
    part: Pair | None = None

    def frame(self, side: str) -> Box | None:
        """Return the largest graphic next to the caption that contains text and no wall.

        If there is a `part`, the graphic also contains it, up to the edges.
        """
        page, cap, leading = self.scene.page, self.caption.box, self.scene.profile.leading
        x0, y0, x1, y1 = page.boxes.T
        gap = cap[1] - y1 if side == ABOVE else y0 - cap[3]
        fits = (gap > -P.touch) & (gap < P.first_gap * leading)
        fits &= (y1 - y0 > P.least_rows * leading) & (y1 - y0 < P.frame_height * page.height)
        common = np.minimum(x1, cap[2]) - np.maximum(x0, cap[0])
        fits &= common > 0
        if self.part:
            left, top, right, bottom = self.part.box
            fits &= (x0 < left + P.touch) & (y0 < top + P.touch)
            fits &= (x1 > right - P.touch) & (y1 > bottom - P.touch)
            fits &= (x1 - x0) * (y1 - y0) > P.more * area(self.part.box)
        if not fits.any():
            return None
        blocks = self.scene.blocks
        lines = np.array([line.box for block in blocks for line in block.lines]).reshape(-1, 4)
        walls = np.array(self.walls).reshape(-1, 4)
        frames = []
        for frame in map(tuple, page.boxes[fits].tolist()):
            between = (frame[0], frame[3], frame[2], cap[1])
            if side == BELOW:
                between = (frame[0], cap[3], frame[2], frame[1])
            enough = hits(lines, frame).sum() >= P.least_rows
            if enough and not hits(walls, frame).any() and not hits(lines, between).any():
                frames.append(frame)
        return max(frames, key=area, default=None)

    def window(self) -> tuple[float, float]:
        """Return the x range of the rows: the column, up to walls or text beside the caption."""
        cap, page = self.caption.box, self.scene.page
        left, right = in_one_column(cap, page) or (0.0, page.width)
        reach = P.first_gap * self.scene.profile.leading
        texts = (block.box for block in self.scene.blocks if block.paragraph)
        beside = [box for box in texts if overlap_y(box, cap) > 0]
        for wall in [*self.walls, *beside]:
            if overlap_y(wall, cap) < -reach:
                continue
            if wall[2] < cap[0]:
                left = max(left, (wall[2] + cap[0]) / 2)
            elif wall[0] > cap[2]:
                right = min(right, (wall[0] + cap[2]) / 2)
        return left, right

    def rows(self, side: str) -> list[Row]:
        """Return the rows on one side of the caption, from the nearest up to the first wall."""
        body, window = self.scene.profile, self.window()
        cap, page = self.caption.box, self.scene.page
        kinds = _kinds(self.scene)
        lines = [line for block in self.scene.blocks for line in block.lines]
        found = [
            (_row_kind([kinds[id(line)] for line in row]), row, union([line.box for line in row]))
            for row in Rows(lines).below(-np.inf, np.inf, window, body.size)
        ]
        wide = window[1] - window[0]
        rules = page.boxes[page.boxes[:, 3] - page.boxes[:, 1] < P.rule].tolist()
        found += [
            (RULE, [], tuple(rule)) for rule in rules if rule[2] - rule[0] > P.rule_width * wide
        ]
        found += [(WALL, [], wall) for wall in self.walls]
        rows = []
        for kind, row, box in found:
            common = min(box[2], window[1]) - max(box[0], window[0])
            if common <= P.inside * min(box[2] - box[0], wide):
                continue
            near, far = (
                (cap[1] - box[3], cap[1] - box[1])
                if side == ABOVE
                else (box[1] - cap[3], box[3] - cap[3])
            )
            if far >= P.touch:
                rows.append(Row(kind, near, far, row, box))
        rows.sort(key=lambda row: (row.near, row.far))
        stop = next((k for k, row in enumerate(rows) if row.kind == WALL), len(rows) - 1)
        return rows[: stop + 1]


def find_listings(
    scene: Scene, pairs: list[Pair], prior: dict[str, float], told: set[tuple[str, str]]
) -> list[Pair]:
    """Find text figures for captions that have no pair among `pairs`.

    A frame around text next to the caption is the figure. Otherwise it consists of the rows from
    the caption up to running text, another caption or figure. The side with more figures in the
    document is tried first (`prior`: log shares of the sides). Captions in `told` (see
    `whole_figures`) are skipped. Pairs with only a part of a frame, such as its coloured head, get
    the whole frame.
    """
    owners = {id(pair.caption): pair for pair in pairs}
    found: list[Pair] = []
    for caption in scene.captions:
        own = owners.get(id(caption))
        if caption.kind == "table" or not caption.text:
            continue
        search = Search(scene, caption, _walls(scene, caption, pairs + found), own)
        for side in sorted((ABOVE, BELOW), key=lambda side: -prior.get(side, 0.0)):
            frame = search.frame(side)
            if own:
                own.box = frame or own.box
                continue
            if _is_told(caption, told):
                break
            rows = [] if frame else _listing(search.rows(side), scene.profile)
            if frame or rows:
                lines = [line for row in rows for line in row.lines]
                box = frame or union([row.box for row in rows])
                found.append(Pair(caption, box, side, [], lines))
                break
    return found


def find_floats(
    scene: Scene, pairs: list[Pair], prior: dict[str, float], told: set[tuple[str, str]]
) -> list[Pair]:
    """Find figures that are text in body type separated by white space.

    Only on pages without unassigned graphics. Text that fills its column must be on the side on
    which the document's figures are. For the arguments, see `find_listings`.
    """
    paired = {id(pair.caption) for pair in pairs}
    sides = sorted((ABOVE, BELOW), key=lambda side: -prior.get(side, 0.0))
    found: list[Pair] = []
    for caption in scene.captions:
        known = id(caption) in paired or _is_told(caption, told)
        if caption.kind == "table" or not caption.text or known or _any_free(scene, pairs):
            continue
        search = Search(scene, caption, _walls(scene, caption, pairs + found))
        texts = ((side, _float(search, side, side == sides[0])) for side in sides)
        side, rows = next((text for text in texts if text[1]), (None, []))
        if rows:
            lines = [line for row in rows for line in row.lines]
            found.append(Pair(caption, union([row.box for row in rows]), side, [], lines))
    return found


def whole_figures(captions: list[Caption]) -> set[tuple[str, str]]:
    """Return the (kind, number) of captions with graphics, without continued figures.

    Another caption with such a number belongs to a table or is a misread sentence.
    """
    return {(c.kind, c.number) for c in captions if not CONTINUED.match(c.text)}


def _is_told(caption: Caption, told: set[tuple[str, str]]) -> bool:
    """Return whether the figure of a caption is in `told` and is not a continued one."""
    return (caption.kind, caption.number) in told and not CONTINUED.match(caption.text)


def _walls(scene: Scene, caption: Caption, pairs: list[Pair]) -> list[Box]:
    """Return the boxes of the other captions and figures of a page."""
    others = [other.box for other in scene.captions if other is not caption]
    return others + [pair.box for pair in pairs if pair.caption is not caption]


def _kinds(scene: Scene) -> dict[int, str]:
    """Return the kind of each line of a page by its type, by the id of the line."""
    kinds = {}
    for block in scene.blocks:
        filled = block.paragraph and _is_filled([[line] for line in block.lines], scene)
        for line in block.lines:
            kinds[id(line)] = _kind(line, block.paragraph, filled, scene.profile)
    return kinds


def _kind(line: Line, paragraph: bool, filled: bool, body: TypeProfile) -> str:
    """Return the kind of a line by its type: part of a listing, heading, running text, or plain."""
    small = line.size < P.smaller * body.size
    if _TYPEWRITER.search(line.font):
        return OTHER
    if line.size > P.heading * body.size:
        return WALL
    if paragraph and (filled or not small):
        return RUNNING
    # Small bold type counts too: keywords of a program, head of a table.
    return OTHER if small or not (line.bold or line.font in body.fonts) else PLAIN


def _row_kind(kinds: list[str]) -> str:
    return next(kind for kind in (WALL, RUNNING, PLAIN, OTHER) if kind in kinds)


def _listing(rows: list[Row], body: TypeProfile) -> list[Row]:
    """Return the rows of a figure in another type than the body, empty if they are no figure."""
    taken: list[Row] = []
    edge, end = 0.0, np.inf
    for row in rows:
        gap = row.near - edge
        end = gap
        texts = [other for other in taken if other.lines]
        if not texts and gap > P.first_gap * body.leading:
            return []
        if texts and gap > P.gap * body.leading:
            break
        goes_on = row.kind == RUNNING and _same_type(row, texts, body)
        ends = row.kind in (WALL, RUNNING) and not goes_on
        if ends or (row.kind == RULE and _is_bare(taken)):
            break
        taken.append(row)
        edge = max(edge, row.far)
    else:
        end = np.inf
    taken = _without_end(taken, end, body)
    texts = [row for row in taken if row.lines]
    ruled = len(taken) - len(texts) > 1
    other = sum(row.kind != PLAIN for row in texts)
    enough = len(texts) >= P.least_rows and (other >= P.other_share * len(texts) or ruled)
    return taken if enough and not _are_references(texts) else []


def _is_bare(taken: list[Row]) -> bool:
    """Return whether rows form a figure without rules, so that a later rule is not part of it."""
    return len(taken) >= P.least_rows and all(row.kind != RULE for row in taken)


def _same_type(row: Row, texts: list[Row], body: TypeProfile) -> bool:
    """Return whether a row in smaller type than the body has the type of the listing so far."""
    known = {(line.font, line.size) for other in texts for line in other.lines}
    small = all(line.size < P.smaller * body.size for line in row.lines)
    own = {(line.font, line.size) for line in row.lines}
    return small and len(texts) >= P.least_rows and own <= known


def _without_end(taken: list[Row], end: float, body: TypeProfile) -> list[Row]:
    """Remove rows at the end that belong to the page or the running text.

    These are a page number, set off by white space, and rows in body type close to the text that
    follows (`end` points away).
    """
    count = len(taken)
    while count:
        last = taken[count - 1]
        gap = last.near - (taken[count - 2].far if count > 1 else 0.0)
        parted = P.parted * body.leading
        number = gap > parted and [line.text.isdecimal() for line in last.lines] == [True]
        if not number and (last.kind != PLAIN or end >= parted):
            break
        count -= 1
        end = gap
    return taken[:count]


def _float(search: Search, side: str, usual: bool) -> list[Row]:
    """Return the rows of a text in body type that is separated by white space.

    `usual`: whether the figures of the document are on this side. Empty if the text may continue
    beyond the caption or the page.
    """
    scene, leading = search.scene, search.scene.profile.leading
    rows = [row for row in search.rows(side) if row.kind != RULE]
    if not rows or rows[0].near > P.first_gap * leading:
        return []
    other = search.rows(BELOW if side == ABOVE else ABOVE)
    beyond = other[0].near if other else np.inf
    for filled, least in ((False, P.parted), (True, P.float_gap)):
        taken, end = _up_to_gap(rows, least * leading)
        fits = len(taken) >= P.least_rows and taken[-1].far < P.float_height * _height(scene)
        if (
            not fits
            or taken[0].near >= min(beyond, end)
            or _is_filled([row.lines for row in taken], scene) != filled
        ):
            continue
        top, bottom = (taken[-1], taken[0]) if side == ABOVE else (taken[0], taken[-1])
        whole = not filled or (usual and _is_whole(top, bottom))
        if whole and not _are_references(taken):
            return taken
    return []


def _up_to_gap(rows: list[Row], least: float) -> tuple[list[Row], float]:
    """Return the rows up to a gap wider than `least` points and all gaps before, and its width.

    Empty if a wall comes first.
    """
    taken: list[Row] = []
    widest = 0.0
    for row in rows:
        gap = row.near - taken[-1].far if taken else 0.0
        if taken and gap > max(least, P.float_wider * widest):
            return taken, gap
        if row.kind == WALL:
            return [], 0.0
        widest = max(widest, gap)
        taken.append(row)
    return taken, np.inf


def _are_references(rows: list[Row]) -> bool:
    """Return whether half of the rows begin like entries in a list of references."""
    return 2 * sum(bool(_REFERENCE.match(row.lines[0].text)) for row in rows) >= len(rows)


def _is_filled(rows: list[list[Line]], scene: Scene) -> bool:
    """Return whether most rows have a line as wide as a column, as in running text."""
    column = min((b - a for a, b in scene.page.columns), default=scene.page.width)
    widths = [max(line.box[2] - line.box[0] for line in row) for row in rows]
    return sum(width > P.filled * column for width in widths) > 0.5 * len(rows)


def _height(scene: Scene) -> float:
    top, bottom = scene.page.area
    return min(bottom, scene.page.height) - max(top, 0.0)


def _is_whole(top: Row, bottom: Row) -> bool:
    """Return whether a text begins in its first row and ends in its last row."""
    first, last = top.lines[0].text, bottom.lines[-1].text
    return not first[:1].islower() and bool(_ENDS.search(last))


def _any_free(scene: Scene, pairs: list[Pair]) -> bool:
    """Return whether a page has large graphics without a caption."""
    least = P.free_side * scene.profile.size
    return any(
        min(atom.box[2] - atom.box[0], atom.box[3] - atom.box[1]) >= least
        and all(covered(atom.box, pair.box) < P.inside for pair in pairs)
        for atom in scene.atoms
    )
