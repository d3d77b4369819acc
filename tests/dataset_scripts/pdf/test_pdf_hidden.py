"""Text that no reader sees: white on white, without ink, under a picture, off the page."""

import pytest
from pdf_samples import COLUMN, LEFT, RIGHT, Sheet, check, read
from PIL import Image
from reportlab.lib.utils import ImageReader

BOX = [LEFT, 72, LEFT + COLUMN, 222]
SEEN = ("Figure 1", "The caption that a reader sees.", 0, BOX)


@pytest.fixture
def sheet(tmp_path) -> Sheet:
    """A page with a figure and its caption, and room below and over the figure."""
    sheet = Sheet(tmp_path / "sample.pdf")
    sheet.caption(LEFT, 230, "Figure 1.", "The caption that a reader sees.")
    sheet.body(LEFT, 290, 560)
    sheet.body(RIGHT, 72, 700)
    return sheet


def test_white_text_on_paper(sheet):
    sheet.image(BOX)
    sheet.image([LEFT, 600, LEFT + COLUMN, 700], 1)
    sheet.canvas.setFillColorRGB(1, 1, 1)
    sheet.caption(LEFT, 580, "Figure 2.", "White on white.")
    check(read(sheet), [SEEN])


def test_white_text_on_a_dark_bar_is_seen(sheet):
    second = [LEFT, 600, LEFT + COLUMN, 700]
    sheet.image(BOX)
    sheet.image(second, 1)
    sheet.canvas.rect(LEFT, 792 - 596, COLUMN, 18, fill=1)
    sheet.canvas.setFillColorRGB(1, 1, 1)
    sheet.caption(LEFT + 4, 582, "Figure 2.", "White on black.", COLUMN - 8)
    check(read(sheet), [SEEN, ("Figure 2", "White on black.", 0, second)])


def test_text_without_ink(sheet):
    sheet.image(BOX)
    sheet.image([LEFT, 600, LEFT + COLUMN, 700], 1)
    text = sheet.canvas.beginText(LEFT, 792 - 590)
    text.setTextRenderMode(3)
    text.setFont("Times-Roman", 9)
    text.textLine("Figure 2. Neither filled nor stroked.")
    sheet.canvas.drawText(text)
    check(read(sheet), [SEEN])


def test_text_under_a_picture(sheet):
    sheet.caption(LEFT, 100, "Figure 7.", "Left from the next page, under the picture.")
    sheet.image(BOX)
    check(read(sheet), [SEEN])


def test_text_under_a_transparent_picture_is_seen(sheet):
    sheet.image(BOX)
    second = [LEFT, 600, LEFT + COLUMN, 700]
    sheet.image(second, 1)
    end = sheet.caption(LEFT, 580, "Figure 2.", "Under glass.")
    glass = ImageReader(Image.new("RGBA", (20, 20), (255, 255, 0, 60)))
    sheet.canvas.drawImage(glass, LEFT - 4, 792 - end - 2, COLUMN + 8, 18, mask="auto")
    assert [row["caption"] for row in read(sheet)] == [SEEN[1], "Under glass."]


def test_text_off_the_page(sheet):
    sheet.image(BOX)
    sheet.caption(LEFT, 800, "Figure 2.", "Below the edge of the page.")
    sheet.caption(640, 100, "Figure 3.", "Right of the page.")
    check(read(sheet), [SEEN])
