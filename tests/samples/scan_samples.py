"""Scans made on the spot: papers drawn, rendered, skewed, soiled and turned."""

from pathlib import Path

import numpy as np
import pypdfium2
from pdf_samples import COLUMN, GUTTER, HEIGHT, LEFT, WIDTH, Sheet
from PIL import Image
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

DPI = 150
RIGHT = LEFT + COLUMN + GUTTER
CAPTIONS = {
    "Figure 1": "Hardness of the first phase after annealing at 450 °C for 12 hours, with the "
    "standard deviation of five readings. The dashed line is a guide to the eye.",
    "Figure 2": "Micrograph of the fracture surface. Arrows mark voids between the grains.",
}
BOXES = {
    "Figure 1": [LEFT, 100.0, LEFT + COLUMN, 250.0],
    "Figure 2": [RIGHT, 380.0, RIGHT + COLUMN, 560.0],
}


def paper(path: Path) -> Path:
    """A page of two columns with a plot in one, a picture in the other, and their captions."""
    sheet = Sheet(path)
    sheet.text(LEFT, 50, "On the Hardness of Annealed Samples", 400, 16)
    sheet.plot(BOXES["Figure 1"])
    sheet.caption(LEFT, 260, "Figure 1.", CAPTIONS["Figure 1"])
    sheet.body(LEFT, 330, 700)
    sheet.body(RIGHT, 100, 360)
    sheet.image(BOXES["Figure 2"])
    sheet.caption(RIGHT, 570, "Figure 2.", CAPTIONS["Figure 2"])
    sheet.body(RIGHT, 620, 700)
    return sheet.save()


def pictures(path: Path) -> list[np.ndarray]:
    """The pages of a PDF file as uint8 (height, width), grey, DPI pixels in an inch."""
    document = pypdfium2.PdfDocument(path)
    pages = [page.render(scale=DPI / 72).to_pil().convert("L") for page in document]
    return [np.asarray(page) for page in pages]


def soil(picture: np.ndarray, skew: float = 0.0, noise: float = 8.0) -> np.ndarray:
    """A picture skewed by degrees counterclockwise, on grey paper, with a shadow and noise."""
    turned = Image.fromarray(picture).rotate(skew, Image.Resampling.BICUBIC, fillcolor=255)
    levels = np.asarray(turned) * 0.93
    levels[:, :12] = 40
    levels += noise * np.random.default_rng(0).standard_normal(levels.shape)
    return levels.clip(0, 255).astype(np.uint8)


class Scan:
    """A PDF file of page pictures, being written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.canvas = Canvas(str(path), invariant=1)

    def page(
        self,
        picture: np.ndarray,
        rotate: int = 0,
        layer: dict[tuple[float, float], str] | None = None,
        stamp: str = "",
    ) -> None:
        """Add a page that shows `picture`, with /Rotate.

        `layer` is unseen text by its baseline's start (points from the top left); `stamp` is
        text that is seen.
        """
        height, width = (side * 72 / DPI for side in picture.shape)
        canvas = self.canvas
        canvas.setPageSize((width, height))
        canvas.setPageRotation(rotate)
        canvas.drawImage(ImageReader(Image.fromarray(picture)), 0, 0, width, height)
        text = canvas.beginText()
        text.setTextRenderMode(3)
        text.setFont("Times-Roman", 10)
        for (x, y), line in (layer or {}).items():
            text.setTextOrigin(x, height - y)
            text.textOut(line)
        canvas.drawText(text)
        text = canvas.beginText(30, 12)
        text.setTextRenderMode(0)
        text.setFont("Helvetica", 7)
        text.textOut(stamp)
        canvas.drawText(text)
        canvas.showPage()

    def save(self) -> Path:
        """Write the file."""
        self.canvas.save()
        return self.path


def turned(box: list[float], quarters: int) -> list[float]:
    """A box of the upright page on the page turned by quarters clockwise."""
    x0, y0, x1, y1 = box
    return [
        [x0, y0, x1, y1],
        [HEIGHT - y1, x0, HEIGHT - y0, x1],
        [WIDTH - x1, HEIGHT - y1, WIDTH - x0, HEIGHT - y0],
        [y0, WIDTH - x1, y1, WIDTH - x0],
    ][quarters % 4]
