"""Read the cells of the first sheet of an XLSX workbook as texts.

Formulas have the value that was saved with them.
"""

import zipfile
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from openpyxl import load_workbook

from cephalo.cli.errors import CephaloError

MAX_PART = 500_000_000  # bytes of an unpacked part: a small file may unpack to terabytes
MAX_CELLS = 20_000_000


def read_xlsx(path: Path) -> list[list[str]]:
    """Return the rows of the first sheet, each a list of its cells; skipped rows are empty.

    Raises CephaloError if the file is not a workbook.
    """
    try:
        check_size(path)
        book = load_workbook(path, read_only=True, data_only=True, keep_links=False)
        try:
            return cells_of(book.worksheets[0])
        finally:
            book.close()
    except Exception as error:  # openpyxl passes on whatever its parsers raise
        why = " ".join(str(error).split()) or type(error).__name__
        raise CephaloError(
            f"{path} is not a complete XLSX workbook ({why}); save it again"
        ) from error


def check_size(path: Path) -> None:
    """Raise ValueError if a part of a workbook unpacks to more than `MAX_PART` bytes."""
    with zipfile.ZipFile(path) as archive:
        for part in archive.infolist():
            if part.file_size > MAX_PART:
                raise ValueError(f"{part.filename} unpacks to more than {MAX_PART >> 20} MB")


def cells_of(sheet: Any) -> list[list[str]]:
    """Return the rows of a sheet. Raises ValueError above `MAX_CELLS`."""
    sheet.reset_dimensions()  # the stated ones may be wrong
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
