"""cephalo_moe around families of transformers beyond the three of the paper."""

import os
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest
import torch
from family_samples import FAMILIES as MAKERS
from family_samples import make_family
from moe_samples import (
    DECODERS,
    IMPLEMENTATIONS,
    TEXTS,
    assert_saved_again_the_same,
    logits,
    make_mixture,
)
from moe_samples import batches as batches  # fixtures
from moe_samples import dense as dense
from moe_samples import mixtures as mixtures
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText
from warm_python import warm_python

from modeling_cephalo.modeling_cephalo_moe import RoutedGeneration

FAMILIES = [family for family in MAKERS if not family.startswith("gemma4")]  # which is refused
MROPE = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_5")


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, list[Path]]:
    """Three dense checkpoints of each family."""
    root = tmp_path_factory.mktemp("dense")
    return {
        family: [make_family(root / f"{family}-{seed}", family, TEXTS, seed) for seed in range(3)]
        for family in FAMILIES
    }


@pytest.fixture(scope="module")
def saved(mixtures, tmp_path_factory) -> dict[str, Path]:
    """The mixtures as folders."""
    root = tmp_path_factory.mktemp("saved")
    for family, mixture in mixtures.items():
        mixture.save_pretrained(root / family)
    return {family: root / family for family in mixtures}


def new_tokens(model, batch, **kwargs) -> list[list[int]]:
    settings = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None, **kwargs}
    settings["suppress_tokens"] = [model.config.image_token_id]  # which random weights may choose
    return model.generate(**batch, **settings)[:, batch["input_ids"].shape[1] :].tolist()


@pytest.mark.parametrize("family", FAMILIES)
def test_with_identical_experts_the_mixture_is_the_dense_model(family, dense, batches):
    """In logits about images and in answers; positions of multimodal RoPE reach the decoder."""
    base, batch = dense[family][0], batches[family]
    expected = logits(base, batch)
    assert expected.std() > 0.1
    for k in (1, 2):
        mixture = make_mixture(family, [base] * 3, num_experts_per_tok=k)
        for implementation in IMPLEMENTATIONS if k == 1 else IMPLEMENTATIONS[:1]:
            mixture.set_experts_implementation(implementation)
            assert (logits(mixture, batch) - expected).abs().max() < 1e-5, implementation
    assert new_tokens(mixture, batch) == new_tokens(base, batch)
    types = {"mm_token_type_ids", "image_grid_thw"} if family in MROPE else set()
    types |= {"token_type_ids"} if family == "gemma3" else set()
    assert types <= batch.keys()
    for name in types - {"image_grid_thw"}:
        flat = {**batch, name: torch.zeros_like(batch[name])}
        flat = {key: value for key, value in flat.items() if key != "image_grid_thw"}
        without = {**flat, "image_grid_thw": batch["image_grid_thw"]} if family in MROPE else flat
        assert (logits(mixture, without) - expected).abs().max() > 1e-4


@pytest.mark.parametrize("family", FAMILIES)
def test_experts_are_the_mlps_of_their_own_models(family, mixtures, dense, batches):
    """Of any activation, in every layer."""
    layers = mixtures[family].get_decoder().layers
    hidden = torch.randn(5, 64)
    with torch.inference_mode():
        for number, layer in enumerate(layers):
            for index, model in enumerate(dense[family]):
                own = model.get_submodule(DECODERS[family]).layers[number].mlp
                chosen = torch.full((5, 1), index)
                found = layer.mlp.experts(hidden, chosen, torch.ones(5, 1))
                assert found.std() > 0.01 and torch.allclose(found, own(hidden), atol=1e-5)
    found, first = (
        logits(mixtures[family], batches[family]),
        logits(dense[family][0], batches[family]),
    )
    assert not torch.allclose(found, first, atol=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_cached_and_uncached_generation_agree(family, mixtures, batches):
    cached = new_tokens(mixtures[family], batches[family])
    assert cached == new_tokens(mixtures[family], batches[family], use_cache=False)
    assert len({token for row in cached for token in row}) > 2


@pytest.mark.parametrize("family", FAMILIES)
def test_what_transformers_expects_of_a_model(family, saved, mixtures, dense, batches):
    """Tuples, headless models, recorded router logits, plans of parallelism, configurations."""
    mixture, batch = mixtures[family], batches[family]
    with torch.inference_mode():
        expected = dense[family][0](**batch, return_dict=False)
        found = mixture(**batch, return_dict=False)
        asked = mixture(**batch, output_router_logits=True)
        named = mixture(**batch)
    assert [type(one) for one in found] == [type(one) for one in expected]
    assert named.router_logits is None and len(asked.router_logits) == 4
    assert asked.router_logits[0].shape == (batch["input_ids"].numel(), 3)
    assert torch.equal(found[0], named.logits)
    headless, loading = AutoModel.from_pretrained(saved[family], output_loading_info=True)
    assert type(headless) is type(mixture.model) and not loading["missing_keys"]
    assert mixture.get_decoder() is mixture.get_submodule(DECODERS[family])
    names = [name for name, _ in (*mixture.named_modules(), *mixture.named_parameters())]
    for plan in (mixture.tp_plan, mixture.ep_plan):
        assert any(".experts." in pattern for pattern in plan)
        assert all(any(fnmatch(name, pattern) for name in names) for pattern in plan)
    text = mixture.config.get_text_config()
    assert type(AutoConfig.for_model(text.model_type)) is type(text)


@pytest.mark.shows("mixture")
@pytest.mark.parametrize("family", FAMILIES)
def test_saved_and_reloaded_mixture_is_the_same(family, saved, mixtures, batches, tmp_path):
    model, loading = AutoModelForImageTextToText.from_pretrained(
        saved[family], output_loading_info=True
    )
    assert isinstance(model, RoutedGeneration) and not any(loading.values())
    torch.testing.assert_close(
        logits(model, batches[family]), logits(mixtures[family], batches[family])
    )
    assert_saved_again_the_same(model, saved[family], tmp_path, family)


REMOTE = """
import sys
sys.modules["modeling_cephalo"] = None
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText
for folder in sys.argv[1:]:
    model = AutoModelForImageTextToText.from_pretrained(folder, trust_remote_code=True).eval()
    assert model.__class__.__module__.startswith("transformers_modules")
    batch = load_file(folder + "/batch")
    with torch.inference_mode():
        print(model(**batch).logits[batch["attention_mask"].bool()].double().abs().sum().item())
"""


@pytest.mark.parametrize(
    "families",
    [pytest.param(["qwen2_vl", "gemma3"]), pytest.param(FAMILIES, marks=pytest.mark.slow)],
    ids=["some", "all"],
)
def test_remote_code_runs_without_this_package(families, saved, mixtures, batches, tmp_path):
    """In one clean process, of each family about its images."""
    saved = {family: saved[family] for family in families}
    for family, folder in saved.items():
        save_file(
            {name: own.contiguous() for name, own in batches[family].items()}, folder / "batch"
        )
    run = subprocess.run(
        [warm_python(), "-c", REMOTE, *map(str, saved.values())],
        env={**os.environ, "HF_MODULES_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    expected = [
        logits(mixtures[family], batches[family]).double().abs().sum().item() for family in saved
    ]
    assert [float(line) for line in run.stdout.split()] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("family", ["qwen3_vl", "gemma3", "idefics3"])
def test_gradients_reach_the_gates_and_are_the_same_with_checkpointing(family, dense, batches):
    mixture, batch, found = make_mixture(family, dense[family]), batches[family], []
    for checkpointing in (False, True):
        mixture.train()
        if checkpointing:
            mixture.activation_checkpointing_enable()
        mixture.zero_grad()
        output = mixture(**batch, labels=batch["input_ids"], use_cache=False)
        assert 0.5 < output.aux_loss < 3
        output.loss.backward()
        assert all(router.weight.grad.abs().max() > 1e-6 for router in mixture.routers)
        gradients = {name: p.grad for name, p in mixture.named_parameters() if p.grad is not None}
        found.append({name: gradient.clone() for name, gradient in gradients.items()})
    plain, checkpointed = found
    assert plain.keys() == checkpointed.keys() and len(plain) > 40
    assert all(torch.allclose(plain[name], checkpointed[name], atol=1e-5) for name in plain)


def test_gates_stay_float32_in_bfloat16(saved, batches):
    model = AutoModelForImageTextToText.from_pretrained(saved["qwen3_vl"], dtype=torch.bfloat16)
    batch = {
        name: value.to(torch.bfloat16) if value.is_floating_point() else value
        for name, value in batches["qwen3_vl"].items()
    }
    found = logits(model, batch)
    assert found.dtype == torch.bfloat16 and found.isfinite().all()
    kept = {name for name, own in model.named_parameters() if own.dtype == torch.float32}
    assert kept == {name for name, _ in model.named_parameters() if ".mlp.gate." in name}
