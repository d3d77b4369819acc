# ruff: noqa: RUF001  (accents are what this is about)
"""Combine accents that are drawn as separate glyphs with their letters.

Some publishers store "Å" as an A and a ring, far apart in the text ("3.27 A, which ˚ is"), and the
older TeX fonts have no accented letters.
"""

import ctypes
import unicodedata
from functools import lru_cache

import numpy as np

from cephalo.dataset_scripts.pdf import pdfium as fast

ERASED = 0x200B
"""Code of an erased character: an accent that was combined with its letter."""

# Spacing accents and the combining characters of the same accents.
_COMBINING = {
    ord(sign): combining
    for sign, combining in zip(
        "˚´`ˆ˜¨¯ˇ˘˙˝¸˛",
        "\u030a\u0301\u0300\u0302\u0303\u0308\u0304\u030c\u0306\u0307\u030b\u0327\u0328",
        strict=True,
    )
}
# The dot of a time derivative, "Ṁ". Its glyph is read as the dot of a product.
_COMBINING[ord("·")] = "\u0307"
_LOWER = {ord("¸"), ord("˛")}  # cedilla and ogonek, drawn below
_IS_ACCENT = np.zeros(max(_COMBINING) + 2, bool)  # by code; the last is for all higher codes
_IS_ACCENT[list(_COMBINING)] = True
_DOTLESS = {"ı": "i", "ȷ": "j"}
# Distance in characters between an accent and its letter in the stored text. Mostly they are
# neighbours, but the files of RSC store all accents of a line before or after its letters.
_NEAR, _FAR = 8, 250
# Accents read per page. Text in accented languages has up to 500 per page. A hostile page may have
# any number, and each is compared with up to a few hundred letters.
_MOST = 1000
# Limits for a letter and its accent: the distance between their centres, as a share of the larger
# width, and the overlap or gap between their edges, as shares of the letter's height. A cedilla, or
# an accent on a capital, may touch the letter. Accents of the line above are a full leading away.
_OFF_CENTRE = 0.4
_OVERLAP, _GAP = 0.35, 0.45
_WORD_GAP = 0.2  # share of the letter's height; a smaller gap does not separate words


def compose_accents(textpage: ctypes.c_void_p, codes: np.ndarray) -> np.ndarray:
    """Combine each accent in horizontal text with the letter below or above it.

    An accent is left unchanged if no letter is found, if Unicode has no composed character (as in
    formulas), or if it is not among the first `_MOST` accents of the page.

    Args:
        textpage: Text page handle of pdfium.
        codes: Unicode code points of the characters of the page, uint32 of shape (n,).

    Returns:
        uint32 of shape (n,) with composed letters, and `ERASED` in place of their accents.
    """
    marked = _IS_ACCENT[np.minimum(codes, len(_IS_ACCENT) - 1)]
    accents = marked.nonzero()[0][:_MOST].tolist()
    if not accents:
        return codes
    codes = codes.copy()
    for accent in accents:
        own = int(codes[accent])
        for reach in (_NEAR, _FAR):
            start = max(accent - reach, 0)
            near = enumerate(codes[start : accent + reach + 1].tolist(), start)
            forms = {n: form for n, code in near if (form := _composed(code, own))}
            if (letter := _letter_at(textpage, accent, list(forms), own in _LOWER)) is not None:
                codes[letter] = ord(forms[letter])
                codes[accent] = ERASED
                _close_word(textpage, codes, accent)
                break
    return codes


@lru_cache(maxsize=4096)
def _composed(code: int, accent: int) -> str | None:
    """Return the accented letter, or `None` if Unicode has no such letter."""
    letter, mark = chr(code), _COMBINING[accent]
    if not letter.isalpha():
        return None
    if mark in unicodedata.normalize("NFD", letter):
        return letter
    both = unicodedata.normalize("NFC", _DOTLESS.get(letter, letter) + mark)
    return both if len(both) == 1 else None


def _letter_at(
    textpage: ctypes.c_void_p, accent: int, letters: list[int], lower: bool
) -> int | None:
    """Return the character of `letters` that the accent belongs to, or `None`.

    It is the character with the nearest centre below the accent or, if `lower`, above it.
    """
    if not letters:
        return None
    own, *boxes = fast.ink_boxes(textpage, [accent, *letters])
    left, bottom, right, top = np.array(boxes).T
    width, height = right - left, top - bottom
    off = np.abs((own[0] + own[2]) / 2 - (left + right) / 2)
    gap = bottom - own[3] if lower else own[1] - top
    fits = (
        (off < _OFF_CENTRE * np.maximum(width, own[2] - own[0]))
        & (-_OVERLAP * height < gap)
        & (gap < _GAP * height)
    )
    if not fits.any():
        return None
    return letters[int(np.where(fits, off, np.inf).argmin())]


def _close_word(textpage: ctypes.c_void_p, codes: np.ndarray, accent: int) -> None:
    """Erase the spaces that pdfium inserts beside an accent within a word."""
    before, after = accent - 1, accent + 1
    while before >= 0 and codes[before] in (ord(" "), ERASED):
        before -= 1
    while after < len(codes) and codes[after] in (ord(" "), ERASED):
        after += 1
    if before < 0 or after == len(codes) or after - before == 2:
        return
    left, right = fast.ink_boxes(textpage, [before, after])
    height = max(left[3] - left[1], right[3] - right[1])
    if abs(right[0] - left[2]) < _WORD_GAP * height:
        codes[before + 1 : after] = ERASED
