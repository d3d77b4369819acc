"""Draw lines and points of several samples: properties against time, temperature, content and
others.

Forms are defined in fractions of the axes, so a form is straight, or peaks, on a logarithmic axis
too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from cephalo.dataset_scripts.plots.asking import line_questions
from cephalo.dataset_scripts.plots.style import Style, legend_place, set_axis
from cephalo.dataset_scripts.plots.truth import Panel, Question, Scale, Series
from cephalo.dataset_scripts.plots.words import capital, names, pick, the_samples

Form = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""Heights from 0 to 1 at fractions of the x axis."""


def rise(u: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a curve that rises quickly at first, then slowly."""
    rate = rng.uniform(1.5, 5)
    return (1 - np.exp(-rate * u)) / (1 - np.exp(-rate))


def fall(u: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the mirror image of a rise."""
    return 1 - rise(u, rng)


def climb(u: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a curve that rises almost linearly."""
    return u ** rng.uniform(0.8, 1.3)


def descent(u: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a curve that falls almost linearly."""
    return 1 - climb(u, rng)


def peak(u: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a curve with a maximum."""
    place, width = rng.uniform(0.3, 0.7), rng.uniform(0.2, 0.4)
    return np.exp(-(((u - place) / width) ** 2))


def step_up(u: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a step from one level to a higher one."""
    place, width = rng.uniform(0.35, 0.65), rng.uniform(0.04, 0.1)
    return 1 / (1 + np.exp(-(u - place) / width))


def step_down(u: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a step from one level to a lower one."""
    return 1 - step_up(u, rng)


@dataclass(frozen=True)
class Law:
    """A relation of materials science: its axes, their ranges, and the forms that occur."""

    y: Scale
    x: Scale
    forms: tuple[Form, ...]
    dense: bool = False  # measured continuously, so drawn without markers


LAWS = (
    Law(Scale("hardness", "HV", 60, 180), Scale("ageing time", "h", 0.1, 1000, log=True), (peak,)),
    Law(
        Scale("thermal conductivity", "W/(m·K)", 0, 40),
        Scale("temperature", "K", 100, 900),
        (fall, descent),
    ),
    Law(
        Scale("electrical conductivity", "S/m", 1e-9, 1e3, log=True),
        Scale("filler content", "vol%", 0, 10),
        (step_up, rise),
    ),
    Law(
        Scale("viscosity", "Pa·s", 0.1, 1e4, log=True),
        Scale("shear rate", "s⁻¹", 0.01, 1000, log=True),
        (descent, step_down),
    ),
    Law(Scale("mass", "%", 0, 100), Scale("temperature", "°C", 50, 800), (step_down,), dense=True),
    Law(
        Scale("storage modulus", "MPa", 1, 5000, log=True),
        Scale("temperature", "°C", -50, 200),
        (step_down,),
        dense=True,
    ),
    Law(
        Scale("stress amplitude", "MPa", 100, 600),
        Scale("number of cycles", "", 1e3, 1e7, log=True),
        (descent, fall),
    ),
    Law(Scale("specific capacity", "mAh/g", 0, 400), Scale("cycle number", "", 0, 200), (descent,)),
    Law(Scale("swelling ratio", "%", 0, 600), Scale("immersion time", "h", 0, 48), (rise,)),
    Law(Scale("creep strain", "%", 0, 4), Scale("time", "h", 0, 500), (rise, climb), dense=True),
    Law(
        Scale("magnetisation", "emu/g", -80, 80),
        Scale("magnetic field", "kOe", -20, 20),
        (step_up,),
        dense=True,
    ),
    Law(
        Scale("dielectric constant", "", 2, 60),
        Scale("frequency", "Hz", 100, 1e7, log=True),
        (fall, descent),
    ),
    Law(
        Scale("friction coefficient", "", 0, 1),
        Scale("sliding distance", "m", 0, 1000),
        (rise, peak, fall),
    ),
    Law(Scale("grain size", "µm", 0, 80), Scale("annealing temperature", "°C", 300, 900), (climb,)),
    Law(Scale("porosity", "%", 0, 40), Scale("sintering temperature", "°C", 900, 1500), (fall,)),
    Law(
        Scale("remaining mass", "%", 0, 100), Scale("degradation time", "d", 0, 90), (descent, fall)
    ),
    Law(
        Scale("absorbance", "a.u.", 0, 2.5),
        Scale("wavelength", "nm", 300, 900),
        (peak,),
        dense=True,
    ),
    Law(
        Scale("fracture toughness", "MPa√m", 0, 15),
        Scale("mineral content", "vol%", 0, 90),
        (peak, fall),
    ),
    Law(Scale("contact angle", "°", 0, 160), Scale("exposure time", "min", 0, 60), (fall, rise)),
)
QUANTITIES = tuple(dict.fromkeys(law.y.name for law in LAWS))
PRECISE = 4  # significant digits of the data, as in a table

# Quantities that share an x axis with a first one, on their own axis at the right.
TWINS = {
    "specific capacity": (Scale("coulombic efficiency", "%", 80, 102), rise),
    "dielectric constant": (Scale("loss tangent", "", 1e-3, 1, log=True), fall),
    "porosity": (Scale("flexural strength", "MPa", 0, 500), rise),
    "grain size": (Scale("yield strength", "MPa", 0, 400), fall),
    "remaining mass": (Scale("pH", "", 4, 8), fall),
    "swelling ratio": (Scale("compressive modulus", "kPa", 0, 120), fall),
    "fracture toughness": (Scale("hardness", "GPa", 0, 6), climb),
}


def curves(rng: np.random.Generator, axes: Axes, style: Style) -> Panel:
    """Draw several samples by one law."""
    law = LAWS[int(rng.integers(len(LAWS)))]
    x, y = jittered(rng, law.x), jittered(rng, law.y)
    form = law.forms[int(rng.integers(len(law.forms)))]
    labels = names(rng, int(rng.integers(2, 6)))
    others = [name for name in names(rng, 5) if name not in labels]
    series = [
        Series(name, *points, style.palette[number])
        for number, (name, points) in enumerate(
            zip(labels, drawn(rng, law, form, x, y, len(labels)), strict=True)
        )
    ]
    place, y = legend_place(axes, style, x, y, series)
    set_axis(axes, "x", x, style)
    set_axis(axes, "y", y, style)
    for number, one in enumerate(series):
        axes.plot(one.x, one.y, label=one.name, **look(style, number, law.dense))
    axes.legend(loc=place, fontsize=0.9 * style.size)
    subject = f"{y.name} against {x.name}"
    questions = line_questions(rng, x, y, series, others, QUANTITIES)
    caption = pick(
        rng,
        f"{capital(y.name)} as a function of {x.name} for {the_samples(labels)}.",
        f"{capital(y.name)} of {the_samples(labels)} against {x.name}.",
        f"Effect of {x.name} on the {y.name} of {the_samples(labels)}.",
    )
    return Panel("curves", subject, caption, x, y, questions, series, axes)


def twin(rng: np.random.Generator, axes: Axes, style: Style) -> Panel:
    """Draw two quantities of one sample, on an axis at the left and one at the right."""
    laws = [law for law in LAWS if law.y.name in TWINS]
    law = laws[int(rng.integers(len(laws)))]
    x, y = jittered(rng, law.x), jittered(rng, law.y)
    right, form = TWINS[law.y.name]
    [first] = drawn(rng, law, law.forms[0], x, y, 1)
    [second] = drawn(rng, law, form, x, right, 1)
    colours = style.palette[0], style.palette[1]
    series = [Series(y.name, *first, colours[0]), Series(right.name, *second, colours[1])]
    other = axes.twinx()
    set_axis(axes, "x", x, style)
    for number, (own, scale) in enumerate(((axes, y), (other, right))):
        set_axis(own, "y", scale, style)
        own.grid(False)
        own.tick_params(axis="y", which="both", colors=colours[number], right=number == 1)
        own.tick_params(axis="y", which="both", left=number == 0)
        own.yaxis.label.set_color(colours[number])
        own.plot(series[number].x, series[number].y, **look(style, number, False))
    other.spines["right"].set_visible(True)
    questions = [
        two_axes(rng, x, y, right),
        *(one_axis(rng, x, scale, one) for scale, one in zip((y, right), series, strict=True)),
        beyond_both(rng, x, y, right),
    ]
    subject = f"{y.name} and {right.name} against {x.name}"
    caption = f"{capital(y.name)} (left axis) and {right.name} (right axis) against {x.name}."
    return Panel("twin", subject, caption, x, y, questions, series[:1], axes)


def one_axis(rng: np.random.Generator, x: Scale, y: Scale, series: Series) -> Question:
    """Ask for a value on the axis of its own quantity."""
    at = float(rng.choice(series.x[1:-1]))
    value = series.value(x, y, at)
    text = pick(
        rng,
        f"What is the {y.name} at {x.name} {x.place(at)}?",
        f"Read the {y.name} at {x.place(at)} from its axis.",
    )
    answer = f"At {x.place(at)}, the {y.name} is about {y.say(value)}."
    return Question("read", text, answer, value, y.tolerance(value), y.unit)


def two_axes(rng: np.random.Generator, x: Scale, left: Scale, right: Scale) -> Question:
    """Ask which quantity is on which of the two vertical axes."""
    asked, side = pick(rng, "left", "right"), {"left": left, "right": right}
    unit = f" in {side[asked].unit}" if side[asked].unit else ""
    return Question(
        "axes",
        f"Which quantity belongs to the {asked} vertical axis?",
        f"The {side[asked].name}{unit}, against {x.name}.",
        words=(side[asked].name,),
    )


def beyond_both(rng: np.random.Generator, x: Scale, left: Scale, right: Scale) -> Question:
    """Ask for another quantity than the two that are shown."""
    shown = (x.name, left.name, right.name)
    other = pick(rng, *(name for name in QUANTITIES if name not in shown))
    return Question(
        "unanswerable",
        f"What does the plot tell about the {other}?",
        f"The plot does not show the {other}; it gives {left.name} and {right.name} against "
        f"{x.name}.",
        words=("not",),
    )


def inset(rng: np.random.Generator, axes: Axes, style: Style) -> Panel:
    """Draw curves that saturate, with their start enlarged in an inset."""
    x = jittered(
        rng, Scale("time", pick(rng, "min", "h", "s"), 0, float(rng.choice([60, 100, 200])))
    )
    y = jittered(rng, Scale("drug release" if x.unit == "h" else "adsorbed amount", "%", 0, 100))
    labels = names(rng, int(rng.integers(2, 4)))
    u = np.linspace(0, 1, 160)
    series = []
    for number, name in enumerate(labels):
        heights = (1 - np.exp(-u / rng.uniform(0.04, 0.1))) * (0.9 - 0.14 * number)
        series.append(
            Series(name, x.at(u), np.round(y.at(heights), PRECISE), style.palette[number])
        )
    set_axis(axes, "x", x, style)
    set_axis(axes, "y", y, style)
    end = x.step * round(0.1 * (x.high - x.low) / x.step)
    small = axes.inset_axes((0.5, 0.12, 0.45, 0.28))
    for own in (axes, small):
        for number, one in enumerate(series):
            own.plot(one.x, one.y, label=one.name, **look(style, number, True))
    early = Scale(x.name, x.unit, 0, end)
    small.set(xlim=(0, end), ylim=(y.low, y.high))
    small.tick_params(labelsize=0.75 * style.size, pad=1.5)
    axes.set_ylim(y.low, float(y.at(1.3)))
    y = y.with_high(float(y.at(1.3)))
    axes.legend(
        loc="upper center", ncols=len(series), fontsize=0.8 * style.size, columnspacing=0.8,
        handlelength=1.4,
    )  # fmt: skip
    one = series[int(rng.integers(len(series)))]
    at = early.rounded(float(early.at(rng.uniform(0.3, 0.9))))
    value = one.value(x, y, at)
    enlarged = Question(
        "read",
        f"Use the inset to read the {y.name} of {one.title} after {early.place(at)}.",
        f"In the inset, the curve for {one.title} is at about {y.say(value)} after "
        f"{early.place(at)}.",
        value,
        2 * y.tolerance(value),
        y.unit,
    )
    range_shown = Question(
        "axes",
        f"Which range of {x.name} does the inset enlarge?",
        f"The inset shows the beginning of the plot, from 0 to {early.place(end)}.",
        end,
        early.tolerance(end),
        x.unit,
    )
    questions = line_questions(rng, x, y, series, names(rng, 4), QUANTITIES)
    subject = f"{y.name} against {x.name}"
    caption = (
        f"{capital(y.name)} against {x.name} for {the_samples(labels)}; the inset enlarges the "
        f"beginning up to {early.place(end)}."
    )
    return Panel("inset", subject, caption, x, y, [enlarged, range_shown, *questions], series, axes)


def look(style: Style, number: int, dense: bool) -> dict[str, Any]:
    """Return the style of a series; dense ones have no markers."""
    marks = style.marks(number)
    return {**marks, "marker": ""} if dense else marks


def jittered(rng: np.random.Generator, scale: Scale) -> Scale:
    """Return the axis with another, equally round range."""
    if scale.log or scale.unit in ("%", "vol%", "°"):
        return scale
    choices = [0.9, 1, 1.1] if "temperature" in scale.name else [0.5, 0.75, 1, 1.25, 1.5, 2]
    times = float(rng.choice(choices))
    return Scale(scale.name, scale.unit, scale.low * times, scale.high * times)


def drawn(
    rng: np.random.Generator, law: Law, form: Form, x: Scale, y: Scale, count: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Draw the points of `count` series, spread over the height of the axes."""
    total = 121 if law.dense else int(rng.integers(6, 13))
    u = np.linspace(0.03, 0.97, total) if not law.dense else np.linspace(0, 1, total)
    places = np.array([tidy(x, float(value)) for value in x.at(u)]) if not law.dense else x.at(u)
    u = x.fraction(places)
    base, top = rng.uniform(0.05, 0.15), rng.uniform(0.8, 0.93)
    shrink = np.linspace(1, rng.uniform(0.35, 0.6), count)[rng.permutation(count)]
    made = []
    for share in shrink:
        noise = 0 if law.dense else rng.normal(0, 0.008, total)
        heights = base + (top - base) * share * form(u, rng) + noise
        made.append((places, np.array([float(f"{v:.{PRECISE}g}") for v in y.at(heights)])))
    return made


def tidy(x: Scale, value: float) -> float:
    """Round a value to one at which an experimenter would measure."""
    return float(f"{value:.1e}") if x.log else x.rounded(value)
