"""`cephalo train` on families of transformers beyond the three of the paper."""

from pathlib import Path

import pytest
import torch
from family_samples import FAMILIES as MAKERS
from family_samples import make_family
from moe_samples import TEXTS
from peft import LoraConfig
from phi3_v_samples import picture
from trainer_samples import as_rows, losses, make_trainer
from training_samples import mixed_talks, reference, talk
from transformers import AutoModelForImageTextToText, AutoProcessor

from cephalo.cli.errors import CephaloError
from cephalo.train.families import FAMILIES, masks_of_rows, why_unpacked
from cephalo.train.freezing import freeze, part_of, trained_parts
from cephalo.train.sft import image_settings

LIMITS = [{}, {"max_tokens": 250}, {"max_tiles": 2}]


@pytest.fixture(scope="module")
def bases(tmp_path_factory) -> dict[str, Path]:
    """A lively model of each family."""
    root = tmp_path_factory.mktemp("families")
    return {family: make_family(root / family, family, TEXTS) for family in MAKERS}


def family_trainer(base: Path, out: Path, talks, model=None, **settings):
    """A trainer as `cephalo train` makes it for a model's family."""
    model = model or AutoModelForImageTextToText.from_pretrained(base)
    own = {
        "family": FAMILIES.get(model.config.model_type),
        "image_settings": image_settings(AutoProcessor.from_pretrained(base)),
        **settings.pop("collator", {}),
    }
    return make_trainer(model, base, out, as_rows(talks), collator=own, **settings)


def step_gradients(trainer) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Loss and gradients of the first batch, before any step."""
    [batch] = list(trainer.get_train_dataloader())
    trainer.accelerator.gradient_accumulation_steps = 1
    items = trainer._get_num_items_in_batch([batch], torch.device("cpu"))
    loss = trainer.training_step(trainer.model, batch, items)
    named = trainer.model.named_parameters()
    return loss, {name: own.grad for name, own in named if own.grad is not None}


@pytest.mark.parametrize("limits", LIMITS, ids=str)
@pytest.mark.parametrize("family", MAKERS)
def test_loss_and_gradients_are_those_of_rows_one_by_one(family, limits, bases, tmp_path):
    base = bases[family]
    model = AutoModelForImageTextToText.from_pretrained(base)
    expected, gradients = reference(model, AutoProcessor.from_pretrained(base), mixed_talks())
    loss, found = step_gradients(family_trainer(base, tmp_path, mixed_talks(), collator=limits))
    torch.testing.assert_close(loss, expected, atol=2e-5, rtol=0)
    assert found.keys() == gradients.keys() and len(found) > 40
    for name, own in gradients.items():
        torch.testing.assert_close(
            found[name], own, atol=2e-4 * own.abs().max().item() + 1e-7, rtol=1e-3
        )


@pytest.mark.parametrize("family", MAKERS)
@pytest.mark.parametrize("layers", [None, 1])
def test_what_frozen_parts_make_is_stored_and_changes_no_run(layers, family, bases, tmp_path):
    """Features of images, or the states of rows after all layers but the last."""
    talks = [*mixed_talks(), talk(["Again."], picture(60, 50))]
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
            assert trainer.frozen_layers == (3 if layers else 0)
        trainer.train()
        runs.append(losses(trainer))
    # A row of text has states too; the same picture is asked about twice.
    kept = len(list((tmp_path / "features").rglob("*.safetensors")))
    assert kept == (3 + len(talks) if layers else 3)
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


def test_an_unknown_family_trains_a_conversation_a_sequence_and_says_so(
    bases, tmp_path, monkeypatch
):
    base = bases["qwen3_vl"]
    model = AutoModelForImageTextToText.from_pretrained(base)
    expected, gradients = reference(model, AutoProcessor.from_pretrained(base), mixed_talks())
    monkeypatch.delitem(FAMILIES, "qwen3_vl")
    assert why_unpacked(model.config).startswith("one conversation in each sequence: how those of")
    trainer = family_trainer(base, tmp_path, mixed_talks(), model)
    [batch] = list(trainer.get_train_dataloader())
    assert [len(sequence["rows"]) for sequence in batch["sequences"]] == [1, 1, 1, 1]
    loss, found = step_gradients(trainer)
    torch.testing.assert_close(loss, expected, atol=2e-5, rtol=0)
    assert found.keys() == gradients.keys()


def test_images_that_see_their_later_tokens_need_sdpa(bases, tmp_path):
    base = bases["gemma3"]
    model = AutoModelForImageTextToText.from_pretrained(base, attn_implementation="eager")
    with pytest.raises(CephaloError, match=r"implementation eager: images of gemma3 .* to sdpa"):
        family_trainer(base, tmp_path, mixed_talks(), model)


def test_masks_of_packed_rows():
    """Two rows: text and an image of two tokens; an image of two, then text."""
    types = torch.tensor([[0, 1, 1, 1, 1, 0]])
    masks = masks_of_rows(torch.tensor([0, 3, 6]), types, window=2)
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
