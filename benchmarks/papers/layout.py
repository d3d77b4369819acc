"""The space of layouts: the appearance of a paper, and a random draw from it.

Lengths are points unless a name says otherwise. Sizes and leadings of captions are relative to the
body. Every property is drawn independently, so that combinations occur that no journal uses.
"""

from dataclasses import dataclass
from random import Random

from benchmarks.papers.graphics import Lettering
from benchmarks.papers.languages import LANGUAGES
from benchmarks.papers.writer import Spice

PAPERS = [
    (595.3, 841.9),
    (612.0, 792.0),
    (595.3, 790.9),
    (481.9, 680.3),
    (540.0, 720.0),
    (612.3, 858.9),
]
SERIFS = [
    "Libertinus Serif",
    "New Computer Modern",
    "TeX Gyre Termes",
    "TeX Gyre Pagella",
    "TeX Gyre Schola",
    "TeX Gyre Bonum",
    "STIXGeneral",
    "Liberation Serif",
    "DejaVu Serif",
]
SANS = ["Liberation Sans", "TeX Gyre Heros", "TeX Gyre Adventor", "DejaVu Sans", "Noto Sans CJK SC"]
CJK = {
    "zh": ["Noto Serif CJK SC", "Noto Sans CJK SC"],
    "ja": ["Noto Serif CJK JP", "Noto Sans CJK JP"],
}
# Languages with their weights, in per cent.
TONGUES = {"en": 76, "de": 6, "fr": 5, "es": 4, "pt": 3, "zh": 3, "ja": 3}


@dataclass(frozen=True)
class Page:
    """Sheet and columns."""

    width: float
    height: float
    margins: tuple[float, float, float, float]  # left, top, right, bottom
    columns: int
    gutter: float
    running_head: str  # none, text, rule, logo
    page_number: str  # none, foot, head, outside
    line_numbers: bool
    turned: str  # landscape figures: flipped (page), rotated (content), marked (/Rotate)

    @property
    def text_width(self) -> float:
        return self.width - self.margins[0] - self.margins[2]

    @property
    def side_margin(self) -> float:
        """Difference between the left and right margins, for pages with side notes."""
        return self.margins[0] - self.margins[2]

    @property
    def text_height(self) -> float:
        return self.height - self.margins[1] - self.margins[3]

    @property
    def column_width(self) -> float:
        return (self.text_width - self.gutter * (self.columns - 1)) / self.columns


@dataclass(frozen=True)
class Body:
    """Running text; `leading` is the ratio of baseline distance and size."""

    language: str
    face: str
    sans: str
    size: float
    leading: float
    justified: bool
    indent: float
    gap: float  # extra distance between paragraphs, em
    hyphenate: bool
    heading: str  # bold, smallcaps, italic, upper, run-in
    heading_size: float
    numbered: bool


@dataclass(frozen=True)
class Caption:
    """Appearance of the captions of a paper; `place` is the position of most of them."""

    place: str  # below, above, left, right, margin, wrapped, next, before, legends, bare, end
    width: str  # column, figure, narrow
    align: str  # justified, left, centred, hanging
    size: float
    leading: float
    face: str  # body, sans, italic, other
    split: str  # none, bold title, title and note, note in sans
    word: str
    joint: str  # between word and number
    numbering: str  # arabic, chapter, roman, letter S
    mark: str  # weight or shape of the label: plain, bold, italic, smallcaps, upper, coloured
    stand: str  # inline, own line, bar, apart (label above the figure, text below it)
    separator: str
    gap: float  # between graphic and caption
    after: float  # between the figure with its caption and the text
    two_columns: bool  # captions of wide figures
    turn: str  # break to the second column: inside a sentence (word), sentence, below its title
    spice: Spice
    lengths: tuple[int, int]  # sentences, smallest and largest number


@dataclass(frozen=True)
class Figures:
    """Appearance of the figures of a paper."""

    count: int
    tables: int
    float_share: float  # share of figures at the top or bottom of a column; others are in the text
    wide_share: float  # share of figures across all columns
    pair_share: float  # share of figures side by side
    odd_share: float  # share of figures with another placement than usual
    frame: str  # none, graphic, whole, tint
    lettering: Lettering
    densest: bool  # one figure has ten thousand labels
    table_caption: str  # above, below
    table_rules: str  # booktabs, grid, striped, none


@dataclass(frozen=True)
class Extras:
    """Elements that compete with figures and captions."""

    list_of_figures: bool
    references: int
    reference_size: float
    photographs: int
    boxed: bool
    equations: bool
    rules: bool
    graphical_abstract: bool  # a graphic without a caption on the first page
    pages: float  # approximate amount of text
    bitmap_fonts: str  # none, ascii (codes are ASCII), nameless (arbitrary codes)


@dataclass(frozen=True)
class Layout:
    """The appearance of one paper."""

    page: Page
    body: Body
    caption: Caption
    figures: Figures
    extras: Extras


def sample(rng: Random, families: set[str]) -> Layout:
    """Draw a layout that only uses fonts in `families`."""
    page = _page(rng)
    body = _body(rng, page, families)
    caption = _caption(rng, page, body)
    figures = Figures(
        count=rng.choice([2, 3, 4, 4, 5, 6, 8]),
        tables=rng.choice([0, 0, 1, 1, 2, 3]),
        float_share=rng.choice([0.0, 0.3, 0.7, 1.0]),
        wide_share=rng.choice([0.0, 0.2, 0.5]) if page.columns > 1 else 0.0,
        pair_share=rng.choice([0.0, 0.0, 0.15, 0.3]),
        odd_share=rng.choice([0.0, 0.15, 0.3]),
        frame=_often(rng, none=78, graphic=8, whole=8, tint=6),
        lettering=Lettering(
            form=_often(rng, **{"(a)": 45, "a": 25, "A": 18, "(A)": 6, "a)": 6}),
            place=_often(rng, over=35, inside=35, under=15, beside=15),
            bold=rng.random() < 0.6,
            size=rng.choice([7.0, 8.0, 9.0, 11.0]),
        ),
        densest=rng.random() < 0.03,
        table_caption=_often(rng, above=75, below=25),
        table_rules=_often(rng, booktabs=45, grid=25, striped=15, none=15),
    )
    bitmaps = _often(rng, none=94, ascii=3, nameless=3)
    extras = Extras(
        list_of_figures=rng.random() < 0.06,
        references=rng.choice([8, 15, 30, 60, 120]),
        reference_size=rng.choice([0.7, 0.8, 0.9, 1.0]),
        photographs=rng.choice([0] * 7 + [2, 4]),
        boxed=rng.random() < 0.15,
        equations=rng.random() < 0.35,
        rules=rng.random() < 0.2,
        graphical_abstract=rng.random() < 0.08,
        pages=rng.uniform(1.5, 5),
        # Japanese and Chinese text in fonts of 255 codes is nameless with any codes.
        bitmap_fonts="none" if body.language in CJK else bitmaps,
    )
    return Layout(page, body, caption, figures, extras)


def _page(rng: Random) -> Page:
    width, height = rng.choice(PAPERS)
    columns = rng.choices([1, 2, 3], [42, 50, 8])[0]
    side = rng.uniform(36, 60) if columns > 1 else rng.uniform(50, 0.2 * width)
    outer = side + (rng.uniform(90, 150) if columns == 1 and rng.random() < 0.12 else 0)
    return Page(
        width=width,
        height=height,
        margins=(outer, rng.uniform(48, 85), side, rng.uniform(48, 85)),
        columns=columns,
        gutter=rng.choice([10, 12, 14, 18, 21, 24, 30]) if columns > 1 else 0.0,
        running_head=_often(rng, none=30, text=40, rule=20, logo=10),
        page_number=_often(rng, none=15, foot=45, head=25, outside=15),
        line_numbers=rng.random() < 0.12,
        turned=_often(rng, flipped=34, rotated=33, marked=33),
    )


def _body(rng: Random, page: Page, families: set[str]) -> Body:
    language = _often(rng, **TONGUES)
    if not families.intersection(CJK.get(language, families)):
        language = "en"
    plain = _face(rng, CJK.get(language, SANS), families)
    serif = _face(rng, CJK.get(language, SERIFS), families)
    manuscript = page.columns == 1 and rng.random() < 0.3
    size = (
        rng.choice([10, 11, 12])
        if manuscript
        else rng.choice([8, 8.5, 9, 9.5, 10, 10, 10.5, 11, 12])
    )
    if page.columns == 3:
        size = min(size, 9.0)
    spaced = rng.choice([1.6, 1.8, 2.0])
    return Body(
        language=language,
        face=plain if rng.random() < 0.2 else serif,
        sans=plain,
        size=size,
        leading=spaced if manuscript else rng.choice([1.05, 1.12, 1.18, 1.2, 1.25, 1.35, 1.5]),
        justified=rng.random() < 0.75,
        indent=rng.choice([0.0, 0.0, 1.0, 1.5, 2.0]),
        gap=rng.choice([0.0, 0.0, 0.0, 0.5, 0.8]),
        hyphenate=rng.random() < 0.7,
        heading=_often(rng, bold=50, smallcaps=12, italic=14, upper=12, run_in=12),
        heading_size=rng.choice([1.0, 1.1, 1.25, 1.4]),
        numbered=rng.random() < 0.5,
    )


def _face(rng: Random, faces: list[str], families: set[str]) -> str:
    """Return an available one of `faces`.

    Other random draws do not depend on which fonts are available.
    """
    return next(face for face in rng.sample(faces, len(faces)) if face in families)


def _caption(rng: Random, page: Page, body: Body) -> Caption:
    words = LANGUAGES[body.language].figure
    stand = _often(rng, inline=78, own_line=10, bar=6, apart=6)
    joint = rng.choices([" ", "-", ". ", ""], [90, 4, 2, 4])[0]
    word = rng.choice(words)
    if body.language in CJK and word in ("图", "図"):
        joint = rng.choice(["", " "])
    if joint == ". " and word.endswith("."):
        joint = " "
    separators = [
        ". ",
        ". ",
        ". ",
        ": ",
        ": ",
        " | ",
        " \u2013 ",
        "—",
        "\u2003",
        " ",
        ".\u2003",
        ") ",
    ]
    short = (1, 1), (1, 2), (1, 4), (2, 6), (4, 9)
    return Caption(
        place=_place(rng, page),
        width=_often(rng, column=65, figure=20, narrow=15),
        align=_often(rng, justified=40, left=28, centred=20, hanging=12),
        size=rng.choice([0.75, 0.8, 0.85, 0.9, 0.9, 0.95, 1.0, 1.0, 1.1]),
        leading=rng.choice([0.85, 0.9, 1.0, 1.0, 1.0, 1.1, 1.3]),
        face=_often(rng, body=60, sans=20, italic=10, other=10),
        split=_often(rng, none=60, bold_title=20, note=10, note_sans=10),
        word=word,
        joint=joint,
        numbering=_often(rng, arabic=86, chapter=5, roman=3, letter=6),
        mark=_often(
            rng, plain=28, bold=38, italic=7, smallcaps=8, upper=7, coloured=7, bold_italic=5
        ),
        stand=stand,
        separator=rng.choice(separators) if stand == "inline" else rng.choice(["", ".", ":"]),
        gap=rng.choice([2.0, 4.0, 6.0, 8.0, 10.0, 16.0]),
        after=rng.choice([3.0, 5.0, 8.0, 10.0, 12.0, 18.0, 24.0]),
        two_columns=rng.random() < 0.3,
        turn=_often(rng, word=50, sentence=30, title=20),
        spice=Spice(*(rng.choice([0.0, 0.0, 0.1, 0.3]) for _ in range(3))),
        lengths=rng.choice(short),
    )


def _place(rng: Random, page: Page) -> str:
    if page.columns == 1 and rng.random() < 0.14:
        return rng.choice(["legends", "legends", "end", "bare"])
    if page.side_margin > 0 and not page.line_numbers and rng.random() < 0.5:
        return "margin"
    return _often(rng, below=64, above=14, left=7, right=7, next=4, before=2, wrapped=3)


def _often(rng: Random, **weights: float) -> str:
    return rng.choices(list(weights), list(weights.values()))[0]


def traps(layout: Layout) -> list[str]:
    """Return the names of unusual properties of a layout, to break down scores."""
    page, body, look = layout.page, layout.body, layout.caption
    figures, extras = layout.figures, layout.extras
    named = {
        f"place:{look.place}": True,
        f"columns:{page.columns}": True,
        f"stand:{look.stand}": look.stand != "inline",
        f"mark:{look.mark}": True,
        f"align:{look.align}": True,
        f"width:{look.width}": look.width != "column",
        f"face:{look.face}": look.face != "body",
        f"split:{look.split}": look.split != "none",
        f"separator:{look.separator!r}": look.stand == "inline",
        f"joint:{look.joint!r}": look.joint != " ",
        f"numbering:{look.numbering}": look.numbering != "arabic",
        f"word:{look.word}": True,
        f"language:{body.language}": body.language != "en",
        f"frame:{figures.frame}": figures.frame != "none",
        "leading:wide": body.leading >= 1.5,
        "caption-size:body's": look.size >= 1,
        "caption-gap:small": look.after <= 5,
        "gutter:narrow": 0 < page.gutter <= 12,
        "two-column-captions": look.two_columns and page.columns > 1,
        "line-numbers": page.line_numbers,
        "densest": figures.densest,
        "list-of-figures": extras.list_of_figures,
        "graphical-abstract": extras.graphical_abstract,
        "references:long": extras.references >= 60,
        "photographs": extras.photographs > 0,
        f"bitmap-fonts:{extras.bitmap_fonts}": extras.bitmap_fonts != "none",
        "spice:symbols": look.spice.symbols > 0,
        "spice:words": look.spice.words > 0,
        "spice:breaks": look.spice.breaks > 0,
    }
    return [name for name, there in named.items() if there]
