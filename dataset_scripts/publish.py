"""`cephalo publish`: push the tables of extraction and refinement to the Hub as a dataset."""

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from cephalo.cli.files import check_outside, locked
from cephalo.cli.options import GroupedCommand, options_of_dataclasses
from cephalo.cli.where import HELP

logger = logging.getLogger(__name__)

RIGHTS = "Rights and exclusion"  # heading in the help

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@dataclass(frozen=True)
class Choice:
    """Which rows are published."""

    only_open_licenses: Annotated[
        bool,
        typer.Option(
            "--only-open-licenses",
            rich_help_panel=RIGHTS,
            help="Exclude rows that are not under CC0, CC BY or CC BY-SA.",
        ),
    ] = False
    allow_unknown_license: Annotated[
        bool,
        typer.Option(
            "--allow-unknown-license",
            rich_help_panel=RIGHTS,
            help="Also publish rows without a known open licence, at your responsibility.",
        ),
    ] = False
    allow_third_party: Annotated[
        bool,
        typer.Option(
            "--allow-third-party",
            rich_help_panel=RIGHTS,
            help="Also publish figures whose captions state a third party's rights, such as "
            '"Reproduced with permission of". You are responsible for the rights.',
        ),
    ] = False
    exclude: Annotated[
        list[str],
        typer.Option(
            metavar="DATASET",
            rich_help_panel=RIGHTS,
            help="Leave out figures that show an image of this dataset, a part of one, or one as a "
            "panel: a Hub name [:CONFIG][@REVISION] or a folder, such as a benchmark. Repeatable.",
        ),
    ] = field(default_factory=list)
    where: Annotated[str | None, typer.Option(metavar="CONDITION", help=HELP)] = None
    leave_out: Annotated[
        list[str],
        typer.Option(
            metavar="DOCUMENT",
            rich_help_panel=RIGHTS,
            help="Publish nothing of this document, such as one in which a credential was found: "
            "its name in the column `document`. Repeatable.",
        ),
    ] = field(default_factory=list)


@app.command(cls=GroupedCommand)
@options_of_dataclasses
def publish(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDER", help="Output folders of `cephalo extract` and `cephalo refine`."
        ),
    ],
    repo_id: Annotated[
        str, typer.Argument(metavar="NAMESPACE/NAME", help="Name of the dataset on the Hub.")
    ],
    choice: Choice,
    private: Annotated[bool, typer.Option("--private", help="Create a private dataset.")] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of processes that compare images; by default one per core."
        ),
    ] = None,
    token: Annotated[
        str | None, typer.Option(help="A Hub token; by default the one of `hf auth login`.")
    ] = None,
) -> None:
    """Push figures, conversations and text to the Hub, deduplicated and split, with a card.

    The dataset is first written to the first FOLDER's `dataset`, which `load_dataset` can open
    too. If no FOLDER contains conversations, captions are used as answers. A public dataset only
    contains rows with a known licence: CC0, CC BY or CC BY-SA, and CC BY-NC or CC BY-NC-SA in
    separate configs such as `figures_nc`.

    \b
    Example:
      cephalo publish figures/ conversations/ my-lab/nacre-figures --private
    """
    from cephalo.dataset_scripts.common.inputs import told
    from cephalo.dataset_scripts.common.tables import conversations_of_gone, find_tables
    from cephalo.dataset_scripts.pdf.crops import prepare_corrections
    from cephalo.dataset_scripts.publication.dataset_folder import (
        PUBLISHED,
        build_dataset,
        check_licenses,
    )
    from cephalo.dataset_scripts.publication.exclude import images_of
    from cephalo.model_cards.hub_names import check_repo_id
    from cephalo.model_cards.upload import hub_api, push_folder

    check_repo_id(repo_id)
    for folder in folders:  # OUT/dataset, given beside OUT, would count twice and be replaced
        check_outside(folder, folders, "the input", same=True)
    api = hub_api(token)
    if not (private or choice.allow_unknown_license or choice.only_open_licenses):
        check_licenses(folders, choice.where)
    find_tables(folders)  # fails for an empty input before a folder is made
    if gone := conversations_of_gone(folders):
        logger.warning(told(gone))
    with locked(folders[0]):
        for one in folders:
            prepare_corrections(one)
        folder = build_dataset(
            folders,
            repo_id,
            only_open=choice.only_open_licenses,
            third_party=private or choice.allow_third_party,
            leave_out=choice.leave_out,
            where=choice.where,
            exclude={name: images_of(name, token) for name in choice.exclude},
            workers=workers or os.cpu_count() or 1,
        )
        revision = push_folder(
            api,
            folder,
            repo_id,
            repo_type="dataset",
            private=private,
            files=sorted(
                path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
            ),
            delete_patterns=[f"{name}/*" for name in (*PUBLISHED, "card")],
            message="Publish with Cephalo",
        )
    print(f"published {api.endpoint}/datasets/{repo_id} at {revision}")
