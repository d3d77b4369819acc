"""Draw the content of figures: each function draws one chart inside a box of a drawing."""

import math
from random import Random

from benchmarks.papers.drawing import BLACK, RGB, WHITE, Drawing, text_width
from benchmarks.papers.languages import SHARED

Box = tuple[float, float, float, float]
COLOURS: list[RGB] = [
    (0, 0, 0),
    (200, 30, 30),
    (20, 70, 180),
    (20, 130, 60),
    (230, 140, 20),
    (120, 60, 150),
    (90, 90, 90),
]


def plot(drawing: Drawing, box: Box, rng: Random) -> None:
    """Draw curves or markers in axes, with tick labels, titles and sometimes a legend.

    The legend is inside or beside the axes.
    """
    aside = rng.random() < 0.15 and box[2] - box[0] > 180
    apart = rng.uniform(6, 20)
    if aside:
        box = box[0], box[1], box[2] - apart - 68, box[3]
    x0, y0, x1, y1 = _axes(drawing, box, rng)
    wide, high = x1 - x0, y1 - y0
    marked, count = rng.random() < 0.5, rng.randint(1, 5)
    many = rng.random() < 0.1
    for series in range(count):
        colour = COLOURS[series % len(COLOURS)]
        steps = rng.choice([12, 40, 400]) if not many else 1500
        phase, slope, bend = rng.uniform(0, 6), rng.uniform(-0.3, 0.3), rng.uniform(1, 7)
        points = []
        for k in range(steps):
            t = k / (steps - 1)
            level = 0.5 + slope * (t - 0.5) + 0.3 * math.sin(bend * t + phase) * rng.uniform(0.9, 1)
            points.append((x0 + t * wide, y1 - min(max(level, 0.02), 0.98) * high))
        drawing.line(*points, stroke=colour, width=rng.choice([0.5, 0.8, 1.2]), dashed=series == 2)
        if marked and steps <= 40:
            for x, y in points:
                drawing.disc(x, y, 1.4, fill=rng.choice([WHITE, colour]), stroke=colour)
    if aside or (rng.random() < 0.5 and wide > 90 and high > 60):
        left = box[2] + apart if aside else x0 + 6
        for series in range(count):
            y = y0 + 7 + 8 * series
            drawing.line((left, y), (left + 10, y), stroke=COLOURS[series], width=1)
            drawing.text(left + 13, y, rng.choice(SHARED.leaves)[:14], 6)


def bars(drawing: Drawing, box: Box, rng: Random) -> None:
    """Draw a bar chart, sometimes grouped and with error bars."""
    x0, y0, x1, y1 = _axes(drawing, box, rng)
    groups, each = rng.randint(3, 9), rng.randint(1, 3)
    step = (x1 - x0) / groups
    for group in range(groups):
        for k in range(each):
            left = x0 + step * (group + 0.15 + 0.7 * k / each)
            top = y1 - rng.uniform(0.1, 0.9) * (y1 - y0)
            width = 0.7 * step / each
            drawing.rect(
                left, top, left + width, y1, fill=COLOURS[k + 1], width=rng.choice([0, 0.5])
            )
            middle = left + width / 2
            drawing.line((middle, top - 3), (middle, top + 3), width=0.5)


def _axes(drawing: Drawing, box: Box, rng: Random) -> Box:
    """Draw axes with ticks and titles in `box`. Return the area inside them."""
    x0, y0, x1, y1 = box
    size = min(rng.choice([5.0, 6.0, 7.0, 8.0]), (x1 - x0) / 14)
    left, bottom = x0 + 3.2 * size + 2, y1 - 2.9 * size
    field = (left, y0 + size, x1 - size, bottom)
    if rng.random() < 0.6:
        drawing.rect(*field, width=0.7)
    else:
        drawing.line((left, field[1]), (left, bottom), (field[2], bottom), width=0.7)
    for k in range(5):
        x = left + (field[2] - left) * k / 4
        y = bottom - (bottom - field[1]) * k / 4
        drawing.line((x, bottom), (x, bottom - 2), width=0.5)
        drawing.line((left, y), (left + 2, y), width=0.5)
        drawing.text(x, bottom + 0.8 * size, str(k * 50), size, anchor="centre")
        drawing.text(left - 2, y, f"{0.2 * k:.1f}", size, anchor="right")
    across, up = rng.choice(SHARED.axes), rng.choice(SHARED.axes)
    if text_width(across, size) < field[2] - left:
        drawing.text((left + field[2]) / 2, y1 - 0.7 * size, across, size, anchor="centre")
    if text_width(up, size) < bottom - field[1]:
        drawing.text(x0 + 0.8 * size, (field[1] + bottom) / 2, up, size, turned=True)
    return field


def tree(drawing: Drawing, box: Box, rng: Random) -> None:
    """Draw a dendrogram with a name at each leaf."""
    x0, y0, x1, y1 = box
    leaves = max(3, min(int((y1 - y0) / 8), 60))
    step = (y1 - y0) / leaves
    size = min(7.0, 0.8 * step)
    names = [rng.choice(SHARED.leaves) for _ in range(leaves)]
    right = x1 - max(text_width(name, size) for name in names) - 2
    nodes = []
    for k, name in enumerate(names):
        y = y0 + step * (k + 0.5)
        drawing.text(right + 2, y, name, size)
        nodes.append((right, y))
    while len(nodes) > 1:
        k = rng.randrange(len(nodes) - 1)
        (xa, ya), (xb, yb) = nodes[k : k + 2]
        x = max(x0, min(xa, xb) - (right - x0) / leaves * rng.uniform(0.4, 1))
        drawing.line((xa, ya), (x, ya), (x, yb), (xb, yb), width=0.6)
        nodes[k : k + 2] = [(x, (ya + yb) / 2)]


def flow(drawing: Drawing, box: Box, rng: Random) -> None:
    """Draw boxes with the names of steps, connected by arrows."""
    x0, y0, x1, y1 = box
    across = max(1, min(int((x1 - x0) / 85), 5))
    down = max(1, min(int((y1 - y0) / 42), 5))
    wide, high = (x1 - x0) / across, (y1 - y0) / down
    fill = rng.choice([None, (225, 235, 250), (250, 235, 215), (235, 235, 235)])
    for row in range(down):
        for column in range(across):
            left, top = x0 + wide * column, y0 + high * row
            right, bottom = left + 0.8 * wide, top + 0.62 * high
            drawing.rect(left, top, right, bottom, fill=fill, width=0.7)
            words = rng.choice(SHARED.steps).split()
            middle = (left + right) / 2
            for k, word in enumerate(words[:2]):
                y = (top + bottom) / 2 + 8 * (k - (min(len(words), 2) - 1) / 2)
                drawing.text(middle, y, word, min(7.0, wide / 11), anchor="centre")
            if column + 1 < across:
                _arrow(drawing, (right, (top + bottom) / 2), (left + wide, (top + bottom) / 2))
            if row + 1 < down and column == across - 1:
                _arrow(drawing, (middle, bottom), (middle, top + high))


def _arrow(drawing: Drawing, start: tuple, end: tuple) -> None:
    (xa, ya), (xb, yb) = start, end
    drawing.line(start, end, width=0.8)
    length = math.hypot(xb - xa, yb - ya) or 1.0
    ux, uy = (xb - xa) / length, (yb - ya) / length
    wings = [(xb - 4 * ux - 2 * s * uy, yb - 4 * uy + 2 * s * ux) for s in (1, -1)]
    drawing.line(end, *wings, closed=True, fill=BLACK, width=0)


def lattice(drawing: Drawing, box: Box, rng: Random) -> None:
    """Draw atoms on a skewed lattice, connected by bonds."""
    x0, y0, x1, y1 = box
    step = max(9.0, min(x1 - x0, y1 - y0) / rng.randint(4, 9))
    radius = 0.3 * step
    first, second = rng.sample(COLOURS[1:], 2)
    row = 0
    y = y0 + radius
    while y <= y1 - radius:
        x = x0 + radius + (0.5 * step if row % 2 else 0)
        while x <= x1 - radius:
            if x + step <= x1 - radius:
                drawing.line((x, y), (x + step, y), width=1, stroke=(120, 120, 120))
            drawing.disc(x, y, radius, fill=rng.choice([first, second]))
            x += step
        y += 0.87 * step
        row += 1


def loose(drawing: Drawing, box: Box, rng: Random) -> None:
    """Draw unconnected dots and hexagons without axes."""
    x0, y0, x1, y1 = box
    for _ in range(rng.randint(15, 160)):
        radius = rng.uniform(0.8, 3)
        x, y = rng.uniform(x0 + radius, x1 - radius), rng.uniform(y0 + radius, y1 - radius)
        drawing.disc(x, y, radius, fill=rng.choice(COLOURS), width=0)
    size = min(x1 - x0, y1 - y0) / 8
    for _ in range(rng.randint(0, 6)):
        x, y = rng.uniform(x0 + size, x1 - size), rng.uniform(y0 + size, y1 - size)
        turn = [k * math.pi / 3 for k in range(6)]
        corners = [(x + size * math.cos(a), y + size * math.sin(a)) for a in turn]
        drawing.line(*corners, closed=True, width=0.8)


def dense(drawing: Drawing, box: Box, rng: Random, labels: int = 600) -> None:
    """Draw a map with a small number in each cell: hundreds to ten thousand labels."""
    x0, y0, x1, y1 = box
    area = (x1 - x0) * (y1 - y0)
    size = min(4.5, max(1.0, math.sqrt(area / labels / 2.2)))
    step = (2.2 * size, 1.05 * size)
    across, down = int((x1 - x0) / step[0]), int((y1 - y0) / step[1])
    for row in range(down):
        for column in range(across):
            x, y = x0 + (column + 0.5) * step[0], y0 + (row + 0.5) * step[1]
            drawing.text(x, y, str(rng.randint(10, 99)), size, anchor="centre")
    drawing.rect(x0, y0, x1, y1, width=0.5)


def heat(drawing: Drawing, box: Box, rng: Random) -> None:
    """Draw a map of coloured cells beside a colour bar with numbers."""
    x0, y0, x1, y1 = box
    right = x1 - 0.14 * (x1 - x0) - 8
    across, down = rng.randint(6, 24), rng.randint(5, 18)
    wide, high = (right - x0) / across, (y1 - y0) / down
    for row in range(down):
        for column in range(across):
            left, top = x0 + wide * column, y0 + high * row
            drawing.rect(left, top, left + wide, top + high, fill=_warm(rng.random()), width=0)
    for k in range(10):
        top = y1 - (y1 - y0) * (k + 1) / 10
        drawing.rect(right + 4, top, right + 10, top + (y1 - y0) / 10, fill=_warm(k / 9), width=0)
    for k in range(5):
        y = y1 - 4 - (y1 - y0 - 8) * k / 4
        drawing.text(right + 12, y, str(20 * k), min(6.0, (x1 - right - 12) / 1.8))


def _warm(level: float) -> RGB:
    return (int(255 * min(1, 1.6 * level)), int(200 * level * level), int(140 * (1 - level)))


CHARTS = [plot, plot, plot, bars, tree, flow, lattice, loose, heat]
