"""Figures that are text alone: programs, grammars, formulas, or a framed text at a caption."""

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

# Faces in which all characters are equally wide, as programs are printed.
_TYPEWRITER = re.compile(r"mono|nimbusmon|courier|typewriter|consol|menlo|cmtt|lmtt", re.I)
_ENDS = re.compile(r"[.!?:\u3002\uff01\uff1f\u201d\"'\]})]\W{0,3}$")  # a sentence, or a quotation
_REFERENCE = re.compile(r"\[\d{1,3}\]|\d{1,3}\.?\s.*\b(?:19|20)\d\d\b")  # an entry of a list
WALL, RULE, OTHER, PLAIN, RUNNING = "wall", "rule", "other", "plain", "running"


@dataclass(frozen=True)
class Parameters:
    """What makes text at a caption its figure. Lengths are in leadings of the body by default."""

    least_rows: int = 3  # fewer are a formula, or what is left of a paragraph
    first_gap: float = 3.0  # from the caption to the nearest row
    gap: float = 2.2  # from one row to the next: one empty line
    other_share: float = 0.5  # of the rows, that are not in body type
    parted: float = 0.7  # from a row in body type to the running text: the skip at a display
    rule: float = 2.5  # points; a graphic that is less high is a rule
    rule_width: float = 0.5  # of the window's width; a shorter rule is of a fraction or a root
    inside: float = 0.5  # of a row's width that lies in the window
    heading: float = 1.05  # of the body's size; what is larger is a heading
    smaller: float = 0.95  # of the body's size; what is smaller is no running text
    # Frames
    frame_height: float = 0.9  # of the page's height; a higher one frames the page
    more: float = 1.5  # times the area of a part, that its frame has
    touch: float = 2.0  # points, by which edges that touch overlap
    # Text in body type
    float_gap: float = 1.2  # to the running text; LaTeX leaves 1.7, Typst 1.5 em
    float_wider: float = 1.8  # times the widest gap inside; that between paragraphs is one
    filled: float = 0.8  # of a column's width; rows of lists and programs are shorter
    float_height: float = 0.8  # of the text area's height; more is a page of text
    free_side: float = 6.0  # font sizes of the body; graphics that nobody claims are the figure


P = Parameters()


@dataclass(frozen=True)
class Row:
    """What stands level at a caption. `near` and `far` are points from the caption's edge."""

    kind: str
    near: float
    far: float
    lines: list[Line]
    box: Box


@dataclass(frozen=True)
class Search:
    """The search for the text that is the figure of one caption.

    `walls` are the other captions and figures of the page, `part` the figure that the caption has
    so far.
    """

    scene: Scene
    caption: Caption
    walls: list[Box]
    part: Pair | None = None

    def frame(self, side: str) -> Box | None:
        """The largest graphic next to the caption that holds text, and no wall.

        And that holds `part`, all but the edges, where there is one.
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
        """The x range of the rows: the column, up to walls or running text beside the caption."""
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
        """What stands on one side of the caption, from the nearest on, up to the first wall."""
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
    """Pairs for the captions of figures that have none among `pairs`, the page's own.

    A frame around text next to the caption is the figure; else the rows are that follow each other
    from the caption, up to running text, another caption or another figure. The side on which more
    of the document's figures lie goes first (`prior`: log-shares of the sides). Captions of the
    figures in `told` (see `whole_figures`) get none. Of `pairs`, those that have only a part of a
    frame, as its coloured head, get all of it.
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
    """Pairs for captions without any, whose figure is a text in body type that white space parts.

    Only where no graphics of the page are left over that may be the figure. Text that fills its
    column only on the side on which the document's figures lie. `prior` and `told` are those of
    `find_listings`.
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
    """The (kind, number) of captions, of those that have graphics and are not of a figure's parts.

    Another caption of such a number is a table's or a sentence that was misread.
    """
    return {(c.kind, c.number) for c in captions if not CONTINUED.match(c.text)}


def _is_told(caption: Caption, told: set[tuple[str, str]]) -> bool:
    return (caption.kind, caption.number) in told and not CONTINUED.match(caption.text)


def _walls(scene: Scene, caption: Caption, pairs: list[Pair]) -> list[Box]:
    """The boxes of the captions and figures on a page that are not those of `caption`."""
    others = [other.box for other in scene.captions if other is not caption]
    return others + [pair.box for pair in pairs if pair.caption is not caption]


def _kinds(scene: Scene) -> dict[int, str]:
    """What the lines of a page may be by their type, by the id of the line."""
    kinds = {}
    for block in scene.blocks:
        filled = block.paragraph and _is_filled([[line] for line in block.lines], scene)
        for line in block.lines:
            kinds[id(line)] = _kind(line, block.paragraph, filled, scene.profile)
    return kinds


def _kind(line: Line, paragraph: bool, filled: bool, body: TypeProfile) -> str:
    """What a line may be by its type: of a listing, a heading, running text, or plain."""
    small = line.size < P.smaller * body.size
    if _TYPEWRITER.search(line.font):
        return OTHER
    if line.size > P.heading * body.size:
        return WALL
    if paragraph and (filled or not small):
        return RUNNING
    # Small type also where it is bold: key words of a program, heads of a table.
    return OTHER if small or not (line.bold or line.font in body.fonts) else PLAIN


def _row_kind(kinds: list[str]) -> str:
    return next(kind for kind in (WALL, RUNNING, PLAIN, OTHER) if kind in kinds)


def _listing(rows: list[Row], body: TypeProfile) -> list[Row]:
    """The rows of a figure in another type than the body's; none where they are no figure."""
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
    """Whether rows make a figure without rules, so that one that comes after them is the page's."""
    return len(taken) >= P.least_rows and all(row.kind != RULE for row in taken)


def _same_type(row: Row, texts: list[Row], body: TypeProfile) -> bool:
    """Whether a row in smaller type than the body's is in that of a listing so far."""
    known = {(line.font, line.size) for other in texts for line in other.lines}
    small = all(line.size < P.smaller * body.size for line in row.lines)
    own = {(line.font, line.size) for line in row.lines}
    return small and len(texts) >= P.least_rows and own <= known


def _without_end(taken: list[Row], end: float, body: TypeProfile) -> list[Row]:
    """The rows without those at their end that are of the page or of the running text.

    A number that white space parts from the others is that of the page; what is in body type, and
    not parted from what follows (`end` points on), is running text.
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
    """The rows of a text in body type that white space parts from the running text.

    On one side of a caption, `usual` where the document's figures lie. None where the text may go
    on beyond the caption or the page.
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
    """The rows up to a gap that is wider than `least` points and those before, and its width.

    No rows where a wall comes first.
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
    """Whether half of the rows begin as the entries of a list of references do."""
    return 2 * sum(bool(_REFERENCE.match(row.lines[0].text)) for row in rows) >= len(rows)


def _is_filled(rows: list[list[Line]], scene: Scene) -> bool:
    """Whether most rows hold a line as wide as a column, as running text has."""
    column = min((b - a for a, b in scene.page.columns), default=scene.page.width)
    widths = [max(line.box[2] - line.box[0] for line in row) for row in rows]
    return sum(width > P.filled * column for width in widths) > 0.5 * len(rows)


def _height(scene: Scene) -> float:
    top, bottom = scene.page.area
    return min(bottom, scene.page.height) - max(top, 0.0)


def _is_whole(top: Row, bottom: Row) -> bool:
    """Whether a text begins in its first row and ends in its last one."""
    first, last = top.lines[0].text, bottom.lines[-1].text
    return not first[:1].islower() and bool(_ENDS.search(last))


def _any_free(scene: Scene, pairs: list[Pair]) -> bool:
    """Whether a page has graphics of some size that no caption claims."""
    least = P.free_side * scene.profile.size
    return any(
        min(atom.box[2] - atom.box[0], atom.box[3] - atom.box[1]) >= least
        and all(covered(atom.box, pair.box) < P.inside for pair in pairs)
        for atom in scene.atoms
    )
