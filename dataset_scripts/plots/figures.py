"""Generate plots by number: style, panels, pixels, questions. The same number gives the same
plot."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cephalo.dataset_scripts.common.pixels import compact, ink_box
from cephalo.dataset_scripts.plots.bars import bars
from cephalo.dataset_scripts.plots.curves import curves, inset, twin
from cephalo.dataset_scripts.plots.phases import phase_diagram
from cephalo.dataset_scripts.plots.scatter import scatter
from cephalo.dataset_scripts.plots.spectra import diffraction, infrared, raman
from cephalo.dataset_scripts.plots.style import Style, draw_style
from cephalo.dataset_scripts.plots.tensile import tensile
from cephalo.dataset_scripts.plots.truth import Panel, Question
from cephalo.dataset_scripts.plots.words import lower_first, pick

Maker = Callable[[np.random.Generator, Axes, Style], Panel]
# Probabilities of the kinds among figures with one panel, and among panels.
KINDS: dict[Maker, float] = {
    curves: 0.2,
    bars: 0.16,
    tensile: 0.14,
    phase_diagram: 0.12,
    scatter: 0.12,
    diffraction: 0.07,
    raman: 0.05,
    infrared: 0.04,
    twin: 0.05,
    inset: 0.05,
}
NO_PANELS = (twin, inset)  # too crowded beside others
MANY = 0.22  # of all figures, with several panels
LAYOUTS = ((1, 2), (2, 1), (1, 3), (2, 2))
EDGE = 6  # pixels of white around the figure
QUESTIONS = 3  # per plot
UNANSWERABLE = 0.35  # of all plots, with a question that the plot cannot answer


@dataclass(frozen=True)
class Room:
    """Space in inches around a pair of axes for labels and tick labels. Empty margins of the figure
    are cropped."""

    left: float
    right: float
    bottom: float
    top: float

    @classmethod
    def around(cls, makers: list[Maker], style: Style) -> "Room":
        """Return the space that panels of these kinds need."""
        em = style.size / 72
        right = 7 if twin in makers else 2
        bottom = 9 if bars in makers else 4.2  # names under bars are slanted
        return cls(7 * em, right * em, bottom * em, 2.2 * em)


@dataclass(frozen=True)
class Plot:
    """A figure: pixels (height, width, channels) uint8, with the boxes of its panels in pixels."""

    number: int
    pixels: np.ndarray
    dpi: int
    panels: list[Panel]
    boxes: list[tuple[float, float, float, float]]
    corner: tuple[int, int]  # left and top of the crop in the canvas, in pixels
    caption: str
    questions: list[Question]


def make_plot(seed: int, number: int) -> Plot:
    """Generate the plot of a seed with a number."""
    rng = generator(seed, number)
    style = draw_style(rng)
    settings: dict[Any, Any] = style.rc  # matplotlib lists all keys in their type
    with matplotlib.rc_context(settings):
        if rng.random() < MANY:
            rows, columns = LAYOUTS[int(rng.integers(len(LAYOUTS)))]
            style = replace(
                style,
                width=0.8 * style.width,
                height=0.8 * style.height,
                numbers=min(style.numbers, 5),
            )
        else:
            rows = columns = 1
        makers = draw_kinds(rng, rows * columns)
        room = Room.around(makers, style)
        figure, grid = sheet(style, room, rows, columns)
        panels = [maker(rng, axes, style) for maker, axes in zip(makers, grid, strict=True)]
        if len(panels) > 1:
            print_letters(grid, style)
        figure.canvas.draw()
    assert isinstance(figure.canvas, FigureCanvasAgg)
    canvas = np.asarray(figure.canvas.buffer_rgba())[:, :, :3]
    ink = ink_box(canvas)
    assert ink is not None
    left, top, right, bottom = ink
    height, width = canvas.shape[:2]
    left, top = max(0, left - EDGE), max(0, top - EDGE)
    right, bottom = min(width, right + EDGE), min(height, bottom + EDGE)
    pixels = compact(canvas[top:bottom, left:right])
    boxes = [panel_box(axes, room, (left, top), pixels.shape) for axes in grid]
    return Plot(
        number,
        pixels,
        style.dpi,
        panels,
        boxes,
        (left, top),
        caption_of(panels),
        choose(rng, questions_of(rng, panels)),
    )


def generator(seed: int, number: int) -> np.random.Generator:
    """Return the random generator of one plot."""
    digest = hashlib.sha256(f"plots/{seed}/{number}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def draw_kinds(rng: np.random.Generator, count: int) -> list[Maker]:
    """Draw the kinds of `count` panels."""
    makers = [maker for maker in KINDS if count == 1 or maker not in NO_PANELS]
    shares = np.array([KINDS[maker] for maker in makers])
    return [makers[kind] for kind in rng.choice(len(makers), count, p=shares / shares.sum())]


def sheet(style: Style, room: Room, rows: int, columns: int) -> tuple[Figure, list[Axes]]:
    """Create a canvas with axes, row by row, each with space around it."""
    wide, high = style.width + room.left + room.right, style.height + room.bottom + room.top
    figure = Figure((columns * wide, rows * high), dpi=style.dpi)
    FigureCanvasAgg(figure)
    grid = [
        figure.add_axes(
            (
                (column * wide + room.left) / (columns * wide),
                ((rows - 1 - row) * high + room.bottom) / (rows * high),
                style.width / (columns * wide),
                style.height / (rows * high),
            )
        )
        for row in range(rows)
        for column in range(columns)
    ]
    for axes in grid:
        axes.set_title("", y=1)  # otherwise matplotlib searches a place for one each time
    return figure, grid


def print_letters(grid: list[Axes], style: Style) -> None:
    """Draw the letter of each panel at its top left, outside the axes."""
    for letter, axes in zip("abcd", grid, strict=False):
        axes.annotate(
            style.letter.format(letter),
            (0, 1),
            (-3.5 * style.size, 0.5 * style.size),
            xycoords="axes fraction",
            textcoords="offset points",
            fontweight="bold",
            fontsize=1.2 * style.size,
        )


def panel_box(
    axes: Axes, room: Room, corner: tuple[int, int], shape: tuple[int, ...]
) -> tuple[float, float, float, float]:
    """Return the cell of a pair of axes within the cropped figure, in pixels: left, top, right,
    bottom."""
    place, (height, width) = axes.get_window_extent(), shape[:2]
    total = axes.figure.canvas.get_width_height()[1]
    dpi = axes.figure.dpi
    across = (place.x0 - dpi * room.left, place.x1 + dpi * room.right)
    down = (total - place.y1 - dpi * room.top, total - place.y0 + dpi * room.bottom)
    x0, x1 = (float(min(max(v - corner[0], 0), width)) for v in across)
    y0, y1 = (float(min(max(v - corner[1], 0), height)) for v in down)
    return x0, y0, x1, y1


def caption_of(panels: list[Panel]) -> str:
    """Return the caption of a figure, with panels by their letters."""
    if len(panels) == 1:
        return panels[0].caption
    return " ".join(
        f"({letter}) {panel.caption}" for letter, panel in zip("abcd", panels, strict=False)
    )


def questions_of(rng: np.random.Generator, panels: list[Panel]) -> list[Question]:
    """Return all questions; of several panels each is named, and the letters are asked for too."""
    if len(panels) == 1:
        return panels[0].questions
    found = [
        replace(question, text=in_panel(rng, letter, question.text))
        for letter, panel in zip("abcd", panels, strict=False)
        for question in panel.questions
    ]
    return [*found, *which_panel(rng, panels), number_of_panels(rng, panels)]


def in_panel(rng: np.random.Generator, letter: str, text: str) -> str:
    """Restrict a question to one panel. A sentence before the question keeps its capital."""
    start = pick(rng, f"In panel {letter}, ", f"In panel ({letter}), ", f"For panel {letter}: ")
    small = text.split()[0] not in ("A", "An", "I", "Young's")
    return start + (lower_first(text) if small and start.endswith(", ") else text)


def which_panel(rng: np.random.Generator, panels: list[Panel]) -> list[Question]:
    """Ask which panel shows something that only one shows."""
    number = int(rng.integers(len(panels)))
    subject, letter = panels[number].subject, "abcd"[number]
    if [panel.subject for panel in panels].count(subject) > 1:
        return []
    text = pick(rng, f"Which panel shows {subject}?", f"In which panel do you find {subject}?")
    answer = f"Panel {letter} shows {subject}."
    return [Question("panel", text, answer, words=(letter,))]


def number_of_panels(rng: np.random.Generator, panels: list[Panel]) -> Question:
    """Ask for the number of panels, and what they show."""
    text = pick(
        rng,
        "How many panels does the figure have, and what do they show?",
        "What do the panels show?",
    )
    told = "; ".join(
        f"panel {letter} shows {panel.subject}"
        for letter, panel in zip("abcd", panels, strict=False)
    )
    answer = f"The figure has {len(panels)} panels: {told}."
    return Question("panel", text, answer, float(len(panels)), 0.0)


def choose(rng: np.random.Generator, questions: list[Question]) -> list[Question]:
    """Draw the questions of a plot, first of different kinds, then from the rest."""
    answerable = rng.random() > UNANSWERABLE
    order = [
        questions[number]
        for number in rng.permutation(len(questions))
        if not (answerable and questions[number].kind == "unanswerable")
    ]
    first: dict[str, Question] = {}
    for question in order:
        first.setdefault(question.kind, question)
    rest = [question for question in order if first[question.kind] is not question]
    return [*first.values(), *rest][:QUESTIONS]
