"""Counts of correct results per document, scores and intervals.

Pairs, boxes and labels are judged by the scorer of the benchmark. Sums of counts give scores;
resampling documents gives intervals.
"""

import json
from dataclasses import astuple, dataclass, fields
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
from rapidfuzz import fuzz

TEXT_RATIO = 0.9  # smallest similarity of paired captions, as in score.py
BOX_RATIO = 0.8  # smallest IoU of a correct box, as in score.py
FOUND_RATIO = 0.5  # smallest similarity of a truncated or extended caption
END = 25  # normalised characters at each end of a caption
END_RATIO = 80.0  # percent; smallest similarity of equal ends, which may differ in symbols
RESAMPLES = 2000
_DIFFERENCES = Path(__file__).with_name("truth_differs.json")


@dataclass(frozen=True)
class Counts:
    """Counts for one or several documents.

    Attributes:
        figures: Figures in the ground truth.
        predicted: Figures found.
        pairs: Found figures with the correct caption.
        boxed: Figures with a known box.
        boxes_predicted: Found figures, where boxes are known.
        paired_boxes: Found figures with correct caption and box.
        labelled: Pairs with a label in the ground truth.
        labels: Pairs with the correct label.
        found: Captions that can be assigned to a figure.
        whole: Captions with correct start and end.
    """

    figures: int = 0
    predicted: int = 0
    pairs: int = 0
    boxed: int = 0
    boxes_predicted: int = 0
    paired_boxes: int = 0
    labelled: int = 0
    labels: int = 0
    found: int = 0
    whole: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


COLUMNS = {field.name: number for number, field in enumerate(fields(Counts))}
# Numerators and denominators of each measure: sum of the first over sum of the second.
MEASURES = {
    "pair F1": (("pairs", "pairs"), ("figures", "predicted")),
    "pair+box F1": (("paired_boxes", "paired_boxes"), ("boxed", "boxes_predicted")),
    "whole": (("whole",), ("found",)),
    "precision": (("pairs",), ("predicted",)),
    "recall": (("pairs",), ("figures",)),
    "labels": (("labels",), ("labelled",)),
}


@dataclass(frozen=True)
class Difference:
    """A change of a score with its 95 % interval over documents."""

    change: float
    low: float
    high: float


def score(counts: np.ndarray, measure: str) -> np.ndarray:
    """Return a measure from counts of shape (..., fields of `Counts`); NaN without counts."""
    above, below = ([COLUMNS[name] for name in names] for names in MEASURES[measure])
    under = counts[..., below].sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(under > 0, counts[..., above].sum(axis=-1) / under, np.nan)


def compare(
    before: np.ndarray, after: np.ndarray, measure: str, resamples: int = RESAMPLES, seed: int = 0
) -> Difference:
    """Return the change of a measure on the same documents, with a bootstrap interval.

    `before` and `after` are counts of shape (documents, fields of `Counts`).
    """
    count = len(before)
    rng = np.random.default_rng(seed)
    times = rng.multinomial(count, np.full(count, 1 / count), size=resamples)
    changes = score(times @ after, measure) - score(times @ before, measure)
    change = score(after.sum(axis=0), measure) - score(before.sum(axis=0), measure)
    if np.isnan(changes).all():
        return Difference(float(change), float("nan"), float("nan"))
    low, high = np.nanpercentile(changes, [2.5, 97.5])
    return Difference(float(change), float(low), float(high))


def count_document(scorer: ModuleType, name: str, truth: dict, rows: list[dict]) -> Counts:
    """Return the counts of document `name` with the predictions `rows`.

    `scorer` is the benchmark's score.py. Differences between print and ground truth that are listed
    in `truth_differs.json` are not counted.
    """
    parts = _differences().get(name, {})
    canon = scorer.canon_label

    def differs(figure: dict, part: str) -> bool:
        return part in parts.get(figure.get("label") or "", ())

    figures = [figure for figure in truth["figures"] if not differs(figure, "caption")]
    others = {canon(label) for label, own in parts.items() if "caption" in own and label}
    rows = [row for row in rows if not scorer.is_table(row) and canon(row["label"]) not in others]
    known = [f | {"label": None} if differs(f, "label") else f for f in figures]
    every = scorer.evaluate({name: truth | {"figures": known}}, rows, TEXT_RATIO, BOX_RATIO)
    total = every["total"]
    kept = [figure for figure in figures if not differs(figure, "ends")]
    found = [_row_of(scorer, figure, rows) for figure in kept]
    whole = [
        is_whole(scorer, row["caption"], figure)
        for figure, row in zip(kept, found, strict=True)
        if row
    ]
    return Counts(
        total.nt["pair"],
        total.np["pair"],
        total.tp["pair"],
        total.nt["pair+box"],
        total.np["pair+box"],
        total.tp["pair+box"],
        total.lab[1],
        total.lab[0],
        len(whole),
        sum(whole),
    )


def _row_of(scorer: ModuleType, figure: dict, rows: list[dict]) -> dict | None:
    """Return the prediction most similar to a figure's caption, `None` if none is similar."""
    text = scorer.norm(scorer.strip_label(figure["caption"]))
    label = scorer.canon_label(figure.get("label"))

    def likeness(row: dict) -> tuple[float, bool]:
        own = scorer.norm(scorer.strip_label(row["caption"]))
        return fuzz.ratio(own, text), scorer.canon_label(row["label"]) == label

    best = max(rows, key=likeness, default=None)
    return best if best is not None and likeness(best)[0] >= 100 * FOUND_RATIO else None


def is_whole(scorer: ModuleType, caption: str, figure: dict) -> bool:
    """Return whether a caption starts and ends like the true one, or like its printed form."""
    own = scorer.norm(scorer.strip_label(caption))
    texts = [figure["caption"], figure.get("caption_printed")]
    normal = [scorer.norm(scorer.strip_label(text)) for text in texts if text]
    return any(
        fuzz.ratio(own[:END], text[:END]) >= END_RATIO
        and fuzz.ratio(own[-END:], text[-END:]) >= END_RATIO
        for text in normal
    )


@cache
def _differences() -> dict[str, dict[str, set[str]]]:
    """Return the differences by document and label: "caption", its "ends", or the "label"."""
    found: dict[str, dict[str, set[str]]] = {}
    for item in json.loads(_DIFFERENCES.read_text(encoding="utf-8")):
        found.setdefault(item["document"], {}).setdefault(item["label"], set()).add(item["part"])
    return found
