"""Figures to refine, and the command with what it wrote, for the tests of refinement."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from figure_samples import figure_row, write_figures
from teacher_server import TeacherServer

from cephalo.cli.main import main
from cephalo.dataset_scripts.common.schema import FIGURES

MATERIALS = [
    "nacre",
    "bone",
    "silk",
    "antler",
    "wood",
    "bamboo",
    "chitin",
    "enamel",
    "spider",
    "coral",
    "horn",
    "feather",
]


def material_figures(folder: Path, documents: int = 2, figures: int = 3) -> Path:
    """Documents of figures about materials of their own."""
    write_figures(folder, documents=0)
    for document in range(documents):
        names = MATERIALS[document * figures : (document + 1) * figures]
        rows = [
            figure_row(document, number + 1, caption=f"Tablets of {name} bent at layered borders.")
            for number, name in enumerate(names)
        ]
        table = pa.Table.from_pylist(rows, schema=FIGURES.arrow_schema)
        pq.write_table(table, folder / "figures" / f"paper-{document}.parquet")
    return folder


def refine(figures: Path, out: Path, server: TeacherServer, *more: str) -> dict:
    """Run the command against a server; the report."""
    arguments = [str(figures), "--out", str(out), "--base-url", server.url, "--model", "fake"]
    main(["refine", *arguments, "--api-key", "sk-secret-key", *more])
    return json.loads((out / "report.json").read_text())


def rows_of(out: Path) -> list[dict]:
    """The conversations."""
    shards = sorted((out / "conversations").glob("*.parquet"))
    return [row for shard in shards for row in pq.read_table(shard).to_pylist()]


def set_aside(out: Path, kind: str = "rejected") -> list[dict]:
    """What is "rejected" or "undecided"."""
    files = sorted((out / kind).glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]
