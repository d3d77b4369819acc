"""The review page shows every page, boxes where the figures are, and what decided."""

import io
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from figure_samples import write_figures
from pdf_samples import LEFT, RIGHT, Sheet
from PIL import Image
from review_samples import caption_overleaf, cited_figure, labels_and_legends, lost_figure

from cephalo.cli.main import main
from cephalo.dataset_scripts.common.inputs import file_sha256
from cephalo.dataset_scripts.common.schema import FIGURES
from cephalo.dataset_scripts.pdf.explain import explain_document
from cephalo.dataset_scripts.review import draw_pages, write_review

CAPTION = "Hardness of the samples after heating in air for an hour, and as they were at first."
PAPERS = Path(__file__).parents[3] / "examples" / "papers"


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory) -> Path:
    """An output folder of the three sample papers, one of which is gone when they are drawn."""
    out = tmp_path_factory.mktemp("review") / "out"
    main(["extract", str(PAPERS), "--out", str(out), "--review"])
    return out


def test_every_page_is_there_once(reviewed):
    text = (reviewed / "review.html").read_text(encoding="utf-8")
    assert len(re.findall(r'<div class="page( bare)?">', text)) == 6
    assert re.findall(r"<h2>(.*): (\d+) figures</h2>", text) == [
        ("grain-growth-in-nickel-foil.pdf", "3"),
        ("humidity-sensing-with-clay-films.pdf", "3"),
        ("toughness-of-pressed-fibre-mats.pdf", "4"),
    ]
    sources = re.findall(r'src="([^"]+)"', text)
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)


def test_boxes_are_where_the_table_says(reviewed):
    text = (reviewed / "review.html").read_text(encoding="utf-8")
    for path, shard in zip(
        sorted(PAPERS.glob("*.pdf")), sorted((reviewed / "figures").glob("*")), strict=True
    ):
        pages = draw_pages(path)
        for row in pq.read_table(shard).to_pylist():
            page = pages[row["page"]]
            for key in ("bbox", "caption_bbox"):
                left, top, right, _ = row[key]
                style = f"left:{100 * left / page.width:.2f}%;top:{100 * top / page.height:.2f}%;"
                style += f"width:{100 * (right - left) / page.width:.2f}%"
                assert style in text, (path.name, row["label"], key)
            assert f"<span>{row['label']}</span>" in text


def test_a_picture_is_the_page():
    [first, *_] = draw_pages(sorted(PAPERS.glob("*.pdf"))[0])
    data = first.jpeg
    width, height = Image.open(io.BytesIO(data)).size
    assert (width, height) == (round(first.width * 50 / 72), round(first.height * 50 / 72))


def test_hostile_captions_are_escaped_and_broken_files_named(tmp_path):
    out = write_figures(tmp_path / "out", documents=1, caption='"><script>alert(1)</script>')
    broken = tmp_path / "paper-0.pdf"
    broken.write_bytes(b"%PDF-1.4 no more")
    [shard] = (out / "figures").glob("*")
    shard.rename(shard.with_stem(f"paper-0-{file_sha256(broken)[:12]}"))
    write_review(out, [broken], 1, 20)
    text = (out / "review.html").read_text(encoding="utf-8")
    assert "alert(1)" not in text
    assert "Its pages could not be drawn: " in text
    assert "Its decisions could not be reproduced: " in text
    shutil.copy(sorted(PAPERS.glob("*.pdf"))[0], broken)
    [shard] = (out / "figures").glob("*")
    shard.rename(shard.with_stem(f"paper-0-{file_sha256(broken)[:12]}"))
    write_review(out, [broken], 1, 20)
    text = (out / "review.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text and "&lt;script&gt;alert(1)" in text
    assert "could not be" not in text


def review(folder: Path, **settings: str) -> str:
    """The text of the page over the papers in a folder."""
    options = [part for name, value in settings.items() for part in (f"--{name}", value)]
    main(["extract", str(folder), "--out", str(folder / "out"), "--review", *options])
    return (folder / "out" / "review.html").read_text(encoding="utf-8")


def entries(text: str) -> list[str]:
    """What the lists beside the pages say, one text for each entry, without marks of HTML."""
    found = re.findall(r"<li(?: data-k=[^>]*)?>(.*?)</li>", text, re.S)
    return [" ".join(re.sub(r"<[^>]*>", " ", one).split()) for one in found]


def test_an_entry_has_the_reasons_in_plain_words(tmp_path):
    cited_figure(tmp_path / "paper.pdf", CAPTION)
    text = review(tmp_path)
    why, rejected = explain_document(tmp_path / "paper.pdf")
    accepted, folded = entries(text)
    assert accepted.startswith(f"Figure 1 {CAPTION} caption {why.start.score:+.1f}")
    for weighed in (why.start, why.alone, why.weakest, why.refused, why.figure.sides[0]):
        reasons = [f"{name.replace('_', ' ')} {value:+.1f}" for name, value in weighed.reasons]
        assert " , ".join(reasons) in accepted
    assert f"figure above {why.figure.sides[0].score:+.1f}" in accepted
    assert folded.startswith(f"1 rejected candidate {rejected.start.words} caption")
    # The boxes of a figure and its caption, and the entry, share a key, the sentence has its own.
    keys = re.findall(r'data-k="(d[^"]*)"', text)
    assert sorted(keys) == ["d0-0"] * 3 + ["d0-1"] * 2
    assert len(re.findall(r'<div class="box rejected" data-k="d0-1"', text)) == 1


def test_text_of_papers_is_escaped_wherever_it_is_shown(tmp_path):
    bad = "<img src=x onerror=alert(1)> & </li> <script>alert(2)</script> of the samples "
    sheet = Sheet(tmp_path / "a<b>&.pdf")
    sheet.image([LEFT, 72, 296, 222])
    end = sheet.caption(LEFT, 230, "Figure 1.", f"Hardness {bad} and {bad} in air.")
    sheet.text(LEFT, end + 7, f"{bad} " * 30)
    sheet.text(RIGHT, 72, f"Figure 1 shows {bad}", 200)
    sheet.save()
    text = review(tmp_path)
    assert text.count("<script") == 1 and text.count("<img") == 1
    assert "&lt;img src=x onerror=alert(1)&gt;" in text and "a&lt;b&gt;&amp;.pdf" in text
    assert "Figure 1 shows &lt;img" in text


def test_a_caption_overleaf_is_shown_on_both_pages(tmp_path):
    caption_overleaf(tmp_path / "paper.pdf", CAPTION)
    text = review(tmp_path)
    [row] = pq.read_table(next((tmp_path / "out" / "figures").glob("*"))).to_pylist()
    assert row["caption_bbox"] is None and (row["page"], row["caption"]) == (0, CAPTION)
    first, second = entries(text)
    assert first == "Figure 1 caption on page 2"
    assert CAPTION in second and "figure on page 1" in second
    pages = text.split('<div class="sheet">')[1:]
    boxes = [re.findall(r'class="box( caption)?" data-k="(.*?)"', page) for page in pages]
    assert boxes == [[("", "d0-0")], [(" caption", "d0-0")], []]


def test_a_figure_under_a_label_is_shown_once_with_its_legend(tmp_path):
    labels_and_legends(tmp_path / "paper.pdf")
    text = review(tmp_path)
    legends, labels = entries(text)[:2], entries(text)[2:]
    assert ": 2 figures</h2>" in text and text.count("<span>Figure 1</span>") == 1
    for page, legend in zip((2, 3), legends, strict=True):
        assert f"figure on page {page} not in the table: " in legend
    assert all("Hardness of batch" in label and "no row" not in label for label in labels)
    told = "used as the label of a figure, whose caption is on another page"
    scores = [why.start.score for why in explain_document(tmp_path / "paper.pdf")]
    assert [told in entry for entry in legends + labels] == [score <= 0 for score in scores]


def test_a_caption_without_figure_is_named(tmp_path):
    lost_figure(tmp_path / "paper.pdf")
    text = review(tmp_path)
    [entry] = entries(text)
    assert '<div class="page">' in text  # large, for a figure may be there
    assert entry.startswith("Figure 1 Hardness of the samples after heating.")
    assert entry.endswith("no figure found")


def test_a_kind_not_asked_for_has_no_row(tmp_path):
    cited_figure(tmp_path / "paper.pdf", CAPTION)
    text = review(tmp_path, kinds="table")
    assert "not in the table: another kind, blank" in entries(text)[0]
    assert ": 0 figures</h2>" in text and '<div class="page">' not in text


def test_faults_of_rows_and_documents_are_shown(tmp_path):
    cited_figure(tmp_path / "paper.pdf", CAPTION)
    review(tmp_path)
    [shard] = (tmp_path / "out" / "figures").glob("*")
    [row] = pq.read_table(shard).to_pylist()
    row["text_faults"] = ["unread glyphs in <caption>"]
    told = {b"cephalo.cut_pages": b"1 of 1 pages have more <objects>"}
    schema = FIGURES.arrow_schema.with_metadata(told)
    pq.write_table(pa.Table.from_pylist([row], schema=schema), shard)
    text = review(tmp_path)
    assert '<p class="fault">unread glyphs in &lt;caption&gt;</p>' in text
    assert '<p class="fault">1 of 1 pages have more &lt;objects&gt;</p>' in text


def test_rows_without_reasons_are_shown(tmp_path):
    box = cited_figure(tmp_path / "paper.pdf", CAPTION)
    review(tmp_path)
    [shard] = (tmp_path / "out" / "figures").glob("*")
    [row] = pq.read_table(shard).to_pylist()
    row |= {"label": "Figure <9>", "caption": "Another.", "caption_bbox": None, "bbox": box}
    pq.write_table(pa.Table.from_pylist([row], schema=FIGURES.arrow_schema), shard)
    texts = entries(review(tmp_path))
    assert texts[1] == "Figure &lt;9&gt; Another."
    assert "not in the table: " in texts[0]


def test_many_documents_make_linked_pages_with_pictures_beside(reviewed, tmp_path, monkeypatch):
    monkeypatch.setattr("cephalo.dataset_scripts.review.MAX_DOCUMENTS", 2)
    out = tmp_path / "out"
    shutil.copytree(reviewed / "figures", out / "figures")
    write_review(out, sorted(PAPERS.glob("*.pdf")), 1, 60)
    texts = [(out / name).read_text() for name in ("review.html", "review-2.html")]
    assert [text.count("<section>") for text in texts] == [2, 1]
    assert [text.count('href="review') for text in texts] == [1, 1]  # to the other page
    sources = re.findall(r'src="([^"]+)"', "".join(texts))
    assert {path.relative_to(out).as_posix() for path in out.glob("review_files/*")} == set(sources)
    assert not list(out.glob("review-3*"))
