"""Figures and captions on different pages."""

import pytest
from paper_samples import LETTER, LOOKS, Paper, check_rows, prose, rows_of, with_type
from paper_samples import draw as draw  # the fixture

from cephalo.dataset_scripts.common.geometry import iou

SHORT = "Hardness of the annealed samples against the time for which they were held in air."
TEXTS = (
    SHORT,
    "Wear of the same samples after two hundred cycles under a load of five newtons.",
    "Micrographs of both alloys, etched for a minute and seen under polarised light.",
)
MANUSCRIPT = with_type(
    LETTER, columns=1, gutter=0, size=12, leading=22, left=80, measure=440,
    caption_size=12, caption_leading=22, justified=False,
)  # fmt: skip


NOTES = (
    "(See legend on next page.)",
    "(see figure on next page)",
    "See next page for caption.",
    "(Legend on the following page.)",
    "(Caption on next page.)",
    "Legend continues on next page.",
    "For legend see opposite page.",
)


@pytest.mark.parametrize("look", ["two-columns-times", "one-column-stix"])
@pytest.mark.parametrize("note", [note for note in NOTES if "figure" not in note])
def test_a_figure_with_its_legend_on_the_next_page(draw, look, note):
    """The note under the figure is no caption; the legend has the label once more."""
    paper = draw(LOOKS[look])
    look = paper.look
    box = [look.left, 60, look.left + look.measure, 640]
    paper.plot(box)
    paper.legend(look.full, 652, [("Fig. 1", "bold"), (note, "italic")])
    paper.next()
    end = paper.legend(look.full, 60, [("Fig. 1.", "bold"), (TEXTS[0], "regular")])
    paper.fill_columns(end + 20, 730)
    check_rows(rows_of(paper), [("Fig. 1", TEXTS[0], 1, box)])


@pytest.mark.parametrize("note", ["(See figure on previous page.)", "(See previous page.)"])
def test_a_legend_that_says_where_its_figure_is(draw, note):
    paper = draw()
    box = [60, 60, 552, 700]
    paper.plot(box)
    paper.next()
    runs = [("Figure 1.", "bold"), (note, "italic"), (SHORT, "regular")]
    end = paper.legend(paper.look.full, 60, runs)
    paper.fill_columns(end + 20, 730)
    (row,) = rows_of(paper)
    assert row["label"] == "Figure 1" and row["page"] == 1
    assert row["caption"].endswith(SHORT)
    assert iou(row["bbox"], box) > 0.85


@pytest.mark.parametrize("look", ["two-columns-times", "one-column-serif", "two-columns-sans"])
@pytest.mark.parametrize("full_page", [True, False])
def test_a_caption_at_the_head_of_the_next_page(draw, look, full_page):
    """The figure fills its page, or ends it under some text."""
    paper = draw(LOOKS[look])
    look = paper.look
    top = 60 if full_page else 300
    box = [look.left, top, look.left + look.measure, 725]
    if not full_page:
        paper.fill_columns(60, 280)
    paper.plot(box, 30)
    paper.next()
    end = paper.legend(look.full, 60, [("Figure 1.", "bold"), (SHORT, "regular")])
    paper.fill_columns(end + 20, 730)
    check_rows(rows_of(paper), [("Figure 1", SHORT, 1, box)])


@pytest.mark.parametrize("look", ["two-columns-times", "one-column-serif"])
def test_a_caption_at_the_foot_of_the_page_before(draw, look):
    paper = draw(LOOKS[look])
    look = paper.look
    paper.fill_columns(60, 650)
    paper.legend(look.full, 680, [("Figure 1.", "bold"), (SHORT, "regular")])
    paper.next()
    box = [look.left, 60, look.left + look.measure, 500]
    paper.plot(box, 30)
    paper.fill_columns(530, 730)
    check_rows(rows_of(paper), [("Figure 1", SHORT, 2, box)])


@pytest.mark.parametrize("said", ["(continued)", "(Continued.)", "continued", "(cont.)", "Cont'd."])
@pytest.mark.parametrize("more", [True, False])
def test_a_figure_that_goes_on_on_the_next_page(draw, said, more):
    """Each part is a row; the label of the second may have no more text."""
    paper = draw()
    box = [60, 60, 552, 500]
    text = TEXTS[1] if more else ""
    paper.image(box, 1)
    paper.legend(paper.look.full, 510, [("Figure 1.", "bold"), (SHORT, "regular")])
    paper.fill_columns(560, 730)
    paper.next()
    paper.image(box, 2)
    runs = [("Figure 1.", "bold"), (f"{said} {text}".strip(), "regular")]
    paper.legend(paper.look.full, 510, runs)
    paper.fill_columns(560, 730)
    rows = rows_of(paper)
    assert [(row["label"], row["page"]) for row in rows] == [("Figure 1", 1), ("Figure 1", 2)]
    assert rows[0]["caption"] == SHORT
    assert rows[1]["caption"].endswith(text) and len(rows[1]["caption"]) <= len(runs[1][0])
    assert all(iou(row["bbox"], box) > 0.85 for row in rows)


@pytest.mark.parametrize("size", [8.0, 9.0])
@pytest.mark.parametrize("columns", [1, 2])
def test_a_caption_that_goes_on_at_the_head_of_the_next_page(draw, size, columns):
    look = with_type(LETTER, caption_size=size, caption_leading=1.2 * size)
    look = with_type(look, columns=columns, gutter=20 * (columns - 1))
    paper = draw(look)
    box = [60, 60, 552, 690]
    paper.plot(box, 30)
    rows, row = [], "Figure 1."
    for word in f"{SHORT} {prose(12, 60)}".split():
        if paper.canvas.stringWidth(f"{row} {word}", "Times-Roman", size) > 492:
            rows, row = [*rows, row], word
        else:
            row = f"{row} {word}"
    rows.append(row)
    for number, row in enumerate(rows[:2]):
        paper.legend((60, 580), 700 + look.caption_leading * number, row)
    paper.next()
    end = 60.0
    for row in rows[2:]:
        end = paper.legend((60, 580), end, row)
    paper.fill_columns(end + 24, 730)
    text = " ".join(rows).removeprefix("Figure 1. ")
    check_rows(rows_of(paper), [("Figure 1", text, 1, box)])


def list_of_captions(paper: Paper, heading: str, split: bool = False) -> list[tuple[str, str]]:
    """A page with the captions of three figures; returns their labels and texts."""
    full = paper.look.full
    y = paper.set(full[0], 60, [(heading, "bold")], 440, 14) + 20
    told = []
    for number, text in enumerate(TEXTS):
        label = f"Figure {number + 1}"
        y = paper.legend(full, y, [(f"{label}.", "bold"), (text, "regular")]) + 14
        told.append((label, text))
        if split and number == 1:
            paper.next()
            y = 60
    paper.next()
    return told


@pytest.mark.parametrize("look", [MANUSCRIPT, LETTER], ids=["double-spaced", "single"])
@pytest.mark.parametrize("heading", ["Figure captions", "Legends", "List of figures"])
@pytest.mark.parametrize("split", [False, True])
def test_a_list_of_captions_and_bare_figures_in_order(draw, look, heading, split):
    paper = draw(look)
    told = list_of_captions(paper, heading, split)
    truth = []
    for number, (label, text) in enumerate(told):
        box = [110, 120 + 20 * number, 500, 420 + 30 * number]
        paper.plot(box, 20)
        truth.append((label, text, 2 + split + number, box))
        paper.next()
    check_rows(rows_of(paper), truth)


@pytest.mark.parametrize(
    ("word", "place"),
    [
        ("Figure {}", "head"),
        ("Fig. {}", "head"),
        ("FIGURE {}", "foot"),
        ("Figure {}.", "corner"),
        ("Figure {}", "under"),
        ("Fig. {}", "over"),
    ],
)
def test_a_list_of_captions_and_figures_with_bare_labels(draw, word, place):
    """The labels say which caption is whose: the pages are not in the order of the list."""
    paper = draw(MANUSCRIPT)
    told = list_of_captions(paper, "Figure legends")
    truth = []
    for page, number in enumerate((2, 0, 1)):
        box = [110, 120 + 20 * number, 500, 420 + 30 * number]
        paper.plot(box, 20)
        x, y = {
            "head": (80, 60),
            "foot": (80, 700),
            "corner": (480, 50),
            "under": (280, box[3] + 14),
            "over": (280, box[1] - 30),
        }[place]
        label = word.format(number + 1)
        paper.set(x, y, label, 100, 12)
        truth.append((label.rstrip("."), told[number][1], 2 + page, box))
        paper.next()
    check_rows(rows_of(paper), truth)


def test_pages_of_figures_with_the_names_of_their_files_are_in_order(draw):
    """As submission systems print them: a name of a file at the head, which is no label."""
    paper = draw(MANUSCRIPT)
    told = list_of_captions(paper, "Figure captions")
    truth = []
    for number, (label, text) in enumerate(told):
        paper.set(80, 30, f"Click here to access/download;Figure;Fig{number + 1}_final.tif", 400, 8)
        box = [90, 100, 520, 500]
        paper.image(box, number)
        truth.append((label, text, 2 + number, box))
        paper.next()
    check_rows(rows_of(paper), truth)


def test_a_list_of_figures_at_the_head_of_a_thesis_is_no_list_of_captions(draw):
    paper = draw()
    for number, text in enumerate(TEXTS):
        paper.set(
            60, 60 + 16 * number, f"Figure {number + 1}. {text[:40]} . . . . . . {number + 9}", 500
        )
    paper.next()
    truth = []
    for number, text in enumerate(TEXTS):
        box = [60, 60, 296, 200]
        paper.plot(box)
        label = f"Figure {number + 1}"
        end = paper.legend((60, 296), 208, [(f"{label}.", "bold"), (text, "regular")])
        paper.fill((60, 296), end + 14, 730)
        paper.fill((316, 552), 60, 730)
        paper.next()
        truth.append((label, text, 2 + number, box))
    check_rows(rows_of(paper), truth)


def test_a_caption_without_its_figure_takes_none_of_the_next_page(draw):
    """The figure of the first caption is missing; that of the next page has its own."""
    paper = draw()
    paper.fill_columns(60, 640)
    paper.legend((60, 296), 660, [("Figure 1.", "bold"), (SHORT, "regular")])
    paper.next()
    box = [60, 60, 296, 200]
    paper.plot(box)
    end = paper.legend((60, 296), 208, [("Figure 2.", "bold"), (TEXTS[1], "regular")])
    paper.fill((60, 296), end + 14, 730)
    paper.fill((316, 552), 60, 730)
    check_rows(rows_of(paper), [("Figure 2", TEXTS[1], 2, box)])
