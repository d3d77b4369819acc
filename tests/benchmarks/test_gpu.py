"""The GPU run: limits, what is kept of a cut or failed step, its table, and a rehearsal."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch

from benchmarks.gpu import __main__ as gpu
from benchmarks.gpu import report
from benchmarks.gpu.ending import end_tree
from benchmarks.gpu.machine import commit
from benchmarks.gpu.plan import STEPS
from benchmarks.gpu.results import (
    Machine,
    Results,
    Row,
    StepResult,
    append_row,
    read_results,
    read_rows,
)
from cephalo.cli.errors import CephaloError

MACHINE: Machine = {
    **{"device": "Card 1", "memory_gb": 80.0, "cores": 16, "python": "3.12.3"},
    **{"packages": {"trl": "1", "flash-attn": None}, "matmul_tflops": 301.25},
}


def results(scale: str = "full") -> Results:
    rows = [Row("8b: utilisation", 0.512, bar="≥ 0.4"), Row("8b: memory", 90.0, "GB", "≤ 80")]
    steps = {
        "utilisation": StepResult("cut", "", 600.0, [*rows, Row("sdpa", None, note="a | b")]),
        "memory": StepResult("failed", "OutOfMemoryError: <none>", 2.0),
        "generation": StepResult("done", "", 9.0, [Row("dense", 1234.5, "tokens/s")]),
    }
    return Results(MACHINE, "abc1234", scale, steps)


def test_results_are_read_as_written(tmp_path):
    results().write(tmp_path / "results.json")
    assert read_results(tmp_path / "results.json") == results()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the file: Invalid JSON: EOF"),
        ("[]", "the file: Input should be an object"),
        ('{"machine": {}, "commit": "a", "scale": "full"}', "machine.device: Field required"),
    ],
)
def test_another_file_is_no_results_file(text, why, tmp_path):
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(CephaloError, match=rf"results\.json is no results file .*: {why}"):
        read_results(tmp_path / "results.json")


@pytest.mark.parametrize(
    ("row", "met"),
    [
        (Row("a", 0.4, bar="≥ 0.4"), True),
        (Row("a", 0.39, bar="≥ 0.4"), False),
        (Row("a", 1.01, bar="≤ 1"), False),
        (Row("a", None, bar="≤ 1"), None),
        (Row("a", 3.0), None),
    ],
)
def test_bars(row, met):
    assert row.met is met


def test_a_line_cut_by_a_kill_is_left_out(tmp_path):
    rows = tmp_path / "rows.jsonl"
    assert read_rows(rows) == []
    append_row(rows, Row("whole", 1.0))
    with rows.open("a") as file:
        file.write('{"what": "cut", "val')
    assert read_rows(rows) == [Row("whole", 1.0)]


def test_of_rows_that_were_measured_twice_the_last_counts(tmp_path):
    for value in (1.0, 2.0, 3.0):
        append_row(tmp_path / "rows.jsonl", Row("same", value))
    assert read_rows(tmp_path / "rows.jsonl") == [Row("same", 3.0)]


def test_the_table_says_what_was_not_run():
    lines = report.table(results()).splitlines()
    assert "| utilisation | 8b: utilisation | 0.512 | ≥ 0.4, met |  |" in lines
    assert "| utilisation | 8b: memory | 90 GB | ≤ 80, missed |  |" in lines
    assert "| utilisation | sdpa | not run |  | a \\| b |" in lines
    assert f"| utilisation | {STEPS['utilisation'].what} | | | cut |" in lines
    assert any(one.endswith("| failed: OutOfMemoryError: &lt;none> |") for one in lines)
    assert f"| equality | {STEPS['equality'].what} | | | not run |" in lines
    assert not any(one.startswith("| generation") and "done" in one for one in lines)


def test_a_machine_has_one_table_on_the_page():
    page = "# Benchmarks\n\n## On a GPU\n\nWhat it is.\n\n### Card 0\n\nold\n\n## Physics\n\nend\n"
    once = report.with_table(page, results())
    newer = results()
    newer.commit = "def5678"
    twice = report.with_table(once, newer)
    assert twice.count("### Card 1") == 1 and "abc1234" not in twice and "def5678" in twice
    assert twice.index("What it is.") < twice.index("### Card 0") < twice.index("### Card 1")
    assert twice.endswith("\n\n## Physics\n\nend\n")
    assert report.with_table(twice, newer) == twice
    with pytest.raises(CephaloError, match="a rehearsal measures no GPU"):
        report.with_table(page, results("tiny"))
    with pytest.raises(CephaloError, match="no section"):
        report.with_table("# Benchmarks\n", results())


STEP = """
import json, os, sys, time
rows = sys.argv[sys.argv.index("--rows") + 1]
with open(rows, "a") as file:
    print(json.dumps({"what": "first", "value": 2.0, "note": str(len(open(rows).readlines()))}),
          file=file)
child = os.fork()
if WAIT or not child:
    time.sleep(60)
sys.exit(print("ValueError: no kernel") or 1)
"""


@pytest.fixture
def step_of(tmp_path, monkeypatch):
    """Replace the process of a step by a script that writes a row, and then waits or fails."""

    def replace(wait: bool) -> None:
        script = tmp_path / "step"
        script.write_text(f"#!{sys.executable}\n{STEP.replace('WAIT', str(wait))}")
        script.chmod(0o755)
        monkeypatch.setattr(gpu.sys, "executable", str(script))

    monkeypatch.setattr(gpu, "LEAST_SECONDS", 1)
    return replace


FIRST = Row("first", 2.0, note="0")


def run(tmp_path: Path, remaining: float, earlier: StepResult | None = None) -> StepResult:
    """Run a step."""
    own = earlier or StepResult()
    return gpu.run_step("memory", own, tmp_path, "cpu", True, remaining, lambda _: None)


def test_a_step_out_of_time_is_cut_with_its_processes_and_keeps_its_rows(step_of, tmp_path):
    step_of(wait=True)
    start = time.monotonic()
    found = run(tmp_path, remaining=2)
    assert time.monotonic() - start < 15
    assert (found.status, found.rows) == ("cut", [FIRST])


def test_a_step_that_fails_says_why_and_leaves_no_process(step_of, tmp_path):
    step_of(wait=False)
    found = run(tmp_path, remaining=50)
    assert (found.status, found.reason) == ("failed", "ValueError: no kernel")
    assert found.rows == [FIRST] and found.seconds < 15


def test_without_time_a_step_is_not_run_and_keeps_what_it_has(tmp_path):
    assert run(tmp_path, remaining=3) == StepResult(reason="no time was left")
    earlier = StepResult("cut", "", 7.0, [Row("early", 1.0)])
    assert run(tmp_path, remaining=3, earlier=earlier) == earlier


def test_a_step_continues_from_the_results_alone(step_of, tmp_path, monkeypatch):
    step_of(wait=True)
    monkeypatch.setattr(gpu, "SAVE_SECONDS", 0.2)
    limit = STEPS["memory"].tiny_limit
    saved: list[StepResult] = []
    earlier = StepResult("cut", "", limit - 3.0, [Row("early", 1.0)])
    found = gpu.run_step("memory", earlier, tmp_path, "cpu", True, 500, saved.append)
    rows = [Row("early", 1.0), Row("first", 2.0, note="1")]  # it was given one row
    assert (found.status, found.rows) == ("cut", rows)
    assert limit - 0.1 <= found.seconds < limit + 12  # three seconds were left
    # A kill at any moment leaves what was measured until then.
    assert saved[0].status == "cut" and saved[0].rows == earlier.rows
    assert rows in [step.rows for step in saved[:-1]]


def test_steps_that_used_up_their_time_or_failed_come_after_the_others():
    found = Results(MACHINE, "abc1234", "full", {name: StepResult() for name in STEPS})
    found.steps["equality"] = StepResult("failed", "", 3.0)
    found.steps["utilisation"] = StepResult("cut", "", STEPS["utilisation"].limit + 2.0)
    found.steps["memory"] = StepResult("cut", "", 50.0)
    found.steps["script"] = StepResult("done", "", 50.0)
    assert gpu.in_order(list(STEPS), found, tiny=False) == [
        *("memory", "generation", "processes", "science", "utilisation", "equality")
    ]


PARENT = """
import subprocess, sys, time
child = [sys.executable, "-c", sys.argv[1]]
print(subprocess.Popen(child, start_new_session=True).pid, flush=True)
time.sleep(60)
"""
CHILD = """
import os, subprocess, sys
from benchmarks.gpu.step import end_with
parent = os.getppid()
sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
print(subprocess.Popen(sleep, start_new_session=True).pid, flush=True)
end_with(parent)
"""


def gone(pid: int) -> bool:
    """Whether a process ends within some seconds."""
    for _ in range(100):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.1)
    return False


def test_a_step_ends_with_a_run_that_is_killed():
    command = [sys.executable, "-c", PARENT, CHILD]
    with subprocess.Popen(command, cwd=gpu.ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        step, own = int(parent.stdout.readline()), int(parent.stdout.readline())
        assert psutil.pid_exists(step) and psutil.pid_exists(own)
        parent.kill()
        assert gone(step) and gone(own)


def test_processes_in_sessions_of_their_own_end_with_a_step():
    command = [sys.executable, "-c", PARENT, "import time; time.sleep(60)"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout
    own = int(process.stdout.readline())
    end_tree(process)
    process.stdout.close()
    assert process.returncode and gone(own)


def test_a_process_that_leads_no_group_is_ended_too():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    end_tree(process)
    assert process.returncode == -signal.SIGTERM


def test_steps_use_one_gpu(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpu.environment("cuda")["CUDA_VISIBLE_DEVICES"] == "0"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,1")
    assert gpu.environment("cuda")["CUDA_VISIBLE_DEVICES"] == "3"
    assert "CUDA_VISIBLE_DEVICES" not in gpu.environment("cpu")


def test_without_git_the_code_is_named_by_its_hash(tmp_path):
    code = tmp_path / "train" / "sft.py"
    code.parent.mkdir()
    code.write_text("a = 1")
    first = commit(tmp_path)
    assert first.startswith("unknown, code ")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "new.py").write_text("")
    assert commit(tmp_path) == first
    code.write_text("a = 2")
    assert commit(tmp_path) != first


def test_the_same_command_continues_and_another_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "describe", lambda device: MACHINE | {"device": "Card 1"})
    monkeypatch.setattr(gpu, "device_name", lambda device: "Card 1")
    monkeypatch.setattr(gpu, "commit", lambda root: "abc1234")
    asked = []

    def run_step(name, *_):
        asked.append(name)
        return StepResult("cut" if name == "memory" and len(asked) < 3 else "done")

    monkeypatch.setattr(gpu, "run_step", run_step)
    gpu.run_steps(tmp_path, 60, ["memory", "equality"], tiny=True)
    assert asked == ["equality", "memory"]  # in the order of worth
    gpu.run_steps(tmp_path, 60, ["memory", "equality"], tiny=True)
    assert asked == ["equality", "memory", "memory"]
    saved = json.loads((tmp_path / "results.json").read_text())["steps"]
    assert [saved[name]["status"] for name in ("equality", "memory", "science")] == [
        *("done", "done", "not run")
    ]
    monkeypatch.setattr(gpu, "device_name", lambda device: "Card 2")
    with pytest.raises(CephaloError, match=r"is of Card 1, abc1234, tiny and this run of Card 2"):
        gpu.run_steps(tmp_path, 60, ["memory"], tiny=True)
    with pytest.raises(CephaloError, match="--minutes: give a number"):
        gpu.run_steps(tmp_path, float("nan"), ["memory"], tiny=True)
    with pytest.raises(CephaloError, match="--only speed: choose from equality"):
        gpu.run_steps(tmp_path, 60, ["speed"], tiny=True)


def test_without_a_gpu_the_rehearsal_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(CephaloError, match="with --tiny"):
        gpu.gpu()


@pytest.mark.slow
def test_the_rehearsal_runs_every_step(tmp_path):
    found = gpu.run_steps(tmp_path / "out", 900, list(STEPS), tiny=True)
    assert {name: step.status for name, step in found.steps.items()} == dict.fromkeys(STEPS, "done")
    missed = [row for step in found.steps.values() for row in step.rows if row.met is False]
    assert not missed
    assert not (tmp_path / "out" / "work").exists()
