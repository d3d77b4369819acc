"""`cephalo extract`, and what it wrote."""

import json
from pathlib import Path

import pyarrow.parquet as pq

from cephalo.cli.main import run_command


def run(*arguments) -> None:
    run_command("extract", [str(argument) for argument in arguments])


def failures(out: Path) -> dict[str, str]:
    lines = (out / "failures.jsonl").read_text().splitlines()
    return {Path(row["file"]).name: row["reason"] for row in map(json.loads, lines)}


def rows(out: Path) -> list[dict]:
    shards = sorted((out / "figures").glob("*.parquet"))
    return [row for shard in shards for row in pq.read_table(shard).to_pylist()]
