"""Optical character recognition: where the text of a page image is, which way up, what it says.

The engine is RapidOCR (Apache-2.0) on ONNX Runtime with PP-OCRv6 small, whose models lie in
RapidOCR's wheel, so that nothing is downloaded. Of the packages that carry their models it reads
best: on scanned papers it keeps the spaces, the Greek letters and the signs that its forerunner
(PP-OCRv4, in `rapidocr-onnxruntime`) loses, at the same speed. On one core it finds the text of
a page in 0.7 s and reads a line of a column in 60 ms. Everything here works on grey pages: uint8
(height, width), paper bright, boxes [x0, y0, x1, y1] in pixels.
"""

import importlib.util
import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from cephalo.dataset_scripts.pdf.labels import match_label

INSTALL = 'pip install "cephalo[ocr]"'
MAX_READS = 500  # pieces of text read on a page, 10 to 100 ms each; the rest stay unread
_DETECT_SIDE = 1280  # pixels; the detector finds 7 point type on a page of this height
_SURE = 0.9  # mean confidence of text that is read the right way up
_LEAST = 0.55  # confidence below which a "text" is a texture or a drawing
_X_HEIGHT, _CAP_HEIGHT = 0.46, 0.68  # of the font size, in the mean of text faces


@dataclass(slots=True)
class Piece:
    """A line of text in a page image.

    `box` is that of its ink, in pixels. `base` is the y of its baseline and `size` its font size,
    in pixels; for upright text (`sideways`: text that runs from bottom to top) only. `text` is
    None where it was not read.
    """

    box: tuple[float, float, float, float]
    size: float
    base: float
    sideways: bool = False
    text: str | None = None
    score: float = 0.0


def is_available() -> bool:
    """Whether the `ocr` extra is installed."""
    return all(importlib.util.find_spec(name) for name in ("rapidocr", "onnxruntime"))


@cache
def _engine():
    """The recogniser of this process: one thread, models from the package's own folder."""
    import cv2
    import rapidocr

    cv2.setNumThreads(1)
    folder = Path(rapidocr.__file__).parent / "models"
    return rapidocr.RapidOCR(
        params={
            "Global.log_level": "error",
            "Global.use_cls": False,
            "Global.use_preprocess_img": False,
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            # With the paths given, no code that could download a model is reached.
            "Det.model_path": str(folder / "PP-OCRv6_det_small.onnx"),
            "Det.limit_type": "max",
            "Det.limit_side_len": 4000,
            "Rec.model_path": str(folder / "PP-OCRv6_rec_small.onnx"),
            # The narrowest input: a letter alone need not be as wide as a word.
            "Rec.rec_img_shape": [3, 48, 64],
        }
    )


def find_text(grey: np.ndarray) -> np.ndarray:
    """The corners of the pieces of text in a page: float64 (n, 4, 2), pixels.

    Clockwise from the top left corner of each piece. Pieces are about as long as a line and a
    third higher than its font size.
    """
    height, width = grey.shape
    scale = min(1.0, _DETECT_SIDE / max(height, width))
    size = max(32, round(width * scale)), max(32, round(height * scale))
    small = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX))
    found = _engine()(_colour(small), use_det=True, use_cls=False, use_rec=False)
    if found.boxes is None or not len(found.boxes):
        return np.zeros((0, 4, 2))
    return np.asarray(found.boxes, np.float64) * (width / size[0], height / size[1])


def recognise(crop: np.ndarray) -> tuple[str, float]:
    """The text of one line, uint8 (height, width), and the mean confidence, 0 to 1."""
    found = _engine()(_colour(crop), use_det=False, use_cls=False, use_rec=True)
    if not found.txts:
        return "", 0.0
    return mend(found.txts[0]), float(found.scores[0])


def _colour(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[:, :, None], 3, axis=2)


def find_pose(grey: np.ndarray) -> tuple[int, float, np.ndarray]:
    """How a page lies: quarter turns clockwise that set it upright, its skew, and its text.

    The skew is in radians, clockwise, after the turn. The text is as from `find_text`, on the
    page after the turn.
    """
    quads = find_text(grey)
    wide, high = _sides(quads)
    long = np.maximum(wide, high)
    clear = long > 3 * np.minimum(wide, high)
    quarters = 0
    if long[clear & (high > wide)].sum() > long[clear & (wide > high)].sum():
        quarters, grey = 1, np.rot90(grey, -1)
        quads = find_text(grey)
    if _upside_down(grey, quads):
        quarters += 2
        quads = (np.array(grey.shape[::-1]) - quads)[:, [2, 3, 0, 1]]
    return quarters, find_skew(quads), quads


def _sides(quads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Width and height of each of `quads` (n, 4, 2)."""
    across, down = quads[:, 1] - quads[:, 0], quads[:, 3] - quads[:, 0]
    return np.hypot(*across.T), np.hypot(*down.T)


def _upside_down(grey: np.ndarray, quads: np.ndarray) -> bool:
    """Whether six of the widest pieces read better when turned by half."""
    wide, high = _sides(quads)
    chosen = np.argsort(-wide)[:6]
    crops = []
    for quad, side in zip(quads[chosen], high[chosen], strict=True):
        x0, y0 = quad.min(axis=0).clip(0).astype(int)
        x1, y1 = np.ceil(quad.max(axis=0)).astype(int)
        # The middle of a line is enough, and of a skewed one lies in a lower box.
        cut = max(0, int(x1 - x0 - 8 * side) // 2)
        drop = int((y1 - y0 - side) / 2)
        crops.append(grey[y0 + drop : y1 - drop, x0 + cut : x1 - cut])
    crops = [crop for crop in crops if min(crop.shape) > 4]
    upright = [recognise(crop)[1] for crop in crops]
    if not crops or np.mean(upright) > _SURE:
        return False
    turned = [recognise(np.rot90(crop, 2))[1] for crop in crops]
    return float(np.mean(turned)) > float(np.mean(upright))


def find_skew(quads: np.ndarray) -> float:
    """The angle of most lines in radians, clockwise; 0 where no line is long."""
    wide, high = _sides(quads)
    lines = quads[(wide > 10 * high) & (high > 0)]
    if len(lines) < 3:
        return 0.0
    across = lines[:, 1] + lines[:, 2] - lines[:, 0] - lines[:, 3]
    return float(np.median(np.arctan2(across[:, 1], across[:, 0])))


def read_page(grey: np.ndarray, boxes: np.ndarray) -> list[Piece]:
    """Read the text of an upright, straight page at `boxes` (n, 4), as `find_text` finds it.

    Running text is left unread, since only its place matters: it would take five times as long
    as all the rest. What is no text is left out. The lines come block by block.
    """
    paper = float(np.median(grey))
    dark = np.clip((paper - grey.astype(np.float32)) / max(0.7 * paper, 1.0), 0, 1)
    pieces = [_measure(dark, box) for box in boxes.tolist()]
    upright = join([piece for piece in pieces if not piece.sideways])
    budget = _Budget(grey)
    kept = []
    for block in find_blocks(upright):
        kept += _read_block(block, budget)
    for piece in pieces:
        if piece.sideways:
            budget.read(piece)
    kept += [piece for piece in pieces if piece.sideways]
    return [piece for piece in kept if piece.text is None or piece.score > _LEAST]


class _Budget:
    """Reads pieces of one page, MAX_READS at most."""

    def __init__(self, grey: np.ndarray) -> None:
        self.grey = grey
        self.left = MAX_READS

    def read(self, piece: Piece) -> None:
        """Fill in the text and score of a piece."""
        self.left -= 1
        if self.left < 0:
            return
        crop = self._crop(piece.box, piece)
        if not piece.sideways:
            piece.text, piece.score = recognise(crop)
            return
        # Nearly all text on its side runs upwards.
        piece.text, piece.score = recognise(np.rot90(crop, -1))
        if piece.score < _SURE:
            text, score = recognise(np.rot90(crop, 1))
            if score > piece.score + 0.1:
                piece.text, piece.score = text, score

    def starts_caption(self, piece: Piece) -> bool:
        """Whether a line begins with a label, told from its first eight ems."""
        self.left -= 1
        if self.left < 0:
            return False
        x0, y0, x1, y1 = piece.box
        text, _ = recognise(self._crop((x0, y0, min(x1, x0 + 8 * piece.size), y1), piece))
        return match_label(text) is not None

    def _crop(self, box: tuple[float, float, float, float], piece: Piece) -> np.ndarray:
        x0, y0, x1, y1 = box
        margin = 0.2 * piece.size
        if not piece.sideways:  # as high as the font, whatever this line's letters are
            y0, y1 = min(y0, piece.base - 0.75 * piece.size), max(y1, piece.base + 0.2 * piece.size)
        rows = slice(max(0, int(y0 - margin)), int(y1 + margin) + 1)
        columns = slice(max(0, int(x0 - margin)), int(x1 + margin) + 1)
        return self.grey[rows, columns]


def _read_block(block: list[Piece], budget: _Budget) -> list[Piece]:
    """Read a block, but not when it is running text that does not begin like a caption."""
    size = float(np.median([piece.size for piece in block]))
    width = float(np.median([piece.box[2] - piece.box[0] for piece in block]))
    running = len(block) > 5 and width > 12 * size
    if not running or budget.starts_caption(block[0]):
        for piece in block:
            budget.read(piece)
    return block


def _measure(dark: np.ndarray, box: list[float]) -> Piece:
    """A piece from the box of the detector: its ink, its baseline, and its font size.

    `dark`: float32 (height, width), 0 for paper to 1 for ink. The x-height is the band of rows
    that hold the most ink; where there is no such band (white on black, on a photograph) the
    height of the box tells the size.
    """
    x0, y0, x1, y1 = (max(0, round(side)) for side in box)
    part = dark[y0:y1, x0:x1]
    high, wide = y1 - y0, x1 - x0
    if high > 2 * wide:
        return Piece((x0, y0, x1, y1), 0.75 * wide, y1, sideways=True)
    plain = Piece((x0, y0, x1, y1), 0.75 * high, y1 - 0.3 * high)
    ink = part > 0.5
    columns, rows = np.flatnonzero(ink.any(axis=0)), np.flatnonzero(ink.any(axis=1))
    if not len(columns) or ink.mean() > 0.6:
        return plain
    inked = (x0 + columns[0], y0 + rows[0], x0 + columns[-1] + 1, y0 + rows[-1] + 1)
    plain.box = tuple(float(side) for side in inked)
    top, bottom = _band(part.sum(axis=1))
    for share in (_X_HEIGHT, _CAP_HEIGHT):
        if 0.6 * high < (bottom - top) / share < 0.98 * high:
            plain.size, plain.base = (bottom - top) / share, y0 + bottom
            break
    return plain


def _band(rows: np.ndarray) -> tuple[float, float]:
    """The longest run of rows with more than half the ink of the fullest, to a part of a row."""
    level = 0.5 * np.sort(rows)[-max(1, len(rows) // 4) :].mean()
    padded = np.concatenate([[0.0], rows, [0.0]])
    edges = np.flatnonzero(np.diff(padded > level)).reshape(-1, 2)
    first, last = edges[np.argmax(edges[:, 1] - edges[:, 0])]
    # Where the profile crosses the level between the middles of two rows.
    rise = (level - padded[first]) / (padded[first + 1] - padded[first])
    fall = (padded[last] - level) / (padded[last] - padded[last + 1])
    return float(first - 0.5 + rise), float(last - 0.5 + fall)


def join(pieces: list[Piece]) -> list[Piece]:
    """Join pieces that stand on one baseline with no more than a space between them."""
    kept: list[Piece] = []
    for piece in sorted(pieces, key=lambda piece: piece.box[0]):
        left, right = piece.box[0], piece.box[2]
        home = None
        for other in kept:
            most = max(piece.size, other.size)
            if (
                -0.7 * most < left - other.box[2] < 0.7 * most
                and abs(piece.base - other.base) < 0.3 * most
                and min(piece.size, other.size) > 0.6 * most
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
    """Group lines that follow each other at one distance in one size, and give each their size.

    The size of a single line is known to a tenth; that of a block much better.
    """
    order = sorted(pieces, key=lambda piece: piece.base)
    above = _lines_above(order)
    steps = [
        piece.base - order[over].base
        for piece, over in zip(order, above, strict=True)
        if over is not None and piece.box[2] - piece.box[0] > 10 * piece.size
    ]
    usual = float(np.median(steps)) if steps else 0.0
    blocks: list[list[Piece]] = []
    home: dict[int, list[Piece]] = {}
    taken = set()
    for number, (piece, over) in enumerate(zip(order, above, strict=True)):
        block = home[over] if over is not None and over not in taken else None
        if block is not None:
            last = order[over]
            step = piece.base - last.base
            own = [b.base - a.base for a, b in pairwise(block)] or [max(usual, 1.1 * piece.size)]
            size = float(np.median([other.size for other in block]))
            if step > 1.2 * float(np.median(own)) or abs(piece.size - size) > 0.15 * size:
                block = None
        if block is None:
            block = []
            blocks.append(block)
        else:
            taken.add(over)
        block.append(piece)
        home[number] = block
    for block in blocks:
        size = float(np.median([piece.size for piece in block]))
        for piece in block:
            piece.size = size
    return blocks


def _lines_above(order: list[Piece]) -> list[int | None]:
    """For each line, sorted by baseline, the number of the nearest one above it in its column."""
    boxes = np.array([piece.box for piece in order]).reshape(-1, 4)
    bases = np.array([piece.base for piece in order])
    found: list[int | None] = []
    for number, piece in enumerate(order):
        x0, _, x1, _ = piece.box
        shared = np.minimum(boxes[:number, 2], x1) - np.maximum(boxes[:number, 0], x0)
        least = np.minimum(boxes[:number, 2] - boxes[:number, 0], x1 - x0)
        step = piece.base - bases[:number]
        near = (shared > 0.5 * least) & (step > 0.5 * piece.size) & (step < 2 * piece.size)
        rows = np.flatnonzero(near)
        found.append(int(rows[-1]) if len(rows) else None)
    return found


_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20, 0x3002: 0x2E}
_LABEL = re.compile(
    r"^(?P<word>(?:[FP][i1lI|!]g(?:ure)?s?|F[I1l|!]G(?:URE)?S?|[Tt]ab[l1I|]e|TAB[L1l|]E|Scheme|SCHEME)\b"
    r"\.?)\s*(?P<number>[0-9lI|OoSs]{1,3})(?=[\s.:,|)]|$)"
)
_DIGITS = str.maketrans("lI|OoSs", "1110055")


def mend(text: str) -> str:
    """Undo what OCR confuses in a label, and full-width signs in Latin text.

    "F1gure l." → "Figure 1.", "Fig. 1O:" → "Fig. 10:". Letters in the number are taken for
    digits where it has a digit too, or for "l" and "|" alone; a Roman "I" stays.
    """
    if not re.search(r"[\u2e80-\ud7ff\uf900-\ufaff]", text):
        text = text.translate(_WIDE)
    text = " ".join(text.split())
    match = _LABEL.match(text)
    if not match:
        return text
    word, number = match.group("word"), match.group("number")
    if re.search(r"\d", number) or number in ("l", "|"):
        number = number.translate(_DIGITS)
    right = "I" if word[2:3].isupper() else "i"
    if word[1] in "1l|!I" and word[0] in "FP":
        word = "F" + right + word[2:]
    if word[:3] in ("Tab", "tab"):
        word = re.sub(r"[1I|]", "l", word)
    return f"{word} {number}{text[match.end() :]}"
