"""datatrove's Slurm executor, for the ranks that have something to do. Needs datatrove."""

from typing import Any

from datatrove.executor import SlurmPipelineExecutor


class RanksExecutor(SlurmPipelineExecutor):
    """Runs the given ranks, and sums up no statistics: that job would wait for ever on a task
    that failed, and our steps have none."""

    def __init__(self, ranks: list[int], **options: Any) -> None:
        super().__init__(**options)
        self.ranks = ranks

    def get_incomplete_ranks(self, *_: Any, **__: Any) -> list[int]:
        """The ranks to submit."""
        return self.ranks

    def get_sbatch_args(self, max_array: int = 1) -> dict[str, Any]:
        """The directives for sbatch; without a partition, Slurm takes its own."""
        asked = super().get_sbatch_args(max_array)
        return {name: value for name, value in asked.items() if value is not None}

    def launch_merge_stats(self) -> None:
        """Nothing."""
