"""Raised numbers that cite references, in documents that cite so.

Geometry tells that a number is raised, not why. Behind a word it cites, behind a symbol or a unit
it is an exponent; but "Si²", "v2.1⁵¹" and "clone 5G12³²" could be both. Where a document cites by
raised numbers, those whose base takes no power there cite too.
"""

import re
from collections.abc import Iterable
from dataclasses import replace

from cephalo.dataset_scripts.pdf.scripts import MARK, RESIDUE
from cephalo.dataset_scripts.pdf.text import Line

LEAST_CITED = 10  # raised numbers behind words, of a document that cites so
MOST_POWER = 4  # of a unit: K⁴
_DIGITS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_PLAIN = str.maketrans(_DIGITS, "0123456789")
# A base and its raised number; a sign makes that a charge or an exponent, a letter the mass number
# of a nucleus.
_RAISED = re.compile(
    rf"(?P<base>[^\s(\[{{{MARK}{_DIGITS}]+)(?P<number>[{_DIGITS}]{{1,3}})(?![{_DIGITS}⁺⁻\u2212\w])"
)
_TEN = re.compile(r"(?:^|\D)10$")  # "3×10⁵", but no "2010"
# A token of letters and digits, a version or a plain number of more than a digit: "Siglec-15",
# "v2.29.2", "1936".
_COUNTED = re.compile(r"(?:[A-Za-z][\w.-]*|\d[\w.-]*[A-Za-z.][\w.-]*)\d$|^\d{2,}$|\D\d{4}$")
_ACRONYM = re.compile(r"(?<![^\W_])[A-Z]{2,}s?$|(?<![^\W_])[A-Z][a-z]$")
# Numbers of fluids, which have powers as symbols do, though their names look like elements.
_DIMENSIONLESS = re.compile(r"(?<![^\W_])(?:Re|Pr|Nu|Ra|Ca|We|Bo|Gr|Ma|Sc|Pe|Da)$")
_FUNCTION = re.compile(r"(?:sin|cos|tan|sinh|cosh|tanh|log|ln|exp|det)$")
_WORD = re.compile(r"(?<![^\W\d_])[a-z]{2,}$")
_UNIT = re.compile(r"(?<![^\W\d_])(?:[cdkmnp\u00b5\u03bc]?m|[mnp\u00b5\u03bc]?s|yr|ft|in|mi)$")


def with_cited(lines: Iterable[Line]) -> dict[int, Line]:
    """Lines whose raised numbers cite references, with `MARK` around these.

    Args:
        lines: all running text of a document, with its superscripts set by `with_scripts`.

    Returns:
        The changed lines, by the `id` of the line that each replaces; none in a document that does
        not cite by raised numbers.
    """
    lines = list(lines)
    if sum(line.text.count(MARK) for line in lines) < 2 * LEAST_CITED:
        return {}
    changed = ((line, _RAISED.sub(_cited, line.text)) for line in lines)
    return {id(line): replace(line, text=text) for line, text in changed if text != line.text}


def _cited(match: re.Match[str]) -> str:
    base, number = match["base"], match["number"].translate(_PLAIN)
    return f"{base}{MARK}{number}{MARK}" if cites(base, int(number)) else match.group()


def cites(base: str, number: int) -> bool:
    """Whether a raised number behind a token cites a reference, where others do."""
    if _TEN.search(base) or RESIDUE.search(base):
        return False
    if _COUNTED.search(base):
        return True
    if base[-1].isdecimal():  # "subunit 3¹⁹", but 2⁸
        return number > 9
    if _DIMENSIONLESS.search(base) or _FUNCTION.search(base):
        return False
    if _WORD.search(base):
        return not _UNIT.search(base) or number > MOST_POWER
    return bool(_ACRONYM.search(base))
