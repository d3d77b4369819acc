"""`cephalo publish`: the tables of extraction and refinement become a dataset on the Hub."""

import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from datasets import DatasetInfo, Features, SplitDict, SplitInfo
from tqdm import tqdm

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import locked
from cephalo.dataset_scripts.dedup import (
    Selection,
    Tables,
    conversation_rows,
    figure_rows,
    select_rows,
    text_rows,
)
from cephalo.dataset_scripts.dedup_images import ImageIndex
from cephalo.dataset_scripts.exclude import images_of
from cephalo.dataset_scripts.schema import CONVERSATIONS, FIGURES, TEXT
from cephalo.dataset_scripts.shards import ShardWriter, read_rows
from cephalo.dataset_scripts.splits import SPLITS, split_documents
from cephalo.model_cards.dataset_card import REASONS, DatasetFacts, read_reports, write_card
from cephalo.model_cards.licenses import is_open
from cephalo.model_cards.upload import check_repo_id, hub_api, push_folder

app = typer.Typer(rich_markup_mode=None, add_completion=False)

CONFIGS = {"figures": FIGURES, "conversations": CONVERSATIONS, "text": TEXT}
ROWS: dict[str, Callable[[Tables], Iterator[dict[str, Any]]]] = {
    "figures": figure_rows,
    "conversations": conversation_rows,
    "text": text_rows,
}


@app.command()
def publish(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="FOLDER", help="Folders of `cephalo extract` and `cephalo refine`."),
    ],
    repo_id: Annotated[str, typer.Argument(metavar="NAMESPACE/NAME", help="The dataset's name.")],
    private: Annotated[bool, typer.Option("--private", help="Make it a private dataset.")] = False,
    only_open_licenses: Annotated[
        bool,
        typer.Option(
            "--only-open-licenses", help="Leave out what is not under CC0, CC BY or CC BY-SA."
        ),
    ] = False,
    allow_unknown_license: Annotated[
        bool,
        typer.Option(
            "--allow-unknown-license",
            help="Publish what has no known open licence too; you answer for the rights.",
        ),
    ] = False,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DATASET",
            help="Leave out figures equal or near to the images of this dataset: a Hub name "
            "[:CONFIG][@REVISION] or a folder, such as a benchmark. Repeatable.",
        ),
    ] = None,
    token: Annotated[
        str | None, typer.Option(help="A Hub token; by default the one of `hf auth login`.")
    ] = None,
) -> None:
    """Push figures, conversations and text to the Hub, without copies, split, with a card.

    The dataset is first written to the first FOLDER's `dataset`, where `load_dataset` opens it
    too. Where no FOLDER holds conversations, the captions make them. A public dataset takes only
    rows with a known open licence: CC0, CC BY or CC BY-SA.

    \b
    Example:
      cephalo publish figures/ conversations/ my-lab/nacre-figures --private
    """
    check_repo_id(repo_id)
    api = hub_api(token)
    if not private and not allow_unknown_license and not only_open_licenses:
        check_licenses(folders)
    folder = build_dataset(
        folders,
        repo_id,
        only_open=only_open_licenses,
        exclude={name: images_of(name, token) for name in exclude or []},
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
        delete_patterns=[f"{name}/*" for name in (*CONFIGS, "card")],
        message="Publish with Cephalo",
    )
    print(f"published {api.endpoint}/datasets/{repo_id} at {revision}")


def find_tables(folders: Iterable[Path]) -> dict[str, list[Path]]:
    """The shards of each config in the folders, sorted within each.

    Raises CephaloError where there are none.
    """
    folders = list(dict.fromkeys(folder.resolve() for folder in folders))
    tables = {
        config: [
            shard for folder in folders for shard in sorted((folder / config).glob("*.parquet"))
        ]
        for config in CONFIGS
    }
    if not any(tables.values()):
        named = ", ".join(map(str, folders))
        raise CephaloError(f"{named}: no figures in it; run `cephalo extract` into it first")
    return tables


def check_licenses(folders: Iterable[Path]) -> None:
    """Raise CephaloError if rows have no open licence, with how many and which."""
    for config, shards in find_tables(folders).items():
        licenses = Counter(row["license"] for row in read_rows(shards, ["license"], 1000))
        closed = {name: count for name, count in licenses.items() if not is_open(name)}
        if closed:
            listed = ", ".join(f"{count} {name or 'unknown'}" for name, count in closed.items())
            raise CephaloError(
                f"{sum(closed.values())} of {licenses.total()} rows of {config} have no known open "
                f"licence ({listed}); publish with --private, with --only-open-licenses, or with "
                "--allow-unknown-license if you may"
            )


def build_dataset(
    folders: Iterable[Path],
    repo_id: str,
    *,
    only_open: bool = False,
    exclude: Mapping[str, ImageIndex] | None = None,
) -> Path:
    """Write the configs and the card below the first folder's `dataset` and return that.

    It appears whole: it is written beside and renamed. `exclude` maps a dataset's name to the
    images that are kept out. Raises CephaloError where the folders hold no rows.
    """
    folders = list(folders)
    tables = find_tables(folders)
    aside, folder = folders[0] / "dataset.partial", folders[0] / "dataset"
    with locked(folders[0]):
        shutil.rmtree(aside, ignore_errors=True)
        selection = select_rows(tables, only_open=only_open, exclude=exclude)
        for (config, reason), count in selection.dropped.items():
            print(f"left out {count} rows of {config}: {REASONS[reason]}", file=sys.stderr)
        if not selection.documents:
            raise CephaloError(
                f"{folders[0]}: no figures to publish, {selection.dropped.total()} were left out; "
                "run `cephalo extract` on more papers"
            )
        try:
            write_dataset(aside, tables, selection, repo_id, folders)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)
    return folder


def write_dataset(
    folder: Path, tables: Tables, selection: Selection, repo_id: str, folders: list[Path]
) -> None:
    """Write FOLDER/CONFIG/SPLIT-*.parquet of the rows that are kept, and their card."""
    split_of = split_documents(selection.documents, selection.links)
    facts = DatasetFacts(
        repo_id=repo_id,
        documents=Counter(split_of.values()),
        dropped=selection.dropped,
        excluded=selection.excluded,
        reports=read_reports(folders),
    )
    infos = {}
    for config, features in CONFIGS.items():
        writers = {split: ShardWriter(folder / config, split, features) for split in SPLITS}
        kept = selection.kept.get(config, [])
        rows = tqdm(ROWS[config](tables), total=len(kept), desc=config, unit=" rows", disable=None)
        for row, keep in zip(rows, kept, strict=True):
            if keep:
                split = split_of[row["document_sha256"]]
                writers[split].add(row)
                facts.count(config, row, split)
        for writer in writers.values():
            writer.close()
        if any(writer.rows for writer in writers.values()):
            infos[config] = dataset_info(features, writers)
    write_card(folder, facts, infos)


def dataset_info(features: Features, writers: dict[str, ShardWriter]) -> DatasetInfo:
    """What the Hub's viewer and `load_dataset` want to know of a config: splits that have rows."""
    splits = SplitDict()
    for split, writer in writers.items():
        if writer.rows:
            splits.add(SplitInfo(split, num_bytes=writer.bytes, num_examples=writer.rows))
    size = sum(writer.bytes for writer in writers.values())
    return DatasetInfo(features=features, splits=splits, download_size=size, dataset_size=size)
