"""Write sentences, captions and references from a language's templates."""

import re
from dataclasses import dataclass
from random import Random

from benchmarks.papers.languages import SHARED, Language

_DASH = "\u2013"
_INITIALS = "ABCDEFGHJKLMNPRST"
_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Spice:
    """Probabilities of elements in captions that change the appearance of a line.

    Attributes:
        symbols: A symbol with indices or a fraction instead of a sentence.
        words: Highlighted, coloured, bold or small-capital words.
        breaks: A paragraph break between two sentences.
    """

    symbols: float
    words: float
    breaks: float


@dataclass(frozen=True)
class CaptionText:
    """The text of a caption without its label. At most one part is empty."""

    title: str
    note: str


class Writer:
    """Writes text in one language with one random generator."""

    def __init__(self, language: Language, rng: Random) -> None:
        self.language = language
        self.rng = rng
        self._citation = rng.choice(["[{n}]", "[{n}]", "<sup>{n}</sup>", "({name} et al., 20{n})"])

    def sentence(self, templates: list[str], fig: str = "") -> str:
        """Return a sentence without its full stop; capitalised slots begin with a capital."""

        def fill(slot: re.Match) -> str:
            name = slot[1]
            if name == "fig":
                return fig
            text = self._filler(name.lower())
            return text[0].upper() + text[1:] if name[0].isupper() else text

        text = self.rng.choice(templates)
        while _SLOT.search(text):
            text = _SLOT.sub(fill, text)
        return text.replace("Supplementary Supplementary", "Supplementary")

    def _filler(self, name: str) -> str:
        rng = self.rng
        if name == "n":
            return str(rng.randint(2, 98))
        if name == "d":
            return str(rng.randint(1, 9))
        if name == "name":
            return rng.choice(SHARED.surnames)
        if name == "cite":
            return self._citation
        shared = {"q": SHARED.quantities, "f": SHARED.formulas, "s": SHARED.symbols}
        return rng.choice(shared.get(name) or self.language.slots[name])

    def paragraph(self, sentences: int, mentions: list[str] = ()) -> str:
        """Return a paragraph of running text that cites each of the labels `mentions`."""
        texts = [self.sentence(self.language.body) for _ in range(sentences)]
        for label in mentions:
            sentence = self.sentence(self.language.mentions, label)
            texts.insert(self.rng.choice([0, self.rng.randint(0, len(texts))]), sentence)
        return self.joined([_capital(text) for text in texts])

    def joined(self, sentences: list[str]) -> str:
        """Join sentences with full stops and separators."""
        return "".join(text + self.language.stop for text in sentences).rstrip()

    def caption(self, sentences: int, panels: list[str], spice: Spice) -> CaptionText:
        """Return a caption of about `sentences` sentences that describes the marks `panels`."""
        rng = self.rng
        title = self.sentence(self.language.titles)
        texts = [self._spiced(_capital(text), spice) for text in self._parts(panels)]
        for _ in range(sentences - 1):
            texts.append(self._spiced(_capital(self.sentence(self.language.notes)), spice))
        if texts and rng.random() < spice.breaks:
            at = rng.randrange(len(texts))
            texts[at] = "<p>" + texts[at]
        stop = self.language.stop.strip()
        # Short captions often have no full stop.
        end = "" if not texts and rng.random() < 0.3 else stop
        return CaptionText(_capital(title) + end, self.joined(texts))

    def _parts(self, marks: list[str]) -> list[str]:
        """Return one description per panel; neighbours may share one ("(b) and (c)", a range)."""
        rng, parts, k = self.rng, [], 0
        while k < len(marks):
            mark = marks[k]
            if k + 2 < len(marks) and rng.random() < 0.1:
                mark, k = f"{mark}{_DASH}{marks[k + 2]}", k + 2
            elif k + 1 < len(marks) and rng.random() < 0.1:
                mark, k = f"{mark} and {marks[k + 1]}", k + 1
            parts.append(f"{mark} {_capital(self.sentence(self.language.parts))}")
            k += 1
        if len(parts) > 1 and rng.random() < 0.2:
            return ["; ".join(parts)]
        return parts

    def _spiced(self, text: str, spice: Spice) -> str:
        """Mark one word of `text`, or append a symbol, with the probabilities of `spice`."""
        rng = self.rng
        if rng.random() < spice.symbols:
            text += " (" + self.sentence([rng.choice(SHARED.symbols)]) + ")"
        if rng.random() < spice.words and "<" not in text and self.language.spaced:
            words = text.split(" ")
            at = rng.randrange(len(words))
            tag = rng.choice(["hl", "red", "blue", "sc", "b", "i"])
            last = min(len(words), at + rng.randint(1, 3))
            words[at:last] = [f"<{tag}>{' '.join(words[at:last])}</{tag}>"]
            text = " ".join(words)
        return text

    def reference(self, number: int) -> str:
        """Return an entry of the list of references; some cite figures of other works."""
        rng = self.rng
        names = ", ".join(self._name() for _ in range(rng.randint(1, 6)))
        title = _capital(self.sentence(self.language.titles))
        journal, volume = rng.choice(SHARED.journals), rng.randint(1, 300)
        page, year = rng.randint(1, 9000), rng.randint(1968, 2025)
        pages = f"{page}{_DASH}{page + rng.randint(2, 15)}"
        where = f"<i>{journal}</i> <b>{volume}</b> ({year}) {pages}"
        return f"[{number}] {names}, {title}, {where}."

    def authors(self) -> str:
        """Return the line of authors."""
        rng = self.rng
        names = [f"{self._name()}<sup>{rng.randint(1, 3)}</sup>" for _ in range(rng.randint(1, 7))]
        return ", ".join(names)

    def _name(self) -> str:
        return f"{self.rng.choice(_INITIALS)}. {self.rng.choice(SHARED.surnames)}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:] if not text.startswith("<") else text
