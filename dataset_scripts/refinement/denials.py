"""Whether an answer denies what its source says, or has a change the other way round.

"ZnO absorbs red light" and "ZnO does not absorb red light" differ by what is denied, "turns alpha
into beta" and "turns beta into alpha" by what comes first.
"""

import re
from functools import lru_cache

from cephalo.dataset_scripts.refinement.cues import Cues
from cephalo.dataset_scripts.refinement.words import (
    UNSPECIFIC,
    clauses,
    content,
    named,
    sentences,
    stems,
    words,
)

DENIED = 0.6  # share of a clause's words that the clause which it denies must have

NOT = Cues(
    r"\b(?:not|no|never|hardly|barely|neither|nor|cannot|can['\u2019]t|fail(?:s|ed)? to"
    r"|nothing|none|unable|lack(?:s|ed|ing)?|absence of|absent|devoid of|free (?:of|from))\b",
    re.IGNORECASE,
)
_INTO = Cues(
    r"\b(?:turn|convert|transform|chang|transit|shift|switch|conver|reduc|oxidi[sz]|decompos)\w*\b",
    re.IGNORECASE,
)
_PIECE = re.compile(r",\s|\sthat\s|\sand\s(?=(?:\w+\s){1,4}(?:is|are|was|were|can|could)\b)")

Conflict = tuple[str, str]  # what an answer says, and what is said elsewhere


def denied(
    sentence: str, passages: tuple[str, ...], present: frozenset[str] | None
) -> Conflict | None:
    """A clause that the source has with a "not", or the other way round.

    The word that is denied must stand in both.
    """
    for clause in pieces(sentence):
        said, no = content(clause), denial(clause)
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
    """The stems of what a clause denies: the first word after its "not"."""
    match = NOT.search(clause)
    if not match:
        return frozenset()
    return next((word.stems for word in words(clause[match.end() :]) if word.stems), frozenset())


@lru_cache(maxsize=256)
def all_pieces(passages: tuple[str, ...]) -> tuple[tuple[str, frozenset[str], frozenset[str]], ...]:
    """The short clauses of all passages, with their stems and what they deny."""
    return tuple(
        (piece, content(piece), denial(piece))
        for passage in passages
        for sentence in sentences(passage)
        for piece in pieces(sentence)
    )


@lru_cache(maxsize=256)
def opposite_pieces(
    passages: tuple[str, ...], denying: bool
) -> tuple[tuple[str, frozenset[str], frozenset[str]], ...]:
    """Those of `all_pieces` that deny nothing, for a clause that does, or else those that deny."""
    return tuple(piece for piece in all_pieces(passages) if bool(piece[2]) != denying)


def pieces(sentence: str) -> list[str]:
    """The shortest clauses of a sentence."""
    return [piece for clause in clauses(sentence) for piece in _PIECE.split(clause)]


def reversed_change(sentence: str, passages: tuple[str, ...]) -> Conflict | None:
    """A change from A into B that the source has from B into A."""
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
    """The changes of which a source speaks."""
    every = (change(sentence) for passage in passages for sentence in sentences(passage))
    return tuple(one for one in every if one)


def change(sentence: str) -> tuple[frozenset[str], frozenset[str]] | None:
    """What a sentence says to change, and into what, as stems."""
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
