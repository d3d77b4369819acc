"""Columns with a narrow gutter, whose text comes row by row."""

from pathlib import Path

import pytest
from pdf_samples import HEIGHT, LEFT, SENTENCE, Sheet
from reportlab.lib.utils import simpleSplit

from cephalo.dataset_scripts.common.geometry import iou
from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf.document import extract_document
from cephalo.dataset_scripts.pdf.text import read_lines

WORDS = SENTENCE * 12


def justified(sheet: Sheet, x: float, y: float, line: str, width: float) -> None:
    """Set a line of 10 points to a width by its spaces."""
    text = sheet.canvas.beginText(x, HEIGHT - y)
    text.setFont("Times-Roman", 10)
    free = width - sheet.canvas.stringWidth(line, "Times-Roman", 10)
    text.setWordSpace(free / max(line.count(" "), 1) if free < 0.25 * width else 0)
    text.textOut(line)
    sheet.canvas.drawText(text)


def rows(sheet: Sheet, top: float, count: int, columns: int, gutter: float) -> list[str]:
    """Fill columns row by row, with their first lines of paragraphs indented."""
    width = (492 - gutter * (columns - 1)) / columns
    lines = simpleSplit(WORDS, "Times-Roman", 10, width - 12)
    expected = []
    for row in range(count):
        for column in range(columns):
            line = lines[(row + 7 * column) % (len(lines) - 1)]
            indent = 12.0 if (row + column) % 9 == 5 else 0.0
            x = LEFT + column * (width + gutter) + indent
            justified(sheet, x, top + 12 * row, line, width - indent)
            expected.append(line)
    return expected


def lines_of(path: Path) -> list[str]:
    with fast.open_document(path) as document, fast.open_page(document, 0) as page:
        return [line.text for line in read_lines(page)]


@pytest.mark.parametrize("columns", [2, 3])
@pytest.mark.parametrize("gutter", [7.0, 10.0, 14.0, 24.0])
def test_a_narrow_gutter_parts_the_columns(tmp_path, columns, gutter):
    sheet = Sheet(tmp_path / "columns.pdf")
    sheet.text(LEFT, 60, "A title across all of the columns of this page, above the text", 492, 14)
    expected = rows(sheet, 120, 40, columns, gutter)
    found = lines_of(sheet.save())
    assert sorted(found[-len(expected) :] + found[: -len(expected)]) == sorted(
        [*expected, "A title across all of the columns of this page, above the text"]
    )


def test_wide_spaces_of_justified_lines_part_nothing(tmp_path):
    sheet = Sheet(tmp_path / "wide.pdf")
    lines = simpleSplit(SENTENCE * 9, "Times-Roman", 10, 150)[:50]
    for row, line in enumerate(lines):
        justified(sheet, LEFT, 80 + 12 * row, line, 176)
    assert sorted(lines_of(sheet.save())) == sorted(lines)


def test_numbers_of_a_list_stay_with_their_entries(tmp_path):
    sheet = Sheet(tmp_path / "list.pdf")
    for row in range(30):
        sheet.canvas.setFont("Times-Roman", 10)
        sheet.canvas.drawString(LEFT, 700 - 12 * row, f"[{row + 10}]")
        sheet.canvas.drawString(LEFT + 26, 700 - 12 * row, "An entry of the list, with its title.")
    assert sorted(lines_of(sheet.save())) == [
        f"[{row + 10}] An entry of the list, with its title." for row in range(30)
    ]


def test_a_figure_in_columns_that_come_row_by_row(tmp_path):
    sheet = Sheet(tmp_path / "figure.pdf")
    box = [LEFT, 80.0, LEFT + 236, 230.0]
    sheet.image(box)
    sheet.caption(LEFT, 240, "Figure 1.", "Hardness of the samples.")
    lines = simpleSplit(WORDS, "Times-Roman", 10, 230)
    for row in range(14):
        justified(sheet, LEFT + 246, 90 + 12 * row, lines[row], 246)
    rows(sheet, 290, 30, 2, 10.0)
    (row,) = extract_document(sheet.save()).rows
    assert row["caption"] == "Hardness of the samples."
    assert iou(row["bbox"], box) > 0.95
