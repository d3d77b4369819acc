"""What stands near a figure and is not of it, and what stands off and is."""

import pytest
from pdf_samples import COLUMN, FULL, LEFT, RIGHT, Sheet, check, read


@pytest.fixture
def sheet(tmp_path) -> Sheet:
    return Sheet(tmp_path / "sample.pdf")


def test_a_caption_whose_figure_is_on_the_page_before_takes_no_other_figure(sheet):
    for page in range(2):  # captions below, as in the rest of the paper
        sheet.image([LEFT, 72, LEFT + FULL, 300], page)
        sheet.caption(LEFT, 308, f"Figure {page + 1}.", "A spectrum.", FULL)
        sheet.body(LEFT, 340, 700)
        sheet.body(RIGHT, 340, 700)
        sheet.next()
    sheet.caption(LEFT, 72, "Figure 3.", "Its figure did not fit with it.", FULL)
    box = [LEFT, 95, LEFT + FULL, 320]
    sheet.image(box, 3)
    sheet.caption(LEFT, 340, "Figure 4.", "Another spectrum.", FULL)
    sheet.body(LEFT, 400, 700)
    sheet.body(RIGHT, 400, 700)
    rows = [row for row in read(sheet) if row["page"] == 2]
    check(rows, [("Figure 4", "Another spectrum.", 2, box)])


def test_bold_names_of_panels_at_the_edge_of_the_column_are_no_headings(sheet):
    box = [LEFT, 72, LEFT + COLUMN, 240]
    sheet.canvas.rect(LEFT, 792 - 240, COLUMN, 168)
    for y, words in ((80, ("External", "calibration")), (160, ("Internal", "calibration"))):
        for row, word in enumerate(words):
            sheet.text(LEFT, y + 9.6 * row, word, size=8, font="Helvetica-Bold")
    sheet.caption(LEFT, 250, "Figure 1.", "Calibration modes.")
    sheet.body(LEFT, 290, 700)
    sheet.body(RIGHT, 72, 700)
    check(read(sheet), [("Figure 1", "Calibration modes.", 0, box)])


@pytest.mark.parametrize("number", ["38", "y"])
def test_a_page_number_or_the_name_of_an_axis_is_not_of_the_caption_above(sheet, number):
    box = [LEFT, 72, LEFT + FULL, 640]
    sheet.image(box)
    sheet.text(190, 650, "Figure 1: The director circumference of an ellipse", FULL)
    sheet.text(300, 663, number)
    sheet.next()
    sheet.body(LEFT, 72, 700, FULL)
    check(read(sheet), [("Figure 1", "The director circumference of an ellipse", 0, box)])


def test_a_logo_over_the_title_is_not_of_the_first_figure(sheet):
    sheet.image([480, 40, 560, 120], 1)
    sheet.text(90, 265, "Transformations of the positions", 380, 20, font="Helvetica-Bold")
    sheet.body(LEFT, 330, 700)
    box = [RIGHT, 430, RIGHT + 160, 540]
    sheet.image(box, 2)
    sheet.caption(RIGHT, 550, "Figure 1.", "The frame of reference, with its origin.", 190)
    sheet.body(RIGHT, 600, 700)
    check(read(sheet), [("Figure 1", "The frame of reference, with its origin.", 0, box)])


def test_the_name_of_an_upright_axis_stands_off_from_its_numbers(sheet):
    box = [LEFT + 60, 72, LEFT + 360, 260]
    sheet.plot(box)
    canvas = sheet.canvas
    canvas.saveState()
    canvas.translate(LEFT + 60 - 16, 792 - 180)
    canvas.rotate(90)
    canvas.setFont("Helvetica", 8)
    canvas.drawString(0, 0, "Hardness (HV)")
    canvas.restoreState()
    sheet.caption(LEFT, 275, "Figure 1.", "Hardness over time. " * 6, FULL)
    sheet.body(LEFT, 330, 700)
    sheet.body(RIGHT, 330, 700)
    (row,) = read(sheet)
    assert row["bbox"][0] < LEFT + 60 - 20


def test_maps_are_counted_apart_from_figures(sheet):
    boxes = [[LEFT, 72, LEFT + 200, 200], [RIGHT, 72, RIGHT + 200, 200]]
    for box, word in zip(boxes, ("Figure", "Carte"), strict=True):
        sheet.image(box, len(word))
        sheet.caption(box[0], 210, f"{word} 1 :", "Puissance solaire en Europe.")
        sheet.body(box[0], 250, 700)
    text = "Puissance solaire en Europe."
    check(read(sheet), [("Figure 1", text, 0, boxes[0]), ("Carte 1", text, 0, boxes[1])])


def test_letters_far_under_their_panels_are_no_wall(sheet):
    boxes = [[LEFT, 72, LEFT + 200, 200], [RIGHT, 72, RIGHT + 200, 200]]
    for box, letter in zip(boxes, "ab", strict=True):
        sheet.image(box, ord(letter))
        sheet.text(box[0] + 95, 240, f"({letter})")
    sheet.caption(LEFT, 265, "Figure 1.", "Two pictures, moved and scaled. " * 4, FULL)
    sheet.body(LEFT, 320, 700)
    sheet.body(RIGHT, 320, 700)
    (row,) = read(sheet)
    assert row["bbox"][0] < LEFT + 5 and row["bbox"][2] > RIGHT + 195
