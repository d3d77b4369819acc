"""`cephalo train` on families of transformers beyond the three of the paper."""

from pathlib import Path

import pytest
import torch
from family_samples import FAMILIES as MAKERS
from family_samples import make_family
from moe_samples import TEXTS
from trainer_samples import as_rows, losses, make_trainer
from training_samples import mixed_talks, reference
from transformers import AutoModelForImageTextToText, AutoProcessor

from cephalo.train.families import FAMILIES, why_unpacked
from cephalo.train.sft import image_settings

LIMITS = [{}, {"max_tokens": 250}, {"max_tiles": 2}]


@pytest.fixture(scope="module")
def bases(tmp_path_factory) -> dict[str, Path]:
    """A lively model of each family."""
    root = tmp_path_factory.mktemp("families")
    return {family: make_family(root / family, family, TEXTS) for family in MAKERS}


def family_trainer(base: Path, out: Path, talks, **settings):
    """A trainer as `cephalo train` makes it for a model's family."""
    model = AutoModelForImageTextToText.from_pretrained(base)
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
