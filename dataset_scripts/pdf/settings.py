"""Options of `cephalo extract` that change the rows of a document."""

from dataclasses import dataclass
from typing import Annotated

from typer import Option

KINDS = ("figure", "scheme", "chart", "plate", "table")


@dataclass(frozen=True)
class Settings:
    """Options of the extraction. `kinds` are the kinds of `KINDS` that are kept."""

    dpi: Annotated[int, Option(min=36, max=1200, help="Resolution of the crops.")] = 200
    kinds: tuple[str, ...] = ("figure", "scheme", "chart", "plate")
    uncaptioned: Annotated[
        bool,
        Option("--uncaptioned", help="Keep figures without a caption (graphical abstracts)."),
    ] = False
    text: Annotated[
        bool, Option("--text", help="Also write the running text to OUT/text/*.parquet.")
    ] = False
