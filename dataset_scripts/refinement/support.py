"""What supports the quantities that an answer states.

A quantity is supported where the source states it (in another unit, or less rounded), where it
follows from quantities of the source, where it counts what the source lists or the figure shows,
where it is a known constant, or where it is printed in the figure.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from cephalo.dataset_scripts.refinement.counting import (
    FREE,
    counted,
    listed,
    mentions,
    repeated,
    same_count,
)
from cephalo.dataset_scripts.refinement.derivations import derive
from cephalo.dataset_scripts.refinement.facts import known_fact
from cephalo.dataset_scripts.refinement.figure_words import read_words
from cephalo.dataset_scripts.refinement.owners import GENERIC, owned_in_all, weight_of
from cephalo.dataset_scripts.refinement.quantities import GAP, Quantity, agrees, fold, parse
from cephalo.dataset_scripts.refinement.quotation import Source
from cephalo.dataset_scripts.refinement.reactions import balanced
from cephalo.dataset_scripts.refinement.units import UNIT, Unit, unit
from cephalo.dataset_scripts.refinement.words import stems

MOST_TOLD = 40  # quantities before a claim, in its turn and those before, that it may follow from
PAIR = "a pair at most"
HALF = 0.5
SHORT = 10  # words; what a shorter answer derives is told by its question
MOST_OF_NAME = 2  # quantities that a name may have to be told by it
SMALL = 12  # counts up to it may be of what is seen or listed
# A turn about the axes of a plot may name their printed numbers.
_AXES = re.compile(
    r"\b(?:header|heading|legend|inscription|printed"
    r"|ax[ei]s|ordinates?|abscissas?|ticks?|scale|plotted|drawn against|labell?ed|graduat\w+"
    r"|(?:plot|diagram|curve|graph|panel|chart|spectr\w+)s?\b[^.?]{0,80}\b(?:ranges?|extends?|runs?|covers?"
    r"|covered|spans?|from))\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z(\[])|\n+")
_HOW_MANY = re.compile(r"\b[Hh]ow many ((?:[a-z-]+ ?){1,6})")
_HOW_OFTEN = re.compile(r"\b[Hh]ow (?:often|many times)\b")
# The dose, concentration, time or size that parts halves: LD50, EC50, IC50, GI50, DT50, T50, d50.
_MEDIAN = re.compile(
    r"\b(?:(?:[LEIT][CDT]|GI|GR|MIC|DT|T|[Dd])\s?50|median|half-(?:life|time|maximal))\b"
)
_EACH = re.compile(r"\b(?:each|every|per|an?|one) (second|minute|hour|day|week|year)\b")
_RATE = re.compile(r"(?: [a-z-]+){1,2} (?:per|an?|each|every) (?P<time>second|minute|hour|day)\b")
_PER_TIME = {"second": "s-1", "minute": "min-1", "hour": "h-1", "day": "d-1"}
_YEARS = re.compile(
    r"\b(?P<first>1[89]\d\d|20\d\d)\s?(?:-|\u2013|to|and|until|through|till)\s?(?P<last>1[89]\d\d|20\d\d)\b"
)
_OF_HUNDRED = re.compile(r"\b(?P<part>\d+(?:\.\d+)?) (?:out )?of (?:every |each )?$")
# What one reads off a plot or a gel by eye.
_READ_OFF = re.compile(
    r"\b(?:bars?|curves?|(?:data )?points?|bands?|dots?|markers?|symbols?|squares?|circles?"
    r"|triangles?)\b",
    re.IGNORECASE,
)
BY_EYE = 2  # significant digits that one reads off a plot at most
_LETTERS = re.compile(r"[a-z]{4,}")
_WORD = re.compile(r"[^\W\d_]{4,}")
_STEM = 6  # letters


@dataclass(frozen=True)
class Support:
    """What supports a claim: `by` is "source", "derived", "counted", "known", "printed" or "seen".

    What is "seen" is read off the image, about which text cannot know.
    """

    claim: str
    by: str
    basis: str

    @property
    def says_more(self) -> bool:
        """Whether the basis is more than the claim itself."""
        return self.basis not in (self.claim, PAIR)


@dataclass(frozen=True)
class Account:
    """The supports of the quantities of a conversation, and the first that has none."""

    supports: tuple[Support, ...]
    missing: str | None


def missing_quantity(text: str, source: str) -> str | None:
    """The first quantity of `text` that a source of this text alone does not support, or None."""
    return account((("", text),), Source("", (source,), "")).missing


@lru_cache(maxsize=16)  # asked for by the check and for the row; holds images
def account(turns: tuple[tuple[str, str], ...], source: Source) -> Account:
    """Go through the quantities of (question, answer) turns, in order.

    A question has to be supported too, since it tells what it asks; its quantities may then be
    used in its answer.
    """
    supports: list[Support] = []
    told: list[Quantity] = []
    for question, answer in turns:
        for text in (question, answer):
            told = [*told, *parse(text)][-MOST_TOLD:]
            for claim in parse(text):
                support = support_of(claim, text, f"{question} {answer}", told, source)
                if support is None:
                    return Account(tuple(supports), f"{claim.text}: {unsupported(claim)}")
                supports.append(support)
    return Account(tuple(supports), None)


def unsupported(claim: Quantity) -> str:
    """What a claim without support lacks."""
    if claim.is_count and claim.value <= SMALL:
        return "no count of the source, of a list in it, or of panels"
    return "neither in the source nor a result of its quantities"


def support_of(
    claim: Quantity, text: str, turn: str, told: list[Quantity], source: Source
) -> Support | None:
    """What supports a claim that a `text` of a `turn` makes; `told` are quantities of the turn."""
    sentence = sentence_at(text, claim.start)
    if claim.noun.startswith("point") and "%" in turn:  # percentage points
        points = f"{claim.text} points"
        claim = replace(claim, text=points, unit=unit("%"), noun="", change=True)
    if claim.is_count and claim.value <= FREE:
        return Support(claim.text, "counted", PAIR)
    if any(start <= claim.start < end for start, end in balanced(text)):
        return Support(claim.text, "known", "an equation that is balanced")
    if claim.noun and (rate := _RATE.match(text, claim.end)):  # "1,870 turnovers per minute"
        claim = replace(claim, unit=unit(_PER_TIME[rate["time"]]), noun="")
    told = [*told, *each_unit(turn), *elliptic(claim, told, turn)]
    others = [one for one in told if one is not claim and not _same(one, claim)]
    things = counted_things(claim, text, turn)
    if claim.is_count and claim.value <= SMALL and things:
        if basis := count_basis(claim, things, text, sentence, turn, source):
            return Support(claim.text, "counted", basis)
        found = derive(claim, sentence, others, (), ())
        return found and Support(claim.text, "derived", found.text)
    often = claim.kind == "times" and claim.value % 1 == 0 and _HOW_OFTEN.search(turn)
    if often and same_count(int(claim.value), source.text, tuple(_LETTERS.findall(turn.lower()))):
        return Support(claim.text, "counted", "a count of the source")
    for other in parse(source.text):
        if states(other, claim):
            same = (claim.value, claim.unit) == (other.value, other.unit)
            return Support(claim.text, "source", claim.text if same else other.text)
    whole = turn if len(sentence.split()) < SHORT else sentence  # its question says what it is
    groups = (named_group(turn, source.passages), *groups_about(turn, source.text))
    found = derive(claim, whole, others, groups, parse(source.text))
    if found:
        return Support(claim.text, "derived", found.text)
    if claim.kind == "times" and claim.value == HALF and _MEDIAN.search(f"{turn} {source.text}"):
        return Support(claim.text, "known", "a median dose or time")
    if basis := counted_years(claim, f"{text} {source.text}"):
        return Support(claim.text, "known", basis)
    if basis := spelled_percent(claim, text, [*told, *parse(source.text)]):
        return Support(claim.text, "known", basis)
    if fact := known_fact(claim, turn, sentences(source.text)):
        return Support(claim.text, "known", fact)
    if basis := printed_basis(claim, turn, source):
        return Support(claim.text, "printed", basis)
    by_eye = claim.approximate and abs(claim.value) < 10**BY_EYE * claim.place
    if by_eye and _READ_OFF.search(turn):
        return Support(claim.text, "seen", "the image")
    return None


def elliptic(claim: Quantity, told: list[Quantity], turn: str) -> list[Quantity]:
    """Bare numbers that are compared, in the unit of a claim: "by 0.1 days, from 0.6 to 0.5"."""
    if not claim.unit:
        return []
    bare = [one for one in told if one.unit is None and one.kind == "value"]
    text = fold(turn)
    pairs = [
        pair for pair in pairwise(bare) if re.search(compared(*pair), text) and pair[0] is not claim
    ]
    return [replace(one, unit=claim.unit, noun="") for pair in pairs for one in pair]


def compared(one: Quantity, other: Quantity) -> str:
    """A pattern of two numbers that are compared: "0.6 to 0.5", "110 instead of 106"."""
    return rf"(?<![\w.]){re.escape(one.text)}{GAP.pattern}{re.escape(other.text)}(?![\w.]\w)"


def counted_years(claim: Quantity, text: str) -> str | None:
    """The span of years in `text` that a claim counts, with or without its first year: "2017 to
    2022" are five or six years."""
    if claim.unit != unit("year") and not claim.noun.startswith("year"):
        return None
    for match in _YEARS.finditer(text):
        years = int(match["last"]) - int(match["first"])
        if claim.value in (years, years + 1):
            return match.group()
    return None


def spelled_percent(claim: Quantity, text: str, stated: list[Quantity]) -> str | None:
    """The stated percentage that a claim of 100 spells out: "65 of 100" is 65 %."""
    part = _OF_HUNDRED.search(text[: claim.start])
    if claim.value != 100 or claim.unit or not part:
        return None
    percent = parse(f"{part['part']} %")[0]
    return percent.text if any(one.unit and agrees(percent, one) for one in stated) else None


def each_unit(turn: str) -> list[Quantity]:
    """What "each minute" says without a number."""
    return [one for name in _EACH.findall(turn) for one in parse(f"1 {name}")]


def states(other: Quantity, claim: Quantity) -> bool:
    """Whether a source that holds `other` states the claim.

    Where one of them has no unit, it must not count things that have a name.
    """
    if claim.kind == "times" and other.kind == "value" and not other.unit:
        return False
    if claim.unit and not other.unit and (other.noun or other.kind == "times"):
        return False
    if other.unit and not claim.unit and claim.noun and claim.kind == "value":
        return False
    return agrees(claim, other)


def counted_things(claim: Quantity, text: str, turn: str) -> tuple[str, ...]:
    """The words that may name what a number counts: those after it, or after "how many"."""
    following = text[claim.end : claim.end + 40].lower() if claim.noun else ""
    asked = _HOW_MANY.search(turn)
    words = f"{following} {asked.group(1).lower() if asked else ''}"
    return tuple(_LETTERS.findall(words)[:8])


def count_basis(
    claim: Quantity,
    things: tuple[str, ...],
    text: str,
    sentence: str,
    turn: str,
    source: Source,
) -> str | None:
    """What a small whole number of `things` counts, or None."""
    wanted, part = int(claim.value), _is_partitive(claim, text)
    if same_count(wanted, source.text, things if part else ()):
        return "a count of the source"
    if repeated(wanted, source.text, things):
        return f"{wanted} times in the source"
    if basis := counted(wanted, things, source.panels, source.text):
        return basis
    if part:
        return None
    if any(wanted in listed(one) for one in sentences(source.text) if mentions(one, things)):
        return f"a list of {wanted} in the source"
    if wanted in listed(sentence) or wanted in listed(turn):
        return "listed beside it"
    return None


def _is_partitive(claim: Quantity, text: str) -> bool:
    """Whether a number is said of a part: "five of the micrographs"."""
    return bool(re.match(r"\s+of\s+(?:the|these|those|its|their|them|all)\b", text[claim.end :]))


def _same(one: Quantity, other: Quantity) -> bool:
    """Whether two quantities state the same, so that one is no basis of the other."""
    return one.text == other.text or (one.unit == other.unit and one.value == other.value)


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


@lru_cache(maxsize=256)
def groups_about(turn: str, source: str) -> tuple[list[Quantity], ...]:
    """The quantities of each sentence of a source that is about what a turn is about.

    Those are the sentences that share half as many words with it as the one that shares most.
    """
    said = _stems(turn)
    found = [(len(said & _stems(one)), list(parse(one))) for one in sentences(source)]
    found = [(shared, group) for shared, group in found if len(group) > 1]
    most = max((shared for shared, _ in found), default=0)
    return tuple(group for shared, group in found if most and 2 * shared >= most)


@lru_cache(maxsize=256)
def named_group(turn: str, passages: tuple[str, ...]) -> list[Quantity]:
    """The quantities of a source whose owners a turn names: "β-ocimene" and "spathulenol"."""
    said = stems(turn)
    owners = [
        (one.quantity, {s for s in one.near if weight_of(s) > GENERIC})
        for one in owned_in_all(passages)
    ]
    of_name = Counter(name for _, names in owners for name in names)
    return [
        quantity
        for quantity, names in owners
        if any(name in said and of_name[name] <= MOST_OF_NAME for name in names)
    ]


def _stems(text: str) -> set[str]:
    return {word[:_STEM].lower() for word in _WORD.findall(text)}


def printed_basis(claim: Quantity, turn: str, source: Source) -> str | None:
    """What is printed in the figures that says a claim of a turn, or None.

    Numbers at the ticks of an axis have their unit in its title, and are told as they are.
    """
    told_axes = claim.kind == "value" and not claim.approximate and bool(_AXES.search(turn))
    for words in printed_words(source):
        titled = titles(claim.unit, words) if told_axes and claim.unit else [None]
        for word in words:
            for other in parse(word):
                if other.unit:
                    found = states(other, claim)
                elif told_axes and not claim.noun:
                    ticks = (replace(other, unit=title) for title in titled)
                    found = any(claim.place <= one.place and agrees(claim, one) for one in ticks)
                else:
                    found = False
                if found:
                    return f"{word[:60]!r} in the figure"
    return None


def titles(wanted: Unit, words: tuple[str, ...]) -> list[Unit]:
    """The units of one dimension in the titles of axes: "Depth (mm)".

    OCR loses raised digits, so that "mAh g" has to do for mAh/g.
    """
    found = []
    for word in map(fold, words):
        for match in UNIT.finditer(word):
            alone = not word[max(match.start() - 1, 0) : match.start()].isalnum()
            known = unit(match.group()) if alone else None
            if known and known.dimension == wanted.dimension:
                found.append(known)
        if len(_letters(wanted.name)) > 1 and _letters(wanted.name) in _letters(word):
            found.append(wanted)
    return found


def printed_words(source: Source) -> Iterator[tuple[str, ...]]:
    """The text in each figure: from the PDF file's text layer, or read from the picture."""
    for figure in source.figures:
        yield figure.words
        if not figure.words and figure.image:
            yield read_words(figure.image)


def _letters(text: str) -> str:
    return "".join(filter(str.isalpha, text))
