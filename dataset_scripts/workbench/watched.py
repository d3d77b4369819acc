"""Detect added, removed and replaced files of a folder without checking each file."""

import time
from pathlib import Path

SETTLED = 2_000_000_000  # nanoseconds after a change in which another may have the same time


class Watched:
    """A folder whose files are written by renaming, which changes its modification time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.changed: int | None = None
        self.settled = False

    def has_changed(self) -> bool:
        """Return whether files may have changed since the last call."""
        now = time.time_ns()
        try:
            changed = self.folder.stat().st_mtime_ns
        except OSError:
            changed = None
        same = self.settled and changed == self.changed
        self.changed, self.settled = changed, changed is not None and now - changed > SETTLED
        return not same
