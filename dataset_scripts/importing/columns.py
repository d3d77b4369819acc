"""Assign the columns of a table to roles, by their names or by options."""

import re
from collections.abc import Iterable

from cephalo.cli.errors import CephaloError

NAMES = {
    "image": "image images file_name filename file image_file image_path path img picture",
    "caption": "caption captions text description",
    "question": "question query prompt instruction",
    "answer": "answer response completion output reply",
    "turns": "conversations messages conversation texts",
    "label": "label figure figure_label",
    "kind": "kind class category type",
    "document": "document paper document_name source_document article",
    "title": "title",
    "doi": "doi",
    "license": "license licence",
    "author": "author authors",
    "source_url": "source_url url link",
    "teacher": "teacher",
}
"""Column names of each role, in order of preference."""
ROLES = tuple(NAMES)


def plain(name: str) -> str:
    """Normalise a column name for comparison: "Image File" → "imagefile"."""
    return re.sub(r"[\W_]+", "", name.casefold())


def find_columns(names: Iterable[str], given: dict[str, str], place: str) -> dict[str, str]:
    """Return the column of each role that a table has.

    Args:
        names: Names of the columns.
        given: Columns given by the user, by role.
        place: Name of the table, for messages.

    Raises:
        CephaloError: If a given column is missing, or a role is ambiguous.
    """
    names = list(names)
    for role, name in given.items():
        if name not in names:
            raise CephaloError(
                f"--column {role}={name}: {place} has no such column; "
                f"it has {', '.join(names) or 'none'}"
            )
    left = [name for name in names if name not in given.values()]
    found = dict(given)
    for role, known in NAMES.items():
        if role in found:
            continue
        wanted = dict.fromkeys(map(plain, known.split()))
        there = [name for one in wanted for name in left if plain(name) == one]
        if len(there) > 1 and role in ("image", "caption", "question", "answer", "turns"):
            raise CephaloError(
                f"{place}: {' or '.join(map(repr, there))} could be the {role}; "
                f"choose one with --column {role}=NAME"
            )
        if there:
            found[role] = there[0]
    return found


def parse_given(options: Iterable[str]) -> dict[str, str]:
    """Parse the values of --column, "ROLE=NAME".

    Raises:
        CephaloError: If a value is invalid or a role is repeated.
    """
    found: dict[str, str] = {}
    for option in options:
        role, parted, name = option.partition("=")
        if not parted or not name or role not in ROLES or role in found:
            raise CephaloError(
                f"--column {option}: give ROLE=NAME, each role once, of {', '.join(ROLES)}"
            )
        found[role] = name
    return found
