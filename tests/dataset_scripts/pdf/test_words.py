"""Words that a text layer parts, joins or mangles, and the numbers of lines."""

import time
from dataclasses import replace

import numpy as np
import pytest

from cephalo.dataset_scripts.pdf.glyph_kinds import unusual
from cephalo.dataset_scripts.pdf.joining import COMPOUND, DIVIDED, NO_WORDS, settle_in_order
from cephalo.dataset_scripts.pdf.layout import Block
from cephalo.dataset_scripts.pdf.line_numbers import without_line_numbers
from cephalo.dataset_scripts.pdf.text import Line
from cephalo.dataset_scripts.pdf.words import (
    is_lost,
    is_mangled,
    vocabulary_of,
    with_degrees,
    with_ligatures,
    with_spaces,
    without_lost_spaces,
    without_open_hyphens,
    without_parted_hyphens,
)

ENGLISH = vocabulary_of(
    ["The films were dried in air and the effect of this was seen in all of them."]
)
GERMAN = vocabulary_of(["Die Proben wurden an der Luft getrocknet, was bei allen zu sehen war."])


def line(text: str) -> Line:
    return Line(text, (0.0, 0.0, 100.0, 10.0), 10.0, "Times", "Times")


@pytest.mark.parametrize(
    ("before", "after", "mark"),
    [
        ("the crys\xad", "tal was grown", DIVIDED),
        ("the crys\u2011", "tal was grown", DIVIDED),  # as the foot of the page would have it
        ("it is sequence\xad", "agnostic and fast", COMPOUND),
        ("epoxy was graphene\xad", "reinforced in all", COMPOUND),
    ],
)
def test_a_hyphen_is_decided_by_the_line_that_is_read_next(before, after, mark):
    first, _ = settle_in_order([line(before), line(after)], ENGLISH)
    assert first.text == before[:-1] + mark


def test_english_words_are_known_in_english_papers_only():
    assert "agnostic" in ENGLISH.known
    assert not GERMAN.known


@pytest.mark.parametrize(
    ("read", "right"),
    [
        ("an effiect of ftlms on fssures", "an effect of films on fissures"),
        ("the iff of self-fit and Zfinx", "the iff of self-fit and Zfinx"),
    ],
)
def test_a_ligature_that_makes_no_word_is_put_right(read, right):
    assert with_ligatures(read, ENGLISH) == right
    assert with_ligatures(read, GERMAN) == read


def test_a_space_within_a_word_and_before_a_mark():
    assert without_lost_spaces("these ha ve abo ve it ; all", ENGLISH) == "these have above it; all"
    assert without_lost_spaces("for a while we are as one", ENGLISH) == "for a while we are as one"


def test_a_name_before_et_al_is_no_part_of_a_word():
    assert without_lost_spaces("as Su et al. said", ENGLISH) == "as Su et al. said"


@pytest.mark.parametrize(
    ("text", "closed"),
    [
        ("limited to non- invasive care", "limited to non-invasive care"),
        ("a K- type file of Al- Ahmad", "a K-type file of Al-Ahmad"),
        ("it was demonstra- ted here", "it was demonstrated here"),
        ("the effec- tive dose", "the effective dose"),
        ("pre- and post-operative", "pre- and post-operative"),
        ("pre- rather than post-operative", "pre- rather than post-operative"),
        ("between groups A- Those of B", "between groups A- Those of B"),
    ],
)
def test_a_space_after_the_hyphen_of_a_compound(text, closed):
    assert without_open_hyphens(text, ENGLISH) == closed
    assert without_open_hyphens(text, GERMAN) == text


@pytest.mark.parametrize(
    ("sentence", "mangled"),
    [
        ("We use them in our experiments. task, we did so.", True),
        ("The groups are in R³. rotation of the frame is next.", True),
        ("It causes performance hiccupsfor many reasons.", True),
        ("The dose was approx. two of them, and the rest et al. said so.", False),
    ],
)
def test_sentences_that_lost_words_or_spaces(sentence, mangled):
    assert is_mangled(sentence, ENGLISH) == mangled
    assert not is_mangled(sentence, GERMAN)


@pytest.mark.parametrize(
    ("sentence", "mangled"),
    [
        ("It hasbeen seen that thevalues areequal to ofcourse others.", True),
        ("An array of processestaking place was seen.", True),
        ("They play similarrolesin them.", True),
        ("All of ourformulationsshowed it.", True),
        ("The nanowires and bandgaps of heterostructures were crosslinked.", False),
    ],
)
def test_words_that_lost_their_space(sentence, mangled):
    assert is_mangled(sentence, ENGLISH) == mangled


@pytest.mark.parametrize(
    ("read", "right"),
    [
        ("(31).The mutant,MSH-5 (et al.,1999)", "(31). The mutant, MSH-5 (et al., 1999)"),
        (
            "of FACT,suggests it, P-loops,respectively",
            "of FACT, suggests it, P-loops, respectively",
        ),
        (
            "such asGemmata in the \u201ca,\u201d\u201cb\u201d",
            "such as Gemmata in the \u201ca,\u201d \u201cb\u201d",
        ),
        ("are seen.A test of cis,trans and N,N-diol", "are seen. A test of cis,trans and N,N-diol"),
        ("p.G12C of Fig.S1A at toString() of 1,2-diol",) * 2,
    ],
)
def test_spaces_that_a_narrow_line_lost(read, right):
    assert with_spaces(read, ENGLISH) == right
    assert with_spaces(read, GERMAN) == read


def test_a_raised_o_is_a_degree_in_english():
    assert with_degrees("at 4oC, 90.00o, of 2o and 5ob", ENGLISH) == "at 4°C, 90.00°, of 2° and 5ob"
    assert with_degrees("el 2o piso", GERMAN) == "el 2o piso"


def test_a_ratio_keeps_its_spaces():
    assert without_lost_spaces("true 1 : 1 in all ; so", ENGLISH) == "true 1 : 1 in all; so"


@pytest.mark.parametrize(
    ("row", "after", "lost"),
    [
        ("known to be morpholog-", "occasionally been seen", True),
        ("known to be morpholog-", "ically diverse", False),
        ("of the effec-", "tively dried", False),
        ("of the high-", "quality films", False),
        ("known to be", "occasionally seen", False),
    ],
)
def test_the_rest_of_a_word_that_is_none(row, after, lost):
    assert is_lost(row, after, ENGLISH) == lost
    assert not is_lost(row, after, GERMAN)


def test_numbers_of_lines_go_and_numbers_of_the_text_stay():
    texts = [f"the text of one line of many {number}" for number in range(95, 103)]
    texts[3] = "and here the line has none but ends with 7"
    block = Block([line(text) for text in texts], (0.0, 0.0, 100.0, 100.0), True)
    bare = [one.text for one in without_line_numbers([[block]])[0][0].lines]
    assert bare == ["the text of one line of many"] * 3 + [texts[3]] + bare[:1] * 4
    few = Block([line("in 1999"), line("and 2000"), line("or 7 days")], block.box, True)
    assert without_line_numbers([[few]])[0][0].lines == few.lines


@pytest.mark.parametrize(
    ("text", "looked_at"),
    [
        ("equals aCY here", "aCY"),
        ("was \rame\r\nand", "\rame"),
        ("we expect \n \u223c 1\r\nor \t here", "we\n\u223c1or\t"),
        ("plain words here", ""),
    ],
)
def test_characters_of_words_that_are_looked_at(text, looked_at):
    codes = np.array([ord(char) for char in text], np.uint32)
    assert "".join(text[k] for k in unusual(codes)) == looked_at


@pytest.mark.parametrize("text", ["f" * 50_000, "ab" * 25_000, "fi " * 9_000, "a. b " * 9_000])
def test_long_hostile_text_takes_a_moment(text):
    started = time.process_time()
    with_ligatures(text, ENGLISH)
    without_lost_spaces(text, ENGLISH)
    is_mangled(text, ENGLISH)
    assert time.process_time() - started < 1


def test_hyphens_between_spaces_within_words_are_taken_out():
    known = replace(
        vocabulary_of(["a word"]), known=frozenset(["demonstrated", "well", "known", "wellknown"])
    )
    read = "They demonstra - ted a well - known effect, x - y and demonstra - ble ones."
    right = "They demonstrated a well - known effect, x - y and demonstra - ble ones."
    assert without_parted_hyphens(read, known) == right
    assert without_parted_hyphens(read, NO_WORDS) == read
