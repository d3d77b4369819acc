"""What people decided about figures is what refine and publish read, whatever extraction does."""

import io
import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from correction_samples import correct, row_of
from figure_samples import figure_row, write_figures
from PIL import Image, PngImagePlugin

from cephalo.cli.errors import CephaloError
from cephalo.cli.main import main
from cephalo.dataset_scripts.common.corrected import (
    FIGURE_TEXT,
    corrected_rows,
    left_out,
    tell_lost,
    verdicts_of,
)
from cephalo.dataset_scripts.common.corrections import (
    NAME,
    CorrectionsFile,
    key_of_row,
    read_corrections,
)
from cephalo.dataset_scripts.common.pixels import pixel_hash
from cephalo.dataset_scripts.common.schema import FIGURES
from cephalo.dataset_scripts.pdf.crops import prepare_corrections
from cephalo.dataset_scripts.publication.dataset_folder import build_dataset
from cephalo.dataset_scripts.workbench.catalogue import Catalogue, shown

PAPERS = Path(__file__).parents[3] / "examples" / "papers"
PAPER = "grain-growth-in-nickel-foil.pdf"
TRUE = "Fracture of batch 0."


def rows_of(folder: Path) -> list[dict]:
    """The figures that steps read."""
    shards = sorted((folder / "figures").glob("*.parquet"))
    found = [row for shard in shards for row in corrected_rows(shard, FIGURES)]
    return [row for row in found if not left_out(row)]


def answers(folder: Path) -> list[str]:
    shards = sorted((folder / "conversations").glob("*.parquet"))
    return [row["answer"] for shard in shards for row in pq.read_table(shard).to_pylist()]


def test_refine_takes_corrected_captions_and_leaves_out_what_is_rejected(tmp_path, caplog):
    folder = write_figures(tmp_path / "in", documents=2, figures=2)
    command = ["refine", str(folder), "--teacher", "caption", "--out", str(tmp_path / "out")]
    main(command)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("out/conv*/*")}
    assert len(answers(tmp_path / "out")) == 4
    correct(folder, "caption", TRUE)
    correct(folder, "state", "rejected", label="Figure 2")
    main(command)
    assert answers(tmp_path / "out") == [
        TRUE,
        "Stress and strain of specimen 1 of batch 1 in tension.",
        "Stress and strain of specimen 2 of batch 1 in tension.",
    ]
    after = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("out/conv*/*")}
    assert after["paper-0.parquet"] != before["paper-0.parquet"]
    assert after["paper-1.parquet"] == before["paper-1.parquet"]


def test_publish_takes_them_too_and_the_card_says_how_many_were_seen(tmp_path):
    folder = write_figures(tmp_path / "in", documents=2, figures=3)
    correct(folder, "caption", TRUE)
    correct(folder, "kind", "micrograph")
    correct(folder, "state", "rejected", label="Figure 2")
    correct(folder, "state", "accepted", label="Figure 3")
    made = build_dataset([folder], "lab/nacre")
    rows = [
        row
        for path in sorted((made / "figures").glob("*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]
    assert len(rows) == 5 and set(rows[0]) == set(FIGURES)
    [row] = [row for row in rows if row["caption"] == TRUE]
    assert (row["label"], row["kind"]) == ("Figure 1", "micrograph")
    card = (made / "README.md").read_text()
    assert "Looked at by a person: 2 of 5 figures." in card
    assert "a person rejected it" in card


def test_publish_tells_why_nothing_is_left(tmp_path):
    folder = write_figures(tmp_path / "made", documents=1, figures=2)
    for label in ("Figure 1", "Figure 2"):
        correct(folder, "state", "rejected", label=label)
    with pytest.raises(
        CephaloError, match=r"no rows to publish; left out 2 of figures \("
    ) as error:
        build_dataset([folder], "lab/nickel")
    assert "person" in str(error.value) and "extract" not in str(error.value)


def test_conversations_about_what_was_corrected_since_are_left_out_and_counted(tmp_path):
    folder = write_figures(tmp_path / "in", documents=2, figures=3)
    main(["refine", str(folder), "--teacher", "caption", "--out", str(folder)])
    correct(folder, "caption", TRUE)
    correct(folder, "state", "rejected", label="Figure 2")
    made = build_dataset([folder], "lab/nacre")
    assert sorted(answers_of_published(made)) == sorted(
        f"Stress and strain of specimen {number} of batch {batch} in tension."
        for batch, number in ((0, 3), (1, 1), (1, 2), (1, 3))
    )
    card = (made / "README.md").read_text()
    assert "quotes a caption that a person corrected later" in card
    main(["refine", str(folder), "--teacher", "caption", "--out", str(folder)])
    assert TRUE in answers_of_published(build_dataset([folder], "lab/nacre"))


def answers_of_published(made: Path) -> list[str]:
    shards = (made / "conversations").glob("*.parquet")
    return [row["answer"] for shard in shards for row in pq.read_table(shard).to_pylist()]


def test_they_survive_a_new_extraction(tmp_path):
    """Other pixels, other boxes by a few points, another order, a label read better."""
    folder = write_figures(tmp_path / "in", documents=1, figures=3)
    for number in (1, 2, 3):
        correct(folder, "caption", f"True {number}", label=f"Figure {number}")
    again = []
    for number in (3, 2, 1):
        row = figure_row(0, number, image_sha256=f"{number}" * 64, page=number)
        row |= {"bbox": [70.5, 73, 165, 131], "caption": "Read otherwise.", "dpi": 300}
        row |= {"label": "Fig. 2" if number == 2 else row["label"]}
        again.append(row)
    [shard] = (folder / "figures").glob("*")
    shard.unlink()
    table = pa.Table.from_pylist(again, schema=FIGURES.arrow_schema)
    pq.write_table(table, folder / "figures" / "another.parquet")
    assert [(row["page"], row["caption"]) for row in rows_of(folder)] == [
        *((3, "True 3"), (2, "True 2"), (1, "True 1")),
    ]


def test_another_figure_on_the_page_is_not_taken_for_it(tmp_path):
    folder = write_figures(tmp_path / "in", documents=1, figures=1)
    correct(folder, "caption", TRUE)
    other = figure_row(0, 7, page=1, bbox=[72, 90, 162, 160], label="Figure 7")
    [shard] = (folder / "figures").glob("*")
    pq.write_table(pa.Table.from_pylist([other], schema=FIGURES.arrow_schema), shard)
    assert rows_of(folder)[0]["caption"] == other["caption"]


def test_what_is_no_longer_there_is_named_once(tmp_path, caplog):
    folder = write_figures(tmp_path / "in", documents=2, figures=1)
    correct(folder, "caption", "One")
    correct(folder, "state", "accepted")
    correct(folder, "label", "Figure 9", document="paper-1.pdf")
    (folder / "figures" / "paper-0.parquet").unlink()
    with caplog.at_level(logging.WARNING, "cephalo"):
        tell_lost(folder)
    assert caplog.messages == [
        f"{folder / NAME} is about 1 figure that is no longer there: "
        "Figure 1 of paper-0.pdf, page 2"
    ]


def test_files_of_two_people_merge_by_time(tmp_path):
    folder = write_figures(tmp_path / "in", documents=1, figures=2)
    correct(folder, "caption", "Ann, late", minutes=9)
    correct(folder, "state", "accepted", minutes=1, label="Figure 2")
    mine = (folder / NAME).read_text()
    (folder / NAME).unlink()
    correct(folder, "caption", "Ben, early", minutes=5, by="ben")
    correct(folder, "state", "rejected", minutes=2, label="Figure 2", by="ben")
    theirs = (folder / NAME).read_text()
    for text in (mine + theirs, theirs + mine):
        (folder / NAME).write_text(text)
        assert [row["caption"] for row in rows_of(folder)] == ["Ann, late"]


def test_a_cut_last_line_is_left_out_and_mended_and_another_is_refused(tmp_path, caplog):
    folder = write_figures(tmp_path / "in", documents=1, figures=1)
    line = correct(folder, "caption", TRUE)
    path = folder / NAME
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    assert rows_of(folder)[0]["caption"] == TRUE
    assert "the last line is incomplete" in caplog.text
    file = CorrectionsFile(folder)
    assert path.read_bytes() == whole
    file.add("ben", line.key, "state", None, "accepted")
    file.close()
    assert [one.what for one in read_corrections(path)] == ["caption", "state"]
    path.write_bytes(whole[:-1])  # edited by hand, without the end of its line
    CorrectionsFile(folder).close()
    assert path.read_bytes() == whole
    path.write_bytes(whole[:40] + b"\n" + whole)
    with pytest.raises(CephaloError, match=r"line 1 is not a decision: .*; correct or remove it$"):
        rows_of(folder)


def test_a_line_with_a_wrong_value_says_which_in_plain_words(tmp_path):
    folder = write_figures(tmp_path / "made", documents=1, figures=1)
    correct(folder, "state", "rejected")
    path = folder / "corrections.jsonl"
    path.write_text(path.read_text().replace('"rejected"', '"acepted"'))
    words = (
        "line 1 is not a decision: the line: state is 'acepted'; give accepted, rejected or null"
    )
    with pytest.raises(CephaloError, match=words):
        read_corrections(path)


@pytest.mark.parametrize(
    ("what", "after", "words"),
    [
        ("state", "maybe", "give accepted, rejected or null"),
        ("bbox", [1, 2, 3], "bbox is not four numbers"),
        ("bbox", [1, 2, float("nan"), 4], "bbox is not four numbers"),
        ("bbox", [1, 2, 10**400, 4], "bbox is not four numbers"),
        ("bbox", [5, 2, 3, 4], "bbox has no area"),
        ("caption", 7, "caption is not a string"),
        ("caption", "x" * 20_001, "of at most 20,000 characters"),
        ("kind", " ", "kind is empty"),
    ],
)
def test_values_that_a_field_cannot_have(tmp_path, what, after, words):
    folder = write_figures(tmp_path / "in", documents=1, figures=1)
    line = json.loads(correct(folder, "state", "accepted").model_dump_json())
    (folder / NAME).write_text(json.dumps(line | {"what": what, "after": after}) + "\n")
    with pytest.raises(CephaloError, match=words):
        rows_of(folder)


@pytest.fixture(scope="module")
def extracted(tmp_path_factory) -> Path:
    """A paper and, in `out`, its figures."""
    folder = tmp_path_factory.mktemp("extracted")
    shutil.copy(PAPERS / PAPER, folder)
    main(["extract", str(folder / PAPER), "--out", str(folder / "out"), "--workers", "1"])
    return folder


def test_a_corrected_box_is_cropped_again(extracted, tmp_path):
    folder = shutil.copytree(extracted / "out", tmp_path / "out")
    row = row_of(folder, PAPER, "Figure 1")
    left, top, right, bottom = row["bbox"]
    box = [round(side, 2) for side in (left + 10, top + 10, right, bottom)]
    correct(folder, "bbox", box, PAPER)
    prepare_corrections(folder)
    found = next(one for one in rows_of(folder) if one["label"] == "Figure 1")
    with Image.open(io.BytesIO(found["image"]["bytes"])) as image:
        pixels = np.asarray(image)
    before = np.asarray(Image.open(io.BytesIO(row["image"]["bytes"])))
    assert found["bbox"] == box and found["dpi"] == pytest.approx(row["dpi"], abs=2)
    assert pixels.shape[:2] == (found["height"], found["width"])
    shift = round(10 / 72 * row["dpi"])
    assert abs(before.shape[0] - pixels.shape[0] - shift) <= 2
    assert abs(before.shape[1] - pixels.shape[1] - shift) <= 2
    assert found["image_sha256"] == pixel_hash(pixels.reshape(*pixels.shape[:2], -1))
    assert found["image_sha256"] != row["image_sha256"] and found["phash"]
    assert set(found["figure_text"]) <= set(row["figure_text"])
    made = build_dataset([folder], "lab/nickel")
    published = pa.concat_tables(map(pq.read_table, (made / "figures").glob("*"))).to_pylist()
    assert found["image_sha256"] in {one["image_sha256"] for one in published}
    assert row["image_sha256"] not in {one["image_sha256"] for one in published}


def png(image: Image.Image, lines: str = "[]") -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text(FIGURE_TEXT, lines)
    file = io.BytesIO()
    image.save(file, "PNG", pnginfo=info)
    return file.getvalue()


SMALL = Image.new("RGB", (50, 40))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"junk", "is not a PNG image"),
        (png(Image.effect_noise((50, 40), 64))[:1000], "is damaged"),
        (png(SMALL.convert("P")), "mode P"),
        (png(Image.new("1", (20_000, 20_000))), "exceeds limit"),
        (png(SMALL, '{"a": 1}'), "not a list of strings"),
        (png(SMALL, "[1]"), "not a list of strings"),
        (png(SMALL, "[" * 100_000), "recursion"),
    ],
    ids=["junk", "cut", "palette", "bomb", "object", "numbers", "deep"],
)
def test_a_damaged_crop_is_told(tmp_path, content, words):
    folder = write_figures(tmp_path / "made", documents=1, figures=2)
    correct(folder, "bbox", [80, 80, 120, 120])
    [shard] = (folder / "figures").glob("*")
    crop = verdicts_of(shard)[0].crop
    assert crop
    crop.parent.mkdir()
    crop.write_bytes(content)
    with pytest.raises(CephaloError, match=words) as error:
        list(corrected_rows(shard, ["image", "width"]))
    assert "\n" not in str(error.value) and "delete it" in str(error.value)
    bench = Catalogue(folder, "ann")  # which shows the others
    bench.scan()
    assert [one["bbox"][0] for one in shown(bench.all())] == [80.0, 72.0]
    bench.close()


def test_a_box_whose_paper_is_gone_is_told_and_left_out(extracted, tmp_path, caplog):
    folder = shutil.copytree(extracted / "out", tmp_path / "out")
    (folder / "inputs.json").write_text("{}")
    correct(folder, "bbox", [72, 72, 200, 200], PAPER)
    with caplog.at_level(logging.WARNING, "cephalo"):
        prepare_corrections(folder)
    [line] = caplog.messages
    assert line.startswith(f"Figure 1 of {PAPER}: its corrected box cannot be cropped")
    assert line.endswith("; the figure is left out")
    assert "Figure 1" not in [row["label"] for row in rows_of(folder)]
    made = build_dataset([folder], "lab/nickel")
    assert "its page for another crop was missing" in (made / "README.md").read_text()


def test_a_box_beside_the_page_is_told(extracted, caplog, tmp_path):
    folder = shutil.copytree(extracted / "out", tmp_path / "out")
    correct(folder, "bbox", [5000, 5000, 6000, 6000], PAPER)
    with caplog.at_level(logging.WARNING, "cephalo"):
        prepare_corrections(folder)
    assert "the box is not on page" in caplog.text


def test_keys_do_not_depend_on_rounding():
    row = figure_row(0, 1)
    as_stored = pa.Table.from_pylist([row], schema=FIGURES.arrow_schema).to_pylist()[0]
    assert key_of_row(as_stored) == key_of_row(row)
