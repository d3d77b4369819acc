"""What each feature and each parameter of extraction changes.

    python -m benchmarks.extraction.ablate ../shared/bench --papers runs/other-papers \\
        --fit runs/papers ../shared/bench/wide --out runs/ablation

Features are taken away and the others fitted again, on five sixths of the publishers and classes of
`--fit` at a time: the table has the change of the log-loss on the others, with an interval over
publishers and classes, and how many of those decisions are other ones. They also lose their
weight, and numbers in the frozen dataclasses of parameters go 25 % down and up: the tables have in
how many documents anything differs then, and the change of pair F1, pair+box F1 and whole captions
on every set, with intervals over documents. Boxes are those of the pairs, before the crop.

`--documents` of each set are looked at, chosen by a hash of the name, none of a frozen publisher;
`--papers` should be generated papers that were not fitted on. What is read and measured is kept in
`--out`, so that a run that was interrupted goes on; remove the folder when the code has changed.
`--only` tries some parameters, by their names or those of their modules, in a folder of its own.
"""

import argparse
import hashlib
import json
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.bench_extract import load_scorer
from benchmarks.extraction.examples import Example
from benchmarks.extraction.fit import EXTENT, STARTS, WEIGHTS, all_examples, read_set
from benchmarks.extraction.logistic import HeldOut, Worth, tabulate
from benchmarks.extraction.measures import Difference, compare, count_document
from benchmarks.extraction.opened import Opened
from benchmarks.extraction.parameters import (
    Change,
    all_changes,
    changed,
    find_different,
    noting_parameters,
)
from benchmarks.extraction.remembering import remembering
from benchmarks.extraction.score import Document, choose, read_documents, read_folder
from cephalo.dataset_scripts.common.linear_model import Features, LinearModel
from cephalo.dataset_scripts.pdf import decisions

SAME = Difference(0.0, 0.0, 0.0)
MEASURED = ("pair F1", "pair+box F1", "whole")

Weights = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Feature:
    """A feature of a model, without its weight."""

    model: str
    name: str

    def __str__(self) -> str:
        return f"{self.model}: {self.name}"


Ablation = Feature | Change


@dataclass(frozen=True)
class Effect:
    """What an ablation changes: by set and measure, and in how many documents anything differs."""

    ablation: Ablation
    documents: int
    differences: dict[tuple[str, str], Difference]

    @property
    def size(self) -> float:
        """The largest change of any measure on any set."""
        changes = (abs(found.change) for found in self.differences.values())
        return max((change for change in changes if not np.isnan(change)), default=0.0)


def main() -> None:
    """Print the tables of effects, the largest first, and what changes nothing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bench", type=Path, help="the benchmark: score.py, wide, real, typeset/dev")
    parser.add_argument("--papers", type=Path, required=True, help="generated papers to score on")
    parser.add_argument("--fit", type=Path, nargs="*", default=[], help="papers to fit on")
    parser.add_argument("--only", nargs="+", help="names of parameters or of modules, to try alone")
    parser.add_argument("--documents", type=int, default=12, help="of each set (default: 12)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the tables")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    if options.only:
        options.out /= "-".join(sorted(options.only))
    elif not options.fit:
        parser.error("without --only, --fit is needed: what features are worth is fitted anew")
    options.out.mkdir(parents=True, exist_ok=True)
    weights = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    documents = choose(read_documents(options.bench), frozen=False)
    documents += read_folder(options.papers, "generated")
    documents = sample(documents, options.documents)
    parts = []
    if options.only:
        ablations: list[Ablation] = [
            c for c in all_changes() if {c.module, c.field} & set(options.only)
        ]
    else:
        parts.append(worth_table(measure_worths(options.fit, options.out)))
        ablations = [*all_features(weights), *all_changes()]
    effects = measure_effects(documents, ablations, weights, options)
    text = "\n\n".join([*parts, table(effects, sorted({d.set for d in documents}))])
    print(text)
    (options.out / "ablation.md").write_text(text + "\n", encoding="utf-8")


def all_features(weights: Weights) -> list[Feature]:
    """Every feature of every model."""
    return [
        Feature(model, name) for model, own in weights.items() for name in own if name != "bias"
    ]


def sample(documents: list[Document], count: int) -> list[Document]:
    """So many documents of each set, by a hash of their names."""
    found = []
    for name in sorted({document.set for document in documents}):
        own = [document for document in documents if document.set == name]
        found += sorted(own, key=lambda d: hashlib.sha256(d.name.encode()).digest())[:count]
    return found


def kept(path: Path, make: Callable[[], object]) -> object:
    """What `make` gives, from the file in which it was kept, if there is one."""
    if path.exists():
        return pickle.loads(path.read_bytes())
    found = make()
    part = path.with_suffix(".part")
    part.write_bytes(pickle.dumps(found, protocol=pickle.HIGHEST_PROTOCOL))
    part.replace(path)
    return found


def measure_worths(folders: list[Path], out: Path) -> list[Worth]:
    """What the features of the line decisions are worth where they were not fitted."""

    def gather() -> list[Example]:
        papers = [paper for folder in folders for paper in read_set(folder)]
        with remembering():
            return list(all_examples(papers))

    examples = kept(out / "examples.pickle", gather)
    worths: list[Worth] = []
    for model in tqdm((*EXTENT, *STARTS), desc="models"):
        design = tabulate(examples, model)
        if len(set(design.groups)) > 1:  # else there is none to leave out
            worths += HeldOut(design).worths(model)
    return sorted(worths, key=lambda worth: (worth.model, -worth.loss.change))


def measure_effects(
    documents: list[Document],
    ablations: list[Ablation],
    weights: Weights,
    options: argparse.Namespace,
) -> list[Effect]:
    """The effect of each ablation, the largest first."""
    work = partial(
        _count_once, out=options.out, ablations=ablations, weights=weights, bench=options.bench
    )
    with ProcessPoolExecutor(options.workers) as pool:
        found = list(tqdm(pool.map(work, documents), total=len(documents), desc="documents"))
    return effects_of(found, documents, ablations)


def _count_once(document: Document, out: Path, **more: object) -> tuple[np.ndarray, list[bool]]:
    path = out / f"{document.set}-{document.name}.pickle"
    return kept(path, partial(count_ablations, document, **more))


def effects_of(
    found: list[tuple[np.ndarray, list[bool]]],
    documents: list[Document],
    ablations: list[Ablation],
) -> list[Effect]:
    """The effects from what `count_ablations` gave for each document, the largest first."""
    counts = np.array([own for own, _ in found])  # documents, ablations after "none", fields
    differ = np.array([own for _, own in found]).sum(axis=0)
    sets = np.array([document.set for document in documents])
    effects = [
        Effect(ablation, int(differ[number]), _differences(counts, number + 1, sets))
        for number, ablation in enumerate(ablations)
    ]
    return sorted(effects, key=lambda effect: (-effect.size, -effect.documents))


def _differences(
    counts: np.ndarray, number: int, sets: np.ndarray
) -> dict[tuple[str, str], Difference]:
    found = {}
    for name in np.unique(sets).tolist():
        before, after = counts[sets == name, 0], counts[sets == name, number]
        for measure in MEASURED:
            same = np.array_equal(before, after)
            found[name, measure] = SAME if same else compare(before, after, measure)
    return found


def count_ablations(
    document: Document, ablations: list[Ablation], weights: Weights, bench: Path
) -> tuple[np.ndarray, list[bool]]:
    """Counts of a document (1 + ablations, fields of `Counts`), and where anything differs.

    The first counts are those without an ablation.
    """
    scorer = load_scorer(bench)
    opened = Opened(document.pdf)
    with decisions.use(weights), _noting_features() as used:
        before = opened.rows()
        captions = opened.captions()
    counts = count_document(scorer, document.name, document.truth, before)
    features = [ablation for ablation in ablations if isinstance(ablation, Feature)]
    rows: dict[Ablation, list[dict] | None] = {}
    with remembering():
        for feature in features:
            if (feature.model, feature.name) in used and weights[feature.model][feature.name]:
                new = _rows_without(opened, feature, weights, captions)
                if new is not None and new != before:
                    rows[feature] = new
    with decisions.use(weights):
        rows |= _rows_changed(opened, [a for a in ablations if isinstance(a, Change)])
    found, differ = [counts], []
    for ablation in ablations:
        own = rows.get(ablation)
        differ.append(ablation in rows)
        same = own is None
        found.append(counts if same else count_document(scorer, document.name, document.truth, own))
    return np.array([astuple(own) for own in found]), differ


def _rows_without(
    opened: Opened, feature: Feature, weights: Weights, captions: list[tuple]
) -> list[dict] | None:
    """Predictions without a feature; None where it leaves all captions as they are."""
    with decisions.use(without(weights, feature)):
        if feature.model != "pairs" and opened.captions() == captions:
            return None
        return opened.rows()


def _rows_changed(opened: Opened, changes: list[Change]) -> dict[Change, list[dict] | None]:
    """Predictions by changes of parameters that make a difference; None where to all else only."""
    found: dict[Change, list[dict] | None] = {}
    for module in sorted({change.module for change in changes}):
        with noting_parameters() as used:
            before = opened.results(module)
        own = [c for c in changes if c.module == module and (module, c.field) in used]

        def differs(tried: list[Change], module=module, before=before) -> bool:
            with changed(*tried):
                return opened.results(module) != before

        for change in find_different(own, differs):
            with changed(change):
                rows = opened.results(module)[0]
            found[change] = rows if rows != before[0] else None
    return found


def without(weights: Weights, feature: Feature) -> Weights:
    """Weights with that of a feature at 0."""
    return weights | {feature.model: weights[feature.model] | {feature.name: 0.0}}


@contextmanager
def _noting_features() -> Iterator[set[tuple[str, str]]]:
    """Collect the models and features that are not 0 in some decision."""
    used: set[tuple[str, str]] = set()
    score = LinearModel.score

    def noting(model: LinearModel, features: Features) -> float:
        name = names[id(model)]
        used.update((name, feature) for feature, value in features.items() if value)
        return score(model, features)

    names = {id(model): name for name, model in decisions.load_models().items()}
    LinearModel.score = noting
    try:
        yield used
    finally:
        LinearModel.score = score


def worth_table(worths: list[Worth]) -> str:
    """Markdown: what features are worth where they were not fitted."""
    lines = ["| feature, the others fitted again | loss | more wrong | other decisions |"]
    lines.append("|---|---:|---:|---:|")
    lines += [
        f"| {w.model}: {w.name} | {_cell(w.loss)} | {w.wrong:+d} | {w.flips} |" for w in worths
    ]
    idle = [f"{w.model}: {w.name}" for w in worths if not w.flips]
    return (
        "Change of the mean log-loss on publishers and classes left out, in thousandths, with "
        "95 % intervals over them.\n\n"
        + "\n".join(lines)
        + f"\n\nThe same decisions ({len(idle)}): {', '.join(idle)}"
    )


def table(effects: list[Effect], sets: list[str]) -> str:
    """Markdown: changes in thousandths with their intervals, then what changes nothing."""
    heads = [f"{name}: {measure}" for name in sets for measure in MEASURED]
    lines = [f"| left out or changed | documents | {' | '.join(heads)} |"]
    lines.append("|---|" + "---:|" * (1 + len(heads)))
    for effect in effects:
        if effect.documents:
            cells = [_cell(effect.differences[name, m]) for name in sets for m in MEASURED]
            lines.append(f"| {effect.ablation} | {effect.documents} | {' | '.join(cells)} |")
    same = [str(effect.ablation) for effect in effects if effect.documents and not effect.size]
    idle = [str(effect.ablation) for effect in effects if not effect.documents]
    return (
        "Changes in thousandths, with 95 % intervals over documents.\n\n"
        + "\n".join(lines)
        + f"\n\nOther results but the same scores ({len(same)}): {', '.join(same)}"
        + f"\n\nThe same in all documents ({len(idle)}): {', '.join(idle)}"
    )


def _cell(found: Difference) -> str:
    if np.isnan(found.change) or not (found.change or found.low or found.high):
        return ""
    return f"{1000 * found.change:+.1f} ({1000 * found.low:+.1f}, {1000 * found.high:+.1f})"


if __name__ == "__main__":
    main()
