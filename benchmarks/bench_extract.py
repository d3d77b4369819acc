"""Measure `cephalo extract` against its bars: accuracy, speed, memory, and broken files.

    python -m benchmarks.bench_extract ../shared/bench --out runs/bench-extract

Accuracy comes from the benchmark's own scorer. Speed is pages per second of processor time, crops
encoded and Parquet written, divided by what pdfium alone needs on the same pages in the same
run: text, objects, and a rendering of the same crops. Memory is the most that one worker held.
The shipped weights are fitted on most papers of `wide`: `python -m benchmarks.extraction.score`
scores those by leaving one publisher out.
OUT/failures.html shows every figure that was missed, invented, badly boxed or mislabelled.
"""

import argparse
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from tqdm import tqdm

from benchmarks.bench_failures import Failure, find_failures, write_failures
from cephalo.dataset_scripts.common.workers import result_of, worker_pool
from cephalo.dataset_scripts.pdf import ocr

SETS = {  # name: folder of the benchmark, and whether to read its scans (None: all documents)
    "typeset": ("typeset/dev", False),
    "real": ("real", None),
    "wide": ("wide", None),
    "scans": ("typeset/dev", True),
    "hard": ("hard", None),
}
WITH_OCR = ("scans", "hard")
KINDS = ("figure", "scheme", "chart", "plate", "table")
BARS = {
    "typeset": {
        "pair F1": 0.98,
        "pair+box F1": 0.96,
        "labels": 0.99,
        "tables, pair F1": 0.95,
        "panels, box F1": 0.90,
        "panels, letters": 0.95,
        "panels, caption parts": 0.90,
        "speed over pdfium's": 0.5,
    },
    "real": {
        "pair F1": 0.97,
        "pair+box F1": 0.92,
        "labels": 0.99,
        "tables, pair F1": 0.90,
        "speed over pdfium's": 0.45,
    },
    "wide": {"pair F1": 0.98},
    "scans": {"pair F1": 0.90},
    "hard": {"pair F1": 0.90},
}
MEMORY_BAR = 400.0  # MB that one worker may hold
BAD_BAR = 30.0  # seconds for a file of bad/
TIMEOUT = 600.0  # seconds for any other; OCR needs a few for every page


@dataclass(frozen=True)
class Measured:
    """The result and cost of reading one document.

    `rows` are for the scorer. `ours` and `floor` are seconds of CPU time for extraction and for
    pdfium alone, `seconds` is wall time, `memory` the peak of its worker so far, in MB.
    """

    name: str
    rows: list[dict]
    pages: int = 0
    ours: float = 0.0
    floor: float = 0.0
    seconds: float = 0.0
    memory: float = 0.0
    error: str | None = None


@dataclass(frozen=True)
class Line:
    """A line of the table of bars."""

    measure: str
    reached: str
    bar: str
    good: bool


def main() -> None:
    """Print the scorer's tables for each set, then a table of all measures and their bars."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bench", type=Path, help="the benchmark: score.py, typeset/dev, real, ...")
    parser.add_argument("--sets", nargs="*", default=[*SETS, "bad"], choices=[*SETS, "bad"])
    parser.add_argument("--out", type=Path, default=Path("runs/bench-extract"))
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    lines: list[Line] = []
    failures: list[Failure] = []
    for name in options.sets:
        if name in WITH_OCR and not ocr.is_available():
            print(f"\n## {name}\n\nleft out: scans need {ocr.INSTALL}")
        elif name == "bad":
            lines += check_bad(options.bench / "bad", options.workers)
        else:
            own, failed = check_set(name, options.bench, options.out, options.workers)
            lines += own
            failures += failed
    print("\n## Bars\n\n| measure | reached | bar | |\n|---|---|---|---|")
    for line in lines:
        print(f"| {line.measure} | {line.reached} | {line.bar} | {'' if line.good else 'missed'} |")
    write_failures(options.out / "failures.html", failures)
    print(f"\n{len(failures)} failures → {options.out / 'failures.html'}")


def check_set(name: str, bench: Path, out: Path, workers: int) -> tuple[list[Line], list[Failure]]:
    """Read and score a set; return its lines of the table, and its failures."""
    folder, scanned = SETS[name]
    scorer = load_scorer(bench)
    truths = {
        document: truth
        for document, truth in scorer.load_truth(str(bench / folder)).items()
        if scanned is None or bool(truth.get("scanned")) == scanned
    }
    files = [bench / folder / "pdf" / f"{document}.pdf" for document in truths]
    results = read_all(files, name, workers, TIMEOUT)
    print(f"\n## {name}\n")
    for result in results:
        if result.error:
            print(f"not read: {result.name}: {result.error}")
    rows = [row for result in results for row in result.rows]
    predictions = out / f"{name}.jsonl"
    predictions.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    scored = [str(bench / folder), str(predictions)]
    scorer.main([*scored, "--tables", "--fp", "5", "--ids", *truths])
    reached = accuracy(scorer, truths, rows) | panels(bench, scored) | speed(results)
    lines = [
        Line(f"{name}: {measure}", f"{reached[measure]:.3f}", f"{bar:g}", reached[measure] >= bar)
        for measure, bar in BARS[name].items()
    ]
    empty = [f"{document}.pdf" for document, truth in truths.items() if not truth["figures"]]
    if empty:
        count = sum(row["pdf"] in empty and row.get("type") != "table" for row in rows)
        measure = f"{name}: figures invented in {len(empty)} papers without"
        lines.append(Line(measure, str(count), "0", count == 0))
    most = max(result.memory for result in results)
    measure = f"{name}: memory of a worker{', with OCR' if name in WITH_OCR else ''}"
    lines.append(Line(measure, f"{most:.0f} MB", f"{MEMORY_BAR:.0f} MB", most < MEMORY_BAR))
    return lines, find_failures(scorer, truths, rows, bench / folder / "pdf")


def load_scorer(bench: Path) -> ModuleType:
    """Import the benchmark's score.py."""
    spec = importlib.util.spec_from_file_location("score", bench / "score.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_all(files: list[Path], name: str, workers: int, timeout: float) -> list[Measured]:
    """Read documents in separate workers, set up as by `cephalo extract`."""
    with worker_pool(workers) as pool:
        jobs = [pool.schedule(measure, args=[file], timeout=timeout) for file in files]
        outcomes = [result_of(job, timeout) for job in tqdm(jobs, desc=name, disable=None)]
    return [
        outcome if isinstance(outcome, Measured) else Measured(file.name, [], error=outcome.error)
        for file, outcome in zip(files, outcomes, strict=True)
    ]


def accuracy(scorer: ModuleType, truths: dict, rows: list[dict]) -> dict[str, float]:
    """Return F1 of pairs, of pairs with the right box, and of tables; and the share of right
    labels."""
    figures = scorer.evaluate(truths, rows)["total"]
    tables = scorer.evaluate(truths, rows, tables=True)["total"]
    right, labels = figures.lab
    return {
        "pair F1": figures.prf("pair")[2],
        "pair+box F1": figures.prf("pair+box")[2],
        "labels": right / max(labels, 1),
        "tables, pair F1": tables.prf("pair")[2],
    }


def panels(bench: Path, scored: list[str]) -> dict[str, float]:
    """Return the results of score_panels.py, and print its output."""
    command = [sys.executable, str(bench / "score_panels.py"), *scored]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    print(printed.rstrip())
    numbers = re.findall(r"(?:F1|right) ([\d.]+)", printed)
    names = ("panels, box F1", "panels, letters", "panels, caption parts")
    return dict(zip(names, map(float, numbers), strict=True))


def speed(results: list[Measured]) -> dict[str, float]:
    """Return and print the ratio of pdfium's time to ours over all documents."""
    pages = sum(result.pages for result in results)
    ours = sum(result.ours for result in results)
    floor = sum(result.floor for result in results)
    print(
        f"speed: {pages / ours:.1f} pages per CPU second; pdfium's floor {pages / floor:.1f}; "
        f"ratio {floor / ours:.2f}"
    )
    return {"speed over pdfium's": floor / ours}


def check_bad(folder: Path, workers: int) -> list[Line]:
    """Read broken files: each must result in rows or in a reason of one line."""
    files = sorted(folder.glob("*.pdf"))
    results = read_all(files, "bad", workers, BAD_BAR)
    print("\n## bad\n")
    for result in results:
        print(f"{result.name}: {result.error or f'{len(result.rows)} figures'}")
    unsettled = ("internal error", "took longer")
    good = sum(not (result.error or "").startswith(unsettled) for result in results)
    most = max(result.seconds for result in results)
    return [
        Line(
            "bad: files that end in rows or a reason",
            f"{good}",
            f"{len(files)}",
            good == len(files),
        ),
        Line("bad: longest time", f"{most:.1f} s", f"{BAD_BAR:.0f} s", most < BAD_BAR),
    ]


def measure(path: Path) -> Measured:
    """Read one document, then run pdfium alone on it; call it in a worker process."""
    from cephalo.dataset_scripts.common.document_shards import write_rows
    from cephalo.dataset_scripts.pdf.document import extract_document
    from cephalo.dataset_scripts.pdf.pdfium import UnreadableError
    from cephalo.dataset_scripts.pdf.settings import Settings

    rows, pages, error = [], 0, None
    with tempfile.TemporaryDirectory() as folder:
        start, clock = time.process_time(), time.monotonic()
        try:
            result = extract_document(path, Settings(kinds=KINDS))
            rows, pages = result.rows, result.pages
            write_rows(rows, Path(folder) / "shard.parquet")
        except UnreadableError as reason:
            error = str(reason)
        ours, seconds = time.process_time() - start, time.monotonic() - clock
    memory = peak_memory()
    start = time.process_time()
    if not error:
        floor(path, rows)
    alone = time.process_time() - start
    kept = ("label", "caption", "page", "bbox", "panels")
    scored = [
        {key: row[key] for key in kept}
        | {"pdf": path.name}
        | ({"type": "table"} if row["kind"] == "table" else {})
        for row in rows
    ]
    return Measured(path.name, scored, pages, ours, alone, seconds, memory, error)


def peak_memory() -> float:
    """Return the peak memory of this process in MB: VmHWM, since ru_maxrss includes the
    parent's."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) / 1024


def floor(path: Path, rows: list[dict]) -> None:
    """Run pdfium alone: the text and the objects of every page, the pixels of every crop."""
    import ctypes

    import pypdfium2.raw as pdfium

    from cephalo.dataset_scripts.pdf import pdfium as fast

    box = (ctypes.c_float * 4)()
    corners = [ctypes.addressof(box) + 4 * k for k in range(4)]
    with fast.open_document(path) as document:
        for number in range(pdfium.FPDF_GetPageCount(document)):
            with fast.open_page(document, number) as page:
                textpage = pdfium.FPDFText_LoadPage(page.handle)
                count = pdfium.FPDFText_CountChars(textpage)
                buffer = (ctypes.c_ushort * (count + 1))()
                pdfium.FPDFText_GetText(textpage, 0, count, buffer)
                pdfium.FPDFText_ClosePage(textpage)
                for index in range(fast.count_objects(page.handle)):
                    fast.object_bounds(fast.get_object(page.handle, index), *corners)
                for row in rows:
                    if row["page"] == number:
                        _render(page, row)


def _render(page, row: dict) -> None:
    import pypdfium2.raw as pdfium

    scale = row["dpi"] / 72
    bitmap = pdfium.FPDFBitmap_Create(row["width"], row["height"], 0)
    pdfium.FPDFBitmap_FillRect(bitmap, 0, 0, row["width"], row["height"], 0xFFFFFFFF)
    left, top = -round(row["bbox"][0] * scale), -round(row["bbox"][1] * scale)
    size = round(page.width * scale), round(page.height * scale)
    pdfium.FPDF_RenderPageBitmap(bitmap, page.handle, left, top, *size, 0, 0)
    pdfium.FPDFBitmap_Destroy(bitmap)


if __name__ == "__main__":
    main()
