"""Detect quantities that an answer gives under another condition than the source does.

"25 s at 370 °C" does not support "25 s at 440 °C". An answer is wrong if every sentence of the
source with the quantity gives a condition of the same dimension (temperature, rate, concentration),
none of them is the one in the answer, and the source states that one elsewhere.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from cephalo.dataset_scripts.refinement.owners import is_measure
from cephalo.dataset_scripts.refinement.quantities import GAP, Quantity, agrees, fold, parse
from cephalo.dataset_scripts.refinement.words import sentences

_AT = re.compile(
    r"\b(?:(?:at|under|below|above)\s(?:about\s|a\s|an\s)?(?:\w+\sof\s)?"
    r"|(?:an?|the)\s(?:\w+\s){1,2}of\s)$",
    re.IGNORECASE,
)

Stated = tuple[Quantity, tuple[Quantity, ...]]  # a quantity and the conditions in its sentence


def wrong_condition(question: str, answer: str, passages: tuple[str, ...]) -> str | None:
    """Return the first quantity of an answer that the source states under another condition, or
    None.

    The result is one line with both conditions.
    """
    stated = stated_in(passages)
    turn = [one for text in (question, answer) for one in conditions(text)]
    for said in parse(answer):
        if not has_unit(said) or not is_measure(said):
            continue
        same = [others for one, others in stated if one.unit and agrees(said, one)]
        for given in turn:
            alone = sum(of_one_dimension(one, given) for one in turn) == 1
            if of_one_dimension(said, given):  # conditions are not compared with themselves
                continue
            if not alone or not any(one.unit and agrees(given, one) for one, _ in stated):
                continue
            there = [[one for one in others if of_one_dimension(one, given)] for others in same]
            every = [one for each in there for one in each]
            if every and all(there) and not any(agrees(given, one) for one in every):
                said_text, right = said.text.strip(), every[0].text.strip()
                return f"{said_text} is stated with {right}; the answer gives it with {given.text}"
    return None


def has_unit(one: Quantity) -> bool:
    """Return whether a quantity is a value with a unit that is not a share, spread or change."""
    measured = one.kind == "value" and not one.change
    return measured and one.unit is not None and one.unit.dimension != "share"


def conditions(text: str) -> list[Quantity]:
    """Return the quantities of a text that are conditions: "at 370 °C", "at 1, 3 and 10 C"."""
    found: list[Quantity] = []
    for one in filter(has_unit, parse(text)):
        last = found[-1] if found else None
        listed = last and of_one_dimension(last, one) and GAP.fullmatch(text, last.end, one.start)
        if listed or _AT.search(text, 0, one.start):
            found.append(one)
    return found


def of_one_dimension(one: Quantity, other: Quantity) -> bool:
    """Return whether two quantities have units of the same dimension."""
    if one.unit is None or other.unit is None:
        return False
    return one.unit.dimension == other.unit.dimension


@lru_cache(maxsize=256)  # each source is compared with many answers
def stated_in(passages: tuple[str, ...]) -> tuple[Stated, ...]:
    """Return the quantities of all passages, each with the conditions in its sentence."""
    return tuple(pair for passage in passages for pair in _in_passage(passage))


def _in_passage(passage: str) -> Iterator[Stated]:
    for sentence in sentences(fold(passage)):
        under = conditions(sentence)
        for one in parse(sentence):
            yield one, tuple(other for other in under if other is not one)
