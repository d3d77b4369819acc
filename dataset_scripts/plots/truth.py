"""Axes, series and questions: the numbers that a plot shows, and how they are phrased."""

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from cephalo.dataset_scripts.plots.words import called

# How far from the truth a value read from a plot may be: a share of the axis, about a millimetre
# on the 60 mm of a printed axis. On a logarithmic axis that share of the logarithm.
TOLERANCE = 0.02
STEPS = 100  # an answer is rounded to no more than so many steps along a linear axis
LOG_DIGITS = 2  # significant digits that a value on a logarithmic axis is given with
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Scale:
    """One axis: what it gives, in which unit ("" for none), from `low` to `high`."""

    name: str
    unit: str
    low: float
    high: float
    log: bool = False

    def fraction(self, value: Any) -> Any:
        """Where values stand along the axis, 0 at `low` and 1 at `high`."""
        if self.log:
            return np.log(np.asarray(value) / self.low) / math.log(self.high / self.low)
        return (np.asarray(value) - self.low) / (self.high - self.low)

    def at(self, fraction: Any) -> Any:
        """The values at fractions of the axis."""
        if self.log:
            return self.low * (self.high / self.low) ** np.asarray(fraction)
        return self.low + (self.high - self.low) * np.asarray(fraction)

    @property
    def step(self) -> float:
        """The step to which a value on a linear axis is rounded: 1, 2 or 5 times a power of 10."""
        return nice_step(abs(self.high - self.low) / STEPS)

    def rounded(self, value: float) -> float:
        """A value as precise as the axis allows."""
        if self.log:
            return float(f"{value:.{LOG_DIGITS - 1}e}")
        return round(round(value / self.step) * self.step, 12)

    def tolerance(self, value: float) -> float:
        """How far from `value` a reading of it may be, in the unit of the axis."""
        if self.log:
            decades = math.log10(self.high / self.low)
            return abs(value) * (10 ** (TOLERANCE * decades) - 1)
        return TOLERANCE * abs(self.high - self.low)

    def bare(self, value: float) -> str:
        """A value, rounded, without its unit."""
        if self.log:
            return significant(value, LOG_DIGITS)
        return decimal(self.rounded(value), decimals_of(self.step))

    def place(self, value: float) -> str:
        """A place along the axis, rounded, without zeros at its end: "60 °C", "cycle number 12"."""
        bare = significant(value, LOG_DIGITS) if self.log else f"{self.rounded(value):.10g}"
        bare = bare.replace(".0 ×", " ×")
        return with_unit(bare, self.unit) if self.unit else f"{self.name} {bare}"

    def say(self, value: float) -> str:
        """A value, rounded, with its unit."""
        return with_unit(self.bare(value), self.unit)

    def with_high(self, high: float) -> "Scale":
        """The same axis up to another end."""
        return replace(self, high=high)


@dataclass(frozen=True)
class Series:
    """Points that are drawn, joined by straight lines in the picture unless `joined` is False."""

    name: str  # as in the legend
    x: np.ndarray  # (n,) float64, in the unit of the axis
    y: np.ndarray
    colour: str
    joined: bool = True

    @property
    def title(self) -> str:
        """How a sentence names it."""
        return called(self.name)

    def value(self, x_scale: Scale, y_scale: Scale, x: float) -> float:
        """The value at `x` on the line as drawn: straight between points in the picture."""
        place = np.interp(x_scale.fraction(x), x_scale.fraction(self.x), y_scale.fraction(self.y))
        return float(y_scale.at(place))


@dataclass(frozen=True)
class Question:
    """A question, its answer in a sentence, and what a program compares a reply with.

    `value` is the unrounded truth, in `unit`; a reply within `tolerance` of it is correct.
    Questions without a number list the `words` that every correct reply contains.
    """

    kind: str
    text: str
    answer: str
    value: float | None = None
    tolerance: float | None = None
    unit: str = ""
    words: tuple[str, ...] = ()

    def truth(self) -> dict[str, Any]:
        """The columns of `scores` in a row."""
        if self.value is None:
            return {"words": list(self.words)} if self.words else {}
        return {
            "value": float(f"{self.value:.8g}"),
            "tolerance": float(f"{self.tolerance:.3g}"),
            "unit": self.unit,
        }


@dataclass
class Panel:
    """One pair of axes: what it is about, its caption, its data, what can be asked about it."""

    kind: str
    subject: str  # "hardness against ageing time"
    caption: str  # a sentence
    x: Scale | None
    y: Scale | None
    questions: list[Question]
    series: list[Series] = field(default_factory=list)
    axes: Any = None  # matplotlib's, which the series are drawn in


def nice_step(most: float) -> float:
    """The largest of 1, 2 or 5 times a power of 10 that is at most `most`."""
    power = 10.0 ** math.floor(math.log10(most) + 1e-9)
    return next(times * power for times in (5, 2, 1) if times * power <= most * (1 + 1e-9))


def decimals_of(step: float) -> int:
    """The decimals of a number that is rounded to `step`."""
    return max(0, -math.floor(math.log10(step) + 1e-9))


def decimal(value: float, decimals: int) -> str:
    """A number with so many decimals; never "-0"."""
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text


def significant(value: float, digits: int) -> str:
    """A number with so many significant digits: "0.025", "3200", "4.1 × 10⁻⁶"."""
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    if -3 <= int(exponent) < 5:
        return decimal(float(f"{mantissa}e{exponent}"), max(0, digits - 1 - int(exponent)))
    return f"{mantissa} × {power_of_ten(int(exponent))}"


def power_of_ten(exponent: int) -> str:
    """10⁻³ and the like."""
    return "10" + str(exponent).translate(SUPERSCRIPTS)


def in_brackets(number: str) -> str:
    """A number as an operand: in brackets where it is negative or a product itself."""
    return f"({number})" if number.startswith("-") or "×" in number else number


def with_unit(number: str, unit: str) -> str:
    """A number before its unit: "40%", "45°", "210 MPa"; arbitrary units are not spoken."""
    if unit == "a.u.":
        return number
    return f"{number}{'' if unit in ('', '%', '°') else ' '}{unit}"
