"""Find the support of each quantity of an answer, directly or by derivation.

Quantities are supported directly if the source states them, if they are known or counted, or if
they can be read off the figure. The others are derived from supported ones, in rounds, until
nothing changes. The rest is rejected if there is a reason to, and left open otherwise, since text
cannot decide about much that the figure shows.
"""

import re
from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from cephalo.dataset_scripts.refinement.claims import Claim, claims_of, sentences
from cephalo.dataset_scripts.refinement.derivations import (
    MOST_TOLD,
    Derivation,
    derive_from_source,
    derive_from_told,
)
from cephalo.dataset_scripts.refinement.objections import objection
from cephalo.dataset_scripts.refinement.owners import GENERIC, owned_in_all, weight_of
from cephalo.dataset_scripts.refinement.printed import printed_basis, read_by_eye
from cephalo.dataset_scripts.refinement.quantities import GAP, Quantity, fold, parse
from cephalo.dataset_scripts.refinement.quotation import Source
from cephalo.dataset_scripts.refinement.support import Support, direct_support
from cephalo.dataset_scripts.refinement.words import stems
from cephalo.dataset_scripts.refinement.workings import Working, workings

MOST_CLAIMS = 80  # of a conversation that are checked; more are a table
ROUNDS = 4  # of derivations; a chain in an answer has fewer links
MOST_OF_NAME = 2  # quantities of one name, up to which the name identifies them
OPEN = "nothing in the text supports or contradicts it"
_EACH = re.compile(r"\b(?:each|every|per|an?|one) (second|minute|hour|day|week|year)\b")
_WORD = re.compile(r"[^\W\d_]{4,}")
_STEM = 6  # letters


@dataclass(frozen=True)
class Account:
    """The supports of the quantities of a conversation, and what is wrong with the first rejected
    one."""

    supports: tuple[Support, ...]
    missing: str | None


@lru_cache(maxsize=16)  # used by the check and for the row; holds images
def account(turns: tuple[tuple[str, str], ...], source: Source) -> Account:
    """Check the quantities of (question, answer) turns.

    Returns:
        The supports in the order of the quantities, and what is wrong with the first rejected one.
    """
    shown = [workings(text) for turn in turns for text in turn]
    if wrong := next((one for each in shown for one in each if not one.holds), None):
        return Account((), f"{wrong.text}: the working does not hold")
    claims = list(claims_of(turns))[:MOST_CLAIMS]
    supports = supported(claims, [one for each in shown for one in each if one.agrees], source)
    for claim, support in zip(claims, supports, strict=True):
        seen = support is not None and support.by == "seen"
        if support and not seen:
            continue
        if against := objection(claim, claims, source, seen):
            kept = tuple(filter(None, supports))
            return Account(kept, f"{claim.quantity.text}: {against}")
    left_open = (
        support or Support(claim.quantity.text, "open", OPEN)
        for claim, support in zip(claims, supports, strict=True)
    )
    return Account(tuple(left_open), None)


def supported(claims: list[Claim], shown: list[Working], source: Source) -> list[Support | None]:
    """Return the support of each claim, or None."""
    told = [claim.quantity for claim in claims]
    supports = [direct_support(claim, told, source) for claim in claims]
    for place, claim in enumerate(claims):
        if supports[place] is None and (basis := printed_basis(claim, source)):
            supports[place] = Support(claim.quantity.text, "printed", basis)
        if supports[place] is None and (working := worked_out(claim, shown)):
            supports[place] = Support(claim.quantity.text, "derived", working.text)
    for place, claim in enumerate(claims):
        if supports[place] is None and (found := from_source(claim, told, source)):
            supports[place] = Support(claim.quantity.text, "derived", found.text)
    from_each_other(claims, supports, {})
    seen = {
        place: basis
        for place, claim in enumerate(claims)
        if supports[place] is None and (basis := read_by_eye(claim, source))
    }
    from_each_other(claims, supports, seen)
    for place, basis in seen.items():
        supports[place] = supports[place] or Support(claims[place].quantity.text, "seen", basis)
    return supports


def from_each_other(
    claims: list[Claim], supports: list[Support | None], seen: dict[int, str]
) -> None:
    """Derive claims from supported claims and from those that are `seen`, in rounds."""
    tried: dict[int, list[Quantity]] = {}
    for _ in range(ROUNDS):
        known = [claims[one] for one in range(len(claims)) if supports[one] or one in seen]
        found = {}
        for place, claim in enumerate(claims):
            if supports[place] is not None:
                continue
            told = nearest(claim, known)
            if told == tried.get(place):  # nothing is new since the last round
                continue
            tried[place] = told
            if derivation := from_told(claim, told):
                found[place] = derivation
        if not found:
            return
        for place, derivation in found.items():
            supports[place] = Support(claims[place].quantity.text, "derived", derivation.text)


def worked_out(claim: Claim, shown: list[Working]) -> Working | None:
    """Return the calculation whose result is the claim, or None."""
    text = fold(claim.quantity.text)
    for working in shown:
        if len(working.result) == 1 and text.endswith(fold(working.result[0].text)):
            return working
    return None


def nearest(claim: Claim, known: list[Claim]) -> list[Quantity]:
    """Return the quantities of the nearest known claims in the same or earlier turns, at most
    MOST_TOLD, in order."""
    one = claim.quantity
    before = [other for other in known if other is not claim and other.number <= claim.number]
    before = [other for other in before if not _same(other.quantity, one)]
    order = sorted(range(len(before)), key=lambda place: distance(claim, before[place]))
    return [before[place].quantity for place in sorted(order[:MOST_TOLD])]


def from_told(claim: Claim, told: list[Quantity]) -> Derivation | None:
    """Derive a claim from the quantities beside it. Returns None if it does not follow."""
    one = claim.quantity
    for other in told:
        if one.unit is None and other.unit and one.value == other.value and not one.noun:
            return Derivation(other.text, (other,))  # without its unit, as in a calculation
    told = [*elliptic(one, told, claim.turn), *told, *each_unit(claim.turn)]
    return derive_from_told(one, claim.context, told)


def distance(claim: Claim, other: Claim) -> tuple[int, int, int]:
    """Return the distance between two claims in turns, texts and characters."""
    return (
        claim.number - other.number,
        other.text is not claim.text,
        abs(other.quantity.start - claim.quantity.start),
    )


def from_source(claim: Claim, told: list[Quantity], source: Source) -> Derivation | None:
    """Derive a claim from quantities of the source. Returns None if it does not follow."""
    if claim.is_small_count:
        return None
    groups = (
        named_group(claim.turn, source.passages),
        *groups_about(claim.turn, source.text),
    )
    others = [one for one in told if not _same(one, claim.quantity)]
    return derive_from_source(claim.quantity, claim.context, others, groups, parse(source.text))


def elliptic(claim: Quantity, told: list[Quantity], turn: str) -> list[Quantity]:
    """Return compared bare numbers in the unit of a claim: "by 0.1 days, from 0.6 to 0.5"."""
    if not claim.unit:
        return []
    bare = [one for one in told if one.unit is None and one.kind == "value"]
    text = fold(turn)
    pairs = [
        pair for pair in pairwise(bare) if re.search(compared(*pair), text) and pair[0] is not claim
    ]
    return [replace(one, unit=claim.unit, noun="") for pair in pairs for one in pair]


def compared(one: Quantity, other: Quantity) -> str:
    """Return a pattern for two compared numbers: "0.6 to 0.5", "110 instead of 106"."""
    return rf"(?<![\w.]){re.escape(one.text)}{GAP.pattern}{re.escape(other.text)}(?![\w.]\w)"


def each_unit(turn: str) -> list[Quantity]:
    """Return the quantities in "each minute", without a number."""
    return [one for name in _EACH.findall(turn) for one in parse(f"1 {name}")]


def _same(one: Quantity, other: Quantity) -> bool:
    """Return whether two quantities state the same, so that one cannot be derived from the
    other."""
    return one.text == other.text or (one.unit == other.unit and one.value == other.value)


@lru_cache(maxsize=256)
def groups_about(turn: str, source: str) -> tuple[list[Quantity], ...]:
    """Return the quantities of each sentence of a source about the subject of a turn.

    These sentences share at least half as many words with the turn as the best one.
    """
    said = _stems(turn)
    found = [(len(said & _stems(one)), list(parse(one))) for one in sentences(source)]
    found = [(shared, group) for shared, group in found if len(group) > 1]
    most = max((shared for shared, _ in found), default=0)
    return tuple(group for shared, group in found if most and 2 * shared >= most)


@lru_cache(maxsize=256)
def named_group(turn: str, passages: tuple[str, ...]) -> list[Quantity]:
    """Return the quantities of a source whose owners a turn names: "β-ocimene" and
    "spathulenol"."""
    said = stems(turn)
    owners = [
        (one.quantity, {s for s in one.near if weight_of(s) > GENERIC})
        for one in owned_in_all(passages)
    ]
    of_name = Counter(name for _, names in owners for name in names)
    return [
        quantity
        for quantity, names in owners
        if any(name in said and of_name[name] <= MOST_OF_NAME for name in names)
    ]


def _stems(text: str) -> set[str]:
    return {word[:_STEM].lower() for word in _WORD.findall(text)}
