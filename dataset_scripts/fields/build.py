"""A folder of Parquet shards, made by several processes; what is there is not made again."""

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features
from tqdm import tqdm

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import locked, write_whole
from cephalo.dataset_scripts.fields.card import write_card
from cephalo.dataset_scripts.fields.families import SEEN, UNSEEN
from cephalo.dataset_scripts.fields.rows import (
    CRACKS,
    FIELDS,
    NOTCHED,
    TALKS,
    crack_rows,
    notched_rows,
    split_of,
    stress_rows,
)

CHUNK = 200  # plates that one process makes at a time
UNSEEN_SPLIT = "unseen_families"
UNSEEN_SHARE = 5  # one plate of the unseen families for so many of the others
CONFIGS: dict[str, Features] = {
    "conversations": TALKS,
    "fields": FIELDS,
    "notched": NOTCHED,
    "cracks": CRACKS,
}
MAKERS: dict[str, Callable[[str, int, int, int], tuple[dict, list[dict]]]] = {
    "fields": stress_rows,
    "notched": notched_rows,
    "cracks": crack_rows,
}


@dataclass(frozen=True)
class Plan:
    """What a folder holds: plates of the seen families, and how they are drawn."""

    samples: int  # for stress statistics
    notched: int  # for whether a crack starts
    cracks: int  # for crack growth
    seed: int
    pixels: int  # a side


@dataclass(frozen=True)
class Chunk:
    """Plates `start` to `stop` of a set, which is a config, of families seen or not."""

    kind: str
    seen: bool
    start: int
    stop: int

    @property
    def name(self) -> str:
        """Its part of the names of its shards."""
        return f"{self.kind}-{'seen' if self.seen else 'unseen'}-{self.start:07d}"


def build(folder: Path, plan: Plan, repo_id: str, workers: int) -> list[str]:
    """Make the dataset in `folder`, with its card; return its files. Goes on where it was.

    Raises CephaloError where the folder was made for another plan.
    """
    marks = folder / ".progress"
    marks.mkdir(parents=True, exist_ok=True)
    with locked(marks):
        check_plan(marks / "plan.json", plan)
        left = [chunk for chunk in chunks(plan) if not (marks / chunk.name).exists()]
        if left:
            run(folder, plan, left, workers)
        write_card(folder, asdict(plan), repo_id, CONFIGS)
    shards = [path for config in CONFIGS for path in (folder / config).glob("*.parquet")]
    files = [*shards, folder / "README.md", *(folder / "card").glob("*.png")]
    return sorted(path.relative_to(folder).as_posix() for path in files)


def check_plan(path: Path, plan: Plan) -> None:
    """Keep the plan, or raise CephaloError where another one is kept."""
    if not path.exists():
        write_whole(path, json.dumps(asdict(plan)))
    elif json.loads(path.read_text(encoding="utf-8")) != asdict(plan):
        raise CephaloError(
            f"{path.parents[1]} was made with {path.read_text(encoding='utf-8')}; "
            "give the same options or another --out"
        )


def chunks(plan: Plan) -> Iterator[Chunk]:
    """All chunks of a plan; crack growth, which is slower, first."""
    for kind, samples in zip(
        ("cracks", "notched", "fields"), (plan.cracks, plan.notched, plan.samples), strict=True
    ):
        for seen, count in ((True, samples), (False, samples // UNSEEN_SHARE)):
            for start in range(0, count, CHUNK):
                yield Chunk(kind, seen, start, min(start + CHUNK, count))


def run(folder: Path, plan: Plan, left: list[Chunk], workers: int) -> None:
    """Make the chunks that are left, with a progress bar over plates."""
    for config in CONFIGS:
        (folder / config).mkdir(exist_ok=True)
    # A process a core: threads within a solve of this size would only wait for each other.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    total = sum(chunk.stop - chunk.start for chunk in left)
    with (
        ProcessPoolExecutor(min(workers, len(left)), get_context("spawn"), end_with_parent) as pool,
        tqdm(total=total, unit=" plates", disable=None) as bar,
    ):
        futures = {pool.submit(make_chunk, folder, plan, chunk): chunk for chunk in left}
        try:
            for future in as_completed(futures):
                future.result()
                bar.update(futures[future].stop - futures[future].start)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def end_with_parent() -> None:
    """Let this process end when the one that started it is killed, rather than wait for work."""

    def watch() -> None:
        parent_process().join()
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def make_chunk(folder: Path, plan: Plan, chunk: Chunk) -> None:
    """Write the shards of a chunk, then its mark."""
    tables: dict[tuple[str, str], list[dict[str, Any]]] = {}
    families = list(SEEN if chunk.seen else UNSEEN)
    for number in range(chunk.start, chunk.stop):
        index, family = divmod(number, len(families))
        row, talks = MAKERS[chunk.kind](families[family], plan.seed, index, plan.pixels)
        split = split_of(row) if chunk.seen else UNSEEN_SPLIT
        tables.setdefault((chunk.kind, split), []).append(row)
        tables.setdefault(("conversations", split), []).extend(talks)
    for (config, split), rows in tables.items():
        shard = folder / config / f"{split}-{chunk.name}.parquet"
        aside = shard.with_name(f".{shard.name}.tmp")
        table = pa.Table.from_pylist(rows, schema=CONFIGS[config].arrow_schema)
        pq.write_table(table, aside, use_content_defined_chunking=True)
        aside.replace(shard)
    (folder / ".progress" / chunk.name).touch()
