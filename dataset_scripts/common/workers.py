"""Processes that read documents: pdfium is not thread-safe, and a file can crash its reader."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.context import ForkServerContext
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

from cephalo.cli.errors import CephaloError

if TYPE_CHECKING:
    from concurrent.futures import Future

    from pebble import ProcessPool

    from cephalo.dataset_scripts.common.document_shards import DocumentOutcome

T = TypeVar("T")

TASKS_A_WORKER = 100  # before it is replaced, so that leaks do not accumulate


def use_one_core_each() -> None:
    """Limit processes that are started from now on to one core and one heap each.

    This overrides the user's settings: sums over several threads differ in their last digits, and
    the heaps of other threads would retain the memory of large pages.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    os.environ.setdefault("MALLOC_ARENA_MAX", "1")


def end_with_parent() -> None:
    """End this process when its parent is killed, instead of waiting for work."""

    parent = parent_process()
    assert parent is not None  # only called in a child process

    def watch() -> None:
        parent.join()
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def quick_context() -> ForkServerContext:
    """Return a context whose processes are forked from one that has imported the readers of
    documents.

    Only that process takes the second for these imports, not each worker and replacement. It has no
    threads, and nothing of the memory of this process.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload(["cephalo.dataset_scripts.pdf.shard"])
    return context


@contextmanager
def worker_pool(workers: int) -> "Iterator[ProcessPool]":
    """Open a `pebble.ProcessPool` of `workers` processes with limited memory, which can write
    shards."""
    from cephalo.dataset_scripts.common.document_shards import start_worker
    from cephalo.dataset_scripts.common.schema import FIGURES, TEXT

    schemas = [table.arrow_schema.serialize().to_pybytes() for table in (FIGURES, TEXT)]
    with _pool(workers, start_worker, schemas) as pool:
        yield pool


@contextmanager
def looking_pool() -> "Iterator[ProcessPool]":
    """Open a `pebble.ProcessPool` of one process with limited memory, which writes no shards. Does
    not import `datasets`."""
    from cephalo.dataset_scripts.common.document_shards import limit_memory

    with _pool(1, limit_memory, []) as pool:
        yield pool


@contextmanager
def _pool(
    workers: int, initializer: Callable[..., None], initargs: list[bytes]
) -> "Iterator[ProcessPool]":
    from pebble import ProcessPool

    use_one_core_each()
    pool = ProcessPool(
        max_workers=workers,
        max_tasks=TASKS_A_WORKER,
        initializer=initializer,
        initargs=initargs,
        context=quick_context(),  # pyright: ignore[reportArgumentType]  # pebble knows the base class alone
    )
    try:
        yield pool
        pool.close()
    finally:
        pool.stop()
        pool.join()


def result_of(future: "Future[T]", timeout: float) -> "T | DocumentOutcome":
    """Return the result of a job, or a DocumentOutcome with the reason for its failure.

    A worker that hung or died costs one document. Raises CephaloError if a shard cannot be written.
    """
    from concurrent.futures import TimeoutError as FutureTimeoutError

    from pebble import ProcessExpired

    from cephalo.dataset_scripts.common.document_shards import DocumentOutcome, ShardError

    try:
        return future.result()
    except ShardError as error:
        raise CephaloError(f"cannot write {error}; free disk space and run it again") from error
    except FutureTimeoutError:
        return DocumentOutcome(
            error=f"took longer than {timeout:g} s; raise --timeout to give it more"
        )
    except ProcessExpired as error:
        reason = f"its worker died (exit code {error.exitcode}), maybe out of memory"
        return DocumentOutcome(error=reason, died=True)
    except Exception as error:  # a defect concerns one document: name it and continue
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return DocumentOutcome(error=f"internal error: {text[:200]}")
