"""Patterns of phrases that ignore case, searched in text in lower case.

Answers are searched for hundreds of phrases, which takes most of the time of the checks. Python's
`re` skips an alternative by its first letter, but not with `re.IGNORECASE`, which is five times
slower.
"""

import re
import sys
from collections.abc import Iterable
from functools import lru_cache

LONGEST = 80  # characters of a match in the reason of a check
# Letters that `re.IGNORECASE` matches as ASCII letters, and `str.lower` does not replace by them.
_ALIKE = str.maketrans("\u0130\u0131\u017f", "iis")


class Phrases:
    """A pattern in lower case that finds upper case too.

    Args:
        words: Alternatives, each of which begins with a whole word. They are only tried where a
            word begins.
        elsewhere: Alternatives that may begin anywhere.
    """

    def __init__(self, words: str, elsewhere: str = "") -> None:
        rest = f"|{elsewhere}" if elsewhere else ""
        self.pattern = re.compile(rf"\b(?=\w)(?:{words}){rest}")

    def search(self, text: str, start: int = 0, end: int = sys.maxsize) -> re.Match[str] | None:
        """Return the first match from `start` to `end`, with its place in `text`; its groups are in
        lower case."""
        return self.pattern.search(lowered(text), start, end)

    def places(self, text: str) -> list[tuple[int, int]]:
        """Return the start and end of each match in a text."""
        return [match.span() for match in self.pattern.finditer(lowered(text))]

    def all_in(self, text: str) -> list[str]:
        """Return all matches in a text, as written."""
        return [text[start:end] for start, end in self.places(text)]

    def first_in(self, texts: Iterable[str]) -> str | None:
        """Return the first match in some texts, as written, at most LONGEST characters, or None."""
        for text in texts:
            if match := self.search(text):
                return text[match.start() : match.end()][:LONGEST]
        return None


@lru_cache(maxsize=256)  # an answer is searched for many patterns
def lowered(text: str) -> str:
    """Return a text in lower case, of the same length."""
    return (text if text.isascii() else text.translate(_ALIKE)).lower()
