"""Derive quantities from others: differences, sums, ratios, relative changes.

Some pair of a source's quantities matches almost any invented number by chance. Operands therefore
count only if they are stated beside the result, if they occur together in a sentence about the same
subject, or if few pairs could give so precise a result.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from math import log, log10

from cephalo.dataset_scripts.refinement.laws_of_quantities import by_law
from cephalo.dataset_scripts.refinement.quantities import ABOUT, Quantity, within
from cephalo.dataset_scripts.refinement.results import (
    Result,
    count_results,
    dimension,
    distinct,
    natural_pairs,
    pair_results,
    part_of_stated,
    part_results,
    power_results,
    slope_results,
    triple_results,
)

RATIO_SLACK = 0.1  # relative tolerance of "twice" or "five times"
ORDER_SLACK = 0.35  # tolerance of "an order of magnitude", as a power of ten
# Maximum expected number of pairs that give a result by chance, for pairs within a sentence about
# the same subject and for all pairs.
CHANCE_TOGETHER, CHANCE_ANYWHERE = 0.3, 0.1
DECADE = log(10)  # results are assumed uniform over one decade of the logarithm
MOST_TOLD = 12  # operands in an answer
MOST_STATED = 60  # operands in a source

# Words by which an answer indicates a derivation.
_DERIVES = re.compile(
    r"\b(?:differ\w*|more|less|fewer|larger|smaller|higher|lower|wider|narrower|thicker|thinner|faster"
    r"|slower|stronger|weaker|longer|shorter|deeper|coarser|finer|hotter|colder|gain\w*|loss\w*|los[te]\w*"
    r"|drop\w*|fall\w*|fell|rise\w*|rose|increas\w*|decreas\w*|declin\w*|reduc\w*|gr[eo]w\w*|shr[iau]nk\w*"
    r"|span\w*|gap|apart|further|additional|extra|remain\w*|retain\w*|retention|left|total\w*|together|sum"
    r"|combin\w*|mean|averag\w*|interval|window|shift\w*|chang\w*|ratio|factor|times|fold|doubl\w*|tripl\w*"
    r"|halv\w*|half|twice|third|quarter|magnitude|exceed\w*|compared|improv\w*|contract\w*|expan\w*|wide"
    r"|spread|within|range|between|from|amounts?|lasts?|takes?|takes|covers?|efficien\w*|share|part"
    r"|fraction|percent\w*|%)(?!\w)",
    re.IGNORECASE,
)


_EACH = re.compile(
    r"\b(?:each|every|per|apiece|respectively|total|altogether|in all|together"
    r"|(?:sets?|groups?|rows?|pairs?|blocks?|series) of)\b",
    re.IGNORECASE,
)
_MEAN = re.compile(r"\b(?:mean|averag\w*|middle|mid\w*|cent(?:re|er)\w*|halfway)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Derivation:
    """The derivation of a quantity from others: "1062.5 V - 649.2 V = 413.3 V"."""

    text: str
    operands: tuple[Quantity, ...]


def derive_from_told(claim: Quantity, sentence: str, told: Iterable[Quantity]) -> Derivation | None:
    """Derive a claim from the quantities beside it. Returns None if it does not follow.

    Args:
        claim: Quantity that an answer states.
        sentence: Its sentence.
        told: Quantities of the question and the answer, the nearest first.
    """
    told = distinct(told)[:MOST_TOLD]
    of_laws = by_law(claim, told)
    results = chain(
        pair_results(claim, told),
        triple_results(claim, told),
        part_results(claim, told),
        slope_results(claim, told),
        (Result(value, dimension(claim), text, of) for value, text, of in of_laws),
        power_results(claim, told),
        count_results(claim, told) if claim.is_count and _EACH.search(sentence) else (),
    )
    for result in results:
        if fits(claim, result) and (result.dimension != "mean" or _MEAN.search(sentence)):
            return _derivation(claim, result)
    return None


def derive_from_source(
    claim: Quantity,
    sentence: str,
    told: list[Quantity],
    together: Iterable[list[Quantity]],
    stated: Iterable[Quantity],
) -> Derivation | None:
    """Derive a claim from quantities of the source. Returns None if it does not follow.

    Args:
        claim: Quantity that an answer states.
        sentence: Its sentence.
        told: Quantities of the question and the answer.
        together: Groups of quantities, each from one sentence of the source about the same subject.
        stated: All quantities of the source.
    """
    if not _DERIVES.search(sentence):
        return None
    told = distinct(told)[:MOST_TOLD]
    pairs = [pair for group in together for pair in natural_pairs(claim, group)]
    near = [result for pair in pairs for result in pair_results(claim, pair, products=False)]
    near += part_of_stated(claim, told, sentence, together)
    stated = distinct(stated)[:MOST_STATED]
    parts = list(part_of_stated(claim, told, sentence, [stated]))
    every = pairs_of_source(shape_of(claim), tuple(stated))
    for results, chance in (
        (near, CHANCE_TOGETHER),
        (parts, CHANCE_TOGETHER),
        (every, CHANCE_ANYWHERE),
    ):
        found = next((result for result in results if fits(claim, result)), None)
        if found is None:
            continue
        others = {round(result.value, 12) for result in results}
        if len(others) * 2 * _slack(claim) / DECADE <= chance:
            return _derivation(claim, found)
    return None


def shape_of(claim: Quantity) -> Quantity:
    """Return a copy of a claim reduced to what decides which results apply, independent of its
    value."""
    value = 0.5 if claim.value < 1 else 1.5 if claim.value % 1 else 1.0
    return Quantity(
        "point" if "point" in claim.text else "",
        0,
        0,
        value,
        1.0 if claim.place >= 1 else 0.1,
        claim.unit,
        kind=claim.kind,
    )


@lru_cache(maxsize=64)  # each source is compared with every quantity of many answers
def pairs_of_source(shape: Quantity, stated: tuple[Quantity, ...]) -> tuple[Result, ...]:
    """Return all results of two quantities of a source."""
    return tuple(pair_results(shape, list(stated), products=False))


def fits(claim: Quantity, result: Result) -> bool:
    """Return whether a result equals a claim within the rounding of the claim."""
    value = abs(result.value)
    if claim.kind == "orders":
        return value > 0 and abs(log10(value) - claim.value) <= ORDER_SLACK
    factor = claim.unit.factor if claim.unit else 1.0
    said, place = abs(claim.value) * factor, claim.place * factor
    if result.dimension == "mean" and claim.unit:
        said = abs(claim.base)
    if claim.kind == "times":
        place = min(place, 2 * RATIO_SLACK * said)
    elif claim.unit and claim.unit.dimension == "share":
        place = min(place, 4 * RATIO_SLACK * said)
    elif claim.is_count:
        place = min(place, 0.1) if "%" not in result.text else 1.0  # counts are exact
    return said > 0 and within(said, value, place, claim.approximate)


def _slack(claim: Quantity) -> float:
    """Return the relative tolerance of a claim."""
    size = abs(claim.value)
    if claim.kind == "orders" or not size:
        return 1.0
    slack = max(0.5 * claim.place / size, ABOUT / 2 if claim.approximate else 0.0)
    return min(slack, RATIO_SLACK) if claim.kind == "times" else slack


def _derivation(claim: Quantity, result: Result) -> Derivation:
    value = abs(result.value)
    if claim.unit and result.dimension != "ratio":
        zero = claim.unit.offset if result.dimension == "mean" else 0.0
        shown = f"{(value - zero) / claim.unit.factor:.4g} {claim.unit.name}"
    elif claim.unit:
        shown = f"{100 * value:.4g} %"
    else:
        shown = f"{value:.4g}"
    return Derivation(f"{result.text} = {shown}", result.operands)
