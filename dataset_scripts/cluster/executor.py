"""datatrove's Slurm executor for the ranks with unfinished chunks. Requires datatrove."""

from typing import Any

from datatrove.executor import SlurmPipelineExecutor


class RanksExecutor(SlurmPipelineExecutor):
    """Runs the given ranks without merging statistics: that job would wait forever for a failed
    task, and our steps have no statistics."""

    def __init__(self, ranks: list[int], **options: Any) -> None:
        super().__init__(**options)
        self.ranks = ranks

    def get_incomplete_ranks(self, *_: object, **__: object) -> list[int]:
        """Return the ranks to submit."""
        return self.ranks

    def get_sbatch_args(self, max_array: int = 1) -> dict[str, object]:
        """Return the directives for sbatch; without a partition, Slurm uses its default."""
        asked = super().get_sbatch_args(max_array)
        return {name: value for name, value in asked.items() if value is not None}

    def launch_merge_stats(self) -> None:
        """Do nothing."""
