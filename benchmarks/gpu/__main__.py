"""Measure everything that only a GPU can show, the most valuable first, within a time limit.

    python -m benchmarks.gpu --minutes 28 --out runs/gpu
    python -m benchmarks.gpu --tiny --out runs/gpu-tiny

Each step runs in its own process with a time limit, and its rows are written as they are measured:
a step that is cut or fails costs only the rest of its rows. The same command continues a run, also
one that was killed: rows that were measured are not measured again. A step that has used up its
limit comes after those that have not. `--tiny` runs every step at a tiny size on the CPU, to find
errors before a GPU is used. `python -m benchmarks.gpu.report runs/gpu/results.json` prints a table.
"""

import logging
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

from benchmarks.gpu.ending import end_tree
from benchmarks.gpu.machine import commit, describe, device_name
from benchmarks.gpu.plan import STEPS
from benchmarks.gpu.results import Results, StepResult, read_results, read_rows, write_rows
from cephalo.cli.errors import CephaloError
from cephalo.cli.files import locked

logger = logging.getLogger(__name__)

ROOT = Path(__file__).parents[2]
LEAST_SECONDS = 20  # a step does not start with less time than it takes to import its libraries
SAVE_SECONDS = 2  # between writes of what a running step has measured
# Seconds of measurement per variant of training: on a GPU, a dozen steps of an 8b model or more.
SECONDS, TINY_SECONDS = 10.0, 1.0


def main(
    out: Annotated[Path, typer.Option(help="Folder for results.json, models and outputs.")] = Path(
        "runs/gpu"
    ),
    minutes: Annotated[float, typer.Option(help="Time limit of the whole run.", min=0.1)] = 30.0,
    only: Annotated[list[str] | None, typer.Option(help="Run this step; repeatable.")] = None,
    tiny: Annotated[
        bool, typer.Option("--tiny", help="Rehearse with tiny models on the CPU.")
    ] = False,
) -> None:
    """Run the steps and write OUT/results.json after each."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        results = run_steps(out, 60 * minutes, only or list(STEPS), tiny)
    except CephaloError as error:
        sys.exit(f"error: {error}")
    sys.exit(any(step.status == "failed" for step in results.steps.values()))


def run_steps(out: Path, seconds: float, names: list[str], tiny: bool) -> Results:
    """Run the steps `names` that are not done, and return all results.

    Raises CephaloError for an unknown step, without a GPU, and for a folder of another machine,
    commit or scale.
    """
    if not math.isfinite(seconds):
        raise CephaloError("--minutes: give a number")
    end = time.monotonic() + seconds
    for name in names:
        if name not in STEPS:
            raise CephaloError(f"--only {name}: choose from {', '.join(STEPS)}")
    device = "cpu" if tiny else gpu()
    with locked(out):
        results = begin(out / "results.json", device, tiny)
        shutil.rmtree(out / "work", ignore_errors=True)  # of a killed run

        def save(name: str, step: StepResult) -> None:
            results.steps[name] = step
            results.write(out / "results.json")

        for name in tqdm(in_order(names, results, tiny), desc="steps", unit="step"):
            earlier, left = results.steps[name], end - time.monotonic()
            step = run_step(name, earlier, out, device, tiny, left, partial(save, name))
            save(name, step)
            logger.info(
                "%s: %s in %.0f s, %d rows %s",
                *(name, step.status, step.seconds, len(step.rows), step.reason),
            )
            shutil.rmtree(out / "work", ignore_errors=True)
    return results


def gpu() -> str:
    """Return "cuda". Raises CephaloError if torch finds no GPU."""
    import torch

    if not torch.cuda.is_available():
        raise CephaloError(
            "torch finds no GPU; run the rehearsal on the CPU with --tiny, or look at nvidia-smi"
        )
    return "cuda"


def begin(path: Path, device: str, tiny: bool) -> Results:
    """Return the results so far, or new ones with all steps not run.

    Raises CephaloError if the file is of another machine, commit or scale.
    """
    scale = "tiny" if tiny else "full"
    current = commit(ROOT)
    if path.exists():
        results = read_results(path)
        earlier = (results.machine["device"], results.commit, results.scale)
        own = (device_name(device), current, scale)
        if earlier == own:
            results.steps = {name: results.steps.get(name, StepResult()) for name in STEPS}
            return results
        raise CephaloError(
            f"{path} is of {', '.join(earlier)} and this run of {', '.join(own)} (machine, commit, "
            "scale); choose another --out, or remove the folder"
        )
    results = Results(describe(device), current, scale, {name: StepResult() for name in STEPS})
    results.write(path)
    return results


def in_order(names: list[str], results: Results, tiny: bool) -> list[str]:
    """Return the steps that are not done in the order of worth, those that used up their time after
    the others, and those that failed last."""

    def key(name: str) -> tuple[bool, int]:
        step = results.steps[name]
        return step.status == "failed", rounds(step, budget(name, tiny))

    left = [name for name in STEPS if name in names and results.steps[name].status != "done"]
    return sorted(left, key=key)


def budget(name: str, tiny: bool) -> int:
    """Return the limit of a step in seconds."""
    return STEPS[name].tiny_limit if tiny else STEPS[name].limit


def rounds(step: StepResult, limit: int) -> int:
    """Return how often a step has used up its limit."""
    return int((step.seconds + LEAST_SECONDS) // limit)


def run_step(
    name: str,
    earlier: StepResult,
    out: Path,
    device: str,
    tiny: bool,
    remaining: float,
    save: Callable[[StepResult], None],
) -> StepResult:
    """Run or continue one step in a process, within what is left of its limit and of the run.

    `save` is given what there is every few seconds, so that a kill loses no more.
    """
    whole = budget(name, tiny)
    # A step without rows has nothing to continue.
    spent = earlier.seconds - whole * rounds(earlier, whole) if earlier.rows else 0.0
    limit = min(whole - spent, remaining)
    if limit < LEAST_SECONDS:
        return earlier if earlier.seconds else StepResult(reason="no time was left")
    rows, log = out / f"{name}.jsonl", out / f"{name}.log"
    write_rows(rows, earlier.rows)
    command = [sys.executable, "-m", "benchmarks.gpu.step", name]
    command += ["--rows", str(rows.resolve()), "--out", str((out / "work").resolve())]
    command += ["--device", device, "--seconds", str(TINY_SECONDS if tiny else SECONDS)]
    start = time.monotonic()

    def so_far(status: str, reason: str = "") -> StepResult:
        seconds = round(earlier.seconds + time.monotonic() - start, 1)
        return StepResult(status, reason, seconds, read_rows(rows))

    code = None
    with log.open("a", encoding="utf-8") as file:
        process = subprocess.Popen(
            [*command, *(["--tiny"] if tiny else [])],
            cwd=ROOT,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=os.environ | environment(device),
            start_new_session=True,  # so that its own processes end with it
        )
        try:
            while code is None and (left := start + limit - time.monotonic()) > 0:
                save(so_far("cut"))
                with suppress(subprocess.TimeoutExpired):
                    code = process.wait(min(SAVE_SECONDS, left))
        finally:
            end_tree(process)
            save(so_far("cut"))
    if code is None:
        return so_far("cut")
    return so_far("failed", last_line(log)) if code else so_far("done")


def environment(device: str) -> dict[str, str]:
    """Return the variables of a step: one GPU, since Trainer would split batches among several."""
    own = {"PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false"}
    if device == "cuda":
        own["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    return own


def last_line(log: Path) -> str:
    """Return the last line of a log, which names the error."""
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "no output")


if __name__ == "__main__":
    typer.run(main)
