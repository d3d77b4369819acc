"""Superscripts and subscripts, which the text layer does not distinguish from normal text.

"10⁶ spores" is stored as "106 spores", "K_IC" as "KIC", and a citation of reference 54 as "rate54".
"""

import ctypes
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

import numpy as np

from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf.text import Line

GAP = "\ufffc"  # in place of unreadable text: object replacement character
MARK = "\ufdd0"  # around a superscript citation; a noncharacter
_MINUS = "\u2212\u2013\u2010-"
_SIGNS = f"+{_MINUS}"
_STARS = "*\u2217\u2020\u2021\u00a7\u00b6"
_ALLOWED = frozenset(
    f"{_SIGNS}{_STARS},.()[]{{}}|/=<>\u2264\u2265\u2192\u221e:;\u2206\u2207\u00b1\u00d7\u2032\u00b7\u22a4\u2208"
)
_SUPERSCRIPTS = str.maketrans(f"0123456789{_SIGNS}", f"⁰¹²³⁴⁵⁶⁷⁸⁹⁺{'⁻' * len(_MINUS)}")
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
# Mass numbers of the nuclei that are named with them: "¹H NMR", "¹³C".
_NUCLEI = {
    "H": (1, 2, 3), "He": (3, 4), "Li": (6, 7), "B": (10, 11), "C": (12, 13, 14), "N": (14, 15),
    "O": (16, 17, 18), "F": (18, 19), "Na": (23,), "Al": (27,), "Si": (28, 29, 30), "P": (31, 32),
    "S": (34, 35), "Fe": (56, 57), "Se": (77,), "Sn": (117, 119), "Xe": (129,), "Pt": (195,),
    "Sr": (86, 87), "Cs": (133, 137), "Pb": (206, 207, 208), "U": (235, 238),
}  # fmt: skip
_BEFORE_NUCLEUS = re.compile(r"(?<![^\W\d_])[A-Za-z][a-z]{2,}$|[.,;:(\[/\u2013-]$|^$")
_ELEMENT = re.compile(r"\s?([A-Z][a-z]?)(?![a-z])")
# Amino acid residues, whose number some journals raise: "Tyr³⁶⁹".
RESIDUE = re.compile(
    r"(?<![^\W\d_])(?:A(?:la|rg|sn|sp)|Cys|Gl[nuy]|His|Ile|L(?:eu|ys)|Met|P(?:he|ro)|Ser|T(?:hr|rp|yr)"
    r"|Val)$"
)
_HYBRID = re.compile(r"(?<![^\W\d_])sp$")  # orbitals: "sp²-hybridized"
# Short words, after which a large superscript number is a citation.
_SHORT_WORD = re.compile(r"(?<![^\W\d_])[a-z]{2,3}$|[a-z]['\u2019]s$")
# Words that never have an exponent; "in" may be the inch.
_NO_BASE_WORD = re.compile(r"(?<![^\W\d_])(?:for|of|and|the|to|at|as|is|or|by|on|was|are)$")
# Text before a citation: a word, or the punctuation after one. Symbols and units are shorter.
_WORD = re.compile(r"[^\W\d_]{4,}$|[.,;:)%\]\"'\u201d\u2019]$")
# Text that has no two-digit exponent: "the 1990s", "No. 530", "GaN", "MoS2".
_NO_BASE = re.compile(
    r"\d{3,}$|\d{4}s$|\b[A-Z]{3,}$|[A-Za-z]{3}\d$|[a-z]{3}s$|(?:[A-Z][a-z]?\d{0,2}){2,}$"
)
# A superscript after a compound ("Al2O3", "SiC") is a citation; "IR" may be a product.
_COMPOUND = re.compile(
    r"(?<![A-Za-z\d])(?=[A-Z]+[a-z\d])(?:[A-Z][a-z]?\d{0,2}){2,}$"
    r"|[A-Z][a-z]?[x\d\u2212+-]{1,4}[A-Z][a-z]?(?:[A-Z][a-z]?)?\d{1,2}$"
)
_NUMBERS = re.compile(rf"[\d,\s{_SIGNS}]+")
_EXPONENT = re.compile(rf"[{_SIGNS}]?\d{{1,3}}|\d{{0,2}}[{_SIGNS}]")
_BRACKET = re.compile(r"\[\d[\w,;\s\u2013-]*$")  # "[5b, 9]" is found by its brackets
# A value with a unit: "8 mA g", "31 °C". Only lengths and times have exponents.
_NO_UNIT = r"(?!(?:for|of|and|the|in|to|at|as|is|or|by|on|was|are)\b)"
_UNITS = rf"(?:{_NO_UNIT}[A-Za-z\u00b5\u03bc\u00b0\u03a9\u00c5]{{1,3}}[\s\u00b7/]?){{1,3}}$"
_VALUE = re.compile(rf"\d\s{{0,3}}{_UNITS}")
_UNIT_ROW = re.compile(_UNITS)  # starts with the unit of a value in the row above
_LINE_BEGINS = re.compile(r"[^\W\d_]{1,3}\s*$")  # unit of a value, or end of a word
_POWERED = re.compile(r"(?:[kcmn\u00b5\u03bc]?m|\u00c5|s|K)$")
_MOST_POWER = 4  # largest exponent of a unit: K⁴
_POWER_CITED = re.compile(rf"([{_MINUS}]\d|\d/\d)(\d{{1,3}})")  # "s⁻¹" followed by reference 18
_SEVERAL = re.compile(r"\d\s?[,\u2013-]\s?\d")
_GOVERNS = re.compile(r"(?:tables?|figs?|figures?|eqs?|refs?|sections?)\.?$", re.I)
# Raised in print but normal text: "2nd", "1er", "Nº", "Metglas™".
_ORDINAL = re.compile(r"st|nd|rd|th|er|re|ère|ème|e|o|a")
_NUMBERED = re.compile(r"(?:\d|\b[Nn])$")
_TRADEMARK = ("TM", "SM", "R")
_CITED = re.compile(rf"\[[\d,{_SIGNS}]+\]")
_CITED_PART = re.compile(r"\d{1,3}[a-h](?:[,\u2013-]\d{0,3}[a-h]?)*")  # "reactions.8a"
_FOOTNOTE = re.compile(rf"[a-z](?:,[a-z])*|[{_STARS}]+")


@dataclass(frozen=True)
class Parameters:
    """Limits for superscripts and subscripts, as shares of the type height of the line."""

    lift: float = 0.15  # smallest rise of a superscript; mostly 0.25 to 0.4
    drop: float = 0.05  # smallest drop of a subscript; mostly 0.08 to 0.25
    far: float = 0.8  # characters farther up or down belong to another line
    tall: float = 0.9  # taller characters are initials or signs of formulas
    most: int = 400  # largest number of characters read per line
    equal: int = 20_000  # pairs of equal characters compared; 400 of prose have 10,400
    longest: int = 16  # characters; a longer index is a line in smaller type


P = Parameters()


@dataclass(frozen=True)
class _Run:
    """Raised or lowered characters, or a fraction of both, and the text before them on the line.

    A character directly above its base is an accent in a formula, such as a hat, which a symbol
    font may encode as "b". `start` and `end` are positions in the text of the line.
    """

    before: str
    text: str
    kind: str  # raised, lowered, over or fraction ("1/2")
    start: int
    end: int


def with_scripts(
    page: fast.Page, textpage: ctypes.c_void_p, lines: Iterable[Line]
) -> dict[int, Line]:
    """Set the superscripts and subscripts of lines.

    Digits become superscript or subscript characters. Other indices and exponents are written as in
    TeX, "K_IC" and "s_{i,j}". A superscript after a word, which cites a reference, is enclosed in
    `MARK`, as is the mark of a footnote.

    Args:
        page: Page of pdfium.
        textpage: Text page handle, see `pdfium.open_text`.
        lines: Lines of the page. Rotated lines are not changed.

    Returns:
        Changed lines, by the `id` of the line they replace.
    """
    found = {}
    for line in lines:
        text = line.text if line.quarters else _set(line.text, list(_runs(page, textpage, line)))
        if text != line.text:
            found[id(line)] = replace(line, text=text)
    return found


def _runs(page: fast.Page, textpage: ctypes.c_void_p, line: Line) -> Iterator[_Run]:
    """Yield the raised and lowered runs of a line from left to right."""
    first, last = line.span
    chars = np.arange(first, min(last + 1, first + P.most))
    feet = (fast.origins(textpage, chars.tolist()) @ page.to_display[:2])[:, 1]
    if not len(chars) or np.ptp(feet) < 0.01:  # most lines
        return
    codes = [fast.text_unicode(textpage, char) for char in chars.tolist()]
    whole = [not 0xDC00 <= code < 0xE000 for code in codes]
    text = "".join(map(chr, codes)).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    chars, feet = chars[whole], feet[whole]
    solid = np.array([not char.isspace() for char in text])
    if len(text) != len(chars) or not solid.any():
        return
    boxes = fast.map_boxes(fast.loose_boxes(textpage, chars), page.to_display)
    heights = np.ptp(boxes[:, 1::2], axis=1)
    high = float(np.median(heights[solid]))
    main = solid & (heights >= P.tall * high)  # for a symbol with an index, the symbol
    lift = (float(np.median(feet[main])) - feet) / max(high, 0.1)
    own = solid & (np.abs(lift) < P.far)
    small = heights < P.tall * high
    level = np.where(own & (lift > P.lift), 1, 0) - np.where(own & small & (lift < -P.drop), 1, 0)
    # A minus may be encoded as a control character of its font.
    usable = [char.isalnum() or char in _ALLOWED or not char.isprintable() for char in text]
    places = _places(text, line.text)
    for run in _cut(text, np.where(usable, level, 0).tolist()):
        if run.kind == "raised" and _is_over(boxes, level, run.start):
            run = replace(run, kind="over")
        start, end = places.get(run.start), places.get(run.end - 1)
        if start is not None and end is not None and end >= start:
            yield replace(run, start=start, end=end + 1)


def _is_over(boxes: np.ndarray, level: np.ndarray, start: int) -> bool:
    """Return whether the character at `start` is above the last one that is not raised."""
    base = np.flatnonzero((level[:start] == 0) & (boxes[:start, 2] > boxes[:start, 0]))[-1:]
    middle = (boxes[start, 0] + boxes[start, 2]) / 2
    return bool(len(base)) and bool(boxes[base[0], 0] <= middle < boxes[base[0], 2])


def _places(text: str, line: str) -> dict[int, int]:
    """Map indices of characters in a page's `text` to positions in a line.

    The line has other white space, and may have other signs, letters for ligatures, or pieces in
    another order. Characters that are not found are omitted.
    """
    ours = [place for place, char in enumerate(text) if not char.isspace()]
    theirs = [place for place, char in enumerate(line) if not char.isspace()]
    if len(ours) == len(theirs):
        return dict(zip(ours, theirs, strict=True))
    parts = "".join(map(text.__getitem__, ours)), "".join(map(line.__getitem__, theirs))
    counts = list(map(Counter, parts))
    if sum(count * counts[1][char] for char, count in counts[0].items()) > P.equal:
        return {}
    blocks = SequenceMatcher(None, *parts, autojunk=False).get_matching_blocks()
    return {ours[a + k]: theirs[b + k] for a, b, size in blocks for k in range(size)}


def _cut(text: str, level: list[int]) -> Iterator[_Run]:
    """Yield runs of one nonzero level. A space between two characters of a run is part of it."""
    runs: list[tuple[int, int]] = []
    start = 0
    while start < len(text):
        end = start
        while end < len(text) and level[end] == level[start] != 0:
            end += 1
            after = end + 1
            if text[end:after].isspace() and level[after : after + 1] == [level[start]]:
                end = after
        if end > start:
            runs.append((start, end))
        start = max(end, start + 1)
    while runs:
        start, end = runs.pop(0)
        kind = "raised" if level[start] > 0 else "lowered"
        before = text[max(0, start - 12) : start]
        if start and level[start - 1] < 0 and text[start - 1].isalpha():
            before += "_"  # "K_max" is a symbol with an index, not a word
        while start < end and text[start] in ", ":
            start += 1
        while start < end and text[end - 1] in ", ":
            end -= 1
        run = text[start:end]
        if runs and kind == "raised" and _is_fraction(text, (start, end), runs[0]):
            under, end = runs.pop(0)
            run, kind = f"{run}/{text[under:end]}", "fraction"
        if 0 < len(run) <= P.longest:
            yield _Run(before, run, kind, start, end)


def _is_fraction(text: str, over: tuple[int, int], under: tuple[int, int]) -> bool:
    """Return whether a raised run and the following lowered run are numbers without a base."""
    numbers = text[slice(*over)].strip(), text[slice(*under)].strip()
    apart = over[0] == 0 or text[over[0] - 1].isspace()
    next_to = not text[over[1] : under[0]].strip()
    return (
        apart
        and next_to
        and all(map(str.isdecimal, numbers))
        and not text[under[1] :][:1].isalnum()
    )


def _set(text: str, runs: list[_Run]) -> str:
    """Return the text of a line with its runs as scripts."""
    for run in reversed(runs):  # from the end, so that positions stay valid
        start, after = run.start, text[run.end :]
        if run.kind != "lowered" and _BRACKET.search(text[:start]):
            continue
        base = text[:start].rstrip()
        put = _written(run, text[start : run.end], text[len(base) : start], after)
        if put is not None:
            text = f"{base}{put}{after}"
    return text


def _written(run: _Run, script: str, space: str, after: str) -> str | None:
    """Return how a run with the `space` before it is written, `None` if unchanged.

    `script` is the text of the run.
    """
    before = run.before.rstrip()
    script = "".join(script.split())
    if run.kind == "over":
        return GAP
    both = _POWER_CITED.fullmatch(script) if run.kind == "raised" else None
    if both and (_VALUE.search(before) or _UNIT_ROW.match(before)):
        power = _written(run, both[1], space, "")
        return f"{power}{MARK}{both[2]}{MARK}"
    if run.kind == "fraction":
        return f"{space}{run.text}"
    if run.kind == "lowered":
        return _subscript(script, before, after)
    if _NUMBERS.fullmatch(script):
        return _raised_number(script, before, space, after)
    return _raised_letters(script, before, after)


def _raised_number(script: str, before: str, space: str, after: str) -> str | None:
    """Return how an exponent, a charge or a reference number is written."""
    if _is_nucleus(script, after) and (space or _BEFORE_NUCLEUS.search(before)):
        parted = space or (" " if before[-1:].isalnum() or before[-1:] in ".,;:" else "")
        return f"{parted}{script.translate(_SUPERSCRIPTS)}"
    if script.isdecimal() and (RESIDUE.search(before) or _HYBRID.search(before)):
        return script.translate(_SUPERSCRIPTS)
    isotope = bool(space) and script.isdecimal() and after[:1].isalpha()
    no_base = _COMPOUND.search(before) or (len(script) > 1 and _NO_BASE.search(before))
    counted = no_base and script.isdecimal()
    rest = len(script) > 1 and _LINE_BEGINS.match(before)
    valued = script.isdecimal() and (rest or _VALUE.search(before))
    powered = _POWERED.search(before) and int(script) <= _MOST_POWER if valued else True
    worded = script.isdecimal() and int(script) > _MOST_POWER and _SHORT_WORD.search(before)
    worded = worded or (script.isdecimal() and _NO_BASE_WORD.search(before))
    cites = _WORD.search(before) or _SEVERAL.search(script) or counted or not powered or worded
    if cites and not isotope:
        return None if _GOVERNS.search(before) else f"{space}{MARK}{script}{MARK}"
    if not _EXPONENT.fullmatch(script) or (script in _SIGNS and after[:1].isalnum()):
        return None
    return f"{space if isotope else ''}{script.translate(_SUPERSCRIPTS)}"


def _is_nucleus(script: str, after: str) -> bool:
    """Return whether a superscript is the mass number of the element that follows."""
    element = _ELEMENT.match(after)
    return bool(element and script.isdecimal() and int(script) in _NUCLEI.get(element[1], ()))


def _raised_letters(script: str, before: str, after: str) -> str | None:
    """Return how an exponent that is not a number, or a footnote mark, is written."""
    ordinal = _ORDINAL.fullmatch(script) and _NUMBERED.search(before)
    if ordinal or script in _TRADEMARK or not re.search(rf"[\w\u221e{_STARS}]", script):
        return None
    if _CITED.fullmatch(script) or (_CITED_PART.fullmatch(script) and _WORD.search(before)):
        return f"{MARK}{script}{MARK}"
    if _FOOTNOTE.fullmatch(script) and _WORD.search(before) and before[-1] not in ")]":
        return f"{MARK}{script}{MARK}"
    return _as_tex("^", script.replace("\u2217", "*"), after)


def _subscript(script: str, before: str, after: str) -> str | None:
    """Return how a subscript is written."""
    if not re.search(r"[\w\u221e*\u2217]", script) or not before or before[-1] in ".,;:":
        return None
    if script.isdecimal() and script.isascii():
        return script.translate(_SUBSCRIPTS)
    return _as_tex("_", script, after)


def _as_tex(sign: str, script: str, after: str) -> str:
    """Write an index or exponent as in TeX, in braces if letters or digits follow."""
    plain = script.isalnum() or script == "*"
    return f"{sign}{script}" if plain and not after[:1].isalnum() else f"{sign}{{{script}}}"
