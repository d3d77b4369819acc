"""Figures that are text only: programs, grammars, equations, prompts; and what is none."""

import pytest
from paper_samples import LETTER, LOOKS, Paper, check_rows, face, prose, rows_of, with_type
from paper_samples import draw as draw  # the fixture

TEXT = "Steps of the search, which ends when none of the candidates is left to be looked at."
LABEL = ("Figure 1.", "bold")


def rows_at(
    paper: Paper, x: float, y: float, rows: list[tuple[float, str]], size: float, name: str
) -> list[float]:
    """Rows of text in one face, each with its indent in points; returns their box."""
    right = x
    for number, (indent, text) in enumerate(rows):
        paper.canvas.setFont(name, size)
        paper.canvas.drawString(x + indent, 792 - y - 1.25 * size * number - 0.8 * size, text)
        right = max(right, x + indent + paper.canvas.stringWidth(text, name, size))
    left = x + min(indent for indent, _ in rows)
    return [left, y, right, y + 1.25 * size * len(rows)]


PROGRAM = [
    (0, "def search(items, limit):"),
    (16, "best = None"),
    (16, "for item in items[:limit]:"),
    (32, "cost = weigh(item)"),
    (32, "if best is None or cost < best:"),
    (48, "best = cost  # keep it"),
    (16, "return best"),
]
GRAMMAR = [
    (0, "expr ::= term | expr '+' term | expr '-' term"),
    (0, "term ::= factor | term '*' factor"),
    (0, "factor ::= name | number | '(' expr ')'"),
    (0, "name ::= letter (letter | digit)*"),
    (0, "number ::= digit+ ['.' digit+]"),
]
EQUATIONS = [
    (40, "a(t) = b(t) + c(t - 1)"),
    (40, "b(t) = k1 a(t)2 - k2 c(t)"),
    (40, "c(t) = k3 / (1 + a(t))"),
    (40, "d(t) = a(t) b(t) c(t)"),
    (40, "e(t) = max(d(t), 0)"),
]
PROMPT = [
    (0, "System: You are a reader of papers on alloys."),
    (0, "User: Which of these samples is the hardest?"),
    (0, "Assistant: The third one, since it was quenched."),
    (0, "User: And which one was held in air for longest?"),
    (0, "Assistant: I can not tell this from what is given."),
]


@pytest.mark.parametrize("above", [True, False], ids=["caption-above", "caption-below"])
@pytest.mark.parametrize("framed", [True, False], ids=["framed", "bare"])
@pytest.mark.parametrize(
    ("rows", "name", "size"),
    [
        (PROGRAM, "Courier", 7.5),
        (PROGRAM, "Courier", 8.5),
        (PROGRAM, "Helvetica", 8.0),
        (GRAMMAR, "Times-Italic", 9.0),
        (GRAMMAR, "Courier", 8.0),
        (EQUATIONS, "Times-Italic", 10.0),
        (PROMPT, "Helvetica", 8.0),
        (PROMPT, "Times-Roman", 8.0),
    ],
    ids=["code-7.5", "code-8.5", "code-sans", "grammar", "grammar-code", "equations",
         "prompt-sans", "prompt"],
)  # fmt: skip
def test_rows_of_text_are_the_figure(draw, rows, name, size, framed, above):
    paper = draw()
    paper.fill((60, 296), 60, 160)
    y = 176.0
    if above:
        y = paper.legend((60, 296), y, [LABEL, (TEXT, "regular")]) + 10
    box = rows_at(paper, 68, y + 6, rows, size, name)
    if framed:
        box = [60, y, 296, box[3] + 6]
        paper.canvas.rect(60, 792 - box[3], 236, box[3] - y)
    y = box[3] + 10
    if not above:
        y = paper.legend((60, 296), y, [LABEL, (TEXT, "regular")])
    paper.fill((60, 296), y + 16, 730)
    paper.fill((316, 552), 60, 730)
    check_rows(rows_of(paper), [("Figure 1", TEXT, 1, box)], 0.75)


@pytest.mark.parametrize("size", [8.0, 9.0])
@pytest.mark.parametrize("look", ["two-columns-times", "one-column-stix"])
def test_prose_in_a_frame_above_its_caption(draw, look, size):
    """A dialogue or an example, in the body's face and smaller."""
    paper = draw(LOOKS[look])
    look = paper.look
    x0, x1 = look.column()
    paper.fill((x0, x1), 60, 150)
    how = {"size": size, "leading": 1.2 * size, "family": look.family}
    end = paper.set(x0 + 8, 176, prose(50, 70), x1 - x0 - 16, align="justify", **how)
    box = [x0, 170, x1, end + 6]
    paper.canvas.rect(x0, 792 - box[3], x1 - x0, box[3] - 170)
    end = paper.legend((x0, x1), box[3] + 8, [LABEL, (TEXT, "regular")])
    paper.fill((x0, x1), end + 16, 730)
    for number in range(1, look.columns):
        paper.fill(look.column(number), 60, 730)
    check_rows(rows_of(paper), [("Figure 1", TEXT, 1, box)])


def test_prose_between_two_rules_above_its_caption(draw):
    paper = draw()
    paper.fill((60, 296), 60, 150)
    paper.canvas.line(60, 792 - 170, 296, 792 - 170)
    end = paper.set(64, 176, prose(50, 60), 228, 8.5, 10.2, "helvetica", "justify")
    box = [60, 170, 296, end + 4]
    paper.canvas.line(60, 792 - box[3], 296, 792 - box[3])
    end = paper.legend((60, 296), box[3] + 8, [LABEL, (TEXT, "regular")])
    paper.fill((60, 296), end + 16, 730)
    paper.fill((316, 552), 60, 730)
    check_rows(rows_of(paper), [("Figure 1", TEXT, 1, box)], 0.8)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_program_wrapped_by_the_text_of_one_column(draw, side):
    paper = draw(with_type(LETTER, columns=1, gutter=0))
    x = 60 if side == "left" else 350
    paper.fill((60, 552), 60, 180)
    beside = (280, 552) if side == "left" else (60, 332)
    box = rows_at(paper, x, 196, PROGRAM, 7.5, "Courier")
    end = paper.legend((x, x + 200), box[3] + 8, [LABEL, (TEXT, "regular")])
    paper.fill(beside, 192, end + 10)
    paper.fill((60, 552), end + 24, 730)
    check_rows(rows_of(paper), [("Figure 1", TEXT, 1, box)], 0.75)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("graphic", ["plot", "image"])
def test_a_figure_wrapped_by_the_text_of_one_column(draw, side, graphic):
    paper = draw(with_type(LETTER, columns=1, gutter=0))
    x = 60 if side == "left" else 352
    box = [x, 196, x + 200, 330]
    paper.fill((60, 552), 60, 180)
    getattr(paper, graphic)(box)
    end = paper.legend((x, x + 200), 338, [LABEL, (TEXT, "regular")])
    paper.fill((280, 552) if side == "left" else (60, 332), 192, end + 10)
    paper.fill((60, 552), end + 24, 730)
    check_rows(rows_of(paper), [("Figure 1", TEXT, 1, box)])


def test_a_figure_wrapped_in_an_abstract_above_two_columns(draw):
    paper = draw()
    paper.set(60, 50, [("On samples that were held in air", "bold")], 492, 18)
    box = [372, 100, 552, 220]
    paper.plot(box)
    end = paper.legend((372, 552), 228, [LABEL, (TEXT, "regular")])
    paper.fill((60, 356), 96, end + 6, 0)
    paper.fill_columns(end + 40, 730)
    check_rows(rows_of(paper), [("Figure 1", TEXT, 1, box)])


@pytest.mark.parametrize("columns", [1, 2])
def test_a_program_over_columns_with_line_numbers(draw, columns):
    paper = draw(with_type(LETTER, columns=columns, gutter=20 * (columns - 1)))
    rows = [(indent, f"{k + 1:2}  {text}") for k, (indent, text) in enumerate(PROGRAM * 2)]
    rows = [(0, text[:4] + " " * int(indent / 4.5) + text[4:]) for indent, text in rows]
    box = rows_at(paper, 70, 64, rows, 7.5, "Courier")
    end = paper.legend((60, 552), box[3] + 10, [LABEL, (TEXT, "regular")])
    paper.fill_columns(end + 20, 730)
    check_rows(rows_of(paper), [("Figure 1", TEXT, 1, box)], 0.75)


def test_a_program_in_two_faces_with_bold_key_words(draw):
    paper = draw()
    canvas = paper.canvas
    for number, (indent, text) in enumerate(PROGRAM):
        x = 68 + indent
        for word in text.split(" "):
            bold = word in ("def", "for", "in", "if", "is", "or", "return", "None")
            name = face("times", "bold" if bold else "regular")
            canvas.setFont(name, 8.5)
            canvas.drawString(x, 792 - 76 - 10.6 * number, word)
            x += canvas.stringWidth(word + " ", name, 8.5)
    end = paper.legend((60, 296), 154, [LABEL, (TEXT, "regular")])
    paper.fill((60, 296), end + 16, 730)
    paper.fill((316, 552), 60, 730)
    (row,) = rows_of(paper)
    assert (row["label"], row["caption"]) == ("Figure 1", TEXT)
    x0, y0, x1, y1 = row["bbox"]
    assert 56 < x0 < 70 and y0 < 72 and 180 < x1 < 300 and 138 < y1 < 156


def test_a_table_between_prose_is_no_figure_of_a_caption_elsewhere(draw):
    """The caption's own figure stands over it; the table under it has its own caption."""
    paper = draw()
    box = [60, 60, 296, 180]
    paper.plot(box)
    end = paper.legend((60, 296), 188, [LABEL, (TEXT, "regular")])
    y = paper.legend((60, 296), end + 12, [("Table 1.", "bold"), ("Readings.", "regular")]) + 4
    canvas = paper.canvas
    canvas.line(60, 792 - y, 296, 792 - y)
    for row in range(6):
        for column, cell in enumerate((f"S{row}", f"{3.1 + row:.1f}", f"{40 + row}")):
            paper.set(64 + 80 * column, y + 4 + 11 * row, cell, 80, 8.5)
    canvas.line(60, 792 - y - 72, 296, 792 - y - 72)
    paper.fill((60, 296), y + 90, 730)
    paper.fill((316, 552), 60, 730)
    check_rows(rows_of(paper), [("Figure 1", TEXT, 1, box)])


def test_a_figure_that_is_a_table_of_text(draw):
    """Cells without rules under a figure's caption's rule: the label says figure."""
    paper = draw()
    cells = [("Sample", "HV", "s"), *((f"S{k}", f"{3.1 + k:.1f}", f"{40 + k}") for k in range(5))]
    for row, words in enumerate(cells):
        for column, cell in enumerate(words):
            paper.set(70 + 80 * column, 64 + 11 * row, cell, 80, 8, family="helvetica")
    box = [70, 64, 245, 130]
    end = paper.legend((60, 296), 140, [LABEL, (TEXT, "regular")])
    paper.fill((60, 296), end + 16, 730)
    paper.fill((316, 552), 60, 730)
    check_rows(rows_of(paper), [("Figure 1", TEXT, 1, box)], 0.75)
