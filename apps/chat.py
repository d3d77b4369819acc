"""`cephalo chat`: chat with a model in the terminal."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from cephalo.cli.errors import CephaloError

app = typer.Typer(rich_markup_mode=None, add_completion=False)

HELP = "/image FILE adds an image to the next question, /new starts over, Ctrl-D ends."


@app.command()
def chat(
    model: Annotated[str, typer.Argument(help="A model of the Hub, or a folder.")],
    image: Annotated[
        list[Path] | None, typer.Option(help="Image for the first question. Repeatable.")
    ] = None,
    max_new_tokens: Annotated[
        int, typer.Option(min=1, help="Maximum length of an answer, in tokens.")
    ] = 512,
    temperature: Annotated[
        float, typer.Option(min=0, help="Sampling temperature; 0 for greedy decoding.")
    ] = 0,
    device: Annotated[
        str | None, typer.Option(help="Device such as cpu or cuda:0; by default GPUs if available.")
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Commit, branch or tag of the model.")
    ] = None,
    trust_remote_code: Annotated[
        bool, typer.Option(help="Run code of the model repository; Cephalo models need none.")
    ] = False,
) -> None:
    """Chat with a model about images in the terminal.

    Questions are read from the terminal or from a pipe, one per line.

    \b
    Example:
      cephalo chat lamm-mit/Cephalo-Phi-3-vision-128k-4b-beta --image nacre.png
      echo "What is shown?" | cephalo chat runs/nacre --image nacre.png
    """
    quiet()
    from cephalo.inference import local
    from cephalo.inference.images import open_image

    images = [open_image(path) for path in image or []]
    loaded = local.load(
        model, revision=revision, device=device, trust_remote_code=trust_remote_code
    )
    settings = {"max_new_tokens": max_new_tokens, "temperature": temperature}
    talk = loaded.conversation()
    terminal = sys.stdin.isatty()
    if terminal:
        print(HELP)
    for line in lines(terminal):
        try:
            if line == "/new":
                talk, images = loaded.conversation(), []
            elif line.startswith("/image "):
                images.append(open_image(line.removeprefix("/image ").strip()))
            else:
                for piece in talk.stream(line, images, **settings):
                    print(piece, end="", flush=True)
                print()
                images = []
        except CephaloError as error:
            if not terminal:
                raise
            print(f"cephalo: {error}", file=sys.stderr)


def lines(terminal: bool) -> Iterator[str]:
    """Yield the lines that the user types, without empty ones, until the end of the input."""
    while True:
        try:
            line = input("> " if terminal else "").strip()
        except EOFError:
            return
        if line:
            yield line


def quiet() -> None:
    """Show only errors of transformers."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
