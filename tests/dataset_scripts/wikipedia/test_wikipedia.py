"""`cephalo extract` on wiki pages, saved HTML and dumps, as a user meets it."""

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from extract_samples import failures, rows, run
from mediawiki_server import MediaWiki, WikiFile, picture
from PIL import Image
from test_wikipedia_article import gallery_item, page, thumb
from warm_python import kill, warm_python

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.common.schema import FIGURES, TEXT
from cephalo.dataset_scripts.wikipedia import client as module
from cephalo.dataset_scripts.wikipedia.sources import from_dump, local_image, read_titles

PROSE = (
    "Nacre consists of layers of aragonite platelets that are bound by thin films of protein. "
    "The platelets slide on each other before the material breaks, and so it takes up much work. "
)
NACRE = page(
    f"<p>{PROSE * 3}</p>"
    + thumb("Nacre layers.jpg", "Layers of nacre<sup class='reference'>[1]</sup>")
    + f"<p>The layers are 0.5 micrometres thick. {PROSE * 2}</p><h2>Gallery</h2>"
    + f"<ul class='gallery'>{gallery_item('Drawing.svg', 'A drawing of the layers')}"
    + f"{gallery_item('Gone.png', 'No such file')}{gallery_item('Icon.png', 'An icon')}</ul>"
    + "<h2>References</h2><ol class='references'><li>Doe, J. (1999). Shells.</li></ol>"
).decode()


@pytest.fixture
def wiki(monkeypatch):
    monkeypatch.setattr(module, "INTERVAL", 0.0)
    with MediaWiki(
        pages={"Nacre": NACRE, "Conch": "<p>No pictures here.</p>"},
        files={
            "Nacre layers.jpg": WikiFile(picture(2400, 1200, kind="JPEG"), "image/jpeg"),
            "Drawing.svg": WikiFile(b"<svg/>", "image/svg+xml", "CC0", None, picture(400, 200, 1)),
            "Icon.png": WikiFile(picture(32, 32, 2)),
        },
    ) as server:
        yield server


def read(wiki: MediaWiki, out: Path, *arguments: object) -> None:
    run(*arguments, "--out", out, "--wiki", wiki.url, "--contact", "me@example.org")


def text_of(out: Path) -> list[dict]:
    return [row for shard in sorted(out.glob("text/*")) for row in pq.read_table(shard).to_pylist()]


def test_a_page_by_its_title(wiki, tmp_path, capsys):
    read(wiki, tmp_path, "--wikipedia", "Nacre", "--text")
    photo, drawing = rows(tmp_path)
    assert photo["caption"] == "Layers of nacre"
    assert photo["mentions"] == [
        (PROSE * 3).strip(),
        f"The layers are 0.5 micrometres thick. {PROSE * 2}".strip(),
    ]
    assert photo["document"] == f"{wiki.url}/wiki/Nacre"
    assert photo["document_sha256"] == hashlib.sha256(NACRE.encode()).hexdigest()
    assert (photo["title"], photo["revision"], photo["label"]) == ("Nacre", "1005", "")
    assert (photo["license"], photo["author"]) == ("CC-BY-SA-3.0", "Jane Doe")
    assert photo["source_url"] == f"{wiki.url}/wiki/File:Nacre_layers.jpg"
    assert (photo["width"], photo["height"]) == (1920, 960)  # of 2400 x 1200
    assert (photo["page"], photo["bbox"], photo["dpi"], photo["panels"]) == (0, None, None, [])
    assert (drawing["caption"], drawing["mentions"]) == ("A drawing of the layers", [])
    assert (drawing["license"], drawing["author"]) == ("CC0-1.0", None)
    assert (drawing["width"], drawing["height"]) == (400, 200)
    assert Image.open(io.BytesIO(drawing["image"]["bytes"])).format == "PNG"
    assert failures(tmp_path) == {
        "Nacre: Gone.png": "the wiki has no picture of that name",
        "Nacre: Icon.png": "32 x 32 pixels: an icon",
    }
    page = (tmp_path / "index.html").read_text()
    assert "Layers of nacre" in page and "Jane Doe" in page and "CC-BY-SA-3.0" in page
    assert "1 documents read" in capsys.readouterr().out
    [row] = text_of(tmp_path)
    assert row["text"].startswith("Nacre consists of layers") and "Doe" not in row["text"]
    assert (row["license"], row["author"]) == ("CC-BY-SA-4.0", "Contributors to 127.0.0.1")
    assert row["revision"] == "1005"


def test_datasets_opens_both_tables(wiki, tmp_path):
    from datasets import load_dataset

    read(wiki, tmp_path, "--wikipedia", "Nacre", "--text", "--thumbnail", 220)
    figures = load_dataset("parquet", data_dir=str(tmp_path / "figures"), split="train")
    text = load_dataset("parquet", data_dir=str(tmp_path / "text"), split="train")
    assert (figures.features, text.features) == (FIGURES, TEXT)
    # The wiki renders 250 pixels; rows have what was asked for.
    assert [figure["image"].size for figure in figures] == [(220, 110), (220, 110)]
    assert all(
        "250px" in path for path in wiki.paths() if "/images/" in path and "Icon" not in path
    )


def test_a_second_run_asks_for_nothing_and_does_what_is_missing(wiki, tmp_path, capsys):
    read(wiki, tmp_path, "--wikipedia", "Nacre")
    before = [(row["caption"], row["image_sha256"]) for row in rows(tmp_path)]
    asked = len(wiki.log)
    read(wiki, tmp_path, "--wikipedia", "Nacre")
    assert "0 documents read, 1 read before" in capsys.readouterr().out
    next(tmp_path.glob("figures/*.parquet")).unlink()
    read(wiki, tmp_path, "--wikipedia", "Nacre")
    assert [(row["caption"], row["image_sha256"]) for row in rows(tmp_path)] == before
    assert len(wiki.log) == asked


def test_categories_and_files_of_titles_and_failures(wiki, tmp_path):
    wiki.categories["Category:Shells"] = ["Nacre", "Conch", "Lost"]
    wiki.redirects["Mother of pearl"] = "Nacre"
    titles = tmp_path / "titles.txt"
    titles.write_text("# shells\nCategory:Shells\n\nMother of pearl\nCategory:None\n")
    assert read_titles(titles) == ["Category:Shells", "Mother of pearl", "Category:None"]
    out = tmp_path / "out"
    read(wiki, out, "--titles", titles)
    assert {row["document"] for row in rows(out)} == {f"{wiki.url}/wiki/Nacre"}
    assert len(list(out.glob("figures/*.parquet"))) == 2  # Conch has no figures
    reasons = failures(out)
    assert "there is nothing at" in reasons["Lost"]
    assert reasons["Category:None"] == "it has no articles, or there is no such category"
    wiki.pages["Lost"] = "<p>Found again.</p>"
    read(wiki, out, "--titles", titles)
    assert "Lost" not in failures(out)


def test_a_wiki_that_stays_busy_ends_the_run_in_one_line(wiki, tmp_path, monkeypatch):
    wiki.faults["with_html"] = ["429"]
    monkeypatch.setattr(module, "MAX_WAIT", 0.5)
    with pytest.raises(CephaloError, match="run the same command again later"):
        read(wiki, tmp_path, "--wikipedia", "Nacre")
    read(wiki, tmp_path, "--wikipedia", "Nacre")
    assert len(rows(tmp_path)) == 2


def test_kill_9_in_the_middle_loses_nothing(wiki, tmp_path):
    for k in range(6):
        wiki.files[f"P{k}.png"] = WikiFile(picture(300, 200, k))
        wiki.pages[f"Page {k}"] = thumb(f"P{k}.png", f"Picture {k}")
    wiki.categories["Category:All"] = [f"Page {k}" for k in range(6)]
    whole, out = tmp_path / "whole", tmp_path / "out"
    read(wiki, whole, "--wikipedia", "Category:All")
    command = [warm_python(), "-m", "cephalo.cli.main", "extract", "--wiki", wiki.url]
    command += ["--wikipedia", "Category:All", "--contact", "me@example.org", "--out", str(out)]
    killed = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(out.glob("figures/*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.01)
    kill(killed)
    assert 1 <= len(list(out.glob("figures/*.parquet"))) < 6
    read(wiki, out, "--wikipedia", "Category:All")
    key = [(row["document"], row["image_sha256"]) for row in rows(out)]
    assert key == [(row["document"], row["image_sha256"]) for row in rows(whole)]


def test_other_settings_are_refused(wiki, tmp_path):
    read(wiki, tmp_path, "--wikipedia", "Conch", "--thumbnail", 220)
    with pytest.raises(CephaloError, match="was made with --thumbnail 220"):
        read(wiki, tmp_path, "--wikipedia", "Conch")
    with pytest.raises(CephaloError, match="was made without --text"):
        read(wiki, tmp_path, "--wikipedia", "Conch", "--thumbnail", 220, "--text")


def test_a_page_that_a_browser_saved(tmp_path):
    folder = tmp_path / "saved"
    (folder / "Nacre_files").mkdir(parents=True)
    (folder / "Nacre_files" / "layers 1.png").write_bytes(picture(300, 200))
    (folder / "Nacre_files" / "frame.html").write_text("<p>Part of the saved page</p>")
    (tmp_path / "secret.png").write_bytes(picture(300, 200, 9))
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    sources = {
        "kept": "Nacre_files/layers%201.png",
        "above": "../secret.png",
        "linked": "link.png",
        "absolute": f"{tmp_path}/secret.png",
        "url": "https://upload.example/a.png",
        "file": f"file://{tmp_path}/secret.png",
        "folder": "Nacre_files",
    }
    figures = "".join(
        f'<figure><img src="{source}"><figcaption>{name}</figcaption></figure>'
        for name, source in sources.items()
    )
    head = '<link rel="canonical" href="https://en.wikipedia.org/wiki/Nacre"/>'
    (folder / "Nacre.html").write_bytes(page(f"<h1>Nacre</h1>{figures}", head))
    out = tmp_path / "out"
    run(folder, "--out", out)
    [row] = rows(out)
    assert (row["caption"], row["title"]) == ("kept", "Nacre")
    assert row["document"] == row["source_url"] == "https://en.wikipedia.org/wiki/Nacre"
    assert (row["license"], row["author"], row["revision"]) == (None, None, None)
    assert (out / "failures.jsonl").read_text().count("its image was not saved") == 6
    assert local_image(folder, "a\0.png") is local_image(folder, "http://[") is None


def article(wiki: MediaWiki, title: str, body: str) -> str:
    """A line of a Wikimedia Enterprise HTML dump."""
    line = {
        "name": title,
        "identifier": 7,
        "url": f"{wiki.url}/wiki/{title}",
        "version": {"identifier": 1234567},
        "license": [
            {
                "identifier": "CC-BY-SA-3.0",
                "url": "https://creativecommons.org/licenses/by-sa/3.0/",
            }
        ],
        "article_body": {"html": body, "wikitext": "x"},
    }
    return json.dumps(line) + "\n"


def test_a_dump_with_damaged_lines(wiki, tmp_path):
    lines = article(wiki, "Nacre", NACRE) + '{"name": 3}\nno JSON\n' + article(wiki, "Conch", "")
    dump = tmp_path / "nswiki-NS0-20260101-ENTERPRISE-HTML.json.tar.gz"
    with tarfile.open(dump, "w:gz") as archive:
        member = tarfile.TarInfo("nswiki_namespace_0_0.ndjson")
        member.size = len(lines.encode())
        archive.addfile(member, io.BytesIO(lines.encode()))
    out = tmp_path / "out"
    read(wiki, out, dump, "--text")
    photo, _ = rows(out)
    assert (photo["document"], photo["revision"]) == (f"{wiki.url}/wiki/Nacre", "1234567")
    assert (photo["license"], text_of(out)[0]["license"]) == ("CC-BY-SA-3.0", "CC-BY-SA-3.0")
    assert not any("with_html" in path for path in wiki.paths())
    broken = [name for name in failures(out) if "line" in name]
    assert broken == [f"{dump.name}, line 2", f"{dump.name}, line 3"]
    asked = len(wiki.log)
    read(wiki, out, dump, "--text")
    assert len(wiki.log) == asked


def test_dumps_are_streamed_and_may_break_off(wiki, tmp_path, monkeypatch):
    plain, packed = tmp_path / "a.ndjson", tmp_path / "a.ndjson.gz"
    plain.write_text(article(wiki, "A", "x") + article(wiki, "B", "y" * 5000))
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    names = [f"{wiki.url}/wiki/A", f"{wiki.url}/wiki/B"]
    assert [source.name for source in from_dump(plain)] == names
    assert [source.name for source in from_dump(packed)] == names
    packed.write_bytes(packed.read_bytes()[:-30])
    assert [source.name for source in from_dump(packed)][-1] == str(packed)
    monkeypatch.setattr("cephalo.dataset_scripts.wikipedia.sources.MAX_ANSWER", 1000)
    assert [source.name for source in from_dump(plain)] == [names[0], f"{plain}, line 2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--wikipedia", "Nacre", "--out", "OUT"], "give --contact"),
        (["--titles", "OUT/none.txt", "--out", "OUT"], "one title per line"),
        (["--out", "OUT"], "nothing to read; give PDF files"),
        (["--wikipedia", "A", "--out", "OUT", "--wiki", "x", "--contact", "a@b.c"], "not a web"),
    ],
)
def test_bad_input_is_one_line(tmp_path, monkeypatch, arguments, message):
    monkeypatch.delenv("CEPHALO_CONTACT", raising=False)
    with pytest.raises(CephaloError, match=message) as caught:
        run(*[argument.replace("OUT", str(tmp_path)) for argument in arguments])
    assert "\n" not in str(caught.value)
