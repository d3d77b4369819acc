"""Draw images of one kind that are not copies of each other and must not be linked.

Micrographs of one material, with and without the data bar of a microscope, plots with equal frame,
legend and labels, and the images of `templates`.
"""

from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage

from benchmarks.copies.templates import TEMPLATES

SIZE = (640, 480)
BAR_HEIGHT = 44  # pixels of a data bar


def strangers(count: int) -> Iterator[tuple[str, list[Image.Image]]]:
    """Yield the name of each kind and `count` images of it. Only one kind is in memory."""
    kinds: dict[str, Callable[[np.random.Generator], Image.Image]] = {
        "fine grains": lambda rng: micrograph(smooth_noise(rng, 2)),
        "coarse grains": lambda rng: micrograph(smooth_noise(rng, 12)),
        "two phases": lambda rng: micrograph(np.sign(smooth_noise(rng, 5)) + smooth_noise(rng, 1)),
        "particles": particles,
        "fibres": fibres,
    }
    for number, (name, draw) in enumerate(kinds.items()):
        pictures = [draw(np.random.default_rng((number, seed))) for seed in range(count)]
        yield name, pictures
        yield f"{name}, data bar", [with_data_bar(picture) for picture in pictures]
    for number, (name, draw) in enumerate(TEMPLATES.items()):
        yield name, [draw(np.random.default_rng((20 + number, seed))) for seed in range(count)]
    yield "plots of one frame", [plot(np.random.default_rng((9, seed))) for seed in range(count)]


def smooth_noise(rng: np.random.Generator, scale: float) -> np.ndarray:
    """Return noise with mean 0 and standard deviation 1, with structures of `scale` pixels."""
    noise = ndimage.gaussian_filter(rng.normal(size=SIZE[::-1]), scale)
    return (noise - noise.mean()) / noise.std()


def micrograph(levels: np.ndarray) -> Image.Image:
    """Convert levels of about -2 to 2 to a grey image."""
    return Image.fromarray(np.clip(128 + 50 * levels, 0, 255).astype(np.uint8)).convert("RGB")


def particles(rng: np.random.Generator) -> Image.Image:
    """Draw bright discs of one size on a dark background."""
    image = Image.new("L", SIZE, 60)
    draw = ImageDraw.Draw(image)
    for x, y in rng.uniform((0, 0), SIZE, (250, 2)):
        radius = rng.uniform(10, 18)
        box = [x - radius, y - radius, x + radius, y + radius]
        draw.ellipse(box, fill=int(rng.uniform(120, 220)), outline=240)
    return image.filter(ImageFilter.GaussianBlur(1)).convert("RGB")


def fibres(rng: np.random.Generator) -> Image.Image:
    """Draw bright crossing lines."""
    image = Image.new("L", SIZE, 40)
    draw = ImageDraw.Draw(image)
    for _ in range(120):
        x, y, angle = rng.uniform((0, 0, 0), (*SIZE, np.pi))
        step = 600 * np.cos(angle), 600 * np.sin(angle)
        ends = [(x - step[0], y - step[1]), (x + step[0], y + step[1])]
        draw.line(ends, fill=int(rng.uniform(90, 250)), width=int(rng.integers(2, 7)))
    return image.filter(ImageFilter.GaussianBlur(1)).convert("RGB")


def with_data_bar(picture: Image.Image) -> Image.Image:
    """Add the data bar of a microscope below a micrograph."""
    page = Image.new("RGB", (picture.width, picture.height + BAR_HEIGHT), "black")
    page.paste(picture, (0, 0))
    draw = ImageDraw.Draw(page)
    top = picture.height + 6
    draw.text((8, top), "EHT = 5.00 kV   WD = 8.3 mm   Mag = 10.00 K X", "white", font_size=18)
    draw.text((8, top + 19), "Signal A = SE2    Date: 12 Mar 2019", "white", font_size=14)
    draw.rectangle([picture.width - 150, top + 4, picture.width - 30, top + 10], fill="white")
    draw.text((picture.width - 110, top + 14), "2 µm", "white", font_size=16)
    return page


def plot(rng: np.random.Generator) -> Image.Image:
    """Draw three curves in one frame, with constant labels and legend."""
    image = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(image)
    left, top, right, bottom = 80, 20, SIZE[0] - 20, SIZE[1] - 70
    draw.rectangle([left, top, right, bottom], outline="black", width=2)
    for step in range(11):
        x = left + step * (right - left) // 10
        y = top + step * (bottom - top) // 10
        draw.line([(x, bottom), (x, bottom - 6)], "black", 2)
        draw.line([(left, y), (left + 6, y)], "black", 2)
        draw.text((x - 10, bottom + 6), str(100 * step), "black", font_size=16)
        draw.text((left - 36, y - 8), f"{1 - step / 10:.1f}", "black", font_size=16)
    draw.text((250, bottom + 32), "Temperature (K)", "black", font_size=24)
    draw.text((6, 2), "Intensity (a.u.)", "black", font_size=16)
    for number, color in enumerate(("black", "red", "blue")):
        draw.line(list(curve(rng, left, top, right, bottom)), color, 3)
        y = top + 20 + 24 * number
        draw.line([(right - 150, y), (right - 110, y)], color, 3)
        draw.text((right - 100, y - 10), f"sample {number + 1}", "black", font_size=18)
    return image


def curve(
    rng: np.random.Generator, left: int, top: int, right: int, bottom: int
) -> Iterator[tuple[float, float]]:
    """Draw a smooth curve through a frame."""
    waves = rng.uniform((0.5, 0, 0.05), (4, 6.3, 0.3), (3, 3))
    for share in np.linspace(0, 1, 120):
        height = sum(size * np.sin(rate * 3 * share + shift) for rate, shift, size in waves)
        yield left + share * (right - left), (top + bottom) / 2 + height * (bottom - top) / 2
