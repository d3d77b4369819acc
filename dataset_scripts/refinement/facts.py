"""Constants and material facts that an answer may state without support by its source."""

import csv
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from math import exp, log, pi
from pathlib import Path

from cephalo.dataset_scripts.refinement.formulas import formulas
from cephalo.dataset_scripts.refinement.molar_masses import mass_of
from cephalo.dataset_scripts.refinement.quantities import Quantity, comparable, parse, within
from cephalo.dataset_scripts.refinement.units import Unit

FACTS = Path(__file__).with_name("facts.csv")
# CODATA constants and the words that name them in prose.
CONSTANTS = {
    "speed of light in vacuum": "speed of light",
    "Planck constant": "Planck",
    "Boltzmann constant": "Boltzmann",
    "Avogadro constant": "Avogadro",
    "elementary charge": "elementary charge|charge of the electron|electron charge",
    "electron mass": "electron mass|mass of the electron",
    "molar gas constant": "gas constant",
    "Faraday constant": "Faraday",
    "vacuum electric permittivity": "permittivity",
    "Bohr radius": "Bohr radius",
}
# Pure numbers in formulas, which an answer may round: the full width at half maximum of a normal
# distribution and its quantiles.
NUMBERS = {
    "2 √(2 ln 2)": 2 * (2 * log(2)) ** 0.5,
    "97.5 % quantile of a normal distribution": 1.959964,
    "95 % quantile of a normal distribution": 1.644854,
    "ln 2": log(2),
    "ln 10": log(10),
    "1 - 1/e": 1 - exp(-1),
    "√2": 2**0.5,
    "√3": 3**0.5,
    "π": pi,
}
# Unit conversions, and factors of formulas such as the Nernst equation.
CONVERSIONS = {
    "0 °C in K": 273.15,
    "25 °C in K": 298.15,
    "h c in eV nm": 1239.84198,
    "1 eV in kJ/mol": 96.485332,
    "1 eV in kcal/mol": 23.060548,
    "1 eV in 1/cm": 8065.544,
    "RT ln 10 / F at 25 °C in mV": 59.159,
    "kT/q at 25 °C in mV": 25.693,
    "molar volume of a gas at 0 °C in L": 22.414,
    "g in m/s²": 9.80665,
    "R in J/(mol K)": 8.314463,
    "F in C/mol": 96485.332,
    "F in mAh/mol": 26801.48,
    "days in a year": 365.0,
    "seconds in a day": 86400.0,
    "cal in J": 4.184,
    "parsec in light years": 3.2616,
}
MASS_SLACK = 0.0005  # relative tolerance of molar masses, for rounded atomic masses
_MOLAR = "[mass] / [substance]"
LEAST_DIGITS = 100  # least ratio of a number to its last place, for recognition by its digits
# Words that mark a reference value, as opposed to a measured one.
_REFERENCE = re.compile(
    r"\b(?:ideal|bulk|pure|perfect|pristine|theor\w+|literature|standard|typical\w*|usual\w*|known|general"
    r"\w*|normal\w*|expected|reference|nominal|equilibrium|tabulated|accepted|conventional|plain|itself)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Fact:
    """A known quantity of a subject.

    `subject` and `about` match the words for the subject and the property. `within` is the
    tolerance, in the unit of the quantity.
    """

    subject: re.Pattern
    about: re.Pattern
    quantity: Quantity
    within: float
    source: str


@cache
def facts() -> tuple[Fact, ...]:
    """Return all facts: the packaged table and the CODATA constants."""
    from scipy.constants import physical_constants

    with FACTS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    found = [
        Fact(
            _words(row["subject"]),
            _words(row["property"]),
            parse(row["quantity"])[0],
            float(row["within"]),
            f"{row['quantity']} ({row['source']})",
        )
        for row in rows
    ]
    for name, words in CONSTANTS.items():
        value, unit, _ = physical_constants[name]
        text = f"{value:.5e} {unit}"
        named = _words(words)
        found.append(Fact(named, named, parse(text)[0], 0.0, f"{text} (CODATA)"))
    return tuple(found)


@cache
def facts_by_dimension() -> dict[str, list[tuple[Fact, Unit]]]:
    """Return the facts with a unit, grouped by its dimension."""
    found = defaultdict(list)
    for fact in facts():
        if unit := fact.quantity.unit:
            found[unit.dimension].append((fact, unit))
    return found


def known_number(claim: Quantity) -> str | None:
    """Return the name of the constant or conversion that a claim of three or more digits states, or
    None."""
    size = abs(claim.value)
    if claim.kind != "value" or size < LEAST_DIGITS * claim.place * (1 - 1e-9):
        return None
    numbers = CONVERSIONS if claim.unit else NUMBERS | CONVERSIONS
    for name, value in numbers.items():
        if within(size, value, claim.place, ""):
            return name
    return None


def molar_mass(claim: Quantity, text: str) -> str | None:
    """Return the formula in a text whose molar mass is the claim, with that mass, or None."""
    if not claim.unit or claim.unit.dimension != _MOLAR:
        return None
    for formula in formulas(text):
        mass = mass_of(formula)
        place = max(claim.place * claim.unit.factor, 2 * MASS_SLACK * (mass or 0.0) / 1000)
        if mass and within(abs(claim.base), mass / 1000, place, claim.approximate):
            return f"{formula}: {mass:.4g} g/mol"
    return None


def known_fact(claim: Quantity, text: str, sentences: Iterable[str]) -> str | None:
    """Return the fact that a claim in `text` states, with its source, or None.

    If the `sentences` of the source give their own value for the property, the text must mark its
    value as a reference: "ideal graphite".
    """
    if not claim.unit:
        return None
    for fact, unit in facts_by_dimension().get(claim.unit.dimension, ()):
        if not comparable(claim, fact.quantity):
            continue
        change = replace(claim, change=False)
        spread = fact.within * unit.factor
        place = max(2 * spread, claim.place * claim.unit.factor)
        near = within(abs(change.base), abs(fact.quantity.base), place, claim.approximate)
        if not (near and fact.subject.search(text) and fact.about.search(text)):
            continue
        if _REFERENCE.search(text) or not any(_gives(one, fact, unit) for one in sentences):
            return fact.source
    return None


def _gives(sentence: str, fact: Fact, unit: Unit) -> bool:
    """Return whether a sentence contains a value for the property of a fact, in the same
    dimension."""
    if not fact.about.search(sentence):
        return False
    return any(one.unit and one.unit.dimension == unit.dimension for one in parse(sentence))


def _words(alternatives: str) -> re.Pattern:
    """Compile a pattern of words that begin with one of the alternatives; only symbols are
    case-sensitive."""
    names = [
        re.escape(name) if any(map(str.isupper, name)) else f"(?i:{re.escape(name)})"
        for name in alternatives.split("|")
    ]
    return re.compile(rf"(?<!\w)(?:{'|'.join(names)})")
