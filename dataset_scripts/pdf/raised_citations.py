"""Superscript numbers that cite references.

A superscript after a word is a citation, and after a symbol or unit an exponent, but "Si²",
"v2.1⁵¹" and "clone 5G12³²" could be both. In documents with superscript citations, numbers after a
base that cannot have an exponent are citations too.
"""

import re
from collections.abc import Iterable
from dataclasses import replace

from cephalo.dataset_scripts.pdf.scripts import MARK, RESIDUE
from cephalo.dataset_scripts.pdf.text import Line

LEAST_CITED = 10  # superscripts after words, in documents with superscript citations
MOST_POWER = 4  # largest exponent of a unit: K⁴
_DIGITS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_PLAIN = str.maketrans(_DIGITS, "0123456789")
# A base and its superscript number. A following sign makes it a charge or exponent, a letter makes
# it the mass number of a nucleus.
_RAISED = re.compile(
    rf"(?P<base>[^\s(\[{{{MARK}{_DIGITS}]+)(?P<number>[{_DIGITS}]{{1,3}})(?![{_DIGITS}⁺⁻\u2212\w])"
)
_TEN = re.compile(r"(?:^|\D)10$")  # "3×10⁵", but no "2010"
# A token of letters and digits, a version, or a plain number of several digits: "Siglec-15",
# "v2.29.2", "1936".
_COUNTED = re.compile(r"(?:[A-Za-z][\w.-]*|\d[\w.-]*[A-Za-z.][\w.-]*)\d$|^\d{2,}$|\D\d{4}$")
_ACRONYM = re.compile(r"(?<![^\W_])[A-Z]{2,}s?$|(?<![^\W_])[A-Z][a-z]$")
# Dimensionless numbers, which have exponents although their names look like elements.
_DIMENSIONLESS = re.compile(r"(?<![^\W_])(?:Re|Pr|Nu|Ra|Ca|We|Bo|Gr|Ma|Sc|Pe|Da)$")
_FUNCTION = re.compile(r"(?:sin|cos|tan|sinh|cosh|tanh|log|ln|exp|det)$")
_WORD = re.compile(r"(?<![^\W\d_])[a-z]{2,}$")
_UNIT = re.compile(r"(?<![^\W\d_])(?:[cdkmnp\u00b5\u03bc]?m|[mnp\u00b5\u03bc]?s|yr|ft|in|mi)$")


def with_cited(lines: Iterable[Line]) -> dict[int, Line]:
    """Mark the superscript citations in the running text of a document.

    Args:
        lines: Running text of a document, with superscripts set by `with_scripts`.

    Returns:
        Changed lines with `MARK` around citations, by the `id` of the line they replace. Empty for
        documents without superscript citations.
    """
    lines = list(lines)
    if sum(line.text.count(MARK) for line in lines) < 2 * LEAST_CITED:
        return {}
    changed = ((line, _RAISED.sub(_cited, line.text)) for line in lines)
    return {id(line): replace(line, text=text) for line, text in changed if text != line.text}


def _cited(match: re.Match[str]) -> str:
    """Return a base and its number, with marks around a citation."""
    base, number = match["base"], match["number"].translate(_PLAIN)
    return f"{base}{MARK}{number}{MARK}" if cites(base, int(number)) else match.group()


def cites(base: str, number: int) -> bool:
    """Return whether a superscript after a token is a citation, in a document with such."""
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
