"""Figures with their captions in place: below, above, beside, wrapped, turned, apart, ..."""

import math
from dataclasses import dataclass, field
from random import Random

from benchmarks.papers.captions import Caption, Captioner
from benchmarks.papers.graphics import KINDS, Graphic, Studio
from benchmarks.papers.layout import Layout
from benchmarks.papers.markup import to_typst
from benchmarks.papers.writer import Writer

# Least measure in points for a caption beside its figure, and for two figures side by side.
_SIDE, _PAIR = 280.0, 320.0
# Em per character, to estimate how much room a caption takes.
_EM_PER_CHARACTER = 0.5


@dataclass(frozen=True)
class Placed:
    """A figure on paper: its caption, what it shows, and how it was placed."""

    caption: Caption
    graphic: Graphic
    traits: list[str]


@dataclass
class Placer:
    """Draws, captions and places the figures of one paper; `done` collects them."""

    layout: Layout
    studio: Studio
    captioner: Captioner
    writer: Writer
    rng: Random
    done: list[Placed] = field(default_factory=list)

    def flowing(self, label: int) -> str:
        """Typst source of figure number `label` (and the next one, where a pair is drawn)."""
        figures, page, rng = self.layout.figures, self.layout.page, self.rng
        place = self.layout.caption.place
        if rng.random() < figures.odd_share:
            place = rng.choice(
                ["below", "above", "left", "right", "next", "wrapped", "landscape", "broken"]
            )
        wide = page.columns > 1 and rng.random() < figures.wide_share
        width = page.text_width if wide or page.columns == 1 else page.column_width
        if place in ("left", "right") and width < _SIDE:
            place = "below"
        if place == "wrapped" and (width < 220 or not self.writer.language.spaced):
            place = "below"
        if place == "landscape":
            return self._landscape(label)
        if place == "next":
            return self._next(label, page.text_width)
        if place == "broken":
            return self._broken(label, page.column_width)
        if place == "wrapped":
            return self._wrapped(label, page.column_width)
        if width >= _PAIR and rng.random() < figures.pair_share:
            return self._floated(self._pair(label, width), wide)
        return self._floated(self._whole(label, width, place, wide), wide)

    def separate(self, label: int) -> tuple[str, str]:
        """A bare figure for a page of its own, and its caption for a list of captions."""
        page = self.layout.page
        caption, graphic = self._new(
            label, page.text_width, 0.75 * page.text_height, [self.layout.caption.place]
        )
        code = self.slot(caption, graphic)
        if self.layout.caption.place == "legends" and self.rng.random() < 0.6:
            name = f'#inked("pointer", {caption.index})[{to_typst(caption.label)}]'
            parts = [f"#block({name})", code]
            code = "\n".join(parts if self.rng.random() < 0.5 else parts[::-1])
        return f"#align(center)[{code}]", self.captioner.code(caption)

    def full_page(self, label: int) -> str:
        """A figure with its caption for a page of its own."""
        page = self.layout.page
        return self._whole(
            label, page.text_width, self.rng.choice(["below", "below", "above"]), True
        )

    def _new(
        self, label: int, width: float, height: float, traits: list[str], kind: str = ""
    ) -> tuple[Caption, Graphic]:
        """Draw a figure of at most `width` by `height` points, and write its caption."""
        look, rng = self.layout.caption, self.rng
        index = len(self.done) + 1
        kind = kind or rng.choices(list(KINDS), list(KINDS.values()))[0]
        if self.layout.figures.densest and index == 1:
            kind = "densest"
        share = rng.choice([0.55, 0.7, 0.85, 1.0, 1.0])
        wide = max(70.0, share * width)
        high = min(height, wide * rng.choice([0.3, 0.45, 0.6, 0.75, 0.9]))
        graphic = self.studio.graphic(kind, wide, max(45.0, high))
        sentences = rng.randint(*look.lengths) + (5 if "broken" in traits else 0)
        marks = [self._mark(panel.letter) for panel in graphic.panels]
        marks = marks if rng.random() < 0.85 else []
        text = self.writer.caption(sentences, marks, look.spice)
        caption = Caption(index, self.captioner.label(label), text)
        self.done.append(Placed(caption, graphic, traits))
        return caption, graphic

    def _mark(self, letter: str) -> str:
        """How the caption refers to a panel."""
        form = self.layout.figures.lettering.form
        mark = form.replace("a", letter).replace("A", letter.upper())
        return f"<b>{mark}</b>" + ("," if len(form) == 1 else "")

    def slot(self, caption: Caption, graphic: Graphic) -> str:
        """The graphic in its frame, if any, marked as the place of the caption's figure."""
        frame = self.layout.figures.frame == "graphic"
        if graphic.height is None:
            framed = frame or self.rng.random() < 0.5
            style = "stroke: 0.6pt, inset: 5pt" if framed else "inset: 1pt"
            return f'#hull("figure", {caption.index}, {style}, text(size: {self.layout.body.size * 0.9:.1f}pt)[{graphic.code}])'
        panels = ", ".join(
            "({:.2f}pt, {:.2f}pt, {:.2f}pt, {:.2f}pt)".format(x0, y0, x1 - x0, y1 - y0)
            for x0, y0, x1, y1 in (panel.box for panel in graphic.panels)
        )
        panels = f"({panels},)" if panels else "()"
        border = "#place(rect(width: 100%, height: 100%, stroke: 0.6pt))\n" if frame else ""
        size = f"{graphic.width:.2f}pt, {graphic.height:.2f}pt"
        return f'#slot("figure", {caption.index}, {size}, {panels})[{border}{graphic.code}]'

    def _room(self, width: float) -> float:
        """Height for a graphic beside a caption of the layout's longest, in points."""
        look, body = self.layout.caption, self.layout.body
        characters = 75 * (look.lengths[1] + 1)
        size = look.size * body.size
        lines = math.ceil(characters * _EM_PER_CHARACTER * size / width) + 1
        leading = 1.1 * body.leading * look.leading
        return max(60.0, 0.85 * self.layout.page.text_height - lines * size * leading - look.gap)

    def _whole(self, label: int, width: float, place: str, wide: bool) -> str:
        """A figure with its caption below, above or beside it, `width` points wide together."""
        look, rng = self.layout.caption, self.rng
        beside = place in ("left", "right")
        measure = (width - 12) * rng.uniform(0.5, 0.68) if beside else width
        inset = 14.0 if self.layout.figures.frame in ("whole", "tint") else 0.0
        traits = [place] + (["wide"] if wide else [])
        caption, graphic = self._new(
            label, measure - inset, self._room(width - measure if beside else width), traits
        )
        code = self.slot(caption, graphic)
        if beside:
            text = self.captioner.code(caption)
            cells, widths = [f"[{code}]", f"[{text}]"], [f"{graphic.width + 1:.1f}pt", "1fr"]
            if place == "left":
                cells, widths = cells[::-1], widths[::-1]
            align = rng.choice(["top", "bottom", "horizon"])
            whole = f"#grid(columns: ({', '.join(widths)}), column-gutter: {rng.choice([8, 11, 16])}pt, align: {align}, {', '.join(cells)})"
            if self.captioner.apart:
                whole = self.captioner.over(caption) + f"\n#v({look.gap}pt)\n" + whole
        else:
            whole = self._stacked(caption, graphic, code, place, wide, width - inset)
        return self._framed(whole, width)

    def _stacked(
        self, caption: Caption, graphic: Graphic, code: str, place: str, wide: bool, width: float
    ) -> str:
        look = self.layout.caption
        gutter = None
        measure = "100%"
        if wide and look.two_columns and width > 380:
            gutter = self.layout.page.gutter or 14.0
            self.done[-1].traits.append("two-column-caption")
        elif look.width == "figure" and graphic.width > 110:
            measure = f"{graphic.width:.1f}pt"
        elif look.width == "narrow" and width > 160:
            measure = "80%"
        text = f"#align(center)[{self.captioner.code(caption, measure, gutter)}]"
        picture = f"#block(spacing: 0pt, width: 100%, align({self._side()})[{code}])"
        gap = f"#v({look.gap}pt)"
        if self.captioner.apart:
            return "\n".join([self.captioner.over(caption), gap, picture, gap, text])
        return "\n".join([picture, gap, text] if place != "above" else [text, gap, picture])

    def _side(self) -> str:
        return (
            "left"
            if self.layout.caption.align in ("left", "hanging")
            and self.layout.caption.width != "narrow"
            else "center"
        )

    def _framed(self, whole: str, width: float) -> str:
        style = {
            "whole": "stroke: 0.6pt, inset: 7pt",
            "tint": "fill: rgb(236, 239, 244), inset: 7pt",
        }
        look = style.get(self.layout.figures.frame, "inset: 0pt")
        return f"#block(width: {width:.2f}pt, breakable: false, {look})[\n#set block(spacing: 0pt)\n{whole}\n]"

    def _pair(self, label: int, width: float) -> str:
        """Two figures side by side, each with its own label and caption."""
        gap = self.rng.choice([10, 14, 20])
        each = (width - gap) / 2
        cells = []
        for number in (label, label + 1):
            cells.append(self._whole(number, each, "below", False))
            self.done[-1].traits.append("pair")
        return f"#grid(columns: ({each:.2f}pt, {each:.2f}pt), column-gutter: {gap}pt, align: {self.rng.choice(['top', 'bottom'])}, [{cells[0]}], [{cells[1]}])"

    def _floated(self, code: str, wide: bool) -> str:
        """In the flow of the text, or at the head or foot of a column or page."""
        after = self.layout.caption.after
        if wide or self.rng.random() < self.layout.figures.float_share:
            scope = "parent" if wide else "column"
            at = self.rng.choice(["top", "top", "bottom"])
            return f'#place({at}, float: true, scope: "{scope}", clearance: {after}pt)[{code}]'
        return f"#block(above: {after}pt, below: {after}pt, breakable: false)[{code}]"

    def _next(self, label: int, width: float) -> str:
        """A figure that fills a page, its caption at the head of the next."""
        height = 0.9 * self.layout.page.text_height
        caption, graphic = self._new(label, width, height - 20, ["next"])
        see = to_typst(self.writer.language.see)
        if self.rng.random() < 0.5:
            see = f"#strong[{to_typst(caption.label)}] {see}"
        pointer = (
            f'#block(above: 6pt, inked("pointer", {caption.index})[{see}])'
            if self.rng.random() < 0.7
            else ""
        )
        first = f"#block(width: {width:.2f}pt, height: {height:.2f}pt, align(center)[{self.slot(caption, graphic)}\n{pointer}])"
        float_ = (
            f'#place(top, float: true, scope: "parent", clearance: {self.layout.caption.after}pt)'
        )
        over = self.captioner.over(caption) + "\n" if self.captioner.apart else ""
        return f"{float_}[{first}]\n{float_}[{over}{self.captioner.code(caption)}]"

    def _broken(self, label: int, width: float) -> str:
        """A figure at the foot of a column whose caption goes on in the next."""
        look, body, page = self.layout.caption, self.layout.body, self.layout.page
        line = look.size * body.size * body.leading * look.leading
        lines = self.rng.uniform(3.2, 5.0)
        height = page.text_height - look.gap - lines * line
        caption, graphic = self._new(label, width, 0.6 * height, ["broken"])
        over = self.captioner.over(caption) + "\n" if self.captioner.apart else ""
        slot = f"#block(spacing: 0pt, height: {height:.2f}pt, width: 100%, align(center + bottom)[{over}{self.slot(caption, graphic)}])"
        away = "#pagebreak(weak: true)" if page.columns == 1 else "#colbreak(weak: true)"
        return (
            f"{away}\n{slot}\n#v({look.gap}pt)\n{self.captioner.code(caption)}\n#v({look.after}pt)"
        )

    def _wrapped(self, label: int, width: float) -> str:
        """A small figure beside a paragraph."""
        caption, graphic = self._new(label, 0.46 * width, 200, ["wrapped"])
        measure = max(graphic.width, 90.0)
        code = self._stacked(caption, graphic, self.slot(caption, graphic), "below", False, measure)
        figure = f"#block(width: {measure:.2f}pt)[#set block(spacing: 0pt)\n{code}]"
        words = self.writer.paragraph(self.rng.randint(14, 20)).split(" ")
        items = ", ".join(f"[{to_typst(word)}]" for word in words)
        side = self.rng.choice(["left", "right"])
        return f'#wrapped([{figure}], "{side}", {self.rng.choice([8, 12, 16])}pt, ({items}))'

    def _landscape(self, label: int) -> str:
        page = self.layout.page
        how = page.turned
        width = (
            page.height - page.margins[0] - page.margins[2]
            if how == "flipped"
            else page.text_height
        )
        height = 0.7 * (
            page.width - page.margins[1] - page.margins[3] if how == "flipped" else page.text_width
        )
        caption, graphic = self._new(label, min(width, 0.98 * width), height, ["landscape-" + how])
        code = self._stacked(caption, graphic, self.slot(caption, graphic), "below", True, width)
        return f'#landscape("{how}")[#set block(spacing: 0pt)\n{code}]'
