"""Pixels of figures: where their ink is, as PNG, and by what they are known.

Pixels are uint8 (height, width, channels), three for RGB and one for grey levels.
"""

import hashlib
import struct

import numpy as np
from isal import isal_zlib
from PIL import Image

_CACHED = 1 << 18  # bytes of pixels that several passes may find in the processor's cache
_BEGUN = 8  # bytes; ISA-L's first step takes none of 16, its last one wants at least 4
_PAPER = 245  # a channel at or above this is paper
_COSINES = np.cos(np.pi / 32 * (np.arange(32) + 0.5)[None, :] * np.arange(9)[:, None])


def ink_box(pixels: np.ndarray) -> tuple[int, int, int, int] | None:
    """The box (left, top, right, bottom), in pixels, of all that is not white; None if all is."""
    top = _blank(pixels, 0)
    if top == len(pixels):
        return None
    bottom = len(pixels) - _blank(pixels[::-1], 0)
    left = _blank(pixels[top:bottom], 1)
    right = pixels.shape[1] - _blank(pixels[top:bottom, ::-1], 1)
    return left, top, right, bottom


def _blank(pixels: np.ndarray, axis: int, step: int = 16) -> int:
    """White rows (axis 0) or columns (axis 1) before the first that is not.

    Step by step from the edge, since a crop is nearly tight already.
    """
    for start in range(0, pixels.shape[axis], step):
        if axis == 0:
            part = pixels[start : start + step]
            inked = part.reshape(len(part), -1).min(axis=1) < _PAPER
        else:
            part = pixels[:, start : start + step]
            inked = part.min(axis=0).min(axis=1) < _PAPER
        if inked.any():
            return start + int(inked.argmax())
    return pixels.shape[axis]


def compact(pixels: np.ndarray) -> np.ndarray:
    """RGB pixels (height, width, 3) as one block of memory, or grey ones as (height, width, 1)."""
    return np.ascontiguousarray(pixels[:, :, :1] if _is_grey(pixels) else pixels)


def encode_png(pixels: np.ndarray) -> bytes:
    """PNG bytes of uint8 (height, width, channels), three for RGB and one for grey levels.

    Every row is stored as its difference from the row above (filter type 2 of the PNG
    specification) and deflated at the fastest level: ten times as fast as libpng for files of the
    same size.
    """
    height, width, channels = pixels.shape
    flat = pixels.reshape(height, width * channels)
    rows = np.empty((height, 1 + width * channels), np.uint8)
    rows[:, 0] = 2
    rows[0, 1:] = flat[0]
    np.subtract(flat[1:], flat[:-1], out=rows[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", _deflated(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", isal_zlib.crc32(kind + data))
        for kind, data in chunks
    )


def _deflated(rows: np.ndarray) -> bytes:
    """Filtered rows (height, bytes of a row) as a zlib stream, the same whenever and wherever it
    is made.

    At levels 1 and 2, ISA-L hashes what is left in a register, a piece of an address, for the
    third byte of a stream (`.write_first_byte` in igzip_icf_body_h1_gr_bt.asm). Now and then
    that decides how far back a match lies. What is flushed within its padding of the input takes
    another path, after which a stream has begun; it costs some six bytes.
    """
    data = memoryview(rows).cast("B")
    packer = isal_zlib.compressobj(1)
    start = packer.compress(data[:_BEGUN]) + packer.flush(isal_zlib.Z_SYNC_FLUSH)
    return b"".join((start, packer.compress(data[_BEGUN:]), packer.flush()))


def _is_grey(pixels: np.ndarray) -> bool:
    height, width, _ = pixels.shape
    # The bytes of a pixel but its last, each to be the same as the next. All bytes are compared at
    # once, since to pick every third one takes longer.
    inside = np.tile(np.array([255, 255, 0], np.uint8), width)[:-1]
    if not _is_same(pixels[::16], inside):  # most colour pictures are told from a few rows
        return False
    step = max(1, _CACHED // (3 * width))
    parts = (pixels[start : start + step] for start in range(0, height, step))
    return all(_is_same(part, inside) for part in parts)


def _is_same(pixels: np.ndarray, inside: np.ndarray) -> bool:
    rows = np.ascontiguousarray(pixels).reshape(len(pixels), -1)
    return not ((rows[:, 1:] ^ rows[:, :-1]) & inside).max()


def thin(pixels: np.ndarray, step: int) -> np.ndarray:
    """Every `step`-th pixel of every `step`-th row of pixels (height, width, channels)."""
    whole = pixels.view(
        f"V{pixels.shape[2]}"
    )  # a pixel as one element is copied at twice the speed
    return np.ascontiguousarray(whole[::step, ::step]).view(np.uint8)


def pixel_hash(pixels: np.ndarray) -> str:
    """SHA-256, in hexadecimal, of the size ("640x480") and the RGB values or grey levels."""
    digest = hashlib.sha256(f"{pixels.shape[1]}x{pixels.shape[0]}".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def perceptual_hash(pixels: np.ndarray) -> str:
    """64-bit perceptual hash: signs of the low frequencies of a 32 by 32 thumbnail.

    The discrete cosine transform hash of Zauner, "Implementation and benchmarking of perceptual
    image hash functions" (2010), with the median of the coefficients as threshold.
    """
    step = max(1, min(pixels.shape[:2]) // 96)
    sample = thin(pixels, step)
    image = Image.fromarray(sample if sample.shape[2] == 3 else sample[:, :, 0]).convert("L")
    small = np.asarray(image.resize((32, 32), Image.Resampling.BOX), np.float64)
    low = (_COSINES @ small @ _COSINES.T)[1:, 1:].ravel()
    middle = np.sort(low)[31:33].mean()
    return np.packbits(low > middle).tobytes().hex()
