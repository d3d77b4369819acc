"""Render plates and fields as PNG bytes that depend on the arrays alone."""

import io
import math
from functools import lru_cache

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cephalo.dataset_scripts.plates.families import GREYS

SIDE = 256  # pixels of a picture of a plate, as in the published sets
BAR = 16  # pixels, the width of a colour scale
MARGIN = 56  # pixels for the scale's numbers
TOP_QUANTILE = 0.99  # of a field: the peak depends on the grid
WHITE = 255


def plate_png(stiffness: np.ndarray) -> bytes:
    """Render a plate in grey: black is relative stiffness 1, white is void."""
    return png(Image.fromarray(enlarged(plate_greys(stiffness))))


def plate_greys(stiffness: np.ndarray) -> np.ndarray:
    """Return the grey levels of a plate, (n, n) uint8, which encode its stiffness exactly."""
    return np.round(GREYS * (1 - stiffness)).astype(np.uint8)


def mask_png(mask: np.ndarray) -> bytes:
    """Render a mask in black on white."""
    return png(Image.fromarray(enlarged(np.where(mask, 0, WHITE).astype(np.uint8))))


def field_png(values: np.ndarray, solid: np.ndarray, top: float, unit: str) -> bytes:
    """Render a field in colours (viridis) on solid pixels, beside a colour bar from 0 to `top`."""
    levels = np.clip(values / top * 255, 0, 255).astype(np.uint8)
    colours = np.where(solid[..., None], viridis()[levels], WHITE).astype(np.uint8)
    field = enlarged(colours)
    side = len(field)
    page = Image.new("RGB", (side + BAR // 2 + BAR + MARGIN, side), "white")
    page.paste(Image.fromarray(field), (0, 0))
    left = side + BAR // 2
    scale = viridis()[np.linspace(255, 0, side).astype(np.uint8)]
    page.paste(Image.fromarray(np.repeat(scale[:, None], BAR, axis=1)), (left, 0))
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size=12)
    middle = (left + BAR + 4, side // 2)
    for place, anchor, text in (
        ((middle[0], 1), "lt", f"{top:g}"),
        (middle, "lm", unit),
        ((middle[0], side - 2), "ls", "0"),
    ):
        draw.text(place, text, fill="black", font=font, anchor=anchor)
    return png(page)


def scale_top(values: np.ndarray) -> float:
    """Return a round upper limit for nearly all `values`: two significant digits, rounded up."""
    high = float(np.quantile(values, TOP_QUANTILE))
    step = 10.0 ** (math.floor(math.log10(high)) - 1)
    return float(f"{math.ceil(high / step - 1e-6) * step:.2g}")


@lru_cache(maxsize=1)
def viridis() -> np.ndarray:
    """Return the 256 colours of the map, (256, 3) uint8."""
    return matplotlib.colormaps["viridis"](np.arange(256), bytes=True)[:, :3]


def enlarged(pixels: np.ndarray) -> np.ndarray:
    """Repeat every pixel up to a side of `SIDE`."""
    times = max(1, SIDE // len(pixels))
    return pixels.repeat(times, axis=0).repeat(times, axis=1)


def png(image: Image.Image) -> bytes:
    """Encode an image as PNG."""
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
