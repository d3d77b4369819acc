"""Papers set on the spot in many looks: fonts, sizes, columns and alignments, with known truth."""

import random
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import matplotlib
import pytest
from pdf_samples import Sheet
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

from cephalo.dataset_scripts.common.geometry import Box, iou
from cephalo.dataset_scripts.pdf.document import extract_document
from cephalo.dataset_scripts.pdf.settings import Settings

WIDTH, HEIGHT = 612.0, 792.0
_FONTS = Path(matplotlib.get_data_path(), "fonts", "ttf")
# Family → its regular, bold and italic face.
FAMILIES = {
    "times": ("Times-Roman", "Times-Bold", "Times-Italic"),
    "helvetica": ("Helvetica", "Helvetica-Bold", "Helvetica-Oblique"),
    "stix": ("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic"),
    "serif": ("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic"),
    "sans": ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique"),
}
_TEXT = (
    "alloy annealed at the boundary between both phases grows slowly with time while residual "
    "stress relaxes in air because diffusion of carbon is faster along dislocations than through "
    "perfect crystals and each specimen was polished before it was etched for a minute so that "
    "grains could be counted under polarised light of known intensity"
)
_WORDS = _TEXT.split()

Run = tuple[str, str]  # text, and "regular", "bold" or "italic"


@dataclass(frozen=True)
class Look:
    """How a paper is set. Sizes and distances of baselines are in points.

    `measure`: from the left edge of the first column to the right edge of the last.
    """

    family: str = "times"
    size: float = 10.0
    leading: float = 12.0
    columns: int = 2
    gutter: float = 20.0
    left: float = 60.0
    measure: float = 492.0
    caption_family: str = "times"
    caption_size: float = 9.0
    caption_leading: float = 10.8
    justified: bool = True

    def column(self, number: int = 0) -> tuple[float, float]:
        """Left and right edge of a column."""
        width = (self.measure - self.gutter * (self.columns - 1)) / self.columns
        x0 = self.left + number * (width + self.gutter)
        return x0, x0 + width

    @property
    def full(self) -> tuple[float, float]:
        """Left and right edge of the text."""
        return self.left, self.left + self.measure


LETTER = Look()
LOOKS = {
    "two-columns-times": LETTER,
    "one-column-stix": Look("stix", 11, 14, 1, 0, 100, 412, "stix", 10, 12),
    "two-columns-sans": Look("helvetica", 9, 11.5, 2, 14, 48, 516, "helvetica", 7.5, 9.5),
    "one-column-serif": Look("serif", 9.5, 14.5, 1, 0, 150, 400, "sans", 7.5, 10, False),
    "three-columns": Look("times", 9, 10.4, 3, 16, 42, 528, "helvetica", 7, 8.6),
    "same-size": Look("times", 10, 12, 2, 22, 54, 504, "times", 10, 12),
}


def face(family: str, style: str = "regular") -> str:
    """The name of a face, registered where it is not one of the fourteen that every reader has."""
    name = FAMILIES[family][("regular", "bold", "italic").index(style)]
    if family not in ("times", "helvetica") and name not in pdfmetrics.getRegisteredFontNames():
        pdfmetrics.registerFont(TTFont(name, str(_FONTS / f"{name}.ttf")))
    return name


@cache
def _width(text: str, name: str, size: float) -> float:
    """The width of a text in points."""
    return pdfmetrics.stringWidth(text, name, size)


@cache
def prose(seed: int, words: int) -> str:
    """Sentences of about fifteen words that cite nothing."""
    source = random.Random(seed)
    sentences, left = [], words
    while left > 0:
        count = min(left, source.randint(9, 20))
        own = [source.choice(_WORDS) for _ in range(count)]
        sentences.append(" ".join(own).capitalize() + ".")
        left -= count
    return " ".join(sentences)


class Paper(Sheet):
    """A paper being drawn in one look. Boxes are from the top left, in points."""

    def __init__(self, path: Path, look: Look = LETTER) -> None:
        super().__init__(path)
        self.look = look
        self.seed = 0

    def set(
        self,
        x: float,
        y: float,
        runs: str | list[Run],
        width: float,
        size: float = 10.0,
        leading: float = 12.0,
        family: str = "times",
        align: str = "left",
        indent: float = 0.0,
        hang: float = 0.0,
    ) -> float:
        """Set a paragraph with its top at `y`; returns where it ends.

        `indent` moves the first line to the right, `hang` the others. `align`: "left", "justify"
        or "centre".
        """
        runs = [(runs, "regular")] if isinstance(runs, str) else runs
        words = [(word, face(family, style)) for text, style in runs for word in text.split(" ")]
        words = [word for word in words if word[0]]
        space = _width(" ", face(family), size)
        first = True
        while words:
            shift = indent if first else hang
            room, count, used = width - shift, 0, -space
            while count < len(words):
                more = _width(*words[count], size) + space
                if count and used + more > room:
                    break
                used += more
                count += 1
            last = count == len(words)
            stretch = (room - used) / (count - 1) if count > 1 else 0.0
            stretch = stretch if align == "justify" and not last else 0.0
            start = x + shift + ((room - used) / 2 if align == "centre" else 0.0)
            self._line(start, y + 0.8 * size, words[:count], size, stretch)
            words = words[count:]
            y += leading
            first = False
        return y

    def _line(self, x: float, base: float, words: list[Run], size: float, stretch: float) -> None:
        """One line of (word, face), its spaces wider by `stretch` points."""
        text = self.canvas.beginText(x, HEIGHT - base)
        text.setWordSpace(stretch)
        for number, (word, name) in enumerate(words):
            text.setFont(name, size)
            text.textOut(word + " " * (number < len(words) - 1))
        self.canvas.drawText(text)

    def fill(self, span: tuple[float, float], y0: float, y1: float, indent: float = 12.0) -> None:
        """Fill a span with paragraphs of running text from `y0` to `y1`."""
        look = self.look
        width = span[1] - span[0]
        align = "justify" if look.justified else "left"
        how = {"size": look.size, "leading": look.leading, "family": look.family, "align": align}
        rows = int((y1 - y0) // look.leading)
        while rows > 0:
            self.seed += 1
            text = _cut(prose(self.seed, 160), min(rows, 9), width, indent, look)
            end = self.set(span[0], y0, text, width, indent=indent, **how)
            rows -= round((end - y0) / look.leading)
            y0 = end

    def fill_columns(self, y0: float, y1: float, only: tuple[int, ...] | None = None) -> None:
        """Fill columns with running text from `y0` to `y1`."""
        for number in only or range(self.look.columns):
            self.fill(self.look.column(number), y0, y1)

    def legend(
        self, span: tuple[float, float], y: float, runs: str | list[Run], align: str = "left", **how
    ) -> float:
        """Set a caption in the look's type; returns where it ends."""
        look = self.look
        style = {
            "size": look.caption_size,
            "leading": look.caption_leading,
            "family": look.caption_family,
        }
        return self.set(span[0], y, runs, span[1] - span[0], align=align, **(style | how))

    def body_page(self) -> None:
        """A page of running text, which shows what the type of the body is."""
        self.fill_columns(60, 730)
        self.next()


def _cut(text: str, rows: int, width: float, indent: float, look: Look) -> str:
    """As much of a text as `rows` rows of running text hold, ended as a sentence."""
    name = face(look.family)
    space = _width(" ", name, look.size)
    taken, used, row = [], indent, 1
    for word in text.split(" "):
        more = _width(word, name, look.size)
        if used + more > width:
            row, used = row + 1, 0.0
        if row > rows:
            break
        taken.append(word)
        used += more + space
    return " ".join(taken[:-1]).rstrip(".") + "."


def with_type(look: Look, **changes) -> Look:
    """A look with other values."""
    return replace(look, **changes)


def rows_of(paper: Paper, **settings) -> list[dict]:
    """The rows of a paper."""
    return extract_document(paper.save(), Settings(**settings)).rows


def check_rows(rows: list[dict], truth: list[tuple[str, str, int, Box]], least: float = 0.85):
    """`truth` holds (label, caption, page, box) in the order of the pages."""
    got = [(row["label"], row["caption"], row["page"]) for row in rows]
    assert got == [(label, caption, page) for label, caption, page, _ in truth], got
    for row, (label, _, _, box) in zip(rows, truth, strict=True):
        share = iou(row["bbox"], box)
        assert share > least, (label, round(share, 2), [round(v) for v in row["bbox"]], box)


@pytest.fixture
def draw(tmp_path):
    """A paper in a look, with a page of running text."""

    def start(look=LETTER) -> Paper:
        paper = Paper(tmp_path / "sample.pdf", look)
        paper.body_page()
        return paper

    return start
