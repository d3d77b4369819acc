"""Find chemical equations in prose, and check that atoms and charges are balanced."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from itertools import product

from cephalo.dataset_scripts.refinement.formulas import ELEMENTS
from cephalo.dataset_scripts.refinement.quantities import fold

MOST_TERMS = 8  # of both sides together
MOST_ATOMS = 500  # of one formula; a longer one is not a formula

_ELEMENT = "|".join(sorted(ELEMENTS.split(), key=len, reverse=True))
_PIECE = re.compile(rf"({_ELEMENT})(\d{{0,3}})|\(|\)(\d{{0,3}})")
_TERM = (
    r"(?:\d{1,3}(?:\.\d)? ?)?(?:e|[A-Z][A-Za-z0-9()]{0,30})(?:[+-]|\^\{?\d?[+-]\}?|[⁰-⁹²³]?[⁺⁻])?"
)
_SIDE = rf"{_TERM}(?: \+ {_TERM}){{0,5}}"
_EQUATION = re.compile(rf"(?<!\w)({_SIDE}) ?(?:→|⟶|⇌|⇄|↔|->|=) ?({_SIDE})(?!\w)")
_PARTS = re.compile(
    r"(?P<count>\d{1,3}(?:\.\d)?)? ?(?P<formula>e|[A-Z][A-Za-z0-9()]*)(?P<charge>[^A-Za-z0-9()]+)?$"
)
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")

Content = Counter[str]  # atoms by element, and the charge under ""


@lru_cache(maxsize=256)
def balanced(text: str) -> tuple[tuple[int, int], ...]:
    """Return the spans of the balanced equations in a text."""
    return tuple(
        match.span()
        for match in _EQUATION.finditer(fold(text))
        if is_balanced(match.group(1), match.group(2))
    )


def is_balanced(left: str, right: str) -> bool:
    """Return whether both sides are equal, for some reading of the charges of ions."""
    terms = [side.split(" + ") for side in (left, right)]
    if sum(map(len, terms)) > MOST_TERMS:
        return False
    sums = [{frozenset(one.items()) for one in sums_of(side)} for side in terms]
    return bool(sums[0] & sums[1])


def sums_of(terms: list[str]) -> Iterator[Content]:
    """Yield the total content of the terms of a side, for each reading."""
    for readings in product(*(list(contents(term)) for term in terms)):
        total: Content = Counter()
        for one in readings:
            total.update(one)
        yield Counter({name: count for name, count in total.items() if count})


def contents(term: str) -> Iterator[Content]:
    """Yield the readings of a term: "2 Fe2+" is two iron ions of charge 2, or two of two atoms
    each."""
    match = _PARTS.match(term.strip())
    if not match:
        return
    count, formula = float(match["count"] or 1), match["formula"]
    charge = (match["charge"] or "").translate(_RAISED).strip("^{} ")
    sign = -1 if "-" in charge else 1
    digits = charge.strip("+-")
    readings = [(formula, sign * int(digits or 1) if charge else 0)]
    if charge and not digits and formula[-1].isdigit():
        readings.append((formula[:-1], sign * int(formula[-1])))
    for name, charged in readings:
        atoms = Counter() if name == "e" else atoms_of(name)
        if atoms is None:
            continue
        total = Counter({element: count * number for element, number in atoms.items()})
        charge_of_all = count * (charged or (-1 if name == "e" else 0))
        total[""] = charge_of_all  # pyright: ignore[reportArgumentType]  # may be a fraction
        yield total


def atoms_of(formula: str) -> Content | None:
    """Return the atoms of a formula, or None if it is not one."""
    stack: list[Content] = [Counter()]
    place = 0
    while place < len(formula):
        match = _PIECE.match(formula, place)
        if not match:
            return None
        place = match.end()
        if match.group() == "(":
            stack.append(Counter())
        elif match[1]:
            stack[-1][match[1]] += int(match[2] or 1)
        elif len(stack) > 1:
            inner = stack.pop()
            stack[-1].update({one: number * int(match[3] or 1) for one, number in inner.items()})
        else:
            return None
    return stack[0] if len(stack) == 1 and 0 < sum(stack[0].values()) <= MOST_ATOMS else None
