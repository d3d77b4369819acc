"""Find the tables of a dataset: their shards in folders, and their rows in order."""

# Untyped or partially typed: datasets.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from cephalo.cli.errors import CephaloError
from cephalo.cli.rows import Row
from cephalo.dataset_scripts.common.conversations import caption_conversation
from cephalo.dataset_scripts.common.corrected import corrected_rows
from cephalo.dataset_scripts.common.decisions import decided_rows
from cephalo.dataset_scripts.common.inputs import gone_shards
from cephalo.dataset_scripts.common.schema import CONVERSATIONS, FIGURES, TEXT
from cephalo.dataset_scripts.common.shards import read_rows

CONFIGS = {"figures": FIGURES, "conversations": CONVERSATIONS, "text": TEXT}

Tables = Mapping[str, list[Path]]
"""The shards of each config."""


def find_tables(folders: Iterable[Path]) -> dict[str, list[Path]]:
    """Return the shards of each config in the folders, sorted, without those of removed documents.

    Raises CephaloError if there are none.
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
        raise CephaloError(f"{named} contains no figures; run `cephalo extract` into it first")
    return tables


def conversations_of_gone(folders: Iterable[Path]) -> list[str]:
    """Return the removed documents that still have conversations, which are excluded."""
    folders = list(folders)
    gone = gone_shards(folders)
    shards = (shard for folder in folders for shard in (folder / "conversations").glob("*.parquet"))
    return sorted({shard.stem for shard in shards if shard.name in gone})


def source(config: str, tables: Tables) -> str:
    """Return the config that a config's rows are read from: figures if there are no conversations,
    which are then made from the captions."""
    return "figures" if config == "conversations" and not tables[config] else config


def config_rows(config: str, tables: Tables, images: bool = True) -> Iterator[tuple[Path, Row]]:
    """Yield the rows of a config, each with its shard, always in the same order.

    Figures have manual corrections applied and a "verdict"; conversations are as people edited
    them, without those that they rejected. Images are undecoded; with
    `images=False` the column is omitted, and more rows are read at a time.
    """
    made_from = source(config, tables)
    left_out: set[str] = set() if images else {"image", "images"}
    columns = [name for name in CONFIGS[made_from] if name not in left_out]
    batch_rows = 8 if images and config != "text" else 500
    for shard in tables[made_from]:
        figures = made_from == "figures"
        rows = corrected_rows(shard, columns, batch_rows) if figures else None
        rows = rows or read_rows([shard], columns, batch_rows)
        for row in decided_rows(shard, rows) if made_from == "conversations" else rows:
            if made_from == config:
                yield shard, row
            elif row["caption"]:
                yield shard, caption_conversation({"image": None} | row)
