"""What is printed in a figure: its words, and the axes that its ticks make; what is read by eye."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from math import log10

from cephalo.dataset_scripts.refinement.claims import Claim
from cephalo.dataset_scripts.refinement.cues import Cues
from cephalo.dataset_scripts.refinement.figure_words import read_words
from cephalo.dataset_scripts.refinement.quantities import agrees, digits_of, fold, parse
from cephalo.dataset_scripts.refinement.quotation import Source
from cephalo.dataset_scripts.refinement.support import states
from cephalo.dataset_scripts.refinement.units import UNIT, Unit, unit

# A turn about the axes of a plot may name their printed numbers.
_AXES = Cues(
    r"\b(?:header|heading|legend|inscription|printed"
    r"|ax[ei]s|ordinates?|abscissas?|ticks?|scale|plotted|drawn against|labell?ed|graduat\w+"
    r"|(?:plot|diagram|curve|graph|panel|chart|spectr\w+)s?\b[^.?]{0,80}\b(?:ranges?|extends?|runs?|covers?"
    r"|covered|spans?|from))\b",
    re.IGNORECASE,
)
BY_EYE = 2.5  # significant digits that one reads off a plot: 1.25 has 2.5, between 1.2 and 1.3
GLANCE = 1.0  # of a measure where no scale is seen
ROUGHLY = 4.0  # of what is said to be about so much
FINE = 20  # parts of the distance between two ticks that one tells apart
LEAST_TICKS = 3
ALIKE = 0.02  # share by which the steps of one axis may differ, since ticks are rounded


@dataclass(frozen=True)
class Axis:
    """The least and greatest tick of an axis, and the step between two."""

    low: float
    high: float
    step: float


def read_by_eye(claim: Claim, source: Source) -> str | None:
    """What says that a claim may be read off the image, None where it is too exact."""
    one = claim.quantity
    if one.kind == "orders":
        return "the image"
    known = digits_of(one)
    # A measure to two digits needs a scale to be read from.
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
    """Whether numbers are printed in a figure, as far as one can tell."""
    return any(
        sum(any(map(str.isdigit, word)) for word in words) >= LEAST_TICKS
        for words in printed_words(source)
    )


def axes_of(source: Source) -> Iterator[Axis]:
    """The axes of all figures, as far as their ticks can be read."""
    for words in printed_words(source):
        yield from axes_in(words)


@lru_cache(maxsize=64)
def axes_in(words: tuple[str, ...]) -> tuple[Axis, ...]:
    """The axes that numbers in a row make: with equal steps, or with equal ratios."""
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
    """What is printed in the figures that says a claim, or None.

    Numbers at the ticks of an axis have their unit in its title, and are told as they are.
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
    """The units of one dimension in the titles of axes: "Depth (mm)".

    OCR loses raised digits, so that "mAh g" has to do for mAh/g.
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
    """The text in each figure: from the PDF file's text layer, or read from the picture."""
    for figure in source.figures:
        yield figure.words
        if not figure.words and figure.image:
            yield read_words(figure.image)


def _letters(text: str) -> str:
    return "".join(filter(str.isalpha, text))
