"""Extraction in chunks by tasks, and the rows that it wrote."""

import os
import signal
from multiprocessing import parent_process
from pathlib import Path

import pyarrow.parquet as pq

from cephalo.cli.main import run_command
from cephalo.dataset_scripts.cluster.extraction import ExtractChunks, record
from cephalo.dataset_scripts.cluster.manifest import list_files
from cephalo.dataset_scripts.cluster.runs import Run
from cephalo.dataset_scripts.cluster.store import Store
from cephalo.dataset_scripts.pdf.settings import Settings
from cephalo.dataset_scripts.pdf.shard import extract_to_shard

SETTINGS = Settings(text=True)


def read_alone(papers: Path, out: Path) -> dict[str, list[dict]]:
    """The rows that one machine reads."""
    run_command("extract", [str(papers), "--out", str(out), "--workers", "2", "--text"])
    return {table: rows(str(out), table) for table in ("figures", "text")}


def rows(out: str, table: str) -> list[dict]:
    """The rows of a table, once a document, by document and place."""
    store = Store(out)
    found, seen = [], {}
    for name in store.names(table):
        with store.fs.open(store.path(f"{table}/{name}"), "rb") as file:
            for row in pq.read_table(file).to_pylist():
                if seen.setdefault(row["document_sha256"], name) == name:
                    found.append(row)
    return sorted(found, key=lambda row: (row["document_sha256"], row.get("page", 0)))


def begin(papers, out, chunk: int = 2) -> tuple[Run, ExtractChunks]:
    run = Run(str(out), "extract")
    run.begin(list_files([str(papers)], ".pdf", str(out)), chunk, record(SETTINGS))
    return run, ExtractChunks(str(out), SETTINGS, timeout=60, workers=1)


def kill_task(path: Path, *rest):
    """Stands in for extract_to_shard: one document takes its whole task along."""
    if path.name == "b.pdf":
        with Path(os.environ["DEATHS"]).open("a") as deaths:
            deaths.write("b\n")
        os.kill(parent_process().pid, signal.SIGKILL)
        signal.pause()
    return extract_to_shard(path, *rest)
