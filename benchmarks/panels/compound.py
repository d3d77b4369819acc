"""Compound figures with exact boxes, drawn from textures and plots: data to fit panel rules on.

    python -m benchmarks.panels.compound --count 300 --seed 1

scores the extractor's panel stage on figures that the command draws. They sample what published
figures vary in rather than imitate some of them: grids and unequal rows; pictures that touch, that
a thin black or white line parts, or that stand apart; letters bare, in brackets, in boxes, black,
white or outlined; scale bars, data bars, insets; plots with axes and tick labels beside pictures.
"""

import argparse
import io
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter, zoom

from benchmarks.panels.score import Score, table
from cephalo.dataset_scripts.pdf.geometry import Box, iou
from cephalo.dataset_scripts.pdf.panel_boxes import Picture
from cephalo.dataset_scripts.pdf.panels import find_panels

MIN_IOU = 0.7
READABLE = 70  # grey levels between a letter and its ground
MIN_SIDE = 60  # pixels of a panel
WORDS = ["alloy", "fibre", "film", "grain", "pore", "sample", "tissue", "wire"]
FONTS = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSerif-Bold.ttf", "STIXGeneral.ttf")
WIDTHS = (240.0, 510.0)  # points: a column and a page
DENSITIES = (150, 220, 300)  # pixels an inch

Rect = tuple[int, int, int, int]
Drawer = Callable[[np.random.Generator, int, int], np.ndarray]


@dataclass(frozen=True)
class Compound:
    """A figure: grey levels, points a pixel, caption, letter → box in pixels, and its kind."""

    grey: np.ndarray
    scale: float
    caption: str
    boxes: dict[str, Rect]
    kind: str


@dataclass(frozen=True)
class Lettering:
    """How the letters of one figure look and where they stand."""

    upper: bool
    form: str  # "{}", "({})", "{})"
    font: ImageFont.FreeTypeFont
    look: str  # white, black, outlined, boxed
    corner: int  # 0 top left, 1 top right, 2 bottom left, 3 bottom right
    inset: int  # pixels from the corner
    outside: bool


def main() -> None:
    """Score the panel stage on drawn figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    scores: dict[str, Score] = defaultdict(Score)
    for index in range(options.count):
        figure = draw_compound(np.random.default_rng((options.seed, index)))
        scores[figure.kind].add(score_compound(figure))
    print(table(scores, frozenset()))


def score_compound(figure: Compound) -> Score:
    """Counts for one figure as the panel stage reads it."""
    high, wide = figure.grey.shape
    whole = (0.0, 0.0, wide * figure.scale, high * figure.scale)

    def draw(most: int) -> Picture:
        step = -(-max(high, wide) // most)
        return Picture(figure.grey[::step, ::step], whole)

    free = [panel for panel in find_panels([whole], [], figure.caption, draw) if panel.box]
    score = Score(figures=1, boxes=len(figure.boxes), predicted=len(free))
    for letter, rect in figure.boxes.items():
        box: Box = tuple(side * figure.scale for side in rect)
        best = max(free, key=lambda panel: iou(panel.box, box), default=None)
        if best is not None and iou(best.box, box) >= MIN_IOU:
            free.remove(best)
            score.matched += 1
            score.lettered += 1
            score.right_letters += best.letter == letter
    return score


def draw_compound(random: np.random.Generator) -> Compound:
    """One figure, other for each state of `random`."""
    width, density = random.choice(WIDTHS), int(random.choice(DENSITIES))
    wide = round(width * density / 72)
    apart = random.choice(["touching", "line", "apart"], p=[0.35, 0.35, 0.3])
    drawn = random.choice(["pictures", "mixed", "plots"], p=[0.65, 0.15, 0.2])
    if drawn == "plots":
        apart = "apart"
    unit = density / 72  # pixels a point
    gap = {"touching": 0, "line": int(random.integers(1, 5))}.get(
        apart, round(random.uniform(4, 14) * unit)
    )
    lettering = _lettering(random, unit, apart)
    above = round(1.5 * lettering.font.size) if lettering.outside else 0
    high = round(wide * random.uniform(0.45, 1.3))
    cells, arrangement = _layout(random, wide, high, gap if not above else max(gap, above))
    if min(min(x1 - x0, y1 - y0) for x0, y0, x1, y1 in cells) < above + MIN_SIDE:
        return draw_compound(random)
    paper = 0 if apart == "line" and random.random() < 0.4 else 255
    grey = np.full((high, wide), paper, np.uint8)
    boxes: dict[str, Rect] = {}
    first = "A" if lettering.upper else "a"
    look, vary = _look(random), random.choice([0.0, 0.3, 1.0])
    for index, (x0, y0, x1, y1) in enumerate(cells):
        letter = chr(ord(first) + index)
        plot = drawn == "plots" or (drawn == "mixed" and random.random() < 0.4)
        if random.random() < vary:
            look = _look(random)
        top = y0 + above
        content = (_plot if plot else look)(random, x1 - x0, y1 - top)
        content = _with_letter(content, letter, lettering, plot)
        grey[y0:y1, x0:x1] = 255 if above or plot else grey[y0:y1, x0:x1]
        grey[top:y1, x0:x1] = content
        if above:
            _write(grey, letter, lettering, x0, y0)
        boxes[letter] = _inked(grey, (x0, y0, x1, y1)) if plot else (x0, y0, x1, y1)
    if random.random() < 0.7:
        grey = _as_jpeg(grey, int(random.integers(60, 96)))
    if random.random() < 0.5:  # resampled for print: edges are no longer one pixel wide
        image = Image.fromarray(grey)
        image = image.resize((round(wide * 0.83), round(high * 0.83)), Image.Resampling.BICUBIC)
        grey = np.asarray(image.resize((wide, high), Image.Resampling.BICUBIC))
    kind = f"{drawn}, {apart}, {arrangement}"
    return Compound(grey, 72 / density, _caption(random, list(boxes)), boxes, kind)


def _lettering(random: np.random.Generator, unit: float, apart: str) -> Lettering:
    path = Path(matplotlib.get_data_path()) / "fonts/ttf" / str(random.choice(FONTS))
    size = round(random.uniform(8, 16) * unit)
    return Lettering(
        upper=bool(random.random() < 0.5),
        form=str(random.choice(["{}", "({})", "{})"], p=[0.5, 0.4, 0.1])),
        font=ImageFont.truetype(str(path), size),
        look=str(random.choice(["white", "black", "outlined", "boxed"], p=[0.4, 0.2, 0.15, 0.25])),
        corner=int(random.choice(4, p=[0.7, 0.1, 0.15, 0.05])),
        inset=round(random.uniform(1, 5) * unit),
        outside=apart == "apart" and bool(random.random() < 0.3),
    )


def _layout(random: np.random.Generator, wide: int, high: int, gap: int) -> tuple[list[Rect], str]:
    """Cells in the order of their letters, and how they are arranged."""
    arrangement = str(random.choice(["grid", "rows", "columns"], p=[0.6, 0.28, 0.12]))
    across, down = wide, high
    if arrangement == "columns":
        across, down = high, wide
    count = int(random.integers(1, 5))
    columns = [int(random.integers(1, 5))] * count
    if arrangement != "grid":
        count = max(count, 2)
        columns = [int(random.integers(1, 4)) for _ in range(count)]
    if sum(columns) < 2:
        columns = [2]
    same = arrangement == "grid" and random.random() < 0.75
    heights = _shares(random, down, len(columns), gap, same)
    widths = _shares(random, across, columns[0], gap, same)
    cells = []
    for number, (top, bottom) in zip(columns, heights, strict=True):
        if arrangement != "grid":
            widths = _shares(random, across, number, gap, random.random() < 0.5)
        cells += [(left, top, right, bottom) for left, right in widths]
    if arrangement == "columns":
        cells = [(y0, x0, y1, x1) for x0, y0, x1, y1 in cells]
    return cells, arrangement


def _shares(
    random: np.random.Generator, length: int, count: int, gap: int, same: bool
) -> list[tuple[int, int]]:
    parts = np.ones(count) if same else random.uniform(0.6, 1.4, count)
    ends = np.cumsum(parts / parts.sum() * (length - gap * (count - 1))).round().astype(int)
    starts = np.concatenate([[0], ends[:-1]])
    return [
        (int(start) + gap * index, int(end) + gap * index)
        for index, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]


def _look(random: np.random.Generator) -> Drawer:
    """A kind of picture with its own mean, contrast and grain."""
    kind = random.choice(["grain", "cloud", "fibres", "blobs", "cells", "glow", "scene"])
    grain = random.uniform(0.6, 6)
    low, high = random.uniform(0, 110), random.uniform(130, 250)
    dense = random.uniform(0.2, 0.8)
    noise = random.uniform(0, 12)
    tall, long = (1.0, random.uniform(4, 14)) if random.random() < 0.5 else (4.0, 1.0)

    def draw(random: np.random.Generator, wide: int, high_px: int) -> np.ndarray:
        half = random.normal(size=(-(-high_px // 2), -(-wide // 2)))
        if kind == "grain":
            values = gaussian_filter(half, grain / 2)
        elif kind == "cloud":
            values = sum(gaussian_filter(half, s) * s for s in (1, 3, 8, 20))
        elif kind == "fibres":
            values = gaussian_filter(half, (tall * grain / 3, long * grain / 3))
        elif kind == "blobs":
            values = np.tanh(4 * _normal(gaussian_filter(half, 2 + 2 * grain)))
        elif kind == "cells":
            smooth = _normal(gaussian_filter(half, 1 + grain))
            values = np.where(smooth > 1 + dense, -3.0, 0.4 * np.tanh(smooth))
        elif kind == "glow":
            values = np.maximum(_normal(gaussian_filter(half, 3 + grain)) - 0.5 - dense, 0)
        else:
            values = gaussian_filter(half, 25) * 40 + gaussian_filter(half, 1) * 0.5
        values = zoom(values, 2, order=1)[:high_px, :wide]
        start, end = np.percentile(values, [0.5, 99.5])
        values = low + np.clip((values - start) / max(end - start, 1e-9), 0, 1) * (high - low)
        grey = np.clip(values + random.normal(size=values.shape) * noise, 0, 255).astype(np.uint8)
        return _with_bars(random, grey)

    return draw


def _normal(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / max(float(values.std()), 1e-9)


def _with_bars(random: np.random.Generator, grey: np.ndarray) -> np.ndarray:
    """A scale bar, the data bar of a microscope or an inset, in some of the pictures."""
    high, wide = grey.shape
    what = random.random()
    image = Image.fromarray(grey)
    draw = ImageDraw.Draw(image)
    if what < 0.45:
        length, thick = wide * random.uniform(0.12, 0.35), max(2, high // 60)
        right, bottom = wide - 0.05 * wide, high - 0.06 * high
        colour = int(random.choice([0, 255]))
        draw.rectangle((right - length, bottom - thick, right, bottom), fill=colour)
        font = ImageFont.load_default(max(8, high // 18))
        if random.random() < 0.6:
            draw.text((right - length, bottom - thick - high // 14), "20 µm", colour, font)
    elif what < 0.6:
        bar = max(8, high // 14)
        draw.rectangle((0, high - bar, wide, high), fill=int(random.choice([0, 0, 255])))
        font = ImageFont.load_default(max(7, int(0.6 * bar)))
        draw.text((6, high - bar + 1), "15.0 kV  x 2,000  10 µm", 128, font)
    elif what < 0.68:
        side = round(min(high, wide) * random.uniform(0.25, 0.4))
        inset = np.clip(gaussian_filter(random.normal(size=(side, side)), 2) * 300 + 128, 0, 255)
        frame = np.pad(inset.astype(np.uint8), 2, constant_values=255)
        image.paste(Image.fromarray(frame), (wide - side - 8, 4))
    return np.asarray(image)


def _plot(random: np.random.Generator, wide: int, high: int) -> np.ndarray:
    """A line, scatter or bar plot with axes, ticks, tick labels and titles of the axes."""
    image = Image.new("L", (wide, high), 255)
    draw = ImageDraw.Draw(image)
    size = max(8, min(wide, high) // 16)
    font = ImageFont.load_default(size)
    left, bottom = round(3.6 * size), high - round(3.2 * size)
    right, top = wide - size, round(0.6 * size)
    if right - left < 20 or bottom - top < 20:
        draw.rectangle((2, 2, wide - 3, high - 3), outline=0, width=2)
        return np.asarray(image)
    if random.random() < 0.6:
        draw.rectangle((left, top, right, bottom), outline=0, width=2)
    else:
        draw.line((left, top, left, bottom, right, bottom), fill=0, width=2)
    for share in np.linspace(0, 1, int(random.integers(3, 6))):
        x, y = left + share * (right - left) * 0.95, bottom - share * (bottom - top) * 0.95
        draw.line((x, bottom, x, bottom + size // 3), 0, 2)
        draw.line((left - size // 3, y, left, y), 0, 2)
        draw.text((x - size, bottom + size // 3), f"{share * 40:.0f}", 0, font)
        draw.text((left - 2 * size, y - size // 2), f"{share:.1f}", 0, font)
    draw.text(((left + right) / 2 - 3 * size, bottom + 1.7 * size), "Time (h)", 0, font)
    side = Image.new("L", (8 * size, round(1.4 * size)), 255)
    ImageDraw.Draw(side).text((0, 0), "Load (N)", 0, font)
    image.paste(side.rotate(90, expand=True), (2, max(0, (top + bottom) // 2 - 4 * size)))
    xs = np.linspace(left + 4, right - 4, 24)
    for _ in range(int(random.integers(1, 4))):
        walk = np.cumsum(random.normal(size=24))
        ys = top + 4 + (walk - walk.min()) / max(np.ptp(walk), 1e-9) * (bottom - top - 8)
        ink, form = int(random.integers(0, 150)), random.random()
        for x, y in zip(xs, ys, strict=True):
            if form < 0.3:
                draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=ink)
            elif form < 0.5:
                draw.rectangle((x - 4, y, x + 4, bottom), fill=ink)
        if form >= 0.5:
            draw.line(list(zip(xs.tolist(), ys.tolist(), strict=True)), fill=ink, width=3)
    return np.asarray(image)


def _with_letter(grey: np.ndarray, letter: str, lettering: Lettering, plot: bool) -> np.ndarray:
    """A panel with its letter in its corner."""
    if lettering.outside:
        return grey
    high, wide = grey.shape
    text = lettering.form.format(letter)
    x0, y0, x1, y1 = lettering.font.getbbox(text)
    corner, inset = (0 if plot else lettering.corner), lettering.inset
    x = wide - inset - x1 if corner % 2 else inset - x0
    y = high - inset - y1 if corner > 1 else inset - y0
    image = Image.fromarray(grey)
    draw = ImageDraw.Draw(image)
    look = "black" if plot else lettering.look
    under = grey[max(0, round(y)) : round(y) + y1, max(0, round(x)) : round(x) + x1].mean()
    if look in ("black", "white") and abs(under - 255 * (look == "white")) < READABLE:
        look = "black" if under > 127 else "white"
    if look == "boxed":
        draw.rectangle((x + x0 - 4, y + y0 - 4, x + x1 + 4, y + y1 + 4), fill=255)
        draw.text((x, y), text, 0, lettering.font)
    elif look == "outlined":
        draw.text((x, y), text, 255, lettering.font, stroke_width=2, stroke_fill=0)
    else:
        draw.text((x, y), text, 255 if look == "white" else 0, lettering.font)
    return np.asarray(image)


def _write(grey: np.ndarray, letter: str, lettering: Lettering, x: int, y: int) -> None:
    """A letter over its panel."""
    text = lettering.form.format(letter)
    x0, y0, x1, y1 = lettering.font.getbbox(text)
    label = Image.new("L", (x1 - x0, y1 - y0), 255)
    ImageDraw.Draw(label).text((-x0, -y0), text, 0, lettering.font)
    part = grey[y : y + label.height, x : x + label.width]
    part[:] = np.asarray(label)[: part.shape[0], : part.shape[1]]


def _inked(grey: np.ndarray, rect: Rect) -> Rect:
    """A rectangle shrunk to what is drawn in it."""
    x0, y0, x1, y1 = rect
    ink = grey[y0:y1, x0:x1] < 235
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return (
        x0 + int(columns[0]),
        y0 + int(rows[0]),
        x0 + int(columns[-1]) + 1,
        y0 + int(rows[-1]) + 1,
    )


def _as_jpeg(grey: np.ndarray, quality: int) -> np.ndarray:
    stored = io.BytesIO()
    Image.fromarray(grey).save(stored, "JPEG", quality=quality)
    return np.asarray(Image.open(stored))


def _caption(random: np.random.Generator, letters: list[str]) -> str:
    parts = [f"({letter}) The {random.choice(WORDS)}" for letter in letters]
    return "Micrographs. " + ", ".join(parts) + "."


if __name__ == "__main__":
    main()
