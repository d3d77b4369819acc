"""Atomic writes, locked output folders, and scratch databases."""

import fcntl
import glob
import os
import shutil
import sqlite3
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from cephalo.cli.errors import CephaloError


@contextmanager
def replacing(path: Path, shared: bool = False) -> Generator[Path]:
    """Write a file atomically.

    Args:
        path: The file, which need not exist.
        shared: Whether several processes may write it at once, each to its own temporary file.

    Yields:
        The temporary file to write to. It is renamed when the block ends, and removed if the block
        fails.
    """
    own = f".{os.getpid()}" if shared else ""
    aside = path.with_name(f".{path.name}{own}.tmp")
    try:
        yield aside
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def write_whole(path: Path, text: str) -> None:
    """Write a text file atomically.

    Characters that UTF-8 cannot encode (half a surrogate pair) are written as escapes.
    """
    with replacing(path) as aside:
        aside.write_text(text, encoding="utf-8", errors="backslashreplace")


def check_outside(
    out: Path, inputs: Iterable[str | Path], option: str = "--out", same: bool = False
) -> None:
    """Raise CephaloError if the output folder is, or is inside, one of the input folders.

    Links are followed. Inputs that are not folders, such as Hub names, are ignored. With `same` the
    output may be an input: a command that adds to its folder.
    """
    whole = out.resolve()
    for name in inputs:
        if not (folder := Path(name)).is_dir():
            continue
        if (folder := folder.resolve()) == whole and not same:
            raise CephaloError(f"{option} {out} is the input {name}; give another folder")
        if folder in whole.parents:
            raise CephaloError(
                f"{option} {out} is inside the input {name}; give a folder outside of it"
            )


@contextmanager
def locked(folder: Path) -> Generator[None]:
    """Create `folder` if it is missing, and lock it for one run at a time.

    A new folder is removed again if the run fails and leaves it empty. Raises CephaloError if
    another run has locked it or it cannot be written.
    """
    made = not folder.exists()
    try:
        with _held(folder / ".lock", folder, wait=False):
            yield
    except BaseException:
        if made:
            with suppress(OSError):  # not empty
                folder.rmdir()
        raise


@contextmanager
def locked_name(folder: Path, wait: bool = False) -> Generator[None]:
    """Lock the name of a folder that `written_aside` will create, for one run at a time.

    Raises CephaloError if another run has locked it, unless `wait`, or if its parent cannot be
    written.
    """
    whole = folder.resolve()  # "." has no name
    with _held(whole.with_name(f".{whole.name}.lock"), folder, wait):
        yield


@contextmanager
def written_aside(folder: Path) -> Generator[Path]:
    """Create a new folder that becomes `folder` when the block ends, and is removed if the block
    fails.

    Use it while `locked_name` holds the lock: leftovers of killed runs are removed first.
    """
    folder = folder.resolve()
    for left in folder.parent.glob(f".{glob.escape(folder.name)}.partial-*"):
        shutil.rmtree(left)
    aside = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    aside.mkdir()
    try:
        yield aside
        aside.rename(folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


@contextmanager
def _held(path: Path, folder: Path, wait: bool) -> Generator[None]:
    """Hold a lock file; the kernel releases it when the process ends, however it ends."""
    try:
        file = _lock(path, wait)
    except BlockingIOError as error:
        raise CephaloError(f"another run is writing to {folder}; wait until it ends") from error
    except OSError as error:
        raise _unwritable(folder, error) from error
    _open_locks.add(file)
    try:
        yield
    finally:
        _open_locks.discard(file)
        path.unlink(missing_ok=True)
        file.close()


def _lock(path: Path, wait: bool) -> IO[str]:
    """Open and lock a file, in a folder that is created if it is missing.

    Raises BlockingIOError if the file is locked, unless `wait`.
    """
    while True:
        with suppress(FileExistsError):  # a file in place of the folder: `open` reports it
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = path.open("a")
        except FileNotFoundError:
            if os.path.lexists(path.parent):
                raise
            continue  # a failed run removed the folder that it had created
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            # The previous run removes the file at its end: the locked file may no longer be there.
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
            file.close()
        except FileNotFoundError:
            file.close()
        except BaseException:
            file.close()
            raise


def _let_go() -> None:
    """Close the locks in a forked process, which would hold them after its parent was killed."""
    for file in _open_locks:
        file.close()
    _open_locks.clear()


_open_locks: set[IO[str]] = set()
os.register_at_fork(after_in_child=_let_go)


def _unwritable(folder: Path, error: OSError) -> CephaloError:
    return CephaloError(f"cannot write to {folder}: {error.strerror}; choose another folder")


def scratch_database(path: Path, schema: str) -> sqlite3.Connection:
    """Create an SQLite database for data that does not fit in memory; it uses up to 100 MB of
    memory.

    Sorting spills into files beside it. Not crash-safe: journaling is off and nothing is committed;
    a killed run starts again without it.
    """
    database = sqlite3.connect(path, isolation_level=None)
    folder = str(path.parent.absolute()).replace("'", "''")
    for setting in (
        "journal_mode = OFF",
        "synchronous = OFF",
        "locking_mode = EXCLUSIVE",
        "cache_size = -32000",  # KiB
        f"temp_store_directory = '{folder}'",  # of the process; ignored once it is gone
    ):
        database.execute(f"PRAGMA {setting}")
    database.executescript(schema)
    database.execute("BEGIN")
    return database
