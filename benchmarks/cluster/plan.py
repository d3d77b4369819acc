"""Estimate the resources for 10 thousand, a million and ten million papers.

    python -m benchmarks.cluster.plan
    python -m benchmarks.cluster.plan --set nodes=40 --set gpu_hour=2.5
    python -m benchmarks.cluster.plan --figure docs/scale-throughput.png

Rates are from `measured.yaml`, each with its command. Prices, the cluster, its failures and the
speed of a served model are assumptions, which --set changes.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
import yaml

from benchmarks.cluster.simulate import (
    Cluster,
    Failures,
    SimulatedRun,
    Simulation,
    draw_chunks,
)
from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.cluster.extraction import CHUNK

app = typer.Typer(add_completion=False, rich_markup_mode=None)

MEASURED = Path(__file__).with_name("measured.yaml")
SIZES = (10_000, 1_000_000, 10_000_000)
TASKS_A_SLOT = 16  # per concurrent task, as `sweep` recommends
SWEPT_CHUNKS = (16, 64, 256)
SWEPT_TASKS = ((4, 1), (4, 4), (4, 16), (1, 1), (1, 4))  # cores per task; tasks per concurrent task
SWEPT = 1_000_000  # papers
SEEDS = 3


@dataclass(frozen=True)
class Ground:
    """Measured values and assumptions."""

    measured: dict[str, Any]
    assumed: dict[str, float]
    reasons: dict[str, str]

    @property
    def slots(self) -> int:
        """The number of concurrent tasks on the assumed cluster."""
        return int(self.assumed["nodes"] * self.assumed["cores_a_node"] // self.workers)

    @property
    def workers(self) -> int:
        """The cores per task."""
        return int(self.assumed["cores_a_task"])

    def each(self, name: str) -> float:
        """Return a value of the extraction per paper."""
        return self.measured["extract"][name] / self.measured["extract"]["documents"]

    @property
    def overhead(self) -> float:
        """CPU seconds per chunk besides reading, for starting the pool of workers."""
        facts = self.measured["extract"]
        small = facts["small_chunks"]
        return (small["cpu_seconds"] - facts["cpu_seconds"]) / (small["chunks"] - 1)

    def per_figure(self, name: str) -> float:
        """Return a value of the refinement per figure."""
        return self.measured["refine"][name] / self.measured["refine"]["figures"]


def load_ground(changes: list[str] | None = None) -> Ground:
    """Load `measured.yaml` and change assumptions by `NAME=VALUE`.

    Raises:
        CephaloError: If a change is invalid.
    """
    found = yaml.safe_load(MEASURED.read_text(encoding="utf-8"))
    assumed = {name: float(one["value"]) for name, one in found["assumed"].items()}
    for change in changes or []:
        name, _, value = change.partition("=")
        try:
            number = float(value)
        except ValueError as error:
            raise CephaloError(f"--set {change!r}: give NAME=NUMBER") from error
        if name not in assumed or number <= 0:
            raise CephaloError(f"--set {change!r}: choose from {', '.join(assumed)}, above 0")
        assumed[name] = number
    reasons = {name: f"{one['unit']}: {one['why']}" for name, one in found["assumed"].items()}
    return Ground(found["measured"], assumed, reasons)


def simulate(
    ground: Ground, papers: int, tasks: int, chunk: int = CHUNK, seed: int = 0, slots: int = 0
) -> SimulatedRun:
    """Simulate the extraction of papers on the assumed cluster, or on `slots` without failures."""
    facts = ground.measured["extract"]
    seconds = facts["document_seconds"]
    chunks = draw_chunks(seconds, papers, chunk, ground.workers, ground.overhead, seed)
    # With one worker instead of the task's; smaller values are measurement noise.
    again = ground.workers * max(1.0, facts["cpu_seconds_begun_before"] / facts["cpu_seconds"])
    startup = ground.measured["agreement"]["startup_seconds"]
    if slots:
        return Simulation(chunks, tasks, Cluster(1, slots), startup).run()
    assumed = ground.assumed
    nodes = int(assumed["nodes"])
    slow = round(nodes * assumed["slow_nodes"])
    speeds = (assumed["slow_speed"],) * slow + (1.0,) * (nodes - slow)
    failures = Failures(
        mean_to_kill=3600 * assumed["hours_to_kill"],
        mean_to_loss=3600 * assumed["hours_to_loss"],
        detection=assumed["detection_seconds"],
        repair=3600 * assumed["repair_hours"],
        resubmission=60 * assumed["resubmission_minutes"],
    )
    cluster = Cluster(nodes, ground.slots // nodes, speeds)
    return Simulation(chunks, tasks, cluster, startup, failures, again, seed).run()


# --- tables


def table(title: str, head: list[str], rows: list[list[str]]) -> str:
    """Format a Markdown table with a bold title."""
    lines = [f"**{title}**", "", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def rates(ground: Ground) -> str:
    """Format the measured values and their commands."""
    facts, refine = ground.measured["extract"], ground.measured["refine"]
    two = facts["pages"] / facts["cpu_seconds_two_workers"]
    again = facts["cpu_seconds_begun_before"] / facts["cpu_seconds"]
    out = facts["bytes_figures"] + facts["bytes_text"]
    rows = [
        ["pages, figures per paper", f"{ground.each('pages'):.1f}, {ground.each('figures'):.1f}"],
        ["pages per CPU second, one worker", f"{facts['pages'] / facts['cpu_seconds']:.1f}"],
        ["the same, two workers of a task", f"{two:.1f}"],
        ["CPU seconds per additional chunk", f"{ground.overhead:.2f}"],
        ["CPU time of a chunk that was started before", f"{again:.1f} times"],
        ["largest process", f"{facts['peak_mb_of_a_process']} MB"],
        ["file, figures, text per paper", paper_sizes(ground)],
        ["output per page", f"{out / facts['pages'] / 1e3:.0f} kB"],
        ["output per core and second", f"{out / facts['cpu_seconds'] / 1e6:.1f} MB"],
    ]
    lines = [[*row, "extract"] for row in rows]
    typeset = f"{ground.measured['typeset']['pages_a_cpu_second']:.1f}"
    lines.insert(2, ["the same, typeset papers", typeset, "typeset"])
    tokens = [f"{ground.per_figure(f'{kind}_tokens'):,.0f}" for kind in ("text", "image")]
    of_figure = [
        ["requests per figure", f"{ground.per_figure('requests'):.2f}"],
        ["prompt tokens per figure, text + images", " + ".join(tokens)],
        ["CPU seconds per figure", f"{ground.per_figure('cpu_seconds'):.3f}"],
        ["memory, 64 requests in flight", f"{refine['peak_mb']} MB"],
        ["conversations per figure", f"{ground.per_figure('bytes_conversations') / 1e3:.0f} kB"],
    ]
    lines += [[*row, "refine"] for row in of_figure]
    publish = ground.measured["publish"]
    lines += [
        ["CPU seconds per paper", f"{publish['cpu_seconds_a_paper']:.3f}", "publish"],
        ["image pairs per CPU second", f"{publish['pairs_a_cpu_second'] / 1e9:.1f} G", "publish"],
        ["disk space for comparisons per paper", f"{publish['kb_a_paper']:.1f} kB", "publish"],
        ["memory", f"{publish['peak_mb']} MB", "publish"],
    ]
    started = f"{ground.measured['agreement']['startup_seconds']:.1f} s"
    lines.append(["start-up of a task", started, "agreement"])
    commands = "\n".join(
        f"- {name}: `{block['command']}`" for name, block in ground.measured.items()
    )
    return f"{table('Measured', ['', '', 'by'], lines)}\n\n{commands}"


def paper_sizes(ground: Ground) -> str:
    """Format the bytes of a paper's file, figures and text."""
    sizes = [ground.each(f"bytes_{name}") / 1e6 for name in ("read", "figures", "text")]
    return ", ".join(f"{size:.2f}" for size in sizes) + " MB"


def assumptions(ground: Ground) -> str:
    """Format the assumptions and their reasons."""
    rows = [[name, f"{ground.assumed[name]:g}", ground.reasons[name]] for name in ground.assumed]
    return table("Assumed, not measured", ["name", "value", "unit and reason"], rows)


@dataclass(frozen=True)
class Need:
    """Resources for a number of papers."""

    papers: int
    pages: float
    figures: float
    tasks: int
    outcome: SimulatedRun
    core_hours: float  # paid core hours: all cores of the array, or the used part
    gigabytes: dict[str, float]
    requests: float
    prompt_tokens: float
    completion_tokens: float
    gpu_hours: float
    publish_hours: float  # of one core


def need(ground: Ground, papers: int) -> Need:
    """Return the resources for `papers` papers."""
    assumed = ground.assumed
    tasks = min(TASKS_A_SLOT * ground.slots, -(-papers // CHUNK))
    outcome = simulate(ground, papers, tasks)
    figures = papers * ground.each("figures")
    requests = figures * ground.per_figure("requests")
    prompt = figures * sum(ground.per_figure(f"{kind}_tokens") for kind in ("text", "image"))
    completion = requests * assumed["completion_tokens"]
    gpu = prompt / assumed["prompt_tokens_a_second"]
    gpu += completion / assumed["completion_tokens_a_second"]
    publishing = ground.measured["publish"]
    publish = papers * publishing["cpu_seconds_a_paper"]
    publish += figures**2 / 2 / publishing["pairs_a_cpu_second"]
    cores = min(ground.slots, tasks) * ground.workers
    sizes = {name: papers * ground.each(f"bytes_{name}") for name in ("read", "figures", "text")}
    sizes["conversations"] = figures * ground.per_figure("bytes_conversations")
    return Need(
        papers=papers,
        pages=papers * ground.each("pages"),
        figures=figures,
        tasks=tasks,
        outcome=outcome,
        core_hours=cores * outcome.makespan / 3600,
        gigabytes={name: size / 1e9 for name, size in sizes.items()},
        requests=requests,
        prompt_tokens=prompt,
        completion_tokens=completion,
        gpu_hours=gpu / 3600,
        publish_hours=publish / 3600,
    )


def extraction(ground: Ground, needs: list[Need]) -> str:
    """Format the cores and hours of extraction."""
    rows = []
    for one in needs:
        work = one.papers * ground.each("cpu_seconds") / 3600
        lost = one.outcome.lost * ground.workers / 60
        ends = f"{one.outcome.kills} / {one.outcome.losses} / {one.outcome.submissions}"
        counts = [f"{count:,.0f}" for count in (one.papers, one.pages, one.figures)]
        hours = [f"{work:,.1f}", f"{one.tasks}", lasts(one.outcome.makespan)]
        rows.append([*counts, *hours, f"{one.core_hours:,.1f}", f"{lost:.1f} min", ends])
    head = ["papers", "pages", "figures", "CPU hours of work", "tasks", "makespan"]
    head += ["core hours", "lost core hours", "tasks killed / nodes lost / submissions"]
    cores = ground.slots * ground.workers
    return table(f"Extraction on {cores} cores, simulated with failures", head, rows)


def lasts(seconds: float) -> str:
    """Format a duration in minutes, or in hours if it is long."""
    return f"{seconds / 3600:.1f} h" if seconds > 7200 else f"{seconds / 60:.0f} min"


def storage(needs: list[Need]) -> str:
    """Format the storage in gigabytes."""
    head = ["papers", "PDF files", "figures", "text", "conversations", "all"]
    rows = [
        [f"{one.papers:,}"]
        + [f"{size:,.0f} GB" for size in (*one.gigabytes.values(), sum(one.gigabytes.values()))]
        for one in needs
    ]
    return table("Storage", head, rows)


def refinement(ground: Ground, needs: list[Need]) -> str:
    """Format requests, tokens, and hours of assumed GPUs."""
    head = ["papers", "figures", "requests", "prompt tokens", "completion tokens (assumed)"]
    head += ["GPU hours (assumed)", "GPUs for a week"]
    rows = []
    for one in needs:
        tokens = [f"{count / 1e9:,.2f} G" for count in (one.prompt_tokens, one.completion_tokens)]
        counts = [f"{one.papers:,}", f"{one.figures:,.0f}", f"{one.requests / 1e6:,.2f} M"]
        week = f"{np.ceil(one.gpu_hours / 168):,.0f}"
        rows.append([*counts, *tokens, f"{one.gpu_hours:,.0f}", week])
    return table("Refinement, six tasks, without a second look", head, rows)


def publication(ground: Ground, needs: list[Need]) -> str:
    """Format CPU hours on one core: per paper, and per pair of images."""
    facts, rows = ground.measured["publish"], []
    for one in needs:
        hours = f"{one.publish_hours:,.1f}"
        disk = f"{one.papers * facts['kb_a_paper'] / 1e6:,.1f} GB"
        rows.append([f"{one.papers:,}", hours, disk])
    return table("Publication, on one core", ["papers", "CPU hours", "disk meanwhile"], rows)


def money(ground: Ground, needs: list[Need]) -> str:
    """Format the cost in dollars at the assumed prices."""
    rows = []
    for one in needs:
        refining = one.figures * ground.per_figure("cpu_seconds") / 3600
        hours = one.core_hours + refining + one.publish_hours
        cores = hours * ground.assumed["core_hour"]
        gpus = one.gpu_hours * ground.assumed["gpu_hour"]
        month = sum(one.gigabytes.values()) * ground.assumed["gigabyte_month"]
        sums = [f"${value:,.0f}" for value in (cores, gpus, month, cores + gpus + month)]
        rows.append([f"{one.papers:,}", *sums])
    head = ["papers", "cores", "GPUs", "storage per month", "all"]
    return table("Cost at assumed prices", head, rows)


def sweep(ground: Ground) -> str:
    """Format the makespan, the share of core time spent reading, and the losses."""
    reading = SWEPT * np.mean(ground.measured["extract"]["document_seconds"])
    rows = []
    for cores, times in SWEPT_TASKS:
        one = replace(ground, assumed=ground.assumed | {"cores_a_task": float(cores)})
        tasks = times * one.slots
        cells = []
        for chunk in SWEPT_CHUNKS:
            runs = [simulate(one, SWEPT, tasks, chunk, seed) for seed in range(SEEDS)]
            makespan = np.mean([run.makespan for run in runs])
            used = reading / (one.slots * cores * makespan)
            lost = np.mean([run.lost for run in runs]) * cores / 60
            cells.append(f"{lasts(makespan)}, {used:.0%}, {lost:.0f} min")
        rows.append([f"{cores}", f"{tasks}", *cells])
    head = ["cores per task", "tasks", *(f"chunks of {chunk}" for chunk in SWEPT_CHUNKS)]
    title = f"{SWEPT:,} papers: makespan, share of core time spent reading, lost core time"
    return table(f"{title}; mean of {SEEDS} seeds", head, rows)


def agreement(ground: Ground) -> str:
    """Format the two-node run, measured and simulated."""
    rows = []
    for run in ground.measured["agreement"]["runs"]:
        cells = [
            f"{run[how]:.1f} s ({run[how] / run['makespan'] - 1:+.1%})" if how in run else ""
            for how in ("simulated", "ahead")
        ]
        rows.append([run["what"], f"{run['makespan']:.1f} s", *cells])
    head = ["", "makespan on Slurm", "simulated from its seconds", "from earlier runs"]
    return table("Simulation against two nodes of Slurm", head, rows)


def tables(ground: Ground) -> list[str]:
    """Return all tables of the plan."""
    needs = [need(ground, papers) for papers in SIZES]
    found = [rates(ground), extraction(ground, needs), storage(needs)]
    found += [refinement(ground, needs), publication(ground, needs)]
    found += [money(ground, needs), sweep(ground)]
    return [*found, agreement(ground), assumptions(ground)]


@app.command()
def main(
    change: Annotated[
        list[str] | None, typer.Option("--set", help="An assumption, NAME=NUMBER. Repeatable.")
    ] = None,
    figure: Annotated[
        Path | None, typer.Option(help="Plot throughput against workers to this PNG file.")
    ] = None,
) -> None:
    """Print the tables of the plan, or plot its figure.

    \b
    Example:
      python -m benchmarks.cluster.plan --set nodes=40 --set gpu_hour=2.5
    """
    ground = load_ground(change)
    if figure:
        from benchmarks.cluster.throughput import draw

        draw(ground, figure)
    else:
        print("\n\n".join(tables(ground)))


if __name__ == "__main__":
    try:
        app()
    except CephaloError as error:
        sys.exit(f"error: {error}")
