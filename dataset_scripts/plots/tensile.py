"""Draw stress-strain curves: elastic, with yield and hardening, brittle, or rubbery."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes

from cephalo.dataset_scripts.plots.asking import APART, axes_of, not_shown, read_value, three_digits
from cephalo.dataset_scripts.plots.style import Style, legend_place, set_axis
from cephalo.dataset_scripts.plots.truth import Panel, Question, Scale, Series
from cephalo.dataset_scripts.plots.words import capital, names, pick, the_samples

OFFSET = 0.002  # plastic strain at the yield strength
POINTS = 400  # of a curve
PRECISE = 5
MIN_ELASTIC = 0.06  # of the strain axis; a shorter straight part has no readable slope
OTHERS = ("Poisson's ratio", "fatigue limit", "hardness", "density", "strain rate", "grain size")

Law = Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray, float]]
"""Draws strain (n,), stress in MPa (n,), and Young's modulus in MPa."""


def metal(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float]:
    """Draw a Ramberg-Osgood curve up to the strength, then necking."""
    modulus = float(rng.uniform(60, 210)) * 1e3
    strength, uniform = float(rng.uniform(200, 900)), float(rng.uniform(0.05, 0.2))
    exponent = float(rng.uniform(5, 12))
    stress = np.linspace(0, strength, 300)
    strain = stress / modulus + uniform * (stress / strength) ** exponent
    t = np.linspace(0, 1, 100)[1:]
    drop = float(rng.uniform(0.08, 0.2))
    after = strain[-1] + t * uniform * float(rng.uniform(0.2, 0.5))
    return np.append(strain, after), np.append(stress, strength * (1 - drop * t**2)), modulus


def brittle(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float]:
    """Draw a straight line up to fracture."""
    modulus, end = float(rng.uniform(3, 60)) * 1e3, float(rng.uniform(0.004, 0.02))
    strain = np.linspace(0, end, POINTS)
    return strain, modulus * strain, modulus


def polymer(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float]:
    """Draw a saturating stress with hardening at the end."""
    modulus, flow = float(rng.uniform(0.8, 4)) * 1e3, float(rng.uniform(20, 90))
    strain = np.linspace(0, float(rng.uniform(0.1, 0.35)), POINTS)
    hardening = float(rng.uniform(0, 0.1)) * modulus
    return strain, flow * np.tanh(modulus * strain / flow) + hardening * strain**2, modulus


def rubber(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float]:
    """Draw a neo-Hookean solid in uniaxial tension, as nominal stress."""
    modulus, end = float(rng.uniform(0.2, 4)), float(rng.uniform(1, 5))
    strain = np.linspace(0, end, POINTS)
    return strain, modulus / 3 * (1 + strain - (1 + strain) ** -2), modulus


def tensile(rng: np.random.Generator, axes: Axes, style: Style) -> Panel:
    """Draw curves of samples of one kind of material, each up to its fracture."""
    law: Law = (metal, brittle, polymer, rubber)[int(rng.integers(4))]
    labels = names(rng, int(rng.integers(1, 5)))
    drawn = [law(rng) for _ in labels]
    series = [
        Series(name, sharp(100 * strain), sharp(stress), style.palette[number])
        for number, (name, (strain, stress, _)) in enumerate(zip(labels, drawn, strict=True))
    ]
    x = Scale("strain", "%", 0, 1.05 * max(float(one.x[-1]) for one in series))
    y = Scale("stress", "MPa", 0, 1.08 * max(float(one.y.max()) for one in series))
    place, y = legend_place(axes, style, x, y, series)
    set_axis(axes, "x", x, style)
    set_axis(axes, "y", y, style)
    for number, one in enumerate(series):
        axes.plot(one.x, one.y, label=one.name, **{**style.marks(number), "marker": ""})
        if law is not rubber:
            axes.plot(one.x[-1:], one.y[-1:], color=one.colour, marker="x", linestyle="")
    if len(series) > 1:
        axes.legend(loc=place, fontsize=0.9 * style.size)
    else:
        axes.text(0.97, 0.05, labels[0], transform=axes.transAxes, ha="right")
    number = int(rng.integers(len(series)))
    one, modulus = series[number], drawn[number][2]
    found = [
        strength(rng, x, y, one),
        fracture(rng, x, one),
        modulus_question(rng, x, y, one, modulus),
        read_value(rng, x, y, one),
        axes_of(rng, x, y),
        not_shown(rng, x, y, series, names(rng, 4), OTHERS),
    ]
    if law in (metal, polymer):
        found.append(yield_question(rng, y, one, modulus))
    if len(series) > 1:
        found += [most(rng, x, y, series), gap(rng, y, series)]
    questions = [question for question in found if question]
    caption = pick(
        rng,
        f"Tensile stress-strain curves of {the_samples(labels)}.",
        f"Engineering stress against strain of {the_samples(labels)} in uniaxial tension.",
    )
    subject = f"stress against strain of {the_samples(labels)}"
    return Panel("tensile", subject, caption, x, y, questions, series, axes)


def sharp(values: np.ndarray) -> np.ndarray:
    """Round values as in a table of measurements."""
    return np.array([float(f"{value:.{PRECISE}g}") for value in values])


def offset_yield(series: Series, modulus: float) -> float | None:
    """Return the stress at which a line of the elastic slope, offset by 0.2 %, meets the curve, or
    None."""
    below = series.y - modulus * (series.x / 100 - OFFSET)
    crossed = np.flatnonzero(below < 0)
    if not len(crossed) or crossed[0] == 0:
        return None
    last = crossed[0] - 1
    share = below[last] / (below[last] - below[last + 1])
    return float(series.y[last] + share * (series.y[last + 1] - series.y[last]))


def strength(rng: np.random.Generator, x: Scale, y: Scale, one: Series) -> Question:
    """Ask for the highest stress, and where it is."""
    top = int(np.argmax(one.y))
    value, place = float(one.y[top]), float(one.x[top])
    text = pick(
        rng,
        f"What is the ultimate tensile strength of {one.title}?",
        f"What is the highest stress that {one.title} carries?",
        f"How strong is {one.title} in tension?",
    )
    answer = (
        f"The curve of {one.title} has its highest stress at about {y.say(value)}, reached at a "
        f"strain of about {x.say(place)}, so its tensile strength is about {y.say(value)}."
    )
    return Question("extremum", text, answer, value, y.tolerance(value), y.unit)


def fracture(rng: np.random.Generator, x: Scale, one: Series) -> Question:
    """Ask for the strain at the end of a curve."""
    value = float(one.x[-1])
    text = pick(
        rng,
        f"At which strain does {one.title} fail?",
        f"What is the elongation at break of {one.title}?",
    )
    answer = f"The curve of {one.title} ends at a strain of about {x.say(value)}, where it fails."
    return Question("read", text, answer, value, x.tolerance(value), x.unit)


def modulus_question(
    rng: np.random.Generator, x: Scale, y: Scale, one: Series, modulus: float
) -> Question | None:
    """Ask for Young's modulus from a point of the straight part. Returns None if that is too short
    to read."""
    straight = np.abs(one.y - modulus * one.x / 100) < 0.01 * y.high
    end = int(np.argmin(straight)) or len(one.x)
    place = float(one.x[end - 1]) * 0.9
    if x.fraction(place) < MIN_ELASTIC or y.fraction(one.value(x, y, place)) < 0.15:
        return None
    strain = x.rounded(place) or place
    stress = one.value(x, y, strain)
    said = y.rounded(stress) / (strain / 100)
    unit, times = ("GPa", 1e-3) if modulus >= 1000 else ("MPa", 1.0)
    text = pick(
        rng,
        f"What is Young's modulus of {one.title}?",
        f"Estimate the elastic modulus of {one.title} from the initial slope.",
    )
    answer = (
        f"The initial part of {one.title} is straight and passes about {y.say(stress)} at a strain "
        f"of {x.say(strain)}. {y.bare(stress)} MPa / {three_digits(strain / 100)} ≈ "
        f"{three_digits(said * times)} {unit}."
    )
    off = y.tolerance(stress) / stress + x.tolerance(strain) / strain
    value = modulus * times
    return Question("modulus", text, answer, value, value * min(off, 0.4), unit)


def yield_question(
    rng: np.random.Generator, y: Scale, one: Series, modulus: float
) -> Question | None:
    """Ask for the yield strength at an offset of 0.2 %. Returns None for a curve that fails
    before."""
    value = offset_yield(one, modulus)
    if value is None:
        return None
    text = pick(
        rng,
        f"What is the yield strength of {one.title} (0.2% offset)?",
        f"At about what stress does {one.title} start to yield, taking an offset of 0.2%?",
    )
    answer = (
        f"A line with the initial slope of {one.title}, shifted by a strain of 0.2%, meets its "
        f"curve at about {y.say(value)}; that is its yield strength."
    )
    return Question("yield", text, answer, value, 2 * y.tolerance(value), y.unit)


def most(rng: np.random.Generator, x: Scale, y: Scale, series: list[Series]) -> Question | None:
    """Ask which sample is strongest or most ductile. Returns None if two are too close."""
    word, scale = (("strongest", y), ("most ductile", x))[int(rng.integers(2))]
    value = (lambda one: float(one.y.max())) if scale is y else (lambda one: float(one.x[-1]))
    first, second = sorted(series, key=value, reverse=True)[:2]
    if value(first) - value(second) < APART * scale.tolerance(value(first)):
        return None
    text = f"Which sample is the {word}?"
    reason = (
        "carries the highest stress, about" if scale is y else "fails at the largest strain, about"
    )
    answer = (
        f"{capital(first.title)} is the {word}: it {reason} {scale.say(value(first))}, before "
        f"{second.title} with about {scale.say(value(second))}."
    )
    return Question("series", text, answer, words=(first.name,))


def gap(rng: np.random.Generator, y: Scale, series: list[Series]) -> Question | None:
    """Ask for the ratio of two strengths. Returns None if they are too close."""
    one, other = (series[number] for number in rng.choice(len(series), 2, replace=False))
    high, low = float(one.y.max()), float(other.y.max())
    if high < low:
        one, other, high, low = other, one, low, high
    off = y.tolerance(high)
    if high - low < APART * off or low < 5 * off:
        return None
    text = pick(
        rng,
        f"By what factor is {one.title} stronger than {other.title}?",
        f"What is the ratio of the tensile strengths of {one.title} and {other.title}?",
    )
    ratio = y.rounded(high) / y.rounded(low)
    answer = (
        f"Their highest stresses are about {y.say(high)} and {y.say(low)}, so the ratio is "
        f"{y.bare(high)} / {y.bare(low)} ≈ {three_digits(ratio)}."
    )
    return Question("compare", text, answer, high / low, high / low * (off / high + off / low))
