"""The type of the running text, told from labels, reference lists and captions."""

import numpy as np
import pytest
from pdf_samples import FULL, LEFT, SENTENCE, Sheet, read
from reportlab.lib.utils import simpleSplit

from cephalo.dataset_scripts.common.geometry import iou
from cephalo.dataset_scripts.pdf.layout import PageContent
from cephalo.dataset_scripts.pdf.profile import body_style
from cephalo.dataset_scripts.pdf.text import Line

WORDS = SENTENCE * 3


class Pages:
    """Pages of lines being set, of 612 by 792 points."""

    def __init__(self) -> None:
        self.pages: list[PageContent] = []
        self.next()

    def next(self) -> None:
        """Begin another page."""
        number = len(self.pages)
        empty = np.zeros((0, 4)), np.zeros(0, np.uint8)
        self.pages.append(PageContent(number, 612.0, 792.0, 0, [], [], *empty))

    def line(self, x: float, base: float, width: float, size: float, font: str = "Body") -> None:
        """Set one line of a width, with about the characters that fit."""
        box = x, base - 0.8 * size, x + width, base + 0.2 * size
        text = WORDS[: max(1, int(width / (0.45 * size)))]
        self.pages[-1].lines.append(Line(text, box, size, font, font))

    def column(
        self, x: float, top: float, bottom: float, size: float, leading: float, lines: int = 8
    ) -> None:
        """Fill a column 240 points wide with paragraphs of as many lines, the last one short."""
        noise = np.random.default_rng(0)
        for number, base in enumerate(np.arange(top, bottom, leading)):
            place = number % lines
            indent = 12.0 if place == 0 and lines > 3 else 0.0
            width = 110.0 if place == lines - 1 else 240.0 - indent
            self.line(x + indent + noise.uniform(-0.02, 0.02), base, width, size)


def test_lines_that_start_within_a_hair_of_each_other_give_the_leading():
    paper = Pages()
    for _ in range(3):
        paper.column(60, 80, 700, 9.96, 11.96)
        paper.column(316, 80, 700, 9.96, 11.96)
        paper.next()
    body = body_style(paper.pages)
    assert (body.size, body.leading) == pytest.approx((9.96, 11.96), abs=0.01)
    assert body.fonts == {"Body"}


def test_ten_thousand_labels_are_no_running_text():
    paper = Pages()
    paper.column(60, 80, 700, 10, 12)
    for _ in range(4):
        paper.next()
        paper.column(60, 600, 700, 10, 12)
        for number in range(2000):
            paper.line(60 + 100 * (number % 5), 60 + number // 5 * 1.3, 30, 3, "Label")
        for number, width in enumerate(np.random.default_rng(1).uniform(60, 110, 400)):
            paper.line(520, 60 + 1.3 * number, width, 1.3, "Species")
    assert (body_style(paper.pages).size, body_style(paper.pages).leading) == (10, 12)


def test_a_reference_list_longer_than_the_paper_is_no_running_text():
    paper = Pages()
    for _ in range(3):
        paper.column(60, 80, 700, 10, 12)
        paper.column(316, 80, 700, 10, 12)
        paper.next()
    for _ in range(5):
        paper.column(60, 80, 700, 8, 9.5, lines=3)
        paper.column(316, 80, 700, 8, 9.5, lines=3)
        paper.next()
    assert (body_style(paper.pages).size, body_style(paper.pages).leading) == (10, 12)


def test_references_in_the_size_of_the_text_do_not_tell_its_leading():
    paper = Pages()
    for _ in range(2):
        paper.column(60, 80, 700, 10, 13)
        paper.next()
    for _ in range(4):
        for top in range(80, 700, 39):
            paper.line(60, top, 240, 10)
            paper.line(60, top + 13, 240, 10)
            paper.line(60, top + 26, 80, 10)
        paper.next()
    assert body_style(paper.pages).leading == 13


def test_double_spacing():
    paper = Pages()
    for _ in range(3):
        paper.column(60, 80, 700, 12, 27.6)
        paper.next()
    assert (body_style(paper.pages).size, body_style(paper.pages).leading) == (
        12,
        pytest.approx(27.6),
    )


def test_a_paper_without_a_passage_is_in_the_type_of_most_characters():
    paper = Pages()
    paper.line(60, 100, 120, 9, "Caption")
    paper.line(60, 200, 200, 11)
    assert body_style(paper.pages).size == 11
    assert body_style(Pages().pages) == body_style([])


def test_small_capitals_under_trees_of_tiny_labels(tmp_path):
    sheet = Sheet(tmp_path / "tree.pdf")
    box = [LEFT, 60.0, LEFT + FULL, 560.0]
    canvas = sheet.canvas
    for number in range(3):
        canvas.setLineWidth(0.2)
        names = np.random.default_rng(number).integers(10, 60, 1600)
        for place, length in enumerate(names.tolist()):
            x, y = LEFT + FULL * (place % 4) / 4, 732 - 500 * (place // 4) / 400
            canvas.line(x + length % 7 + 3 * number, y - 1.2, x + 30, y - 1.2)
            canvas.setFont("Helvetica", 1.2)
            canvas.drawString(
                x + 32, y - 1.2, f"Genus species {'strain of an isolate ' * 4}"[:length]
            )
        base = 792 - 580.0
        x = LEFT
        for size, part in ((10, "F"), (8, "IGURE "), (10, f"{number + 1}: ")):
            canvas.setFont("Times-Roman", size)
            canvas.drawString(x, base, part)
            x += canvas.stringWidth(part, "Times-Roman", size)
        canvas.setFont("Times-Roman", 10)
        canvas.drawString(x, base, "Phylogeny of the isolates by their genes.")
        y = 610.0
        for line in simpleSplit(SENTENCE * 4, "Times-Roman", 10, FULL)[:8]:
            y = sheet.text(LEFT, y, line, FULL + 20)
        sheet.next()
    rows = read(sheet, dpi=72)
    assert [(row["page"], row["caption"]) for row in rows] == [
        (number, "Phylogeny of the isolates by their genes.") for number in range(3)
    ]
    assert [row["label"].lower() for row in rows] == ["figure 1", "figure 2", "figure 3"]
    assert all(iou(row["bbox"], box) > 0.85 for row in rows)
