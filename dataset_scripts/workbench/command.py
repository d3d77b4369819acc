"""`cephalo review`: a page in the browser to look at figures, and to correct them."""

import getpass
from pathlib import Path
from typing import Annotated

import typer

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import locked_name

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def review(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A folder that `cephalo extract` wrote.")
    ],
    refined: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The folder that `cephalo refine` wrote from it, to show conversations beside "
            "figures; by default FOLDER.",
        ),
    ] = None,
    by: Annotated[
        str | None, typer.Option(help="Your name in the decisions; by default that of your login.")
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any that is free.")
    ] = 0,
) -> None:
    """Look at figures beside their pages, accept or reject them, and correct them.

    Serves a page for the browser of this machine, at an address with a secret token. All of it
    works with the keyboard; ? lists the keys. FOLDER may be one that `cephalo extract` is still
    writing.

    Every decision is a line of FOLDER/corrections.jsonl, written when it is made. The Parquet files
    are not changed: refine and publish apply the decisions. One review of a folder runs at a time.
    See docs/review.md.

    \b
    Example:
      cephalo review runs/figures
      cephalo review runs/figures --refined runs/refined --by ann --port 8765
    """
    if not (folder / "figures").is_dir():
        raise CephaloError(f"{folder} holds no figures; run `cephalo extract` into it first")
    if refined is not None and not refined.is_dir():
        raise CephaloError(f"--refined {refined} is no folder; give what `cephalo refine` wrote")
    by = (by if by is not None else login()).strip()
    if not by or len(by) > 200 or not by.isprintable():  # as bytes that are no UTF-8 are not
        raise CephaloError("--by is not a name of 1 to 200 characters; give yours")
    from cephalo.dataset_scripts.common.corrections import NAME
    from cephalo.dataset_scripts.workbench.server import serve

    with locked_name(folder / NAME):
        serve(folder, refined or folder, by, port)


def login() -> str:
    """The name of the user. Raises CephaloError where the system knows none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise CephaloError("your login has no name; give one with --by") from error
