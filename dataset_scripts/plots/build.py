"""Build a folder of plots with several processes: Parquet shards of figures and conversations."""

import gc
from dataclasses import asdict, dataclass
from pathlib import Path

from cephalo.cli.files import locked
from cephalo.cli.rows import Row
from cephalo.dataset_scripts.common.chunks import check_plan, run_chunks, write_shard
from cephalo.dataset_scripts.common.schema import CONVERSATIONS, FIGURES
from cephalo.dataset_scripts.plots.figures import QUESTIONS, make_plot
from cephalo.dataset_scripts.plots.rows import VERSION, plot_rows

# Allocations between garbage collections: a plot creates thousands of objects that refer to each
# other, and the default takes a fifth of the run time.
SELDOM = 300_000
CHUNK = 100  # plots per shard: seconds of work, and about 20 MB of memory


@dataclass(frozen=True)
class Plan:
    """The content of a folder: conversations, three per plot, and how the plots are drawn."""

    rows: int
    seed: int
    version: str = VERSION

    @property
    def plots(self) -> int:
        """The number of plots that the conversations are about."""
        return -(-self.rows // QUESTIONS)


def build(folder: Path, plan: Plan, workers: int) -> None:
    """Write the missing shards in `folder`.

    Raises CephaloError if the folder was made with another plan.
    """
    marks = folder / ".progress"
    with locked(folder):
        marks.mkdir(exist_ok=True)
        check_plan(marks / "plan.json", asdict(plan))
        for config in ("figures", "conversations"):
            (folder / config).mkdir(exist_ok=True)
        jobs = {
            (folder, plan, start): min(CHUNK, plan.plots - start)
            for start in range(0, plan.plots, CHUNK)
            if not (folder / "figures" / shard_name(start)).exists()
        }
        if jobs:
            run_chunks(jobs, make_chunk, workers, " plots")


def shard_name(start: int) -> str:
    """Return the shard names of the plots from this number on."""
    return f"plots-{start:08d}.parquet"


def make_chunk(folder: Path, plan: Plan, start: int) -> None:
    """Write the shards of a chunk, figures last: if that shard exists, both are complete."""
    thresholds = gc.get_threshold()
    gc.set_threshold(SELDOM, *thresholds[1:])
    try:
        figures, conversations = rows_of(plan, start)
    finally:
        gc.set_threshold(*thresholds)
    name = shard_name(start)
    write_shard(folder / "conversations" / name, conversations, CONVERSATIONS.arrow_schema)
    write_shard(folder / "figures" / name, figures, FIGURES.arrow_schema)


def rows_of(plan: Plan, start: int) -> tuple[list[Row], list[Row]]:
    """Build the FIGURES and CONVERSATIONS rows of a chunk."""
    figures: list[Row] = []
    conversations: list[Row] = []
    for number in range(start, min(start + CHUNK, plan.plots)):
        figure, talks = plot_rows(make_plot(plan.seed, number), plan.seed)
        figures.append(figure)
        conversations += talks[: plan.rows - number * QUESTIONS]
    return figures, conversations
