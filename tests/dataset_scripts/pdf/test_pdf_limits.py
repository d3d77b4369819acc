"""Pages that are made to take long, and how many stay open."""

import time
from contextlib import closing

import pytest
from pdf_samples import LEFT, Sheet
from reportlab.pdfgen.canvas import Canvas

from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf.document import extract_document
from cephalo.dataset_scripts.pdf.text import read_lines


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
    started = time.process_time()  # whatever else the machine does
    rows = extract_document(tmp_path / "marks.pdf").rows
    assert time.process_time() - started < 20
    assert [row["label"] for row in rows] == ["Figure 1"]


@pytest.mark.parametrize(("room", "kept"), [(1000, [True, True, False]), (0, [False] * 3)])
def test_as_many_pages_stay_open_as_there_is_room_for(room, kept, tmp_path):
    path = tmp_path / "three.pdf"
    canvas = Canvas(str(path))
    for number in range(3):
        canvas.drawString(72, 720, f"Page {number + 1}")
        canvas.showPage()
    canvas.save()
    with fast.open_document(path) as document, closing(fast.Pages(document, room)) as pages:
        first = []
        for number in range(3):
            with pages.open(number) as page:
                pages.keep(page)
                first.append(page)
        for page, same in zip(first, kept, strict=True):
            with pages.open(page.number) as again:
                assert (again is page) == same
                assert len(read_lines(again)) == 1
