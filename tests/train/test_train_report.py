"""What a person sees of a run: operations counted right, speed in the log, a plot in the card."""

from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from moe_samples import MAKERS, make_dense
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode
from trainer_samples import as_rows, make_trainer
from training_samples import mixed_talks
from transformers import AutoModelForImageTextToText, AutoProcessor

from cephalo.train.encoding import encode_rows
from cephalo.train.freezing import freeze
from cephalo.train.packing import PackingCollator, answer_positions
from cephalo.train.report import bases_of, plot_losses
from cephalo.train.utilisation import Work, matmul_rate


@pytest.fixture(scope="module")
def bases(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("bases")
    return {family: make_dense(root / family, family, seed=0) for family in MAKERS}


def counted_by_torch(model: torch.nn.Module, sequence: dict) -> int:
    """Operations of the matrix products that really ran, forward and backward."""
    skipped = ("labels", "rows", "tiles")
    inputs = {name: own for name, own in sequence.items() if name not in skipped}
    positions, targets = answer_positions(sequence["labels"])
    with FlopCounterMode(display=False) as counter:
        logits = model(**inputs, logits_to_keep=positions, use_cache=False).logits[0]
        torch.nn.functional.cross_entropy(logits, targets).backward()
    return counter.get_total_flops()


@pytest.mark.parametrize("frozen", [[], ["vision", "connector", "embeddings"]], ids=str)
@pytest.mark.parametrize("family", MAKERS)
def test_operations_are_those_that_run(family, frozen, bases):
    """Within a fifth: connectors see fewer tokens than there are patches, attention masks less."""
    model = AutoModelForImageTextToText.from_pretrained(bases[family])
    freeze(model, frozen, None)
    processor = AutoProcessor.from_pretrained(bases[family])
    rows = encode_rows(as_rows(mixed_talks()), processor)
    [sequence] = PackingCollator(processor.image_processor)(list(rows))["sequences"]
    work = Work(model)
    operations = work.of_sequence(sequence)
    ran = counted_by_torch(model, sequence)
    print(operations, ran, operations / ran)
    assert 0.8 < operations / ran < 1.25
    assert work.taken() == (operations, sequence["input_ids"].shape[1])
    assert work.taken() == (0.0, 0)


def clock(step: float) -> SimpleNamespace:
    """In the place of `time`: each look at it is `step` seconds after the one before."""
    ticks = count()
    return SimpleNamespace(perf_counter=lambda: next(ticks) * step)


def test_log_tells_the_speed_and_the_share_of_the_machine(bases, tmp_path, monkeypatch):
    monkeypatch.setattr("cephalo.train.trainer.time", clock(2.0))
    monkeypatch.setattr("cephalo.train.trainer.matmul_rate", lambda *_: 1000.0)
    model = AutoModelForImageTextToText.from_pretrained(bases["idefics2"])
    rows = as_rows(mixed_talks())
    trainer = make_trainer(model, bases["idefics2"], tmp_path, rows)
    batches = [batch["sequences"] for batch in trainer.get_train_dataloader()] * 3  # steps
    trainer.train()
    logged = [entry for entry in trainer.state.log_history if "loss" in entry]
    work = Work(model)
    operations = [sum(work.of_sequence(one) for one in sequences) for sequences in batches]
    tokens = [sum(one["input_ids"].shape[1] for one in sequences) for sequences in batches]
    found = [(one["tokens_per_second"], one["utilisation"]) for one in logged]
    assert found == [
        (round(n / 2.0, 1), round(o / 2.0 / 1000.0, 4))
        for n, o in zip(tokens, operations, strict=True)
    ]
    assert trainer.state.total_flos == pytest.approx(sum(operations))


def test_the_rate_is_that_of_a_product_of_1024_by_1024(monkeypatch):
    monkeypatch.setattr("cephalo.train.utilisation.time", clock(0.5))
    assert matmul_rate(torch.device("cpu"), torch.float32) == 2 * 1024**3 / 0.5


@pytest.mark.parametrize(
    ("card", "adapter", "bases"),
    [
        ('{"repo_id": "deeper", "base_models": ["lab/a", "lab/b"], "relation": "merge"', False, 2),
        ('{"repo_id": "deeper", "base_models": ["lab/a", "lab/b"], "relation": "merge"', True, 0),
        ('{"base_models": "damaged"', False, 0),
    ],
)
def test_a_local_base_passes_on_the_bases_that_its_card_names(card, adapter, bases, tmp_path):
    base = tmp_path / "deeper"
    base.mkdir()
    (base / "card.json").write_text(card + ', "model_type": "idefics2", "parameters": 1}')
    named = bases_of(SimpleNamespace(model_name_or_path=str(base)), adapter)
    assert named == (["lab/a", "lab/b"][:bases], "deeper")


def test_a_base_of_the_hub_is_its_own():
    named = bases_of(SimpleNamespace(model_name_or_path="lab/base"), adapter=False)
    assert named == (["lab/base"], None)


def test_plot_shows_both_losses(tmp_path):
    history = [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0}, {"step": 2, "eval_loss": 2.5}]
    plot_losses(history, tmp_path / "loss.png")
    with Image.open(tmp_path / "loss.png") as picture:
        assert picture.size == (600, 350)
        assert len(picture.convert("RGB").getcolors(100_000)) > 10
    plot_losses([], tmp_path / "none.png")
    assert [path.name for path in tmp_path.iterdir()] == ["loss.png"]
