"""Measure the effect of each feature and parameter of extraction.

    python -m benchmarks.extraction.ablate ../shared/bench --papers runs/other-papers \\
        --fit runs/papers ../shared/bench/wide --out runs/ablation

For each feature, the model is fitted without it in a cross-validation over the publishers and
classes of `--fit` (six folds). The table has the change of the log-loss on held-out groups, with an
interval over the groups, and the number of decisions that change.

In addition, the weight of each feature is set to 0, and each number in the frozen parameter
dataclasses is decreased and increased by 25 %. These tables have the number of documents with any
difference, and the change of pair F1, pair+box F1 and whole captions on every set, with intervals
over documents. Boxes are those of the pairs, before cropping.

Each set contributes `--documents` documents, chosen by a hash of the name, none of a frozen
publisher. `--papers` should be generated papers that were not used for fitting. Intermediate
results are stored in `--out`, so that an interrupted run can resume. Remove the folder when the
code has changed. `--only` tests some parameters, by their names or those of their modules, in a
separate folder.
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
from benchmarks.extraction.logistic import HeldOut, Removal, tabulate
from benchmarks.extraction.measures import Difference, compare, count_document
from benchmarks.extraction.opened import Opened
from benchmarks.extraction.parameters import (
    Change,
    all_changes,
    changed,
    find_different,
    recording_parameters,
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
    """A feature of a model, to be removed."""

    model: str
    name: str

    def __str__(self) -> str:
        return f"{self.model}: {self.name}"


Ablation = Feature | Change


@dataclass(frozen=True)
class Effect:
    """The effect of an ablation.

    Attributes:
        ablation: The feature or parameter.
        documents: Number of documents with any difference.
        differences: Change of each measure on each set, by (set, measure).
    """

    ablation: Ablation
    documents: int
    differences: dict[tuple[str, str], Difference]

    @property
    def size(self) -> float:
        """The largest absolute change of any measure on any set."""
        changes = (abs(found.change) for found in self.differences.values())
        return max((change for change in changes if not np.isnan(change)), default=0.0)


def main() -> None:
    """Print the tables of effects, largest first, and the ablations without an effect."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bench", type=Path, help="the benchmark: score.py, wide, real, typeset/dev")
    parser.add_argument("--papers", type=Path, required=True, help="generated papers for scoring")
    parser.add_argument("--fit", type=Path, nargs="*", default=[], help="papers for fitting")
    parser.add_argument("--only", nargs="+", help="names of parameters or modules to test")
    parser.add_argument("--documents", type=int, default=12, help="documents per set (default: 12)")
    parser.add_argument("--out", type=Path, required=True, help="output folder")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    if options.only:
        options.out /= "-".join(sorted(options.only))
    elif not options.fit:
        parser.error("--fit is required without --only, to fit models without each feature")
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
        parts.append(removal_table(measure_removals(options.fit, options.out)))
        ablations = [*all_features(weights), *all_changes()]
    effects = measure_effects(documents, ablations, weights, options)
    text = "\n\n".join([*parts, table(effects, sorted({d.set for d in documents}))])
    print(text)
    (options.out / "ablation.md").write_text(text + "\n", encoding="utf-8")


def all_features(weights: Weights) -> list[Feature]:
    """Return every feature of every model."""
    return [
        Feature(model, name) for model, own in weights.items() for name in own if name != "bias"
    ]


def sample(documents: list[Document], count: int) -> list[Document]:
    """Return `count` documents of each set, chosen by a hash of their names."""
    found = []
    for name in sorted({document.set for document in documents}):
        own = [document for document in documents if document.set == name]
        found += sorted(own, key=lambda d: hashlib.sha256(d.name.encode()).digest())[:count]
    return found


def cached_result(path: Path, make: Callable[[], object]) -> object:
    """Return the result of `make`, from its file if it was stored before."""
    if path.exists():
        return pickle.loads(path.read_bytes())
    found = make()
    part = path.with_suffix(".part")
    part.write_bytes(pickle.dumps(found, protocol=pickle.HIGHEST_PROTOCOL))
    part.replace(path)
    return found


def measure_removals(folders: list[Path], out: Path) -> list[Removal]:
    """Return the effect of removing each feature of the line decisions on held-out groups."""

    def gather() -> list[Example]:
        papers = [paper for folder in folders for paper in read_set(folder)]
        with remembering():
            return list(all_examples(papers))

    examples = cached_result(out / "examples.pickle", gather)
    removals: list[Removal] = []
    for model in tqdm((*EXTENT, *STARTS), desc="models"):
        design = tabulate(examples, model)
        if len(set(design.groups)) > 1:  # cross-validation needs two groups
            removals += HeldOut(design).removals(model)
    return sorted(removals, key=lambda removal: (removal.model, -removal.loss.change))


def measure_effects(
    documents: list[Document],
    ablations: list[Ablation],
    weights: Weights,
    options: argparse.Namespace,
) -> list[Effect]:
    """Return the effect of each ablation, largest first."""
    work = partial(
        _count_once, out=options.out, ablations=ablations, weights=weights, bench=options.bench
    )
    with ProcessPoolExecutor(options.workers) as pool:
        found = list(tqdm(pool.map(work, documents), total=len(documents), desc="documents"))
    return effects_of(found, documents, ablations)


def _count_once(document: Document, out: Path, **more: object) -> tuple[np.ndarray, list[bool]]:
    """Return `count_ablations` of a document, from its file if it was stored before."""
    path = out / f"{document.set}-{document.name}.pickle"
    return cached_result(path, partial(count_ablations, document, **more))


def effects_of(
    found: list[tuple[np.ndarray, list[bool]]],
    documents: list[Document],
    ablations: list[Ablation],
) -> list[Effect]:
    """Return the effects, largest first, given the results of `count_ablations` per document."""
    counts = np.array([own for own, _ in found])  # (documents, 1 + ablations, fields)
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
    """Return the change of each measure on each set for one ablation."""
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
    """Count the results of a document with each ablation.

    Returns:
        Counts of shape (1 + ablations, fields of `Counts`), the first without an ablation, and
        whether each ablation makes any difference.
    """
    scorer = load_scorer(bench)
    opened = Opened(document.pdf)
    with decisions.use(weights), _recording_features() as used:
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
    """Return predictions without a feature, `None` if all captions are unchanged."""
    with decisions.use(without(weights, feature)):
        if feature.model != "pairs" and opened.captions() == captions:
            return None
        return opened.rows()


def _rows_changed(opened: Opened, changes: list[Change]) -> dict[Change, list[dict] | None]:
    """Return predictions for parameter changes with an effect.

    The value is `None` if only other results than the predictions change.
    """
    found: dict[Change, list[dict] | None] = {}
    for module in sorted({change.module for change in changes}):
        with recording_parameters() as used:
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
    """Return the weights with the weight of a feature set to 0."""
    return weights | {feature.model: weights[feature.model] | {feature.name: 0.0}}


@contextmanager
def _recording_features() -> Iterator[set[tuple[str, str]]]:
    """Collect the models and features that are nonzero in some decision."""
    used: set[tuple[str, str]] = set()
    score = LinearModel.score

    def recording(model: LinearModel, features: Features) -> float:
        name = names[id(model)]
        used.update((name, feature) for feature, value in features.items() if value)
        return score(model, features)

    names = {id(model): name for name, model in decisions.load_models().items()}
    LinearModel.score = recording
    try:
        yield used
    finally:
        LinearModel.score = score


def removal_table(removals: list[Removal]) -> str:
    """Format the effects of removing features on held-out groups as Markdown."""
    lines = ["| removed feature, others refitted | loss | more errors | changed decisions |"]
    lines.append("|---|---:|---:|---:|")
    lines += [
        f"| {w.model}: {w.name} | {_cell(w.loss)} | {w.wrong:+d} | {w.flips} |" for w in removals
    ]
    idle = [f"{w.model}: {w.name}" for w in removals if not w.flips]
    return (
        "Change of the mean log-loss on held-out publishers and classes, in thousandths, with "
        "95 % intervals over them.\n\n"
        + "\n".join(lines)
        + f"\n\nNo changed decision ({len(idle)}): {', '.join(idle)}"
    )


def table(effects: list[Effect], sets: list[str]) -> str:
    """Format changes in thousandths with their intervals, and list ablations without an effect."""
    heads = [f"{name}: {measure}" for name in sets for measure in MEASURED]
    lines = [f"| removed or changed | documents | {' | '.join(heads)} |"]
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
        + f"\n\nDifferent results with equal scores ({len(same)}): {', '.join(same)}"
        + f"\n\nNo difference in any document ({len(idle)}): {', '.join(idle)}"
    )


def _cell(found: Difference) -> str:
    if np.isnan(found.change) or not (found.change or found.low or found.high):
        return ""
    return f"{1000 * found.change:+.1f} ({1000 * found.low:+.1f}, {1000 * found.high:+.1f})"


if __name__ == "__main__":
    main()
