"""Read words and numbers in the image of a figure by OCR, if the PDF file has none as text."""

import hashlib
import io
from functools import lru_cache
from threading import Lock

import numpy as np
from PIL import Image

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.pdf import ocr
from cephalo.inference.images import as_rgb

MAX_PIECES = 150  # regions of text per image, 10 to 100 ms each
MAX_PIXELS = 40_000_000  # per image; larger ones are not read
# Figures whose words are cached: some hundred are in progress at once, and each has many lookups.
KEPT = 1024
LEAST_SCORE = 0.6  # confidence; below it, a region is a texture or a drawing
LEAST_SIDE = 5  # pixels; lower text is illegible
UPRIGHT = 1.5  # ratio of height to width above which text is vertical

_one_at_a_time = Lock()  # the OCR sessions are not thread-safe
_known: dict[bytes, tuple[str, ...]] = {}  # words by SHA-256 of the image, the oldest first


def read_words(image: bytes) -> tuple[str, ...]:
    """Return the text regions of an encoded image; empty without the `ocr` extra."""
    if not ocr.is_available():
        return ()
    key = _digest(image)
    words = _known.get(key)
    if words is None:
        with _one_at_a_time:
            words = _known.get(key)  # another thread may have read it
            if words is None:
                words = _known[key] = _read(image)
            while len(_known) > KEPT:
                del _known[next(iter(_known))]
    return words


@lru_cache(maxsize=16)  # holds images; each quantity of an answer looks up the same one
def _digest(image: bytes) -> bytes:
    return hashlib.sha256(image).digest()


def _read(image: bytes) -> tuple[str, ...]:
    try:
        with Image.open(io.BytesIO(image)) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                return ()
            grey = np.asarray(as_rgb(opened).convert("L"))
    except (CephaloError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return ()
    words = []
    for corners in ocr.find_text(grey)[:MAX_PIECES]:
        x0, y0 = np.floor(corners.min(axis=0)).clip(0).astype(int)
        x1, y1 = np.ceil(corners.max(axis=0)).astype(int)
        piece = grey[y0:y1, x0:x1]
        if min(piece.shape) < LEAST_SIDE:
            continue
        if piece.shape[0] > UPRIGHT * piece.shape[1]:
            piece = np.rot90(piece, -1)
        text, score = ocr.recognise(np.ascontiguousarray(piece))
        if text and score > LEAST_SCORE:
            words.append(text)
    return tuple(words)
