"""The type of a line: that of its baseline, however many subscripts it has."""

import pytest
from pdf_samples import COLUMN, HEIGHT, LEFT, RIGHT, Sheet, check, read
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

from cephalo.dataset_scripts.pdf.pdfium import open_document, open_page
from cephalo.dataset_scripts.pdf.text import Line, read_lines

SIZE, SMALL, DROP = 9.0, 6.3, 2.0  # points; subscripts stand lower by the last
ALLOY = "(Ti_0.5-x Zr_0.5-x Nb_2x )_1 (Mn_0.5 Cr_0.5 )_2 "


def draw(canvas: Canvas, x: float, y: float, text: str, drop: float = DROP) -> float:
    """Write "Mn_0.5 Cr": what stands between "_" and the next space is small, and lower.

    Returns where it ends.
    """
    for number, part in enumerate(text.split("_")):
        small, _, rest = part.partition(" ") if number else ("", "", part)
        for piece, size, below in ((small, SMALL, drop), (rest, SIZE, 0.0)):
            canvas.setFont("Times-Roman", size)
            canvas.drawString(x, y - below, piece)
            x += stringWidth(piece, "Times-Roman", size)
    return x


def lines_of(path) -> list[Line]:
    with open_document(path) as document, open_page(document, 0) as page:
        return sorted(read_lines(page), key=lambda line: line.span)


@pytest.mark.parametrize("upwards", [False, True])
def test_a_line_of_subscripts_has_the_size_and_place_of_its_letters(tmp_path, upwards):
    canvas = Canvas(str(tmp_path / "a.pdf"), pagesize=(600, 600))
    if upwards:
        canvas.rotate(90)
        canvas.translate(0, -600)
    draw(canvas, 72, 300, f"{ALLOY} alloys")
    canvas.save()
    (line,) = lines_of(tmp_path / "a.pdf")
    assert line.size == pytest.approx(SIZE)
    assert line.box[3] == pytest.approx(300 + 0.2 * SIZE, abs=0.1)


def test_small_capitals_keep_their_size(tmp_path):
    canvas = Canvas(str(tmp_path / "a.pdf"), pagesize=(600, 600))
    draw(canvas, 72, 300, "R_ESULTS A_ND D_ISCUSSION ", drop=0.0)
    canvas.save()
    (line,) = lines_of(tmp_path / "a.pdf")
    assert line.size == pytest.approx(SMALL)


def test_a_caption_with_a_line_of_formulae_is_whole(tmp_path):
    sheet = Sheet(tmp_path / "paper.pdf")
    box = [LEFT, 72.0, LEFT + COLUMN, 222.0]
    sheet.image(box)
    rows = [
        "Figure 1. Patterns of the as-cast alloys, from above:",
        f"{ALLOY} and",
        "(Ce_0.65 La_0.35 )(Ni_3.8 Al_0.4 Fe_0.4 Mn_0.4 ), with the most",
        "intensive reflections in the insets.",
    ]
    for number, row in enumerate(rows):
        draw(sheet.canvas, LEFT, HEIGHT - 236 - 11 * number, row)
    sheet.body(LEFT, 300, 700)
    sheet.body(RIGHT, 72, 700)
    words = "Patterns of the as-cast alloys, from above: (Ti0.5-xZr0.5-xNb2x)1 (Mn0.5Cr0.5)2 and"
    words += " (Ce0.65La0.35)(Ni3.8Al0.4Fe0.4Mn0.4), with the most intensive reflections in the"
    check(read(sheet), [("Figure 1", f"{words} insets.", 0, box)])
