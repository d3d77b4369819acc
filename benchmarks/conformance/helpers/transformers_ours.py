"""transformers' shared tests of models, on ours."""

import unittest
from functools import partial

from modeling_cephalo.modeling_cephalo_moe import (
    CephaloMoeIdefics2ForConditionalGeneration,
    CephaloMoeIdefics2Model,
    CephaloMoeLlavaNextForConditionalGeneration,
    CephaloMoeLlavaNextModel,
    CephaloMoePhi3VForCausalLM,
    CephaloMoePhi3VModel,
)
from modeling_cephalo.modeling_cephalo_moe_published import (
    Idefics2MoeForCausalLM,
    Phi3VMoeForCausalLM,
)
from modeling_cephalo.modeling_cephalo_stem import (
    CephaloStemForConditionalGeneration,
    CephaloStemModel,
)
from modeling_cephalo.modeling_phi3_v import Phi3VForCausalLM, Phi3VModel

from . import families
from .cases import ModelCase

# CLIP's last norm is not used and has no gradient. The dense phi3_v and LLaVA-NeXT of the yardstick
# show that; mixtures of them need not again.
NORM_OF_CLIP = False


class Phi3V(ModelCase, unittest.TestCase):
    all_model_classes = (Phi3VModel, Phi3VForCausalLM)
    family = families.PHI3_V


class MixturePhi3V(ModelCase, unittest.TestCase):
    all_model_classes = (CephaloMoePhi3VModel, CephaloMoePhi3VForCausalLM)
    family = families.PHI3_V | {"config": partial(families.mixture, families.phi3_v)}
    test_all_params_have_gradient = NORM_OF_CLIP


class MixtureIdefics2(ModelCase, unittest.TestCase):
    all_model_classes = (CephaloMoeIdefics2Model, CephaloMoeIdefics2ForConditionalGeneration)
    family = families.IDEFICS2 | {"config": partial(families.mixture, families.idefics2)}


class MixtureLlavaNext(ModelCase, unittest.TestCase):
    all_model_classes = (CephaloMoeLlavaNextModel, CephaloMoeLlavaNextForConditionalGeneration)
    family = families.LLAVA_NEXT | {"config": partial(families.mixture, families.llava_next)}
    test_all_params_have_gradient = NORM_OF_CLIP


class PublishedPhi3V(ModelCase, unittest.TestCase):
    all_model_classes = (Phi3VMoeForCausalLM,)
    family = families.PHI3_V | {"config": families.published_phi3_v}
    test_all_params_have_gradient = NORM_OF_CLIP


class PublishedIdefics2(ModelCase, unittest.TestCase):
    all_model_classes = (Idefics2MoeForCausalLM,)
    family = families.IDEFICS2 | {"config": families.published_idefics2}


class Stem(ModelCase, unittest.TestCase):
    all_model_classes = (CephaloStemModel, CephaloStemForConditionalGeneration)
    family = families.IDEFICS2 | {"config": families.stem}
