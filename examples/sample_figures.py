"""Draw the graphics of the sample papers: micrographs, plots, and panels of them."""

import numpy as np
from PIL import Image
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas


def grains(seed: int, width: int, height: int, count: int) -> Image.Image:
    """Return a greyscale image like polished grains: Voronoi cells, dark boundaries, noise."""
    rng = np.random.default_rng(seed)
    points = rng.uniform((0, 0), (height, width), (count, 2))
    rows, columns = np.mgrid[0:height, 0:width]
    distance = np.hypot(rows[..., None] - points[:, 0], columns[..., None] - points[:, 1])
    nearest = np.sort(distance, axis=2)
    level = rng.uniform(95, 205, count)[distance.argmin(axis=2)]
    level[nearest[..., 1] - nearest[..., 0] < 1.6] = 40
    level += rng.normal(0, 7, level.shape)
    return Image.fromarray(np.clip(level, 0, 255).astype(np.uint8))


def fibres(seed: int, width: int, height: int, count: int) -> Image.Image:
    """Return a greyscale image like a fibre mat: light strokes on a dark background, with noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    level = np.full((height, width), 45.0)
    for _ in range(count):
        angle, offset = rng.uniform(0, np.pi), rng.uniform(-0.5, 0.5) * (width + height)
        across = (columns - width / 2) * np.sin(angle) - (rows - height / 2) * np.cos(angle)
        level = np.maximum(level, rng.uniform(120, 225) - 28 * np.abs(across - offset))
    level += rng.normal(0, 8, level.shape)
    return Image.fromarray(np.clip(level, 0, 255).astype(np.uint8))


def raster(picture: Image.Image, bar: str):
    """Draw a picture with a scale bar; the bar and its length are vector graphics."""

    def draw(canvas: Canvas, x: float, y: float, width: float, height: float) -> None:
        canvas.drawImage(ImageReader(picture), x, y, width, height)
        canvas.setFillGray(1)
        canvas.rect(x + width - 62, y + 10, 50, 3, stroke=0, fill=1)
        canvas.setFont("Helvetica-Bold", 8)
        canvas.drawCentredString(x + width - 37, y + 16, bar)

    return draw


def plot(
    x_name: str,
    y_name: str,
    curves: list[tuple[str, list[float]]],
    ticks: list[str],
    key: float = 0.95,
):
    """Draw curves over evenly spaced ticks; `curves` are (name, values between 0 and 1).

    The names of the curves are drawn at `key`, a fraction of the height of the frame.
    """
    colours = [(0.05, 0.43, 0.46), (0.80, 0.33, 0.13), (0.36, 0.30, 0.60)]

    def draw(canvas: Canvas, x: float, y: float, width: float, height: float) -> None:
        left, low = x + 30, y + 28
        wide, high = width - 36, height - 32
        canvas.setStrokeGray(0)
        canvas.setFillGray(0)
        canvas.setLineWidth(0.7)
        canvas.rect(left, low, wide, high)
        canvas.setFont("Helvetica", 7)
        for k, tick in enumerate(ticks):
            at = left + wide * k / (len(ticks) - 1)
            canvas.line(at, low, at, low + 3)
            canvas.drawCentredString(at, low - 9, tick)
        for k in range(5):
            at = low + high * k / 4
            canvas.line(left, at, left + 3, at)
            canvas.drawRightString(left - 3, at - 2.5, f"{k / 4:.2f}")
        canvas.setFont("Helvetica", 8)
        canvas.drawCentredString(left + wide / 2, low - 21, x_name)
        canvas.saveState()
        canvas.translate(x + 8, low + high / 2)
        canvas.rotate(90)
        canvas.drawCentredString(0, 0, y_name)
        canvas.restoreState()
        for number, (name, values) in enumerate(curves):
            canvas.setStrokeColorRGB(*colours[number])
            canvas.setFillColorRGB(*colours[number])
            canvas.setLineWidth(1.2)
            path = canvas.beginPath()
            for k, value in enumerate(values):
                at = left + wide * k / (len(values) - 1), low + high * value
                (path.moveTo if k == 0 else path.lineTo)(*at)
                canvas.circle(*at, 1.8, stroke=0, fill=1)
            canvas.drawPath(path)
            canvas.setFont("Helvetica", 7)
            canvas.drawString(left + 0.62 * wide, low + key * high - 7 - 9 * number, name)
        canvas.setFillGray(0)

    return draw


def compound(*panels):
    """Draw panels side by side, each with its letter in bold above its left corner."""

    def draw(canvas: Canvas, x: float, y: float, width: float, height: float) -> None:
        step = (width + 14) / len(panels)
        for number, panel in enumerate(panels):
            left = x + number * step
            panel(canvas, left, y, step - 14, height - 12)
            canvas.setFillGray(0)
            canvas.setFont("Helvetica-Bold", 9)
            canvas.drawString(left, y + height - 8, f"({'abcdef'[number]})")

    return draw
