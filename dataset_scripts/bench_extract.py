"""Measure `cephalo extract`: accuracy by class of paper, and speed against pdfium's own floor.

    python -m cephalo.dataset_scripts.bench_extract ../shared/bench

Accuracy comes from the benchmark's own scorer. Speed is pages per second of processor time, crops
encoded and Parquet written, divided by what pdfium alone needs on the same pages in the same
run: text, objects, and a rendering of the same crops.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

SETS = {"typeset/dev": ("--no-scanned",), "real": (), "hard": ()}


def main() -> None:
    """Print the scorer's tables for each set of the benchmark, then the speed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bench", type=Path, help="the benchmark: score.py, typeset/dev, real, ...")
    parser.add_argument("--sets", nargs="*", default=["typeset/dev", "real"], choices=SETS)
    parser.add_argument("--kinds", default="figure,scheme,chart,plate,table")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    for name in options.sets:
        files = sorted((options.bench / name / "pdf").glob("*.pdf"))
        if "--no-scanned" in SETS[name]:
            files = [file for file in files if not is_scanned(options.bench / name, file)]
        jobs = [(file, tuple(options.kinds.split(","))) for file in files]
        context = get_context("spawn")
        with ProcessPoolExecutor(options.workers, mp_context=context) as pool:
            results = list(pool.map(measure, jobs))
        report(options.bench, name, results)


def is_scanned(folder: Path, file: Path) -> bool:
    """Whether the benchmark calls a document a scan."""
    truth = folder / "truth" / f"{file.stem}.json"
    return bool(json.loads(truth.read_text(encoding="utf-8")).get("scanned"))


def report(bench: Path, name: str, results: list[dict]) -> None:
    """Print the tables of score.py and score_panels.py, and the speed over all documents."""
    print(f"\n## {name}\n")
    with tempfile.TemporaryDirectory() as folder:
        predictions = Path(folder) / "predictions.jsonl"
        lines = (json.dumps(row) + "\n" for result in results for row in result["rows"])
        predictions.write_text("".join(lines))
        truth = str(bench / name)
        score = [str(bench / "score.py"), truth, str(predictions), "--tables", "--fp", "5"]
        print(_run(score + list(SETS[name])))
        print(_run([str(bench / "score_panels.py"), truth, str(predictions)]))
    pages = sum(result["pages"] for result in results)
    ours = sum(result["ours"] for result in results)
    floor = sum(result["floor"] for result in results)
    print(
        f"speed: {pages / ours:.1f} pages per CPU second; pdfium's floor {pages / floor:.1f}; "
        f"ratio {floor / ours:.2f}; largest worker {max(r['memory'] for r in results):.0f} MB"
    )
    for result in results:
        if result["error"]:
            print(f"not read: {result['name']}: {result['error']}")


def _run(arguments: list[str]) -> str:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
    return done.stdout.rstrip() or done.stderr.strip()


def measure(job: tuple[Path, tuple[str, ...]]) -> dict:
    """Rows of one document for the scorer, and the seconds that we and pdfium alone need."""
    from cephalo.dataset_scripts.pdf.document import Settings, extract_document
    from cephalo.dataset_scripts.pdf.pdfium import UnreadableError
    from cephalo.dataset_scripts.pdf.shard import write_rows

    path, kinds = job
    _set_schema()
    rows, pages, error = [], 0, None
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        try:
            result = extract_document(path, Settings(kinds=kinds))
            rows, pages = result.rows, result.pages
            write_rows(rows, Path(folder) / "shard.parquet")
        except UnreadableError as reason:
            error = str(reason)
        ours = time.process_time() - start
    start = time.process_time()
    if not error:
        floor(path, rows)
    alone = time.process_time() - start
    kept = ("label", "caption", "page", "bbox", "panels")
    return {
        "name": path.name,
        "rows": [
            {key: row[key] for key in kept}
            | {"pdf": path.name}
            | ({"type": "table"} if row["kind"] == "table" else {})
            for row in rows
        ],
        "pages": pages,
        "ours": ours,
        "floor": alone,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "error": error,
    }


def _set_schema() -> None:
    """What `cephalo extract` hands to its workers."""
    from cephalo.dataset_scripts.pdf import shard

    if not shard._schemas:
        from cephalo.dataset_scripts.schema import FIGURES

        shard._schemas["figures"] = FIGURES.arrow_schema


def floor(path: Path, rows: list[dict]) -> None:
    """What pdfium alone does: the text and the objects of every page, the pixels of every crop."""
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
