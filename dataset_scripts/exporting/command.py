"""`cephalo export`: export figures and conversations to formats of other programs."""

import logging
from pathlib import Path
from typing import Annotated, Literal

import typer

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import check_outside, locked_name, written_aside
from cephalo.cli.where import HELP

logger = logging.getLogger(__name__)

app = typer.Typer(rich_markup_mode=None, add_completion=False)


Format = Literal["llava", "sharegpt", "coco", "webdataset", "csv"]


@app.command()
def export(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDER",
            help="Output folders of `cephalo extract`, `cephalo import` and `cephalo refine`.",
        ),
    ],
    to: Annotated[Format, typer.Option(help="Output format.")],
    out: Annotated[Path, typer.Option(help="New folder for the files.")],
    where: Annotated[str | None, typer.Option(metavar="CONDITION", help=HELP)] = None,
) -> None:
    """Export figures and conversations to formats of other programs.

    llava: JSON of LLaVA. sharegpt: messages and images, with a dataset_info.json for LLaMA-Factory.
    coco: captions, and panels as boxes. webdataset: tar files. csv: tables with image files, which
    `cephalo import` reads. Images are separate files beside the tables.

    Corrections of `cephalo review` are applied, and rejected figures are excluded. Each row has its
    licence and authors: check yourself what may be redistributed.

    \b
    Example:
      cephalo export figures/ refined/ --to llava --out runs/llava
      cephalo export figures/ --to coco --out runs/coco --where "license like 'CC-BY%'"
    """
    from cephalo.dataset_scripts.common.tables import find_tables
    from cephalo.dataset_scripts.exporting.formats import FORMATS
    from cephalo.dataset_scripts.exporting.selected import Selected
    from cephalo.dataset_scripts.pdf.crops import prepare_corrections

    check_outside(out, folders)
    chosen = Selected(find_tables(folders), where)
    with locked_name(out):
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise CephaloError(f"--out {out} exists already; give a new folder")
        for folder in folders:
            prepare_corrections(folder)
        with written_aside(out) as aside:
            count = FORMATS[to](chosen, aside)
            if not count:
                reasons = ", ".join(f"{number} {why}" for why, number in chosen.left_out.items())
                raise CephaloError(f"nothing to export; left out: {reasons or 'none'}")
    for why, number in sorted(chosen.left_out.items()):
        logger.warning("left out: %d %s", number, why)
    print(f"{count} rows → {out}")
