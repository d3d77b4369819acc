"""Extraction on a real Slurm of two nodes: what is killed on the way changes no row."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cluster_samples import read_alone, rows
from pdf_samples import one_figure
from slurm_cluster import Cluster, missing_programs, slurm_cluster, wait_for
from teacher_server import TeacherServer, faithful
from test_scale import bucket as bucket  # the fixture

from cephalo.cli.main import run_command
from cephalo.dataset_scripts.cluster.runs import Run
from cephalo.dataset_scripts.cluster.store import Store

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(missing_programs()),
        reason=f"needs Slurm and munge as root: no {', '.join(missing_programs())}",
    ),
]

PAPERS = 480  # in 8 chunks
CEPHALO = [sys.executable, "-m", "cephalo.cli.main"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with slurm_cluster(tmp_path_factory.mktemp("slurm") / "s") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def papers(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("papers")
    letters = random.Random(0)
    for number in range(PAPERS):
        words = ["".join(letters.choices("abdeilmnorstu", k=6)) for _ in range(4)]
        caption = "Tablets of {} and {} bent at {} borders of {}.".format(*words)
        one_figure(folder / f"{number:04d}.pdf", caption, seed=number)
    (folder / "twin.pdf").write_bytes((folder / "0000.pdf").read_bytes())
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 and nothing more")
    return folder


@pytest.fixture(scope="module")
def alone(papers, tmp_path_factory) -> dict[str, list[dict]]:
    return read_alone(papers, tmp_path_factory.mktemp("alone"))


def extract(cluster: Cluster, papers, out, **environment: str) -> subprocess.CompletedProcess:
    """The command of a user: two tasks."""
    command = [*CEPHALO, "extract", str(papers), "--out", str(out), "--text", "--slurm", "2"]
    command += ["--time", "0:20:00", "--mem-per-cpu", "1"]
    return subprocess.run(
        command, env=cluster.environment | environment, capture_output=True, text=True
    )


def wait_for_chunks(run: Run, count: int) -> None:
    wait_for(lambda: len(run.done()) >= count, 120, f"{count} chunks")


def assert_whole(run: Run, done: subprocess.CompletedProcess, alone) -> None:
    """All chunks are done, and their rows are those of one machine, each once a chunk."""
    assert "all 8 chunks are done" in done.stdout, done.stdout + done.stderr
    for table, expected in alone.items():
        assert rows(run.out, table) == expected
    assert sum(facts["figures"] for facts in run.facts()) == PAPERS + 1  # and the twin
    names = [f"{number:06d}.parquet" for number in range(8)]
    assert run.store.names("figures") == run.store.names("text") == names


def test_a_task_is_killed(cluster, papers, alone, tmp_path):
    run = Run(str(tmp_path / "out"), "extract")
    assert "submitted job" in extract(cluster, papers, run.out).stdout
    refused = extract(cluster, papers, run.out)
    assert refused.returncode == 1
    assert "2 tasks of cephalo-extract-" in refused.stderr
    wait_for_chunks(run, 2)
    pids = [pid for pid in cluster.processes("n1") if is_step(pid)]
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    cluster.wait()
    missing = set(range(8)) - run.done()
    assert 0 < len(missing) < 6
    assert "submitted job" in extract(cluster, papers, run.out).stdout
    [*_, logs] = sorted((tmp_path / "out" / "extract-run" / "logs").iterdir())
    ranks = json.loads((logs / "ranks_to_run.json").read_text())
    assert ranks == sorted({number % 2 for number in missing})
    cluster.wait()
    assert_whole(run, extract(cluster, papers, run.out), alone)


def is_step(pid: int) -> bool:
    """Whether a process is the one that runs our step."""
    command = Path(f"/proc/{pid}/cmdline").read_bytes()
    return b"launch_pickled_pipeline" in command and b"python" in command.split(b"\0")[0]


def test_a_node_is_lost(cluster, papers, alone, tmp_path):
    run = Run(str(tmp_path / "out"), "extract")
    assert "submitted job" in extract(cluster, papers, run.out).stdout
    wait_for_chunks(run, 2)
    cluster.kill_node("n2")
    try:
        wait_for(lambda: "down" in cluster.ask("sinfo", "-h", "-o", "%T"), 90, "a node down")
        cluster.wait()  # Slurm puts the node's task back into its queue
    finally:
        cluster.start_node("n2")
    assert run.done() == set(range(8))  # without another submission
    assert_whole(run, extract(cluster, papers, run.out), alone)
    wait_for(lambda: "down" not in cluster.ask("sinfo", "-h", "-o", "%T"), 90, "the node")


def test_an_array_is_cancelled_and_submitted_again_and_another_manifest_refused(
    cluster, papers, alone, tmp_path
):
    run = Run(str(tmp_path / "out"), "extract")
    first = extract(cluster, papers, run.out).stdout
    wait_for_chunks(run, 1)
    cluster.ask("scancel", first.split()[2].rstrip(":"))
    cluster.wait()
    assert len(run.done()) < 8
    new = papers / "new.pdf"
    one_figure(new)
    try:
        refused = extract(cluster, papers, run.out)
    finally:
        new.unlink()
    assert refused.returncode == 1
    assert f"of {PAPERS + 2} other files than the {PAPERS + 3}" in refused.stderr
    assert "submitted job" in extract(cluster, papers, run.out).stdout
    cluster.wait()
    assert_whole(run, extract(cluster, papers, run.out), alone)


def test_papers_and_rows_on_s3(cluster, papers, alone, bucket, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where Slurm's own logs go
    store = Store(bucket)
    for path in papers.iterdir():
        store.put(path, f"in/{path.name}")
    names = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")
    reach = {name: os.environ[name] for name in names}
    run = Run(f"{bucket}/out", "extract")
    assert "submitted job" in extract(cluster, f"{bucket}/in", run.out, **reach).stdout
    wait_for_chunks(run, 2)
    [pid, *_] = [pid for pid in cluster.processes("n1") if is_step(pid)]
    os.kill(pid, signal.SIGKILL)
    cluster.wait()
    assert "submitted job" in extract(cluster, f"{bucket}/in", run.out, **reach).stdout
    cluster.wait()
    assert_whole(run, extract(cluster, f"{bucket}/in", run.out, **reach), alone)


def test_refinement_goes_on_after_a_kill_and_asks_nothing_twice(cluster, papers, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    for number in range(130):
        (few / f"{number:04d}.pdf").symlink_to(papers / f"{number:04d}.pdf")
    run_command("extract", [str(few), "--out", str(tmp_path / "alone"), "--workers", "2"])
    assert "submitted job" in extract(cluster, few, tmp_path / "read").stdout
    cluster.wait()
    out = tmp_path / "out"
    with TeacherServer(faithful, latency=0.1) as server:
        ask = ["--base-url", server.url, "--model", "fake", "--tasks", "describe"]
        command = [*CEPHALO, "refine", str(tmp_path / "read"), "--out", str(out), *ask]
        command += ["--slurm", "2", "--mem-per-cpu", "2", "--max-concurrency", "1"]
        environment = cluster.environment | {"OPENAI_API_KEY": "sk-secret"}

        def submit() -> str:
            return subprocess.run(
                command, env=environment, check=True, capture_output=True, text=True
            ).stdout

        assert "submitted job" in submit()
        wait_for(lambda: len(server.requests) > 40, 120, "40 requests")
        for node in ("n1", "n2"):
            for pid in cluster.processes(node):
                if is_step(pid):
                    os.kill(pid, signal.SIGKILL)
        cluster.wait()
        before = len(server.requests)
        assert before < 130
        assert "submitted job" in submit()
        cluster.wait()
        assert "all 3 shards are done" in submit()
        assert len(server.requests) <= 130 + 2  # two were in flight when their tasks died
        run_command("refine", [str(tmp_path / "alone"), "--out", str(tmp_path / "one"), *ask])
    said = [
        sorted((row["document"], row["answer"]) for row in rows(str(folder), "conversations"))
        for folder in (out, tmp_path / "one")
    ]
    assert len(said[0]) > 100
    assert said[0] == said[1]
