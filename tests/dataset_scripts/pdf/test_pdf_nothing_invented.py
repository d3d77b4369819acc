"""Papers without figures, however much they talk about some."""

import pytest
from paper_samples import LETTER, LOOKS, Look, Paper, prose, rows_of, with_type

HEADS = (  # also of a paragraph
    "Figure 1 shows the hardness of all samples.",
    "Figure 4 and Figure 5 were left out for lack of space.",
)
CITES = (
    *HEADS,
    "Fig. 2. It is lower in air than in argon.",
    "Figure 3: this is what was seen before by others.",
    "Scheme 1). Its yield was low.",
    "Supplementary Fig. 3). The rates agree.",
    "Fig. 6a) and moist (Fig. 6b) samples.",
)


@pytest.fixture
def draw(tmp_path):
    """A paper in a look."""
    return lambda look=LETTER: Paper(tmp_path / "sample.pdf", look)


def talk(paper: Paper, span: tuple[float, float], y: float, foot: float) -> None:
    """Running text in which lines begin with labels, at their left edge."""
    look: Look = paper.look
    how = {"size": look.size, "leading": look.leading, "family": look.family}
    number = 0
    while y < foot - 6 * look.leading:
        text = prose(100 + number, 30)
        y = paper.set(span[0], y, text, span[1] - span[0], align="justify", **how)
        cite = CITES[number % len(CITES)]
        y = paper.set(span[0], y, cite, span[1] - span[0] + 40, **how)
        number += 1


@pytest.mark.parametrize("look", list(LOOKS))
def test_running_text_that_cites_figures(draw, look):
    paper = draw(LOOKS[look])
    for _ in range(2):
        for number in range(paper.look.columns):
            talk(paper, paper.look.column(number), 60, 730)
        paper.next()
    assert rows_of(paper) == []


@pytest.mark.parametrize("look", ["two-columns-times", "one-column-stix", "two-columns-sans"])
def test_logos_rules_and_boxes(draw, look):
    paper = draw(LOOKS[look])
    look = paper.look
    for page in range(3):
        paper.image([look.left, 24, look.left + 60, 48], 7)  # a journal's mark
        paper.image([500, 24, 552, 48], 8)  # a publisher's
        paper.canvas.line(look.left, 792 - 52, look.left + look.measure, 792 - 52)
        top = 60.0
        if page == 0:
            how = {"size": 18, "leading": 22}
            top = paper.set(look.left, 60, [("Of samples in air", "bold")], look.measure, **how) + 8
            paper.canvas.setFillGray(0.9)
            paper.canvas.rect(look.left, 792 - top - 90, look.measure, 90, stroke=0, fill=1)
            paper.canvas.setFillGray(0)
            paper.set(look.left + 8, top + 8, prose(5, 60), look.measure - 16)
            top += 110
        for number in range(look.columns):
            talk(paper, look.column(number), top, 720)
        paper.canvas.line(look.left, 792 - 735, look.left + look.measure, 792 - 735)
        paper.set(300, 740, str(page + 1), 30, 8)
        paper.next()
    assert rows_of(paper) == []


def cited(paper: Paper, y: float, cite: str) -> float:
    """A line that cites a figure: at the head of a paragraph, or after a line of another."""
    if cite not in HEADS:
        y = paper.set(60, y, "of grains that grow slowly in time, and relax (see the", 300)
    return paper.set(60, y, cite, 300)


def table(paper: Paper, x: float, y: float, ruled: bool) -> float:
    """Six rows of three cells; returns where they end."""
    end = y + 84
    for row in range(6):
        for column, cell in enumerate((f"S{row}", f"{3.1 + row:.1f}", f"{40 + row}")):
            paper.set(x + 6 + 78 * column, y + 6 + 13 * row, cell, 70, 8.5)
        if ruled:
            paper.canvas.line(x, 792 - y - 13 * row, x + 236, 792 - y - 13 * row)
    paper.canvas.line(x, 792 - y, x + 236, 792 - y)
    paper.canvas.line(x, 792 - end, x + 236, 792 - end)
    if ruled:
        for column in range(4):
            paper.canvas.line(x + 78.6 * column, 792 - y, x + 78.6 * column, 792 - end)
    return end


@pytest.mark.parametrize("ruled", [True, False])
@pytest.mark.parametrize("cite", CITES)
def test_tables_next_to_lines_that_cite_figures(draw, cite, ruled):
    """The line stands just over the table's caption, and another just under the table."""
    paper = draw()
    paper.body_page()
    y = paper.set(60, 60, prose(7, 40), 236, align="justify")
    y = paper.set(60, y, cite, 300)
    y = paper.legend((60, 296), y + 14, [("Table 1.", "bold"), ("Readings in air.", "regular")])
    y = table(paper, 60, y + 4, ruled)
    y = cited(paper, y + 14, cite)
    y = paper.set(60, y, prose(8, 60), 236, align="justify")
    paper.fill((60, 296), y, 730)
    paper.fill((316, 552), 60, 730)
    assert rows_of(paper) == []


@pytest.mark.parametrize("cite", CITES)
def test_equations_next_to_lines_that_cite_figures(draw, cite):
    paper = draw()
    paper.body_page()
    y = 60.0
    for number in range(4):
        y = paper.set(60, y, prose(20 + number, 30), 236, align="justify")
        y = paper.set(60, y, cite, 300) + 6
        paper.set(110, y, [("F(x) = ", "italic")], 60)
        paper.set(150, y - 6, [("a + b", "italic")], 60)
        paper.canvas.line(148, 792 - y - 5, 180, 792 - y - 5)
        paper.set(156, y + 7, [("c", "italic")], 60)
        paper.set(280, y, f"({number + 1})", 30)
        y += 26
        y = cited(paper, y, cite)
    paper.fill((60, 296), y, 730)
    paper.fill((316, 552), 60, 730)
    assert rows_of(paper) == []


@pytest.mark.parametrize("cite", CITES)
def test_a_boxed_note_next_to_lines_that_cite_figures(draw, cite):
    paper = draw()
    paper.body_page()
    y = paper.set(60, 60, prose(7, 40), 236, align="justify")
    y = paper.set(60, y, cite, 300) + 10
    end = paper.set(68, y + 6, prose(9, 50), 220, 9, 10.8, "helvetica")
    paper.canvas.rect(60, 792 - end - 6, 236, end + 6 - y)
    y = cited(paper, end + 18, cite)
    paper.fill((60, 296), y, 730)
    paper.fill((316, 552), 60, 730)
    assert rows_of(paper) == []


def test_references_with_the_word_figure(draw):
    paper = draw()
    paper.body_page()
    y = 60.0
    for number in range(40):
        text = f"[{number + 1}] A. Author, Figure {number} of the earth. J. Samples {number}, 2019."
        y = paper.set(60, y, text, 236, 8, 9.6, hang=14)
        y = paper.set(60, y, f"Fig. {number}. The end of a title, Samples 3, 1-9.", 236, 8, 9.6)
        if y > 700:
            break
    paper.fill((316, 552), 60, 730)
    assert rows_of(paper) == []


def test_a_list_of_figures_alone(draw):
    """The head of a thesis whose chapters are in another file."""
    paper = draw(with_type(LETTER, columns=1, gutter=0))
    paper.body_page()
    y = paper.set(60, 60, [("List of Figures", "bold")], 300, 16, 24)
    for number in range(20):
        paper.set(60, y, f"Figure {number + 1}: Hardness of sample {number}", 400)
        paper.set(330, y, ". " * 40, 220)
        paper.set(535, y, str(number + 3), 20)
        y += 15
    assert rows_of(paper) == []
