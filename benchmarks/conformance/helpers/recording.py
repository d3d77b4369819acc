"""Record the outcome of each test as a JSON line in $CONFORMANCE_RESULTS.

Loaded by pytest as a plugin. Tests that $CONFORMANCE_SKIPPED lists are not run.
"""

import fnmatch
import json
import os
from pathlib import Path

import pytest

RESULTS = Path(os.environ["CONFORMANCE_RESULTS"])
SKIPPED = json.loads(os.environ["CONFORMANCE_SKIPPED"])  # [pattern, reason]
PRODUCTION = "asks huggingface.co itself"


def record(item: str, outcome: str, text: str = "") -> None:
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(json.dumps([item, outcome, text[-2000:]]) + "\n")


def reason_of(item: pytest.Item) -> str | None:
    """Return why a test is out of scope, or None."""
    for pattern, reason in SKIPPED:
        # Brackets are special in patterns.
        case = item.nodeid.replace("[", "(").replace("]", ")")
        if fnmatch.fnmatch(case, pattern) or fnmatch.fnmatch(case.partition("(")[0], pattern):
            return reason
    asked = {"api_prod"} & set(getattr(item, "fixturenames", ()))
    return PRODUCTION if asked or item.get_closest_marker("production") else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    kept, left_out = [], []
    for item in items:
        reason = reason_of(item)
        if reason is None:
            kept.append(item)
        else:
            left_out.append(item)
            record(item.nodeid, "out of scope", reason)
    config.hook.pytest_deselected(items=left_out)
    items[:] = kept


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" or report.outcome != "passed":
        outcome = report.outcome
        if report.when != "call" and outcome == "failed":
            outcome = "error"
        if hasattr(report, "wasxfail"):
            outcome = "skipped"
        record(report.nodeid, outcome, str(report.longrepr or ""))


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        skipped = [why for pattern, why in SKIPPED if fnmatch.fnmatch(report.nodeid, pattern)]
        if skipped:
            record(report.nodeid, "out of scope", skipped[0])
        else:
            record(report.nodeid, "error", str(report.longrepr))
