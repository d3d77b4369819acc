"""`cephalo series`: the models of the series as a table, checked, or run at tiny scale; and the
families of models with what works with them."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import locked
from cephalo.series.families import families_table
from cephalo.series.table import find_row, terminal_table, train_settings

app = typer.Typer(rich_markup_mode=None, add_completion=False)


class Scale(StrEnum):
    """`full` prints the script, which is for a machine with a GPU."""

    tiny = "tiny"
    check = "check"
    full = "full"


@app.command()
def series(
    name: Annotated[
        str | None, typer.Argument(help="Model of the series; without one, print the table.")
    ] = None,
    scale: Annotated[
        Scale | None,
        typer.Option(help="Scale at which to check or run it; full prints the script."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Output folder of the tiny runs.")] = Path(
        "runs/series"
    ),
    families: Annotated[
        bool,
        typer.Option("--families", help="Print the tested features of each model family."),
    ] = False,
) -> None:
    """Show the series, check a model's real configuration, or run it at tiny scale.

    tiny runs every stage of the model's own script on the CPU, from newly created base models to a
    pushed and reloaded model that answers; check builds the real configuration without weights and
    estimates memory, operations and duration of its training; full prints the script.

    \b
    Example:
      cephalo series Idefics-2-vision-10b-beta --scale tiny
    """
    if families:
        if name is not None or scale is not None:
            raise CephaloError("--families prints a separate table; leave out other arguments")
        print(families_table())
        return
    if name is None:
        if scale is not None:
            raise CephaloError(f"--scale {scale.value} needs the NAME of a model")
        print(terminal_table())
        return
    row = find_row(name)
    if scale is None:
        raise CephaloError(f"no --scale for {row.name}; give --scale tiny, check or full")
    if scale is Scale.full:
        print(row.script_path.read_text(encoding="utf-8"), end="")
    elif scale is Scale.check:
        from cephalo.series.check import check, real_config
        from cephalo.series.duration import duration
        from cephalo.series.estimate import estimate, gates_estimate
        from modeling_cephalo.published import on_meta

        found = check(row)
        print(f"{row.name}: " + ", ".join(f"{key} {value:,}" for key, value in found.items()))
        model = on_meta(real_config(row))
        if row.config:
            settings = train_settings(row)
            print("\n".join(estimate(model, settings).lines(settings)))
            print(duration(row))
        else:
            print(gates_estimate(model))
    else:
        from cephalo.series.tiny import run_tiny

        with locked(out / row.name):
            found = run_tiny(row, out / row.name)
        print(f"{row.name}: " + ", ".join(f"{key} {value!r}" for key, value in found.items()))
