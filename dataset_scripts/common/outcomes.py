"""Totals of an extraction run over its documents."""

from collections import Counter
from dataclasses import dataclass, field

from cephalo.dataset_scripts.common.document_shards import DocumentOutcome


@dataclass
class Counts:
    """Totals of a run. `failures` maps a file to a one-line reason; `died` lists the files whose
    worker died. For `sentences` see `DocumentOutcome`."""

    documents: int = 0
    pages: int = 0
    figures: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    died: set[str] = field(default_factory=set)
    sentences: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, outcome: DocumentOutcome) -> None:
        """Add the outcome of the document `name`."""
        if outcome.error is None:
            self.documents += 1
            self.pages += outcome.pages
            self.figures += outcome.figures
            self.sentences += outcome.sentences
        else:
            self.failures[name] = outcome.error
            self.died |= {name} if outcome.died else set()
        for figure, reason in outcome.left_out.items():
            self.failures[f"{name}: {figure}"] = reason

    def describe_sentences(self) -> str:
        """Format the numbers of kept and excluded sentences of the running text in one line."""
        counts = self.sentences.most_common()
        left_out = [f"{count} {reason}" for reason, count in counts if reason != "kept"]
        kept = self.sentences["kept"]
        return f"text: {kept} sentences kept; left out: {', '.join(left_out) or 'none'}"
