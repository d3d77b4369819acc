"""Write the results of a GPU into docs/benchmarks.md: one table by machine.

    python -m benchmarks.gpu.report runs/gpu/results.json [--page docs/benchmarks.md]

A table of the same machine is replaced. Steps and rows that were not run say so.
"""

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.gpu.plan import STEPS
from benchmarks.gpu.results import Results, Row, StepResult, read_results
from cephalo.cli.errors import CephaloError
from cephalo.cli.files import write_whole

SECTION = "## On a GPU\n"
COMMANDS = {"full": "make gpu", "tiny": "make gpu TINY=1"}


def main(
    results: Annotated[Path, typer.Argument(help="A results.json of benchmarks.gpu.")],
    page: Annotated[
        Path | None, typer.Option(help="Page with the section; by default the table is printed.")
    ] = None,
) -> None:
    """Print the table of a run, or write it into a page."""
    try:
        found = read_results(results)
        if page is None:
            print(table(found))
        else:
            write_whole(page, with_table(page.read_text(encoding="utf-8"), found))
    except (CephaloError, OSError, UnicodeDecodeError) as error:
        sys.exit(f"error: {error}")


def with_table(text: str, results: Results) -> str:
    """Return a page with the table of a run in its section, in place of that of the same machine.

    Raises CephaloError for a rehearsal, which measures nothing of a GPU, and for a page without the
    section.
    """
    if results.scale != "full":
        raise CephaloError("a rehearsal measures no GPU; its table can only be printed")
    if SECTION not in text:
        raise CephaloError(f"the page has no section {SECTION.strip()!r}; add it where it belongs")
    before, _, rest = text.partition(SECTION)
    own, mark, after = rest.partition("\n## ")
    heading = re.escape(f"### {results.machine['device']}\n")
    own = re.sub(rf"\n{heading}.*?(?=\n### |\Z)", "", own, flags=re.DOTALL)
    return f"{before}{SECTION}{own.rstrip()}\n\n{table(results).rstrip()}\n{mark}{after}"


def table(results: Results) -> str:
    """Format a run as a heading, a line about the machine, and a Markdown table."""
    machine = results.machine
    packages = ", ".join(f"{name} {own}" for name, own in machine["packages"].items() if own)
    lines = [
        f"### {machine['device']}",
        "",
        f"`{COMMANDS[results.scale]}` on commit {results.commit}: {machine['memory_gb']} GB, "
        f"matrix products in bfloat16 at {machine['matmul_tflops']:.4g} TFLOP/s, {packages}.",
        "",
        "| step | measure | value | bar | |",
        "|---|---|--:|---|---|",
    ]
    for name in STEPS:
        step = results.steps.get(name, StepResult())
        lines += [line(name, row) for row in step.rows]
        if step.status != "done":
            reason = escaped(f": {step.reason}" if step.reason else "")
            lines.append(f"| {name} | {STEPS[name].what} | | | {step.status}{reason} |")
    return "\n".join(lines) + "\n"


def line(step: str, row: Row) -> str:
    """Format a row of the table."""
    value = "not run" if row.value is None else f"{row.value:.3g} {row.unit}".strip()
    bar = row.bar if row.met is None else f"{row.bar}, {'met' if row.met else 'missed'}"
    return f"| {step} | {escaped(row.what)} | {value} | {bar} | {escaped(row.note)} |"


def escaped(text: str) -> str:
    """Return text for a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    typer.run(main)
