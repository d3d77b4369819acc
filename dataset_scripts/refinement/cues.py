"""Patterns of phrases that are looked for only in texts that hold one of their words.

    PRAISE = Cues(r"\\bvaluable insights?\\b|\\bfascinating\\b", re.IGNORECASE)
    PRAISE.search(answer)  # None at once unless it holds "valuable insight" or "fascinating"

A regular expression of a hundred phrases tries each of them at each place of a text, and few texts
hold any. Which pieces of text every match must hold one of is read from the expression itself, so
that nothing is found or missed that `re` alone would not find or miss.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import product

# The tree of an expression, as `re` itself reads it: Python has no other way to it.
from re import _constants as ops  # pyright: ignore[reportAttributeAccessIssue]
from re import _parser as parser  # pyright: ignore[reportAttributeAccessIssue]
from typing import Any

SHORTEST = 2  # characters; single letters are in any text
MOST_EXACT = 64  # texts that a part of an expression may stand for, each written out

# What `re.IGNORECASE` takes for these letters besides the two that Python's `lower` knows of.
_ALSO = str.maketrans({"\u017f": "s", "\u0130": "i", "\u0131": "i", "\u212a": "k"})

Tree = Iterable[tuple[Any, Any]]
Texts = frozenset[str] | None


class Cues:
    """A regular expression that is only used on texts that it can match."""

    def __init__(self, pattern: str, flags: int = 0) -> None:
        self.pattern = re.compile(pattern, flags)
        self.pieces = pieces_of(pattern, flags)

    def can_match(self, text: str) -> bool:
        """Whether a text holds what every match does; False means that there is no match."""
        return self.pieces is None or any(map(lowered(text).__contains__, self.pieces))

    def search(self, text: str, start: int = 0, end: int = sys.maxsize) -> re.Match[str] | None:
        """As `re.Pattern.search`."""
        return self.pattern.search(text, start, end) if self.can_match(text) else None

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """As `re.Pattern.finditer`."""
        return self.pattern.finditer(text) if self.can_match(text) else iter(())


@lru_cache(maxsize=512)  # one text is held to dozens of expressions
def lowered(text: str) -> str:
    """A text without the difference of cases, as `re.IGNORECASE` sees ASCII letters."""
    return (text if text.isascii() else text.translate(_ALSO)).lower()


def pieces_of(pattern: str, flags: int = 0) -> tuple[str, ...] | None:
    """Pieces of text in lower case of which each match of an expression holds at least one, or None
    where there are none that a text is likely to lack."""
    found = _held(parser.parse(pattern, flags))
    if found is None:
        return None
    shortest_first = sorted(found, key=lambda piece: (len(piece), piece))
    kept: list[str] = []
    for piece in shortest_first:
        if not any(other in piece for other in kept):
            kept.append(piece)
    return tuple(kept)


def _held(tree: Tree) -> Texts:
    """Pieces of which every match of a sequence holds one: the longest, and of those the fewest."""
    choices: list[frozenset[str]] = []
    run = frozenset([""])  # what the parts before this one stand for, if it can be written out
    for op, value in tree:
        exact = _exact(op, value)
        if exact is not None and len(run) * len(exact) <= MOST_EXACT:
            run = _joined(run, exact)
            continue
        choices += [run, _held_by(op, value) or run]
        run = exact or frozenset([""])
    choices = [one for one in [*choices, run] if len(min(one, key=len)) >= SHORTEST]
    return max(choices, key=lambda one: (len(min(one, key=len)), -len(one)), default=None)


def _held_by(op: Any, value: Any) -> Texts:
    """Pieces of which every match of one part holds one."""
    if op is ops.BRANCH:
        each = [_held(branch) for branch in value[1]]
        return None if None in each else frozenset().union(*filter(None, each))
    if op is ops.SUBPATTERN:
        return _held(value[-1])
    if op is ops.ATOMIC_GROUP:
        return _held(value)
    if op in (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT) and value[0] > 0:
        return _held(value[2])
    return None


def _exact(op: Any, value: Any) -> Texts:
    """The texts that a part stands for, in lower case, or None where they cannot be written out."""
    if op in (ops.AT, ops.ASSERT, ops.ASSERT_NOT):  # of no width
        return frozenset([""])
    if op is ops.LITERAL and value < 128:
        return frozenset([chr(value).lower()])
    if op is ops.IN:
        plain = all(kind is ops.LITERAL and one < 128 for kind, one in value)
        return frozenset(chr(one).lower() for _, one in value) if plain else None
    if op is ops.SUBPATTERN:
        return _exact_row(value[-1])
    if op is ops.ATOMIC_GROUP:
        return _exact_row(value)
    if op is ops.BRANCH:
        each = [_exact_row(branch) for branch in value[1]]
        return None if None in each else frozenset().union(*filter(None, each))
    if op in (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT) and value[1] == 1:
        once = _exact_row(value[2])
        return once and (once if value[0] else once | {""})
    return None


def _exact_row(tree: Tree) -> Texts:
    """The texts that a sequence stands for, or None where they cannot be written out."""
    row = frozenset([""])
    for op, value in tree:
        exact = _exact(op, value)
        if exact is None or len(row) * len(exact) > MOST_EXACT:
            return None
        row = _joined(row, exact)
    return row


def _joined(before: frozenset[str], after: frozenset[str]) -> frozenset[str]:
    """Each text of one set followed by each of another."""
    return frozenset(map("".join, product(before, after)))
