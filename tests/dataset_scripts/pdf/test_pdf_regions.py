"""Groups of graphics, and the side on which captions find theirs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cephalo.dataset_scripts.common.geometry import covered
from cephalo.dataset_scripts.pdf.atoms import Atom, merge_boxes
from cephalo.dataset_scripts.pdf.captions import Caption
from cephalo.dataset_scripts.pdf.layout import PageContent
from cephalo.dataset_scripts.pdf.pairing import Pair, pair_page
from cephalo.dataset_scripts.pdf.profile import TypeProfile
from cephalo.dataset_scripts.pdf.regions import Scene, add_text
from cephalo.dataset_scripts.pdf.sight import Problem
from cephalo.dataset_scripts.pdf.text import Line

BODY = TypeProfile(10.0, 12.0, frozenset({"Times-Roman"}))
NO_WALLS = np.zeros((0, 4))
boxes = st.lists(
    st.tuples(st.integers(0, 500), st.integers(0, 700), st.integers(0, 80), st.integers(0, 80)),
    max_size=40,
).map(lambda rows: np.array([(x, y, x + w, y + h) for x, y, w, h in rows], float).reshape(-1, 4))


@given(boxes)
@settings(max_examples=60)
def test_merged_groups_hold_every_box_and_stand_apart(given_boxes):
    groups = merge_boxes(given_boxes, 4.0, NO_WALLS)
    for box in given_boxes.tolist():
        assert any(
            g[0] <= box[0] and g[1] <= box[1] and g[2] >= box[2] and g[3] >= box[3] for g in groups
        )
    for a in groups:
        assert all(a is b or covered(a, b) == 0 for b in groups)


def test_a_wall_keeps_two_groups_apart():
    two = np.array([(0.0, 0, 100, 50), (0.0, 53, 100, 100)])
    assert len(merge_boxes(two, 4.0, NO_WALLS)) == 1
    wall = np.array([(10.0, 50.5, 90, 52.5)])
    assert len(merge_boxes(two, 4.0, wall)) == 2


def line(text: str, box: tuple) -> Line:
    return Line(text, box, 8.0, "Helvetica", "Helvetica")


def test_each_line_goes_to_its_nearest_atom():
    atoms = [Atom((0, 0, 100, 100)), Atom((0, 130, 100, 200))]
    lines = [line("time (h)", (40, 104, 60, 112)), line("(b)", (0, 120, 10, 128))]
    add_text(atoms, lines, NO_WALLS, np.full(2, 13))
    assert [[own.text for own in atom.lines] for atom in atoms] == [["time (h)"], ["(b)"]]
    assert atoms[0].box == (0, 0, 100, 112)


def scene(captions: list[Caption], atoms: list[tuple], barriers: list[tuple] = ()) -> Scene:
    page = PageContent(0, 612, 792, 0, [], [], NO_WALLS, np.zeros(0, np.uint8), [(50, 560)])
    walls = np.array(barriers, float).reshape(-1, 4)
    return Scene(page, BODY, captions, [Atom(box) for box in atoms], [], walls)


def pairs_of(one: Scene) -> list[Pair]:
    return pair_page(Problem(one, one.captions, {}))


def caption(number: int, box: tuple) -> Caption:
    lines = [line(f"Figure {number}. Text", box)]
    return Caption("figure", f"Figure {number}", str(number), "Text", box, 0, lines, 1.0)


@pytest.mark.parametrize(
    ("box", "side"),
    [
        ((60, 310, 260, 320), "above"),
        ((60, 80, 260, 90), "below"),
        ((310, 150, 400, 180), "left"),
        ((5, 150, 45, 180), "right"),
    ],
)
def test_a_caption_finds_its_figure_on_any_side(box, side):
    (pair,) = pairs_of(scene([caption(1, box)], [(50, 100, 300, 300)]))
    assert pair.side == side
    assert pair.box == (50, 100, 300, 300)


def test_running_text_parts_a_caption_from_graphics():
    captions = [caption(1, (60, 350, 260, 360))]
    assert pairs_of(scene(captions, [(50, 100, 300, 300)], [(50, 320, 300, 330)])) == []


def test_no_graphic_goes_to_two_captions():
    atoms = [(50, 100, 300, 200), (50, 260, 300, 400)]
    captions = [caption(1, (50, 210, 300, 220)), caption(2, (50, 410, 300, 420))]
    pairs = pairs_of(scene(captions, atoms))
    assert [(pair.caption.number, pair.box) for pair in pairs] == [
        ("1", atoms[0]),
        ("2", atoms[1]),
    ]
