"""Score extraction on publishers that were not used for fitting.

    python -m benchmarks.extraction.score ../shared/bench --papers runs/papers --out runs/score.md

For each publisher, the line decisions are fitted on generated papers (`--papers`) and the papers of
`wide` by all other publishers. The publisher's papers in `wide` and `real` are then extracted with
these weights. `real` and `typeset/dev` are never used for fitting. Frozen publishers
(`publishers.is_frozen`) are excluded from the table and from all fits. `--frozen` scores only
these, with weights fitted on all others; use it once per release.
"""

import argparse
import gc
import json
import multiprocessing
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
from tqdm import tqdm

from benchmarks.bench_extract import KINDS, load_scorer
from benchmarks.extraction.examples import Paper
from benchmarks.extraction.fit import WEIGHTS, fit, read_set
from benchmarks.extraction.measures import MEASURES, Counts, count_document, score
from benchmarks.extraction.publishers import is_frozen, publisher_of
from benchmarks.extraction.remembering import remembering
from cephalo.dataset_scripts.pdf import decisions
from cephalo.dataset_scripts.pdf.document import extract_document
from cephalo.dataset_scripts.pdf.settings import Settings

FITTED = "wide"  # the set used for fitting, except the publisher that is scored
SETS = {"wide": "wide", "real": "real", "typeset": "typeset/dev"}  # name: folder
TITLES = {
    "wide": "wide, leave one publisher out",
    "real": "real, not used for fitting",
    "typeset": "typeset/dev, not used for fitting",
}
ALL = "all"
DPI = 72  # of the crops; only boxes are scored


@dataclass(frozen=True)
class Document:
    """A paper with ground truth: set, name and publisher, `None` for generated papers."""

    set: str
    name: str
    pdf: Path
    publisher: str | None
    truth: dict

    @property
    def row(self) -> tuple[str, str]:
        """Set and publisher: the row of the table that counts the paper."""
        return self.set, self.publisher or ALL


def main() -> None:
    """Print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bench", type=Path, help="the benchmark: score.py, wide, real, typeset/dev")
    parser.add_argument("--papers", type=Path, nargs="+", required=True, help="generated papers")
    parser.add_argument("--frozen", action="store_true", help="score only the frozen publishers")
    parser.add_argument("--out", type=Path, help="output file for the table, in Markdown")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    kept = choose(read_documents(options.bench), options.frozen)
    sets = [*options.papers, options.bench / FITTED]
    fitted = [paper for folder in sets for paper in read_set(folder)]
    counts = score_folds(fitted, kept, options.bench, options.workers)
    text = table(counts)
    print(text)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text + "\n", encoding="utf-8")


def read_documents(bench: Path) -> list[Document]:
    """Return the papers of all sets, without scans."""
    return [
        document for name, folder in SETS.items() for document in read_folder(bench / folder, name)
    ]


def read_folder(folder: Path, name: str) -> Iterator[Document]:
    """Yield the papers of a folder with `pdf/` and `truth/` as the set `name`, without scans."""
    for path in sorted((folder / "truth").glob("*.json")):
        truth = json.loads(path.read_text(encoding="utf-8"))
        if not truth.get("scanned"):
            pdf = folder / "pdf" / f"{path.stem}.pdf"
            yield Document(name, path.stem, pdf, publisher_of(truth), truth)


def choose(documents: Iterable[Document], frozen: bool) -> list[Document]:
    """Return only the papers of frozen publishers, or all others."""
    return [document for document in documents if is_frozen(document.publisher) == frozen]


def score_folds(
    fitted: list[Paper], documents: list[Document], bench: Path, workers: int
) -> dict[tuple[str, str], list[Counts]]:
    """Return the counts of each paper by set and publisher.

    Weights are fitted without the papers of the publisher.
    """
    folds = make_folds(fitted, documents)
    counts = defaultdict(list)
    # Forked workers share the papers in memory, with their caches, without copying.
    context = multiprocessing.get_context("fork")
    with remembering():
        _shared.update(fitted=fitted, bench=bench, weights={None: fit(fitted, quiet=True)})
        gc.freeze()
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            for found in tqdm(pool.map(_score_fold, folds), total=len(folds), desc="folds"):
                for row, own in found:
                    counts[row].append(own)
    return counts


_shared: dict = {}  # input of the workers of `score_folds`


def make_folds(
    fitted: list[Paper], documents: list[Document]
) -> list[tuple[str | None, list[Document]]]:
    """Return the publishers to leave out, each with the papers that are scored.

    Papers of publishers that are not used for fitting share a fold that leaves out nothing.
    """
    groups = {paper.group for paper in fitted}
    folds = defaultdict(list)
    for document in documents:
        out = document.publisher if document.publisher in groups else None
        folds[out].append(document)
    return list(folds.items())


def _score_fold(fold: tuple[str | None, list[Document]]) -> list[tuple[tuple[str, str], Counts]]:
    left_out, documents = fold
    papers = [paper for paper in _shared["fitted"] if paper.group != left_out]
    weights = _shared["weights"].get(left_out) or fit(papers, quiet=True)
    shipped = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    scorer = _scorer(_shared["bench"])
    with decisions.use(shipped | weights):
        return [
            (document.row, count_document(scorer, document.name, document.truth, extract(document)))
            for document in documents
        ]


@cache
def _scorer(bench: Path) -> ModuleType:
    """Load the scorer of the benchmark, cached."""
    return load_scorer(bench)


def extract(document: Document) -> list[dict]:
    """Return predictions for a paper, in the format of the benchmark's scorer."""
    rows = extract_document(document.pdf, Settings(kinds=KINDS, dpi=DPI)).rows
    return [
        {key: row[key] for key in ("label", "caption", "page", "bbox")}
        | {"pdf": document.pdf.name}
        | ({"type": "table"} if row["kind"] == "table" else {})
        for row in rows
    ]


def table(counts: dict[tuple[str, str], list[Counts]]) -> str:
    """Format a Markdown table for each set: one row per publisher and one for all."""
    parts = []
    for name, title in TITLES.items():
        rows = {row: own for row, own in counts.items() if row[0] == name}
        if not rows:
            continue
        lines = [f"### {title}", "", f"| publisher | papers | figures | {' | '.join(MEASURES)} |"]
        lines.append("|---|" + "---:|" * (2 + len(MEASURES)))
        several = [row for row in sorted(rows) if row[1] != ALL]
        lines += [_line(publisher, rows[name, publisher]) for _, publisher in several]
        lines.append(_line("**all**", [count for own in rows.values() for count in own]))
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _line(name: str, counts: list[Counts]) -> str:
    total = np.array([astuple(count) for count in counts]).sum(axis=0)
    figures = Counts(*total.tolist()).figures
    values = [float(score(total, measure)) for measure in MEASURES]
    shown = ["" if np.isnan(value) else f"{value:.3f}" for value in values]
    return f"| {name} | {len(counts)} | {figures} | {' | '.join(shown)} |"


if __name__ == "__main__":
    main()
