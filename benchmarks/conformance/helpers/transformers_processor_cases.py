"""Base classes for transformers' common tests of processors, on ours and on the yardstick."""

import math
from collections.abc import Callable
from typing import Any

from PIL import Image
from transformers import ProcessorMixin
from transformers.image_utils import get_image_size
from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING
from transformers.utils import is_torchvision_available

from .test_image_processing_common import ImageProcessingTester, ImageProcessingTestMixin
from .test_processing_common import ProcessorTesterMixin

TEXTS = ["lower newer upper older longer string", "What is the capital of France?"] * 5
TILE, CROPS, TILE_TOKENS = 14, 4, 4  # pixels; the most tiles of an image; tokens


class ProcessorCase(ProcessorTesterMixin):
    """Comes before `unittest.TestCase`.

    `make` makes the processor from texts for its tokenizer; `own` are its attributes besides its
    parts.
    """

    make: Callable[[list[str]], ProcessorMixin]
    own: tuple[str, ...] = ("chat_template",)

    @classmethod
    def _setup_image_processor(cls) -> Any:
        return cls.make(TEXTS).image_processor

    @classmethod
    def _setup_tokenizer(cls) -> Any:
        return cls.make(TEXTS).tokenizer

    @classmethod
    def prepare_processor_dict(cls) -> dict[str, Any]:
        processor = cls.make(TEXTS)
        return {name: getattr(processor, name) for name in cls.own}


class ImageTester(ImageProcessingTester):
    """Finds the image processors of a configuration, not those of a folder's name."""

    config_class: type

    def _get_image_processing_classes(self) -> dict[str, type]:
        classes = IMAGE_PROCESSOR_MAPPING[self.config_class]
        ours = not self.config_class.__module__.startswith("transformers.")
        # Those of transformers that need torchvision cannot be made without it.
        return {
            name: found
            for name, found in classes.items()
            if name == "pil" or ours or is_torchvision_available()
        }


class ImageCase(ImageProcessingTestMixin):
    """Comes before `unittest.TestCase`."""

    test_cast_dtype = True


def most_tiles(images: list[Any]) -> int:
    """Return the maximum number of tiles among images, without the view of the whole."""
    return max(tiles(*get_image_size_of(image)) for image in images)


def get_image_size_of(image: Any) -> tuple[int, int]:
    """Return height and width in pixels."""
    if isinstance(image, Image.Image):
        return image.height, image.width
    return get_image_size(image)


def tiles(height: int, width: int) -> int:
    """Return the tiles of an image: as many along its longer side as CROPS allows."""
    ratio = max(height, width) / min(height, width)
    along = max(n for n in range(1, CROPS + 1) if n == 1 or n * math.ceil(n / ratio) <= CROPS)
    return along * math.ceil(int(along * TILE / ratio) / TILE)
