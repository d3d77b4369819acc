"""What decides the rows of a document besides its file, as options of `cephalo extract`."""

from dataclasses import dataclass
from typing import Annotated

from typer import Option

KINDS = ("figure", "scheme", "chart", "plate", "table")


@dataclass(frozen=True)
class Settings:
    """How documents are read; `kinds` are those of `KINDS` that are kept."""

    dpi: Annotated[int, Option(min=36, max=1200, help="Resolution of the crops.")] = 200
    kinds: tuple[str, ...] = ("figure", "scheme", "chart", "plate")
    uncaptioned: Annotated[
        bool,
        Option("--uncaptioned", help="Keep figures without a caption: graphical abstracts."),
    ] = False
    text: Annotated[
        bool, Option("--text", help="Also write the running text: OUT/text/*.parquet.")
    ] = False
