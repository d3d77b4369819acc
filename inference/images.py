"""Read images as RGB with 8 bits per channel.

All code uses `open_image`, so that training and inference see the same pixels.
"""

import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from cephalo.cli.errors import CephaloError

# An image of one pixel by hundreds shows nothing, and some models scale it to nothing or to
# gigabytes.
MOST_ELONGATED = 200
# Brightest level, of 255, of a 16-bit colour image whose camera filled 12 bits or fewer of 16:
# Pillow keeps the upper eight bits, which leaves 16 levels or less.
LEAST_LEVEL = 15
PLAIN_MODES = ("1", "L", "P", "RGB")  # of Pillow: what every decoder reads alike

# Tags of TIFF 6.0, and of EXIF.
REDUCED_COPY = 1  # a bit of SUBFILE_TYPE
SUBFILE_TYPE, PHOTOMETRIC, ORIENTATION, SAMPLE_FORMAT = 254, 262, 274, 339
WHITE_IS_ZERO, UNSIGNED = 0, 1


def open_image(source: str | Path | BinaryIO | Image.Image) -> Image.Image:
    """The RGB image of a file, of its bytes or of an open image, as a viewer shows it.

    It is turned upright by its EXIF orientation and laid on white where it is transparent. Grey
    levels of 16 or 32 bits, whole or floating, are scaled linearly from their lowest to their
    highest value; what is not a number is white. Of an animation it is the first frame.

    Raises CephaloError for what is not an image, is cut short, has more pixels than
    `PIL.Image.MAX_IMAGE_PIXELS`, is longer than 200 times its width, is a stack of several
    pictures (TIFF), or has colours that cannot be told in 8 bits.
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
        raise CephaloError(f"no image {name}; give the path of a picture") from error
    except IsADirectoryError as error:
        raise CephaloError(f"{name} is a folder; give the path of a picture") from error
    except UnidentifiedImageError as error:
        raise CephaloError(
            f"{name} is not a valid image; give a PNG, JPEG or another image"
        ) from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise CephaloError(
            f"{name} has more than {Image.MAX_IMAGE_PIXELS:,} pixels; scale it down"
        ) from error
    except Exception as error:  # Pillow's plugins raise many kinds on bytes that may be anything
        why = " ".join(str(error).split()) or type(error).__name__
        raise CephaloError(f"{name} is broken: {why}; create it again") from error


def shrunk(image: Image.Image, edge: int) -> Image.Image:
    """A copy of `image` whose longer edge is at most `edge` pixels."""
    image = image.copy()
    image.thumbnail((edge, edge), Image.Resampling.LANCZOS)
    return image


def reads_alike(image: Image.Image) -> bool:
    """Whether any decoder makes of an opened file the pixels of `open_image`; reads its header."""
    return (
        image.mode in PLAIN_MODES
        and not image.has_transparency_data
        and not is_deep(image)
        and image.getexif().get(ORIENTATION, 1) == 1
        and not getattr(image, "is_animated", False)
    )


def check_size(image: Image.Image, name: str) -> None:
    """Raise DecompressionBombWarning for too many pixels, CephaloError for too thin an image."""
    if Image.MAX_IMAGE_PIXELS and image.width * image.height > Image.MAX_IMAGE_PIXELS:
        raise Image.DecompressionBombWarning
    long, short = max(image.size), min(image.size)
    if long > MOST_ELONGATED * short:
        raise CephaloError(f"{name} is too thin, {image.width} x {image.height} pixels; crop it")


def check_single(image: Image.Image, name: str) -> None:
    """Raise CephaloError for a TIFF with a second image of the same size: a stack of slices, or
    of the signals of several detectors, of which nobody has said which is meant."""
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
        raise CephaloError(
            f"{name} is a stack of pictures; save the one that is meant as a file of its own"
        )


def as_rgb(image: Image.Image, name: str = "the image") -> Image.Image:
    """The pixels of an image as `open_image` gives them, of any size. `name` is for its errors."""
    deep, tags = is_deep(image), getattr(image, "tag_v2", {})
    image.load()  # some formats keep their EXIF behind the pixels
    turned = image.getexif().get(ORIENTATION, 1) != 1
    upright = ImageOps.exif_transpose(image) if turned else image  # which it would copy
    if upright.mode.startswith(("I", "F")):
        values = np.asarray(upright)
        if upright.mode == "I" and tags.get(SAMPLE_FORMAT, (0,))[0] == UNSIGNED:
            values = values.view(np.uint32)  # which Pillow reads as signed
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
    """Grey levels of any range as uint8 from 0, the lowest value, to 255, the highest.

    Args:
        values: [height, width], of any numeric type.
        transparent: the value that stands for no pixel; such pixels are white, as what is not a
            number is.

    An image of one value is grey of level 128: it cannot be known whether it is bright. Raises
    CephaloError if no pixel has a value.
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
    """Whether a file that is opened and not yet decoded holds 16 bits a sample."""
    return any(";16" in str(tile.args) for tile in getattr(image, "tile", []))
