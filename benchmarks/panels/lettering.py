"""Letters of the panels of a drawn figure: appearance and position."""

from dataclasses import dataclass

import numpy as np

from benchmarks.panels.canvas import FACES, Canvas, Rect, load_font

READABLE = 70  # smallest contrast of a letter, in grey levels


@dataclass(frozen=True)
class Lettering:
    """Appearance and position of the letters of a figure."""

    upper: bool
    form: str  # "{}", "({})", "{})"
    face: str
    size: int  # pixels
    look: str  # "white", "black", "outlined", "boxed"
    place: str  # "inside", "above", "left", "below", "below left" or "none"
    corner: int  # inside: 0 top left, 1 top right, 2 bottom left, 3 bottom right
    inset: int  # pixels from the corner
    named: bool  # whether a few words follow the letter

    def text(self, index: int) -> str:
        """Return the letter of a panel as printed."""
        return self.form.format(self.letter(index))

    def letter(self, index: int) -> str:
        """Return the letter of a panel."""
        return chr(ord("A" if self.upper else "a") + index)

    @property
    def strip(self) -> int:
        """The space for letters beside the panel, in pixels."""
        return 0 if self.place in ("inside", "none") else round(1.4 * self.size)


def choose_lettering(random: np.random.Generator, unit: float, tight: bool) -> Lettering:
    """Draw a lettering; inside the panels if they are close together."""
    places = ["inside", "above", "left", "below", "below left", "none"]
    place = random.choice(places, p=[0.47, 0.22, 0.06, 0.14, 0.04, 0.07])
    place = "inside" if tight and place != "none" else str(place)
    return Lettering(
        upper=bool(random.random() < 0.5),
        form=str(random.choice(["{}", "({})", "{})"], p=[0.5, 0.4, 0.1])),
        face=str(random.choice(FACES)),
        size=round(random.uniform(8, 15) * unit),
        look=str(random.choice(["white", "black", "outlined", "boxed"], p=[0.4, 0.2, 0.15, 0.25])),
        place=place,
        corner=int(random.choice(4, p=[0.65, 0.1, 0.18, 0.07])),
        inset=round(random.uniform(1, 5) * unit),
        named=place in ("above", "below") and bool(random.random() < 0.3),
    )


def without_strip(lettering: Lettering, cell: Rect, drawn: bool) -> Rect:
    """Return a panel's cell without the space for its letter."""
    x0, y0, x1, y1 = cell
    strip = lettering.strip
    if lettering.place == "inside" and drawn:
        return x0, y0 + round(0.8 * lettering.size) + lettering.inset, x1, y1
    if lettering.place == "above":
        return x0, y0 + strip, x1, y1
    if lettering.place == "left":
        return x0 + strip, y0, x1, y1
    return x0, y0, x1, y1 - strip


def write_letter(
    canvas: Canvas, lettering: Lettering, index: int, cell: Rect, content: Rect, drawn: bool
) -> Rect:
    """Write the letter of a panel and return its box.

    Args:
        canvas: The canvas.
        lettering: Appearance and position.
        index: Index of the panel.
        cell: The panel with space for its letter.
        content: Box of the drawing in the panel.
        drawn: Whether the content is a drawing with blank corners.
    """
    text, size, face = lettering.text(index), lettering.size, lettering.face
    x0, y0, x1, y1 = cell
    if lettering.place in ("above", "left"):
        return canvas.write(text, x0, y0, "lt", size, face)
    if lettering.place == "below":
        return canvas.write(text, (content[0] + content[2]) / 2, y1, "mb", size, face)
    if lettering.place == "below left":
        return canvas.write(text, content[0], y1, "lb", size, face)
    corner, inset = (0 if drawn else lettering.corner), lettering.inset
    x = x1 - inset if corner % 2 else x0 + inset
    y = y1 - inset if corner > 1 else y0 + inset
    anchor = ("r" if corner % 2 else "l") + ("b" if corner > 1 else "t")
    box = canvas.pen.textbbox((x, y), text, load_font(face, size), anchor=anchor)
    if drawn:
        return canvas.write(text, x, y, anchor, size, face)
    look, ink, outline = lettering.look, 0, None
    if look == "boxed":
        canvas.pen.rectangle((box[0] - 4, box[1] - 4, box[2] + 4, box[3] + 4), fill=255)
    elif look == "outlined":
        ink, outline = 255, 0
    else:
        under = np.asarray(canvas.image.crop([round(side) for side in box])).mean()
        ink = 255 if look == "white" else 0
        ink = ink if abs(under - ink) > READABLE else 255 - ink
    return canvas.write(text, x, y, anchor, size, face, ink, outline=outline)
