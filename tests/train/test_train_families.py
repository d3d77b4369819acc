"""`cephalo train` on families of transformers beyond the three of the paper."""

import subprocess
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from family_samples import FAMILIES as MAKERS
from family_samples import make_family
from huggingface_hub import HfApi, snapshot_download
from moe_samples import MAKERS as PAPER
from moe_samples import TEXTS, load_dense, make_dense, make_mixture
from peft import LoraConfig
from phi3_v_samples import picture
from PIL import Image
from torch.nn.functional import scaled_dot_product_attention
from trainer_samples import as_rows, losses, make_trainer, step_gradients
from training_samples import MIXED, mixed_talks, reference, talk
from transformers import (
    AttentionInterface,
    AutoModelForImageTextToText,
    AutoProcessor,
    TrainerCallback,
)
from transformers.utils import is_torchvision_available
from warm_python import warm_python

from cephalo.cli.errors import CephaloError
from cephalo.inference import local
from cephalo.inference.images import open_image
from cephalo.model_cards.push import push_model
from cephalo.train.arguments import parse_arguments
from cephalo.train.families import (
    FAMILIES,
    family_of,
    image_settings,
    masks_of_rows,
    why_unpacked,
)
from cephalo.train.freezing import freeze, part_of, trained_parts
from cephalo.train.sft import find_config, run_training
from cephalo.train.trainer import PackedTrainer

MIXTURES = ("mixture of qwen3_vl", "mixture of gemma3")
LIMITS = [{}, {"max_tokens": 250}, {"max_tiles": 2}]


def quick(families: Iterable[str], *names: str) -> list[Any]:
    """Some families, of which those that are not named are tested by `make bench` alone."""
    slow = pytest.mark.slow
    return [name if name in names else pytest.param(name, marks=slow) for name in families]


@pytest.fixture(scope="module")
def bases(tmp_path_factory) -> dict[str, Path]:
    """A lively model of each family, made when it is asked for."""

    class Bases(dict):
        def __missing__(self, family: str) -> Path:
            folder = tmp_path_factory.mktemp(family)
            if family in MIXTURES:
                own = family.removeprefix("mixture of ")
                experts = [make_family(folder / str(seed), own, TEXTS, seed) for seed in (0, 1)]
                self[family] = experts[0]
                # The loss that balances the experts is one of all rows together.
                mixed = [load_dense(one) for one in experts]
                mixture = make_mixture(own, mixed, router_aux_loss_coef=0.0)
                mixture.save_pretrained(experts[0])
            elif family in PAPER:
                self[family] = make_dense(folder, family, seed=0)
            else:
                self[family] = make_family(folder, family, TEXTS)
            return self[family]

    return Bases()


def family_trainer(base: Path, out: Path, talks, model=None, **settings):
    """A trainer as `cephalo train` makes it for a model's family."""
    model = model or AutoModelForImageTextToText.from_pretrained(base)
    own = {
        "family": family_of(model.config),
        "image_settings": image_settings(AutoProcessor.from_pretrained(base)),
        **settings.pop("collator", {}),
    }
    return make_trainer(model, base, out, as_rows(talks), collator=own, **settings)


@pytest.mark.shows("packing")
@pytest.mark.parametrize(
    ("family", "limits"),
    [(name, LIMITS[1]) for name in MAKERS]
    + [pytest.param(name, LIMITS[1], marks=pytest.mark.slow) for name in PAPER]
    + [pytest.param(name, LIMITS[n], marks=pytest.mark.slow) for name in MAKERS for n in (0, 2)],
    ids=str,
)
def test_loss_and_gradients_are_those_of_rows_one_by_one(family, limits, bases, tmp_path):
    assert_as_rows_one_by_one(bases[family], limits, tmp_path)


@pytest.mark.parametrize("family", MIXTURES)
def test_mixtures_are_packed_as_what_they_are_made_of(family, bases, tmp_path):
    assert_as_rows_one_by_one(bases[family], LIMITS[1], tmp_path)


def odd_talks() -> list[dict[str, Any]]:
    """Pictures of one pixel, thin, grey, of 16 bits, with transparency, large; many in a row; a row
    without."""
    noise = np.random.default_rng(0)
    deep = Image.fromarray(noise.integers(0, 65535, (40, 50)).astype(np.uint16))
    pictures = [
        picture(1, 1),
        picture(3, 300),
        picture(50, 40).convert("L"),
        deep,
        picture(50, 40).convert("RGBA"),
        picture(33, 40).convert("LA"),
        picture(900, 700),
    ]
    assert deep.mode == "I;16"
    many = [picture(20 + number, 30) for number in range(8)]
    talks = [talk([f"Nacre {number}."], image) for number, image in enumerate(pictures)]
    return [*talks, talk(["Many."], *many), talk(["None."])]


@pytest.mark.parametrize("family", quick([*MAKERS, *PAPER], "qwen3_vl", "gemma3"))
def test_odd_pictures_are_packed_as_rows_one_by_one(family, bases, tmp_path):
    assert_as_rows_one_by_one(bases[family], {}, tmp_path, odd_talks())


def assert_as_rows_one_by_one(
    base: Path, limits: dict[str, int], out: Path, talks: list[dict[str, Any]] | None = None
) -> None:
    talks = talks or mixed_talks()
    seen = [{**one, "images": [open_image(image) for image in one["images"]]} for one in talks]
    model = AutoModelForImageTextToText.from_pretrained(base)
    expected, gradients = reference(model, AutoProcessor.from_pretrained(base), seen)
    loss, found = step_gradients(family_trainer(base, out, talks, collator=limits))
    torch.testing.assert_close(loss, expected, atol=2e-5, rtol=0)
    assert found.keys() == gradients.keys() and len(found) > 40
    for name, own in gradients.items():
        torch.testing.assert_close(
            found[name], own, atol=2e-4 * own.abs().max().item() + 1e-7, rtol=1e-3
        )


@pytest.mark.parametrize("family", quick(MAKERS, "qwen3_vl", "gemma3", "internvl"))
@pytest.mark.parametrize("layers", [None, 1])
def test_what_frozen_parts_make_is_stored_and_changes_no_run(layers, family, bases, tmp_path):
    """Features of images, or the states of rows after all layers but the last."""
    talks = [*mixed_talks(), talk(["Again."], picture(60, 50))]
    # The last layers of Gemma 4's smaller models read tokens and keys of earlier ones too.
    frozen = 3 if layers and family != "gemma4" else 0
    runs = []
    for stored in (False, True):
        model = AutoModelForImageTextToText.from_pretrained(bases[family])
        freeze(model, ["vision", "connector"], layers)
        trainer = family_trainer(
            bases[family],
            tmp_path,
            talks,
            model,
            collator={"max_tokens": 250},
            num_train_epochs=3,
            max_steps=-1,
        )
        if stored:
            trainer.keep_features(tmp_path / "features", 1.0)
            assert trainer.frozen_layers == frozen
        trainer.train()
        runs.append(losses(trainer))
    # A row of text has states too; the same picture is asked about twice.
    kept = len(list((tmp_path / "features").rglob("*.safetensors")))
    assert kept == (3 + len(talks) if frozen else 3)
    assert runs[0] == pytest.approx(runs[1], abs=2e-5) and runs[1][-1] < runs[1][0]


@pytest.mark.parametrize("family", MAKERS)
def test_parts_of_a_family_are_told_apart(family, bases):
    model = AutoModelForImageTextToText.from_pretrained(bases[family])
    decoder = {id(own) for own in model.get_decoder().parameters()}
    for name, own in model.named_parameters():
        inside = part_of(name) in ("text", "embeddings")
        assert inside == (id(own) in decoder), name
    parts = {part_of(name) for name, _ in model.named_parameters()} - {"head"}  # which may be tied
    assert parts == {"vision", "connector", "embeddings", "text"}
    freeze(model, [], 2)
    assert trained_parts(model).endswith("(layers 2-3)")


@pytest.mark.parametrize("family", ["qwen3_vl", "gemma3"])
def test_lora_of_the_decoder_trains_nothing_else(family, bases, tmp_path):
    lora = LoraConfig(r=4, target_modules=r".*language_model.*\.(q_proj|v_proj)")
    trainer = family_trainer(bases[family], tmp_path, mixed_talks(), peft_config=lora)
    before = {name: own.clone() for name, own in trainer.model.named_parameters()}
    trainer.train()
    moved = {
        name for name, own in trainer.model.named_parameters() if not torch.equal(own, before[name])
    }
    assert len(moved) == 16 and all("language_model" in name and "lora_" in name for name in moved)


@pytest.mark.parametrize("family", ["qwen3_vl", "gemma3", "idefics3"])
def test_accumulation_of_batches_changes_the_run_only_by_rounding(family, bases, tmp_path):
    """Some models' own loss is not divided by the tokens of a step; ours is, once."""
    runs = []
    for size, steps in ((4, 1), (2, 2)):
        trainer = family_trainer(
            bases[family],
            tmp_path,
            mixed_talks(),
            per_device_train_batch_size=size,
            gradient_accumulation_steps=steps,
        )
        trainer.train()
        runs.append(losses(trainer))
    assert runs[0] == pytest.approx(runs[1], abs=3e-4)


@pytest.mark.parametrize("family", quick([*MAKERS, *PAPER], "gemma3", "llava_next"))
def test_a_run_goes_on_from_the_weights_of_its_checkpoint(family, bases, tmp_path):
    """Also where transformers saves weights under other names than the model's own."""
    weights = []
    for stopped in (False, True):
        out = tmp_path / f"out-{stopped}"
        saving = {"save_strategy": "steps", "save_steps": 2, "max_steps": 4}
        if stopped:
            half = family_trainer(bases[family], out, mixed_talks(), **saving)
            half.add_callback(StopAfter(2))
            half.train()
        trainer = family_trainer(bases[family], out, mixed_talks(), **saving)
        trainer.train(resume_from_checkpoint=str(out / "checkpoint-2") if stopped else None)
        assert trainer.state.global_step == 4
        weights.append(trainer.model.state_dict())
    assert [
        name for name, own in weights[0].items() if not torch.equal(own, weights[1][name])
    ] == []


class StopAfter(TrainerCallback):
    """Ends a run after some steps, with its schedule that of all."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop = state.global_step >= self.steps


def test_an_unknown_family_trains_a_conversation_a_sequence_and_says_so(
    bases, tmp_path, monkeypatch
):
    base = bases["qwen3_vl"]
    model = AutoModelForImageTextToText.from_pretrained(base)
    expected, gradients = reference(model, AutoProcessor.from_pretrained(base), mixed_talks())
    monkeypatch.delitem(FAMILIES, "qwen3_vl")
    assert why_unpacked(model.config).startswith("one conversation in each sequence, since")
    trainer = family_trainer(base, tmp_path, mixed_talks(), model)
    [batch] = list(trainer.get_train_dataloader())
    assert [len(sequence["rows"]) for sequence in batch["sequences"]] == [1, 1, 1, 1]
    loss, found = step_gradients(trainer)
    torch.testing.assert_close(loss, expected, atol=2e-5, rtol=0)
    assert found.keys() == gradients.keys()


def test_images_that_see_their_later_tokens_need_sdpa(bases, tmp_path):
    base = bases["gemma3"]
    model = AutoModelForImageTextToText.from_pretrained(base, attn_implementation="eager")
    with pytest.raises(
        CephaloError, match=r"implementation eager: image tokens of gemma3 .* it to sdpa"
    ):
        family_trainer(base, tmp_path, mixed_talks(), model)


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_bounds_of_rows_do_not_reach_a_vision_tower_with_flash_attention(family, bases, tmp_path):
    """Which takes the bounds of images by the same names."""
    lengths = []

    def flash_probe(module, query, key, value, attention_mask, cu_seq_lens_q, scaling, **kwargs):
        """Stands for FlashAttention, which needs a GPU."""
        lengths.append(query.shape[2])
        parts = []
        for start, end in pairwise(cu_seq_lens_q.tolist()):
            own = (one[:, :, start:end] for one in (query, key, value))
            parts.append(scaled_dot_product_attention(*own, scale=scaling))
        return torch.cat(parts, dim=2).transpose(1, 2), None

    AttentionInterface.register("flash_probe", flash_probe)
    base = bases[family]
    model = AutoModelForImageTextToText.from_pretrained(base)
    expected, _ = reference(model, AutoProcessor.from_pretrained(base), mixed_talks())
    model.base_model.visual.config._attn_implementation = "flash_probe"
    loss, _ = step_gradients(family_trainer(base, tmp_path, mixed_talks(), model))
    torch.testing.assert_close(loss, expected, atol=2e-5, rtol=0)
    assert lengths and len({*lengths}) == 1  # the patches of all images at once, in each layer


def test_masks_of_packed_rows():
    """Two rows: text and an image of two tokens; an image of two, then text."""
    types, bounds = torch.tensor([[0, 1, 1, 1, 1, 0]]), torch.tensor([0, 3, 6])
    masks = masks_of_rows(bounds, types, 2, ("full_attention", "sliding_attention"))
    assert masks["full_attention"][0, 0].int().tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [0, 0, 0, 1, 1, 0],
        [0, 0, 0, 1, 1, 0],
        [0, 0, 0, 1, 1, 1],
    ]
    assert masks["sliding_attention"][0, 0].int().tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [0, 1, 1, 0, 0, 0],
        [0, 0, 0, 1, 1, 0],
        [0, 0, 0, 1, 1, 0],
        [0, 0, 0, 0, 1, 1],
    ]
    near = masks_of_rows(bounds, types, 2, ("sliding_attention",))
    assert near["full_attention"][0, 0].int().tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [0, 0, 0, 1, 0, 0],
        [0, 0, 0, 1, 1, 0],
        [0, 0, 0, 1, 1, 1],
    ]
    assert torch.equal(near["sliding_attention"], masks["sliding_attention"])


SETTINGS = {
    "tiny_base": "false",
    "max_steps": "80",
    "learning_rate": "4.0e-3",
    "per_device_train_batch_size": "4",
    "save_steps": "20",
    "batch_tokens": "300",
}

# Answers are kept in a talk without the spaces around them.
REMEMBERED = [([answer.strip() for answer in answers], pictures) for answers, pictures in MIXED]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Conversations to remember, as a dataset folder."""
    folder = tmp_path_factory.mktemp("data")
    talks = [talk(answers, *pictures) for answers, pictures in REMEMBERED]
    as_rows(talks).remove_columns("row").to_parquet(folder / "train.parquet")
    return folder


def run_of(base: Path, data: Path, out: Path) -> None:
    """`cephalo train` with these folders."""
    settings = {**SETTINGS, "model_name_or_path": base, "dataset_name": data, "output_dir": out}
    words = [str(word) for name, value in settings.items() for word in (f"--{name}", value)]
    run_training(
        *parse_arguments(find_config("tiny.yaml"), [*words, "--dataset_config", "default"])
    )


@pytest.mark.shows("trained", "pushed")
@pytest.mark.parametrize("family", quick([*MAKERS, *PAPER], "qwen3_vl", "gemma3"))
def test_a_stopped_run_goes_on_and_its_model_is_pushed_and_remembers(
    family, bases, data, hub, tmp_path, monkeypatch
):
    run_of(bases[family], data, tmp_path / "whole")
    step = PackedTrainer.training_step

    def stop(trainer, *args):
        if trainer.state.global_step == 30:
            raise KeyboardInterrupt
        return step(trainer, *args)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(PackedTrainer, "training_step", stop)
        run_of(bases[family], data, tmp_path / "stopped")
    run_of(bases[family], data, tmp_path / "stopped")
    files = [tmp_path / name / "model.safetensors" for name in ("whole", "stopped")]
    assert files[0].read_bytes() == files[1].read_bytes()

    api = HfApi(hub.endpoint, token=hub.tokens["alice"])
    push_model(api, tmp_path / "stopped", f"alice/{family}", private=True, message="Train")
    pulled = snapshot_download(
        f"alice/{family}", endpoint=hub.endpoint, token=api.token, local_dir=tmp_path / "pulled"
    )
    asked = local.load(pulled)
    for answers, pictures in REMEMBERED:
        asking = asked.conversation()
        assert asking.ask("What is shown?", pictures) == answers[0]
        for number, answer in enumerate(answers[1:], start=1):
            assert asking.ask(f"And what about {number}?") == answer


@pytest.mark.skipif(is_torchvision_available(), reason="torchvision is installed")
def test_a_processor_without_its_part_for_videos_says_what_it_needs(bases):
    """transformers looks for that part on the Hub, which the message would name."""
    read = (
        "import sys; from pathlib import Path\n"
        "from modeling_cephalo.checkpoint import read_config, read_processor\n"
        "folder = Path(sys.argv[1]); read_processor(folder, read_config(folder))"
    )
    done = subprocess.run(
        [warm_python(), "-c", read, str(bases["qwen3_vl"])], capture_output=True, text=True
    )
    assert done.stderr.splitlines()[-1].endswith(
        f"cannot load the processor of {bases['qwen3_vl']}: it needs torchvision; "
        "run: pip install torchvision"
    )
