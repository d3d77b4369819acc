"""Render a region of a page."""

import ctypes

import numpy as np
import pypdfium2.raw as pdfium

from cephalo.dataset_scripts.common.geometry import Box
from cephalo.dataset_scripts.pdf import pdfium as fast

MAX_PIXELS = 16_000_000
_POINTS = 72.0


def render(page: fast.Page, box: Box, dpi: int) -> tuple[np.ndarray, int]:
    """Render a box of a page.

    The resolution is reduced if the region would have more than MAX_PIXELS pixels.

    Args:
        page: Page of pdfium.
        box: Box on the displayed page, in points.
        dpi: Resolution in dots per inch.

    Returns:
        RGB pixels, uint8 of shape (height, width, 3), and their resolution in dots per inch.

    Raises:
        UnreadableError: If the bitmap cannot be allocated.
    """
    width, height = box[2] - box[0], box[3] - box[1]
    pixels = width * height * (dpi / _POINTS) ** 2
    if pixels > MAX_PIXELS:
        dpi = max(1, int(dpi * (MAX_PIXELS / pixels) ** 0.5))
    scale = dpi / _POINTS
    columns, rows = max(1, round(width * scale)), max(1, round(height * scale))
    buffer = np.full((rows, columns, 3), 255, np.uint8)
    address = buffer.ctypes.data_as(ctypes.c_void_p)
    bitmap = pdfium.FPDFBitmap_CreateEx(columns, rows, pdfium.FPDFBitmap_BGR, address, columns * 3)
    if not bitmap:
        raise fast.UnreadableError(f"page {page.number + 1}: no memory for a crop")
    try:
        corner = -round(box[0] * scale), -round(box[1] * scale)
        size = round(page.width * scale), round(page.height * scale)
        flags = pdfium.FPDF_ANNOT | pdfium.FPDF_REVERSE_BYTE_ORDER
        pdfium.FPDF_RenderPageBitmap(bitmap, page.handle, *corner, *size, 0, flags)
    finally:
        pdfium.FPDFBitmap_Destroy(bitmap)
    return buffer, dpi
