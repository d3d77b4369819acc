"""Step: a script of the series from end to end, with random weights of the published shape."""

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.gpu.plan import Scale
from benchmarks.gpu.results import Row
from benchmarks.gpu.shapes import SMOLVLM, write_base
from benchmarks.gpu.training import attention, optimizer
from cephalo.series.table import find_row
from cephalo.series.tiny import CPU, run_script

MODEL = "Cephalo-SmolVLM-2b"
STEPS, TINY_STEPS = 200, 4


def run(scale: Scale) -> Iterator[Row]:
    """Push the base, run the script, which trains and pushes, then ask the pushed model."""
    row = find_row(MODEL)
    settings: dict[str, Any] = {"max_steps": TINY_STEPS if scale.tiny else STEPS}
    if scale.device == "cpu":
        settings |= CPU
    else:
        settings |= {"attn_implementation": attention(scale), "logging_steps": 10}
        settings |= optimizer()

    def make_base(_: Any, folder: Path, __: int) -> None:
        write_base(SMOLVLM, folder, scale.device, scale.tiny)

    provide_command(scale.out / "bin")
    start = time.perf_counter()
    found = run_script(row, scale.out / "script", settings, make_base)
    seconds = time.perf_counter() - start
    yield Row(f"{row.script}: base, training, push, answer", seconds, "s", note=str(found))
    states = (scale.out / "script").rglob("checkpoint-*/trainer_state.json")
    state = max(
        (json.loads(path.read_text()) for path in states), key=lambda one: one["global_step"]
    )
    logs = [one for one in state["log_history"] if "utilisation" in one]
    yield Row(f"{row.script}: tokens", logs[-1]["tokens_per_second"], "1/s", note="at the end")
    yield Row(f"{row.script}: utilisation", logs[-1]["utilisation"], note="at the end")
    yield Row(f"{row.script}: loss after {settings['max_steps']} steps", logs[-1]["loss"])


def provide_command(folder: Path) -> None:
    """Put `cephalo` on the PATH if it is not installed, as on a machine without a network."""
    if shutil.which("cephalo", path=os.pathsep.join([sys.prefix + "/bin", os.environ["PATH"]])):
        return
    folder.mkdir(parents=True, exist_ok=True)
    command = folder / "cephalo"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cephalo.cli.main "$@"\n')
    command.chmod(0o755)
    os.environ["PATH"] = os.pathsep.join([str(folder), os.environ["PATH"]])
