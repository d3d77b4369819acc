"""How many figures there are of each value of a filter: kept up to date with each decision, so that
no request goes through all figures."""

from collections import Counter
from typing import TYPE_CHECKING, Any

from cephalo.dataset_scripts.workbench.checked import WITHOUT, Findings

if TYPE_CHECKING:
    from cephalo.dataset_scripts.workbench.catalogue import Entry

NO_LICENSE = "unknown"
FAULT = "text: "  # before a fault of a figure's text, among the checks
FACETS = ("document", "kind", "license")


class Tally:
    """The figures that were added, by what the filters have of them."""

    def __init__(self) -> None:
        names = (*FACETS, "state", "talks", "check")
        self.counts: dict[str, Counter[str]] = {name: Counter() for name in names}
        self.scores: dict[str, Counter[float]] = {}

    def add(self, entry: "Entry", findings: Findings, by: int = 1) -> None:
        """Count a figure; with `by` -1 no longer, as it was counted before."""
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
        """The counts by filter and value, and under "scores" the lowest and highest of each."""
        counts = {name: dict(sorted((+count).items())) for name, count in self.counts.items()}
        there = {name: +values for name, values in sorted(self.scores.items())}
        scores = {name: [min(values), max(values)] for name, values in there.items() if values}
        return counts | {"scores": scores}


def facet(entry: "Entry", name: str) -> str:
    """A column of a figure, as people left it, as the filters have it."""
    value = entry.verdict.values.get(name, entry.row[name])
    return value or (NO_LICENSE if name == "license" else "")


def states_of(findings: Findings) -> list[str]:
    """The states of the conversations about a figure."""
    return list(findings.states) or [WITHOUT]


def checks_of(entry: "Entry", findings: Findings) -> list[str]:
    """The checks that reject an answer about a figure, and the faults of its text."""
    return [*findings.checks, *(f"{FAULT}{fault}" for fault in entry.row["text_faults"] or ())]
