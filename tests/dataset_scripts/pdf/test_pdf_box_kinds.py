"""Boxes of figures: all their pieces, and nothing of what stands around them."""

import numpy as np
import pytest
from paper_samples import LETTER, LOOKS, Paper, check_rows, face, prose, rows_of, with_type
from paper_samples import draw as draw  # the fixture

from cephalo.dataset_scripts.common.geometry import covered, iou

TEXT = "Hardness of the annealed samples against the time for which they were held in air."
SECOND = "Wear of the same samples after two hundred cycles under a load of five newtons."
LABEL = ("Figure 1.", "bold")


def under(paper: Paper, span: tuple, y: float, label: str = "Figure 1.", text: str = TEXT) -> float:
    return paper.legend(span, y, [(label, "bold"), (text, "regular")])


def finish(paper: Paper, y: float) -> None:
    """Running text below `y` in the first column, and in all others from their head."""
    look = paper.look
    paper.fill(look.column(), y, 730)
    for number in range(1, look.columns):
        paper.fill(look.column(number), 60, 730)


@pytest.mark.parametrize(("radius", "count"), [(1.2, 150), (3.0, 25), (3.0, 150)])
@pytest.mark.parametrize("look", ["two-columns-times", "one-column-serif"])
def test_loose_dots_without_axes_are_one_figure(draw, look, radius, count):
    paper = draw(LOOKS[look])
    x0, x1 = paper.look.column()
    source = np.random.default_rng(5)
    points = source.uniform((x0 + 6, 66), (x1 - 6, 214), (count, 2)).tolist()
    points += [(x0 + 4, 64), (x1 - 4, 64), (x0 + 4, 216), (x1 - 4, 216)]
    for x, y in points:
        paper.canvas.circle(x, 792 - y, radius, fill=1)
    end = under(paper, (x0, x1), 228)
    finish(paper, end + 14)
    check_rows(rows_of(paper), [("Figure 1", TEXT, 1, [x0, 60, x1, 220])])


@pytest.mark.parametrize("gap", [8.0, 14.0, 20.0])
@pytest.mark.parametrize("bold", [True, False])
def test_a_row_of_headers_over_a_grid_of_pictures_is_of_the_figure(draw, bold, gap):
    paper = draw()
    xs = [60 + 126 * k for k in range(4)]
    for k, x in enumerate(xs):
        for row in range(2):
            top = 70 + gap + 8 + 110 * row
            paper.image([x, top, x + 114, top + 100], 10 * k + row)
        name = ("Input", "Baseline", "Proposed", "Ground truth")[k]
        style = "bold" if bold else "regular"
        paper.set(x, 70, [(name, style)], 114, 8, 10, "helvetica", "centre")
    foot = 70 + gap + 8 + 210
    end = under(paper, paper.look.full, foot + 10)
    paper.fill_columns(end + 16, 730)
    (row,) = rows_of(paper)
    assert row["caption"] == TEXT
    x0, y0, x1, y1 = row["bbox"]
    assert x0 < 62 and x1 > 550 and 66 < y0 < 72 and foot - 1 < y1 < foot + 4


@pytest.mark.parametrize("gap", [3.0, 9.0, 16.0])
@pytest.mark.parametrize("marks", ["(a) (b) (c)", "a b c", "Dry|Moist|Wet"])
def test_a_row_of_labels_under_pictures_is_of_the_figure(draw, marks, gap):
    paper = draw()
    names = marks.split("|") if "|" in marks else marks.split()
    for k, name in enumerate(names):
        x = 60 + 168 * k
        paper.image([x, 64, x + 156, 190], k)
        paper.set(x, 190 + gap, name, 156, 8, 10, "helvetica", "centre")
    foot = 190 + gap + 8
    end = under(paper, paper.look.full, foot + 14)
    paper.fill_columns(end + 16, 730)
    (row,) = rows_of(paper)
    assert row["caption"] == TEXT
    x0, y0, x1, y1 = row["bbox"]
    assert x0 < 62 and x1 > 550 and y0 < 66 and foot - 4 < y1 < foot + 8


@pytest.mark.parametrize("head", ["text", "rule", "logo"])
@pytest.mark.parametrize("gap", [8.0, 16.0])
def test_a_running_head_just_over_a_figure_is_not_of_it(draw, head, gap):
    paper = draw()
    truth = []
    for number in range(3):
        top = 48 + gap
        if head == "rule":
            paper.canvas.line(60, 792 - 49, 552, 792 - 49)
        if head == "logo":
            paper.image([500, 28, 552, 46], 99)
        paper.set(
            60, 38, f"A. Author et al.: Ageing of samples {number}", 300, 8, family="helvetica"
        )
        paper.set(530, 38, str(210 + number), 30, 8, family="helvetica")
        box = [60, top, 552, top + 240]
        paper.image(box, number)
        label = f"Figure {number + 1}"
        text = f"{TEXT} Sample {number}."
        end = under(paper, paper.look.full, top + 248, f"{label}.", text)
        paper.fill_columns(end + 16, 730)
        paper.next()
        truth.append((label, text, number + 1, box))
    check_rows(rows_of(paper), truth, 0.93)


@pytest.mark.parametrize("place", ["under", "over"])
def test_an_author_with_a_photograph_is_not_of_a_figure(draw, place):
    """A photograph with the author's life beside it, in the same column."""
    paper = draw()
    top = 60 if place == "under" else 200
    photo = 330 if place == "under" else 60
    box = [60, top, 296, top + 150]
    paper.plot(box)
    end = under(paper, (60, 296), top + 158)
    paper.image([60, photo, 132, photo + 90], 3)
    how = {"size": 8, "leading": 9.6, "align": "justify"}
    paper.set(142, photo, [("Ada Author", "bold"), (prose(60, 45), "regular")], 154, **how)
    paper.fill((60, 296), max(end, photo + 110) + 20, 730)
    paper.fill((316, 552), 60, 730)
    check_rows(rows_of(paper), [("Figure 1", TEXT, 1, box)])


@pytest.mark.parametrize("gutter", [12.0, 20.0])
def test_the_figure_of_the_next_column_is_not_taken(draw, gutter):
    """Figures at one height in both columns, with captions of unlike lengths."""
    paper = draw(with_type(LETTER, gutter=gutter))
    truth = []
    for number, text in enumerate((f"{TEXT} {prose(70, 30)}", SECOND)):
        span = paper.look.column(number)
        box = [span[0], 60, span[1], 210]
        paper.image(box, number)
        end = under(paper, span, 218, f"Figure {number + 1}.", text)
        paper.fill(span, end + 14, 730)
        truth.append((f"Figure {number + 1}", text, 1, box))
    check_rows(rows_of(paper), truth)


@pytest.mark.parametrize("shift", [-40.0, -9.0, -3.0, 4.0, 9.0, 18.0, 40.0])
@pytest.mark.parametrize(("columns", "graphic"), [(1, "image"), (1, "plot"), (2, "plot")])
def test_figures_side_by_side_with_captions_at_unlike_heights(draw, columns, graphic, shift):
    """Each label keeps its own figure and its own text."""
    paper = draw(with_type(LETTER, columns=columns, gutter=20 * (columns - 1)))
    heights = (150, 150 + shift)
    truth = []
    for number, text in enumerate((TEXT, SECOND)):
        x = 60 + 256 * number
        box = [x, 60, x + 236, 60 + heights[number]]
        getattr(paper, graphic)(box)
        label = f"Fig. {number + 1}"
        under(paper, (x, x + 236), box[3] + 8, f"{label}.", text)
        truth.append((label, text, 1, box))
    paper.fill_columns(290, 730)
    check_rows(sorted(rows_of(paper), key=lambda row: row["label"]), truth)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("style", ["bold", "regular"])
def test_captions_on_one_line(draw, style, columns, count):
    """Short captions of figures side by side, each in its own place, on one baseline."""
    paper = draw(with_type(LETTER, columns=columns, gutter=20 * (columns - 1)))
    width = (492 - 20 * (count - 1)) / count
    words = ("Dry samples.", "Moist samples.", "Wet samples.")
    truth = []
    for number in range(count):
        x = 60 + (width + 20) * number
        box = [x, 60, x + width, 190]
        paper.image(box, number)
        label = f"Figure {number + 1}"
        runs = [(f"{label}.", style), (words[number], "regular")]
        paper.legend((x, x + width), 198, runs, "centre")
        truth.append((label, words[number], 1, box))
    paper.fill_columns(230, 730)
    check_rows(rows_of(paper), truth)


@pytest.mark.parametrize("gap", [26.0, 60.0])
def test_captions_on_one_line_close_to_each_other(draw, gap):
    paper = draw()
    truth = []
    for number, text in enumerate(("The first of both samples in air.", "The second one in air.")):
        box = [60 + (150 + gap) * number, 60, 210 + (150 + gap) * number, 190]
        paper.image(box, number)
        label = f"Fig. {number + 1}"
        under(paper, (box[0], box[2] + 20), 198, f"{label}.", text)
        truth.append((label, text, 1, box))
    paper.fill_columns(230, 730)
    check_rows(rows_of(paper), truth)


@pytest.mark.parametrize("gap", [4.0, 9.0, 13.0])
@pytest.mark.parametrize("size", [8.0, 9.0, 11.0])
def test_numbers_at_an_axis_are_of_the_figure(draw, size, gap):
    """Left of the upright axis and under the level one, with names of both beyond."""
    paper = draw(with_type(LETTER, size=size, leading=1.2 * size, caption_size=0.9 * size))
    canvas = paper.canvas
    frame = [110, 64, 290, 190]
    canvas.rect(frame[0], 792 - frame[3], frame[2] - frame[0], frame[3] - frame[1])
    canvas.setFont("Helvetica", 7)
    for k in range(5):
        canvas.drawRightString(frame[0] - gap, 792 - frame[3] + 2 + 29 * k, f"{k}.00")
        canvas.drawString(frame[0] + 4 + 40 * k, 792 - frame[3] - gap - 5, str(10 * k))
        canvas.circle(frame[0] + 20 + 35 * k, 792 - frame[3] + 15 + 20 * k, 2)
    canvas.drawString(180, 792 - frame[3] - gap - 17, "Time (h)")
    canvas.saveState()
    canvas.translate(frame[0] - gap - 22, 792 - 150)
    canvas.rotate(90)
    canvas.drawString(0, 0, "Hardness (HV)")
    canvas.restoreState()
    box = [frame[0] - gap - 28, 64, 290, frame[3] + gap + 19]
    end = under(paper, (60, 296), box[3] + 10)
    finish(paper, end + 14)
    check_rows(rows_of(paper), [("Figure 1", TEXT, 1, box)], 0.92)


@pytest.mark.parametrize("align", ["left", "centre"])
def test_a_figure_over_both_columns_under_running_text(draw, align):
    paper = draw()
    paper.fill_columns(60, 380)
    box = [100, 400, 512, 640]
    paper.plot(box)
    paper.legend(paper.look.full, 650, [LABEL, (TEXT, "regular")], align)
    check_rows(rows_of(paper), [("Figure 1", TEXT, 1, box)])


@pytest.mark.parametrize("parts", [2, 5])
def test_panels_stacked_with_wide_gaps_are_one_figure(draw, parts):
    paper = draw()
    height = 500 / parts - 24
    for number in range(parts):
        top = 64 + (height + 24) * number
        paper.plot([60, top, 296, top + height])
        paper.set(64, top - 2, f"({'abcde'[number]})", 30, 8, family="helvetica")
    box = [60, 64, 296, top + height]
    end = under(paper, (60, 296), box[3] + 10)
    finish(paper, end + 12)
    check_rows(rows_of(paper), [("Figure 1", TEXT, 1, box)])


@pytest.mark.parametrize("place", ["right", "under", "over"])
def test_a_legend_that_stands_off_is_of_the_figure(draw, place):
    """Samples of lines with their names."""
    paper = draw()
    box = [60, 90, 440, 300]
    paper.plot(box)
    x, y = {"right": (456, 120), "under": (120, 314), "over": (120, 72)}[place]
    for number, name in enumerate(("annealed", "quenched", "as cast")):
        left = x if place == "right" else x + 100 * number
        top = y + 14 * number if place == "right" else y
        paper.canvas.line(left, 792 - top - 4, left + 18, 792 - top - 4)
        paper.set(left + 22, top, name, 60, 7, family="helvetica")
    foot = 324 if place == "under" else 300
    end = under(paper, paper.look.full, foot + 10)
    paper.fill_columns(end + 16, 730)
    (row,) = rows_of(paper)
    assert row["caption"] == TEXT
    x0, y0, x1, y1 = row["bbox"]
    assert x0 < 62 and (x1 > 490 if place == "right" else x1 < 460)
    assert y0 < 76 if place == "over" else 80 < y0 < 95
    assert foot - 6 < y1 < foot + 6


@pytest.mark.parametrize("inside", [True, False])
def test_a_formula_under_a_figure_is_not_of_it(draw, inside):
    """A displayed equation with its number, below the caption or above the figure."""
    paper = draw()
    y = 60.0
    if not inside:
        y = paper.set(60, y, prose(80, 20), 236) + 6
        paper.set(120, y, [("E = m c", "italic")], 100)
        paper.canvas.line(160, 792 - y - 14, 200, 792 - y - 14)
        paper.set(280, y, "(3)", 30)
        y += 26
    box = [60, y, 296, y + 150]
    paper.image(box)
    end = under(paper, (60, 296), box[3] + 8)
    if inside:
        paper.set(120, end + 14, [("E = m c + k T", "italic")], 100)
        paper.set(280, end + 14, "(3)", 30)
        end += 34
    finish(paper, end + 6)
    check_rows(rows_of(paper), [("Figure 1", TEXT, 1, box)], 0.93)


def test_two_figures_over_each_other_with_captions_above(draw):
    paper = draw()
    truth, y = [], 60.0
    for number, text in enumerate((TEXT, SECOND, f"{TEXT} {SECOND}")):
        y = under(paper, (60, 296), y, f"Figure {number + 1}.", text) + 6
        box = [60, y, 296, y + 120]
        paper.image(box, number)
        y += 142
        truth.append((f"Figure {number + 1}", text, 1, box))
    finish(paper, y)
    check_rows(rows_of(paper), truth)


def test_neighbours_share_no_ink(draw):
    """Three figures in an L: each box holds its own picture and none of the others."""
    paper = draw()
    boxes = [[60, 60, 296, 200], [316, 60, 552, 200], [60, 260, 552, 420]]
    for number, box in enumerate(boxes):
        paper.image(box, number)
        under(paper, (box[0], box[2]), box[3] + 8, f"Figure {number + 1}.", TEXT)
    paper.fill_columns(470, 730)
    rows = rows_of(paper)
    assert [row["label"] for row in rows] == ["Figure 1", "Figure 2", "Figure 3"]
    for k, row in enumerate(rows):
        assert iou(row["bbox"], boxes[k]) > 0.9
        assert all(covered(boxes[j], row["bbox"]) == 0 for j in range(3) if j != k)


@pytest.mark.parametrize("look", ["two-columns-times", "one-column-stix", "three-columns"])
@pytest.mark.parametrize("numbered", [True, False])
@pytest.mark.parametrize("gap", [10.0, 16.0])
def test_a_displayed_equation_over_a_figure_is_not_of_it(draw, look, numbered, gap):
    paper = draw(LOOKS[look])
    look = paper.look
    x0, x1 = look.column()
    how = {"size": look.size, "leading": look.leading, "family": look.family}
    y = paper.set(x0, 60, prose(80, 30), x1 - x0, **how) + 6
    paper.set(x0 + 40, y, [("F(x) = a + b c", "italic")], 100, **how)
    if numbered:
        paper.set(x1 - 20, y, "(3)", 30, **how)
    top = y + look.size + gap
    box = [x0, top, x1, top + 150]
    paper.image(box)
    end = under(paper, (x0, x1), box[3] + 8)
    finish(paper, end + 14)
    check_rows(rows_of(paper), [("Figure 1", TEXT, 1, box)], 0.93)


@pytest.mark.parametrize("look", ["two-columns-times", "one-column-stix"])
@pytest.mark.parametrize("size", [1.0, 1.2])
@pytest.mark.parametrize("gap", [4.0, 10.0])
def test_a_heading_over_a_figure_is_not_of_it(draw, look, size, gap):
    paper = draw(LOOKS[look])
    look = paper.look
    x0, x1 = look.column()
    own = size * look.size
    paper.fill((x0, x1), 60, 140)
    paper.set(x0, 160, [("3.2 Wear in water and air", "bold")], 230, own, family=look.family)
    top = 160 + own + gap
    box = [x0, top, x1, top + 150]
    paper.image(box)
    end = under(paper, (x0, x1), box[3] + 8)
    finish(paper, end + 14)
    check_rows(rows_of(paper), [("Figure 1", TEXT, 1, box)], 0.93)


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("look", ["two-columns-times", "one-column-serif"])
def test_the_short_end_of_a_paragraph_over_a_figure_is_not_of_it(draw, look, rows):
    """At the head of a page or column, with a figure just under it."""
    paper = draw(LOOKS[look])
    look = paper.look
    x0, x1 = look.column()
    how = {"size": look.size, "leading": look.leading, "family": look.family}
    text = prose(81, 12) if rows == 2 else "held in air."
    y = paper.set(x0, 60, text, x1 - x0, **how)
    box = [x0, y + 6, x1, y + 150]
    paper.image(box)
    end = under(paper, (x0, x1), box[3] + 8)
    finish(paper, end + 14)
    check_rows(rows_of(paper), [("Figure 1", TEXT, 1, box)], 0.93)


def panels(paper: Paper, box: list, rows: int) -> None:
    """A row of two pictures, or a grid of six, that fill a box with gaps between."""
    x0, y0, x1, y1 = box
    across = 2 if rows == 1 else 3
    gap = 30.0 if rows == 1 else 8.0
    wide, high = (x1 - x0 - gap * (across - 1)) / across, (y1 - y0 - 8 * (rows - 1)) / rows
    for row in range(rows):
        for column in range(across):
            x, y = x0 + (wide + gap) * column, y0 + (high + 8) * row
            paper.image([x, y, x + wide, y + high], 10 * row + column)


@pytest.mark.parametrize("columns", [2, 3])
@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("gap", [16.0, 24.0])
def test_a_figure_under_a_figure_with_its_caption_beside_it(draw, columns, rows, gap):
    """It does not take the panels over it, which no running text parts from it."""
    paper = draw(with_type(LETTER, columns=columns))
    upper = [60, 60, 360, 200]
    panels(paper, upper, rows)
    under(paper, (372, 552), 62)
    span = paper.look.column()
    lower = [span[0], 200 + gap, span[1], 300 + gap]
    paper.image(lower, 77)
    end = under(paper, span, lower[3] + 8, "Figure 2.", SECOND)
    paper.fill(span, end + 14, 730)
    for number in range(1, columns):
        paper.fill(paper.look.column(number), 200 + gap, 730)
    check_rows(rows_of(paper), [("Figure 1", TEXT, 1, upper), ("Figure 2", SECOND, 1, lower)])


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("gap", [14.0, 24.0])
def test_a_figure_under_the_open_end_of_a_short_caption(draw, rows, gap):
    paper = draw()
    upper = [60, 60, 552, 260]
    panels(paper, upper, rows)
    text = "Micrographs of the samples."
    end = under(paper, paper.look.full, 268, text=text)
    lower = [316, end + gap, 552, end + gap + 120]
    paper.image(lower, 77)
    foot = under(paper, (316, 552), lower[3] + 8, "Figure 2.", SECOND)
    paper.fill((60, 296), end + gap, 730)
    paper.fill((316, 552), foot + 14, 730)
    check_rows(rows_of(paper), [("Figure 1", text, 1, upper), ("Figure 2", SECOND, 1, lower)])


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("place", [0, 1])
def test_wide_and_narrow_figures_under_their_captions(draw, rows, place):
    """The upper one lies over both columns, the lower one in one of them, captions above."""
    paper = draw()
    end = under(paper, paper.look.full, 60, text="Micrographs of the samples.") + 8
    upper = [60, end, 552, end + 180]
    panels(paper, upper, rows)
    span = paper.look.column(place)
    end = under(paper, span, upper[3] + 18, "Figure 2.", SECOND) + 8
    lower = [span[0], end, span[1], end + 120]
    paper.image(lower, 77)
    paper.fill(span, lower[3] + 18, 730)
    paper.fill(paper.look.column(1 - place), upper[3] + 18, 730)
    first = ("Figure 1", "Micrographs of the samples.", 1, upper)
    check_rows(rows_of(paper), [first, ("Figure 2", SECOND, 1, lower)])


@pytest.mark.parametrize("look", ["two-columns-times", "same-size"])
def test_what_panels_show_is_no_wall_in_the_type_of_the_body(draw, look):
    """Two figures over each other, with "(a) In air" under each panel, off from its axis."""
    paper = draw(LOOKS[look])
    own = paper.look
    x0, x1 = own.full
    truth, y = [], 60.0
    for number, text in enumerate((TEXT, SECOND), 1):
        wide = (x1 - x0 - 40) / 3
        for k, name in enumerate(("In air", "In water", "In argon")):
            left = x0 + k * (wide + 20)
            paper.plot([left, y, left + wide, y + 120])
            how = {"size": own.size, "leading": own.leading, "family": own.family}
            paper.set(left, y + 138, f"({'abc'[k]}) {name}", wide, align="centre", **how)
        truth.append((f"Figure {number}", text, 1, [x0, y, x1, y + 138 + own.size]))
        y = under(paper, own.full, y + 164, f"Figure {number}.", text) + 18
    paper.fill_columns(y, 730)
    check_rows(rows_of(paper), truth)


@pytest.mark.parametrize("gap", [6.0, 10.0, 14.0])
@pytest.mark.parametrize("look", ["two-columns-times", "one-column-stix"])
def test_an_item_of_a_list_over_a_figure_is_not_of_it(draw, look, gap):
    """It begins like the name of a panel, but fills its column as running text does."""
    paper = draw(LOOKS[look])
    own = paper.look
    x0, x1 = own.column()
    paper.fill((x0, x1), 60, 200)
    item = ["(b)"]
    source = iter((SECOND + " " + TEXT + " " + SECOND).split())
    family = {"size": own.size, "leading": own.leading, "family": own.family}
    while paper.canvas.stringWidth(" ".join(item), face(own.family), own.size) < 0.93 * (x1 - x0):
        item.append(next(source))
    item.pop()
    end = paper.set(x0, 214, " ".join(item), x1 - x0, **family)
    box = [x0, end + gap, x1, end + gap + 140]
    paper.plot(box)
    end = under(paper, (x0, x1), box[3] + 10)
    finish(paper, end + 14)
    check_rows(rows_of(paper), [("Figure 1", TEXT, 1, box)])


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_figure_under_a_caption_that_stands_off_to_its_side(draw, side):
    """A narrow caption in the head of the page; the figure is centred under it."""
    paper = draw()
    x = 60 if side == "left" else 452
    end = under(paper, (x, x + 100), 60, text="Wear in water.")
    box = [170, 160, 440, 330]
    paper.plot(box)
    assert end < 100
    paper.fill_columns(360, 730)
    check_rows(rows_of(paper), [("Figure 1", "Wear in water.", 1, box)])


@pytest.mark.parametrize("rows", [20, 60])
def test_a_note_between_a_title_and_its_figure_is_no_wall(draw, rows):
    """Journals of economics set a title, a note in small type that begins with the label, and the
    figure."""
    paper = draw(LOOKS["one-column-stix"])
    span = paper.look.column()
    y = paper.legend(span, 60, "FIGURE 1", "centre", size=8)
    y = paper.legend(span, y + 2, [("Wear in Water", "bold")], "centre", size=8)
    note = f"Figure 1 shows the wear of all samples. {prose(5, 3 * rows)}"
    y = paper.set(span[0], y + 8, note, span[1] - span[0], 6.5, 7.5, "stix", "justify")
    box = [span[0] + 30, y + 16, span[1] - 30, y + 190]
    paper.plot(box)
    paper.fill(span, y + 216, 730)
    (row,) = rows_of(paper)
    assert row["label"] == "FIGURE 1" and row["caption"].startswith("Wear in Water")
    assert iou(row["bbox"], box) > 0.85


def test_axes_that_stand_alike_on_several_pages_are_of_their_figures(draw):
    """Plots made by one program; what repeats in the head of the pages is none of them."""
    paper = draw()
    box = [80, 120, 532, 420]
    for number in range(4):
        for k in range(90):
            paper.canvas.rect(80 + 5 * k, 792 - 420, 3, 40 + 3 * (k * (number + 7) % 80), fill=0)
        for k in range(61):
            paper.canvas.line(80, 792 - 120 - 5 * k, 532, 792 - 120 - 5 * k)
        paper.canvas.rect(60, 792 - 50, 20, 12, fill=1)
        end = under(
            paper, paper.look.full, 440, f"Figure {number + 1}.", f"Sample {number} in air."
        )
        paper.fill_columns(end + 16, 730)
        paper.next()
    rows = rows_of(paper)
    assert [row["label"] for row in rows] == [f"Figure {k + 1}" for k in range(4)]
    assert all(iou(row["bbox"], box) > 0.9 for row in rows)


def test_panels_under_each_other_with_the_axis_named_sideways(draw):
    """The name of the upper panel's axis has the type of the body, and stands left of the panel."""
    paper = draw()
    box = [58, 60, 296, 380]
    paper.plot([90, 60, 280, 240])
    paper.plot([60, 254, 296, 380])
    canvas = paper.canvas
    canvas.saveState()
    canvas.setFont(face(paper.look.family), paper.look.size)
    canvas.translate(66, 792 - 238)
    canvas.rotate(90)
    canvas.drawString(0, 0, "Mean functional length of lamellae (mm)")
    canvas.restoreState()
    end = under(paper, (60, 296), 388)
    paper.fill((60, 296), end + 20, 730)
    paper.fill((316, 552), 60, 730)
    check_rows(rows_of(paper), [("Figure 1", TEXT, 1, box)])


def test_rows_of_the_next_column_do_not_part_a_figure(draw):
    """A figure a little wider than its column, over the gutter."""
    paper = draw()
    wide, narrow = [302, 60, 552, 150], [400, 160, 470, 210]
    paper.image(wide, 1)
    paper.image(narrow, 2)
    end = under(paper, (316, 552), 218)
    paper.fill((60, 304), 60, 730)
    paper.fill((316, 552), end + 20, 730)
    check_rows(rows_of(paper), [("Figure 1", TEXT, 1, [302, 60, 552, 210])])
