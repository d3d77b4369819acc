"""`cephalo export`: what people left is in each format, as the library it is for reads it."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from correction_samples import correct
from datasets import load_dataset
from figure_samples import figure_row, write_figures
from PIL import Image

from cephalo.cli.main import main
from cephalo.dataset_scripts.exporting import formats
from cephalo.dataset_scripts.exporting.formats import FORMATS, cell, in_pixels

HOSTILE = "=HYPERLINK(\"x\") <image> </script>, 'quoted'\nand a line"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two documents of two figures, of which a person rejected one and corrected another."""
    folder = write_figures(tmp_path_factory.mktemp("export") / "made", documents=2, figures=2)
    correct(folder, "state", "rejected", label="Figure 2")
    correct(folder, "caption", HOSTILE)
    panels = [
        {"letter": "a", "bbox": [72, 72, 117, 132], "caption": "left"},
        {"letter": "b", "bbox": [117, 72, 200, 132], "caption": "right"},
        {"letter": "c", "bbox": None, "caption": ""},
    ]
    correct(folder, "panels", panels)
    return folder


def pixels(source) -> np.ndarray:
    """The pixels of an image file, or of its bytes."""
    return np.asarray(Image.open(io.BytesIO(source) if isinstance(source, bytes) else source))


FIRST = pixels(figure_row(0, 1)["image"]["bytes"])
CAPTIONS = [HOSTILE, figure_row(1, 1)["caption"], figure_row(1, 2)["caption"]]


def exported(folder: Path, tmp_path: Path, to: str, *options: str) -> Path:
    """What the command writes."""
    out = tmp_path / to
    main(["export", str(folder), "--to", to, "--out", str(out), *options])
    return out


def test_llava(folder, tmp_path, capsys, caplog):
    out = exported(folder, tmp_path, "llava")
    assert (
        "3 rows" in capsys.readouterr().out
        and "left out: 1 conversations about figures that were left out" in caplog.text
    )
    found = json.loads((out / "llava.json").read_text())
    said = [[message["value"] for message in one["conversations"]] for one in found]
    shown = [caption.replace("<image>", "< image >") for caption in CAPTIONS]
    assert [answer for _, answer in said] == shown
    assert said[0][0] == "<image>\nWhat is shown in this image?"
    assert [one["from"] for one in found[0]["conversations"]] == ["human", "gpt"]
    assert (pixels(out / found[0]["image"]) == FIRST).all()
    assert (found[0]["document"], found[0]["license"]) == ("paper-0.pdf", "CC-BY-4.0")
    rows = load_dataset("json", data_files=str(out / "llava.json"), split="train")
    assert len(rows) == 3 and rows[1]["conversations"][1]["value"] == CAPTIONS[1]


def test_sharegpt(folder, tmp_path):
    out = exported(folder, tmp_path, "sharegpt")
    info = json.loads((out / "dataset_info.json").read_text())["cephalo"]
    found = json.loads((out / info["file_name"]).read_text())
    tags, columns = info["tags"], info["columns"]
    for one, caption in zip(found, CAPTIONS, strict=True):
        asked, answered = one[columns["messages"]]
        assert asked[tags["role_tag"]] == tags["user_tag"]
        assert answered[tags["role_tag"]] == tags["assistant_tag"]
        # A place for each image, and no other, or the reader refuses the row.
        texts = asked[tags["content_tag"]] + answered[tags["content_tag"]]
        assert texts.count("<image>") == len(one[columns["images"]]) == 1
        assert answered["content"] == caption.replace("<image>", "< image >")
        assert (out / one["images"][0]).is_file()


def test_coco(folder, tmp_path):
    coco = pytest.importorskip("pycocotools.coco").COCO
    out = exported(folder, tmp_path, "coco")
    captions, panels = coco(out / "captions.json"), coco(out / "instances.json")
    images = captions.loadImgs(captions.getImgIds())
    assert len(images) == 3
    [first] = captions.loadAnns(captions.getAnnIds(imgIds=[images[0]["id"]]))
    assert first["caption"] == HOSTILE
    assert (pixels(out / images[0]["file_name"]) == FIRST).all()
    drawn = panels.loadAnns(panels.getAnnIds(imgIds=[1], catIds=panels.getCatIds(["panel"])))
    # 90 points by 60 are as many pixels; the second panel ends with the figure.
    assert [(one["letter"], one["bbox"], one["area"]) for one in drawn] == [
        ("a", [0, 0, 45, 60], 2700),
        ("b", [45, 0, 45, 60], 2700),
    ]
    assert (
        panels.annToMask(drawn[0] | {"segmentation": [[0, 0, 45, 0, 45, 60, 0, 60]]}).sum() == 2700
    )


def test_boxes_in_pixels():
    row = {"bbox": [100, 200, 200, 250], "width": 300, "height": 150}
    assert in_pixels([110, 210, 120, 220], row) == [30, 30, 30, 30]
    assert in_pixels([0, 0, 1000, 1000], row) == [0, 0, 300, 150]
    assert in_pixels([0, 0, 50, 50], row) is None and in_pixels(None, row) is None
    assert in_pixels([110, 210, 120, 220], row | {"bbox": None}) is None
    assert in_pixels([110, 210, 120, 220], row | {"bbox": [5, 5, 5, 5]}) is None


def test_webdataset(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "SHARD_BYTES", 1)
    out = exported(folder, tmp_path, "webdataset")
    names = sorted(path.name for path in out.iterdir())
    assert names == [f"cephalo-1-{number:06d}.tar" for number in range(3)]
    files = {"train": [str(out / name) for name in names]}
    rows = load_dataset("webdataset", data_files=files, split="train")
    assert [row["txt"] for row in rows] == CAPTIONS
    assert (np.asarray(rows[0]["png"]) == FIRST).all()
    library = pytest.importorskip("webdataset")
    samples = list(library.WebDataset(files["train"], shardshuffle=False).decode("rgb8"))
    assert [sample["txt"] for sample in samples] == CAPTIONS
    assert (samples[0]["png"] == FIRST).all()
    assert samples[1]["json"]["messages"][1]["content"] == CAPTIONS[1]


def test_webdataset_of_images_of_many_kinds(tmp_path):
    """JPEG and PNG, one and two images, facts that later rows alone have: `datasets` opens them."""
    rows = [["image", "question", "answer", "license"]]
    for number in range(8):
        name = f"{number}.{'jpg' if number % 2 else 'png'}"
        Image.fromarray(np.full((9, 12, 3), 20 * number, np.uint8)).save(tmp_path / name)
        rows.append([name, "What?", f"{number}.", "CC0-1.0" if number == 7 else ""])
    rows[4][0] = "3.jpg;4.png"
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    main(["import", str(tmp_path / "t.csv"), "--out", str(tmp_path / "own")])
    out = exported(tmp_path / "own", tmp_path, "webdataset")
    assert [path.name for path in sorted(out.iterdir())] == [
        "cephalo-1-000000.tar",
        "cephalo-2-000000.tar",
    ]
    found = load_dataset("webdataset", data_files=str(out / "cephalo-1-*.tar"), split="train")
    values = {row["json"]["messages"][1]["content"]: row for row in found}
    assert sorted(values) == ["0.", "1.", "2.", "4.", "5.", "6.", "7."]
    for answer, row in values.items():
        assert np.asarray(row["png"]).max() == pytest.approx(20 * int(answer[0]), abs=2)  # of JPEG
    assert [values[one]["json"]["license"] for one in ("0.", "7.")] == ["", "CC0-1.0"]
    [two] = load_dataset("webdataset", data_files=str(out / "cephalo-2-*.tar"), split="train")
    assert [np.asarray(two[key]).max() for key in ("png", "1.png")] == [
        pytest.approx(60, abs=2),
        80,
    ]


def test_csv_comes_back_by_import(folder, tmp_path):
    out = exported(folder, tmp_path, "csv")
    with (out / "figures.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["caption"] == f"'{HOSTILE}"  # which no spreadsheet runs
    assert [panel["letter"] for panel in json.loads(rows[0]["panels"])] == ["a", "b", "c"]
    main(["import", str(out / "questions.csv"), "--out", str(tmp_path / "back")])
    tables = [pq.read_table(shard) for shard in sorted(tmp_path.glob("back/figures/*.parquet"))]
    found = [row for table in tables for row in table.to_pylist()]
    assert [row["document"] for row in found] == ["paper-0.pdf", "paper-1.pdf", "paper-1.pdf"]
    assert [row["image_sha256"] for row in found] != [None] * 3
    answers = [pq.read_table(one)["answer"].to_pylist() for one in tmp_path.glob("back/conv*/*")]
    assert answers == [[f"'{HOSTILE}", *CAPTIONS[1:]]]
    assert [cell(value) for value in ("+1", "a", 5, None)] == ["'+1", "a", 5, None]


@pytest.mark.parametrize("to", FORMATS)
def test_where_and_what_is_refused(folder, tmp_path, to):
    out = exported(folder, tmp_path, to, "--where", "document = 'paper-1.pdf' and page = 2")
    images = sorted((out / "images").glob("*")) if to != "webdataset" else ["in the tar"]
    assert len(images) == 1
    for options, words in [
        (["--out", str(out)], "exists already; give a new folder"),
        (["--out", str(folder / "x")], "is inside the input"),
        (["--out", str(tmp_path / "x"), "--where", "page = 77"], "nothing to export; left out: "),
        (["--out", str(tmp_path / "x"), "--where", "pages = 7"], "pages"),
    ]:
        with pytest.raises(SystemExit, match=words):
            main(["export", str(folder), "--to", to, *options])
    assert not (tmp_path / "x").exists()


def test_conversations_of_refinement_are_exported_but_for_stale_ones(tmp_path):
    folder = write_figures(tmp_path / "made", documents=1, figures=2)
    main(["refine", str(folder), "--teacher", "caption", "--out", str(tmp_path / "refined")])
    correct(folder, "caption", "Corrected since.")
    out = tmp_path / "out"
    main(["export", str(folder), str(tmp_path / "refined"), "--to", "llava", "--out", str(out)])
    [one] = json.loads((out / "llava.json").read_text())
    assert one["conversations"][1]["value"] == figure_row(0, 2)["caption"]
