"""The tables that a dataset is made of: their shards in folders, and their rows in order."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.common.conversations import caption_conversation
from cephalo.dataset_scripts.common.corrected import corrected_rows
from cephalo.dataset_scripts.common.inputs import gone_shards
from cephalo.dataset_scripts.common.schema import CONVERSATIONS, FIGURES, TEXT
from cephalo.dataset_scripts.common.shards import read_rows

CONFIGS = {"figures": FIGURES, "conversations": CONVERSATIONS, "text": TEXT}

Tables = Mapping[str, list[Path]]
"""The shards of each config."""


def find_tables(folders: Iterable[Path]) -> dict[str, list[Path]]:
    """The shards of each config in the folders, sorted within each, without those of documents
    that were removed from the input.

    Raises CephaloError where there are none.
    """
    folders = list(dict.fromkeys(folder.resolve() for folder in folders))
    gone = gone_shards(folders)
    tables = {
        config: [
            shard
            for folder in folders
            for shard in sorted((folder / config).glob("*.parquet"))
            if shard.name not in gone
        ]
        for config in CONFIGS
    }
    if not any(tables.values()):
        named = ", ".join(map(str, folders))
        raise CephaloError(f"{named}: no figures in it; run `cephalo extract` into it first")
    return tables


def conversations_of_gone(folders: Iterable[Path]) -> list[str]:
    """The documents removed from the input that still have conversations, which are left out."""
    folders = list(folders)
    gone = gone_shards(folders)
    shards = (shard for folder in folders for shard in (folder / "conversations").glob("*.parquet"))
    return sorted({shard.stem for shard in shards if shard.name in gone})


def source(config: str, tables: Tables) -> str:
    """The config whose tables hold a config's rows: without conversations, the captions make
    them."""
    return "figures" if config == "conversations" and not tables[config] else config


def config_rows(
    config: str, tables: Tables, images: bool = True
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The rows of a config, each with its shard, in an order that is always the same.

    Figures are as people corrected them, with their "verdict". Images are undecoded; without
    `images` the rows have none, and many are read at a time.
    """
    made_from = source(config, tables)
    left_out = set() if images else {"image", "images"}
    columns = [name for name in CONFIGS[made_from] if name not in left_out]
    batch_rows = 8 if images and config != "text" else 500
    for shard in tables[made_from]:
        figures = made_from == "figures"
        rows = corrected_rows(shard, columns, batch_rows) if figures else None
        for row in rows or read_rows([shard], columns, batch_rows):
            if made_from == config:
                yield shard, row
            elif row["caption"]:
                yield shard, caption_conversation({"image": None} | row)
