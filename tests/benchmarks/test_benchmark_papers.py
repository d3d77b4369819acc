"""Generated papers: their ground truth against what pdfium reads and renders in them."""

import json
import re
import unicodedata
from pathlib import Path

import numpy as np
import pypdfium2 as pdfium
import pytest
from rapidfuzz import fuzz

from benchmarks.papers.bitmap_fonts import in_bitmap_fonts
from benchmarks.papers.markup import to_plain, to_typst

typst = pytest.importorskip("typst")
from benchmarks.papers.__main__ import font_book, make_sound_paper  # noqa: E402

# Seeds of papers: one column and two, with figures in the text, floated and beside captions, and
# captions in two columns.
NAMES = ["s1-0085", "s1-0017", "s1-0026"]


@pytest.fixture(scope="module")
def papers(tmp_path_factory) -> dict[str, tuple[pdfium.PdfDocument, dict]]:
    out = tmp_path_factory.mktemp("papers")
    made = {}
    for name in NAMES:
        make_sound_paper(name, out, font_book(of_system=False))
        truth = json.loads((out / "truth" / f"{name}.json").read_text(encoding="utf-8"))
        made[name] = pdfium.PdfDocument(out / "pdf" / f"{name}.pdf"), truth
    return made


def _text(document: pdfium.PdfDocument, line: list[float]) -> str:
    """What pdfium reads in a line's box: [page, x0, y0, x1, y1] from the page's top left."""
    number, x0, y0, x1, y1 = line
    page = document[number]
    high = page.get_height()
    # The middle of the line, so that its neighbours are not touched.
    third = (y1 - y0) / 3
    box = x0 - 1, high - y1 + third, x1 + 1, high - y0 - third
    return page.get_textpage().get_text_bounded(*box)


def _letters(text: str) -> str:
    return re.sub(r"[\s\-\u00ad\ufffe]+", "", unicodedata.normalize("NFKC", text))


def test_captions_are_what_pdfium_reads_at_their_lines(papers):
    for name, (document, truth) in papers.items():
        assert truth["figures"], name
        for figure in truth["figures"]:
            read = "".join(_text(document, line) for line in figure["caption_lines"])
            ratio = fuzz.ratio(_letters(read), _letters(figure["caption_printed"]))
            assert ratio > 90, (name, figure["label"], read)


def test_every_character_has_a_role_or_stands_in_a_figure(papers):
    for name, (document, truth) in papers.items():
        for number, page in enumerate(document):
            boxes = [t["bbox"] for t in truth["texts"] if t["page"] == number]
            boxes += [f["bbox"] for f in truth["figures"] if f["page"] == number]
            edges = np.array(boxes) + np.array([-1, -1, 1, 1])
            text, high = page.get_textpage(), page.get_height()
            for k in range(0, text.count_chars(), 7):
                if text.get_text_range(k, 1).strip():
                    left, bottom, right, top = text.get_charbox(k)
                    x, y = (left + right) / 2, high - (bottom + top) / 2
                    within = (edges[:, :2] <= (x, y)) & ((x, y) <= edges[:, 2:])
                    assert within.all(axis=1).any(), (name, number, x, y)


def test_boxes_of_figures_touch_their_ink_on_every_side(papers):
    for name, (document, truth) in papers.items():
        for figure in truth["figures"]:
            page = document[figure["page"]].render(scale=2).to_numpy().astype(int)
            x0, y0, x1, y1 = (round(2 * edge) for edge in figure["bbox"])
            part = np.ptp(page[y0:y1, x0:x1], axis=-1) + 255 - page[y0:y1, x0:x1].min(axis=-1)
            sides = part[:2], part[-2:], part[:, :2], part[:, -2:]
            assert all(side.max() > 12 for side in sides), (name, figure["label"])


def test_panels_lie_apart_within_their_figure(papers):
    panels = 0
    for _, truth in papers.values():
        for figure in truth["figures"]:
            x0, y0, x1, y1 = figure["bbox"]
            boxes = [panel["bbox"] for panel in figure["panels"]]
            panels += len(boxes)
            for k, (a0, b0, a1, b1) in enumerate(boxes):
                assert x0 - 1 <= a0 < a1 <= x1 + 1
                assert y0 - 1 <= b0 < b1 <= y1 + 1
                for c0, d0, c1, d1 in boxes[:k]:
                    assert min(a1, c1) <= max(a0, c0) + 1 or min(b1, d1) <= max(b0, d0) + 1
    assert panels > 4


def test_a_seed_makes_the_same_paper(papers, tmp_path: Path):
    name = NAMES[0]
    make_sound_paper(name, tmp_path, font_book(of_system=False))
    again = pdfium.PdfDocument(tmp_path / "pdf" / f"{name}.pdf")
    truth = json.loads((tmp_path / "truth" / f"{name}.json").read_text(encoding="utf-8"))
    assert truth == papers[name][1]
    for page, first in zip(again, papers[name][0], strict=True):
        assert page.get_textpage().get_text_bounded() == first.get_textpage().get_text_bounded()


@pytest.mark.parametrize("named", [True, False])
def test_bitmap_fonts_keep_every_glyph_in_its_place(papers, tmp_path: Path, named: bool):
    document, truth = papers[NAMES[0]]
    graphics = [(figure["page"], figure["bbox"]) for figure in truth["figures"]]
    paper = (tmp_path / "paper.pdf").open("w+b")
    document.save(paper)
    paper.seek(0)
    again = pdfium.PdfDocument(in_bitmap_fonts(paper.read(), graphics, named))
    texts = [text for text in truth["texts"] if text["role"] == "body"][:40]
    for text in texts:
        line = [text["page"], *text["bbox"]]
        if len(_letters(_text(document, line))) < 3:
            continue  # an index by itself: the box of one reaches into its neighbours
        ratio = fuzz.ratio(_letters(_text(document, line)), _letters(_text(again, line)))
        assert (ratio > 85) if named else (ratio < 60)
    was, now = (
        made[texts[0]["page"]].render(scale=4, grayscale=True).to_numpy().astype(float)
        for made in (document, again)
    )
    # Black and white dots stand for grey edges, but nowhere half a point away.
    shifts = [(0, 0), (0, 2), (2, 0), (0, -2), (-2, 0)]
    alike = [np.corrcoef(was.ravel(), np.roll(now, s, (0, 1)).ravel())[0, 1] for s in shifts]
    assert alike[0] == max(alike)
    assert alike[0] > 0.8


def test_markup_as_typst_and_as_read():
    text = 'Fe<sub>3</sub>C "at" <frac>1|2</frac><p><b>(a)</b> x'
    assert to_plain(text) == 'Fe3C "at" 1/2 (a) x'
    assert to_typst(text) == (
        '#"Fe";#sub(typographic: false)[#"3";];#"C \\"at\\" ";$frac("1", "2")$'
        '#parbreak();#strong[#"(a)";];#" x";'
    )
