"""Phrases are found whatever their case, and texts that no pattern matches are known by signs."""

import re
import string
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cephalo.dataset_scripts.refinement import form
from cephalo.dataset_scripts.refinement.phrases import LONGEST, Phrases, lowered

EVERY = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF]


def test_lowered_text_keeps_its_places():
    assert all(len(lowered(one)) == 1 for one in EVERY)
    assert lowered("A " * 10 + "\u0130I\u017fK\u212a") == "a " * 10 + "iiskk"


@pytest.mark.parametrize("pattern", [r"\w", r"\s", r"\d", r"[.!?:;,'\u2019\u201c-]", r"[^.]"])
def test_lowered_text_has_the_same_classes_of_characters(pattern):
    one = re.compile(pattern)
    assert all(bool(one.match(char)) == bool(one.match(lowered(char))) for char in EVERY)


def test_a_letter_is_found_where_ignoring_case_finds_it():
    every = "".join(EVERY)
    for letter in string.ascii_lowercase:
        found = [match.start() for match in re.finditer(letter, every, re.IGNORECASE)]
        assert [match.start() for match in re.finditer(letter, lowered(every))] == found


def test_phrases_are_found_as_written():
    phrases = Phrases(r"no (?:glove|mask)s?\b|bare hands")
    text = "Use NO Gloves, piano gloves or no masks, only Bare Hands."
    assert phrases.all_in(text) == ["NO Gloves", "no masks", "Bare Hands"]
    assert phrases.first_in(["piano masks", text]) == "NO Gloves"
    assert phrases.first_in(["piano masks"]) is None
    match = phrases.search(text, 14)
    assert match and match.span() == (31, 39)
    match = phrases.search(text, 14, 38)
    assert match and match.span() == (31, 38)
    assert phrases.search(text, 14, 35) is None
    assert len(Phrases(r"a+").first_in(["A" * 90]) or "") == LONGEST == 80


def test_words_are_found_where_they_begin_and_others_anywhere():
    phrases = Phrases("one|two", r"<end|^\s*three")
    assert phrases.all_in("One stone two<END three") == ["One", "two", "<END"]
    assert phrases.all_in("  THREE three") == ["  THREE"]


@given(st.from_regex(form.MARKUP))
def test_markup_is_never_overlooked(text):
    assert form.markup(text)


@given(st.from_regex(form.MARKDOWN))
def test_markdown_is_never_overlooked(text):
    match = form.MARKDOWN.search(text)
    assert match and form.markdown(text) == match.group()[:80].strip()
