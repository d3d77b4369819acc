"""Build the dataset of plates: `python -m cephalo.dataset_scripts.plates --out DIR`."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import locked
from cephalo.cli.options import MOST_SEED

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def fields(
    out: Annotated[Path, typer.Option(help="Output folder.")],
    samples: Annotated[
        int, typer.Option(min=1, help="Number of plates for stress statistics.")
    ] = 2000,
    notched: Annotated[
        int, typer.Option(min=0, help="Number of notched plates for crack initiation.")
    ] = 2000,
    cracks: Annotated[
        int, typer.Option(min=0, help="Number of notched plates for crack growth.")
    ] = 500,
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Random seed.")] = 0,
    pixels: Annotated[
        int, typer.Option(min=16, max=256, help="Side length of a plate, in pixels.")
    ] = 64,
    workers: Annotated[int, typer.Option(min=1, help="Number of processes.")] = os.cpu_count() or 1,
    push: Annotated[
        str | None, typer.Option(metavar="NAMESPACE/NAME", help="Repository on the Hub to push to.")
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Push to a private repository.")
    ] = False,
) -> None:
    """Build a dataset of plates under tension with their stresses and cracks.

    One fifth as many plates are added of families that are in no training split. An interrupted
    run resumes.

    \b
    Example:
      python -m cephalo.dataset_scripts.plates --out plates/ --samples 2000 --push my-lab/plates
    """
    from cephalo.model_cards.hub_names import check_repo_id
    from cephalo.model_cards.upload import hub_api, push_folder

    try:
        from cephalo.dataset_scripts.plates.build import CONFIGS, Plan, build
    except ModuleNotFoundError as error:
        if error.name != "skfem":
            raise
        raise CephaloError(
            "finite elements need scikit-fem; run: pip install 'cephalo[fields]'"
        ) from error
    api = hub_api() if push else None
    name = check_repo_id(push) if push else out.resolve().name
    with locked(out):
        files = build(out, Plan(samples, notched, cracks, seed, pixels), name, workers)
        print(f"{len(files)} files in {out}")
        if api and push:
            revision = push_folder(
                api,
                out,
                push,
                repo_type="dataset",
                private=private,
                files=files,
                delete_patterns=[*(f"{config}/*" for config in CONFIGS), "card/*"],
            )
            print(f"published {api.endpoint}/datasets/{push} at {revision}")


if __name__ == "__main__":
    try:
        app()
    except (CephaloError, OSError) as error:
        sys.exit(f"error: {' '.join(str(error).split())}")
