"""The benchmark of panels: its labels and its scorer."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.panels import ablate
from benchmarks.panels.arrangement import arrange
from benchmarks.panels.canvas import Canvas
from benchmarks.panels.compound import draw_compound, score_compound
from benchmarks.panels.contents import draw_boxed_legend
from benchmarks.panels.inputs import PanelInput, PanelSource
from benchmarks.panels.label import shrink
from benchmarks.panels.score import Score, find_row, interval, score_figure, table
from benchmarks.panels.truth import (
    LabelledFigure,
    LabelledPanel,
    Truth,
    read_caption,
    read_truth,
    with_figure,
    write_truth,
)
from cephalo.dataset_scripts.pdf import panel_boxes, panel_rules
from cephalo.dataset_scripts.pdf.panels import Panel

SHARED = Path(__file__).parents[3] / "shared" / "bench"
CAPTION = "(a) A rod. (b) A wire."
FIGURE = LabelledFigure(
    "real",
    "sample",
    "nobody",
    "Figure 1",
    3,
    (
        LabelledPanel("a", (0.0, 0.0, 100.0, 100.0), ((4, 9),)),
        LabelledPanel("b", (110.0, 0.0, 200.0, 100.0), ((15, 21),)),
    ),
)


def row(*panels: tuple[str, list[float] | None, str]) -> dict:
    names = ("letter", "bbox", "caption")
    found = [dict(zip(names, panel, strict=True)) for panel in panels]
    return {"page": 3, "caption": CAPTION, "panels": found}


def test_labels_come_back_as_written(tmp_path):
    truth = Truth(frozenset({"nobody"}), (FIGURE,))
    write_truth(truth, tmp_path / "truth.json")
    assert read_truth(tmp_path / "truth.json") == truth
    plain = LabelledFigure("real", "sample", "nobody", "Figure 1", 3, ())
    assert with_figure(truth, plain).figures == (plain,)


def test_right_panels_score_one():
    found = row(("a", [0, 0, 99, 100], "A rod"), ("b", [110, 0, 200, 99], "A wire"))
    score, faults = score_figure(FIGURE, CAPTION, found, str.casefold)
    assert faults == []
    assert (score.box_f1, score.right_letters, score.lettered) == (1.0, 2, 2)
    assert (score.right_parts, score.parts) == (2, 2)


def test_faults_are_counted_one_by_one():
    found = row(("b", [0, 0, 99, 100], "A rod"), ("c", [0, 300, 9, 400], ""))
    score, faults = score_figure(FIGURE, CAPTION, found, str.casefold)
    assert (score.boxes, score.predicted, score.matched) == (2, 2, 1)
    assert (score.right_letters, score.right_parts) == (0, 0)
    assert faults == [
        "a has the letter b",
        "box of b",
        "superfluous box c",
        "part of a: None",
        "part of b: 'A rod'",
    ]


def test_lost_figures_count_nowhere_else():
    assert find_row([row()], FIGURE, CAPTION) == row()
    assert find_row([row() | {"page": 4}], FIGURE, CAPTION) is None
    assert find_row([row() | {"caption": "Of another kind"}], FIGURE, CAPTION) is None
    score, _ = score_figure(FIGURE, CAPTION, None, str.casefold)
    assert score == Score(figures=1, lost=1)


def test_the_table_parts_held_out_publishers():
    scores = {"one": Score(2, 0, 4, 4, 2, 2, 2, 4, 3), "two": Score(1, 1)}
    lines = table(scores, frozenset({"two"})).splitlines()
    assert lines[2] == "| one | 2 | 0 | 4 | 0.500 | 1.000 | 0.750 of 4 |"
    assert lines[3].startswith("| two (held out) | 1 | 1 | 0 |")
    assert [line.split("|")[1].strip() for line in lines[4:]] == [
        "**development**",
        "**held out**",
        "**all**",
    ]


def test_labelled_boxes_shrink_to_the_ink():
    pixels = np.full((100, 200, 3), 255, np.uint8)
    pixels[20:40, 30:60] = 0
    assert shrink(pixels, (10.0, 10.0, 110.0, 60.0), (0, 0, 50, 100)) == (25.0, 20.0, 40.0, 30.0)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the benchmark papers are not beside the checkout")
def test_labelled_parts_lie_in_the_captions():
    truth = read_truth()
    compound = [figure for figure in truth.figures if figure.panels]
    assert len(compound) >= 120
    for figure in compound:
        caption = read_caption(SHARED, figure)
        for panel in figure.panels:
            for start, end in panel.parts:
                assert 0 <= start < end <= len(caption)
                assert caption[start:end].strip() == caption[start:end]


@pytest.mark.parametrize("index", [7])
def test_drawn_figures_have_the_boxes_of_what_is_drawn(index):
    figure = draw_compound(np.random.default_rng((5, index)))
    again = draw_compound(np.random.default_rng((5, index)))
    assert np.array_equal(figure.grey, again.grey)
    assert figure.boxes == again.boxes
    ground = np.bincount(figure.grey.ravel()).argmax() if "apart" in figure.kinds else 300
    for box in figure.boxes.values():
        x0, y0, x1, y1 = (round(side / figure.scale) for side in box)
        assert 0 <= x0 < x1 <= figure.grey.shape[1]
        assert 0 <= y0 < y1 <= figure.grey.shape[0]
        assert (abs(figure.grey[y0:y1, x0:x1].astype(int) - ground) > 40).any()
    score = score_compound(figure)
    assert (score.boxes, score.matched) == (len(figure.boxes), len(figure.boxes))


def test_an_interval_is_as_wide_as_few_figures_make_it():
    right = Score(figures=1, boxes=2, predicted=2, matched=2)
    wrong = Score(figures=1, boxes=2, predicted=2, matched=0)
    assert interval([right] * 20) == "1.000 to 1.000"
    low, high = map(float, interval([right, right, right, wrong] * 5).split(" to "))
    assert 0.5 <= low <= 0.6 and 0.9 <= high <= 0.95
    plain = Score(figures=1)
    assert interval([right, plain]) == "1.000 to 1.000"


def test_a_short_grid_has_cells_of_one_size_and_an_empty_end():
    random = np.random.default_rng(0)
    found = (arrange(random, (0, 0, 600, 400), 10) for _ in range(200))
    cells = next(cells for cells, arrangement in found if arrangement == "short grid")
    sizes = {(round((x1 - x0) / 4), round((y1 - y0) / 4)) for x0, y0, x1, y1 in cells}
    assert len(sizes) == 1
    assert cells[-1][3] == 400 and cells[-1][2] < 600


def test_a_boxed_legend_stands_at_the_foot_of_its_area():
    canvas = Canvas(Image.new("L", (400, 600), 255), 2.0, 255, "DejaVuSans", 16)
    x0, y0, x1, y1 = draw_boxed_legend(canvas, np.random.default_rng(1), (0, 0, 400, 600))
    assert 0 <= x0 < x1 <= 400 and 380 < y0 < y1 <= 600
    assert canvas.inked((0, 0, 400, 600)) == (x0, y0, x1 + 1, y1 + 1)


def test_changes_are_undone_and_those_that_matter_are_told_from_the_others():
    figure = LabelledFigure("drawn", "1", "drawn", "1", 0, ())

    def find() -> list[Panel]:
        rules = panel_rules.RULES
        ground = panel_boxes._dark_ground(np.zeros((50, 50)), rules)
        return [Panel("a", (0.0, 0.0, rules.levels[1][0], 1.0), str(ground))]

    before, changes = find(), ablate.all_changes()
    found = ablate.find_different(PanelInput(figure, "", find), before, changes)
    assert {str(change): panels[0].box[2] for change, panels in found} == {
        "without black ground": 0.01,
        "cuts.levels[1][0] = 0.0075": 0.0075,
        "cuts.levels[1][0] = 0.0125": 0.0125,
        "cuts.ink = 262": 0.01,  # no pixel is black then
    }
    assert find() == before


def test_effects_are_sums_over_sources_of_a_set():
    sources = [PanelSource("published"), PanelSource("published"), PanelSource("drawn")]
    change, idle = ablate.Change(rule="plate"), ablate.Change(rule="stray letter")
    scores = [Score(boxes=4, predicted=4, matched=count) for count in (4, 3, 2)]
    better = (1, Score(matched=1))
    found = [(scores[0], {}), (scores[1], {change: better}), (scores[2], {change: better})]
    lines = ablate.table(sources, [change, idle], found).splitlines()
    assert lines[0] == "published: 8 boxes, F1 0.875"
    assert lines[6] == "| without plate | 1 | +125.0 |  |  |  |  | 1 | +250.0 |  |"
    assert lines[-1] == "No difference in any figure (1): without stray letter"
