"""Whether the cause that an answer gives can be that of the source.

Where the source names a cause in so many words ("due to", "because") for what the question asks,
an answer is rejected that shares no word with it, and hardly one with the source at all. And an
answer to "why" brings in no agent of its own: an organism, a beam, a metal of which neither the
source nor the question speaks.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from cephalo.dataset_scripts.refinement.words import (
    UNSPECIFIC,
    content,
    named,
    sentences,
    subject,
)

EFFECT_SHARE, EFFECT_WORDS = 0.5, 3  # of the question's words that the effect in the source has
STRANGE_SHARE = 0.6  # of an answer's words that the source lacks, from which its cause is strange
FEWEST = 3  # words of an answer that its question does not have

# Agents that do something to a material, and what only they do. Such a cause stands in the source.
_AGENTS = content(
    """
    bacteria bacterium microbe microorganism virus fungus fungi mould algae insect worm enzyme
    plankton
    gold silver platinum palladium copper zinc mercury chromium nickel cobalt cadmium arsenic
    hydrogen helium argon chlorine fluorine iodine
    laser ultraviolet ultrasound ultrasonic sonication microwave x-ray neutron proton beam radiation
    radioactive sunlight lamp
    magnet magnetic gravity gravitational
    moisture humidity rain dust dirt rust glue paint plastic rubber soap detergent pesticide bamboo
    steam burn burnt burning fire flame smoke explode explosion evaporate evaporated evaporation
    drill drilled abrasive abrasion worn leak leaked leakage
    thermocouple thermometer sensor detector lens cable wiring
    operator technician camera software photograph
    """
)

_WHY = re.compile(
    r"\b(?:why|what (?:causes?|caused|makes?|made|explains?|is the (?:reason|cause|origin)"
    r"|leads? to)|how come"
    r"|what (?:is|are|was|were) .* (?:due|owing|attributed) to|for what reason"
    r"|where does .* come from)\b",
    re.IGNORECASE,
)
_BEFORE_CAUSE = re.compile(
    r"\b(?:due to|because(?: of)?|since|caused by|attribut(?:ed|able) to|owing to"
    r"|as a (?:result|consequence) of"
    r"|results? from|resulting from|explained by|induced by|driven by|stems? from"
    r"|originates? from|arises? from"
    r"|ascribed to|thanks to|related to|by virtue of)\b",
    re.IGNORECASE,
)
_BEFORE_EFFECT = re.compile(
    r"\b(?:leads? to|led to|leading to|results? in|resulted in|resulting in|causes?"
    r"|caused(?! by)|causing|thus|therefore"
    r"|hence|so that|which (?:ensures?|improves?|increases?|reduces?|enables?|allows?"
    r"|suppress(?:es)?|prevents?)"
    r"|ensures?|enables?|allows?|can (?:shorten|improve|inhibit|reduce|increase|enhance"
    r"|suppress))\b",
    re.IGNORECASE,
)


def strange_cause(
    question: str,
    answer: str,
    passages: tuple[str, ...],
    others: tuple[tuple[str, ...], ...] = (),
) -> str | None:
    """That an answer gives another cause than the source, in a line.

    An agent of which the paper speaks at one of its `others`, the other figures, is not foreign.
    """
    if not _WHY.search(question):
        return None
    asked = subject(question)
    said = subject(answer) - asked
    known = subject(" ".join(passages))
    agents = (subject(answer) & _AGENTS) - known - asked
    if agents and (agents := agents - words_of_all(others)):
        return f"{named(agents)}: the source speaks of no such cause"
    if len(said) < FEWEST or len(said - known) < STRANGE_SHARE * len(said):
        return None
    causes = [
        cause
        for effect, cause in causes_of(passages)
        if len(asked & effect) >= max(EFFECT_WORDS, EFFECT_SHARE * len(asked))
    ]
    given = frozenset().union(*causes) - asked - UNSPECIFIC
    if not given or given & said:
        return None
    return f"{named(said - known)}: the source gives another cause ({named(given)})"


@lru_cache(maxsize=64)
def words_of_all(figures: tuple[tuple[str, ...], ...]) -> frozenset[str]:
    """The stems of what is said of some figures."""
    return subject(" ".join(passage for passages in figures for passage in passages))


@lru_cache(maxsize=256)  # one source is asked about for every answer on it
def causes_of(passages: tuple[str, ...]) -> tuple[tuple[frozenset[str], frozenset[str]], ...]:
    """The effects and causes of which a source speaks, as stems."""
    return tuple(
        pair
        for passage in passages
        for sentence in sentences(passage)
        for pair in causes_in(sentence)
    )


def causes_in(sentence: str) -> Iterator[tuple[frozenset[str], frozenset[str]]]:
    """The effect and the cause of a sentence that names both."""
    if match := _BEFORE_CAUSE.search(sentence):
        yield subject(sentence), subject(sentence[match.end() :])
    elif match := _BEFORE_EFFECT.search(sentence):
        yield subject(sentence), subject(sentence[: match.start()])
