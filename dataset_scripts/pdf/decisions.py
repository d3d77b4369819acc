"""Fitted decisions: logistic regressions over named features, with their reasons.

The weights are in `weights.json`, made from papers with truth by `python -m
benchmarks.extraction.fit`. A feature that is 0 says nothing; what a decision comes from can be
read off the products of features and weights.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

Features = Mapping[str, float]
_WEIGHTS = Path(__file__).with_name("weights.json")


@dataclass(frozen=True)
class LinearModel:
    """A logistic regression. `weights` holds one for each feature, and one for "bias"."""

    weights: Mapping[str, float]

    def score(self, features: Features) -> float:
        """Log-odds of "yes"; a feature without a weight counts as 0."""
        weights = self.weights
        total = weights.get("bias", 0.0)
        for name, value in features.items():
            if value:
                total += weights.get(name, 0.0) * value
        return total

    def reasons(self, features: Features, most: int = 4) -> list[tuple[str, float]]:
        """The features that decide, with what each adds to the log-odds; the strongest first."""
        parts = [(name, self.weights.get(name, 0.0) * value) for name, value in features.items()]
        strong = sorted((part for part in parts if part[1]), key=lambda part: -abs(part[1]))
        return strong[:most]


@cache
def load_models() -> dict[str, LinearModel]:
    """The models of `weights.json` by name, such as "starts" and "continues"."""
    return {
        name: LinearModel(weights)
        for name, weights in json.loads(_WEIGHTS.read_text(encoding="utf-8")).items()
    }


@contextmanager
def use(weights: Mapping[str, Mapping[str, float]]) -> Iterator[None]:
    """Decide by other weights than those of `weights.json`, to fit and to measure."""
    before = dict(load_models())
    load_models().clear()
    load_models().update({name: LinearModel(own) for name, own in weights.items()})
    try:
        yield
    finally:
        load_models().clear()
        load_models().update(before)
