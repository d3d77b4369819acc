"""`cephalo import`: what tables and folders hold is in figures and conversations, or is named."""

import csv
import io
import json
import signal
import subprocess
import sys
import time
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pyarrow.parquet as pq
import pytest
from correction_samples import correct
from import_samples import failures, read, turns, write_image
from PIL import Image

from cephalo.cli.errors import CephaloError
from cephalo.cli.main import main
from cephalo.dataset_scripts.common.conversations import QUERY
from cephalo.dataset_scripts.common.schema import CONVERSATIONS, FIGURES
from cephalo.dataset_scripts.importing.columns import find_columns, parse_given
from cephalo.dataset_scripts.importing.run import CHUNK, import_source
from cephalo.dataset_scripts.importing.xlsx import read_xlsx
from cephalo.dataset_scripts.publication.dataset_folder import build_dataset


def write_workbook(path: Path, rows: list[list[Any]]) -> None:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append([cell if cell != "" else None for cell in row])
    book.save(path)


QUESTIONS = [
    ["File name", "Question", "Answer", "Paper", "License", "Notes"],
    ["a.png", "Which phase is bright?", "Ferrite; <b>not</b> cementite & co.", "p1", "CC0-1.0", ""],
    ["a.png", "Which scale?", "10 µm", "p1", "CC0-1.0", "twice"],
    ["", "", "", "", "", ""],
    ["b.png", "What is seen?", "Line one\nand two", "", "", ""],
    ["none.png", "What?", "Nothing.", "", "", ""],
    ["b.png", "What?", "", "", "", ""],
    ["", "What?", "That.", "", "", ""],
    ["broken.png", "What?", "That.", "", "", ""],
]


@pytest.mark.parametrize("ending", ["csv", "tsv", "xlsx", "semicolons", "json", "jsonl"])
def test_a_table_of_questions(tmp_path, ending, capsys, caplog):
    pixels = write_image(tmp_path / "pictures" / "a.png", 1)
    write_image(tmp_path / "pictures" / "b.png", 2)
    (tmp_path / "pictures" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    table = tmp_path / f"table.{'csv' if ending == 'semicolons' else ending}"
    if ending == "xlsx":
        write_workbook(table, QUESTIONS)
    elif ending in ("json", "jsonl"):
        rows = [dict(zip(QUESTIONS[0], row, strict=True)) for row in QUESTIONS[1:]]
        one = ending == "json"
        table.write_text(json.dumps(rows) if one else "\n".join(map(json.dumps, rows)))
    else:
        text = io.StringIO()
        mark = {"csv": ",", "tsv": "\t", "semicolons": ";"}[ending]
        csv.writer(text, delimiter=mark).writerows(QUESTIONS)
        encoding = "utf-16" if ending == "tsv" else "utf-8-sig"  # as Excel writes them
        table.write_bytes(text.getvalue().encode(encoding))
    out = tmp_path / "out"
    with caplog.at_level("INFO", "cephalo"):
        main(["import", str(table), "--images", str(tmp_path / "pictures"), "--out", str(out)])
    assert "image = 'File name', question = 'Question'" in caplog.text
    assert "not read: 'Notes'" in caplog.text
    # The empty row of a spreadsheet is none; an object is one.
    count = 5 if ending in ("json", "jsonl") else 4
    told = f"2 figures, 3 conversations, {count} rows left out"
    assert told in capsys.readouterr().out

    first, second = read(out, "figures")
    assert (first["document"], second["document"]) == ("p1", "b.png")
    assert first["license"] == "CC0-1.0" and second["license"] is None
    assert (first["width"], first["height"], first["bbox"]) == (40, 30, [0, 0, 40, 30])
    assert (np.asarray(Image.open(io.BytesIO(first["image"]["bytes"]))) == pixels).all()
    talks = read(out, "conversations")
    assert [turns(row) for row in talks] == [
        ["Which phase is bright?", "Ferrite; <b>not</b> cementite & co."],
        ["Which scale?", "10 µm"],
        ["What is seen?", "Line one\nand two"],
    ]
    assert {row["teacher"] for row in talks} == {"import"}
    assert talks[0]["figures"][0]["image_sha256"] == first["image_sha256"]
    assert talks[0]["document_sha256"] == first["document_sha256"]
    assert set(talks[0]) == set(CONVERSATIONS) and set(first) == set(FIGURES)
    reasons = [
        "its image 'none.png' is not in",
        "it has a question but no answer",
        "it names no image",
        "its image: broken.png is not a valid image",
    ]
    name = table.name
    if ending in ("json", "jsonl"):
        places = [f"{name}, {'entry' if ending == 'json' else 'line'} {n}" for n in (5, 6, 7, 8)]
    else:
        places = [f"{name}, row {n}" for n in (6, 7, 8, 9)]
    found = failures(out)
    found.pop(f"{name}, {'entry' if ending == 'json' else 'line'} 3", None)
    for place, reason in zip(places, reasons, strict=True):
        assert reason in found.pop(place), place
    assert not found


def test_conversations_of_llava_and_sharegpt(tmp_path):
    for name in "abc":
        write_image(tmp_path / f"{name}.jpg", ord(name))
    llava = [
        {"id": "1", "image": "a.jpg", "conversations": [
            {"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "Nacre."},
            {"from": "human", "value": "And the scale?"}, {"from": "gpt", "value": "1 µm"}]},
        {"id": "2", "image": "b.jpg", "conversations": [
            {"from": "human", "value": "Why?"}]},
        {"id": "3", "conversations": []},
        "no object",
    ]  # fmt: skip
    (tmp_path / "llava.json").write_text(json.dumps(llava))
    import_source(tmp_path / "llava.json", tmp_path / "one", None, {})
    [talk] = read(tmp_path / "one", "conversations")
    assert turns(talk) == ["What is it?", "Nacre.", "And the scale?", "1 µm"]
    assert [message["role"] for message in talk["completion"]] == ["assistant", "user", "assistant"]
    assert failures(tmp_path / "one") == {
        "llava.json, entry 2": "its conversation ends with a question",
        "llava.json, entry 3": "it names no image",
        "llava.json, entry 4": "it is not an object with columns",
    }
    share = [
        {"messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "<image><image>Which is harder?"},
            {"role": "assistant", "content": [{"type": "text", "text": "The second."}]}],
         "images": ["b.jpg", "c.jpg"]},
        {"messages": [{"role": "assistant", "content": "Hello."}], "images": ["a.jpg"]},
        {"messages": [{"role": "user", "content": "<image>"}], "images": ["a.jpg"]},
    ]  # fmt: skip
    (tmp_path / "share.json").write_text(json.dumps(share))
    import_source(tmp_path / "share.json", tmp_path / "two", None, {})
    [talk] = read(tmp_path / "two", "conversations")
    assert turns(talk) == ["Be brief.\n\nWhich is harder?", "The second."]
    assert len(talk["images"]) == 2 and talk["document"] == "b.jpg"
    # Both are of one document, so that publication does not part them.
    assert [(row["document"], row["page"]) for row in read(tmp_path / "two", "figures")] == [
        ("b.jpg", 0),
        ("b.jpg", 1),
    ]
    assert list(failures(tmp_path / "two").values()) == [
        "its conversation has a message of 'assistant' out of turn",
        "its conversation has an empty question",
    ]


def test_answers_that_are_alike_are_all_published_also_where_captions_are_corrected(tmp_path):
    for number in range(6):
        write_image(tmp_path / "in" / f"{number}.png", number, (160, 120))
    rows = [f"{n}.png,Specimen {n} of nacre,Is there a crack?,Yes.,gpt-x" for n in range(6)]
    header = "image,caption,question,answer,teacher"
    (tmp_path / "in" / "t.csv").write_text("\n".join([header, *rows]))
    out = tmp_path / "out"
    import_source(tmp_path / "in", out, None, {})
    assert {row["teacher"] for row in read(out, "conversations")} == {"gpt-x"}
    correct(out, "caption", "Corrected.", document="3.png", label="")
    folder = build_dataset([out], "my-lab/made")
    talks = [pq.read_table(path).to_pylist() for path in folder.glob("conversations/*.parquet")]
    assert sorted(row["document"] for rows in talks for row in rows) == [
        f"{number}.png" for number in range(6)
    ]


def test_several_images_in_a_cell(tmp_path):
    for name in ("a.png", "b.png", "c;d.png"):
        write_image(tmp_path / name, len(name) + ord(name[0]))
    (tmp_path / "t.csv").write_text(
        "image,question,answer\na.png; b.png,Which?,Both.\nc;d.png,What?,One.\na.png;x.png,Q?,A.\n"
    )
    import_source(tmp_path / "t.csv", tmp_path / "out", None, {})
    assert [len(row["images"]) for row in read(tmp_path / "out", "conversations")] == [2, 1]
    assert "its image 'x.png' is not in" in failures(tmp_path / "out")["t.csv, row 4"]


def test_images_with_captions_alone_are_published_and_exported(tmp_path):
    """Where no shard has conversations, the captions are the answers."""
    write_image(tmp_path / "own" / "1.png", 1)
    (tmp_path / "own" / "1.json").write_text(
        json.dumps([{"image": "1.png", "question": "What is it?", "answer": "Bone."}])
    )
    import_source(tmp_path / "own", tmp_path / "out", None, {})
    assert len(read(tmp_path / "out", "conversations")) == 1
    (tmp_path / "own" / "1.json").unlink()
    (tmp_path / "own" / "1.txt").write_text("Nacre, broken in tension.")
    for _ in range(2):  # the second time from what is there
        import_source(tmp_path / "own", tmp_path / "out", None, {})
        assert not list((tmp_path / "out").glob("conversations/*"))
    folder = build_dataset([tmp_path / "out"], "my-lab/made")
    [shard] = folder.glob("conversations/*.parquet")
    assert pq.read_table(shard)["answer"].to_pylist() == ["Nacre, broken in tension."]
    main(["export", str(tmp_path / "out"), "--to", "llava", "--out", str(tmp_path / "llava")])
    [talk] = json.loads((tmp_path / "llava" / "llava.json").read_text())
    assert talk["conversations"][1]["value"] == "Nacre, broken in tension."


def test_captions_of_coco_and_of_folders(tmp_path):
    coco = tmp_path / "coco"
    for number in (1, 2, 3):
        write_image(coco / f"{number}.png", number)
    found = {
        "images": [{"id": n, "file_name": f"{n}.png"} for n in (1, 2, 3)],
        "annotations": [
            {"id": 1, "image_id": 1, "caption": "Nacre."},
            {"id": 2, "image_id": 1, "caption": "Layers of nacre."},
            {"id": 3, "image_id": 2, "caption": "Bone."},
            {"id": 4, "image_id": 9, "caption": "Lost."},
        ],
    }
    (coco / "captions.json").write_text(json.dumps(found))
    import_source(coco, tmp_path / "one", None, {})
    captions = [row["caption"] for row in read(tmp_path / "one", "figures")]
    assert captions == ["Nacre.", "Bone.", ""]
    assert [turns(row) for row in read(tmp_path / "one", "conversations")] == [
        [QUERY, "Nacre."],
        [QUERY, "Layers of nacre."],
        [QUERY, "Bone."],
    ]
    assert failures(tmp_path / "one") == {
        "captions.json, annotation 4": "its image_id does not match an image"
    }

    hub = tmp_path / "hub"  # as `datasets` has imagefolder
    write_image(hub / "train" / "x.png", 7)
    (hub / "metadata.jsonl").write_text('{"file_name": "train/x.png", "text": "A crack."}\n')
    import_source(hub, tmp_path / "two", None, {})
    [row] = read(tmp_path / "two", "figures")
    assert (row["caption"], row["document"], row["kind"]) == ("A crack.", "train/x.png", "figure")
    assert not read(tmp_path / "two", "conversations")  # the captions make them

    plain = tmp_path / "plain"
    write_image(plain / "SEM" / "one.tif", 8)
    write_image(plain / "two.png", 9)
    (plain / "SEM" / "one.txt").write_text(" Fracture surface. \n")
    import_source(plain, tmp_path / "three", None, {})
    rows = read(tmp_path / "three", "figures")
    assert [(row["document"], row["kind"], row["caption"]) for row in rows] == [
        ("SEM/one.tif", "SEM", "Fracture surface."),
        ("two.png", "figure", ""),
    ]
    assert rows[0]["image"]["bytes"].startswith(b"\x89PNG")  # which any decoder reads alike


def test_columns_are_guessed_or_given():
    names = ["Img", "Prompt (EN)", "output", "x"]
    assert find_columns(names, {}, "t") == {"image": "Img", "answer": "output"}
    given = parse_given(["question=Prompt (EN)"])
    found = find_columns(names, given, "t")
    assert found == {"question": "Prompt (EN)", "image": "Img", "answer": "output"}
    with pytest.raises(CephaloError, match="no such column; it has Img"):
        find_columns(names, {"image": "none"}, "t")
    with pytest.raises(CephaloError, match="'caption' or 'text' could be the caption"):
        find_columns(["image", "text", "caption"], {}, "t")
    assert find_columns(["text", "caption"], {"caption": "text"}, "t") == {"caption": "text"}
    for bad in ("question", "question=", "what=x"):
        with pytest.raises(CephaloError, match="give ROLE=NAME"):
            parse_given([bad])


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.csv", b"", "has no header"),
        ("t.csv", b"image,caption\n", "has no rows"),
        ("t.csv", b"image,image\na,b\n", "two columns 'image'"),
        ("t.csv", b"what,caption\na,b\n", "no column of image files.*it has what, caption"),
        ("t.csv", "image,caption\na,Größe".encode("latin-1"), "line 2 is not in UTF-8"),
        ("t.csv", b'image,caption\na,"b', "not a complete table"),
        ("t.csv", b"image,caption\na.png,b\n", "none of 1 rows could be imported"),
        ("t.json", b"{}", "contains no list of rows"),
        ("t.json", b"[" * 100_000, "is not JSON"),
        ("t.xlsx", b"PK\x03\x04", "is not a complete XLSX workbook"),
        ("t.doc", b"", "is not a table; give a file of type .csv"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CephaloError, match=words):
        import_source(tmp_path / name, tmp_path / "out", None, {})
    assert not list(tmp_path.glob("out/figures/*"))


def test_hostile_rows_and_names_stay_texts(tmp_path):
    hostile = "</script><script>alert(1)</script>"
    write_image(tmp_path / "in" / "a.png", 1)
    rows = [
        {"image": "../../../../etc/passwd", "caption": "x"},
        {"image": "http://example.org/a.png", "caption": "x"},
        {"image": "\0", "caption": "x"},
        {"image": "a.png", "caption": "x" * 20_001},
        {"image": "a.png", "caption": "\ud800"},
        {"image": ["a.png", 7], "caption": "x"},
        {"image": "a.png", "caption": hostile, "document": hostile},
    ]
    (tmp_path / "in" / "data.json").write_text(json.dumps(rows))
    import_source(tmp_path / "in", tmp_path / "out", None, {})
    [row] = read(tmp_path / "out", "figures")
    assert (row["caption"], row["document"]) == (hostile, hostile)
    assert len(failures(tmp_path / "out")) == 6
    assert "alert(1)</script>" not in (tmp_path / "out" / "index.html").read_text()


def test_a_workbook_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    write_workbook(tmp_path / "t.xlsx", [["image", "caption"], ["a.png", "x" * 10_000]])
    monkeypatch.setattr("cephalo.dataset_scripts.importing.xlsx.MAX_PART", 5_000)
    with pytest.raises(CephaloError, match="unpacks to more than"):
        import_source(tmp_path / "t.xlsx", tmp_path / "out", None, {})


def test_cells_of_a_workbook_are_texts(tmp_path):
    day = datetime(2024, 5, 17)
    rows = [
        ["image", "caption", "day", "time", "count", "share", "seen"],
        ["a.png", None, day, day.replace(hour=7), 12, 0.25, True],
        ["b.png", " x ", None, None, 3.0, 1e-7, False],
    ]
    write_workbook(tmp_path / "t.xlsx", rows)
    assert read_xlsx(tmp_path / "t.xlsx") == [
        rows[0],
        ["a.png", "", "2024-05-17", "2024-05-17T07:00:00", "12", "0.25", "true"],
        ["b.png", " x ", "", "", "3", "1e-07", "false"],
    ]


def test_entities_of_a_workbook_are_not_expanded(tmp_path):
    """As in the "billion laughs"."""
    write_workbook(tmp_path / "t.xlsx", [["image", "caption"], ["a.png", "x"]])
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    with (
        zipfile.ZipFile(tmp_path / "t.xlsx") as old,
        zipfile.ZipFile(tmp_path / "bomb.xlsx", "w") as new,
    ):
        for name in old.namelist():
            text = old.read(name).decode()
            if name == "xl/worksheets/sheet1.xml":
                head, _, rest = text.rpartition("?>")
                text = f"{head}{'?>' if head else ''}{bomb}{rest.replace('>x<', '>&b;<')}"
                assert "&b;" in text
            new.writestr(name, text)
    with pytest.raises(CephaloError, match="is not a complete XLSX workbook"):
        read_xlsx(tmp_path / "bomb.xlsx")


def test_a_killed_import_goes_on_and_another_one_replaces_it(tmp_path):
    count = 3 * CHUNK
    for number in range(count):
        write_image(tmp_path / "in" / f"{number:03d}.png", number)
    lines = [f"{number:03d}.png,Specimen {number}." for number in range(count)]
    table = tmp_path / "in" / "data.csv"
    table.write_text("\n".join(["image,caption", *lines, "no.png,x"]))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "cephalo.cli.main", "import", str(table), "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list(out.glob("figures/import-*.parquet")) and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    first = out / "figures" / "import-00000.parquet"
    made = first.stat().st_mtime_ns
    import_source(table, out, None, {})
    assert first.stat().st_mtime_ns == made  # not made again
    captions = [row["caption"] for row in read(out, "figures")]
    assert captions == [f"Specimen {number}." for number in range(count)]
    assert list(failures(out)) == [f"data.csv, row {count + 2}"]

    table.write_text("\n".join(["image,caption", *lines[:5]]))
    write_image(tmp_path / "in" / "000.png", 999)
    import_source(table, out, None, {})
    assert len(read(out, "figures")) == 5 and failures(out) == {}
    paper = first.replace(out / "figures" / "paper-1.parquet")
    pq.write_table(pq.read_table(paper).replace_schema_metadata({}), paper)
    with pytest.raises(CephaloError, match="contains figures of another command"):
        import_source(table, out, None, {})


def test_formulas_have_the_values_that_a_spreadsheet_saved(tmp_path):
    """Without any, as pandas and openpyxl write them, the workbook is refused; an empty text is a
    value."""
    cells = [["image", "caption"], ["a.png", '=IF(1,"","x")'], ["b.png", "=1+1"]]
    write_workbook(tmp_path / "t.xlsx", cells)
    with pytest.raises(CephaloError, match=r"t\.xlsx, cell B2 is a formula without a saved value"):
        read_xlsx(tmp_path / "t.xlsx")
    with (
        zipfile.ZipFile(tmp_path / "t.xlsx") as old,
        zipfile.ZipFile(tmp_path / "saved.xlsx", "w") as new,
    ):
        for name in old.namelist():
            text = old.read(name).decode()
            if name == "xl/worksheets/sheet1.xml":
                assert '<c r="B2">' in text and "<f>1+1</f><v></v>" in text
                text = text.replace('<c r="B2">', '<c r="B2" t="str">')
                text = text.replace("<f>1+1</f><v></v>", "<f>1+1</f><v>2</v>")
            new.writestr(name, text)
    assert read_xlsx(tmp_path / "saved.xlsx") == [
        ["image", "caption"],
        ["a.png", ""],
        ["b.png", "2"],
    ]


def test_what_is_missing_or_broken_in_a_cell_becomes_no_text(tmp_path):
    """NaN as pandas writes it, errors of spreadsheets, control characters."""
    write_image(tmp_path / "a.png", 1)
    rows = [
        {"question": "What?", "answer": float("nan")},
        {"caption": "#N/A"},
        {"caption": "a\x00b"},
        {"caption": float("nan"), "question": "What?", "answer": "That.\tAnd\nthis."},
    ]
    (tmp_path / "t.jsonl").write_text("\n".join(json.dumps({"image": "a.png"} | r) for r in rows))
    import_source(tmp_path / "t.jsonl", tmp_path / "out", None, {})
    assert failures(tmp_path / "out") == {
        "t.jsonl, line 1": "it has a question but no answer",
        "t.jsonl, line 2": "its caption is #N/A, an error of the spreadsheet; correct the cell",
        "t.jsonl, line 3": "its caption has a control character, U+0000",
    }
    (talk,) = read(tmp_path / "out", "conversations")
    assert turns(talk) == ["What?", "That.\tAnd\nthis."]
    assert read(tmp_path / "out", "figures")[0]["caption"] == ""


def test_a_file_that_is_named_in_two_ways_is_one_figure(tmp_path, monkeypatch):
    write_image(tmp_path / "in" / "a.png", 1)
    write_image(tmp_path / "in" / "more" / "b.png", 2)
    lines = ["a.png,1", "./a.png,2", "more/../a.png,3", "../in/more/b.png,4", "more//b.png,5"]
    (tmp_path / "in" / "t.csv").write_text(
        "\n".join(["image,answer,question", *[x + ",?" for x in lines]])
    )
    monkeypatch.chdir(tmp_path)
    import_source(Path("in/../in/t.csv"), Path("out"), None, {})
    assert [row["document"] for row in read(Path("out"), "figures")] == ["a.png", "more/b.png"]
    assert len(read(Path("out"), "conversations")) == 5


def test_images_that_another_import_replaces_are_counted(tmp_path, caplog):
    for number in range(3):
        write_image(tmp_path / f"{number}.png", number)
    (tmp_path / "one.csv").write_text("image,caption\n0.png,a\n1.png,b\n")
    (tmp_path / "two.csv").write_text("image,caption\n1.png,c\n2.png,d\n")
    import_source(tmp_path / "one.csv", tmp_path / "out", None, {})
    import_source(tmp_path / "one.csv", tmp_path / "out", None, {})
    assert "earlier import" not in caplog.text
    import_source(tmp_path / "two.csv", tmp_path / "out", None, {})
    assert "1 images of an earlier import were removed from" in caplog.text
