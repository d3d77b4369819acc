"""Packed sequences give the loss and gradients of rows that go through the model one by one."""

from pathlib import Path

import pytest
import torch
from moe_samples import MAKERS, load_dense, make_dense, make_mixture
from phi3_v_samples import picture
from trainer_samples import as_rows, losses, make_trainer, step_gradients
from training_samples import mixed_talks, reference, talk
from transformers import AutoModelForImageTextToText, AutoProcessor

from cephalo.train.encoding import IGNORED
from cephalo.train.packing import (
    PACKED_SDPA,
    answer_positions,
    banded_mask,
    fill,
    long_context,
    number_images,
    pack_rows,
)

LIMITS = [{}, {"max_tokens": 150}, {"max_tiles": 1}]


@pytest.fixture(scope="module")
def bases(tmp_path_factory) -> dict[str, Path]:
    """A lively model of each family, and a mixture of one."""
    root = tmp_path_factory.mktemp("bases")
    folders = {family: make_dense(root / family, family, seed=0) for family in MAKERS}
    experts = [load_dense(make_dense(root / f"e{seed}", "idefics2", seed)) for seed in (0, 1)]
    mixture = make_mixture("idefics2", experts, router_aux_loss_coef=0.0)
    folders["cephalo_moe"] = root / "cephalo_moe"
    mixture.save_pretrained(folders["cephalo_moe"])
    AutoProcessor.from_pretrained(root / "e0").save_pretrained(folders["cephalo_moe"])
    return folders


@pytest.mark.parametrize("limits", LIMITS, ids=str)
@pytest.mark.parametrize("family", [*MAKERS, "cephalo_moe"])
def test_loss_and_gradients_are_those_of_rows_one_by_one(family, limits, bases, tmp_path):
    base = bases[family]
    model = AutoModelForImageTextToText.from_pretrained(base)
    expected, gradients = reference(model, AutoProcessor.from_pretrained(base), mixed_talks())
    trainer = make_trainer(model, base, tmp_path, as_rows(mixed_talks()), collator=limits)
    assert model.config.get_text_config()._attn_implementation == PACKED_SDPA
    loss, found = step_gradients(trainer)
    torch.testing.assert_close(loss, expected, atol=2e-6, rtol=0)
    assert found.keys() == gradients.keys() and len(found) > 30
    for name, own in gradients.items():
        torch.testing.assert_close(
            found[name], own, atol=1e-4 * own.abs().max().item() + 1e-7, rtol=1e-3
        )


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_masks_of_transformers_keep_rows_apart_too(implementation, bases, tmp_path):
    rows = as_rows(mixed_talks())
    found = []
    for chosen in (PACKED_SDPA, implementation):
        model = AutoModelForImageTextToText.from_pretrained(bases["idefics2"])
        trainer = make_trainer(model, bases["idefics2"], tmp_path, rows)
        model.set_attn_implementation({"text_config": chosen})
        found.append(step_gradients(trainer)[0])
    torch.testing.assert_close(*found, atol=2e-6, rtol=0)


def test_a_changed_row_changes_no_other(bases, tmp_path):
    """Attention of a packed sequence does not reach over the bounds of rows."""
    model = AutoModelForImageTextToText.from_pretrained(bases["idefics2"])
    make_trainer(model, bases["idefics2"], tmp_path, as_rows(mixed_talks()))
    packed = pack_rows([[5, 6, 7], [8, 9, 10, 11]], [[IGNORED] * 3, [IGNORED] * 4])
    other = {**packed, "input_ids": packed["input_ids"].clone()}
    other["input_ids"][0, :3] += 20
    kept = [{name: own for name, own in one.items() if name != "labels"} for one in (packed, other)]
    with torch.inference_mode():
        first, second = (model(**one, use_cache=False).logits[0] for one in kept)
    assert torch.equal(first[3:], second[3:])
    assert not torch.allclose(first[:3], second[:3])


def test_attention_window_of_long_rows(bases, tmp_path):
    model = AutoModelForImageTextToText.from_pretrained(bases["idefics2"])
    model.config.text_config.sliding_window = 5
    for layer in model.model.text_model.layers:
        layer.self_attn.sliding_window = 5
    packed = pack_rows([list(range(5, 25)), [30, 31, 32]], [[IGNORED] * 20, [IGNORED] * 3])
    packed.pop("labels")
    found = []
    for chosen in ("eager", PACKED_SDPA):
        model.set_attn_implementation({"text_config": chosen})
        with torch.inference_mode():
            found.append(model(**packed, use_cache=False).logits)
    torch.testing.assert_close(*found, atol=1e-5, rtol=1e-4)
    assert banded_mask(3, 2)[0, 0].int().tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 1]]


def test_rows_fill_sequences_within_the_limits():
    sizes = [(50, 1), (90, 0), (40, 5), (10, 1), (120, 9)]
    assert fill(sizes, None, None) == [[0, 1, 2, 3, 4]]
    assert fill(sizes, 100, None) == [[4], [1, 3], [0, 2]]  # the first is above the limit, alone
    assert fill(sizes, None, 6) == [[4], [0, 1, 2], [3]]
    assert fill([], 100, 6) == []


def test_packed_rows_say_where_they_begin():
    packed = pack_rows([[1, -1, -1, 4], [7, -1, 8]], [[IGNORED] * 3 + [4], [IGNORED, IGNORED, 8]])
    assert packed["input_ids"].tolist() == [[1, -1, -1, 4, 7, -2, 8]]
    assert packed["position_ids"].tolist() == [[0, 1, 2, 3, 0, 1, 2]]
    assert packed["cu_seq_lens_q"].tolist() == [0, 4, 7] and packed["max_length_k"] == 4
    positions, targets = answer_positions(packed["labels"])
    assert positions.tolist() == [2, 5] and targets.tolist() == [4, 8]
    assert number_images(torch.tensor([-1, -1, -2, 3, -1])).tolist() == [-1, -1, -2, 3, -3]


def test_rows_on_both_sides_of_a_change_of_rope_do_not_meet(bases, tmp_path):
    """phi3_v's long factors are chosen for a whole forward, by its highest position."""
    base = bases["phi3_v"]
    model = AutoModelForImageTextToText.from_pretrained(base)
    assert long_context(model.config) == 1024
    assert (
        long_context(AutoModelForImageTextToText.from_pretrained(bases["idefics2"]).config) is None
    )
    talks = [talk(["Short."], picture(60, 50)), talk(["Long."], question="Nacre " * 700)]
    expected, _ = reference(model, AutoProcessor.from_pretrained(base), talks)
    found = []
    for long_after in (1024, None):
        trainer = make_trainer(
            model, base, tmp_path, as_rows(talks), collator={"long_after": long_after}
        )
        found.append(step_gradients(trainer)[0])
    torch.testing.assert_close(found[0], expected, atol=2e-6, rtol=0)
    assert abs(found[1] - expected) > 1e-5


@pytest.mark.parametrize("family", MAKERS)
def test_limits_change_the_run_only_by_rounding(family, bases, tmp_path):
    rows = as_rows(mixed_talks() * 3)
    runs = []
    for limits in ({}, {"max_tokens": 130, "max_tiles": 6}):
        model = AutoModelForImageTextToText.from_pretrained(bases[family])
        trainer = make_trainer(
            model, bases[family], tmp_path, rows, collator=limits, per_device_train_batch_size=4
        )
        trainer.train()
        runs.append(losses(trainer))
    assert runs[0] == pytest.approx(runs[1], abs=2e-4) and runs[0][-1] < runs[0][0]


def test_accumulation_of_batches_changes_the_run_only_by_rounding(bases, tmp_path):
    rows, base = as_rows(mixed_talks()), bases["idefics2"]
    runs = []
    for size, steps in ((4, 1), (2, 2)):
        model = AutoModelForImageTextToText.from_pretrained(base)
        trainer = make_trainer(
            model,
            base,
            tmp_path,
            rows,
            per_device_train_batch_size=size,
            gradient_accumulation_steps=steps,
        )
        trainer.train()
        runs.append(losses(trainer))
    assert runs[0] == pytest.approx(runs[1], abs=2e-4)


def test_load_balancing_of_a_mixture_takes_part(bases, tmp_path):
    found = []
    for coefficient in (0.0, 0.5):
        model = AutoModelForImageTextToText.from_pretrained(bases["cephalo_moe"])
        trainer = make_trainer(
            model,
            bases["cephalo_moe"],
            tmp_path,
            as_rows(mixed_talks()),
            router_aux_loss_coef=coefficient,
        )
        found.append(step_gradients(trainer)[0].item())
    # The balance of k experts chosen of n is k where all share alike, and more otherwise.
    assert found[1] - found[0] > 0.45
