"""Generate the questions that any line plot allows, with answers from its data."""

from collections.abc import Sequence

import numpy as np

from cephalo.dataset_scripts.plots.truth import (
    Question,
    Scale,
    Series,
    decimal,
    decimals_of,
    in_brackets,
    with_unit,
)
from cephalo.dataset_scripts.plots.words import called, capital, listed, pick

APART = 2.5  # tolerances between values when the question is which is higher
MIN_TREND = 0.15  # of the axis; below it a series is constant
MAX_BACK = 0.02  # of the axis; a rising series may fall by this much on its way


def read_value(
    rng: np.random.Generator, x: Scale, y: Scale, series: Series, at: float | None = None
) -> Question:
    """Ask for the value of a series at a point of the x axis, drawn at random unless `at` is
    given."""
    at = round_place(rng, x, series) if at is None else at
    value = series.value(x, y, at)
    place, where = x.place(at), place_with_name(x, at)
    text = pick(
        rng,
        f"What is the {y.name} of {series.title} at {where}?",
        f"What {y.name} does {series.title} have at {place}?",
        f"Read the {y.name} of {series.title} at {place} off the plot.",
        f"How large is the {y.name} for {series.title} at {place}?",
    )
    answer = pick(
        rng,
        f"At {where}, {series.title} has {with_article(y.name)} of about {y.say(value)}.",
        f"The {y.name} of {series.title} at {place} is about {y.say(value)}.",
        f"It is about {y.say(value)}, read where the curve for {series.title} passes {place}.",
    )
    return Question("read", text, answer, value, y.tolerance(value), y.unit)


def compare(
    rng: np.random.Generator, x: Scale, y: Scale, series: Sequence[Series]
) -> Question | None:
    """Ask for the difference or ratio of two series at a point. Returns None if they hardly
    differ."""
    one, other = (series[number] for number in rng.choice(len(series), 2, replace=False))
    at = round_place(rng, x, one)
    high, low = one.value(x, y, at), other.value(x, y, at)
    if high < low:
        one, other, high, low = other, one, low, high
    if high - low < APART * y.tolerance(high):
        return None
    place, where = x.place(at), place_with_name(x, at)
    a, b = y.rounded(high), y.rounded(low)
    read = (
        f"At {place}, {one.title} is at about {y.say(high)} and {other.title} at about {y.say(low)}"
    )
    # The error of a ratio or a difference combines those of both readings.
    off, under = y.tolerance(high), y.tolerance(low)
    if y.log or (b > 5 * under and rng.random() < 0.4):
        ratio = a / b
        text = pick(
            rng,
            f"By what factor does the {y.name} of {one.title} exceed that of {other.title} at "
            f"{place}?",
            f"How many times the {y.name} of {other.title} does {one.title} have at {place}?",
        )
        said = f"{ratio:.2g}" if ratio < 100 else f"{float(f'{ratio:.2g}'):.0f}"
        answer = f"{read}, so the ratio is {y.bare(high)} / {in_brackets(y.bare(low))} ≈ {said}."
        true = high / low
        return Question("compare", text, answer, true, true * (off / high + under / low + 0.05))
    text = pick(
        rng,
        f"How much higher is the {y.name} of {one.title} than that of {other.title} at {place}?",
        f"At {where}, what is the difference in {y.name} between {one.title} and {other.title}?",
    )
    gap = change(y, a - b)
    answer = f"{read}; the difference is {y.bare(high)} − {y.bare(low)} = {gap}."
    return Question("compare", text, answer, high - low, off + under, y.unit)


def which_highest(
    rng: np.random.Generator, x: Scale, y: Scale, series: Sequence[Series]
) -> Question | None:
    """Ask which series is highest or lowest at a point. Returns None if two are too close."""
    at = round_place(rng, x, series[0])
    ranked = sorted(series, key=lambda one: one.value(x, y, at))
    word = pick(rng, "highest", "lowest")
    if word == "highest":
        ranked.reverse()
    first, second = (one.value(x, y, at) for one in ranked[:2])
    if abs(first - second) < APART * max(y.tolerance(first), y.tolerance(second)):
        return None
    place, name = x.place(at), ranked[0].name
    where = place_with_name(x, at)
    text = pick(
        rng,
        f"Which curve has the {word} {y.name} at {place}?",
        f"At {where}, which sample shows the {word} {y.name}?",
    )
    answer = pick(
        rng,
        f"{capital(called(name))} has the {word} {y.name} at {place}, about {y.say(first)}; the "
        "next is "
        f"{ranked[1].title} with about {y.say(second)}.",
        f"At {place} the {word} curve is that of {called(name)}, at about {y.say(first)}.",
    )
    return Question("series", text, answer, words=(name,))


def trend(rng: np.random.Generator, x: Scale, y: Scale, series: Series) -> Question:
    """Ask how a series changes from the start to the end of its data."""
    heights = y.fraction(series.y)
    top, bottom = int(np.argmax(heights)), int(np.argmin(heights))
    start, end = y.say(series.y[0]), y.say(series.y[-1])
    ends = f"from about {start} at {x.place(series.x[0])} to about {end} at {x.place(series.x[-1])}"
    subject = f"The {y.name} of {series.title}"
    steps = np.diff(heights)
    back = {"rises": -steps[steps < 0].sum(), "falls": steps[steps > 0].sum()}
    words: tuple[str, ...]
    if max(heights) - min(heights) < 2 * MAX_BACK:
        answer, words = f"{subject} stays nearly constant, at about {start}.", ("constant",)
    elif min(back.values()) <= MAX_BACK:
        word = min(back, key=back.__getitem__)
        answer, words = f"{subject} {word} {ends}.", (word,)
    elif 0 < top < len(heights) - 1 and heights[top] - max(heights[0], heights[-1]) > 0.05:
        peak = f"about {y.say(series.y[top])} at {x.place(series.x[top])}"
        answer = f"{subject} first rises from about {start} to a maximum of {peak}, then falls to "
        answer, words = f"{answer}about {end} at {x.place(series.x[-1])}.", ("maximum",)
    else:
        valley = f"about {y.say(series.y[bottom])} at {x.place(series.x[bottom])}"
        answer = f"{subject} goes {ends}; its lowest point is {valley}."
        words = ("lowest",)
    text = pick(
        rng,
        f"How does the {y.name} of {series.title} change with {x.name}?",
        f"Describe the trend of {series.title} over the range shown.",
        f"What happens to the {y.name} of {series.title} as the {x.name} increases?",
    )
    return Question("trend", text, answer, words=words)


def maximum(rng: np.random.Generator, x: Scale, y: Scale, series: Series) -> Question | None:
    """Ask where a series has its maximum. Returns None if it is at an end or not distinct."""
    heights = y.fraction(series.y)
    top = int(np.argmax(heights))
    away = np.abs(x.fraction(series.x) - x.fraction(series.x[top])) > 0.05
    if top in (0, len(heights) - 1) or not away.any() or heights[top] - heights[away].max() < 0.01:
        return None
    place, value = float(series.x[top]), float(series.y[top])
    if rng.random() < 0.5:
        text = pick(
            rng,
            f"At which {x.name} does {series.title} reach its highest {y.name}?",
            f"Where along the {x.name} axis does {series.title} peak?",
        )
        truth = place, 2 * x.tolerance(place), x.unit
    else:
        text = pick(
            rng,
            f"What is the maximum {y.name} of {series.title}?",
            f"How high does the {y.name} of {series.title} get?",
        )
        truth = value, y.tolerance(value), y.unit
    answer = (
        f"{capital(series.title)} reaches its highest {y.name}, about {y.say(value)}, at "
        f"{with_article(x.name)} of about {x.say(place)}."
    )
    return Question("extremum", text, answer, *truth)


def reaches(rng: np.random.Generator, x: Scale, y: Scale, series: Series) -> Question | None:
    """Ask where a monotonic series reaches a value. Returns None for other series, and if it is too
    flat."""
    heights, places = y.fraction(series.y), x.fraction(series.x)
    steps = np.diff(heights)
    if abs(heights[-1] - heights[0]) < MIN_TREND or not (np.all(steps > 0) or np.all(steps < 0)):
        return None
    level = y.rounded(float(y.at(rng.uniform(*sorted((heights[0], heights[-1]))))))
    goal = float(y.fraction(level))
    low, high = sorted((float(heights[0]), float(heights[-1])))
    if not low < goal < high:
        return None
    rising = heights[-1] > heights[0]
    order = slice(None) if rising else slice(None, None, -1)
    near = [np.interp(goal + d, heights[order], places[order]) for d in (-0.01, 0, 0.01)]
    if abs(near[2] - near[0]) > 0.04:
        return None
    place = float(x.at(near[1]))
    word = "exceed" if rising else "fall below"
    text = pick(
        rng,
        f"At which {x.name} does the {y.name} of {series.title} {word} {y.place(level)}?",
        f"From which {x.name} on is the {y.name} of {series.title} "
        f"{'above' if rising else 'below'} {y.place(level)}?",
    )
    answer = (
        f"The curve for {series.title} passes {y.place(level)} at {with_article(x.name)} of about "
        f"{x.say(place)}."
    )
    return Question("read", text, answer, place, 2 * x.tolerance(place), x.unit)


def mean_slope(rng: np.random.Generator, x: Scale, y: Scale, series: Series) -> Question | None:
    """Ask for the mean rate of change between two points of linear axes. Returns None if it is too
    small."""
    if x.log or y.log:
        return None
    low, high = sorted(round_place(rng, x, series) for _ in range(2))
    if x.fraction(high) - x.fraction(low) < 0.3:
        return None
    first, last = series.value(x, y, low), series.value(x, y, high)
    if abs(last - first) < 8 * y.tolerance(last):
        return None
    run = x.rounded(high) - x.rounded(low)
    rise = y.rounded(last) - y.rounded(first)
    unit = f"{y.unit or 'units'} per {x.unit or 'unit'}"
    text = pick(
        rng,
        f"What is the mean slope of {series.title} between {x.place(low)} and {x.place(high)}?",
        f"How fast does the {y.name} of {series.title} change on average between {x.place(low)} "
        "and "
        f"{x.place(high)}?",
    )
    quotient = f"({y.bare(last)} − {in_brackets(y.bare(first))}) / ({x.bare(high)} − {x.bare(low)})"
    answer = (
        f"The {y.name} of {series.title} goes from about {y.say(first)} at {x.place(low)} to about "
        f"{y.say(last)} at {x.place(high)}. The mean slope is {quotient} ≈ "
        f"{with_unit(three_digits(rise / run), unit)}."
    )
    truth = (last - first) / (high - low)
    return Question("slope", text, answer, truth, 2 * y.tolerance(last) / (high - low), unit)


def count(rng: np.random.Generator, series: Sequence[Series]) -> Question:
    """Ask for the number of series."""
    text = pick(
        rng,
        "How many data series are plotted?",
        "How many different samples does the plot compare?",
    )
    named = ", ".join(one.name for one in series)
    answer = f"There are {len(series)}: {named}."
    return Question("series", text, answer, float(len(series)), 0.0)


def axes_of(rng: np.random.Generator, x: Scale, y: Scale) -> Question:
    """Ask for the axes."""
    text = pick(
        rng,
        "What quantities and units are on the two axes, and on which scales?",
        "Which quantities do the axes show, and are the scales linear or logarithmic?",
    )
    first, second = (
        f"{scale.name} in {scale.unit}" if scale.unit else scale.name for scale in (y, x)
    )
    if x.log == y.log:
        kind = f"both {'logarithmic' if x.log else 'linear'}"
        answer = f"{capital(first)} against {second}, {kind}."
    else:
        logarithmic, linear = ("vertical", "horizontal") if y.log else ("horizontal", "vertical")
        answer = f"{capital(first)} against {second}; the {logarithmic} axis is logarithmic, the "
        answer += f"{linear} one linear."
    return Question("axes", text, answer, words=(y.name, x.name))


def not_shown(
    rng: np.random.Generator,
    x: Scale,
    y: Scale,
    series: Sequence[Series],
    others: Sequence[str],
    quantities: Sequence[str],
) -> Question:
    """Ask for something that the plot does not show: another sample, quantity or range."""
    name = series[int(rng.integers(len(series)))].title
    kind = int(rng.integers(3))
    strangers = [other for other in others if other not in {one.name for one in series}]
    if kind == 0 and strangers:
        other = strangers[int(rng.integers(len(strangers)))]
        shown = listed([one.name for one in series])
        text = (
            f"What is the {y.name} of {called(other)} at {x.place(round_place(rng, x, series[0]))}?"
        )
        answer = pick(
            rng,
            f"The plot does not show {called(other)}; its {y.name} against {x.name} is of {shown} "
            "only.",
            f"That cannot be told: there is no curve for {called(other)} in this plot of {y.name}, "
            f"only for {shown}.",
        )
    elif kind == 1:
        end = max(x.low, x.high)
        beyond = (
            x.place(end * 10) if x.log else x.place(nearest(x, end + 0.6 * abs(x.high - x.low)))
        )
        text = f"What is the {y.name} of {name} at {beyond}?"
        answer = pick(
            rng,
            f"The plot does not show that: its {x.name} axis ends at about {x.place(end)}, so the "
            f"{y.name} of {name} at {beyond} cannot be read.",
            f"{beyond} lies beyond the range of the plot, which ends at about {x.place(end)}; the "
            f"{y.name} of {name} there is not given.",
        )
    else:
        options = [one for one in quantities if one not in (x.name, y.name)]
        other = options[int(rng.integers(len(options)))]
        text = pick(rng, f"What is the {other} of {name}?", f"How large is the {other} of {name}?")
        answer = pick(
            rng,
            f"The plot does not show the {other}; it gives the {y.name} of {name} against "
            f"{x.name}.",
            f"The {other} of {name} cannot be told from this plot, which shows only {y.name} "
            f"against {x.name}.",
        )
    return Question("unanswerable", text, answer, words=("not",))


def line_questions(
    rng: np.random.Generator,
    x: Scale,
    y: Scale,
    series: Sequence[Series],
    others: Sequence[str],
    quantities: Sequence[str],
) -> list[Question]:
    """Return all questions that a line plot allows, in the order of drawing."""
    one = series[int(rng.integers(len(series)))]
    found = [
        read_value(rng, x, y, one),
        trend(rng, x, y, one),
        maximum(rng, x, y, one),
        reaches(rng, x, y, one),
        mean_slope(rng, x, y, one),
        axes_of(rng, x, y),
        not_shown(rng, x, y, series, others, quantities),
    ]
    if len(series) > 1:
        found += [compare(rng, x, y, series), which_highest(rng, x, y, series), count(rng, series)]
    return [question for question in found if question]


def round_place(rng: np.random.Generator, x: Scale, series: Series) -> float:
    """Draw a point of the x axis within a series' data: a round value, or one of few data
    points."""
    if len(series.x) <= 20:
        return float(rng.choice(series.x[1:-1] if len(series.x) > 3 else series.x))
    ends = sorted((float(x.fraction(series.x[0])), float(x.fraction(series.x[-1]))))
    low, high = (ends[0] + share * (ends[1] - ends[0]) for share in (0.08, 0.92))
    value = float(x.at(rng.uniform(low, high)))
    if x.log:
        return float(f"{value:.0e}") if low < x.fraction(float(f"{value:.0e}")) < high else value
    near = nearest(x, value)
    return near if low < x.fraction(near) < high else x.rounded(value)


def nearest(x: Scale, value: float) -> float:
    """Round a value like the tick labels of a linear axis, or half of them."""
    step = x.step * 5
    return round(round(value / step) * step, 12)


def three_digits(value: float) -> str:
    """Format a result with three significant digits."""
    exponent = int(f"{value:e}".split("e")[1])
    if not -4 <= exponent < 6:
        return f"{value:.2e}"
    rounded = float(f"{value:.2e}")
    return decimal(rounded, max(0, 2 - exponent))


def change(y: Scale, value: float) -> str:
    """Format a difference between two values of an axis, with its unit."""
    number = decimal(value, decimals_of(y.step))
    return f"{number} percentage points" if y.unit == "%" else with_unit(number, y.unit)


def place_with_name(x: Scale, at: float) -> str:
    """Format a place along the axis with its name: "a temperature of 60 °C", "cycle number 12"."""
    return f"{with_article(x.name)} of {x.place(at)}" if x.unit else x.place(at)


def with_article(noun: str) -> str:
    """Add the indefinite article: "a strain", "an energy"."""
    return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"
