"""The layout of a document: body type, columns, paragraphs, and what repeats on every page."""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from statistics import median

import numpy as np

from cephalo.dataset_scripts.common.geometry import Box, turn, union
from cephalo.dataset_scripts.pdf.furniture import part_furniture
from cephalo.dataset_scripts.pdf.graphics import Graphics
from cephalo.dataset_scripts.pdf.labels import match_label
from cephalo.dataset_scripts.pdf.profile import TypeProfile, body_style
from cephalo.dataset_scripts.pdf.text import Line

_PANEL_CAPTION = re.compile(r"\(?[a-z]\)")


@dataclass(frozen=True)
class Parameters:
    """What makes columns, the text area and blocks of text.

    Lengths are in font sizes of the body where nothing else is said.
    """

    # Columns
    column_size: float = 0.08  # of the body's size, by which lines of a column may differ from it
    column_chars: int = 25  # a line with more is no label, no cell and no formula
    column_width: float = 12.0  # a line of a column is wider; three on a page are 20 wide
    column_lines: int = 3  # fewer that begin at one x are no column
    column_step: float = (
        2.0  # width of the bins of left edges, as wide as the indent of a paragraph
    )
    column_overlap: float = 0.2  # of the narrower one, by which two columns may overlap
    own_lines: int = 10  # more than a caption set beside a figure has
    no_column: float = 0.1  # of the page's width: its margins where no column is found
    # Text area
    long_line: int = 40  # characters; more are running text and no head, foot or note beside it
    area_lines: int = 20  # long lines in the document; fewer do not tell where its text ends
    edge: float = 0.075  # of a page's height; no text is set nearer to its edge, but crests are
    # Blocks: lines that follow each other. Lengths in heights of the lower line.
    line_gap: float = 0.75  # between the boxes of two lines, at a leading of 1.7 and more
    line_overlap: float = (
        0.6  # of the boxes of two lines, where fonts claim much more than they ink
    )
    line_drop: float = 0.3  # by which the lower line begins lower: others stand in one row
    line_shared: float = 0.5  # of the narrower line's width that lies under the other
    same_size: float = 0.08  # of the size, by which the lines of a block differ
    # Paragraphs
    filled_lines: int = 3  # a block with fewer is judged by its type
    filled_width: float = 0.5  # of a column, that is filled
    filled_chars: int = 90  # a line and a half of a column; names and formulas have fewer
    filled_median: float = 0.7  # of the block's width, that half of its lines fill
    body_size: float = 0.06  # of the body's size, by which text in body type differs from it
    body_width: float = 0.55  # of a column, that a block in body type takes
    body_chars: int = 20  # more than a label of a plot
    outdent: float = 1.0  # by which a paragraph may begin left of its column
    indent: float = 2.5  # and right of it
    flush: float = 0.3  # by which a heading's left edge may differ from that of its column
    flush_chars: int = 5  # more than a panel's letter or a number at an axis
    heading: float = 1.05  # of the body's size; what is larger is a heading
    bold_heading: float = 0.9  # bold type that is smaller names parts of a figure
    # Others
    column_slack: float = 0.02  # of the page's width, by which a box may leave its column
    behind: float = 0.8  # of a text's area, which a graphic that lies behind it covers


P = Parameters()


@dataclass
class PageContent:
    """What was read from a page. All boxes are in the frame of its main orientation.

    `quarters`: quarter turns clockwise from the displayed page to this frame; `width` and
    `height` are points in this frame. `turned` holds the lines of other orientations, `furniture`
    those of all orientations that belong to the page and not to its text, once they are known.
    """

    number: int
    width: float
    height: float
    quarters: int
    lines: list[Line]
    turned: list[Line]
    boxes: np.ndarray
    kinds: np.ndarray
    columns: list[tuple[float, float]] = field(default_factory=list)
    area: tuple[float, float] = (-np.inf, np.inf)
    furniture: list[Line] = field(default_factory=list)

    @property
    def box(self) -> Box:
        """The page as a box."""
        return 0.0, 0.0, self.width, self.height


@dataclass
class Block:
    """Lines of one size that follow each other at one distance. `paragraph`: running text."""

    lines: list[Line]
    box: Box
    paragraph: bool = False


def set_layout(pages: list[PageContent]) -> tuple[TypeProfile, list[list[Block]]]:
    """Find what a document's pages share: the type of the body, columns, furniture, text area.

    Returns the type, and the blocks of text of each page.
    """
    profile = body_style(pages)
    document_columns(pages, profile)
    part_furniture(pages)
    find_text_area(pages)
    return profile, [find_blocks(page, profile) for page in pages]


def find_columns(page: PageContent, body: TypeProfile) -> list[tuple[float, float]]:
    """The x ranges of the columns of running text on a page, from left to right."""
    wide = [
        line
        for line in page.lines
        if abs(line.size - body.size) < P.column_size * body.size
        and len(line.text) > P.column_chars
        and line.box[2] - line.box[0] > P.column_width * body.size
    ]
    groups: dict[int, list[Line]] = defaultdict(list)
    for line in wide:
        groups[round(line.box[0] / (P.column_step * body.size))].append(line)
    spans = []
    for group in sorted(groups.values(), key=len, reverse=True):
        if len(group) < P.column_lines:
            continue
        x0 = median([line.box[0] for line in group])
        x1 = median([line.box[2] for line in group])
        least = P.column_overlap
        if all(min(x1, b) - max(x0, a) < least * min(x1 - x0, b - a) for a, b in spans):
            spans.append((x0, x1))
    return sorted(spans)


def document_columns(pages: list[PageContent], body: TypeProfile) -> None:
    """Set `columns` of every page; a page of little running text takes the most common ones."""
    found = [find_columns(page, body) for page in pages]
    shapes = Counter(tuple((round(a), round(b)) for a, b in spans) for spans in found if spans)
    usual: list[tuple[float, float]] = list(shapes.most_common(1)[0][0]) if shapes else []
    for page, spans in zip(pages, found, strict=True):
        own = spans if tuple((round(a), round(b)) for a, b in spans) == tuple(usual) else []
        if not own and spans and _much_text(page, spans, body):
            own = spans
        margin = P.no_column * page.width
        page.columns = own or usual or [(margin, page.width - margin)]


def _much_text(page: PageContent, spans: list[tuple[float, float]], body: TypeProfile) -> bool:
    """Whether a page holds more lines in its columns than a caption set beside a figure has."""
    lines = [
        line
        for line in page.lines
        if any(
            abs(line.box[0] - a) < body.size and abs(line.box[2] - b) < 2 * body.size
            for a, b in spans
        )
    ]
    return len(lines) >= P.own_lines


def find_text_area(pages: list[PageContent]) -> None:
    """Set `area` of every page: the y range of running text over all pages, and what is not edge.

    Crests, logos and stamps stand outside of it, figures do not.
    """
    long = [
        line.box
        for page in pages
        if not page.quarters
        for line in page.lines
        if len(line.text) > P.long_line
    ]
    if len(long) < P.area_lines:
        return
    top, bottom = min(box[1] for box in long), max(box[3] for box in long)
    for page in pages:
        if not page.quarters:
            edge = P.edge * page.height
            page.area = min(top, edge), max(bottom, page.height - edge)


def find_blocks(page: PageContent, body: TypeProfile) -> list[Block]:
    """Group the lines of a page and tell which groups are running text.

    Lines that are known to be of captions are left out.
    """
    lines = [line for line in page.lines if not line.tags]
    lines.sort(key=lambda line: (line.box[1], line.box[0]))
    boxes = np.array([line.box for line in lines]).reshape(-1, 4)
    sizes = np.array([line.size for line in lines])
    above = _lines_above(boxes, sizes)
    owner: list[list[Line]] = []
    home: dict[int, list[Line]] = {}
    taken: set[int] = set()
    for number, line in enumerate(lines):
        free = [k for k in above.get(number, ()) if k not in taken]
        if free:
            # Mostly there is one.
            nearest = free[0] if len(free) == 1 else max(free, key=lambda k: lines[k].box[3])
            group = home[nearest]
            taken.add(nearest)
        else:
            group = []
            owner.append(group)
        group.append(line)
        home[number] = group
    blocks = [
        Block(group, union([line.box for line in group]) if len(group) > 1 else group[0].box)
        for group in owner
    ]
    for block in blocks:
        block.paragraph = _is_paragraph(block, page, body)
    return blocks


def _lines_above(boxes: np.ndarray, sizes: np.ndarray) -> dict[int, list[int]]:
    """For each line the lines that it may follow: of its size, close above, in its width.

    `boxes` (n, 4) are sorted from top to bottom, `sizes` (n,) are font sizes in points.
    """
    found: dict[int, list[int]] = defaultdict(list)
    high = boxes[:, 3] - boxes[:, 1]
    highest = boxes[:, 1] - P.line_drop * high
    nearest, farthest = boxes[:, 1] + P.line_overlap * high, boxes[:, 1] - P.line_gap * high
    for start in range(0, len(boxes), 256):
        own = slice(start, start + 256)
        # Most pairs are told apart by their heights on the page.
        close = boxes[:, 3] > farthest[own, None]
        close &= boxes[:, 3] < nearest[own, None]
        close &= boxes[:, 1] < highest[own, None]
        lines, others = np.nonzero(close)
        lines += start
        line, other = boxes[lines], boxes[others]
        shared = np.minimum(other[:, 2], line[:, 2]) - np.maximum(other[:, 0], line[:, 0])
        least = np.minimum(other[:, 2] - other[:, 0], line[:, 2] - line[:, 0])
        fits = shared > P.line_shared * least
        fits &= np.abs(sizes[others] - sizes[lines]) < P.same_size * sizes[lines]
        for number, above in zip(lines[fits].tolist(), others[fits].tolist(), strict=True):
            found[number].append(above)
    return found


def _is_paragraph(block: Block, page: PageContent, body: TypeProfile) -> bool:
    """Whether a block is running text: long filled lines, or body type at a column's edge."""
    first = block.lines[0]
    width = block.box[2] - block.box[0]
    column = min((b - a for a, b in page.columns), default=page.width)
    chars = sum([len(line.text) for line in block.lines])
    filled = width > P.filled_width * column and chars > P.filled_chars
    if len(block.lines) >= P.filled_lines and filled:
        widths = sorted([line.box[2] - line.box[0] for line in block.lines])
        if widths[len(widths) // 2] > P.filled_median * width:
            return True
    if len(block.lines) < P.filled_lines and _PANEL_CAPTION.match(first.text):
        return False
    in_body_type = abs(first.size - body.size) < P.body_size * body.size and (
        first.font in body.fonts or not body.fonts
    )
    out, into = P.outdent * body.size, P.indent * body.size
    at_edge = any(-out < block.box[0] - a < into for a, _ in page.columns)
    if in_body_type and at_edge and width > P.body_width * column and chars > P.body_chars:
        return True
    flush = any(abs(block.box[0] - a) < P.flush * body.size for a, _ in page.columns)
    if not flush or chars <= P.flush_chars:
        return False
    # Bold type smaller than the body's names parts of a figure that fills its column.
    bold = first.bold and first.size > P.bold_heading * body.size
    heading = bold or first.size > P.heading * body.size
    return in_body_type or heading


def in_one_column(box: Box, page: PageContent) -> tuple[float, float] | None:
    """The column that holds a box, where the page has several; else None."""
    if len(page.columns) < 2:
        return None
    slack = P.column_slack * page.width
    for a, b in page.columns:
        if box[0] > a - slack and box[2] < b + slack:
            return a, b
    return None


def background(page: PageContent, blocks: list[Block], captions: list[Box]) -> np.ndarray:
    """Which graphics lie behind running text or frame a caption: boolean (n,).

    Such a graphic is a coloured box, a frame or a scanned page, and no part of a figure.
    """
    behind = np.zeros(len(page.boxes), bool)
    texts = [block.box for block in blocks if block.paragraph and len(block.lines) > 1]
    for box in texts + captions:
        if not len(page.boxes):
            break
        width = np.minimum(page.boxes[:, 2], box[2]) - np.maximum(page.boxes[:, 0], box[0])
        height = np.minimum(page.boxes[:, 3], box[3]) - np.maximum(page.boxes[:, 1], box[1])
        common = np.clip(width, 0, None) * np.clip(height, 0, None)
        size = max((box[2] - box[0]) * (box[3] - box[1]), 1e-6)
        behind |= common > P.behind * size
    return behind


def to_contents(
    number: int, width: float, height: float, lines: list[Line], graphics: Graphics
) -> list[PageContent]:
    """A page, as displayed, in the frame in which most of its text is upright.

    A second frame follows where lines of another orientation begin like a caption.
    """
    count: Counter[int] = Counter()
    for line in lines:
        count[line.quarters] += len(line.text)
    main = count.most_common(1)[0][0] if count else 0
    others = {line.quarters for line in lines if line.quarters != main and match_label(line.text)}
    return [
        _content(number, width, height, quarters, lines, graphics)
        for quarters in (main, *sorted(others))
    ]


def _content(
    number: int, width: float, height: float, quarters: int, lines: list[Line], graphics: Graphics
) -> PageContent:
    upright, turned = [], []
    for line in lines:
        if line.quarters == quarters:
            upright.append(line)
            continue
        # Back to the displayed page, then on to this frame.
        sides = (height, width) if line.quarters % 2 else (width, height)
        displayed = turn(np.array([line.box]), -line.quarters, *sides)
        box = tuple(turn(displayed, quarters, width, height)[0].tolist())
        turned.append(replace(line, box=box, tags=set()))
    boxes = turn(graphics.boxes, quarters, width, height)
    sides = (height, width) if quarters % 2 else (width, height)
    return PageContent(number, *sides, quarters, upright, turned, boxes, graphics.kinds)
