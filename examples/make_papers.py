"""Make the sample papers of examples/papers: `python examples/make_papers.py [FOLDER]`.

Three short two-column papers about experiments that were never made. Text, figures and data are
original and dedicated to the public domain (CC0 1.0). `sample_papers.py` contains what is printed,
so that tests can compare it with the extracted rows. Repeated calls write the same bytes.
"""

import sys
from pathlib import Path

from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph
from sample_papers import (
    BOTTOM,
    COLUMN,
    GUTTER,
    HEIGHT,
    MARGIN,
    PAPERS,
    TOP,
    WIDTH,
    Figure,
    Paper,
)

BODY = ParagraphStyle(
    "body", fontName="Times-Roman", fontSize=10.5, leading=13, alignment=4, firstLineIndent=10
)
HEADING = ParagraphStyle(
    "heading", fontName="Times-Bold", fontSize=10.5, leading=13, spaceBefore=6, spaceAfter=3
)
CAPTION = ParagraphStyle("caption", fontName="Times-Roman", fontSize=8.5, leading=10.2)
TITLE = ParagraphStyle("title", fontName="Times-Bold", fontSize=17, leading=20, alignment=1)
AUTHOR = ParagraphStyle("author", fontName="Times-Italic", fontSize=10, leading=13, alignment=1)
NOTE = ParagraphStyle("note", fontName="Times-Italic", fontSize=8.5, leading=10.5, alignment=1)

SAMPLE = (
    "Sample paper made for the tests and the demonstration of Cephalo. The experiment was never "
    "made and every number is invented. Public domain: CC0 1.0, "
    "https://creativecommons.org/publicdomain/zero/1.0/"
)


def make_paper(paper: Paper, path: Path) -> list[dict]:
    """Write a paper and return the label, caption, page and box of each figure.

    Boxes are [x0, y0, x1, y1] in points, with the origin at the top left of the page.
    """
    canvas = Canvas(str(path), pagesize=(WIDTH, HEIGHT), invariant=1)
    canvas.setTitle(paper.title)
    canvas.setAuthor(paper.authors)
    canvas.setKeywords("CC0 1.0; sample made for Cephalo")
    story = [
        Paragraph(text[2:], HEADING) if text.startswith("# ") else Paragraph(text, BODY)
        for text in paper.text
    ]
    truth, page = [], 0
    last = max(figure.page for figure in paper.figures)
    while story or page <= last:
        low = _running_heads(canvas, paper, page)
        figures = [figure for figure in paper.figures if figure.page == page]
        tops = [low, low]
        for figure in sorted(figures, key=lambda figure: figure.column is not None):
            columns = (0, 1) if figure.column is None else (figure.column,)
            top = min(tops[column] for column in columns)
            box, end = _figure(canvas, figure, top)
            truth.append(
                {
                    "label": figure.label.rstrip("."),
                    "caption": figure.caption,
                    "page": page,
                    "bbox": box,
                }
            )
            for column in columns:
                tops[column] = end - 14
        for column in (0, 1):
            story = _fill(canvas, story, MARGIN + column * (COLUMN + GUTTER), tops[column])
        canvas.showPage()
        page += 1
    canvas.save()
    return sorted(truth, key=lambda row: row["label"])


def _running_heads(canvas: Canvas, paper: Paper, page: int) -> float:
    """Draw the header and footer of a page, and the title on page 1; return where the text
    begins."""
    canvas.setFont("Times-Italic", 8.5)
    canvas.drawString(MARGIN, HEIGHT - 40, "Cephalo sample papers (CC0)")
    canvas.drawRightString(WIDTH - MARGIN, HEIGHT - 40, paper.title)
    canvas.setLineWidth(0.4)
    canvas.line(MARGIN, HEIGHT - 46, WIDTH - MARGIN, HEIGHT - 46)
    canvas.drawCentredString(WIDTH / 2, 36, str(page + 1))
    top = HEIGHT - TOP
    if page == 0:
        for text, style, after in (
            (paper.title, TITLE, 6),
            (paper.authors, AUTHOR, 4),
            (SAMPLE, NOTE, 14),
        ):
            paragraph = Paragraph(text, style)
            _, high = paragraph.wrap(WIDTH - 2 * MARGIN, HEIGHT)
            paragraph.drawOn(canvas, MARGIN, top - high)
            top -= high + after
    return top


def _figure(canvas: Canvas, figure: Figure, top: float) -> tuple[list[float], float]:
    """Draw a figure and its caption below `top`; return its box and where the caption ends."""
    x = MARGIN + (figure.column or 0) * (COLUMN + GUTTER)
    width = COLUMN if figure.column is not None else WIDTH - 2 * MARGIN
    figure.draw(canvas, x, top - figure.height, width, figure.height)
    caption = Paragraph(f"<b>{figure.label}</b> {figure.caption}", CAPTION)
    _, high = caption.wrap(width, HEIGHT)
    caption.drawOn(canvas, x, top - figure.height - 8 - high)
    box = [x, HEIGHT - top, x + width, HEIGHT - top + figure.height]
    return box, top - figure.height - 8 - high


def _fill(canvas: Canvas, story: list[Paragraph], x: float, top: float) -> list[Paragraph]:
    """Set paragraphs into a column from `top` down to the margin; return the remaining ones."""
    rest = list(story)
    while rest:
        paragraph = rest[0]
        before = paragraph.style.spaceBefore
        room = top - BOTTOM - before
        parts = paragraph.split(COLUMN, room) if room > 24 else []
        if not parts:
            break
        _, high = parts[0].wrap(COLUMN, room)
        parts[0].drawOn(canvas, x, top - before - high)
        top -= before + high + paragraph.style.spaceAfter
        rest[:1] = parts[1:]
        if len(parts) > 1:
            break
    return rest


def main() -> None:
    """Write all papers to the folder named on the command line, or to examples/papers."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "papers"
    folder.mkdir(parents=True, exist_ok=True)
    for paper in PAPERS:
        path = folder / f"{paper.name}.pdf"
        make_paper(paper, path)
        print(f"{path} ({path.stat().st_size // 1000} kB)")


if __name__ == "__main__":
    main()
