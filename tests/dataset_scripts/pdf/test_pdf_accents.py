# ruff: noqa: RUF001  (accents are what this is about)
"""Accents that a page draws as glyphs of their own, beside or away from their letters."""

from pathlib import Path

import matplotlib
import pytest
from pdf_samples import HEIGHT, LEFT, Sheet
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

from cephalo.dataset_scripts.pdf import accents as module
from cephalo.dataset_scripts.pdf.pdfium import open_document, open_page
from cephalo.dataset_scripts.pdf.text import read_lines

SIZE = 10.0
RAISED = 0.18 * SIZE  # an accent of a capital


@pytest.fixture(scope="module", autouse=True)
def font():
    fonts = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"
    pdfmetrics.registerFont(TTFont("DejaVu", fonts))


def draw(sheet: Sheet, parts: list[str], accents: list[tuple[int, str]], late: bool) -> None:
    """Set `parts` after each other; an accent goes over the first letter of the part it names.

    It is stored behind that part, or, if `late`, at the end of the line.
    """
    canvas, base = sheet.canvas, HEIGHT - 100.0
    canvas.setFont("DejaVu", SIZE)
    x, after = LEFT, []
    for number, part in enumerate(parts):
        canvas.drawString(x, base, part)
        for sign in (sign for owner, sign in accents if owner == number):
            middle = x + canvas.stringWidth(part[0], "DejaVu", SIZE) / 2
            left = middle - canvas.stringWidth(sign, "DejaVu", SIZE) / 2
            place = (left, base + (RAISED if part[0].isupper() else 0), sign)
            if late:
                after.append(place)
            else:
                canvas.drawString(*place)
        x += canvas.stringWidth(part, "DejaVu", SIZE)
    for place in after:
        canvas.drawString(*place)
    canvas.save()


def lines_of(path: Path) -> list[str]:
    with open_document(path) as document, open_page(document, 0) as page:
        return [line.text for line in read_lines(page)]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    ("parts", "accents", "text"),
    [
        (["spaced 3.27 ", "A, which is"], [(1, "˚")], "spaced 3.27 Å, which is"),
        (["of Schr", "odinger and ", "Ulm"], [(1, "¨"), (2, "¨")], "of Schrödinger and Ülm"),
        (["by Fran", "cois"], [(1, "¸")], "by François"),
        (["by Rodr", "ıguez"], [(1, "´")], "by Rodríguez"),
        (["the v", "ögel"], [(1, "¨")], "the vögel"),  # drawn twice
    ],
)
def test_an_accent_is_put_on_the_letter_under_it(tmp_path, parts, accents, text, late):
    sheet = Sheet(tmp_path / "page.pdf")
    draw(sheet, parts, accents, late)
    assert lines_of(sheet.path) == [text]


def test_the_dot_of_a_derivative_is_put_on_its_letter(tmp_path):
    sheet = Sheet(tmp_path / "page.pdf")
    canvas, base = sheet.canvas, HEIGHT - 100.0
    canvas.setFont("DejaVu", SIZE)
    canvas.drawString(LEFT, base, "uptake (M")
    middle = LEFT + canvas.stringWidth("uptake (", "DejaVu", SIZE) + 0.43 * SIZE
    canvas.drawCentredString(middle, base + 0.48 * SIZE, "·")
    canvas.drawString(LEFT + canvas.stringWidth("uptake (M", "DejaVu", SIZE) - 0.5, base, "O2) is")
    canvas.save()
    assert lines_of(sheet.path) == ["uptake (ṀO2) is"]


@pytest.mark.parametrize("text", ["at 100˚C in air", "the person´s hand", "a ¨ b", "by M·a"])
def test_a_sign_beside_letters_stays(tmp_path, text):
    sheet = Sheet(tmp_path / "page.pdf")
    draw(sheet, [text], [], False)
    assert lines_of(sheet.path) == [text]


def test_a_page_of_accents_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_MOST", 1)
    sheet = Sheet(tmp_path / "page.pdf")
    draw(sheet, ["An ", "A, an ", "A and so on"], [(1, "˚"), (2, "˚")], True)
    assert " ".join(lines_of(sheet.path)).count("Å") == 1
