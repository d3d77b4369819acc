"""Build a folder of Parquet shards of plates with several processes; existing shards are
skipped."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from datasets import Features

from cephalo.cli.rows import Row
from cephalo.dataset_scripts.common.chunks import check_plan, run_chunks, write_shard
from cephalo.dataset_scripts.plates.card import write_card
from cephalo.dataset_scripts.plates.families import SEEN, UNSEEN
from cephalo.dataset_scripts.plates.rows import (
    CRACKS,
    FIELDS,
    NOTCHED,
    TALKS,
    crack_rows,
    notched_rows,
    split_of,
    stress_rows,
)

CHUNK = 200  # plates per call of a process
UNSEEN_SPLIT = "unseen_families"
UNSEEN_SHARE = 5  # number of plates of seen families per plate of an unseen one
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
    """The content of a folder: plates of the seen families, and how they are drawn."""

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
        """The part of its shards' names that identifies it."""
        return f"{self.kind}-{'seen' if self.seen else 'unseen'}-{self.start:07d}"


def build(folder: Path, plan: Plan, repo_id: str, workers: int) -> list[str]:
    """Build the dataset in `folder`, which is locked, with its card; return its files. Resumes an
    interrupted build.

    Raises CephaloError if the folder was made with another plan.
    """
    marks = folder / ".progress"
    marks.mkdir(parents=True, exist_ok=True)
    check_plan(marks / "plan.json", asdict(plan))
    left = [chunk for chunk in chunks(plan) if not (marks / chunk.name).exists()]
    if left:
        run(folder, plan, left, workers)
    write_card(folder, asdict(plan), repo_id, CONFIGS)
    shards = [path for config in CONFIGS for path in (folder / config).glob("*.parquet")]
    files = [*shards, folder / "README.md", *(folder / "card").glob("*.png")]
    return sorted(path.relative_to(folder).as_posix() for path in files)


def chunks(plan: Plan) -> Iterator[Chunk]:
    """Return all chunks of a plan; crack growth, which is slower, first."""
    for kind, samples in zip(
        ("cracks", "notched", "fields"), (plan.cracks, plan.notched, plan.samples), strict=True
    ):
        for seen, count in ((True, samples), (False, samples // UNSEEN_SHARE)):
            for start in range(0, count, CHUNK):
                yield Chunk(kind, seen, start, min(start + CHUNK, count))


def run(folder: Path, plan: Plan, left: list[Chunk], workers: int) -> None:
    """Make the missing chunks, with a progress bar over plates."""
    for config in CONFIGS:
        (folder / config).mkdir(exist_ok=True)
    jobs = {(folder, plan, chunk): chunk.stop - chunk.start for chunk in left}
    run_chunks(jobs, make_chunk, workers, " plates")


def make_chunk(folder: Path, plan: Plan, chunk: Chunk) -> None:
    """Write the shards of a chunk, then the file that marks it as done."""
    tables: dict[tuple[str, str], list[Row]] = {}
    families = list(SEEN if chunk.seen else UNSEEN)
    for number in range(chunk.start, chunk.stop):
        index, family = divmod(number, len(families))
        row, talks = MAKERS[chunk.kind](families[family], plan.seed, index, plan.pixels)
        split = split_of(row) if chunk.seen else UNSEEN_SPLIT
        tables.setdefault((chunk.kind, split), []).append(row)
        tables.setdefault(("conversations", split), []).extend(talks)
    for (config, split), rows in tables.items():
        shard = folder / config / f"{split}-{chunk.name}.parquet"
        write_shard(shard, rows, CONFIGS[config].arrow_schema)
    (folder / ".progress" / chunk.name).touch()
