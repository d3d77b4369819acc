"""Detect answers that negate a statement of the source, or reverse a conversion.

"ZnO absorbs red light" and "ZnO does not absorb red light" differ by the negation, "turns alpha
into beta" and "turns beta into alpha" by the order.
"""

import re
from functools import lru_cache

from cephalo.dataset_scripts.refinement.phrases import Phrases
from cephalo.dataset_scripts.refinement.words import (
    UNSPECIFIC,
    clauses,
    content,
    named,
    sentences,
    stems,
    words,
)

DENIED = 0.6  # least share of a clause's words in the clause that it negates

NOT = Phrases(
    r"(?:not|no|never|hardly|barely|neither|nor|cannot|can['\u2019]t|fail(?:s|ed)? to"
    r"|nothing|none|unable|lack(?:s|ed|ing)?|absence of|absent|devoid of|free (?:of|from))\b"
)
_INTO = Phrases(
    r"(?:turn|convert|transform|chang|transit|shift|switch|conver|reduc|oxidi[sz]|decompos)\w*\b"
)
# The first character alone rules out most places.
_PIECE = re.compile(
    r"[,\s](?:(?<=,)\s|(?<=\s)(?:that\s|and\s(?=(?:\w+\s){1,4}(?:is|are|was|were|can|could)\b)))"
)

Piece = tuple[str, frozenset[str], frozenset[str]]  # a clause, its stems, and those it negates

Conflict = tuple[str, str]  # what an answer states, and what another text states


def denied(
    sentence: str, passages: tuple[str, ...], present: frozenset[str] | None
) -> Conflict | None:
    """Return a clause of a sentence that negates a clause of the source or is negated there, or
    None.

    Both clauses must contain the negated word. With `present`, the clause of the source must have
    no other specific stems than these.
    """
    for clause, said, no in pieces(sentence):
        if len(said) < 2:
            continue
        for known, told, theirs in opposite_pieces(passages, bool(no)):
            shared = said & told
            if not shared & (no or theirs):
                continue
            if present is not None and not told - UNSPECIFIC <= present:
                continue
            if len(shared) >= max(2, DENIED * len(said)) and shared - UNSPECIFIC - (no or theirs):
                return f"“{clause[:60].strip()}”", f"“{known[:60].strip()}”"
    return None


def denial(clause: str) -> frozenset[str]:
    """Return the stems of the first word after the "not" of a clause: what it negates."""
    match = NOT.search(clause)
    if not match:
        return frozenset()
    return next((word.stems for word in words(clause[match.end() :]) if word.stems), frozenset())


@lru_cache(maxsize=256)
def all_pieces(passages: tuple[str, ...]) -> tuple[Piece, ...]:
    """Return the shortest clauses of all passages."""
    return tuple(piece for passage in passages for piece in pieces_of(passage))


@lru_cache(maxsize=256)  # figures of one paper share paragraphs
def pieces_of(passage: str) -> tuple[Piece, ...]:
    """Return the shortest clauses of a passage."""
    return tuple(piece for sentence in sentences(passage) for piece in pieces(sentence))


@lru_cache(maxsize=256)
def opposite_pieces(passages: tuple[str, ...], denying: bool) -> tuple[Piece, ...]:
    """Return those `all_pieces` without a negation for a clause with one (`denying`), and vice
    versa."""
    return tuple(piece for piece in all_pieces(passages) if bool(piece[2]) != denying)


@lru_cache(maxsize=64)  # an answer is compared with its source and with general knowledge
def pieces(sentence: str) -> tuple[Piece, ...]:
    """Split a sentence into its shortest clauses."""
    return tuple(
        (piece, content(piece), denial(piece))
        for clause in clauses(sentence)
        for piece in _PIECE.split(clause)
    )


def reversed_change(sentence: str, passages: tuple[str, ...]) -> Conflict | None:
    """Return a change from A to B that the source describes as one from B to A, or None."""
    said = change(sentence)
    if said is None:
        return None
    for known in changes_of(passages):
        first, second = said[0] - said[1], said[1] - said[0]
        left, right = known[0] - known[1], known[1] - known[0]
        if first & right and second & left and not (first & left or second & right):
            return f"{named(first & right)} turns into {named(second & left)}", "the contrary"
    return None


@lru_cache(maxsize=256)
def changes_of(passages: tuple[str, ...]) -> tuple[tuple[frozenset[str], frozenset[str]], ...]:
    """Return the changes that a source describes."""
    every = (change(sentence) for passage in passages for sentence in sentences(passage))
    return tuple(one for one in every if one)


def change(sentence: str) -> tuple[frozenset[str], frozenset[str]] | None:
    """Return the stems of what a sentence describes as changing and of what it changes into, or
    None."""
    verb = _INTO.search(sentence)
    if not verb:
        return None
    into = re.search(r"\b(?:into|to)\b(?!\s+be\b)", sentence[verb.end() :])
    if not into or into.start() > 60:
        return None
    between = sentence[verb.end() : verb.end() + into.start()]
    after = " ".join(re.split(r"[,;.]", sentence[verb.end() + into.end() :])[0].split()[:5])
    before = between if stems(between) else " ".join(sentence[: verb.start()].split()[-6:])
    first, second = (
        frozenset(one for one in stems(text) if not one[0].isdigit()) for text in (before, after)
    )
    return (first, second) if first and second else None
