"""Score the panels found by `cephalo extract` against manual labels.

    python -m benchmarks.panels.score ../shared/bench

For each publisher: F1 of panel boxes (IoU of at least 0.7), the share of matched boxes with the
correct letter, and the share of correct caption parts (similarity of at least 0.9 to a labelled
reading). Boxes in simple figures count as errors. Figures that the extractor did not find are only
counted in the column "lost". Intervals are bootstrapped over figures.

APS, Nature and Veterinary World were held out until their figures were inspected for remaining
errors; since then they count as development. The others have not been inspected.
"""

import argparse
import importlib.util
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
from rapidfuzz import fuzz

from benchmarks.panels.truth import LabelledFigure, read_caption, read_truth
from cephalo.dataset_scripts.common.geometry import iou
from cephalo.dataset_scripts.pdf.document import extract_document

MIN_IOU = 0.7  # smallest IoU of a panel's box and the labelled one
MIN_RATIO = 90.0  # per cent: smallest similarity of caption parts, as in the benchmark's scorer
RESAMPLES = 2000  # resamples of the figures for an interval
SAME_CAPTION = (
    50.0  # per cent: JATS captions differ from the printed ones, but less than other captions
)


@dataclass
class Score:
    """Counts over figures. `lost` figures are in no other count."""

    figures: int = 0
    lost: int = 0
    boxes: int = 0
    predicted: int = 0
    matched: int = 0
    lettered: int = 0
    right_letters: int = 0
    parts: int = 0
    right_parts: int = 0

    def add(self, other: "Score") -> None:
        """Add the counts of `other`."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))

    def __add__(self, other: "Score") -> "Score":
        return Score(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, other: "Score") -> "Score":
        return Score(*(a - b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def box_f1(self) -> float:
        """F1 of panel boxes; 1 if there are none and none were found."""
        total = self.boxes + self.predicted
        return 2 * self.matched / total if total else 1.0


def main() -> None:
    """Print the table by publisher, then development, held out and all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bench", type=Path, help="the benchmark: real/, wide/, score.py")
    parser.add_argument(
        "--failures", action="store_true", help="also list the errors of each figure"
    )
    options = parser.parse_args()
    truth = read_truth()
    rows = read_rows(options.bench, truth.figures)
    norm = load_normalizer(options.bench)
    by_publisher: dict[str, Score] = defaultdict(Score)
    single: dict[str, list[Score]] = defaultdict(list)
    for figure in truth.figures:
        caption = read_caption(options.bench, figure)
        row = find_row(rows[figure.set, figure.document], figure, caption)
        score, faults = score_figure(figure, caption, row, norm)
        by_publisher[figure.publisher].add(score)
        aside = figure.publisher in truth.held_out
        single["held out" if aside else "development"].append(score)
        if options.failures and figure.publisher not in truth.held_out:
            for fault in faults:
                print(f"{figure.document} {figure.label}: {fault}")
    print(table(by_publisher, truth.held_out))
    for name, scores in single.items():
        print(f"box F1, {name}, 95 % interval over figures: {interval(scores)}")


def read_rows(bench: Path, figures: Iterable[LabelledFigure]) -> dict[tuple[str, str], list[dict]]:
    """Return the rows of each labelled document, by set and document."""
    documents = sorted({(figure.set, figure.document) for figure in figures})
    paths = [bench / name / "pdf" / f"{document}.pdf" for name, document in documents]
    with ProcessPoolExecutor(2) as pool:
        return dict(zip(documents, pool.map(_rows, paths), strict=True))


def _rows(path: Path) -> list[dict]:
    kept = ("label", "caption", "page", "panels")
    return [{key: row[key] for key in kept} for row in extract_document(path).rows]


def find_row(rows: list[dict], figure: LabelledFigure, caption: str) -> dict | None:
    """Return the row of a labelled figure: on its page, with the most similar caption, if any."""
    rows = [row for row in rows if row["page"] == figure.page]
    best = max(rows, key=lambda row: fuzz.ratio(row["caption"], caption), default=None)
    found = best is not None and fuzz.ratio(best["caption"], caption) >= SAME_CAPTION
    return best if found else None


def score_figure(
    figure: LabelledFigure, caption: str, row: dict | None, norm
) -> tuple[Score, list[str]]:
    """Return the counts for one figure, and a message for each error."""
    if row is None:
        return Score(figures=1, lost=1), ["lost"]
    score = Score(figures=1)
    faults = []
    unsettled = {panel.letter for panel in figure.panels if panel.bbox is None}
    free = [panel for panel in row["panels"] if panel["bbox"] and panel["letter"] not in unsettled]
    score.predicted = len(free)
    for panel in figure.panels:
        if panel.bbox is None:
            continue
        score.boxes += 1
        best = max(free, key=lambda found: iou(found["bbox"], panel.bbox), default=None)
        if best is None or iou(best["bbox"], panel.bbox) < MIN_IOU:
            faults.append(f"box of {panel.letter}")
            continue
        free.remove(best)
        score.matched += 1
        if panel.letter:
            score.lettered += 1
            right = best["letter"].casefold() == panel.letter.casefold()
            score.right_letters += right
            if not right:
                faults.append(f"{panel.letter} has the letter {best['letter']}")
    faults += [f"superfluous box {panel['letter']}" for panel in free]
    found = {panel["letter"].casefold(): panel["caption"] for panel in row["panels"]}
    for panel in figure.panels:
        if not panel.parts:
            continue
        score.parts += 1
        given = norm(found.get(panel.letter.casefold(), ""))
        known = [norm(caption[start:end]) for start, end in panel.parts]
        if max(fuzz.ratio(given, part) for part in known) >= MIN_RATIO:
            score.right_parts += 1
        else:
            faults.append(f"part of {panel.letter}: {found.get(panel.letter.casefold())!r}")
    return score, faults


def table(by_publisher: dict[str, Score], held_out: frozenset[str]) -> str:
    """Format a Markdown table: publishers, then development, held out and all."""
    lines = [
        "| publisher | figures | lost | boxes | box F1 | letters | caption parts |",
        "|---|---|---|---|---|---|---|",
    ]
    sums = {"development": Score(), "held out": Score(), "all": Score()}
    for publisher in sorted(by_publisher, key=lambda name: (name in held_out, name)):
        score = by_publisher[publisher]
        aside = publisher in held_out
        lines.append(line(publisher + (" (held out)" if aside else ""), score))
        sums["held out" if aside else "development"].add(score)
        sums["all"].add(score)
    return "\n".join(lines + [line(f"**{name}**", score) for name, score in sums.items()])


def interval(scores: list[Score]) -> str:
    """Return the central 95 % of box F1 over resampled figures."""
    counts = np.array([(one.matched, one.boxes + one.predicted) for one in scores])
    chosen = np.random.default_rng(0).integers(len(scores), size=(RESAMPLES, len(scores)))
    matched, total = counts[chosen].sum(axis=1).T
    shares = np.where(total > 0, 2 * matched / np.maximum(total, 1), 1.0)
    low, high = np.percentile(shares, (2.5, 97.5))
    return f"{low:.3f} to {high:.3f}"


def line(name: str, score: Score) -> str:
    shares = [
        f"{score.box_f1:.3f}",
        _share(score.right_letters, score.lettered),
        f"{_share(score.right_parts, score.parts)} of {score.parts}",
    ]
    counts = [str(score.figures), str(score.lost), str(score.boxes)]
    return "| " + " | ".join([name, *counts, *shares]) + " |"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.3f}" if whole else "-"


def load_normalizer(bench: Path):
    """Load the text normalisation of the benchmark's scorer."""
    spec = importlib.util.spec_from_file_location("bench_score", bench / "score.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.norm


if __name__ == "__main__":
    main()
