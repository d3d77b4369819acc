"""Pixels of figures: the bounding box of their ink, PNG encoding, and hashes.

Pixels are uint8 (height, width, channels), with three channels for RGB and one for grey levels.
"""

import hashlib
import struct

import numpy as np
from isal import isal_zlib
from PIL import Image

_CACHED = 1 << 18  # bytes of pixels that several passes can read from the processor's cache
_BEGUN = 8  # bytes; ISA-L's first step accepts none of 16, and its last one needs at least 4
_PAPER = 245  # a channel at or above this is white
_COSINES = np.cos(np.pi / 32 * (np.arange(32) + 0.5)[None, :] * np.arange(9)[:, None])


def ink_box(pixels: np.ndarray) -> tuple[int, int, int, int] | None:
    """Return the box (left, top, right, bottom), in pixels, of everything that is not white, or
    None."""
    top = _blank(pixels, 0)
    if top == len(pixels):
        return None
    bottom = len(pixels) - _blank(pixels, 0, back=True)
    left = _blank(pixels[top:bottom], 1)
    right = pixels.shape[1] - _blank(pixels[top:bottom], 1, back=True)
    return left, top, right, bottom


def _blank(pixels: np.ndarray, axis: int, back: bool = False, step: int = 16) -> int:
    """Return the number of white rows (axis 0) or columns (axis 1) before the first that is not.

    With `back`, they are counted from the bottom or right. It steps from the edge, since crops are
    nearly tight.
    """
    length = pixels.shape[axis]
    for start in range(0, length, step):
        stop = min(start + step, length)
        own = slice(length - stop, length - start) if back else slice(start, stop)
        if axis == 0:
            levels = pixels[own].reshape(stop - start, -1).min(axis=1)
        else:  # a view of the rows as bytes, which numpy reduces several times as fast
            rows = pixels.reshape(len(pixels), -1)
            channels = pixels.shape[2]
            part = rows[:, own.start * channels : own.stop * channels]
            levels = part.min(axis=0).reshape(-1, channels).min(axis=1)
        inked = levels < _PAPER
        if inked.any():
            return start + int((inked[::-1] if back else inked).argmax())
    return length


def compact(pixels: np.ndarray) -> np.ndarray:
    """Return RGB pixels (height, width, 3) in contiguous memory, or grey ones as (height, width,
    1)."""
    return np.ascontiguousarray(pixels[:, :, :1] if _is_grey(pixels) else pixels)


def encode_png(pixels: np.ndarray) -> bytes:
    """Encode uint8 pixels (height, width, channels) as PNG, with three channels for RGB and one for
    grey.

    Every row is stored as its difference from the row above (filter type 2 of the PNG
    specification) and deflated at the fastest level, which is ten times as fast as libpng for files
    of the same size.
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
    """Compress filtered rows (height, bytes of a row) to a zlib stream, deterministically.

    At levels 1 and 2, ISA-L hashes what is left in a register, a part of an address, for the third
    byte of a stream (`.write_first_byte` in igzip_icf_body_h1_gr_bt.asm). Occasionally that changes
    the distance of a match. A first flush within the padding of the input avoids that path, for
    about six bytes.
    """
    data = rows.data.cast("B")
    packer = isal_zlib.compressobj(1)
    start = packer.compress(data[:_BEGUN]) + packer.flush(isal_zlib.Z_SYNC_FLUSH)
    return b"".join((start, packer.compress(data[_BEGUN:]), packer.flush()))


def _is_grey(pixels: np.ndarray) -> bool:
    height, width, _ = pixels.shape
    # All bytes of a pixel but the last must equal the next one. Comparing all bytes at once is
    # faster than selecting every third.
    inside = np.tile(np.array([255, 255, 0], np.uint8), width)[:-1]
    if not _is_same(pixels[::16], inside):  # a few rows identify most color images
        return False
    step = max(1, _CACHED // (3 * width))
    parts = (pixels[start : start + step] for start in range(0, height, step))
    return all(_is_same(part, inside) for part in parts)


def _is_same(pixels: np.ndarray, inside: np.ndarray) -> bool:
    rows = np.ascontiguousarray(pixels).reshape(len(pixels), -1)
    return not ((rows[:, 1:] ^ rows[:, :-1]) & inside).max()


def thin(pixels: np.ndarray, step: int) -> np.ndarray:
    """Return every `step`-th pixel of every `step`-th row of pixels (height, width, channels)."""
    part = pixels[::step, ::step]
    if step == 1:
        return np.ascontiguousarray(part)
    sample = np.empty(part.shape, np.uint8)
    for channel in range(part.shape[2]):  # twice as fast as copying whole pixels
        sample[:, :, channel] = part[:, :, channel]
    return sample


def darkest(pixels: np.ndarray, step: int) -> np.ndarray:
    """Return the least channel of every `step`-th pixel of every `step`-th row: (height, width)."""
    part = pixels[::step, ::step]
    least = np.ascontiguousarray(part[:, :, 0])
    for channel in range(1, part.shape[2]):
        least = np.minimum(least, part[:, :, channel])
    return least


def pixel_hash(pixels: np.ndarray) -> str:
    """Return the SHA-256, in hexadecimal, of the size ("640x480") and the RGB values or grey
    levels."""
    digest = hashlib.sha256(f"{pixels.shape[1]}x{pixels.shape[0]}".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def perceptual_hash(pixels: np.ndarray) -> str:
    """Return the 64-bit perceptual hash: signs of the low frequencies of a 32 by 32 thumbnail.

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
