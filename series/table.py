"""The rows of the series, and their table."""

from importlib import resources
from pathlib import Path
from typing import Any, TypeAlias

import yaml
from pydantic import BaseModel, ConfigDict

from cephalo.cli.errors import CephaloError

Settings: TypeAlias = dict[str, Any]  # the fields of a train config: TRL's and our own

HERE = Path(__file__).parent


class Row(BaseModel):
    """One model of the series; see series.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str  # of its repository, below the namespace lamm-mit in the paper
    base: str
    data: str
    family: str  # a model_type of transformers or of modeling_cephalo
    layers: int  # of the decoder
    parameters: int
    trains: int  # trained parameters, including adapters and gates
    script: str  # in series/scripts
    config: str | None = None  # in train/configs
    experts: int = 1
    sources: tuple[str, ...] = ()
    of_paper: bool = True  # False for later models, which come last
    full: str = "not run"  # or where the result is

    @property
    def starts_from(self) -> tuple[str, ...]:
        """The models that the script starts from."""
        return self.sources or (self.base,)

    @property
    def stacked(self) -> bool:
        """Whether the script stacks decoder layers of its sources."""
        return bool(self.sources) and self.experts == 1

    @property
    def script_path(self) -> Path:
        """The script that creates the model at full scale."""
        return HERE / "scripts" / self.script


def train_settings(row: Row) -> Settings:
    """Return the train config of `row`, which must have one."""
    assert row.config is not None
    text = resources.files("cephalo.train").joinpath("configs", row.config).read_text("utf-8")
    return yaml.safe_load(text)


def stages(row: Row) -> str:
    """Return the training stages of `row`, by its config."""
    if row.config is None:
        return "mix experts, train gates"
    settings = train_settings(row)
    if settings.get("use_peft"):
        return "LoRA"
    return f"merge, train the last {settings['train_last_layers']} layers"


def read_series() -> list[Row]:
    """Return all rows, in the order of the table."""
    text = (HERE / "series.yaml").read_text(encoding="utf-8")
    return [Row.model_validate(entry) for entry in yaml.safe_load(text)]


def find_row(name: str) -> Row:
    """Return the row of a model, by its name with or without "Cephalo-", ignoring case.

    Raises CephaloError if there is none.
    """
    rows = {row.name: row for row in read_series()}
    asked = name.lower().removeprefix("cephalo-")
    for full, row in rows.items():
        if full.lower().removeprefix("cephalo-") == asked:
            return row
    raise CephaloError(f"no model {name} in the series; choose from: {', '.join(rows)}")


def short(count: int) -> str:
    """Format a number of parameters: "4.15 B", "7.9 M"."""
    return f"{count / 1e9:.2f} B" if count >= 1e9 else f"{count / 1e6:.1f} M"


def terminal_table() -> str:
    """Format the series in lines of at most 80 characters; a line separates later models."""
    rows = [("model", "layers", "weights", "trains", "made by")]
    for row in read_series():
        name = row.name.removeprefix("Cephalo-")
        rows.append((name, str(row.layers), short(row.parameters), short(row.trains), row.script))
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        f"{name:{wide[0]}}  {layers:>{wide[1]}}  {count:>{wide[2]}}  {trains:>{wide[3]}}  {script}"
        for name, layers, count, trains, script in rows
    ]
    lines.insert(1 + sum(row.of_paper for row in read_series()), LATER)
    return "\n".join(lines)


LATER = "not in the paper; they apply its recipes to later bases:"


def markdown_tables() -> str:
    """Format the models of the paper, and the later ones, as two Markdown tables for the README."""
    rows = read_series()
    paper, later = (
        markdown_table([row for row in rows if row.of_paper is kind]) for kind in (True, False)
    )
    return f"{paper}\n\nLater models are {LATER.removesuffix(':')}:\n\n{later}"


def markdown_table(series: list[Row]) -> str:
    """Format some rows as a Markdown table.

    The test suite creates every model at the scales tiny and check, so these are always tested.
    """
    rows = [
        {
            "model": row.name,
            "base": " + ".join(row.starts_from),
            "data": row.data,
            "stages": stages(row),
            "layers": str(row.layers),
            "parameters": f"{row.parameters:,}",
            "trains": f"{row.trains:,}",
            "tiny": "tested",
            "check": "tested",
            "full": row.full,
            "made by": f"`series/scripts/{row.script}`",
        }
        for row in series
    ]
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
