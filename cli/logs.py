"""Logging and progress of a command, on the standard error stream; results go to standard
output."""

import logging
import os
import sys
from typing import TextIO

from cephalo.cli.errors import CephaloError

QUIET, VERBOSE = ("-q", "--quiet"), ("-v", "--verbose")
# Log levels of libraries with --verbose; levels that the user has set take precedence.
LIBRARIES = ("TRANSFORMERS_VERBOSITY", "HF_HUB_VERBOSITY", "DATASETS_VERBOSITY")
DETAILED = "%(asctime)s %(levelname)s %(name)s: %(message)s"

_ours = logging.getLogger("cephalo")


class _ErrorStream(logging.StreamHandler[TextIO]):
    """Writes to the current standard error stream."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # pyright: ignore[reportIncompatibleVariableOverride]  # is read
        return sys.stderr


def take_flags(arguments: list[str]) -> tuple[list[str], int]:
    """Remove --quiet and --verbose from the arguments of a command; return the rest and the log
    level.

    As with `hf`, they may be anywhere before "--". Raises CephaloError for both together.
    """
    end = arguments.index("--") if "--" in arguments else len(arguments)
    flags = {one for one in arguments[:end] if one in (*QUIET, *VERBOSE)}
    if flags & {*QUIET} and flags & {*VERBOSE}:
        raise CephaloError("--quiet and --verbose are mutually exclusive; give one of them")
    rest = [one for one in arguments[:end] if one not in flags] + arguments[end:]
    if flags & {*QUIET}:
        return rest, logging.WARNING
    return rest, logging.DEBUG if flags else logging.INFO


def show_notes(level: int = logging.INFO) -> None:
    """Show the log of Cephalo from `level` on; with DEBUG, also time and place, and the log of the
    Hugging Face libraries."""
    handler = _ErrorStream()
    if level == logging.DEBUG:
        handler.setFormatter(logging.Formatter(DETAILED))
        for name in LIBRARIES:
            os.environ.setdefault(name, "info")
    _ours.handlers = [handler]
    _ours.setLevel(level)


def no_bars() -> bool | None:
    """Return tqdm's argument `disable`: True with --quiet, else None (no bars without a
    terminal)."""
    return True if _ours.getEffectiveLevel() == logging.WARNING and _ours.handlers else None
