"""Pieces of text in a page image: measure their ink, join them to lines, and group lines to blocks.

All lengths are in pixels of an upright, deskewed image.
"""

import re
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

_IDEOGRAPHS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
X_HEIGHT, CAP_HEIGHT = 0.46, 0.68  # ratio to the font size, mean of text faces


@dataclass(frozen=True)
class Parameters:
    """Limits for lines and blocks. Lengths are in font sizes unless stated otherwise.

    Sizes measured from ink are accurate to a tenth.
    """

    overlap: float = 0.7  # largest overlap of two pieces of one line
    space: float = 0.5  # largest space between two pieces of one line
    same_base: float = 0.3  # tolerance of the baselines in a line
    alike: float = 0.6  # smallest ratio of the sizes in a line
    nearest: float = 0.5  # smallest baseline distance; closer lines were read twice
    farthest: float = 2.4  # largest baseline distance; covers double spacing
    shared: float = 0.5  # share of the narrower line's width below the other
    line: float = 10.0  # wider pieces are lines of text, used for the usual distance
    first_step: float = 1.1  # first distance in a block, if the page has no usual one
    same_step: float = 0.1  # relative tolerance of the distance
    level_step: float = 0.05  # the same for lines with an inaccurate size
    most_step: float = 1.2  # ratio to the distance in a block; a larger one ends it
    same_size: float = 0.2  # relative tolerance of the size in a block
    bad_size: float = 0.35  # the same for a line with the same edge and distance
    flush: float = 0.3  # tolerance of the left edges in a block
    running_width: float = 12.0  # smallest width of running text
    main_size: float = 0.08  # relative tolerance of the size of running text
    running_lines: int = 5  # a block with more lines is running text in any size
    short: float = 2.0  # distance from the edge, above which a line ends its paragraph


P = Parameters()


@dataclass(slots=True)
class Piece:
    """A line of text in a page image.

    Attributes:
        box: Box of its ink, in pixels.
        size: Font size, in pixels. Only measured for upright text.
        base: Y of the baseline, in pixels. Only measured for upright text.
        sideways: Whether the text runs from bottom to top.
        text: The text, `None` if it was not read.
        score: Confidence, 0 to 1.
        block: Index of the block on the page.
        number: Index of the line in the block.
        left_out: Whether it was not read for lack of time.
    """

    box: tuple[float, float, float, float]
    size: float
    base: float
    sideways: bool = False
    text: str | None = None
    score: float = 0.0
    block: int = 0
    number: int = 0
    left_out: bool = False


def measure(dark: np.ndarray, boxes: np.ndarray) -> list[Piece]:
    """Return the pieces in the boxes of the detector, which may span two columns.

    Args:
        dark: Darkness, float32 of shape (height, width), 0 for paper to 1 for ink.
        boxes: Boxes of the detector, of shape (n, 4), in pixels.
    """
    pieces = []
    large = (boxes[:, 2:] - boxes[:, :2]).min(axis=1) > 3
    for box in boxes[large].tolist():
        piece = measure_piece(dark, box)
        for left, right in _columns(dark, piece):
            pieces.append(measure_piece(dark, [left, box[1], right, box[3]]))
    return pieces


def _columns(dark: np.ndarray, piece: Piece) -> list[tuple[float, float]]:
    """Return the x ranges of a piece between gutters, each at least five ems wide."""
    x0, y0, x1, y1 = (int(side) for side in piece.box)
    em = piece.size
    cuts = [float(x0)]
    if not piece.sideways and x1 - x0 > 10 * em:
        blank = ~(dark[y0:y1, x0:x1] > 0.5).any(axis=0)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], blank, [False]])))
        for start, end in (x0 + edges.reshape(-1, 2)).tolist():
            middle = (start + end) / 2
            long = min(middle - cuts[-1], x1 - middle) > 5 * em
            if long and end - start > 0.75 * em and _is_gutter(dark, piece, start, end):
                cuts.append(middle)
    return list(pairwise([*cuts, float(x1)]))


def _is_gutter(dark: np.ndarray, piece: Piece, start: int, end: int) -> bool:
    """Return whether a gap in a line continues above or below it, with ink on both sides.

    A wide space does not.
    """
    x0, top, x1, bottom = (int(side) for side in piece.box)
    em = int(piece.size)
    inner = (end - start) // 4
    for rows in (slice(max(0, top - em), max(0, top - 1)), slice(bottom + 1, bottom + em)):
        ink = dark[rows] > 0.5
        beside = ink[:, x0:start].any() and ink[:, end:x1].any()
        if beside and not ink[:, start + inner : end - inner].any():
            return True
    return False


def measure_piece(dark: np.ndarray, box: list[float]) -> Piece:
    """Measure ink, baseline and font size in a box of the detector.

    The x-height is the band of rows with the most ink. Without such a band (white on black, on a
    photograph), the height of the box gives the size.
    """
    x0, y0, x1, y1 = (max(0, round(side)) for side in box)
    part = dark[y0:y1, x0:x1]
    high, wide = y1 - y0, x1 - x0
    if high > 2 * wide:
        return Piece((x0, y0, x1, y1), 0.75 * wide, y1, sideways=True)
    plain = Piece((x0, y0, x1, y1), 0.75 * high, y1 - 0.3 * high)
    ink = part > 0.5
    if not ink.any() or ink.mean() > 0.6:
        return plain
    top, bottom = _band(part.sum(axis=1))
    low, upper = 0, high
    for share in (X_HEIGHT, CAP_HEIGHT):
        if 0.6 * high < (bottom - top) / share < 0.98 * high:
            # Average two measurements with independent errors.
            plain.size = ((bottom - top) / share + plain.size) / 2
            plain.base = y0 + bottom
            break
    else:
        size = (bottom - top) / X_HEIGHT
        if 0.25 * high < size < 0.6 * high < 0.1 * wide:
            # A tall character made the box include parts of the adjacent lines.
            plain.size, plain.base = size, y0 + bottom
            low, upper = max(0, int(bottom - 0.9 * size)), min(high, int(bottom + 0.3 * size) + 1)
    rows = np.flatnonzero(ink[low:upper].any(axis=1))
    columns = np.flatnonzero(ink[low:upper].any(axis=0))
    if len(rows):
        top, bottom = y0 + low + rows[0], y0 + low + rows[-1] + 1
        plain.box = (float(x0 + columns[0]), float(top), float(x0 + columns[-1] + 1), float(bottom))
    return plain


def reach_out(
    dark: np.ndarray, box: tuple[float, float, float, float], space: float
) -> tuple[float, float]:
    """Return the left and right ends of the line in a box, over gaps of at most `space`."""
    x0, y0, x1, y1 = (max(0, round(side)) for side in box)
    inked = np.flatnonzero((dark[y0:y1] > 0.5).any(axis=0))
    if not len(inked):
        return box[0], box[2]
    ends = np.flatnonzero(np.diff(inked) > space)
    left, right = inked[np.append(0, ends + 1)], inked[np.append(ends, len(inked) - 1)]
    own = (left < x1) & (right >= x0)
    if not own.any():
        return box[0], box[2]
    return min(box[0], float(left[own][0])), max(box[2], float(right[own][-1] + 1))


def _band(rows: np.ndarray) -> tuple[float, float]:
    """Return the run of rows with more than half the maximum ink, with subpixel ends.

    Among the long runs, the one nearest to the centre is used.
    """
    level = 0.5 * np.sort(rows)[-max(1, len(rows) // 4) :].mean()
    padded = np.concatenate([[0.0], rows, [0.0]])
    edges = np.flatnonzero(np.diff(padded > level)).reshape(-1, 2)
    long = edges[np.ptp(edges, axis=1) > 0.7 * np.ptp(edges, axis=1).max()]
    first, last = long[np.argmin(np.abs(long.sum(axis=1) - len(rows)))]
    # Interpolate where the profile crosses the level between two rows.
    rise = (level - padded[first]) / (padded[first + 1] - padded[first])
    fall = (padded[last] - level) / (padded[last] - padded[last + 1])
    return float(first - 0.5 + rise), float(last - 0.5 + fall)


def join(pieces: list[Piece]) -> list[Piece]:
    """Join pieces on the same baseline with at most a space between them."""
    kept: list[Piece] = []
    for piece in sorted(pieces, key=lambda piece: piece.box[0]):
        left, right = piece.box[0], piece.box[2]
        home = None
        for other in kept:
            most = max(piece.size, other.size)
            if (
                -P.overlap * most < left - other.box[2] < P.space * most
                and abs(piece.base - other.base) < P.same_base * most
                and min(piece.size, other.size) > P.alike * most
            ):
                home = other
        if home is None:
            kept.append(piece)
            continue
        if right - left > home.box[2] - home.box[0]:
            home.size, home.base = piece.size, piece.base
        home.box = (
            home.box[0],
            min(home.box[1], piece.box[1]),
            max(home.box[2], right),
            max(home.box[3], piece.box[3]),
        )
    return kept


def find_blocks(pieces: list[Piece]) -> list[list[Piece]]:
    """Group consecutive lines of equal distance and size, and set the size of each block.

    The size of a single line is accurate to a tenth; that of a block is much better.
    """
    order = sorted(pieces, key=lambda piece: piece.base)
    above = _lines_above(order)
    steps = [
        piece.base - order[over].base if over is not None else 0.0
        for piece, over in zip(order, above, strict=True)
    ]
    wide = [s for piece, s in zip(order, steps, strict=True) if s and _is_wide(piece)]
    usual = float(np.median(wide)) if wide else 0.0
    after = {over: step for over, step in zip(above, steps, strict=True) if over is not None}
    blocks: list[list[Piece]] = []
    home: dict[int, list[Piece]] = {}
    taken = set()
    for number, (piece, over, step) in enumerate(zip(order, above, steps, strict=True)):
        block = home[over] if over is not None and over not in taken else []
        if block:
            own = [b.base - a.base for a, b in pairwise(block)]
            # At the start of a block, the distance is the page's usual one or the first two lines'
            # own.
            first = [usual, P.first_step * piece.size]
            first += [step] if abs(after.get(number, 0.0) - step) < P.same_step * step else []
            most = P.most_step * float(np.median(own) if own else max(first))
            size = float(np.median([other.size for other in block]))
            flush = abs(piece.box[0] - block[-1].box[0]) < P.flush * size
            level = flush and own and abs(step - float(np.median(own))) < P.level_step * step
            # The size of a line with the same edge and distance was measured inaccurately.
            slack = P.bad_size if level else P.same_size
            if step > most or abs(piece.size - size) > slack * size:
                block = []
        if block:
            taken.add(over)
        else:
            blocks.append(block := [])
        block.append(piece)
        home[number] = block
    for block in blocks:
        size = float(np.median([piece.size for piece in block]))
        for piece in block:
            piece.size = size
    return blocks


def _is_wide(piece: Piece) -> bool:
    """Return whether a piece is as wide as a line of text."""
    return piece.box[2] - piece.box[0] > P.line * piece.size


def _lines_above(order: list[Piece]) -> list[int | None]:
    """Return, for each line sorted by baseline, the index of the nearest line above it."""
    boxes = np.array([piece.box for piece in order]).reshape(-1, 4)
    bases = np.array([piece.base for piece in order])
    found: list[int | None] = []
    for number, piece in enumerate(order):
        x0, _, x1, _ = piece.box
        shared = np.minimum(boxes[:number, 2], x1) - np.maximum(boxes[:number, 0], x0)
        least = np.minimum(boxes[:number, 2] - boxes[:number, 0], x1 - x0)
        step = piece.base - bases[:number]
        near = (shared > P.shared * least) & (step > P.nearest * piece.size)
        near &= step < P.farthest * piece.size
        rows = np.flatnonzero(near)
        found.append(int(rows[-1]) if len(rows) else None)
    return found


def main_size(pieces: list[Piece]) -> float:
    """Return the font size of most of the text, in pixels."""
    if not pieces:
        return 0.0
    sizes = np.array([piece.size for piece in pieces])
    widths = np.array([piece.box[2] - piece.box[0] for piece in pieces])
    order = np.argsort(sizes)
    share = np.cumsum(widths[order]) / widths.sum()
    return float(sizes[order][np.searchsorted(share, 0.5)])


def is_running(block: list[Piece], main: float) -> bool:
    """Return whether a block is running text: wide, in the main size or with many lines."""
    size = float(np.median([piece.size for piece in block]))
    width = max(piece.box[2] - piece.box[0] for piece in block)
    main_type = abs(size - main) < P.main_size * main
    return width > P.running_width * size and (main_type or len(block) > P.running_lines)


def paper_level(grey: np.ndarray) -> float:
    """Return the grey level of the paper in a page image, uint8 of shape (height, width).

    The upper quartile is used, so that images may cover more than half of the page.
    """
    return float(np.percentile(grey[::4, ::4], 75))


def darkness(grey: np.ndarray) -> np.ndarray:
    """Return the darkness of a page image, float32, 0 for paper to 1 for ink."""
    paper = paper_level(grey)
    levels = (paper - np.arange(256, dtype=np.float32)) / max(0.7 * paper, 1.0)
    return levels.clip(0, 1)[grey]


def number_pieces(blocks: list[list[Piece]]) -> list[Piece]:
    """Return the pieces of blocks in order, and set their block and line numbers."""
    for place, block in enumerate(blocks):
        for number, piece in enumerate(block):
            piece.block, piece.number = place, number
    return [piece for block in blocks for piece in block]


def heads(block: list[Piece]) -> list[int]:
    """Return the indices of lines at which a caption may begin: the first, and after short ones."""
    right = max(piece.box[2] for piece in block)
    short = [piece.box[2] < right - P.short * piece.size for piece in block[:-1]]
    return [0] + [number for number, after in enumerate(short, 1) if after]


def follows(piece: Piece, last: Piece) -> bool:
    """Return whether a line is close below another of similar size."""
    step = piece.base - last.base
    shared = min(piece.box[2], last.box[2]) - max(piece.box[0], last.box[0])
    alike = abs(piece.size - last.size) < P.same_size * last.size
    return alike and shared > 0 and P.nearest * last.size < step < P.farthest * last.size


def resize_ideographs(blocks: list[list[Piece]]) -> None:
    """Correct the sizes of Chinese or Japanese text, whose characters have no x-height.

    Each character fills its em except for a margin of a twentieth.
    """
    count = [len(_IDEOGRAPHS.findall(piece.text or "")) for block in blocks for piece in block]
    if sum(count) < 0.3 * sum(len(piece.text or "") for block in blocks for piece in block):
        return
    for block in blocks:
        text = "".join(piece.text or "" for piece in block)
        if text and not _IDEOGRAPHS.search(text):
            continue
        size = float(np.median([piece.box[3] - piece.box[1] for piece in block])) / 0.95
        for piece in block:
            piece.size, piece.base = size, piece.box[3] - 0.1 * size
