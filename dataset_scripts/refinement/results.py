"""Compute results of a few quantities: sums, differences, ratios, changes, parts, slopes,
powers."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, permutations, product

from cephalo.dataset_scripts.refinement.quantities import Quantity, comparable
from cephalo.dataset_scripts.refinement.units import Unit

FEW_ALIKE = 4  # quantities of one unit in a sentence, up to which any two form a difference
NATURAL = 12  # quantities of one unit in a sentence; more are a table
_REST = re.compile(
    r"\b(?:rest|remain\w*|left|other|others|un\w+ed|surviv\w*|lost|los[es]\w*|missing|kept|only)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Result:
    """A value in base units of a dimension, and its derivation as `text`."""

    value: float
    dimension: str
    text: str
    operands: tuple[Quantity, ...]


def pair_results(
    claim: Quantity, operands: list[Quantity], products: bool = True
) -> Iterator[Result]:
    """Yield the results of two operands that have the claim's dimension."""
    for one in operands:
        if dimension(claim) == "share" and dimension(one) == "share" and one.kind == "value":
            yield Result(abs(1 - absolute(one)), "share", f"100 % - {one.text}", (one,))
        if one.kind == "times" and (dimension(claim) == "share" or claim.kind == "times"):
            yield Result(abs(one.value - 1), "ratio", f"{one.text} - 1", (one,))  # "1.5-fold"
            if dimension(claim) == "share":  # of a whole that consists of both parts
                part = f"{one.text} / ({one.text} + 1)"
                yield Result(one.value / (one.value + 1), "ratio", part, (one,))
        if (
            products
            and claim.unit
            and one.unit
            and one.base
            and _combined(None, one.unit, -1) == (dimension(claim))
        ):
            yield Result(1 / absolute(one), dimension(claim), f"1 / {one.text}", (one,))
    for one, other in combinations(operands, 2):
        a, b = sorted((one, other), key=absolute, reverse=True)
        yield from _multiples(claim, one, other)
        if comparable(a, b) and dimension(a) == dimension(b):
            yield from _of_one_kind(claim, a, b)
        if products and claim.kind == "value":
            yield from _products(claim, a, b)


def _of_one_kind(claim: Quantity, a: Quantity, b: Quantity) -> Iterator[Result]:
    """Yield differences, sums, means, ratios and changes of comparable quantities a ≥ b."""
    large, small = _difference_base(a), _difference_base(b)
    share = dimension(claim) == "share" or (claim.kind == "times" and claim.value < 1)
    if "point" in claim.text and share:  # percentage points
        yield Result(large - small, "share", f"{a.text} - {b.text}", (a, b))
        return
    plain = claim.is_count and a.unit is not None
    ratio = claim.kind in ("times", "orders") or share or plain
    if ratio and small and large and not _offset(a):
        yield Result(large / small, "ratio", f"{a.text} / {b.text}", (a, b))
        if claim.kind != "orders" and not plain:
            yield Result(small / large, "ratio", f"{b.text} / {a.text}", (a, b))
        if share:
            change = f"({a.text} - {b.text})"
            yield Result((large - small) / large, "ratio", f"{change} / {a.text}", (a, b))
            yield Result((large - small) / small, "ratio", f"{change} / {b.text}", (a, b))
    if claim.kind == "value" and dimension(a) == dimension(claim):
        if a.value * b.value < 0:
            small = -small
        yield Result(large - small, dimension(claim), f"{a.text} - {b.text}", (a, b))
        yield Result((absolute(a) + absolute(b)) / 2, "mean", f"({a.text} + {b.text}) / 2", (a, b))
        if not _offset(a):
            yield Result(large + small, dimension(claim), f"{a.text} + {b.text}", (a, b))


def _multiples(claim: Quantity, one: Quantity, other: Quantity) -> Iterator[Result]:
    """Yield multiples and parts of a quantity: 64-fold of 16 is 1024."""
    for times, whole in ((one, other), (other, one)):
        alike = whole.kind == claim.kind == "value" and dimension(whole) == dimension(claim)
        if times.kind == "times" and times.value and alike and not _offset(whole):
            size = absolute(whole)
            text = f"{times.text} × {whole.text}"
            yield Result(size * times.value, dimension(claim), text, (times, whole))
            text = f"{whole.text} / {times.text}"
            yield Result(size / times.value, dimension(claim), text, (times, whole))


def _products(claim: Quantity, a: Quantity, b: Quantity) -> Iterator[Result]:
    """Yield products and quotients of two quantities that have the claim's dimension."""
    if not claim.unit or not (a.unit or b.unit) or "share" in (dimension(a), dimension(b)):
        return
    if any(not one.unit and not one.is_count for one in (a, b)):
        return
    left, right = _difference_base(a), _difference_base(b)
    wanted = dimension(claim)
    if _combined(a.unit, b.unit, 1) == wanted:
        yield Result(left * right, wanted, f"{a.text} \u00d7 {b.text}", (a, b))
    if right and _combined(a.unit, b.unit, -1) == wanted:
        yield Result(left / right, wanted, f"{a.text} / {b.text}", (a, b))
    if left and _combined(b.unit, a.unit, -1) == wanted:
        yield Result(right / left, wanted, f"{b.text} / {a.text}", (b, a))


def slope_results(claim: Quantity, operands: list[Quantity]) -> Iterator[Result]:
    """Yield slopes of one quantity over another, and numbers of steps in a range."""
    united = [one for one in operands if one.kind == "value" and one.unit]
    ranges = [pair for pair in combinations(united, 2) if dimension(pair[0]) == dimension(pair[1])]
    if claim.is_count:
        for (a, b), step in product(ranges, united):
            if dimension(step) != dimension(a) or step in (a, b) or not _difference_base(step):
                continue
            steps = _span(a, b) / _difference_base(step)
            yield Result(steps + 1, "", f"({a.text} - {b.text}) / {step.text} + 1", (a, b, step))
            yield Result(steps, "", f"({a.text} - {b.text}) / {step.text}", (a, b, step))
    if claim.kind != "value" or not claim.unit:
        return
    for (a, b), (c, d) in permutations(ranges, 2):
        if _span(c, d) and _combined(a.unit, c.unit, -1) == dimension(claim):
            value = _span(a, b) / _span(c, d)
            text = f"({a.text} - {b.text}) / ({c.text} - {d.text})"
            yield Result(value, dimension(claim), text, (a, b, c, d))


def _span(one: Quantity, other: Quantity) -> float:
    return abs(one.base - other.base)


def part_results(claim: Quantity, operands: list[Quantity]) -> Iterator[Result]:
    """Yield a percentage of another quantity, and the remainder or sum: 5 % of 12.6 m²."""
    if claim.kind != "value" or dimension(claim) == "share":
        return
    if not claim.unit and not claim.is_count:
        return
    shares = [one for one in operands if one.kind == "value" and dimension(one) == "share"]
    wholes = [one for one in operands if dimension(one) == dimension(claim) and not _offset(one)]
    parts = [(one, absolute(one)) for one in shares]
    for whole in wholes:
        size = absolute(whole)
        for one, part in parts:
            for factor, name in ((part, ""), (1 - part, "100 % - "), (1 + part, "100 % + ")):
                value = factor * size
                text = f"{name}{one.text} of {whole.text}"
                yield Result(value, dimension(claim), text, (one, whole))


def part_of_stated(
    claim: Quantity, told: list[Quantity], sentence: str, together: Iterable[list[Quantity]]
) -> Iterator[Result]:
    """Yield percentages of the answer applied to quantities of the source, and the remainders of
    percentages of the source."""
    stated = distinct(one for group in together for one in group)
    shares = [one for one in told if one.kind == "value" and dimension(one) == "share"]
    wholes = [one for one in stated if dimension(one) != "share"]
    yield from part_results(claim, [*shares, *wholes])
    if dimension(claim) == "share" and _REST.search(sentence):
        for one in stated:
            if one.kind == "value" and dimension(one) == "share":
                yield Result(1 - absolute(one), "share", f"100 % - {one.text}", (one,))


def power_results(claim: Quantity, operands: list[Quantity]) -> Iterator[Result]:
    """Yield squares, cubes and roots of multiples: 5 times as wide, 25 times the area."""
    if claim.kind != "times":
        return
    for one in operands:
        if one.kind != "times" or not one.value:
            continue
        for power, sign in ((2, "²"), (3, "³"), (-1, "⁻¹")):
            yield Result(one.value**power, "", f"({one.text}){sign}", (one,))
        yield Result(one.value**0.5, "", f"√{one.text}", (one,))


def count_results(claim: Quantity, operands: list[Quantity]) -> Iterator[Result]:
    """Yield ratios, products and sums of counts, for "each" and "in total"."""
    counts = [one for one in operands if one.is_count and one.value]
    for a, b in combinations(sorted(counts, key=absolute, reverse=True), 2):
        yield Result(a.value / b.value, "", f"{a.text} / {b.text}", (a, b))
        yield Result(a.value * b.value, "", f"{a.text} \u00d7 {b.text}", (a, b))
        yield Result(a.value + b.value, "", f"{a.text} + {b.text}", (a, b))


def triple_results(claim: Quantity, operands: list[Quantity]) -> Iterator[Result]:
    """Yield sums, means and differences of three operands that have the claim's dimension."""
    alike = [one for one in operands if dimension(one) == dimension(claim) and not _offset(one)]
    if claim.kind != "value":
        return
    if len(alike) > 3:
        names = " + ".join(one.text for one in alike)
        yield Result(sum(map(absolute, alike)), dimension(claim), names, tuple(alike))
    for three in combinations(alike, 3):
        c, b, a = sorted(three, key=absolute)
        total = sum(map(absolute, three))
        names = " + ".join(one.text for one in (a, b, c))
        yield Result(total, dimension(claim), names, three)
        yield Result(total / 3, "mean", f"({names}) / 3", three)
        rest = 2 * absolute(a) - total
        yield Result(rest, dimension(claim), f"{a.text} - {b.text} - {c.text}", three)
    shares = [one for one in operands if dimension(one) == dimension(claim) == "share"]
    for one, other in combinations(shares, 2):
        rest = 1 - absolute(one) - absolute(other)
        yield Result(rest, "share", f"100 % - {one.text} - {other.text}", (one, other))


def natural_pairs(claim: Quantity, group: list[Quantity]) -> Iterator[list[Quantity]]:
    """Yield the pairs of quantities in a sentence that are usually compared: the first and last,
    and the least and greatest."""
    kinds: dict[str, list[Quantity]] = {}
    for one in group:
        if one.kind == "value" and (one.unit or not claim.unit):
            kinds.setdefault(one.unit.dimension if one.unit else one.noun, []).append(one)
    for alike in kinds.values():
        if not 2 <= len(alike) <= NATURAL:
            continue
        pairs = [
            (alike[0], alike[-1]),
            (min(alike, key=absolute), max(alike, key=absolute)),
        ]
        if claim.change and len(alike) <= FEW_ALIKE:
            pairs += combinations(alike, 2)
        for pair in dict.fromkeys(pairs):
            yield list(pair)


def dimension(one: Quantity) -> str:
    """Return the dimension of a quantity, "" without a unit."""
    return one.unit.dimension if one.unit else ""


def _difference_base(one: Quantity) -> float:
    return abs(one.scaled)


def absolute(one: Quantity) -> float:
    """Return the absolute value in base units."""
    return abs(one.base)


def _offset(one: Quantity) -> bool:
    """Return whether the zero of the unit differs from the zero of the quantity."""
    return bool(one.unit and one.unit.offset)


@lru_cache(maxsize=4096)
def _combined(one: Unit | None, other: Unit | None, power: int) -> str:
    """Return the dimension of a product or quotient."""
    from cephalo.dataset_scripts.refinement.units import registry

    units = registry()
    left = one.pint if one else units.Unit("")
    right = other.pint if other else units.Unit("")
    if (one and one.offset) or (other and other.offset):
        return "no product"
    return str((left * right**power).dimensionality)


def distinct(found: Iterable[Quantity]) -> list[Quantity]:
    """Return the distinct quantities among values, spreads and multiples."""
    once = {(one.value, dimension(one), one.kind): one for one in found}
    return [one for one in once.values() if one.kind in ("value", "spread", "times")]
