"""Which columns of a table hold what: guessed from their names, or given."""

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
"""What a row can have, and the names, in order, by which a column is taken for it."""
ROLES = tuple(NAMES)


def plain(name: str) -> str:
    """A column's name for comparison: "Image File" → "imagefile"."""
    return re.sub(r"[\W_]+", "", name.casefold())


def find_columns(names: Iterable[str], given: dict[str, str], place: str) -> dict[str, str]:
    """The column of each role that a table has.

    Args:
        names: The columns.
        given: Columns that the user gave, by their role.
        place: The table, for errors.

    Raises:
        CephaloError: Where a column that was given is not there, or two could be meant.
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
                f"say which with --column {role}=NAME"
            )
        if there:
            found[role] = there[0]
    return found


def parse_given(options: Iterable[str]) -> dict[str, str]:
    """What --column gives, "ROLE=NAME". Raises CephaloError."""
    found: dict[str, str] = {}
    for option in options:
        role, parted, name = option.partition("=")
        if not parted or not name or role not in ROLES or role in found:
            raise CephaloError(
                f"--column {option}: give ROLE=NAME, each role once, of {', '.join(ROLES)}"
            )
        found[role] = name
    return found
