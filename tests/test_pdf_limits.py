"""Pages that are made to take long."""

import time

import pytest
from pdf_samples import LEFT, Sheet

from cephalo.dataset_scripts.pdf.document import extract_document


@pytest.mark.parametrize(("step", "side"), [(5.0, 1.0), (20.0, 13.0)])
def test_thousands_of_loose_marks_end_in_seconds(tmp_path, step, side):
    sheet = Sheet(tmp_path / "marks.pdf")
    for row in range(int(340 // step)):
        for column in range(int(480 // step)):
            x, y = LEFT + column * step, 792 - 90 - row * step
            sheet.canvas.rect(x, y, side, side, stroke=0, fill=1)
    sheet.caption(LEFT, 450, "Figure 1.", "Very many marks.", 480)
    sheet.body(LEFT, 490, 700)
    sheet.body(LEFT + 256, 490, 700)
    sheet.save()
    started = time.monotonic()
    rows = extract_document(tmp_path / "marks.pdf").rows
    assert time.monotonic() - started < 20
    assert [row["label"] for row in rows] == ["Figure 1"] or side == 1.0
