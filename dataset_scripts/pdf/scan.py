"""Scanned pages: text lines and graphics of a page that is one picture.

A scan has no text layer, or one that OCR left on it, unseen, and no graphics but the picture. The
picture is rendered and turned and rotated until its lines are level; the text is read (`ocr`) or
taken from the layer, and what is left as ink are the graphics. So the page reaches layout,
captions and pairing in the form in which any other page does. So does a page whose letters are
drawn as paths, and one whose fonts do not tell what its characters are.
"""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from cephalo.dataset_scripts.common.geometry import hits, turn
from cephalo.dataset_scripts.pdf import ocr, rendering
from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf.graphics import IMAGE, PATH, Graphics, TextObjects
from cephalo.dataset_scripts.pdf.ink import Straight, find_graphics, straighten
from cephalo.dataset_scripts.pdf.labels import match_label
from cephalo.dataset_scripts.pdf.legibility import is_soup
from cephalo.dataset_scripts.pdf.pieces import (
    Piece,
    darkness,
    find_blocks,
    main_size,
    measure_piece,
    number_pieces,
    paper_level,
    reach_out,
)
from cephalo.dataset_scripts.pdf.text import Line

_UNREAD = 0xF0000


@dataclass(frozen=True)
class Parameters:
    """What makes a page a scan, and how its text and ink are measured."""

    dpi: int = 200  # of the picture; OCR reads 7 point type at that
    max_pixels: int = 6_000_000  # of the picture: A3 at 150 dots per inch
    least_text: int = 60  # characters; a page with fewer is a picture, not the scan of a text
    cover: float = 0.7  # of the page that its images cover
    # Of the page, where text lies under them that is not seen: a scan set on a larger sheet.
    cover_with_layer: float = 0.3
    stamp: int = 300  # characters that publishers print on scans ("Downloaded from ...")
    letters: float = 0.5  # of a text that is one; other signs and unknown codes are fewer
    margin: float = 0.08  # of a side of the page, where stamps stand
    margin_stamp: int = 1500  # characters of them, with the terms of use on all four sides
    layer: float = 5.0  # times as many characters in the layer of a scan as are printed over it
    # Letters drawn as paths: higher and lower than these, in points.
    lowest: float = 1.5
    highest: float = 16.0
    row: int = 20  # of them or more stand on one baseline
    rows: int = 12  # such baselines or more are on a page of text
    uneven: float = 0.2  # deviation of their widths over the mean; cells of a map have none
    # Lines of a layer, measured again. Lengths in heights of the line.
    reach_across: float = 0.5  # how far the ink of a line is looked for, beside its box
    reach_down: float = 0.16  # and over and under it
    long: int = 20  # characters; a line with more is no label in a picture
    space: float = 0.7  # the widest space in a line; gutters are wider
    # From pieces to lines
    rise: float = 0.75  # font sizes of a line's box above the baseline
    drop: float = 0.22  # and under it
    char: float = 0.45  # font sizes, the mean width of a character that was not read
    near_main: float = 1 / 15  # of the main size; sizes nearer are taken for it
    step: float = 0.5  # points, between the sizes that are told apart
    # Ink that is no text
    solid: float = 0.6  # of its box that is ink: a picture; a drawing has less
    solid_side: float = 30.0  # pixels, of the least picture


P = Parameters()


def is_scan(page: fast.Page, lines: list[Line], graphics: Graphics) -> bool:
    """Whether images cover a page and nothing is printed over them but a stamp.

    Also whether its letters are drawn as paths. A figure that fills its page is no scan, where its
    caption is text.
    """
    boxes = graphics.boxes[graphics.kinds == IMAGE]
    cover = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1).sum() / (page.width * page.height)
    if not len(boxes):
        letters = sum(len(line.text) for line in lines if line.visible)
        return letters < P.least_text and _is_outlined(graphics)
    if cover < P.cover_with_layer:
        return False
    shown = [line for line in lines if line.visible and is_text(line.text)]
    if any(match_label(line.text) for line in shown):
        return False
    aside = [line for line in shown if _is_aside(line, page, P.margin)]
    stamped = sum(len(line.text) for line in aside)
    printed = sum(len(line.text) for line in shown) - stamped
    bare = printed < P.stamp and stamped < P.margin_stamp
    if cover > P.cover and bare:
        return True
    layer = [line for line in lines if not line.visible and is_on(line, page, boxes)]
    length = sum(len(line.text) for line in layer)
    return length > max(P.least_text, P.layer * printed, stamped)


def _displayed(line: Line, page: fast.Page) -> np.ndarray:
    """The box of a line on the displayed page."""
    sides = (page.height, page.width) if line.quarters % 2 else (page.width, page.height)
    return turn(np.array([line.box]), -line.quarters, *sides)[0]


def _is_aside(line: Line, page: fast.Page, margin: float) -> bool:
    """Whether a line lies within the margins, a share of the sides of the page."""
    x0, y0, x1, y1 = _displayed(line, page)
    across, down = margin * page.width, margin * page.height
    beside = x1 < across or x0 > page.width - across
    return bool(beside or y1 < down or y0 > page.height - down)


def is_on(line: Line, page: fast.Page, boxes: np.ndarray) -> bool:
    """Whether the middle of a line lies in one of some boxes (n, 4) on the displayed page."""
    x0, y0, x1, y1 = _displayed(line, page)
    middle_x, middle_y = (x0 + x1) / 2, (y0 + y1) / 2
    return bool(hits(boxes, (middle_x, middle_y, middle_x, middle_y)).any())


def _is_outlined(graphics: Graphics) -> bool:
    """Whether paths stand in rows like letters: of all widths on common baselines."""
    sides = graphics.boxes[:, 2:] - graphics.boxes[:, :2]
    like = (sides[:, 1] > P.lowest) & (sides < P.highest).all(axis=1)
    if like.sum() < P.row * P.rows:
        return False
    _, count = np.unique(np.rint(2 * graphics.boxes[like, 3]), return_counts=True)
    widths = sides[like, 0]
    uneven = widths.std() > P.uneven * widths.mean()
    return bool(uneven and (count >= P.row).sum() >= P.rows)


def is_unmapped(lines: list[Line]) -> bool:
    """Whether what is printed on a page reads as characters without meaning."""
    shown = [line.text for line in lines if line.visible]
    return is_soup(shown) and not any(map(match_label, shown))


def is_text(text: str) -> bool:
    """Whether most of a text are letters, digits and spaces, not signs and unknown codes."""
    good = sum(char.isalnum() or char.isspace() for char in text)
    return good > P.letters * len(text)


def has_layer(lines: list[Line]) -> bool:
    """Whether a scan carries text that OCR left there: enough of it, and legible."""
    hidden = [line.text for line in lines if not line.visible]
    enough = sum(map(len, hidden)) > P.least_text
    return enough and is_text("".join(hidden)) and not is_soup(hidden)


def draw(page: fast.Page) -> tuple[np.ndarray, float]:
    """The page as uint8 (height, width), the darkest channel, and its pixels in a point."""
    pixels = page.width * page.height * (P.dpi / 72) ** 2
    dpi = int(P.dpi * min(1.0, (P.max_pixels / max(pixels, 1)) ** 0.5))
    colours, used = rendering.render(page, fast.page_box(page), max(dpi, 1))
    return colours.min(axis=2), used / 72


def read_scan(
    page: fast.Page, drawn: tuple[np.ndarray, float], lines: list[Line], graphics: Graphics
) -> tuple[list[Line], Graphics]:
    """The lines and graphics of a scan, from its picture as `draw` gives it.

    By OCR, with the text of its layer where that reads no further; by the layer alone where there
    is no OCR. `lines` and `graphics` are those of the PDF page, which may be closed; they come back
    unchanged where the picture holds no text to speak of. Graphics are `cut` where there is more
    text than is read.
    """
    layer = [line for line in lines if is_text(line.text)] if has_layer(lines) else []
    drawn = _without_sheet(drawn, graphics.boxes[graphics.kinds == IMAGE])
    if ocr.is_available():
        picture, pieces = _read(drawn)
        read = _lines(picture, pieces)
        _fill_in(read, layer)
        beside = []
    else:
        picture, pieces = _measure_layer(drawn, layer)
        read = _lines(picture, pieces)
        beside = [line for line in layer if line.quarters != picture.quarters]
    if sum(len(line.text) for line in read) < P.least_text:
        return lines, graphics
    text = [piece.box for piece in pieces]
    text += [tuple(_displayed(line, page) * picture.scale) for line in beside]
    found = _graphics(page, picture, np.array(text).reshape(-1, 4))
    return read + beside, replace(found, cut=any(piece.left_out for piece in pieces))


def read_unmapped(drawn: tuple[np.ndarray, float], lines: list[Line]) -> list[Line]:
    """The lines of a page whose characters have no meaning, from its picture.

    `lines` come back where the picture holds no text to speak of.
    """
    read = _lines(*_read(drawn))
    return read if sum(len(line.text) for line in read) >= P.least_text else lines


def _read(drawn: tuple[np.ndarray, float]) -> tuple[Straight, list[Piece]]:
    """A page's picture with level lines, and the pieces of text in it."""
    pixels, scale = drawn
    quarters, skew, quads = ocr.find_pose(pixels)
    picture = straighten(pixels, scale, quarters, skew)
    return picture, ocr.read_page(picture.grey, _level_boxes(picture, quads))


def _without_sheet(drawn: tuple[np.ndarray, float], images: np.ndarray) -> tuple[np.ndarray, float]:
    """The picture of a page with the sheet around its `images` (n, 4) in the level of their paper.

    White around a grey scan would pass for the paper, and the scan for ink.
    """
    pixels, scale = drawn
    if not len(images):
        return drawn
    x0, y0 = np.maximum(images[:, :2].min(axis=0) * scale, 0).astype(int)
    x1, y1 = (images[:, 2:].max(axis=0) * scale).astype(int)
    inner = pixels[y0:y1, x0:x1]
    if not inner.size:
        return drawn
    sheet = np.full_like(pixels, int(paper_level(inner)))
    sheet[y0:y1, x0:x1] = inner
    return sheet, scale


def _fill_in(read: list[Line], layer: list[Line]) -> None:
    """Give lines that OCR left unread the text that the layer has there."""
    boxes = np.array([line.box for line in layer]).reshape(-1, 4)
    middles = np.tile((boxes[:, :2] + boxes[:, 2:]) / 2, 2)
    for line in read:
        if not layer or is_read(line.text):
            continue
        own = [layer[k] for k in np.flatnonzero(hits(middles, line.box))]
        own = [other for other in own if other.quarters == line.quarters]
        if own:
            line.text = " ".join(other.text for other in sorted(own, key=lambda line: line.box[0]))


def _measure_layer(
    drawn: tuple[np.ndarray, float], layer: list[Line]
) -> tuple[Straight, list[Piece]]:
    """A page's picture, and the lines of its layer that are upright there as pieces of text.

    What OCR programs say of sizes and baselines differs by a fifth from line to line, so that both
    are measured again.
    """
    pixels, scale = drawn
    count: Counter[int] = Counter()
    for line in layer:
        count[line.quarters] += len(line.text)
    picture = straighten(pixels, scale, count.most_common(1)[0][0], 0.0)
    dark = darkness(picture.grey)
    pieces = []
    for line in layer:
        if line.quarters == picture.quarters:
            x0, y0, x1, y1 = (side * scale for side in line.box)
            # As far as a detector of text reaches: sizes and ends are known to a fifth only.
            across, down = P.reach_across * (y1 - y0), P.reach_down * (y1 - y0)
            if len(line.text) > P.long:
                x0, x1 = reach_out(dark, (x0, y0, x1, y1), P.space * (y1 - y0))
            piece = measure_piece(dark, [x0 - across, y0 - down, x1 + across, y1 + down])
            piece.text = ocr.mend(line.text)
            pieces.append(piece)
    found = number_pieces(find_blocks([piece for piece in pieces if not piece.sideways]))
    return picture, found


def add_ink(page: fast.Page, lines: list[Line], graphics: Graphics) -> Graphics:
    """The graphics of a page of which not all were read, with its ink that is no text."""
    more = _in_layer(page, straighten(*draw(page), 0, 0.0), lines)
    return replace(
        graphics,
        boxes=np.concatenate([graphics.boxes, more.boxes]),
        kinds=np.concatenate([graphics.kinds, more.kinds]),
    )


def _in_layer(page: fast.Page, picture: Straight, lines: list[Line]) -> Graphics:
    """The ink of a level picture that lies outside of `lines`."""
    boxes = np.array([_displayed(line, page) for line in lines]).reshape(-1, 4)
    return _graphics(page, picture, boxes * picture.scale)


def is_recognised(line: Line) -> bool:
    """Whether a line is of a scan: its text is from OCR, and has no characters of the page."""
    return not line.font and not line.lead and line.span[0] == line.span[1] and len(line.text) > 1


def is_read(text: str) -> bool:
    """Whether a text holds no lines that OCR left unread."""
    return not text or max(text) < chr(_UNREAD)


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
            y0 = piece.base - P.rise * size * picture.scale
            y1 = piece.base + P.drop * size * picture.scale
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
    count = max(1, int((piece.box[2] - piece.box[0]) / (P.char * piece.size)))
    return " ".join([chr(_UNREAD + number % 0xFFF0) * 5] * (count // 6 + 1))


def _even_sizes(pieces: list[Piece], scale: float) -> list[float]:
    """The font sizes of pieces in points, in even steps.

    Sizes near the most common one are taken for it: it is the body's.
    """
    sizes = np.array([piece.size for piece in pieces]) / scale
    widths = np.array([piece.box[2] - piece.box[0] for piece in pieces])
    main = main_size(pieces) / scale
    near = np.abs(sizes - main) < P.near_main * main
    sizes[near] = np.average(sizes[near], weights=widths[near])
    return np.maximum(P.step * np.rint(sizes / P.step), 1.0).tolist()


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
    solid = (fill > P.solid) & (sides.min(axis=1) > P.solid_side)
    kinds = np.where(solid, IMAGE, PATH).astype(np.uint8)
    return Graphics(boxes, kinds, TextObjects())
