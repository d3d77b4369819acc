"""Run one step in a process of its own, which a limit or a crash may end.

python -m benchmarks.gpu.step NAME --rows FILE --out FOLDER --device cuda --seconds 20 [--tiny]
"""

import importlib
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.gpu.plan import Scale
from benchmarks.gpu.results import append_row


def main(
    name: Annotated[str, typer.Argument(help="Name of the step.")],
    rows: Annotated[Path, typer.Option(help="File for rows, as JSON lines.")],
    out: Annotated[Path, typer.Option(help="Folder for models and outputs.")],
    device: Annotated[str, typer.Option(help="cuda or cpu.")],
    seconds: Annotated[float, typer.Option(help="Seconds of measurement per variant.")],
    tiny: Annotated[bool, typer.Option("--tiny", help="Tiny models.")] = False,
) -> None:
    """Append each row of a step to a file as soon as it is measured."""
    module = importlib.import_module(f"benchmarks.gpu.{name}")
    for row in module.run(Scale(tiny, device, seconds, out)):
        append_row(rows, row)


if __name__ == "__main__":
    typer.run(main)
