"""Plot simulated throughput against the number of workers, with measurements."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from benchmarks.cluster.plan import Ground

PAPERS = {10_000: "tab:blue", 1_000_000: "tab:orange"}
SIZES = {"ks": 6, "r+": 11}  # of markers, in points
TASKS = 4  # per worker
WORKERS = tuple(2**power for power in range(11))


def draw(ground: "Ground", path: Path) -> None:
    """Plot pages per second, and the share of the ideal throughput, to a PNG file.

    Tasks have one core each here. The measured arrays were small, so that start-up has more weight
    than in the simulated lines.
    """
    from matplotlib.figure import Figure

    from benchmarks.cluster.plan import simulate

    pages = ground.each("pages")
    alone = simulate(one_core(ground, 1), max(PAPERS), 1, slots=1)
    rate = max(PAPERS) * pages / alone.makespan / alone.efficiency  # of one worker without start-up
    figure = Figure(figsize=(9, 3.8), layout="constrained", dpi=120)
    left, right = figure.subplots(1, 2)
    ideal = rate * np.array(WORKERS)
    left.plot(WORKERS, ideal, ":", color="grey", label="ideal scaling of one worker")
    for papers, colour in PAPERS.items():
        for failing, style in ((False, "-"), (True, "--")):
            counts, reached = shares(ground, papers, failing)
            label = f"{papers:,} papers{', stragglers and failures' if failing else ''}"
            left.plot(counts, rate * counts * reached, style, color=colour, label=label)
            right.plot(counts, reached, style, color=colour)
    for key, marker, label in (
        ("makespan", "ks", "measured: a small array on Slurm"),
        ("simulated", "r+", "the same array simulated"),
    ):
        runs = ground.measured["agreement"]["runs"]
        counts = np.array([run["workers"] for run in runs])
        worth = np.array([run["work"] / run[key] for run in runs])
        left.plot(counts, rate * worth, marker, ms=SIZES[marker], label=label)
        right.plot(counts, worth / counts, marker, ms=SIZES[marker])
    for run in runs:
        share = run["work"] / run["makespan"] / run["workers"]
        right.annotate(run["what"], (1.3 * run["workers"], share), fontsize=7, va="center")
    left.set(xscale="log", yscale="log", xlabel="workers", ylabel="pages per second")
    right.set(xscale="log", xlabel="workers", ylabel="share of ideal throughput", ylim=(0, 1.05))
    left.legend(fontsize=7, loc="lower right")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.set_xticks([1, 10, 100, 1000], labels=["1", "10", "100", "1000"])
    figure.savefig(path)


def shares(ground: "Ground", papers: int, failing: bool) -> tuple[NDArray, NDArray]:
    """Return numbers of workers, and the share of their time spent on chunks.

    From two nodes on, with stragglers and failures.
    """
    from benchmarks.cluster.plan import simulate

    cores = int(ground.assumed["cores_a_node"])
    counts = [count for count in WORKERS if not failing or count >= 2 * cores]
    found = []
    for count in counts:
        one = one_core(ground, max(1, count // cores))
        slots = 0 if failing else count
        found.append(simulate(one, papers, TASKS * count, slots=slots).efficiency)
    return np.array(counts), np.array(found)


def one_core(ground: "Ground", nodes: int) -> "Ground":
    """Return the same assumptions with tasks of one core, on `nodes` nodes."""
    return replace(ground, assumed=ground.assumed | {"cores_a_task": 1.0, "nodes": float(nodes)})
