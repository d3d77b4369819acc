"""Fitted decisions: logistic regressions over named features.

The weights are in `weights.json`. `python -m benchmarks.extraction.fit` writes it from papers with
ground truth. Each feature contributes its value times its weight to the log-odds, so that the
reasons for a decision can be listed.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from cephalo.dataset_scripts.common.linear_model import LinearModel

_WEIGHTS = Path(__file__).with_name("weights.json")


@cache
def load_models() -> dict[str, LinearModel]:
    """Return the models of `weights.json` by name, such as "starts" and "continues"."""
    return {
        name: LinearModel(weights)
        for name, weights in json.loads(_WEIGHTS.read_text(encoding="utf-8")).items()
    }


@contextmanager
def use(weights: Mapping[str, Mapping[str, float]]) -> Iterator[None]:
    """Use other weights than those of `weights.json`, for fitting and measuring.

    Args:
        weights: Weights by model name and feature name.
    """
    before = dict(load_models())
    load_models().clear()
    load_models().update({name: LinearModel(own) for name, own in weights.items()})
    try:
        yield
    finally:
        load_models().clear()
        load_models().update(before)
