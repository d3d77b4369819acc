"""transformers' shared tests of processors, on ours."""

import unittest
from typing import Any

from modeling_cephalo import Phi3VConfig, Phi3VProcessor, register
from modeling_cephalo.tiny_phi3_v import tiny_phi3_v_processor

from .processor_cases import (
    CROPS,
    TILE,
    TILE_TOKENS,
    ImageCase,
    ImageTester,
    ProcessorCase,
    most_tiles,
)

register()


class Phi3VProcessorTest(ProcessorCase, unittest.TestCase):
    processor_class = Phi3VProcessor
    make = staticmethod(tiny_phi3_v_processor)
    image_token = "<|image_1|>"


class Phi3VImageTester(ImageTester):
    config_class = Phi3VConfig

    def __init__(self, parent: Any) -> None:
        super().__init__(
            parent, num_crops=CROPS, tile_size=TILE, num_img_tokens=TILE_TOKENS, do_normalize=True
        )

    def expected_output_image_shape(self, images: list[Any]) -> tuple[int, ...]:
        """Return the view of the whole and the maximum number of tiles."""
        return most_tiles(images) + 1, self.num_channels, TILE, TILE


class Phi3VImageProcessorTest(ImageCase, unittest.TestCase):
    image_processor_tester_class = Phi3VImageTester
