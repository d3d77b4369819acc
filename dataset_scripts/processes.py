"""Work in several processes whose results come in order, whatever their number."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

from cephalo.cli.errors import CephaloError

AHEAD = 8  # jobs that wait for each process; more would only hold memory


class Processes:
    """So many processes, started when they are first needed; one alone is this process itself."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool: ProcessPoolExecutor | None = None

    def map(self, function: Callable[[Any], Any], jobs: Iterable[Any]) -> Iterator[Any]:
        """The function of every job, in the order of the jobs, a few jobs ahead.

        Raises CephaloError where a process dies.
        """
        if self.count == 1:
            yield from map(function, jobs)
            return
        if self._pool is None:
            # One core a process: OpenCV and BLAS would each take all.
            for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MALLOC_ARENA_MAX"):
                os.environ.setdefault(name, "1")
            self._pool = ProcessPoolExecutor(self.count, mp_context=get_context("spawn"))
        waiting: deque[Future] = deque()
        try:
            for job in jobs:
                waiting.append(self._pool.submit(function, job))
                if len(waiting) > AHEAD * self.count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise CephaloError(
                "a process that compares images died, maybe out of memory; "
                "run it again with fewer --workers"
            ) from error
        finally:
            for future in waiting:
                future.cancel()

    def close(self) -> None:
        """Stop the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
