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
