"""Recipes for small machines: what they take, and that they run."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from moe_samples import TEXTS
from phi3_v_samples import picture
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy
from trainer_samples import as_rows
from training_samples import talk
from transformers import AutoModelForImageTextToText, AutoProcessor

from cephalo.cli.errors import CephaloError
from cephalo.cli.packages import is_installed
from cephalo.inference import local
from cephalo.series.estimate import (
    PROCESS_BYTES,
    UNUSED_SHARE,
    Estimate,
    PeakMemory,
    estimate,
    with_lora,
)
from cephalo.series.published import of_base, smolvlm
from cephalo.series.tiny_bases import make_tiny
from cephalo.train.arguments import parse_arguments
from cephalo.train.help import CONFIGS
from cephalo.train.sft import find_config, run_training, set_splitting
from modeling_cephalo.published import idefics2_8b, on_meta

SMALL = sorted(path.name for path in CONFIGS.glob("*-??gb.yaml"))


def settings_of(config: str) -> dict[str, Any]:
    """The fields of a shipped config."""
    return yaml.safe_load(find_config(config).read_text(encoding="utf-8"))


def estimate_of(config: str) -> Estimate:
    """What a recipe takes at real size."""
    settings = settings_of(config)
    base = settings["model_name_or_path"]
    real = idefics2_8b() if "idefics2" in base else of_base(base)
    return estimate(on_meta(real), settings)


@pytest.mark.parametrize(
    "config",
    [pytest.param(name, marks=() if "gemma3" in name else pytest.mark.slow) for name in SMALL],
)
def test_a_recipe_fits_the_gpu_of_its_name(config):
    gigabytes = int(config.removesuffix("gb.yaml")[-2:])
    assert estimate_of(config).peak < gigabytes * 1e9


def test_there_are_recipes_for_both_sizes():
    assert {name.removesuffix("gb.yaml")[-2:] for name in SMALL} == {"16", "24"}


def test_the_laptop_recipe_takes_the_memory_of_one():
    found = estimate(on_meta(smolvlm("256m")), settings_of("laptop.yaml"))
    assert found.weights == 4 * 256_484_928
    assert found.overhead == PROCESS_BYTES + UNUSED_SHARE * found.activations
    kept = found.weights + found.adapters + found.gradients + found.states
    assert found.peak == kept + found.activations + found.overhead
    assert found.peak < 8e9


def loss_of_answers(model: Any, ids: torch.Tensor, answers: int) -> torch.Tensor:
    """The loss of one sequence; its logits are dropped, as by the trainer."""
    outputs = model(input_ids=ids, use_cache=False, logits_to_keep=torch.arange(answers))
    return cross_entropy(outputs.logits[0].float(), ids[0, :answers], reduction="sum")


def test_an_estimate_counts_the_tensors_of_a_step():
    """Those of a model of the recipe's kind, on a CPU, at two lengths and shares of answers.

    The decoder of one row alone: no mask, so that attention keeps what it does on a GPU.
    """
    settings = settings_of("laptop.yaml") | {"lora_dropout": 0.0}
    for tokens, answers in ((64, 60), (256, 40)):
        config = smolvlm("256m", 3)
        wanted = estimate(
            on_meta(copy.deepcopy(config)), settings | {"batch_tokens": tokens}, answers
        )
        torch.manual_seed(0)
        model = AutoModelForImageTextToText.from_config(config).requires_grad_(False)
        adapted: Any = with_lora(model, settings)
        ids = torch.arange(tokens)[None]
        with PeakMemory() as memory:
            loss_of_answers(adapted, ids, answers).backward()
        measured = memory.peak - wanted.gradients  # those of adapters are a term of their own
        assert measured == pytest.approx(wanted.activations, rel=0.05)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """A tiny SmolVLM."""
    folder = tmp_path_factory.mktemp("base")
    make_tiny("idefics3", folder, TEXTS)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A few rows, of which two have a picture."""
    folder = tmp_path_factory.mktemp("data")
    talks = [
        talk(["Nacre is tough."], picture(100, 70)),
        talk(["Bone is light."], picture(60, 90)),
        talk(["Silk is thin."]),
    ]
    as_rows(talks).remove_columns("row").to_parquet(folder / "train.parquet")
    return folder


def run_of(config: str, base: Path, data: Path, out: Path, **more: str) -> None:
    """`cephalo train` with a shipped config, on other data and a tiny base."""
    settings = {
        "model_name_or_path": base,
        "dataset_name": data,
        "dataset_config": "default",
        "output_dir": out,
        "dataloader_num_workers": 0,
        "dataloader_persistent_workers": "false",
        "report_to": "none",
        **more,
    }
    words = [str(word) for name, value in settings.items() for word in (f"--{name}", value)]
    run_training(*parse_arguments(find_config(config), words))


def test_the_laptop_recipe_trains_the_decoder_on_whole_images(base, data, tmp_path):
    quick = {"max_steps": "3", "warmup_steps": "0", "learning_rate": "1e-2"}
    run_of("laptop.yaml", base, data, tmp_path / "out", **quick)
    before, after = (load_file(path / "model.safetensors") for path in (base, tmp_path / "out"))
    moved = {name for name, own in before.items() if not torch.equal(own, after[name])}
    assert len(moved) == 2 * 7 and all(".text_model.layers." in name for name in moved)
    # Of the whole image there are 4 tokens, and with tiles each has its own.
    whole, tiled = (AutoProcessor.from_pretrained(path) for path in (tmp_path / "out", base))
    text, image = "<image>", picture(100, 70)
    counts = [
        processor(text=text, images=[image]).input_ids[0].count(processor.image_token_id)
        for processor in (whole, tiled)
    ]
    assert counts == [4, 4 * (2 * 2 + 1)]


def test_a_processor_without_tiles_refuses_to_split():
    with pytest.raises(CephaloError, match="split_images: object of this model has no such"):
        set_splitting(object(), True)
    set_splitting(object(), None)


@pytest.mark.slow
@pytest.mark.skipif(not is_installed("bitsandbytes"), reason="needs bitsandbytes")
def test_4_bit_weights_stay_and_their_adapter_learns(base, data, tmp_path):
    """On the CPU, with its slow kernels."""
    cpu = {"use_cpu": "true", "optim": "adamw_torch", "max_steps": "3", "warmup_steps": "0"}
    out = tmp_path / "out"
    lora = r".*text_model\.layers\.\d+\.(self_attn|mlp)\.\w+_proj"
    assert settings_of("idefics2-8b-24gb.yaml")["lora_target_modules"] == [lora]
    run_of("idefics2-8b-24gb.yaml", base, data, out, learning_rate="1e-2", **cpu)
    adapter = load_file(out / "adapter_model.safetensors")
    second = [own for name, own in adapter.items() if "lora_B" in name]
    assert len(second) == 2 * 7 and all(own.any() for own in second)  # which begin at zero
    assert isinstance(local.load(str(out)).ask("What is shown?", max_new_tokens=4), str)
