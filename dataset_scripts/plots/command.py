"""`cephalo plots`: synthetic plots, with questions answered from the plotted data."""

import os
from pathlib import Path
from typing import Annotated

import typer

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import check_outside
from cephalo.cli.options import MOST_SEED

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def plots(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Output folder.")],
    rows: Annotated[
        int | None, typer.Option(min=1, help="Number of question-answer pairs; three per plot.")
    ] = None,
    share: Annotated[
        float | None,
        typer.Option(
            help="Share of plots among all conversations, with --beside; between 0 and 1."
        ),
    ] = None,
    beside: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder of conversations that the plots are mixed with. Repeatable.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Random seed.")] = 0,
    workers: Annotated[
        int, typer.Option(min=1, help="Number of worker processes.")
    ] = os.cpu_count() or 1,
) -> None:
    """Generate plots of materials science from synthetic data, with questions and exact answers.

    Lines, bars, fits, spectra, stress-strain curves and phase diagrams, alone or as panels. Each
    answer is computed from the plotted data; its tolerance is in the column `scores`. Give --rows,
    or --share with --beside to size the set relative to existing conversations, and pass all
    folders to `cephalo publish`. An interrupted run resumes.

    \b
    Example:
      cephalo plots plots/ --rows 3000
      cephalo plots plots/ --share 0.1 --beside refined/
      cephalo publish figures/ refined/ plots/ my-lab/nacre-figures --private
    """
    from cephalo.dataset_scripts.plots.build import Plan, build

    if (rows is None) == (share is None) or (share is None) != (not beside):
        raise CephaloError("give --rows, or --share together with --beside")
    check_outside(out, beside or [], "OUT")
    if rows is None:
        assert share is not None and beside
        rows = rows_for(share, beside)
    plan = Plan(rows, seed)
    build(out, plan, workers)
    print(f"{plan.rows} conversations about {plan.plots} plots → {out}")


def rows_for(share: float, folders: list[Path]) -> int:
    """Return how many rows have this share of the rows in the folders plus themselves.

    Raises CephaloError if the folders have none, or the share leaves nothing for them.
    """
    from cephalo.dataset_scripts.common.shards import count_rows
    from cephalo.dataset_scripts.common.tables import find_tables

    if not 0 < share < 1:
        raise CephaloError(f"--share {share:g} is not between 0 and 1")
    others = count_rows(find_tables(folders)["conversations"])
    if not others:
        raise CephaloError(
            f"{', '.join(map(str, folders))} contains no conversations; run `cephalo refine`, "
            "with --teacher caption to use captions as answers"
        )
    return max(1, round(others * share / (1 - share)))
