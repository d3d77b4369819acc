"""Decisions about figures, as `cephalo review` writes them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from cephalo.dataset_scripts.common.corrections import NAME, Correction, key_of_row

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def row_of(folder: Path, document: str, label: str) -> dict[str, Any]:
    """The row of a figure as extracted."""
    for shard in sorted((folder / "figures").glob("*.parquet")):
        for row in pq.read_table(shard).to_pylist():
            if (row["document"], row["label"]) == (document, label):
                return row
    raise LookupError(label)


def correct(
    folder: Path,
    what: str,
    after: Any,
    document: str = "paper-0.pdf",
    label: str = "Figure 1",
    minutes: int = 0,
    by: str = "ann",
) -> Correction:
    """Add a decision about a figure, made so many minutes after noon, to the folder's file."""
    row = row_of(folder, document, label)
    at = NOON + timedelta(minutes=minutes)
    line = Correction(
        by=by, at=at, key=key_of_row(row), what=what, before=row.get(what), after=after
    )
    with (folder / NAME).open("a", encoding="utf-8") as file:
        file.write(line.model_dump_json() + "\n")
    return line
