"""Counts of what was extracted right, by document, and what follows from them.

Pairs, boxes and labels are judged by the benchmark's own scorer. Of documents with counts, sums
give scores, and resampling them gives intervals.
"""

import json
from dataclasses import astuple, dataclass, fields
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
from rapidfuzz import fuzz

TEXT_RATIO = 0.9  # similarity of captions from which on they are paired, as in score.py
BOX_RATIO = 0.8  # IoU from which on a box is right, as in score.py
FOUND_RATIO = 0.5  # similarity from which on a caption is taken for a cut or run-on reading
END = 25  # normalised characters at each end of a caption
END_RATIO = 80.0  # percent; ends that are that alike are the same but for symbols
RESAMPLES = 2000
_DIFFERENCES = Path(__file__).with_name("truth_differs.json")


@dataclass(frozen=True)
class Counts:
    """What one document or several gave.

    `figures` are in the truth, `predicted` were found, `pairs` of them have the right caption;
    `boxed`, `boxes_predicted` and `paired_boxes` are the same for figures whose box is known, with
    the box right too. `labelled` pairs have a label in the truth, `labels` of them the right one.
    `found` captions can be told whose they are, `whole` of them begin and end right.
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
# Each measure as numerators and denominators: the sum of the ones over the sum of the others.
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
    """A measure from counts (..., fields of `Counts`); NaN where there is nothing to count."""
    above, below = ([COLUMNS[name] for name in names] for names in MEASURES[measure])
    under = counts[..., below].sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(under > 0, counts[..., above].sum(axis=-1) / under, np.nan)


def compare(
    before: np.ndarray, after: np.ndarray, measure: str, resamples: int = RESAMPLES, seed: int = 0
) -> Difference:
    """How a measure changes on the same documents, with a bootstrap interval over documents.

    `before` and `after` are counts (documents, fields of `Counts`).
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
    """The counts of document `name`, of which `rows` were predicted.

    `scorer` is the benchmark's score.py. What is printed otherwise than the truth has it, by the
    reviewed list in `truth_differs.json`, is left out.
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
    """The prediction that is most like a figure's caption; None where none is like it."""
    text = scorer.norm(scorer.strip_label(figure["caption"]))
    label = scorer.canon_label(figure.get("label"))

    def likeness(row: dict) -> tuple[float, bool]:
        own = scorer.norm(scorer.strip_label(row["caption"]))
        return fuzz.ratio(own, text), scorer.canon_label(row["label"]) == label

    best = max(rows, key=likeness, default=None)
    return best if best is not None and likeness(best)[0] >= 100 * FOUND_RATIO else None


def is_whole(scorer: ModuleType, caption: str, figure: dict) -> bool:
    """Whether a caption begins and ends as the true one does, or as that is printed."""
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
    """By document and label what is printed otherwise: "caption", its "ends", or the "label"."""
    found: dict[str, dict[str, set[str]]] = {}
    for item in json.loads(_DIFFERENCES.read_text(encoding="utf-8")):
        found.setdefault(item["document"], {}).setdefault(item["label"], set()).add(item["part"])
    return found
