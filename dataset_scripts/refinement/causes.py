"""Detect causes in an answer that the source does not contain.

An answer to "why" must not name an agent (an organism, a radiation, a metal) that neither the
source nor the question mentions.
"""

import re
from functools import lru_cache

from cephalo.dataset_scripts.refinement.words import (
    content,
    named,
    subject,
)

# Agents that act on a material, and words specific to their action. The source must contain them.
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
    contaminated contamination infected infection poison poisoned
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


def strange_cause(
    question: str,
    answer: str,
    passages: tuple[str, ...],
    others: tuple[tuple[str, ...], ...] = (),
) -> str | None:
    """Return the causes in an answer that the source does not mention, formatted as one line, or
    None.

    `others` are the passages about the other figures of the paper; agents mentioned there are
    accepted.
    """
    if not _WHY.search(question):
        return None
    asked = subject(question)
    agents = (subject(answer) & _AGENTS) - subject(" ".join(passages)) - asked
    if agents and (agents := agents - words_of_all(others)):
        return f"{named(agents)}: the source speaks of no such cause"
    return None


@lru_cache(maxsize=64)
def words_of_all(figures: tuple[tuple[str, ...], ...]) -> frozenset[str]:
    """Return the stems of all passages about some figures."""
    return subject(" ".join(passage for passages in figures for passage in passages))
