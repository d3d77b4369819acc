"""Grey textures that imitate micrographs, photographs and maps."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter, zoom

Drawer = Callable[[np.random.Generator, int, int], np.ndarray]


def choose_texture(random: np.random.Generator) -> Drawer:
    """Draw a kind of image with its mean, contrast and grain."""
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
        return with_bars(random, grey)

    return draw


def draw_map(random: np.random.Generator, wide: int, high: int) -> np.ndarray:
    """Draw smooth levels in steps, as in a contour map or a matrix."""
    across, down = (int(random.integers(4, 14)) for _ in range(2))
    values = random.random((down, across))
    order = int(random.choice([0, 1]))
    values = zoom(values, (high / down + 0.2, wide / across + 0.2), order=order)[:high, :wide]
    return (40 + 200 * np.clip(values, 0, 1)).astype(np.uint8)


def draw_specimen(random: np.random.Generator, wide: int, high: int, ground: int) -> np.ndarray:
    """Draw one textured object on a plain background, reaching all sides."""
    texture = choose_texture(random)(random, wide, high).astype(float)
    texture = np.where(abs(texture - ground) < 45, abs(ground - 60.0), texture)
    ys, xs = np.mgrid[-1 : 1 : high * 1j, -1 : 1 : wide * 1j]
    angle = np.arctan2(ys, xs)
    edge = 0.8 + 0.2 * np.sin(int(random.integers(2, 6)) * angle + random.uniform(0, 6))
    inside = np.hypot(xs, ys) < edge
    return np.where(inside, texture, ground).astype(np.uint8)


def with_bars(random: np.random.Generator, grey: np.ndarray) -> np.ndarray:
    """Add a scale bar, a data bar of a microscope or an inset to some images."""
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


def _normal(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / max(float(values.std()), 1e-9)
