"""Where two answers, or two questions, are nearly equal, on counted words."""

import pytest

from cephalo.dataset_scripts.refinement.near_equal import NearEqual, same_question, share

WORDS = [f"{start}{end}" for start in "bcdfghjklm" for end in ["alok", "ornum", "indar", "utix"]]


def answer(count: int, **changed: str) -> str:
    """So many words; `w3="x"` changes the one with number 3."""
    words = WORDS[:count]
    for name, word in changed.items():
        words[int(name[1:])] = word
    return " ".join(words)


def test_answers_of_twelve_words_are_remembered_and_shorter_ones_are_not():
    seen = NearEqual()
    seen.add(answer(11))
    assert seen.match(answer(11)) is None and seen.match(answer(12)) is None
    seen.add(answer(12))
    assert seen.match(answer(12).upper() + "!") == answer(12)
    assert seen.match(answer(11)) is None


def test_nearly_equal_is_nine_tenths_of_the_letters():
    seen = NearEqual()
    seen.add(answer(40))
    assert seen.match(answer(40, w3="x", w20="y")) == answer(40)
    assert seen.match(" ".join(reversed(WORDS))) is None
    # Half of the words are the same, so that keys may meet, and letters decide.
    assert seen.match(answer(20) + " " + " ".join(f"z{word}" for word in WORDS[:20])) is None


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [("ab", "ab", 1.0), ("abc", "abd", 0.5), ("ab", "cd", 0.0), ("", "", 0.0), ("a", "", 0.0)],
)
def test_share_is_of_all_stems(one, other, found):
    assert share(frozenset(one), frozenset(other)) == found


def text(*numbers: int) -> str:
    return " ".join(WORDS[number] for number in numbers)


@pytest.mark.parametrize(
    ("asked", "asked_too", "said", "said_too", "same"),
    [
        # Questions of one subject, where seven tenths of their words are shared.
        (text(*range(10)), text(*range(7)), text(20, 21), text(20, 21), True),
        (text(*range(10)), text(*range(6)), text(20, 21), text(20, 21), False),
        # And three tenths of the words of the answers.
        (text(1, 2), text(1, 2), text(*range(10)), text(0, 1, 2), True),
        (text(1, 2), text(1, 2), text(*range(10)), text(0, 1), False),
        # Each asks for something of its own: seven tenths of the answers, three of the questions.
        (text(1, 2), text(1, 3), text(*range(10)), text(*range(7)), True),
        (text(1, 2), text(1, 3), text(*range(10)), text(*range(6)), False),
        (text(1, 2, 3), text(1, 4, 5), text(20, 21), text(20, 21), False),
        (text(1, 2, 3), text(1, 2, 4), text(20, 21), text(20, 22), False),
        # Words that ask are of no subject.
        (f"{text(1)} explain describe", text(1), text(20, 21), text(20, 21), True),
        ("explain", "describe", text(20, 21), text(20, 21), False),
    ],
)
def test_questions_are_one_by_their_words_and_their_answers(asked, asked_too, said, said_too, same):
    assert same_question((asked, said), (asked_too, said_too)) is same
    assert same_question((asked_too, said_too), (asked, said)) is same
