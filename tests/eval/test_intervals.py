"""Intervals and comparisons, on numbers that can be counted by hand."""

import numpy as np
import pytest

from cephalo.eval.intervals import bounds, compare, finite, intervals, mcnemar, two_sided
from cephalo.eval.scores import Scores


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([], None),
        ([1] * 9, 0.2),  # 2 (0 + 1) / 10
        ([-1] * 9, 0.2),
        ([1] * 8 + [-1], 0.4),
        ([-1] * 8 + [1], 0.4),
        ([1] * 8 + [0], 0.4),  # a difference of 0 is on both sides
        ([0] * 9, 1.0),
        ([1, -1], 1.0),
        ([1] * 97 + [-1] * 2, 0.06),
    ],
)
def test_p_is_twice_the_smaller_share_with_one_more(differences, p):
    assert two_sided(np.array(differences, float)) == (p if p is None else pytest.approx(p))


def test_bounds_hold_the_middle_95_percent_of_what_is_finite():
    values = np.arange(401.0)
    assert bounds(values) == {"low": pytest.approx(10.0), "high": pytest.approx(390.0)}
    some = np.concatenate([values, [np.nan, np.inf, -np.inf]])
    assert bounds(some) == {"low": pytest.approx(10.0), "high": pytest.approx(390.0)}
    assert bounds(np.array([np.nan])) == bounds(np.empty(0)) == {"low": None, "high": None}
    assert bounds(np.array([3.0])) == {"low": 3.0, "high": 3.0}


def test_mcnemar_counts_the_rows_that_one_model_alone_has_right():
    first = np.array([1, 1, 1, 1, 1, 0, 0, 1], bool)
    second = np.array([1, 0, 0, 0, 0, 0, 1, 1], bool)
    # Four and one of five: 2 (1 + 5) / 32.
    assert mcnemar(first, second) == {"only_first": 4, "only_second": 1, "p": pytest.approx(0.375)}
    assert mcnemar(second, first)["only_first"] == 1
    # Three and one of four: 2 (1 + 4) / 16.
    assert mcnemar(first[1:], second[1:])["p"] == pytest.approx(0.375)
    assert mcnemar(first[2:], second[2:])["p"] == pytest.approx(0.625)
    assert mcnemar(first, first) == {"only_first": 0, "only_second": 0, "p": 1.0}


def test_what_is_not_finite_is_none():
    assert [finite(value) for value in (1, np.float32(0.5), np.nan, np.inf)] == [1, 0.5, None, None]


def scores(values: list[float], correct: list[bool] | None = None) -> Scores:
    return Scores(
        table=np.array(values)[:, None],
        measures={"mean": lambda table: table[..., 0].mean(-1)},
        errors=np.zeros(len(values)),
        parsed=np.ones(len(values), bool),
        correct=None if correct is None else np.array(correct),
    )


def test_the_value_is_that_of_all_rows_and_one_row_has_no_bounds():
    found = intervals(scores([0.0, 1.0] * 50))["mean"]
    assert found["value"] == 0.5
    # The mean of 100 rows has a standard error of 0.05.
    assert found["low"] == pytest.approx(0.402, abs=0.02)
    assert found["high"] == pytest.approx(0.598, abs=0.02)
    assert intervals(scores([0.25])) == {"mean": {"value": 0.25, "low": None, "high": None}}
    two = intervals(scores([0.0, 1.0]))["mean"]
    assert two == {"value": 0.5, "low": 0.0, "high": 1.0}


def test_the_difference_is_second_minus_first_and_paired():
    first, second = scores([0.0, 1.0, 2.0] * 10), scores([0.5, 1.5, 2.5] * 10)
    found = compare(first, second)
    assert found == {
        "mean": {
            "difference": 0.5,
            "low": pytest.approx(0.5),
            "high": pytest.approx(0.5),
            "p": pytest.approx(2 / 2001),
        }
    }
    right = scores([1.0, 1.0], [True, True]), scores([1.0, 0.0], [True, False])
    found = compare(*right)
    assert found["mcnemar"] == {"only_first": 1, "only_second": 0, "p": 1.0}
    assert "mcnemar" not in compare(right[0], scores([1.0, 0.0]))
    assert "mcnemar" not in compare(scores([1.0, 0.0]), right[0])
