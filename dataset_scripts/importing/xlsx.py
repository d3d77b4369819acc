"""The cells of the first sheet of an XLSX workbook (ECMA-376, part 1), as texts.

Of formulas it is the value that was saved. Dates are the numbers that spreadsheets store.
"""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import lxml.etree as etree

from cephalo.cli.errors import CephaloError

MAX_PART = 500_000_000  # bytes of an unpacked part: a small file may unpack to terabytes
MAX_CELLS = 20_000_000
MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
PLACE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
MOST_COLUMNS = 16_384  # of a sheet


def read_xlsx(path: Path) -> list[list[str]]:
    """The rows of the first sheet, each a list of its cells; rows that are left out are empty.

    Raises CephaloError if the file is no workbook.
    """
    try:
        with zipfile.ZipFile(path) as book:
            shared = list(shared_texts(book))
            return list(rows_of(book, first_sheet(book), shared))
    except (
        zipfile.BadZipFile, KeyError, ValueError, IndexError, etree.LxmlError, NotImplementedError,
        RuntimeError, EOFError,
    ) as error:  # fmt: skip
        why = " ".join(str(error).split()) or type(error).__name__
        raise CephaloError(f"{path} is no whole XLSX workbook ({why}); save it again") from error


def opened(book: zipfile.ZipFile, name: str) -> IO[bytes]:
    """A part of a workbook. Raises KeyError where it is missing, ValueError where it is too big."""
    if book.getinfo(name).file_size > MAX_PART:
        raise ValueError(f"{name} unpacks to more than {MAX_PART >> 20} MB")
    return book.open(name)


def elements(file: IO[bytes], name: str) -> Iterator[Any]:
    """The elements of a name, one after the other, each forgotten once it was seen."""
    for _, one in etree.iterparse(file, tag=MAIN + name, resolve_entities=False, no_network=True):
        yield one
        one.clear()
        while one.getprevious() is not None:
            del one.getparent()[0]


def first_sheet(book: zipfile.ZipFile) -> str:
    """The name of the part that holds the first sheet."""
    with opened(book, "xl/workbook.xml") as file:
        wanted = next(elements(file, "sheet")).get(RELATION)
    with opened(book, "xl/_rels/workbook.xml.rels") as file:
        parser = etree.XMLParser(resolve_entities=False, no_network=True)
        for relation in etree.parse(file, parser).getroot():
            if relation.get("Id") == wanted:
                target = relation.get("Target")
                return target[1:] if target.startswith("/") else f"xl/{target}"
    raise ValueError("it has no sheet")


def shared_texts(book: zipfile.ZipFile) -> Iterator[str]:
    """The texts that cells refer to by their number."""
    if "xl/sharedStrings.xml" not in book.namelist():
        return
    with opened(book, "xl/sharedStrings.xml") as file:
        for one in elements(file, "si"):
            yield text_of(one)


def text_of(one: Any) -> str:
    """The text of an element in its runs, without how Japanese words are read."""
    return "".join(
        run.text or ""
        for run in one.iter(MAIN + "t")
        if run.getparent() is None or run.getparent().tag != MAIN + "rPh"
    )


def rows_of(book: zipfile.ZipFile, name: str, shared: list[str]) -> Iterator[list[str]]:
    """The rows of a sheet, in their places."""
    cells = last = 0
    with opened(book, name) as file:
        for row in elements(file, "row"):
            number = int(row.get("r") or last + 1)
            yield from ([] for _ in range(min(number - last - 1, MAX_CELLS)))
            last = max(number, last)
            values: list[str] = []
            for cell in row.iter(MAIN + "c"):
                column = column_of(cell.get("r"), len(values))
                values += [""] * (column - len(values))
                values.append(value_of(cell, shared))
            cells += len(values)
            if cells > MAX_CELLS:
                raise ValueError(f"it has more than {MAX_CELLS:,} cells")
            yield values


def column_of(place: str | None, next_one: int) -> int:
    """The number of a cell's column from 0: 27 of "AB7"."""
    found = PLACE.fullmatch(place or "")
    if not found:
        return next_one
    number = 0
    for letter in found[1]:
        number = 26 * number + ord(letter) - ord("A") + 1
    if not next_one < number <= MOST_COLUMNS:
        raise ValueError(f"cell {place} is out of its place")
    return number - 1


def value_of(cell: Any, shared: list[str]) -> str:
    """The text of a cell."""
    kind = cell.get("t", "n")
    if kind == "inlineStr":
        return text_of(cell)
    value = cell.findtext(MAIN + "v") or ""
    if kind == "s":
        return shared[int(value)]
    if kind == "b":
        return "true" if value == "1" else "false"
    return value
