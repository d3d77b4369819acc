"""Logistic regressions over named features, with their reasons.

A feature that is 0 says nothing; what a decision comes from can be read off the products of
features and weights.
"""

from collections.abc import Mapping
from dataclasses import dataclass

Features = Mapping[str, float]


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
