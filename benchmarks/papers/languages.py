"""Words and sentences of the generated papers, from the TOML files beside this module.

Sentences are templates with the slots {mat} (material), {proc} (treatment), {prop} (property),
{tool} (instrument), {obs} (observation), {q} (quantity with unit), {f} (formula), {s} (symbol), {n}
(number), {d} (digit), {cite} (citation) and {fig} (label of a figure).
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).with_name("words")


@dataclass(frozen=True)
class Shared:
    """Words of figures, formulas and references for all languages."""

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
    """Words and templates of one language.

    Attributes:
        slots: Fillers of the slots of its templates.
        body: Sentences of running text.
        titles: First sentences of captions, without the full stop.
        notes: Further sentences of captions.
        parts: Descriptions of panels, without marks and full stop.
        mentions: Sentences about a figure, some beginning with its label.
        figure: First words of figure captions; frequent ones are repeated.
        table: First words of table captions.
        cited: Words for citing figures in the text.
        headings: Section titles.
        see: Note below a figure whose caption is on the next page.
        before: Note below a figure whose caption is on the previous page.
        continued: Caption of a continued figure.
        legends: Heading of a list of captions.
        references: Heading of the references.
        stop: Full stop and the following space.
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
# By ISO 639-1 code, as used by Typst.
LANGUAGES = {code: Language(**_read(code)) for code in ("en", "de", "fr", "es", "pt", "zh", "ja")}
