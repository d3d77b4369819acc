"""Draw stacked spectra with labelled peaks: X-ray diffraction, Raman, infrared.

Positions are those of real lattices and bands; widths and intensities are synthetic.
"""

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from cephalo.dataset_scripts.plots.peaks import (
    WAVELENGTH,
    Pattern,
    Peak,
    absent_band,
    intensity_ratio,
    lattice_parameter,
    peak_questions,
    spacing,
    unknown_phase,
)
from cephalo.dataset_scripts.plots.style import Style, inches, legend_size, set_axis
from cephalo.dataset_scripts.plots.truth import Panel, Scale, Series
from cephalo.dataset_scripts.plots.words import names, pick, the_samples

# Cubic lattices: name, lattice parameter in Å, centring. "F" reflects if all indices are odd or all
# even, "I" if their sum is even.
LATTICES = (
    ("Al", 4.0495, "F"),
    ("Cu", 3.6149, "F"),
    ("Ni", 3.5240, "F"),
    ("Ag", 4.0862, "F"),
    ("Au", 4.0782, "F"),
    ("Pt", 3.9242, "F"),
    ("α-Fe", 2.8665, "I"),
    ("W", 3.1652, "I"),
    ("Mo", 3.1470, "I"),
    ("Nb", 3.3004, "I"),
    ("Ta", 3.3013, "I"),
    ("MgO", 4.2120, "F"),
    ("TiN", 4.2417, "F"),
)
PLANES = {
    "F": ((1, 1, 1), (2, 0, 0), (2, 2, 0), (3, 1, 1), (2, 2, 2)),
    "I": ((1, 1, 0), (2, 0, 0), (2, 1, 1), (2, 2, 0), (3, 1, 0)),
}
INTENSITIES = (1.0, 0.5, 0.35, 0.4, 0.2)  # typical, of the planes in order
# Bands in cm⁻¹ with typical relative heights.
RAMAN = {
    "graphitic carbon": {"D": (1350, 0.8), "G": (1585, 1.0), "2D": (2690, 0.6)},
    "MoS₂": {"E2g": (383, 0.8), "A1g": (408, 1.0)},
    "anatase": {"Eg": (144, 1.0), "B1g": (399, 0.3), "A1g": (516, 0.3), "Eg(3)": (639, 0.35)},
    "hydroxyapatite": {"ν2": (430, 0.25), "ν4": (590, 0.25), "ν1": (961, 1.0), "ν3": (1048, 0.2)},
}
INFRARED = {
    "protein": {"amide A": (3290, 0.5), "amide I": (1640, 1.0), "amide II": (1530, 0.7)},
    "cellulose": {"O–H": (3340, 0.8), "C–H": (2900, 0.4), "C–O": (1050, 1.0)},
    "polyester": {"C–H": (2950, 0.3), "C=O": (1730, 1.0), "C–O": (1180, 0.8)},
    "silica": {"O–H": (3420, 0.35), "Si–O–Si": (1090, 1.0), "Si–O": (800, 0.4)},
    "epoxy": {"O–H": (3400, 0.4), "C–H": (2930, 0.4), "C=C": (1510, 0.8), "C–O–C": (1240, 0.9)},
}
POINTS = 1200
TALL = 1.7  # inches, of axes with space for three patterns
NAME = 0.09  # of the axes, at the top: space for the name of a sample
EXTRA = 0.35  # of a pattern's height, above it: space for its labels or for the next pattern


def diffraction(rng: np.random.Generator, axes: Axes, style: Style) -> Panel:
    """Draw patterns of a cubic phase with slightly different lattice parameters."""
    phase, lattice, centring = LATTICES[int(rng.integers(len(LATTICES)))]
    labels = names(rng, drawn_count(rng, axes))
    x = Scale("2θ", "°", float(rng.choice([20, 25, 30])), float(rng.choice([90, 100])))
    patterns, parameters = [], []
    for name in labels:
        parameter = lattice * float(1 + rng.uniform(-0.008, 0.008))
        peaks = []
        for plane, typical in zip(PLANES[centring], INTENSITIES, strict=True):
            angle = bragg_angle(parameter, plane)
            if angle is not None and x.low + 2 < angle < x.high - 2:
                height = typical * float(rng.uniform(0.7, 1.1))
                peaks.append(Peak("({}{}{})".format(*plane), round(angle, 3), height))
        patterns.append(Pattern(name, tuple(peaks)))
        parameters.append(parameter)
    series, y = stacked(rng, axes, style, x, patterns, float(rng.uniform(0.15, 0.5)))
    number = int(rng.integers(len(patterns)))
    own = patterns[number]
    questions = [
        *peak_questions(rng, x, patterns, number, "reflection"),
        spacing(rng, own, x),
        lattice_parameter(rng, own, parameters[number], x),
        unknown_phase(rng, x, phase, own),
    ]
    caption = (
        f"X-ray diffraction patterns (Cu Kα, λ = {WAVELENGTH} Å) of {the_samples(labels)}; "
        "reflections of "
        f"cubic {phase} are indexed."
    )
    return Panel(
        "diffraction", f"X-ray diffraction of {phase}", caption, x, y,
        [q for q in questions if q], series, axes,
    )  # fmt: skip


def drawn_count(rng: np.random.Generator, axes: Axes) -> int:
    """Draw the number of patterns that fit above each other."""
    tall = axes.get_position().height * inches(axes)[1] > TALL
    return int(rng.integers(1, 4 if tall else 3))


def bragg_angle(parameter: float, plane: tuple[int, int, int]) -> float | None:
    """Return 2θ in degrees of a reflection of a cubic lattice, or None if the wavelength is too
    long."""
    sine = WAVELENGTH * math.sqrt(sum(index**2 for index in plane)) / (2 * parameter)
    return 2 * math.degrees(math.asin(sine)) if sine < 1 else None


def raman(rng: np.random.Generator, axes: Axes, style: Style) -> Panel:
    """Draw Raman spectra of one material in several states."""
    material = pick(rng, *RAMAN)
    return vibrations(rng, axes, style, "Raman", material, RAMAN[material], "Raman shift", 14)


def infrared(rng: np.random.Generator, axes: Axes, style: Style) -> Panel:
    """Draw infrared absorbance, with the wavenumber falling to the right as usual."""
    material = pick(rng, *INFRARED)
    return vibrations(rng, axes, style, "FTIR", material, INFRARED[material], "wavenumber", 40)


def vibrations(
    rng: np.random.Generator,
    axes: Axes,
    style: Style,
    kind: str,
    material: str,
    bands: Mapping[str, tuple[float, float]],
    axis: str,
    width: float,
) -> Panel:
    """Draw spectra whose bands are shifted and weighted for each sample."""
    low = max(50, min(place for place, _ in bands.values()) - 200)
    high = max(place for place, _ in bands.values()) + 250
    ends = (4000, 600) if kind == "FTIR" else (100 * math.floor(low / 100), high)
    x = Scale(axis, "cm⁻¹", float(ends[0]), float(ends[1]))
    patterns = []
    for name in names(rng, drawn_count(rng, axes)):
        shift = width / 4
        peaks = tuple(
            Peak(
                label, round(place + rng.uniform(-shift, shift), 1), height * rng.uniform(0.6, 1.2)
            )
            for label, (place, height) in bands.items()
        )
        patterns.append(Pattern(name, peaks))
    if material == "MoS₂":
        width = 4
    series, y = stacked(rng, axes, style, x, patterns, width * float(rng.uniform(0.6, 1)))
    number = int(rng.integers(len(patterns)))
    questions = [
        *peak_questions(rng, x, patterns, number, "band"),
        intensity_ratio(rng, y, patterns[number]),
        absent_band(rng, x, patterns[number], kind),
    ]
    labels = [pattern.name for pattern in patterns]
    caption = (
        f"{kind} spectra of {material}: {the_samples(labels)}. Spectra are shifted vertically."
    )
    if len(labels) == 1:
        caption = f"{kind} spectrum of {material}, the sample {labels[0]}, with its bands assigned."
    subject = f"{kind} spectra of {material}"
    return Panel(kind.lower(), subject, caption, x, y, [q for q in questions if q], series, axes)


def stacked(
    rng: np.random.Generator,
    axes: Axes,
    style: Style,
    x: Scale,
    patterns: list[Pattern],
    width: float,
) -> tuple[list[Series], Scale]:
    """Draw patterns above each other, the first lowest; the uppermost has its peaks labelled."""
    places = np.linspace(x.low, x.high, POINTS)
    series = []
    for number, pattern in enumerate(patterns):
        heights = np.full(POINTS, 0.03) + rng.normal(0, 0.004, POINTS)
        for peak in pattern.peaks:
            heights += peak.height / (1 + ((places - peak.place) / width) ** 2)
        top = heights.max()
        values = np.round(heights / top + number * (1 + EXTRA), 4)
        series.append(Series(pattern.name, places, values, style.palette[number]))
    labels = label_height(axes, style, patterns[-1].peaks)
    high = (1 + EXTRA) * (len(patterns) - 1) + 1.05
    y = Scale("intensity", "a.u.", 0, high / (1 - labels - NAME))
    set_axis(axes, "x", x, style)
    set_axis(axes, "y", y, style)
    axes.set_yticks([])
    for one in series:
        axes.plot(one.x, one.y, color=one.colour, linewidth=min(style.line, 1.0))
        labelled = patterns[-1].peaks if one is series[-1] else ()
        name_pattern(axes, style, x, y, one, labelled)
    label_peaks(axes, style, x, y, patterns[-1], series[-1])
    return series, y


def name_pattern(
    axes: Axes, style: Style, x: Scale, y: Scale, series: Series, labelled: tuple[Peak, ...]
) -> None:
    """Draw the name of a sample over its curve, at the side where the curve and its labels are
    lower."""
    u, v = x.fraction(series.x), y.fraction(series.y)
    width, _ = legend_size(axes, style, [series.name])
    for peak in labelled:  # as high as their labels
        near = np.abs(u - x.fraction(peak.place)) < 0.03
        v = np.where(near, v[near].max() + label_height(axes, style, labelled), v)
    sides = {"left": u < width, "right": u > 1 - width}
    side = min(sides, key=lambda side: v[sides[side]].max())
    axes.text(
        0.02 if side == "left" else 0.98,
        v[sides[side]].max() + 0.02,
        series.name,
        color=series.colour,
        ha=side,
        va="bottom",
        transform=axes.transAxes,
        fontsize=0.9 * style.size,
    )


def label_height(axes: Axes, style: Style, peaks: tuple[Peak, ...]) -> float:
    """Estimate the height of the upright labels of peaks, as a fraction of the axes."""
    points = 0.55 * style.size * (max(len(peak.label) for peak in peaks) + 1)
    return points / 72 / (axes.get_position().height * inches(axes)[1])


def label_peaks(
    axes: Axes, style: Style, x: Scale, y: Scale, pattern: Pattern, series: Series
) -> None:
    """Draw the labels of a pattern's peaks, upright above them."""
    for peak in pattern.peaks:
        top = series.value(x, y, peak.place)
        axes.text(peak.place, top + 0.02 * y.high, peak.label, ha="center", va="bottom",
                  rotation=90, fontsize=0.85 * style.size)  # fmt: skip
