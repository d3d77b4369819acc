"""Build datasets in chunks with several processes; existing chunks are skipped."""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVarTuple

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import replacing, write_whole
from cephalo.cli.json_files import read_object
from cephalo.cli.logs import no_bars
from cephalo.cli.rows import Row
from cephalo.dataset_scripts.common.workers import end_with_parent, use_one_core_each

Ts = TypeVarTuple("Ts")


def check_plan(path: Path, plan: Mapping[str, object]) -> None:
    """Write the plan of a folder to `path`. Raises CephaloError if the folder has another plan."""
    if not path.exists():
        write_whole(path, json.dumps(plan))
    elif (kept := read_object(path, "remove the folder and make it again")) != plan:
        raise CephaloError(
            f"{path.parents[1]} was made with {json.dumps(kept)}; "
            "give the same options or another folder"
        )


def run_chunks(
    jobs: Mapping[tuple[*Ts], int], make: Callable[[*Ts], None], workers: int, unit: str
) -> None:
    """Call `make` with each tuple of arguments in its own process.

    Args:
        jobs: Number of units that each tuple of arguments produces, for the progress bar.
        make: A picklable function.
        workers: Number of processes.
        unit: Name of the units.
    """
    use_one_core_each()
    with (
        ProcessPoolExecutor(min(workers, len(jobs)), get_context("spawn"), end_with_parent) as pool,
        tqdm(total=sum(jobs.values()), unit=unit, disable=no_bars()) as bar,
    ):
        futures = {pool.submit(make, *job): size for job, size in jobs.items()}
        try:
            for future in as_completed(futures):
                future.result()
                bar.update(futures[future])
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def write_shard(shard: Path, rows: Sequence[Row], schema: pa.Schema) -> None:
    """Write a Parquet file atomically."""
    table = pa.Table.from_pylist(list(rows), schema=schema)
    with replacing(shard) as aside:
        pq.write_table(table, aside, use_content_defined_chunking=True)
