"""The extent of captions: what ends them, and what looks like an end and is none."""

import pytest
from paper_samples import LETTER, LOOKS, Look, Paper, check_rows, face, prose, rows_of, with_type
from paper_samples import draw as draw  # the fixture

SHORT = "Hardness of the annealed samples against the time for which they were held in air."
LONG = (
    "Hardness of the annealed samples against the time for which they were held in air. The "
    "filled marks are means of five readings, the open ones are single readings, and the line is "
    "drawn by eye. All samples were polished before the test and cleaned in ethanol for a minute."
)
LABEL = ("Figure 1.", "bold")


def figure(paper: Paper, span: tuple[float, float] | None = None, height: float = 150) -> list:
    """A plot at the head of the page; returns its box."""
    x0, x1 = span or paper.look.column()
    box = [x0, 60, x1, 60 + height]
    paper.plot(box)
    return box


def finish(paper: Paper, y: float, span: tuple[float, float] | None = None) -> None:
    """Running text below `y` in the first column, and in all others from their head."""
    look = paper.look
    if span is not None and look.columns > 1:
        paper.fill_columns(y, 730)
        return
    paper.fill(look.column(), y, 730)
    for number in range(1, look.columns):
        paper.fill(look.column(number), 60, 730)


def one(paper: Paper, caption: str, box: list, label: str = "Figure 1") -> None:
    check_rows(rows_of(paper), [(label, caption, 1, box)])


@pytest.mark.parametrize("gap", [4.0, 7.0, 12.0])
@pytest.mark.parametrize(
    "look", ["two-columns-times", "one-column-stix", "two-columns-sans", "same-size"]
)
def test_a_paragraph_at_a_small_distance_is_not_of_the_caption(draw, look, gap):
    paper = draw(LOOKS[look])
    box = figure(paper)
    end = paper.legend(paper.look.column(), 218, [LABEL, (LONG, "regular")], "justify")
    finish(paper, end + gap)
    one(paper, LONG, box)


@pytest.mark.parametrize("indent", [0.0, 14.0])
@pytest.mark.parametrize(("size", "gap"), [(9.5, 5.0), (10.0, 10.0), (11.0, 5.0)])
def test_a_centred_caption_then_a_justified_paragraph_of_its_size(draw, size, gap, indent):
    look = with_type(LETTER, columns=1, gutter=0, size=size, leading=1.25 * size)
    look = with_type(look, caption_size=size, caption_leading=1.25 * size)
    paper = draw(look)
    box = figure(paper, (150, 470))
    end = paper.legend(look.full, 220, [("Figure 1:", "regular"), (LONG, "regular")], "centre")
    paper.fill(look.column(), end + gap, 730, indent)
    one(paper, LONG, box)


@pytest.mark.parametrize("gap", [6.0, 14.0])
def test_a_one_line_centred_caption_then_a_justified_indented_paragraph(draw, gap):
    look = LOOKS["one-column-stix"]
    paper = draw(with_type(look, caption_size=10.5, caption_leading=13))
    box = figure(paper, (150, 470))
    text = "Hardness of the annealed samples against time."
    end = paper.legend(look.full, 220, [("Fig. 1.", "regular"), (text, "regular")], "centre")
    paper.fill(look.column(), end + gap, 730, 20)
    one(paper, text, box, "Fig. 1")


def broken(paper: Paper, text: str, width: float, look: Look) -> list[str]:
    """A text of one face in rows of a width, in the type of the look's captions."""
    rows, row = [], ""
    for word in text.split():
        more = f"{row} {word}".strip()
        wide = paper.canvas.stringWidth(more, face(look.caption_family), look.caption_size)
        rows, row = (rows, more) if wide <= width else ([*rows, row], word)
    return [*rows, row]


@pytest.mark.parametrize("title", [False, True])
@pytest.mark.parametrize("gutter", [10.0, 24.0])
@pytest.mark.parametrize("family", ["times", "helvetica"])
@pytest.mark.parametrize("turn", ["sentence", "word"])
def test_a_caption_in_two_columns_under_a_wide_figure(draw, turn, family, gutter, title):
    """The second column begins with a sentence, or amid one."""
    look = with_type(LETTER, caption_family=family, caption_size=7.5, caption_leading=9.2)
    paper = draw(with_type(look, family="stix", gutter=20))
    box = figure(paper, look.full, 220)
    half = (492 - gutter) / 2
    y, head = 290.0, [LABEL]
    said = "Ageing of ten composites in air and in water."
    if title:
        y = paper.legend(look.full, y, [*head, (said, "bold")]) + 2
        head = []
    left, right = prose(3, 60), prose(4, 45)
    if turn == "word":
        rows = broken(paper, " ".join(text for text, _ in head) + f" {left} {right}", half, look)
        left, right = " ".join(rows[: len(rows) // 2 + 1]), " ".join(rows[len(rows) // 2 + 1 :])
        for number, row in enumerate(rows):
            side = number > len(rows) // 2
            x = 60 + (half + gutter) * side
            top = y + look.caption_leading * (number - side * (len(rows) // 2 + 1))
            paper.legend((x, x + half + 9), top, row)
        end = y + look.caption_leading * (len(rows) // 2 + 1)
        left = left.strip().removeprefix("Figure 1. ")
    else:
        pieces = [*head, (left, "regular")], [(right, "regular")]
        for x, runs in zip((60, 60 + half + gutter), pieces, strict=True):
            end = paper.legend((x, x + half), y, runs, "justify")
    finish(paper, end + 40, look.full)
    one(paper, f"{said} {left} {right}" if title else f"{left} {right}", box)


@pytest.mark.parametrize("gutter", [9.0, 10.0, 12.0])
def test_a_narrow_gutter_does_not_join_the_columns(draw, gutter):
    look = with_type(LETTER, gutter=gutter, size=9.0, leading=10.6, caption_size=8.0)
    paper = draw(with_type(look, caption_leading=9.5))
    box = figure(paper)
    end = paper.legend(look.column(), 218, [LABEL, (LONG, "regular")], "justify")
    finish(paper, end + 12)
    one(paper, LONG, box)


def test_captions_of_two_columns_with_a_narrow_gutter_are_not_joined(draw):
    look = with_type(LETTER, gutter=10.0, size=9.0, leading=10.6, caption_size=8.0)
    paper = draw(with_type(look, caption_leading=9.5))
    truth = []
    for number in range(2):
        x0, x1 = look.column(number)
        box = [x0, 60, x1, 210]
        paper.plot(box)
        text = prose(20 + number, 35)
        label = f"Figure {number + 1}"
        end = paper.legend((x0, x1), 218, [(f"{label}.", "bold"), (text, "regular")], "justify")
        paper.fill((x0, x1), end + 14, 730)
        truth.append((label, text, 1, box))
    check_rows(rows_of(paper), truth)


@pytest.mark.parametrize(("row", "more"), [(1, 4.0), (2, 2.0), (4, 4.0)])
@pytest.mark.parametrize("look", ["two-columns-times", "two-columns-sans", "one-column-serif"])
def test_a_row_at_a_larger_distance_does_not_end_a_caption(draw, look, more, row):
    """A sub- or superscript, a symbol or a formula moves the rows below it down."""
    paper = draw(LOOKS[look])
    look = paper.look
    x0, x1 = look.column()
    box = figure(paper)
    lines = broken(paper, f"Figure 1. {LONG} {SHORT}", x1 - x0, look)
    y = 218.0
    for number, text in enumerate(lines):
        y += more * (number == row)
        y = paper.legend((x0, x1 + 40), y, text)
    finish(paper, y + 16)
    one(paper, f"{LONG} {SHORT}", box)


@pytest.mark.parametrize("indent", [8.0, 14.0])
@pytest.mark.parametrize("look", ["two-columns-times", "two-columns-sans", "one-column-stix"])
def test_an_indented_second_paragraph_is_of_the_caption(draw, look, indent):
    paper = draw(LOOKS[look])
    span = paper.look.column()
    box = figure(paper)
    end = paper.legend(span, 218, [LABEL, (LONG, "regular")], "justify")
    more = prose(7, 40)
    end = paper.legend(span, end, more, "justify", indent=indent)
    finish(paper, end + 14)
    one(paper, f"{LONG} {more}", box)


@pytest.mark.parametrize("hang", [10.0, 42.0])
@pytest.mark.parametrize("look", ["two-columns-times", "one-column-serif"])
def test_a_caption_whose_rows_hang_is_whole(draw, look, hang):
    paper = draw(LOOKS[look])
    span = paper.look.column()
    box = figure(paper)
    end = paper.legend(span, 218, [LABEL, (LONG, "regular")], hang=hang)
    finish(paper, end + 14)
    one(paper, LONG, box)


@pytest.mark.parametrize("look", ["two-columns-times", "one-column-serif"])
@pytest.mark.parametrize(
    "accented",
    [
        "Ångström's rule for the É series of Ñandú and Škoda, after Ö. Ümlaut and Á. Érdi, holds. ",
        "Profils à l'état où l'âge du dépôt était égal à celui de l'été précédent, déjà mesuré. ",
    ],
)
def test_accents_do_not_end_a_caption(draw, look, accented):
    paper = draw(LOOKS[look])
    box = figure(paper)
    text = f"{SHORT} {accented}{LONG}"
    end = paper.legend(paper.look.column(), 218, [LABEL, (text, "regular")])
    finish(paper, end + 14)
    one(paper, text, box)


@pytest.mark.parametrize("row", [0, 1, 3])
def test_small_capitals_do_not_end_a_caption(draw, row):
    """A row that begins or is set in part in smaller capitals: names, chemicals, file formats."""
    paper = draw()
    box = figure(paper)
    rows = [
        "Figure 1. Hardness of the annealed samples which were",
        "held in air after the test of the first series and before",
        "the second one, as it was read at five places and told",
        "by the program that was written for it some years ago",
        "with its mean and standard deviation given as bars.",
    ]
    small = "KRAMER AND WEISS GMBH of the"
    y = 218.0
    for number, text in enumerate(rows):
        if number == row + 1:
            paper.set(60, y + 1.5, small, 300, 7.2)
            shift = paper.canvas.stringWidth(small + " ", "Times-Roman", 7.2)
            paper.set(60 + shift, y, "firm that made", 300, 9)
            y += 10.8
        y = paper.set(60, y, text, 300, 9)
    finish(paper, y + 14)
    rows.insert(row + 1, f"{small} firm that made")
    one(paper, " ".join(rows).removeprefix("Figure 1. "), box)


@pytest.mark.parametrize("row", [1, 2])
def test_an_inline_fraction_does_not_end_a_caption(draw, row):
    """A fraction stands over and under its row, in smaller type, with a rule between."""
    paper = draw()
    figure(paper)
    rows = [
        "Hardness of the annealed samples which were held",
        "in air after the test, as the ratio of both readings",
        "where the first is taken at the rim and the second one",
        "at the middle, given with its standard deviation.",
    ]
    y = paper.legend((60, 296), 218, [LABEL, (rows[0], "regular")])
    for number, text in enumerate(rows[1:], 1):
        if number == row:
            y += 4
            half = "r ="
            paper.set(60, y, half, 300, 9)
            x = 60 + paper.canvas.stringWidth(half + " ", "Times-Roman", 9)
            paper.set(x + 2, y - 3, "a", 20, 6)
            paper.set(x + 2, y + 5, "b", 20, 6)
            paper.canvas.line(x, 792 - y - 4.6, x + 8, 792 - y - 4.6)
            y = paper.set(x + 12, y, text, 300, 9, 10.8) + 4
        else:
            y = paper.set(60, y, text, 300, 9, 10.8)
    finish(paper, y + 14)
    (row,) = rows_of(paper)
    words = row["caption"].split()
    for word in " ".join(rows).split():
        assert word in words
    assert words[-1] == "deviation."


@pytest.mark.parametrize("colour", [(0.8, 0.1, 0.1), (0.1, 0.3, 0.8)])
@pytest.mark.parametrize("place", ["line", "words", "bar"])
def test_coloured_words_do_not_end_a_caption(draw, place, colour):
    paper = draw()
    box = figure(paper)
    canvas = paper.canvas
    rows = [
        "Figure 1. Hardness of the annealed samples which were",
        "held in air: the samples in colour are those of the first",
        "series, the others are of the second series, which was",
        "given by the maker with all of their standard deviations.",
    ]
    y = 218.0
    for number, text in enumerate(rows):
        if number == 2 and place == "words":
            canvas.setFillColorRGB(*colour)
            paper.set(60, y, "series", 100, 9)
            canvas.setFillGray(0)
            shift = canvas.stringWidth("series", "Times-Roman", 9)
            y = paper.set(60 + shift, y, text.removeprefix("series"), 300, 9, 10.8)
            continue
        if number == 2 and place == "bar":
            canvas.setFillColorRGB(1, 1, 0.4)
            canvas.rect(58, 792 - y - 10, 150, 10.5, stroke=0, fill=1)
            canvas.setFillGray(0)
        if number == 2 and place == "line":
            canvas.setFillColorRGB(*colour)
        y = paper.set(60, y, text, 300, 9, 10.8)
        canvas.setFillGray(0)
    finish(paper, y + 14)
    one(paper, " ".join(rows).removeprefix("Figure 1. "), box)


@pytest.mark.parametrize("look", ["two-columns-times", "two-columns-sans", "one-column-serif"])
@pytest.mark.parametrize("other", ["times", "helvetica"])
def test_a_bold_title_then_a_description_in_another_face(draw, look, other):
    paper = draw(LOOKS[look])
    span = paper.look.column()
    box = figure(paper)
    end = paper.legend(span, 218, [("Fig. 1 |", "bold"), (SHORT, "bold")], family="helvetica")
    end = paper.legend(span, end + 1, LONG, family=other)
    finish(paper, end + 14)
    one(paper, f"{SHORT} {LONG}", box, "Fig. 1")


@pytest.mark.parametrize("look", ["two-columns-times", "one-column-stix"])
def test_italic_and_bold_runs_are_of_the_caption(draw, look):
    paper = draw(LOOKS[look])
    box = figure(paper)
    runs = [LABEL, (SHORT, "bold"), ("(a)", "bold"), (LONG, "regular"), ("(b)", "bold")]
    runs += [("After E. coli grew for a day. Scale bars, 5 micrometres.", "italic")]
    end = paper.legend(paper.look.column(), 218, runs)
    finish(paper, end + 14)
    one(paper, " ".join(text for text, _ in runs[1:]), box)


@pytest.mark.parametrize("look", ["two-columns-times", "one-column-serif"])
def test_a_heading_below_ends_a_caption(draw, look):
    paper = draw(LOOKS[look])
    look = paper.look
    span = look.column()
    box = figure(paper)
    end = paper.legend(span, 218, [LABEL, (LONG, "regular")])
    style = {"family": look.family, "size": look.size}
    end = paper.set(span[0], end + 9, [("3.2 Wear in water", "bold")], 200, **style)
    finish(paper, end + 2)
    one(paper, LONG, box)


@pytest.mark.parametrize("foot", ["page", "footnote", "running"])
def test_what_stands_at_the_foot_of_the_page_is_not_of_the_caption(draw, foot):
    paper = draw()
    for number in range(3):
        paper.fill((60, 296), 60, 500)
        paper.fill((316, 552), 60, 700)
        box = [60, 510, 296, 660]
        paper.plot(box)
        text = f"{SHORT.removesuffix('.')}, sample {number}."
        paper.legend((60, 296), 668, [(f"Figure {number + 1}.", "bold"), (text, "regular")])
        if foot == "page":
            paper.set(300, 740, str(100 + number), 40)
        elif foot == "running":
            paper.set(60, 712, f"J. Samples 12 (2024) {100 + number}", 300, 8)
        else:
            paper.canvas.line(60, 792 - 703, 160, 792 - 703)
            paper.set(60, 706, "* Corresponding author: author@example.org", 236, 8)
        paper.next()
    captions = [f"{SHORT.removesuffix('.')}, sample {k}." for k in range(3)]
    truth = [(f"Figure {k + 1}", captions[k], k + 1, box) for k in range(3)]
    check_rows(rows_of(paper), truth)


@pytest.mark.parametrize("step", [20.0, 24.0])
@pytest.mark.parametrize("numbers", [False, True])
def test_captions_of_double_spaced_manuscripts(draw, numbers, step):
    """Caption and text are of one type; a figure stands between paragraphs."""
    look = with_type(LETTER, columns=1, gutter=0, size=12, leading=step, left=80, measure=440)
    look = with_type(look, caption_size=12, caption_leading=step, justified=False)
    paper = draw(look)
    truth = []
    for number in range(2):
        paper.fill(look.full, 60, 60 + 4 * step)
        top = 60 + 4 * step + 20
        box = [120, top, 480, top + 200]
        paper.plot(box)
        text = f"{SHORT} {prose(30 + number, 12)}"
        label = f"Figure {number + 1}"
        end = paper.legend(look.full, top + 212, [(f"{label}.", "bold"), (text, "regular")])
        paper.fill(look.full, end + step, 730)
        for row in range(int(670 / step) if numbers else 0):
            paper.set(50, 62 + step * row, str(30 * number + row + 1), 30, 9)
        paper.next()
        truth.append((label, text, number + 1, box))
    check_rows(rows_of(paper), truth)


@pytest.mark.parametrize("look", ["two-columns-times", "two-columns-sans"])
def test_line_numbers_between_or_beside_columns_are_of_no_caption(draw, look):
    paper = draw(LOOKS[look])
    look = paper.look
    span = look.column()
    box = figure(paper)
    end = paper.legend(span, 218, [LABEL, (LONG, "regular")])
    finish(paper, end + 14)
    for row in range(10, 56, 1):
        paper.set(span[0] - 18, 62 + 12 * row, str(row), 20, 6)
    one(paper, LONG, box)


def test_a_caption_directly_over_the_next_figure_ends_before_it(draw):
    paper = draw()
    first, second = [60, 60, 296, 180], [60, 236, 296, 360]
    paper.plot(first)
    end = paper.legend((60, 296), 186, [LABEL, (LONG[:160], "regular")])
    assert end < 232
    paper.plot(second)
    end = paper.legend((60, 296), 366, [("Figure 2.", "bold"), (SHORT, "regular")])
    finish(paper, end + 14)
    check_rows(rows_of(paper), [("Figure 1", LONG[:160], 1, first), ("Figure 2", SHORT, 1, second)])


@pytest.mark.parametrize("gap", [3.0, 8.0])
def test_a_source_line_under_a_caption_is_of_it(draw, gap):
    paper = draw()
    box = figure(paper)
    end = paper.legend((60, 296), 218, [LABEL, (SHORT, "regular")])
    credit = "Source: Bureau of Samples, reprinted with permission, 2019."
    end = paper.legend((60, 296), end + gap / 4, credit, size=8)
    finish(paper, end + 16)
    one(paper, f"{SHORT} {credit}", box)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("width", [110.0, 150.0])
def test_a_narrow_caption_beside_its_figure_is_whole(draw, side, width):
    paper = draw()
    across = 492 - width - 12
    x = 60 if side == "right" else 60 + width + 12
    box = [x, 60, x + across, 260]
    paper.plot(box)
    own = 60 + across + 12 if side == "right" else 60
    end = paper.legend((own, own + width), 64, [LABEL, (LONG, "regular")])
    finish(paper, max(end, 260) + 20, paper.look.full)
    one(paper, LONG, box)


@pytest.mark.parametrize("look", ["two-columns-times", "three-columns", "one-column-stix"])
@pytest.mark.parametrize("other", ["Table 2", "Fig. 3.", "Fig. 5b)"])
def test_a_row_that_begins_with_another_label_is_of_the_caption(draw, look, other):
    paper = draw(LOOKS[look])
    look = paper.look
    x0, x1 = look.column()
    box = figure(paper)
    rows = broken(paper, f"Figure 1. {LONG} {SHORT}", x1 - x0, look)
    rows[2] = " ".join([other, *rows[2].split()[len(other.split()) :]])
    y = 218.0
    for row in rows:
        y = paper.legend((x0, x1 + 40), y, row)
    finish(paper, y + 16)
    one(paper, " ".join(rows).removeprefix("Figure 1. "), box)


@pytest.mark.parametrize("hang", [0.0, 12.0])
@pytest.mark.parametrize("look", ["two-columns-times", "three-columns", "two-columns-sans"])
def test_a_short_row_amid_a_caption_is_of_it(draw, look, hang):
    """The last word of its first paragraph stands alone on its row."""
    paper = draw(LOOKS[look])
    look = paper.look
    x0, x1 = look.column()
    box = figure(paper)
    rows = broken(paper, f"Figure 1. {LONG}", x1 - x0 - hang, look)[:3]
    y = 218.0
    for number, row in enumerate([*rows, "boundary."]):
        y = paper.legend((x0 + hang * (number > 0), x1 + 40), y, row)
    y = paper.legend((x0, x1), y, SHORT, hang=hang)
    finish(paper, y + 16)
    one(paper, " ".join([*rows, "boundary.", SHORT]).removeprefix("Figure 1. "), box)


@pytest.mark.parametrize("leading", [14.0, 16.0, 20.0])
@pytest.mark.parametrize("end", ["vs.", "air.", "time"])
def test_a_caption_with_a_larger_leading_than_the_body(draw, end, leading):
    """Of the body's size, its first row short: the next word is long."""
    look = with_type(LETTER, leading=11.5, caption_size=10.0, caption_leading=leading)
    paper = draw(look)
    box = figure(paper)
    first = f"Figure 1. Hardness of the samples of alloy {end}"
    rest = "grain-boundary-carbon content, as it was read"
    y = paper.legend((60, 340), 222, first)
    y = paper.legend((60, 340), y, rest)
    finish(paper, y + 20)
    one(paper, f"{first} {rest}".removeprefix("Figure 1. "), box)


@pytest.mark.parametrize("gap", [8.0, 12.0])
@pytest.mark.parametrize("inset", [0.0, 12.0])
@pytest.mark.parametrize("label", ["Fig. 1", "Figure 1."])
def test_a_short_caption_of_the_bodys_type_then_an_indented_paragraph(draw, label, inset, gap):
    look = with_type(LETTER, size=9.0, leading=13.5, justified=False)
    look = with_type(look, caption_size=9.0, caption_leading=14.4)
    paper = draw(look)
    box = figure(paper)
    text = "Crystal stress of the specimen after Weiss et al."
    end = paper.legend((60 + inset, 296), 222, f"{label} {text}")
    finish(paper, end + gap)
    one(paper, text, box, label.rstrip("."))


@pytest.mark.parametrize("hang", [0.0, 12.0])
@pytest.mark.parametrize("other", ["Table 2", "Figure 4", "Fig. 3", "Scheme 1"])
def test_a_row_that_begins_with_another_label_where_labels_have_no_mark(draw, other, hang):
    """ "Figure 1 Stress …" in the face of its caption, as all captions of the paper are set."""
    look = with_type(LOOKS["three-columns"], caption_family="times", caption_size=7.6)
    paper = draw(with_type(look, caption_leading=8.6, leading=17.0))
    look = paper.look
    x0, x1 = look.column()
    truth = []
    y = 60.0
    for number in range(4):
        box = [x0, y, x1, y + 70]
        paper.plot(box)
        rows = broken(paper, f"Figure {number + 6} {prose(40 + number, 30)}", x1 - x0 - hang, look)
        if number == 1:
            rows[1] = f"{other} {rows[1].split(' ', 1)[1].split(' ', 1)[1]}"
        y += 78
        for place, row in enumerate(rows):
            y = paper.legend((x0 + hang * (place > 0), x1 + 40), y, row)
        y += 16
        text = " ".join(rows).removeprefix(f"Figure {number + 6} ")
        truth.append((f"Figure {number + 6}", text, 1, box))
    paper.fill((x0, x1), y, 730)
    for number in (1, 2):
        paper.fill(look.column(number), 60, 730)
    rows = rows_of(paper, kinds=("figure", "scheme", "table"))
    got = [(row["label"], row["caption"]) for row in rows]
    assert got == [own[:2] for own in truth], got


@pytest.mark.parametrize("row", [1, 2])
@pytest.mark.parametrize("second", ["antiferromagnetic", "molybdenum"])
def test_a_row_of_two_words_far_apart_is_whole(draw, row, second):
    """Justified in a narrow column, where the next word is long."""
    look = LOOKS["three-columns"]
    paper = draw(look)
    x0, x1 = look.column()
    box = figure(paper)
    rows = broken(paper, f"Figure 1. {LONG}", x1 - x0, look)
    first = "polycrystalline"
    y = 218.0
    for number, text in enumerate(rows):
        if number == row:
            y_next = paper.legend((x0, x1), y, first)
            wide = paper.canvas.stringWidth(second, "Helvetica", look.caption_size)
            paper.legend((x1 - wide, x1 + 1), y, second)
            y = y_next
        y = paper.legend((x0, x1 + 40), y, text)
    finish(paper, y + 16)
    rows.insert(row, f"{first} {second}")
    one(paper, " ".join(rows).removeprefix("Figure 1. "), box)


@pytest.mark.parametrize("look", ["two-columns-times", "one-column-stix"])
def test_a_raised_sign_in_the_first_row_does_not_end_it(draw, look):
    """A sign of a trade mark, in another font, smaller and higher than the row."""
    paper = draw(LOOKS[look])
    look = paper.look
    x0 = look.column()[0]
    figure(paper)
    size, name = look.caption_size, face(look.caption_family)
    head, rest = "Figure 1: The Acme", "furnace that was used."
    end = paper.legend((x0, x0 + 400), 222, head)
    shift = paper.canvas.stringWidth(head, name, size)
    paper.set(x0 + shift + 3, 220, "(R)", 20, 0.6 * size, family="helvetica")
    paper.legend((x0 + shift + 1.5 * size, x0 + 500), 222, rest)
    finish(paper, end + 16)
    (row,) = rows_of(paper)
    assert row["caption"].startswith("The Acme") and row["caption"].endswith(rest)


@pytest.mark.parametrize("look", ["two-columns-times", "same-size"])
def test_a_label_in_a_bar_over_its_figure_and_the_text_under_it(draw, look):
    """In the bar the label is set off from the left edge of the text."""
    paper = draw(LOOKS[look])
    x0, x1 = paper.look.column()
    texts, y = [SHORT, "Strength of the samples that were held in water."], 60.0
    for number, text in enumerate(texts, 1):
        paper.canvas.setFillGray(0.9)
        paper.canvas.rect(x0, 792 - y - 14, x1 - x0, 14, fill=1, stroke=0)
        paper.canvas.setFillGray(0)
        paper.legend((x0 + 4.5, x1), y + 2, [(f"Figure {number}", "bold")])
        paper.plot([x0, y + 20, x1, y + 180])
        y = paper.legend((x0, x1), y + 188, text) + 20
    finish(paper, y)
    found = [(row["label"], row["caption"]) for row in rows_of(paper)]
    assert found == [("Figure 1", SHORT), ("Figure 2", texts[1])]


@pytest.mark.parametrize("tab", [20, 30, 42])
@pytest.mark.parametrize("hanging", [True, False])
def test_a_tab_may_part_the_label_from_its_text(draw, tab, hanging):
    paper = draw()
    box = figure(paper)
    rows = ["Hardness of the annealed samples that were", "held in air for a day and a night, as"]
    rows.append("the mean of five readings on each.")
    paper.set(60, 218, "Figure 1.", 100, 9)
    left = 60 + paper.canvas.stringWidth("Figure 1.", "Times-Roman", 9) + tab
    for number, row in enumerate(rows):
        paper.set(left if hanging or not number else 60, 218 + 10.8 * number, row, 300, 9)
    finish(paper, 218 + 10.8 * len(rows) + 14)
    one(paper, " ".join(rows), box)


@pytest.mark.parametrize("small", ["i=1,\u2026,n", "s < t", "50 nm"])
def test_small_type_between_two_rows_does_not_end_a_caption(draw, small):
    """The limits of a sum, or what is written under an arrow: the caption goes on below it."""
    paper = draw()
    figure(paper)
    first = "Hardness of the annealed samples that were"
    y = paper.legend((60, 296), 218, [LABEL, (first, "regular")])
    paper.set(140, y - 0.8, small, 100, 6)
    rows = ["held in air for a day and a night, as", "the mean of five readings on each."]
    for number, row in enumerate(rows):
        y = paper.set(60, y + 2 * (not number), row, 300, 9, 10.8)
    finish(paper, y + 14)
    (row,) = rows_of(paper)
    assert row["caption"].startswith(first)
    assert row["caption"].endswith(" ".join(rows))


def test_a_caption_beside_running_text_of_a_larger_size_is_its_own(draw):
    """A margin with captions stands closer to the text than its words to each other."""
    look = with_type(LETTER, columns=1, gutter=0, left=198, measure=234, size=9.5, leading=12)
    paper = draw(look)
    box = [60, 60, 190, 195]
    paper.plot(box)
    rows = [
        "Figure 1. Samples as they were",
        "held in air; the mean of the five readings",
        "is given for each one.",
    ]
    x = 194 - paper.canvas.stringWidth(rows[1], "Helvetica", 8)
    for number, row in enumerate(rows):
        paper.set(x, 204 + 0.8 * (9.5 - 8) + 12 * number, row, 200, 8, family="helvetica")
    paper.fill((198, 432), 60, 730)
    (row,) = rows_of(paper)
    assert row["caption"] == " ".join(rows).removeprefix("Figure 1. ")
