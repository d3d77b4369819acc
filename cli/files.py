"""Files that appear whole, and folders that one run at a time writes to."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cephalo.cli.errors import CephaloError


def write_whole(path: Path, text: str) -> None:
    """Write a file aside and rename it, so that it is never seen half written.

    Characters that UTF-8 cannot hold (half a surrogate pair) are written as escapes.
    """
    aside = path.with_name(f".{path.name}.tmp")
    aside.write_text(text, encoding="utf-8", errors="backslashreplace")
    aside.replace(path)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold `folder` for one run at a time. Raises CephaloError where it is taken."""
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CephaloError(f"another run is writing to {folder}; wait for its end") from error
        yield
