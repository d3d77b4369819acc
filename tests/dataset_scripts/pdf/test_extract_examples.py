"""The sample papers of examples/: made again, and read without a mistake."""

from pathlib import Path

import pytest
from make_papers import make_paper
from sample_papers import PAPERS

from cephalo.dataset_scripts.common.geometry import iou
from cephalo.dataset_scripts.pdf.document import extract_document

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)
def test_every_figure_is_read_exactly(paper, tmp_path):
    truth = make_paper(paper, tmp_path / "paper.pdf")
    rows = extract_document(tmp_path / "paper.pdf").rows
    rows.sort(key=lambda row: row["label"])
    found = [(row["label"].rstrip("."), row["caption"], row["page"]) for row in rows]
    assert found == [(t["label"], t["caption"], t["page"]) for t in truth]
    for row, figure in zip(rows, truth, strict=True):
        assert iou(row["bbox"], figure["bbox"]) > 0.9


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)
def test_the_shipped_papers_are_those_of_the_script(paper, tmp_path):
    make_paper(paper, tmp_path / "paper.pdf")
    shipped = EXAMPLES / "papers" / f"{paper.name}.pdf"
    assert shipped.stat().st_size < 300_000
    ours = extract_document(tmp_path / "paper.pdf").rows
    theirs = extract_document(shipped).rows
    assert [row["image_sha256"] for row in ours] == [row["image_sha256"] for row in theirs]
