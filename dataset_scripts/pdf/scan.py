"""Scanned pages: text lines and graphics of a page that is one picture.

A scan has no text layer, or one that OCR left on it, unseen, and no graphics but the picture. The
picture is rendered and turned and rotated until its lines are level; the text is read (`ocr`) or
taken from the layer, and what is left as ink are the graphics. So the page reaches layout,
captions and pairing in the form in which any other page does.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from cephalo.dataset_scripts.pdf import ocr, rendering
from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf.geometry import turn
from cephalo.dataset_scripts.pdf.graphics import IMAGE, PATH, Graphics, TextObjects
from cephalo.dataset_scripts.pdf.labels import match_label
from cephalo.dataset_scripts.pdf.pieces import Piece, main_size, paper_level
from cephalo.dataset_scripts.pdf.regions import merge_boxes
from cephalo.dataset_scripts.pdf.text import Line

_DPI = 200
_MAX_PIXELS = 6_000_000  # of a rendered page: A3 at 150 dots per inch
_COVER = 0.7  # of the page that the images of a scan cover
_STAMP = 300  # characters; publishers print as much on scans ("Downloaded from ...")
_LEAST_TEXT = 60  # characters; a page with fewer is a picture, not the scan of a text
_UNREAD = 0xF0000
_CELL = 1.5  # points; graphics are found to within this


@dataclass(frozen=True)
class Straight:
    """A page picture with level lines.

    `grey`: uint8 (height, width), the least of the three channels, so that all colours are dark.
    `scale`: pixels in a point. `quarters`, then `skew` (radians clockwise) lead here from the
    displayed page.
    """

    grey: np.ndarray
    scale: float
    quarters: int
    skew: float

    def to_points(self, boxes: np.ndarray, anchors: np.ndarray | None = None) -> np.ndarray:
        """Boxes (n, 4) in pixels as boxes in points on the page before the skew was undone.

        A box keeps its size, so that level lines stay level, and moves as its middle does, or as
        the point at the x of `anchors` (n,) and its middle's y.
        """
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        if anchors is not None:
            middle[:, 0] = anchors
        before = middle
        height, width = self.grey.shape
        centre = np.array([width, height]) / 2
        cos, sin = np.cos(self.skew), np.sin(self.skew)
        middle = (middle - centre) @ np.array([[cos, sin], [-sin, cos]]) + centre
        return (boxes + np.tile(middle - before, 2)) / self.scale


def is_scan(page: fast.Page, lines: list[Line], graphics: Graphics) -> bool:
    """Whether images cover a page and nothing is printed over them but a stamp.

    A figure that fills its page is none, where its caption is text.
    """
    boxes = graphics.boxes[graphics.kinds == IMAGE]
    sides = boxes[:, 2:] - boxes[:, :2]
    if not len(boxes) or sides.prod(axis=1).sum() < _COVER * page.width * page.height:
        return False
    shown = [line for line in lines if line.visible and is_text(line.text)]
    if any(match_label(line.text) for line in shown):
        return False
    return sum(len(line.text) for line in shown) < _STAMP


def is_text(text: str) -> bool:
    """Whether most of a text are letters, digits and spaces, not signs and unknown codes."""
    good = sum(char.isalnum() or char.isspace() for char in text)
    return good > 0.5 * len(text)


def has_layer(lines: list[Line]) -> bool:
    """Whether a scan carries text that OCR left there: enough of it, and in letters."""
    hidden = [line.text for line in lines if not line.visible]
    return sum(map(len, hidden)) > _LEAST_TEXT and is_text("".join(hidden))


def check_read(unread: int, count: int) -> str | None:
    """What to say of the `unread` scans among `count` pages, one line; None without any.

    Raises UnreadableError with it where they are most pages. A document with fewer of them gives
    the rows of its other pages.
    """
    if not unread:
        return None
    reason = f"{unread} of {count} pages are scans, which need OCR: {ocr.INSTALL}"
    if unread > count / 2:
        raise fast.UnreadableError(reason)
    return reason


def is_legible(lines: list[Line]) -> bool:
    """Whether the text of a scan can be had: from its layer `lines`, or by OCR."""
    return has_layer(lines) or ocr.is_available()


def draw(page: fast.Page) -> tuple[np.ndarray, float]:
    """The page as uint8 (height, width), the darkest channel, and its pixels in a point."""
    pixels = page.width * page.height * (_DPI / 72) ** 2
    dpi = int(_DPI * min(1.0, (_MAX_PIXELS / max(pixels, 1)) ** 0.5))
    colours, used = rendering.render(page, fast.page_box(page), max(dpi, 1))
    return colours.min(axis=2), used / 72


def read_scan(
    page: fast.Page, drawn: tuple[np.ndarray, float], lines: list[Line], graphics: Graphics
) -> tuple[list[Line], Graphics]:
    """The lines and graphics of a scan, from its picture as `draw` gives it.

    `lines` and `graphics` are those of the PDF page, which may be closed; they come back unchanged
    where the picture holds no text to speak of.
    """
    pixels, scale = drawn
    if has_layer(lines):
        return lines, _in_layer(page, straighten(pixels, scale, 0, 0.0), lines)
    quarters, skew, quads = ocr.find_pose(pixels)
    picture = straighten(pixels, scale, quarters, skew)
    pieces = ocr.read_page(picture.grey, _level_boxes(picture, quads))
    read = _lines(picture, pieces)
    if sum(len(line.text) for line in read) < _LEAST_TEXT:
        return lines, graphics
    text = np.array([piece.box for piece in pieces]).reshape(-1, 4)
    return read, _graphics(page, picture, text)


def _in_layer(page: fast.Page, picture: Straight, lines: list[Line]) -> Graphics:
    boxes = np.zeros((0, 4))
    for quarters in {line.quarters for line in lines}:
        own = np.array([line.box for line in lines if line.quarters == quarters])
        sides = (page.height, page.width) if quarters % 2 else (page.width, page.height)
        boxes = np.concatenate([boxes, turn(own, -quarters, *sides)])
    return _graphics(page, picture, boxes * picture.scale)


def is_read(text: str) -> bool:
    """Whether a text holds no lines that OCR left unread."""
    return not text or max(text) < chr(_UNREAD)


def straighten(grey: np.ndarray, scale: float, quarters: int, skew: float) -> Straight:
    """Turn a picture, uint8 (height, width), by quarters, then back by its skew (radians)."""
    grey = np.ascontiguousarray(np.rot90(grey, -quarters))
    if abs(skew) > 5e-4:  # half a point across a page
        image = Image.fromarray(grey)
        paper = int(paper_level(grey))
        turned = image.rotate(np.degrees(skew), Image.Resampling.BILINEAR, fillcolor=paper)
        grey = np.asarray(turned)
    else:
        skew = 0.0
    return Straight(grey, scale, quarters % 4, skew)


def _level_boxes(picture: Straight, quads: np.ndarray) -> np.ndarray:
    """Corners (n, 4, 2) on the turned page as boxes (n, 4) on the straight one, both in pixels."""
    height, width = picture.grey.shape
    centre = np.array([width, height]) / 2
    cos, sin = np.cos(picture.skew), np.sin(picture.skew)
    level = (quads - centre) @ np.array([[cos, -sin], [sin, cos]]) + centre
    # The mean of two corners: a corner of a skewed piece is known to a pixel or two only.
    x = np.sort(level[:, :, 0], axis=1)
    y = np.sort(level[:, :, 1], axis=1)
    low = np.stack([x[:, :2].mean(axis=1), y[:, :2].mean(axis=1)], axis=1)
    high = np.stack([x[:, 2:].mean(axis=1), y[:, 2:].mean(axis=1)], axis=1)
    boxes = np.concatenate([low, high], axis=1)
    return boxes.clip(0, [width, height, width, height])


def _lines(picture: Straight, pieces: list[Piece]) -> list[Line]:
    """Pieces as lines in points; those of upright text as high as their font."""
    if not pieces:
        return []
    sizes = _even_sizes(pieces, picture.scale)
    boxes = []
    for piece, size in zip(pieces, sizes, strict=True):
        x0, y0, x1, y1 = piece.box
        if not piece.sideways:
            y0 = piece.base - 0.75 * size * picture.scale
            y1 = piece.base + 0.22 * size * picture.scale
        boxes.append((x0, y0, x1, y1))
    # The lines of a block move as one, or a short last line would leave the others.
    level = np.array(boxes)
    owners = np.array([piece.block for piece in pieces])
    middles = level[:, [0, 2]].mean(axis=1)
    anchors = [float(middles[owners == owner].mean()) for owner in owners]
    points = picture.to_points(level, np.array(anchors))
    height, width = picture.grey.shape
    lines = []
    for number, (piece, box, size) in enumerate(zip(pieces, points, sizes, strict=True)):
        quarters = picture.quarters
        if piece.sideways:
            box = turn(box[None], 1, width / picture.scale, height / picture.scale)[0]
            quarters = (quarters + 1) % 4
        text = piece.text or _unread(number, piece)
        place = 1000 * piece.block + piece.number
        span = place, place
        lines.append(Line(text, tuple(box.tolist()), size, "", "", quarters, span=span))
    return lines


def _unread(number: int, piece: Piece) -> str:
    """What stands for text that was not read: about as many characters, in words.

    They are of Unicode's supplementary private use area A, which no text layer uses. Each line
    has its own, so that no two look like a repeated running head.
    """
    count = max(1, int((piece.box[2] - piece.box[0]) / (0.45 * piece.size)))
    return " ".join([chr(_UNREAD + number % 0xFFF0) * 5] * (count // 6 + 1))


def _even_sizes(pieces: list[Piece], scale: float) -> list[float]:
    """The font sizes of pieces in points, in steps of half a point.

    Sizes within a fifteenth of the most common one are taken for it: it is the body's.
    """
    sizes = np.array([piece.size for piece in pieces]) / scale
    widths = np.array([piece.box[2] - piece.box[0] for piece in pieces])
    main = main_size(pieces) / scale
    near = np.abs(sizes - main) < main / 15
    sizes[near] = np.average(sizes[near], weights=widths[near])
    return np.maximum(np.rint(sizes * 2) / 2, 1.0).tolist()


def _graphics(page: fast.Page, picture: Straight, text: np.ndarray) -> Graphics:
    """The graphics of a picture as those of its page, text at boxes (n, 4) in pixels left out."""
    found, fill = find_graphics(picture, text)
    boxes = picture.to_points(found)
    # Its corners stick out of a box that was turned about its middle.
    sides = boxes[:, 2:] - boxes[:, :2]
    out = np.minimum(abs(np.sin(picture.skew)) * sides[:, ::-1], sides) / 2
    boxes[:, :2] -= out
    boxes[:, 2:] += out
    width, height = page.width, page.height
    if picture.quarters % 2:
        width, height = height, width
    boxes = turn(boxes, -picture.quarters, width, height)
    boxes = boxes.clip(0, [page.width, page.height] * 2)
    solid = (fill > 0.6) & (sides.min(axis=1) > 30)
    kinds = np.where(solid, IMAGE, PATH).astype(np.uint8)
    return Graphics(boxes, kinds, TextObjects())


def find_graphics(picture: Straight, text: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ink of a picture that is no text: boxes (n, 4) in pixels, and how full each is, 0 to 1.

    Ink is what is darker than the paper by more than its noise, in cells of _CELL points. Specks
    and the shadows at the edges of a scan are left out.
    """
    cell = max(1, round(_CELL * picture.scale))
    rows, columns = (side // cell for side in picture.grey.shape)
    if not rows or not columns:
        return np.zeros((0, 4)), np.zeros(0)
    grey = picture.grey[: rows * cell, : columns * cell].astype(np.float32)
    paper = paper_level(picture.grey)
    outwards = np.array([-0.25, -0.25, 0.25, 0.25]) * cell
    for x0, y0, x1, y1 in np.rint(text + outwards).astype(int).tolist():
        grey[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)] = paper
    means = grey.reshape(rows, cell, columns, cell).mean(axis=(1, 3))
    dark = paper - means
    noise = 3.1 * float(np.percentile(np.abs(dark), 25))  # the deviation of a normal one
    labels, count = label_cells(dark > max(12.0, 5 * noise))
    boxes, cells = _cell_boxes(labels, count)
    sides = boxes[:, 2:] - boxes[:, :2]
    fill = cells / np.maximum(sides.prod(axis=1), 1)
    slack = 2 + abs(np.sin(picture.skew)) * max(rows, columns) / 2
    at_edge = (boxes[:, :2].min(axis=1, initial=1e9) < slack) | (
        (np.array([columns, rows]) - boxes[:, 2:]).min(axis=1, initial=1e9) < slack
    )
    shadow = at_edge & ((sides.min(axis=1) < 0.05 * min(rows, columns)) | (fill < 0.3))
    keep = ~shadow & (cells > 2)
    return _gather_marks(boxes[keep] * float(cell), fill[keep], text, 25 * picture.scale)


def _gather_marks(
    boxes: np.ndarray, fill: np.ndarray, text: np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray]:
    """Join marks smaller than `reach` that lie within it of each other: dots, atoms, arrows.

    Each alone is too small for a figure. They are not joined across text.
    """
    small = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0) < reach
    groups = merge_boxes(boxes[small], reach, text)
    whole = np.array(groups).reshape(-1, 4)
    full = np.zeros(len(whole))
    return np.concatenate([boxes[~small], whole]), np.concatenate([fill[~small], full])


def label_cells(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Number the connected parts (eight neighbours) of a boolean (rows, columns).

    Returns int (rows, columns), 0 outside and 1 to n inside, and n. Runs of a row are joined
    with those that they touch in the row above (Rosenfeld and Pfaltz, 1966).
    """
    padded = np.zeros((mask.shape[0], mask.shape[1] + 2), np.int8)
    padded[:, 1:-1] = mask
    steps = np.diff(padded, axis=1)
    row, start = np.nonzero(steps == 1)
    _, end = np.nonzero(steps == -1)
    parent = list(range(len(row)))

    def root(run: int) -> int:
        while parent[run] != run:
            parent[run] = parent[parent[run]]
            run = parent[run]
        return run

    first = np.searchsorted(row, np.arange(mask.shape[0] + 1)).tolist()
    starts, ends = start.tolist(), end.tolist()
    for line in range(1, mask.shape[0]):
        above, here = first[line - 1], first[line]
        while above < first[line] and here < first[line + 1]:
            if starts[above] <= ends[here] and starts[here] <= ends[above]:
                parent[root(here)] = root(above)
            if ends[above] < ends[here]:
                above += 1
            else:
                here += 1
    roots = np.array([root(run) for run in range(len(parent))], int)
    names, numbers = np.unique(roots, return_inverse=True)
    labels = np.zeros(mask.shape, int)
    labels[mask] = np.repeat(numbers + 1, end - start)
    return labels, len(names)


def _cell_boxes(labels: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The boxes, int (n, 4), and the numbers of cells, int (n,), of labelled parts."""
    rows, columns = np.nonzero(labels)
    own = labels[rows, columns] - 1
    low = np.full((count, 2), np.iinfo(int).max)
    high = np.zeros((count, 2), int)
    places = np.stack([columns, rows], axis=1)
    np.minimum.at(low, own, places)
    np.maximum.at(high, own, places + 1)
    return np.concatenate([low, high], axis=1), np.bincount(own, minlength=count)
