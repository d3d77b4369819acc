"""The canvas of drawn compound figures: grey pixels, with the text and images of a PDF file."""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cephalo.dataset_scripts.common.geometry import Box
from cephalo.dataset_scripts.pdf.text import Line

FACES = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSerif-Bold", "STIXGeneral")
BLANK = 20  # largest difference of a background pixel, in grey levels

Rect = tuple[int, int, int, int]


@lru_cache(maxsize=200)
def load_font(face: str, size: int) -> ImageFont.FreeTypeFont:
    """Load a font of matplotlib at a size in pixels."""
    path = Path(matplotlib.get_data_path()) / "fonts/ttf" / f"{face}.ttf"
    return ImageFont.truetype(str(path), size)


@dataclass
class Canvas:
    """Part of a page: pixels on a uniform background, with `unit` pixels per point.

    `lines` are the texts written on it, `pictures` the boxes of raster images, both in pixels.
    """

    image: Image.Image
    unit: float
    ground: int
    face: str
    size: int  # of type, in pixels
    lines: list[Line] = field(default_factory=list)
    pictures: list[Rect] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pen = ImageDraw.Draw(self.image)
        self.ink = 0 if self.ground > 127 else 255

    def write(
        self,
        text: str,
        x: float,
        y: float,
        anchor: str = "lt",
        size: int | None = None,
        face: str | None = None,
        ink: int | None = None,
        upright: bool = False,
        outline: int | None = None,
    ) -> Rect:
        """Write a text and return its box.

        Args:
            text: One line.
            x: X of the anchor, in pixels.
            y: Y of the anchor, in pixels.
            anchor: Anchor as in Pillow: "lt", "mt", "rm", …
            size: Type size, in pixels.
            face: One of `FACES`.
            ink: Grey level.
            upright: Whether to rotate the text to read from bottom to top; `x` and `y` are its
                centre.
            outline: Grey level of an outline of the glyphs.
        """
        font = load_font(face or self.face, size or self.size)
        ink = self.ink if ink is None else ink
        if upright:
            x0, y0, x1, y1 = font.getbbox(text)
            mask = Image.new("L", (x1 - x0, y1 - y0))
            ImageDraw.Draw(mask).text((-x0, -y0), text, 255, font)
            mask = mask.rotate(90, expand=True)
            left, top = round(x - mask.width / 2), round(y - mask.height / 2)
            self.image.paste(ink, (left, top), mask)
            return left, top, left + mask.width, top + mask.height
        thick = 0 if outline is None else 2
        self.pen.text(
            (x, y), text, ink, font, anchor=anchor, stroke_width=thick, stroke_fill=outline
        )
        box = self.pen.textbbox((x, y), text, font, anchor=anchor)
        points: Box = tuple(side / self.unit for side in box)
        size_pt = (size or self.size) / self.unit
        self.lines.append(Line(text, points, size_pt, face or self.face, face or self.face))
        return tuple(round(side) for side in box)

    def paste(self, grey: np.ndarray, x: int, y: int) -> Rect:
        """Paste an image and return its box."""
        rect = (x, y, x + grey.shape[1], y + grey.shape[0])
        self.image.paste(Image.fromarray(grey), (x, y))
        self.pictures.append(rect)
        return rect

    def inked(self, rect: Rect) -> Rect:
        """Shrink a rectangle to the drawing in it; unchanged if it is blank."""
        x0, y0, _x1, _y1 = rect
        part = np.asarray(self.image.crop(rect)).astype(int)
        ink = abs(part - self.ground) > BLANK
        rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
        if not len(rows):
            return rect
        return (
            x0 + int(columns[0]),
            y0 + int(rows[0]),
            x0 + int(columns[-1]) + 1,
            y0 + int(rows[-1]) + 1,
        )


def join(rects: list[Rect]) -> Rect:
    """Return the bounding rectangle."""
    left, top, right, bottom = zip(*rects, strict=True)
    return min(left), min(top), max(right), max(bottom)
