"""`cephalo refine`: what is written, what survives a kill, what is asked again. The endpoint is a
fake one with a real server; see test_refine_real.py for real models."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from figure_samples import write_figures
from refine_samples import material_figures, rows_of, set_aside
from refine_samples import refine as refine_and_verify
from teacher_server import TeacherServer, caption_of, error, faithful
from warm_python import kill, warm_python

from cephalo.cli.main import main
from cephalo.dataset_scripts.common.conversations import caption_conversation
from cephalo.dataset_scripts.common.schema import CONVERSATIONS
from cephalo.dataset_scripts.refinement import asking, documents
from cephalo.dataset_scripts.refinement.options import TASKS
from cephalo.dataset_scripts.refinement.tasks import load_prompt, load_task


@pytest.fixture
def figures(tmp_path) -> Path:
    """Two documents of three figures about materials of their own."""
    return material_figures(tmp_path / "figures")


@pytest.fixture
def server():
    with TeacherServer(faithful) as server:
        yield server


def refine(figures: Path, out: Path, server: TeacherServer, *more: str) -> dict:
    """Run the command without a second look; the report."""
    return refine_and_verify(figures, out, server, "--no-verify", *more)


def test_the_caption_teacher_asks_nobody(figures, capsys):
    main(["refine", str(figures), "--teacher", "caption", "--out", str(figures)])
    shards = sorted((figures / "figures").glob("*.parquet"))
    assert [shard.name for shard in sorted((figures / "conversations").iterdir())] == [
        shard.name for shard in shards
    ]
    expected = [
        caption_conversation(row) for shard in shards for row in pq.read_table(shard).to_pylist()
    ]
    found = rows_of(figures)
    scores = [json.loads(row.pop("scores")) for row in found]
    assert found == [{k: v for k, v in row.items() if k != "scores"} for row in expected]
    assert scores[0] == {"likeness": 1.0, "shared_words": 1.0, "words": 7}
    assert "6 of 6 conversations accepted" in capsys.readouterr().out


def test_the_images_of_a_shard_are_looked_through_once(figures, monkeypatch):
    read, part_figures = [], documents.part_figures
    monkeypatch.setattr(
        documents,
        "part_figures",
        lambda shard, where: read.append(shard.stem) or part_figures(shard, where),
    )
    main(["refine", str(figures), "--teacher", "caption", "--out", str(figures)])
    assert read == sorted(shard.stem for shard in (figures / "figures").glob("*.parquet"))


def test_every_task_becomes_rows(figures, server, tmp_path):
    report = refine(figures, tmp_path / "out", server)
    rows = rows_of(tmp_path / "out")
    counts = dict.fromkeys(TASKS.split(","), 6) | {"questions": 18, "compare": 2}
    assert report["tasks"] == {
        name: {"accepted": count, "rejected": 0} for name, count in counts.items()
    }
    assert len(rows) == sum(counts.values()) and len(server.requests) == 5 * 6 + 2
    by_task = {row["task"]: row for row in rows}
    for name, row in by_task.items():
        assert row["teacher"] == "fake" and row["task_version"] == load_task(name).version
        params = json.loads(row["teacher_params"])
        assert (params["model"], params["seed"]) == ("fake", 0)
        assert params["system_version"] == load_prompt("system").version
        assert "secret" not in str(row) and "127.0.0.1" not in row["teacher_params"]
        parts = row["prompt"][0]["content"]
        assert [part["type"] for part in parts] == ["image"] * len(row["images"]) + ["text"]
        assert parts[-1]["text"] == row["query"]
        assert row["completion"][0]["content"][0]["text"] in row["answer"]
        assert json.loads(row["scores"])["words"] > 5
    queries = {row["query"] for row in rows if row["task"] == "describe"}
    assert len(queries) > 1 and queries < set(load_task("describe").openings)
    depths = [json.loads(row["scores"]).get("depth") for row in rows[:7]]
    assert depths == [None, None, "observe", "understand", "infer", None, None]
    talk = by_task["talk"]
    assert [message["role"] for message in talk["completion"]] == ["assistant", "user", "assistant"]
    assert "\n\nQ: And what follows from it?\n\nA: " in talk["answer"]
    compare = by_task["compare"]
    assert len(compare["images"]) == 3 and compare["orig_caption"].count("\n\n") == 2
    assert [figure["label"] for figure in compare["figures"]] == [f"Figure {n}" for n in (1, 2, 3)]
    explain = by_task["explain"]["answer"]
    assert explain.startswith("First, ") and "\n\nThe picture tells about" in explain


def test_datasets_and_trl_take_the_rows_as_they_are(figures, server, tmp_path):
    from datasets import load_dataset

    refine(figures, tmp_path / "out", server, "--tasks", "describe,talk,compare")
    shards = str(tmp_path / "out" / "conversations" / "*.parquet")
    rows = load_dataset("parquet", data_files=shards, split="train", cache_dir=tmp_path / "hf")
    assert rows.features == CONVERSATIONS
    assert rows[0]["images"][0].size == (90, 60)

    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor
    from trl import SFTConfig, SFTTrainer

    from modeling_cephalo.tiny import make_tiny_idefics2

    make_tiny_idefics2(tmp_path / "tiny", rows["answer"])
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "tiny")
    before = [parameter.clone() for parameter in model.parameters()]
    settings = SFTConfig(
        output_dir=str(tmp_path / "sft"),
        max_steps=2,
        max_length=None,
        per_device_train_batch_size=7,
        learning_rate=1e-3,
        use_cpu=True,
        bf16=False,
        report_to="none",
        remove_unused_columns=False,
    )
    trainer = SFTTrainer(
        model,
        args=settings,
        train_dataset=rows.select_columns(["images", "prompt", "completion"]),
        processing_class=AutoProcessor.from_pretrained(tmp_path / "tiny"),
    )
    trainer.train()
    after = list(trainer.model.parameters())
    assert sum(not torch.equal(a.cpu(), b) for a, b in zip(after, before, strict=True)) > 20


def test_ctrl_c_leaves_a_report_of_what_arrived(figures, tmp_path, capsys, monkeypatch):
    """In the log of a run without a terminal a line comes every so many questions."""
    monkeypatch.setattr(asking, "LINE_EVERY", 2)

    def model(body: dict) -> str:
        if len(server.requests) == 5:  # of six, one in flight at a time
            time.sleep(0.5)  # until the fourth reply is counted
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.2)
        return faithful(body)

    command = ["refine", str(figures), "--out", str(tmp_path / "out"), "--tasks", "describe"]
    command += ["--no-verify", "--model", "fake", "--api-key", "k", "--max-concurrency", "1"]
    with TeacherServer(model) as server:
        with pytest.raises(SystemExit) as ended:
            main([*command, "--base-url", server.url])
        assert ended.value.code == 130
        said = capsys.readouterr()
        assert "\n2 of 6 questions, " in said.err and "\n4 of 6 questions, " in said.err
        assert said.err.endswith("cephalo: stopped; the same command resumes\n")
        report = json.loads((tmp_path / "out" / "report.json").read_text())
        assert report["run"]["stopped"] == "Ctrl-C" and report["run"]["answered"] == 4
        assert report["tasks"]["describe"]["accepted"] == 4
        assert "stopped early: Ctrl-C" in (tmp_path / "out" / "report.html").read_text()
        before = len(server.requests)
        main([*command, "--base-url", server.url])
        assert len(server.requests) == before + 2
        assert "6 of 6 conversations accepted" in capsys.readouterr().out


def test_a_killed_run_goes_on_and_asks_nothing_twice(figures, tmp_path):
    with TeacherServer(faithful, latency=0.05) as server:
        whole = tmp_path / "whole"
        refine(figures, whole, server)
        total = len(server.requests)
        server.requests.clear()
        out = tmp_path / "killed"
        command = [warm_python(), "-m", "cephalo.cli.main", "refine", str(figures)]
        command += ["--out", str(out), "--base-url", server.url, "--model", "fake"]
        command += ["--max-concurrency", "2", "--no-verify"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while len(server.requests) < 12 and process.poll() is None:
            time.sleep(0.01)
        kill(process)
        time.sleep(0.2)  # what was in flight
        asked = len(server.requests)
        assert 12 <= asked < total
        refine(figures, out, server, "--max-concurrency", "2")
    # Only what was in flight at the kill, two at most, had no answer on disk.
    assert total <= len(server.requests) <= total + 2
    assert rows_of(out) == rows_of(whole)
    assert not list(out.rglob("*.tmp"))


def test_a_finished_folder_is_left_alone_and_new_settings_use_what_is_cached(
    figures, server, tmp_path
):
    out = tmp_path / "out"
    refine(figures, out, server, "--tasks", "describe,talk")
    made = {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")}
    report = refine(figures, out, server, "--tasks", "describe,talk")
    assert report["run"]["done_before"] == 2 and report["run"]["requests"] == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")} == made
    assert len(server.requests) == 12
    report = refine(figures, out, server, "--tasks", "describe,explain")
    assert len(server.requests) == 18  # explain alone was new
    assert set(report["tasks"]) == {"describe", "explain"}
    assert report["run"]["cached"] == 6 and report["all_runs"]["replies"] == 18


def test_budgets_stop_a_run_that_goes_on_later(figures, server, tmp_path, capsys):
    out = tmp_path / "out"
    tasks = ["--tasks", "describe,design", "--max-concurrency", "1"]
    report = refine(figures, out, server, *tasks, "--max-requests", "8")
    assert len(server.requests) == 8
    assert "8 requests were sent" in report["run"]["stopped"]
    assert "run the same command again to continue" in capsys.readouterr().err
    assert len(rows_of(out)) == 8  # what was answered is there
    report = refine(figures, out, server, *tasks, "--max-total-tokens", "10000")
    assert len(server.requests) == 12 and report["run"]["stopped"] is None
    assert len(rows_of(out)) == 12
    assert report["run"]["done_before"] == 1


def test_cost_is_told_when_prices_are_given(figures, server, tmp_path):
    prices = ["--price-in", "2.5", "--price-out", "10"]
    report = refine(figures, tmp_path / "out", server, "--tasks", "describe", *prices)
    assert report["run"]["prompt_tokens"] == 600 and report["run"]["completion_tokens"] == 120
    assert report["run"]["cost"] == report["all_runs"]["cost"] == pytest.approx(0.0027)


def test_rejected_answers_are_kept_with_reasons_and_asked_again(figures, server, tmp_path):
    good, server.model = (
        faithful,
        lambda body: json.dumps(
            {"description": "The tablets of nacre slid by 77 nm, as Figure 3 and the caption say."}
        ),
    )
    out, tasks = tmp_path / "out", ["--tasks", "describe"]
    report = refine(figures, out, server, *tasks)
    assert report["tasks"] == {"describe": {"accepted": 0, "rejected": 6}}
    assert report["checks"]["number"] == {"describe": 6}
    line = set_aside(out)[0]
    assert line["failed"]["number"].startswith("77 nm: ") and line["failed"]["length"]
    assert line["failed"]["dangling_reference"] == "Figure 3"
    assert line["turns"][0]["answer"].startswith("The tablets") and line["document"]
    # Not asked again by itself, and only the rejected ones when told to.
    refine(figures, out, server, *tasks)
    assert len(server.requests) == 6
    server.model = lambda body: good(body) if "nacre" in caption_of(body) else "{}"
    report = refine(figures, out, server, *tasks, "--retry-rejected", "--max-retries", "0")
    assert len(server.requests) == 12
    assert report["tasks"] == {"describe": {"accepted": 1, "rejected": 5}}
    assert [row["task"] for row in rows_of(out)] == ["describe"]
    assert json.loads(rows_of(out)[0]["teacher_params"])["round"] == 1
    server.model = good
    report = refine(figures, out, server, *tasks, "--retry-rejected")
    assert len(server.requests) == 17
    assert report["tasks"] == {"describe": {"accepted": 6, "rejected": 0}}
    assert not set_aside(out)


def test_answers_nearly_equal_to_others_are_set_aside(figures, server, tmp_path):
    said = "Tablets bent at layered borders carry the load together and share what breaks them. "
    server.model = lambda body: json.dumps({"description": said * 2})
    report = refine(figures, tmp_path / "out", server, "--tasks", "describe")
    assert report["tasks"]["describe"] == {"accepted": 1, "rejected": 5}
    assert report["checks"]["near_equal"] == {"describe": 5}
    assert rows_of(tmp_path / "out")[0]["figures"][0]["label"] == "Figure 1"  # the first is kept


def test_one_question_without_an_answer_does_not_stop_the_others(figures, server, tmp_path):
    out, bad = tmp_path / "out", error(500, "out of memory")
    server.faults = [bad] * 2
    arguments = ["--tasks", "describe", "--max-retries", "1", "--max-concurrency", "1"]
    report = refine(figures, out, server, *arguments)
    assert report["run"]["unanswered"] == 1 and report["tasks"]["describe"]["accepted"] == 5
    [line] = set_aside(out)
    assert "no answer after 2 tries" in line["failed"]["no_answer"]
    assert "out of memory" in line["failed"]["no_answer"]
    refine(figures, out, server, *arguments)  # the next run asks it alone
    assert len(server.requests) == 8 and not set_aside(out)
    assert len(rows_of(out)) == 6


def test_a_text_only_teacher_gets_no_images(figures, server, tmp_path):
    refine(figures, tmp_path / "out", server, "--tasks", "describe", "--text-only")
    kinds = {part["type"] for body in server.requests for part in body["messages"][1]["content"]}
    assert kinds == {"text"}
    assert len(rows_of(tmp_path / "out")[0]["images"]) == 1  # the row has it all the same


def test_the_report_shows_and_escapes(figures, server, tmp_path):
    evil = "<script>alert(1)</script> Tablets of nacre bent at layered borders, and so on. "
    server.model = lambda body: json.dumps({"description": evil * 2})
    refine(figures, tmp_path / "out", server, "--tasks", "describe")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<script>" not in page and "&lt;script&gt;alert(1)" in page
    assert "data:image/jpeg;base64," in page
    assert "<code>markup</code>" in page and "sk-secret" not in page
    assert "http://" not in page and "https://" not in page  # nothing is loaded


def test_the_key_is_in_no_file(figures, server, tmp_path):
    refine(figures, tmp_path / "out", server, "--tasks", "describe")
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(files) > 4
    assert not [path for path in files if b"sk-secret-key" in path.read_bytes()]


BAD = [
    (["--teacher", "endpoint"], "no --model"),
    (["--model", "fake"], "OPENAI_API_KEY"),
    (["--model", "x", "--base-url", "http://127.0.0.1:9/v1", "--max-retries", "0"], "be reached"),
    (["--model", "x", "--base-url", "nowhere"], "--base-url"),
    (["--model", "x", "--tasks", "describe,sing"], "choose from describe, explain"),
    (["--teacher", "caption", "--judge-threshold", "9"], "--judge-threshold"),
    (["--teacher", "/no/such/checkpoint"], "cannot load /no/such/checkpoint"),
    (["--model", "x", "--judge", "y", "--no-verify"], "--judge requires verification"),
    (["--teacher", "caption", "--prompts", "/no/such/folder"], "no such folder"),
    (["--teacher", "caption", "--checks", "nowhere:check"], "no module named 'nowhere'"),
    (["--teacher", "caption", "--decisions", "/no/file.jsonl"], "cannot read decisions from"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_options_are_one_line(figures, tmp_path, monkeypatch, arguments, message):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(SystemExit) as stop:
        main(["refine", str(figures), "--out", str(tmp_path / "out"), *arguments])
    assert message in str(stop.value) and "\n" not in str(stop.value)
    assert str(stop.value).startswith("cephalo: error: ")


def test_bad_inputs_are_one_line(figures, tmp_path):
    def fails(folder: Path, out: Path, message: str) -> None:
        with pytest.raises(SystemExit, match=message):
            main(["refine", str(folder), "--teacher", "caption", "--out", str(out)])

    fails(tmp_path / "nothing", tmp_path / "out", "contains no figures; run `cephalo extract`")
    (tmp_path / "file").write_text("")
    fails(figures, tmp_path / "file" / "out", "cannot write to .*choose another folder")
    shard = figures / "figures" / "paper-1.parquet"
    shard.write_bytes(shard.read_bytes()[:1000])
    fails(figures, tmp_path / "out", "paper-1.parquet .*delete it")
    pq.write_table(pq.read_table(figures / "figures" / "paper-0.parquet", columns=["page"]), shard)
    fails(figures, tmp_path / "out", "paper-1.parquet .*has no column")


def test_two_runs_do_not_write_to_one_folder(figures, tmp_path):
    import fcntl

    out = tmp_path / "out"
    out.mkdir()
    with (out / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(SystemExit, match="another run is writing"):
            main(["refine", str(figures), "--teacher", "caption", "--out", str(out)])


def test_captions_and_images_are_needed(tmp_path):
    folder = write_figures(tmp_path / "figures", documents=1, caption="")
    main(["refine", str(folder), "--teacher", "caption", "--out", str(tmp_path / "out")])
    assert rows_of(tmp_path / "out") == []
    assert (tmp_path / "out" / "conversations" / "paper-0.parquet").exists()
