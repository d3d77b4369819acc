"""Embedded images: keep the original bytes and pixels of a figure that is a single JPEG."""

import ctypes
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pypdfium2.raw as pdfium
from PIL import Image

from cephalo.dataset_scripts.common.geometry import Box, grow, hits, iou
from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf import rendering
from cephalo.dataset_scripts.pdf.layout import PageContent
from cephalo.dataset_scripts.pdf.pairing import Pair
from cephalo.dataset_scripts.pdf.picture_colours import shown_colours
from cephalo.inference.images import reads_alike

_SPACES = (
    pdfium.FPDF_COLORSPACE_DEVICEGRAY,
    pdfium.FPDF_COLORSPACE_DEVICERGB,
    pdfium.FPDF_COLORSPACE_CALGRAY,
    pdfium.FPDF_COLORSPACE_CALRGB,
    pdfium.FPDF_COLORSPACE_ICCBASED,
)


@dataclass(frozen=True)
class Parameters:
    """Limits for comparing an embedded image with the rendered page."""

    max_bytes: int = 64 << 20
    fills: float = 0.97  # smallest intersection over union of image and figure
    samples: int = 8  # columns and rows of the thumbnails that are compared
    difference: float = 12.0  # mean difference of levels (0 to 255); compression changes less
    drawn_pixels: int = 1 << 19  # rendering a larger image takes up to 1 s with a colour profile
    place: float = 1.0  # points; tolerance between the edges of an object and of the figure


P = Parameters()


def lone_picture(pair: Pair, content: PageContent) -> Box | None:
    """Return the box of the single image that is the whole figure, or `None`."""
    images = [image for atom in pair.atoms for image in atom.images]
    if len(images) != 1 or pair.lines or content.quarters:
        return None
    drawn = hits(content.boxes, grow(pair.box, -1)).sum() if len(content.boxes) else 0
    return images[0] if drawn == 1 and iou(images[0], pair.box) > P.fills else None


def read_jpeg(page: fast.Page, box: Box) -> tuple[bytes, np.ndarray] | None:
    """Return the bytes and pixels of the JPEG that fills `box`.

    Args:
        page: Page of pdfium.
        box: Box on the displayed page, in points.

    Returns:
        The JPEG file and its pixels, uint8 of shape (height, width, 3 or 1). `None` unless it is a
        plain JPEG: not rotated, clipped, masked or inverted, in RGB or grey, and an object of the
        page itself.
    """
    image = _find(page, box)
    if image is None or not _is_plain(page, image):
        return None
    size = pdfium.FPDFImageObj_GetImageDataRaw(image, None, 0)
    if not 0 < size <= P.max_bytes:
        return None
    buffer = ctypes.create_string_buffer(size)
    pdfium.FPDFImageObj_GetImageDataRaw(image, buffer, size)
    try:
        with Image.open(io.BytesIO(buffer.raw), formats=["JPEG"]) as picture:
            large = picture.width * picture.height > rendering.MAX_PIXELS
            if picture.mode not in ("L", "RGB") or large or not reads_alike(picture):
                return None
            pixels = np.asarray(picture)
            return buffer.raw, pixels if pixels.ndim == 3 else pixels[:, :, None]
    except Exception:  # the decoder may raise anything on untrusted bytes
        return None  # pdfium may render files that Pillow does not read


def looks_like(page: fast.Page, box: Box, jpeg: bytes, pixels: np.ndarray, path: Path) -> bool:
    """Return whether the page shows the pixels of a JPEG in `box`.

    It does not if the page inverts or masks the image, or maps its colours.

    Args:
        page: Page of pdfium.
        box: Box on the displayed page, in points.
        jpeg: JPEG file.
        pixels: Pixels of the JPEG.
        path: PDF file, which may answer the question without rendering.
    """
    stored = _sample(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))
    shown, image = None, _find(page, box)
    if image and pixels.shape[0] * pixels.shape[1] > P.drawn_pixels:
        shown = shown_colours(path, page, jpeg, image, stored)
    if shown is None:
        dpi = max(1, round(72.0 * 8 * P.samples / min(box[2] - box[0], box[3] - box[1])))
        shown = _sample(rendering.render(page, box, dpi)[0])
    return bool(np.abs(_thumbnail(shown) - _thumbnail(stored)).mean() < P.difference)


def _sample(pixels: np.ndarray) -> Image.Image:
    """Subsample pixels to an image of moderate size."""
    step = max(1, min(pixels.shape[:2]) // (8 * P.samples))
    return Image.fromarray(np.ascontiguousarray(pixels[::step, ::step]))


def _thumbnail(image: Image.Image) -> np.ndarray:
    """Reduce an image to `Parameters.samples` columns and rows."""
    return np.asarray(image.resize((P.samples, P.samples), Image.Resampling.BOX), np.float64)


def _find(page: fast.Page, box: Box):
    """Return the image object of the page with the box `box`, within `Parameters.place`."""
    corners = (ctypes.c_float * 4)()
    places = [ctypes.addressof(corners) + 4 * k for k in range(4)]
    for number in range(fast.count_objects(page.handle)):
        handle = fast.get_object(page.handle, number)
        if not handle or fast.object_type(handle) != pdfium.FPDF_PAGEOBJ_IMAGE:
            continue
        if fast.object_bounds(handle, *places):
            own = fast.map_boxes(np.array([list(corners)], np.float64), page.to_display)[0]
            if np.abs(own - box).max() < P.place:
                return ctypes.cast(handle, pdfium.FPDF_PAGEOBJECT)
    return None


def _is_plain(page: fast.Page, image) -> bool:
    """Return whether an image object is unmasked, upright, and grey or RGB."""
    if pdfium.FPDFPage_GetRotation(page.handle) or pdfium.FPDFPageObj_HasTransparency(image):
        return False
    if pdfium.FPDFImageObj_GetImageFilterCount(image) != 1:
        return False
    name = ctypes.create_string_buffer(32)
    pdfium.FPDFImageObj_GetImageFilter(image, 0, name, 32)
    matrix = pdfium.FS_MATRIX()
    pdfium.FPDFPageObj_GetMatrix(image, matrix)
    upright = matrix.b == matrix.c == 0 and matrix.a > 0 and matrix.d > 0
    if name.value not in (b"DCTDecode", b"DCT") or not upright:
        return False
    facts = pdfium.FPDF_IMAGEOBJ_METADATA()
    pdfium.FPDFImageObj_GetImageMetadata(image, page.handle, facts)
    return facts.colorspace in _SPACES and facts.bits_per_pixel in (8, 24)
