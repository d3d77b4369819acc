"""Refinement by tasks: packed shards of several papers, the same conversations in any division.
The endpoint is a fake one with a real server."""

import json
import pickle

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from correction_samples import correct
from figure_samples import figure_row
from PIL import Image
from teacher_server import TeacherServer, error, faithful

from cephalo.cli.errors import CephaloError
from cephalo.cli.main import run_command
from cephalo.dataset_scripts.cluster import refinement, slurm
from cephalo.dataset_scripts.cluster.manifest import File
from cephalo.dataset_scripts.common.corrected import corrected_rows, left_out, verdicts_of
from cephalo.dataset_scripts.common.schema import FIGURES
from cephalo.dataset_scripts.refinement.planning import plan
from cephalo.dataset_scripts.refinement.tasks import load_task

WORDS = ["nacre", "bone", "silk", "antler", "wood", "bamboo", "chitin", "enamel", "coral", "horn"]
KEY = "sk-secret-key"


@pytest.fixture
def figures(tmp_path):
    """Three shards of two papers each, of two figures each but for the last, which has none."""
    folder = tmp_path / "read" / "figures"
    folder.mkdir(parents=True)
    for shard in range(3):
        rows = [
            figure_row(
                document,
                number + 1,
                caption=f"Tablets of {WORDS[2 * document + number]} bent at layered borders.",
            )
            for document in (2 * shard, 2 * shard + 1)
            for number in range(2)
            if document < 5
        ]
        table = pa.Table.from_pylist(rows, schema=FIGURES.arrow_schema)
        pq.write_table(table, folder / f"{shard:06d}.parquet")
    return folder.parent


@pytest.fixture
def server():
    with TeacherServer(faithful) as server:
        yield server


@pytest.fixture
def submitted(monkeypatch):
    """Steps in place of their submission to Slurm."""
    steps = []

    def submit(run, step, chunks, cluster):
        steps.append(pickle.dumps(step))
        return None if len(run.done()) == chunks else "12"

    monkeypatch.setattr(refinement, "submit", submit)
    return steps


def refine(figures, out, server, *more: str) -> None:
    asked = [str(figures), "--out", str(out), "--base-url", server.url, "--model", "fake"]
    asked += ["--tasks", "describe,compare", "--api-key", KEY, *more]
    run_command("refine", asked)


def conversations(out) -> list[dict]:
    shards = sorted((out / "conversations").glob("*.parquet"))
    return [row for shard in shards for row in pq.read_table(shard).to_pylist()]


def run_all(steps: list[bytes], tasks: int) -> None:
    for rank in range(tasks):
        pickle.loads(steps[-1])(None, rank, tasks)


def test_figures_are_compared_within_their_paper_in_a_shard_of_several():
    rows = [
        {"document_sha256": paper, "caption": caption}
        for paper, caption in [
            ("a", "Hardness of annealed PA12."),
            ("a", "Hardness of quenched PA12."),
            ("b", "Hardness of annealed PA12."),
            ("c", "Tablets of nacre before bending."),
            ("c", "Tablets of nacre after bending."),
        ]
    ]
    items = plan(rows, [load_task("describe"), load_task("compare")])
    assert [(item.task.name, item.places) for item in items] == [
        *[("describe", [0]), ("describe", [1]), ("compare", [0, 1]), ("describe", [2])],
        *[("describe", [3]), ("describe", [4]), ("compare", [3, 4])],
    ]
    assert [row["caption"] for row in items[-1].figures] == [row["caption"] for row in rows[3:]]


def test_tasks_give_the_conversations_of_one_machine(figures, server, submitted, tmp_path, capsys):
    refine(figures, tmp_path / "alone", server)
    asked = len(server.requests)
    out = tmp_path / "out"
    refine(figures, out, server, "--slurm", "2")
    assert "submitted job 12: 0 of 3 shards are done" in capsys.readouterr().out
    run_all(submitted, 2)
    alone = conversations(tmp_path / "alone")
    assert len(alone) >= 10
    assert conversations(out) == alone
    assert len(server.requests) == 2 * asked
    run_all(submitted, 3)
    assert len(server.requests) == 2 * asked
    refine(figures, out, server, "--slurm", "2")
    assert "all 3 shards are done" in capsys.readouterr().out
    report = json.loads((out / "report.json").read_text())
    assert report["run"]["requests"] == asked
    one = json.loads((tmp_path / "alone" / "report.json").read_text())
    for name in ("teacher", "params", "tasks", "checks"):
        assert report[name] == one[name]


def test_captions_make_the_report_of_one_machine(figures, submitted, tmp_path):
    for name, more in (("alone", []), ("out", ["--slurm", "2"])):
        ask = [str(figures), "--out", str(tmp_path / name), "--teacher", "caption", *more]
        run_command("refine", ask)
    run_all(submitted, 2)
    run_command("refine", ask)
    found = [json.loads((tmp_path / n / "report.json").read_text()) for n in ("alone", "out")]
    assert list(found[1]["tasks"]) == ["caption"]
    for name in ("teacher", "params", "tasks", "checks", "all_runs"):
        assert found[0][name] == found[1][name]


def test_no_file_and_no_step_holds_a_key(figures, server, submitted, tmp_path):
    out = tmp_path / "out"
    refine(figures, out, server, "--slurm", "1")
    run_all(submitted, 1)
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert KEY.encode() not in submitted[0]
    for path in out.rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes(), path


def test_a_task_whose_server_is_gone_is_not_done_and_asks_nothing_twice(
    figures, server, submitted, tmp_path
):
    out = tmp_path / "out"
    more = ["--max-retries", "0", "--max-concurrency", "1"]
    refine(figures, out, server, "--slurm", "1", *more)
    with pytest.raises(CephaloError, match="answers 401 to model fake"):
        step = pickle.loads(submitted[0])
        server.faults = [None] * 18 + [error(401, "no")] * 50
        step(None, 0, 1)
    assert sorted(path.name for path in (out / "refine-run" / "chunks").iterdir()) == [
        "000000.json"
    ]
    server.faults = []
    before = len(server.requests)
    run_all(submitted, 1)
    # Four questions and one comparison of each pair, and two requests for a second look at each
    # answer; the last shard has one paper.
    assert len(server.requests) - before == 3 * (6 + 3)
    assert len(list((out / "refine-run" / "chunks").iterdir())) == 3


def test_rejected_answers_are_asked_again(figures, server, submitted, tmp_path):
    out = tmp_path / "out"
    server.faults = ['"no form"'] * 6
    refine(figures, out, server, "--slurm", "1", "--max-retries", "2", "--max-concurrency", "1")
    run_all(submitted, 1)
    rejected = [path.stem for path in (out / "rejected").iterdir()]
    assert "000000" in rejected
    again = ["--retry-rejected", "--max-retries", "2", "--max-concurrency", "1"]
    refine(figures, out, server, "--slurm", "1", *again)
    open_ = {"000000", "000001", "000002"} - set(rejected)
    done = {path.stem for path in (out / "refine-run" / "chunks").iterdir()}
    assert done == open_
    run_all(submitted, 1)
    assert "000000" not in [path.stem for path in (out / "rejected").iterdir()]


def test_decisions_open_the_shards_that_they_are_about(figures, server, submitted, tmp_path):
    out = tmp_path / "out"
    server.model = lambda body: faithful(body).replace('"agrees"', '"undecided"')
    refine(figures, out, server, "--slurm", "1")
    run_all(submitted, 1)
    assert conversations(out) == []
    lines = (out / "undecided" / "000001.jsonl").read_text().splitlines()
    decided = {"id": json.loads(lines[0])["id"], "shard": "000001", "decision": "accept"}
    (tmp_path / "decided.jsonl").write_text(json.dumps(decided))
    before = len(server.requests)
    refine(figures, out, server, "--slurm", "1", "--decisions", str(tmp_path / "decided.jsonl"))
    done = {path.stem for path in (out / "refine-run" / "chunks").iterdir()}
    assert done == {"000000", "000002"}
    run_all(submitted, 1)
    assert len(conversations(out)) == 1 and len(server.requests) == before


def test_conversations_of_shards_removed_or_edited_are_left_out(
    figures, server, submitted, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(slurm, "tasks_alive", lambda name: 0)
    out = tmp_path / "out"

    def run() -> list[str]:
        refine(figures, out, server, "--slurm", "1")
        run_all(submitted, 1)
        return sorted({row["document"] for row in conversations(out)})

    everything = run()
    refine(figures, out, server, "--slurm", "1")
    capsys.readouterr()
    (first, second, _) = sorted((figures / "figures").iterdir())
    before = first.read_bytes()
    first.rename(tmp_path / first.name)
    table = pq.read_table(second)
    pq.write_table(table.slice(0, 2), second)  # its first paper
    refine(figures, out, server, "--slurm", "1")
    told = "left out 2 documents that are no longer in the input: "
    assert told + "000000.parquet (removed), 000001.parquet (edited)" in capsys.readouterr().err
    stale = {row["document"] for row in conversations(out)}
    left = run()
    assert stale < set(left) < set(everything)
    assert len(everything) - len(left) == 3
    first.write_bytes(before)
    pq.write_table(table, second)
    assert run() == everything
    asked = len(server.requests)
    assert run() == everything
    assert len(server.requests) == asked


def test_other_settings_and_places_are_refused(figures, server, submitted, tmp_path):
    out = tmp_path / "out"
    refine(figures, out, server, "--slurm", "1")
    with pytest.raises(CephaloError, match=r"was made with seed 0; use the same or another --out"):
        refine(figures, out, server, "--slurm", "1", "--seed", "1")
    with pytest.raises(CephaloError, match="give --out a folder that all machines share"):
        refine(figures, "s3://lab/out", server, "--slurm", "1")
    with pytest.raises(CephaloError, match="s3://lab/read: addresses are for --slurm"):
        refine("s3://lab/read", out, server)
    with pytest.raises(CephaloError, match="figures: no such file or folder"):
        refine(tmp_path / "nothing", tmp_path / "other", server, "--slurm", "1")


def test_shards_that_people_corrected_are_done_again(figures, server, submitted, tmp_path, capsys):
    out = tmp_path / "out"
    refine(figures, out, server, "--slurm", "1")
    run_all(submitted, 1)
    before = {path.name: path.stat().st_mtime_ns for path in (out / "conversations").glob("*")}
    correct(figures, "state", "rejected", document="paper-2.pdf")
    capsys.readouterr()
    refine(figures, out, server, "--slurm", "1")
    assert "submitted job 12: 2 of 3 shards are done" in capsys.readouterr().out
    run_all(submitted, 1)
    after = {path.name: path.stat().st_mtime_ns for path in (out / "conversations").glob("*")}
    assert [name for name in before if before[name] != after[name]] == ["000001.parquet"]
    shown = {key["label"] for row in conversations(out) for key in row["figures"]
             if row["document"] == "paper-2.pdf"}  # fmt: skip
    assert shown == {"Figure 2"}
    refine(figures, out, server, "--slurm", "1")
    assert "all 3 shards are done" in capsys.readouterr().out


def test_corrections_come_with_a_shard_from_elsewhere(figures, tmp_path):
    """A store in memory stands for one on the network."""
    store = fsspec.filesystem("memory")
    correct(figures, "caption", "True.")
    row = correct(figures, "bbox", [80, 80, 100, 100], label="Figure 2")
    [crop] = (
        found.crop for found in verdicts_of(figures / "figures" / "000000.parquet").values()
        if found.crop
    )  # fmt: skip
    crop.parent.mkdir()
    Image.new("RGB", (20, 20), "red").save(crop)
    store.put(str(figures), "/lab/read", recursive=True)
    local = refinement.fetch(File("memory://lab/read/figures/000000.parquet", 1), tmp_path)
    rows = list(corrected_rows(local, FIGURES))
    assert rows[0]["caption"] == "True." and rows[1]["bbox"] == row.after
    assert (rows[1]["width"], rows[1]["height"]) == (20, 20)
    assert not any(map(left_out, rows))
    store.rm("/lab", recursive=True)
