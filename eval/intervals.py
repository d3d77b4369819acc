"""Confidence intervals of measures, and paired comparisons of two models on the same rows."""

# Untyped or partially typed: scipy.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownLambdaType=false
# pyright: reportMissingTypeStubs=false

import warnings
from collections.abc import Callable

import numpy as np
from scipy.stats import DegenerateDataWarning, binomtest, bootstrap

from cephalo.eval.scores import Scores

RESAMPLES = 2000
CONFIDENCE = 0.95
BATCH = 100  # resamples at a time, to bound memory


def intervals(scores: Scores) -> dict[str, dict[str, float | None]]:
    """Return each measure as {"value", "low", "high"}: percentile bootstrap over rows, 95 %.

    Undefined numbers are None: a bound with fewer than two rows, R² of constant references.
    """
    return {
        name: {"value": finite(scores.measures[name](scores.table)), **bounds(values)}
        for name, values in resampled(scores, lambda index: measured(scores, index)).items()
    }


def compare(first: Scores, second: Scores) -> dict[str, dict[str, float | None]]:
    """Return each measure's difference, second minus first, on the same rows.

    {"difference", "low", "high", "p"}: paired bootstrap, `p` two-sided, from the share of resamples
    on the other side of 0. If answers are right or wrong, "mcnemar" has the exact test on the rows
    where the models differ.
    """
    found: dict[str, dict[str, float | None]] = {}
    drawn = resampled(first, lambda index: measured(second, index) - measured(first, index))
    for name, values in drawn.items():
        value = finite(second.measures[name](second.table) - first.measures[name](first.table))
        found[name] = {"difference": value, **bounds(values), "p": two_sided(values)}
    if first.correct is not None and second.correct is not None:
        found["mcnemar"] = mcnemar(first.correct, second.correct)
    return found


def measured(scores: Scores, index: np.ndarray) -> np.ndarray:
    """Return all measures, (k, ...), of the rows with the indices (..., n)."""
    table = scores.table[index]
    return np.stack([measure(table) for measure in scores.measures.values()])


def resampled(
    scores: Scores, statistic: Callable[[np.ndarray], np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the values of each measure in `statistic`, as from `measured`, on resampled rows."""
    n = len(scores.table)
    if n < 2:
        return dict.fromkeys(scores.measures, np.empty(0))
    with warnings.catch_warnings():
        # If all resamples are equal, so are the bounds.
        warnings.simplefilter("ignore", DegenerateDataWarning)
        result = bootstrap(
            (np.arange(n),),
            lambda index, axis=-1: statistic(index.astype(int)),
            n_resamples=RESAMPLES,
            batch=BATCH,
            vectorized=True,
            method="percentile",
            rng=np.random.default_rng(0),
        )
    return dict(zip(scores.measures, result.bootstrap_distribution, strict=True))


def bounds(values: np.ndarray) -> dict[str, float | None]:
    """Return the percentiles around the middle 95 % of the values."""
    values = values[np.isfinite(values)]
    if not len(values):
        return {"low": None, "high": None}
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return {"low": float(low), "high": float(high)}


def two_sided(differences: np.ndarray) -> float | None:
    """Return twice the smaller share of differences on one side of 0, with one added to its
    count."""
    if not len(differences):
        return None
    smaller = min((differences <= 0).sum(), (differences >= 0).sum())
    return float(min(1.0, 2 * (smaller + 1) / (len(differences) + 1)))


def mcnemar(first: np.ndarray, second: np.ndarray) -> dict[str, float | None]:
    """Compute McNemar's exact test on the rows that exactly one of the models answers correctly."""
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    discordant = only_first + only_second
    p = binomtest(only_first, discordant).pvalue if discordant else 1.0
    return {"only_first": only_first, "only_second": only_second, "p": float(p)}


def finite(value: float | np.ndarray) -> float | None:
    """Return a number, or None if it is not finite, since JSON has no nan."""
    return float(value) if np.isfinite(value) else None
