"""Inputs of ../shared/cases/extract that once failed, each with its right caption."""

from pathlib import Path

import pytest

from cephalo.dataset_scripts.pdf.document import extract_document

CASES = Path(__file__).parents[4] / "shared" / "cases" / "extract"


@pytest.mark.skipif(not CASES.exists(), reason="needs ../shared/cases")
@pytest.mark.parametrize(
    ("name", "page", "begin", "end", "length"),
    [
        ("caption-two-columns", 1, "Stress against strain of a", "hundred degrees in air.", 280),
        (
            "centred-caption-then-paragraph",
            0,
            "An example of the response",
            "the energy is taken up.",
            211,
        ),
        ("legend-next-page", 1, "Toughness of ten composites after", "five samples each.", 205),
    ],
)
def test_the_caption_is_whole_and_no_more(name, page, begin, end, length):
    [row] = extract_document(CASES / f"{name}.pdf").rows
    assert (row["page"], len(row["caption"])) == (page, length)
    assert row["caption"].startswith(begin) and row["caption"].endswith(end)
