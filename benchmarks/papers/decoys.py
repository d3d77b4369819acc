"""Decoys for figures and captions: boxes, equations, rules, photographs, lists."""

from dataclasses import dataclass
from random import Random

from benchmarks.papers.captions import Captioner
from benchmarks.papers.graphics import Studio
from benchmarks.papers.layout import Layout
from benchmarks.papers.markup import to_plain, to_typst
from benchmarks.papers.writer import Writer

_EQUATIONS = [
    "sigma = E epsilon",
    "D = D_0 exp(-Q / (R T))",
    "J = -D nabla c",
    "K = sigma sqrt(pi a)",
]
# Width and height of a portrait and of a graphical abstract, in points.
_PHOTOGRAPH, _ABSTRACT = (58, 72), (150, 80)


@dataclass
class Decoys:
    """Typesets the decoys of one paper as Typst source."""

    layout: Layout
    studio: Studio
    captioner: Captioner
    writer: Writer
    rng: Random

    def equation(self) -> str:
        """Return a display equation with its number."""
        line = self.rng.choice(_EQUATIONS)
        number = self.rng.randint(1, 12)
        return f"#block(width: 100%)[#align(center)[$ {line} #h(2em) ({number}) $]]"

    def box(self) -> str:
        """Return framed text, sometimes with a label."""
        text = to_typst(self.writer.paragraph(self.rng.randint(2, 5)))
        if self.rng.random() < 0.4:
            title = self.writer.sentence(self.writer.language.titles)
            text = (
                f"#strong[{to_typst(f'Box {self.rng.randint(1, 3)} | {title}')}]#parbreak();{text}"
            )
        fill = self.rng.choice(["none", "rgb(238, 240, 246)"])
        return f"#block(stroke: 0.6pt, fill: {fill}, inset: 7pt, width: 100%)[{text}]"

    def rule(self) -> str:
        """Return a rule across part of the column."""
        return f"#line(length: {self.rng.choice([40, 100])}%, stroke: 0.5pt)"

    def list_of_figures(self) -> str:
        """Return a list of figures with labels, titles and pages."""
        lines = []
        for number in range(1, self.layout.figures.count + 1):
            title = to_plain(self.writer.sentence(self.writer.language.titles))
            lines.append(f"{self.captioner.label(number)} {title} {'. ' * 8}{number + 1}")
        return "\n".join(f"#block(above: 0.4em, below: 0.4em)[{to_typst(line)}]" for line in lines)

    def photograph(self) -> str:
        """Return a portrait beside a biography."""
        picture = self._picture(*_PHOTOGRAPH, raster=True)
        text = to_typst(self.writer.paragraph(5))
        grid = f"grid(columns: ({_PHOTOGRAPH[0]}pt, 1fr), column-gutter: 8pt, {picture}, [{text}])"
        return f"#block(breakable: false, {grid})"

    def graphical_abstract(self) -> str:
        """Return a graphic without a caption, as below many abstracts."""
        return f"#align(center, {self._picture(*_ABSTRACT, raster=self.rng.random() < 0.5)})"

    def _picture(self, wide: float, high: float, raster: bool) -> str:
        code = self.studio.decoration(wide, high, raster).code
        return f"box(width: {wide}pt, height: {high}pt)[{code}]"
