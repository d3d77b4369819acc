"""Read what is printed in a figure: its words and the axes that its ticks form; and decide how
precisely a value can be read off by eye."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from math import log10

from cephalo.dataset_scripts.refinement.claims import Claim
from cephalo.dataset_scripts.refinement.figure_words import read_words
from cephalo.dataset_scripts.refinement.quantities import agrees, digits_of, fold, parse
from cephalo.dataset_scripts.refinement.quotation import Source
from cephalo.dataset_scripts.refinement.support import states
from cephalo.dataset_scripts.refinement.units import UNIT, Unit, unit

# Statements about the axes of a plot may contain their printed numbers.
_AXES = re.compile(
    r"\b(?:header|heading|legend|inscription|printed"
    r"|ax[ei]s|ordinates?|abscissas?|ticks?|scale|plotted|drawn against|labell?ed|graduat\w+"
    r"|(?:plot|diagram|curve|graph|panel|chart|spectr\w+)s?\b[^.?]{0,80}\b(?:ranges?|extends?|runs?|covers?"
    r"|covered|spans?|from))\b",
    re.IGNORECASE,
)
BY_EYE = 2.5  # significant digits that can be read off a plot: 1.25 has 2.5, between 1.2 and 1.3
GLANCE = 1.0  # of a measurement without a visible scale
ROUGHLY = 4.0  # of an approximate value
FINE = 20  # distinguishable parts of the distance between two ticks
LEAST_TICKS = 3
ALIKE = 0.02  # relative difference between the steps of an axis, since ticks are rounded


@dataclass(frozen=True)
class Axis:
    """The least and greatest tick of an axis, and its step."""

    low: float
    high: float
    step: float


def read_by_eye(claim: Claim, source: Source) -> str | None:
    """Return from what a claim can be read off the image, or None if it is too precise."""
    one = claim.quantity
    if one.kind == "orders":
        return "the image"
    known = digits_of(one)
    # A measurement to two digits requires a scale.
    readable = not one.unit or known <= 1 or has_scale(source)
    if readable:
        most = ROUGHLY if one.approximate else BY_EYE
    else:
        most = BY_EYE if one.approximate else GLANCE
    if known <= most:
        return "the image"
    for axis in axes_of(source):
        inside = axis.low <= one.value <= axis.high or axis.low <= -one.value <= axis.high
        if inside and one.place >= axis.step / FINE:
            return f"an axis from {axis.low:g} to {axis.high:g}"
    return None


def has_scale(source: Source) -> bool:
    """Return whether a figure has enough printed numbers for a scale."""
    return any(
        sum(any(map(str.isdigit, word)) for word in words) >= LEAST_TICKS
        for words in printed_words(source)
    )


def axes_of(source: Source) -> Iterator[Axis]:
    """Yield the axes of all figures whose ticks are readable."""
    for words in printed_words(source):
        yield from axes_in(words)


@lru_cache(maxsize=64)
def axes_in(words: tuple[str, ...]) -> tuple[Axis, ...]:
    """Return the axes among consecutive numbers: those with equal steps or equal ratios."""
    found: list[Axis] = []
    run: list[float] = []
    for word in (*words, ""):
        value = _tick(word)
        if value is not None and (len(run) < 2 or _continues(run, value)):
            run.append(value)
            continue
        if len(run) >= LEAST_TICKS:
            found.append(
                Axis(min(run), max(run), min(abs(run[1] - run[0]), abs(run[-1] - run[-2])))
            )
        run = [] if value is None else [*run[-1:], value]
    return tuple(found)


def _tick(word: str) -> float | None:
    try:
        return float(fold(word).replace(",", "").replace(" ", ""))
    except ValueError:
        return None


def _continues(run: list[float], value: float) -> bool:
    step, last = run[-1] - run[-2], value - run[-1]
    if step and abs(last - step) <= ALIKE * abs(step):
        return True
    if min(value, run[-1], run[-2]) <= 0 or value == run[-1]:
        return False
    ratio, last = run[-1] / run[-2], value / run[-1]
    return ratio != 1 and abs(log10(last / ratio)) <= ALIKE


def printed_basis(claim: Claim, source: Source) -> str | None:
    """Return the printed text of the figures that states a claim, or None.

    The unit of tick labels is in the title of their axis.
    """
    one = claim.quantity
    if one.kind != "value":
        return None
    told_axes = not one.approximate and bool(_AXES.search(claim.turn))
    for words in printed_words(source):
        titled = titles(one.unit, words) if one.unit else [None]
        for word in words:
            for other in parse(word):
                if other.unit:
                    found = states(other, one)
                elif digits_of(one) > 1 or (told_axes and not one.noun):
                    ticks = (replace(other, unit=title) for title in titled)
                    found = any(one.place <= tick.place and agrees(one, tick) for tick in ticks)
                else:
                    found = False
                if found:
                    return f"{word[:60]!r} in the figure"
    return None


def titles(wanted: Unit, words: tuple[str, ...]) -> list[Unit]:
    """Return the units of the wanted dimension in axis titles: "Depth (mm)".

    OCR loses superscripts, so "mAh g" is accepted for mAh/g.
    """
    found = []
    for word in map(fold, words):
        for match in UNIT.finditer(word):
            alone = not word[max(match.start() - 1, 0) : match.start()].isalnum()
            known = unit(match.group()) if alone else None
            if known and known.dimension == wanted.dimension:
                found.append(known)
        if len(_letters(wanted.name)) > 1 and _letters(wanted.name) in _letters(word):
            found.append(wanted)
    return found


def printed_words(source: Source) -> Iterator[tuple[str, ...]]:
    """Yield the text in each figure, from the text layer of the PDF file or by OCR."""
    for figure in source.figures:
        yield figure.words
        if not figure.words and figure.image:
            yield read_words(figure.image)


def _letters(text: str) -> str:
    return "".join(filter(str.isalpha, text))
