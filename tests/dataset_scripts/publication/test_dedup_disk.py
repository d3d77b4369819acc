"""Decisions made on disk are those made in memory; a killed run and a second shard change none."""

import functools
import hashlib
import io
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import dedup_reference
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from figure_samples import figure_row
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from warm_python import warm_python

from benchmarks import bench_publish
from cephalo.cli.errors import CephaloError
from cephalo.cli.files import scratch_database
from cephalo.dataset_scripts.common.schema import TEXT
from cephalo.dataset_scripts.common.tables import CONFIGS, find_tables
from cephalo.dataset_scripts.publication import dedup, dedup_images, selection
from cephalo.dataset_scripts.publication.dataset_folder import build_dataset
from cephalo.dataset_scripts.publication.dedup import select_rows
from cephalo.dataset_scripts.publication.parts import Described, describe

WORDS = [hashlib.sha256(b"%d" % number).hexdigest()[:6] for number in range(200)]


def sentence(seed: int, changed: int = 0, length: int = 40) -> str:
    """Words by chance; so many at the end, or at the start if negative, are others."""
    words = random.Random(seed).choices(WORDS, k=length)
    others = [f"other{number}" for number in range(abs(changed))]
    if changed < 0:
        words[:-changed] = others
    else:
        words[length - changed :] = others
    return " ".join(words)


def drawing(seed: int, copy: int = 0) -> tuple[bytes, str]:
    """A picture in PNG and the sha256 of its pixels; copies differ in size and brightness."""
    rng = random.Random(seed)
    image = Image.new("L", (160, 120), "white")
    draw = ImageDraw.Draw(image)
    draw.line([(10, 5), (10, 110), (150, 110)], "black", 2)
    for _ in range(6):
        x, y = rng.randint(12, 120), rng.randint(5, 90)
        draw.rectangle([x, y, x + 24, y + 16], fill=rng.choice([0, 80, 160]))
    image = image.resize((160 + 20 * copy, 120 + 15 * copy)).point(lambda level: level - 5 * copy)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue(), hashlib.sha256(image.tobytes()).hexdigest()


DRAWINGS = [drawing(seed, copy) for seed in range(5) for copy in range(3)]
# 2 words, 4 words, and 38 runs of three words each: 3 others at either end are a near-copy of the
# whole and not of each other, 6 are none.
CAPTIONS = ["", "Optical image", "A figure of merit"]
CAPTIONS += [sentence(seed, changed) for seed in range(2) for changed in (0, 3, -3, 6)]


def make_figure(document: int, drawn: int, caption: str, **changes: Any) -> dict[str, Any]:
    data, sha256 = DRAWINGS[drawn]
    image = {"image": {"bytes": data, "path": None}, "image_sha256": sha256}
    return figure_row(document, drawn, caption=caption, **image, **changes)


def make_passage(document: int, text: str, **changes: Any) -> dict[str, Any]:
    figure = figure_row(document, 1)
    shared = {name: figure[name] for name in TEXT if name in figure}
    return {**shared, "images": [], "prompt": [], "completion": [], "text": text, **changes}


def write(root: Path, config: str, rows: list[dedup_reference.Row]) -> None:
    """Write rows to the shards FOLDER/SHARD that stand before them."""
    for shard in sorted({shard for shard, _ in rows}):
        folder, name = shard.split("/")
        table = pa.Table.from_pylist(
            [row for place, row in rows if place == shard], schema=CONFIGS[config].arrow_schema
        )
        (root / folder / config).mkdir(parents=True, exist_ok=True)
        pq.write_table(table, root / folder / config / f"{name}.parquet")


LICENSES = st.sampled_from(["CC-BY-4.0", "CC-BY-4.0", "CC-BY-NC-4.0"])
SHARDS = st.sampled_from(["a/0", "a/0", "a/1", "b/0"])
FIGURE_ROWS = st.builds(
    make_figure,
    st.integers(0, 5),
    st.integers(0, len(DRAWINGS) - 1),
    st.sampled_from(CAPTIONS),
    license=LICENSES,
    page=st.integers(0, 2),
    width=st.sampled_from([90, 600]),
    height=st.just(500),
)
PASSAGE_ROWS = st.builds(
    make_passage, st.integers(0, 5), st.sampled_from(CAPTIONS), license=LICENSES
)


def in_order(rows: list[dedup_reference.Row]) -> list[dedup_reference.Row]:
    return sorted(rows, key=lambda placed: placed[0])


@functools.cache
def describe_once(data: bytes) -> Described:
    """The description of an encoded picture; the examples share a few."""
    return describe((data, "here"))


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(SHARDS, FIGURE_ROWS), min_size=1, max_size=24).map(in_order),
    st.lists(st.tuples(SHARDS, PASSAGE_ROWS), max_size=16).map(in_order),
    st.booleans(),
    st.sampled_from([2, 5, 100]),
)
def test_decisions_on_disk_are_those_in_memory(figures, passages, only_open, block):
    reasons, links = dedup_reference.decide(figures, passages, only_open)
    with tempfile.TemporaryDirectory() as root, pytest.MonkeyPatch.context() as patch:
        patch.setattr(dedup_images, "BLOCK", block)
        patch.setattr(dedup, "describe", lambda image: describe_once(image[0]))
        write(Path(root), "figures", figures)
        write(Path(root), "text", passages)
        tables = find_tables([Path(root, "a"), Path(root, "b")])
        made = select_rows(Path(root, "compared"), tables, only_open=only_open)
        with closing(made):
            for config in made.configs():
                found = [
                    reason
                    for (reason,) in made.database.execute(
                        f"SELECT reason FROM {config} ORDER BY number"
                    )
                ]
                assert found == reasons[config], config
            assert links == {
                frozenset((made.sha256(one), made.sha256(other))) for one, other in made.links()
            }


def published(dataset: Path, config: str, column: str) -> list[tuple[str, str]]:
    """The documents of all rows, each with a column, sorted."""
    data = load_dataset(str(dataset), config, cache_dir=str(dataset.parent / "cache"))
    return sorted(
        pair for rows in data.values() for pair in zip(rows["document"], rows[column], strict=True)
    )


def test_a_document_in_two_chunks_is_published_once(tmp_path):
    """The same bytes under two names: rows that differ in the name alone, in another chunk."""
    figures, passages = [], []
    for chunk, documents in (("a/000000", [0, 1]), ("a/000001", [2, 0])):
        for document in documents:
            name = f"{document}-{chunk[-1]}.pdf"
            # Like plots of one series under short captions, which are no duplicates themselves.
            figures += [
                (chunk, make_figure(document, 3 * document + n, f"At {n} K") | {"document": name})
                for n in range(2)
            ]
            passages += [
                (chunk, make_passage(document, f"Result {n} of {document}.") | {"document": name})
                for n in range(2)
            ]
    write(tmp_path, "figures", figures)
    write(tmp_path, "text", passages)
    dataset = build_dataset([tmp_path / "a"], "a/b")
    names = ["0-0.pdf", "1-0.pdf", "2-1.pdf"]
    captions = [(name, f"At {n} K") for name in names for n in range(2)]
    assert published(dataset, "figures", "caption") == captions
    assert published(dataset, "conversations", "answer") == captions
    assert published(dataset, "text", "text") == [
        (name, f"Result {n} of {name[0]}.") for name in names for n in range(2)
    ]
    card = (dataset / "README.md").read_text(encoding="utf-8")
    for config in ("figures", "conversations", "text"):
        assert f"| `{config}` | of a document that was read again" in card


def test_a_document_that_goes_on_in_the_next_shard_keeps_all_its_rows(tmp_path):
    """As published folders are: published again, and of two shards, they lose nothing."""
    rows = [(f"a/{n // 3}", make_figure(n // 4, 3 * (n % 5), f"At {n} K")) for n in range(8)]
    write(tmp_path, "figures", rows)
    passages = [(f"a/{n // 3}", make_passage(n // 4, f"Result {n}.")) for n in range(8)]
    write(tmp_path, "text", passages)
    dataset = build_dataset([tmp_path / "a"], "a/b")
    captions = [f"At {n} K" for n in range(8)]
    assert [caption for _, caption in published(dataset, "figures", "caption")] == captions
    assert [answer for _, answer in published(dataset, "conversations", "answer")] == captions
    assert [text for _, text in published(dataset, "text", "text")] == [
        f"Result {n}." for n in range(8)
    ]


def test_two_folders_may_hold_other_rows_of_one_document(tmp_path):
    write(tmp_path, "figures", [("a/0", make_figure(0, 0, "At 20 K"))])
    write(tmp_path, "figures", [("b/0", make_figure(0, 3, "At 30 K"))])
    dataset = build_dataset([tmp_path / "a", tmp_path / "b"], "a/b")
    assert [caption for _, caption in published(dataset, "figures", "caption")] == [
        "At 20 K",
        "At 30 K",
    ]


def test_documents_that_share_a_fifth_of_the_shorter_text_are_linked(tmp_path):
    """One text in 5, and one in 6, that an earlier document has too."""
    rows = []
    for document, count in enumerate([9, 5, 6]):
        own = [sentence(100 * document + n) for n in range(count - 1)]
        rows += [(f"a/{document}", make_passage(document, text)) for text in (sentence(7), *own)]
    write(tmp_path, "text", rows)
    with closing(select_rows(tmp_path / "compared", find_tables([tmp_path / "a"]))) as made:
        assert list(made.links()) == [(0, 1)]


KILLED = """
import os, signal, sys
from pathlib import Path
from cephalo.dataset_scripts.common import shards
from cephalo.dataset_scripts.publication import dataset_folder, dedup_images, selection

owner, name = {place}
whole = getattr(owner, name)

def killed(*arguments, **named):
    whole(*arguments, **named)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(owner, name, killed)
dataset_folder.build_dataset([Path(sys.argv[1])], "a/b")
"""


@pytest.mark.parametrize(
    "place",
    [
        '(dedup_images.NearCopies, "add")',
        '(selection.Selection, "link_by_shared_text")',
        '(shards.ShardWriter, "close")',
    ],
)
def test_a_run_that_was_killed_gives_the_same_when_repeated(tmp_path, place):
    figures = [
        (f"made/{number}", make_figure(number, drawn, sentence(drawn), width=600, height=500))
        for number in range(5)
        for drawn in (number, number + 1)
    ]
    write(tmp_path, "figures", figures)
    write(
        tmp_path,
        "text",
        [
            (shard, make_passage(n // 2, sentence(9 + n // 3)))
            for n, (shard, _) in enumerate(figures)
        ],
    )
    shutil.copytree(tmp_path / "made", tmp_path / "other" / "made")
    code = [warm_python(), "-c", KILLED.format(place=place), str(tmp_path / "made")]
    assert subprocess.run(code).returncode == -signal.SIGKILL
    assert (tmp_path / "made" / "dataset.compared").exists()
    assert not (tmp_path / "made" / "dataset").exists()
    repeated, once = (
        {path.relative_to(dataset): path.read_bytes() for path in dataset.rglob("*.*")}
        for dataset in (
            build_dataset([folder / "made"], "a/b") for folder in (tmp_path, tmp_path / "other")
        )
    )
    assert repeated == once and len(once) > 6
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == [
        "dataset",
        "figures",
        "text",
    ]


def test_a_disk_that_is_full_is_one_line(tmp_path, monkeypatch):
    write(tmp_path, "text", [("made/0", make_passage(n, sentence(n))) for n in range(40)])

    def small_disk(path: Path, schema: str) -> sqlite3.Connection:
        database = scratch_database(path, schema)
        database.execute("PRAGMA max_page_count = 20")
        return database

    monkeypatch.setattr(selection, "scratch_database", small_disk)
    with pytest.raises(
        CephaloError, match=r"dataset.compared: database or disk is full; free disk space"
    ):
        build_dataset([tmp_path / "made"], "a/b")
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == ["text"]


def test_bench_tells_what_more_papers_cost(tmp_path, monkeypatch, capsys):
    rows = [("made/0", make_figure(n, 3 * n, sentence(n), width=600)) for n in range(4)]
    write(tmp_path, "figures", rows)
    arguments = ["bench", str(tmp_path / "made"), "--pictures", "300"]
    monkeypatch.setattr(sys, "argv", arguments)
    bench_publish.main()
    told = capsys.readouterr().out
    assert "4 documents, 4 figures, 8 rows of all configs: " in told
    costs = [line.split() for line in told.splitlines()[-3:]]
    assert [papers for papers, *_ in costs] == ["10,000", "1,000,000", "10,000,000"]
    _, million, ten = ([float(value) for value in values] for _, *values in costs)
    assert ten[0] == pytest.approx(10 * million[0], rel=0.02)  # by the paper
    assert ten[1] == pytest.approx(100 * million[1], rel=0.2)  # by the pair
    assert ten[2] > 10  # GB


MEASURE = """
import sys
from pathlib import Path
from cephalo.dataset_scripts.publication.dedup import select_rows
from cephalo.dataset_scripts.common.tables import find_tables

def memory(name):
    status = Path("/proc/self/status").read_text()
    return int(status.split(name + ":")[1].split()[0]) / 1024

before = memory("VmRSS")
folder = Path(sys.argv[1])
selection = select_rows(folder / "compared", find_tables([folder]))
print(memory("VmHWM") - before, sum(selection.count_rows(name) for name in selection.configs()))
"""
BOUND = 300  # MiB


def make_corpus(root: Path) -> Path:
    """10,000 figures and 50,000 passages of 1,000 documents, in 10 chunks."""
    rng = np.random.default_rng(0)
    for shard in range(10):
        rows = []
        for number in range(1000):
            document = shard * 100 + number // 10
            picture = Image.fromarray(rng.integers(0, 255, (8, 8), np.uint8)).resize((64, 64))
            file = io.BytesIO()
            picture.save(file, "PNG")
            image = {"bytes": file.getvalue(), "path": None}
            sha256 = hashlib.sha256(picture.tobytes()).hexdigest()
            caption = sentence(shard * 1000 + number, length=30)
            rows.append(
                figure_row(document, number, image=image, image_sha256=sha256, caption=caption)
            )
        write(root, "figures", [(f"made/{shard:06d}", row) for row in rows])
        texts = (sentence(10**6 + shard * 5000 + number, length=120) for number in range(5000))
        write(
            root,
            "text",
            [
                (f"made/{shard:06d}", make_passage(shard * 100 + number // 50, text))
                for number, text in enumerate(texts)
            ],
        )
    return root / "made"


@pytest.mark.slow
def test_memory_does_not_grow_with_the_corpus(tmp_path):
    """Held in memory, what is compared of these rows took 590 MiB."""
    made = make_corpus(tmp_path)
    code = [sys.executable, "-c", MEASURE, str(made)]
    done = subprocess.run(code, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    grown, rows = map(float, done.stdout.split())
    print(f"{rows:.0f} rows, {grown:.0f} MiB more than before")
    assert rows == 70_000
    assert grown < BOUND
