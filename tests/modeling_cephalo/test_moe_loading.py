"""cephalo_moe: generation, saving, loading, configurations."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from moe_samples import MAKERS, assert_saved_again_the_same, logits, make_mixture
from moe_samples import batches as batches  # the fixtures
from moe_samples import dense as dense
from moe_samples import folders as folders
from moe_samples import mixtures as mixtures
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
    Idefics2Config,
    Idefics3Config,
    LlamaConfig,
    pipeline,
)
from warm_python import warm_python

from modeling_cephalo import CephaloMoeLlavaNextConfig, Phi3VConfig, mixture_config
from modeling_cephalo.modeling_cephalo_moe import RoutedGeneration
from modeling_cephalo.published import idefics2_8b, on_meta, phi3_vision_128k

# Generation


def new_tokens(model, batch, **kwargs) -> list[list[int]]:
    settings = {"max_new_tokens": 8, "do_sample": False, "eos_token_id": None, **kwargs}
    return model.generate(**batch, **settings)[:, batch["input_ids"].shape[1] :].tolist()


@pytest.mark.parametrize("family", MAKERS)
def test_cached_and_uncached_generation_agree(family, mixtures, batches):
    cached = new_tokens(mixtures[family], batches[family])
    assert cached == new_tokens(mixtures[family], batches[family], use_cache=False)
    assert len({token for row in cached for token in row}) > 3


@pytest.mark.parametrize("family", MAKERS)
def test_generation_is_that_of_the_dense_model_with_identical_experts(family, dense, batches):
    base = dense[family][0]
    mixture = make_mixture(family, [base] * 2)
    for settings in ({}, {"num_beams": 3}):
        expected = new_tokens(base, batches[family], **settings)
        assert new_tokens(mixture, batches[family], **settings) == expected


def test_bfloat16(mixtures, batches, folders, tmp_path):
    mixtures["idefics2"].save_pretrained(tmp_path)
    model = AutoModelForImageTextToText.from_pretrained(tmp_path, dtype=torch.bfloat16)
    found = logits(model, batches["idefics2"])
    assert found.dtype == torch.bfloat16 and found.isfinite().all()
    kept = {name for name, own in model.named_parameters() if own.dtype == torch.float32}
    assert kept == {name for name, _ in model.named_parameters() if ".mlp.gate." in name}


# Loading and saving


@pytest.fixture(scope="module")
def saved(mixtures, folders, tmp_path_factory) -> dict[str, Path]:
    """The mixtures as folders, with the processor of their family."""
    root = tmp_path_factory.mktemp("saved")
    for family, mixture in mixtures.items():
        mixture.save_pretrained(root / family)
        AutoProcessor.from_pretrained(folders[family][0]).save_pretrained(root / family)
    return {family: root / family for family in mixtures}


@pytest.mark.shows("mixture")
@pytest.mark.parametrize("family", MAKERS)
def test_saved_and_reloaded_mixture_is_the_same(family, saved, mixtures, batches, tmp_path):
    for auto in (AutoModelForCausalLM, AutoModelForImageTextToText):
        model, loading = auto.from_pretrained(saved[family], output_loading_info=True)
        assert isinstance(model, RoutedGeneration)
        assert not any(loading.values())
    # Not to the last bit: sums depend on where in memory weights lie. Below, the weights are equal.
    torch.testing.assert_close(
        logits(model, batches[family]), logits(mixtures[family], batches[family])
    )
    assert_saved_again_the_same(model, saved[family], tmp_path, family)
    text = model.config.get_text_config()
    assert type(text).from_pretrained(tmp_path).vocab_size == text.vocab_size
    assert type(AutoConfig.for_model(text.model_type)) is type(text)


@pytest.mark.parametrize("family", MAKERS)
def test_processor_is_that_of_the_family(family, saved, folders):
    processor = AutoProcessor.from_pretrained(saved[family])
    dense = AutoProcessor.from_pretrained(folders[family][0])
    assert type(processor) is type(dense)
    assert (
        processor.tokenizer("nacre in rows").input_ids == dense.tokenizer("nacre in rows").input_ids
    )


def test_pipeline(saved):
    answer = pipeline("image-text-to-text", model=str(saved["idefics2"]))
    messages = [{"role": "user", "content": [{"type": "text", "text": "What is nacre?"}]}]
    [found] = answer(messages, max_new_tokens=5)
    assert found["generated_text"][-1]["role"] == "assistant"


REMOTE = """
import sys
sys.modules["modeling_cephalo"] = None
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor
model = AutoModelForImageTextToText.from_pretrained(sys.argv[1], trust_remote_code=True).eval()
assert model.__class__.__module__.startswith("transformers_modules")
processor = AutoProcessor.from_pretrained(sys.argv[1], trust_remote_code=True)
ids = torch.arange(7, 31).reshape(2, 12)
with torch.inference_mode():
    print(type(processor).__name__, model(input_ids=ids).logits.double().sum().item())
"""


@pytest.mark.parametrize("family", ["phi3_v", "idefics2"])
def test_remote_code_runs_without_this_package(family, saved, mixtures, tmp_path):
    environment = {**os.environ, "HF_MODULES_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(
        [warm_python(), "-c", REMOTE, str(saved[family])],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    name, total = run.stdout.split()
    assert name == {"phi3_v": "Phi3VProcessor", "idefics2": "Idefics2Processor"}[family]
    with torch.inference_mode():
        expected = mixtures[family](input_ids=torch.arange(7, 31).reshape(2, 12)).logits
    assert float(total) == pytest.approx(expected.double().sum().item(), abs=1e-3)


def test_incomplete_checkpoints_are_refused_by_name(saved, mixtures, tmp_path):
    """Unless `partial` asks for what transformers does with them."""
    folder = tmp_path / "broken"
    shutil.copytree(saved["idefics2"], folder)
    tensors = load_file(folder / "model.safetensors")
    lacking = "model.text_model.layers.1.mlp.gate.weight"
    del tensors[lacking]
    tensors["more"] = torch.ones(1)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"missing keys .*layers\.1\.mlp\.gate\.weight"):
        AutoModelForImageTextToText.from_pretrained(folder)
    model, loading = AutoModelForImageTextToText.from_pretrained(
        folder, partial=True, output_loading_info=True
    )
    assert (loading["missing_keys"], loading["unexpected_keys"]) == ({lacking}, {"more"})
    assert torch.equal(model.lm_head.weight, mixtures["idefics2"].lm_head.weight)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_experts_per_tok": 4}, "num_experts_per_tok is 4 of 3 experts"),
        ({"num_experts_per_tok": 0}, "num_experts_per_tok is 0 of 3 experts"),
        ({"base": LlamaConfig()}, "the base is of type 'llama'; mixtures support idefics2, "),
        ({"base": Idefics2Config(text_config={"model_type": "mixtral"})}, "is of type 'mixtral'"),
        ({"base": Idefics3Config(text_config={"mlp_bias": True})}, "MLPs .* have biases"),
        ({"routing": "random"}, "routing"),
    ],
)
def test_configurations_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(Exception, match=message):
        mixture_config(**{"base": Phi3VConfig(), **settings})


def test_the_configuration_of_the_base_stays_as_it_was(dense):
    config = dense["idefics2"][0].config
    before = config.to_dict()
    mixture_config(config, num_experts=7)
    assert config.to_dict() == before
    assert not hasattr(config.text_config, "num_experts")


# Real size


@pytest.mark.parametrize(
    ("base", "parameters"),
    [
        pytest.param(phi3_vision_128k(), 8_978_459_648, id="3x4b"),
        pytest.param(idefics2_8b(), 19_677_057_264, id="3x8b"),
    ],
)
def test_parameters_of_the_published_mixtures(base, parameters):
    model = on_meta(mixture_config(base, num_experts=3))
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    gates = sum(size for name, size in sizes.items() if ".mlp.gate." in name)
    assert gates == 32 * 3 * (base.get_text_config().hidden_size + 1)
    assert sum(sizes.values()) - gates == parameters


def test_auto_config(saved):
    config = AutoConfig.from_pretrained(saved["llava_next"])
    assert isinstance(config, CephaloMoeLlavaNextConfig)
    text = config.get_text_config()
    assert (text.num_experts, text.num_experts_per_tok) == (3, 1)
