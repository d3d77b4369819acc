"""Select rows of each table by the condition of `--where`."""

import logging
from collections.abc import Mapping
from pathlib import Path

from cephalo.cli.errors import CephaloError
from cephalo.cli.where import TEXT, Where, types_of
from cephalo.dataset_scripts.common.corrected import corrected_rows, left_out
from cephalo.dataset_scripts.common.corrections import Verdict
from cephalo.dataset_scripts.common.tables import CONFIGS, Tables

logger = logging.getLogger(__name__)

PERSON = "person"  # column for conditions on figures: the manual decision, null without one


def condition_on(config: str, text: str) -> Where:
    """Parse a condition on the rows of a config. Raises CephaloError if it is invalid."""
    types = types_of(CONFIGS[config].arrow_schema)
    if config == "figures":
        types[PERSON] = TEXT
    return Where(text, types, config)


def columns_of(where: Where | None) -> list[str]:
    """Return the columns of a table that a condition reads."""
    return [name for name in where.columns if name != PERSON] if where else []


def takes(where: Where | None, row: Mapping[str, object]) -> bool:
    """Return whether a condition holds for a row. Rows of figures have a "verdict"."""
    if where is None:
        return True
    verdict = row.get("verdict")
    return where({**row, PERSON: verdict.person if isinstance(verdict, Verdict) else None})


def conditions_on(tables: Tables, text: str | None) -> dict[str, Where]:
    """Return the condition for each config that has all its columns.

    Conversations made from captions are selected by their figures. Raises CephaloError if no config
    has all columns, or if the condition is invalid.
    """
    found, errors = {}, []
    for config in [config for config in CONFIGS if tables[config]] if text is not None else ():
        try:
            found[config] = condition_on(config, text or "")
        except CephaloError as error:
            errors.append(error)
            told = ", except by their figures" if config == "conversations" else ""
            logger.info("--where does not apply to rows of %s%s", config, told)
    if errors and not found:
        raise errors[0]
    return found


def count_taken(shards: list[Path], where: Where) -> tuple[int, int]:
    """Return how many figures of shards a condition selects, and how many there are without
    manually rejected ones."""
    taken = total = 0
    for shard in shards:
        for row in corrected_rows(shard, columns_of(where) or ["label"], batch_rows=500):
            if not left_out(row):
                total += 1
                taken += takes(where, row)
    return taken, total
