"""When two texts are near-copies, on shingles by hand, and that the index finds them."""

import numpy as np
import pytest

from cephalo.dataset_scripts.common.near_text import (
    BANDS,
    TextIndex,
    bands_of,
    same,
    shingles,
    words,
)


@pytest.mark.parametrize(
    ("first", "second", "equal"),
    [
        (range(10), range(10), True),
        (range(10), range(8), True),  # 8 of 10
        (range(9), range(2, 11), False),  # 7 of 11
        (range(18), range(2, 20), True),  # 16 of 20
        (range(17), range(2, 20), False),  # 15 of 20
        (range(4), range(4, 8), False),
        ([], [1], False),
    ],
)
def test_texts_are_the_same_from_four_fifths_of_their_shingles_on(first, second, equal):
    first, second = set(first), set(second)
    assert same(first, second) == same(second, first) == equal


def test_shingles_are_runs_of_three_words():
    assert words("Nacre, 5 µm THICK; tough-er.") == ["nacre", "5", "μm", "thick", "tough", "er"]
    assert shingles("a b, c D") == {"a b c", "b c d"}
    assert shingles("a b c") == {"a b c"} and shingles("a b") == {"a b"} and shingles("") == {""}


def test_an_index_finds_what_the_comparison_of_all_finds():
    chance = np.random.default_rng(3)
    texts = []
    for _ in range(30):
        text = [f"w{number}" for number in chance.integers(0, 60, chance.integers(3, 40))]
        texts.append(" ".join(text))
        for place in chance.integers(0, len(text), chance.integers(0, 3)):
            text[place] = "changed"
        texts.append(" ".join(text))
    index = TextIndex()
    for number, text in enumerate(texts):
        index.add(text, number)
    pairs = 0
    for text in texts:
        expected = [n for n, other in enumerate(texts) if same(shingles(text), shingles(other))]
        assert list(index.near(text)) == expected
        pairs += len(expected) > 1
    assert 20 < pairs < 60


def keys(text: str) -> list[int]:
    return bands_of(shingles(text))


def test_bands_are_those_of_a_set_of_shingles():
    text = [f"w{number}" for number in range(20)]
    whole = keys(" ".join(text))
    assert len(whole) == len(set(whole)) == BANDS == 25
    assert all(-(2**63) <= key < 2**63 for key in whole)
    assert keys(" ".join(text)) == whole
    # Both texts have the shingles (a b c), (b c a) and (c a b).
    assert keys("a b c a b c a b c a") == keys("a b c a b c a")
    assert keys("a b c") != keys("d e f") and keys("a b") != keys("d e")
    assert not set(keys(" ".join(reversed(text)))) & set(whole)
    assert set(keys(" ".join([*text[:19], "other"]))) & set(whole)


def test_an_index_numbers_texts_itself_or_as_told():
    index = TextIndex()
    index.add("one two three four")
    index.add("one two three four", 7)
    index.add("One, two: three four!")
    assert [number for number, _ in index.candidates("one two three four")] == [1, 7, 8]
    assert [number for number, _ in index.candidates("one two three four", 2)] == [1, 7]
    assert list(index.candidates("five six seven eight")) == []
    assert dict(index.candidates("ONE TWO THREE FOUR"))[8] == "One, two: three four!"
