"""Raster images of figures: micrographs, gradients and maps, written as PNG or JPEG files."""

from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

# Pixels of the longer side: enough to look like a micrograph, and fast to generate.
_PIXELS = 220


def write_picture(path: Path, width: float, height: float, rng: Random) -> None:
    """Write a random image with the aspect ratio of `width` to `height`."""
    scale = _PIXELS / max(width, height)
    shape = max(8, int(height * scale)), max(8, int(width * scale))
    noise = np.random.default_rng(rng.getrandbits(32))
    kind = rng.choice([_grains, _grains, _spheres, _gradient, _colours])
    pixels = np.clip(kind(shape, noise), 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, **({"quality": 85} if path.suffix == ".jpg" else {}))


def _grains(shape: tuple[int, int], noise: np.random.Generator) -> np.ndarray:
    """Draw grey grains with dark boundaries: the nearest of some seeds, (height, width)."""
    seeds = noise.random((int(noise.integers(8, 40)), 2)) * shape
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    away = np.hypot(rows[..., None] - seeds[:, 0], columns[..., None] - seeds[:, 1])
    near = np.sort(away, axis=-1)
    shade = noise.integers(60, 200, len(seeds))[away.argmin(axis=-1)]
    shade = np.where(near[..., 1] - near[..., 0] < 2, 25, shade)
    return shade + noise.normal(0, 12, shape)


def _spheres(shape: tuple[int, int], noise: np.random.Generator) -> np.ndarray:
    """Draw bright particles on a dark background, (height, width)."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    field = np.full(shape, 40.0)
    for _ in range(int(noise.integers(10, 50))):
        row, column = noise.random(2) * shape
        radius = noise.uniform(3, 18)
        away = np.hypot(rows - row, columns - column) / radius
        field = np.where(away < 1, 210 - 130 * away**2, field)
    return field + noise.normal(0, 15, shape)


def _gradient(shape: tuple[int, int], noise: np.random.Generator) -> np.ndarray:
    """Draw a light field with a bright ring, like a diffraction pattern, (height, width)."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    away = np.hypot(rows - shape[0] / 2, columns - shape[1] / 2) / max(shape)
    rings = 90 * np.cos(away * noise.uniform(20, 60)) ** 8
    return 30 + rings + 140 * np.exp(-40 * away**2) + noise.normal(0, 8, shape)


def _colours(shape: tuple[int, int], noise: np.random.Generator) -> np.ndarray:
    """Draw a smooth coloured field, like a simulation, (height, width, 3)."""
    rows, columns = np.mgrid[0 : 3 : shape[0] * 1j, 0 : 3 : shape[1] * 1j]
    level = 0.5 + 0.5 * np.sin(noise.uniform(1, 4) * rows + np.cos(noise.uniform(1, 4) * columns))
    return np.stack([255 * level, 220 * level * (1 - level) * 3, 255 * (1 - level)], axis=-1)
