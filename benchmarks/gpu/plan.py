"""The steps in the order of their worth, and the time that each may take."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gpu.results import Row


@dataclass(frozen=True)
class Scale:
    """How large a step runs.

    Attributes:
        tiny: Tiny models with the code of the full ones, for the rehearsal on a CPU.
        device: "cuda" or "cpu".
        seconds: Seconds of measurement for each variant of training.
        out: Folder for bases and outputs, removed after the step.
        earlier: Rows that a run before this one measured, which are not measured again.
    """

    tiny: bool
    device: str
    seconds: float
    out: Path
    earlier: tuple[Row, ...] = ()

    def measured(self, part: str) -> bool:
        """Whether there are rows of a part, named `part` or `part: ...`, from an earlier run."""
        return any(row.what == part or row.what.startswith(f"{part}: ") for row in self.earlier)


Run = Callable[[Scale], Iterator[Row]]


@dataclass(frozen=True)
class Step:
    """A step: its module in this package, whose `run` yields rows, and its limit in seconds.

    `limit` is of a GPU, `tiny_limit` of the rehearsal, which takes six minutes in all on two quiet
    cores and longer on a busy machine. Runs that continue a step share its limit.
    """

    what: str
    limit: int
    tiny_limit: int


# The limits of a GPU are guesses until a run shows better: bases of 17 GB are written and read at
# 1 GB/s, a variant of training takes half a minute, a compilation one. In a run of 30 minutes the
# last step has what time is left; the same command continues it.
STEPS = {
    "equality": Step("packed loss and gradients as row by row, in bfloat16", 180, 300),
    "utilisation": Step("LoRA: model FLOPs utilisation, each switch, and TRL", 600, 400),
    "memory": Step("QLoRA in 24 GB; the last 8 layers of the 10b in 80 GB", 200, 200),
    "generation": Step("tokens per second of Phi-3-vision and a mixture", 240, 150),
    "script": Step("one script of the series from end to end, 200 steps", 300, 240),
    "processes": Step("FSDP2 and ZeRO-3 with one process, two processes with gloo", 150, 300),
    "science": Step("a reader of stresses on more plates", 900, 240),
}
