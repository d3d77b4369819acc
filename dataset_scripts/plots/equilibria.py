"""Compute binary phase diagrams from free energies: eutectics, lenses, miscibility gaps.

Components are called A and B: no diagram is of a real alloy. The liquid is ideal; in a solid the
majority component follows Raoult's law and the minority Henry's, so every boundary has a closed
form and the three phases of a eutectic meet at one temperature.
"""

import math
from dataclasses import dataclass

import numpy as np

GAS_CONSTANT = 8.314462618  # J/(mol·K), CODATA
POINTS = 120  # of a boundary
MIN_SOLUBILITY, MAX_SOLUBILITY = 8, 25  # at.%, of a eutectic's solids, at its temperature


@dataclass(frozen=True)
class Region:
    """A region of a diagram: its phases, and its left and right boundaries.

    `left` and `right` are at.% B (n,) at the rising temperatures `kelvin` (n,), which in a region
    of two phases are the compositions of both.
    """

    phases: tuple[str, ...]
    left: np.ndarray
    right: np.ndarray
    kelvin: np.ndarray

    def ends(self, kelvin: float) -> tuple[float, float] | None:
        """Return the compositions at both boundaries at a temperature, or None outside the
        region."""
        if not self.kelvin[0] <= kelvin <= self.kelvin[-1]:
            return None
        left, right = (
            float(np.interp(kelvin, self.kelvin, own)) for own in (self.left, self.right)
        )
        return left, right

    @property
    def name(self) -> str:
        """Return the label: "α + L"."""
        return " + ".join(self.phases)


@dataclass(frozen=True)
class Diagram:
    """Regions and their properties, in kelvin and at.% B."""

    kind: str
    regions: tuple[Region, ...]  # those with two phases
    single: tuple[tuple[str, float, float], ...]  # where the label of a single phase is printed
    points: dict[str, tuple[float, float]]  # of special points: composition and temperature
    low: float
    high: float


@dataclass(frozen=True)
class Solid:
    """A terminal solid solution in equilibrium with an ideal liquid; fractions of the minority."""

    melts: float  # K, of its own component
    other_melts: float
    heat: float  # J/mol, of fusion
    other_heat: float
    repulsion: float  # J/mol, of the minority component at infinite dilution

    def ratios(self, kelvin: float) -> tuple[float, float]:
        """Return the ratios of solid to liquid fractions, of its own component and of the
        minority."""
        own = self.heat / GAS_CONSTANT * (1 / kelvin - 1 / self.melts)
        other = self.other_heat / GAS_CONSTANT * (1 / kelvin - 1 / self.other_melts)
        return math.exp(own), math.exp(other - self.repulsion / (GAS_CONSTANT * kelvin))

    def liquidus(self, kelvin: float) -> float:
        """Return the minority's fraction in the liquid, 1 without an equilibrium."""
        own, other = self.ratios(kelvin)
        return (own - 1) / (own - other) if own > other else 1.0

    def solidus(self, kelvin: float) -> float:
        """Return the minority's fraction in the solid."""
        return self.ratios(kelvin)[1] * self.liquidus(kelvin)


def eutectic(rng: np.random.Generator) -> Diagram:
    """Draw two solids of limited solubility and a liquid, until all regions have space for a
    label."""
    while True:
        melts = rng.uniform(700, 1300, 2)
        heats = melts * rng.uniform(8, 13, 2)  # J/mol; entropies of fusion of metals
        repulsion = rng.uniform(1.0, 1.9, 2) * GAS_CONSTANT * melts.mean()  # J/mol
        solids = [
            Solid(*own)
            for own in zip(melts, melts[::-1], heats, heats[::-1], repulsion, strict=True)
        ]
        invariant = meeting(solids, float(melts.min()) - 1)
        limits = [100 * solid.solidus(invariant) for solid in solids]
        point = 100 * solids[0].liquidus(invariant)
        roomy = all(MIN_SOLUBILITY < limit < MAX_SOLUBILITY for limit in limits)
        if roomy and 30 < point < 70 and invariant < 0.85 * melts.min():
            return eutectic_diagram(solids, invariant)


def meeting(solids: list[Solid], high: float) -> float:
    """Return the temperature in K below `high` at which the liquids in equilibrium with both solids
    are equal."""
    low = 0.3 * high
    for _ in range(60):
        middle = (low + high) / 2
        # At this temperature the minorities of both liquids add up to one liquid.
        if solids[0].liquidus(middle) + solids[1].liquidus(middle) > 1:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def eutectic_diagram(solids: list[Solid], invariant: float) -> Diagram:
    """Compute the regions of α, rich in A, of β, rich in B, and of the liquid."""
    point, bottom = 100 * solids[0].liquidus(invariant), 0.6 * invariant
    regions = []
    for number, solid in enumerate(solids):
        kelvin = np.linspace(invariant, solid.melts, POINTS)
        solidus = 100 * np.array([solid.solidus(t) for t in kelvin])
        liquidus = 100 * np.array([solid.liquidus(t) for t in kelvin])
        sides = (solidus, liquidus) if number == 0 else (100 - liquidus, 100 - solidus)
        regions.append(Region(("α", "L") if number == 0 else ("L", "β"), *sides, kelvin))
    kelvin = np.linspace(bottom, invariant, POINTS)
    factors = [np.exp(solid.repulsion / (GAS_CONSTANT * kelvin)) for solid in solids]
    # Equal activities in both solids. In α they are 1 - a of A and a Γ of B, in β (1 - b) Γ' and b.
    a = (factors[1] - 1) / (factors[0] * factors[1] - 1)
    regions.append(Region(("α", "β"), 100 * a, 100 * factors[0] * a, kelvin))
    left, right = float(regions[0].left[0]), float(regions[1].right[0])
    top = max(solid.melts for solid in solids)
    points = {
        "eutectic": (point, invariant),
        "A": (0.0, solids[0].melts),
        "B": (100.0, solids[1].melts),
        "α limit": (left, invariant),
        "β limit": (right, invariant),
    }
    single = (("L", 50.0, 0.97 * top), ("α", 0.4 * left, invariant))
    single = (*single, ("β", right + 0.6 * (100 - right), invariant))
    return Diagram("eutectic", tuple(regions), single, points, bottom, 1.06 * top)


def lens(rng: np.random.Generator) -> Diagram:
    """Draw complete solubility in an ideal solid and an ideal liquid."""
    first = float(rng.uniform(700, 1000))
    melts = np.array([first, first + rng.uniform(350, 800)])[:: int(rng.choice([1, -1]))]
    heats = melts * rng.uniform(12, 24, 2)
    kelvin = np.linspace(melts.min(), melts.max(), POINTS)
    a, b = (
        np.exp(h / GAS_CONSTANT * (1 / kelvin - 1 / t)) for h, t in zip(heats, melts, strict=True)
    )
    liquid = (1 - a) / (b - a)  # fraction of B
    solid = b * liquid
    phases = ("L", "α") if melts[1] > melts[0] else ("α", "L")
    sides = (liquid, solid) if melts[1] > melts[0] else (solid, liquid)
    region = Region(phases, 100 * sides[0], 100 * sides[1], kelvin)
    low, high = 0.88 * float(melts.min()), 1.08 * float(melts.max())
    left_higher = melts[0] > melts[1]
    single = (
        ("L", 75.0 if left_higher else 25.0, float(melts.max()) - 0.02 * float(melts.max())),
        ("α", 25.0 if left_higher else 75.0, float(melts.min())),
    )
    points = {"A": (0.0, float(melts[0])), "B": (100.0, float(melts[1]))}
    return Diagram("isomorphous", (region,), single, points, low, high)


def gap(rng: np.random.Generator) -> Diagram:
    """Draw a miscibility gap of a regular solution."""
    critical = float(rng.uniform(500, 1100))  # K; the interaction is 2 R times that
    share = np.linspace(0.005, 0.4999, 4 * POINTS)
    kelvin = 2 * critical * (1 - 2 * share) / np.log((1 - share) / share)
    kept = kelvin > 0.55 * critical
    share, kelvin = share[kept], kelvin[kept]
    region = Region(("α₁", "α₂"), 100 * share, 100 - 100 * share, kelvin)
    single = (("α", 50.0, 1.08 * critical),)
    points = {"critical point": (50.0, critical)}
    return Diagram("miscibility gap", (region,), single, points, float(kelvin[0]), 1.18 * critical)


def phases_at(diagram: Diagram, place: float, kelvin: float) -> tuple[str, ...]:
    """Return the phases in equilibrium at a composition (at.% B) and temperature."""
    for region in diagram.regions:
        ends = region.ends(kelvin)
        if ends and ends[0] < place < ends[1]:
            return region.phases
    if diagram.kind == "miscibility gap":
        return ("α",)
    # The solid is below or left of the boundaries with the liquid, which is above.
    if diagram.kind == "isomorphous":
        region = diagram.regions[0]
        if kelvin >= region.kelvin[-1]:
            return ("L",)
        ends = region.ends(kelvin)
        if ends is None:
            return ("α",)
        left, right = region.phases
        return (left,) if place < ends[0] else (right,)
    point, invariant = diagram.points["eutectic"]
    if kelvin < invariant:
        ends = diagram.regions[2].ends(kelvin)
        return ("α",) if ends is not None and place < ends[0] else ("β",)
    solid = diagram.regions[0] if place < point else diagram.regions[1]
    ends = solid.ends(kelvin)
    if ends is None:
        return ("L",)
    if place < point:
        return ("α",) if place < ends[0] else ("L",)
    return ("β",) if place > ends[1] else ("L",)
