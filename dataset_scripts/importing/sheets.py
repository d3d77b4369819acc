"""Read rows of CSV, TSV, XLSX, JSON and JSON Lines files, each with its place for messages."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.importing.xlsx import read_xlsx

DELIMITERS = ",;\t|"
MAX_CELL = 10_000_000  # characters in a CSV cell; the default of the csv module is 131,072
UTF16 = (b"\xff\xfe", b"\xfe\xff")  # byte order marks


class Record(NamedTuple):
    """A row of a file.

    Attributes:
        place: Place of the row, such as "data.csv, row 3".
        values: Values by column.
        error: Why the row is invalid, or `None`. An invalid row has no values.
    """

    place: str
    values: dict[str, Any]
    error: str | None = None


def read_sheet(path: Path) -> list[Record]:
    """Return the rows of a file.

    Raises:
        CephaloError: If the file cannot be read.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise CephaloError(f"{path} is not a table; give a file of type {', '.join(READERS)}")
    try:
        return list(reader(path))
    except OSError as error:
        raise CephaloError(f"cannot read {path}: {error.strerror or error}") from error


def read_csv(path: Path) -> Iterator[Record]:
    """Yield the rows of a text file with a header, separated by commas, semicolons, tabs or bars.

    Raises:
        CephaloError: If the file is damaged.
    """
    text = decoded(path)
    header = text.lstrip("\r\n").split("\n", 1)[0]
    delimiter = max(DELIMITERS, key=header.count)
    csv.field_size_limit(MAX_CELL)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise CephaloError(
            f"{path} is not a complete table ({error}); save it as CSV again"
        ) from error
    yield from records(path, rows)


def decoded(path: Path) -> str:
    """Return the text of a file in UTF-8 or UTF-16.

    Raises:
        CephaloError: If it has another encoding.
    """
    data = path.read_bytes()
    try:
        return data.decode("utf-16" if data.startswith(UTF16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise CephaloError(
            f"{path}, line {line} is not in UTF-8; save the file as 'CSV UTF-8' or as XLSX"
        ) from error


def read_workbook(path: Path) -> Iterator[Record]:
    """Yield the rows of the first sheet of an XLSX file.

    Raises:
        CephaloError: If the file is damaged.
    """
    yield from records(path, read_xlsx(path))


def records(path: Path, rows: list[list[str]]) -> Iterator[Record]:
    """Yield the rows below a header, numbered as in a spreadsheet. Empty rows are skipped.

    Raises:
        CephaloError: If the header is missing or has repeated names.
    """
    if not any(map(str.strip, rows[0] if rows else [])):
        raise CephaloError(f"{path} has no header; name the columns in its first row")
    names = [name.strip() for name in rows[0]]
    while not names[-1]:
        names.pop()
    if twice := [name for name in names if name and names.count(name) > 1]:
        raise CephaloError(f"{path} has two columns {twice[0]!r}; rename one of them")
    for number, cells in enumerate(rows[1:], 2):
        if not any(map(str.strip, cells)):
            continue
        place = f"{path.name}, row {number}"
        if beyond := [cell for cell in cells[len(names) :] if cell.strip()]:
            shown = beyond[0].strip()[:40]
            error = f"it has more cells than the header, such as {shown!r}; quote cells with commas"
            yield Record(place, {}, error)
            continue
        yield Record(place, {name: cell for name, cell in zip(names, cells, strict=False) if name})


def read_json_lines(path: Path) -> Iterator[Record]:
    """Yield the objects of a JSON Lines file.

    Raises:
        CephaloError: If no line is a JSON object.
    """
    for number, line in enumerate(decoded(path).split("\n"), 1):
        if not line.strip():
            continue
        place = f"{path.name}, line {number}"
        try:
            yield as_record(place, json.loads(line))
        except (ValueError, RecursionError) as error:
            yield Record(place, {}, f"it is not JSON ({error})")


def read_json(path: Path) -> Iterator[Record]:
    """Yield the objects of a list, of a list under "data", or of COCO captions.

    Raises:
        CephaloError: If the file is not JSON or has no list.
    """
    try:
        found = json.loads(decoded(path))
    except (ValueError, RecursionError) as error:
        raise CephaloError(f"{path} is not JSON ({error}); save it again") from error
    if isinstance(found, dict) and isinstance(found.get("annotations"), list):
        yield from read_coco(path, found)
        return
    if isinstance(found, dict) and isinstance(found.get("data"), list):
        found = found["data"]
    if not isinstance(found, list):
        raise CephaloError(
            f"{path} contains no list of rows; give a list of objects, or COCO annotations"
        )
    for number, value in enumerate(found, 1):
        yield as_record(f"{path.name}, entry {number}", value)


def as_record(place: str, value: Any) -> Record:
    """Convert a JSON value to a row."""
    if not isinstance(value, dict):
        return Record(place, {}, "it is not an object with columns")
    return Record(place, value)


def read_coco(path: Path, found: dict[str, Any]) -> Iterator[Record]:
    """Yield the annotations of COCO with the file names of their images, and the other images.

    Raises:
        CephaloError: If there are no images.
    """
    images = found.get("images")
    if not isinstance(images, list):
        raise CephaloError(f"{path} has annotations without images; give the complete COCO file")
    names = {str(one.get("id")): one for one in images if isinstance(one, dict)}
    annotated = set()
    for number, one in enumerate(found["annotations"], 1):
        place = f"{path.name}, annotation {number}"
        image = names.get(str(one.get("image_id"))) if isinstance(one, dict) else None
        if image is None:
            yield Record(place, {}, "its image_id does not match an image")
        elif not isinstance(one.get("caption"), str):
            yield Record(place, {}, "it has no caption")
        else:
            annotated.add(str(one["image_id"]))
            yield Record(place, {"image": image.get("file_name"), "caption": one["caption"]})
    for key, image in names.items():
        if key not in annotated:
            place = f"{path.name}, image {image.get('id')}"
            yield Record(place, {"image": image.get("file_name"), "caption": ""})


READERS: dict[str, Callable[[Path], Iterator[Record]]] = {
    ".csv": read_csv,
    ".tsv": read_csv,
    ".xlsx": read_workbook,
    ".json": read_json,
    ".jsonl": read_json_lines,
}
