"""Rendering: the pixels of a region of a page, and what is told from them."""

import ctypes
import hashlib
import io

import numpy as np
import pypdfium2.raw as pdfium
from PIL import Image

from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf.geometry import Box

MAX_PIXELS = 16_000_000
_POINTS = 72.0


def render(page: fast.Page, box: Box, dpi: int) -> tuple[np.ndarray, int]:
    """The pixels of `box` (displayed page, points): uint8 (height, width, 3), RGB, and their dpi.

    The resolution is lowered where the region would have more than MAX_PIXELS pixels.
    """
    width, height = box[2] - box[0], box[3] - box[1]
    pixels = width * height * (dpi / _POINTS) ** 2
    if pixels > MAX_PIXELS:
        dpi = max(1, int(dpi * (MAX_PIXELS / pixels) ** 0.5))
    scale = dpi / _POINTS
    columns, rows = max(1, round(width * scale)), max(1, round(height * scale))
    # Four bytes a pixel: pdfium is faster on them than on three, and rows need no padding.
    buffer = np.full((rows, columns, 4), 255, np.uint8)
    address = buffer.ctypes.data_as(ctypes.c_void_p)
    bitmap = pdfium.FPDFBitmap_CreateEx(columns, rows, pdfium.FPDFBitmap_BGRx, address, columns * 4)
    if not bitmap:
        raise fast.UnreadableError(f"page {page.number + 1}: no memory for a crop")
    try:
        left, top = round(box[0] * scale), round(box[1] * scale)
        flags = pdfium.FPDF_ANNOT | pdfium.FPDF_REVERSE_BYTE_ORDER
        pdfium.FPDF_RenderPageBitmap(
            bitmap,
            page.handle,
            -left,
            -top,
            round(page.width * scale),
            round(page.height * scale),
            0,
            flags,
        )
    finally:
        pdfium.FPDFBitmap_Destroy(bitmap)
    return buffer[:, :, :3], dpi


def ink_box(pixels: np.ndarray) -> tuple[int, int, int, int] | None:
    """The box (left, top, right, bottom), in pixels, of all that is not white; None if all is."""
    dark = (pixels < 245).any(axis=2)
    rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def encode_png(pixels: np.ndarray) -> bytes:
    """PNG bytes of uint8 (height, width, 3); as grey levels where all three channels agree."""
    grey = (pixels[:, :, 0] == pixels[:, :, 1]).all() and (pixels[:, :, 1] == pixels[:, :, 2]).all()
    image = Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if grey else pixels))
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1)
    return out.getvalue()


def pixel_hash(pixels: np.ndarray) -> str:
    """SHA-256 of the size and the RGB values, in hexadecimal."""
    digest = hashlib.sha256(f"{pixels.shape[1]}x{pixels.shape[0]}".encode())
    digest.update(np.ascontiguousarray(pixels))
    return digest.hexdigest()


def perceptual_hash(pixels: np.ndarray) -> str:
    """64-bit perceptual hash: signs of the low frequencies of a 32 by 32 thumbnail.

    The discrete cosine transform hash of Zauner, "Implementation and benchmarking of perceptual
    image hash functions" (2010), with the median of the coefficients as threshold.
    """
    step = max(1, min(pixels.shape[:2]) // 256)
    image = Image.fromarray(np.ascontiguousarray(pixels[::step, ::step]))
    small = np.asarray(image.convert("L").resize((32, 32), Image.Resampling.BOX), np.float64)
    n = np.arange(32)
    cosines = np.cos(np.pi / 32 * (n + 0.5)[None, :] * n[:9, None])
    low = (cosines @ small @ cosines.T)[1:, 1:]
    bits = (low > np.median(low)).ravel()
    return f"{int(''.join('1' if bit else '0' for bit in bits), 2):016x}"
