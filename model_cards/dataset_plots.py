"""Draw the plots of a dataset's card, in one PNG file."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from cephalo.model_cards.dataset_card import DatasetFacts

LICENSES = 8  # bars; rarer ones are combined in one more
BINS = 20


def write_plots(path: Path, facts: "DatasetFacts") -> None:
    """Draw licences, lengths of captions and figures per document; no file without figures."""
    if not facts.caption_words:
        return
    with matplotlib.rc_context({"text.parse_math": False, "font.size": 8}):
        figure = Figure(figsize=(10, 2.8), dpi=120, layout="constrained")
        licenses, captions, documents = figure.subplots(1, 3)
        draw_licenses(licenses, facts)
        draw_histogram(captions, facts.caption_words)
        captions.set(title="length of captions", xlabel="words", ylabel="figures")
        draw_histogram(documents, facts.figures_a_document)
        documents.set(title="figures a document", xlabel="figures", ylabel="documents")
        for axes in (captions, documents):
            axes.yaxis.get_major_locator().set_params(integer=True)
        figure.savefig(path, metadata={"Software": None})


def draw_histogram(axes: Axes, counts: Counter[int]) -> None:
    """Draw a histogram of numbers with their counts."""
    axes.hist(list(counts), weights=list(counts.values()), bins=BINS)


def draw_licenses(axes: Axes, facts: "DatasetFacts") -> None:
    """Draw bars of the figures under each licence, the most common at the top."""
    counts = facts.licenses["figures"].most_common()
    shown = [(name[:24], count) for name, count in counts[:LICENSES]]
    if rest := sum(count for _, count in counts[LICENSES:]):
        shown.append(("other", rest))
    names, values = zip(*reversed(shown), strict=True)
    bars = axes.barh(range(len(names)), values, tick_label=names)
    axes.bar_label(bars, padding=2)
    axes.margins(x=0.15)
    axes.set(title="licences", xlabel="figures")
