"""Run an import: read tables and folders, decode images, write shards.

A shard has CHUNK images and the conversations about them. Its metadata identifies its input, so
that an interrupted run can resume.
"""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features
from tqdm import tqdm

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import locked, replacing, write_whole
from cephalo.cli.logs import no_bars
from cephalo.cli.rows import Row
from cephalo.dataset_scripts.common.conversations import IMPORTED
from cephalo.dataset_scripts.common.gallery import write_gallery
from cephalo.dataset_scripts.common.schema import CONVERSATIONS, FIGURES
from cephalo.dataset_scripts.common.shards import row_groups
from cephalo.dataset_scripts.importing.columns import find_columns
from cephalo.dataset_scripts.importing.items import ImageFile, Item, RowError, item_of, items_in
from cephalo.dataset_scripts.importing.rows import (
    Picture,
    captions_of,
    conversation_rows,
    figure_row,
    unique_pictures,
)
from cephalo.dataset_scripts.importing.sheets import READERS, Record, read_sheet
from cephalo.dataset_scripts.importing.stored import PARQUET, Stored, open_hub, open_parquet

logger = logging.getLogger(__name__)

CHUNK = 64  # images per shard, which are in memory at the same time
VERSION = 1  # version of the conversion to rows
FINGERPRINT, FAILED = b"cephalo.import", b"cephalo.import.failed"  # in the metadata of a shard
TALKS = b"cephalo.import.conversations"  # their number, in the metadata of the figures
NAMED = 10  # failed rows that are logged; all are in FAILURES
FAILURES = "failures.jsonl"
TABLES = ("metadata", "captions", "data")  # stems of the names of a table in a folder


def import_source(
    source: Path | str,
    out: Path,
    images: Path | None,
    given: dict[str, str],
    split: str = "train",
) -> None:
    """Import a table, a folder of images or a dataset into OUT/figures and OUT/conversations.

    Args:
        source: A table, a folder of images, with or without a table, or the name of a dataset.
        out: Output folder.
        images: Folder of the image files; the folder of the table if `None`.
        given: Columns of the table, by role.
        split: Split of a dataset.

    Raises:
        CephaloError: If the source cannot be read, or has no valid row.
    """
    failures: dict[str, str] = {}
    if dataset := open_dataset(source, split):
        if images:
            dataset.folders.append(images)
        folder, items = Path(), read_dataset(dataset, given, failures)
    else:
        folder, items = read_items(Path(source), images, given, failures)
    pictures = unique_pictures(items, folder)
    captions = any(item.turns for item in items) or any(len(captions_of(p)) > 1 for p in pictures)
    with locked(out):
        check_own(out)
        earlier = images_in(out)
        done: Counter[str] = Counter()
        names = []
        chunks = [
            pictures[start : start + CHUNK] for start in range(0, len(pictures), CHUNK)
        ]  # if a document is divided, conversations only know images of their part
        with tqdm(total=len(pictures), unit=" images", disable=no_bars()) as bar:
            for number, chunk in enumerate(merged_chunks(chunks)):
                name = f"import-{number:05d}"
                names.append(name)
                write_chunk(out, name, chunk, captions, failures, done)
                bar.update(len(chunk))
        remove_others(out, names)
        if gone := len(earlier - images_in(out)):
            logger.warning(
                "%d images of an earlier import were removed from %s, which this import replaces; "
                "use another --out for other tables",
                gone,
                out,
            )
        write_failures(out, failures)
        write_gallery(out / "figures", out / "index.html", failures)
    conclude(out, done, failures)


def read_items(
    source: Path, images: Path | None, given: dict[str, str], failures: dict[str, str]
) -> tuple[Path, list[Item]]:
    """Return the folder of the images and the items of a source.

    Args:
        source: A table or a folder.
        images: Folder of the image files, or `None`.
        given: Columns of the table, by role.
        failures: Reasons for invalid rows by place; extended in place.

    Raises:
        CephaloError: If the source cannot be read.
    """
    table = source if source.is_file() else find_table(source)
    if table is None:
        if given:
            raise CephaloError(f"{source} has no table for --column; give the file of a table")
        items = list(items_in(source))
        if not items:
            raise CephaloError(f"{source} contains no images; give a folder of images or a table")
        return source, items
    folder = images or table.parent
    records = read_sheet(table)
    if not records:
        raise CephaloError(f"{table} has no rows")
    names = dict.fromkeys(name for record in records for name in record.values)
    columns = find_columns(names, given, str(table))
    check_columns(columns, names, str(table))
    return folder, list(valid_items(records, columns, folder, failures))


def check_columns(columns: dict[str, str], names: dict[str, None], table: str) -> None:
    """Log the column of each role.

    Raises:
        CephaloError: If no column contains images.
    """
    log_columns(columns, names)
    if "image" not in columns:
        raise CephaloError(
            f"{table} has no column of image files; choose one with --column image=NAME; it has "
            f"{', '.join(names) or 'none'}"
        )
    if not columns.keys() & {"caption", "question", "turns"}:
        logger.warning("%s has neither captions nor questions; only its images are imported", table)


def open_dataset(source: Path | str, split: str) -> Stored | None:
    """Open a source as a dataset. Return `None` for a table or a folder of images.

    Raises:
        CephaloError: If the dataset cannot be opened.
    """
    path = Path(source)
    if path.is_dir():
        return open_parquet(path, split) if any(path.rglob(f"*{PARQUET}")) else None
    if path.suffix.lower() == PARQUET and path.is_file():
        return open_parquet(path, split)
    if path.is_file() or path.suffix.lower() in (PARQUET, *READERS):
        return None
    return open_hub(str(source), split)


def read_dataset(dataset: Stored, given: dict[str, str], failures: dict[str, str]) -> list[Item]:
    """Return the items of the valid rows of a dataset, and add the others to `failures`.

    Raises:
        CephaloError: If no column contains images, or the role of a column is ambiguous.
    """
    columns = find_columns(dataset.features, dataset.given() | given, dataset.name)
    check_columns(columns, dict.fromkeys(dataset.features), dataset.name)
    items = list(valid_items(dataset.records(columns["image"]), columns, None, failures))
    for item in items:
        item.facts = dataset.facts | item.facts
    return items


def valid_items(
    records: Iterable[Record],
    columns: dict[str, str],
    folder: Path | None,
    failures: dict[str, str],
) -> Iterator[Item]:
    """Yield the items of valid rows, and add the others to `failures`."""
    for record in records:
        try:
            yield item_of(record, columns, folder)
        except RowError as error:
            failures[record.place] = str(error)


def find_table(folder: Path) -> Path | None:
    """Return the table of a folder: the only one, or the one with a name in `TABLES`.

    Raises:
        CephaloError: If there are several, or the folder does not exist.
    """
    if not folder.is_dir():
        raise CephaloError(f"{folder}: no such file or folder; give a table or a folder of images")
    tables = sorted(path for path in folder.iterdir() if path.suffix.lower() in READERS)
    named = [path for path in tables if path.stem.lower() in TABLES]
    found = named or tables
    if len(found) > 1:
        raise CephaloError(
            f"{folder} contains {', '.join(path.name for path in found)}; give one of the files"
        )
    return found[0] if found else None


def log_columns(columns: dict[str, str], names: dict[str, None]) -> None:
    """Log the column of each role."""
    listed = ", ".join(f"{role} = {name!r}" for role, name in columns.items())
    others = [name for name in names if name not in columns.values()]
    rest = f"; not read: {', '.join(map(repr, others))}" if others else ""
    logger.info("columns: %s%s", listed or "none", rest)


def check_own(out: Path) -> None:
    """Raise `CephaloError` if a folder has shards of another command."""
    for shard in sorted((out / "figures").glob("*.parquet")):
        try:
            own = FINGERPRINT in (pq.read_metadata(shard).metadata or {})
        except (OSError, pa.ArrowException):
            own = shard.name.startswith("import-")  # damaged; will be rewritten
        if not own:
            raise CephaloError(f"{out} contains figures of another command; give another --out")


def images_in(out: Path) -> set[str]:
    """Return the names of the images in a folder of figures."""
    found: set[str] = set()
    for shard in (out / "figures").glob("import-*.parquet"):
        try:
            found.update(pq.read_table(shard, columns=["image_sha256"])[0].to_pylist())
        except (OSError, pa.ArrowException):  # damaged; will be rewritten
            continue
    return found


def merged_chunks(chunks: list[list[Picture]]) -> Iterator[list[Picture]]:
    """Merge chunks that have images of the same document."""
    current: list[Picture] = []
    last: dict[str, int] = {}
    for number, chunk in enumerate(chunks):
        for picture in chunk:
            if picture.document:
                last[picture.document] = number
    reach = -1
    for number, chunk in enumerate(chunks):
        current += chunk
        reach = max([reach, *(last[one.document] for one in chunk if one.document)])
        if reach <= number:
            yield current
            current = []


def write_chunk(
    out: Path,
    name: str,
    chunk: list[Picture],
    captions: bool,
    failures: dict[str, str],
    done: Counter[str],
) -> None:
    """Write the shards of a chunk of images, unless they exist.

    Args:
        out: Output folder.
        name: Name of the shards.
        chunk: The images.
        captions: Whether items without turns become a question for the caption.
        failures: Reasons for invalid rows by place; extended in place.
        done: Counts of figures and conversations; updated in place.
    """
    figures = out / "figures" / f"{name}.parquet"
    talks = out / "conversations" / f"{name}{IMPORTED}.parquet"
    wanted = fingerprint(chunk, captions)
    if (found := stored_failures(figures, talks, wanted)) is None:
        rows, bad = {}, {}
        for picture in chunk:
            try:
                rows[picture.path] = figure_row(picture)
            except CephaloError as error:
                for item in picture.items:
                    bad[item.place] = f"its image: {error}"
        conversations = [talk for one in chunk for talk in conversation_rows(one, rows, captions)]
        facts = {FINGERPRINT: wanted.encode(), FAILED: json.dumps(bad).encode()}
        facts[TALKS] = str(len(conversations)).encode()
        if conversations:
            write_table(talks, conversations, CONVERSATIONS, facts)
        else:  # later steps make conversations from captions where no shard has any
            talks.unlink(missing_ok=True)
        write_table(figures, list(rows.values()), FIGURES, facts)  # last, marks completion
        found = bad
    failures |= found
    done["figures"] += pq.read_metadata(figures).num_rows
    if talks.exists():
        done["conversations"] += pq.read_metadata(talks).num_rows


def fingerprint(chunk: list[Picture], captions: bool) -> str:
    """Return a hash of the input of the shards of a chunk."""
    facts: list[Any] = [VERSION, captions]
    for picture in chunk:
        items = [[one.place, one.caption, one.turns, sorted(one.facts.items()),
                  [str(path) for path in one.images]] for one in picture.items]  # fmt: skip
        facts.append([picture.name, picture.document, picture.page, items])
        facts.append(state_of(picture.path))
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def state_of(image: ImageFile) -> list[Any]:
    """Return the size and time of an image file, or the hash of a stored image."""
    if not isinstance(image, Path):
        return [image.sha256]
    state = image.stat()
    return [state.st_size, state.st_mtime_ns]


def stored_failures(figures: Path, talks: Path, wanted: str) -> dict[str, str] | None:
    """Return the failures of complete shards, `None` if they are missing or outdated."""
    try:
        found = pq.read_metadata(figures).metadata or {}
        whole = found.get(FINGERPRINT) == wanted.encode()
        whole = whole and talks.exists() == (int(found[TALKS]) > 0)
        return json.loads(found[FAILED]) if whole else None
    except (OSError, pa.ArrowException, KeyError, ValueError):
        return None


def write_table(path: Path, rows: list[Row], features: Features, facts: Any) -> None:
    """Write rows atomically, with facts in the metadata."""
    schema = features.arrow_schema
    schema = schema.with_metadata({**(schema.metadata or {}), **facts})
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as aside, pq.ParquetWriter(aside, schema, compression="none") as writer:
        for group in row_groups(rows):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))


def remove_others(out: Path, names: list[str]) -> None:
    """Remove the shards of an earlier import with more images."""
    for folder, ending in (("figures", ""), ("conversations", IMPORTED)):
        for shard in (out / folder).glob(f"import-*{ending}.parquet"):
            if shard.stem.removesuffix(ending) not in names and shard.stem.endswith(ending):
                shard.unlink()


def write_failures(out: Path, failures: dict[str, str]) -> None:
    """Write `failures.jsonl` atomically: one line per failed row, with the reason."""
    lines = (
        json.dumps({"file": place, "reason": reason}, ensure_ascii=False) + "\n"
        for place, reason in failures.items()
    )
    write_whole(out / FAILURES, "".join(lines))


def conclude(out: Path, done: Counter[str], failures: dict[str, str]) -> None:
    """Log the results of the import.

    Raises:
        CephaloError: If nothing was imported.
    """
    for place, reason in list(failures.items())[:NAMED]:
        logger.warning("%s is left out: %s", place, reason)
    if len(failures) > NAMED:
        logger.warning("and %d more; see %s", len(failures) - NAMED, out / FAILURES)
    if not done["figures"]:
        raise CephaloError(f"none of {len(failures)} rows could be imported; see {out / FAILURES}")
    print(
        f"{done['figures']} figures, {done['conversations']} conversations, "
        f"{len(failures)} rows left out → {out / 'index.html'}"
    )
