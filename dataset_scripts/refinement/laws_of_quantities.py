"""Derive quantities by physical laws: photon energies, Bragg spacings, areas and volumes.

An answer may state such a result if it also states the quantities that it starts from.
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import combinations, permutations
from math import pi, sin

from cephalo.dataset_scripts.refinement.quantities import Quantity
from cephalo.dataset_scripts.refinement.units import Unit, unit

WATER = 1000.0  # kg/m³; 1 ppm by mass is 1 mg/L
RIGHT_ANGLE = pi / 2
LENGTH, MASS_IN_VOLUME = "[length]", "[mass] / [length] ** 3"
MOST_LENGTHS = 6  # in an answer; with more, some shape has almost any volume

Value = tuple[float, str, tuple[Quantity, ...]]  # value in base units, derivation, operands


def by_law(claim: Quantity, told: list[Quantity]) -> Iterator[Value]:
    """Yield the results of all laws that have the dimension of the claim."""
    if not claim.unit or claim.kind != "value":
        return
    united = [(one, one.unit) for one in told if one.unit and one.kind == "value" and one.base]
    for one, own in united:
        yield from _of_one(claim.unit, one, own)
    if claim.unit.dimension == LENGTH:
        yield from _spacings([one for one, _ in united])
    yield from _shapes(claim.unit, [one for one, own in united if own.dimension == LENGTH])


def _of_one(wanted: Unit, one: Quantity, own: Unit) -> Iterator[Value]:
    size = abs(one.base)
    energy = energy_of(own, size)
    if energy is not None and own.dimension != wanted.dimension:
        scale = energy_of(wanted, 1.0)
        if scale is not None:
            inverse = wanted.dimension == LENGTH
            value = scale / energy if inverse else energy / scale
            yield value, f"of a quantum of {one.text}", (one,)
    pair = {wanted.dimension, own.dimension}
    if pair == {"share", MASS_IN_VOLUME}:
        value = size * WATER if own.dimension == "share" else size / WATER
        yield value, f"{one.text} in water", (one,)
    if pair == {"angle"}:
        yield size / 2, f"{one.text} / 2", (one,)


def energy_of(of: Unit, size: float) -> float | None:
    """Return the energy of a quantum in joules, given its wavelength, frequency, wavenumber or
    energy."""
    from scipy.constants import Avogadro, c, h

    return {
        LENGTH: lambda: h * c / size,
        "1 / [length]": lambda: h * c * size,
        "1 / [time]": lambda: h * size,
        _dimension("J"): lambda: size,
        _dimension("J/mol"): lambda: size / Avogadro,
    }.get(of.dimension, lambda: None)()


@lru_cache(maxsize=8)
def _dimension(text: str) -> str:
    known = unit(text)
    return known.dimension if known else ""


def _spacings(told: list[Quantity]) -> Iterator[Value]:
    """Yield spacings of lattice planes by Bragg's law, from a wavelength and an angle."""
    lengths = [one for one in told if one.unit and one.unit.dimension == LENGTH]
    angles = [one for one in told if one.unit and one.unit.dimension == "angle"]
    for one in lengths:
        for angle in angles:
            for part, name in ((1.0, angle.text), (0.5, f"{angle.text} / 2")):
                turned = part * abs(angle.base)
                if 0 < turned < RIGHT_ANGLE:
                    value = abs(one.base) / (2 * sin(turned))
                    yield value, f"{one.text} / (2 sin {name})", (one, angle)


def _shapes(wanted: Unit, lengths: list[Quantity]) -> Iterator[Value]:
    """Yield areas and volumes of circles, spheres, cylinders and blocks with these lengths."""
    if len(lengths) > MOST_LENGTHS:
        return
    sizes = {one: abs(one.base) for one in lengths}
    if wanted.dimension == "[length] ** 2":
        for one, size in sizes.items():
            yield pi * size**2 / 4, f"\u03c0/4 ({one.text})²", (one,)
            yield pi * size**2, f"\u03c0 ({one.text})²", (one,)
    if wanted.dimension == "[length] ** 3":
        for one, size in sizes.items():
            yield pi * size**3 / 6, f"\u03c0/6 ({one.text})³", (one,)
            yield 4 * pi * size**3 / 3, f"4\u03c0/3 ({one.text})³", (one,)
        for one, high in permutations(sizes, 2):
            disc = sizes[one] ** 2 * sizes[high]
            yield pi * disc / 4, f"\u03c0/4 ({one.text})² {high.text}", (one, high)
            yield pi * disc, f"\u03c0 ({one.text})² {high.text}", (one, high)
        for three in combinations(sizes, 3):
            value = sizes[three[0]] * sizes[three[1]] * sizes[three[2]]
            yield value, " \u00d7 ".join(one.text for one in three), three
