"""`cephalo extract` as a user meets it: shards, resuming, failures, the page."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from extract_samples import failures, rows, run
from pdf_samples import one_figure, text_only

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import locked
from cephalo.dataset_scripts.common.document_shards import ShardError, start_worker
from cephalo.dataset_scripts.common.geometry import iou
from cephalo.dataset_scripts.common.schema import FIGURES, TEXT
from cephalo.dataset_scripts.common.workers import use_one_core_each
from cephalo.dataset_scripts.pdf import jobs
from cephalo.dataset_scripts.pdf.settings import Settings
from cephalo.dataset_scripts.pdf.shard import extract_to_shard

SHARED = Path(__file__).parents[3].parent / "shared"


@pytest.fixture(scope="module")
def papers(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("papers")
    (folder / "inner").mkdir()
    one_figure(folder / "a paper.pdf", "Hardness of <b>bold</b> & brittle samples.", seed=1)
    one_figure(folder / "inner" / "second.PDF", seed=2)
    text_only(folder / "none.pdf")
    (folder / "twin.pdf").write_bytes((folder / "a paper.pdf").read_bytes())
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 and nothing more")
    (folder / "notes.txt").write_text("not a paper")
    return folder


@pytest.fixture(scope="module")
def first_run(papers, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("out") / "figures"
    run(papers, "--out", out, "--workers", 2)
    return out


def test_one_shard_a_document_and_empty_where_there_are_no_figures(first_run):
    shards = {
        path.stem.rpartition("-")[0]: pq.read_metadata(path).num_rows
        for path in (first_run / "figures").iterdir()
    }
    # The twin has the bytes of "a paper" and is the same document.
    assert shards == {"a-paper": 1, "second": 1, "none": 0}


def test_rows_hold_what_the_contract_says(first_run):
    row = next(row for row in rows(first_run) if row["document"] == "a paper.pdf")
    assert row["label"] == "Figure 1"
    assert row["caption"] == "Hardness of <b>bold</b> & brittle samples."
    assert (row["kind"], row["page"], row["dpi"]) == ("figure", 0, 200)
    assert iou(row["bbox"], [60, 72, 296, 222]) > 0.95
    assert row["caption_bbox"][1] == pytest.approx(230, abs=3)
    assert row["width"] == pytest.approx((236 + 4) * 200 / 72, abs=4)  # 2 points of margin
    assert row["image"]["bytes"].startswith(b"\x89PNG")
    assert len(row["image_sha256"]) == 64
    assert len(row["phash"]) == 16
    assert row["panels"] == row["mentions"] == []


def test_datasets_opens_the_shards_as_images(first_run):
    from datasets import load_dataset

    table = load_dataset("parquet", data_dir=str(first_run / "figures"), split="train")
    assert table.features == FIGURES
    assert table[0]["image"].size == (table[0]["width"], table[0]["height"])


def test_failures_name_the_file_and_the_reason(first_run):
    assert failures(first_run) == {"broken.pdf": "not a PDF, or damaged beyond repair"}


def test_the_page_escapes_captions_and_names_failures(first_run):
    page = (first_run / "index.html").read_text()
    assert "Hardness of &lt;b&gt;bold&lt;/b&gt; &amp; brittle samples." in page
    assert page.count("data:image/jpeg;base64,") == 2
    assert "broken.pdf" in page
    assert "http://" not in page and "https://" not in page


def test_a_second_run_does_only_what_is_missing(papers, tmp_path, capsys):
    out = tmp_path / "out"
    run(papers, "--out", out)
    before = {path: path.stat().st_mtime_ns for path in (out / "figures").iterdir()}
    gone = next(path for path in before if path.name.startswith("second"))
    gone.unlink()
    capsys.readouterr()
    run(papers, "--out", out)
    assert (
        "1 documents read, 2 read before, 1 pages, 1 figures (2 in all)" in capsys.readouterr().out
    )
    after = {path: path.stat().st_mtime_ns for path in (out / "figures").iterdir()}
    assert set(after) == set(before)
    assert [path for path in before if after[path] != before[path]] == [gone]


def test_what_we_wrote_ourselves_is_no_document(tmp_path, capsys):
    one_figure(tmp_path / "a.pdf")
    for _ in range(2):
        run(tmp_path, "--out", tmp_path / "out")
    assert "0 documents read, 1 read before" in capsys.readouterr().out
    assert len(list((tmp_path / "out" / "figures").iterdir())) == 1


def test_a_later_success_removes_the_failure(papers, tmp_path):
    folder = tmp_path / "papers"
    folder.mkdir()
    one_figure(folder / "good.pdf")
    bad = folder / "bad.pdf"
    bad.write_bytes(b"")
    out = tmp_path / "out"
    run(folder, "--out", out)
    assert list(failures(out)) == ["bad.pdf"]
    one_figure(bad, seed=5)
    run(folder, "--out", out)
    assert failures(out) == {}
    assert len(rows(out)) == 2


def test_kill_9_in_the_middle_loses_nothing(tmp_path):
    folder = tmp_path / "papers"
    folder.mkdir()
    for number in range(8):
        one_figure(folder / f"p{number}.pdf", seed=number)
    whole, out = tmp_path / "whole", tmp_path / "out"
    run(folder, "--out", whole)
    command = [sys.executable, "-m", "cephalo.cli.main", "extract", str(folder), "--out", str(out)]
    killed = subprocess.Popen(
        [*command, "--workers", "1"], stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while not list((out / "figures").glob("*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.005)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert 1 <= len(list((out / "figures").glob("*.parquet"))) < 8
    run(folder, "--out", out)
    assert not list((out / "figures").glob(".*"))
    key = [(row["document"], row["image_sha256"]) for row in rows(out)]
    assert key == [(row["document"], row["image_sha256"]) for row in rows(whole)]


def test_other_settings_are_refused(papers, first_run):
    with pytest.raises(CephaloError, match="was made with --dpi 200; give the same"):
        run(papers, "--out", first_run, "--dpi", 100)
    with pytest.raises(CephaloError, match="was made with --kinds figure,scheme,chart,plate"):
        run(papers, "--out", first_run, "--kinds", "table")


def test_the_folder_of_another_version_asks_for_another_folder(tmp_path):
    """Nobody can "give the same" version again."""
    jobs.prepare(tmp_path, Settings())
    record = tmp_path / "extract.json"
    made = json.loads(record.read_text())
    record.write_text(json.dumps(made | {"version": 14}))
    wanted = rf"was made by version 14 of the extraction, not {made['version']}; give another --out"
    with pytest.raises(CephaloError, match=wanted):
        jobs.prepare(tmp_path, Settings())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["EMPTY", "--out", "OUT"], "no PDF files in"),
        (["EMPTY/missing.pdf", "--out", "OUT"], "no such file or folder"),
        (["", "--out", "OUT"], "an empty path was given"),
        (["PAPERS", "--out", "PAPERS"], "contains the folder .*; give another --out"),
        (["PAPERS", "--out", "OUT", "--kinds", "poem"], "choose from figure"),
        (["PAPERS", "--out", "PAPERS/notes.txt"], "cannot write to"),
        (["PAPERS/broken.pdf", "--out", "OUT"], "none of 1 documents could be read"),
    ],
)
def test_bad_input_is_one_line(papers, tmp_path, arguments, message):
    (tmp_path / "empty").mkdir()
    names = {"EMPTY": tmp_path / "empty", "PAPERS": papers, "OUT": tmp_path / "out"}
    for name, path in names.items():
        arguments = [argument.replace(name, str(path)) for argument in arguments]
    with pytest.raises(CephaloError, match=message) as caught:
        run(*arguments)
    assert "\n" not in str(caught.value)


def test_workers_compute_on_one_core_whatever_is_set(monkeypatch):
    """Sums over several threads end in other digits."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "4")
    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")
    use_one_core_each()
    assert [os.environ[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")] == ["1", "1"]
    assert (os.environ["MKL_NUM_THREADS"], os.environ["MALLOC_ARENA_MAX"]) == ("1", "2")


def test_two_runs_do_not_share_a_folder(papers, tmp_path):
    jobs.prepare(tmp_path, Settings())
    with locked(tmp_path), pytest.raises(CephaloError, match="another run"):
        run(papers, "--out", tmp_path)


def _die(path, sha256, shard, settings):
    """Stands in for extract_to_shard: some documents hang, some kill their worker."""
    if path.name.startswith("kills"):
        os.kill(os.getpid(), signal.SIGKILL)
    if path.name.startswith("hangs"):
        time.sleep(60)
    if path.name.startswith("bug"):
        raise ZeroDivisionError("a\nbug")
    return extract_to_shard(path, sha256, shard, settings)


def test_a_worker_that_dies_or_hangs_costs_one_document(tmp_path, monkeypatch):
    folder = tmp_path / "papers"
    folder.mkdir()
    for number, name in enumerate(["bug", "good", "hangs", "kills", "zgood"]):
        one_figure(folder / f"{name}.pdf", seed=number)
    monkeypatch.setattr(jobs, "extract_to_shard", _die)
    out = tmp_path / "out"
    # The time limit counts the start of a fresh worker's imports too.
    run(folder, "--out", out, "--workers", 1, "--timeout", 5)
    assert failures(out) == {
        "bug.pdf": "internal error: ZeroDivisionError: a bug",
        "hangs.pdf": "took longer than 5 s; raise --timeout to give it more",
        "kills.pdf": "its worker died (exit code -9), maybe out of memory",
    }
    assert [row["document"] for row in rows(out)] == ["good.pdf", "zgood.pdf"]


def test_a_shard_that_cannot_be_written_ends_the_run(tmp_path):
    one_figure(tmp_path / "a.pdf")
    start_worker_schema()
    with pytest.raises(ShardError, match="No such file or directory"):
        extract_to_shard(tmp_path / "a.pdf", "0" * 64, tmp_path / "no" / "a.parquet", Settings())


def start_worker_schema() -> None:
    """Set the schema of this process as a worker does, without its limit on memory."""
    import resource

    limits = resource.getrlimit(resource.RLIMIT_AS)
    start_worker(*(table.arrow_schema.serialize().to_pybytes() for table in (FIGURES, TEXT)))
    resource.setrlimit(resource.RLIMIT_AS, (limits[1], limits[1]))


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared benchmark")
def test_malformed_files_end_in_rows_or_a_reason(tmp_path):
    bad = SHARED / "bench" / "bad"
    out = tmp_path / "out"
    run(bad, "--out", out, "--timeout", 30)
    named = failures(out)
    files = {path.name for path in bad.glob("*.pdf")}
    read = len(list((out / "figures").glob("*.parquet")))
    assert len(files) == 44
    assert read + len(named) == 44
    assert all(reason and "internal" not in reason for reason in named.values())
