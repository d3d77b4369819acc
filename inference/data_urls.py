"""Encode images as data URLs of bounded size."""

import asyncio
import base64
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from PIL import Image

from cephalo.inference.images import is_plain, open_image, reads_alike

DECODED = 2  # images at a time, to bound the memory: a scan can take 100 MB
QUALITY = 90  # of a JPEG file, of 100
# A PNG without these bytes, which are in the chunks for EXIF and XMP, has no orientation.
_ORIENTED = (b"eXIf", b"exif", b"xmp")

Result = TypeVar("Result")
_threads = ThreadPoolExecutor(DECODED, "images")


async def with_pixels(work: Callable[..., Result], *arguments: object) -> Result:
    """Call a function that decodes images in a thread, and return its result. At most DECODED run
    at once."""
    return await asyncio.get_running_loop().run_in_executor(_threads, work, *arguments)


def data_url(data: bytes, edge: int) -> bytes:
    """Encode an image as a data URL in ASCII, with its longer edge at most `edge` pixels.

    A JPEG or PNG is sent unchanged if it is small enough and all decoders read the same pixels from
    it. Otherwise a resized image becomes a JPEG, and any other a PNG. Raises CephaloError if it is
    not an image.
    """
    kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
    if not _can_go(data, edge):
        image = open_image(io.BytesIO(data))
        if max(image.size) > edge:
            data, kind = jpeg(shrunk(image, edge)), "jpeg"
        else:
            data, kind = png(image), "png"
    return b"data:image/%b;base64,%b" % (kind.encode(), base64.b64encode(data))


def shrunk(image: Image.Image, edge: int) -> Image.Image:
    """Shrink an RGB image to a longer edge of at most `edge` pixels.

    Area means by OpenCV take a third of the time of Pillow's filters. To half the edge or more, the
    image is enlarged with cubic splines to twice the new size, and blocks of 2 x 2 pixels are
    averaged: this takes two thirds of the time of area means of fractions of pixels, and thin lines
    and letters are closer to those of Pillow's Lanczos filter.
    """
    if max(image.size) <= edge:
        return image
    import cv2

    share = edge / max(image.size)
    width, height = (max(1, round(size * share)) for size in image.size)
    pixels = np.asarray(image)
    if 2 * width >= image.width and 2 * height >= image.height:
        pixels = cv2.resize(pixels, (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC)
    return Image.fromarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA))


def jpeg(image: Image.Image) -> bytes:
    """Encode an RGB image as a JPEG file."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def png(image: Image.Image) -> bytes:
    """Encode an image as a PNG file."""
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def _can_go(data: bytes, edge: int) -> bool:
    """Return whether an image can be sent unchanged, from its header.

    Pillow decodes a PNG to look for an orientation, which takes most of the time. If the file does
    not name one, its checksums are verified instead.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.format not in ("JPEG", "PNG") or max(image.size) > edge:
                return False
            if image.format == "JPEG" or any(name in data for name in _ORIENTED):
                return reads_alike(image)
            plain = is_plain(image)
            image.verify()
            return plain
    except Exception:  # any error of a decoder; `open_image` reports it
        return False
