"""Page layout: body type, columns, blocks of text and furniture."""

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
    """Limits for columns, the text area and blocks of text.

    Lengths are in body font sizes unless stated otherwise.
    """

    # Columns
    column_size: float = 0.08  # relative tolerance of the size of lines in a column
    column_chars: int = 25  # longer lines are not labels, cells or formulas
    column_width: float = 12.0  # smallest width of a line in a column; three columns are 20 wide
    column_lines: int = 3  # smallest number of lines that begin at the same x
    column_step: float = 2.0  # bin size of left edges; covers the indent of a paragraph
    column_overlap: float = 0.2  # share of the narrower column by which columns may overlap
    own_lines: int = 10  # smallest number of lines; a caption beside a figure has fewer
    no_column: float = 0.1  # share of the page's width: margins if no column is found
    # Text area
    long_line: int = 40  # characters; longer lines are running text, not heads, feet or notes
    area_lines: int = 20  # long lines in the document, to find the text area
    edge: float = 0.075  # share of the page's height; nearer to the edge are logos, but no text
    # Blocks: consecutive lines. Lengths in heights of the lower line.
    line_gap: float = 0.75  # largest gap between two lines, for a leading of 1.7 and more
    line_overlap: float = 0.6  # overlap of two lines, in fonts with boxes larger than their ink
    line_drop: float = 0.3  # smallest drop from line to line; others are in one row
    line_shared: float = 0.5  # share of the narrower line's width below the other line
    same_size: float = 0.08  # relative tolerance of the sizes in a block
    # Paragraphs
    filled_lines: int = 3  # blocks with fewer lines are judged by their type
    filled_width: float = 0.5  # share of a column's width of a filled line
    filled_chars: int = 90  # characters, a line and a half; names and formulas have fewer
    filled_median: float = 0.7  # share of the block's width, for the median line
    body_size: float = 0.06  # relative tolerance of the size of body text
    body_width: float = 0.55  # share of a column's width, for a block in body type
    body_chars: int = 20  # characters; labels of plots have fewer
    outdent: float = 1.0  # how far a paragraph may begin left of its column
    indent: float = 2.5  # and right of it
    flush: float = 0.3  # tolerance between the left edges of a heading and its column
    flush_chars: int = 5  # characters; panel letters and axis numbers have fewer
    heading: float = 1.05  # ratio to the body size, above which text is a heading
    bold_heading: float = 0.9  # ratio to the body size; smaller bold type labels parts of a figure
    # Others
    column_slack: float = 0.02  # share of the page's width by which a box may leave its column
    behind: float = 0.8  # share of a text's area covered by a graphic behind it


P = Parameters()


@dataclass
class PageContent:
    """The content of a page. All boxes are in points in the frame of its main orientation.

    Attributes:
        number: Index of the page, from 0.
        width: Width in this frame, in points.
        height: Height in this frame, in points.
        quarters: Clockwise quarter turns from the displayed page to this frame.
        lines: Upright lines.
        turned: Lines of other orientations.
        boxes: Boxes of graphics, of shape (n, 4).
        kinds: Kinds of graphics, of shape (n,), see `Graphics.kinds`.
        columns: X ranges of the columns.
        area: Y range of the running text.
        furniture: Lines of all orientations that are page furniture, once known.
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
    """Consecutive lines of one size and leading. `paragraph` is true for running text."""

    lines: list[Line]
    box: Box
    paragraph: bool = False


def set_layout(pages: list[PageContent]) -> tuple[TypeProfile, list[list[Block]]]:
    """Find the body type, columns, furniture and text area of a document, and set them in place.

    Returns:
        The body type, and the blocks of text of each page.
    """
    profile = body_style(pages)
    document_columns(pages, profile)
    part_furniture(pages)
    find_text_area(pages)
    return profile, [find_blocks(page, profile) for page in pages]


def find_columns(page: PageContent, body: TypeProfile) -> list[tuple[float, float]]:
    """Return the x ranges of the columns of running text on a page, from left to right."""
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
    """Set `columns` of every page. Pages with little running text get the most common columns."""
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
    """Return whether a page has more lines in its columns than a caption beside a figure has."""
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
    """Set `area` of every page: the y range of running text over all pages, without the edges.

    Crests, logos and stamps are outside of it, figures are not.
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
    """Group the lines of a page into blocks, and mark those that are running text.

    Lines tagged as captions are omitted.
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
            # There is mostly one.
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
    """Return, for each line, the lines it may follow: same size, close above, in its width.

    `boxes` (n, 4) are sorted from top to bottom, `sizes` (n,) are font sizes in points.
    """
    found: dict[int, list[int]] = defaultdict(list)
    high = boxes[:, 3] - boxes[:, 1]
    highest = boxes[:, 1] - P.line_drop * high
    nearest, farthest = boxes[:, 1] + P.line_overlap * high, boxes[:, 1] - P.line_gap * high
    for start in range(0, len(boxes), 256):
        own = slice(start, start + 256)
        # Compare heights on the page first, which exclude most pairs.
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
    """Return whether a block is running text: long filled lines, or body type at a column edge."""
    first = block.lines[0]
    chars = sum([len(line.text) for line in block.lines])
    if chars <= min(P.flush_chars, P.body_chars, P.filled_chars):
        return False  # tick labels, of which a page may have thousands
    width = block.box[2] - block.box[0]
    column = min((b - a for a, b in page.columns), default=page.width)
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
    # Bold type smaller than the body labels parts of a figure that fills its column.
    bold = first.bold and first.size > P.bold_heading * body.size
    heading = bold or first.size > P.heading * body.size
    return in_body_type or heading


def in_one_column(box: Box, page: PageContent) -> tuple[float, float] | None:
    """Return the column that contains a box if the page has several columns, else `None`."""
    if len(page.columns) < 2:
        return None
    slack = P.column_slack * page.width
    for a, b in page.columns:
        if box[0] > a - slack and box[2] < b + slack:
            return a, b
    return None


def background(page: PageContent, blocks: list[Block], captions: list[Box]) -> np.ndarray:
    """Return which graphics are behind running text or frame a caption, as bool of shape (n,).

    Such a graphic is a coloured box, a frame or a scanned page, and not part of a figure.
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
    """Convert a displayed page to the frame in which most of its text is upright.

    A second frame follows if lines of another orientation begin like a caption.

    Args:
        number: Index of the page, from 0.
        width: Width of the displayed page, in points.
        height: Height of the displayed page, in points.
        lines: Lines of text, in points on the displayed page.
        graphics: Graphics of the page.
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
    """Return the content of a page after `quarters` clockwise quarter turns."""
    upright, turned = [], []
    for line in lines:
        if line.quarters == quarters:
            upright.append(line)
            continue
        # First to the displayed page, then to this frame.
        sides = (height, width) if line.quarters % 2 else (width, height)
        displayed = turn(np.array([line.box]), -line.quarters, *sides)
        box = tuple(turn(displayed, quarters, width, height)[0].tolist())
        turned.append(replace(line, box=box, tags=set()))
    boxes = turn(graphics.boxes, quarters, width, height)
    sides = (height, width) if quarters % 2 else (width, height)
    return PageContent(number, *sides, quarters, upright, turned, boxes, graphics.kinds)
