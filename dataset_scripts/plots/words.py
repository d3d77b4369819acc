"""Names of samples, and phrases for questions and answers."""

from collections.abc import Sequence

import numpy as np

FILLERS = ("CNT", "graphene", "silica", "clay", "carbon black", "cellulose", "SiC", "TiO₂", "Al₂O₃")
TREATMENTS = (
    "as-cast",
    "homogenised",
    "solution treated",
    "peak aged",
    "overaged",
    "cold rolled",
    "quenched",
    "tempered",
    "annealed",
    "as-printed",
    "HIPed",
)
DESIGNS = (
    "gyroid",
    "honeycomb",
    "octet truss",
    "Voronoi foam",
    "brick and mortar",
    "lattice",
    "helicoidal",
    "laminate",
    "diamond TPMS",
)
PREFIXES = ("S", "A", "P", "C", "H", "Sample ", "Batch ", "Alloy ", "Film ", "Type ")


def pick(rng: np.random.Generator, *choices: str) -> str:
    """Draw one of the choices."""
    return choices[int(rng.integers(len(choices)))]


def names(rng: np.random.Generator, count: int) -> list[str]:
    """Draw the names of `count` samples of one series."""
    kind = int(rng.integers(8))
    if kind == 0:
        filler = pick(rng, *FILLERS)
        steps = sorted(rng.choice([0.1, 0.2, 0.5, 1, 1.5, 2, 3, 5, 10, 20], count, replace=False))
        return [f"{step:g} wt% {filler}" for step in steps]
    if kind == 1:
        start, step = int(rng.integers(2, 10)) * 50, int(rng.choice([25, 50, 100]))
        return [f"{start + step * number} °C" for number in range(count)]
    if kind == 2:
        return sample(rng, TREATMENTS, count)
    if kind == 3:
        return sample(rng, DESIGNS, count)
    if kind == 4:
        return [
            f"{angle}°" for angle in sorted(rng.choice([0, 15, 30, 45, 60, 75, 90], count, False))
        ]
    if kind == 5:
        days = sorted(rng.choice([1, 3, 7, 14, 21, 28, 56], count, replace=False))
        return [f"{day} d" for day in days]
    prefix = pick(rng, *PREFIXES)
    first = int(rng.integers(1, 4))
    if kind == 6 and len(prefix) > 1:
        return [f"{prefix}{letter}" for letter in "ABCDE"[:count]]
    return [f"{prefix}{first + number}" for number in range(count)]


def called(name: str) -> str:
    """Return the name of a sample within a sentence, by its label: "S1", but "the 45° sample"."""
    if name[0].isdigit() or name in TREATMENTS or name in DESIGNS:
        return f"the {name} sample"
    return name


def the_samples(labels: Sequence[str]) -> str:
    """Return the name of samples in a caption, by their labels."""
    return f"the sample{'s' if len(labels) > 1 else ''} {listed(labels)}"


def sample(rng: np.random.Generator, choices: Sequence[str], count: int) -> list[str]:
    """Draw `count` different choices, in random order."""
    return [choices[int(number)] for number in rng.choice(len(choices), count, replace=False)]


def listed(words: Sequence[str]) -> str:
    """Join words: "a, b and c"."""
    return ", ".join(words[:-1]) + " and " + words[-1] if len(words) > 1 else words[0]


def capital(text: str) -> str:
    """Capitalize the first letter."""
    return text[0].upper() + text[1:]


def lower_first(text: str) -> str:
    """Make the first letter lower case."""
    return text[0].lower() + text[1:]
