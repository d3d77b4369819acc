"""The layout of a document: body type, columns, paragraphs, and what repeats on every page."""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import median

import numpy as np

from cephalo.dataset_scripts.pdf.geometry import Box, overlap_x, turn, union
from cephalo.dataset_scripts.pdf.graphics import Graphics
from cephalo.dataset_scripts.pdf.labels import match_label
from cephalo.dataset_scripts.pdf.profile import TypeProfile, body_style
from cephalo.dataset_scripts.pdf.text import Line

_EDGE = 0.075  # of the height of a page; no text is set nearer to its edge, but crests are
_DIGITS = re.compile(r"\d+")
_PAGE_NUMBER = re.compile(r"[\W\d]{1,6}|[ivxl]{1,5}")
_PANEL_CAPTION = re.compile(r"\(?[a-z]\)")


@dataclass
class PageContent:
    """What was read from a page. All boxes are in the frame of its main orientation.

    `quarters`: quarter turns clockwise from the displayed page to this frame; `width` and
    `height` are points in this frame. `turned` holds the lines of other orientations.
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
    mark_furniture(pages, profile)
    find_text_area(pages)
    return profile, [find_blocks(page, profile) for page in pages]


def find_columns(page: PageContent, body: TypeProfile) -> list[tuple[float, float]]:
    """The x ranges of the columns of running text on a page, from left to right."""
    wide = [
        line
        for line in page.lines
        if abs(line.size - body.size) < 0.08 * body.size
        and len(line.text) > 25
        and line.box[2] - line.box[0] > 12 * body.size
    ]
    groups: dict[int, list[Line]] = defaultdict(list)
    for line in wide:
        groups[round(line.box[0] / (2 * body.size))].append(line)
    spans = []
    for group in sorted(groups.values(), key=len, reverse=True):
        if len(group) < 3:
            continue
        x0 = median([line.box[0] for line in group])
        x1 = median([line.box[2] for line in group])
        if all(min(x1, b) - max(x0, a) < 0.2 * min(x1 - x0, b - a) for a, b in spans):
            spans.append((x0, x1))
    return sorted(spans)


def document_columns(pages: list[PageContent], body: TypeProfile) -> None:
    """Set `columns` of every page; a page of little running text takes the most common ones."""
    found = [find_columns(page, body) for page in pages]
    shapes = Counter(tuple((round(a), round(b)) for a, b in spans) for spans in found if spans)
    usual = list(shapes.most_common(1)[0][0]) if shapes else []
    for page, spans in zip(pages, found, strict=True):
        own = spans if tuple((round(a), round(b)) for a, b in spans) == tuple(usual) else []
        if not own and spans and _much_text(page, spans, body):
            own = spans
        page.columns = own or usual or [(0.1 * page.width, 0.9 * page.width)]


def _much_text(page: PageContent, spans: list[tuple[float, float]], body: TypeProfile) -> bool:
    """Whether a page holds ten lines in its columns, more than a caption set beside a figure."""
    lines = [
        line
        for line in page.lines
        if any(
            abs(line.box[0] - a) < body.size and abs(line.box[2] - b) < 2 * body.size
            for a, b in spans
        )
    ]
    return len(lines) >= 10


def mark_furniture(pages: list[PageContent], body: TypeProfile) -> None:
    """Tag running heads, page numbers and line numbers; drop graphics that repeat.

    Furniture stands in one place on many pages. A figure may by chance share its box with
    another; three times in one place is taken for furniture only in the outer margins.
    """
    texts: Counter[tuple] = Counter()
    boxes: Counter[tuple] = Counter()
    keys = [[_text_key(line) for line in page.lines + page.turned] for page in pages]
    places = [list(map(tuple, np.rint(page.boxes / 2).astype(int).tolist())) for page in pages]
    for own, drawn in zip(keys, places, strict=True):
        texts.update(set(own))
        boxes.update(set(drawn))
    often = max(3, 0.3 * len(pages)) if len(pages) > 2 else 2
    for page, own, drawn in zip(pages, keys, places, strict=True):
        _mark_line_numbers(page)
        lines = zip(page.lines + page.turned, own, strict=True)
        above, last = None, None  # the line before in the page's content
        for line, key in sorted(lines, key=lambda item: item[0].span):
            above, last = last, line
            edge = line.box[3] < 0.12 * page.height or line.box[1] > 0.88 * page.height
            repeated = len(line.text) > 3 and texts[key] >= (2 if edge else often)
            extreme = line.box[3] < 0.07 * page.height or line.box[1] > 0.93 * page.height
            if not repeated and not (extreme and _PAGE_NUMBER.fullmatch(line.text)):
                continue
            # Else a caption at the head of a page, or the last line of one at its foot.
            if not match_label(line.text) and not _goes_on(line, above):
                line.tags.add("furniture")
        if len(page.boxes):
            again = np.array([boxes[key] >= often for key in drawn])
            # Pictures of one size at one place are figures all the same.
            sides = page.boxes[:, 2:] - page.boxes[:, :2]
            small = sides.prod(axis=1) < 0.04 * page.width * page.height
            keep = ~(again & small)
            page.boxes, page.kinds = page.boxes[keep], page.kinds[keep]


def _goes_on(line: Line, above: Line | None) -> bool:
    """Whether a line goes on from one that is no furniture, close under it in its size."""
    if above is None or above.tags:
        return False
    step = line.box[3] - above.box[3]
    return (
        line.continues(above)
        and abs(line.size - above.size) < 0.06 * line.size
        and 0.8 * line.size < step < 1.4 * line.size
        and overlap_x(line.box, above.box) > 0
    )


def find_text_area(pages: list[PageContent]) -> None:
    """Set `area` of every page: the y range of running text over all pages, and what is not edge.

    Crests, logos and stamps stand outside of it, figures do not.
    """
    long = [
        line.box
        for page in pages
        if not page.quarters
        for line in page.lines
        if len(line.text) > 40 and "furniture" not in line.tags
    ]
    if len(long) < 20:
        return
    top, bottom = min(box[1] for box in long), max(box[3] for box in long)
    for page in pages:
        if not page.quarters:
            page.area = min(top, _EDGE * page.height), max(bottom, (1 - _EDGE) * page.height)


def _text_key(line: Line) -> tuple:
    text = _DIGITS.sub("#", line.text)
    return text, round(line.box[1] / 6), line.quarters


def _mark_line_numbers(page: PageContent) -> None:
    """Tag three or more bare numbers in one column that grow down the page beside the text."""
    numbers = [line for line in page.lines if line.text.isdecimal() and len(line.text) < 5]
    groups: dict[int, list[Line]] = defaultdict(list)
    for line in numbers:
        groups[round(line.box[2] / 4)].append(line)
    left = min((a for a, _ in page.columns), default=0.0)
    right = max((b for _, b in page.columns), default=page.width)
    for group in groups.values():
        group.sort(key=lambda line: line.box[1])
        values = [int(line.text) for line in group]
        rising = all(a < b for a, b in pairwise(values))
        outside = all(line.box[2] < left or line.box[0] > right for line in group)
        if len(group) >= 3 and rising and outside:
            for line in group:
                line.tags.add("furniture")


def find_blocks(page: PageContent, body: TypeProfile) -> list[Block]:
    """Group the lines of a page and tell which groups are running text.

    Furniture is left out, and so are the lines that are known to be of captions.
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
    for start in range(0, len(boxes), 256):
        own = slice(start, start + 256)
        x0, y0, x1, y1 = (boxes[own, k, None] for k in range(4))
        high = y1 - y0
        gap = y0 - boxes[:, 3]
        shared = np.minimum(boxes[:, 2], x1) - np.maximum(boxes[:, 0], x0)
        least = np.minimum(boxes[:, 2] - boxes[:, 0], x1 - x0)
        size = sizes[own, None]
        fits = (gap < 0.75 * high) & (gap > -0.6 * high) & (boxes[:, 1] < y0 - 0.3 * high)
        fits &= (shared > 0.5 * least) & (np.abs(sizes - size) < 0.08 * size)
        for line, other in np.argwhere(fits).tolist():
            found[start + line].append(other)
    return found


def _is_paragraph(block: Block, page: PageContent, body: TypeProfile) -> bool:
    """Whether a block is running text: long filled lines, or body type at a column's edge."""
    first = block.lines[0]
    width = block.box[2] - block.box[0]
    column = min((b - a for a, b in page.columns), default=page.width)
    chars = sum([len(line.text) for line in block.lines])
    if len(block.lines) >= 3 and width > 0.5 * column and chars > 90:
        widths = sorted([line.box[2] - line.box[0] for line in block.lines])
        if widths[len(widths) // 2] > 0.7 * width:
            return True
    if len(block.lines) < 3 and _PANEL_CAPTION.match(first.text):
        return False
    in_body_type = abs(first.size - body.size) < 0.06 * body.size and (
        first.font in body.fonts or not body.fonts
    )
    at_edge = any(-body.size < block.box[0] - a < 2.5 * body.size for a, _ in page.columns)
    if in_body_type and at_edge and width > 0.55 * column and chars > 20:
        return True
    flush = any(abs(block.box[0] - a) < 0.3 * body.size for a, _ in page.columns)
    if not flush or chars <= 5:
        return False
    # Bold type smaller than the body's names parts of a figure that fills its column.
    heading = first.size > 1.05 * body.size or (first.size > 0.9 * body.size and first.bold)
    return in_body_type or heading


def in_one_column(box: Box, page: PageContent) -> tuple[float, float] | None:
    """The column that holds a box, where the page has several; else None."""
    if len(page.columns) < 2:
        return None
    slack = 0.02 * page.width
    for a, b in page.columns:
        if box[0] > a - slack and box[2] < b + slack:
            return a, b
    return None


def background(page: PageContent, blocks: list[Block], captions: list[Box]) -> np.ndarray:
    """Which graphics lie behind running text or frame a caption: boolean (n,).

    Such a graphic is a coloured box, a frame or a scanned page, and no part of a figure.
    """
    behind = np.zeros(len(page.boxes), bool)
    texts = [(block.box, 1.0) for block in blocks if block.paragraph and len(block.lines) > 1]
    texts += [(box, 1.0) for box in captions]
    for box, share in texts:
        if not len(page.boxes):
            break
        width = np.minimum(page.boxes[:, 2], box[2]) - np.maximum(page.boxes[:, 0], box[0])
        height = np.minimum(page.boxes[:, 3], box[3]) - np.maximum(page.boxes[:, 1], box[1])
        common = np.clip(width, 0, None) * np.clip(height, 0, None)
        size = max((box[2] - box[0]) * (box[3] - box[1]), 1e-6)
        behind |= common > 0.8 * share * size
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
