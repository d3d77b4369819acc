"""The rows that `--where` takes, of each table."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cephalo.cli.errors import CephaloError
from cephalo.cli.where import TEXT, Where, types_of
from cephalo.dataset_scripts.common.corrected import corrected_rows, left_out
from cephalo.dataset_scripts.common.tables import CONFIGS, Tables

logger = logging.getLogger(__name__)

PERSON = "person"  # column of a condition on figures: what a person did, null if nobody looked


def condition_on(config: str, text: str) -> Where:
    """A condition on the rows of a config. Raises CephaloError where it cannot be evaluated."""
    types = types_of(CONFIGS[config].arrow_schema)
    if config == "figures":
        types[PERSON] = TEXT
    return Where(text, types, config)


def columns_of(where: Where | None) -> list[str]:
    """The columns of a table that a condition reads."""
    return [name for name in where.columns if name != PERSON] if where else []


def takes(where: Where | None, row: Mapping[str, Any]) -> bool:
    """Whether a condition holds for a row, which as a figure has its "verdict"."""
    if where is None:
        return True
    verdict = row.get("verdict")
    return where({**row, PERSON: verdict.person if verdict else None})


def conditions_on(tables: Tables, text: str | None) -> dict[str, Where]:
    """The condition on each config that has all columns that it names.

    Conversations that captions make are those of the figures that it takes. Raises CephaloError if
    there is no such config, or it cannot be evaluated.
    """
    found, errors = {}, []
    for config in [config for config in CONFIGS if tables[config]] if text is not None else ():
        try:
            found[config] = condition_on(config, text or "")
        except CephaloError as error:
            errors.append(error)
            told = ", but with its figures" if config == "conversations" else ""
            logger.info("--where does not choose rows of %s by themselves%s", config, told)
    if errors and not found:
        raise errors[0]
    return found


def count_taken(shards: list[Path], where: Where) -> tuple[int, int]:
    """How many figures of shards a condition takes, of how many that no person rejected."""
    taken = total = 0
    for shard in shards:
        for row in corrected_rows(shard, columns_of(where) or ["label"], batch_rows=500):
            if not left_out(row):
                total += 1
                taken += takes(where, row)
    return taken, total
