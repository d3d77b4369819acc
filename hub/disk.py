"""Atomic files (write aside, fsync, rename), and the lock on a root.

Layout of a root:

    lock                               locked by the one server of this root
    tokens.json                        {user: token}, mode 0600
    signing.key                        signs upload and download tickets, mode 0600
    generation                         changed when `hub gc` or `hub check` deletes Xet chunks
    corrupt/NAMESPACE/                 contents and Xet chunks that `hub check` could not repair
    tmp/                               files being written; emptied at every start
    repos/KINDs/NAMESPACE/NAME/        refs.json (replacing it makes a commit visible)
                                       commits/SHA.json
    moved/KINDs/NAMESPACE/NAME.json    new name of a repo of this name
    store/NAMESPACE/objects/           file contents, named by their sha256
    store/NAMESPACE/xorbs/             Xet chunks, as uploaded
    store/NAMESPACE/xet/pending/       Xet recipes that no commit has verified yet, by sha256
    store/NAMESPACE/xet/files/         Xet recipes whose content was verified by its sha256

Every file is created with mode 0600: repos may be private, and other users of the machine have no
token. Nothing is shared between namespaces, so a leaked hash opens nothing. Contents that no commit
names any more stay on disk until `cephalo hub gc`.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

from cephalo.cli.errors import CephaloError

SPARE_BYTES = 64 << 20  # reserved for commits and refs, which are small


class Staged:
    """A temporary file. `publish` makes it visible; leaving the block without it deletes it.

    `size` counts the bytes written so far and `sha256` is their digest in hex.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._digest = hashlib.sha256()
        self._file = os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # On a full disk the flush inside close() fails again; the file is deleted anyway.
        with contextlib.suppress(OSError):
            self._file.close()
        self.path.unlink(missing_ok=True)

    @property
    def sha256(self) -> str:
        """The digest of the bytes written so far, as 64 hex digits."""
        return self._digest.hexdigest()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append `data`. Raises OSError, for instance on a full disk."""
        self._file.write(data)
        self._digest.update(data)
        self.size += len(data)

    def flush(self) -> None:
        """Make everything written visible to readers of `path`."""
        self._file.flush()

    def publish(self, path: Path) -> None:
        """Move the file to `path`, replacing any other, once its bytes are on disk."""
        self.flush()
        os.fsync(self._file.fileno())
        make_folder(path.parent)
        self.path.replace(path)
        sync_folder(path.parent)


class Disk:
    """The root folder of one server: locks it and writes its files."""

    def __init__(self, root: Path) -> None:
        """Create and lock `root`, and delete incomplete files of a killed server.

        Raises CephaloError if `root` cannot be written or another server has locked it.
        """
        self.root = root
        self.tmp = root / "tmp"
        try:
            root.mkdir(parents=True, exist_ok=True)
            self._lock = lock_file(root / "lock")
            if self.tmp.exists():
                shutil.rmtree(self.tmp)
            self.tmp.mkdir()
        except OSError as error:
            raise CephaloError(
                f"cannot write to {root} ({error.strerror}); choose another folder with --root"
            ) from error

    def close(self) -> None:
        """Unlock the root."""
        os.close(self._lock)

    def stage(self) -> Staged:
        """Create a temporary file on the same file system as the rest."""
        return Staged(self.tmp / secrets.token_hex(16))

    def need(self, size: int) -> None:
        """Raise OSError if writing `size` bytes would fill the disk."""
        if size > shutil.disk_usage(self.tmp).free - SPARE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.root))

    def write(self, path: Path, data: bytes) -> None:
        """Replace `path` with `data` atomically."""
        with self.stage() as staged:
            staged.write(data)
            staged.publish(path)

    def move_folder(self, source: Path, target: Path) -> None:
        """Rename a folder atomically; `target` must not exist."""
        make_folder(target.parent)
        source.rename(target)
        sync_folder(target.parent)
        sync_folder(source.parent)

    def drop_folder(self, path: Path) -> None:
        """Remove a folder atomically, then delete its content."""
        hidden = self.tmp / secrets.token_hex(16)
        self.move_folder(path, hidden)
        shutil.rmtree(hidden)


def lock_file(path: Path) -> int:
    """Lock `path` for this process; the kernel releases it when the process ends, however it
    ends."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise CephaloError(
            f"{path.parent} is served by another `cephalo hub serve`; stop it first"
        ) from error
    return descriptor


def make_folder(path: Path) -> None:
    """Create `path` and its parents durably."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Flush the names in a folder to disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
