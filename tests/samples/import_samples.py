"""Images to import, and what was made of them."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image


def write_image(path: Path, seed: int, size: tuple[int, int] = (40, 30)) -> np.ndarray:
    """Write noise to an image file; returns its pixels."""
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


def read(out: Path, table: str) -> list[dict]:
    """The rows of a table, in the order of its shards."""
    shards = sorted((out / table).glob("*.parquet"))
    return [row for shard in shards for row in pq.read_table(shard).to_pylist()]


def failures(out: Path) -> dict[str, str]:
    """The rows that were left out, with the reasons."""
    lines = map(json.loads, (out / "failures.jsonl").read_text().splitlines())
    return {line["file"]: line["reason"] for line in lines}


def turns(row: dict) -> list[str]:
    """The texts of a conversation, in their order."""
    parts = [part for message in row["prompt"] + row["completion"] for part in message["content"]]
    return [part["text"] for part in parts if part["type"] == "text"]
