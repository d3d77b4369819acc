"""Fit the weights of the line decisions on papers with ground truth.

    python -m benchmarks.extraction.fit runs/papers ../shared/bench/wide
    python -m benchmarks.extraction.fit runs/papers --corrections runs/figures/corrections.jsonl

Each folder is a set in the format of the benchmark (`pdf/`, `truth/`). `--corrections` adds the
completely reviewed papers of `cephalo review`, as converted by `benchmarks.extraction.corrected`:
captions are the truth for the line decisions, boxes for `pairs`. Panels have no fitted weights.

The decisions are fitted one by one, since each depends on the previous ones. There are two rounds,
since the faces in which captions usually continue are only known after the first. Papers of frozen
publishers (`publishers.is_frozen`) are excluded, because they are used for scoring.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.extraction.corrected import write_set
from benchmarks.extraction.examples import (
    Example,
    Paper,
    alone_examples,
    extent_examples,
    read_paper,
    together_examples,
    usual_of,
)
from benchmarks.extraction.logistic import solve, tabulate
from benchmarks.extraction.pairs import fit_pairs
from benchmarks.extraction.publishers import is_frozen, publisher_of
from benchmarks.extraction.remembering import remembering
from cephalo.dataset_scripts.pdf import decisions

ROUNDS = 2
WEIGHTS = Path(decisions.__file__).with_name("weights.json")
EXTENT = ("continues", "column", "page", "under")
STARTS = ("starts_alone", "starts")


def main() -> None:
    """Fit and write the weights, and print the training error of each decision."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", type=Path, nargs="*", help="folders with pdf/ and truth/")
    parser.add_argument(
        "--corrections", type=Path, nargs="+", default=[], help="files that `cephalo review` wrote"
    )
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    models = (*EXTENT, *STARTS, "pairs")
    parser.add_argument("--only", nargs="+", choices=models, default=models, help="models to write")
    options = parser.parse_args()
    with ExitStack() as stack:
        made = [stack.enter_context(corrected_set(file)) for file in options.corrections]
        papers = [paper for folder in [*options.sets, *made] for paper in read_set(folder)]
        if not papers:
            parser.error("no papers to fit on; give sets, or corrections of whole papers")
        with remembering():
            weights = fit(papers)
        if "pairs" in options.only:
            with decisions.use(weights | {"pairs": decisions.load_models()["pairs"].weights}):
                weights["pairs"] = fit_pairs(papers)
    write_weights(options.out, {name: weights[name] for name in options.only})
    print(f"{len(papers)} papers → {options.out}")


@contextmanager
def corrected_set(file: Path) -> Iterator[Path]:
    """Write the completely reviewed papers of a corrections file to a temporary set."""
    with TemporaryDirectory() as folder:
        for line in write_set(file.parent, Path(folder)):
            print(line, file=sys.stderr)
        yield Path(folder)


def read_set(folder: Path, names: list[str] | None = None) -> list[Paper]:
    """Return the papers of a set without scans and frozen publishers, or only those in `names`."""
    every = [name for name in names_to_fit(folder) if names is None or name in names]
    papers = (read_paper(folder, name) for name in every)
    return [paper for paper in papers if paper]


def names_to_fit(folder: Path) -> list[str]:
    """Return the papers of a set whose publishers are not frozen."""
    truths = {path.stem: path for path in sorted((folder / "truth").glob("*.json"))}
    return [
        name
        for name, path in truths.items()
        if not is_frozen(publisher_of(json.loads(path.read_text(encoding="utf-8"))))
    ]


def fit(papers: list[Paper], quiet: bool = False) -> dict[str, dict[str, float]]:
    """Return the weights of all line decisions, by model and feature."""
    weights = {name: {"bias": -1.0} for name in (*EXTENT, *STARTS)}
    for _ in range(ROUNDS):
        with decisions.use(weights):
            extent = list(all_extent_examples(papers))
        weights |= {name: fit_model(extent, name, quiet) for name in EXTENT}
        with decisions.use(weights):
            alone = [e for paper in papers for e in alone_examples(paper)]
        weights["starts_alone"] = fit_model(alone, "starts_alone", quiet)
        with decisions.use(weights):
            together = [e for paper in papers for e in together_examples(paper)]
        weights["starts"] = fit_model(together, "starts", quiet)
    return weights


def all_extent_examples(papers: list[Paper]) -> Iterator[Example]:
    """Yield the examples of how captions continue, with the usual faces of the current models."""
    for paper in papers:
        yield from extent_examples(paper, usual_of(paper))


def all_examples(papers: list[Paper]) -> Iterator[Example]:
    """Yield the examples of all line decisions under the current models."""
    yield from all_extent_examples(papers)
    for paper in papers:
        yield from alone_examples(paper)
        yield from together_examples(paper)


def fit_model(examples: list[Example], model: str, quiet: bool = False) -> dict[str, float]:
    """Return the weights of a model, fitted on its examples."""
    design = tabulate(examples, model)
    if len(set(design.y.tolist())) < 2:
        return {"bias": -1.0}
    w = solve(design.x, design.y, design.share, design.penalty)
    if not quiet:
        wrong = ((design.x @ w > 0) != (design.y > 0.5)).sum()
        counts = f"{len(design.y)} examples, {int(design.y.sum())} yes, {wrong} wrong"
        print(f"{model}: {counts}", file=sys.stderr)
    names = [*design.names, "bias"]
    return {name: round(float(value), 3) for name, value in zip(names, w, strict=True)}


def write_weights(path: Path, weights: dict[str, dict[str, float]]) -> None:
    """Write weights as JSON with one feature per line, so that differences are readable."""
    if path.exists():
        weights = json.loads(path.read_text(encoding="utf-8")) | weights
    path.write_text(json.dumps(weights, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
