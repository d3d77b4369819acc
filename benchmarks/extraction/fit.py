"""Fit the weights of the line decisions on papers with truth.

    python -m benchmarks.extraction.fit runs/papers ../shared/bench/wide

Each folder is a set in the benchmark's format (`pdf/`, `truth/`). The decisions are fitted one
after another, since each sees what those before it do; two rounds, since the faces in which
captions usually go on are known only after the first. Papers of frozen publishers
(`publishers.is_frozen`) are left out, for they are to be scored on.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from benchmarks.extraction.examples import (
    Example,
    Paper,
    alone_examples,
    extent_examples,
    read_paper,
    together_examples,
    usual_of,
)
from benchmarks.extraction.pairs import fit_pairs
from benchmarks.extraction.publishers import is_frozen, publisher_of
from benchmarks.extraction.remembering import remembering
from cephalo.dataset_scripts.pdf import decisions

# On squared weights, times the root of the number of examples, which weigh 1 in the mean. A penalty
# that does not grow with them fits the generated papers closer and published ones less well.
PENALTY = 0.02
ROUNDS = 2
WEIGHTS = Path(decisions.__file__).with_name("weights.json")
EXTENT = ("continues", "column", "page", "under")


def main() -> None:
    """Fit and write the weights, and print how each decision does on what it was fitted on."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", type=Path, nargs="+", help="folders with pdf/ and truth/")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    papers = [paper for folder in options.sets for paper in read_set(folder)]
    with remembering():
        weights = fit(papers)
    with decisions.use(weights | {"pairs": decisions.load_models()["pairs"].weights}):
        weights["pairs"] = fit_pairs(papers)
    write_weights(options.out, weights)
    print(f"{len(papers)} papers → {options.out}")


def read_set(folder: Path, names: list[str] | None = None) -> list[Paper]:
    """The papers of a set, but for scans and frozen publishers; `names`: only those."""
    every = [name for name in names_to_fit(folder) if names is None or name in names]
    papers = (read_paper(folder, name) for name in every)
    return [paper for paper in papers if paper]


def names_to_fit(folder: Path) -> list[str]:
    """The papers of a set that may be fitted on: those of publishers that are not frozen."""
    truths = {path.stem: path for path in sorted((folder / "truth").glob("*.json"))}
    return [
        name
        for name, path in truths.items()
        if not is_frozen(publisher_of(json.loads(path.read_text(encoding="utf-8"))))
    ]


def fit(
    papers: list[Paper], quiet: bool = False, without: frozenset[tuple[str, str]] = frozenset()
) -> dict[str, dict[str, float]]:
    """The weights of all decisions, by model and feature.

    `without`: models and features that are left out, to measure what they are worth.
    """

    def fit_one(examples: list[Example], model: str) -> dict[str, float]:
        return fit_model(examples, model, quiet, {name for own, name in without if own == model})

    weights = {name: {"bias": -1.0} for name in (*EXTENT, "starts_alone", "starts")}
    for _ in range(ROUNDS):
        with decisions.use(weights):
            usual = {paper.name: usual_of(paper) for paper in papers}
            extent = [e for p in papers for e in extent_examples(p, usual[p.name])]
        weights |= {name: fit_one(extent, name) for name in EXTENT}
        with decisions.use(weights):
            alone = [e for paper in papers for e in alone_examples(paper)]
        weights["starts_alone"] = fit_one(alone, "starts_alone")
        with decisions.use(weights):
            together = [e for paper in papers for e in together_examples(paper)]
        weights["starts"] = fit_one(together, "starts")
    return weights


def fit_model(
    examples: list[Example], model: str, quiet: bool = False, without: Collection[str] = ()
) -> dict[str, float]:
    """A logistic regression with a penalty on squared weights, of all features but some.

    Every group (a publisher, a class of layouts) weighs as the square root of its examples, so
    that one with many does not decide alone.
    """
    own = [example for example in examples if example.model == model]
    names = sorted({name for example in own for name in example.features} - {*without})
    if not own or len({example.answer for example in own}) < 2:
        return {"bias": -1.0}
    column = {name: k for k, name in enumerate(names)}
    x = np.zeros((len(own), len(names) + 1))
    x[:, -1] = 1.0
    for row, example in enumerate(own):
        for name, value in example.features.items():
            if name in column:
                x[row, column[name]] = value
    y = np.array([example.answer for example in own], float)
    counts = Counter(example.group for example in own)
    share = np.array([counts[example.group] ** -0.5 for example in own])
    share *= len(own) / share.sum()

    penalty = PENALTY * len(own) ** 0.5

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        z = x @ w
        value = share @ (np.logaddexp(0.0, z) - y * z) + penalty * (w[:-1] @ w[:-1])
        slope = x.T @ (share * (expit(z) - y))
        slope[:-1] += 2 * penalty * w[:-1]
        return value, slope

    w = minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B").x
    if not quiet:
        wrong = ((x @ w > 0) != (y > 0.5)).sum()
        print(f"{model}: {len(own)} examples, {int(y.sum())} yes, {wrong} wrong", file=sys.stderr)
    found = {"bias": round(float(w[-1]), 3)}
    return found | {name: round(float(w[k]), 3) for name, k in column.items()}


def write_weights(path: Path, weights: dict[str, dict[str, float]]) -> None:
    """Write weights as JSON, one feature a line, so that a change of one can be read."""
    if path.exists():
        weights = json.loads(path.read_text(encoding="utf-8")) | weights
    path.write_text(json.dumps(weights, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
