"""transformers' shared tests of processors, run on some of its own as on ours."""

import unittest
from typing import Any

from transformers import Idefics2Config, Idefics2Processor, LlavaNextConfig, LlavaNextProcessor

from modeling_cephalo.tiny import tiny_idefics2_processor
from modeling_cephalo.tiny_llava_next import tiny_llava_next_processor

from .processor_cases import ImageCase, ImageTester, ProcessorCase

EDGE, SIDE = 20, 60  # pixels


class Idefics2ProcessorTest(ProcessorCase, unittest.TestCase):
    processor_class = Idefics2Processor
    make = staticmethod(tiny_idefics2_processor)
    own = ("chat_template", "image_seq_len")


class LlavaNextProcessorTest(ProcessorCase, unittest.TestCase):
    processor_class = LlavaNextProcessor
    make = staticmethod(tiny_llava_next_processor)
    own = (
        *("chat_template", "patch_size", "vision_feature_select_strategy"),
        "num_additional_image_tokens",
    )


class Idefics2ImageTester(ImageTester):
    config_class = Idefics2Config

    def __init__(self, parent: Any) -> None:
        # A list of images is those of one row, so there is one. It is square: sizes of others
        # follow a rule of this family.
        super().__init__(
            parent,
            batch_size=1,
            min_resolution=SIDE - 1,
            max_resolution=SIDE,
            size={"shortest_edge": EDGE, "longest_edge": EDGE},
        )

    def expected_output_image_shape(self, images: list[Any]) -> tuple[int, ...]:
        """Return one image per row."""
        return 1, *super().expected_output_image_shape(images)


class Idefics2ImageProcessorTest(ImageCase, unittest.TestCase):
    image_processor_tester_class = Idefics2ImageTester


class LlavaNextImageTester(ImageTester):
    config_class = LlavaNextConfig

    def __init__(self, parent: Any) -> None:
        edges = {"height": EDGE, "width": EDGE}
        super().__init__(
            parent,
            size={"shortest_edge": EDGE},
            crop_size=edges,
            image_grid_pinpoints=[[EDGE, EDGE]],
        )

    def expected_output_image_shape(self, images: list[Any]) -> tuple[int, ...]:
        """Return the view of the whole and one tile."""
        return 2, self.num_channels, EDGE, EDGE


class LlavaNextImageProcessorTest(ImageCase, unittest.TestCase):
    image_processor_tester_class = LlavaNextImageTester
