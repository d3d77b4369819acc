"""Atomic files (write aside, fsync, rename), and the lock on a root.

Layout of a root:

    lock                               held by the one server of this root
    tokens.json                        {user: token}, mode 0600
    signing.key                        signs upload and download tickets, mode 0600
    generation                         changed when `hub gc` or `hub check` deletes Xet chunks
    corrupt/NAMESPACE/                 contents and Xet chunks that `hub check` could not mend
    tmp/                               files being written; emptied at every start
    repos/KINDs/NAMESPACE/NAME/        refs.json (replacing it is what makes a commit visible)
                                       commits/SHA.json
    moved/KINDs/NAMESPACE/NAME.json    where a repo of this name went
    store/NAMESPACE/objects/           file contents, named by their sha256
    store/NAMESPACE/xorbs/             Xet chunks, as uploaded
    store/NAMESPACE/xet/pending/       Xet recipes that no commit has checked yet, by sha256
    store/NAMESPACE/xet/files/         Xet recipes whose content was checked against the sha256

Every file is created with mode 0600: repos may be private, other users of the machine are not
asked for a token. Nothing is shared between namespaces, so a hash that leaked opens nothing.
Contents that no commit names any more stay on disk until `cephalo hub gc`.
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

SPARE_BYTES = 64 << 20  # stays free for commits and refs, which are small


class Staged:
    """A file written aside. `publish` makes it visible; leaving the block without it deletes it.

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
        # A full disk makes the flush inside close() fail again; the file goes away all the same.
        with contextlib.suppress(OSError):
            self._file.close()
        self.path.unlink(missing_ok=True)

    @property
    def sha256(self) -> str:
        """Digest of the bytes written so far, as 64 hex digits."""
        return self._digest.hexdigest()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append `data`. Raises OSError, for one on a full disk."""
        self._file.write(data)
        self._digest.update(data)
        self.size += len(data)

    def flush(self) -> None:
        """Let readers of `path` see all that was written."""
        self._file.flush()

    def publish(self, path: Path) -> None:
        """Move the file to `path`, over what was there, once its bytes are on the disk."""
        self.flush()
        os.fsync(self._file.fileno())
        make_folder(path.parent)
        self.path.replace(path)
        sync_folder(path.parent)


class Disk:
    """The root folder of one server: holds its lock and writes its files."""

    def __init__(self, root: Path) -> None:
        """Create and lock `root` and sweep what a killed server left half-written.

        Raises CephaloError where `root` cannot be written or another server holds it.
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
        """Let another server have the root."""
        os.close(self._lock)

    def stage(self) -> Staged:
        """A new temporary file on the same file system as everything else."""
        return Staged(self.tmp / secrets.token_hex(16))

    def need(self, size: int) -> None:
        """Raises OSError before `size` bytes are written that would leave the disk full."""
        if size > shutil.disk_usage(self.tmp).free - SPARE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.root))

    def write(self, path: Path, data: bytes) -> None:
        """Replace `path` with `data` in one step that survives a crash."""
        with self.stage() as staged:
            staged.write(data)
            staged.publish(path)

    def move_folder(self, source: Path, target: Path) -> None:
        """Rename a folder in one step; `target` must not exist."""
        make_folder(target.parent)
        source.rename(target)
        sync_folder(target.parent)
        sync_folder(source.parent)

    def drop_folder(self, path: Path) -> None:
        """Remove a folder in one step, then delete its content."""
        hidden = self.tmp / secrets.token_hex(16)
        self.move_folder(path, hidden)
        shutil.rmtree(hidden)


def lock_file(path: Path) -> int:
    """Lock `path` for this process; the kernel frees it when the process ends, however it ends."""
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
    """Create `path` and its parents so that they outlive a power cut."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Flush the names in a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
