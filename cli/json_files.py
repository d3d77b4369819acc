"""Read JSON files that users, crashed runs and other programs may have written."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from cephalo.cli.errors import CephaloError

# A JSON value of unknown type; narrow it with isinstance.
Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None


def parse_object(text: str | bytes) -> dict[str, Json]:
    """Return the object in a JSON text. Raises ValueError if it is another value or not JSON."""
    try:
        found: Json = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")
    return found


def read_object(path: Path, mend: str) -> dict[str, Json]:
    """Return the object in a JSON file.

    `mend` tells the user how to fix a damaged file. Raises FileNotFoundError, and CephaloError if
    the file is damaged or cannot be read.
    """
    try:
        return parse_object(path.read_bytes())
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise CephaloError(f"{path} is damaged ({error}); {mend}") from error


def strings(value: Json) -> Iterator[str]:
    """Yield every string in a JSON value, including keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
