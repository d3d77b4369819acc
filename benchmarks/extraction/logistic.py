"""Logistic regressions over named features, and what they are worth on groups left out."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import expit

from benchmarks.extraction.examples import Example
from benchmarks.extraction.measures import Difference

# On squared weights, times the root of the number of examples, which weigh 1 in the mean. A penalty
# that does not grow with them fits the generated papers closer and published ones less well.
PENALTY = 0.02
FOLDS = 6  # parts of the groups, each of which is left out in turn
RESAMPLES = 1000
_STEPS = 50  # of Newton's method; ten are enough
_EXACT = 1e-7  # relative change of the loss at which it ends


@dataclass(frozen=True)
class Design:
    """Examples of one model as a table.

    `names`: features, as the columns of `x` (examples, features + 1), the last of which is 1.
    `y` (examples,): answers, 0 or 1. `groups`: publishers and classes of layouts.
    """

    names: list[str]
    x: np.ndarray
    y: np.ndarray
    groups: Sequence[str]

    @cached_property
    def share(self) -> np.ndarray:
        """The weight of each example, 1 in the mean.

        Every group weighs as the square root of its examples, so that one with many does not
        decide alone.
        """
        counts = Counter(self.groups)
        share = np.array([counts[group] ** -0.5 for group in self.groups])
        return share * len(share) / share.sum()

    @property
    def penalty(self) -> float:
        """The penalty on squared weights."""
        return PENALTY * len(self.y) ** 0.5


def tabulate(examples: Iterable[Example], model: str) -> Design:
    """The examples of a model."""
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
    """The weights (columns of `x`,) of least loss, by Newton's method; the last is not penalised.

    `start`: weights to begin with.
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
    z = x @ w
    return float(share @ (np.logaddexp(0.0, z) - y * z) + (penalties * w * w).sum() / 2)


@dataclass(frozen=True)
class Worth:
    """What a feature is worth on groups that took no part in the fit.

    `loss`: the change of the mean log-loss without it, with an interval over groups. `wrong`: how
    many more decisions are wrong without it; `flips`: how many are other ones.
    """

    model: str
    name: str
    loss: Difference
    wrong: int
    flips: int


class HeldOut:
    """The decisions of a model on each group, by weights fitted on the others."""

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
        """Log-odds (examples,) by the features of some columns, and the weights of each part."""
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
        """The change of the mean loss; a group weighs as the root of its examples."""
        y, count = self.design.y, len(self._sizes)
        change = np.logaddexp(0.0, after) - np.logaddexp(0.0, before) - y * (after - before)
        above = np.bincount(self._group, change) * self._sizes**-0.5
        under = self._sizes**0.5
        rng = np.random.default_rng(seed)
        times = rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
        low, high = np.percentile((times @ above) / (times @ under), [2.5, 97.5])
        return Difference(float(above.sum() / under.sum()), float(low), float(high))

    def worths(self, model: str) -> Iterator[Worth]:
        """What each feature of the model is worth, all others fitted again without it."""
        y, columns = self.design.y > 0.5, list(range(self.design.x.shape[1]))
        before, weights = self.decide(columns)
        for k, name in enumerate(self.design.names):
            start = [np.delete(w, k) for w in weights]
            after, _ = self.decide(columns[:k] + columns[k + 1 :], start)
            wrong = ((after > 0) != y).sum() - ((before > 0) != y).sum()
            flips = ((after > 0) != (before > 0)).sum()
            yield Worth(model, name, self.compare(before, after), int(wrong), int(flips))
