"""The benchmark of extraction: what it calls a failure, and the sheet that shows it."""

from types import SimpleNamespace

import numpy as np
import pytest
from pdf_samples import one_figure

from benchmarks import bench_failures

TRUE = {"label": "Figure 1", "caption": "Hardness.", "page": 0, "bbox": [60, 72, 296, 222]}


def scorer(ratio: float, overlap: float, label: bool) -> SimpleNamespace:
    """Stands for the benchmark's score.py: one figure, one prediction, scored as given."""
    table = {"R": ratio, "I": overlap, "Lb": label}
    scores = {name: np.array([[value]], float) for name, value in table.items()}
    scores["pair"] = {0: 0} if ratio >= bench_failures.SAME else {}
    empty = {"R": np.zeros((0, 0)), "I": np.zeros((0, 0)), "Lb": np.zeros((0, 0)), "pair": {}}
    return SimpleNamespace(
        is_table=lambda row: False,
        has_box=lambda truth: True,
        score_doc=lambda truths, found, text, iou: scores if truths else empty,
    )


@pytest.mark.parametrize(
    ("ratio", "overlap", "label", "reasons"),
    [
        (1.0, 0.9, True, []),
        (1.0, 0.6, True, ["box: IoU 0.60"]),
        (1.0, 0.9, False, ["label: Figure 1 was read as Fig. 2"]),
        (0.5, 0.9, True, ["invented: best caption 0.50", "missed: best caption 0.50"]),
    ],
)
def test_each_failure_has_its_reason(tmp_path, ratio, overlap, label, reasons):
    row = TRUE | {"pdf": "one.pdf", "label": "Fig. 2", "bbox": [60, 72, 200, 222]}
    truths = {"one": {"figures": [TRUE]}}
    failures = bench_failures.find_failures(scorer(ratio, overlap, label), truths, [row], tmp_path)
    assert [failure.reason for failure in failures] == reasons


def test_the_sheet_draws_both_boxes_on_a_crop_of_the_page(tmp_path):
    one_figure(tmp_path / "one.pdf")
    ours = TRUE | {"label": "<Fig. 2>", "bbox": [60, 72, 178, 222]}
    failure = bench_failures.Failure(tmp_path / "one.pdf", "box: IoU 0.50", TRUE, ours)
    view = bench_failures.view(failure)
    assert view.width == 236 + 2 * bench_failures.MARGIN
    left, top, width, height = view.boxes["ours"]
    assert np.allclose((left, width), (100 * 30 / 296, 100 * 118 / 296))
    assert np.allclose((top, height), (100 * 30 / 210, 100 * 150 / 210))
    bench_failures.write_failures(tmp_path / "sheet.html", [failure])
    page = (tmp_path / "sheet.html").read_text()
    assert "box: IoU 0.50" in page and "&lt;Fig. 2&gt;" in page and "<Fig. 2>" not in page
    assert page.count('class="box') == 2 and "data:image/jpeg;base64," in page


def test_a_missed_figure_without_a_known_page_has_no_picture(tmp_path):
    missed = {"label": "Table 1", "caption": "Values.", "page": None, "bbox": None}
    failure = bench_failures.Failure(tmp_path / "gone.pdf", "missed", missed, None)
    assert bench_failures.view(failure) is None
