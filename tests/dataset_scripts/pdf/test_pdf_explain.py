"""The explanation of a document says what decided, with the values that did."""

from contextlib import closing
from pathlib import Path

import pypdfium2.raw as pdfium
import pytest
from pdf_samples import LEFT, Sheet
from review_samples import CITATION, caption_overleaf, cited_figure, labels_and_legends, lost_figure

from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf.decisions import load_models
from cephalo.dataset_scripts.pdf.document import Decisions, decide
from cephalo.dataset_scripts.pdf.explain import MAX_REJECTED, MAX_WORDS, explain_document
from cephalo.dataset_scripts.pdf.layout import set_layout
from cephalo.dataset_scripts.pdf.reading import read_pages

CAPTION = (
    "Hardness of the samples after heating in air for an hour, and of those that were kept in "
    "the oven at the same place for a day."
)


def decisions(path: Path) -> Decisions:
    """The decisions about a file as extraction takes them."""
    with fast.open_document(path) as document, closing(fast.Pages(document)) as pages:
        contents, _ = read_pages(pages, pdfium.FPDF_GetPageCount(document))
    body, blocks = set_layout(contents)
    return decide(contents, blocks, body)


def test_a_caption_has_the_scores_and_reasons_that_decided(tmp_path):
    path = tmp_path / "paper.pdf"
    box = cited_figure(path, CAPTION)
    found = decisions(path)
    [[caption]], [[pair]] = found.captions, found.pairs
    why, _ = explain_document(path)
    assert (why.page, why.kind, why.label, why.text) == (0, "figure", "Figure 1", CAPTION)
    assert why.accepted and why.box == pytest.approx(caption.box)
    assert why.start.score == pytest.approx(caption.score) and why.start.score > 2
    assert why.start.reasons == caption.reasons
    assert why.start.words.startswith("Figure 1. Hardness of the samples")
    weights = load_models()["starts_alone"].weights
    assert all(value / weights[name] > 0 for name, value in why.alone.reasons)
    assert why.figure.page == 0 and why.figure.side == "above"
    assert why.figure.box == pytest.approx(box, abs=1)
    chosen, other = why.figure.sides
    assert chosen.words == "above" and chosen.reasons == pair.reasons
    assert other.words == "none" and other.score < chosen.score - 5


def test_a_caption_says_how_sure_its_rows_are_and_where_it_ended(tmp_path):
    sheet = Sheet(tmp_path / "paper.pdf")
    sheet.image([LEFT, 72, 296, 222])
    end = sheet.caption(LEFT, 230, "Figure 1.", CAPTION)
    sheet.body(LEFT, end + 7, 700)
    sheet.save()
    [why] = explain_document(sheet.path)
    assert why.text == CAPTION
    assert why.weakest.model == "continues" and why.weakest.score > 0
    assert why.weakest.words in CAPTION and not CAPTION.startswith(why.weakest.words)
    assert why.refused.model == "continues" and why.refused.score < 0
    assert why.refused.words.startswith("The samples were heated in air")
    assert dict(why.refused.reasons)["ended"] < 0


def test_a_sentence_that_begins_like_a_caption_has_its_reasons(tmp_path):
    cited_figure(tmp_path / "paper.pdf", CAPTION)
    _, why = explain_document(tmp_path / "paper.pdf")
    assert not why.accepted and why.figure is None and why.refused is None
    assert why.label == "Figure 1" and why.start.score < -3
    assert CITATION.startswith(why.start.words)
    reasons = dict(why.start.reasons) | dict(why.alone.reasons)
    assert reasons["rival_likely"] < 0 and reasons["cites"] < 0


def test_a_figure_overleaf_is_told_with_its_page(tmp_path):
    box = caption_overleaf(tmp_path / "paper.pdf", "Hardness of the samples after heating.")
    [why] = explain_document(tmp_path / "paper.pdf")
    assert (why.page, why.figure.page, why.figure.side) == (1, 0, None)
    assert why.figure.box == pytest.approx(box, abs=1) and why.figure.sides == []


def test_a_legend_has_the_figure_under_its_label(tmp_path):
    boxes = labels_and_legends(tmp_path / "paper.pdf")
    told = explain_document(tmp_path / "paper.pdf")
    assert [(why.page, why.label) for why in told] == [
        *((0, f"Figure {number}") for number in (1, 2)),
        *((number, f"Figure {number}") for number in (1, 2)),
    ]
    assert all(why.accepted for why in told)
    for legend, label, box in zip(told[:2], told[2:], boxes, strict=True):
        assert legend.text == label.text and legend.text.startswith("Hardness of batch")
        assert legend.figure.page == label.figure.page == label.page
        assert legend.figure.box == label.figure.box == pytest.approx(box, abs=1)
        assert (legend.figure.side, label.figure.side) == (None, "above")


def test_a_caption_without_a_figure_has_none(tmp_path):
    lost_figure(tmp_path / "paper.pdf")
    [why] = explain_document(tmp_path / "paper.pdf")
    assert why.accepted and why.start.score > 0 and why.figure is None


def test_what_is_told_is_bounded(tmp_path):
    sheet = Sheet(tmp_path / "paper.pdf")
    for number in range(50):
        sheet.text(
            LEFT, 40 + 14 * number, f"Figure {number} shows " + "what was read " * 6, width=500
        )
    sheet.save()
    told = [why for why in explain_document(sheet.path) if not why.accepted]
    assert len(told) == MAX_REJECTED
    assert all(len(why.start.words) <= MAX_WORDS for why in told)
    assert told[0].start.words.endswith("\u2026")
