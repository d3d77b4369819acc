"""Reasons to reject a quantity that neither the source nor a derivation supports."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from cephalo.dataset_scripts.refinement.claims import SMALL, Claim
from cephalo.dataset_scripts.refinement.printed import axes_of, has_scale, printed_words
from cephalo.dataset_scripts.refinement.quantities import Quantity, agrees, digits_of, fold, parse
from cephalo.dataset_scripts.refinement.quotation import Source
from cephalo.dataset_scripts.refinement.results import dimension
from cephalo.dataset_scripts.refinement.support import states
from cephalo.dataset_scripts.refinement.units import UNIT, Unit, unit

_RATIO = re.compile(r"\b(?:ratio|factor) (?:of|is) (?:about |roughly |nearly )?$")
# Before the amount of a change, and between its initial and final value.
_CHANGED = re.compile(
    r"\b(?:lo(?:st|ses?)|loss of|by|gain(?:s|ed)?(?: of)?|(?:rise|drop|fall|decrease|increase|gap"
    r"|reduction|decline|difference|change) of)\s(?:about |roughly |nearly |some |almost )?$",
    re.IGNORECASE,
)
_FROM_TO = re.compile(r"\s(?:to|and|against|versus)\s(?:about |roughly |only )?")
BEFORE = 40  # characters before a quantity that describe it
# Least ratio between a value and its reading in another unit; prefixes differ by ten and more.
FAR = 9.0
OFF = 0.2  # relative tolerance of a ratio of rounded values
NEAR = 3.0  # factor by which a value may exceed the stated range in the right unit


def objection(claim: Claim, claims: list[Claim], source: Source, seen: bool) -> str | None:
    """Return the reason to reject a claim, or None if text cannot decide.

    Args:
        claim: Quantity of an answer without support other than, if `seen`, reading it off the
            image.
        claims: All quantities of the conversation.
        source: What the paper states about the figure.
        seen: Whether the quantity can be read off the image.
    """
    one = claim.quantity
    if stated := stated_in_other_unit(one, source):
        return f"the source says {stated}"
    if right := in_other_unit_than_axes(one, source):
        return f"the figure has {right}"
    if told := against_told(claim, claims):
        return f"{told} give another result"
    if is_many(claim) and not has_scale(source):
        return "no count of the source or of a list in it"
    if seen or claim.is_small_count or elsewhere(one, source):
        return None
    return "neither in the source nor a result"


def elsewhere(one: Quantity, source: Source) -> bool:
    """Return whether the paper states a quantity with a unit at another figure: it is not
    invented."""
    told = (other for passages in source.others for said in passages for other in parse(said))
    return one.unit is not None and any(other.unit and states(other, one) for other in told)


def is_many(claim: Claim) -> bool:
    """Return whether a claim is an exact count of more things than one can see at a glance."""
    one = claim.quantity
    counts = one.is_count and one.value > SMALL and not one.approximate and digits_of(one) > 1
    of_formula = re.search(rf"[A-Za-z)\]]{one.value:g}(?!\d)", claim.turn)
    return counts and bool(claim.things) and not of_formula


def stated_in_other_unit(one: Quantity, source: Source) -> str | None:
    """Return the quantity of the source with the same digits in another unit of the same dimension,
    or None."""
    if not one.unit or one.kind != "value":
        return None
    for other in stated(source):
        if other.unit and other.kind == "value" and dimension(other) == dimension(one):
            same = abs(other.value) == abs(one.value) and other.unit.name != one.unit.name
            if same and other.unit.basis == one.unit.basis and not agrees(one, other):
                return other.text
    return None


def stated(source: Source) -> Iterator[Quantity]:
    """Yield the quantities in the text of a source, then those printed in its figures."""
    yield from parse(source.text)
    for words in printed_words(source):
        for word in words:
            yield from parse(word)


def in_other_unit_than_axes(one: Quantity, source: Source) -> str | None:
    """Return the only unit of the claim's dimension in the figure, if the number fits that unit and
    not its own, or None."""
    if not one.unit or one.kind != "value" or one.unit.offset or not one.value:
        return None
    units = {known.name: known for known in units_of(source) if known.dimension == dimension(one)}
    if not units or one.unit.name in units:
        return None
    size = abs(one.value)
    for known in units.values():
        factor = one.unit.factor / known.factor
        if 1 / FAR < factor < FAR:
            return None
        ranges = list(ranges_in(known, source))
        if any(low / NEAR <= size * factor <= high * NEAR for low, high in ranges):
            return None
    name, known = next(iter(units.items()))
    fits = any(low <= size <= high for low, high in ranges_in(known, source))
    return name if fits else None


def units_of(source: Source) -> Iterator[Unit]:
    """Yield the units in the text of a source and in its figures."""
    yield from units_in(source.text)
    for words in printed_words(source):
        yield from units_in(*words)


@lru_cache(maxsize=256)  # each source is compared with every quantity of many answers
def units_in(*texts: str) -> tuple[Unit, ...]:
    """Return the distinct units in texts that have more than one letter."""
    found = {}
    for text in texts:
        for match in UNIT.finditer(text):
            before = text[max(match.start() - 1, 0) : match.start()]
            if len(match.group()) > 1 and not before.isalpha() and (known := unit(match.group())):
                found.setdefault(known.name, known)
    return tuple(found.values())


def ranges_in(known: Unit, source: Source) -> Iterator[tuple[float, float]]:
    """Yield the range of the values that are stated in a unit, and the range of each axis."""
    sizes = [abs(one.value) for one in parse(source.text) if one.unit == known and one.value]
    if sizes:
        yield min(sizes), max(sizes)
    for axis in axes_of(source):
        yield 0.0, max(abs(axis.low), abs(axis.high))


def against_told(claim: Claim, claims: Iterable[Claim]) -> str | None:
    """Return the two quantities beside a claim whose ratio, difference or relative change differs
    from it, or None."""
    one = claim.quantity
    before = claim.text[max(0, one.start - BEFORE) : one.start]
    times = one.kind == "times" or bool(_RATIO.search(before))
    if not times and not (one.unit and _CHANGED.search(before)):
        return None
    beside = [
        other.quantity
        for other in claims
        if other.text is claim.text
        and other.sentence == claim.sentence
        and other is not claim
        and other.quantity.unit
        and other.quantity.kind == "value"
        and not other.quantity.unit.offset
    ]
    text = fold(claim.text)
    if len(beside) > 2 and _FROM_TO.fullmatch(text[beside[0].end : beside[1].start]):
        beside = beside[:2]
    if len(beside) != 2 or dimension(beside[0]) != dimension(beside[1]):
        return None
    small, large = sorted(abs(other.base) for other in beside)
    if not small:
        return None
    said = abs(one.value) * (one.unit.factor if times and one.unit else 1.0)
    results = (large / small, small / large, 1 - small / large)
    if not times:
        if not _FROM_TO.fullmatch(text[beside[0].end : beside[1].start]):
            return None
        share, said = dimension(one) == "share", abs(one.scaled)
        if not share and dimension(one) != dimension(beside[0]):
            return None
        results = (*results, large / small - 1) if share else ()
        results += (large - small,) if dimension(one) == dimension(beside[0]) else ()
    far = all(abs(result - said) > OFF * max(result, said) for result in results)
    return f"{beside[0].text} and {beside[1].text}" if far else None
