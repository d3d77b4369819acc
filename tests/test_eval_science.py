"""Baselines on plates with known answers, and the whole experiment at toy size."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoModelForImageTextToText

from cephalo.eval.baselines import (
    SIDE,
    cnn,
    mean,
    nearest_image,
    porosity,
    porosity_and_stiffness,
)

SCRIPT = Path(__file__).parents[1] / "examples" / "science.py"


@pytest.fixture(scope="module")
def science():
    spec = importlib.util.spec_from_file_location("science", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


def test_digits_are_tokens_of_their_own(science):
    tokenizer = science.make_tokenizer(["[0.123, 4.560]", "CalculateVonMises <a, b>"] * 9)
    answer = "[1.230, 0.456]"
    tokens = [tokenizer.decode([token]) for token in tokenizer(answer).input_ids]
    assert [token for token in tokens if any(map(str.isdigit, token))] == list("12300456")
    assert "".join(tokens) == answer
    assert len(tokenizer("CalculateVonMises").input_ids) < 6


def test_the_whole_way_at_toy_size(science, tmp_path):
    toy = ["--samples", "64", "--cracks", "32", "--pixels", "16", "--out", str(tmp_path)]
    training = ["--max_steps", "2", "--per_device_train_batch_size", "4", "--report_to", "none"]
    science.main([*toy, *training])
    lines = (tmp_path / "report.md").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line[:2] == "| "]
    rows = {(*row[:3], row[4]): row[5] for row in cells[1:]}
    for split in ("test", "unseen_families"):
        for measure in ("r2/stress_stdev", "r2/stress_mean", "r2/stress_median"):
            assert float(rows["mean", split, "all", measure]) <= 0
            assert float(rows["CNN", split, "all", measure]) < 1
            assert float(rows["Cephalo", split, "all", measure]) < 0.5
        assert 0 <= float(rows["Cephalo", split, "all", "accuracy"]) <= 1
    assert ("Cephalo", "unseen_families", "Voronoi foam", "r2/stress_mean") in rows
    assert any(line == "r2/stress_mean: bar 0.92, not met." for line in lines)
    results = json.loads((tmp_path / "crack" / "test" / "results.json").read_text())
    assert results["dataset"]["split"] == "test" and results["models"][0]["n"] > 0
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "model")
    assert 1_300_000 < model.num_parameters() < 2_000_000
