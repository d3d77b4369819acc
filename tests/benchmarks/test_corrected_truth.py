"""Corrections as truth of the extractor's fit."""

import json
import shutil

import pytest
from correction_samples import correct
from figure_samples import figure_row
from workbench_samples import PAPER, write_folder, write_shard

from benchmarks.extraction.corrected import write_set
from benchmarks.extraction.fit import EXTENT, STARTS, corrected_set, main, read_set
from benchmarks.extraction.pairs import read_boxes
from cephalo.dataset_scripts.common.correction_values import ACCEPTED, REJECTED
from cephalo.dataset_scripts.common.corrections import NAME
from cephalo.dataset_scripts.common.inputs import DIGITS
from cephalo.dataset_scripts.common.schema import FIGURES
from cephalo.dataset_scripts.common.shards import read_rows

BOX = [60.0, 80.0, 200.0, 210.0]


def test_documents_that_are_judged_whole_are_truth(tmp_path):
    folder = write_folder(tmp_path / "made", hostile=False)
    [shard] = folder.glob(f"figures/a-paper-{'?' * DIGITS}.parquet")
    paper = tmp_path / f"made-{PAPER}"
    [row] = read_rows([shard], FIGURES)
    other = figure_row(9, 2) | {"document": PAPER, "page": 0}
    other["document_sha256"] = row["document_sha256"]
    write_shard(shard, row, other)
    box = [round(side + 1, 2) for side in row["bbox"]]
    correct(folder, "caption", "A corrected caption.", PAPER)
    assert write_set(folder, tmp_path / "set") == [f"{PAPER}: 1 of 2 figures reviewed; left out"]
    correct(folder, "state", REJECTED, PAPER, "Figure 2", minutes=1)
    correct(folder, "state", REJECTED, "paper-0.pdf", "Figure 1")
    correct(folder, "bbox", box, PAPER, minutes=2)
    told = write_set(folder, tmp_path / "set")
    assert told[0].startswith(f"{PAPER}: 1 figures")
    assert told[1] == "paper-0.pdf: 1 of 3 figures reviewed; left out"
    [path] = (tmp_path / "set" / "truth").glob("*.json")
    truth = json.loads(path.read_text())
    assert truth["tables"] == [] and truth["publisher"] == "unknown"
    [figure] = truth["figures"]
    assert (figure["label"], figure["caption"]) == ("Figure 1", "A corrected caption.")
    assert figure["bbox"] == box and figure["page"] == 0
    [known] = read_set(tmp_path / "set")
    [fitted] = known.truths
    assert fitted.number == "1" and fitted.text.startswith("acorrectedcaption")
    shutil.rmtree(tmp_path / "set")
    paper.unlink()
    told = write_set(folder, tmp_path / "set")
    assert told[0] == f"{PAPER}: the PDF was moved or changed; left out"


def test_the_fit_reads_files_of_corrections(tmp_path, monkeypatch, capsys):
    folder = write_folder(tmp_path / "made", hostile=False)
    weights = tmp_path / "weights.json"
    file = folder / NAME
    monkeypatch.setattr("sys.argv", ["fit", "--corrections", str(file), "--out", str(weights)])
    with pytest.raises(SystemExit):
        main()
    assert "no papers to fit on" in capsys.readouterr().err
    # As extracted, the caption is not what is printed: no line of the page is known to be one.
    correct(folder, "state", ACCEPTED, PAPER)
    with corrected_set(file) as made:
        [paper] = read_set(made)
    assert paper.known == [] and list(paper.answers.values()) == [None]
    correct(folder, "caption", "Hardness of the samples.", PAPER, minutes=1)
    correct(folder, "bbox", BOX, PAPER, minutes=2)
    with corrected_set(file) as made:
        [paper] = read_set(made)
        assert read_boxes(paper.truth) == {(0, "figure", "1"): tuple(BOX)}
    assert list(paper.answers.values()) == [True] and not made.exists()
    main()
    told = capsys.readouterr()
    assert told.out.endswith(f"1 papers → {weights}\n") and f"{PAPER}: 1 figures" in told.err
    assert set(json.loads(weights.read_text())) == {*EXTENT, *STARTS, "pairs"}
