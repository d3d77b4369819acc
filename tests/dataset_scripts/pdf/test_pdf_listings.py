"""Figures that are text: programs under or over a caption, and what is none."""

import pytest
from pdf_samples import COLUMN, FULL, LEFT, RIGHT, Sheet, check, read

PROGRAM = (
    ("graph G {", ""),
    ("  run -- intr;", "/* a comment */"),
    ("  intr -- runbl;", ""),
    ("  runbl -- run;", "/* another one */"),
    ("  run -- kernel;", ""),
    ("}", ""),
)


@pytest.fixture
def sheet(tmp_path) -> Sheet:
    return Sheet(tmp_path / "sample.pdf")


def program(sheet: Sheet, x: float, y: float) -> list[float]:
    """A program of six lines with comments at a tab stop; returns its box."""
    for row, (code, comment) in enumerate(PROGRAM):
        sheet.text(x, y + 10 * row, code, size=8, font="Courier")
        sheet.text(x + 120, y + 10 * row, comment, size=8, font="Courier")
    return [x, y, x + 120 + 17 * 4.8, y + 60]


@pytest.mark.parametrize("above", [True, False])
def test_a_program_is_the_figure_of_its_caption(sheet, above):
    sheet.body(LEFT, 72, 200)
    if above:
        sheet.caption(LEFT, 215, "Figure 1.", "A small graph.")
        box = program(sheet, LEFT, 232)
    else:
        box = program(sheet, LEFT, 215)
        sheet.caption(LEFT, 284, "Figure 1.", "A small graph.")
    sheet.body(LEFT, 320, 700)
    sheet.body(RIGHT, 72, 700)
    check(read(sheet), [("Figure 1", "A small graph.", 0, box)])


def test_a_program_across_both_columns_ends_at_the_rule_under_the_running_head(sheet):
    sheet.text(LEFT, 60, "4.2. The basic usage of graphs", size=8, font="Helvetica")
    sheet.canvas.line(LEFT, 792 - 74, LEFT + FULL, 792 - 74)
    box = program(sheet, 150, 82)
    sheet.caption(
        LEFT, 152, "Figure 1.", "A small graph that goes on across the columns. " * 3, FULL
    )
    for x in (LEFT, RIGHT):
        sheet.body(x, 200, 700)
    (row,) = read(sheet)
    assert row["bbox"][1] > 76
    check([row | {"caption": ""}], [("Figure 1", "", 0, box)])


def test_a_caption_without_its_figure_does_not_take_running_text(sheet):
    sheet.body(LEFT, 72, 300)
    sheet.caption(LEFT, 310, "Figure 1.", "A figure that is on another page.")
    sheet.body(LEFT, 330, 700)
    sheet.body(RIGHT, 72, 500)
    for row in range(12):  # references, in smaller type
        text = "[3] The hardness of samples. Journal of Samples 12, 2024."
        sheet.text(RIGHT, 510 + 10 * row, text, size=8)
    sheet.caption(RIGHT, 640, "Figure 2.", "Another one.")
    assert read(sheet) == []


@pytest.mark.parametrize("head", [False, True])
def test_a_framed_text_is_the_figure_of_the_caption_under_it(sheet, head):
    sheet.body(LEFT, 72, 200)
    box = [LEFT, 215, LEFT + COLUMN, 340]
    sheet.canvas.rect(LEFT, 792 - 340, COLUMN, 125)
    if head:
        sheet.canvas.setFillGray(0.8)
        sheet.canvas.rect(LEFT, 792 - 231, COLUMN, 16, fill=1)
        sheet.canvas.setFillGray(0)
        sheet.text(LEFT + 6, 218, "Prompt")
    sheet.body(LEFT + 6, 236, 330, COLUMN - 12)
    sheet.caption(LEFT, 350, "Figure 1.", "What the model was told.")
    sheet.body(LEFT, 380, 700)
    sheet.body(RIGHT, 72, 700)
    check(read(sheet), [("Figure 1", "What the model was told.", 0, box)])


def test_a_framed_text_is_no_figure_of_a_caption_that_has_one(sheet):
    box = [LEFT, 72, LEFT + COLUMN, 200]
    sheet.image(box)
    sheet.caption(LEFT, 210, "Figure 1.", "Hardness of the samples.")
    sheet.canvas.rect(LEFT, 792 - 400, COLUMN, 170)
    sheet.body(LEFT + 6, 240, 395, COLUMN - 12)
    sheet.body(LEFT, 420, 700)
    sheet.body(RIGHT, 72, 700)
    check(read(sheet), [("Figure 1", "Hardness of the samples.", 0, box)])


def steps(sheet: Sheet, x: float, y: float, count: int = 6, size: float = 10) -> list[float]:
    """An algorithm of short lines in the type of the body; returns its box."""
    for row in range(count):
        sheet.text(x, y + 12 * row, f"{row + 1}. heating of the sample in air", size=size)
    return [x, y, x + 12.3 * size, y + 12 * count]


@pytest.mark.parametrize("head", [False, True])
def test_prose_that_white_space_parts_from_the_text_is_a_figure(sheet, head):
    for page in range(2):  # where the document's figures lie
        sheet.image([LEFT, 72, LEFT + FULL, 200])
        sheet.caption(LEFT, 210, f"Figure {page + 1}.", "Hardness of the samples.", FULL)
        sheet.body(LEFT, 250, 700, FULL)
        sheet.next()
    top = 72 if head else 300
    if not head:
        sheet.body(LEFT, 72, 270, FULL)
    for row in range(2):
        sheet.text(LEFT, top + 39 * row, "The king of the dragons came to the town. " * 6, FULL)
    box = [LEFT, top, LEFT + FULL, top + 75]
    sheet.caption(220, top + 85, "Figure 3.", "A tale for small models.")
    sheet.body(LEFT, top + 120, 700, FULL)
    check(read(sheet)[2:], [("Figure 3", "A tale for small models.", 2, box)])


def test_steps_in_the_type_of_the_body_are_a_figure_with_white_space_around_them(sheet):
    sheet.body(LEFT, 72, 200)
    box = steps(sheet, LEFT + 20, 220)
    sheet.caption(LEFT, 304, "Figure 1.", "How the samples were made.")
    sheet.body(LEFT, 340, 700)
    sheet.body(RIGHT, 72, 700)
    check(read(sheet), [("Figure 1", "How the samples were made.", 0, box)])


def test_steps_beside_a_picture_are_a_figure_of_their_own(sheet):
    sheet.body(LEFT, 72, 200, FULL)
    sheet.image([320, 220, 540, 292])
    box = steps(sheet, LEFT + 20, 220)
    sheet.caption(LEFT + 10, 304, "Figure 1.", "How samples were made.", 180)
    sheet.caption(330, 304, "Figure 2.", "Hardness of the samples.", 200)
    sheet.body(LEFT, 340, 700, FULL)
    first, second = read(sheet)
    check([first], [("Figure 1", "How samples were made.", 0, box)])
    check([second], [("Figure 2", "Hardness of the samples.", 0, [320, 220, 540, 292])])


def test_a_long_program_with_empty_lines_is_one_figure_without_the_page_number(sheet):
    sheet.body(LEFT, 72, 700, FULL)
    sheet.next()
    sheet.text(LEFT + FULL - 5, 50, "7", size=8)
    y = 80.0
    for part in range(4):
        for row in range(8):
            code = "field = Spec(name, frequency, description, default, store, format, width, path)"
            sheet.text(LEFT, y, code if row % 3 else "fields = [", FULL + 60, 8, font="Helvetica")
            y += 9.5
        y += 11 * (part < 3)
    box = [LEFT, 80, LEFT + 300, y]
    sheet.caption(LEFT, y + 12, "Figure 1.", "What is stored, and how, told in words. " * 2, FULL)
    sheet.body(LEFT, y + 60, 700, FULL)
    (row,) = read(sheet)
    assert row["page"] == 1
    check([row | {"caption": "", "page": 1}], [("Figure 1", "", 1, box)])


def test_two_ruled_tables_over_one_caption_are_its_figure(sheet):
    sheet.body(LEFT, 72, 200, FULL)
    y = 230.0
    box = [LEFT + 40, y, LEFT + 400, y + 200]
    for letter in "ab":
        for at in (0, 16, 76):
            sheet.canvas.line(LEFT + 40, 792 - y - at, LEFT + 400, 792 - y - at)
        for row in range(5):
            for column in range(4):
                at = y + 3 + 14 * row + 2 * (row > 0)
                sheet.text(LEFT + 46 + 90 * column, at, f"{row}.{column}7", size=9)
        sheet.text(LEFT + 200, y + 84, f"({letter}) Samples", size=9)
        y += 106
    sheet.caption(LEFT, y + 4, "Figure 1.", "Hardness of the samples before and after.", FULL)
    sheet.body(LEFT, y + 50, 700, FULL)
    check(read(sheet), [("Figure 1", "Hardness of the samples before and after.", 0, box)])


@pytest.mark.parametrize("foot", [True, False])
def test_running_text_is_no_figure_of_a_caption_whose_figure_is_missing(sheet, foot):
    sheet.image([LEFT, 72, LEFT + FULL, 200])
    sheet.caption(LEFT, 210, "Figure 1.", "Hardness of the samples.", FULL)
    sheet.body(LEFT, 250, 700, FULL)
    sheet.next()
    if foot:
        sheet.body(LEFT, 72, 660, FULL)
        sheet.caption(LEFT, 684, "Figure 2.", "What is on another page.", FULL)
    else:
        sheet.caption(LEFT, 72, "Figure 2.", "What is on another page.", FULL)
        sheet.body(LEFT, 110, 700, FULL)
    assert [row["label"] for row in read(sheet)] == ["Figure 1"]


def test_a_text_at_a_second_caption_of_a_number_is_not_its_figure(sheet):
    image = [LEFT, 72, LEFT + COLUMN, 180]
    sheet.image(image)
    sheet.caption(LEFT, 190, "Figure 1.", "Hardness of the samples.")
    sheet.body(LEFT, 230, 700)
    sheet.body(RIGHT, 72, 200)
    program(sheet, RIGHT, 215)
    sheet.caption(RIGHT, 284, "Figure 1.", "A small graph.")
    sheet.body(RIGHT, 320, 700)
    check(read(sheet), [("Figure 1", "Hardness of the samples.", 0, image)])
