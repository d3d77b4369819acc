"""The options of a command for Slurm."""

from dataclasses import dataclass
from typing import Annotated

from typer import Option

SLURM = "Slurm"  # heading in the help


@dataclass(frozen=True)
class Cluster:
    """A Slurm job array: its tasks, and the resources of each.

    Without `slurm_tasks` a command runs on this machine alone.
    """

    slurm_tasks: Annotated[
        int | None,
        Option(
            "--slurm",
            metavar="TASKS",
            min=1,
            rich_help_panel=SLURM,
            help="Number of tasks of the Slurm job array.",
        ),
    ] = None
    partition: Annotated[
        str | None,
        Option(rich_help_panel=SLURM, help="Slurm partition; by default the cluster's."),
    ] = None
    time: Annotated[
        str,
        Option(rich_help_panel=SLURM, help="Time limit of one task, as hours:minutes:seconds."),
    ] = "4:00:00"
    cpus_per_task: Annotated[int, Option(min=1, rich_help_panel=SLURM, help="Cores per task.")] = 1
    mem_per_cpu: Annotated[
        int, Option(min=1, rich_help_panel=SLURM, help="Memory per core, in gigabytes.")
    ] = 2
    gpus_per_task: int = 0

    @property
    def tasks(self) -> int:
        """The number of tasks in the array."""
        return self.slurm_tasks or 1


@dataclass(frozen=True)
class GpuCluster(Cluster):
    """A cluster whose tasks can request GPUs."""

    gpus_per_task: Annotated[
        int, Option(min=0, rich_help_panel=SLURM, help="GPUs per task, for a local teacher.")
    ] = 0
