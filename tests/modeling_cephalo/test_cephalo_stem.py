"""`cephalo_stem`: Idefics2 with convolutions loads by its files alone and sees each image apart."""

import subprocess
from pathlib import Path

import pytest
import torch
from huggingface_hub.errors import StrictDataclassClassValidationError
from moe_samples import TEXTS
from transformers import AutoModelForImageTextToText
from warm_python import warm_python

from modeling_cephalo import CephaloStemConfig, CephaloStemForConditionalGeneration
from modeling_cephalo.tiny import tiny_idefics2_config, tiny_idefics2_processor, weights_of

LOAD = """
import sys
from transformers import AutoModelForImageTextToText
model = AutoModelForImageTextToText.from_pretrained(sys.argv[1], trust_remote_code=True)
assert "modeling_cephalo" not in sys.modules
stem = model.model.vision_model.embeddings.patch_embedding
print(type(model).__name__, sum(own.double().sum().item() for own in stem.parameters()))
"""


def config(**changes) -> CephaloStemConfig:
    sizes = tiny_idefics2_config(tiny_idefics2_processor(TEXTS).tokenizer).to_dict()
    del sizes["model_type"]
    sizes["vision_config"] |= {"patch_size": 8, "image_size": 64}
    return CephaloStemConfig(**sizes, **{"stem_channels": [16, 32, 128], **changes})


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("stem")
    with weights_of(seed=0):
        model = CephaloStemForConditionalGeneration(config())
    model.save_pretrained(folder)
    return folder


def test_stem_makes_a_patch_a_token_and_sees_each_image_apart(saved):
    model, loading = AutoModelForImageTextToText.from_pretrained(saved, output_loading_info=True)
    assert not any(loading.values())
    stem = model.model.vision_model.embeddings.patch_embedding
    images = torch.randn(3, 3, 64, 48)
    with torch.inference_mode():
        together = stem(images)
        assert together.shape == (3, 128, 8, 6)
        torch.testing.assert_close(stem(images[1:2]), together[1:2])
        images[0, :, :, 40:] += 1  # far from the first patches
        assert torch.equal(stem(images)[1:], together[1:])


def test_convolutions_begin_as_large_as_he_et_al_say():
    with weights_of(seed=0):
        model = CephaloStemForConditionalGeneration(config(stem_channels=[64, 128, 128]))
    stem = model.model.vision_model.embeddings.patch_embedding
    for block in stem:
        for convolution in (block.first, block.second, block.shortcut):
            outputs, _, *kernel = convolution.weight.shape
            expected = (2 / (outputs * kernel[0] * kernel[1])) ** 0.5
            assert convolution.weight.std().item() == pytest.approx(expected, rel=0.1)


def test_loads_without_this_package_in_a_clean_process(saved):
    model = AutoModelForImageTextToText.from_pretrained(saved)
    stem = model.model.vision_model.embeddings.patch_embedding
    done = subprocess.run(
        [warm_python(), "-c", LOAD, str(saved)], capture_output=True, text=True, check=True
    )
    name, total = done.stdout.split()
    assert name == "CephaloStemForConditionalGeneration"
    expected = sum(own.double().sum().item() for own in stem.parameters())
    assert float(total) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("channels", "said"),
    [
        ([32, 128], r"2 stem_channels halve .* into patches of 4 pixels, vision_config has 8"),
        ([16, 32, 64], r"end with the hidden size of vision_config, 128"),
        ([15, 32, 128], r"\[15, 32, 128\] must be multiples of 8"),
    ],
)
def test_channels_that_do_not_fit_are_refused(channels, said):
    with pytest.raises(StrictDataclassClassValidationError, match=said):
        config(stem_channels=channels)
