"""`cephalo import` of Parquet files and of datasets of the Hub."""

import io
import json
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value
from datasets import Image as ImageFeature
from hub_fixture import HubServer
from import_samples import failures, read, turns, write_image
from PIL import Image
from warm_python import warm_python

from cephalo.cli.errors import CephaloError
from cephalo.cli.main import main
from cephalo.dataset_scripts.common.conversations import QUERY
from cephalo.dataset_scripts.importing.run import import_source

HOSTILE = "<script>alert(1)</script>\u202e/../../etc/passwd"


def png(seed: int, size: tuple[int, int] = (40, 30)) -> bytes:
    """Noise as PNG."""
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """What `datasets` makes of a file is in the folder of the test."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def test_a_parquet_file_of_datasets(tmp_path, capsys, caplog):
    rows = {
        "image": [{"bytes": png(seed), "path": HOSTILE} for seed in (1, 2, 1)],
        "label": [1, 0, 1],
        "text": ["Bright.", "Dark & <b>bold</b>.", "Bright."],
        "question": ["Which?", None, "Where?"],
        "answer": ["This.", None, "Here."],
        "depth": [0.5, 0.25, 0.5],
    }
    features = Features(
        {
            "image": ImageFeature(),
            "label": ClassLabel(names=["sem", "tem"]),
            **{name: Value("string") for name in ("text", "question", "answer")},
            "depth": Value("float32"),
        }
    )
    source = tmp_path / "rows.parquet"
    Dataset.from_dict(rows, features=features).to_parquet(source)
    with caplog.at_level("INFO", "cephalo"):
        main(["import", str(source), "--out", str(tmp_path / "out")])
    assert "image = 'image', kind = 'label', caption = 'text'" in caplog.text
    assert "not read: 'depth'" in caplog.text
    assert "2 figures, 3 conversations, 0 rows left out" in capsys.readouterr().out
    first, second = read(tmp_path / "out", "figures")
    assert first["image"]["bytes"] == png(1)  # rows with the same image share a figure
    assert (first["kind"], second["kind"]) == ("tem", "sem")
    assert first["document"] == "rows.parquet/1/passwd"
    assert second["caption"] == "Dark & <b>bold</b>."
    assert (first["license"], first["revision"]) == (None, None)
    talks = read(tmp_path / "out", "conversations")
    assert [turns(talk) for talk in talks] == [
        ["Which?", "This."],
        ["Where?", "Here."],
        [QUERY, "Dark & <b>bold</b>."],
    ]
    page = (tmp_path / "out" / "index.html").read_text()
    assert "<b>bold" not in page and "<script>alert" not in page


def test_forms_of_conversations(tmp_path):
    asked = [{"role": "user", "content": [{"type": "image", "text": None},
                                          {"type": "text", "text": "Which phase?"}]}]  # fmt: skip
    said = [{"role": "assistant", "content": [{"type": "text", "text": "Ferrite."}]}]
    pairs = [{"user": "How many?", "assistant": "Two."}, {"user": "Both?", "assistant": "Yes."}]
    image = {"bytes": png(1), "path": None}
    other = {"bytes": png(2), "path": None}
    for name, columns, expected in [
        ("chat", {"images": [[image]], "prompt": [asked], "completion": [said]},
         [["Which phase?", "Ferrite."]]),
        ("pairs", {"images": [[image, other]], "texts": [pairs]},
         [["How many?", "Two.", "Both?", "Yes."]]),
        ("binary", {"image": [png(1)], "question": ["Which?"], "answer": ["This."]},
         [["Which?", "This."]]),
        ("old", {"image": [image], "conversations": [{"from": ["human", "gpt"],
                                                      "value": ["<image>\nWhy?", "So."]}]},
         [["Why?", "So."]]),
    ]:  # fmt: skip
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
        import_source(tmp_path / f"{name}.parquet", tmp_path / name, None, {})
        talks = read(tmp_path / name, "conversations")
        assert [turns(talk) for talk in talks] == expected, name
        assert len(talks[0]["images"]) == (2 if name == "pairs" else 1)


def test_rows_without_an_image_of_their_own_are_named(tmp_path):
    """A Parquet file may name any file; those outside its folder are not read."""
    write_image(tmp_path / "secret.png", 1)
    write_image(tmp_path / "in" / "own.png", 2)
    paths = [str(tmp_path / "secret.png"), "../secret.png", "own.png", "a\0b.png", None]
    rows = [{"bytes": None, "path": path} for path in paths]
    rows += [{"bytes": b"no image", "path": None}]
    features = Features({"image": ImageFeature(), "caption": Value("string")})
    table = pa.Table.from_pylist(
        [{"image": row, "caption": "c"} for row in rows], schema=features.arrow_schema
    )
    pq.write_table(table, tmp_path / "in" / "rows.parquet")
    import_source(tmp_path / "in" / "rows.parquet", tmp_path / "out", None, {})
    (row,) = read(tmp_path / "out", "figures")
    assert row["document"] == "rows.parquet/3/own.png"
    reasons = failures(tmp_path / "out")
    assert set(reasons) == {f"rows.parquet, row {n}" for n in (1, 2, 4, 5, 6)}
    assert "not a valid image" in reasons["rows.parquet, row 6"]
    assert reasons["rows.parquet, row 5"] == "it names no image"


def test_what_datasets_cannot_open_is_told_in_a_line(tmp_path):
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 cut")
    with pytest.raises(CephaloError, match=r"cut\.parquet cannot be loaded: .*--split"):
        import_source(tmp_path / "cut.parquet", tmp_path / "out", None, {})
    pq.write_table(pa.table({"caption": ["x"]}), tmp_path / "texts.parquet")
    with pytest.raises(CephaloError, match="has no column of image files; choose one"):
        import_source(tmp_path / "texts.parquet", tmp_path / "out", None, {})
    for absent in ("none.parquet", "none/table.csv", "no such thing"):
        with pytest.raises(CephaloError, match="no such file or folder; give a table"):
            import_source(absent, tmp_path / "out", None, {})


PUSH = """
import sys
from huggingface_hub import HfApi
api = HfApi()
for name in ("grains", "rows"):
    api.create_repo(f"alice/imported-{name}", repo_type="dataset")
    path = f"{sys.argv[1]}/{name}"
    api.upload_folder(repo_id=f"alice/imported-{name}", repo_type="dataset", folder_path=path)
print(api.dataset_info("alice/imported-grains").sha)
"""
CARD = """---
configs:
- config_name: small
  data_files: small/*.parquet
---
"""


def test_datasets_of_the_hub(tmp_path, hub: HubServer):
    """An imagefolder, and Parquet with configurations: pinned, with licence and origin."""
    home = tmp_path / "home"
    home.mkdir()
    folder = tmp_path / "grains"
    for number in range(3):
        write_image(folder / "train" / f"{number}.png", number)
    lines = [{"file_name": f"{n}.png", "text": f"Specimen {n}."} for n in range(3)]
    (folder / "train" / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (folder / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n")
    secret = tmp_path / "secret.png"
    write_image(secret, 9)
    features = Features(
        {"pictures": List(ImageFeature()), "question": Value("string"), "answer": Value("string")}
    )
    cells = [[{"bytes": png(7), "path": "x.png"}], [{"bytes": None, "path": str(secret)}]]
    table = {"pictures": cells, "question": ["Which?", "What?"], "answer": ["This.", "That."]}
    arrow = pa.table(table, schema=features.arrow_schema)
    (tmp_path / "rows" / "small").mkdir(parents=True)
    pq.write_table(arrow, tmp_path / "rows" / "small" / "train-00000.parquet")
    (tmp_path / "rows" / "README.md").write_text(CARD)
    commit = hub.run(PUSH, home, str(tmp_path)).split()[-1]

    def imported(spec: str, *options: str) -> subprocess.CompletedProcess:
        out = str(tmp_path / "out" / spec.partition("/imported-")[2])
        command = [warm_python(), "-m", "cephalo.cli.main", "import", spec, "--out", out, *options]
        return subprocess.run(
            command, env=hub.environment(home), capture_output=True, text=True, cwd=home
        )

    done = imported("alice/imported-grains")
    assert done.returncode == 0, done.stderr
    rows = read(tmp_path / "out" / "grains", "figures")
    assert [row["caption"] for row in rows] == [f"Specimen {n}." for n in range(3)]
    assert {row["revision"] for row in rows} == {commit}
    assert {row["license"] for row in rows} == {"CC-BY-4.0"}
    assert {row["source_url"] for row in rows} == {f"{hub.endpoint}/datasets/alice/imported-grains"}
    assert rows[0]["document"] == "train/1/0.png" and rows[0]["author"] == "alice"
    assert imported("alice/imported-grains@main").returncode == 0
    done = imported("alice/imported-rows:small")
    assert done.returncode == 0, done.stderr
    (row,) = read(tmp_path / "out" / "rows:small", "figures")
    assert row["image"]["bytes"] == png(7)
    assert "is neither in the row nor a file" in str(failures(tmp_path / "out" / "rows:small"))
    for spec, words in [
        ("alice/none", "no folder and no dataset alice/none on"),
        ("alice/imported-grains@v9", "no folder and no dataset alice/imported-grains@v9 on"),
        (
            "alice/imported-rows:large",
            "alice/imported-rows:large cannot be loaded: BuilderConfig 'large' not found",
        ),
    ]:
        done = imported(spec)
        assert done.returncode == 1 and words in done.stderr and "Traceback" not in done.stderr
    done = imported("alice/imported-grains", "--split", "test")
    assert done.returncode == 1 and 'Unknown split "test"' in done.stderr


MEASURED = """
import re, sys, threading, time
from pathlib import Path
import datasets, cephalo.dataset_scripts.importing.run as run

def anonymous():  # bytes, without the pages of files that the system may drop
    return int(re.search("RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) << 10

def watch():
    global most
    while True:
        most = max(most, anonymous())
        time.sleep(0.005)

most = before = anonymous()
threading.Thread(target=watch, daemon=True).start()
run.import_source(Path(sys.argv[1]), Path(sys.argv[2]), None, {})
print(most - before)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_images(tmp_path):
    """Images of 860 MB, in row groups of 27 MB."""
    noise = np.random.default_rng(1).integers(0, 255, (600, 600, 3), np.uint8)
    schema = pa.schema({"image": pa.binary(), "caption": pa.string()})
    rows = []
    for number in range(800):
        noise[0, 0] = divmod(number, 256)[1], divmod(number, 256)[0], 0
        data = io.BytesIO()
        Image.fromarray(noise).save(data, "PNG", compress_level=0)
        rows.append({"image": data.getvalue(), "caption": f"Specimen {number}."})
    table = pa.Table.from_pylist(rows, schema=schema)
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=25, compression="none")
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(tmp_path / "rows.parquet"), str(tmp_path / "out")],
        env={**os.environ, "HF_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "800 figures" in done.stdout
    grown = int(done.stdout.split()[-1])
    assert grown < 650_000_000  # of a shard, some batches of rows, and the gallery
