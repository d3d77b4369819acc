"""`cephalo search`: what is asked for is found, after every change, and texts stay texts."""

import json
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from correction_samples import correct
from figure_samples import figure_row
from PIL import Image

from cephalo.cli.full_text import words_of
from cephalo.cli.main import main
from cephalo.dataset_scripts.common.pixels import perceptual_hash
from cephalo.dataset_scripts.common.schema import FIGURES
from cephalo.dataset_scripts.searching.index import NAME, open_index

HOSTILE = "</script><script>alert(1)</script> \x1b[31m\u202e AND NEAR( \" ' * col:x"
MOST_SECONDS = 0.2  # of a search over this many captions
MANY = 100_000


def write(folder: Path, name: str, *rows: dict) -> None:
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(list(rows), schema=FIGURES.arrow_schema)
    pq.write_table(table, folder / "figures" / f"{name}.parquet")


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "made"
    panels = [{"letter": "a", "bbox": None, "caption": "dislocations in zirconium"}]
    write(
        folder,
        "one",
        figure_row(0, 1, caption="Fracture surfaces of nacre after bending."),
        figure_row(0, 2, caption="Micrograph.", panels=panels, title="On bone"),
        figure_row(0, 3, caption="Curves.", mentions=["The nacre fractured at its surface."]),
    )
    write(folder, "two", figure_row(1, 1, caption=HOSTILE))
    return folder


def found(folder: Path, text: str, most: int = 9) -> list[tuple[str, str]]:
    with open_index(folder, folder) as index:
        index.update()
        return [(hit.document, hit.label) for hit in index.find(text, most)[0]]


def test_words_are_found_wherever_they_stand_and_captions_rank_first(folder):
    assert found(folder, "surface of fracturing nacre")[0] == ("paper-0.pdf", "Figure 1")
    assert found(folder, "fracture nacre") == [("paper-0.pdf", f"Figure {n}") for n in (1, 3)]
    assert found(folder, '"fracture surface"') == [("paper-0.pdf", "Figure 1")]
    assert found(folder, "ZIRCONIUM dislocation") == [("paper-0.pdf", "Figure 2")]
    assert found(folder, "bone") == [("paper-0.pdf", "Figure 2")]
    assert len(found(folder, "nacre zirconium")) == 3  # none has both
    assert found(folder, "alert script") == [("paper-1.pdf", "Figure 1")]
    assert found(folder, "nothing such") == []
    assert words_of('x "of a" -- NEAR(x AND') == ['"x"', '"of a"', '"NEAR(x"']
    assert words_of("of the") == ['"of"', '"the"']


@pytest.mark.parametrize(
    "text", ["caption:nacre", "nac* OR", "(", "NEAR(a b)", "'; DROP TABLE x", "^a"]
)
def test_no_query_is_a_fault(folder, text):
    if text == "(":
        with pytest.raises(SystemExit, match="no word in"):
            main(["search", str(folder), text])
    else:
        found(folder, text)


def test_every_change_counts(folder, tmp_path):
    assert len(found(folder, "nacre")) == 2
    correct(folder, "caption", "Enamel.", label="Figure 1")
    correct(folder, "state", "rejected", label="Figure 3")
    assert found(folder, "nacre") == []
    assert found(folder, "enamel") == [("paper-0.pdf", "Figure 1")]
    write(
        folder,
        "three",
        figure_row(2, 1, caption="Nacre again, with layers of aragonite that slide in tension."),
    )
    (folder / "figures" / "two.parquet").unlink()
    assert found(folder, "nacre") == [("paper-2.pdf", "Figure 1")]
    assert found(folder, "script") == []
    main(["refine", str(folder), "--teacher", "caption", "--out", str(tmp_path / "refined")])
    with open_index(folder, tmp_path / "refined") as index:
        assert index.update() == 3
        [hit] = index.find("what is shown in this image", 9)[0]  # the question
        assert hit.document == "paper-2.pdf"
    (folder / NAME).write_bytes(b"no database " * 100)
    assert found(folder, "nacre") == [("paper-2.pdf", "Figure 1")]


def test_an_index_that_another_search_writes_is_waited_for_and_kept(folder, monkeypatch):
    main(["search", str(folder), "nacre"])
    made = (folder / NAME).stat().st_ino
    monkeypatch.setattr("cephalo.dataset_scripts.searching.index.PATIENCE", 0.1)
    other = sqlite3.connect(folder / NAME, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(SystemExit, match="locked; wait for the search that is writing it"):
        main(["search", str(folder), "nacre"])
    other.execute("COMMIT")
    other.close()
    assert (folder / NAME).stat().st_ino == made


def test_first_searches_at_once_make_one_index(folder):
    def search(_: int) -> int:
        with open_index(folder, folder) as index:
            return index.update()

    for _ in range(5):
        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(search, range(8)))) == 1
        (folder / NAME).unlink()


def test_long_questions_are_cut_in_messages(folder, capsys):
    main(["search", str(folder), "word " * 2000])
    assert len(capsys.readouterr().out) < 300
    with pytest.raises(SystemExit, match=r"^cephalo: error: no word in '-{200}…'; give"):
        main(["search", str(folder), "--", "-" * 10_000])


def test_near_copies_of_an_image(folder, tmp_path, capsys):
    noise = np.random.default_rng(1).integers(0, 255, (9, 12, 3), np.uint8)
    smooth = np.asarray(Image.fromarray(noise).resize((240, 180), Image.Resampling.BICUBIC))
    row = figure_row(3, 1, phash=perceptual_hash(smooth))
    write(folder, "four", row, figure_row(3, 2, phash="0" * 16), figure_row(3, 3, phash=None))
    Image.fromarray(smooth).resize((200, 150)).save(tmp_path / "copy.jpg", quality=80)
    main(["search", str(folder), "--image", str(tmp_path / "copy.jpg"), "--rows"])
    [hit] = map(json.loads, capsys.readouterr().out.splitlines())
    assert (hit["document"], hit["label"]) == ("paper-3.pdf", "Figure 1") and hit["distance"] <= 8


def test_what_is_printed_and_written_is_inert(folder, tmp_path, capsys):
    page = tmp_path / "found.html"
    main(["search", str(folder), "alert", "--page", str(page)])
    out = capsys.readouterr().out
    assert "1 of 4 figures with all words of 'alert'" in out
    assert "\x1b" not in out and "\u202e" not in out and "<script>alert(1)" in out
    html = page.read_text()
    assert "<script" not in html and "data:image/jpeg;base64," in html
    for options, words in [([], "give words to search for"), (["x", "--image", "y"], "give words")]:
        with pytest.raises(SystemExit, match=words):
            main(["search", str(folder), *options])
    with pytest.raises(SystemExit, match="contains no figures"):
        main(["search", str(tmp_path), "x"])


@pytest.mark.slow
def test_a_hundred_thousand_captions(tmp_path, capsys):
    words = [f"word{number}" for number in range(5000)] + ["nacre", "fracture", "surface"]
    random = np.random.default_rng(0)
    plain = figure_row(0, 1)
    plain["image"] = {"bytes": b"", "path": None}
    folder = tmp_path / "made"
    for shard in range(100):
        rows = []
        for number in range(MANY // 100):
            caption = " ".join(random.choice(words, 40)) + " of a specimen"
            facts = {"page": number, "document": f"paper-{shard}.pdf", "caption": caption}
            rows.append(plain | facts)
        write(folder, f"paper-{shard}", *rows)
    started = time.process_time()
    with open_index(folder, folder) as index:
        assert index.update() == MANY
    built = time.process_time() - started
    spent = {}
    with open_index(folder, folder) as index:
        for text in ("nacre", "fracture surface of nacre", "of a specimen", "word7 word8"):
            started = time.process_time()
            index.update()
            hits, _ = index.find(text, 20)
            spent[text] = time.process_time() - started
            assert hits
    size = (folder / NAME).stat().st_size / 1e6
    with capsys.disabled():
        told = ", ".join(f"{text!r} {1000 * seconds:.0f} ms" for text, seconds in spent.items())
        print(f"\nindex of {MANY:,} captions: {built:.0f} s, {size:.0f} MB; {told}")
    assert max(spent.values()) < MOST_SECONDS
