"""Words and sentences of the generated papers, read from the TOML files beside this module.

Sentences are templates. Their slots: {mat} a material, {proc} a treatment, {prop} a property,
{tool} an instrument, {obs} what is seen, {q} a quantity with its unit, {f} a formula, {s} a
symbol, {n} a number, {d} a digit, {cite} a citation, {fig} a figure's label.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).with_name("words")


@dataclass(frozen=True)
class Shared:
    """Words of figures, formulas and references, whatever the language of the paper."""

    axes: list[str]
    leaves: list[str]
    steps: list[str]
    heads: list[str]
    surnames: list[str]
    journals: list[str]
    formulas: list[str]
    quantities: list[str]
    symbols: list[str]


@dataclass(frozen=True)
class Language:
    """What a paper of one language is written with.

    Attributes:
        slots: Fillers of the slots of its templates.
        body: Sentences of running text.
        titles: First sentences of captions, without the full stop.
        notes: Further sentences of captions.
        parts: Descriptions of panels, without marks and full stop.
        mentions: Sentences about a figure, some beginning with its label.
        figure: Words that captions of figures begin with; the more usual ones several times.
        table: Words that captions of tables begin with.
        cited: Words by which the text cites figures.
        headings: Section titles.
        see: Note under a figure whose caption is on the next page.
        before: Note under a figure whose caption is on the page before.
        continued: Caption of a figure that goes on.
        legends: Heading of a list of captions.
        references: Heading of the references.
        stop: Full stop with the space that follows it.
        spaced: Whether words are separated by spaces.
    """

    slots: dict[str, list[str]]
    body: list[str]
    titles: list[str]
    notes: list[str]
    parts: list[str]
    mentions: list[str]
    figure: list[str]
    table: list[str]
    cited: list[str]
    headings: list[str]
    see: str
    before: str
    continued: str
    legends: str
    references: str
    stop: str
    spaced: bool


def _read(name: str) -> dict:
    return tomllib.loads((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))


SHARED = Shared(**_read("shared"))
# By ISO 639-1 code, as Typst takes it.
LANGUAGES = {code: Language(**_read(code)) for code in ("en", "de", "fr", "es", "pt", "zh", "ja")}
