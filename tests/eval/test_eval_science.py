"""Baselines on plates with known answers, and the whole experiment at toy size."""

import importlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import load_dataset
from transformers import AutoModelForImageTextToText

from cephalo.dataset_scripts.plates.render import field_png
from cephalo.eval import report
from cephalo.eval.baselines import (
    SIDE,
    cnn,
    mean,
    nearest_image,
    porosity,
    porosity_and_stiffness,
)

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example(monkeypatch):
    """A script of examples/ as a module, by its name."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module


def plates(count: int, seed: int) -> np.ndarray:
    """Bars of random width and stiffness, (count, SIDE, SIDE)."""
    rng = np.random.default_rng(seed)
    images = np.zeros((count, SIDE, SIDE), dtype=np.float32)
    for image in images:
        image[: rng.integers(8, SIDE)] = rng.uniform(0.3, 1)
    return images


def numbers(images: np.ndarray) -> np.ndarray:
    """Void, void times the stiffness of the solid, and that stiffness cubed."""
    void = (images == 0).mean(axis=(1, 2))
    stiffness = images.max(axis=(1, 2))
    return np.stack([void, void * stiffness, stiffness**3], axis=1).astype(np.float32)


def r2(said: np.ndarray, images: np.ndarray) -> np.ndarray:
    truth = numbers(images)
    return 1 - ((said - truth) ** 2).mean(axis=0) / truth.var(axis=0)


def test_baselines_learn_what_they_can_see():
    images, unseen = plates(300, 0), plates(200, 1)
    train = images, numbers(images)
    assert (r2(mean(train, unseen), unseen) <= 0).all()
    line = r2(porosity(train, unseen), unseen)
    assert line[0] > 0.999 and line[2] < 0.2
    assert (r2(porosity_and_stiffness(train, unseen), unseen) > 0.999).all()
    np.testing.assert_array_equal(nearest_image(train, images[5:9]), train[1][5:9])
    assert (r2(nearest_image(train, unseen), unseen) > 0.5).all()


@pytest.mark.slow
def test_cnn_learns_what_plates_carry():
    images, unseen = plates(256, 0), plates(64, 1)
    assert (r2(cnn((images, numbers(images)), unseen, epochs=16), unseen) > 0.7).all()


def test_cnn_is_the_same_each_time():
    images = plates(8, 0)
    train = images, numbers(images)
    first = cnn(train, images, epochs=2)
    assert first.shape == (8, 3) and np.isfinite(first).all()
    np.testing.assert_array_equal(first, cnn(train, images, epochs=2))


def test_digits_are_tokens_of_their_own(example):
    tokenizer = example("science_base").make_tokenizer(
        ["[0.123, 4.560]", "CalculateVonMises <a, b>"] * 9
    )
    answer = "[1.230, 0.456]"
    tokens = [tokenizer.decode([token]) for token in tokenizer(answer).input_ids]
    assert [token for token in tokens if any(map(str.isdigit, token))] == list("12300456")
    assert "".join(tokens) == answer
    assert len(tokenizer("CalculateVonMises").input_ids) < 6


def test_field_is_read_off_its_picture(example):
    stress = np.random.default_rng(0).uniform(0, 5, (16, 16))
    solid = stress > 1
    row = {"von_mises": {"bytes": field_png(stress, solid, 5.0, "MPa")}, "von_mises_scale": 5.0}
    cells = (stress * solid).reshape(4, 4, 4, 4).mean(axis=(1, 3))
    found = example("science_tower").field_of(row, 4)
    np.testing.assert_allclose(found, cells, atol=5 / 255)


def test_each_plate_of_a_batch_is_mirrored_by_itself_with_its_field(example):
    tower = example("science_tower")
    pixels = np.random.default_rng(0).random((40, 8, 8)).astype(np.float16)
    rows = tower.Plates(pixels, 2 * pixels, np.zeros((40, tower.NUMBERS), np.float32))
    torch.manual_seed(0)
    batch = tower.Mirrored(rows)(list(range(40)))
    assert torch.equal(batch["fields"], 2 * batch["pixel_values"][:, 1])
    seen = batch["fields"].numpy()
    turns = [
        [np.array_equal(one, turn) for turn in (own, own[::-1], own[:, ::-1], own[::-1, ::-1])]
        for one, own in zip(seen, 2 * pixels.astype(np.float32), strict=True)
    ]
    assert (np.array(turns).sum(axis=1) == 1).all()
    assert (np.array(turns).sum(axis=0) > 3).all()


def cracks(plates: Path, split: str) -> list[str]:
    """The answers about cracks."""
    rows = load_dataset(
        str(plates), "conversations", split=split, cache_dir=str(plates.parent / "cache")
    )
    return [row["answer"] for row in rows if row["task"] == "CrackInitiation"]


def test_the_whole_way_at_toy_size(example, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "plots", lambda _: "")  # of 21 readers; test_eval looks at them
    toy = ["--samples", "64", "--notched", "32", "--cracks", "16", "--pixels", "16"]
    toy += ["--out", str(tmp_path)]
    training = ["--max_steps", "2", "--per_device_train_batch_size", "4", "--report_to", "none"]
    example("science").main([*toy, "--tower-epochs", "3", *training])
    lines = (tmp_path / "report.md").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line[:2] == "| "]
    rows = {(*row[:3], row[4]): row[5] for row in cells[1:]}
    own = "Cephalo, tower"
    for split in ("test", "unseen_families"):
        for measure in ("r2/stress_stdev", "r2/stress_mean", "r2/stress_median"):
            assert float(rows["mean", split, "all", measure]) <= 0
            assert float(rows["CNN", split, "all", measure]) < 1
            assert float(rows[own, split, "all", measure]) < 0.5
        assert 0 <= float(rows[own, split, "all", "accuracy"]) <= 1
        assert 0 <= float(rows["CNN", split, "all", "accuracy"]) <= 1
        known = {part: cracks(tmp_path / "plates", part) for part in ("train", split)}
        usual = max(("yes", "no"), key=known["train"].count)
        share = known[split].count(usual) / len(known[split])
        assert float(rows["mean", split, "all", "accuracy"]) == pytest.approx(share, abs=6e-4)
    assert (own, "unseen_families", "Voronoi foam", "r2/stress_mean") in rows
    assert any(line == "r2/stress_mean: bar 0.92, not met." for line in lines)
    results = json.loads((tmp_path / "tower/model/crack/test/results.json").read_text())
    assert results["dataset"]["split"] == "test" and results["models"][0]["n"] > 0
    card = (tmp_path / "tower" / "model" / "README.md").read_text(encoding="utf-8")
    assert "| r2/stress&#95;stdev | all |" in card and "Voronoi foam" in card
    stages = [tmp_path / "tower" / name for name in ("base", "tower", "model")]
    base, tower, model = (
        AutoModelForImageTextToText.from_pretrained(stage).state_dict() for stage in stages
    )
    assert 1_800_000 < sum(tensor.numel() for tensor in model.values()) < 2_500_000
    for name, tensor in base.items():
        eyes = re.search(r"vision_model|connector", name)
        assert torch.equal(tensor, tower[name]) == (not eyes), name
        if eyes:
            assert torch.equal(tower[name], model[name]), name
    text = "model.text_model.layers.0.mlp.up_proj.weight"
    assert not torch.equal(tower[text], model[text])
    shutil.rmtree(stages[1])  # as if it was killed before it was written: its epochs are there
    example("science_tower").train_tower(stages[0], tmp_path / "plates", stages[1], 3, False)
    again = AutoModelForImageTextToText.from_pretrained(stages[1]).state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in tower.items())
