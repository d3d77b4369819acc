"""Draw bars with error bars: a property of several samples, alone or in groups."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from cephalo.dataset_scripts.plots.asking import APART, change, three_digits, with_article
from cephalo.dataset_scripts.plots.style import Style, legend_size, set_axis
from cephalo.dataset_scripts.plots.truth import Panel, Question, Scale, Series, with_unit
from cephalo.dataset_scripts.plots.words import called, capital, listed, names, pick, the_samples

PROPERTIES = (
    Scale("tensile strength", "MPa", 0, 900),
    Scale("Young's modulus", "GPa", 0, 210),
    Scale("fracture toughness", "MPa√m", 0, 40),
    Scale("hardness", "GPa", 0, 12),
    Scale("elongation at break", "%", 0, 60),
    Scale("compressive strength", "MPa", 0, 80),
    Scale("cell viability", "%", 0, 110),
    Scale("grain size", "µm", 0, 50),
    Scale("thermal conductivity", "W/(m·K)", 0, 5),
    Scale("specific energy absorption", "J/g", 0, 40),
    Scale("adhesion strength", "kPa", 0, 300),
    Scale("water uptake", "wt%", 0, 25),
    Scale("porosity", "%", 0, 90),
    Scale("flexural strength", "MPa", 0, 400),
)
CONDITIONS = (
    ("dry", "wet"),
    ("before ageing", "after ageing"),
    ("longitudinal", "transverse"),
    ("untreated", "treated"),
    ("25 °C", "37 °C", "60 °C"),
    ("1 day", "3 days", "7 days"),
    ("pristine", "irradiated"),
)
HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\")
PRECISE = 3  # significant digits of a mean
TALLEST = 0.85  # of the axis


def bars(rng: np.random.Generator, axes: Axes, style: Style) -> Panel:
    """Draw bars of one property; every bar is a point (its place, its height) of a series."""
    drawn = PROPERTIES[int(rng.integers(len(PROPERTIES)))]
    top = drawn.high * float(rng.choice([0.5, 0.75, 1])) if drawn.unit != "%" else drawn.high
    y = Scale(drawn.name, drawn.unit, 0, top)
    grouped = bool(rng.random() < 0.45)
    labels = names(rng, int(rng.integers(3, 5 if grouped else 6)))
    groups = list(CONDITIONS[int(rng.integers(len(CONDITIONS)))]) if grouped else [""]
    heights = [
        np.array([float(f"{top * h:.{PRECISE}g}") for h in rng.uniform(0.2, TALLEST, len(labels))])
        for _ in groups
    ]
    errors = [np.maximum(own * rng.uniform(0.03, 0.12, len(labels)), top / 100) for own in heights]
    width = 0.8 / len(groups) if grouped else float(rng.uniform(0.45, 0.75))
    series = []
    for number, (group, own, error) in enumerate(zip(groups, heights, errors, strict=True)):
        places = np.arange(len(labels)) + (number - (len(groups) - 1) / 2) * width
        look = bar_look(rng, style, number)
        axes.bar(places, own, width, yerr=error, label=group, error_kw={"lw": 0.8}, **look)
        series.append(Series(group, places, own, style.palette[number + 1], joined=False))
    if grouped:
        y = Scale(y.name, y.unit, 0, top * (1.02 + legend_size(axes, style, groups, 3)[1]))
        axes.legend(loc="upper center", ncols=len(groups), fontsize=0.85 * style.size,
                    columnspacing=0.8, handlelength=1.2)  # fmt: skip
    else:
        y = Scale(y.name, y.unit, 0, top * 1.02)
    set_axis(axes, "y", y, style)
    axes.xaxis.grid(False)
    axes.tick_params(axis="x", which="both", length=0)
    crowded = max(map(len, labels)) * len(labels) > 26
    axes.set_xticks(range(len(labels)), labels, rotation=35 if crowded else 0,
                    ha="right" if crowded else "center", rotation_mode="anchor")  # fmt: skip
    axes.set_xlim(-0.6, len(labels) - 0.4)
    values = {
        (label, group): (float(own[place]), float(error[place]))
        for group, own, error in zip(groups, heights, errors, strict=True)
        for place, label in enumerate(labels)
    }
    questions = bar_questions(rng, y, labels, groups, values)
    under = f", {listed(groups)}" if grouped else ""
    caption = (
        f"{capital(y.name)} of {the_samples(labels)}{under}. Error bars are standard deviations."
    )
    return Panel("bars", f"bars of {y.name}", caption, None, y, questions, series, axes)


def bar_look(rng: np.random.Generator, style: Style, number: int) -> dict[str, Any]:
    """Return the style of the bars of a series."""
    colour = style.palette[number + 1]
    if style.dashed:
        return {"facecolor": "white", "edgecolor": colour, "hatch": HATCHES[number], "linewidth": 1}
    return {"color": colour, "edgecolor": "black", "linewidth": 0.6}


def bar_questions(
    rng: np.random.Generator,
    y: Scale,
    labels: list[str],
    groups: list[str],
    values: dict[tuple[str, str], tuple[float, float]],
) -> list[Question]:
    """Return all questions about bars by sample and group, each with its mean and error."""
    group = groups[int(rng.integers(len(groups)))]
    under = f" ({group})" if group else ""
    ranked = sorted(labels, key=lambda label: -values[label, group][0])
    found = [
        read_bar(rng, y, labels[int(rng.integers(len(labels)))], under, group, values),
        read_error(rng, y, labels[int(rng.integers(len(labels)))], under, group, values),
        difference(rng, y, ranked, under, group, values),
        percent(rng, y, labels, under, group, values),
        highest(rng, y, ranked, under, group, values),
        other_property(rng, y, labels),
        Question(
            "series",
            f"How many samples are compared in the bar chart of {y.name}?",
            f"{len(labels)} samples: {', '.join(labels)}.",
            float(len(labels)),
            0.0,
        ),
    ]
    return [question for question in found if question]


Values = dict[tuple[str, str], tuple[float, float]]


def read_bar(
    rng: np.random.Generator, y: Scale, label: str, under: str, group: str, values: Values
) -> Question:
    """Ask for the height of a bar."""
    mean, label = values[label, group][0], called(label)
    text = pick(
        rng,
        f"What is the {y.name} of {label}{under}?",
        f"Read the {y.name} of {label}{under} off the bar chart.",
        f"How high is the bar for {label}{under}?",
    )
    answer = pick(
        rng,
        f"The bar for {label}{under} reaches a {y.name} of about {y.say(mean)}.",
        f"The {y.name} of {label}{under} is about {y.say(mean)}.",
    )
    return Question("read", text, answer, mean, y.tolerance(mean), y.unit)


def read_error(
    rng: np.random.Generator, y: Scale, label: str, under: str, group: str, values: Values
) -> Question:
    """Ask for the length of an error bar, with more steps than the axis, since it is compared with
    the ticks."""
    mean, error = values[label, group]
    ends, label = (y.rounded(mean - error), y.rounded(mean + error)), called(label)
    text = pick(
        rng,
        f"How large is the error bar of {label}{under}?",
        f"What is the standard deviation of the {y.name} of {label}{under}?",
    )
    answer = (
        f"The error bar of {label}{under} extends from about {y.bare(mean - error)} to "
        "about "
        f"{y.say(mean + error)}, so the standard deviation is about "
        f"±{with_unit(f'{(ends[1] - ends[0]) / 2:.3g}', y.unit)}."
    )
    return Question("error", text, answer, error, y.tolerance(error), y.unit)


def difference(
    rng: np.random.Generator, y: Scale, ranked: list[str], under: str, group: str, values: Values
) -> Question | None:
    """Ask by how much one bar is higher than another. Returns None if they are too close."""
    first, second = sorted(rng.choice(len(ranked), 2, replace=False))
    one, other = ranked[first], ranked[second]
    high, low = values[one, group][0], values[other, group][0]
    if high - low < APART * y.tolerance(high):
        return None
    one, other = called(one), called(other)
    text = pick(
        rng,
        f"What is the difference in {y.name} between {one} and {other}{under}?",
        f"By how much does the {y.name} of {one} exceed that of {other}{under}?",
    )
    gap = change(y, y.rounded(high) - y.rounded(low))
    answer = (
        f"{capital(one)} has about {y.say(high)} and {other} about "
        f"{y.say(low)}{under}; the "
        f"difference is {y.bare(high)} − {y.bare(low)} = {gap}."
    )
    return Question("compare", text, answer, high - low, 2 * y.tolerance(high), y.unit)


def percent(
    rng: np.random.Generator, y: Scale, labels: list[str], under: str, group: str, values: Values
) -> Question | None:
    """Ask for the change between two bars in percent. Returns None if they are too close or the
    base is small."""
    base, new = (labels[number] for number in rng.choice(len(labels), 2, replace=False))
    old, value = values[base, group][0], values[new, group][0]
    off = y.tolerance(value)
    if abs(value - old) < APART * off or old < 10 * off:
        return None
    first, last = y.rounded(old), y.rounded(value)
    said = round(100 * (last - first) / first)
    word = "higher" if value > old else "lower"
    base, new = called(base), called(new)
    text = pick(
        rng,
        f"By how many percent is the {y.name} of {new} {word} than that of {base}{under}?",
        f"Relative to {base}{under}, by what percentage is the {y.name} of {new} {word}?",
    )
    answer = (
        f"The bars read about {y.say(old)} for {base} and {y.say(value)} for "
        f"{new}{under}. "
        f"({y.bare(max(value, old))} − {y.bare(min(value, old))}) / {y.bare(old)} ≈ "
        f"{three_digits(abs(last - first) / first)}, so it is about {abs(said)}% {word}."
    )
    true = 100 * abs(value - old) / old
    return Question("compare", text, answer, true, 100 * off / old * (1 + value / old) + 1, "%")


def highest(
    rng: np.random.Generator, y: Scale, ranked: list[str], under: str, group: str, values: Values
) -> Question | None:
    """Ask which bar is highest or lowest. Returns None if two are too close."""
    word = pick(rng, "highest", "lowest")
    first, second = ranked[:2] if word == "highest" else ranked[:-3:-1]
    mean, next_ = values[first, group][0], values[second, group][0]
    if abs(mean - next_) < APART * y.tolerance(mean):
        return None
    first, second = called(first), called(second)
    text = pick(
        rng,
        f"Which sample has the {word} {y.name}{under}?",
        f"Which bar is the {word}{under}?",
    )
    answer = pick(
        rng,
        f"{capital(first)} has the {word} {y.name}{under}, about {y.say(mean)}.",
        f"The {word} bar{under} is that of {first} at about {y.say(mean)}; the next is "
        f"{second} at "
        f"about {y.say(next_)}.",
    )
    return Question("extremum", text, answer, words=(ranked[0 if word == "highest" else -1],))


def other_property(rng: np.random.Generator, y: Scale, labels: list[str]) -> Question:
    """Ask for something that the bars do not show: the density, cost or another property."""
    label = called(labels[int(rng.integers(len(labels)))])
    asked = pick(rng, *(own.name for own in PROPERTIES if own.name != y.name))
    text = pick(
        rng,
        f"What is the {asked} of {label}?",
        f"Which sample has the highest {asked}?",
        f"Does {label} have {with_article(asked)} above average?",
    )
    answer = pick(
        rng,
        f"The plot does not show the {asked}; its bars give the {y.name} of {the_samples(labels)}.",
        f"That cannot be told from this chart of {y.name}: the {asked} of {label} is not given.",
    )
    return Question("unanswerable", text, answer, words=("not",))
