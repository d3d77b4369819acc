"""Generate questions about spectra with labelled peaks: positions, order, shifts, Bragg's law."""

import math
from dataclasses import dataclass

import numpy as np

from cephalo.dataset_scripts.plots.asking import three_digits
from cephalo.dataset_scripts.plots.truth import Question, Scale
from cephalo.dataset_scripts.plots.words import called, listed, pick

WAVELENGTH = 1.5406  # Å, copper Kα1


@dataclass(frozen=True)
class Peak:
    """One labelled peak of one pattern."""

    label: str
    place: float
    height: float  # relative to the strongest peak of a stacked pattern


@dataclass(frozen=True)
class Pattern:
    """A spectrum of one sample with its peaks."""

    name: str
    peaks: tuple[Peak, ...]

    @property
    def title(self) -> str:
        """The name of the sample within a sentence."""
        return called(self.name)


def peak_questions(
    rng: np.random.Generator, x: Scale, patterns: list[Pattern], number: int, noun: str
) -> list[Question | None]:
    """Return questions about position, strongest peak, number of peaks, label at a position, and
    shift between samples."""
    own = patterns[number]
    return [
        position(rng, x, own, noun),
        strongest(rng, x, own, noun),
        number_of_peaks(rng, x, own, noun),
        label_at(rng, x, own, noun),
        shift(rng, x, patterns, noun) if len(patterns) > 1 else None,
        order(rng, patterns) if len(patterns) > 1 else None,
    ]


def position(rng: np.random.Generator, x: Scale, own: Pattern, noun: str) -> Question:
    """Ask for the position of a labelled peak."""
    peak = own.peaks[int(rng.integers(len(own.peaks)))]
    text = pick(
        rng,
        f"At which {x.name} is the {peak.label} {noun} of {own.title}?",
        f"What is the position of the {noun} labelled {peak.label} for {own.title}?",
        f"Where does {own.title} show its {peak.label} {noun}?",
    )
    answer = (
        f"The {peak.label} {noun} of {own.title} is at a {x.name} of about {x.say(peak.place)}."
    )
    return Question("peak", text, answer, peak.place, x.tolerance(peak.place), x.unit)


def strongest(rng: np.random.Generator, x: Scale, own: Pattern, noun: str) -> Question | None:
    """Ask which peak is highest. Returns None if two are similar."""
    first, second = sorted(own.peaks, key=lambda peak: -peak.height)[:2]
    if second.height > 0.9 * first.height:
        return None
    text = pick(
        rng,
        f"Which {noun} of {own.title} is the strongest?",
        f"Which labelled {noun} has the highest intensity for {own.title}?",
    )
    answer = (
        f"The {first.label} {noun} of {own.title} at about {x.say(first.place)} is the strongest."
    )
    return Question("extremum", text, answer, words=(first.label,))


def number_of_peaks(rng: np.random.Generator, x: Scale, own: Pattern, noun: str) -> Question:
    """Ask how many peaks are labelled."""
    text = pick(rng, f"How many {noun}s are labelled?", f"Count the labelled {noun}s.")
    places = ", ".join(f"{peak.label} at {x.say(peak.place)}" for peak in own.peaks)
    answer = f"{len(own.peaks)} {noun}s are labelled; those of {own.title} are {places}."
    return Question("series", text, answer, float(len(own.peaks)), 0.0)


def label_at(rng: np.random.Generator, x: Scale, own: Pattern, noun: str) -> Question | None:
    """Ask for the label of the peak at a position. Returns None if two are close together."""
    peak = own.peaks[int(rng.integers(len(own.peaks)))]
    near = [one for one in own.peaks if abs(one.place - peak.place) < 3 * x.tolerance(0)]
    if len(near) > 1:
        return None
    text = pick(
        rng,
        f"Which {noun} is near {x.say(peak.place)} in the pattern of {own.title}?",
        f"How is the {noun} at about {x.say(peak.place)} of {own.title} labelled?",
    )
    answer = f"The {noun} of {own.title} near {x.say(peak.place)} is labelled {peak.label}."
    return Question("peak", text, answer, words=(peak.label,))


def shift(
    rng: np.random.Generator, x: Scale, patterns: list[Pattern], noun: str
) -> Question | None:
    """Ask between which samples a peak shifts to higher positions. Returns None if it hardly
    does."""
    one, other = (patterns[number] for number in rng.choice(len(patterns), 2, replace=False))
    moves = [
        (b.place - a.place, a, b) for a, b in zip(one.peaks, other.peaks, strict=False)
        if a.label == b.label
    ]  # fmt: skip
    by, a, b = max(moves, key=lambda move: abs(move[0]))
    if abs(by) < 0.5 * x.tolerance(0):
        return None
    word = "higher" if by > 0 else "lower"
    text = pick(
        rng,
        f"Is the {a.label} {noun} of {other.title} at a higher or lower {x.name} than that of "
        f"{one.title}?",
        f"In which direction does the {a.label} {noun} shift from {one.title} to {other.title}?",
    )
    answer = (
        f"The {a.label} {noun} of {other.title} is at a {word} {x.name}: about {x.say(b.place)}, "
        f"after {x.say(a.place)} for {one.title}."
    )
    return Question("compare", text, answer, words=(word,))


def order(rng: np.random.Generator, patterns: list[Pattern]) -> Question:
    """Ask which sample's curve is uppermost or lowest in the stack."""
    word, own = (("uppermost", patterns[-1]), ("lowest", patterns[0]))[int(rng.integers(2))]
    others = listed([pattern.title for pattern in patterns if pattern is not own])
    text = f"Which sample is the {word} curve of the stack?"
    answer = f"The {word} curve is that of {own.title}; it is shown with {others}."
    return Question("series", text, answer, words=(own.name,))


def spacing(rng: np.random.Generator, own: Pattern, x: Scale) -> Question:
    """Ask for the lattice spacing of a reflection by Bragg's law."""
    peak = own.peaks[int(rng.integers(len(own.peaks)))]
    said = x.rounded(peak.place)
    true, shown = (
        WAVELENGTH / (2 * math.sin(math.radians(angle / 2))) for angle in (peak.place, said)
    )
    text = (
        f"Which lattice spacing follows from the {peak.label} reflection of {own.title}, measured "
    )
    text += "with copper Kα radiation (λ = 1.5406 Å)?"
    answer = (
        f"The {peak.label} reflection of {own.title} is at 2θ ≈ {x.say(said)}. By Bragg's law "
        f"d = λ / (2 sin θ) = 1.5406 Å / (2 × sin {said / 2:g}°) ≈ {shown:.3f} Å."
    )
    return Question("bragg", text, answer, true, 0.03 * true, "Å")


def lattice_parameter(
    rng: np.random.Generator, own: Pattern, parameter: float, x: Scale
) -> Question:
    """Ask for the lattice parameter of a cubic phase from an indexed reflection."""
    peak = own.peaks[int(rng.integers(len(own.peaks)))]
    squares = sum(int(index) ** 2 for index in peak.label.strip("()"))
    said = x.rounded(peak.place)
    spaced = WAVELENGTH / (2 * math.sin(math.radians(said / 2)))
    text = f"The phase is cubic and λ is 1.5406 Å. What lattice parameter does the {peak.label} "
    text += f"reflection of {own.title} give?"
    answer = (
        f"At 2θ ≈ {x.say(said)} Bragg's law gives d = 1.5406 Å / (2 × sin {said / 2:g}°) ≈ "
        f"{spaced:.3f} Å. For {peak.label}, a = d × √{squares} ≈ "
        f"{spaced * math.sqrt(squares):.3f} Å."
    )
    return Question("bragg", text, answer, parameter, 0.03 * parameter, "Å")


def unknown_phase(rng: np.random.Generator, x: Scale, phase: str, own: Pattern) -> Question:
    """Ask for something that a pattern in arbitrary units does not show."""
    asked = pick(
        rng,
        "grain size distribution",
        "absolute count rate",
        "chemical purity in ppm",
        "thickness",
        "hardness",
        "density measured by weighing",
    )
    return Question(
        "unanswerable",
        f"What is the {asked} of {own.title}?",
        f"The patterns do not show the {asked}; they give intensities in arbitrary units against "
        f"{x.name} for {phase}.",
        words=("not",),
    )


def intensity_ratio(rng: np.random.Generator, y: Scale, own: Pattern) -> Question | None:
    """Ask for the ratio of the heights of two bands. Returns None if one is too low."""
    one, other = (own.peaks[number] for number in rng.choice(len(own.peaks), 2, replace=False))
    if min(one.height, other.height) < 0.25:
        return None
    ratio = one.height / other.height
    text = pick(
        rng,
        f"What is the intensity ratio of the {one.label} and {other.label} bands of {own.title}?",
        f"Estimate I({one.label})/I({other.label}) of {own.title}.",
    )
    answer = (
        f"Above the baseline the {one.label} band of {own.title} is about {three_digits(ratio)} "
        f"times as high as its {other.label} band, so the ratio is about {three_digits(ratio)}."
    )
    return Question("compare", text, answer, ratio, 0.15 * ratio)


def absent_band(rng: np.random.Generator, x: Scale, own: Pattern, kind: str) -> Question:
    """Ask for a band outside the range of the spectrum."""
    ends = sorted((x.low, x.high))
    beyond = x.say(ends[1] + 500)
    labels = listed([peak.label for peak in own.peaks])
    return Question(
        "unanswerable",
        f"Does {own.title} have a band at {beyond}?",
        f"The {kind} spectrum does not show that: its axis covers {ends[0]:.0f} to {ends[1]:.0f} "
        f"cm⁻¹, with the bands {labels} of {own.title}.",
        words=("not",),
    )
