"""A folder that many machines share: a shared file system, or any storage that fsspec opens."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cephalo.cli.errors import CephaloError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


def is_remote(url: str) -> bool:
    """Return whether `url` has a protocol, such as `s3://bucket/folder`, and is not a path."""
    return "://" in url


def open_filesystem(url: str) -> "tuple[AbstractFileSystem, str]":
    """Return the fsspec file system of `url` and the path in it; listings are not cached.

    Raises CephaloError if the protocol is unknown or its package is missing.
    """
    from fsspec.core import url_to_fs

    try:
        return url_to_fs(url, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        raise CephaloError(
            f"{url} cannot be opened ({error}); give a folder, hf://, or s3:// with "
            "pip install 'cephalo[scale]'"
        ) from error


@contextmanager
def reached(url: str) -> Iterator[None]:
    """Context manager for requests to `url`. Raises CephaloError if the storage does not answer or
    refuses, since its clients raise errors of their own. A missing file remains a
    FileNotFoundError."""
    try:
        yield
    except (CephaloError, FileNotFoundError):
        raise
    except Exception as error:
        if not is_remote(url):
            raise
        said = " ".join(f"{type(error).__name__}: {error}".split())
        answered = isinstance(error, PermissionError) or hasattr(error, "response")
        failed = "refuses" if answered else "cannot be reached"
        raise CephaloError(
            f"{url} {failed} ({said[:200]}); check address, network and credentials"
        ) from error


class Store:
    """Files below `url`, by names with slashes. Files are written atomically; writing a name twice
    replaces the file."""

    def __init__(self, url: str) -> None:
        self.url = url if is_remote(url) else str(Path(url).absolute())
        self.fs, self.root = open_filesystem(self.url)

    def path(self, name: str) -> str:
        """Return the path of a name in the file system."""
        return f"{self.root.rstrip('/')}/{name}"

    def exists(self, name: str) -> bool:
        """Return whether the file exists."""
        return self.fs.exists(self.path(name))

    def names(self, folder: str) -> list[str]:
        """Return the sorted names of the files in a folder; empty if it does not exist."""
        try:
            found = self.fs.ls(self.path(folder), detail=False)
        except FileNotFoundError:
            return []
        return sorted(name for name in (path.rpartition("/")[2] for path in found) if name)

    def read(self, name: str) -> str | None:
        """Return the text of a file, or None if it does not exist."""
        try:
            with reached(self.url):
                found = self.fs.cat_file(self.path(name))
                return found.decode() if isinstance(found, bytes) else found
        except FileNotFoundError:
            return None

    def read_json(self, name: str) -> Any:  # as it was written
        """Return the content of a JSON file, or None if it does not exist. Raises CephaloError if
        it is damaged."""
        text = self.read(name)
        try:
            return None if text is None else json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CephaloError(f"{self.url}/{name} is damaged ({error}); delete it") from error

    def write(self, name: str, text: str) -> None:
        """Write a text file."""
        path, aside = self.path(name), self._aside(name)
        self.fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        self.fs.pipe_file(aside or path, text.encode())
        if aside:
            self.fs.mv(aside, path)

    def put(self, local: Path, name: str) -> None:
        """Copy a local file into the store."""
        path, aside = self.path(name), self._aside(name)
        self.fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        self.fs.put_file(str(local), aside or path)
        if aside:
            self.fs.mv(aside, path)

    def remove(self, name: str) -> None:
        """Delete a file, if it exists."""
        if self.exists(name):
            self.fs.rm_file(self.path(name))

    def _aside(self, name: str) -> str | None:
        """Return the temporary name of a file; None in object stores, which write atomically.

        Machines share the folder, so the name identifies the writer.
        """
        if is_remote(self.url):
            return None
        folder, _, file = name.rpartition("/")
        return self.path(f"{folder}/.{file}.{socket.gethostname()}.{os.getpid()}.tmp")
