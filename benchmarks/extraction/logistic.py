"""Logistic regressions over named features, and their evaluation on held-out groups."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import expit

from benchmarks.extraction.examples import Example
from benchmarks.extraction.measures import Difference

# Penalty on squared weights, times the square root of the number of examples, whose mean weight is
# 1. A constant penalty fits generated papers better and published ones worse.
PENALTY = 0.02
FOLDS = 6  # folds of the groups in cross-validation
RESAMPLES = 1000
_STEPS = 50  # steps of Newton's method; ten are sufficient
_EXACT = 1e-7  # relative change of the loss at convergence


@dataclass(frozen=True)
class Design:
    """Examples of one model as arrays.

    Attributes:
        names: Features, one per column of `x` except the last.
        x: Of shape (examples, features + 1). The last column is 1.
        y: Answers, 0 or 1, of shape (examples,).
        groups: Publisher or layout class of each example.
    """

    names: list[str]
    x: np.ndarray
    y: np.ndarray
    groups: Sequence[str]

    @cached_property
    def share(self) -> np.ndarray:
        """The weight of each example, with mean 1.

        Each group has a weight of the square root of its examples, so that no large group
        dominates.
        """
        counts = Counter(self.groups)
        share = np.array([counts[group] ** -0.5 for group in self.groups])
        return share * len(share) / share.sum()

    @property
    def penalty(self) -> float:
        """The penalty on squared weights."""
        return PENALTY * len(self.y) ** 0.5


def tabulate(examples: Iterable[Example], model: str) -> Design:
    """Return the examples of a model as arrays."""
    own = [example for example in examples if example.model == model]
    names = sorted({name for example in own for name in example.features})
    column = {name: k for k, name in enumerate(names)}
    x = np.zeros((len(own), len(names) + 1))
    x[:, -1] = 1.0
    for row, example in enumerate(own):
        for name, value in example.features.items():
            x[row, column[name]] = value
    answers = np.array([example.answer for example in own], float)
    return Design(names, x, answers, [example.group for example in own])


def solve(
    x: np.ndarray, y: np.ndarray, share: np.ndarray, penalty: float, start: np.ndarray | None = None
) -> np.ndarray:
    """Minimise the loss by Newton's method. The last weight is not penalised.

    Args:
        x: Of shape (examples, columns).
        y: Answers, of shape (examples,).
        share: Weight of each example, of shape (examples,).
        penalty: Penalty on squared weights.
        start: Initial weights.

    Returns:
        Weights of shape (columns,).
    """
    penalties = np.full(x.shape[1], 2 * penalty)
    penalties[-1] = 1e-9
    w = np.zeros(x.shape[1]) if start is None else start
    value = _loss(x, y, share, penalties, w)
    for _ in range(_STEPS):
        p = expit(x @ w)
        slope = x.T @ (share * (p - y)) + penalties * w
        curve = (x * (share * np.maximum(p * (1 - p), 1e-9))[:, None]).T @ x + np.diag(penalties)
        step, length = np.linalg.solve(curve, slope), 1.0
        while (after := _loss(x, y, share, penalties, w - length * step)) > value and length > 1e-4:
            length /= 2
        w = w - length * step
        if value - after < _EXACT * max(1.0, abs(value)):
            break
        value = after
    return w


def _loss(
    x: np.ndarray, y: np.ndarray, share: np.ndarray, penalties: np.ndarray, w: np.ndarray
) -> float:
    """Return the penalised log-loss."""
    z = x @ w
    return float(share @ (np.logaddexp(0.0, z) - y * z) + (penalties * w * w).sum() / 2)


@dataclass(frozen=True)
class Removal:
    """The effect of removing a feature, on held-out groups.

    Attributes:
        model: Name of the model.
        name: Name of the feature.
        loss: Change of the mean log-loss, with an interval over groups.
        wrong: Number of additional errors.
        flips: Number of decisions that change.
    """

    model: str
    name: str
    loss: Difference
    wrong: int
    flips: int


class HeldOut:
    """The decisions of a model on each group, with weights fitted on the others."""

    def __init__(self, design: Design) -> None:
        self.design = design
        every = sorted(set(design.groups))
        self._group = np.array([every.index(group) for group in design.groups])
        self._sizes = np.bincount(self._group)
        part, filled = np.zeros(len(every), int), np.zeros(min(FOLDS, len(every)))
        for group in np.argsort(-self._sizes):
            part[group] = filled.argmin()
            filled[part[group]] += self._sizes[group]
        self._part = part[self._group]

    def decide(
        self, columns: list[int], start: list[np.ndarray] | None = None
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return log-odds (examples,) using some columns, and the weights of each fold."""
        design = self.design
        x, z, weights = design.x[:, columns], np.zeros(len(design.y)), []
        for part in np.unique(self._part):
            fitted, out = self._part != part, self._part == part
            begin = start[len(weights)] if start else None
            w = solve(x[fitted], design.y[fitted], design.share[fitted], design.penalty, begin)
            weights.append(w)
            z[out] = x[out] @ w
        return z, weights

    def compare(self, before: np.ndarray, after: np.ndarray, seed: int = 0) -> Difference:
        """Return the change of the mean loss. Groups are weighted by the root of their examples."""
        y, count = self.design.y, len(self._sizes)
        change = np.logaddexp(0.0, after) - np.logaddexp(0.0, before) - y * (after - before)
        above = np.bincount(self._group, change) * self._sizes**-0.5
        under = self._sizes**0.5
        rng = np.random.default_rng(seed)
        times = rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
        low, high = np.percentile((times @ above) / (times @ under), [2.5, 97.5])
        return Difference(float(above.sum() / under.sum()), float(low), float(high))

    def removals(self, model: str) -> Iterator[Removal]:
        """Yield the effect of removing each feature of the model, with the others refitted."""
        y, columns = self.design.y > 0.5, list(range(self.design.x.shape[1]))
        before, weights = self.decide(columns)
        for k, name in enumerate(self.design.names):
            start = [np.delete(w, k) for w in weights]
            after, _ = self.decide(columns[:k] + columns[k + 1 :], start)
            wrong = ((after > 0) != y).sum() - ((before > 0) != y).sum()
            flips = ((after > 0) != (before > 0)).sum()
            yield Removal(model, name, self.compare(before, after), int(wrong), int(flips))
