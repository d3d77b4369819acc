"""What passages of running text lose and keep beside formulas, captions, covers and headings."""

from collections import Counter
from contextlib import closing
from dataclasses import replace

import pytest
from pdf_samples import COLUMN, FIRST, LEFT, RIGHT, SECOND, THIRD, Sheet
from test_prose import passages

from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf.furniture import part_furniture
from cephalo.dataset_scripts.pdf.layout import Block
from cephalo.dataset_scripts.pdf.main_matter import _heads_row, _is_aside
from cephalo.dataset_scripts.pdf.profile import TypeProfile
from cephalo.dataset_scripts.pdf.prose import (
    with_ends,
    without_captions,
    without_citations,
    without_remnants,
)
from cephalo.dataset_scripts.pdf.reading import read_pages
from cephalo.dataset_scripts.pdf.sentence_faults import is_damaged
from cephalo.dataset_scripts.pdf.text import Line
from cephalo.dataset_scripts.pdf.words import is_mangled, is_misread, vocabulary_of

WORDS = vocabulary_of([FIRST, SECOND, THIRD, "A voxel is a cell."])


@pytest.fixture
def sheet(tmp_path) -> Sheet:
    return Sheet(tmp_path / "paper.pdf")


def text_of(sheet: Sheet) -> str:
    return "\n\n".join(passages(sheet))


def test_a_row_at_the_top_of_a_page_in_two_frames_is_read(sheet):
    sheet.text(LEFT, 40, "of fifty samples, each of")
    sheet.body(LEFT, 72, 300)
    with fast.open_document(sheet.save()) as document, closing(fast.Pages(document)) as source:
        [page], _ = read_pages(source, 1)
    pages = [page, replace(page, quarters=1), replace(page, number=1, lines=[], turned=[])]
    part_furniture(pages)
    assert "of fifty samples, each of" in [line.text for line in pages[0].lines]
    assert pages[0].furniture == []


def test_a_sentence_whose_next_row_was_read_with_a_caption_is_left_out(sheet):
    sheet.text(LEFT, 72, FIRST)
    sheet.image([LEFT, 200, LEFT + COLUMN, 400])
    sheet.body(RIGHT, 72, 360)
    y = sheet.text(RIGHT, 372, f"{SECOND} We do not")
    row = "Load and stretch of all mats over the time. know how these mats of fibres had all "
    row += "fared when left in dry air"
    sheet.caption(LEFT, y, "Figure 1.", row, width=3 * COLUMN)
    sheet.next()
    sheet.text(LEFT, 72, f"were pressed. {THIRD}")
    text = text_of(sheet)
    assert SECOND in text and THIRD in text and "We do not" not in text


def test_a_sentence_whose_last_row_goes_on_behind_a_formula_is_left_out(sheet):
    y = sheet.text(LEFT, 72, f"{FIRST} {SECOND}")
    sheet.text(LEFT, y, "In what follows,")
    sheet.text(LEFT + 85, y - 5, "3", size=6)
    sheet.text(LEFT + 85, y + 5, "4", size=6)
    sheet.text(LEFT + 110, y, "denotes the share of")
    sheet.text(RIGHT, 72, f"fibres. {THIRD}")
    text = text_of(sheet)
    assert SECOND in text and THIRD in text and "In what follows" not in text


@pytest.mark.parametrize("before", ["B. Nakagawa2", "LIMITATIONS AND OUTLOOK"])
def test_names_and_capitals_before_a_paragraph_are_no_part_of_it(sheet, before):
    sheet.text(LEFT, 72, FIRST)
    y = sheet.text(LEFT, 300, before)
    sheet.text(LEFT, y + 2, SECOND)
    sheet.text(RIGHT, 72, THIRD)
    assert text_of(sheet) == f"{FIRST}\n\n{SECOND}\n\n{THIRD}"


def test_a_numbered_heading_in_its_row_begins_a_paragraph_without_its_number(sheet):
    y = sheet.text(LEFT, 72, FIRST)
    sheet.text(LEFT, y + 10, f"3.3. Fracture of the mats. {SECOND}")
    sheet.text(RIGHT, 72, THIRD)
    assert text_of(sheet) == f"{FIRST}\n\nFracture of the mats. {SECOND}\n\n{THIRD}"


def test_the_cover_of_a_repository_is_left_out(sheet):
    sheet.text(LEFT, 72, FIRST.replace("fibre mats", "papers"), font="Helvetica")
    sheet.text(LEFT, 300, SECOND.replace("Fracture", "Access"), font="Helvetica")
    for text in (FIRST, THIRD):
        sheet.next()
        sheet.text(LEFT, 72, text)
        sheet.body(RIGHT, 72, 700)
    text = text_of(sheet)
    assert FIRST in text and THIRD in text
    assert "papers were pressed" not in text and "Access began" not in text


def block(font: str, size: float, *tags: str, rows: int = 4) -> Block:
    lines = [
        Line("of the mats in two experiments", (0, 10 * row, 100, 10 * row + 8), size, font, font)
        for row in range(rows)
    ]
    lines[0].tags.update(tags)
    return Block(lines, (0, 0, 100, 10 * rows), True)


@pytest.mark.parametrize(
    ("texts", "font", "running"),
    [
        (["swimming speed (Smith et al., 1984;", "Roche, 2013)."], "Serif", True),
        (["swimming speed (Smith et al., 1984;", "Roche, 2013)."], "Sans", False),
        (["swimming speed (Smith et al., 1984)", "and depth"], "Serif", False),
        (["Swimming speed of the larger ones.", "It rose."], "Serif", False),
        (["of the cells."], "Serif", False),
        (["rows of a list of the", "words that are", "in use here, and", "go on."], "Serif", False),
    ],
)
def test_the_end_of_a_paragraph_at_the_head_of_a_column_is_text(texts, font, running):
    body = TypeProfile(9.0, 11.0, frozenset(["Serif"]))
    lines = [Line(text, (0, 0, 100, 8), 9.0, "Serif-Italic", font) for text in texts]
    [block] = with_ends([Block(lines, (0, 0, 100, 20), False)], body)
    assert block.paragraph == running


def test_the_rest_of_a_caption_in_another_column_is_left_out():
    body = TypeProfile(9.0, 11.0, frozenset(["Serif"]))
    caption, rest = block("Sans", 8.0, "caption", rows=6), block("Sans", 8.0, rows=2)
    methods, text = block("Other", 8.0, rows=9), block("Serif", 9.0)
    small = block("Other", 8.0, "caption")
    label, heading = block("Bold", 9.0, "caption"), block("Bold", 9.0, rows=1)
    pages = [[caption, rest, text], [methods, small], [block("Serif", 8.0, "caption"), text]]
    kept = without_captions([*pages, [label, heading]], body)
    assert [len(groups) for groups in kept] == [2, 2, 2, 2]
    assert kept[0][0] is caption and kept[0][1] is text


def test_a_box_of_other_type_stands_apart():
    assert _is_aside(block("Sans", 9.0), block("Serif", 9.0))
    assert not _is_aside(block("Serif", 9.0), block("Serif", 9.0))
    assert not _is_aside(block("Symbol", 9.0, rows=1), block("Serif", 9.0))  # a row of signs


@pytest.mark.parametrize(
    ("text", "lead", "heads"),
    [
        ("Fracture of the mats. It began", "Serif-Bold", True),
        ("3.3. Fracture of the mats. It began", "Serif", True),
        ("It began at the edge of them", "Serif", False),
        ("n denotes the number of them", "Serif-Italic", False),
    ],
)
def test_a_row_that_begins_with_a_heading(text, lead, heads):
    assert _heads_row(Line(text, (0, 0, 100, 8), 9.0, "Serif", lead)) == heads


def test_the_title_of_a_float_without_a_caption_is_no_part_of_a_sentence(sheet):
    words = SECOND.split()
    sheet.text(LEFT, 72, f"{FIRST} {' '.join(words[:8])}")
    sheet.text(LEFT, 300, "Box 2. Terms of the mats that are used here and below")
    sheet.text(RIGHT, 72, f"{' '.join(words[8:])} {THIRD}")
    text = text_of(sheet)
    assert "Terms of the mats" not in text and FIRST in text and THIRD in text


def test_a_large_initial_belongs_to_its_word(sheet):
    first, rest = SECOND[0], SECOND[1:]
    sheet.text(LEFT, 72, FIRST)
    sheet.text(LEFT, 300, f"{first} {rest}")
    sheet.text(RIGHT, 72, THIRD)
    assert text_of(sheet) == f"{FIRST}\n\n{SECOND}\n\n{THIRD}"


@pytest.mark.parametrize(
    ("printed", "read"),
    [
        ("the strength.The mats", "the strength. The mats"),
        ("at the edge,which agrees", "at the edge, which agrees"),
        ("the strength.First,mats", "the strength. First, mats"),
        ("at www.fibres.org/mats.The", "at www.fibres.org/mats.The"),
        ("at 2,5-dimethyl and N,N-diethyl ends", "at 2,5-dimethyl and N,N-diethyl ends"),
    ],
)
def test_spaces_behind_marks(sheet, printed, read):
    sheet.text(LEFT, 72, f"{FIRST} We cut {printed} of the four. {SECOND}")
    sheet.text(RIGHT, 72, THIRD)
    assert f"We cut {read} of the four." in text_of(sheet)


def test_single_sentences_between_lost_ones_are_remnants():
    told = Counter(kept=4)
    assert without_remnants(["One. Two. Three.", "Four."], 1, told) == ["One. Two. Three."]
    assert told == {"kept": 3, "remnants": 1}
    assert without_remnants(["One. Two. Three."], 4, told) == []
    assert told == {"kept": 0, "remnants": 4}
    assert without_remnants(["One."], 0, told) == ["One."]


@pytest.mark.parametrize(
    ("sentence", "misread"),
    [
        ("The strength of the fibre mats rose.", False),
        ("It rose by 35 % in 2 days.", False),
        ("The Q2 values of the mats rose.", True),
        ("This is a 1,l-mat of fibres.", True),
        ("The strenqth of the mats rose.", True),
        ("Doe and Nakagawa pressed mats.", False),
    ],
)
def test_what_recognition_misread(sentence, misread):
    assert is_misread(sentence, WORDS) == misread


def test_two_words_without_their_space():
    assert is_mangled("Samples andmethods of the press.", WORDS)
    assert is_mangled("The strengthof the press.", WORDS)
    assert not is_mangled("The theorem holds and withstands.", WORDS)


def test_a_transposed_matrix_that_was_read_as_greater():
    assert is_damaged("The functional is QR in the space of Q>Ψ.")
    assert not is_damaged("The mats with a load > 5 N broke and p>0.05 held.")


@pytest.mark.parametrize(
    "sentence",
    [
        "There is no pole at all in the.",
        "It is given by [16, 17] where q is small.",
        "In Fig. the loss rises.",
    ],
)
def test_a_sentence_that_lost_a_symbol(sentence):
    assert is_damaged(sentence)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("a correlation of .10 was", "a correlation of .10 was"),
        ("the mats [3] .", "the mats."),
        ("p values below .05 as", "p values below .05 as"),
    ],
)
def test_values_that_begin_with_a_point(text, clean):
    assert without_citations(text) == clean
