"""Line drawings that are placed on the page as Typst paths or as a PDF form.

Coordinates are points from the top left corner of the drawing.
"""

from dataclasses import dataclass, field
from pathlib import Path

from reportlab.lib.colors import Color
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

from benchmarks.papers.markup import quoted

RGB = tuple[int, int, int]
Point = tuple[float, float]
BLACK: RGB = (0, 0, 0)
WHITE: RGB = (255, 255, 255)
# Font of the forms. The fonts that Typst uses for figures have its widths, except DejaVu.
_FONT, _BOLD = "Helvetica", "Helvetica-Bold"
_WIDER = 1.2
# Width in points of the empty box in which a label is set, so that it never wraps.
_LINE = 500


@dataclass
class Path_:
    """A polyline or polygon. Width 0 draws no outline."""

    points: list[Point]
    closed: bool = False
    fill: RGB | None = None
    stroke: RGB = BLACK
    width: float = 0.7
    dashed: bool = False


@dataclass
class Disc:
    """A circle."""

    centre: Point
    radius: float
    fill: RGB | None = None
    stroke: RGB = BLACK
    width: float = 0.5


@dataclass
class Label:
    """A line of text; `at` is at half its height, at its left end, centre or right end."""

    at: Point
    text: str
    size: float
    anchor: str = "left"
    turned: bool = False
    bold: bool = False
    colour: RGB = BLACK


@dataclass
class Picture:
    """A raster image file stretched to `box` (x0, y0, x1, y1)."""

    box: tuple[float, float, float, float]
    file: str


@dataclass
class Drawing:
    """Marks in drawing order on a sheet of `width` by `height` points."""

    width: float
    height: float
    marks: list[Path_ | Disc | Label | Picture] = field(default_factory=list)

    def line(self, *points: Point, **style) -> None:
        self.marks.append(Path_(list(points), **style))

    def rect(self, x0: float, y0: float, x1: float, y1: float, **style) -> None:
        corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        self.marks.append(Path_(corners, closed=True, **style))

    def disc(self, x: float, y: float, radius: float, **style) -> None:
        self.marks.append(Disc((x, y), radius, **style))

    def text(self, x: float, y: float, text: str, size: float, **style) -> None:
        self.marks.append(Label((x, y), text, size, **style))

    def picture(self, x0: float, y0: float, x1: float, y1: float, file: str) -> None:
        self.marks.append(Picture((x0, y0, x1, y1), file))


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Return the width of a line of text in points, with a margin for wider fonts."""
    return _WIDER * stringWidth(text, _BOLD if bold else _FONT, size)


def typst_marks(drawing: Drawing, face: str) -> str:
    """Return the drawing as Typst markup: one `place` per mark."""
    return "\n".join(_typst(mark, face) for mark in drawing.marks)


def _typst(mark: Path_ | Disc | Label | Picture, face: str) -> str:
    if isinstance(mark, Path_):
        (x, y), *rest = mark.points
        steps = [f"curve.move(({x:.2f}pt, {y:.2f}pt))"]
        steps += [f"curve.line(({px:.2f}pt, {py:.2f}pt))" for px, py in rest]
        steps += ["curve.close()"] if mark.closed else []
        return f"#place(curve({_pens(mark)}, {', '.join(steps)}))"
    if isinstance(mark, Disc):
        (x, y), r = mark.centre, mark.radius
        circle = f"circle(radius: {r:.2f}pt, {_pens(mark)})"
        return f"#place(dx: {x - r:.2f}pt, dy: {y - r:.2f}pt, {circle})"
    if isinstance(mark, Picture):
        x0, y0, x1, y1 = mark.box
        size = f"width: {x1 - x0:.2f}pt, height: {y1 - y0:.2f}pt"
        image = f'image({quoted(mark.file)}, {size}, fit: "stretch")'
        return f"#place(dx: {x0:.2f}pt, dy: {y0:.2f}pt, {image})"
    weight = "bold" if mark.bold else "regular"
    style = f'font: {quoted(face)}, size: {mark.size:.1f}pt, weight: "{weight}"'
    text = f"box(text({style}, fill: {_rgb(mark.colour)}, {quoted(mark.text)}))"
    (x, y), high = mark.at, 2 * mark.size
    if mark.turned:
        long = 1.3 * text_width(mark.text, mark.size, mark.bold) + mark.size
        line = f"align(center + horizon, rotate(-90deg, reflow: true, {text}))"
        spot = f"box(width: {high:.1f}pt, height: {long:.1f}pt, {line})"
        return f"#place(dx: {x - high / 2:.2f}pt, dy: {y - long / 2:.2f}pt, {spot})"
    anchors = {"left": ("left", 0.0), "centre": ("center", 0.5), "right": ("right", 1.0)}
    align, shift = anchors[mark.anchor]
    spot = f"box(width: {_LINE}pt, height: {high:.1f}pt, align({align} + horizon, {text}))"
    return f"#place(dx: {x - shift * _LINE:.2f}pt, dy: {y - high / 2:.2f}pt, {spot})"


def _pens(mark: Path_ | Disc) -> str:
    fill = _rgb(mark.fill) if mark.fill else "none"
    if not mark.width:
        return f"fill: {fill}, stroke: none"
    dash = ', dash: "dashed"' if isinstance(mark, Path_) and mark.dashed else ""
    pen = f"(paint: {_rgb(mark.stroke)}, thickness: {mark.width:.2f}pt{dash})"
    return f"fill: {fill}, stroke: {pen}"


def _rgb(colour: RGB) -> str:
    return "rgb({}, {}, {})".format(*colour)


def write_form(drawing: Drawing, path: Path) -> None:
    """Write the drawing as a PDF for use as a form. Its images are in the same folder."""
    canvas = Canvas(str(path), pagesize=(drawing.width, drawing.height), invariant=1)
    canvas.translate(0, drawing.height)
    for mark in drawing.marks:
        _draw(canvas, mark, path.parent)
    canvas.save()


def _draw(canvas: Canvas, mark: Path_ | Disc | Label | Picture, folder: Path) -> None:
    if isinstance(mark, Picture):
        x0, y0, x1, y1 = mark.box
        image = ImageReader(str(folder / mark.file))
        canvas.drawImage(image, x0, -y1, x1 - x0, y1 - y0)
    elif isinstance(mark, Label):
        font = _BOLD if mark.bold else _FONT
        canvas.saveState()
        canvas.setFont(font, mark.size)
        canvas.setFillColor(_colour(mark.colour))
        canvas.translate(mark.at[0], -mark.at[1])
        if mark.turned:
            canvas.rotate(90)
        anchor = "centre" if mark.turned else mark.anchor
        shift = {"left": 0.0, "centre": 0.5, "right": 1.0}[anchor]
        width = stringWidth(mark.text, font, mark.size)
        canvas.drawString(-shift * width, -0.35 * mark.size, mark.text)
        canvas.restoreState()
    else:
        _draw_path(canvas, mark)


def _draw_path(canvas: Canvas, mark: Path_ | Disc) -> None:
    canvas.setLineWidth(mark.width)
    canvas.setStrokeColor(_colour(mark.stroke))
    if mark.fill:
        canvas.setFillColor(_colour(mark.fill))
    stroke, fill = int(mark.width > 0), int(mark.fill is not None)
    if isinstance(mark, Disc):
        canvas.circle(mark.centre[0], -mark.centre[1], mark.radius, stroke=stroke, fill=fill)
        return
    canvas.setDash(3, 2) if mark.dashed else canvas.setDash()
    path = canvas.beginPath()
    path.moveTo(mark.points[0][0], -mark.points[0][1])
    for x, y in mark.points[1:]:
        path.lineTo(x, -y)
    if mark.closed:
        path.close()
    canvas.drawPath(path, stroke=stroke, fill=fill)


def _colour(rgb: RGB) -> Color:
    return Color(*(part / 255 for part in rgb))
