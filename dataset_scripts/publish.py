"""`cephalo publish`: figures become conversations, splits, Parquet and a dataset on the Hub."""

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pyarrow.parquet as pq
import typer
from datasets import DatasetInfo, Features, SplitDict, SplitInfo
from huggingface_hub import DatasetCard
from tqdm import tqdm

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.conversations import caption_conversation
from cephalo.dataset_scripts.schema import CONVERSATIONS, FIGURES
from cephalo.dataset_scripts.shards import ShardWriter
from cephalo.dataset_scripts.splits import SPLITS, split_documents
from cephalo.model_cards.dataset_card import DatasetFacts, dataset_card
from cephalo.model_cards.upload import check_repo_id, hub_api, push_folder

app = typer.Typer(rich_markup_mode=None, add_completion=False)

CONFIGS = {"figures": FIGURES, "conversations": CONVERSATIONS}
BATCH_ROWS = 32
# Licences of the Open Definition among those that papers carry. Non-commercial and no-derivatives
# ones are known but not open: a crop is a derivative.
OPEN_LICENSE = re.compile(r"(CC0|PDM|CC-BY(-SA)?)(-\d.*)?$")


@app.command()
def publish(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder that `cephalo extract` wrote.")
    ],
    repo_id: Annotated[str, typer.Argument(metavar="NAMESPACE/NAME", help="The dataset's name.")],
    private: Annotated[bool, typer.Option("--private", help="Make it a private dataset.")] = False,
    allow_unknown_license: Annotated[
        bool,
        typer.Option(
            "--allow-unknown-license",
            help="Publish figures without a known open licence too; you answer for the rights.",
        ),
    ] = False,
    token: Annotated[
        str | None, typer.Option(help="A Hub token; by default the one of `hf auth login`.")
    ] = None,
) -> None:
    """Push figures and their conversations to the Hub, split by document, with a card.

    The dataset is first written to DIR/dataset, where `load_dataset` opens it too. A public
    dataset takes only figures of documents with a known open licence: CC0, CC BY or CC BY-SA.

    \b
    Example:
      cephalo publish figures/ my-lab/nacre-figures --private
    """
    check_repo_id(repo_id)
    api = hub_api(token)
    if not private and not allow_unknown_license:
        check_licenses(directory)
    folder = build_dataset(directory, repo_id)
    revision = push_folder(
        api,
        folder,
        repo_id,
        repo_type="dataset",
        private=private,
        files=sorted(
            path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
        ),
        delete_patterns=[f"{config}/*" for config in CONFIGS],
        message="Publish figures and conversations",
    )
    print(f"published {api.endpoint}/datasets/{repo_id} at {revision}")


def check_licenses(directory: Path) -> None:
    """Raise CephaloError if figures have no open licence, with how many and which."""
    shards = find_shards(directory)
    licenses = Counter(name for shard in shards for name in read_column(shard, "license"))
    closed = {name: count for name, count in licenses.items() if not OPEN_LICENSE.match(name or "")}
    if closed:
        listed = ", ".join(f"{count} {name or 'unknown'}" for name, count in closed.items())
        raise CephaloError(
            f"{sum(closed.values())} of {licenses.total()} figures have no known open licence "
            f"({listed}); publish with --private, or with --allow-unknown-license if you may"
        )


def find_shards(directory: Path) -> list[Path]:
    """The shards that `cephalo extract` wrote, sorted."""
    return sorted((directory / "figures").glob("*.parquet"))


def build_dataset(directory: Path, repo_id: str) -> Path:
    """Write the configs and the card below `directory`/dataset and return that folder.

    The folder appears whole: it is written beside and renamed.
    Raises CephaloError where `directory` holds no figures.
    """
    shards = find_shards(directory)
    documents = [read_column(shard, "document_sha256") for shard in shards]
    if not any(documents):
        raise CephaloError(f"{directory} holds no figures; run `cephalo extract` into it first")
    split_of = split_documents(sha for shas in documents for sha in shas)

    aside, folder = directory / "dataset.partial", directory / "dataset"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        card = write_configs(aside, shards, sum(map(len, documents)), split_of, repo_id)
        (aside / "README.md").write_text(str(card), encoding="utf-8")
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)
    return folder


def write_configs(
    folder: Path, shards: list[Path], rows: int, split_of: dict[str, str], repo_id: str
) -> DatasetCard:
    """Write FOLDER/CONFIG/SPLIT-*.parquet from the figures of `shards`; return their card."""
    writers = {
        (config, split): ShardWriter(folder / config, split, features)
        for config, features in CONFIGS.items()
        for split in SPLITS
    }
    facts = DatasetFacts(repo_id=repo_id, documents=Counter(split_of.values()))
    for figure in tqdm(figures_of(shards), total=rows, unit=" figures"):
        split = split_of[figure["document_sha256"]]
        writers["figures", split].add(figure)
        facts.count_figure(figure)
        if figure["caption"]:
            writers["conversations", split].add(caption_conversation(figure))
    for writer in writers.values():
        writer.close()
    return dataset_card(
        facts,
        {
            config: dataset_info(features, {split: writers[config, split] for split in SPLITS})
            for config, features in CONFIGS.items()
        },
    )


def read_column(shard: Path, name: str) -> list[Any]:
    """One column of a Parquet file.

    Raises CephaloError if the file cannot be read or lacks the column.
    """
    try:
        return pq.read_table(shard, columns=[name])[name].to_pylist()
    except (OSError, KeyError, ValueError) as error:
        raise CephaloError(
            f"{shard} is no figures table ({type(error).__name__}); "
            "remove it and run `cephalo extract` again"
        ) from error


def figures_of(shards: list[Path]) -> Iterator[dict[str, Any]]:
    """The rows of all shards, a few at a time, with undecoded images."""
    for shard in shards:
        for batch in pq.ParquetFile(shard).iter_batches(BATCH_ROWS, columns=list(FIGURES)):
            yield from batch.to_pylist()


def dataset_info(features: Features, writers: dict[str, ShardWriter]) -> DatasetInfo:
    """What the Hub's viewer and `load_dataset` want to know of a config: splits that have rows."""
    splits = SplitDict()
    for split, writer in writers.items():
        if writer.rows:
            splits.add(SplitInfo(split, num_bytes=writer.bytes, num_examples=writer.rows))
    size = sum(writer.bytes for writer in writers.values())
    return DatasetInfo(features=features, splits=splits, download_size=size, dataset_size=size)
