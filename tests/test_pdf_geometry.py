"""Boxes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cephalo.dataset_scripts.pdf import geometry

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
