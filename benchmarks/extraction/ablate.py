"""What each feature and each parameter of extraction changes.

    python -m benchmarks.extraction.ablate ../shared/bench --papers runs/other-papers

Features lose their weight, without fitting the others again; numbers in the frozen dataclasses of
parameters go 25 % down and up. For each the table has the change of pair F1, pair+box F1 and whole
captions on every set, with bootstrap intervals over documents, and how many documents give other
rows. Boxes are those of the pairs, before the crop. Papers of frozen publishers are left out;
`--papers` should be generated papers that were not fitted on. With `--fit` the features that
change nothing are left out for good: weights are fitted with and without them on these papers and
those of `wide`, and compared.
"""

import argparse
import importlib
import json
import pickle
import pkgutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, fields, is_dataclass
from functools import cached_property, partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pypdfium2.raw as pdfium
from tqdm import tqdm

from benchmarks.extraction.fit import WEIGHTS, fit, read_set
from benchmarks.extraction.measures import Difference, compare, count_document
from benchmarks.extraction.remembering import remembering
from benchmarks.extraction.score import FITTED, Document, choose, read_documents, read_folder
from cephalo.dataset_scripts import pdf as package
from cephalo.dataset_scripts.bench_extract import KINDS, load_scorer
from cephalo.dataset_scripts.pdf import decisions
from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf.captions import find_captions
from cephalo.dataset_scripts.pdf.document import displayed, find_pairs
from cephalo.dataset_scripts.pdf.layout import Block, PageContent, set_layout
from cephalo.dataset_scripts.pdf.profile import TypeProfile
from cephalo.dataset_scripts.pdf.reading import read_pages

STEPS = (0.75, 1.25)  # of a parameter
SAME = Difference(0.0, 0.0, 0.0)
MEASURED = ("pair F1", "pair+box F1", "whole")
# Modules whose parameters matter only after that step; those of others are read with anew.
AFTER_LAYOUT = (
    "atoms",
    "captions",
    "caption_",
    "elsewhere",
    "listings",
    "pairing",
    "regions",
    "tables",
)
AFTER_READING = ("profile", "layout")
SCANS = ("legibility", "scan")  # their parameters tell pages that need OCR; these sets have none

Weights = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Feature:
    """A feature of a model, without its weight."""

    model: str
    name: str

    def __str__(self) -> str:
        return f"{self.model}: {self.name}"


@dataclass(frozen=True)
class Change:
    """A number of a dataclass of parameters, with another value."""

    module: str
    cls: str
    field: str
    value: float
    factor: float

    def __str__(self) -> str:
        return f"{self.module}.{self.field} x {self.factor:g}"


Ablation = Feature | Change


@dataclass(frozen=True)
class Effect:
    """What an ablation changes: by set and measure, and in how many documents the rows differ."""

    ablation: Ablation
    documents: int
    differences: dict[tuple[str, str], Difference]

    @property
    def size(self) -> float:
        """The largest change of any measure on any set."""
        changes = (abs(found.change) for found in self.differences.values())
        return max((change for change in changes if not np.isnan(change)), default=0.0)


def main() -> None:
    """Print the table of effects, the largest first, and what changes nothing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bench", type=Path, help="the benchmark: score.py, wide, real, typeset/dev")
    parser.add_argument("--papers", type=Path, required=True, help="generated papers to score on")
    parser.add_argument("--fit", type=Path, nargs="*", help="papers to fit on, with those of wide")
    parser.add_argument("--out", type=Path, help="where to write the tables, in Markdown")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    documents = choose(read_documents(options.bench), frozen=False)
    documents += read_folder(options.papers, "generated")
    weights = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    ablations = [*all_features(weights), *all_changes()]
    effects = measure_effects(documents, ablations, weights, options.bench, options.workers)
    text = table(effects, sorted({document.set for document in documents}))
    print(text)
    if options.fit:
        nothing = [e.ablation for e in effects if isinstance(e.ablation, Feature) and not e.size]
        text += "\n\n" + refit(options, documents, nothing)
        print(text.rpartition("\n\n")[2])
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text + "\n", encoding="utf-8")


def all_features(weights: Weights) -> list[Feature]:
    """Every feature of every model."""
    return [Feature(model, name) for model, own in weights.items() for name in own]


def all_changes() -> Iterator[Change]:
    """Every number of every dataclass of parameters of the package, less and more.

    But for those of `SCANS`.
    """
    for module in _modules():
        for cls in vars(module).values():
            own = isinstance(cls, type) and cls.__module__ == module.__name__
            if not own or not is_dataclass(cls) or not cls.__name__.endswith("Parameters"):
                continue
            for field in fields(cls):
                value = field.default
                if isinstance(value, bool) or not isinstance(value, int | float):
                    continue
                for factor in STEPS:
                    new = value * factor
                    if isinstance(value, int):
                        new = value + max(1, round(0.25 * value)) * (1 if factor > 1 else -1)
                    name = module.__name__.rpartition(".")[2]
                    yield Change(name, cls.__name__, field.name, new, factor)


def _modules() -> Iterator[ModuleType]:
    for found in pkgutil.iter_modules(package.__path__):
        if found.name not in SCANS:
            yield importlib.import_module(f"{package.__name__}.{found.name}")


@contextmanager
def changed(change: Change) -> Iterator[None]:
    """Work with another value of a parameter.

    A module has one instance that all of it reads, or makes one from the class when it is called.
    """
    module = importlib.import_module(f"{package.__name__}.{change.module}")
    cls = getattr(module, change.cls)
    instances = [value for value in vars(module).values() if type(value) is cls]
    before = {id(value): getattr(value, change.field) for value in instances}
    for instance in instances:
        object.__setattr__(instance, change.field, change.value)
    setattr(module, change.cls, partial(cls, **{change.field: change.value}))
    try:
        yield
    finally:
        setattr(module, change.cls, cls)
        for instance in instances:
            object.__setattr__(instance, change.field, before[id(instance)])


class Opened:
    """A document whose pages are read once and laid out once, for many ways to decide."""

    def __init__(self, pdf: Path) -> None:
        self.pdf = pdf

    @cached_property
    def _read(self) -> bytes:
        """The pages as they were read. Pickled: layout and pairing write on them."""
        return pickle.dumps(read(self.pdf), protocol=pickle.HIGHEST_PROTOCOL)

    @cached_property
    def _laid_out(self) -> tuple[list[PageContent], TypeProfile, list[list[Block]]]:
        pages = pickle.loads(self._read)
        return pages, *set_layout(pages)

    @cached_property
    def _tags(self) -> list[tuple[set[str], frozenset[str]]]:
        pages = self._laid_out[0]
        return [(line.tags, frozenset(line.tags)) for page in pages for line in page.lines]

    def _untouched(self) -> tuple[list[PageContent], TypeProfile, list[list[Block]]]:
        """The pages as they were laid out, without the tags of an earlier pairing."""
        for tags, before in self._tags:
            tags.clear()
            tags.update(before)
        return self._laid_out

    def captions(self) -> list[tuple]:
        """All of the captions that what comes after them can see."""
        pages, profile, blocks = self._untouched()
        return [
            (c.kind, c.label, c.number, c.text, c.box, c.page, [id(line) for line in c.lines])
            for own in find_captions(pages, blocks, profile)
            for c in own
        ]

    def rows(self, module: str) -> list[dict]:
        """Predictions, where parameters of `module` are not those that were read with."""
        if module.startswith(AFTER_LAYOUT):
            pages, profile, blocks = self._untouched()
        else:
            again = module.startswith(AFTER_READING)
            pages = pickle.loads(self._read) if again else read(self.pdf)
            profile, blocks = set_layout(pages)
        found = find_pairs(pages, blocks, profile)
        return [
            {
                "pdf": self.pdf.name,
                "label": pair.caption.label,
                "caption": pair.caption.text,
                "page": page.number,
                "bbox": list(displayed(pair.box, page)),
                **({"type": "table"} if pair.caption.kind == "table" else {}),
            }
            for page, own in zip(pages, found, strict=True)
            for pair in own
            if pair.caption.kind in KINDS
        ]


def read(pdf: Path) -> list[PageContent]:
    """The pages of a PDF file."""
    with fast.open_document(pdf) as document, closing(fast.Pages(document)) as pages:
        return read_pages(pages, pdfium.FPDF_GetPageCount(document))[0]


def measure_effects(
    documents: list[Document],
    ablations: list[Ablation],
    weights: Weights,
    bench: Path,
    workers: int,
) -> list[Effect]:
    """The effect of each ablation, the largest first."""
    work = partial(count_ablations, ablations=ablations, weights=weights, bench=bench)
    with ProcessPoolExecutor(workers) as pool:
        found = list(tqdm(pool.map(work, documents), total=len(documents), desc="documents"))
    return effects_of(found, documents, ablations)


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
    """Counts of a document (1 + ablations, fields of `Counts`), and where its rows differ.

    The first counts are those without an ablation.
    """
    scorer = load_scorer(bench)
    opened = Opened(document.pdf)
    with decisions.use(weights), _noting_features() as used:
        before = opened.rows("pairing")
        captions = opened.captions()
    counts = count_document(scorer, document.name, document.truth, before)
    found, differ = [counts], []
    features = [ablation for ablation in ablations if isinstance(ablation, Feature)]
    with remembering():
        others = {
            feature: _rows_without(opened, feature, weights, captions)
            for feature in features
            if not _is_idle(feature, weights, used)
        }
    for ablation in ablations:
        if isinstance(ablation, Change):
            with decisions.use(weights), changed(ablation):
                rows = opened.rows(ablation.module)
        else:
            rows = others.get(ablation)
        differ.append(rows is not None and rows != before)
        new = count_document(scorer, document.name, document.truth, rows) if differ[-1] else counts
        found.append(new)
    return np.array([astuple(own) for own in found]), differ


def _rows_without(
    opened: Opened, feature: Feature, weights: Weights, captions: list[tuple]
) -> list[dict] | None:
    """Predictions without a feature; None where it leaves all captions as they are."""
    with decisions.use(without(weights, feature)):
        if feature.model != "pairs" and opened.captions() == captions:
            return None
        return opened.rows("pairing")


def _is_idle(feature: Feature, weights: Weights, used: set[tuple[str, str]]) -> bool:
    """Whether a feature cannot change a document: it has no weight, or was 0 in all decisions."""
    key = feature.model, feature.name
    seen = feature.name == "bias" or key in used
    return not seen or not weights[feature.model][feature.name]


def without(weights: Weights, feature: Feature) -> Weights:
    """Weights with that of a feature at 0."""
    return weights | {feature.model: weights[feature.model] | {feature.name: 0.0}}


@contextmanager
def _noting_features() -> Iterator[set[tuple[str, str]]]:
    """Collect the models and features that are not 0 in some decision."""
    used: set[tuple[str, str]] = set()
    score = decisions.LinearModel.score

    def noting(model: decisions.LinearModel, features: decisions.Features) -> float:
        name = names[id(model)]
        used.update((name, feature) for feature, value in features.items() if value)
        return score(model, features)

    names = {id(model): name for name, model in decisions.load_models().items()}
    decisions.LinearModel.score = noting
    try:
        yield used
    finally:
        decisions.LinearModel.score = score


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
        + f"\n\nOther rows but the same scores ({len(same)}): {', '.join(same)}"
        + f"\n\nThe same rows in all documents ({len(idle)}): {', '.join(idle)}"
    )


def _cell(found: Difference) -> str:
    if np.isnan(found.change) or not (found.change or found.low or found.high):
        return ""
    return f"{1000 * found.change:+.1f} ({1000 * found.low:+.1f}, {1000 * found.high:+.1f})"


def refit(options: argparse.Namespace, documents: list[Document], nothing: list[Feature]) -> str:
    """Fit with and without features, and tell what leaving them out for good changes."""
    sets = [*options.fit, options.bench / FITTED]
    papers = [paper for folder in sets for paper in read_set(folder)]
    shipped = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    left_out = frozenset((feature.model, feature.name) for feature in nothing)
    counts = []
    for names in (frozenset(), left_out):
        with remembering():
            weights = shipped | fit(papers, quiet=True, without=names)
        work = partial(count_ablations, ablations=[], weights=weights, bench=options.bench)
        with ProcessPoolExecutor(options.workers) as pool:
            counts.append(np.array([own[0] for own, _ in pool.map(work, documents)]))
    own = np.array([document.set for document in documents])
    parts = [
        f"{name}: {measure} {_cell(compare(*(c[own == name] for c in counts), measure)) or '0'}"
        for name in np.unique(own).tolist()
        for measure in MEASURED
    ]
    return f"Fitted without the {len(left_out)} features that change nothing: {'; '.join(parts)}"


if __name__ == "__main__":
    main()
