"""The metadata of cards: read as JSON, refused where they are no mapping or a bomb."""

import pytest

from cephalo.hub.cards import BadCard, card_data


def test_card_metadata():
    assert card_data("---\ntags: [a]\nn: .nan\nd: 2024-01-02\n---\ntext") == {
        "tags": ["a"],
        "n": None,
        "d": "2024-01-02",
    }
    assert card_data("no header") == card_data("---\n# nothing\n---\n") == {}
    levels = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))
    for text in (
        "foo: [",
        "- a\n- b",
        f"a0: &a0 [x]\n{levels}",
        "a: &a [*a]",
        "[" * 5000,
        "a: " + "x" * 600_000,
    ):
        with pytest.raises(BadCard):
            card_data(f"---\n{text}\n---\n")
