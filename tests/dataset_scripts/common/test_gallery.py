"""The page to look at."""

import io
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from figure_samples import write_figures
from PIL import Image

from cephalo.cli.main import main
from cephalo.dataset_scripts.common.corrections import KEY, Key
from cephalo.dataset_scripts.common.gallery import thumbnail, write_gallery
from cephalo.dataset_scripts.common.schema import FIGURES


def png(width: int, height: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 30)).save(out, "PNG")
    return out.getvalue()


def row(**values) -> dict:
    blank = dict.fromkeys(FIGURES)
    return blank | {
        "image": {"bytes": png(1200, 300), "path": None},
        "caption": "A <script>alert(1)</script> caption",
        "label": "Figure 1",
        "kind": "figure",
        "document": "a&b.pdf",
        "document_sha256": "0" * 64,
        "page": 4,
        "width": 1200,
        "height": 300,
        "panels": [],
        "mentions": [],
        **values,
    }


def test_every_figure_beside_its_caption_page_and_document(tmp_path):
    table = pa.Table.from_pylist([row(), row(label="Figure 2")], schema=FIGURES.arrow_schema)
    pq.write_table(table, tmp_path / "a-000000000000.parquet")
    pq.write_table(table.slice(0, 0), tmp_path / "b-111111111111.parquet")
    page = tmp_path / "index.html"
    assert write_gallery(tmp_path, page, {"<x>.pdf": 'it is "broken"'}) == 2
    text = page.read_text()
    assert "<script>" not in text
    assert "A &lt;script&gt;alert(1)&lt;/script&gt; caption" in text
    assert text.count("page 5 ·") == 2
    assert "a&amp;b.pdf" in text
    assert "<dt>&lt;x&gt;.pdf</dt><dd>it is &#34;broken&#34;</dd>" in text
    assert text.count("<section") == 2  # one document with figures, and the failures
    assert "2 figures from 2 documents" in text


@pytest.mark.parametrize(("size", "small"), [((1200, 300), (560, 140)), ((30, 20), (30, 20))])
def test_thumbnails_are_bounded(size, small):
    import base64

    data = thumbnail(png(*size)).removeprefix("data:image/jpeg;base64,")
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == small


def test_many_figures_make_small_linked_pages(tmp_path, monkeypatch):
    monkeypatch.setattr("cephalo.dataset_scripts.common.gallery.MAX_FIGURES", 5)
    write_figures(tmp_path, documents=4, figures=3)
    page = tmp_path / "index.html"
    assert write_gallery(tmp_path / "figures", page, {"x.pdf": "broken"}) == 12
    pages = [page, *(tmp_path / f"index-{number}.html" for number in (2, 3, 4))]
    texts = [one.read_text() for one in pages]
    for number, text in enumerate(texts):
        assert "data:image" not in text and f"Paper {number}" in text
        assert text.count('class="figure"') == 3
        assert (
            re.findall(r'<a href="([^"]+)">', text)[:3]
            == [one.name for one in pages if one is not pages[number]]
            or number < 3
        )
        for source in re.findall(r'<img src="([^"]+)"', text):
            assert (tmp_path / source).read_bytes().startswith(b"\xff\xd8")
    assert "<dt>x.pdf</dt>" in texts[3] and "<dt>" not in texts[0]
    assert 'href="index-4.html#failures"' in texts[0]
    pictures = set((tmp_path / "index_files").iterdir())
    assert len(pictures) == 12
    times = {path: path.stat().st_mtime_ns for path in pictures}
    (tmp_path / "figures" / "paper-3.parquet").unlink()
    write_gallery(tmp_path / "figures", page, {})
    assert not (tmp_path / "index-4.html").exists()
    left = {path: path.stat().st_mtime_ns for path in (tmp_path / "index_files").iterdir()}
    assert len(left) == 9 and left.items() <= times.items()  # not written again
    monkeypatch.setattr("cephalo.dataset_scripts.common.gallery.MAX_FIGURES", 50)
    write_gallery(tmp_path / "figures", page, {})
    assert page.read_text().count("data:image/jpeg") == 9
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figures", "index.html"]


def test_pages_are_counted_from_1_wherever_a_person_sees_them(tmp_path, capsys):
    table = pa.Table.from_pylist([row()], schema=FIGURES.arrow_schema)
    (tmp_path / "figures").mkdir()
    pq.write_table(table, tmp_path / "figures" / "a-000000000000.parquet")
    index, found = tmp_path / "index.html", tmp_path / "found.html"
    write_gallery(tmp_path / "figures", index, {})
    main(["search", str(tmp_path), "caption", "--page", str(found)])
    [stored] = table.to_pylist()
    assert stored["page"] == 4  # in data, from 0
    told = [index.read_text(), found.read_text(), capsys.readouterr().out]
    told.append(Key(**{name: stored[name] for name in KEY}).name)
    for text in told:
        assert set(re.findall(r"\bpage (\d+)", text)) == {"5"}
