"""Draw measured points with a fitted line: Hall-Petch, Arrhenius, power laws, calibrations."""

from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes

from cephalo.dataset_scripts.plots.asking import three_digits, with_article
from cephalo.dataset_scripts.plots.style import Style, legend_place, set_axis
from cephalo.dataset_scripts.plots.truth import (
    Panel,
    Question,
    Scale,
    Series,
    in_brackets,
    with_unit,
)
from cephalo.dataset_scripts.plots.words import capital, pick

GAS_CONSTANT = 8.314462618  # J/(mol·K), CODATA
SLOPE_TOLERANCE = 0.08  # of a slope read from two points at the ends of a line
PRECISE = 4
SYMBOLS = ("d⁻¹ᐟ²", "1000/T")
MAX_COUNTED = 14  # points
MIN_APART = 0.04  # of the axes, between points in questions about their number


@dataclass(frozen=True)
class Relation:
    """Two quantities with a linear relation along the axes as drawn."""

    kind: str
    x: Scale
    y: Scale
    slope: str  # the name of its slope


RELATIONS = (
    Relation(
        "Hall-Petch",
        Scale("d⁻¹ᐟ²", "µm⁻¹ᐟ²", 0, 1.2),
        Scale("yield strength", "MPa", 0, 500),
        "Hall-Petch slope k",
    ),
    Relation(
        "Arrhenius",
        Scale("1000/T", "K⁻¹", 0.8, 1.6),
        Scale("diffusivity", "m²/s", 1e-18, 1e-11, log=True),
        "activation energy",
    ),
    Relation(
        "power law",
        Scale("relative density", "", 0.02, 0.6, log=True),
        Scale("relative modulus", "", 1e-4, 1, log=True),
        "exponent",
    ),
    Relation(
        "power law",
        Scale("stress intensity range ΔK", "MPa√m", 5, 60, log=True),
        Scale("crack growth rate", "mm/cycle", 1e-7, 1e-2, log=True),
        "exponent",
    ),
    Relation(
        "linear", Scale("density", "kg/m³", 100, 900), Scale("modulus", "MPa", 0, 400), "slope"
    ),
    Relation(
        "linear", Scale("concentration", "mM", 0, 20), Scale("absorbance", "a.u.", 0, 2), "slope"
    ),
    Relation("linear", Scale("dose", "kGy", 0, 200), Scale("gel fraction", "%", 0, 100), "slope"),
)


def scatter(rng: np.random.Generator, axes: Axes, style: Style) -> Panel:
    """Draw points about a least-squares line, along the axes as drawn."""
    relation = RELATIONS[int(rng.integers(len(RELATIONS)))]
    x, y = relation.x, relation.y
    total = int(rng.integers(8, 22))
    u = np.sort(rng.uniform(0.05, 0.95, total))
    ends = rng.uniform(0.08, 0.3), rng.uniform(0.65, 0.92)
    start, end = ends[::-1] if relation.kind == "Arrhenius" else ends
    heights = start + (end - start) * u + rng.normal(0, rng.uniform(0.01, 0.035), total)
    px = np.array([float(f"{v:.{PRECISE}g}") for v in x.at(u)])
    py = np.array([float(f"{v:.{PRECISE}g}") for v in y.at(np.clip(heights, 0.01, 0.99))])
    slope, offset = (float(v) for v in np.polyfit(x.fraction(px), y.fraction(py), 1))
    line = Series("fit", x.at(np.array([0.02, 0.98])),
                  y.at(offset + slope * np.array([0.02, 0.98])), style.palette[1])  # fmt: skip
    points = Series("data", px, py, style.palette[0], joined=False)
    place, y_shown = legend_place(axes, style, x, y, [points, replace(line, name="linear fit")])
    set_axis(axes, "x", x, style)
    set_axis(axes, "y", y_shown, style)
    face = "white" if rng.random() < 0.4 else style.palette[0]
    axes.plot(px, py, linestyle="", marker=style.markers[0], color=style.palette[0],
              markerfacecolor=face, label="data")  # fmt: skip
    axes.plot(line.x, line.y, color=line.colour, label="fit", linestyle=style.marks(1)["linestyle"])
    axes.legend(loc=place, fontsize=0.9 * style.size)
    questions = [
        fitted_value(rng, x, y_shown, line),
        slope_question(rng, relation, y_shown, line),
        number_of_points(rng, x, y_shown, points),
        strongest(rng, x, y_shown, points),
        farthest(rng, x, y_shown, points, line),
        direction(rng, x, y_shown, line),
        not_in_plot(rng, x, y_shown),
    ]
    subject = f"{y.name} against {x.name} with a fit"
    name = {"Hall-Petch": "Hall-Petch plot", "Arrhenius": "Arrhenius plot"}.get(
        relation.kind, "Measured points with a line of least squares"
    )
    caption = f"{name}: {y.name} against {x.name}, {total} points."
    return Panel(
        "scatter", subject, caption, x, y_shown, [q for q in questions if q], [line, points], axes
    )


def fitted_value(rng: np.random.Generator, x: Scale, y: Scale, line: Series) -> Question:
    """Ask for the value of the line at a point."""
    at = float(f"{float(x.at(rng.uniform(0.15, 0.85))):.2g}")
    value = line.value(x, y, at)
    text = pick(
        rng,
        f"What {y.name} does the fit give at {named(x, at)}?",
        f"Using the fitted line, estimate the {y.name} at {named(x, at)}.",
    )
    answer = (
        f"The fitted line passes {named(x, at)} at {with_article(y.name)} of about {y.say(value)}."
    )
    return Question("read", text, answer, value, y.tolerance(value), y.unit)


def slope_question(
    rng: np.random.Generator, relation: Relation, y: Scale, line: Series
) -> Question:
    """Ask for the slope of the line, or for what follows from it, from two points on it."""
    x = relation.x
    first, last = (float(f"{float(x.at(share)):.2g}") for share in (0.1, 0.9))
    read = [line.value(x, y, at) for at in (first, last)]
    said = [y.rounded(value) for value in read]
    points = f"The fit passes {y.say(read[0])} at {named(x, first)} and {y.say(read[1])} at "
    points += f"{named(x, last)}."
    a, b = x.bare(first), x.bare(last)
    a, b = (f"{v:g}" for v in (first, last))
    if relation.kind == "Arrhenius":
        per = [np.log(v[1] / v[0]) / (last - first) for v in (read, said)]
        value, shown = (-own * GAS_CONSTANT for own in per)  # per 1000 K and J: kJ/mol
        answer = (
            f"{points} The slope of ln D is ln({y.bare(read[1])} / "
            f"{in_brackets(y.bare(read[0]))}) / "
            f"({b} − {a}) ≈ {three_digits(per[1])} in 1000 K; times the gas constant, "
            f"8.314 J/(mol·K), that is an activation energy of about {shown:.0f} kJ/mol."
        )
        text = pick(
            rng,
            "What activation energy follows from the slope of the fit?",
            "Determine the activation energy of diffusion from this Arrhenius plot.",
        )
        return Question("slope", text, answer, value, SLOPE_TOLERANCE * value, "kJ/mol")
    if relation.kind == "power law":
        value, shown = (np.log(v[1] / v[0]) / np.log(last / first) for v in (read, said))
        answer = (
            f"{points} The exponent is log({y.bare(read[1])} / {in_brackets(y.bare(read[0]))}) / "
            f"log({b} / {a}) ≈ {three_digits(shown)}."
        )
        text = pick(
            rng,
            f"What is the exponent of the power law between {y.name} and {x.name}?",
            "What slope does the fitted line have in this double logarithmic plot?",
        )
        return Question("slope", text, answer, float(value), SLOPE_TOLERANCE * abs(value))
    value, shown = ((v[1] - v[0]) / (last - first) for v in (read, said))
    unit = "MPa·µm¹ᐟ²" if relation.kind == "Hall-Petch" else f"{y.unit} per {x.unit}"
    answer = (
        f"{points} The {relation.slope} is ({y.bare(read[1])} − {y.bare(read[0])}) / ({b} − {a}) ≈ "
        f"{three_digits(shown)} {unit}."
    )
    text = pick(
        rng,
        f"What is the {relation.slope} of the fit?",
        f"Estimate the {relation.slope} of the fitted line.",
    )
    return Question("slope", text, answer, value, SLOPE_TOLERANCE * abs(value), unit)


def number_of_points(
    rng: np.random.Generator, x: Scale, y: Scale, points: Series
) -> Question | None:
    """Ask for the number of points. Returns None if there are too many or some overlap."""
    total, u, v = len(points.x), x.fraction(points.x), y.fraction(points.y)
    apart = np.hypot(u[:, None] - u, v[:, None] - v) + np.eye(total)
    if total > MAX_COUNTED or apart.min() < MIN_APART:
        return None
    text = pick(rng, "How many data points are plotted?", "Count the measured points.")
    return Question("series", text, f"There are {total} data points.", float(total), 0.0)


def strongest(rng: np.random.Generator, x: Scale, y: Scale, points: Series) -> Question:
    """Ask for the highest point."""
    top = int(np.argmax(points.y))
    text = pick(
        rng, f"What is the highest {y.name} that was measured?", "Where is the highest data point?"
    )
    value, place = float(points.y[top]), float(points.x[top])
    answer = (
        f"The highest point is at {with_article(y.name)} of about {y.say(value)}, at "
        f"{named(x, place)}."
    )
    return Question("extremum", text, answer, value, y.tolerance(value), y.unit)


def farthest(
    rng: np.random.Generator, x: Scale, y: Scale, points: Series, line: Series
) -> Question | None:
    """Ask for the point farthest from the line. Returns None if another is about as far."""
    off = y.fraction(points.y) - y.fraction([line.value(x, y, at) for at in points.x])
    ranked = np.argsort(-np.abs(off))
    if abs(off[ranked[0]]) - abs(off[ranked[1]]) < 0.015:
        return None
    place = float(points.x[ranked[0]])
    side = "above" if off[ranked[0]] > 0 else "below"
    text = pick(
        rng,
        "Which point lies farthest from the fit?",
        "Where does the fit agree least with the data?",
    )
    answer = f"The point at {named(x, place)}; it lies {side} the fitted line."
    return Question("extremum", text, answer, place, 2 * x.tolerance(place), x.unit)


def direction(rng: np.random.Generator, x: Scale, y: Scale, line: Series) -> Question:
    """Ask whether the quantities rise together."""
    word = "increases" if line.y[-1] > line.y[0] else "decreases"
    text = pick(
        rng,
        f"Does the {y.name} increase or decrease with {x.name}?",
        f"How are {y.name} and {x.name} related?",
    )
    ends = f"from about {y.say(line.y[0])} to about {y.say(line.y[-1])}"
    answer = f"The {y.name} {word} with {x.name}: the fitted line goes {ends} over the range shown."
    return Question("trend", text, answer, words=(word,))


def not_in_plot(rng: np.random.Generator, x: Scale, y: Scale) -> Question:
    """Ask for something that points without names or errors do not show."""
    asked = pick(
        rng,
        "sample preparation",
        "measurement uncertainty of each point",
        "strain rate",
        "number of specimens per point",
        "surface finish",
        "humidity during the test",
    )
    return Question(
        "unanswerable",
        f"What does the plot say about the {asked}?",
        f"{capital(f'the {asked} is not shown')}; the plot gives {y.name} against {x.name} and a "
        "fit.",
        words=("not",),
    )


def named(x: Scale, value: float) -> str:
    """Format a point of the x axis with its name, since a bare number would be ambiguous."""
    said = with_unit(f"{value:.4g}", x.unit)
    return f"{x.name} = {said}" if x.name in SYMBOLS else f"{with_article(x.name)} of {said}"
