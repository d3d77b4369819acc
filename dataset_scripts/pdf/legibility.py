"""Whether the characters of a text mean anything.

Fonts may leave unsaid which characters their glyphs are: pdfium then gives control codes, codes of
private use, or other letters than are printed. Such text is of no use, whatever it looks like.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np

_FREQUENT = frozenset("aeinorst")
_LATIN = frozenset("abcdefghijklmnopqrstuvwxyz")
_IGNORED = frozenset(" .\x02\xad\ufffe\t\r\n")  # blanks, leaders, hyphens at the ends of lines
_NO_CHARACTER = ("Cc", "Cn", "Co")  # categories: control, unassigned, private use
_OTHER, _LETTER, _LOST, _SKIPPED, _RARE, _FREQUENT_LETTER, _ACCENTED_RARE, _ACCENTED = range(8)


@dataclass(frozen=True)
class LegibilityParameters:
    """When a text is taken for one whose characters were lost."""

    least: int = 150  # characters; of fewer nothing can be said
    lost: float = 0.4  # of the characters have no meaning; formulas on a good page are a tenth
    signs: float = 0.6  # of the characters are neither letters nor digits
    latin: float = 0.5  # of the letters are Latin, where they are judged by how frequent they are
    accented: float = 0.6  # of Latin letters have accents; a third of them do in Vietnamese
    # Of Latin letters are one of "aeinorst": 0.5 (Polish) to 0.66 (Finnish, English), of other
    # letters in their place 0.31 in the mean; proteins have 0.39 to 0.45.
    frequent: float = 0.38


def is_soup(texts: Iterable[str], parameters: LegibilityParameters | None = None) -> bool:
    """Whether the lines of a page, taken together, are characters without meaning."""
    parameters = parameters or LegibilityParameters()
    codes = np.frombuffer("".join(texts).encode("utf-16-le", "surrogatepass"), np.uint16)
    count = np.bincount(_classes()[codes], minlength=8).tolist()
    total = sum(count) - count[_SKIPPED]
    if total < parameters.least:
        return False
    if count[_LOST] > parameters.lost * total or count[_OTHER] > parameters.signs * total:
        return True
    accented = count[_ACCENTED] + count[_ACCENTED_RARE]
    latin = count[_FREQUENT_LETTER] + count[_RARE] + accented
    letters = latin + count[_LETTER]
    if latin < parameters.least or latin < parameters.latin * letters:
        return False
    frequent = count[_FREQUENT_LETTER] + count[_ACCENTED]
    return accented > parameters.accented * latin or frequent < parameters.frequent * latin


@cache
def _classes() -> np.ndarray:
    """What each code of UTF-16 is: uint8 (65536,). Digits count as letters."""
    table = np.full(1 << 16, _LETTER, np.uint8)
    for code in range(1 << 16):
        character = chr(code)
        category = unicodedata.category(character)
        if character in _IGNORED or 0xDC00 <= code < 0xE000:  # the second half of a pair
            table[code] = _SKIPPED
        elif 0xDB80 <= code < 0xDC00 or category in _NO_CHARACTER or code == 0xFFFD:
            table[code] = _LOST
        elif category[0] == "L":
            plain = unicodedata.normalize("NFKD", character)[0].lower()
            if plain in _LATIN:
                usual, rare = (
                    (_ACCENTED, _ACCENTED_RARE) if code > 127 else (_FREQUENT_LETTER, _RARE)
                )
                table[code] = usual if plain in _FREQUENT else rare
        elif category[0] in "PSZ":
            table[code] = _OTHER
    return table
