"""Counts of figures per filter value, updated with each decision.

No request has to iterate over all figures.
"""

from collections import Counter
from typing import TYPE_CHECKING, Any

from cephalo.dataset_scripts.workbench.checked import WITHOUT, Findings

if TYPE_CHECKING:
    from cephalo.dataset_scripts.workbench.catalogue import Entry

NO_LICENSE = "unknown"
FAULT = "text: "  # prefix for faults of a figure's text, among the checks
FACETS = ("document", "kind", "license")


class Tally:
    """Counts of the added figures for each value of each filter."""

    def __init__(self) -> None:
        names = (*FACETS, "state", "talks", "check")
        self.counts: dict[str, Counter[str]] = {name: Counter() for name in names}
        self.scores: dict[str, Counter[float]] = {}

    def add(self, entry: "Entry", findings: Findings, by: int = 1) -> None:
        """Count a figure. `by` = -1 removes a figure that was counted with the same values."""
        for name in FACETS:
            self.counts[name][facet(entry, name)] += by
        for name, values in (
            ("state", entry.states()),
            ("talks", states_of(findings)),
            ("check", checks_of(entry, findings)),
        ):
            for value in values:
                self.counts[name][value] += by
        for name, value in findings.lowest.items():
            self.scores.setdefault(name, Counter())[value] += by

    def as_json(self) -> dict[str, Any]:
        """Return the counts per filter and value; "scores" has the lowest and highest values."""
        counts = {name: dict(sorted((+count).items())) for name, count in self.counts.items()}
        there = {name: +values for name, values in sorted(self.scores.items())}
        scores = {name: [min(values), max(values)] for name, values in there.items() if values}
        return counts | {"scores": scores}


def facet(entry: "Entry", name: str) -> str:
    """Return the filter value of a column of the corrected row."""
    value = entry.verdict.values.get(name, entry.row[name])
    return value or (NO_LICENSE if name == "license" else "")


def states_of(findings: Findings) -> list[str]:
    """Return the states of the conversations about a figure."""
    return list(findings.states) or [WITHOUT]


def checks_of(entry: "Entry", findings: Findings) -> list[str]:
    """Return the checks that reject an answer about a figure, and the faults of its text."""
    return [*findings.checks, *(f"{FAULT}{fault}" for fault in entry.row["text_faults"] or ())]
