"""Lines that are joined into text: which hyphens at their ends stay."""

from dataclasses import replace

import pytest
from pdf_samples import FULL, LEFT, SENTENCE, Sheet

from cephalo.dataset_scripts.pdf.document import extract_document
from cephalo.dataset_scripts.pdf.joining import (
    join_text,
    link_of,
    read_vocabulary,
    settle_hyphens,
)
from cephalo.dataset_scripts.pdf.text import Line

BODY = [
    "the three-phonon process of a half-cell and of a coin-cell, with phonons and cells in mind",
    "the composition is non-linear, the nonmagnetic part is not; a grain of a boundary, small and",
    "at an angle; anti-site and anti-phase boundaries; it is known from what they show about mag-",
]


@pytest.mark.parametrize(
    ("before", "after", "link"),
    [
        ("by the com", "position of", ""),
        ("the three", "phonon process", "-"),  # the document has it so
        ("of a half", "cell was", "-"),
        ("is non", "linear in", "-"),
        ("is non", "magnetic at", ""),
        ("by X", "ray diffraction", "-"),  # nothing is divided after one letter
        ("the x", "axis", "-"),
        ("an Fe", "based alloy", "-"),
        ("the Hall", "Petch law", "-"),  # names keep their capitals
        ("HAT", "CN and", "-"),
        ("a DNA", "bound dye", "-"),
        ("PCT", "1 and", "-"),
        ("500", "600 nm", "-"),
        ("1-deoxy", "D-xylulose", "-"),
        ("at low", "and high-angle boundaries", "- "),  # the rest of the compound follows
        ("to exp", "and it", ""),
        ("the grain", "boundary", "-"),  # two words of the document
        ("a small", "angle scattering", "-"),
        ("an anti", "site defect", "-"),
        ("of immune", "related events", "-"),
        ("was cor", "related with", ""),
        ("the as", "received powder", "-"),
        ("we as", "sumed that", ""),
        ("it is can", "not be", ""),
        ("the CHARACTERI", "ZATION of", ""),
        ("see RI ", "Retention", "- "),
        ("a face-to", "face talk", "-"),
        ("the stay", "at-home care", "-"),
        ("low [Mg²⁺]", "induced changes", "-"),
        ("of α(2,3)", "and α(2,6)-linked", "- "),
        ("onde observam", "-se duas", ""),  # Portuguese repeats the hyphen
    ],
)
def test_what_stands_between_two_parts(before, after, link):
    assert link_of(before, after, read_vocabulary(BODY)) == link


def test_a_compound_that_is_parted_within_its_last_word():
    vocabulary = replace(read_vocabulary(BODY), known=frozenset(["reinforced", "forced"]))
    assert link_of("a graphene-rein", "forced epoxy", vocabulary) == ""
    vocabulary = replace(vocabulary, known=frozenset(["in", "inflammatory", "face", "to"]))
    assert link_of("an anti-in", "flammatory", vocabulary) == ""
    assert link_of("a face-to", "face talk", vocabulary) == "-"


@pytest.mark.parametrize(
    ("before", "after", "link"),
    [("of a Se", "rich phase", "-"), ("it was Re", "cent work", ""), ("in Ca", "ladium it", "")],
)
def test_the_symbol_of_an_element_keeps_its_hyphen(before, after, link):
    vocabulary = replace(read_vocabulary(BODY), known=frozenset(["rich", "recent", "cent"]))
    assert link_of(before, after, vocabulary) == link


def test_words_that_a_hyphen_cuts_off_are_no_words():
    words = read_vocabulary(["a half-cell, (half-cells) of com-", "Two Words."]).words
    assert words == {"a": 1, "half-cell": 1, "half-cells": 1, "of": 1, "two": 1, "words": 1}


def test_lines_are_marked_by_what_follows_them():
    texts = ["we see three-", "phonon terms of the com-", "position; a three-phonon term"]
    lines = [
        Line(text, (0, 12.0 * k, 100, 12.0 * k + 10), 10, "F", "F", span=(100 * k, 100 * k + 98))
        for k, text in enumerate(texts)
    ]
    settle_hyphens([lines])
    assert join_text([line.text for line in lines]) == (
        "we see three-phonon terms of the composition; a three-phonon term"
    )


def test_a_caption_keeps_the_hyphens_of_compounds(tmp_path):
    sheet = Sheet(tmp_path / "paper.pdf")
    sheet.plot([150, 72, 450, 192])
    caption = [
        "Figure 1. The rate of three-",
        "phonon scattering and the com-",
        "position of both.",
    ]
    for row, text in enumerate(caption):
        sheet.text(150, 204 + 11 * row, text, size=9)
    y = sheet.text(LEFT, 270, SENTENCE * 3 + "The three-phonon rate rises. " + SENTENCE, FULL)
    sheet.body(LEFT, y, 700, FULL)
    sheet.canvas.save()
    (row,) = extract_document(sheet.path).rows
    assert row["caption"] == "The rate of three-phonon scattering and the composition of both."
