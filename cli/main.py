"""The command table of `cephalo`. A command's code is imported only when it is called."""

import errno
import importlib
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from cephalo.cli.errors import CephaloError
from cephalo.cli.keys import check_environment
from cephalo.cli.logs import show_notes, take_flags


class Command(NamedTuple):
    """`app` names a `typer.Typer` as "module:attribute"; `summary` is its line in the help.

    `resumes` is False for servers and conversations, which have nothing to resume.
    """

    app: str
    summary: str
    resumes: bool = True


COMMANDS = {
    "extract": Command(
        "cephalo.dataset_scripts.extract:app",
        "Extract figures, captions and text from PDF files and wikis.",
    ),
    "import": Command(
        "cephalo.dataset_scripts.importing.command:app",
        "Make figures and conversations of your own images and tables.",
    ),
    "review": Command(
        "cephalo.dataset_scripts.workbench.command:app",
        "Look at figures, accept, reject and correct them in the browser.",
        resumes=False,
    ),
    "search": Command(
        "cephalo.dataset_scripts.searching.command:app",
        "Find figures by words or by an image.",
        resumes=False,
    ),
    "refine": Command(
        "cephalo.dataset_scripts.refine:app", "Turn figures into verified conversations."
    ),
    "plots": Command(
        "cephalo.dataset_scripts.plots.command:app",
        "Draw plots from known data, with questions and true answers.",
    ),
    "export": Command(
        "cephalo.dataset_scripts.exporting.command:app",
        "Write figures and conversations for other programs: LLaVA, COCO, CSV ...",
    ),
    "publish": Command(
        "cephalo.dataset_scripts.publish:app", "Push figures, conversations and text to the Hub."
    ),
    "train": Command("cephalo.train.sft:app", "Fine-tune a model with TRL and push it."),
    "merge": Command(
        "cephalo.merge_recipes.merge:app", "Stack decoder layers into a deeper model."
    ),
    "moe": Command("cephalo.merge_recipes.moe:app", "Mix several models as experts behind gates."),
    "chat": Command("cephalo.apps.chat:app", "Chat with a model about images.", resumes=False),
    "serve": Command("cephalo.apps.serve:app", "Serve a model with the OpenAI API.", resumes=False),
    "demo": Command("cephalo.apps.demo.command:app", "Try a model in the browser.", resumes=False),
    "discuss": Command("cephalo.apps.discuss.command:app", "Let a panel of models discuss images."),
    "make-image": Command(
        "cephalo.apps.make_image.command:app", "Design from images, draw and judge the design."
    ),
    "eval": Command("cephalo.eval.command:app", "Evaluate models on a dataset and compare them."),
    "card": Command("cephalo.model_cards.card:app", "Write the card of a model folder."),
    "push": Command("cephalo.model_cards.push:app", "Push a model with its card and results."),
    "series": Command("cephalo.series.command:app", "Show, check or run the models of the paper."),
    "make-mesh": Command(
        "cephalo.apps.make_mesh.command:app",
        "Make printable parts from parameters, images or models.",
    ),
    "hub": Command(
        "cephalo.hub.server:app", "Serve a Hugging Face Hub from a folder.", resumes=False
    ),
}

USAGE = """Usage: cephalo COMMAND [ARGS]...

  Turn a folder of scientific papers into vision-language models.

Commands:
{commands}

Options of every command:
  -q, --quiet    Show errors and warnings only, and no progress bars.
  -v, --verbose  Show notes with their time and source, and those of libraries.

Run `cephalo COMMAND --help` for the options of a command and an example.
"""

REMEDIES = {
    errno.EISDIR: "; give the path of a file",
    errno.ENOTDIR: "; give the path of a folder",
    errno.EACCES: "; change its permissions or give another path",
    errno.EPERM: "; change its permissions or give another path",
    errno.EROFS: "; give a path on a disk that can be written",
    errno.ENAMETOOLONG: "; give a shorter name",
}
"""What to do about errors of the system with a file."""


def main(argv: list[str] | None = None) -> None:
    """Run one command.

    Exit with 0, with 1 and one line on bad input, or with 130 on Ctrl-C and SIGTERM.
    """
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("-h", "--help"):
        width = max(map(len, COMMANDS))
        lines = (f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items())
        print(USAGE.format(commands="\n".join(lines)), end="")
        return
    if argv[0] == "--version":
        from importlib.metadata import version

        print(version("cephalo"))
        return
    signal.signal(signal.SIGTERM, interrupt)
    try:
        check_environment()
        arguments, level = take_flags(argv[1:])
        show_notes(level)
        run_command(argv[0], arguments)
    except (CephaloError, OSError) as error:
        # OSError covers a full disk, a refused permission and every HTTP error of the Hub client.
        if os.environ.get("CEPHALO_TRACEBACK"):
            raise
        sys.exit(f"cephalo: error: {one_line(error)}{room(error)}{remedy(error)}")
    except KeyboardInterrupt:
        resumes = argv[0] in COMMANDS and COMMANDS[argv[0]].resumes
        how = "; the same command resumes" if resumes else ""
        print(f"cephalo: stopped{how}", file=sys.stderr)
        sys.exit(130)


def interrupt(number: int, frame: object) -> None:
    """End on SIGTERM, which `timeout`, Slurm and containers send, as on Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a script
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)


def run_command(name: str, arguments: list[str]) -> None:
    """Import the Typer app of `name` and run it on `arguments`.

    Raises CephaloError for an unknown command and for arguments that the command rejects.
    """
    if name not in COMMANDS:
        import difflib

        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "see `cephalo --help`"
        raise CephaloError(f"no command named {name!r}; {hint}")
    import typer

    module, attribute = COMMANDS[name].app.split(":")
    app = getattr(importlib.import_module(module), attribute)
    try:
        code = typer.main.get_command(app).main(
            arguments, prog_name=f"cephalo {name}", standalone_mode=False
        )
    except typer.Abort as error:
        raise KeyboardInterrupt from error
    except Exception as error:
        # Typer's usage errors (a missing option, a wrong type) carry `format_message`.
        format_message = getattr(error, "format_message", None)
        if format_message is None:
            raise
        message = format_message().replace("Value error, ", "")
        raise CephaloError(f"{message} See `cephalo {name} --help`.") from error
    if code == 130:  # Typer's code for Ctrl-C
        raise KeyboardInterrupt
    if code:
        sys.exit(code)


def room(error: BaseException) -> str:
    """Return advice about a full disk, "" for other errors."""
    if not isinstance(error, OSError) or error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return ""
    place = Path(os.fsdecode(error.filename or tempfile.gettempdir())).absolute()
    folder = next(one for one in (place, *place.parents) if one.is_dir())
    free = shutil.disk_usage(folder).free / 1e6
    return f"; {folder} has {free:.1f} MB left: free disk space; the same command resumes"


def remedy(error: BaseException) -> str:
    """Return what to do about a file that cannot be opened or written, "" for other errors."""
    if not isinstance(error, OSError) or not error.filename:
        return ""
    if error.errno == errno.ENOENT:
        folder = Path(os.fsdecode(error.filename2 or error.filename)).absolute().parent
        return "; give a file that exists" if folder.is_dir() else f"; create the folder {folder}"
    return REMEDIES.get(error.errno or 0, "")


def one_line(error: BaseException) -> str:
    """Return the message of `error` with all white space folded, or its type if it has none."""
    return " ".join(str(error).split()) or type(error).__name__


if __name__ == "__main__":
    main()
