"""Draw binary phase diagrams with labelled regions, and generate questions about them."""

import numpy as np
from matplotlib.axes import Axes

from cephalo.dataset_scripts.plots.equilibria import Diagram, Region, eutectic, gap, lens, phases_at
from cephalo.dataset_scripts.plots.style import Style, set_axis
from cephalo.dataset_scripts.plots.truth import Panel, Question, Scale, Series
from cephalo.dataset_scripts.plots.words import capital, listed, pick

ZERO_CELSIUS = 273.15  # K
MARGIN = 0.04  # of the axes, between a point in a question and any boundary
TRIES = 60  # points drawn until one is away from all boundaries
MIN_WIDTH = 15  # at.% B, of a region for questions about the lever rule
PHASES = {"L": "liquid", "α": "α solid solution", "β": "β solid solution"}


def phase_diagram(rng: np.random.Generator, axes: Axes, style: Style) -> Panel:
    """Draw a diagram with its regions labelled."""
    diagram = (eutectic, eutectic, lens, gap)[int(rng.integers(4))](rng)
    celsius = bool(rng.random() < 0.6)
    zero = ZERO_CELSIUS if celsius else 0.0
    x = Scale("composition", "at.% B", 0, 100)
    low, high = diagram.low - zero, diagram.high - zero
    y = Scale("temperature", "°C" if celsius else "K", 10 * round(low / 10), 10 * round(high / 10))
    set_axis(axes, "x", x, style)
    set_axis(axes, "y", y, style)
    colour = style.palette[0]
    series = []
    for region in diagram.regions:
        for side in (region.left, region.right):
            series.append(Series(region.name, np.round(side, 3), region.kelvin - zero, colour))
            axes.plot(side, region.kelvin - zero, color=colour)
    if diagram.kind == "eutectic":
        ends = diagram.points["α limit"][0], diagram.points["β limit"][0]
        at = diagram.points["eutectic"][1] - zero
        series.append(Series("eutectic line", np.array(ends), np.array([at, at]), colour))
        axes.plot(ends, (at, at), color=colour)
    for region in diagram.regions:
        kelvin = float(region.kelvin[len(region.kelvin) // 3])
        left, right = region.ends(kelvin) or (0.0, 0.0)
        axes.text((left + right) / 2, kelvin - zero, region.name, ha="center", va="center",
                  fontsize=0.9 * style.size)  # fmt: skip
    for name, place, kelvin in diagram.single:
        axes.text(place, kelvin - zero, name, ha="center", va="center")
    questions = diagram_questions(rng, diagram, x, y, zero)
    caption = {
        "eutectic": "Calculated eutectic phase diagram of the system A–B",
        "isomorphous": "Phase diagram of A and B, which are completely soluble in each other",
        "miscibility gap": "Miscibility gap of a regular solution of A and B",
    }[diagram.kind]
    special = "eutectic" if diagram.kind == "eutectic" else next(iter(diagram.points))
    at = y.say(diagram.points[special][1] - zero)
    caption += f"; {'melting point of A' if special == 'A' else special} near {at}."
    return Panel(
        "phases",
        f"the phase diagram of A–B ({diagram.kind})",
        caption,
        x,
        y,
        questions,
        series,
        axes,
    )


def diagram_questions(
    rng: np.random.Generator, diagram: Diagram, x: Scale, y: Scale, zero: float
) -> list[Question]:
    """Return all questions about a diagram; `zero` is 0 on the axis in kelvin."""
    found = [
        phases_question(rng, diagram, x, y, zero),
        lever(rng, diagram, x, y, zero),
        composition(rng, diagram, x, y, zero),
        special(rng, diagram, x, y, zero),
        boundary(rng, diagram, x, y, zero),
        areas(rng, diagram),
        beyond(rng, x, y),
    ]
    return [question for question in found if question]


def spot(
    rng: np.random.Generator, diagram: Diagram, x: Scale, y: Scale, zero: float, both: bool
) -> tuple[float, float] | None:
    """Draw a round composition and temperature (of the axis) away from all boundaries.

    With `both`, it is in a region of two phases that is wide there. Returns None if none is found.
    """
    for _ in range(TRIES):
        place = float(rng.integers(1, 20)) * 5
        height = y.step * 5 * round(float(y.at(rng.uniform(0.06, 0.94))) / (y.step * 5))
        around = {
            phases_at(diagram, place + 100 * dx, height + zero + dy * (y.high - y.low))
            for dx, dy in ((0, 0), (MARGIN, 0), (-MARGIN, 0), (0, MARGIN), (0, -MARGIN))
        }
        region = region_at(diagram, place, height + zero)
        if len(around) > 1 or height + zero <= diagram.low:
            continue
        if not both:
            return place, height
        if region:
            left, right = region.ends(height + zero) or (0.0, 0.0)
            if right - left > MIN_WIDTH:
                return place, height
    return None


def region_at(diagram: Diagram, place: float, kelvin: float) -> Region | None:
    """Return the region of two phases at a point, or None in one of a single phase."""
    phases = phases_at(diagram, place, kelvin)
    found = (region for region in diagram.regions if region.phases == phases)
    return next(found, None)


def tie_line(
    rng: np.random.Generator, diagram: Diagram, x: Scale, y: Scale, zero: float
) -> tuple[float, float, Region, tuple[float, float]] | None:
    """Draw a point in a region of two phases: composition, temperature, region, ends of its tie
    line."""
    found = spot(rng, diagram, x, y, zero, both=True)
    if found is None:
        return None
    place, height = found
    region = region_at(diagram, place, height + zero)
    ends = region.ends(height + zero) if region else None
    assert region is not None and ends is not None
    return place, height, region, ends


def alloy(rng: np.random.Generator, x: Scale, place: float) -> str:
    """Return the name of an alloy."""
    return pick(rng, f"an alloy with {x.say(place)}", f"a composition of {x.say(place)}")


def phases_question(
    rng: np.random.Generator, diagram: Diagram, x: Scale, y: Scale, zero: float
) -> Question | None:
    """Ask which phases are in equilibrium at a point."""
    found = spot(rng, diagram, x, y, zero, both=False)
    if found is None:
        return None
    place, height = found
    phases = phases_at(diagram, place, height + zero)
    text = pick(
        rng,
        f"Which phases are in equilibrium in {alloy(rng, x, place)} at {y.say(height)}?",
        f"What phase or phases does {alloy(rng, x, place)} consist of at {y.say(height)}?",
    )
    where = f"The point at {x.say(place)} and {y.say(height)} lies in"
    if len(phases) == 2:
        answer = (
            f"{where} the area labelled {' + '.join(phases)}, so {listed(phases)} coexist there."
        )
    else:
        full = PHASES.get(phases[0], phases[0])
        answer = f"{where} the single-phase area {phases[0]}, so there is only the {full}."
    return Question("phases", text, answer, words=phases)


def lever(
    rng: np.random.Generator, diagram: Diagram, x: Scale, y: Scale, zero: float
) -> Question | None:
    """Ask for the fraction of a phase by the lever rule."""
    found = tie_line(rng, diagram, x, y, zero)
    if found is None:
        return None
    place, height, region, ends = found
    left, right = ends
    said = x.rounded(left), x.rounded(right)
    number = int(rng.integers(2))
    asked = region.phases[number]
    true, shown = (
        ((b - place) if number == 0 else (place - a)) / (b - a) for a, b in ((left, right), said)
    )
    text = pick(
        rng,
        f"What fraction of {alloy(rng, x, place)} is {asked} at {y.say(height)}?",
        f"Use the lever rule: how much {asked} is there in {alloy(rng, x, place)} at "
        f"{y.say(height)}?",
    )
    arm = f"{x.bare(said[1])} − {place:g}" if number == 0 else f"{place:g} − {x.bare(said[0])}"
    answer = (
        f"At {y.say(height)} the tie line goes from {region.phases[0]} with about {x.say(left)} to "
        f"{region.phases[1]} with about {x.say(right)}. The fraction of {asked} is ({arm}) / "
        f"({x.bare(said[1])} − {x.bare(said[0])}) ≈ {shown:.2f}, about {100 * shown:.0f}%."
    )
    off = 2 * x.tolerance(0) / (right - left)
    return Question("phases", text, answer, 100 * true, 100 * min(off, 0.25), "%")


def composition(
    rng: np.random.Generator, diagram: Diagram, x: Scale, y: Scale, zero: float
) -> Question | None:
    """Ask for the composition of one of two phases."""
    found = tie_line(rng, diagram, x, y, zero)
    if found is None:
        return None
    place, height, region, ends = found
    number = int(rng.integers(2))
    value, phase = ends[number], region.phases[number]
    text = f"What is the composition of {phase} in {alloy(rng, x, place)} at {y.say(height)}?"
    answer = (
        f"At {y.say(height)} the tie line through {place:g} at.% B meets the boundary of the "
        f"{phase} "
        f"area at about {x.say(value)}, which is the composition of {phase}."
    )
    return Question("phases", text, answer, value, x.tolerance(value), x.unit)


def special(
    rng: np.random.Generator, diagram: Diagram, x: Scale, y: Scale, zero: float
) -> Question:
    """Ask for the temperature or composition of a named point."""
    name = pick(rng, *diagram.points)
    place, height = diagram.points[name][0], diagram.points[name][1] - zero
    if name in ("A", "B"):
        text = pick(rng, f"At what temperature does pure {name} melt?",
                    f"What is the melting point of {name}?")  # fmt: skip
        answer = (
            f"The boundaries meet the axis of pure {name} at about {y.say(height)}, its melting "
        )
        return Question("read", text, f"{answer}point.", height, y.tolerance(height), y.unit)
    if name.endswith("limit"):
        phase, solute = (name[0], "B" if name[0] == "α" else "A")
        content = place if solute == "B" else 100 - place
        text = f"What is the maximum solubility of {solute} in {phase}?"
        answer = (
            f"It is reached at the eutectic temperature, about {y.say(height)}, where the {phase} "
            f"area extends to about {x.say(place)}, so {phase} dissolves at most about "
            f"{x.bare(content)} at.% {solute}."
        )
        return Question("read", text, answer, content, x.tolerance(0), f"at.% {solute}")
    if rng.random() < 0.5:
        text = f"At what temperature is the {name}{'' if 'point' in name else ' point'}?"
        truth = height, y.tolerance(height), y.unit
    else:
        text = f"What is the composition of the {name}{'' if 'point' in name else ' liquid'}?"
        truth = place, x.tolerance(place), x.unit
    answer = (
        f"The {name}{'' if 'point' in name else ' point'} is at about {x.say(place)} and "
        f"{y.say(height)}."
    )
    return Question("read", text, answer, *truth)


def boundary(
    rng: np.random.Generator, diagram: Diagram, x: Scale, y: Scale, zero: float
) -> Question | None:
    """Ask where a cooling alloy reaches its first boundary. Returns None if that is ambiguous."""
    place = float(rng.integers(1, 20)) * 5
    kelvin = np.linspace(diagram.high, diagram.low + 1, 2000)
    start = phases_at(diagram, place, float(kelvin[0]))
    inside = [phases_at(diagram, place, float(t)) for t in kelvin]
    changed = next((n for n, phases in enumerate(inside) if phases != start), None)
    if changed is None or len(inside[changed]) == 1:
        return None
    value = float(kelvin[changed]) - zero
    others = [phase for phase in inside[changed] if phase not in start]
    new = others[0] if len(others) == 1 else "the second of " + " and ".join(others)
    text = pick(
        rng,
        f"{capital(alloy(rng, x, place))} is cooled slowly from the top of the diagram. At what "
        "temperature does it begin to transform?",
        f"When {alloy(rng, x, place)} cools from the single-phase area at the top, at which "
        "temperature does a second phase appear?",
    )
    answer = (
        f"At {x.say(place)} the first boundary below the {start[0]} area is met at about "
        f"{y.say(value)}; there {new} appears."
    )
    return Question("read", text, answer, value, 1.5 * y.tolerance(value), y.unit)


def areas(rng: np.random.Generator, diagram: Diagram) -> Question:
    """Ask how many regions of two phases there are."""
    labels = [region.name for region in diagram.regions]
    text = pick(rng, "How many two-phase areas does the diagram have?",
                "Which areas with two phases are labelled?")  # fmt: skip
    answer = f"{'One' if len(labels) == 1 else 'Three'}: {listed(labels)}."
    return Question("series", text, answer, words=tuple(labels))


def beyond(rng: np.random.Generator, x: Scale, y: Scale) -> Question:
    """Ask for something outside of the diagram."""
    above = y.say(10 * round((y.high + 0.4 * (y.high - y.low)) / 10))
    place = x.say(float(rng.integers(2, 19)) * 5)
    if rng.random() < 0.4:
        text = f"Which phases are there at {place} and {above}?"
        answer = f"The diagram does not show that: it ends at about {y.say(y.high)}, below {above}."
        return Question("unanswerable", text, answer, words=("not",))
    asked = pick(
        rng,
        "a third component C",
        "pressure",
        "the cooling rate",
        "the grain size",
        "a magnetic field",
        "the annealing time",
    )
    text = f"How does {asked} change the equilibrium at {place}?"
    answer = (
        f"The diagram does not show the effect of {asked}; it gives the phases of A and B against "
        f"temperature, from {y.bare(y.low)} to {y.say(y.high)}, and composition only."
    )
    return Question("unanswerable", text, answer, words=("not",))
