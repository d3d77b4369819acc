"""What an answer states: its quantities in order, each with the text that it stands in."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from cephalo.dataset_scripts.refinement.quantities import Quantity, parse
from cephalo.dataset_scripts.refinement.units import unit

SMALL = 12  # counts up to it may be of what is seen or listed
SHORT = 10  # words; what a shorter answer derives is told by its question
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z(\[])|\n+")
_HOW_MANY = re.compile(r"\b[Hh]ow many ((?:[a-z-]+ ?){1,6})")
LETTERS = re.compile(r"[a-z]{4,}")
_RATE = re.compile(r"(?: [a-z-]+){1,2} (?:per|an?|each|every) (?P<time>second|minute|hour|day)\b")
_PER_TIME = {"second": "s-1", "minute": "min-1", "hour": "h-1", "day": "d-1"}


@dataclass(frozen=True)
class Claim:
    """A quantity that a `text` states, which is a question or an answer of `turn`.

    `number` is that of the turn.
    """

    quantity: Quantity
    text: str
    turn: str
    number: int

    @cached_property
    def sentence(self) -> str:
        return sentence_at(self.text, self.quantity.start)

    @property
    def context(self) -> str:
        """What says what the quantity is: its sentence, of a short one the question too."""
        return self.turn if len(self.sentence.split()) < SHORT else self.sentence

    @cached_property
    def things(self) -> tuple[str, ...]:
        """The words that may name what the number counts: after it, or after "how many"."""
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
    """The quantities of (question, answer) turns, in order.

    A question has to be supported too, since it tells what it asks.
    """
    for number, (question, answer) in enumerate(turns):
        turn = f"{question} {answer}"
        for text in (question, answer):
            for one in parse(text):
                yield Claim(read_on(one, text, turn), text, turn, number)


def read_on(one: Quantity, text: str, turn: str) -> Quantity:
    """A quantity with what the words after it say: percentage points, turnovers per minute."""
    if one.noun.startswith("point") and "%" in turn:
        points = f"{one.text} points"
        return replace(one, text=points, unit=unit("%"), noun="", change=True)
    if one.noun and (rate := _RATE.match(text, one.end)):  # "1,870 turnovers per minute"
        return replace(one, unit=unit(_PER_TIME[rate["time"]]), noun="")
    return one


def sentences(text: str) -> list[str]:
    """The sentences of a text."""
    return _SENTENCE.split(text)


def sentence_at(text: str, place: int) -> str:
    """The sentence of a text that holds the character at `place`."""
    start = 0
    for match in _SENTENCE.finditer(text):
        if match.start() > place:
            return text[start : match.start()]
        start = match.end()
    return text[start:]
