"""Extraction in chunks by tasks: the rows of one machine, once each, whatever happens between."""

import json
import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import cluster_samples
import pytest
from cluster_samples import SETTINGS, begin, read_alone, rows
from hypothesis import given
from hypothesis import strategies as st
from pdf_samples import one_figure
from warm_python import warm_python

from cephalo.cli.errors import CephaloError
from cephalo.cli.main import run_command
from cephalo.dataset_scripts.cluster import extraction, slurm
from cephalo.dataset_scripts.cluster.cluster import Cluster
from cephalo.dataset_scripts.cluster.extraction import record
from cephalo.dataset_scripts.cluster.manifest import File, list_files, read_share, write_manifest
from cephalo.dataset_scripts.cluster.runs import Run
from cephalo.dataset_scripts.cluster.store import Store
from cephalo.dataset_scripts.extraction import find_files
from cephalo.dataset_scripts.pdf import jobs
from cephalo.dataset_scripts.pdf.settings import Settings
from cephalo.dataset_scripts.pdf.shard import extract_to_shard

SAMPLES = Path(cluster_samples.__file__).parent


@pytest.fixture(scope="module")
def papers(tmp_path_factory) -> Path:
    """Seven papers in three folders, one of them twice, and one that no PDF reader opens."""
    folder = tmp_path_factory.mktemp("papers")
    for name in ("b", "a/z", "a/c", "A", "c/d", "e"):
        path = folder / f"{name}.pdf"
        path.parent.mkdir(exist_ok=True)
        one_figure(path, f"Hardness of the samples {name}.", seed=ord(name[0]))
    (folder / "twin.pdf").write_bytes((folder / "b.pdf").read_bytes())
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 and nothing more")
    (folder / "a" / "page_files").mkdir()
    one_figure(folder / "a" / "page_files" / "part.pdf")
    return folder


@pytest.fixture(scope="module")
def alone(papers, tmp_path_factory) -> dict[str, list[dict]]:
    return read_alone(papers, tmp_path_factory.mktemp("alone"))


def assert_same(out, alone: dict[str, list[dict]]) -> None:
    for table, expected in alone.items():
        assert rows(str(out), table) == expected


def test_files_are_listed_in_the_order_of_one_machine(papers, tmp_path):
    listed = [file.path for file in list_files([str(papers)], ".pdf", str(tmp_path))]
    assert listed == [str(path) for path in find_files([papers], tmp_path, False)[0]]
    inside = papers / "a"
    assert [Path(file.path).name for file in list_files([str(papers)], ".pdf", str(inside))] == [
        *("A.pdf", "b.pdf", "broken.pdf", "d.pdf", "e.pdf", "twin.pdf")
    ]
    with pytest.raises(CephaloError, match="nowhere: no such file or folder"):
        list(list_files([str(papers / "nowhere")], ".pdf", str(tmp_path)))


@given(count=st.integers(0, 60), chunk=st.integers(1, 9), tasks=st.integers(1, 9))
def test_shares_hold_every_file_once(tmp_path_factory, count, chunk, tasks):
    store = Store(str(tmp_path_factory.getbasetemp() / "shares"))
    Path(store.root).mkdir(exist_ok=True)
    files = [File(f"/papers/\u00fc {number}.pdf", number) for number in range(count)]
    write_manifest(files, Path(store.path("manifest.jsonl")))
    shares = [
        part
        for rank in range(tasks)
        for part in read_share(store, "manifest.jsonl", chunk, rank, tasks)
    ]
    ordered = sorted(shares)
    assert [number for number, _ in ordered] == list(range(-(-count // chunk)))
    assert [file for _, part in ordered for file in part] == files


def test_tasks_give_the_rows_of_one_machine(papers, alone, tmp_path):
    run, step = begin(papers, tmp_path)
    step(None, rank=1, world_size=3)
    assert run.done() == {1}
    first = {name: (tmp_path / "figures" / name).stat().st_mtime_ns for name in ["000001.parquet"]}
    for rank in range(2):  # with another number of tasks
        step(None, rank, world_size=2)
    assert run.done() == {0, 1, 2, 3}
    assert (tmp_path / "figures" / "000001.parquet").stat().st_mtime_ns == first["000001.parquet"]
    assert len(alone["figures"]) == 6
    assert_same(tmp_path, alone)
    facts = list(run.facts())
    assert sum(chunk["documents"] for chunk in facts) == 7
    [(broken, reason)] = [item for chunk in facts for item in chunk["failures"].items()]
    assert broken == str(papers / "broken.pdf")
    assert reason == "not a PDF, or damaged beyond repair"
    assert not list((tmp_path / "extract-run" / "attempts").iterdir())


def test_a_task_that_runs_twice_at_once_gives_the_same_rows(papers, alone, tmp_path):
    begin(papers, tmp_path)
    code = (
        "import sys; from cephalo.dataset_scripts.cluster.extraction import *; "
        "ExtractChunks(sys.argv[1], Settings(text=True), 60, 1)(None, 0, 1)"
    )
    both = [subprocess.Popen([warm_python(), "-c", code, str(tmp_path)]) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert_same(tmp_path, alone)
    assert not list(tmp_path.rglob(".*.tmp"))


def test_another_manifest_or_code_is_refused(papers, tmp_path, monkeypatch):
    _, step = begin(papers, tmp_path / "out")
    more = tmp_path / "more"
    more.mkdir()
    one_figure(more / "new.pdf")
    with pytest.raises(CephaloError, match="of 8 other files than the 9 that are there now"):
        Run(str(tmp_path / "out"), "extract").begin(
            list_files([str(papers), str(more)], ".pdf", ""), 2, record(SETTINGS)
        )
    with pytest.raises(CephaloError, match="with dpi 200; use the same or another --out"):
        Run(str(tmp_path / "out"), "extract").begin(
            list_files([str(papers)], ".pdf", ""), 2, record(Settings(dpi=100, text=True))
        )
    monkeypatch.setattr(extraction, "EXTRACTOR_VERSION", 1000)
    with pytest.raises(CephaloError, match=r"was made with version \d+; use"):
        step(None, 0, 1)
    assert not (tmp_path / "out" / "figures").exists()


def test_files_removed_or_edited_are_left_out_and_their_chunks_read_again(
    papers, alone, tmp_path, monkeypatch, capsys
):
    mine, out = tmp_path / "papers", tmp_path / "out"
    shutil.copytree(papers, mine)
    monkeypatch.setattr(extraction, "CHUNK", 2)
    monkeypatch.setattr(slurm, "tasks_alive", lambda name: 0)
    steps = []

    def submit(run, step, chunks, cluster):
        steps.append(step)
        return None if len(run.done()) == chunks else "12"

    monkeypatch.setattr(extraction, "submit", submit)
    ask = ["extract", str(mine), "--out", str(out), "--text", "--slurm", "1"]

    def names() -> list[str]:
        return sorted(row["document"] for row in rows(str(out), "figures"))

    run_command(*ask[:1], ask[1:])
    steps[-1](None, 0, 1)
    assert_same(out, alone)
    kept = (out / "figures" / "000000.parquet").stat().st_mtime_ns
    everything = names()

    for name in ("e", "twin"):  # all of the last chunk
        (mine / f"{name}.pdf").unlink()
    one_figure(mine / "c" / "d.pdf", "Hardness of quite other samples.", seed=9)
    monkeypatch.setattr(slurm, "tasks_alive", lambda name: 3)
    with pytest.raises(CephaloError, match=r"removed or edited, and 3 tasks of cephalo-extract-"):
        run_command(*ask[:1], ask[1:])
    assert names() == everything
    monkeypatch.setattr(slurm, "tasks_alive", lambda name: 0)
    run_command(*ask[:1], ask[1:])
    told = "left out 3 documents that are no longer in the input: d.pdf (edited), e.pdf (removed), "
    assert told + "twin.pdf (removed)" in capsys.readouterr().err
    assert not {"d.pdf", "e.pdf"} & set(names())
    steps[-1](None, 0, 1)
    read = read_alone(mine, tmp_path / "again")
    assert_same(out, read)
    assert [row["caption"] for row in read["figures"] if row["document"] == "d.pdf"] == [
        "Hardness of quite other samples."
    ]
    assert (out / "figures" / "000000.parquet").stat().st_mtime_ns == kept
    run_command(*ask[:1], ask[1:])
    assert "all 4 chunks are done: 5 documents" in capsys.readouterr().out

    for name in ("e", "twin"):
        shutil.copy(papers / f"{name}.pdf", mine)
    shutil.copy(papers / "c" / "d.pdf", mine / "c")
    run_command(*ask[:1], ask[1:])
    steps[-1](None, 0, 1)
    assert_same(out, alone)


# --- documents that kill


def kill_worker(deaths: Path, path: Path, *rest):
    """Stands in for extract_to_shard: one document kills its worker."""
    if path.name == "b.pdf":
        with deaths.open("a") as file:
            file.write("b\n")
        os.kill(os.getpid(), signal.SIGKILL)
    return extract_to_shard(path, *rest)


def test_a_document_that_kills_its_worker_is_set_aside_at_the_third_time(
    papers, alone, tmp_path, monkeypatch
):
    killing = partial(kill_worker, tmp_path / "deaths")
    monkeypatch.setattr(jobs, "extract_to_shard", killing)
    run, step = begin(papers, tmp_path / "out", chunk=7)  # without the twin
    step(None, 0, 2)
    assert (tmp_path / "deaths").read_text().split() == ["b"] * 3
    [facts] = run.facts()
    reason = "set aside after 3 attempts: its worker died (exit code -9), maybe out of memory"
    assert facts["failures"][str(papers / "b.pdf")] == reason
    documents = {row["document"] for row in rows(str(tmp_path / "out"), "figures")}
    assert documents == {row["document"] for row in alone["figures"]} - {"b.pdf"}


def test_only_the_document_that_was_read_alone_gets_a_strike(papers, alone, tmp_path):
    run, step = begin(papers, tmp_path / "out", chunk=7)
    key = {row["document"]: row["document_sha256"] for row in alone["figures"]}
    attempts = run.name("attempts/000000.json")
    run.store.write(attempts, extraction.dump(key["b.pdf"], {key["b.pdf"]: 2, key["e.pdf"]: 2}))
    step(None, 0, 2)
    [facts] = run.facts()
    reason = "set aside after 3 attempts: its task did not come to its end"
    assert facts["failures"].pop(str(papers / "b.pdf")) == reason
    assert list(facts["failures"]) == [str(papers / "broken.pdf")]
    documents = {row["document"] for row in rows(str(tmp_path / "out"), "figures")}
    assert documents == key.keys() - {"b.pdf"}


@pytest.mark.slow
def test_a_document_that_kills_its_task_is_found_and_no_other_is_blamed(papers, alone, tmp_path):
    run, _ = begin(papers, tmp_path / "out", chunk=7)
    code = (
        "import sys, cluster_samples; from cephalo.dataset_scripts.pdf import jobs; "
        "jobs.extract_to_shard = cluster_samples.kill_task; "
        "from cephalo.dataset_scripts.cluster.extraction import *; "
        "ExtractChunks(sys.argv[1], Settings(text=True), 60, 1)(None, 0, 2)"
    )
    environment = os.environ | {"DEATHS": str(tmp_path / "deaths")}
    command = [sys.executable, "-c", code, str(tmp_path / "out")]
    codes = [subprocess.run(command, env=environment, cwd=SAMPLES).returncode for _ in range(5)]
    # Once among all, three times alone, and then the task goes on without it.
    assert codes == [-9, -9, -9, -9, 0]
    assert len((tmp_path / "deaths").read_text().split()) == 4
    [facts] = run.facts()
    assert facts["failures"][str(papers / "b.pdf")] == (
        "set aside after 3 attempts: its task did not come to its end"
    )
    assert len(facts["failures"]) == 2  # and the broken one
    documents = {row["document"] for row in rows(str(tmp_path / "out"), "figures")}
    assert documents == {row["document"] for row in alone["figures"]} - {"b.pdf"}


# --- submission


def stand_in(folder: Path, name: str, lines: str) -> None:
    """A script in place of one of Slurm's commands."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{lines}\n")
    (folder / name).chmod(0o755)


def test_nothing_is_submitted_while_tasks_are_alive(papers, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    run, step = begin(papers, tmp_path / "out")
    cluster = Cluster(2, "cpu", "1:00:00", 1, 2)
    with pytest.raises(CephaloError, match="sbatch was not found"):
        slurm.submit(run, step, 4, cluster)
    stand_in(tmp_path / "bin", "sbatch", f"echo $@ >> {tmp_path}/submitted; echo job 12")
    stand_in(tmp_path / "bin", "squeue", "echo 11; echo 11")
    with pytest.raises(CephaloError, match=r"0 of 4 chunks are done and 2 tasks of cephalo-extr"):
        slurm.submit(run, step, 4, cluster)
    stand_in(tmp_path / "bin", "squeue", "echo down >&2; exit 1")
    with pytest.raises(CephaloError, match=r"squeue failed \(down\)"):
        slurm.submit(run, step, 4, cluster)
    assert not (tmp_path / "submitted").exists()


def test_only_ranks_with_missing_chunks_are_submitted(papers, tmp_path, monkeypatch):
    run, step = begin(papers, tmp_path / "out")
    step(None, 0, 4)
    stand_in(tmp_path / "bin", "sbatch", f"cat $2 > {tmp_path}/script; echo job 12")
    stand_in(tmp_path / "bin", "squeue", "exit 0")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert slurm.submit(run, step, 4, Cluster(4, None, "1:30:00", 3, 2)) == "12"
    [logs] = (tmp_path / "out" / "extract-run" / "logs").iterdir()
    assert json.loads((logs / "ranks_to_run.json").read_text()) == [1, 2, 3]
    directives = (tmp_path / "script").read_text()
    assert "#SBATCH --array=0-2" in directives
    assert "#SBATCH --time=1:30:00" in directives
    assert "#SBATCH --cpus-per-task=3" in directives
    assert "--partition" not in directives
    for rank in range(1, 4):
        step(None, rank, 4)
    assert slurm.submit(run, step, 4, Cluster(4, None, "1:30:00", 3, 2)) is None


def test_what_a_cluster_does_not_read_is_refused(papers, tmp_path):
    ask = [str(papers), "--out", str(tmp_path / "out")]
    with pytest.raises(CephaloError, match="--slurm reads PDF files only; leave out wikis"):
        run_command("extract", [*ask, "--slurm", "2", "--wikipedia", "Nacre"])
    with pytest.raises(CephaloError, match="s3://lab/papers: addresses are for --slurm"):
        run_command("extract", ["s3://lab/papers", "--out", str(tmp_path / "out")])
    with pytest.raises(CephaloError, match="gopher://lab cannot be opened"):
        run_command("extract", ["gopher://lab", "--out", str(tmp_path / "out"), "--slurm", "2"])
    assert not (tmp_path / "out").exists()


# --- object stores


@pytest.fixture
def bucket(monkeypatch) -> str:
    """An S3 server on loopback with an empty bucket: moto's, whose store is its memory."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    try:
        store = Store("s3://papers")
        store.fs.mkdir("papers")
        yield "s3://papers"
        store.fs.clear_instance_cache()
    finally:
        server.stop()


def test_papers_and_rows_on_s3(papers, alone, bucket, tmp_path):
    store = Store(bucket)
    for path in sorted(papers.rglob("*.pdf")):
        if path.parent.name != "page_files":
            store.put(path, f"in/{path.relative_to(papers)}")
    out = f"{bucket}/out"
    run, step = begin(f"{bucket}/in", out)
    step(None, 0, 2)
    assert run.done() == {0, 2}
    store.remove("in/e.pdf")  # after the manifest was made
    step(None, 1, 2)
    gone = alone | {
        table: [row for row in alone[table] if row["document"] != "e.pdf"] for table in alone
    }
    assert_same(out, gone)
    failures = {name: why for facts in run.facts() for name, why in facts["failures"].items()}
    assert failures[f"{bucket}/in/e.pdf"] == "it was there when the manifest was made, and is gone"
    assert f"{bucket}/in/broken.pdf" in failures
    store.put(papers / "c" / "d.pdf", "in/a/c.pdf")
    gone = Run(out, "extract").begin(list_files([f"{bucket}/in"], ".pdf", out), 2, record(SETTINGS))
    assert (gone.removed, gone.edited) == (["e.pdf"], ["c.pdf"])


def test_a_store_that_does_not_answer_is_named(tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    ask = ["--out", str(tmp_path / "out"), "--slurm", "2"]
    with pytest.raises(CephaloError, match=r"s3://other/in cannot be reached \(Endpoint"):
        run_command("extract", ["s3://other/in", *ask])
    with pytest.raises(CephaloError, match="s3://other cannot be reached"):
        Store("s3://other").read("run.json")
    assert not (tmp_path / "out").exists()
    Store("s3://other").fs.clear_instance_cache()


ON_THE_HUB = """
import sys
from pathlib import Path
from huggingface_hub import HfApi
sys.path.insert(0, sys.argv[3])
from cluster_samples import begin

papers, out = Path(sys.argv[1]), sys.argv[2]
HfApi().create_repo("alice/papers", repo_type="dataset")
HfApi().upload_folder(repo_id="alice/papers", repo_type="dataset", folder_path=papers)
run, step = begin("hf://datasets/alice/papers", out)
step(None, 0, 1)
print(sorted(name for facts in run.facts() for name in facts["failures"]))
"""


def test_papers_on_the_hub(papers, alone, hub, tmp_path):
    out = tmp_path / "out"
    home = tmp_path / "home"
    home.mkdir()
    printed = hub.run(ON_THE_HUB, home, papers, out, SAMPLES)
    assert printed.splitlines()[-1] == "['hf://datasets/alice/papers/broken.pdf']"
    assert_same(out, alone)
