"""A manifest: the files of a run, listed once and in order, and read a share at a time."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.scale.store import Store, is_remote, open_filesystem, reached


class File(NamedTuple):
    """A file of a run: its absolute path or address, and its bytes."""

    path: str
    size: int


def list_files(inputs: Iterable[str], suffix: str, out: str) -> Iterator[File]:
    """The files named in `inputs`, and those with `suffix` in the folders among them.

    In the order of `inputs`, a folder's by name, as on one machine; one folder's listing is held
    at a time. What lies in `out` is our own. Raises CephaloError for what is not there.
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
            yield File(prefix + entry["name"], int(entry["size"] or 0))


def walk(fs, folder: str, suffix: str, ours: str | None) -> Iterator[dict]:
    """The entries of files below a folder; a folder of a saved web page holds its parts."""
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
    """Write one line of JSON a file; returns how many there are and the SHA-256 of the lines."""
    digest, count = hashlib.sha256(), 0
    with target.open("wb") as out:
        for file in files:
            line = json.dumps(file._asdict(), ensure_ascii=False).encode() + b"\n"
            digest.update(line)
            out.write(line)
            count += 1
    return count, digest.hexdigest()


def read_share(
    store: Store, name: str, chunk: int, rank: int, tasks: int
) -> Iterator[tuple[int, list[File]]]:
    """The chunks of `chunk` files that a task of `tasks` reads, each with its number.

    Every `tasks`-th chunk from the one numbered `rank` on; the manifest streams through.
    """
    with store.fs.open(store.path(name), "rb") as lines:
        number = 0
        while batch := list(islice(lines, chunk)):
            if number % tasks == rank:
                yield number, [File(**json.loads(line)) for line in batch]
            number += 1
