"""The GPU run: limits, what is kept of a cut or failed step, its table, and a rehearsal."""

import json
import sys
import time
from pathlib import Path

import pytest
import torch

from benchmarks.gpu import __main__ as gpu
from benchmarks.gpu import report, shapes, wheels
from benchmarks.gpu.equality import compare, distance
from benchmarks.gpu.plan import STEPS, Scale
from benchmarks.gpu.results import Results, Row, StepResult, append_row, read_results, read_rows
from benchmarks.gpu.training import ON_CPU, parsed
from benchmarks.train_models import make_rows
from cephalo.cli.errors import CephaloError
from cephalo.train import packing

MACHINE = {"device": "Card 1", "memory_gb": 80.0, "matmul_tflops": 301.25, "packages": {"trl": "1"}}


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
    (tmp_path / "results.json").write_text("[]")
    with pytest.raises(CephaloError, match=r"results\.json is no results file"):
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
    print(json.dumps({"what": "first", "value": 2.0}), file=file)
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


def test_a_step_out_of_time_is_cut_with_its_processes_and_keeps_its_rows(step_of, tmp_path):
    step_of(wait=True)
    start = time.monotonic()
    found = gpu.run_step("memory", tmp_path, "cpu", True, remaining=2)
    assert time.monotonic() - start < 15
    assert (found.status, found.rows) == ("cut", [Row("first", 2.0)])


def test_a_step_that_fails_says_why_and_leaves_no_process(step_of, tmp_path):
    step_of(wait=False)
    found = gpu.run_step("memory", tmp_path, "cpu", True, remaining=50)
    assert (found.status, found.reason) == ("failed", "ValueError: no kernel")
    assert found.rows == [Row("first", 2.0)] and found.seconds < 15


def test_without_time_a_step_is_not_run(tmp_path):
    found = gpu.run_step("memory", tmp_path, "cpu", True, remaining=3)
    assert found == StepResult("not run", "no time was left")


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
    with pytest.raises(CephaloError, match="--only speed: choose from equality"):
        gpu.run_steps(tmp_path, 60, ["speed"], tiny=True)


def test_without_a_gpu_the_rehearsal_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(CephaloError, match="with --tiny"):
        gpu.gpu()


@pytest.mark.parametrize("name", [*shapes.SHAPES, "smolvlm"])
def test_processors_of_full_shapes_give_what_their_models_take(name):
    """Tokens of an image in the text are those that the vision tower makes, on the meta device."""
    from transformers import AutoModelForImageTextToText

    from cephalo.train.encoding import encode_rows
    from cephalo.train.families import family_of, image_settings, image_token_of

    shape = shapes.SHAPES.get(name, shapes.SMOLVLM)
    config, processor = shape.make()
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)
    row = make_rows(6).select([4])  # with an image
    [encoded] = encode_rows(row, processor)
    collator = packing.PackingCollator(
        processor.image_processor,
        family=family_of(config),
        image_settings=image_settings(processor),
    )
    [sequence] = collator([encoded])["sequences"]
    token = image_token_of(config)
    own = config.image_token_id if token is None else token
    ids = sequence["input_ids"]
    count = int((ids < 0).sum()) if name == "phi3-4b" else int((ids == own).sum())
    assert count > 60
    assert ids.max() < config.get_text_config().vocab_size
    assert model.get_input_embeddings().weight.shape[0] == config.get_text_config().vocab_size


def test_recipes_are_parsed_as_they_run(tmp_path):
    scale = Scale(True, "cpu", 1.0, tmp_path)
    for shape in (*shapes.SHAPES.values(), shapes.LAST_LAYERS):
        script, training, model = parsed(shape.recipe, tmp_path, tmp_path / "out", scale, {})
        assert training.max_steps == 10**6 and training.save_strategy == "no"
        assert not training.push_to_hub and not script.merge_adapter
        assert (training.use_cpu, model.dtype) == (True, ON_CPU["dtype"])


@pytest.mark.parametrize("mixed", [False, True])
def test_the_comparison_in_bfloat16_finds_rows_that_mix(mixed, tmp_path, monkeypatch):
    if mixed:  # every token sees all earlier ones, of other rows too
        laid_out = packing.laid_out

        def joined(rows):
            found = laid_out(rows)
            total = found["input_ids"].shape[1]
            bounds = torch.tensor([0, total], dtype=torch.int32)
            places = torch.arange(total)[None]
            return found | {
                **{"cu_seq_lens_q": bounds, "cu_seq_lens_k": bounds, "position_ids": places},
                **{"max_length_q": total, "max_length_k": total},
            }

        monkeypatch.setattr(packing, "laid_out", joined)
    from benchmarks.gpu.equality import make_base

    base = make_base("idefics2", tmp_path / "base")
    rows = make_rows(3)
    row = compare("idefics2", base, rows, "sdpa", Scale(True, "cpu", 1.0, tmp_path))
    assert row.met is not mixed, row


def test_distance():
    exact = {"a": torch.tensor([3.0]), "b": torch.tensor([4.0])}
    found = {"a": torch.tensor([3.0]), "b": torch.tensor([4.5])}
    assert distance(found, exact) == pytest.approx(0.1)


def test_wheels_are_what_the_machine_lacks():
    machine = {"torch": "2.11.0", "numpy": "2.5.2", "transformers": "4.0", "pillow": "99.0"}
    named = {one.split("==")[0] for one in wheels.missing(machine, "3.12", ["scikit-fem"])}
    assert {"trl", "peft", "transformers", "datasets", "scikit-fem", "pypdfium2"} <= named
    assert not {"torch", "numpy", "pillow"} & named
    assert not any(name.startswith(("nvidia", "triton")) for name in named)
    with pytest.raises(CephaloError, match="lists no package"):
        wheels.read_freeze(Path("/dev/null"))


def test_wheels_larger_than_what_travels_are_refused(tmp_path):
    (tmp_path / "small.whl").write_bytes(bytes(1000))
    (tmp_path / "large.whl").write_bytes(bytes(2_000_000))
    assert wheels.summary(tmp_path, 3) == f"{tmp_path}: 2 wheels, 2.0 MB"
    with pytest.raises(CephaloError, match=r"more than the 1 MB .* largest: large.whl 2.0 MB"):
        wheels.summary(tmp_path, 1)


@pytest.mark.slow
def test_the_rehearsal_runs_every_step(tmp_path):
    found = gpu.run_steps(tmp_path / "out", 900, list(STEPS), tiny=True)
    assert {name: step.status for name, step in found.steps.items()} == dict.fromkeys(STEPS, "done")
    missed = [row for step in found.steps.values() for row in step.rows if row.met is False]
    assert not missed
    assert not (tmp_path / "out" / "work").exists()
