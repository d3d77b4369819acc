"""Constants and material facts that an answer may state though its source does not."""

import csv
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from math import exp, log, pi
from pathlib import Path

from cephalo.dataset_scripts.refinement.cues import Cues
from cephalo.dataset_scripts.refinement.formulas import formulas
from cephalo.dataset_scripts.refinement.molar_masses import mass_of
from cephalo.dataset_scripts.refinement.quantities import Quantity, comparable, parse, within
from cephalo.dataset_scripts.refinement.units import Unit

FACTS = Path(__file__).with_name("facts.csv")
# CODATA constants that prose names, and what it calls them.
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
# Pure numbers of formulas, of which an answer may name a few digits: the full width at half maximum
# of a normal distribution, quantiles of it.
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
# Conversions, and factors of formulas such as Nernst's.
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
MASS_SLACK = 0.0005  # share of a molar mass by which rounded atomic masses make it differ
_MOLAR = "[mass] / [substance]"
LEAST_DIGITS = 100  # times its last place that a number is, which is told by its digits alone
# Words that tell a known value from one that was measured here.
_REFERENCE = Cues(
    r"\b(?:ideal|bulk|pure|perfect|pristine|theor\w+|literature|standard|typical\w*|usual\w*|known|general"
    r"\w*|normal\w*|expected|reference|nominal|equilibrium|tabulated|accepted|conventional|plain|itself)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Fact:
    """A quantity that holds of a subject. `subject` and `about` match the words that name it and
    the property; the quantity may be off by `within`, in its own unit."""

    subject: re.Pattern
    about: re.Pattern
    quantity: Quantity
    within: float
    source: str


@cache
def facts() -> tuple[Fact, ...]:
    """All facts: the table of the package, and constants from CODATA."""
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
    """The facts whose quantities have a unit, with it, by its dimension."""
    found = defaultdict(list)
    for fact in facts():
        if unit := fact.quantity.unit:
            found[unit.dimension].append((fact, unit))
    return found


def known_number(claim: Quantity) -> str | None:
    """The number of a formula that a claim of three digits and more states."""
    size = abs(claim.value)
    if claim.kind != "value" or size < LEAST_DIGITS * claim.place * (1 - 1e-9):
        return None
    numbers = CONVERSIONS if claim.unit else NUMBERS | CONVERSIONS
    for name, value in numbers.items():
        if within(size, value, claim.place, ""):
            return name
    return None


def molar_mass(claim: Quantity, text: str) -> str | None:
    """The formula in a text of which a claim in g/mol is the molar mass."""
    if not claim.unit or claim.unit.dimension != _MOLAR:
        return None
    for formula in formulas(text):
        mass = mass_of(formula)
        place = max(claim.place * claim.unit.factor, 2 * MASS_SLACK * (mass or 0.0) / 1000)
        if mass and within(abs(claim.base), mass / 1000, place, claim.approximate):
            return f"{formula}: {mass:.4g} g/mol"
    return None


def known_fact(claim: Quantity, text: str, sentences: Iterable[str]) -> str | None:
    """The fact that a claim in `text` states, with its source, or None.

    Where the `sentences` of the source give the property a value of their own, the text has to say
    that it speaks of another one: "ideal graphite".
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
    """Whether a sentence gives a value for the property of a fact, in a unit of its dimension."""
    if not fact.about.search(sentence):
        return False
    return any(one.unit and one.unit.dimension == unit.dimension for one in parse(sentence))


def _words(alternatives: str) -> re.Pattern:
    """A pattern of words that begin with one of the alternatives; capitals count in symbols."""
    names = [
        re.escape(name) if any(map(str.isupper, name)) else f"(?i:{re.escape(name)})"
        for name in alternatives.split("|")
    ]
    return re.compile(rf"(?<!\w)(?:{'|'.join(names)})")
