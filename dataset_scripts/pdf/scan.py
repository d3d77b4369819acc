"""Read the text and graphics of pages that are a single image.

A scan has no text layer, or an invisible one from OCR, and no graphics except the image. The image
is rendered, rotated and deskewed. The text is read (`ocr`) or taken from the layer, and the
remaining ink is graphics. Layout, captions and pairing then treat the page like any other. The same
applies to pages with letters drawn as paths, and with fonts without a character mapping.
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

    dpi: int = 200  # resolution of the image, at which OCR reads 7-point type
    max_pixels: int = 6_000_000  # of the image: A3 at 150 dots per inch
    least_text: int = 60  # characters; a page with fewer is an image, not scanned text
    cover: float = 0.7  # share of the page covered by images
    # Share of the page, if there is invisible text below: a scan on a larger sheet.
    cover_with_layer: float = 0.3
    stamp: int = 300  # characters printed on scans by publishers ("Downloaded from ...")
    letters: float = 0.5  # smallest share of letters, digits and spaces in a text
    margin: float = 0.08  # share of the page's sides: margins with stamps
    margin_stamp: int = 1500  # characters of stamps, with terms of use on all four sides
    layer: float = 5.0  # ratio of characters in the layer and those printed over it
    # Letters drawn as paths: smallest and largest height, in points.
    lowest: float = 1.5
    highest: float = 16.0
    row: int = 20  # smallest number of them on a baseline
    rows: int = 12  # smallest number of such baselines on a page
    uneven: float = 0.2  # smallest relative deviation of widths; map cells have none
    # Measuring the lines of a layer again. Lengths in line heights.
    reach_across: float = 0.5  # distance beside the box in which the ink of a line is searched
    reach_down: float = 0.16  # and above and below it
    long: int = 20  # characters; a longer line is not a label in an image
    space: float = 0.7  # largest space in a line; gutters are wider
    # Converting pieces to lines
    rise: float = 0.75  # font sizes of the box above the baseline
    drop: float = 0.22  # and below it
    char: float = 0.45  # font sizes; mean width of an unread character
    near_main: float = 1 / 15  # relative difference; nearer sizes are set to the main size
    step: float = 0.5  # points; step of the font sizes
    # Ink that is not text
    solid: float = 0.6  # share of ink in the box of an image; drawings have less
    solid_side: float = 30.0  # pixels; smallest side of an image


P = Parameters()


def is_scan(page: fast.Page, lines: list[Line], graphics: Graphics) -> bool:
    """Return whether images cover a page with nothing printed over them except stamps.

    Also true if the letters are drawn as paths. A figure that fills its page is not a scan if its
    caption is text.

    Args:
        page: Page of pdfium.
        lines: Lines of text.
        graphics: Graphics of the page.
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
    """Return the box of a line on the displayed page."""
    sides = (page.height, page.width) if line.quarters % 2 else (page.width, page.height)
    return turn(np.array([line.box]), -line.quarters, *sides)[0]


def _is_aside(line: Line, page: fast.Page, margin: float) -> bool:
    """Return whether a line is in the margins, a share of the sides of the page."""
    x0, y0, x1, y1 = _displayed(line, page)
    across, down = margin * page.width, margin * page.height
    beside = x1 < across or x0 > page.width - across
    return bool(beside or y1 < down or y0 > page.height - down)


def is_on(line: Line, page: fast.Page, boxes: np.ndarray) -> bool:
    """Return whether the centre of a line is in one of the boxes (n, 4) on the displayed page."""
    x0, y0, x1, y1 = _displayed(line, page)
    middle_x, middle_y = (x0 + x1) / 2, (y0 + y1) / 2
    return bool(hits(boxes, (middle_x, middle_y, middle_x, middle_y)).any())


def _is_outlined(graphics: Graphics) -> bool:
    """Return whether paths form rows like letters: various widths on common baselines."""
    sides = graphics.boxes[:, 2:] - graphics.boxes[:, :2]
    like = (sides[:, 1] > P.lowest) & (sides < P.highest).all(axis=1)
    if like.sum() < P.row * P.rows:
        return False
    _, count = np.unique(np.rint(2 * graphics.boxes[like, 3]), return_counts=True)
    widths = sides[like, 0]
    uneven = widths.std() > P.uneven * widths.mean()
    return bool(uneven and (count >= P.row).sum() >= P.rows)


def is_unmapped(lines: list[Line]) -> bool:
    """Return whether the visible text of a page consists of characters without meaning."""
    shown = [line.text for line in lines if line.visible]
    return is_soup(shown) and not any(map(match_label, shown))


def is_text(text: str) -> bool:
    """Return whether most characters are letters, digits and spaces."""
    good = sum(char.isalnum() or char.isspace() for char in text)
    return good > P.letters * len(text)


def has_layer(lines: list[Line]) -> bool:
    """Return whether a scan has enough legible text from another OCR program."""
    hidden = [line.text for line in lines if not line.visible]
    enough = sum(map(len, hidden)) > P.least_text
    return enough and is_text("".join(hidden)) and not is_soup(hidden)


def draw(page: fast.Page) -> tuple[np.ndarray, float]:
    """Render a page: the darkest channel, uint8 of shape (height, width), and pixels per point."""
    pixels = page.width * page.height * (P.dpi / 72) ** 2
    dpi = int(P.dpi * min(1.0, (P.max_pixels / max(pixels, 1)) ** 0.5))
    colours, used = rendering.render(page, fast.page_box(page), max(dpi, 1))
    return colours.min(axis=2), used / 72


def read_scan(
    page: fast.Page, drawn: tuple[np.ndarray, float], lines: list[Line], graphics: Graphics
) -> tuple[list[Line], Graphics]:
    """Read the lines and graphics of a scan.

    OCR reads the text, with the layer for lines that it does not read. Without OCR, the layer is
    used. If the image has hardly any text, `lines` and `graphics` are returned unchanged.

    Args:
        page: Page of pdfium, which may be closed.
        drawn: Result of `draw`.
        lines: Lines of the PDF page.
        graphics: Graphics of the PDF page.

    Returns:
        Lines and graphics. `Graphics.cut` is true if there is more text than is read.
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
    """Read the lines of a page with meaningless characters from its image.

    If the image has hardly any text, `lines` are returned.
    """
    read = _lines(*_read(drawn))
    return read if sum(len(line.text) for line in read) >= P.least_text else lines


def _read(drawn: tuple[np.ndarray, float]) -> tuple[Straight, list[Piece]]:
    """Return the deskewed image of a page and the pieces of text in it."""
    pixels, scale = drawn
    quarters, skew, quads = ocr.find_pose(pixels)
    picture = straighten(pixels, scale, quarters, skew)
    return picture, ocr.read_page(picture.grey, _level_boxes(picture, quads))


def _without_sheet(drawn: tuple[np.ndarray, float], images: np.ndarray) -> tuple[np.ndarray, float]:
    """Fill the sheet around the `images` (n, 4) of a page with the grey level of their paper.

    Otherwise, white around a grey scan would be taken for the paper, and the scan for ink.
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
    """Set the text of lines that OCR did not read from the layer."""
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
    """Return the image of a page, and the upright lines of its layer as pieces of text.

    The sizes and baselines of OCR programs vary by a fifth between lines and are measured again.
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
            # Extend the box like a text detector, since sizes and ends are only known to a fifth.
            across, down = P.reach_across * (y1 - y0), P.reach_down * (y1 - y0)
            if len(line.text) > P.long:
                x0, x1 = reach_out(dark, (x0, y0, x1, y1), P.space * (y1 - y0))
            piece = measure_piece(dark, [x0 - across, y0 - down, x1 + across, y1 + down])
            piece.text = ocr.mend(line.text)
            pieces.append(piece)
    found = number_pieces(find_blocks([piece for piece in pieces if not piece.sideways]))
    return picture, found


def add_ink(page: fast.Page, lines: list[Line], graphics: Graphics) -> Graphics:
    """Add the ink outside the text to the graphics of a page that was not read completely."""
    more = _in_layer(page, straighten(*draw(page), 0, 0.0), lines)
    return replace(
        graphics,
        boxes=np.concatenate([graphics.boxes, more.boxes]),
        kinds=np.concatenate([graphics.kinds, more.kinds]),
    )


def _in_layer(page: fast.Page, picture: Straight, lines: list[Line]) -> Graphics:
    """Return the ink of a deskewed image outside of `lines`."""
    boxes = np.array([_displayed(line, page) for line in lines]).reshape(-1, 4)
    return _graphics(page, picture, boxes * picture.scale)


def is_recognised(line: Line) -> bool:
    """Return whether a line was read by OCR, without characters of the page."""
    return not line.font and not line.lead and line.span[0] == line.span[1] and len(line.text) > 1


def is_read(text: str) -> bool:
    """Return whether a text contains no unread lines."""
    return not text or max(text) < chr(_UNREAD)


def _level_boxes(picture: Straight, quads: np.ndarray) -> np.ndarray:
    """Convert corners (n, 4, 2) on the rotated page to pixel boxes (n, 4) on the deskewed page."""
    height, width = picture.grey.shape
    centre = np.array([width, height]) / 2
    cos, sin = np.cos(picture.skew), np.sin(picture.skew)
    level = (quads - centre) @ np.array([[cos, -sin], [sin, cos]]) + centre
    # Mean of two corners, because a corner of a skewed piece is only accurate to a pixel or two.
    x = np.sort(level[:, :, 0], axis=1)
    y = np.sort(level[:, :, 1], axis=1)
    low = np.stack([x[:, :2].mean(axis=1), y[:, :2].mean(axis=1)], axis=1)
    high = np.stack([x[:, 2:].mean(axis=1), y[:, 2:].mean(axis=1)], axis=1)
    boxes = np.concatenate([low, high], axis=1)
    return boxes.clip(0, [width, height, width, height])


def _lines(picture: Straight, pieces: list[Piece]) -> list[Line]:
    """Convert pieces to lines in points. Upright lines have the height of their font."""
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
    # Move the lines of a block together, so that a short last line is not separated.
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
    """Return a placeholder for unread text, with about as many characters, in words.

    The characters are from Unicode's supplementary private use area A, which no text layer uses.
    They differ between lines, so that no two lines look like a running head.
    """
    count = max(1, int((piece.box[2] - piece.box[0]) / (P.char * piece.size)))
    return " ".join([chr(_UNREAD + number % 0xFFF0) * 5] * (count // 6 + 1))


def _even_sizes(pieces: list[Piece], scale: float) -> list[float]:
    """Return the font sizes of pieces in points, rounded to steps.

    Sizes near the most common one, that of the body, are set to it.
    """
    sizes = np.array([piece.size for piece in pieces]) / scale
    widths = np.array([piece.box[2] - piece.box[0] for piece in pieces])
    main = main_size(pieces) / scale
    near = np.abs(sizes - main) < P.near_main * main
    sizes[near] = np.average(sizes[near], weights=widths[near])
    return np.maximum(P.step * np.rint(sizes / P.step), 1.0).tolist()


def _graphics(page: fast.Page, picture: Straight, text: np.ndarray) -> Graphics:
    """Return the graphics of a page image, without text at boxes (n, 4) in pixels."""
    found, fill = find_graphics(picture, text)
    boxes = picture.to_points(found)
    # The corners of a rotated image exceed its box, which was rotated about its centre.
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
