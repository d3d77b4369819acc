"""Contents of a panel: images, plots, maps with a colour bar, schemes, or several of them.

Each function takes a canvas, a random generator and a rectangle, and returns the box of its
drawing.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from benchmarks.panels.canvas import Canvas, Rect, join
from benchmarks.panels.textures import Drawer, choose_texture, draw_map, draw_specimen

MIN_AXES = 24  # smallest side of a plot, in pixels
WORDS = ["alloy", "fibre", "film", "grain", "pore", "sample", "tissue", "wire", "control"]


@dataclass(frozen=True)
class PlotStyle:
    """Style of the plots of a figure."""

    framed: bool
    ticks: int  # ticks per axis
    titled_axes: bool
    legend: str  # "", "inside", "right"
    title: bool  # above the axes
    mark: str  # "line", "points", "bars", "filled bars"
    pale: bool  # thin lines, light fill
    inset: bool  # a smaller plot inside


def choose_style(random: np.random.Generator) -> PlotStyle:
    """Draw a style of plots."""
    return PlotStyle(
        framed=bool(random.random() < 0.5),
        ticks=int(random.integers(2, 6)),
        titled_axes=bool(random.random() < 0.8),
        legend=str(random.choice(["", "inside", "right"], p=[0.55, 0.35, 0.1])),
        title=bool(random.random() < 0.2),
        mark=str(random.choice(["line", "points", "bars", "filled bars"])),
        pale=bool(random.random() < 0.3),
        inset=bool(random.random() < 0.12),
    )


def draw_picture(canvas: Canvas, random: np.random.Generator, rect: Rect, texture: Drawer) -> Rect:
    """Draw one image that fills the rectangle."""
    x0, y0, x1, y1 = rect
    return canvas.paste(texture(random, x1 - x0, y1 - y0), x0, y0)


def draw_companions(
    canvas: Canvas, random: np.random.Generator, rect: Rect, texture: Drawer
) -> Rect:
    """Draw several adjacent images under one letter: channels, views, magnifications."""
    x0, y0, x1, y1 = rect
    wide, high = x1 - x0, y1 - y0
    count = int(random.integers(2, 4))
    across = count if wide > high else 1
    down = 1 if wide > high else count
    if random.random() < 0.2:
        across = down = 2
    gap = int(random.choice([0, 2, round(1.5 * canvas.unit)]))
    for row in range(down):
        for column in range(across):
            left = x0 + column * (wide + gap) // across
            right = x0 + (column + 1) * (wide + gap) // across - gap
            top = y0 + row * (high + gap) // down
            bottom = y0 + (row + 1) * (high + gap) // down - gap
            canvas.paste(texture(random, right - left, bottom - top), left, top)
    return rect


def draw_specimens(
    canvas: Canvas, random: np.random.Generator, rect: Rect, _texture: Drawer
) -> Rect:
    """Draw an object cut out of its photograph."""
    x0, y0, x1, y1 = rect
    canvas.paste(draw_specimen(random, x1 - x0, y1 - y0, canvas.ground), x0, y0)
    return canvas.inked(rect)


def draw_plot(canvas: Canvas, random: np.random.Generator, rect: Rect, style: PlotStyle) -> Rect:
    """Draw a plot with axes, ticks, labels, axis names, and possibly a legend and a title."""
    x0, y0, x1, y1 = rect
    size = canvas.size
    left = x0 + round(size * (2.4 + 1.5 * style.titled_axes))
    bottom = y1 - round(size * (1.8 + 1.3 * style.titled_axes))
    top = y0 + round(size * (1.8 if style.title else 0.6))
    right = x1 - round(size * (4.5 if style.legend == "right" else 0.8))
    if right - left < MIN_AXES or bottom - top < MIN_AXES:
        canvas.pen.rectangle((x0 + 2, y0 + 2, x1 - 3, y1 - 3), outline=canvas.ink, width=2)
        return canvas.inked(rect)
    axes = (left, top, right, bottom)
    _data(canvas, random, axes, style)
    draw_axes(canvas, axes, style)
    if style.inset:
        _draw_inset(canvas, random, axes, style)
    middle = ((left + right) // 2, (top + bottom) // 2)
    if style.titled_axes:
        canvas.write("Time (h)", middle[0], y1 - 1, "mb")
        canvas.write("Load (N)", x0 + size * 0.6, middle[1], upright=True)
    if style.title:
        canvas.write(str(random.choice(WORDS)).capitalize(), middle[0], y0 + 1, "mt")
    if style.legend:
        place = (
            (right + size * 0.5, top) if style.legend == "right" else (right - 5 * size, top + 4)
        )
        draw_legend(canvas, random, place, 2, size)
    return canvas.inked(rect)


def draw_twins(canvas: Canvas, random: np.random.Generator, rect: Rect, style: PlotStyle) -> Rect:
    """Draw two plots side by side under one letter, with the gap of panels."""
    x0, y0, x1, y1 = rect
    gap = round(canvas.unit * random.uniform(3, 14))
    half = (x1 - x0 - gap) // 2
    if half < 9 * canvas.size:
        return draw_plot(canvas, random, rect, style)
    left = draw_plot(canvas, random, (x0, y0, x0 + half, y1), style)
    return join([left, draw_plot(canvas, random, (x1 - half, y0, x1, y1), style)])


def draw_axes(
    canvas: Canvas, axes: Rect, style: PlotStyle, labels: tuple[bool, bool] = (True, True)
) -> None:
    """Draw axes or a frame, with tick labels at the left and bottom as in `labels`."""
    left, top, right, bottom = axes
    width = 1 if style.pale else max(1, round(0.9 * canvas.unit))
    ink, size = canvas.ink, canvas.size
    if style.framed:
        canvas.pen.rectangle(axes, outline=ink, width=width)
    else:
        canvas.pen.line((left, top, left, bottom, right, bottom), fill=ink, width=width)
    for share in np.linspace(0, 0.95, style.ticks):
        x, y = left + share * (right - left), bottom - share * (bottom - top)
        canvas.pen.line((x, bottom, x, bottom + size // 3), ink, width)
        canvas.pen.line((left - size // 3, y, left, y), ink, width)
        if labels[1]:
            canvas.write(f"{share * 40:.0f}", x, bottom + size // 2, "mt")
        if labels[0]:
            canvas.write(f"{share:.1f}", left - size // 2, y, "rm")


def _draw_inset(canvas: Canvas, random: np.random.Generator, axes: Rect, style: PlotStyle) -> None:
    """Draw a smaller plot on white at the upper right of another, if there is room."""
    left, top, right, bottom = axes
    wide, high, size = right - left, bottom - top, canvas.size
    inner = (right - wide // 2, top + size // 2, right - size // 2, top + high // 2)
    if inner[2] - inner[0] < 2 * MIN_AXES or inner[3] - inner[1] < MIN_AXES:
        return
    room = (inner[0] - 2 * size, top + size // 4, right - size // 4, inner[3] + 2 * size)
    canvas.pen.rectangle(room, fill=canvas.ground)
    _data(canvas, random, inner, style)
    draw_axes(canvas, inner, style)


def _data(canvas: Canvas, random: np.random.Generator, axes: Rect, style: PlotStyle) -> None:
    """Draw the data of a plot."""
    left, top, right, bottom = axes
    xs = np.linspace(left + 4, right - 4, int(random.integers(4, 24)))
    for _ in range(int(random.integers(1, 4))):
        walk = np.cumsum(random.normal(size=len(xs)))
        ys = top + 4 + (walk - walk.min()) / max(np.ptp(walk), 1e-9) * (bottom - top - 8)
        ink = int(random.integers(120, 210) if style.pale else random.integers(0, 150))
        ink = ink if canvas.ground > 127 else 255 - ink // 2
        thick = 1 if style.pale else 3
        points = list(zip(xs.tolist(), ys.tolist(), strict=True))
        if style.mark == "line":
            canvas.pen.line(points, fill=ink, width=thick)
            continue
        half = max(2, round((right - left) / len(xs) * 0.35))
        for x, y in points:
            if style.mark == "points":
                canvas.pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill=ink)
            else:
                x0, x1 = max(left, x - half), min(right, x + half)
                fill = ink if style.mark == "filled bars" else None
                canvas.pen.rectangle((x0, y, x1, bottom), fill=fill, outline=ink)


def draw_legend(
    canvas: Canvas,
    random: np.random.Generator,
    place: tuple[float, float],
    count: int,
    size: int,
    across: bool = False,
) -> Rect:
    """Draw keys and names in a column or row, starting at a corner."""
    x, y = place
    rects = []
    for _ in range(count):
        ink = (
            int(random.integers(0, 150)) if canvas.ground > 127 else int(random.integers(120, 255))
        )
        canvas.pen.line((x, y + size / 2, x + 1.4 * size, y + size / 2), fill=ink, width=3)
        word = canvas.write(str(random.choice(WORDS)), x + 1.8 * size, y, size=size)
        rects += [word, (round(x), round(y), round(x + 1.4 * size), round(y + size))]
        if across:
            x = word[2] + 1.5 * size
        else:
            y += 1.5 * size
    return join(rects)


def draw_boxed_legend(canvas: Canvas, random: np.random.Generator, area: Rect) -> Rect:
    """Draw a framed legend at the bottom of an area. Return its frame."""
    x0, y0, x1, y1 = area
    size = canvas.size
    most = max(2, int(0.35 * (y1 - y0) / (1.5 * size)))
    count = min(int(random.integers(3, 10)), most)
    wide, high = 8 * size, round(1.5 * size * (count + 0.5))
    left = x0 + 2 + round(random.uniform(0, 1) * max(0, x1 - x0 - wide - 4))
    frame = (left, y1 - high - 3, left + wide, y1 - 3)
    canvas.pen.rectangle(frame, outline=canvas.ink, width=2)
    draw_legend(canvas, random, (left + 0.7 * size, frame[1] + 0.7 * size), count, size)
    return frame


def draw_levels(canvas: Canvas, rect: Rect, lying: bool = False) -> Rect:
    """Draw a colour bar with numbers at its side, or below if it is horizontal."""
    x0, y0, x1, y1 = rect
    size = canvas.size
    if lying:
        bar = np.tile(np.linspace(30, 230, x1 - x0), (max(2, y1 - y0 - round(1.6 * size)), 1))
    else:
        wide = max(2, x1 - x0 - round(2.6 * size))
        bar = np.tile(np.linspace(230, 30, y1 - y0)[:, None], (1, wide))
    canvas.image.paste(Image.fromarray(bar.astype(np.uint8)), (x0, y0))
    outline = (x0, y0, x0 + bar.shape[1] - 1, y0 + bar.shape[0] - 1)
    canvas.pen.rectangle(outline, outline=canvas.ink)
    for share in (0.05, 0.5, 0.95):
        if lying:
            canvas.write(f"{share:.1f}", x0 + share * (x1 - x0), y1, "mb")
        else:
            canvas.write(f"{share:.1f}", outline[2] + 0.4 * size, y1 - share * (y1 - y0), "lm")
    return canvas.inked((x0, y0, x1, y1))


def draw_mapped(canvas: Canvas, random: np.random.Generator, rect: Rect, style: PlotStyle) -> Rect:
    """Draw a map, with or without axes, and its colour bar at the right."""
    x0, y0, x1, y1 = rect
    size = canvas.size
    bare = random.random() < 0.4
    left = x0 if bare else x0 + 3 * size
    bottom = y1 if bare else y1 - 2 * size
    right = x1 - round(size * 4.2)
    top = y0 + size // 2
    if right - left < MIN_AXES or bottom - top < MIN_AXES:
        return draw_picture(canvas, random, rect, draw_map)
    texture = draw_map if random.random() < 0.6 else choose_texture(random)
    canvas.paste(texture(random, right - left, bottom - top), left, top)
    if not bare:
        draw_axes(canvas, (left, top, right, bottom), style)
    gap = round(size * random.uniform(0.4, 1.2))
    draw_levels(canvas, (right + gap, top, x1, bottom))
    return canvas.inked(rect)


def draw_stack(canvas: Canvas, random: np.random.Generator, rect: Rect, style: PlotStyle) -> Rect:
    """Draw stacked plots with a common x axis, under one letter."""
    x0, y0, x1, y1 = rect
    size = canvas.size
    count = int(random.integers(2, 4))
    left, bottom, top = x0 + 4 * size, y1 - 2 * size, y0 + size // 2
    gap = int(random.choice([0, size // 2, size]))
    high = (bottom - top + gap) // count - gap
    if high < MIN_AXES or x1 - left < 2 * MIN_AXES:
        return draw_plot(canvas, random, rect, style)
    for number in range(count):
        head = top + number * (high + gap)
        axes = (left, head, x1 - 2, head + high)
        _data(canvas, random, axes, style)
        draw_axes(canvas, axes, style, (True, number == count - 1))
    return canvas.inked(rect)


def draw_scheme(canvas: Canvas, random: np.random.Generator, rect: Rect, _style: PlotStyle) -> Rect:
    """Draw scattered boxes with words and arrows between them."""
    x0, y0, x1, y1 = rect
    size = canvas.size
    count = int(random.integers(2, 5))
    lying = x1 - x0 > y1 - y0
    length = (x1 - x0 if lying else y1 - y0) // count
    across = (y1 - y0) if lying else (x1 - x0)
    previous = None
    for number in range(count):
        off = round(across * random.uniform(0.1, 0.35))
        start = number * length + length // 8
        end = (number + 1) * length - length // 6
        box = (x0 + start, y0 + off, x0 + end, y1 - off)
        if not lying:
            box = (x0 + off, y0 + start, x1 - off, y0 + end)
        shape = canvas.pen.ellipse if random.random() < 0.3 else canvas.pen.rectangle
        shape(box, fill=int(random.integers(150, 250)), outline=canvas.ink, width=2)
        middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        canvas.write(str(random.choice(WORDS)), *middle, "mm", size=size, ink=0)
        if previous:
            canvas.pen.line(
                (*previous, box[0] if lying else middle[0], middle[1] if lying else box[1]),
                canvas.ink,
                2,
            )
        previous = (box[2], middle[1]) if lying else (middle[0], box[3])
    return canvas.inked(rect)


def draw_gel(canvas: Canvas, random: np.random.Generator, rect: Rect, _style: PlotStyle) -> Rect:
    """Draw strips with bands, each with its name at the left."""
    x0, y0, x1, y1 = rect
    size = canvas.size
    left = x0 + round(4.5 * size)
    count = int(np.clip((y1 - y0) // (3 * size), 1, 6))
    if x1 - left < 2 * MIN_AXES:
        return draw_scheme(canvas, random, rect, _style)
    gap = round(0.5 * size)
    high = (y1 - y0 + gap) // count - gap
    lanes = int(random.integers(3, 7))
    for number in range(count):
        top = y0 + number * (high + gap)
        grey = np.full((high, x1 - left), random.uniform(190, 235))
        for lane in range(lanes):
            start = round((lane + 0.15) * (x1 - left) / lanes)
            end = round((lane + 0.85) * (x1 - left) / lanes)
            grey[high // 3 : 2 * high // 3, start:end] = random.uniform(0, 160)
        canvas.paste(
            np.clip(grey + random.normal(size=grey.shape) * 4, 0, 255).astype(np.uint8), left, top
        )
        canvas.write(str(random.choice(WORDS)), left - size // 2, top + high / 2, "rm")
    return canvas.inked(rect)
