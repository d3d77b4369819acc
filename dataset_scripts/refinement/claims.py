"""Extract the quantities that an answer states, in order, each with its sentence."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from cephalo.dataset_scripts.refinement.quantities import Quantity, parse
from cephalo.dataset_scripts.refinement.units import unit

SMALL = 12  # larger counts need the source; smaller ones can be seen or listed
SHORT = 10  # words; a shorter answer needs its question as context
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z(\[])|\n+")
_HOW_MANY = re.compile(r"\b[Hh]ow many ((?:[a-z-]+ ?){1,6})")
LETTERS = re.compile(r"[a-z]{4,}")
_RATE = re.compile(r"(?: [a-z-]+){1,2} (?:per|an?|each|every) (?P<time>second|minute|hour|day)\b")
_PER_TIME = {"second": "s-1", "minute": "min-1", "hour": "h-1", "day": "d-1"}


@dataclass(frozen=True)
class Claim:
    """A quantity stated in `text`, the question or the answer of `turn`. `number` is the index of
    the turn."""

    quantity: Quantity
    text: str
    turn: str
    number: int

    @cached_property
    def sentence(self) -> str:
        """The sentence that contains the quantity."""
        return sentence_at(self.text, self.quantity.start)

    @property
    def context(self) -> str:
        """The text that describes the quantity: its sentence, or the whole turn if that is
        short."""
        return self.turn if len(self.sentence.split()) < SHORT else self.sentence

    @cached_property
    def things(self) -> tuple[str, ...]:
        """Words that may name what the number counts: those after it and those after "how many"."""
        one = self.quantity
        following = self.text[one.end : one.end + 40].lower() if one.noun else ""
        asked = _HOW_MANY.search(self.turn)
        words = f"{following} {asked.group(1).lower() if asked else ''}"
        return tuple(LETTERS.findall(words)[:8])

    @property
    def is_small_count(self) -> bool:
        """Whether this is a small whole number of named things."""
        return self.quantity.is_count and self.quantity.value <= SMALL and bool(self.things)


def claims_of(turns: tuple[tuple[str, str], ...]) -> Iterator[Claim]:
    """Yield the quantities of (question, answer) turns, in order.

    Questions are included because what they presuppose must be supported too.
    """
    for number, (question, answer) in enumerate(turns):
        turn = f"{question} {answer}"
        for text in (question, answer):
            for one in parse(text):
                yield Claim(read_on(one, text, turn), text, turn, number)


def read_on(one: Quantity, text: str, turn: str) -> Quantity:
    """Complete a quantity from the words after it: percentage points, turnovers per minute."""
    if one.noun.startswith("point") and "%" in turn:
        points = f"{one.text} points"
        return replace(one, text=points, unit=unit("%"), noun="", change=True)
    if one.noun and (rate := _RATE.match(text, one.end)):  # "1,870 turnovers per minute"
        return replace(one, unit=unit(_PER_TIME[rate["time"]]), noun="")
    return one


def sentences(text: str) -> list[str]:
    """Split a text into sentences."""
    return _SENTENCE.split(text)


def sentence_at(text: str, place: int) -> str:
    """Return the sentence that contains the character at `place`."""
    start = 0
    for match in _SENTENCE.finditer(text):
        if match.start() > place:
            return text[start : match.start()]
        start = match.end()
    return text[start:]
