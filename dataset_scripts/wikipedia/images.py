"""Decode images from the web under a size limit, resize them, and compute their columns of
FIGURES."""

import io

import numpy as np
from PIL import Image

from cephalo.cli.errors import CephaloError
from cephalo.cli.rows import Row
from cephalo.dataset_scripts.common.pixels import compact, perceptual_hash, pixel_hash
from cephalo.inference.images import as_rgb, reads_alike

MAX_PIXELS = 64_000_000
MIN_SIDE = 64  # pixels; an image smaller in both directions is an icon
FORMATS = ("JPEG", "PNG", "GIF", "WEBP")


class ImageError(ValueError):
    """An image cannot be used. The message is one line."""


def image_columns(data: bytes, width: int) -> Row:
    """Return the FIGURES columns of an image of at most `width` pixels width.

    A JPEG or PNG that needs no change is stored byte for byte. Raises ImageError.
    """
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        if image.width * image.height > MAX_PIXELS:
            raise ImageError(f"{image.width} x {image.height} pixels are too many")
        plain = reads_alike(image)
        image.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"not a readable image ({type(error).__name__})") from error
    if max(image.size) < MIN_SIDE:
        raise ImageError(f"{image.width} x {image.height} pixels: an icon")
    kept = image.format in ("JPEG", "PNG") and image.mode in ("RGB", "L")
    if not (kept and plain and image.width <= width):
        data = _encoded(_shrunk(image, width), image.format)
        image = Image.open(io.BytesIO(data))
    pixels = compact(np.asarray(image.convert("RGB")))
    return {
        "image": {"bytes": data, "path": None},
        "width": image.width,
        "height": image.height,
        "image_sha256": pixel_hash(pixels),
        "phash": perceptual_hash(pixels),
    }


def _shrunk(image: Image.Image, width: int) -> Image.Image:
    """Return the first frame, upright, in RGB on white, at most `width` pixels wide."""
    try:
        upright = as_rgb(image)
    except CephaloError as error:
        raise ImageError(str(error)) from error
    if upright.width > width:
        height = max(1, round(upright.height * width / upright.width))
        upright = upright.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return upright


def _encoded(image: Image.Image, kind: str | None) -> bytes:
    """Encode photographs as JPEG and all other images as PNG."""
    out = io.BytesIO()
    if kind == "JPEG":
        image.save(out, "JPEG", quality=90)
    else:
        image.save(out, "PNG")
    return out.getvalue()
