"""Processes that read PDF files: pdfium is not thread-safe, and a file may kill its reader."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

TASKS_A_WORKER = 100  # then it is replaced, so that nothing it leaks adds up


@contextmanager
def worker_pool(workers: int) -> Iterator[Any]:
    """A `pebble.ProcessPool` of `workers` processes with limited memory, stopped at the end."""
    from pebble import ProcessPool

    from cephalo.dataset_scripts.pdf.shard import start_worker
    from cephalo.dataset_scripts.schema import FIGURES, TEXT

    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # one core a worker
    pool = ProcessPool(
        max_workers=workers,
        max_tasks=TASKS_A_WORKER,
        initializer=start_worker,
        initargs=[table.arrow_schema.serialize().to_pybytes() for table in (FIGURES, TEXT)],
        context=get_context("spawn"),
    )
    try:
        yield pool
        pool.close()
    finally:
        pool.stop()
        pool.join()
