"""Check and normalize the values of the fields of a decision."""

import reprlib
from collections.abc import Iterable
from typing import Any, Literal, get_args

LONGEST_TEXT = 20_000  # characters of a caption or label
DECIMALS = 2  # of a corrected box, in points
FARTHEST = 1e6  # points from the corner of a page; PDF pages end at 14,400
MOST_PANELS = 200  # of a figure
LONGEST_LETTER = 20  # characters of a panel's letter: "a", "b-d", "(iii)"

What = Literal["state", "caption", "label", "kind", "bbox", "panels"]
FIELDS: tuple[What, ...] = get_args(What)
PANEL = ("letter", "bbox", "caption")
ACCEPTED, REJECTED = "accepted", "rejected"


def check_value(what: str, value: object) -> None:
    """Raise ValueError, with a one-line reason, if a field cannot have a value."""
    if what == "state":
        if value not in (ACCEPTED, REJECTED, None):
            raise ValueError(f"state is {reprlib.repr(value)}; give accepted, rejected or null")
    elif what == "bbox":
        _check_box("bbox", value)
    elif value is None:
        return
    elif what == "panels":
        _check_panels(value)
    elif not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise ValueError(f"{what} is not a string of at most {LONGEST_TEXT:,} characters")
    elif what == "kind" and not value.strip():
        raise ValueError("kind is empty")
    elif any("\ud800" <= one <= "\udfff" for one in value):
        raise ValueError(f"{what} contains half a character (a lone surrogate); type it again")


def _check_box(name: str, value: object) -> None:
    if (
        not isinstance(value, list | tuple)
        or len(value) != 4
        or not all(isinstance(one, int | float) and abs(one) < FARTHEST for one in value)
    ):
        raise ValueError(f"{name} is not four numbers")
    if value[0] >= value[2] or value[1] >= value[3]:
        raise ValueError(f"{name} has no area")


def _check_panels(value: object) -> None:
    if not isinstance(value, list) or len(value) > MOST_PANELS:
        raise ValueError(f"panels are not a list of at most {MOST_PANELS}")
    total = 0
    for number, panel in enumerate(value, 1):
        if not isinstance(panel, dict) or set(panel) != set(PANEL):
            raise ValueError(f"panel {number} needs letter, bbox and caption, and nothing else")
        if panel["bbox"] is not None:
            _check_box(f"bbox of panel {number}", panel["bbox"])
        for name, most in (("letter", LONGEST_LETTER), ("caption", LONGEST_TEXT)):
            if not is_text(panel[name], most):
                raise ValueError(
                    f"{name} of panel {number} is not a string of at most {most:,} characters"
                )
        total += len(panel["caption"] or "")
    if total > LONGEST_TEXT:
        raise ValueError(f"the panels have more than {LONGEST_TEXT:,} characters of captions")


def is_text(value: object, most: int) -> bool:
    """Return whether a value is null or a string of at most `most` characters, no surrogates."""
    if value is None:
        return True
    if not isinstance(value, str) or len(value) > most:
        return False
    return not any("\ud800" <= one <= "\udfff" for one in value)


def is_value(what: str, value: object) -> bool:
    """Return whether a field can have a value."""
    try:
        check_value(what, value)
    except ValueError:
        return False
    return True


def plain(name: str, value: Any) -> object:
    """Return a value of a field, as `check_value` takes it, as stored in corrections: boxes are
    rounded."""
    if name == "bbox" and value is not None:
        return rounded(value)
    if name == "panels":
        return [
            {part: panel[part] for part in PANEL} | {"bbox": plain("bbox", panel["bbox"])}
            for panel in value or []
        ]
    return value


def rounded(bbox: Iterable[float]) -> list[float]:
    """Round a box to the precision of corrections."""
    return [round(float(side), DECIMALS) for side in bbox]
