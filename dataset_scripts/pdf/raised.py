"""Raised digits and signs, which the text of a page gives as if they stood on the line.

"10⁶ spores" comes as "106 spores", and a citation of reference 54 as "rate54".
"""

import ctypes
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pypdfium2.raw as pdfium

from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf.text import Line

MARK = "\ufdd0"  # before a raised number that cites a reference; no text has this noncharacter
_MINUS = "\u2212\u2013\u2010-"
_SIGNS = f"+{_MINUS}"
_RAISABLE = frozenset(f"0123456789,{_SIGNS}")
_SUPERSCRIPTS = str.maketrans(f"0123456789{_SIGNS}", f"⁰¹²³⁴⁵⁶⁷⁸⁹⁺{'⁻' * len(_MINUS)}")
# What a reference is cited behind: a word, or the mark behind one. Symbols and units are shorter.
_WORD = re.compile(r"[^\W\d_]{4,}$|[.,;:)%\]\"'\u201d\u2019]$")
_NO_BASE = re.compile(r"\d{3,}$|\d{4}s$|\b[A-Z]{3,}$|[A-Za-z]{3}\d$")  # "the 1990s²⁵", "No. 530¹⁵"
_EXPONENT = re.compile(rf"[{_SIGNS}]?\d{{1,3}}|\d{{0,2}}[{_SIGNS}]")
_BRACKET = re.compile(r"\[[\w,;\s\u2013-]*$")  # "[5b, 9]" cites, too, and is found by its brackets
_SEVERAL = re.compile(r"\d\s?[,\u2013-]\s?\d")
_GOVERNS = re.compile(r"(?:tables?|figs?|figures?|eqs?|refs?|sections?)\.?$", re.I)


@dataclass(frozen=True)
class Parameters:
    """What makes characters raised."""

    lift: float = 0.15  # of the line's height, by which they stand higher; superscripts 0.25 to 0.4
    most: int = 400  # characters of a line that are looked at


P = Parameters()


def with_raised(page: fast.Page, lines: Iterable[Line]) -> dict[int, Line]:
    """Lines with raised numbers, with these marked.

    An exponent becomes superscript characters; a number behind a word, which cites a reference,
    gets `MARK` before it.

    Args:
        page: the page of the lines.
        lines: lines of the page; those that are turned are left as they are.

    Returns:
        The changed lines, by the `id` of the line that each replaces.
    """
    wanted = [line for line in lines if not line.quarters and re.search(r"\d", line.text)]
    textpage = pdfium.FPDFText_LoadPage(page.handle) if wanted else None
    if not textpage:
        return {}
    try:
        handle = ctypes.cast(textpage, ctypes.c_void_p).value
        count = pdfium.FPDFText_CountChars(textpage)
        found = {}
        for line in wanted:
            text = _set(line.text, list(_runs(page, handle, line, count)))
            if text != line.text:
                found[id(line)] = replace(line, text=text)
        return found
    finally:
        pdfium.FPDFText_ClosePage(textpage)


def _runs(page: fast.Page, textpage: int, line: Line, count: int) -> Iterator[tuple[str, str]]:
    """The raised runs of a line, each with the characters before it, from left to right."""
    first, last = line.span
    chars = np.arange(first, min(last + 1, first + P.most, count))
    text = "".join(chr(fast.text_unicode(textpage, char)) for char in chars.tolist())
    if len(text) != len(chars) or not len(chars):
        return
    if _plain(text)[:4] != _plain(line.text)[:4]:  # another font's codes, or text of a scan
        return
    solid = np.array([not char.isspace() for char in text])
    if not solid.any():
        return
    heights = np.ptp(fast.map_boxes(fast.loose_boxes(textpage, chars), page.to_display)[:, 1::2], 1)
    feet = (fast.origins(textpage, chars.tolist()) @ page.to_display[:2])[:, 1]
    lift = float(np.median(feet[solid])) - feet
    above = (lift > P.lift * float(np.median(heights[solid]))) & solid
    # A minus may come as a control character, which stands for it in its font.
    raised = [
        bool(own) and (char in _RAISABLE or not char.isprintable())
        for own, char in zip(above, text, strict=True)
    ]
    start = 0
    while start < len(text):
        end = start
        while end < len(text) and raised[end]:
            end += 1
        if run := text[start:end].strip(","):
            yield text[max(0, start - 12) : start], run
        start = max(end, start + 1)


def _spaced(text: str) -> str:
    """A pattern of a text with any white space between, and signs in any form."""
    parts = (
        rf"[{_SIGNS}]" if char in _SIGNS or not char.isprintable() else re.escape(char)
        for char in text
    )
    return r"\s?".join(parts)


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z\d]", "", text)


def _set(text: str, runs: list[tuple[str, str]]) -> str:
    """A text in which raised runs, each behind the characters before it, are set as such."""
    end = len(text)
    for before, raised in reversed(runs):  # so that what stands before a run is as it was read
        head = re.sub(r"\s", "", before)[-4:]
        pattern = rf"{_spaced(head)}(\s?)({_spaced(raised)})"
        matches = list(re.finditer(pattern, text[:end])) if head else []
        if not matches or _BRACKET.search(text[: matches[-1].start(2)]):
            continue
        match = matches[-1]
        start, stop = match.span(2)
        raised = re.sub(r"\s", "", match.group(2))
        end = start
        space = match.group(1)
        isotope = bool(space) and raised.isdecimal() and text[stop : stop + 1].isalpha()
        behind = before.rstrip()
        counted = _NO_BASE.search(behind) and len(raised) > 1 and raised.isdecimal()
        cites = _WORD.search(behind) or _SEVERAL.search(raised) or counted
        if cites and not isotope:
            if not _GOVERNS.search(before.rstrip()):
                text = f"{text[:start]}{MARK}{raised}{text[stop:]}"
        elif _EXPONENT.fullmatch(raised) and not (
            raised in _SIGNS and text[stop : stop + 1].isalnum()
        ):
            start -= len(space) * (not isotope)
            text = f"{text[:start]}{raised.translate(_SUPERSCRIPTS)}{text[stop:]}"
    return text
