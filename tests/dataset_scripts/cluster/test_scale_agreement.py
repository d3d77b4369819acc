"""The simulated array against Slurm's own, on two nodes of this machine.

    python -m pytest -m slow -s tests/dataset_scripts/cluster/test_scale_agreement.py

Four runs: one task on one node, of which a chunk had been begun before; two tasks on two nodes; the
same two, of which one is cancelled and submitted again; and the two, of which one loses its node.
With -s it tells how long each took and how long the simulation says, from the seconds of the chunks
of the same run and, ahead, from those of the runs before.
"""

import re
import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from pdf_samples import COLUMN, GUTTER, LEFT, Sheet
from slurm_cluster import Cluster, missing_programs, slurm_cluster, wait_for

from benchmarks.cluster.simulate import Cluster as Nodes
from benchmarks.cluster.simulate import Failures, Simulation
from cephalo.dataset_scripts.cluster import cluster as asked
from cephalo.dataset_scripts.cluster import extraction
from cephalo.dataset_scripts.cluster.runs import Run
from cephalo.dataset_scripts.pdf.settings import Settings

CHUNK, CHUNKS = 24, 30
ALONE_CHUNKS = 8  # of the run of one task
INTERRUPTED_AT = 9  # chunks done by both tasks
# Seconds until the task of a lost node starts again: it is missed after some 27 (SlurmdTimeout is
# 10), and what is queued again waits for two minutes more (cred_expire of slurm.conf's AuthInfo).
DETECTION = 27.0 + 120.0
SQUEUE = ("squeue", "-r", "-h", "-o", "%i %N")
NEAR = 0.25  # by how much the simulation may differ; others use this machine, too


def write_papers(folder: Path, documents: int) -> None:
    """Papers of one to eight pages with a figure on each; a comment after the end makes every
    file another."""
    folder.mkdir()
    files = []
    for pages in range(1, 9):
        sheet = Sheet(folder.parent / f"{pages}.pdf")
        for number in range(pages):
            sheet.image([LEFT, 72.0, LEFT + COLUMN, 222.0], seed=number)
            sheet.caption(LEFT, 230, f"Figure {number + 1}.", "Hardness of the samples.")
            sheet.body(LEFT, 290, 700)
            sheet.body(LEFT + COLUMN + GUTTER, 72, 700)
            sheet.next()
        files.append(sheet.save().read_bytes())
    for number in range(documents):
        pages = files[number * 5 % 8]
        (folder / f"{number:04}.pdf").write_bytes(pages + f"\n%{number}\n".encode())


@dataclass
class Measured:
    """What a run on the cluster took: seconds since its submission at which each chunk was done,
    the seconds of each, and where it began."""

    done_at: list[float]
    seconds: list[float]

    @property
    def makespan(self) -> float:
        return max(self.done_at)

    def startup(self, tasks: int) -> float:
        """Seconds from submission until a task's first chunk begins, the mean of the tasks."""
        return statistics.mean(self.done_at[rank] - self.seconds[rank] for rank in range(tasks))


class Array:
    """A run of `cephalo extract --slurm` on the cluster."""

    def __init__(self, cluster: Cluster, papers: Iterable[Path], out: Path, tasks: int) -> None:
        self.cluster, self.papers, self.out = cluster, [str(path) for path in papers], str(out)
        self.run, self.tasks = Run(self.out, "extract"), tasks
        self.submitted = 0.0

    def submit(self) -> tuple[str, float]:
        """Submit what is missing; the job, and the second of it."""
        ask = asked.Cluster(self.tasks, None, "1:00:00", 1, 2)
        settings = Settings(text=True)
        said = extraction.submit_extraction(self.papers, self.out, settings, 60.0, ask)
        now = time.time()
        self.submitted = self.submitted or now
        return re.match(r"submitted job (\d+)", said)[1], now - self.submitted

    def measured(self) -> Measured:
        """What the chunks' records say."""
        facts = list(self.run.facts())
        chunks = sorted((Path(self.out) / "extract-run" / "chunks").glob("*.json"))
        done_at = [path.stat().st_mtime - self.submitted for path in chunks]
        return Measured(done_at, [chunk["seconds"] for chunk in facts])


def simulate(measured: Measured, startup: float, tasks: int, **options) -> float:
    return Simulation(measured.seconds, tasks, Nodes(tasks), startup, **options).run().makespan


def tell(what: str, measured: Measured, tasks: int, simulated: dict[str, float]) -> None:
    """A line of the table."""
    work = sum(measured.seconds)
    told = "; ".join(
        f"simulated {how} {seconds:.1f} s ({seconds / measured.makespan - 1:+.1%})"
        for how, seconds in simulated.items()
    )
    print(
        f"{what}: {len(measured.seconds)} chunks of {work:.1f} s in all, "
        f"makespan {measured.makespan:.1f} s = {work / measured.makespan:.2f} workers, {told}"
    )


def read_again(measured: Measured, chunks: Iterable[int]) -> tuple[Measured, float]:
    """The measurements as if nothing had been read again, and how many times as long as the
    others the first of `chunks` to be done took, which was."""
    slow = min(chunks, key=lambda number: measured.done_at[number])
    others = [one for number, one in enumerate(measured.seconds) if number != slow]
    times = measured.seconds[slow] / statistics.mean(others)
    seconds = list(measured.seconds)
    seconds[slow] /= times
    return Measured(measured.done_at, seconds), times


@dataclass
class Before:
    """What the runs without failures tell the simulation."""

    both: Measured
    startup: float
    again: float


def compare(
    what: str, plain: Measured, own: tuple[Failures, float], before: Before, ahead: Failures
) -> None:
    """Simulate a run with a failure from what was seen in it and from the runs before."""
    failures, again = own
    same = simulate(plain, plain.startup(2), 2, failures=failures, again=again)
    told = simulate(before.both, before.startup, 2, failures=ahead, again=before.again)
    tell(what, plain, 2, {"": same, "ahead": told})
    print(f"a chunk that was read again took {again:.1f} times as long")
    assert same == pytest.approx(plain.makespan, rel=NEAR)
    assert told == pytest.approx(plain.makespan, rel=2 * NEAR)


@pytest.mark.slow
@pytest.mark.skipif(bool(missing_programs()), reason=f"needs {', '.join(missing_programs())}")
def test_the_simulation_agrees_with_two_nodes(tmp_path, monkeypatch):
    monkeypatch.setattr(extraction, "CHUNK", CHUNK)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    write_papers(tmp_path / "papers", CHUNK * CHUNKS)
    papers = sorted((tmp_path / "papers").iterdir())
    with slurm_cluster(tmp_path / "slurm") as cluster:
        monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
        before = without_failures(cluster, papers, tmp_path)
        one_cancelled(Array(cluster, papers, tmp_path / "cancelled", 2), before)
        one_lost(Array(cluster, papers, tmp_path / "lost", 2), before)


def without_failures(cluster: Cluster, papers: list[Path], folder: Path) -> Before:
    """One task, of which the last chunk had been begun; then two tasks."""
    one = Array(cluster, papers[: CHUNK * ALONE_CHUNKS], folder / "one", 1)
    last = f"attempts/{ALONE_CHUNKS - 1:06d}.json"
    one.run.store.write(one.run.name(last), extraction.dump(None, {}))
    one.submit()
    cluster.wait(600)
    alone = one.measured()
    again = alone.seconds[-1] / statistics.mean(alone.seconds[:-1])
    tell("one task", alone, 1, {"": simulate(alone, alone.startup(1), 1)})
    print(f"a chunk that was begun before takes {again:.1f} times as long")

    two = Array(cluster, papers, folder / "two", 2)
    two.submit()
    cluster.wait(900)
    both = two.measured()
    startup = both.startup(2)
    drawn = np.random.default_rng(0).choice(alone.seconds[:-1], CHUNKS)
    ahead = Simulation(drawn, 2, Nodes(2), alone.startup(1)).run().makespan
    same = simulate(both, startup, 2)
    tell("two tasks", both, 2, {"": same, "ahead": ahead})
    print(f"start-up {startup:.1f} s")
    assert same == pytest.approx(both.makespan, rel=NEAR)
    return Before(both, startup, again)


def one_cancelled(array: Array, before: Before) -> None:
    """A task is cancelled, and submitted again after the other's end."""
    job, _ = array.submit()
    wait_for(lambda: len(array.run.done()) >= INTERRUPTED_AT, 600, "chunks")
    array.cluster.ask("scancel", f"{job}_1")
    second = time.time() - array.submitted
    array.cluster.wait(900)
    ended = array.measured().makespan
    assert array.run.done() >= set(range(0, CHUNKS, 2)), "the other task was to be let alone"
    _, submitted = array.submit()
    array.cluster.wait(900)
    worse = array.measured()
    plain, again = read_again(worse, [n for n, at in enumerate(worse.done_at) if at > submitted])
    failures = Failures(kills=((second, 1),), resubmission=submitted - ended)
    compare("two tasks, one cancelled", plain, (failures, again), before, failures)


def one_lost(array: Array, before: Before) -> None:
    """A node is lost for good, and its task queued again by Slurm."""
    job, _ = array.submit()
    wait_for(lambda: len(array.run.done()) >= INTERRUPTED_AT, 600, "chunks")
    nodes = dict(line.split() for line in array.cluster.ask(*SQUEUE).splitlines())
    rank = next(rank for rank in (0, 1) if nodes[f"{job}_{rank}"] == "n2")
    array.cluster.kill_node("n2")
    second = time.time() - array.submitted
    array.cluster.wait(900)
    worse = array.measured()
    later = [n for n, at in enumerate(worse.done_at) if at > second and n % 2 == rank]
    plain, again = read_again(worse, later)
    slow = min(later, key=lambda number: worse.done_at[number])
    waited = worse.done_at[slow] - worse.seconds[slow] - worse.startup(2) - second
    print(f"lost at {second:.1f} s, started again {waited:.1f} s later")
    seen, expected = (
        Failures(losses=((second, rank),), detection=seconds, repair=1e6)
        for seconds in (waited, DETECTION)
    )
    compare("two tasks, one node lost", plain, (seen, again), before, expected)
