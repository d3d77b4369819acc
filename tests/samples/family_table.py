"""What tests show of families of models, held against the table that `cephalo series` prints.

A test with `@pytest.mark.shows("chat", ...)` and a parameter or fixture `family` fills the cells of
that family. `pytest --write-families` writes what the run showed into the table; without it, the
run fails where the table says what a test does not show, or what no test is about.
"""

import json
from typing import Any

import pytest

from cephalo.series.families import FEATURES, SHOWN, read_shown

PROPERTY = "shows"
cells: dict[tuple[str, str], bool] = {}  # of this run: whether all tests of a cell passed


def note_cells(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Have reports of tests tell the cells that they fill.

    Raises UsageError where the table has cells that no test of a whole collection fills.
    """
    known = set()
    for item in items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        for mark in item.iter_markers(PROPERTY):
            for feature in mark.args:
                assert feature in FEATURES, feature
                known.add((parameters["family"], feature))
                item.user_properties.append((PROPERTY, [parameters["family"], feature]))
    whole = config.args_source is not pytest.Config.ArgsSource.ARGS
    if whole and (untested := table_cells() - known):
        raise pytest.UsageError(f"{SHOWN.name} has cells that no test shows: {sorted(untested)}")


def table_cells() -> set[tuple[str, str]]:
    """The cells of the table that say yes."""
    return {(family, feature) for family, own in read_shown().items() for feature in own}


def note_report(report: pytest.TestReport) -> None:
    """Fill the cells of a test that ran."""
    properties: Any = report.user_properties
    for name, value in properties:
        if name == PROPERTY and (report.failed or report.when == "call"):
            cell = tuple(value)
            cells[cell] = cells.get(cell, True) and report.passed


def write_table() -> None:
    """Write the cells of this run into the table; the others stay."""
    shown = read_shown() if SHOWN.exists() else {}
    for (family, feature), passed in cells.items():
        kept = set(shown.get(family, ())) - {feature} | ({feature} if passed else set())
        shown[family] = [name for name in FEATURES if name in kept]
    lines = (f"  {json.dumps(name)}: {json.dumps(own)}" for name, own in sorted(shown.items()))
    SHOWN.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def false_claims() -> list[str]:
    """Cells that say yes though their tests failed, a line each."""
    return [
        f"{SHOWN.name} says that {family} has {feature}, and its tests failed; mend it, or run "
        "them with --write-families"
        for family, feature in sorted(table_cells())
        if cells.get((family, feature)) is False
    ]


def unclaimed() -> list[str]:
    """Cells that this run showed and the table does not have."""
    said = table_cells()
    shown = sorted(cell for cell, passed in cells.items() if passed and cell not in said)
    return [f"{family} {feature}" for family, feature in shown]
