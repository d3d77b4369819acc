"""`cephalo export`: figures and conversations in the formats of other programs."""

import logging
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import check_outside, locked_name, written_aside
from cephalo.cli.where import HELP

logger = logging.getLogger(__name__)

app = typer.Typer(rich_markup_mode=None, add_completion=False)


class Format(StrEnum):
    """The formats, by their names."""

    LLAVA = "llava"
    SHAREGPT = "sharegpt"
    COCO = "coco"
    WEBDATASET = "webdataset"
    CSV = "csv"


@app.command()
def export(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDER",
            help="Output folders of `cephalo extract`, `cephalo import` and `cephalo refine`.",
        ),
    ],
    to: Annotated[Format, typer.Option(help="The format.")],
    out: Annotated[Path, typer.Option(help="A new folder for the files.")],
    where: Annotated[str | None, typer.Option(metavar="CONDITION", help=HELP)] = None,
) -> None:
    """Write figures and conversations for other programs.

    llava: LLaVA's JSON. sharegpt: messages and images, with the dataset_info.json of LLaMA-Factory.
    coco: captions, and the panels as boxes. webdataset: tar files. csv: tables with image files,
    which `cephalo import` reads. Images are files beside the tables.

    Figures are as people corrected them in `cephalo review`, without those that they rejected.
    Licences and authors stand in each row: what may be passed on is for you to check.

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
            raise CephaloError(f"--out {out} is there already; give a new folder")
        for folder in folders:
            prepare_corrections(folder)
        with written_aside(out) as aside:
            count = FORMATS[to](chosen, aside)
            if not count:
                told = ", ".join(f"{number} {why}" for why, number in chosen.left_out.items())
                raise CephaloError(f"nothing to export; left out: {told or 'none'}")
    for why, number in sorted(chosen.left_out.items()):
        logger.warning("left out: %d %s", number, why)
    print(f"{count} rows → {out}")
