"""Place figures with their captions: below, above, beside, wrapped, rotated, separate, ..."""

import math
from dataclasses import dataclass, field
from random import Random

from benchmarks.papers.captions import Caption, Captioner
from benchmarks.papers.graphics import KINDS, Graphic, Studio
from benchmarks.papers.layout import Layout
from benchmarks.papers.markup import to_typst
from benchmarks.papers.writer import CaptionText, Writer

# Smallest width in points for a caption beside its figure, and for two figures side by side.
_SIDE, _PAIR, _WRAP = 280.0, 320.0, 220.0
# Em per character and characters per sentence, to estimate the space of a caption.
_EM_PER_CHARACTER, _SENTENCE = 0.5, 75
# Share of the figures that are continued in another one with the same label.
_CONTINUED = 0.04
_ODD_PLACES = [
    "below",
    "above",
    "left",
    "right",
    "next",
    "before",
    "wrapped",
    "landscape",
    "broken",
]


@dataclass(frozen=True)
class Placed:
    """A figure in the paper: its caption, content and placement."""

    caption: Caption
    graphic: Graphic
    traits: list[str]


@dataclass
class Placer:
    """Draws, captions and places the figures of one paper, and collects them in `done`."""

    layout: Layout
    studio: Studio
    captioner: Captioner
    writer: Writer
    rng: Random
    done: list[Placed] = field(default_factory=list)
    _number: int = 0

    def flowing(self) -> str:
        """Return Typst source of the next figure, or of the next two if a pair is drawn."""
        figures, page, rng = self.layout.figures, self.layout.page, self.rng
        wide = page.columns > 1 and rng.random() < figures.wide_share
        width = page.text_width if wide or page.columns == 1 else page.column_width
        place = self._place(width)
        if place == "landscape":
            return self._landscape()
        if place in ("next", "before"):
            return self._facing(place)
        if place == "broken":
            return self._broken()
        if place == "wrapped":
            return self._wrapped()
        if width >= _PAIR and rng.random() < figures.pair_share:
            return self._floated(self._pair(width), wide)
        code = self._floated(self._whole(width, place, wide), wide)
        if rng.random() < _CONTINUED:
            self._number -= 1
            code += "\n\n" + self._floated(self._whole(width, place, wide, ["continued"]), wide)
        return code

    def _place(self, width: float) -> str:
        """Return the usual caption place of the paper or, sometimes, another one that fits."""
        place = self.layout.caption.place
        if self.rng.random() < self.layout.figures.odd_share:
            place = self.rng.choice(_ODD_PLACES)
        too_narrow = (place in ("left", "right") and width < _SIDE) or (
            place == "wrapped" and (width < _WRAP or not self.writer.language.spaced)
        )
        return "below" if too_narrow else place

    def separate(self) -> tuple[str, str]:
        """Return a figure for a separate page, and its caption for a list of captions."""
        page, rng = self.layout.page, self.rng
        place = self.layout.caption.place
        caption, graphic = self._new(page.text_width, 0.75 * page.text_height, [place])
        code = self._slot(caption, graphic)
        if place == "legends" and rng.random() < 0.6:
            name = f'#block(inked("pointer", {caption.index})[{to_typst(caption.label)}])'
            code = "\n".join([name, code] if rng.random() < 0.5 else [code, name])
        over = self.captioner.over(caption) + "\n" if self.captioner.apart else ""
        return f"#align(center)[{code}]", over + self.captioner.code(caption)

    def full_page(self) -> str:
        """Return a figure with its caption for a separate page."""
        place = self.rng.choice(["below", "below", "above"])
        return self._whole(self.layout.page.text_width, place, True, ["end"])

    def _new(self, width: float, height: float, traits: list[str]) -> tuple[Caption, Graphic]:
        """Draw the next figure, at most `width` by `height` points, and write its caption."""
        look, rng = self.layout.caption, self.rng
        self._number += 1
        index = len(self.done) + 1
        kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
        if self.layout.figures.densest and index == 1:
            kind = "densest"
        wide = max(70.0, rng.choice([0.55, 0.7, 0.85, 1.0, 1.0]) * width)
        high = min(height, wide * rng.choice([0.3, 0.45, 0.6, 0.75, 0.9]))
        graphic = self.studio.graphic(kind, wide, max(45.0, high))
        sentences = rng.randint(*look.lengths) + (5 if "broken" in traits else 0)
        marks = [self._mark(panel.letter) for panel in graphic.panels]
        text = self.writer.caption(sentences, marks if rng.random() < 0.85 else [], look.spice)
        if "continued" in traits:
            text = CaptionText(self.writer.language.continued, text.note)
        caption = Caption(index, self.captioner.label(self._number), text)
        self.done.append(Placed(caption, graphic, traits))
        return caption, graphic

    def _mark(self, letter: str) -> str:
        """Return how the caption refers to a panel."""
        form = self.layout.figures.lettering.form
        mark = form.replace("a", letter).replace("A", letter.upper())
        return f"<b>{mark}</b>" + ("," if len(form) == 1 else "")

    def _slot(self, caption: Caption, graphic: Graphic) -> str:
        """Return the graphic in its frame, if any, marked as the place of the figure."""
        framed = self.layout.figures.frame == "graphic"
        if graphic.height is None:
            framed = framed or self.rng.random() < 0.5
            style = "stroke: 0.6pt, inset: 5pt" if framed else "inset: 1pt"
            text = f"text(size: {self.layout.body.size * 0.9:.1f}pt)[{graphic.code}]"
            return f'#hull("figure", {caption.index}, {style}, {text})'
        boxes = (panel.box for panel in graphic.panels)
        places = [
            f"({x0:.2f}pt, {y0:.2f}pt, {x1 - x0:.2f}pt, {y1 - y0:.2f}pt),"
            for x0, y0, x1, y1 in boxes
        ]
        border = "#place(rect(width: 100%, height: 100%, stroke: 0.6pt))\n" if framed else ""
        size = f"{graphic.width:.2f}pt, {graphic.height:.2f}pt"
        head = f'#slot("figure", {caption.index}, {size}, ({" ".join(places)}))'
        return f"{head}[{border}{graphic.code}]"

    def _room(self, width: float) -> float:
        """Return the height available for a graphic with the longest caption of `width` points."""
        look, body = self.layout.caption, self.layout.body
        size = look.size * body.size
        ems = _SENTENCE * (look.lengths[1] + 1) * _EM_PER_CHARACTER
        lines = math.ceil(ems * size / width) + 1
        text = lines * size * body.leading * look.leading
        return max(60.0, 0.85 * self.layout.page.text_height - text - look.gap)

    def _whole(self, width: float, place: str, wide: bool, also: list[str] | None = None) -> str:
        """Return a figure with its caption below, above or beside it, `width` points wide."""
        inset = 14.0 if self.layout.figures.frame in ("whole", "tint") else 0.0
        traits = [place, *(["wide"] if wide else []), *(also or [])]
        if place == "margin":
            whole = self._in_margin(width - inset, traits)
        elif place in ("left", "right"):
            whole = self._beside(width - inset, place, traits)
        else:
            caption, graphic = self._new(width - inset, self._room(width), traits)
            whole = self._stacked(caption, graphic, place, wide, width - inset)
        frames = {
            "whole": "stroke: 0.6pt, inset: 7pt",
            "tint": "fill: rgb(236, 239, 244), inset: 7pt",
        }
        look = frames.get(self.layout.figures.frame, "inset: 0pt")
        head = f"#block(width: {width:.2f}pt, breakable: false, {look})"
        return f"{head}[\n#set block(spacing: 0pt)\n{whole}\n]"

    def _beside(self, width: float, place: str, traits: list[str]) -> str:
        """Return a figure with its caption to the left or right."""
        rng, gap = self.rng, self.rng.choice([8, 11, 16])
        measure = (width - gap) * rng.uniform(0.5, 0.68)
        caption, graphic = self._new(measure, self._room(width - measure), traits)
        cells = [f"[{self._slot(caption, graphic)}]", f"[{self.captioner.code(caption)}]"]
        widths = [f"{graphic.width + 1:.1f}pt", "1fr"]
        whole = self._grid(widths, cells, gap, place == "left")
        if not self.captioner.apart:
            return whole
        return f"{self.captioner.over(caption)}\n#v({self.layout.caption.gap}pt)\n{whole}"

    def _in_margin(self, width: float, traits: list[str]) -> str:
        """Return a figure within the text width, with its caption in the wide margin beside it."""
        gap = 12
        reach = self.layout.page.side_margin
        caption, graphic = self._new(width, self._room(reach), traits)
        over = self.captioner.over(caption) + "\n" if self.captioner.apart else ""
        cells = [f"[{self._slot(caption, graphic)}]", f"[{over}{self.captioner.code(caption)}]"]
        grid = self._grid(["1fr", f"{reach - gap:.1f}pt"], cells, gap, True)
        return f"#pad(left: -{reach:.1f}pt)[{grid}]"

    def _grid(self, widths: list[str], cells: list[str], gap: float, swapped: bool) -> str:
        if swapped:
            widths, cells = widths[::-1], cells[::-1]
        align = self.rng.choice(["top", "bottom", "horizon"])
        columns = f"columns: ({', '.join(widths)}), column-gutter: {gap}pt"
        return f"#grid({columns}, align: {align}, {', '.join(cells)})"

    def _stacked(
        self, caption: Caption, graphic: Graphic, place: str, wide: bool, width: float
    ) -> str:
        """Return a figure with its caption below or above it."""
        look = self.layout.caption
        gutter, measure = None, "100%"
        if wide and look.two_columns and width > 380:
            gutter = self.layout.page.gutter or 14.0
            self.done[-1].traits.append("two-column-caption")
        elif look.width == "figure" and graphic.width > 110:
            measure = f"{graphic.width:.1f}pt"
        elif look.width == "narrow" and width > 160:
            measure = "80%"
        text = f"#align(center)[{self.captioner.code(caption, measure, gutter)}]"
        left = look.align in ("left", "hanging") and look.width != "narrow"
        slot = self._slot(caption, graphic)
        side = "left" if left else "center"
        picture = f"#block(spacing: 0pt, width: 100%, align({side})[{slot}])"
        gap = f"#v({look.gap}pt)"
        if self.captioner.apart:
            return "\n".join([self.captioner.over(caption), gap, picture, gap, text])
        return "\n".join([picture, gap, text] if place != "above" else [text, gap, picture])

    def _pair(self, width: float) -> str:
        """Return two figures side by side, each with a label and a caption."""
        gap = self.rng.choice([10, 14, 20])
        each = (width - gap) / 2
        cells = [f"[{self._whole(each, 'below', False, ['pair'])}]" for _ in range(2)]
        return self._grid([f"{each:.2f}pt"] * 2, cells, gap, False)

    def _floated(self, code: str, wide: bool) -> str:
        """Place a figure in the text, or at the top or bottom of a column or page."""
        after = self.layout.caption.after
        if wide or self.rng.random() < self.layout.figures.float_share:
            scope = "parent" if wide else "column"
            at = self.rng.choice(["top", "top", "bottom"])
            return f'#place({at}, float: true, scope: "{scope}", clearance: {after}pt)[{code}]'
        return f"#block(above: {after}pt, below: {after}pt, breakable: false)[{code}]"

    def _facing(self, place: str) -> str:
        """Return a figure that fills a page, with its caption on the next or previous page."""
        page, rng, language = self.layout.page, self.rng, self.writer.language
        # With its clearance it leaves no space for the caption.
        width, height = page.text_width, page.text_height - self.layout.caption.after - 1
        caption, graphic = self._new(width, 0.9 * height - 20, [place])
        note = to_typst(language.see if place == "next" else language.before)
        if rng.random() < 0.5:
            note = f"#strong[{to_typst(caption.label)}] {note}"
        pointer = ""
        if rng.random() < 0.7:
            pointer = f'#block(above: 6pt, inked("pointer", {caption.index})[{note}])'
        inner = f"align(center)[{self._slot(caption, graphic)}\n{pointer}]"
        over = self.captioner.over(caption) + "\n" if self.captioner.apart else ""
        parts = [
            f"#block(width: {width:.2f}pt, height: {height:.2f}pt, {inner})",
            over + self.captioner.code(caption),
        ]
        float_ = (
            f'#place(top, float: true, scope: "parent", clearance: {self.layout.caption.after}pt)'
        )
        return "\n".join(f"{float_}[{p}]" for p in (parts if place == "next" else parts[::-1]))

    def _broken(self) -> str:
        """Return a figure at the bottom of a column whose caption continues in the next one."""
        look, body, page = self.layout.caption, self.layout.body, self.layout.page
        line = look.size * body.size * body.leading * look.leading
        height = page.text_height - look.gap - self.rng.uniform(3.2, 5.0) * line
        caption, graphic = self._new(page.column_width, 0.6 * height, ["broken"])
        over = self.captioner.over(caption) + "\n" if self.captioner.apart else ""
        inner = f"align(center + bottom)[{over}{self._slot(caption, graphic)}]"
        picture = f"#block(spacing: 0pt, height: {height:.2f}pt, width: 100%, {inner})"
        away = "#pagebreak(weak: true)" if page.columns == 1 else "#colbreak(weak: true)"
        text = self.captioner.code(caption)
        return f"{away}\n{picture}\n#v({look.gap}pt)\n{text}\n#v({look.after}pt)"

    def _wrapped(self) -> str:
        """Return a small figure beside a paragraph."""
        caption, graphic = self._new(0.46 * self.layout.page.column_width, 200, ["wrapped"])
        measure = max(graphic.width, 90.0)
        code = self._stacked(caption, graphic, "below", False, measure)
        figure = f"#block(width: {measure:.2f}pt)[#set block(spacing: 0pt)\n{code}]"
        words = self.writer.paragraph(self.rng.randint(14, 20)).split(" ")
        items = ", ".join(f"[{to_typst(word)}]" for word in words)
        side, gap = self.rng.choice(["left", "right"]), self.rng.choice([8, 12, 16])
        return f'#wrapped([{figure}], "{side}", {gap}pt, ({items}))'

    def _landscape(self) -> str:
        """Return a figure on a rotated page."""
        page = self.layout.page
        left, top, right, bottom = page.margins
        width, height = page.text_height, page.text_width
        if page.turned == "flipped":
            width, height = page.height - left - right, page.width - top - bottom
        caption, graphic = self._new(width, 0.7 * height, [f"landscape-{page.turned}"])
        code = self._stacked(caption, graphic, "below", True, width)
        return f'#landscape("{page.turned}")[#set block(spacing: 0pt)\n{code}]'
