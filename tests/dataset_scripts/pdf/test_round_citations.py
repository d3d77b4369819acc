"""Numbers of references in round brackets, told from those of equations and of lists."""

import pytest

from cephalo.dataset_scripts.pdf.round_citations import (
    cites_in_round_brackets,
    without_round_citations,
)

GROUPS = (
    "It was found (3,4) and confirmed (5\u20137), though others (8, 9) doubt it (1,10) still (2,3)."
)


def test_a_document_that_cites_so_has_groups_that_no_equation_has():
    assert cites_in_round_brackets([GROUPS])
    assert not cites_in_round_brackets([GROUPS[:60]])
    assert not cites_in_round_brackets(
        [GROUPS, "but [1] and [2, 3] and [4] and [5] and [6] and [7]"]
    )
    assert not cites_in_round_brackets(["as Eqs. (3) and (4) with (5) and (6) and (7) show"])


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (GROUPS, "It was found and confirmed, though others doubt it still."),
        ("by Canham (16), Helfrich (17), and Evans (18).", "by Canham, Helfrich, and Evans."),
        ("the findings in (61), whereas (61) holds", "the findings in (61), whereas (61) holds"),
        ("Eq. (3) and equation (4) of site (2)", "Eq. (3) and equation (4) of site (2)"),
        (
            "it (i.e., wet) grew in 2010 (0, 1) and (2014)",
            "it (i.e., wet) grew in 2010 (0, 1) and (2014)",
        ),
        ("(1) the first and (2) the second", "(1) the first and (2) the second"),
    ],
)
def test_citations_go_and_other_numbers_stay(text, left):
    assert without_round_citations(text) == left
