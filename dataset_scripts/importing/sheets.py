"""Rows of CSV, TSV, XLSX, JSON and JSON Lines files, each with the place that it is named by."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.importing.xlsx import read_xlsx

DELIMITERS = ",;\t|"
MAX_CELL = 10_000_000  # characters of a cell of CSV; the module's own limit is 131,072
UTF16 = (b"\xff\xfe", b"\xfe\xff")  # how a file begins that is in it


class Record(NamedTuple):
    """A row of a file: where it stands ("data.csv, row 3"), and its values by their columns.

    `error` tells why it is no row; then it has no values.
    """

    place: str
    values: dict[str, Any]
    error: str | None = None


def read_sheet(path: Path) -> list[Record]:
    """The rows of a file. Raises CephaloError if it cannot be read at all."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise CephaloError(f"{path} is no table; give one of {', '.join(READERS)}")
    try:
        return list(reader(path))
    except OSError as error:
        raise CephaloError(f"cannot read {path}: {error.strerror or error}") from error


def read_csv(path: Path) -> Iterator[Record]:
    """The rows of a text file with a header, whose cells are parted by a comma, semicolon, tab or
    bar. Raises CephaloError."""
    text = decoded(path)
    header = text.lstrip("\r\n").split("\n", 1)[0]
    delimiter = max(DELIMITERS, key=header.count)
    csv.field_size_limit(MAX_CELL)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise CephaloError(f"{path} is no whole table ({error}); save it as CSV again") from error
    yield from records(path, rows)


def decoded(path: Path) -> str:
    """The text of a file in UTF-8 or UTF-16. Raises CephaloError."""
    data = path.read_bytes()
    try:
        return data.decode("utf-16" if data.startswith(UTF16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise CephaloError(
            f"{path}, line {line} is not in UTF-8; save the file as 'CSV UTF-8' or as XLSX"
        ) from error


def read_workbook(path: Path) -> Iterator[Record]:
    """The rows of the first sheet of an XLSX file. Raises CephaloError."""
    yield from records(path, read_xlsx(path))


def records(path: Path, rows: list[list[str]]) -> Iterator[Record]:
    """Rows of cells below a header, numbered as a spreadsheet does; empty ones are passed over.

    Raises CephaloError where the header is none.
    """
    if not any(map(str.strip, rows[0] if rows else [])):
        raise CephaloError(f"{path} has no header; its first row is to name the columns")
    names = [name.strip() for name in rows[0]]
    while not names[-1]:
        names.pop()
    if twice := [name for name in names if name and names.count(name) > 1]:
        raise CephaloError(f"{path} has two columns {twice[0]!r}; rename one")
    for number, cells in enumerate(rows[1:], 2):
        if not any(map(str.strip, cells)):
            continue
        place = f"{path.name}, row {number}"
        if beyond := [cell for cell in cells[len(names) :] if cell.strip()]:
            told = beyond[0].strip()[:40]
            error = f"it has more cells than the header, such as {told!r}; quote cells with commas"
            yield Record(place, {}, error)
            continue
        yield Record(place, {name: cell for name, cell in zip(names, cells, strict=False) if name})


def read_json_lines(path: Path) -> Iterator[Record]:
    """The objects of a file, one a line. Raises CephaloError where none is one."""
    for number, line in enumerate(decoded(path).split("\n"), 1):
        if not line.strip():
            continue
        place = f"{path.name}, line {number}"
        try:
            yield as_record(place, json.loads(line))
        except (ValueError, RecursionError) as error:
            yield Record(place, {}, f"it is no JSON ({error})")


def read_json(path: Path) -> Iterator[Record]:
    """The objects of a list, or of a list under "data", or the captions of COCO. Raises
    CephaloError."""
    try:
        found = json.loads(decoded(path))
    except (ValueError, RecursionError) as error:
        raise CephaloError(f"{path} is no JSON ({error}); save it again") from error
    if isinstance(found, dict) and isinstance(found.get("annotations"), list):
        yield from read_coco(path, found)
        return
    if isinstance(found, dict) and isinstance(found.get("data"), list):
        found = found["data"]
    if not isinstance(found, list):
        raise CephaloError(
            f"{path} holds no list of rows; give one of objects, or COCO's images and annotations"
        )
    for number, value in enumerate(found, 1):
        yield as_record(f"{path.name}, entry {number}", value)


def as_record(place: str, value: Any) -> Record:
    """A value of JSON as a row."""
    if not isinstance(value, dict):
        return Record(place, {}, "it is no object with columns")
    return Record(place, value)


def read_coco(path: Path, found: dict[str, Any]) -> Iterator[Record]:
    """The annotations of COCO, each with the file name of its image, and the images without one.

    Raises CephaloError where the images are no list.
    """
    images = found.get("images")
    if not isinstance(images, list):
        raise CephaloError(f"{path} has annotations without images; give COCO's whole file")
    names = {str(one.get("id")): one for one in images if isinstance(one, dict)}
    annotated = set()
    for number, one in enumerate(found["annotations"], 1):
        place = f"{path.name}, annotation {number}"
        image = names.get(str(one.get("image_id"))) if isinstance(one, dict) else None
        if image is None:
            yield Record(place, {}, "its image_id is that of no image")
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
