"""Optical character recognition: find the text of a page image, its orientation and its words.

The engine is RapidOCR (Apache-2.0) on ONNX Runtime with PP-OCRv6 small. The models are part of
RapidOCR's wheel, so that nothing is downloaded. Compared with PP-OCRv4 of `rapidocr-onnxruntime`,
it makes about 2 fewer errors per 100 characters of a scanned page, mostly lost spaces, and is a
fifth slower. On one core it finds the text of a page in 0.5 s and reads a line of a column in 50 to
75 ms. All functions work on grey pages: uint8 of shape (height, width), bright paper, boxes [x0,
y0, x1, y1] in pixels.
"""

import ctypes
import importlib.util
import math
import re
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from cephalo.dataset_scripts.pdf.labels import match_label
from cephalo.dataset_scripts.pdf.pieces import (
    CAP_HEIGHT,
    Piece,
    darkness,
    find_blocks,
    follows,
    heads,
    is_running,
    join,
    main_size,
    measure,
    number_pieces,
    resize_ideographs,
)

INSTALL = 'pip install "cephalo[ocr]"'
MAX_READS = 400  # pieces of text read per page, 10 to 100 ms each; others stay unread
_DETECT_SIDE = 1280  # pixels; page height at which the detector finds 7-point type
_STRIP = 450_000  # approximate number of pixels per run of the detector
_CONTEXT = 32  # rows of context on each side of a strip
_M_MMAP_THRESHOLD = -3  # from glibc's malloc.h
_SURE = 0.9  # mean confidence of upright text
_LARGEST = 5.0  # ratio to the main font size; larger "text" is part of a picture
_LEAST = 0.55  # confidence; "text" below it is a texture or a drawing


@cache
def is_available() -> bool:
    """Return whether the `ocr` extra is installed."""
    return all(importlib.util.find_spec(name) for name in ("rapidocr", "onnxruntime"))


@cache
def _reader():
    """Return RapidOCR's line reader of this process, with a model from the package's folder."""
    import cv2
    import rapidocr
    from omegaconf import flag_override

    cv2.setNumThreads(1)
    _return_large_blocks()
    model = _model("PP-OCRv6_rec_small.onnx")
    engine = rapidocr.RapidOCR(
        params={
            "Global.log_level": "error",
            "Global.use_det": False,
            "Global.use_cls": False,
            "Global.use_preprocess_img": False,
            # With an explicit path, RapidOCR never tries to download a model.
            "Rec.model_path": str(model),
            # The minimum input width: a single letter need not be padded to the width of a word.
            "Rec.rec_img_shape": [3, 48, 64],
        }
    )
    with flag_override(engine.cfg, "allow_objects", True):
        engine.cfg.Rec.session = _session(model)
    return engine


@cache
def _detector():
    """Return the detector of this process, and the function from its text map to boxes.

    RapidOCR's own pipeline would process the whole page at once, in float64.
    """
    import cv2
    from rapidocr.ch_ppocr_det.utils import DBPostProcess

    cv2.setNumThreads(1)
    _return_large_blocks()
    # Lines with formulas have low scores. Boxes without text are dropped when they are read.
    boxes = DBPostProcess(box_thresh=0.3, unclip_ratio=1.6, use_dilation=True)
    return _session(_model("PP-OCRv6_det_small.onnx")), boxes


def _model(name: str) -> Path:
    """Return the path of a model file in RapidOCR's package."""
    import rapidocr

    return Path(rapidocr.__file__).parent / "models" / name


def _return_large_blocks() -> None:
    """Make the C library return freed blocks of a megabyte, where supported.

    A page needs dozens of them, and glibc would keep up to 40 MB.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(_M_MMAP_THRESHOLD, 1 << 20)


@cache
def _share_arena() -> None:
    """Let the sessions of this process share one memory arena, since they run in turn."""
    import onnxruntime as ort

    kind = ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR
    memory = ort.OrtMemoryInfo("Cpu", kind, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(memory, ort.OrtArenaCfg(0, -1, -1, -1))  # default values


def _session(model: Path):
    """Return a single-threaded session without a memory pattern.

    A memory pattern doubles the memory; without an arena, the time doubles.
    """
    import onnxruntime as ort

    _share_arena()
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.use_env_allocators", "1")
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _releasing():
    """Return run options with which the arena releases unused memory after a run."""
    import onnxruntime as ort

    options = ort.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def find_text(grey: np.ndarray) -> np.ndarray:
    """Return the corners of the pieces of text on a page, float64 of shape (n, 4, 2), in pixels.

    Corners are clockwise from the top left of each piece. A piece is about a line long and a third
    higher than its font size.
    """
    height, width = grey.shape
    scale = min(1.0, _DETECT_SIDE / max(height, width))
    across, down = max(1, round(width * scale)), max(1, round(height * scale))
    # The network requires sides that are multiples of 32.
    cells = [32 * max(1, round(side / 32)) for side in (across, down)]
    small = Image.fromarray(grey).resize((across, down), Image.Resampling.BOX)
    found = _text_map(np.asarray(small.resize(cells, Image.Resampling.BILINEAR)))
    boxes, _ = _detector()[1](found[None, None], (down, across))
    return np.asarray(boxes, np.float64).reshape(-1, 4, 2) * (width / across, height / down)


def _text_map(grey: np.ndarray) -> np.ndarray:
    """Return the text probability of each pixel, float32 of shape (height, width).

    The sides of the page are multiples of 32. The page is processed in strips, since the detector
    needs 150 to 200 bytes per pixel.
    """
    height, width = grey.shape
    session, _ = _detector()
    name = session.get_inputs()[0].name
    found = np.empty((height, width), np.float32)
    for top, bottom, first, last in strips(height, width):
        levels = np.tile(grey[top:bottom] / np.float32(127.5) - 1, (1, 3, 1, 1))
        release = _releasing() if last == height else None
        part = np.asarray(session.run(None, {name: levels}, release)[0])[0, 0]
        found[first:last] = part[first - top : last - top]
    return found


def strips(height: int, width: int) -> list[tuple[int, int, int, int]]:
    """Divide a page into strips: rows (top, bottom) to process, and rows (first, last) to keep.

    All strips have the same height, a multiple of 32 as `height` must be, and at least _CONTEXT
    rows around the rows that are kept.
    """
    count = math.ceil(height * width / _STRIP)
    high = 32 * math.ceil((height + 2 * _CONTEXT * (count - 1)) / count / 32)
    tops = np.linspace(0, height - high, count).astype(int).tolist()
    cuts = [0, *((below + above + high) // 2 for above, below in pairwise(tops)), height]
    return [(top, top + high, *cut) for top, cut in zip(tops, pairwise(cuts), strict=True)]


def recognise(crop: np.ndarray) -> tuple[str, float]:
    """Return the text of a line image, uint8 of shape (height, width), and its mean confidence."""
    from rapidocr.ch_ppocr_rec import TextRecOutput

    found = _reader()(np.repeat(crop[:, :, None], 3, axis=2))
    if not isinstance(found, TextRecOutput) or not (found.txts and found.scores):
        return "", 0.0
    return mend(found.txts[0]), float(found.scores[0])


def find_pose(grey: np.ndarray) -> tuple[int, float, np.ndarray]:
    """Find the orientation, skew and text of a page.

    Returns:
        Clockwise quarter turns that make the page upright, clockwise skew in radians after the
        turn, and the text boxes of `find_text` on the turned page.
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
    """Return the width and height of each of `quads` (n, 4, 2)."""
    across, down = quads[:, 1] - quads[:, 0], quads[:, 3] - quads[:, 0]
    return np.hypot(*across.T), np.hypot(*down.T)


def _upside_down(grey: np.ndarray, quads: np.ndarray) -> bool:
    """Return whether six of the widest pieces have a higher confidence when turned by half."""
    wide, high = _sides(quads)
    chosen = np.argsort(-wide)[:6]
    crops = []
    for quad, side in zip(quads[chosen], high[chosen], strict=True):
        x0, y0 = quad.min(axis=0).clip(0).astype(int)
        x1, y1 = np.ceil(quad.max(axis=0)).astype(int)
        # The middle of a line is sufficient, and has a lower box if the line is skewed.
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
    """Return the clockwise angle of most lines in radians, 0 without long lines."""
    wide, high = _sides(quads)
    lines = quads[(wide > 10 * high) & (high > 0)]
    if not len(lines):
        return 0.0
    across = lines[:, 1] + lines[:, 2] - lines[:, 0] - lines[:, 3]
    return float(np.median(np.arctan2(across[:, 1], across[:, 0])))


def read_page(grey: np.ndarray, boxes: np.ndarray) -> list[Piece]:
    """Read the text of an upright, deskewed page.

    Running text is not read, except the start of captions and the lines below it. Only its position
    matters for figures, and reading it would take three times as long as everything else.

    Args:
        grey: uint8 of shape (height, width).
        boxes: Boxes of text, of shape (n, 4), see `find_text`.

    Returns:
        Lines by block, without boxes that contain no text.
    """
    pieces = measure(darkness(grey), boxes)
    main = main_size(pieces)
    pieces = [piece for piece in pieces if piece.size < _LARGEST * main]
    budget = _Budget(grey)
    blocks = find_blocks(join([piece for piece in pieces if not piece.sideways]))
    captions: list[Piece] = []
    for block in blocks:
        goes_on = any(follows(block[0], piece) for piece in captions)
        first = 0
        if is_running(block, main) and not goes_on:
            likely = (k for k in heads(block) if starts_caption(budget.peek(block[k])))
            first = next(likely, len(block))
        for piece in block[first:]:
            budget.read(piece)
        if goes_on or any(starts_caption(block[k].text or "") for k in heads(block)):
            captions += block[first:]
    resize_ideographs(blocks)
    for piece in pieces:
        if piece.sideways:
            budget.read(piece)
            blocks.append([piece])
    found = number_pieces(blocks)
    return [piece for piece in found if piece.text is None or piece.score > _LEAST]


def starts_caption(text: str) -> bool:
    """Return whether a text begins with a label but is not a sentence: "Figure 3 shows"."""
    match = match_label(text)
    return match is not None and not text[match.end() :].lstrip()[:1].islower()


class _Budget:
    """Reads up to MAX_READS pieces of a page."""

    def __init__(self, grey: np.ndarray) -> None:
        self.grey = grey
        self.left = MAX_READS

    def read(self, piece: Piece) -> None:
        """Set the text and score of a piece."""
        self.left -= 1
        piece.left_out = self.left < 0
        if piece.left_out:
            return
        crop = self._crop(piece.box, piece)
        if not piece.sideways:
            piece.text, piece.score = recognise(crop)
            if re.fullmatch(r"[A-Z0-9 .+\u2212\u2013-]+", piece.text):  # no x-height
                piece.size = (piece.box[3] - piece.box[1]) / CAP_HEIGHT
            return
        # Nearly all vertical text runs upwards.
        piece.text, piece.score = recognise(np.rot90(crop, -1))
        if piece.score < _SURE:
            text, score = recognise(np.rot90(crop, 1))
            if score > piece.score + 0.1:
                piece.text, piece.score = text, score

    def peek(self, piece: Piece) -> str:
        """Return the text of the first eight ems of a piece."""
        self.left -= 1
        piece.left_out = self.left < 0
        if piece.left_out:
            return ""
        x0, y0, x1, y1 = piece.box
        return recognise(self._crop((x0, y0, min(x1, x0 + 8 * piece.size), y1), piece))[0]

    def _crop(self, box: tuple[float, float, float, float], piece: Piece) -> np.ndarray:
        x0, y0, x1, y1 = box
        margin = 0.2 * piece.size
        if not piece.sideways:  # use the font height for all lines
            y0, y1 = min(y0, piece.base - 0.75 * piece.size), max(y1, piece.base + 0.2 * piece.size)
        rows = slice(max(0, int(y0 - margin)), int(y1 + margin) + 1)
        columns = slice(max(0, int(x0 - margin)), int(x1 + margin) + 1)
        return self.grey[rows, columns]


_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20, 0x3002: 0x2E}
_LABEL = re.compile(
    r"^(?P<word>F[i1lI|!][gGcC](?:ure)?s?|F[I1l|!][GC](?:URE)?S?|[Tt]ab[l1I|]e|TAB[L1l|]E|"
    r"Scheme|SCHEME)(?P<stop>\.?\s*)(?P<number>[0-9O]*[lI|]?[0-9O]+|[l|])(?=[\s.:,|)]|$)"
)
_DIGITS = str.maketrans("lI|O", "1110")


def mend(text: str) -> str:
    """Correct common OCR errors in labels, and full-width signs in Latin text.

    "F1gure l." → "Figure 1.", "Fig. 1O:" → "Fig. 10:", "FiGure 2", "Ficure 2" (small capitals) →
    "Figure 2". In a number, letters before a digit and an "O" after a digit are digits. A letter at
    the end may be a panel, and "I" alone is a Roman number.
    """
    if not re.search(r"[\u2e80-\ud7ff\uf900-\ufaff]", text):
        text = text.translate(_WIDE)
    text = " ".join(text.split())
    match = _LABEL.match(text)
    if not match:
        return text
    word, stop, number = match.group("word", "stop", "number")
    if word[0] == "F":
        rest = word[3:].rstrip("s")
        capitals = rest.isupper() if rest else word[2] == "G"
        word = f"F{'IG' if capitals else 'ig'}{word[3:]}"
    elif word[0] in "Tt":
        word = f"{word[:3]}{'L' if word[2] == 'B' else 'l'}{word[4:]}"
    if re.search(r"\d", number) or number in "l|":
        number = number.translate(_DIGITS)
    return f"{word}{stop}{number}{text[match.end() :]}"
