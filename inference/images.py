"""Pictures from files, made safe to look at."""

import warnings
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageOps, UnidentifiedImageError

from cephalo.cli.errors import CephaloError

# A picture of one pixel by hundreds says nothing, and families scale it to nothing or to gigabytes.
MOST_ELONGATED = 200


def open_image(source: str | Path | BinaryIO | Image.Image) -> Image.Image:
    """An RGB picture, upright, of a file, of bytes or of a picture at hand.

    Raises CephaloError for what is no picture, is cut short, has more pixels than
    `PIL.Image.MAX_IMAGE_PIXELS` or is longer than 200 times its width.
    """
    name = str(source) if isinstance(source, str | Path) else "the image"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = source if isinstance(source, Image.Image) else Image.open(source)
            if Image.MAX_IMAGE_PIXELS and image.width * image.height > Image.MAX_IMAGE_PIXELS:
                raise Image.DecompressionBombWarning
            long, short = max(image.size), min(image.size)
            if long > MOST_ELONGATED * short:
                raise CephaloError(
                    f"{name} is too thin, {image.width} x {image.height} pixels; crop it"
                )
            return ImageOps.exif_transpose(image).convert("RGB")
    except FileNotFoundError as error:
        raise CephaloError(f"no image {name}; give the path of a picture") from error
    except UnidentifiedImageError as error:
        raise CephaloError(f"{name} is no picture; give a PNG, JPEG or another image") from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise CephaloError(
            f"{name} has more than {Image.MAX_IMAGE_PIXELS:,} pixels; scale it down"
        ) from error
    except (OSError, SyntaxError, ValueError) as error:  # PIL's plugins raise all three
        raise CephaloError(f"{name} is broken: {error}; make it again") from error
