"""The style of a plot: sizes, fonts, colours and markers as in journals."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import (
    AutoMinorLocator,
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
)

from cephalo.dataset_scripts.plots.truth import Scale, Series, power_of_ten

Corner = Literal["upper right", "upper left", "lower right", "lower left"]

# Fonts included in matplotlib, so that a plot is the same on every machine; the later ones are
# fallbacks for missing glyphs.
FONTS = (
    ["DejaVu Sans"],
    ["DejaVu Serif", "DejaVu Sans"],
    ["STIXGeneral", "DejaVu Serif", "DejaVu Sans"],
)
FONT_SHARES = (0.5, 0.1, 0.4)
PALETTES = (
    ("#000000", "#e41a1c", "#1f4fd8", "#0f8a3c", "#c238c2"),  # of a common plotting program
    ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd"),  # matplotlib's default
    # Okabe and Ito, for colour-blind readers.
    ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"),
    ("#440154", "#3b528b", "#21918c", "#5ec962", "#c8b020"),  # viridis
    ("#4c72b0", "#dd8452", "#55a868", "#c44e52", "#8172b3"),
    ("#000000", "#555555", "#8a8a8a", "#b0b0b0", "#303030"),  # greyscale print
)
PALETTE_SHARES = (0.25, 0.2, 0.2, 0.12, 0.13, 0.1)
MARKERS = ("os^Dv", "o^sv<", "so^>D")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
LABELS = ("{name} ({unit})", "{name} [{unit}]", "{name}, {unit}", "{name} / {unit}")
BELOW = 11  # points, for ticks and gaps between the axes and the label of the x axis
MAX_DECADES = 4.5  # of a logarithmic axis with ticks between the powers of 10
MIN_DECADES = 100  # a factor, from which a logarithmic axis is labelled at powers of 10 only


@dataclass(frozen=True)
class Style:
    """The settings that all panels of a figure share."""

    font: list[str]
    size: float  # points, of the text
    dpi: int
    width: float  # inches, of the axes of a figure with one panel
    height: float
    palette: tuple[str, ...]
    markers: str
    dashed: bool  # lines also differ by their dashes
    line: float  # points
    mark: float  # points
    ticks: str  # "in" or "out"
    minor: bool
    numbers: int  # maximum number of intervals on a linear axis
    mirrored: bool  # ticks on all four sides
    open: bool  # without the spines at the top and at the right
    grid: bool
    framed: bool  # legends have a frame
    label: str  # how a unit follows a label
    letter: str  # format of a panel's letter

    @property
    def rc(self) -> dict[str, Any]:
        """The settings of matplotlib."""
        return {
            "font.family": self.font,
            "font.size": self.size,
            "mathtext.fontset": "stix" if self.font[0] == "STIXGeneral" else "dejavusans",
            "axes.linewidth": 0.4 + 0.3 * self.line,
            "axes.spines.top": not self.open,
            "axes.spines.right": not self.open,
            "axes.unicode_minus": True,
            "axes.axisbelow": True,
            "xtick.direction": self.ticks,
            "ytick.direction": self.ticks,
            "xtick.top": self.mirrored,
            "ytick.right": self.mirrored,
            "legend.frameon": self.framed,
            "legend.framealpha": 1.0,
            "legend.edgecolor": "black",
            "legend.fancybox": False,
            "legend.borderaxespad": 0.4,
            "lines.linewidth": self.line,
            "lines.markersize": self.mark,
            "errorbar.capsize": 2.0,
        }

    def marks(self, number: int) -> dict[str, Any]:
        """Return the colour, marker and dashes of a series by its number."""
        return {
            "color": self.palette[number],
            "marker": self.markers[number],
            "linestyle": DASHES[number] if self.dashed else "-",
        }


def draw_style(rng: np.random.Generator) -> Style:
    """Draw a style. Grey palettes distinguish lines by their dashes."""
    palette = PALETTES[rng.choice(len(PALETTES), p=PALETTE_SHARES)]
    grey = palette is PALETTES[-1]
    open_ = bool(rng.random() < 0.25)
    width = float(rng.uniform(2.3, 3.4))
    return Style(
        font=FONTS[rng.choice(len(FONTS), p=FONT_SHARES)],
        size=float(rng.choice([7, 8, 9])),
        dpi=int(rng.choice([110, 125, 150, 180])),
        width=width,
        height=width * float(rng.uniform(0.68, 0.95)),
        palette=palette,
        markers=str(rng.choice(MARKERS)),
        dashed=grey or bool(rng.random() < 0.2),
        line=float(rng.choice([0.8, 1.0, 1.3, 1.6])),
        mark=float(rng.choice([3.0, 4.0, 5.0])),
        ticks=str(rng.choice(["in", "out"])),
        minor=bool(rng.random() < 0.35),
        numbers=int(rng.integers(5, 9)),
        mirrored=not open_ and bool(rng.random() < 0.5),
        open=open_,
        grid=bool(rng.random() < 0.15),
        framed=bool(rng.random() < 0.35),
        label=str(rng.choice(LABELS, p=[0.6, 0.2, 0.1, 0.1])),
        letter=str(rng.choice(["({})", "{}", "{})"])),
    )


def axis_label(style: Style, scale: Scale) -> str:
    """Return the label of an axis with its unit."""
    symbol = len(scale.name) < 3 or not scale.name[1].islower()  # "pH", "2θ", "d⁻¹ᐟ²"
    name = scale.name if symbol else scale.name[0].upper() + scale.name[1:]
    return style.label.format(name=name, unit=scale.unit) if scale.unit else name


def set_axis(axes: Axes, which: str, scale: Scale, style: Style) -> None:
    """Set the limits, ticks and label of the "x" or "y" axis."""
    axis = getattr(axes, f"{which}axis")
    if scale.log:
        getattr(axes, f"set_{which}scale")("log")
        if scale.high < MIN_DECADES * scale.low:
            axis.set_major_locator(LogLocator(subs=[1, 2, 5]))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        else:
            axis.set_major_locator(LogLocator(numticks=8))
            axis.set_major_formatter(FuncFormatter(log_tick))
        axis.set_minor_formatter(NullFormatter())
        decades = math.log10(scale.high / scale.low)
        if decades > MAX_DECADES:  # each tick takes matplotlib a millisecond
            axis.set_minor_locator(NullLocator())
        elif not style.minor:
            axis.set_minor_locator(LogLocator(subs=[2, 5]))
    else:
        axis.set_major_locator(MaxNLocator(style.numbers, steps=[1, 2, 2.5, 5, 10]))
        if style.minor:
            axis.set_minor_locator(AutoMinorLocator(2))
    getattr(axes, f"set_{which}lim")(scale.low, scale.high)
    getattr(axes, f"set_{which}label")(axis_label(style, scale))
    if which == "x":
        # Set here, since numbers are as high as the text: measuring them takes matplotlib longer
        # than drawing.
        below = (BELOW + style.size) / 72 / (axes.get_position().height * inches(axes)[1])
        axis.set_label_coords(0.5, -below)
    if style.grid:
        axis.grid(True, color="#dddddd", linewidth=0.5)


def inches(axes: Axes) -> tuple[float, float]:
    """Return the width and height of the figure of a pair of axes."""
    assert isinstance(axes.figure, Figure)
    width, height = axes.figure.get_size_inches()
    return float(width), float(height)


def log_tick(value: float, _: int) -> str:
    """Format a tick as a power of ten: 10⁴."""
    return power_of_ten(round(float(np.log10(value))))


def legend_place(
    axes: Axes, style: Style, x: Scale, y: Scale, series: list[Series], columns: int = 1
) -> tuple[Corner, Scale]:
    """Return a corner for the legend without data, and the y axis, which is extended if all corners
    are occupied."""
    width, height = legend_size(axes, style, [one.name for one in series], columns)
    u = np.concatenate([dense(x.fraction(one.x)) for one in series])
    v = np.concatenate([dense(y.fraction(one.y)) for one in series])
    corners: tuple[Corner, ...] = ("upper right", "upper left", "lower right", "lower left")
    for place in corners:
        row, column = place.split()
        over = v > 1 - height if row == "upper" else v < height
        near = u > 1 - width if column == "right" else u < width
        if not (over & near).any():
            return place, y
    beside: dict[Corner, np.ndarray] = {"upper left": u < width, "upper right": u > 1 - width}
    tops: dict[Corner, float] = {
        place: float(v[some].max(initial=0.0)) for place, some in beside.items()
    }
    place = min(tops, key=tops.__getitem__)
    return place, y.with_high(float(y.at(max(1.0, tops[place] / max(0.4, 1 - height)))))


def legend_size(
    axes: Axes, style: Style, names: list[str], columns: int = 1
) -> tuple[float, float]:
    """Estimate the width and height of a legend, as fractions of the axes."""
    box, (width, height) = axes.get_position(), inches(axes)
    em = style.size / 72
    wide = columns * (0.58 * max(map(len, names)) + 4) * em / (box.width * width)
    high = (1.5 * -(-len(names) // columns) + 1.2) * em / (box.height * height)
    return wide, high


def dense(values: np.ndarray) -> np.ndarray:
    """Insert eight values between each value and the next."""
    places = np.arange(len(values))
    return np.interp(np.linspace(0, len(values) - 1, 9 * len(values)), places, values)
