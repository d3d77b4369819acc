"""Fitted decisions: logistic regressions over named features, with their reasons.

The weights are in `weights.json`, made from papers with truth by `python -m
benchmarks.extraction.fit`. A feature that is 0 says nothing; what a decision comes from can be
read off the products of features and weights.
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
