"""The measure of clean passages tells what is as printed, and by kind what is not."""

import pytest

from benchmarks.passages import Score, expected, judge

PARAGRAPHS = [
    "The strength of TiO₂ rose to 5 s⁻¹. It fell in well-known films after ageing in naïve air.",
    "Loads of 3 MPa were applied to the second mat. The third was left as it was for a while.",
]


def test_expected_text_has_scripts_and_no_references():
    symbols = "<i>R</i><sup>2</sup> of TiO<sub>2</sub>", "<i>K</i><sub>IC</sub>"
    text = "{} at 2 m<sup>1/2</sup> <sup>12</sup>, {} [3].".format(*symbols)
    assert expected(text) == "R² of TiO₂ at 2 m^{1/2}, K_IC."


@pytest.mark.parametrize(
    ("passage", "kinds"),
    [
        (PARAGRAPHS[0], set()),
        ("It fell in well-known films after ageing in naïve air.\n\n" + PARAGRAPHS[1], set()),
        (PARAGRAPHS[0].replace("₂", "2"), {"index, exponent or number"}),
        (PARAGRAPHS[0].replace("well-", "well"), {"hyphen"}),
        (PARAGRAPHS[0].replace("ï", "i"), {"accent"}),
        (PARAGRAPHS[1].replace("second mat", "secondmat"), {"space"}),
        (PARAGRAPHS[1].replace("applied to the second mat", "applied"), {"lost text"}),
        (PARAGRAPHS[1].replace("mat.", "mat. 3.1 Results and discussion"), {"other text"}),
        (PARAGRAPHS[1][:-20] + ".", {"lost text"}),
        ("Loads of 3 MPa were", {"part of a sentence"}),
    ],
)
def test_each_kind_of_fault_is_told(passage, kinds):
    score = Score()
    assert set(judge(passage, PARAGRAPHS, score)) == kinds
    assert (score.passages, score.clean) == (1, int(not kinds))
    assert score.words == len(passage.split())
