"""The graphic of a figure: an image, a grid of panels with letters, or framed text."""

from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from benchmarks.papers import charts
from benchmarks.papers.charts import Box
from benchmarks.papers.drawing import BLACK, WHITE, Drawing, typst_marks, write_form
from benchmarks.papers.languages import SHARED
from benchmarks.papers.listings import listing
from benchmarks.papers.pictures import write_picture

# Labels of the densest maps, as in a phylogeny of a family or a periodic table of maps.
_DENSEST = 10_000
# Height in points below which the axis labels of a plot would overlap.
_LEAST_PLOT = 55.0


@dataclass(frozen=True)
class Panel:
    """A part of a compound figure and its box in the graphic, in points from the top left."""

    letter: str
    box: Box


@dataclass(frozen=True)
class Graphic:
    """The content of a figure.

    Attributes:
        kind: Name of the content, for the ground truth.
        code: Typst markup that draws it from the top left corner of a box.
        width: Width in points.
        height: Height in points, `None` if it follows from the text in `code`.
        panels: Parts in the order of their letters.
    """

    kind: str
    code: str
    width: float
    height: float | None
    panels: list[Panel] = field(default_factory=list)


@dataclass(frozen=True)
class Lettering:
    """Letters of panels: `a`, `(a)`, `A`, ...; inside, above or below the panel."""

    form: str = "(a)"
    place: str = "over"
    bold: bool = True
    size: float = 9.0

    def mark(self, number: int) -> str:
        """Return the letter of panel `number` (from 0) as printed in the figure."""
        letter = chr(ord("a") + number)
        return self.form.replace("a", letter).replace("A", letter.upper())


class Studio:
    """Draws graphics and stores their files in one folder."""

    def __init__(self, folder: Path, face: str, lettering: Lettering, rng: Random) -> None:
        self.folder = folder
        self.face = face
        self.lettering = lettering
        self.rng = rng
        self._files = 0

    def graphic(self, kind: str, width: float, height: float) -> Graphic:
        """Draw a graphic of a `kind` in `KINDS`, `width` by `height` points."""
        if kind in ("listing", "grammar", "equations", "algorithm"):
            return Graphic(kind, listing(kind, self.rng), width, None)
        drawing = Drawing(width, height)
        panels: list[Panel] = []
        box = (1.0, 1.0, width - 1, height - 1)
        if kind in ("raster-grid", "vector-grid", "mixed-grid"):
            panels = self._grid(drawing, kind)
        elif kind == "headed":
            self._headed(drawing)
        elif kind == "raster":
            self._picture(drawing, (0, 0, width, height))
        elif kind == "densest":
            charts.dense(drawing, box, self.rng, _DENSEST)
        elif kind == "dense":
            charts.dense(drawing, box, self.rng)
        else:
            getattr(charts, kind)(drawing, box, self.rng)
        return Graphic(kind, self._code(drawing), width, height, panels)

    def decoration(self, width: float, height: float, raster: bool) -> Graphic:
        """Return a graphic that is not a figure: a portrait or a logo."""
        drawing = Drawing(width, height)
        if raster:
            self._picture(drawing, (0, 0, width, height), plain=True)
        else:
            charts.lattice(drawing, (0, 0, width, height), self.rng)
        return Graphic("decoration", self._code(drawing), width, height)

    def _code(self, drawing: Drawing) -> str:
        """Return the drawing as Typst paths or as a form in a separate PDF, equally often."""
        if len(drawing.marks) < 400 and self.rng.random() < 0.5:
            return typst_marks(drawing, self.face)
        name = self._file(".pdf")
        write_form(drawing, self.folder / name)
        return f'#place(image("{name}", width: {drawing.width:.2f}pt))'

    def _file(self, suffix: str) -> str:
        self._files += 1
        return f"graphic-{self._files}{suffix}"

    def _picture(self, drawing: Drawing, box: Box, plain: bool = False) -> None:
        x0, y0, x1, y1 = box
        name = self._file(self.rng.choice([".png", ".jpg"]))
        write_picture(self.folder / name, x1 - x0, y1 - y0, self.rng)
        drawing.picture(x0, y0, x1, y1, name)
        if not plain and self.rng.random() < 0.6 and x1 - x0 > 50:
            bar = 0.25 * (x1 - x0)
            drawing.rect(x1 - bar - 5, y1 - 7, x1 - 5, y1 - 5, fill=WHITE, width=0)
            label = self.rng.choice(["200 nm", "5 µm", "50 nm", "1 mm", "20 µm"])
            drawing.text(x1 - 5 - bar / 2, y1 - 13, label, 6.5, anchor="centre", colour=WHITE)

    def _grid(self, drawing: Drawing, kind: str) -> list[Panel]:
        """Draw rows of panels with letters; rows may differ in height and number of panels."""
        rng = self.rng
        gap = rng.choice([3.0, 6.0, 10.0])
        rows = max(1, min(rng.choice([1, 1, 2, 2, 3]), int(drawing.height / 70)))
        fits = max(1, int(drawing.width / 75))
        columns = max(1 if rows > 1 else 2, min(rng.choice([2, 2, 3, 4]), fits))
        uneven = rng.random() < 0.25
        heads = 9.0 if rng.random() < 0.2 else 0.0
        shares = [rng.uniform(0.7, 1.3) if uneven else 1.0 for _ in range(rows)]
        unit = (drawing.height - heads - gap * (rows - 1)) / sum(shares)
        panels: list[Panel] = []
        y = heads
        for share in shares:
            count = max(1, columns - (rng.randint(0, 1) if uneven else 0))
            wide = (drawing.width - gap * (count - 1)) / count
            for column in range(count):
                x = column * (wide + gap)
                box = (x, y, x + wide, y + share * unit)
                raster = kind == "raster-grid" or (kind == "mixed-grid" and rng.random() < 0.5)
                panels.append(self._panel(drawing, box, len(panels), raster))
                if heads and y == heads:
                    head = rng.choice(SHARED.heads)[: max(4, int(wide / 5))]
                    drawing.text(x + wide / 2, 3.5, head, 7, anchor="centre")
            y += share * unit + gap
        return panels

    def _panel(self, drawing: Drawing, box: Box, number: int, raster: bool) -> Panel:
        x0, y0, x1, y1 = box
        style = self.lettering
        mark, size = style.mark(number), style.size
        inner = [x0, y0, x1, y1]
        if style.place == "over":
            inner[1] += size + 2
            drawing.text(x0, y0 + size / 2, mark, size, bold=style.bold)
        elif style.place == "under":
            inner[3] -= size + 3
            drawing.text((x0 + x1) / 2, y1 - size / 2, mark, size, bold=style.bold, anchor="centre")
        elif style.place == "beside":
            inner[0] += 1.6 * size
            drawing.text(x0, y0 + size / 2, mark, size, bold=style.bold)
        if raster:
            self._picture(drawing, tuple(inner))
        else:
            self.rng.choice(charts.CHARTS)(drawing, tuple(inner), self.rng)
        if style.place == "inside":
            colour = WHITE if raster else BLACK
            at = (x0 + 3, y0 + 2 + size / 2)
            drawing.text(*at, mark, size, bold=style.bold, colour=colour)
        return Panel(chr(ord("a") + number), box)

    def _headed(self, drawing: Drawing) -> None:
        """Draw a figure whose header row or row labels are separate from its images."""
        rng = self.rng
        columns, rows = rng.randint(2, 4), rng.randint(1, 3)
        left, top = (16.0, 18.0) if rng.random() < 0.6 else (0.0, 22.0)
        wide, high = (drawing.width - left) / columns, (drawing.height - top) / rows
        for column in range(columns):
            head = rng.choice(SHARED.heads)[: max(4, int(wide / 5))]
            drawing.text(left + wide * (column + 0.5), 5, head, 8, anchor="centre")
        for row in range(rows):
            y = top + row * high
            if left:
                drawing.text(5, y + high / 2, f"{50 * (row + 1)} °C", 8, turned=True)
            for column in range(columns):
                x = left + column * wide
                box = (x + 1, y + 1, x + wide - 2, y + high - 2)
                if rng.random() < 0.3 and high > _LEAST_PLOT:
                    charts.plot(drawing, box, rng)
                else:
                    self._picture(drawing, box)


# Kinds with their weights among the figures of all papers.
KINDS = {
    "plot": 18,
    "bars": 6,
    "tree": 4,
    "flow": 6,
    "lattice": 4,
    "loose": 4,
    "heat": 4,
    "dense": 2,
    "raster": 14,
    "raster-grid": 10,
    "vector-grid": 9,
    "mixed-grid": 7,
    "headed": 4,
    "listing": 2,
    "grammar": 2,
    "equations": 2,
    "algorithm": 2,
}
