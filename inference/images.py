"""Read images as RGB with 8 bits per channel.

All code uses `open_image`, so that training and inference see the same pixels.
"""

import re
import warnings
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from cephalo.cli.errors import CephaloError

# An image of one pixel by hundreds has no content, and some models scale it to nothing or to
# gigabytes.
MOST_ELONGATED = 200
# Maximum level, of 255, of a 16-bit color image whose camera used 12 or fewer of the 16 bits:
# Pillow keeps the upper eight bits, which leaves 16 levels or fewer.
LEAST_LEVEL = 15
PLAIN_MODES = ("1", "L", "P", "RGB")  # Pillow modes that all decoders read alike

# Tags of TIFF 6.0, and of EXIF.
REDUCED_COPY = 1  # a bit of SUBFILE_TYPE
SUBFILE_TYPE, PHOTOMETRIC, ORIENTATION, SAMPLE_FORMAT = 254, 262, 274, 339
WHITE_IS_ZERO, UNSIGNED = 0, 1


def open_image(source: str | Path | BinaryIO | Image.Image) -> Image.Image:
    """Return the RGB image of a file, of its bytes or of an open image, as a viewer displays it.

    It is rotated by its EXIF orientation, and transparent pixels become white. Grey levels of 16 or
    32 bits, integer or floating point, are scaled linearly from their minimum to their maximum; NaN
    is white. Of an animation it is the first frame.

    Raises CephaloError if it is not an image, is truncated, has more pixels than
    `PIL.Image.MAX_IMAGE_PIXELS`, is longer than 200 times its width, is a stack of several images
    (TIFF), or has colours that 8 bits cannot represent.
    """
    name = str(source) if isinstance(source, str | Path) else "the image"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            at_hand = isinstance(source, Image.Image)
            image = source if at_hand else Image.open(source)
            check_size(image, name)
            if not at_hand:
                check_single(image, name)
            return as_rgb(image, name)
    except CephaloError:
        raise
    except FileNotFoundError as error:
        raise CephaloError(f"no image {name}; give the path of an image") from error
    except IsADirectoryError as error:
        raise CephaloError(f"{name} is a folder; give the path of an image") from error
    except UnidentifiedImageError as error:
        raise CephaloError(
            f"{name} is not a valid image; give a PNG, JPEG or another image"
        ) from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise CephaloError(
            f"{name} has more than {Image.MAX_IMAGE_PIXELS:,} pixels; scale it down"
        ) from error
    except Exception as error:  # Pillow's plugins raise many types for invalid bytes
        why = " ".join(str(error).split()) or type(error).__name__
        raise CephaloError(f"{name} is broken: {why}; create it again") from error


@contextmanager
def told_thin(images: Iterable[Image.Image]) -> Generator[None]:
    """Raise CephaloError if an image processor fails because it rounds an edge of an image to 0
    pixels."""
    try:
        yield
    except ValueError as error:
        if not re.search(r"\b(height|width)=0\b", str(error)):
            raise
        thin = max(images, key=lambda image: max(image.size) / min(image.size))
        raise CephaloError(
            f"the image is too thin, {thin.width} x {thin.height} pixels; crop it"
        ) from error


def shrunk(image: Image.Image, edge: int) -> Image.Image:
    """Return a copy of `image` whose longer edge is at most `edge` pixels."""
    image = image.copy()
    image.thumbnail((edge, edge), Image.Resampling.LANCZOS)
    return image


def reads_alike(image: Image.Image) -> bool:
    """Return whether all decoders read the pixels of `open_image` from an opened file, by its
    header."""
    return is_plain(image) and image.getexif().get(ORIENTATION, 1) == 1


def is_plain(image: Image.Image) -> bool:
    """Return whether an opened file is one image with 8 bits per sample and without
    transparency."""
    return (
        image.mode in PLAIN_MODES
        and not image.has_transparency_data
        and not is_deep(image)
        and not getattr(image, "is_animated", False)
    )


def check_size(image: Image.Image, name: str) -> None:
    """Raise DecompressionBombWarning for too many pixels, CephaloError for too narrow an image."""
    if Image.MAX_IMAGE_PIXELS and image.width * image.height > Image.MAX_IMAGE_PIXELS:
        raise Image.DecompressionBombWarning
    long, short = max(image.size), min(image.size)
    if long > MOST_ELONGATED * short:
        raise CephaloError(f"{name} is too thin, {image.width} x {image.height} pixels; crop it")


def check_single(image: Image.Image, name: str) -> None:
    """Raise CephaloError for a TIFF with a second image of the same size: a stack of slices, or of
    the signals of several detectors, of which none is preferred."""
    if image.format != "TIFF":
        return
    size = image.size
    try:
        image.seek(1)
    except EOFError:
        return
    tags = getattr(image, "tag_v2", {})
    same = image.size == size and not tags.get(SUBFILE_TYPE, 0) & REDUCED_COPY
    image.seek(0)
    if same:
        raise CephaloError(f"{name} is a stack of images; save the intended one as a separate file")


def as_rgb(image: Image.Image, name: str = "the image") -> Image.Image:
    """Return the pixels of an image as `open_image` does, for any size. `name` is used in
    errors."""
    deep, tags = is_deep(image), getattr(image, "tag_v2", {})
    image.load()  # some formats have EXIF after the pixels
    turned = image.getexif().get(ORIENTATION, 1) != 1
    upright = ImageOps.exif_transpose(image) if turned else image  # which it would copy
    if upright.mode.startswith(("I", "F")):
        values = np.asarray(upright)
        if upright.mode == "I" and tags.get(SAMPLE_FORMAT, (0,))[0] == UNSIGNED:
            values = values.view(np.uint32)  # Pillow reads them as signed
        levels = scaled(values, upright.info.get("transparency"), name)
        if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:
            levels = 255 - levels
        return Image.fromarray(levels).convert("RGB")
    if upright.mode == "LAB":
        raise CephaloError(f"{name} has colours in Lab; save it as RGB")
    if upright.has_transparency_data:
        clear = upright.convert("LA" if upright.mode == "La" else "RGBA").convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
    rgb = upright.convert("RGB")
    if deep and 0 < np.asarray(rgb.getextrema()).max() <= LEAST_LEVEL:
        raise CephaloError(
            f"{name} has colours of 16 bits of which only the lower are used; save it with 8 bits"
        )
    return rgb


def scaled(values: np.ndarray, transparent: int | None, name: str) -> np.ndarray:
    """Scale grey levels of any range to uint8, from 0 for the minimum to 255 for the maximum.

    An image of one value becomes 128, since its brightness is unknown. Raises CephaloError if no
    pixel has a value.

    Args:
        values: [height, width], of any numeric type.
        transparent: Value of transparent pixels, which become white, as does NaN.
        name: For errors.
    """
    exact = np.float32 if values.dtype.itemsize <= 2 else np.float64
    values = values.astype(exact)
    seen = np.isfinite(values)
    if transparent is not None:
        seen &= values != transparent
    if not seen.any():
        raise CephaloError(f"no pixel of {name} has a value; look at the file")
    low, high = values[seen].min(), values[seen].max()
    levels = np.full(values.shape, 255, np.uint8)
    span = high - low
    levels[seen] = np.rint((values[seen] - low) / span * 255) if span else 128
    return levels


def is_deep(image: Image.Image) -> bool:
    """Return whether a file that is opened and not yet decoded has 16 bits per sample."""
    return any(";16" in str(tile.args) for tile in getattr(image, "tile", []))
