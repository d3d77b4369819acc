"""`cephalo extract`: read PDF files and wiki pages into the `figures` and `text` tables.

Each document has one Parquet shard per table.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from cephalo.cli.errors import CephaloError
from cephalo.cli.options import GroupedCommand, options_of_dataclasses
from cephalo.dataset_scripts.cluster.cluster import Cluster
from cephalo.dataset_scripts.pdf.settings import KINDS, Settings
from cephalo.dataset_scripts.wikipedia.settings import WebSettings

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(cls=GroupedCommand)
@options_of_dataclasses
def extract(
    out: Annotated[str, typer.Option(help="Output folder for shards, gallery and failures.")],
    settings: Settings,
    web: WebSettings,
    cluster: Cluster,
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            help="PDF files, saved HTML files, HTML dumps of wikis, or folders of them."
        ),
    ] = None,
    kinds: Annotated[
        str, typer.Option(help=f"Kinds to extract, comma separated: {', '.join(KINDS)}.")
    ] = ",".join(Settings.kinds),
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of processes; by default one per core.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Time limit of one document, in seconds.")
    ] = 300.0,  # OCR takes 3 s of processor time for a page
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMESPACE/NAME[:CONFIG]",
            help="Hub dataset with a column `text`, for --text. Repeatable.",
        ),
    ] = None,
    review: Annotated[
        bool,
        typer.Option(
            "--review", help="Also write OUT/review.html, which shows boxes and decisions."
        ),
    ] = False,
) -> None:
    """Read figures and captions from PDF files and from pages of Wikipedia.

    Writes OUT/figures/*.parquet (one shard per document), the gallery OUT/index.html, and
    OUT/failures.jsonl. An interrupted run resumes. Responses of a wiki are cached in OUT/cache.

    With --slurm many machines read the PDF files; PATHS and --out may be s3:// or hf:// addresses.
    The command submits the missing part and returns; run it again to see the progress.

    \b
    Example:
      cephalo extract papers/ --out runs/figures --text
      cephalo extract --wikipedia Nacre --wikipedia "Category:Biomaterials" \\
        --contact you@example.org --out runs/wikipedia
      cephalo extract s3://lab/papers --out s3://lab/figures --slurm 200 --partition cpu
    """
    paths = paths or []
    settings = replace(settings, kinds=parse_kinds(kinds))
    if dataset and not settings.text:
        raise CephaloError("--dataset has no figures, only text; add --text")
    if cluster.slurm_tasks:
        if web.wikipedia or web.titles or dataset or review or workers:
            raise CephaloError(
                "--slurm reads PDF files only; leave out wikis, --dataset and --review, and give "
                "--cpus-per-task instead of --workers"
            )
        from cephalo.dataset_scripts.cluster.extraction import submit_extraction

        print(submit_extraction(paths, out, settings, timeout, cluster))
        return
    if remote := [name for name in (out, *paths) if "://" in name]:
        raise CephaloError(f"{remote[0]}: addresses are for --slurm; give a folder of this machine")
    if "" in (out, *paths):
        raise CephaloError("an empty path was given; give the name of a file or folder")
    from cephalo.dataset_scripts.extraction import extract_folder

    extract_folder(
        [Path(name) for name in paths],
        Path(out),
        settings,
        web,
        datasets=dataset or [],
        workers=workers or os.cpu_count() or 1,
        timeout=timeout,
        review=review,
    )


def parse_kinds(text: str) -> tuple[str, ...]:
    """Parse a comma separated list of kinds; returns them in the order of KINDS. Raises
    CephaloError."""
    names = {name.strip() for name in text.split(",") if name.strip()}
    unknown = names - set(KINDS)
    if unknown or not names:
        raise CephaloError(f"--kinds {text!r}: choose from {', '.join(KINDS)}")
    return tuple(kind for kind in KINDS if kind in names)
