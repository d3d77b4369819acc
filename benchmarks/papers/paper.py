"""One paper: its layout, its text and figures in order, and its Typst source."""

from dataclasses import dataclass
from pathlib import Path
from random import Random

from benchmarks.papers.captions import Caption, Captioner
from benchmarks.papers.graphics import Studio
from benchmarks.papers.languages import LANGUAGES
from benchmarks.papers.layout import Layout, sample
from benchmarks.papers.markup import quoted, to_plain, to_typst
from benchmarks.papers.placing import Placed, Placer
from benchmarks.papers.tables import Table, Tabler
from benchmarks.papers.words import JOURNALS
from benchmarks.papers.writer import Writer

_PRELUDE = Path(__file__).with_name("prelude.typ")


@dataclass(frozen=True)
class Paper:
    """A paper ready to be set.

    Attributes:
        layout: Its look.
        source: Typst source; files that it names lie in the studio's folder.
        figures: Figures in the order of their codes.
        tables: Tables in the order of their codes.
        traps: What competes with figures and captions in it, by name.
    """

    layout: Layout
    source: str
    figures: list[Placed]
    tables: list[Table]
    traps: list[str]


def compose(rng: Random, families: set[str], folder: Path) -> Paper:
    """Draw a paper; its pictures are written to `folder`, only fonts of `families` are used."""
    layout = sample(rng, families)
    writer = Writer(LANGUAGES[layout.body.language], rng)
    studio = Studio(folder, layout.body.sans, layout.figures.lettering, rng)
    captioner = Captioner(layout, rng)
    placer = Placer(layout, studio, captioner, writer, rng)
    tabler = Tabler(layout, captioner, writer, rng)
    return _Composer(layout, writer, studio, captioner, placer, tabler, rng).paper()


@dataclass
class _Composer:
    layout: Layout
    writer: Writer
    studio: Studio
    captioner: Captioner
    placer: Placer
    tabler: Tabler
    rng: Random

    def paper(self) -> Paper:
        title = self.writer.sentence(self.writer.language.titles)
        parts = [self._setup(title), self._front(title), *self._flow(), *self._back()]
        done = self.placer.done
        return Paper(self.layout, "\n\n".join(parts), done, self.tabler.done, self._traps())

    def _setup(self, title: str) -> str:
        """Settings of page, text and captions, and the functions that use them."""
        page, body, look = self.layout.page, self.layout.body, self.layout.caption
        left, top, right, bottom = page.margins
        size = look.size * body.size
        baseline = body.leading * look.leading
        faces = {"sans": body.sans, "other": self._other_face()}
        style = {
            "caption-size": f"{size:.2f}pt",
            "caption-leading": f"{max(0.0, baseline - 1) * size:.2f}pt",
            "caption-font": quoted(faces.get(look.face, body.face)),
            "caption-shape": quoted("italic" if look.face == "italic" else "normal"),
            "caption-align": quoted(look.align),
            "body-leading": f"{(body.leading - 1) * body.size:.2f}pt",
            "hyphenate": str(body.hyphenate).lower(),
            "text-height": f"{page.text_height:.2f}pt",
        }
        margin = (
            f"(left: {left:.1f}pt, top: {top:.1f}pt, right: {right:.1f}pt, bottom: {bottom:.1f}pt)"
        )
        gap = (body.leading - 1 + body.gap) * body.size
        lines = [
            "#let style = (" + ", ".join(f"{key}: {value}" for key, value in style.items()) + ")",
            _PRELUDE.read_text(encoding="utf-8"),
            f"#set page(width: {page.width}pt, height: {page.height}pt, margin: {margin}, columns: {page.columns})",
            f"#set page({self._running(title)})",
            f"#set columns(gutter: {page.gutter}pt)",
            f'#set text(font: {quoted(body.face)}, size: {body.size}pt, lang: "{body.language}", hyphenate: {str(body.hyphenate).lower()})',
            "#set text(top-edge: 0.8em, bottom-edge: -0.2em, fill: if coded { rgb(roles.body, 0, 0) } else { black })",
            f"#set par(leading: style.body-leading, spacing: {gap:.2f}pt, justify: {str(body.justified).lower()}, first-line-indent: {body.indent}em)",
            "#set smartquote(enabled: false)",
        ]
        if page.line_numbers:
            lines.append(
                '#set par.line(numbering: n => text(size: 7pt, inked("furniture", 0)[#n]))'
            )
        return "\n".join(lines)

    def _other_face(self) -> str:
        """A second serif for captions; the first of the layout's where there is only one."""
        body = self.layout.body
        return body.sans if body.language in ("zh", "ja") else "Libertinus Serif"

    def _running(self, title: str) -> str:
        """Header and footer."""
        page, rng = self.layout.page, self.rng
        number = '#context counter(page).display("1")'
        head = to_typst(
            rng.choice(
                [
                    to_plain(title)[:60],
                    f"{rng.choice(JOURNALS)} {rng.randint(1, 90)} (20{rng.randint(10, 25)})",
                    self.writer.authors().split(",")[0] + " et al.",
                ]
            )
        )
        if page.page_number == "head":
            head = f"{head} #h(1fr) {number}"
        if page.running_head == "logo":
            logo = self.studio.decoration(34, 18, raster=rng.random() < 0.6)
            head = f"#box(width: 34pt, height: 18pt)[{logo.code}] #h(1fr) {head}"
        elif page.running_head == "rule":
            head = f"{head} #v(-0.6em) #line(length: 100%, stroke: 0.5pt)"
        elif page.running_head == "none":
            head = f"#h(1fr) {number}" if page.page_number == "head" else ""
        side = {"foot": "center", "outside": "right"}.get(page.page_number)
        small = 'text(size: 0.85em, hyphenate: false, inked("furniture", 0)[{}])'
        foot = f"align({side}, {small.format(number)})" if side else "none"
        return f"header: {small.format(head) if head else 'none'}, footer: {foot}"

    def _front(self, title: str) -> str:
        """Title, authors and abstract across the columns."""
        rng, writer = self.rng, self.writer
        align = rng.choice(["left", "center"])
        abstract = to_typst(writer.paragraph(rng.randint(3, 8)))
        inset = rng.choice([0, 0, 30])
        return f"""#place(top, float: true, scope: "parent", clearance: {rng.choice([10, 16, 24])}pt)[
#set par(first-line-indent: 0pt)
#align({align})[#inked("heading", 0)[#text(size: {rng.choice([14, 16, 18])}pt, weight: "bold")[{to_typst(title)}]]
#parbreak()#v(4pt)#inked("furniture", 0)[{to_typst(writer.authors())}]#v(6pt)]
#pad(x: {inset}pt)[{abstract}]]"""

    def _flow(self) -> list[str]:
        """Sections with their paragraphs, and figures, tables and decoys strewn among them."""
        layout, rng = self.layout, self.rng
        figures, extras = layout.figures, layout.extras
        blocks = self._sections()
        apart = layout.caption.place in ("legends", "end", "bare")
        inserts = [(rng.random(), self._table) for _ in range(figures.tables)]
        if not apart:
            inserts += [(rng.random(), self._figure) for _ in range(figures.count)]
        decoys = [
            (extras.equations, self._equation),
            (extras.boxed, self._box),
            (extras.rules, self._rule),
        ]
        inserts += [(rng.random(), draw) for wanted, draw in decoys if wanted for _ in range(2)]
        inserts.sort(key=lambda insert: insert[0])
        for k, (where, draw) in enumerate(inserts):
            blocks.insert(1 + k + int(where * (len(blocks) - k)), draw())
        if extras.list_of_figures:
            blocks.insert(0, self._list_of_figures())
        return blocks

    def _sections(self) -> list[str]:
        layout, rng, writer = self.layout, self.rng, self.writer
        page, body = layout.page, layout.body
        em = 1.0 if body.language in ("zh", "ja") else 0.46
        per_page = page.text_width * page.text_height / (em * body.size**2 * body.leading)
        length, blocks, section = 0, [], 0
        while length < per_page * layout.extras.pages:
            if length == 0 or rng.random() < 0.25:
                section += 1
                blocks.append(self._heading(section))
            labels = [
                self.captioner.cited(rng.randint(1, layout.figures.count))
                for _ in range(rng.choice([0, 1, 1, 2]))
            ]
            text = writer.paragraph(rng.randint(2, 9), labels)
            length += len(text)
            blocks.append(to_typst(text) + "\n")
        return blocks

    def _heading(self, section: int) -> str:
        body = self.layout.body
        name = self.rng.choice(self.writer.language.headings)
        text = f"{section}. {name}" if body.numbered else name
        code = to_typst(text.upper() if body.heading == "upper" else text)
        if body.heading == "run_in":
            return f'#inked("heading", 0)[#strong[{code}#".";]] '
        shape = {"bold": "#strong", "smallcaps": "#smallcaps", "italic": "#emph"}.get(
            body.heading, "#text"
        )
        return f'#block(above: 1.3em, below: 0.7em, sticky: true, inked("heading", 0)[#text(size: {body.heading_size}em)[{shape}[{code}]]])'

    def _figure(self) -> str:
        return self.placer.flowing(len(self.placer.done) + 1)

    def _table(self) -> str:
        return self.tabler.flowing(len(self.tabler.done) + 1)

    def _equation(self) -> str:
        number = self.rng.randint(1, 12)
        line = self.rng.choice(
            [
                "sigma = E epsilon",
                "D = D_0 exp(-Q / (R T))",
                "J = -D nabla c",
                "K = sigma sqrt(pi a)",
            ]
        )
        return f"#block(width: 100%)[#align(center)[$ {line} #h(2em) ({number}) $]]"

    def _box(self) -> str:
        text = to_typst(self.writer.paragraph(self.rng.randint(2, 5)))
        fill = self.rng.choice(["none", "rgb(238, 240, 246)"])
        return f"#block(stroke: 0.6pt, fill: {fill}, inset: 7pt, width: 100%)[{text}]"

    def _rule(self) -> str:
        return f"#line(length: {self.rng.choice([40, 100])}%, stroke: 0.5pt)"

    def _list_of_figures(self) -> str:
        lines = [
            f"{self.captioner.label(k)} {to_plain(self.writer.sentence(self.writer.language.titles))} {'. ' * 8}{k + 1}"
            for k in range(1, self.layout.figures.count + 1)
        ]
        return "\n".join(f"#block(above: 0.4em, below: 0.4em)[{to_typst(line)}]" for line in lines)

    def _back(self) -> list[str]:
        """References, photographs of authors, and what manuscripts have at their end."""
        layout, writer = self.layout, self.writer
        entries = [writer.reference(k) for k in range(1, layout.extras.references + 1)]
        items = "\n".join(
            f"#block(above: 0.35em, below: 0.35em)[{to_typst(entry)}]" for entry in entries
        )
        name = to_typst(writer.language.references)
        parts = [
            f'#block(above: 1.3em, sticky: true, inked("heading", 0)[#strong[{name}]])',
            f'#inked("reference", 0)[#set text(size: {layout.extras.reference_size}em)\n#set par(first-line-indent: 0pt, hanging-indent: 1.5em)\n{items}]',
        ]
        for _ in range(layout.extras.photographs):
            photograph = self.studio.decoration(58, 72, raster=True)
            text = to_typst(writer.paragraph(5))
            parts.append(
                f"#block(breakable: false, grid(columns: (58pt, 1fr), column-gutter: 8pt, box(width: 58pt, height: 72pt)[{photograph.code}], [{text}]))"
            )
        return parts + self._apart()

    def _apart(self) -> list[str]:
        """Figure pages of a manuscript, with captions there or in a list before them."""
        place, count = self.layout.caption.place, self.layout.figures.count
        if place == "end":
            return [
                f"#pagebreak(weak: true)\n{self.placer.full_page(k)}" for k in range(1, count + 1)
            ]
        if place not in ("legends", "bare"):
            return []
        pages, captions = zip(*(self.placer.separate(k) for k in range(1, count + 1)), strict=True)
        head = f'#pagebreak(weak: true)\n#block(below: 1em, inked("heading", 0)[#strong[{to_typst(self.writer.language.legends)}]])'
        labels = [
            self.captioner.over(placed.caption) + "\n" if self.captioner.apart else ""
            for placed in self.placer.done
        ]
        legends = [
            f"{label}{caption}\n#v(1em)" for label, caption in zip(labels, captions, strict=True)
        ]
        return [head, *legends, *(f"#pagebreak()\n{page}" for page in pages)]

    def _traps(self) -> list[str]:
        """What is out of the ordinary in this paper."""
        page, body, look = self.layout.page, self.layout.body, self.layout.caption
        figures, extras = self.layout.figures, self.layout.extras
        traps = {
            f"place:{look.place}": True,
            f"columns:{page.columns}": True,
            f"stand:{look.stand}": look.stand != "inline",
            f"mark:{look.mark}": True,
            f"align:{look.align}": True,
            f"face:{look.face}": look.face != "body",
            f"split:{look.split}": look.split != "none",
            f"separator:{look.separator!r}": True,
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
            "references:long": extras.references >= 60,
            "photographs": extras.photographs > 0,
            "spice": max(look.spice.symbols, look.spice.words, look.spice.breaks) > 0,
        }
        return [name for name, there in traps.items() if there]
