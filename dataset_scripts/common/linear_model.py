"""Logistic regressions over named features, with explanations.

A feature of 0 contributes nothing; the products of features and weights explain a decision.
"""

from collections.abc import Mapping
from dataclasses import dataclass

Features = Mapping[str, float]


@dataclass(frozen=True)
class LinearModel:
    """A logistic regression with one weight per feature and one for "bias"."""

    weights: Mapping[str, float]

    def score(self, features: Features) -> float:
        """Return the log-odds of "yes"; features without a weight count as 0."""
        weights = self.weights
        total = weights.get("bias", 0.0)
        for name, value in features.items():
            if value:
                total += weights.get(name, 0.0) * value
        return total

    def reasons(self, features: Features, most: int = 4) -> list[tuple[str, float]]:
        """Return the features with the largest contributions to the log-odds, strongest first."""
        parts = [(name, self.weights.get(name, 0.0) * value) for name, value in features.items()]
        strong = sorted((part for part in parts if part[1]), key=lambda part: -abs(part[1]))
        return strong[:most]
