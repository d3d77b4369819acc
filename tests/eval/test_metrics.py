"""Scores of answers: known values, answers that cannot be read, intervals, paired tests."""

from pathlib import Path

import evaluate
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU

import cephalo.eval.scores
from cephalo.cli.errors import CephaloError
from cephalo.eval.intervals import compare, intervals, mcnemar
from cephalo.eval.parsing import choice_in, normal, number_in, vector_in
from cephalo.eval.scores import (
    METRICS,
    answer_match,
    captions,
    classification,
    vector_regression,
)

FOLDER = Path(cephalo.eval.scores.__file__).parent / "metrics"


def values(scores):
    return {name: float(measure(scores.table)) for name, measure in scores.measures.items()}


def vectors(array):
    return [f"[{', '.join(f'{number:.6f}' for number in row)}]" for row in array]


@pytest.mark.parametrize(
    ("answer", "length", "found"),
    [
        ("[0.123, 1.5, 2]", 3, [0.123, 1.5, 2.0]),
        ("The statistics are [1e-3,-2.5 , .5].", 3, [0.001, -2.5, 0.5]),
        ("[1, 2] and [3, 4, 5]", 3, [3.0, 4.0, 5.0]),
        ("[1, 2]", 3, None),
        ("[1, 2, 3, 4]", 3, None),
        ("1, 2, 3", 3, None),
        ("[1, 2, nan]", 3, None),
        ("[1, 2, 1e999]", 3, None),
        ("[1, 2,", 3, None),
        ("", 1, None),
    ],
)
def test_vectors_are_found_in_text(answer, length, found):
    assert vector_in(answer, length) == found


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("Yes.", "yes"),
        ("no, it does not", "no"),
        ("I think the answer is yes", "yes"),
        ("yes or no", "yes"),
        ("It is yes and no", None),
        ("nothing", None),
        ("", None),
    ],
)
def test_yes_and_no_are_found_in_text(answer, found):
    assert choice_in(answer, ("yes", "no")) == found


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("B", "B"),
        ("b) nacre", "B"),
        ("(C)", "C"),
        ("The answer is D.", "D"),
        ("A crack grows from the hole", None),
        ("The answer is A", "A"),
        ("A", "A"),
        ("A: steel", "A"),
        ("B or C", None),
        ("a plate", None),
    ],
)
def test_letters_are_found_in_text(answer, found):
    assert choice_in(answer, ("A", "B", "C", "D")) == found


def test_regression_has_the_textbook_values():
    truth = np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 30.0]])
    said = np.array([[1.0, 12.0], [3.0, 18.0], [4.0, 33.0]])
    found = values(vector_regression(vectors(said), vectors(truth), ["std", "mean"]))
    assert found["r2/std"] == pytest.approx(1 - 1 / (14 / 3))
    assert found["mae/std"] == pytest.approx(1 / 3)
    assert found["mse/mean"] == pytest.approx(17 / 3)
    assert found["rmse/mean"] == pytest.approx((17 / 3) ** 0.5)
    assert found["mape/mean"] == pytest.approx((0.2 + 0.1 + 0.1) / 3)
    assert found["parsed"] == 1


def test_answer_that_does_not_parse_keeps_its_place_and_costs_more_than_a_guess():
    truth = np.linspace(0, 1, 11)[:, None]
    right = vectors(truth)
    broken = [*right[:3], "no idea", *right[4:]]
    scores = vector_regression(broken, right)
    assert scores.parsed.tolist() == [row != 3 for row in range(11)]
    np.testing.assert_allclose(scores.table[:, 1], [*truth[:3, 0], 1.0, *truth[4:, 0]])
    found = values(scores)
    assert found["parsed"] == pytest.approx(10 / 11)
    assert found["mae/component_0"] == pytest.approx(0.7 / 11)
    # No guess within the range of the truths is worse, and guessing the mean is better.
    for guess in np.linspace(0, 1, 21):
        guessed = [*right[:3], f"[{guess}]", *right[4:]]
        assert values(vector_regression(guessed, right))["r2/component_0"] >= (
            found["r2/component_0"] - 1e-12
        )
    silent = values(vector_regression([""] * 11, right))
    assert silent["r2/component_0"] < -2 and silent["parsed"] == 0


def test_measures_that_are_not_defined_are_none():
    scores = vector_regression(["[1, 0]", "[1, 2]"], ["[1, 0]", "[1, 0]"])
    found = intervals(scores)
    assert found["r2/component_0"] == {"value": None, "low": None, "high": None}
    assert found["mape/component_1"]["value"] is None
    single = intervals(vector_regression(["[1]"], ["[2]"]))
    assert single["mae/component_0"] == {"value": 1.0, "low": None, "high": None}


@pytest.mark.parametrize(
    ("metric", "references", "message"),
    [
        (vector_regression, ["nacre"], "is not a vector such as"),
        (vector_regression, ["[1, 2]", "[1]"], "'\\[1\\]' of row 1 is not a vector of 2 numbers"),
        (classification, ["yes", "maybe"], "'maybe' of row 1 is none of yes, no"),
    ],
)
def test_references_of_another_task_are_refused(metric, references, message):
    with pytest.raises(CephaloError, match=message):
        metric(["x"] * len(references), references)


def test_classification_counts_what_is_not_said_as_wrong():
    truth = ["yes", "yes", "yes", "no", "no", "no"]
    said = ["Yes", "yes!", "no", "no", "unsure", "No."]
    scores = classification(said, truth)
    found = values(scores)
    assert scores.correct.tolist() == [True, True, False, True, False, True]
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["parsed"] == pytest.approx(5 / 6)
    assert found["f1_yes"] == pytest.approx(2 * 2 / (3 + 2))
    assert found["f1"] == pytest.approx((0.8 + 2 * 2 / (3 + 3)) / 2)


def test_choices_are_letters_where_the_references_are():
    found = values(classification(["B", "The answer is C", "D"], ["B", "C", "A"]))
    assert found["accuracy"] == pytest.approx(2 / 3)
    # Classes that are neither true nor named do not count; A and D have F1 0.
    assert found["f1"] == pytest.approx(2 / 4)


def test_answers_match_by_text_by_number_and_by_likeness():
    scores = answer_match(
        ["The nacre.", "5.1 MPa", "aragonit", "steel", ""],
        ["nacre", "5", "aragonite", "bone", "shell"],
    )
    assert scores.table[:, 0].tolist() == [1, 0, 0, 0, 0]
    assert scores.table[:, 1].tolist() == [1, 1, 0, 0, 0]
    assert scores.table[2, 2] == pytest.approx(8 / 9) and scores.table[3, 2] == 0
    assert values(scores)["relaxed"] == pytest.approx(0.4)
    assert (normal("A  Plate, of the STEEL!"), number_in("1,200 %")) == ("plate of steel", 1200)
    assert number_in("about five") is None


def test_captions_agree_with_the_libraries():
    said = ["A plate with a round hole under tension", "cracks in nacre", ""]
    true = ["A plate with a hole is under tension", "A crack in nacre runs straight", "Bone"]
    scores = captions(said, true)
    found = values(scores)
    assert found["bleu"] == pytest.approx(BLEU().corpus_score(said, [true]).score)
    assert 0 < found["bleu"] < 100 and 0 < found["chrf"] < 100
    overlap = 2 * (7 / 8) * (7 / 8) / (7 / 8 + 7 / 8)
    assert scores.table[0, 1] == pytest.approx(overlap)  # 7 of 8 words on both sides
    assert scores.table[2, :3].tolist() == [0, 0, 0]
    same = values(captions(true, true))
    assert same["rougeL"] == 1 and same["chrf"] == pytest.approx(100)


def test_interval_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(60):
        right = rng.random(80) < 0.7
        said = ["yes" if row else "no" for row in right]
        found = intervals(classification(said, ["yes"] * 79 + ["no"]))["accuracy"]
        held += found["low"] <= 0.7 <= found["high"]
    assert 50 <= held <= 60


def test_intervals_are_the_same_each_time():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(50, 2))
    scores = vector_regression(vectors(truth + rng.normal(size=(50, 2)) / 3), vectors(truth))
    first = intervals(scores)
    assert first == intervals(scores)
    r2 = first["r2/component_0"]
    assert r2["low"] < r2["value"] < r2["high"] < 1


def test_paired_comparison_sees_what_separate_intervals_do_not():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(200, 1))
    hard = rng.normal(size=(200, 1)) * rng.choice([0.1, 2.0], (200, 1))
    one, other = truth + hard, truth + 0.9 * hard
    first, second = (vector_regression(vectors(said), vectors(truth)) for said in (one, other))
    found = compare(first, second)["mae/component_0"]
    assert found["difference"] < 0 and found["high"] < 0 and found["p"] < 0.01
    apart = [intervals(scores)["mae/component_0"] for scores in (first, second)]
    assert apart[1]["high"] > apart[0]["low"]  # they overlap
    same = compare(first, first)["r2/component_0"]
    assert (same["difference"], same["p"]) == (0, 1)


def test_mcnemar_is_the_exact_binomial_test():
    first = np.array([True] * 10 + [False] * 2 + [True] * 5)
    second = np.array([False] * 10 + [True] * 2 + [True] * 5)
    found = mcnemar(first, second)
    assert (found["only_first"], found["only_second"]) == (10, 2)
    assert found["p"] == pytest.approx(2 * sum([1, 12, 66]) / 2**12)
    assert mcnemar(first, first)["p"] == 1


@pytest.mark.parametrize(
    ("name", "said", "true"),
    [
        ("vector_regression", ["[1, 2]", "none", "[3, 5]"], ["[1, 2]", "[2, 3]", "[3, 4]"]),
        ("classification", ["yes", "no", "?"], ["yes", "yes", "no"]),
        ("answer_match", ["nacre", "bone", "5"], ["nacre", "steel", "5.1"]),
        ("captions", ["a plate", "a hole", "nacre"], ["a plate", "two holes", "bone"]),
    ],
)
def test_every_metric_is_a_local_module_of_evaluate(name, said, true):
    metric = evaluate.load(str(FOLDER / name))
    found = metric.compute(predictions=said, references=true)
    assert found == intervals(METRICS[name](said, true))
    assert all(set(interval) == {"value", "low", "high"} for interval in found.values())


def test_there_is_a_module_for_every_metric():
    assert sorted(METRICS) == sorted(path.name for path in FOLDER.iterdir() if path.is_dir())


@given(st.text(max_size=200))
def test_any_text_can_be_scored(text):
    for metric, truth in (
        (vector_regression, "[1, 2]"),
        (classification, "yes"),
        (answer_match, "nacre"),
    ):
        scores = metric([text, text], [truth, truth])
        assert scores.table.shape[0] == 2 and np.isfinite(scores.table).all()
