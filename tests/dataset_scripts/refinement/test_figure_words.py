"""The words in pictures are read once each, however many other figures come between."""

import io

import numpy as np
import pytest
from PIL import Image

from cephalo.dataset_scripts.refinement import figure_words


def picture(level: int) -> bytes:
    out = io.BytesIO()
    Image.new("L", (40, 20), level).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def seen(monkeypatch):
    """The grey levels of the pictures that were read, in their order."""
    levels: list[int] = []

    def find_text(grey):
        levels.append(int(grey[0, 0]))
        return [np.array([[5, 5], [35, 5], [35, 15], [5, 15]])]

    monkeypatch.setattr(figure_words, "_known", {})
    monkeypatch.setattr(figure_words.ocr, "is_available", lambda: True)
    monkeypatch.setattr(figure_words.ocr, "find_text", find_text)
    monkeypatch.setattr(
        figure_words.ocr, "recognise", lambda piece: (f"{piece[0, 0]} {piece.shape}", 0.9)
    )
    return levels


def test_each_picture_is_read_once(seen):
    levels = range(100)
    for _ in range(2):
        for level in levels:
            assert figure_words.read_words(picture(level)) == (f"{level} (10, 30)",)
    assert seen == [*levels]


def test_the_oldest_words_are_let_go(seen, monkeypatch):
    monkeypatch.setattr(figure_words, "KEPT", 3)
    for level in (1, 2, 3, 4, 2, 1):
        figure_words.read_words(picture(level))
    assert seen == [1, 2, 3, 4, 1]
    assert len(figure_words._known) == 3
