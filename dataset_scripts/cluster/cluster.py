"""What is asked of Slurm, and the options of a command that ask for it."""

from dataclasses import dataclass
from typing import Annotated

import typer

SlurmTasks = Annotated[
    int | None,
    typer.Option(
        "--slurm", metavar="TASKS", min=1, help="Run as so many tasks of a Slurm job array."
    ),
]
Partition = Annotated[str | None, typer.Option(help="Slurm's partition; by default the cluster's.")]
TimeLimit = Annotated[
    str, typer.Option("--time", help="Slurm's limit for one task, hours:minutes:seconds.")
]
CpusPerTask = Annotated[int, typer.Option(min=1, help="Cores of a task.")]
MemPerCpu = Annotated[int, typer.Option(min=1, help="Gigabytes of memory for each core.")]
GpusPerTask = Annotated[int, typer.Option(min=0, help="GPUs of a task, for a teacher in it.")]


@dataclass(frozen=True)
class Cluster:
    """Tasks in all, and for each its partition, time limit as sbatch reads it, cores,
    gigabytes of memory a core, and GPUs."""

    tasks: int
    partition: str | None
    time: str
    cpus_per_task: int
    mem_per_cpu: int
    gpus_per_task: int = 0
