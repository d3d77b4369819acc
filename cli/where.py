"""Select rows by an SQL expression over their columns: `--where`.

SQLite evaluates it, one row at a time. An authorizer denies everything but the columns of the row
and a few text functions: no subqueries, no files.
"""

import difflib
import json
import re
import sqlite3
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any

from cephalo.cli.errors import CephaloError

FUNCTIONS = ("like", "lower", "upper", "length", "coalesce")
LONGEST = 10_000  # characters of an expression
MOST_DEPTH = 100  # of nesting; SQLite's own limit of 1000 is too deep for the stack
LONGEST_PATTERN = 1000  # bytes of a pattern of `like`
LONGEST_VALUE = 16 << 20  # bytes of a value, also of concatenated strings; bounds the memory
TOLD = 200  # characters of an expression in an error
TEXT, INTEGER, REAL = "TEXT", "INTEGER", "REAL"
HELP = (
    "Select rows by an SQL condition on their columns, such as "
    "\"kind = 'figure' and license like 'CC-BY%'\"; see docs/data.md."
)
# Comments, strings in single quotes, and names in SQLite's three kinds of quotes.
_QUOTED = re.compile(
    r"--[^\n]*|/\*.*?(?:\*/|\Z)|'(?:[^']|'')*'|\"((?:[^\"]|\"\")*)\"|\[([^\]]*)\]|`([^`]*)`",
    re.DOTALL,
)


class Where:
    """A condition on the rows of a table.

    Attributes:
        text: The expression.
        columns: The columns that it reads.
    """

    def __init__(self, text: str, types: Mapping[str, str], table: str) -> None:
        """Prepare an expression.

        Args:
            text: An SQLite expression.
            types: The allowed columns, each with TEXT, INTEGER or REAL.
            table: The name of the table, for errors.

        Raises:
            CephaloError: If it is invalid; the message names the columns.
        """
        self.text, self.types, self.table = text, dict(types), table
        self.told = repr(text if len(text) <= TOLD else f"{text[:TOLD]}...")
        if not text.strip():
            raise CephaloError("--where is empty; leave it out, or give a condition")
        if len(text) > LONGEST:
            raise CephaloError(f"--where has {len(text):,} characters; give {LONGEST:,} at most")
        self._check_quotes()
        # Values cast to a type are compared as that type.
        cast = ", ".join(f"CAST(? AS {kind}) AS {quoted(name)}" for name, kind in types.items())
        self._statement = f"SELECT ({text}\n) IS TRUE FROM (SELECT {cast}) AS row"
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        self._database.setlimit(sqlite3.SQLITE_LIMIT_EXPR_DEPTH, MOST_DEPTH)
        self._database.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, LONGEST_PATTERN)
        self._database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
        self._database.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        self.columns = self._prepare()

    def __reduce__(self) -> tuple[Any, ...]:
        """Support processes of `datasets`, since a connection cannot be pickled."""
        return Where, (self.text, self.types, self.table)

    def _check_quotes(self) -> None:
        """Reject queries, and quoted names that are not columns, which SQLite would treat as
        strings."""
        for found in _QUOTED.finditer(self.text):
            name = next((part for part in found.groups() if part is not None), None)
            if name is not None and name.casefold() not in map(str.casefold, self.types):
                raise self._no_column(name)
        bare = _QUOTED.sub(" ", self.text)
        if re.search(r"\b(?:select|values)\b|;", bare, re.IGNORECASE):
            raise CephaloError(f"--where {self.told}: give a condition on columns, not a query")
        depth = accumulate((one == "(") - (one == ")") for one in bare)
        if min(depth, default=0) < 0:  # otherwise the rest would be outside of the condition
            raise CephaloError(f"--where {self.told} closes a parenthesis that it does not open")

    def _prepare(self) -> list[str]:
        """Return the columns that the expression reads. Raises CephaloError."""
        read, denied = set(), []

        def authorize(action: int, one: str | None, other: str | None, *_: Any) -> int:
            if action == sqlite3.SQLITE_READ and other:
                read.add(other)
            allowed = action in (sqlite3.SQLITE_READ, sqlite3.SQLITE_SELECT) or (
                action == sqlite3.SQLITE_FUNCTION and other in FUNCTIONS
            )
            if not allowed:
                denied.append(f"the function {other}" if other else "a statement")
            return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY

        # On a table, since SQLite does not report columns that stand for constants.
        columns = ", ".join(f"{quoted(name)} {kind}" for name, kind in self.types.items())
        try:
            self._database.execute(f"CREATE TABLE row ({columns})")
        except (sqlite3.Error, ValueError) as error:  # names that differ in case, or no columns
            raise CephaloError(
                f"--where: {self.table} has columns that SQLite cannot distinguish ({error})"
            ) from error
        self._database.set_authorizer(authorize)
        try:
            self._database.execute(f"SELECT ({self.text}\n) IS TRUE FROM row").close()
            self._database.execute(self._statement, [None] * len(self.types)).close()
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            raise self._mistake(str(error), denied) from error
        if not (columns := [name for name in self.types if name in read]):
            raise CephaloError(f"--where {self.told} names no column; {self._columns_told()}")
        return columns

    def _mistake(self, said: str, denied: list[str]) -> CephaloError:
        if found := re.search(r"no such column: (?:row\.)?(.+)", said):
            return self._no_column(found[1])
        if denied or "no such function" in said:
            what = denied[0] if denied else said.replace("no such function:", "the function")
            return CephaloError(
                f"--where {self.told} uses {what}; it takes comparisons, and, or, not, in, like, "
                f"is null, and the functions {', '.join(FUNCTIONS[1:])}"
            )
        return CephaloError(f"--where {self.told} cannot be read: {said}; {self._columns_told()}")

    def _no_column(self, name: str) -> CephaloError:
        near = difflib.get_close_matches(name, self.types, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return CephaloError(
            f"--where {self.told}: no column {name!r}; {hint}{self._columns_told()}; "
            "put strings in single quotes"
        )

    def _columns_told(self) -> str:
        return f"the columns of {self.table} are {', '.join(self.types)}"

    def __call__(self, row: Mapping[str, Any]) -> bool:
        """Return whether the condition holds for a row; null counts as false.

        Columns that the row lacks are null, lists and structures are JSON strings. Raises
        CephaloError if it cannot be evaluated.
        """
        values = [plain(row.get(name)) if name in self.columns else None for name in self.types]
        try:
            [(holds,)] = self._database.execute(self._statement, values).fetchall()
        except (sqlite3.Error, ValueError, OverflowError) as error:
            raise CephaloError(f"--where {self.told} cannot be evaluated: {error}") from error
        return bool(holds)


def types_of(schema: Iterable[Any]) -> dict[str, str]:
    """Return the columns of an Arrow schema that a condition may use: all but images and other
    bytes."""
    kinds = {field.name: str(field.type) for field in schema}
    return {name: sql_type(kind) for name, kind in kinds.items() if "binary" not in kind}


def sql_type(kind: str) -> str:
    """Return the SQLite type of an Arrow type; lists and structures are JSON strings."""
    if kind.startswith(("int", "uint", "bool")):
        return INTEGER
    return REAL if kind.startswith(("halffloat", "float", "double", "decimal")) else TEXT


def quoted(name: str) -> str:
    """Quote a name for SQLite."""
    return '"' + name.replace('"', '""') + '"'


def plain(value: Any) -> Any:
    """Convert a value of a row to SQLite."""
    if isinstance(value, str):  # half a surrogate pair is not valid UTF-8
        return value.encode("utf-8", "replace").decode()
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, list | dict | tuple):
        return plain(json.dumps(value, ensure_ascii=False, default=str))
    return str(value)  # a time or a decimal number
