"""Read the cells of the first sheet of an XLSX workbook as texts.

Formulas have the value that was saved with them. Some programs save none: such a workbook is
rejected, because its cells would be empty.
"""

import re
import zipfile
from contextlib import closing
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from openpyxl import load_workbook

from cephalo.cli.errors import CephaloError

MAX_PART = 500_000_000  # bytes of an unpacked part; a small file may unpack to terabytes
MAX_CELLS = 20_000_000
READ_AT_ONCE = 1 << 20  # bytes of a part searched for formulas at a time
FORMULA = re.compile(rb"<(?:\w+:)?f[\s>/]")  # element of a sheet


def read_xlsx(path: Path) -> list[list[str]]:
    """Return the rows of the first sheet as lists of cells; skipped rows are empty.

    Raises:
        CephaloError: If the file is not a workbook, or has a formula without a saved value.
    """
    try:
        check_size(path)
        with closing(load_workbook(path, read_only=True, data_only=True, keep_links=False)) as book:
            rows = cells_of(book.worksheets[0])
        unsaved = unsaved_formula(path) if has_formulas(path) else None
    except Exception as error:  # openpyxl does not wrap the exceptions of its parsers
        why = " ".join(str(error).split()) or type(error).__name__
        raise CephaloError(
            f"{path} is not a complete XLSX workbook ({why}); save it again"
        ) from error
    if unsaved:
        raise CephaloError(
            f"{path}, cell {unsaved} is a formula without a saved value; open the workbook in a "
            "spreadsheet program and save it"
        )
    return rows


def has_formulas(path: Path) -> bool:
    """Return whether a sheet of a workbook may have formulas."""
    with zipfile.ZipFile(path) as archive:
        for part in archive.namelist():
            if not part.startswith("xl/worksheets/"):
                continue
            with archive.open(part) as file:
                end = b""
                while block := file.read(READ_AT_ONCE):
                    if FORMULA.search(end + block):
                        return True
                    end = block[-64:]  # an element may span two blocks
    return False


def unsaved_formula(path: Path) -> str | None:
    """Return the first cell of the first sheet with a formula and no value, such as "B3"."""
    with (
        closing(load_workbook(path, read_only=True, data_only=True, keep_links=False)) as book,
        closing(load_workbook(path, read_only=True, keep_links=False)) as written,
    ):
        rows = book.worksheets[0].iter_rows(), written.worksheets[0].iter_rows()
        for saved, formulas in zip(*rows, strict=True):
            for value, cell in zip(saved, formulas, strict=True):
                # An empty text as the value of a formula is saved with its type.
                if cell.data_type == "f" and value.value is None and value.data_type == "n":
                    return cell.coordinate
    return None


def check_size(path: Path) -> None:
    """Raise ValueError if a part of a workbook unpacks to more than `MAX_PART` bytes."""
    with zipfile.ZipFile(path) as archive:
        for part in archive.infolist():
            if part.file_size > MAX_PART:
                raise ValueError(f"{part.filename} unpacks to more than {MAX_PART >> 20} MB")


def cells_of(sheet: Any) -> list[list[str]]:
    """Return the rows of a sheet. Raises ValueError above `MAX_CELLS`."""
    sheet.reset_dimensions()  # the stored ones may be wrong
    rows: list[list[str]] = []
    count = 0
    for row in sheet.iter_rows(values_only=True):
        rows.append(list(map(text_of, row)))
        count += len(row) + 1
        if count > MAX_CELLS:
            raise ValueError(f"it has more than {MAX_CELLS:,} cells")
    return rows


def text_of(value: Any) -> str:
    """Return the text of a cell: dates in ISO 8601, without a time at midnight."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)
