"""Measure the cost of extracting many papers; its output is in `measured.yaml`.

    python -m benchmarks.cluster.measure ../shared/bench/real/pdf

Times are CPU seconds, which depend least on other load. Wall times are reported too; their ratios
within a run show the gain from additional workers.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from cephalo.dataset_scripts.pdf.settings import Settings

app = typer.Typer(add_completion=False, rich_markup_mode=None)

SETTINGS = Settings(text=True)
TIMEOUT = 60.0  # seconds per document
SMALL_CHUNK = 4  # documents
STEP = """
import sys
from cephalo.dataset_scripts.cluster.extraction import ExtractChunks
from benchmarks.cluster.measure import SETTINGS, TIMEOUT
ExtractChunks(sys.argv[1], SETTINGS, TIMEOUT, int(sys.argv[2]))(None, 0, 1)
"""


@app.command()
def extract(
    papers: Annotated[Path, typer.Argument(help="Folder of PDF files.")],
    workers: Annotated[list[int] | None, typer.Option(help="Workers per task. Repeatable.")] = None,
) -> None:
    """Print the seconds of each document, and the cost of a task per number of workers, as JSON.

    The last lines are tasks of one worker: one with small chunks, whose worker pools start more
    often, and one whose chunks a killed task had started, so that each document is read separately.
    """
    from cephalo.dataset_scripts.cluster.extraction import CHUNK

    print(json.dumps({"document_seconds": document_seconds(papers)}), flush=True)
    ways = [(count, CHUNK, False) for count in workers or [1, 2]]
    for way in (*ways, (1, SMALL_CHUNK, False), (1, CHUNK, True)):
        print(json.dumps(run_task(papers, *way)), flush=True)


def document_seconds(papers: Path) -> list[float]:
    """Return the CPU seconds of each document in one worker."""
    from cephalo.dataset_scripts.common.workers import worker_pool

    files = sorted(papers.rglob("*.pdf"))
    with tempfile.TemporaryDirectory() as folder, worker_pool(1) as pool:
        for table in ("figures", "text"):
            (Path(folder) / table).mkdir()
        jobs = [pool.schedule(time_document, args=[file, Path(folder)]) for file in files]
        return sorted(job.result() for job in jobs)


def time_document(path: Path, folder: Path) -> float:
    """Return the CPU seconds for reading a document and writing its shards. Runs in a worker."""
    from cephalo.dataset_scripts.common.inputs import file_sha256
    from cephalo.dataset_scripts.pdf.shard import extract_to_shard

    started = time.process_time()
    shard = folder / "figures" / f"{path.stem}.parquet"
    extract_to_shard(path, file_sha256(path), shard, SETTINGS)
    return round(time.process_time() - started, 3)


def run_task(papers: Path, workers: int, chunk: int, begun: bool) -> dict[str, Any]:
    """Return the cost of a task that reads all papers in chunks, as `cephalo extract --slurm`."""
    from cephalo.dataset_scripts.cluster.extraction import dump, record
    from cephalo.dataset_scripts.cluster.manifest import list_files
    from cephalo.dataset_scripts.cluster.runs import Run

    with tempfile.TemporaryDirectory() as out:
        run = Run(out, "extract")
        files = list_files([str(papers)], ".pdf", out)
        chunks = run.begin(files, chunk, record(SETTINGS)).chunks
        for number in range(chunks if begun else 0):
            run.store.write(run.name(f"attempts/{number:06d}.json"), dump(None, {}))
        clock = time.monotonic()
        process = subprocess.Popen([sys.executable, "-c", STEP, out, str(workers)])
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"the task failed on {papers}")
        seconds = time.monotonic() - clock
        facts = list(run.facts())
    total: dict[str, Any] = {"workers": workers, "chunks": chunks, "begun_before": begun}
    for name in ("documents", "pages", "figures", "bytes_read"):
        total[name] = sum(chunk[name] for chunk in facts)
    for table in ("figures", "text"):
        total[f"bytes_{table}"] = sum(chunk["bytes"][table] for chunk in facts)
    total["cpu_seconds"] = round(usage.ru_utime + usage.ru_stime, 2)
    total["seconds"] = round(seconds, 2)
    total["seconds_in_chunks"] = round(sum(chunk["seconds"] for chunk in facts), 2)
    return total | {"peak_mb_of_a_process": round(usage.ru_maxrss / 1024)}


if __name__ == "__main__":
    app()
