"""The review page shows every page, and boxes where the figures are."""

import base64
import io
import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from figure_samples import write_figures
from PIL import Image

from cephalo.cli.main import main
from cephalo.dataset_scripts.review import draw_pages, write_review

PAPERS = Path(__file__).parents[1] / "examples" / "papers"


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
    data = base64.b64decode(first.uri.partition(",")[2])
    width, height = Image.open(io.BytesIO(data)).size
    assert (width, height) == (round(first.width * 50 / 72), round(first.height * 50 / 72))


def test_hostile_captions_are_escaped_and_broken_files_named(tmp_path):
    out = write_figures(tmp_path / "out", documents=1, caption='"><script>alert(1)</script>')
    broken = tmp_path / "paper-0.pdf"
    broken.write_bytes(b"%PDF-1.4 no more")
    [shard] = (out / "figures").glob("*")
    from cephalo.dataset_scripts.pdf.document import file_sha256

    shard.rename(shard.with_stem(f"paper-0-{file_sha256(broken)[:12]}"))
    write_review(out, [broken], 1, 20)
    text = (out / "review.html").read_text(encoding="utf-8")
    assert "<script>" not in text
    assert "Its pages could not be drawn: " in text
    shutil.copy(sorted(PAPERS.glob("*.pdf"))[0], broken)
    [shard] = (out / "figures").glob("*")
    shard.rename(shard.with_stem(f"paper-0-{file_sha256(broken)[:12]}"))
    write_review(out, [broken], 1, 20)
    text = (out / "review.html").read_text(encoding="utf-8")
    assert "<script>" not in text and "&lt;script&gt;" in text
    assert "could not be drawn" not in text
