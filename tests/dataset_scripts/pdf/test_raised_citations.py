"""Raised numbers that cite references where others of the document do."""

import pytest

from cephalo.dataset_scripts.pdf.raised_citations import LEAST_CITED, cites, with_cited
from cephalo.dataset_scripts.pdf.scripts import MARK
from cephalo.dataset_scripts.pdf.text import Line


def line(text: str) -> Line:
    return Line(text, (0.0, 0.0, 100.0, 10.0), 10.0, "Times", "Times")


CITING = [line(f"the samples{MARK}{number}{MARK} were dried") for number in range(LEAST_CITED)]


@pytest.mark.parametrize(
    ("base", "number"),
    [
        ("5G12", 32),
        ("v2.29.2", 52),
        ("v2.1", 51),
        ("Siglec-15", 21),
        ("3", 19),
        ("1936", 7),
        ("Si", 2),
        ("PV", 4),
        ("is", 3),
        ("cm", 12),
    ],
)
def test_bases_that_take_no_power(base, number):
    assert cites(base, number)


@pytest.mark.parametrize(
    ("base", "number"),
    [
        ("3×10", 5),
        ("10", 12),
        ("2", 6),
        ("cells/cm", 2),
        ("0.5mm", 2),
        ("x", 2),
        ("χ", 2),
        ("Re", 2),
        ("sin", 2),
        ("Tyr", 369),
        ("(x)", 2),
        ("n_T", 2),
    ],
)
def test_bases_that_take_one(base, number):
    assert not cites(base, number)


def test_citations_are_marked_where_a_document_cites_so():
    found = [line("of Si² and Ca²⁺ at 10⁶ of ²H"), line("of clone 5G12³². It")]
    changed = with_cited([*CITING, *found])
    assert changed[id(found[0])].text == f"of Si{MARK}2{MARK} and Ca²⁺ at 10⁶ of ²H"
    assert changed[id(found[1])].text == f"of clone 5G12{MARK}32{MARK}. It"
    assert set(changed) == {id(one) for one in found}


def test_other_documents_keep_their_exponents():
    assert with_cited([*CITING[1:], line("of Si² and 5G12³²")]) == {}
