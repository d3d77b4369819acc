"""Find direct support for a quantity of an answer.

A quantity is supported if the source states it (possibly in another unit, or less rounded), if it
counts what the source lists or the figure shows, or if it is a known constant.
"""

import re
from dataclasses import dataclass

from cephalo.dataset_scripts.refinement.claims import LETTERS, Claim, sentences
from cephalo.dataset_scripts.refinement.counting import (
    FREE,
    counted,
    listed,
    mentions,
    repeated,
    same_count,
)
from cephalo.dataset_scripts.refinement.facts import known_fact, known_number, molar_mass
from cephalo.dataset_scripts.refinement.quantities import Quantity, agrees, parse
from cephalo.dataset_scripts.refinement.quotation import Source
from cephalo.dataset_scripts.refinement.reactions import balanced
from cephalo.dataset_scripts.refinement.units import unit

PAIR = "a pair at most"
HALF = 0.5
_HOW_OFTEN = re.compile(r"\b[Hh]ow (?:often|many times)\b")
# Median doses, concentrations, times or sizes: LD50, EC50, IC50, GI50, DT50, T50, d50.
_MEDIAN = re.compile(
    r"\b(?:(?:[LEIT][CDT]|GI|GR|MIC|DT|T|[Dd])\s?50|median|half-(?:life|time|maximal))\b"
)
_YEARS = re.compile(
    r"\b(?P<first>1[89]\d\d|20\d\d)\s?(?:-|\u2013|to|and|until|through|till)\s?(?P<last>1[89]\d\d|20\d\d)\b"
)
_OF_HUNDRED = re.compile(r"\b(?P<part>\d+(?:\.\d+)?) (?:out )?of (?:every |each )?$")


@dataclass(frozen=True)
class Support:
    """The support of a claim.

    `by` is "source", "derived", "counted", "known", "printed", "seen" or "open". "seen" means read
    off the image, which text cannot verify.
    """

    claim: str
    by: str
    basis: str

    @property
    def says_more(self) -> bool:
        """Whether the basis adds something to the claim itself."""
        return self.basis not in (self.claim, PAIR)


def direct_support(claim: Claim, told: list[Quantity], source: Source) -> Support | None:
    """Return the support of a claim without a derivation, or None.

    `told` are the quantities of the conversation.
    """
    quantity, text, turn = claim.quantity, claim.text, claim.turn
    if quantity.is_count and quantity.value <= FREE:
        return Support(quantity.text, "counted", PAIR)
    if any(start <= quantity.start < end for start, end in balanced(text)):
        return Support(quantity.text, "known", "an equation that is balanced")
    if claim.is_small_count:
        basis = count_basis(quantity, claim.things, text, claim.sentence, turn, source)
        return Support(quantity.text, "counted", basis) if basis else None
    often = quantity.kind == "times" and quantity.value % 1 == 0 and _HOW_OFTEN.search(turn)
    words = tuple(LETTERS.findall(turn.lower()))
    if often and same_count(int(quantity.value), source.text, words):
        return Support(quantity.text, "counted", "a count of the source")
    for other in parse(source.text):
        if states(other, quantity):
            same = (quantity.value, quantity.unit) == (other.value, other.unit)
            return Support(quantity.text, "source", quantity.text if same else other.text)
    half = quantity.kind == "times" and quantity.value == HALF
    if half and _MEDIAN.search(f"{turn} {source.text}"):
        return Support(quantity.text, "known", "a median dose or time")
    if basis := counted_years(quantity, f"{text} {source.text}"):
        return Support(quantity.text, "known", basis)
    if basis := spelled_percent(quantity, text, [*told, *parse(source.text)]):
        return Support(quantity.text, "known", basis)
    known = (
        known_fact(quantity, turn, sentences(source.text))
        or molar_mass(quantity, f"{turn} {source.text}")
        or known_number(quantity)
    )
    return Support(quantity.text, "known", known) if known else None


def counted_years(claim: Quantity, text: str) -> str | None:
    """Return the span of years in `text` that a claim counts, with or without its first year, or
    None: "2017 to 2022" is five or six years."""
    if claim.unit != unit("year") and not claim.noun.startswith("year"):
        return None
    for match in _YEARS.finditer(text):
        years = int(match["last"]) - int(match["first"])
        if claim.value in (years, years + 1):
            return match.group()
    return None


def spelled_percent(claim: Quantity, text: str, stated: list[Quantity]) -> str | None:
    """Return the percentage that a claim of 100 spells out, or None: "65 of 100" is 65 %."""
    part = _OF_HUNDRED.search(text[: claim.start])
    if claim.value != 100 or claim.unit or not part:
        return None
    percent = parse(f"{part['part']} %")[0]
    return percent.text if any(one.unit and agrees(percent, one) for one in stated) else None


def states(other: Quantity, claim: Quantity) -> bool:
    """Return whether a source that contains `other` states the claim.

    If only one has a unit, the other must not count named things.
    """
    if claim.kind == "times" and other.kind == "value" and not other.unit:
        return False
    if claim.unit and not other.unit and (other.noun or other.kind == "times"):
        return False
    if other.unit and not claim.unit and claim.noun and claim.kind == "value":
        return False
    return agrees(claim, other)


def count_basis(
    claim: Quantity,
    things: tuple[str, ...],
    text: str,
    sentence: str,
    turn: str,
    source: Source,
) -> str | None:
    """Return what a small whole number of `things` counts, or None."""
    wanted, part = int(claim.value), _is_partitive(claim, text)
    if same_count(wanted, source.text, things if part else ()):
        return "a count of the source"
    if repeated(wanted, source.text, things):
        return f"{wanted} times in the source"
    if basis := counted(wanted, things, source.panels, source.text):
        return basis
    if part:
        return None
    if any(wanted in listed(one) for one in sentences(source.text) if mentions(one, things)):
        return f"a list of {wanted} in the source"
    if wanted in listed(sentence) or wanted in listed(turn):
        return "listed beside it"
    return None


def _is_partitive(claim: Quantity, text: str) -> bool:
    """Return whether a number refers to a part: "five of the micrographs"."""
    return bool(re.match(r"\s+of\s+(?:the|these|those|its|their|them|all)\b", text[claim.end :]))
