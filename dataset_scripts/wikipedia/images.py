"""Pictures from the web: decoded under a limit, shrunk, and described as a figure's row wants."""

import io
from typing import Any

import numpy as np
from PIL import Image

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.common.pixels import compact, perceptual_hash, pixel_hash
from cephalo.inference.images import as_rgb, reads_alike

MAX_PIXELS = 64_000_000
MIN_SIDE = 64  # pixels; what is smaller both ways is an icon
FORMATS = ("JPEG", "PNG", "GIF", "WEBP")


class ImageError(ValueError):
    """A picture cannot be taken. The message is one line."""


def image_columns(data: bytes, width: int) -> dict[str, Any]:
    """The columns of FIGURES that tell of a picture of at most `width` pixels across.

    A JPEG or PNG that needs no change is kept byte for byte. Raises ImageError.
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
        raise ImageError(f"no picture that can be read ({type(error).__name__})") from error
    if max(image.size) < MIN_SIDE:
        raise ImageError(f"{image.width} x {image.height} pixels are an icon's")
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
    """The first frame, upright, in RGB on white paper, at most `width` pixels across."""
    try:
        upright = as_rgb(image)
    except CephaloError as error:
        raise ImageError(str(error)) from error
    if upright.width > width:
        height = max(1, round(upright.height * width / upright.width))
        upright = upright.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return upright


def _encoded(image: Image.Image, kind: str | None) -> bytes:
    """A photograph stays a JPEG; all else becomes PNG."""
    out = io.BytesIO()
    if kind == "JPEG":
        image.save(out, "JPEG", quality=90)
    else:
        image.save(out, "PNG")
    return out.getvalue()
