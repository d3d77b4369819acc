"""`cephalo import`: convert your own images and texts to figures and conversations."""

from pathlib import Path
from typing import Annotated

import typer

from cephalo.cli.files import check_outside

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(name="import")
def import_(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A table (CSV, TSV, XLSX, JSON, JSONL) of image files with captions or questions "
            "and answers, a folder of images, a Parquet file or a folder of them, or a dataset of "
            "the Hub, NAMESPACE/NAME[:CONFIG][@REVISION].",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Output folder for the shards.")],
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder of the image files; by default the folder of the table."
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROLE=NAME",
            help="Column of a role: image, caption, question, answer, turns, label, kind, "
            "document, title, doi, license, author, source_url or teacher; by default inferred "
            "from the names. Repeatable.",
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Split of a dataset.")] = "train",
) -> None:
    """Convert your own images and texts to figures and conversations.

    Writes OUT/figures and OUT/conversations, which review, refine, publish, train and export read
    like those of papers. Reads tables with a header, JSON of LLaVA and ShareGPT, COCO captions,
    folders with metadata.csv or metadata.jsonl as in `datasets`, and folders of images with a .txt
    file of the same name beside each. Invalid rows are reported and listed in OUT/failures.jsonl.

    Parquet files and datasets of the Hub are opened by `datasets`, one split of them, in its cache.
    The commit is in the column `revision`, and the licence of the card in `license`.

    \b
    Example:
      cephalo import questions.xlsx --images micrographs/ --out runs/own
      cephalo import table.csv --column question="Prompt (EN)" --out runs/own
      cephalo import my-lab/grains@v2 --out runs/grains
    """
    from cephalo.dataset_scripts.importing.columns import parse_given
    from cephalo.dataset_scripts.importing.run import import_source

    if Path(source).is_dir():
        check_outside(out, [Path(source)])
    import_source(source, out, images, parse_given(column or []), split)
