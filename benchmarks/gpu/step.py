"""Run one step in a process of its own, which a limit or a crash may end.

python -m benchmarks.gpu.step NAME --rows FILE --out FOLDER --device cuda --seconds 20 [--tiny]
"""

import importlib
import os
import threading
import time
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.gpu.ending import kill_tree
from benchmarks.gpu.plan import Scale
from benchmarks.gpu.results import append_row, read_rows

WATCH_SECONDS = 0.5


def main(
    name: Annotated[str, typer.Argument(help="Name of the step.")],
    rows: Annotated[Path, typer.Option(help="File for rows, as JSON lines.")],
    out: Annotated[Path, typer.Option(help="Folder for models and outputs.")],
    device: Annotated[str, typer.Option(help="cuda or cpu.")],
    seconds: Annotated[float, typer.Option(help="Seconds of measurement per variant.")],
    tiny: Annotated[bool, typer.Option("--tiny", help="Tiny models.")] = False,
) -> None:
    """Append each row of a step to a file as soon as it is measured; rows that the file has are not
    measured again."""
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    out.mkdir(parents=True, exist_ok=True)
    module = importlib.import_module(f"benchmarks.gpu.{name}")
    for row in module.run(Scale(tiny, device, seconds, out, tuple(read_rows(rows)))):
        append_row(rows, row)


def end_with(parent: int) -> None:
    """End this process and those that it started once `parent` is gone, which a kill leaves no time
    to end its step: it would keep the GPU from the next run."""
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    kill_tree(os.getpid())


if __name__ == "__main__":
    typer.run(main)
