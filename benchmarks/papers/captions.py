"""Captions as Typst source: label, separator and text in the styles of a layout."""

import re
from dataclasses import dataclass
from random import Random

from benchmarks.papers.languages import LANGUAGES
from benchmarks.papers.layout import Layout
from benchmarks.papers.markup import to_plain, to_typst
from benchmarks.papers.writer import CaptionText

_ROMAN = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"]
_COLOURS = [(0, 80, 150), (150, 30, 30), (0, 110, 90), (60, 60, 60)]


@dataclass(frozen=True)
class Caption:
    """A caption with its label, as printed.

    Attributes:
        index: Code of its figure or table in the coded paper, from 1.
        label: Word and number, without the separator.
        text: Title and note, with tags.
        table: Whether it is the caption of a table.
    """

    index: int
    label: str
    text: CaptionText
    table: bool = False

    @property
    def plain(self) -> str:
        """The text without tags."""
        return to_plain(f"{self.text.title} {self.text.note}")


class Captioner:
    """Typesets the captions of one paper."""

    def __init__(self, layout: Layout, rng: Random) -> None:
        self.look = layout.caption
        self.body = layout.body
        self.colour = rng.choice(_COLOURS)
        self.apart = self.look.stand == "apart"
        self._chapter = rng.randint(1, 5)
        self._faux = rng.random() < 0.5
        self._words = LANGUAGES[layout.body.language]
        self._table_word = rng.choice(self._words.table)
        self._cited = rng.choice(self._words.cited)

    def label(self, number: int, table: bool = False) -> str:
        """Return the label of figure or table `number`, as printed."""
        look = self.look
        word, joint = (self._table_word, " ") if table else (look.word, look.joint)
        number_text = str(number)
        if look.numbering == "chapter":
            number_text = f"{self._chapter}.{number}"
        elif look.numbering == "roman":
            number_text = _ROMAN[(number - 1) % len(_ROMAN)]
        elif look.numbering == "letter" or (word.startswith("Suppl") and self._faux):
            number_text = f"S{number}"
        if look.mark == "upper" or (look.mark == "smallcaps" and self._faux):
            word = word.upper()
        return word + joint + number_text

    def cited(self, number: int) -> str:
        """Return a citation of figure `number` in the text."""
        label = self.label(number)
        digits = label[len(self.look.word + self.look.joint) :]
        plain = self.look.word in self._words.figure and self.look.word.lower().startswith(
            ("fig", "abb", "图", "図")
        )
        word = self._cited if plain else self.look.word
        return word + ("" if not self._words.spaced else " ") + digits

    def label_code(self, caption: Caption, after: str = "") -> str:
        """Return the label in its weight, shape and colour, and the text `after` it."""
        role = "table-label" if caption.table else "label"
        return f'#inked("{role}", {caption.index})[{self._marked(caption.label)}{to_typst(after)}]'

    def _marked(self, label: str) -> str:
        mark, code = self.look.mark, to_typst(label)
        if mark == "smallcaps":
            if not self._faux:
                return f"#smallcaps[{code}]"
            return f"{to_typst(label[0])}#text(size: 0.8em)[{to_typst(label[1:])}]"
        if mark == "coloured":
            return "#tint(rgb({}, {}, {}))[#strong[{}]]".format(*self.colour, code)
        if mark == "bold_italic":
            return f"#strong[#emph[{code}]]"
        return {"bold": f"#strong[{code}]", "italic": f"#emph[{code}]"}.get(mark, code)

    def code(self, caption: Caption, width: str = "100%", gutter: float | None = None) -> str:
        """Return the caption, without its label if that is separate.

        Args:
            caption: The caption.
            width: Typst length of its width.
            gutter: Distance between its two columns, `None` for one column.
        """
        stand = self.look.stand if not caption.table or not self.apart else "inline"
        separator = to_typst(self.look.separator)
        if stand in ("apart", "bar"):
            piece = self._piece(caption, width, self._columns(caption, "", gutter))
            return f"{self._bar(caption, width)}\n{piece}" if stand == "bar" else piece
        joint = "#linebreak();" if stand == "own_line" else ""
        head = self.label_code(caption) + separator + joint
        return self._piece(caption, width, self._columns(caption, head, gutter))

    def _columns(self, caption: Caption, head: str, gutter: float | None) -> str:
        """Return the caption text after its `head`, in two columns if there is a gutter."""
        title, note = caption.text.title, caption.text.note
        if gutter is None:
            return head + self._text(title, note)
        if self.look.turn == "title" and note:
            over = f"#block(spacing: style.caption-leading)[{head}{self._text(title, '')}]"
            return f"{over}#balanced({gutter}pt)[{self._note(note)}]"
        if self.look.turn == "sentence" and (turn := self._turn(title, note)):
            left, right = head + self._text(title, note[:turn]), self._note(note[turn:])
            return f"#halves({gutter}pt)[{left}][{right}]"
        return f"#balanced({gutter}pt)[{head}{self._text(title, note)}]"

    def _turn(self, title: str, note: str) -> int | None:
        """Return the sentence boundary nearest to the middle, where the second column begins."""
        ends = [match.end() for match in re.finditer(re.escape(self._words.stop), note)]
        whole = [
            k for k in ends if k < len(note) and "<" not in re.sub(r"<(\w+)>.*?</\1>", "", note[:k])
        ]
        middle = (len(note) - len(title)) / 2
        return min(whole, key=lambda k: abs(k - middle), default=None)

    def over(self, caption: Caption) -> str:
        """Return the separate label above its figure."""
        label = self.label_code(caption, self.look.separator)
        return self._piece(caption, "100%", label)

    def _bar(self, caption: Caption, width: str) -> str:
        """Return the label in a separate coloured bar."""
        dark = self._faux
        fill = self.colour if dark else (225, 232, 240)
        label = self.label_code(caption)
        label = f"#tint(white)[{label}]" if dark and self.look.mark != "coloured" else label
        piece = self._piece(caption, "100%", label)
        paint = "rgb({}, {}, {})".format(*fill)
        if dark and self.look.mark == "coloured":
            paint = "rgb(225, 232, 240)"
        return f"#block(width: {width}, fill: {paint}, inset: 3pt, below: 3pt)[{piece}]"

    def _text(self, title: str, note: str) -> str:
        title, note = to_typst(title), self._note(note) if note else ""
        space = to_typst(" ") if note and self._words.spaced else ""
        split = self.look.split
        if split == "none":
            return title + space + note
        title = f"#strong[{title}]"
        if split == "bold_title" or not note:
            return title + space + note
        return f"{title}#parbreak();{note}"

    def _note(self, note: str) -> str:
        code = to_typst(note)
        if self.look.split == "note_sans":
            return f'#text(font: "{self.body.sans}", size: 0.9em)[{code}]'
        return code

    def _piece(self, caption: Caption, width: str, body: str) -> str:
        role = "table-caption" if caption.table else "caption"
        return f'#piece("{role}", {caption.index}, {width})[{body}]'
