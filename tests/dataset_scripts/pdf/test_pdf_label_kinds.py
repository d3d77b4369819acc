"""Labels of captions as journals print them, labels on a line of their own, and no labels."""

import pytest
from paper_samples import LETTER, LOOKS, Look, Paper, check_rows, face, prose, rows_of, with_type

TEXT = "Hardness of the annealed samples against the time for which they were held in air."
SECOND = "Wear of the same samples after two hundred cycles under a load of five newtons."


def figure_page(
    path, look: Look, label: list[tuple[str, str]], text: str = TEXT
) -> tuple[Paper, list]:
    """A page of text, then one with a picture and a caption; returns the paper and the box."""
    paper = Paper(path / "sample.pdf", look)
    paper.body_page()
    x0, x1 = look.column()
    box = [x0 + 10, 160, x1 - 10, 290]
    paper.fill((x0, x1), 60, 140)
    paper.plot(box)
    end = paper.legend((x0, x1), 300, [*label, (text, "regular")])
    paper.fill((x0, x1), end + 14, 730)
    for number in range(1, look.columns):
        paper.fill(look.column(number), 60, 730)
    return paper, box


@pytest.mark.parametrize(
    ("printed", "label", "kind"),
    [
        ("Figure-1:", "Figure-1", "figure"),
        ("Figure-2.", "Figure-2", "figure"),
        ("FIGURE-1 :", "FIGURE-1", "figure"),
        ("Figure. 1:", "Figure. 1", "figure"),
        ("Figure.2", "Figure.2", "figure"),
        ("FIG. 1", "FIG. 1", "figure"),
        ("FIG.2.", "FIG.2", "figure"),
        ("Fig 4.", "Fig 4", "figure"),
        ("Fig. (1).", "Fig. (1)", "figure"),
        ("Figure (3):", "Figure (3)", "figure"),
        ("S1 Fig.", "S1 Fig", "figure"),
        ("S12 Fig.", "S12 Fig", "figure"),
        ("1. ábra.", "1. ábra", "figure"),
        ("Figure 1 \u2013", "Figure 1", "figure"),
        ("Fig. 1 \u2014", "Fig. 1", "figure"),
        ("Figure 1)", "Figure 1", "figure"),
        ("Fig. 1 |", "Fig. 1", "figure"),
        ("Supplementary Figure 2.", "Supplementary Figure 2", "figure"),
        ("Supplementary Fig. S2:", "Supplementary Fig. S2", "figure"),
        ("Supplemental Figure 2.", "Supplemental Figure 2", "figure"),
        ("Extended Data Fig. 4 |", "Extended Data Fig. 4", "figure"),
        ("Extended Data Figure 4:", "Extended Data Figure 4", "figure"),
        ("Figure A1.", "Figure A1", "figure"),
        ("Figure C.1:", "Figure C.1", "figure"),
        ("Fig. III.", "Fig. III", "figure"),
        ("Figure 2-3.", "Figure 2-3", "figure"),
        ("Abbildung 2:", "Abbildung 2", "figure"),
        ("Figura 2.", "Figura 2", "figure"),
        ("Scheme 2:", "Scheme 2", "scheme"),
        ("Figure.", "Figure", "figure"),
        ("Figura.", "Figura", "figure"),
        ("Photograph 2.", "Photograph 2", "figure"),
    ],
)
def test_a_label_of_any_make(tmp_path, printed, label, kind):
    look = ("two-columns-sans", "same-size", "one-column-serif")[len(printed) % 3]
    paper, box = figure_page(tmp_path, LOOKS[look], [(printed, "bold")])
    rows = rows_of(paper)
    check_rows(rows, [(label, TEXT, 1, box)])
    assert rows[0]["kind"] == kind


@pytest.mark.parametrize(
    ("printed", "style"),
    [
        ("Figure-1:", "regular"),
        ("Figure. 1:", "italic"),
        ("FIG. 1.", "regular"),
        ("Fig. (1).", "regular"),
        ("S1 Fig.", "italic"),
    ],
)
def test_a_label_in_the_face_of_its_caption(tmp_path, style, printed):
    look = with_type(LETTER, caption_size=10.0, caption_leading=12.0)
    paper, box = figure_page(tmp_path, look, [(printed, style)])
    check_rows(rows_of(paper), [(printed.rstrip(".:"), TEXT, 1, box)])


@pytest.mark.parametrize("family", ["times", "helvetica", "stix"])
@pytest.mark.parametrize(("word", "mark"), [("FIGURE", ":"), ("FIG.", "."), ("FIGURE", "")])
def test_a_label_in_small_capitals(tmp_path, family, word, mark):
    """The first letter is larger than the others, with the gap that the change of size leaves."""
    look = with_type(LETTER, family=family, caption_family=family)
    paper = Paper(tmp_path / "sample.pdf", look)
    paper.body_page()
    box = [60, 72, 296, 230]
    paper.plot(box)
    canvas, x, base = paper.canvas, 60.0, 792 - 247.0
    for part, size in ((word[0], 9.0), (word[1:], 6.8), (f" 1{mark}", 9.0)):
        canvas.setFont(face(family), size)
        canvas.drawString(x, base, part)
        x += canvas.stringWidth(part, face(family), size) + 0.4
    canvas.setFont(face(family), 9)
    canvas.drawString(x + 4, base, "Hardness of the annealed samples")
    end = paper.legend((60, 296), 250.6, "against the time for which they were held in air.")
    paper.fill((60, 296), end + 14, 730)
    paper.fill((316, 552), 60, 730)
    check_rows(rows_of(paper), [(f"{word} 1", TEXT, 1, box)])


def test_small_capitals_over_a_tree_of_thousands_of_tiny_labels(tmp_path):
    """The body is told by its running text, not by what most characters are."""
    paper = Paper(tmp_path / "sample.pdf")
    for page in range(2):
        paper.fill_columns(560, 730)
        canvas = paper.canvas
        canvas.setFont("Helvetica", 2.5)
        for row in range(150):
            root = 70 + 11 * (row % 7)  # branches: a row, and what joins it to the next
            canvas.line(root, 792 - 60 - 3 * row, 200, 792 - 60 - 3 * row)
            canvas.line(root, 792 - 60 - 3 * row, root, 792 - 60 - 3 * min(row + 7, 149))
            for column in range(6):
                name = f"{('Species', 'Variety')[page]} name {row} q"
                canvas.drawString(205 + 55 * column, 792 - 61 - 3 * row, name)
        for part, x, size in (("F", 60, 9), ("IGURE", 65.4, 6.8), (f"{page + 1}:", 90, 9)):
            canvas.setFont("Times-Roman", size)
            canvas.drawString(x, 792 - 530, part)
        paper.set(102, 522.8, "The tree of all the species that were found in the samples.", 400, 9)
        paper.next()
    text = "The tree of all the species that were found in the samples."
    rows = rows_of(paper)
    assert [(row["label"], row["caption"], row["page"]) for row in rows] == [
        ("FIGURE 1", text, 0),
        ("FIGURE 2", text, 1),
    ]
    assert all(row["bbox"][1] < 66 and row["bbox"][3] < 522 for row in rows)
    assert all(row["bbox"][0] < 75 and row["bbox"][2] > 490 for row in rows)


@pytest.mark.parametrize("cited", [True, False])
@pytest.mark.parametrize("word", ["Graph", "Gráfico", "Image"])
def test_a_sort_of_figures_with_a_label_on_a_line_of_its_own(tmp_path, word, cited):
    """It is a figure where the text cites it; parts of pictures have such labels, too."""

    def draw(paper, span, box, label, text):
        label = label.replace("Figure", word)
        paper.plot(box)
        end = paper.legend(span, 258, [(label, "bold")])
        end = paper.legend(span, end, text) + 16
        cite = f"{text.split()[0]} was measured on the samples of {label}."
        return paper.set(span[0], end, cite, 240) if cited else end

    paper, truth = two_figures(tmp_path, draw)
    found = [(label.replace("Figure", word), *rest) for label, *rest in truth]
    check_rows(rows_of(paper), found if cited else [])


HEADS = (  # also of a paragraph
    "Figure 3 shows that the grains grow while they are held in",
    "Figure 2, in which the wear is given for all of the samples",
    "Figs. 4 and 5 give the same for the samples that were held",
    "Fig. 6 was taken after the test; the others were taken when",
    "Fig. 2 and the table both give the time in minutes and not in",
)
LINES = (
    *HEADS,
    "Supplementary Fig. 3). The mean of all readings falls with",
    "Fig. 2b). Both samples were polished before they were",
    "Fig. 3. This agrees with what is known of such alloys, as",
    "Figure 4). In air the samples oxidise, and their mass is",
    "Extended Data Fig. 2). For this reason the carbon was",
    "Figure S3 and in the appendix. The rate at which they do",
    "Fig. 2, left) and in argon (right), where the rates are lower",
    "figure 5 of the companion paper. There the samples were",
    "Scheme 1). The yield of this step was low, so that it was",
    "Figure. The samples were polished before they were held in",
)


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_body_text_that_begins_with_a_label_is_no_caption(tmp_path, line):
    """Amid a paragraph, and at its head where it may stand there."""
    look = LOOKS[("one-column-stix", "same-size")[len(line) % 2]]
    paper, box = figure_page(tmp_path, look, [("Figure 1.", "bold")])
    paper.next()
    x0, x1 = look.column()
    how = {"size": look.size, "leading": look.leading, "family": look.family}
    y = paper.set(x0, 60, prose(90, 50), x1 - x0, align="justify", **how)
    y = paper.set(x0, y, line, x1 - x0 + 60, **how)
    y = paper.set(x0, y, prose(91, 40), x1 - x0, align="justify", **how)
    y = paper.set(x0, y, line, x1 - x0 + 60, indent=12 * (line in HEADS), **how)
    y = paper.set(x0, y, prose(92, 40), x1 - x0, align="justify", **how)
    paper.fill((x0, x1), y, 730)
    for number in range(1, look.columns):
        paper.fill(look.column(number), 60, 730)
    check_rows(rows_of(paper), [("Figure 1", TEXT, 1, box)])


@pytest.mark.parametrize("line", HEADS)
def test_a_paragraph_that_begins_with_a_label_just_under_a_figure_is_no_caption(tmp_path, line):
    """The figure's caption stands above it, the text that tells of it below."""
    paper = Paper(tmp_path / "sample.pdf")
    paper.body_page()
    end = paper.legend((60, 296), 60, [("Figure 1.", "bold"), (TEXT, "regular")])
    box = [60, end + 6, 296, end + 150]
    paper.plot(box)
    y = paper.set(60, end + 170, line, 300, indent=10)
    y = paper.set(60, y, prose(8, 60), 236, align="justify")
    paper.fill((60, 296), y, 730)
    paper.fill((316, 552), 60, 730)
    check_rows(rows_of(paper), [("Figure 1", TEXT, 1, box)])


def two_figures(tmp_path, draw, look: Look = LETTER) -> tuple[Paper, list]:
    """Two pages with a figure each, drawn by `draw(paper, span, box, label, text)`."""
    paper = Paper(tmp_path / "sample.pdf", look)
    truth = []
    for page, text in enumerate((TEXT, SECOND)):
        span = look.column()
        box = [span[0], 100, span[1], 250]
        end = draw(paper, span, box, f"Figure {page + 1}", text)
        paper.fill(span, end + 16, 730)
        for number in range(1, look.columns):
            paper.fill(look.column(number), 60, 730)
        paper.next()
        truth.append((f"Figure {page + 1}", text, page, box))
    return paper, truth


@pytest.mark.parametrize("look", ["two-columns-times", "one-column-serif", "two-columns-sans"])
@pytest.mark.parametrize("style", ["regular", "italic"])
def test_a_bold_label_on_its_own_line_over_its_text(tmp_path, look, style):
    def draw(paper, span, box, label, text):
        paper.plot(box)
        end = paper.legend(span, 258, [(label, "bold")])
        return paper.legend(span, end, [(text, style)])

    paper, truth = two_figures(tmp_path, draw, LOOKS[look])
    check_rows(rows_of(paper), truth)


@pytest.mark.parametrize("look", ["two-columns-times", "one-column-stix", "two-columns-sans"])
@pytest.mark.parametrize(("style", "mark"), [("regular", ""), ("italic", ""), ("regular", ":")])
def test_a_label_above_its_figure_with_the_text_under_it(tmp_path, look, style, mark):
    def draw(paper, span, box, label, text):
        paper.legend(span, 84, [(label + mark, "bold")])
        paper.plot(box)
        return paper.legend(span, 258, [(text, style)])

    paper, truth = two_figures(tmp_path, draw, LOOKS[look])
    check_rows(rows_of(paper), truth)


@pytest.mark.parametrize("look", ["two-columns-times", "one-column-serif", "two-columns-sans"])
@pytest.mark.parametrize(
    ("style", "fill"), [("regular", (0.1, 0.2, 0.5)), ("italic", (0.85, 0.85, 0.85))]
)
def test_a_label_in_a_bar_over_its_figure_with_the_text_under_it(tmp_path, look, style, fill):
    def draw(paper, span, box, label, text):
        canvas = paper.canvas
        canvas.setFillColorRGB(*fill)
        canvas.rect(span[0], 792 - 94, span[1] - span[0], 14, stroke=0, fill=1)
        canvas.setFillGray(1 if fill[0] < 0.5 else 0)
        paper.legend((span[0] + 4, span[1]), 82, [(label, "bold")])
        canvas.setFillGray(0)
        paper.plot(box)
        return paper.legend(span, 258, [(text, style)])

    paper, truth = two_figures(tmp_path, draw, LOOKS[look])
    check_rows(rows_of(paper), truth, 0.8)  # with the bar or without


@pytest.mark.parametrize("look", ["two-columns-times", "one-column-serif", "two-columns-sans"])
@pytest.mark.parametrize(("style", "gap"), [("regular", 7.0), ("italic", 12.0), ("regular", 20.0)])
def test_a_label_with_its_text_after_a_wide_space(tmp_path, look, style, gap):
    """The text hangs beside the label, in its own column."""

    def draw(paper, span, box, label, text):
        paper.plot(box)
        own = paper.look
        paper.legend(span, 258, [(label, "bold")])
        bold = face(own.caption_family, "bold")
        step = paper.canvas.stringWidth(label, bold, own.caption_size) + gap
        return paper.legend((span[0] + step, span[1]), 258, [(text, style)])

    paper, truth = two_figures(tmp_path, draw, LOOKS[look])
    check_rows(rows_of(paper), truth)


@pytest.mark.parametrize("style", ["regular", "italic"])
def test_a_label_with_its_text_after_two_spaces_and_on_the_next_rows(tmp_path, style):
    def draw(paper, span, box, label, text):
        paper.plot(box)
        canvas = paper.canvas
        canvas.setFont("Helvetica-Bold", 8)
        canvas.drawString(span[0], 792 - 266, f"{label}  ")
        x = span[0] + canvas.stringWidth(f"{label}  ", "Helvetica-Bold", 8)
        words = text.split()
        paper.set(x, 259.6, [(" ".join(words[:6]), style)], 300, 8, 10)
        return paper.set(span[0], 269.6, [(" ".join(words[6:]), style)], 236, 8, 10)

    paper, truth = two_figures(tmp_path, draw)
    check_rows(rows_of(paper), truth)


@pytest.mark.parametrize("look", ["two-columns-times", "one-column-stix"])
@pytest.mark.parametrize("align", ["left", "centre"])
def test_a_label_over_a_title_over_its_figure_and_a_note_under_it(tmp_path, look, align):
    """As many journals of psychology print it: the title is the caption."""

    def draw(paper, span, box, label, text):
        end = paper.legend(span, 60, [(label, "bold")], align)
        title = paper.legend(span, end + 2, [(text, "italic")], align)
        assert title < box[1]
        paper.plot(box)
        return box[3] + 10

    paper, truth = two_figures(tmp_path, draw, LOOKS[look])
    check_rows(rows_of(paper), truth)


@pytest.mark.parametrize("look", ["two-columns-times", "one-column-serif", "same-size"])
@pytest.mark.parametrize("label", ["Figure 1.", "Fig. 1:", "Figure 1 |"])
@pytest.mark.parametrize("style", ["bold", "regular"])
def test_a_caption_that_begins_in_lower_case(tmp_path, look, label, style):
    text = "carbon content of the annealed samples, and pH of the bath in which they were held."
    paper, box = figure_page(tmp_path, LOOKS[look], [(label, style)], text)
    check_rows(rows_of(paper), [(label.rstrip(".:| "), text, 1, box)])


@pytest.mark.parametrize("look", ["two-columns-times", "one-column-stix"])
@pytest.mark.parametrize(
    "text",
    ["Setup.", "Map", "SEM image", "XRD.", "1 Hz.", "\u03b1-Fe in air", "(Color online) A map."],
)
def test_a_caption_of_a_word_or_two(tmp_path, look, text):
    look = with_type(LOOKS[look], caption_family="stix")
    paper, box = figure_page(tmp_path, look, [("Fig. 1.", "bold")], text)
    check_rows(rows_of(paper), [("Fig. 1", text, 1, box)])
