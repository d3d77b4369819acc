"""Manifests: the ordered list of files of a run, read one share at a time."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.cluster.store import Store, is_remote, open_filesystem, reached

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


class File(NamedTuple):
    """A file of a run.

    Attributes:
        path: Absolute path or address.
        size: Bytes.
        stamp: What changes when the file is edited: its modification time or, in an object store,
            its hash.
        gone: Whether it was removed from the input. It keeps its line, so that all others keep
            their chunks.
    """

    path: str
    size: int
    stamp: str = ""
    gone: bool = False


def list_files(inputs: Iterable[str], suffix: str, out: str) -> Iterator[File]:
    """List the files in `inputs`, and those with `suffix` in the folders among them.

    Files are in the order of `inputs` and, within a folder, sorted by name, as on one machine; one
    folder's listing is held in memory at a time. Files in `out` are skipped. Raises CephaloError if
    an input does not exist.
    """
    own = Store(out)
    for one in inputs:
        url = one if is_remote(one) else str(Path(one).absolute())
        fs, path = open_filesystem(url)
        try:
            with reached(url):
                found = fs.info(path)
        except FileNotFoundError as error:
            raise CephaloError(f"{one}: no such file or folder; give files or folders") from error
        prefix = fs.unstrip_protocol("") if is_remote(url) else ""
        ours = own.root if type(fs) is type(own.fs) else None
        entries = walk(fs, path, suffix, ours) if found["type"] == "directory" else [found]
        for entry in entries:
            yield File(prefix + entry["name"], int(entry["size"] or 0), stamp(entry))


def stamp(entry: dict) -> str:
    """Return what changes when a file is edited, from its fsspec entry: the hash of an object store
    (S3, the Hub), or the modification time."""
    known = (entry.get(key) for key in ("ETag", "etag", "blob_id", "mtime"))
    return str(next(filter(None, known), ""))


def walk(fs: "AbstractFileSystem", folder: str, suffix: str, ours: str | None) -> Iterator[dict]:
    """Yield the entries of files below a folder, without the folder of resources of a saved web
    page."""
    with reached(fs.unstrip_protocol(folder)):
        entries = sorted(fs.ls(folder, detail=True), key=lambda entry: entry["name"])
    for entry in entries:
        name = entry["name"].rstrip("/")
        if entry["type"] == "directory":
            if name not in (ours, folder.rstrip("/")) and not name.endswith("_files"):
                yield from walk(fs, name, suffix, ours)
        elif name.lower().endswith(suffix) and not name.rpartition("/")[2].startswith("."):
            yield entry


def write_manifest(files: Iterable[File], target: Path) -> tuple[int, str]:
    """Write one line of JSON per file; return the number of files and the SHA-256 of the lines."""
    digest, count = hashlib.sha256(), 0
    with target.open("wb") as out:
        for file in files:
            line = json.dumps(file._asdict(), ensure_ascii=False).encode() + b"\n"
            digest.update(line)
            out.write(line)
            count += 1
    return count, digest.hexdigest()


def read_manifest(path: Path) -> Iterator[File]:
    """Read the files of a local manifest."""
    with path.open("rb") as lines:
        yield from (File(**json.loads(line)) for line in lines)


def follow(before: Iterable[File], listed: Path) -> Iterator[tuple[File, str]]:
    """Merge a new listing into a manifest, keeping the place of each file.

    Yields each file with "removed", "edited", "returned" or nothing, then new files with "added".
    """
    there = {file.path: file for file in read_manifest(listed)}
    seen = set()
    for file in before:
        seen.add(file.path)
        now = there.get(file.path)
        if now is None:
            yield file._replace(gone=True), "" if file.gone else "removed"
        else:
            yield now, "" if now == file else "returned" if file.gone else "edited"
    yield from ((file, "added") for path, file in there.items() if path not in seen)


def read_share(
    store: Store, name: str, chunk: int, rank: int, tasks: int
) -> Iterator[tuple[int, list[File]]]:
    """Yield the chunks of `chunk` files that a task of `tasks` processes, with their numbers.

    The share is every `tasks`-th chunk starting with `rank`, without removed files; the manifest is
    streamed.
    """
    with store.fs.open(store.path(name), "rb") as lines:
        number = 0
        while batch := list(islice(lines, chunk)):
            if number % tasks == rank:
                files = [File(**json.loads(line)) for line in batch]
                yield number, [file for file in files if not file.gone]
            number += 1
