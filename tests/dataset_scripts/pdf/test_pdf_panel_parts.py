"""Parts of a mask that touch are numbered, boxed and painted as scipy does."""

import numpy as np
import pytest
from scipy.ndimage import find_objects, label

from cephalo.dataset_scripts.pdf.panel_pixels import connect

STRUCTURES = {True: np.ones((3, 3)), False: None}  # by whether parts touch at corners


@pytest.mark.parametrize("corners", [True, False])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (37, 53)])
def test_parts_are_those_of_scipy(shape, share, corners):
    ink = np.random.default_rng(3).random(shape) < share
    labels, count = label(ink, STRUCTURES[corners])
    runs = connect(ink, corners)
    assert runs.parts == count > 0
    assert np.array_equal(runs.numbered(np.arange(1, count + 1)), labels)
    boxes = [
        [number, x.start, y.start, x.stop, y.stop]
        for number, (y, x) in enumerate(find_objects(labels), 1)
    ]
    assert runs.boxes().tolist() == boxes
    assert runs.boxes(3.0).tolist() == [box for box in boxes if box[4] - box[2] >= 3]


def test_one_part_is_painted_alone():
    ink = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 0], [1, 1, 0]], bool)
    assert connect(ink).numbered(np.array([2])).tolist() == [[0] * 3] * 3 + [[2, 2, 0]]
    assert connect(ink, corners=False).boxes().tolist() == [
        [1, 0, 0, 1, 1],
        [2, 2, 0, 3, 1],
        [3, 1, 1, 2, 2],
        [4, 0, 3, 2, 4],
    ]


def test_paper_without_ink_has_no_parts():
    assert connect(np.zeros((5, 7), bool)).parts == 0
