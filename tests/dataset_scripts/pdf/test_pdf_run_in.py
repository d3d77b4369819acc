"""Headings that run on into their sentence in the same row."""

from contextlib import closing

import pytest
from paper_samples import Paper, prose

from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf.reading import read_pages
from cephalo.dataset_scripts.pdf.run_in import without_bold_lines, without_run_in
from cephalo.dataset_scripts.pdf.text import Line, is_bold

SIZE = 9


@pytest.mark.parametrize(
    ("heading", "font", "rest", "read"),
    [
        ("Base models", "Times-Bold", " Our framework is plain", "Our framework is plain"),
        ("Base models.", "Times-Bold", " Our framework is", "Base models. Our framework is"),
        ("Base models", "Times-Bold", " of our framework", "Base models of our framework"),
        ("Escherichia coli", "Times-Italic", " K-12 was grown", "Escherichia coli K-12 was grown"),
        ("Growth of cells", "Times-Italic", " The cells were grown", "The cells were grown"),
    ],
)
def test_a_heading_without_a_stop_is_taken_off(tmp_path, heading, font, rest, read):
    paper = Paper(tmp_path / "sample.pdf")
    canvas = paper.canvas
    canvas.setFont(font, SIZE)
    canvas.drawString(60, 492, heading)
    width = canvas.stringWidth(heading, font, SIZE)
    canvas.setFont("Times-Roman", SIZE)
    text = f"{rest} and was tested with ten of the samples"
    canvas.drawString(60 + width, 492, text)
    paper.set(60, 310, prose(4, 20), 236)
    with fast.open_document(paper.save()) as document, closing(fast.Pages(document)) as pages:
        [page], _ = read_pages(pages, 1)
        with pages.open(0) as opened, fast.open_text(opened) as textpage:
            lines = [line for line in page.lines if line.box[1] < 305]
            [line] = without_run_in(textpage, lines)
    assert line.text == f"{read} and was tested with ten of the samples"


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        ("*3.4 Response of cells|*using one wash|In wells, it was", "In wells, it was"),
        ("They grew.|*Response of cells|The wells were", "They grew.|The wells were"),
        ("They grew in|*Response of cells|The wells", "They grew in|*Response of cells|The wells"),
        ("*Response.|The wells were", "*Response.|The wells were"),
        ("*Response of|cells in wells", "*Response of|cells in wells"),
        ("*Only bold|*in this block", "*Only bold|*in this block"),
        ("*one|*two|*three|*four|The wells", "*one|*two|*three|*four|The wells"),
    ],
)
def test_headings_in_bold_lines_of_a_block_are_taken_off(lines, kept):
    rows = [bold_or_plain(text) for text in lines.split("|")]
    left = [("*" if is_bold(row.font) else "") + row.text for row in without_bold_lines(rows)]
    assert "|".join(left) == kept


def bold_or_plain(text: str) -> Line:
    font = "Minion-Bold" if text.startswith("*") else "Minion-Roman"
    return Line(text.lstrip("*"), (0.0, 0.0, 200.0, 9.0), 9.0, font, font)
