# ruff: noqa: RUF001  (accents are what this is about)
"""Accents that are drawn as glyphs of their own, put on the letters under or over them.

Some publishers set "Å" as an A and a ring and store them apart ("3.27 A, which ˚ is"), and TeX's
older fonts have no accented letters.
"""

import ctypes
import unicodedata
from functools import lru_cache

import numpy as np

from cephalo.dataset_scripts.pdf import pdfium as fast

ERASED = 0x200B
"""The code that stands for nothing: an accent that is on its letter now."""

# Signs that stand alone, and the characters that combine with a letter.
_COMBINING = {
    ord(sign): combining
    for sign, combining in zip(
        "˚´`ˆ˜¨¯ˇ˘˙˝¸˛",
        "\u030a\u0301\u0300\u0302\u0303\u0308\u0304\u030c\u0306\u0307\u030b\u0327\u0328",
        strict=True,
    )
}
# The dot of a time derivative, "Ṁ", which is read as that of a product by its shape.
_COMBINING[ord("·")] = "\u0307"
_LOWER = {ord("¸"), ord("˛")}  # cedilla and ogonek, drawn below
_CODES = np.array(sorted(_COMBINING), np.uint32)
_DOTLESS = {"ı": "i", "ȷ": "j"}
# Characters between an accent and its letter in the stored text: mostly they are neighbours, but
# RSC's files have a line's accents before or after its letters.
_NEAR, _FAR = 8, 250
# Accents read on a page: text in the accented languages has up to 500 on one. A hostile page has as
# many as it likes, and each is compared with some hundred letters.
_MOST = 1000
# An accent's middle is within this share of the wider one's width from the letter's middle, and
# its edge within these shares of the letter's height from the letter's: a cedilla touches it, and
# so may an accent of a capital. Those of the line above are a line's leading away.
_OFF_CENTRE = 0.4
_OVERLAP, _GAP = 0.35, 0.45
_WORD_GAP = 0.2  # of a letter's height: less is no space between words


def compose_accents(textpage: ctypes.c_void_p, codes: np.ndarray) -> np.ndarray:
    """Put each accent of level text on the letter that it is drawn above.

    Accents without such a letter stay, as do those of formulas that Unicode has no letter for, and
    those after the first `_MOST` of a page.

    Args:
        textpage: pdfium's handle of the page's text.
        codes: uint32 (n,), Unicode of its characters.

    Returns:
        uint32 (n,): composed letters, and `ERASED` where their accents stood.
    """
    accents = np.flatnonzero(np.isin(codes, _CODES))[:_MOST].tolist()
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
    """The letter with the accent, which it may have already; None if there is no such letter."""
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
    """Which of the characters `letters` an accent is drawn above, or, if `lower`, below.

    It is the one whose middle is nearest; None if there is none.
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
    """Erase the spaces that pdfium puts beside an accent within a word."""
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
