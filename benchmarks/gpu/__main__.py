"""Measure everything that only a GPU can show, the most valuable first, within a time limit.

    python -m benchmarks.gpu --minutes 28 --out runs/gpu
    python -m benchmarks.gpu --tiny --out runs/gpu-tiny

Each step runs in its own process with a time limit, and its rows are written as they are measured:
a step that is cut or fails costs only the rest of its rows. The same command continues a run; steps
that are done are not repeated. `--tiny` runs every step at a tiny size on the CPU, to find errors
before a GPU is used. `python -m benchmarks.gpu.report runs/gpu/results.json` writes the table in
docs/benchmarks.md.
"""

import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

from benchmarks.gpu.machine import commit, describe, device_name
from benchmarks.gpu.plan import STEPS
from benchmarks.gpu.results import Results, StepResult, read_results, read_rows
from cephalo.cli.errors import CephaloError
from cephalo.cli.files import locked

logger = logging.getLogger(__name__)

ROOT = Path(__file__).parents[2]
LEAST_SECONDS = 20  # a step does not start with less time than it takes to import its libraries
GRACE_SECONDS = 5  # between the signal that asks a step to end and the one that ends it
# Seconds of measurement per variant of training: on a GPU, dozens of steps of an 8b model.
SECONDS, TINY_SECONDS = 20.0, 1.0


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
    end = time.monotonic() + seconds
    for name in names:
        if name not in STEPS:
            raise CephaloError(f"--only {name}: choose from {', '.join(STEPS)}")
    device = "cpu" if tiny else gpu()
    with locked(out):
        results = begin(out / "results.json", device, tiny)
        left = [name for name in STEPS if name in names and results.steps[name].status != "done"]
        for name in tqdm(left, desc="steps", unit="step"):
            results.steps[name] = run_step(name, out, device, tiny, end - time.monotonic())
            results.write(out / "results.json")
            step = results.steps[name]
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
            return results
        raise CephaloError(
            f"{path} is of {', '.join(earlier)} and this run of {', '.join(own)} (machine, commit, "
            "scale); choose another --out, or remove the folder"
        )
    results = Results(describe(device), current, scale, {name: StepResult() for name in STEPS})
    results.write(path)
    return results


def run_step(name: str, out: Path, device: str, tiny: bool, remaining: float) -> StepResult:
    """Run one step in a process, within its limit and the remaining seconds."""
    limit = min(STEPS[name].tiny_limit if tiny else STEPS[name].limit, remaining)
    if limit < LEAST_SECONDS:
        return StepResult(reason="no time was left")
    rows, log = out / f"{name}.jsonl", out / f"{name}.log"
    rows.unlink(missing_ok=True)
    command = [sys.executable, "-m", "benchmarks.gpu.step", name]
    command += ["--rows", str(rows.resolve()), "--out", str((out / "work").resolve())]
    command += ["--device", device, "--seconds", str(TINY_SECONDS if tiny else SECONDS)]
    start = time.monotonic()
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            [*command, *(["--tiny"] if tiny else [])],
            cwd=ROOT,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false"},
            start_new_session=True,  # so that its own processes end with it
        )
        try:
            code = process.wait(timeout=limit)
            status = "failed" if code else "done"
        except subprocess.TimeoutExpired:
            status = "cut"
        finally:
            end_group(process)
    reason = last_line(log) if status == "failed" else ""
    return StepResult(status, reason, round(time.monotonic() - start, 1), read_rows(rows))


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def last_line(log: Path) -> str:
    """Return the last line of a log, which names the error."""
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "no output")


if __name__ == "__main__":
    typer.run(main)
