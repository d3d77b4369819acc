"""Small PDFs made on the spot, with known figures and captions."""

from pathlib import Path

import numpy as np
from PIL import Image
from reportlab.lib.utils import ImageReader, simpleSplit
from reportlab.pdfgen.canvas import Canvas

from cephalo.dataset_scripts.common.geometry import iou
from cephalo.dataset_scripts.pdf.document import extract_document
from cephalo.dataset_scripts.pdf.settings import Settings

WIDTH, HEIGHT = 612.0, 792.0
LEFT, COLUMN, GUTTER = 60.0, 236.0, 20.0
RIGHT = LEFT + COLUMN + GUTTER
FULL = 2 * COLUMN + GUTTER
SENTENCE = (
    "The samples were heated in air and cooled in the furnace before their hardness was read at "
    "five places, and the mean of the five readings is given with its standard deviation here. "
)
# Three paragraphs of running text.
FIRST = (
    "The fibre mats were pressed at four pressures and dried in air for two days before any test "
    "was made of them. Their strength rose with the pressure up to the third of the four, and "
    "then fell, because the fibres began to break where they cross."
)
SECOND = (
    "Fracture began at the edge of every specimen and ran along the crossings. The surface showed "
    "pulled fibres near the edge and cut ones in the middle, which agrees with the loss of "
    "strength at the highest pressure."
)
THIRD = (
    "We conclude that mats of this kind are best pressed at the third pressure. A model that "
    "counts the crossings of the fibres gives the same order of the four mats without any "
    "parameter that was fitted to the tests."
)


class Sheet:
    """A letter page being drawn, with boxes from the top left: [x0, y0, x1, y1] in points."""

    def __init__(self, path: Path, **options) -> None:
        self.path = path
        self.canvas = Canvas(str(path), pagesize=(WIDTH, HEIGHT), invariant=1, **options)

    def text(
        self, x: float, y: float, text: str, width: float = COLUMN, size: float = 10, **style
    ) -> float:
        """Set `text` with its top at `y`; returns where it ends. `font` and `lead` are styles."""
        font = style.get("font", "Times-Roman")
        for line in simpleSplit(text, font, size, width):
            self.canvas.setFont(font, size)
            self.canvas.drawString(x, HEIGHT - y - 0.8 * size, line)
            y += 1.2 * size
        return y

    def body(self, x: float, y0: float, y1: float, width: float = COLUMN) -> None:
        """Fill a column with running text from `y0` to `y1`."""
        count = int((y1 - y0) // 12)
        lines = simpleSplit(SENTENCE * 40, "Times-Roman", 10, width)[:count]
        for line in lines:
            y0 = self.text(x, y0, line, width + 20)

    def caption(self, x: float, y: float, label: str, text: str, width: float = COLUMN) -> float:
        """Set a caption with a bold label in 9 points; returns where it ends."""
        canvas = self.canvas
        lines = simpleSplit(f"{label} {text}", "Times-Roman", 9, width - 6)
        for number, line in enumerate(lines):
            base = HEIGHT - y - 7.2
            if number == 0:
                canvas.setFont("Times-Bold", 9)
                canvas.drawString(x, base, label)
                step = canvas.stringWidth(label + " ", "Times-Bold", 9)
                canvas.setFont("Times-Roman", 9)
                canvas.drawString(x + step, base, line[len(label) :].strip())
            else:
                canvas.setFont("Times-Roman", 9)
                canvas.drawString(x, base, line)
            y += 10.8
        return y

    def image(self, box: list[float], seed: int = 0) -> None:
        """Draw a noisy grey picture."""
        noise = np.random.default_rng(seed).integers(0, 255, (40, 60), np.uint8)
        x0, y0, x1, y1 = box
        picture = ImageReader(Image.fromarray(noise))
        self.canvas.drawImage(picture, x0, HEIGHT - y1, x1 - x0, y1 - y0)

    def plot(self, box: list[float], marks: int = 12) -> None:
        """Draw a plot out of paths and text: axes within `box`, tick labels at its edges."""
        x0, y0, x1, y1 = box
        canvas = self.canvas
        canvas.setLineWidth(0.7)
        canvas.rect(x0 + 24, HEIGHT - y1 + 16, x1 - x0 - 24, y1 - y0 - 16)
        canvas.setFont("Helvetica", 7)
        for k in range(5):
            at = x0 + 28 + (x1 - x0 - 40) * k / 4
            canvas.drawString(at, HEIGHT - y1 + 4, str(k))
            canvas.drawString(x0 + 2, HEIGHT - y1 + 20 + (y1 - y0 - 30) * k / 4, f"{k}.0")
        for k in range(marks):
            across, up = (k + 0.5) / marks, 0.5 + 0.4 * np.sin(k)
            canvas.circle(
                x0 + 24 + across * (x1 - x0 - 24), HEIGHT - y1 + 16 + up * (y1 - y0 - 20), 1.5
            )

    def next(self) -> None:
        """Begin another page."""
        self.canvas.showPage()

    def save(self) -> Path:
        """Write the file."""
        self.canvas.save()
        return self.path


def one_figure(path: Path, caption: str = "Hardness of the samples.", seed: int = 0) -> list[float]:
    """A two-column page with one image and its caption; returns the figure's box."""
    sheet = Sheet(path)
    box = [LEFT, 72.0, LEFT + COLUMN, 222.0]
    sheet.image(box, seed)
    sheet.caption(LEFT, 230, "Figure 1.", caption)
    sheet.body(LEFT, 290, 700)
    sheet.body(LEFT + COLUMN + GUTTER, 72, 700)
    sheet.save()
    return box


def text_only(path: Path) -> None:
    """Two pages of running text that cite figures and have none."""
    sheet = Sheet(path)
    for _ in range(2):
        sheet.body(LEFT, 72, 400)
        sheet.text(LEFT, 412, "Figure 1 shows the hardness of the samples as it was read.")
        sheet.body(LEFT + COLUMN + GUTTER, 72, 700)
        sheet.next()
    sheet.save()


def read(sheet: Sheet, **settings) -> list[dict]:
    """The rows of a sheet."""
    return extract_document(sheet.save(), Settings(**settings)).rows


def check(rows: list[dict], truth: list[tuple]) -> None:
    """`truth` holds (label, caption, page, box) in the order of the pages."""
    assert [(row["label"], row["caption"], row["page"]) for row in rows] == [
        (label, caption, page) for label, caption, page, _ in truth
    ]
    for row, (label, _, _, box) in zip(rows, truth, strict=True):
        assert iou(row["bbox"], box) > 0.85, (label, row["bbox"], box)
