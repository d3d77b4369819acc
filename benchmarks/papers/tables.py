"""Tables with their captions and notes, which compete with captions of figures."""

from dataclasses import dataclass, field
from random import Random

from benchmarks.papers.captions import Caption, Captioner
from benchmarks.papers.layout import Layout
from benchmarks.papers.markup import to_plain, to_typst
from benchmarks.papers.words import LEAVES
from benchmarks.papers.writer import Spice, Writer


@dataclass(frozen=True)
class Table:
    """A table on paper."""

    caption: Caption


@dataclass
class Tabler:
    """Sets the tables of one paper; `done` collects them."""

    layout: Layout
    captioner: Captioner
    writer: Writer
    rng: Random
    done: list[Table] = field(default_factory=list)

    def flowing(self, number: int) -> str:
        """Typst source of table `number` with its caption, in the text or at a column's head."""
        rng, figures = self.rng, self.layout.figures
        text = self.writer.caption(rng.choice([1, 1, 2]), [], Spice(0, 0, 0))
        caption = Caption(number, self.captioner.label(number, table=True), text, table=True)
        self.done.append(Table(caption))
        parts = [self.captioner.code(caption), "#v(5pt)", self._cells(number)]
        if figures.table_caption == "below":
            parts.reverse()
        if rng.random() < 0.35:
            note = to_typst("* " + self.writer.sentence(self.writer.language.notes) + ".")
            parts.append(f'#v(2pt)\n#text(size: 0.8em, inked("table", {number})[{note}])')
        code = "#set block(spacing: 0pt)\n" + "\n".join(parts)
        after = self.layout.caption.after
        if rng.random() < figures.float_share:
            return f'#place({rng.choice(["top", "bottom"])}, float: true, scope: "column", clearance: {after}pt)[{code}]'
        return f"#block(above: {after}pt, below: {after}pt, breakable: false)[{code}]"

    def _cells(self, number: int) -> str:
        rng, rules = self.rng, self.layout.figures.table_rules
        narrow = self.layout.page.column_width < 200
        columns, rows = rng.randint(2, 3 if narrow else 5), rng.randint(2, 9)
        heads = [to_plain(self.writer.sentence(["{prop}"]))[:9].strip() for _ in range(columns - 1)]
        cells = [["", *heads]]
        for _ in range(rows):
            cells.append([rng.choice(LEAVES)[:12], *(f"{rng.uniform(0, 99):.1f}" for _ in heads)])
        fill = "none"
        if rules == "striped":
            fill = "(x, y) => if calc.odd(y) { rgb(236, 240, 245) } else { none }"
        stroke = "0.5pt" if rules == "grid" else "none"
        line = "table.hline(stroke: 0.6pt)," if rules in ("booktabs", "striped") else ""
        body = [f"[{to_typst(cell)}]" for row in cells for cell in row]
        head, rest = ", ".join(body[:columns]), ", ".join(body[columns:])
        size = rng.choice([0.75, 0.85, 0.95])
        code = f"#table(columns: {columns}, inset: 2.5pt, stroke: {stroke}, fill: {fill}, align: left, {line} {head}, {line} {rest}, {line})"
        return f'#hull("table", {number}, text(size: {size}em, hyphenate: false)[#set par(justify: false)\n{code}])'
