"""Detect text without readable characters.

Fonts may lack a mapping from glyphs to characters. pdfium then returns control codes, private use
codes, or other letters than those printed. Such text is unusable even if the page looks right.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

_FREQUENT = frozenset("aeinorst")
_LATIN = frozenset("abcdefghijklmnopqrstuvwxyz")
_IGNORED = frozenset(" .\x02\xad\ufffe\t\r\n")  # spaces, leaders, hyphens at line ends
_NO_CHARACTER = ("Cc", "Cn", "Co")  # categories: control, unassigned, private use
_OTHER, _LETTER, _LOST, _SKIPPED, _RARE, _FREQUENT_LETTER, _ACCENTED_RARE, _ACCENTED = range(8)
_UNSEEN = 255
_CLASSES = np.full(1 << 16, _UNSEEN, np.uint8)  # class of each UTF-16 code seen so far


@dataclass(frozen=True)
class LegibilityParameters:
    """Limits for text whose characters are lost."""

    least: int = 150  # characters; shorter texts are not judged
    # Share of glyphs whose character is unknown: at most 0.001 on pages of 141 published and
    # typeset papers; 0.05 to 0.33 in a generated paper of which no figure was found.
    garbled: float = 0.03
    lost: float = 0.4  # share of characters without meaning; formulas on a good page are 0.1
    signs: float = 0.6  # share of characters that are neither letters nor digits
    latin: float = 0.5  # share of Latin letters, above which letter frequencies are used
    accented: float = 0.6  # share of accented Latin letters; Vietnamese has a third
    # Share of "aeinorst" among Latin letters: 0.5 (Polish) to 0.66 (Finnish, English); 0.31 on
    # average with permuted letters; 0.39 to 0.45 in protein sequences.
    frequent: float = 0.38


def is_soup(texts: Iterable[str], parameters: LegibilityParameters | None = None) -> bool:
    """Return whether the text of a page consists of characters without meaning.

    Args:
        texts: Lines of the page.
        parameters: Limits; the defaults if `None`.
    """
    parameters = parameters or LegibilityParameters()
    codes = np.frombuffer("".join(texts).encode("utf-16-le", "surrogatepass"), np.uint16)
    count = np.bincount(_classes(codes), minlength=8).tolist()
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


def is_garbled(texts: Iterable[str], parameters: LegibilityParameters | None = None) -> bool:
    """Return whether many glyphs of a page have no known character, so that others may be wrong.

    Args:
        texts: Lines of the page, with U+FFFD for such glyphs.
        parameters: Limits; the defaults if `None`.
    """
    parameters = parameters or LegibilityParameters()
    text = "".join(texts)
    return len(text) >= parameters.least and text.count("\ufffd") > parameters.garbled * len(text)


def _classes(codes: np.ndarray) -> np.ndarray:
    """Return the classes of UTF-16 codes, uint8 of shape (n,). Digits count as letters."""
    unseen = codes[_CLASSES[codes] == _UNSEEN]
    for code in np.unique(unseen).tolist() if len(unseen) else ():
        _CLASSES[code] = _class_of(code)
    return _CLASSES[codes]


def _class_of(code: int) -> int:
    """Return the class of a UTF-16 code."""
    character = chr(code)
    category = unicodedata.category(character)
    if character in _IGNORED or 0xDC00 <= code < 0xE000:  # second half of a surrogate pair
        return _SKIPPED
    if 0xDB80 <= code < 0xDC00 or category in _NO_CHARACTER or code == 0xFFFD:
        return _LOST
    if category[0] == "L":
        plain = unicodedata.normalize("NFKD", character)[0].lower()
        if plain in _LATIN:
            usual, rare = (_ACCENTED, _ACCENTED_RARE) if code > 127 else (_FREQUENT_LETTER, _RARE)
            return usual if plain in _FREQUENT else rare
    elif category[0] in "PSZ":
        return _OTHER
    return _LETTER
