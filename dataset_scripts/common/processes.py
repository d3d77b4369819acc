"""A process pool that yields results in the order of the jobs, for any number of processes."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.common.workers import end_with_parent, use_one_core_each

J = TypeVar("J")
T = TypeVar("T")

AHEAD = 8  # jobs queued per process; more would only use memory


class Processes:
    """A pool of `count` processes, started on first use; with one, work runs in this process."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool: ProcessPoolExecutor | None = None

    def map(self, function: Callable[[J], T], jobs: Iterable[J]) -> Iterator[T]:
        """Yield the function's result for every job, in order, working a few jobs ahead.

        Raises CephaloError if a process dies.
        """
        if self.count == 1:
            yield from map(function, jobs)
            return
        if self._pool is None:
            use_one_core_each()
            self._pool = ProcessPoolExecutor(self.count, get_context("spawn"), end_with_parent)
        waiting: deque[Future[T]] = deque()
        try:
            for job in jobs:
                waiting.append(self._pool.submit(function, job))
                if len(waiting) > AHEAD * self.count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise CephaloError(
                "a process that compares images died, possibly out of memory; "
                "run it again with fewer --workers"
            ) from error
        finally:
            for future in waiting:
                future.cancel()

    def close(self) -> None:
        """Stop the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
