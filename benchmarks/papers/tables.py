"""Tables with captions and notes, which compete with captions of figures."""

from dataclasses import dataclass, field
from random import Random

from benchmarks.papers.captions import Caption, Captioner
from benchmarks.papers.languages import SHARED
from benchmarks.papers.layout import Layout
from benchmarks.papers.markup import to_plain, to_typst
from benchmarks.papers.writer import Spice, Writer

# Column width in points below which tables have at most three columns.
_NARROW = 200.0


@dataclass
class Tabler:
    """Typesets the tables of one paper, and collects their captions in `done`."""

    layout: Layout
    captioner: Captioner
    writer: Writer
    rng: Random
    done: list[Caption] = field(default_factory=list)

    def flowing(self) -> str:
        """Return Typst source of the next table with its caption, in the text or atop a column."""
        rng, figures = self.rng, self.layout.figures
        number = len(self.done) + 1
        text = self.writer.caption(rng.choice([1, 1, 2]), [], Spice(0, 0, 0))
        caption = Caption(number, self.captioner.label(number, table=True), text, table=True)
        self.done.append(caption)
        parts = [self.captioner.code(caption), "#v(5pt)", self._cells(number)]
        if figures.table_caption == "below":
            parts.reverse()
        if rng.random() < 0.35:
            note = to_typst("* " + self.writer.sentence(self.writer.language.notes) + ".")
            parts.append(f'#v(2pt)\n#text(size: 0.8em, inked("table", {number})[{note}])')
        code = "#set block(spacing: 0pt)\n" + "\n".join(parts)
        after = self.layout.caption.after
        if rng.random() < figures.float_share:
            at = rng.choice(["top", "bottom"])
            return f'#place({at}, float: true, scope: "column", clearance: {after}pt)[{code}]'
        return f"#block(above: {after}pt, below: {after}pt, breakable: false)[{code}]"

    def _cells(self, number: int) -> str:
        rng, rules = self.rng, self.layout.figures.table_rules
        columns = rng.randint(2, 3 if self.layout.page.column_width < _NARROW else 5)
        heads = [self._head() for _ in range(columns - 1)]
        rows = [["", *heads]]
        for _ in range(rng.randint(2, 9)):
            numbers = [f"{rng.uniform(0, 99):.1f}" for _ in heads]
            rows.append([rng.choice(SHARED.leaves)[:12], *numbers])
        fill = "none"
        if rules == "striped":
            fill = "(x, y) => if calc.odd(y) { rgb(236, 240, 245) } else { none }"
        stroke = "0.5pt" if rules == "grid" else "none"
        line = "table.hline(stroke: 0.6pt)" if rules in ("booktabs", "striped") else None
        cells = [f"[{to_typst(cell)}]" for row in rows for cell in row]
        cells = [line, *cells[:columns], line, *cells[columns:], line]
        inner = ", ".join(cell for cell in cells if cell)
        style = f"columns: {columns}, inset: 2.5pt, stroke: {stroke}, fill: {fill}, align: left"
        size = rng.choice([0.75, 0.85, 0.95])
        text = f"text(size: {size}em, hyphenate: false)[#set par(justify: false)"
        return f'#hull("table", {number}, {text}\n#table({style}, {inner})])'

    def _head(self) -> str:
        return to_plain(self.writer.sentence(["{prop}"]))[:9].strip()
