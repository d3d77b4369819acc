"""Boxes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cephalo.dataset_scripts.common import geometry

numbers = st.floats(0, 1000, allow_nan=False)
boxes = st.tuples(numbers, numbers, st.floats(1, 500), st.floats(1, 500)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


def test_iou_of_known_boxes():
    assert geometry.iou((0, 0, 10, 10), (0, 0, 10, 10)) == 1
    assert geometry.iou((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert geometry.iou((0, 0, 10, 10), (20, 0, 30, 10)) == 0


@given(boxes, boxes)
def test_iou_is_symmetric_and_bounded(a, b):
    assert 0 <= geometry.iou(a, b) <= 1 + 1e-9
    assert geometry.iou(a, b) == pytest.approx(geometry.iou(b, a))
    assert geometry.covered(a, geometry.union([a, b])) == pytest.approx(1)


@given(boxes, st.integers(-4, 8))
def test_turning_there_and_back_changes_nothing(box, quarters):
    width, height = 1600.0, 1700.0
    turned = geometry.turn(np.array([box]), quarters, width, height)
    sides = (height, width) if quarters % 2 else (width, height)
    back = geometry.turn(turned, -quarters, *sides)
    assert back[0] == pytest.approx(box)


def test_a_quarter_turn_clockwise_takes_the_top_left_to_the_top_right():
    turned = geometry.turn(np.array([[0, 0, 10, 20]]), 1, 100, 200)
    assert turned.tolist() == [[180, 0, 200, 10]]


A, B = (0.0, 1.0, 10.0, 21.0), (4.0, 5.0, 30.0, 8.0)


def test_what_two_boxes_have_in_common():
    assert geometry.intersection(A, B) == geometry.intersection(B, A) == (4, 5, 10, 8)
    assert geometry.union([A, B]) == (0, 1, 30, 21)
    assert (geometry.overlap_x(A, B), geometry.overlap_y(A, B)) == (6, 3)
    assert (geometry.overlap_x(B, A), geometry.overlap_y(B, A)) == (6, 3)
    apart = (13.0, 26.0, 20.0, 30.0)
    assert (geometry.overlap_x(A, apart), geometry.overlap_y(A, apart)) == (-3, -5)
    assert (geometry.overlap_x(apart, A), geometry.overlap_y(apart, A)) == (-3, -5)
    assert geometry.area(A) == 200 and geometry.area(B) == 78
    assert geometry.area((3, 0, 2, 9)) == geometry.area((0, 3, 9, 2)) == 0
    assert geometry.area((3, 0, 2, -9)) == geometry.area((3, 0, 3, 9)) == 0
    assert geometry.area((0, 3, 9, 3)) == 0 and geometry.area((0, 0, 0.5, 0.5)) == 0.25
    assert geometry.iou(A, B) == pytest.approx(18 / 260)
    assert geometry.covered(A, B) == 18 / 200 and geometry.covered(B, A) == 18 / 78
    assert geometry.covered(A, apart) == geometry.iou(A, apart) == 0
    assert geometry.grow(A, 2) == (-2, -1, 12, 23) and geometry.grow(A, -2) == (2, 3, 8, 19)


def test_boxes_that_only_touch_share_no_area():
    box = (10.0, 20.0, 30.0, 40.0)
    around = [
        (0, 20, 10, 40),  # left, right, above, below
        (30, 20, 40, 40),
        (10, 0, 30, 20),
        (10, 40, 30, 60),
    ]
    inside = [(0, 20, 11, 40), (29, 20, 40, 40), (10, 0, 30, 21), (10, 39, 30, 60), box]
    assert geometry.hits(np.array([*around, *inside]), box).tolist() == [False] * 4 + [True] * 5


@pytest.mark.parametrize(
    ("quarters", "turned"),
    [
        (0, [1, 2, 10, 20]),
        (1, [180, 1, 198, 10]),
        (2, [90, 180, 99, 198]),
        (3, [2, 90, 20, 99]),
        (5, [180, 1, 198, 10]),
        (-1, [2, 90, 20, 99]),
    ],
)
def test_turns_of_a_page_of_100_by_200(quarters, turned):
    assert geometry.turn(np.array([[1, 2, 10, 20]]), quarters, 100, 200).tolist() == [turned]
