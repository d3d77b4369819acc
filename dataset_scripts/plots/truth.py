"""Axes, series and questions: the data that a plot shows, and how numbers are formatted."""

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from cephalo.dataset_scripts.plots.words import called

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

# Tolerance of a value read from a plot: a share of the axis, about a millimetre on the 60 mm of a
# printed axis; on a logarithmic axis, that share of the logarithm.
TOLERANCE = 0.02
STEPS = 100  # maximum number of steps along a linear axis to which an answer is rounded
LOG_DIGITS = 2  # significant digits of a value on a logarithmic axis
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Scale:
    """An axis: its quantity, its unit ("" without one), and its range from `low` to `high`."""

    name: str
    unit: str
    low: float
    high: float
    log: bool = False

    def fraction(self, value: "ArrayLike") -> np.ndarray:
        """Return the positions of values along the axis, 0 at `low` and 1 at `high`."""
        if self.log:
            return np.log(np.asarray(value) / self.low) / math.log(self.high / self.low)
        return (np.asarray(value) - self.low) / (self.high - self.low)

    def at(self, fraction: "ArrayLike") -> np.ndarray:
        """Return the values at fractions of the axis."""
        if self.log:
            return self.low * (self.high / self.low) ** np.asarray(fraction)
        return self.low + (self.high - self.low) * np.asarray(fraction)

    @property
    def step(self) -> float:
        """The step to which a value on a linear axis is rounded: 1, 2 or 5 times a power of 10."""
        return nice_step(abs(self.high - self.low) / STEPS)

    def rounded(self, value: float) -> float:
        """Round a value to the precision of the axis."""
        if self.log:
            return float(f"{value:.{LOG_DIGITS - 1}e}")
        return round(round(value / self.step) * self.step, 12)

    def tolerance(self, value: float) -> float:
        """Return how far a reading may be from `value`, in the unit of the axis."""
        if self.log:
            decades = math.log10(self.high / self.low)
            return abs(value) * (10 ** (TOLERANCE * decades) - 1)
        return TOLERANCE * abs(self.high - self.low)

    def bare(self, value: float) -> str:
        """Format a rounded value without its unit."""
        if self.log:
            return significant(value, LOG_DIGITS)
        return decimal(self.rounded(value), decimals_of(self.step))

    def place(self, value: float) -> str:
        """Format a rounded place along the axis without trailing zeros: "60 °C", "cycle number
        12"."""
        bare = significant(value, LOG_DIGITS) if self.log else f"{self.rounded(value):.10g}"
        bare = bare.replace(".0 ×", " ×")
        return with_unit(bare, self.unit) if self.unit else f"{self.name} {bare}"

    def say(self, value: float) -> str:
        """Format a rounded value with its unit."""
        return with_unit(self.bare(value), self.unit)

    def with_high(self, high: float) -> "Scale":
        """Return the same axis up to another end."""
        return replace(self, high=high)


@dataclass(frozen=True)
class Series:
    """Points of a plot, joined by straight lines in the image unless `joined` is False."""

    name: str  # as in the legend
    x: np.ndarray  # (n,) float64, in the unit of the axis
    y: np.ndarray
    colour: str
    joined: bool = True

    @property
    def title(self) -> str:
        """The name within a sentence."""
        return called(self.name)

    def value(self, x_scale: Scale, y_scale: Scale, x: float) -> float:
        """Return the value at `x` on the line as drawn: linear interpolation in the image."""
        place = np.interp(x_scale.fraction(x), x_scale.fraction(self.x), y_scale.fraction(self.y))
        return float(y_scale.at(place))


@dataclass(frozen=True)
class Question:
    """A question, its answer in a sentence, and the values for scoring a reply.

    `value` is the unrounded truth, in `unit`; a reply within `tolerance` of it is correct.
    Questions without a number have the `words` that every correct reply contains.
    """

    kind: str
    text: str
    answer: str
    value: float | None = None
    tolerance: float | None = None
    unit: str = ""
    words: tuple[str, ...] = ()

    def truth(self) -> dict[str, object]:
        """Return the columns of `scores` in a row."""
        if self.value is None:
            return {"words": list(self.words)} if self.words else {}
        return {
            "value": float(f"{self.value:.8g}"),
            "tolerance": float(f"{self.tolerance:.3g}"),
            "unit": self.unit,
        }


@dataclass
class Panel:
    """One pair of axes: its subject, its caption, its data and its questions."""

    kind: str
    subject: str  # "hardness against ageing time"
    caption: str  # a sentence
    x: Scale | None
    y: Scale | None
    questions: list[Question]
    series: list[Series] = field(default_factory=list)
    axes: "Axes | None" = None  # matplotlib's, which the series are drawn in


def nice_step(most: float) -> float:
    """Return the largest of 1, 2 or 5 times a power of 10 that is at most `most`."""
    power = 10.0 ** math.floor(math.log10(most) + 1e-9)
    return next(times * power for times in (5, 2, 1) if times * power <= most * (1 + 1e-9))


def decimals_of(step: float) -> int:
    """Return the number of decimals of a number that is rounded to `step`."""
    return max(0, -math.floor(math.log10(step) + 1e-9))


def decimal(value: float, decimals: int) -> str:
    """Format a number with `decimals` decimals; never "-0"."""
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text


def significant(value: float, digits: int) -> str:
    """Format a number with `digits` significant digits: "0.025", "3200", "4.1 × 10⁻⁶"."""
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    if -3 <= int(exponent) < 5:
        return decimal(float(f"{mantissa}e{exponent}"), max(0, digits - 1 - int(exponent)))
    return f"{mantissa} × {power_of_ten(int(exponent))}"


def power_of_ten(exponent: int) -> str:
    """Format a power of ten: 10⁻³."""
    return "10" + str(exponent).translate(SUPERSCRIPTS)


def in_brackets(number: str) -> str:
    """Format a number as an operand, in brackets if it is negative or a product itself."""
    return f"({number})" if number.startswith("-") or "×" in number else number


def with_unit(number: str, unit: str) -> str:
    """Format a number with its unit: "40%", "45°", "210 MPa"; arbitrary units are omitted."""
    if unit == "a.u.":
        return number
    return f"{number}{'' if unit in ('', '%', '°') else ' '}{unit}"
