"""Compose a paper: its layout, text and figures in order, as Typst source."""

from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from benchmarks.papers.captions import Caption, Captioner
from benchmarks.papers.decoys import Decoys
from benchmarks.papers.graphics import Studio
from benchmarks.papers.languages import LANGUAGES
from benchmarks.papers.layout import Layout, sample
from benchmarks.papers.markup import to_typst
from benchmarks.papers.placing import Placed, Placer
from benchmarks.papers.settings import settings
from benchmarks.papers.tables import Tabler
from benchmarks.papers.writer import Writer

# Width of a character in em, to estimate the text per page.
_CHARACTER, _IDEOGRAPH = 0.46, 1.0


@dataclass(frozen=True)
class Paper:
    """A paper ready for typesetting.

    Attributes:
        layout: Its appearance.
        source: Typst source; its files are in the studio's folder.
        figures: Figures in the order of their codes, from 1.
        tables: Captions of tables in the order of their codes, from 1.
        paragraphs: The running text, abstract first, with the tags of `markup`.
    """

    layout: Layout
    source: str
    figures: list[Placed]
    tables: list[Caption]
    paragraphs: list[str]


def compose(rng: Random, families: set[str], folder: Path) -> Paper:
    """Draw a paper. Images are written to `folder`; only fonts of `families` are used."""
    layout = sample(rng, families)
    writer = Writer(LANGUAGES[layout.body.language], rng)
    studio = Studio(folder, layout.body.sans, layout.figures.lettering, rng)
    captioner = Captioner(layout, rng)
    placer = Placer(layout, studio, captioner, writer, rng)
    tabler = Tabler(layout, captioner, writer, rng)
    decoys = Decoys(layout, studio, captioner, writer, rng)
    title = writer.sentence(writer.language.titles)
    text = _Text(layout, writer, captioner, placer, tabler, decoys, rng)
    parts = [
        settings(layout, title, studio, writer, rng),
        text.front(title),
        *text.flow(),
        *text.back(),
    ]
    return Paper(layout, "\n\n".join(parts), placer.done, tabler.done, text.paragraphs)


@dataclass
class _Text:
    """Writes the content of a paper, from its title to the end matter."""

    layout: Layout
    writer: Writer
    captioner: Captioner
    placer: Placer
    tabler: Tabler
    decoys: Decoys
    rng: Random
    paragraphs: list[str] = field(default_factory=list)

    def front(self, title: str) -> str:
        """Return title, authors and abstract across the columns."""
        rng, writer = self.rng, self.writer
        size = rng.choice([14, 16, 18])
        clear = rng.choice([10, 16, 24])
        parts = [
            "#set par(first-line-indent: 0pt)",
            f"#align({rng.choice(['left', 'center'])})[",
            f'#inked("heading", 0)[#text(size: {size}pt, weight: "bold")[{to_typst(title)}]]',
            f'#parbreak()#v(4pt)#inked("furniture", 0)[{to_typst(writer.authors())}]#v(6pt)]',
            f"#pad(x: {rng.choice([0, 0, 30])}pt)[{self._paragraph(rng.randint(3, 8))}]",
        ]
        if self.layout.extras.graphical_abstract:
            parts.append(self.decoys.graphical_abstract())
        float_ = f'#place(top, float: true, scope: "parent", clearance: {clear}pt)'
        return float_ + "[" + "\n".join(parts) + "]"

    def flow(self) -> list[str]:
        """Return the sections, with figures, tables and decoys distributed among the paragraphs."""
        figures, extras, rng = self.layout.figures, self.layout.extras, self.rng
        blocks = self._sections()
        inserts = [self.tabler.flowing] * figures.tables
        if self.layout.caption.place not in ("legends", "end", "bare"):
            inserts += [self.placer.flowing] * figures.count
        for wanted, draw in (
            (extras.equations, self.decoys.equation),
            (extras.boxed, self.decoys.box),
            (extras.rules, self.decoys.rule),
        ):
            inserts += [draw] * (2 if wanted else 0)
        inserts += [self.decoys.photograph] * (extras.photographs // 2)
        rng.shuffle(inserts)
        # Never before the first heading, but possibly next to another insert. Drawn first, so that
        # labels increase.
        places = sorted(rng.randint(1, len(blocks)) for _ in inserts)
        drawn = [draw() for draw in inserts]
        for place, code in reversed(list(zip(places, drawn, strict=True))):
            blocks.insert(place, code)
        if extras.list_of_figures:
            blocks.insert(0, self.decoys.list_of_figures())
        return blocks

    def _sections(self) -> list[str]:
        page, body, rng = self.layout.page, self.layout.body, self.rng
        em = _CHARACTER if self.writer.language.spaced else _IDEOGRAPH
        per_page = page.text_width * page.text_height / (em * body.size**2 * body.leading)
        length, blocks, section = 0, [], 0
        while length < per_page * self.layout.extras.pages:
            if length == 0 or rng.random() < 0.25:
                section += 1
                blocks.append(self._heading(section))
            mentions = [
                self.captioner.cited(rng.randint(1, self.layout.figures.count))
                for _ in range(rng.choice([0, 1, 1, 2]))
            ]
            blocks.append(self._paragraph(rng.randint(2, 9), mentions))
            length += len(self.paragraphs[-1])
        return blocks

    def _paragraph(self, sentences: int, mentions: list[str] = ()) -> str:
        """Return a new paragraph of the running text, as Typst source."""
        self.paragraphs.append(self.writer.paragraph(sentences, mentions))
        return to_typst(self.paragraphs[-1])

    def _heading(self, section: int) -> str:
        body = self.layout.body
        name = self.rng.choice(self.writer.language.headings)
        text = f"{section}. {name}" if body.numbered else name
        code = to_typst(text.upper() if body.heading == "upper" else text)
        if body.heading == "run_in":
            return f'#inked("heading", 0)[#strong[{code}]]'
        shapes = {"bold": "strong", "smallcaps": "smallcaps", "italic": "emph"}
        shape = shapes.get(body.heading, "text")
        inner = f'inked("heading", 0)[#text(size: {body.heading_size}em)[#{shape}[{code}]]]'
        return f"#block(above: 1.3em, below: 0.7em, sticky: true, {inner})"

    def back(self) -> list[str]:
        """Return references, portraits and the end matter of manuscripts."""
        extras, writer = self.layout.extras, self.writer
        entries = [to_typst(writer.reference(k)) for k in range(1, extras.references + 1)]
        items = "\n".join(f"#block(above: 0.35em, below: 0.35em)[{entry}]" for entry in entries)
        style = f"#set text(size: {extras.reference_size}em)\n#set par(first-line-indent: 0pt)"
        photographs = [self.decoys.photograph() for _ in range(-(-extras.photographs // 2))]
        return [
            self._title(writer.language.references),
            f'#inked("reference", 0)[{style}\n#set par(hanging-indent: 1.5em)\n{items}]',
            *photographs,
            *self._apart(),
        ]

    def _title(self, name: str) -> str:
        inner = f'inked("heading", 0)[#strong[{to_typst(name)}]]'
        return f"#block(above: 1.3em, below: 1em, sticky: true, {inner})"

    def _apart(self) -> list[str]:
        """Return figure pages of a manuscript, with captions on them or in a preceding list."""
        place, count = self.layout.caption.place, self.layout.figures.count
        if place == "end":
            return [f"#pagebreak(weak: true)\n{self.placer.full_page()}" for _ in range(count)]
        if place not in ("legends", "bare"):
            return []
        both = [self.placer.separate() for _ in range(count)]
        legends = [f"{caption}\n#v(1em)" for _, caption in both]
        pages = [f"#pagebreak()\n{figure}" for figure, _ in both]
        head = f"#pagebreak(weak: true)\n{self._title(self.writer.language.legends)}"
        return [head, *legends, *pages]
