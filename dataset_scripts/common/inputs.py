"""The input files of a folder of figures; files removed or edited since are excluded.

OUT/inputs.json lists the paths of each document by the first digits of its SHA-256. Shards of a
document that no longer exists are moved to OUT/removed, which refine and publish ignore, and are
moved back when the document returns.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import write_whole
from cephalo.cli.json_files import parse_object

RECORD = "inputs.json"
REMOVED = "removed"
DIGITS = 12  # of a SHA-256, at the end of a shard's name
NAMED = 10  # removed documents listed by name in the message; the rest are counted


def key_of(shard: Path) -> str:
    """Return the part of a shard's name that identifies its document."""
    return shard.stem.rpartition("-")[2]


def leave_out_gone(
    out: Path, given: Iterable[Path], hashes: Mapping[Path, str], unread: Iterable[str]
) -> list[str]:
    """Move the shards of removed documents aside, and those of returned documents back.

    Documents of other folders that earlier runs read are kept.

    Args:
        out: Folder of figures.
        given: Files and folders that this run reads.
        hashes: SHA-256 of each file that was found.
        unread: Files that could not be read; their shards are kept.

    Returns:
        The names of the removed documents, each with "removed" or "edited".

    Raises:
        CephaloError: If the record is damaged.
    """
    record = out / RECORD
    try:
        before: dict[str, Any] = parse_object(record.read_bytes()) if record.exists() else {}
        known = {key: list(map(str, paths)) for key, paths in before.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise CephaloError(f"{record} is damaged; delete it") from error
    found = {str(path.resolve()): sha256[:DIGITS] for path, sha256 in hashes.items()}
    in_scope = _scope(given, unread)
    after = {
        key: [path for path in paths if not in_scope(Path(path))] for key, paths in known.items()
    }
    for path, key in found.items():
        paths = after.setdefault(key, [])
        if path not in paths:
            paths.append(path)
    gone = {key: known[key] for key, paths in after.items() if not paths}
    set_aside(out, gone)
    fetch_back(out, set(found.values()))
    write_whole(record, json.dumps({key: after[key] for key in sorted(after.keys() - gone)}) + "\n")
    return sorted(
        f"{Path(paths[0]).name} ({'edited' if found.keys() & set(paths) else 'removed'})"
        for paths in gone.values()
    )


def _scope(given: Iterable[Path], unread: Iterable[str]) -> Callable[[Path], bool]:
    """Return a predicate: whether this run would find a file if it existed."""
    roots = {path.resolve() for path in given}
    unknown = {Path(path).resolve() for path in unread}
    return lambda path: path not in unknown and not roots.isdisjoint({path, *path.parents})


def told(gone: list[str]) -> str:
    """Format the message about removed documents."""
    more = f" and {len(gone) - NAMED} more" if len(gone) > NAMED else ""
    count = "1 document that is" if len(gone) == 1 else f"{len(gone)} documents that are"
    return f"left out {count} no longer in the input: {', '.join(gone[:NAMED])}{more}"


def set_aside(out: Path, keys: Iterable[str]) -> None:
    """Move the shards of documents to OUT/removed; figures last, since they mark completion."""
    for key in keys:
        for table in ("text", "figures"):
            for shard in (out / table).glob(f"*-{key}.parquet"):
                move(shard, out / REMOVED / table)


def fetch_back(out: Path, keys: set[str]) -> None:
    """Move the shards of documents that exist again out of OUT/removed; figures last."""
    for table in ("text", "figures"):
        for shard in (out / REMOVED / table).glob("*.parquet"):
            if key_of(shard) in keys:
                move(shard, out / table)


def move(file: Path, folder: Path) -> None:
    """Move a file, if it exists, into a folder, creating the folder."""
    if file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        file.replace(folder / file.name)


def gone_shards(folders: Iterable[Path]) -> set[str]:
    """Return the shard names of documents that were removed from the input of these folders."""
    folders = list(folders)
    removed, there = (
        {shard.name for folder in folders for shard in (folder / part).glob("*.parquet")}
        for part in (f"{REMOVED}/figures", "figures")
    )
    return removed - there


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
