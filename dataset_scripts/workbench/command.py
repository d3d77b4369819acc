"""`cephalo review`: inspect and correct figures in the browser."""

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
        Path, typer.Argument(metavar="FOLDER", help="Output folder of `cephalo extract`.")
    ],
    refined: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Output folder of `cephalo refine`, to show conversations beside "
            "figures; by default FOLDER.",
        ),
    ] = None,
    by: Annotated[
        str | None, typer.Option(help="Your name in the decisions; by default your login name.")
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for any free port.")
    ] = 0,
) -> None:
    """Inspect figures beside their pages, accept or reject them, and correct them.

    Serves a web page to the browser of this machine, at an address with a secret token. All actions
    have keys; ? lists them. FOLDER may belong to a running `cephalo extract`.

    Every decision is appended to FOLDER/corrections.jsonl immediately. The Parquet files are not
    changed: refine and publish apply the decisions. Only one review of a folder can run at a time.
    See docs/review.md.

    \b
    Example:
      cephalo review runs/figures
      cephalo review runs/figures --refined runs/refined --by ann --port 8765
    """
    if not (folder / "figures").is_dir():
        raise CephaloError(f"{folder} contains no figures; run `cephalo extract` first")
    if refined is not None and not refined.is_dir():
        raise CephaloError(
            f"--refined {refined} is not a folder; give an output folder of `cephalo refine`"
        )
    by = (by if by is not None else login()).strip()
    if not by or len(by) > 200 or not by.isprintable():  # invalid UTF-8 is not printable
        raise CephaloError("--by must be 1 to 200 printable characters; give your name")
    from cephalo.dataset_scripts.common.corrections import NAME
    from cephalo.dataset_scripts.workbench.server import serve

    with locked_name(folder / NAME):
        serve(folder, refined or folder, by, port)


def login() -> str:
    """Return the name of the user.

    Raises:
        CephaloError: If the system has no name for the user.
    """
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise CephaloError("your login has no name; give one with --by") from error
