"""Simulate a job array with stragglers and failures: its duration and losses.

The model is `cephalo extract --slurm`: task r of T reads the chunks r, r + T, ... in turn. A chunk
in progress is lost with its task, and read document by document on the next attempt. A killed task
waits until the array has ended and the command is run again. A task on a lost node is requeued by
Slurm after some time.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Cluster:
    """Nodes that each run several tasks, some of them slower.

    `speeds` divides the seconds of a chunk by node; empty if all are 1.
    """

    nodes: int
    tasks_a_node: int = 1
    speeds: tuple[float, ...] = ()

    @property
    def slots(self) -> int:
        """The number of concurrent tasks."""
        return self.nodes * self.tasks_a_node

    def speed(self, node: int) -> float:
        """Return the speed of a node."""
        return self.speeds[node] if self.speeds else 1.0


@dataclass(frozen=True)
class Failures:
    """Failures at given or random times, and the delays that they cause, in seconds.

    `kills` are (second, rank) of killed tasks, `losses` (second, node) of lost nodes. The means are
    of exponential distributions: the running time of a task until it is killed, and the uptime of a
    node until it is lost.
    """

    kills: tuple[tuple[float, int], ...] = ()
    losses: tuple[tuple[float, int], ...] = ()
    mean_to_kill: float = float("inf")
    mean_to_loss: float = float("inf")
    detection: float = 30.0  # from a node's loss until Slurm can restart its tasks
    repair: float = 3600.0  # from a node's loss until it accepts tasks again
    resubmission: float = 0.0  # from an array's end until the rest is submitted


@dataclass(frozen=True)
class SimulatedRun:
    """The duration of a run in seconds, and the use of its time.

    `work` is the seconds of finished chunks, `lost` those of unfinished chunks and of slower second
    reads. `efficiency` is the share of the time of all slots needed without these, start-ups,
    waiting and slow nodes.
    """

    makespan: float
    efficiency: float
    lost: float
    kills: int
    losses: int
    submissions: int
    done_at: NDArray[np.float64] = field(repr=False)  # seconds, by chunk


@dataclass
class SimulatedTask:
    """A task of the array: its unfinished chunks, and its current activity."""

    chunks: deque[int]
    node: int | None = None  # None while it waits
    attempt: int = 0  # counts ends, to recognize events of an ended attempt
    began: float = 0.0  # second at which the current chunk, or the start-up, began
    in_chunk: bool = False


class Simulation:
    """One run of an array; `run` returns its outcome."""

    def __init__(
        self,
        chunk_seconds: Sequence[float],
        tasks: int,
        cluster: Cluster,
        startup: float = 0.0,
        failures: Failures | None = None,
        again: float = 1.0,
        seed: int = 0,
    ) -> None:
        """Create a simulation.

        Chunk n takes `chunk_seconds[n]`, and `again` times as long on a second attempt. `startup`
        is the number of seconds between a free slot and the first read of a task, `seed` that of
        random failures.
        """
        self.seconds, self.cluster, self.startup = chunk_seconds, cluster, startup
        self.failures, self.again = failures or Failures(), again
        self.rng = np.random.default_rng(seed)
        self.tasks = [
            SimulatedTask(deque(range(rank, len(chunk_seconds), tasks)))
            for rank in range(min(tasks, len(chunk_seconds)))
        ]
        self.waiting = deque(range(len(self.tasks)))
        self.alive = len(self.tasks)  # waiting, running, or on an undetected lost node
        self.failed: set[int] = set()  # killed, until the next submission
        self.free = [cluster.tasks_a_node] * cluster.nodes
        self.up = [True] * cluster.nodes
        self.begun: set[int] = set()
        self.done_at = np.full(len(chunk_seconds), np.nan)
        self.left, self.now, self.lost = len(chunk_seconds), 0.0, 0.0
        self.kills = self.losses = 0
        self.submissions = 1
        self.events: list[tuple] = []
        self.order = itertools.count()  # tie-breaker for events at the same second

    def run(self) -> SimulatedRun:
        """Process events until all chunks are done."""
        for second, rank in self.failures.kills:
            self.at(second, self.kill, rank, None)
        for second, node in self.failures.losses:
            self.at(second, self.lose, node)
        for node in range(self.cluster.nodes):
            self.lose_by_chance(node)
        self.fill()
        while self.left:
            self.now, _, event, arguments = heapq.heappop(self.events)
            event(*arguments)
        return SimulatedRun(
            makespan=self.now,
            efficiency=float(np.sum(self.seconds)) / (self.cluster.slots * self.now),
            lost=self.lost,
            kills=self.kills,
            losses=self.losses,
            submissions=self.submissions,
            done_at=self.done_at,
        )

    def at(self, second: float, event, *arguments) -> None:
        """Schedule an event."""
        heapq.heappush(self.events, (second, next(self.order), event, arguments))

    # --- what happens

    def fill(self) -> None:
        """Start waiting tasks, in order, on free slots."""
        for node in range(self.cluster.nodes):
            while self.waiting and self.up[node] and self.free[node]:
                self.free[node] -= 1
                self.start(self.waiting.popleft(), node)

    def start(self, rank: int, node: int) -> None:
        """Start a task on a node."""
        task = self.tasks[rank]
        task.node, task.began, task.in_chunk = node, self.now, False
        self.at(self.now + self.startup, self.next_chunk, rank, task.attempt)
        if np.isfinite(self.failures.mean_to_kill):
            second = self.now + self.rng.exponential(self.failures.mean_to_kill)
            self.at(second, self.kill, rank, task.attempt)

    def next_chunk(self, rank: int, attempt: int) -> None:
        """Start the next chunk of a task, or end the task."""
        task = self.tasks[rank]
        if task.attempt != attempt:
            return
        if task.chunks:
            task.began, task.in_chunk = self.now, True
            second = self.now + self.takes(task.chunks[0], task.node)
            self.at(second, self.finish, rank, attempt)
        else:
            self.stop(rank)
            self.leave()

    def takes(self, chunk: int, node: int) -> float:
        """Return the seconds of a chunk on a node."""
        times = self.again if chunk in self.begun else 1.0
        return times * self.seconds[chunk] / self.cluster.speed(node)

    def finish(self, rank: int, attempt: int) -> None:
        """Finish a chunk of a task."""
        task = self.tasks[rank]
        if task.attempt != attempt:
            return
        chunk = task.chunks.popleft()
        self.done_at[chunk] = self.now
        self.left -= 1
        if chunk in self.begun:
            self.lost += (1 - 1 / self.again) * self.takes(chunk, task.node)
        self.next_chunk(rank, attempt)

    def kill(self, rank: int, attempt: int | None) -> None:
        """Kill a running task; `attempt` `None` matches any attempt."""
        task = self.tasks[rank]
        if task.node is None or attempt not in (None, task.attempt):
            return
        self.kills += 1
        self.stop(rank)
        self.failed.add(rank)
        self.leave()

    def lose(self, node: int) -> None:
        """Lose a node. Its tasks are requeued when the loss is detected."""
        if not self.up[node]:
            return
        self.losses += 1
        ranks = [rank for rank, task in enumerate(self.tasks) if task.node == node]
        for rank in ranks:
            self.stop(rank)
        self.up[node] = False
        self.at(self.now + self.failures.detection, self.requeue, ranks)
        self.at(self.now + self.failures.repair, self.return_node, node)

    def requeue(self, ranks: list[int]) -> None:
        """Requeue the tasks of a lost node."""
        self.waiting.extend(ranks)
        self.fill()

    def return_node(self, node: int) -> None:
        """Let a lost node accept tasks again."""
        self.up[node] = True
        self.lose_by_chance(node)
        self.fill()

    def lose_by_chance(self, node: int) -> None:
        """Draw the time at which a node is lost."""
        if np.isfinite(self.failures.mean_to_loss):
            second = self.now + self.rng.exponential(self.failures.mean_to_loss)
            self.at(second, self.lose, node)

    def stop(self, rank: int) -> None:
        """Remove a task from its node; the chunk in progress is lost."""
        task = self.tasks[rank]
        if task.in_chunk and task.chunks:
            self.begun.add(task.chunks[0])
            self.lost += self.now - task.began
        self.free[task.node] += 1
        task.node, task.in_chunk = None, False
        task.attempt += 1

    def leave(self) -> None:
        """End a task. Another takes its slot; after the last one, killed tasks are resubmitted."""
        self.alive -= 1
        self.fill()
        if not self.alive and self.failed:
            self.at(self.now + self.failures.resubmission, self.submit)

    def submit(self) -> None:
        """Submit the killed tasks again."""
        self.submissions += 1
        self.waiting.extend(sorted(self.failed))
        self.alive = len(self.failed)
        self.failed.clear()
        self.fill()


def draw_chunks(
    document_seconds: Sequence[float],
    documents: int,
    chunk: int,
    workers: int = 1,
    overhead: float = 0.0,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Draw the seconds of chunks of `chunk` documents from given seconds of documents.

    The workers of a task take one document at a time. `overhead` is in seconds per chunk.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.choice(np.asarray(document_seconds, float), size=documents)
    padded = np.zeros(-(-documents // chunk) * chunk)
    padded[:documents] = drawn
    load = np.zeros((len(padded) // chunk, workers))
    rows = np.arange(len(load))
    for column in padded.reshape(-1, chunk).T:
        load[rows, load.argmin(axis=1)] += column
    return load.max(axis=1) + overhead
