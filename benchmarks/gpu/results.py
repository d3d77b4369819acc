"""The results file of a run: the machine, and the rows that each step measured."""

import json
import operator
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import write_whole

COMPARISONS: dict[str, Callable[[float, float], bool]] = {"≥": operator.ge, "≤": operator.le}


@dataclass(frozen=True)
class Row:
    """One measured value.

    Attributes:
        what: What was measured.
        value: The value; None if it could not be measured here, for the reason in `note`.
        unit: Its unit, or "" for a ratio.
        bar: The value to reach, such as "≥ 0.4"; "" without one.
        note: What the value needs to be understood, or why there is none.
    """

    what: str
    value: float | None
    unit: str = ""
    bar: str = ""
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None without a value or a bar."""
        if self.value is None or not self.bar:
            return None
        comparison, number = self.bar.split()
        return COMPARISONS[comparison](self.value, float(number))


@dataclass
class StepResult:
    """What came of one step.

    `status` is "done", "cut" (out of time or killed, with the rows until then), "failed" or "not
    run"; the last two have a `reason`. `seconds` are those of all runs.
    """

    status: str = "not run"
    reason: str = ""
    seconds: float = 0.0
    rows: list[Row] = field(default_factory=list)


class Machine(TypedDict):
    """The machine of a run: what figures depend on."""

    device: str
    memory_gb: float
    cores: int
    python: str
    packages: dict[str, str | None]
    matmul_tflops: float


@dataclass
class Results:
    """A run: the machine that it ran on, the commit, the scale, and its steps by name."""

    machine: Machine
    commit: str
    scale: Literal["full", "tiny"]
    steps: dict[str, StepResult] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write the results as JSON, atomically."""
        write_whole(path, json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n")


def read_results(path: Path) -> Results:
    """Read a results file.

    Raises CephaloError if it cannot be read or is none.
    """
    try:
        return TypeAdapter(Results).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        why = told(error) if isinstance(error, ValidationError) else str(error)
        raise CephaloError(
            f"{path} is no results file of benchmarks.gpu: {why}; remove it to begin again"
        ) from error


def told(error: ValidationError) -> str:
    """Return the first fault of a file in one line."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}"


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as JSON lines, in place of what the file has."""
    lines = [json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows]
    write_whole(path, "".join(lines))


def read_rows(path: Path) -> list[Row]:
    """Read the rows that a step has written so far; an incomplete last line is ignored, and of rows
    of the same name the last one counts."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    rows = [Row(**json.loads(line)) for line in lines]
    return list({row.what: row for row in rows}.values())


def append_row(path: Path, row: Row) -> None:
    """Append a row, which stays if the step is killed afterwards."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(row), ensure_ascii=False) + "\n")
