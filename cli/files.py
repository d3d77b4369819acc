"""Files that appear whole, folders that one run at a time writes to, databases of one run."""

import fcntl
import sqlite3
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


def scratch_database(path: Path, schema: str) -> sqlite3.Connection:
    """A new SQLite database for what a run need not hold in memory; it takes up to 100 MB.

    What it sorts lies in files beside it. It is not kept from harm and nothing is ever committed:
    a run that ends before its time starts again without it.
    """
    database = sqlite3.connect(path, isolation_level=None)
    folder = str(path.parent.absolute()).replace("'", "''")
    for setting in (
        "journal_mode = OFF",
        "synchronous = OFF",
        "locking_mode = EXCLUSIVE",
        "cache_size = -32000",  # KiB
        f"temp_store_directory = '{folder}'",  # of the process; passed over once it is gone
    ):
        database.execute(f"PRAGMA {setting}")
    database.executescript(schema)
    database.execute("BEGIN")
    return database
