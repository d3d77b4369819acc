"""Embedded pictures: a figure that is one JPEG keeps the bytes and pixels of its authors."""

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
    """What makes a picture that a file holds one and the same with what its page shows."""

    max_bytes: int = 64 << 20
    fills: float = 0.97  # intersection over union of the picture and the figure
    samples: int = 8  # columns and rows in which a picture and its page are compared
    difference: float = 12.0  # of 255, in the mean; compression and scaling make less
    drawn_pixels: int = 1 << 19  # to draw a larger picture takes 5 ms, with a profile up to 1 s
    place: float = 1.0  # points by which the edges of an object and of the figure may differ


P = Parameters()


def lone_picture(pair: Pair, content: PageContent) -> Box | None:
    """The box of the one picture that a figure consists of; None where there is more to it."""
    images = [image for atom in pair.atoms for image in atom.images]
    if len(images) != 1 or pair.lines or content.quarters:
        return None
    drawn = hits(content.boxes, grow(pair.box, -1)).sum() if len(content.boxes) else 0
    return images[0] if drawn == 1 and iou(images[0], pair.box) > P.fills else None


def read_jpeg(page: fast.Page, box: Box) -> tuple[bytes, np.ndarray] | None:
    """The bytes and pixels (uint8, (height, width, 3 or 1)) of the JPEG that fills `box`.

    None where the picture there is no plain JPEG: turned, clipped, masked, inverted, in other
    colours than grey and RGB, or not found among the page's own objects.
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
    except Exception:  # of a decoder, on bytes that may be anything
        return None  # pdfium may show what Pillow does not read


def looks_like(page: fast.Page, box: Box, jpeg: bytes, pixels: np.ndarray, path: Path) -> bool:
    """Whether the page shows in `box` (points) what `jpeg` and its `pixels` show.

    It does not where the page inverts the picture, masks it, or maps its colours in its own way.
    `path` is the page's file, which may tell that without a drawing.
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
    step = max(1, min(pixels.shape[:2]) // (8 * P.samples))
    return Image.fromarray(np.ascontiguousarray(pixels[::step, ::step]))


def _thumbnail(image: Image.Image) -> np.ndarray:
    return np.asarray(image.resize((P.samples, P.samples), Image.Resampling.BOX), np.float64)


def _find(page: fast.Page, box: Box):
    """The image object of the page whose box is `box`, within a point."""
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
