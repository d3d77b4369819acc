"""The options of `cephalo extract` for pages of a wiki."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from typer import Option

MAX_WIDTH = 1920  # pixels; one of the widths that Wikimedia caches
WIKIPEDIA = "Wikipedia"  # heading in the help


@dataclass(frozen=True)
class WebSettings:
    """Pages of a wiki, the contact for its requests, and how they are read.

    `text`: whether paragraphs are written to the `text` table. `timeout`: seconds for a worker's
    job.
    """

    wikipedia: Annotated[
        list[str],
        Option(
            rich_help_panel=WIKIPEDIA,
            help='Title of a page, or "Category:NAME" for its articles; repeatable.',
        ),
    ] = field(default_factory=list)
    titles: Annotated[
        Path | None,
        Option(rich_help_panel=WIKIPEDIA, help="File of titles and categories, one per line."),
    ] = None
    wiki: Annotated[str, Option(rich_help_panel=WIKIPEDIA, help="Address of the MediaWiki.")] = (
        "https://en.wikipedia.org"
    )
    contact: Annotated[
        str | None,
        Option(
            envvar="CEPHALO_CONTACT",
            rich_help_panel=WIKIPEDIA,
            help="Your mail address; Wikimedia requires it.",
        ),
    ] = None
    thumbnail: Annotated[
        int | None,
        Option(
            min=32,
            max=MAX_WIDTH,
            rich_help_panel=WIKIPEDIA,
            help="Maximum width of an image from a wiki, in pixels.",
        ),
    ] = None
    text: bool = False
    timeout: float = 60.0

    @property
    def width(self) -> int:
        """The maximum width of an image, in pixels."""
        return self.thumbnail or MAX_WIDTH
