"""Draw images of one template with different content, which are hardest to distinguish from copies.

Bar charts, hatched or not, spectra, scatter plots, tables and block diagrams that share axes,
labels, legend, rules or boxes, and differ in the data, the numbers or the words.
"""

import numpy as np
from PIL import Image, ImageDraw

SIZE = (640, 480)
LEFT, TOP, RIGHT, BOTTOM = 80, 20, 620, 410  # of the frame of a plot, pixels
STEPS = [
    "mixing",
    "milling",
    "pressing",
    "drying",
    "sintering",
    "casting",
    "rolling",
    "quenching",
    "ageing",
    "etching",
    "coating",
    "annealing",
    "welding",
    "cutting",
    "printing",
    "curing",
    "washing",
    "sieving",
    "grinding",
    "testing",
]


def frame(draw: ImageDraw.ImageDraw) -> None:
    """Draw axes, ticks, labels and a legend that do not change."""
    draw.rectangle([LEFT, TOP, RIGHT, BOTTOM], outline="black", width=2)
    for step in range(6):
        y = BOTTOM - step * (BOTTOM - TOP) // 6
        draw.line([(LEFT, y), (LEFT + 6, y)], "black", 2)
        draw.text((LEFT - 40, y - 8), str(20 * step), "black", font_size=16)
    draw.text((240, BOTTOM + 36), "Concentration (% v/v)", "black", font_size=20)
    draw.text((6, 2), "Proliferation (%)", "black", font_size=16)
    for number, name in enumerate(("control", "treated")):
        y = TOP + 14 + 22 * number
        draw.rectangle(
            [RIGHT - 130, y, RIGHT - 106, y + 14], "black" if number else "white", "black"
        )
        draw.text((RIGHT - 98, y - 3), name, "black", font_size=16)


def bars(rng: np.random.Generator, hatched: bool = False) -> Image.Image:
    """Draw twelve bars with error bars."""
    image = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(image)
    frame(draw)
    width = (RIGHT - LEFT) // 20
    for number in range(12):
        left = LEFT + 16 + (number // 2) * (RIGHT - LEFT - 20) // 6 + number % 2 * width
        top = int(rng.uniform(TOP + 70, BOTTOM - 20))
        draw.rectangle(
            [left, top, left + width, BOTTOM], "white" if number % 2 else "grey", "black", 2
        )
        if hatched and number % 2:
            for y in range(top, BOTTOM, 7):
                draw.line([(left, y), (left + width, min(y + width, BOTTOM))], "black", 1)
                draw.line([(left + width, y), (left, min(y + width, BOTTOM))], "black", 1)
        error = int(rng.uniform(4, 25))
        middle = left + width // 2
        draw.line([(middle, top - error), (middle, top + error)], "black", 2)
        draw.line([(middle - 5, top - error), (middle + 5, top - error)], "black", 2)
        draw.text((left, BOTTOM + 8), f"{number // 2}", "black", font_size=16)
    return image


def hatched_bars(rng: np.random.Generator) -> Image.Image:
    """Draw twelve bars, every second one hatched."""
    return bars(rng, hatched=True)


def one_curve(rng: np.random.Generator) -> Image.Image:
    """Draw one decaying curve with few markers, so that most of the image is the frame."""
    image = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(image)
    frame(draw)
    start, rate, end = rng.uniform((0.5, 0.5, 0.05), (0.95, 8, 0.45))
    shares = np.linspace(0, 1, 80)
    heights = end + (start - end) * np.exp(-rate * shares)
    x, y = LEFT + shares * (RIGHT - LEFT), BOTTOM - heights * (BOTTOM - TOP)
    draw.line(list(zip(x, y, strict=True)), "black", 3)
    for a, b in list(zip(x, y, strict=True))[::16]:
        draw.rectangle([a - 5, b - 5, a + 5, b + 5], "black")
    return image


def spectrum(rng: np.random.Generator) -> Image.Image:
    """Draw peaks at random positions in a frame."""
    image = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(image)
    frame(draw)
    shares = np.linspace(0, 1, 500)
    levels = rng.normal(0.05, 0.004, 500)
    for place, height, width in rng.uniform((0.05, 0.1, 0.004), (0.95, 0.7, 0.02), (7, 3)):
        levels += height * np.exp(-(((shares - place) / width) ** 2))
    x, y = LEFT + shares * (RIGHT - LEFT), BOTTOM - np.clip(levels, 0, 0.97) * (BOTTOM - TOP)
    draw.line(list(zip(x, y, strict=True)), "black", 2)
    return image


def scatter(rng: np.random.Generator) -> Image.Image:
    """Draw forty markers in a frame."""
    image = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(image)
    frame(draw)
    for x, y in rng.uniform((LEFT + 10, TOP + 70), (RIGHT - 10, BOTTOM - 10), (40, 2)):
        draw.ellipse([x - 5, y - 5, x + 5, y + 5], "black")
    return image


def table(rng: np.random.Generator) -> Image.Image:
    """Draw numbers in rows and columns of one layout."""
    image = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(image)
    for y in (20, 60, 450):
        draw.line([(20, y), (620, y)], "black", 2)
    for column, name in enumerate(("Sample", "E (GPa)", "Strength", "Strain (%)", "Density")):
        draw.text((30 + 120 * column, 30), name, "black", font_size=20)
        for row in range(12):
            text = f"S{row + 1}" if not column else f"{rng.uniform(1, 99):.2f}"
            draw.text((30 + 120 * column, 72 + 31 * row), text, "black", font_size=20)
    return image


def blocks(rng: np.random.Generator) -> Image.Image:
    """Draw boxes and arrows in one arrangement, with random words and connections."""
    image = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(image)
    names = rng.choice(STEPS, 9, replace=False)
    middles = [(110 + 210 * (number % 3), 80 + 160 * (number // 3)) for number in range(9)]
    for one, other in rng.choice(9, (5, 2)):
        draw.line([middles[one], middles[other]], "black", 2)
    for (x, y), name in zip(middles, names, strict=True):
        draw.rectangle([x - 75, y - 30, x + 75, y + 30], "white", "black", 2)
        draw.text((x, y), str(name), "black", font_size=22, anchor="mm")
    return image


TEMPLATES = {
    "bars": bars,
    "hatched bars": hatched_bars,
    "one curve": one_curve,
    "spectra": spectrum,
    "scatter plots": scatter,
    "tables": table,
    "block diagrams": blocks,
}
