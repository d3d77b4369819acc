"""transformers' shared tests of models, run on its own models as on ours."""

import unittest

from transformers import (
    Idefics2ForConditionalGeneration,
    Idefics2Model,
    LlavaNextForConditionalGeneration,
    LlavaNextModel,
)

from . import families
from .cases import ModelCase


class Idefics2(ModelCase, unittest.TestCase):
    all_model_classes = (Idefics2Model, Idefics2ForConditionalGeneration)
    family = families.IDEFICS2


class LlavaNext(ModelCase, unittest.TestCase):
    all_model_classes = (LlavaNextModel, LlavaNextForConditionalGeneration)
    family = families.LLAVA_NEXT
