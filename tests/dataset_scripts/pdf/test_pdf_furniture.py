"""Furniture: what of a page is no part of its text."""

from contextlib import closing

from pdf_samples import COLUMN, FULL, LEFT, RIGHT, Sheet

from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf.furniture import part_furniture
from cephalo.dataset_scripts.pdf.layout import PageContent
from cephalo.dataset_scripts.pdf.reading import read_pages


def parted(sheet: Sheet, pages: int) -> list[PageContent]:
    """The pages of a sheet without their furniture."""
    with fast.open_document(sheet.save()) as document, closing(fast.Pages(document)) as source:
        contents, _ = read_pages(source, pages)
    part_furniture(contents)
    return contents


def test_running_heads_page_numbers_and_small_marks_that_repeat_are_furniture(tmp_path):
    sheet = Sheet(tmp_path / "sample.pdf")
    for page in range(4):
        sheet.text(LEFT, 40, f"Journal of Samples, page {page + 1}", size=8)
        sheet.image([500, 30, 530, 50])
        sheet.image([LEFT, 100, LEFT + FULL, 300], seed=page)
        sheet.text(LEFT, 320 + 20 * page, f"What is told on page number {page}.")
        sheet.text(300, 760, str(page + 1))
        sheet.next()
    for page, content in enumerate(parted(sheet, 4)):
        told = {line.text for line in content.furniture}
        assert told == {f"Journal of Samples, page {page + 1}", str(page + 1)}
        assert [line.text for line in content.lines] == [f"What is told on page number {page}."]
        assert [[round(side) for side in box] for box in content.boxes.tolist()] == [
            [LEFT, 100, LEFT + FULL, 300]
        ]


def test_numbers_beside_the_lines_are_furniture_and_ticks_are_not(tmp_path):
    sheet = Sheet(tmp_path / "sample.pdf")
    sheet.body(LEFT, 72, 200)
    for row in range(10):
        sheet.text(LEFT - 30, 72 + 12 * row, str(5 * row + 10), size=7)
        sheet.text(LEFT + 40, 300 + 12 * row, str(row), size=7)
    with fast.open_document(sheet.save()) as document, closing(fast.Pages(document)) as source:
        contents, _ = read_pages(source, 1)
    contents[0].columns = [(LEFT, LEFT + COLUMN)]
    part_furniture(contents)
    assert [line.text for line in contents[0].furniture] == [str(5 * k + 10) for k in range(10)]
    assert sum(line.text.isdecimal() for line in contents[0].lines) == 10


def test_numbers_between_two_columns_are_furniture(tmp_path):
    sheet = Sheet(tmp_path / "sample.pdf")
    sheet.body(RIGHT, 72, 200)
    for row in range(10):
        sheet.text(LEFT + COLUMN + 6, 72 + 12 * row, str(row + 159), size=5)
        sheet.text(RIGHT + 40, 300 + 12 * row, str(row), size=7)
    with fast.open_document(sheet.save()) as document, closing(fast.Pages(document)) as source:
        contents, _ = read_pages(source, 1)
    contents[0].columns = [(LEFT, LEFT + COLUMN), (RIGHT, RIGHT + COLUMN)]
    part_furniture(contents)
    assert [line.text for line in contents[0].furniture] == [str(k + 159) for k in range(10)]


def test_a_repeated_label_or_the_end_of_a_caption_is_no_furniture(tmp_path):
    sheet = Sheet(tmp_path / "sample.pdf")
    for _ in range(3):
        sheet.caption(LEFT, 60, "Figure 1.", "See the next page.")
        sheet.body(LEFT, 100, 300)
        sheet.next()
    for content in parted(sheet, 3):
        assert any(line.text.startswith("Figure 1.") for line in content.lines)
