"""Detect quantities that an answer assigns to another sample than its source does.

A quantity in the right amount but with the wrong owner is found by contrast: another quantity of
the same kind in the source has those words of the answer near it that this one lacks. A sentence
such as "79 Ω for graphene, against 129 Ω for carbon" is divided between its quantities; the items
of lists with "respectively" are paired.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby, pairwise
from math import fsum

from cephalo.dataset_scripts.refinement.derivations import derive_from_told
from cephalo.dataset_scripts.refinement.quantities import Quantity, agrees, digits_of, fold, parse
from cephalo.dataset_scripts.refinement.words import (
    ELEMENTS,
    UNSPECIFIC,
    clause_around,
    named,
    sentences,
    spelled_out,
    stems,
    stems_of,
    texts_of_words,
)
from cephalo.dataset_scripts.refinement.workings import workings

SMALL_COUNT = 12  # whole numbers without a unit up to this one are counts: "two peaks"
RIVAL = 0.6  # least weight of the rival's words in an answer
OUTWEIGHS = 2.0  # least ratio of that weight to the weight of the right owner's words
# Weights of "440", of "HAT-CN", of "graphene", of "sample".
NUMBER, NAME, NOUN, GENERIC = 1.5, 1.0, 0.7, 0.2
ROUNDED = 2.0  # significant digits; a rounded value may as well be another quantity
FROM_QUESTION = 0.6  # share of its weight for a word that occurs in the question only

# Where to divide a sentence between two quantities, the strongest boundary first.
_BOUNDARIES = [
    re.compile(pattern)
    for pattern in (
        r";",
        r"\b(?:while|whereas|but|although|though|versus|vs|against|compared|than|unlike"
        r"|ahead|behind)\b",
        r",\s(?:and|then|or|for|at|in|of|on|with)\b",
        r",|\)",
        r"\b(?:and|or|to)\b|/",
    )
]
_RANGE_GAP = re.compile(r"[^\w,;()]*(?:to|and|or|±|-)?[^\w,;()]*(?:±[^\w]*)?$")
_LIST_GAP = re.compile(
    r"(?:\s*±\s*[\d.]*)?[\s,;%°]*(?:\([^()]{0,30}\))?[\s,;%°]*(?:,|\band\b|\bor\b)?[\s,]*(?:±\s*)?$"
)
_ITEMS = re.compile(r"\s*[,;]\s*(?:and\s+)?|\s+and\s+|\s*&\s*")
_AFTER_ITEM = re.compile(
    r",|\s(?:were|was|are|is|had|have|has|amounts?|reach(?:es)?|equals?|delivers?|exhibits?|shows?"
    r"|gives?|gave|led|rose|fell|grew|respectively|for|of|in|on|at|by|from|with|under|to|that|which"
    r"|as|\w{3,}ed)\b|="
)
LONGEST_ITEM = 7  # words
NEAREST = 2  # lists before quantities that may name the owners
_STOP = re.compile(
    r".*\b(?:for|of|in|on|at|by|the|from|with|under|between|against|to|that|values?|as)\s",
    re.DOTALL,
)


_NAMED = re.compile(r"\w.*[A-Z]|[A-Z].*\d")


@dataclass(frozen=True)
class Owned:
    """A quantity and the stems that may name its owner.

    Attributes:
        near: Stems that are nearer to it than to any other quantity of its kind in the sentence.
        around: All other stems of the sentence and of the previous one.
        alone: Whether the sentence has no other quantity of its kind.
        place: Indices of the passage and the sentence.
    """

    quantity: Quantity
    near: frozenset[str]
    around: frozenset[str]
    alone: bool
    place: tuple[int, int] = (0, 0)


def wrong_owner(question: str, answer: str, passages: tuple[str, ...]) -> str | None:
    """Return the first quantity of an answer that the source assigns to something else, formatted
    as one line, or None."""
    stated = owned_in_all(spelled_out(passages))
    asked = stems(fold(question))
    told = parse(fold(answer))
    # The operands of a calculation have no owner there.
    operands = {one.text for working in workings(answer) for one in working.numbers}
    for said in owned(answer):
        alike = (number_of(one) for one in told if of_one_kind(one, said.quantity))
        said = replace(said, near=said.near.difference(*alike))
        if said.quantity.text in operands or is_result(said.quantity, told, answer):
            continue
        same = [one for one in stated if agrees(said.quantity, one.quantity)]
        exact = any(one.quantity.value == said.quantity.value for one in same)
        if not exact and digits_of(said.quantity) <= ROUNDED:  # may be read off the image
            continue
        # "Two peaks at 26 and 44 degrees" does not distinguish the peaks.
        here = [one for one in same if any(weight_of(word) > GENERIC for word in one.near)]
        rivals = [
            one
            for one in stated
            if one not in same and any(of_one_kind(one.quantity, own.quantity) for own in here)
        ]
        lost = [outweighed(said, one, rivals, asked) for one in here]
        if lost and lost[0] is not None and None not in lost:
            right, theirs = lost[0]
            return (
                f"{said.quantity.text.strip()} is stated of {named(right)}; "
                f"the answer gives it to {named(theirs)}"
            )
    return None


def is_result(one: Quantity, told: Iterable[Quantity], answer: str) -> bool:
    """Return whether a share or a factor follows from other quantities of the answer. Those are
    checked instead."""
    share = one.kind == "times" or (one.unit is not None and one.unit.dimension == "share")
    others = [other for other in told if other.text != one.text and not of_one_kind(other, one)]
    return share and derive_from_told(one, answer, others) is not None


def outweighed(
    said: Owned, right: Owned, rivals: list[Owned], asked: frozenset[str]
) -> tuple[frozenset[str], frozenset[str]] | None:
    """Return the owner in the source and the words of a rival that the answer has instead, or
    None."""
    for rival in rivals:
        theirs = rival.near - right.near
        ours = right.near - rival.near
        if rival.place != right.place:
            theirs -= right.around
            ours |= right.around - rival.near - rival.around
        if not bare(said) and not theirs & said.near:
            continue  # only the question contains it
        designated = all(len(one) == 1 for one in theirs & said.near)  # "Group 1", "arm A"
        weight = NAME if designated and theirs & said.near else weigh(said, theirs, asked)
        if weight >= RIVAL and weight >= OUTWEIGHS * weigh(said, ours, asked):
            return right.near - rival.near or right.near, theirs & (said.near | asked)
    return None


def weigh(said: Owned, owner: frozenset[str], asked: frozenset[str]) -> float:
    """Return the weight of an owner's words that the answer has near its quantity."""
    owner -= number_of(said.quantity)
    # The symbol counts only beside the name.
    owner -= {ELEMENTS[one] for one in owner if one in ELEMENTS}
    # Exact sums do not depend on the order of the set.
    total = fsum(map(weight_of, owner & said.near))
    if said.alone:
        # "It is 79 Ω." leaves the owner to the question.
        share = 1.0 if bare(said) else FROM_QUESTION
        total += share * fsum(map(weight_of, (owner & asked) - said.near))
    return total


def bare(said: Owned) -> bool:
    """Return whether no word near a quantity identifies its owner."""
    return all(weight_of(word) <= GENERIC for word in said.near)


def weight_of(one: str) -> float:
    """Return how specific a stem is for the owner of a quantity."""
    if one in UNSPECIFIC or (one.isdigit() and len(one) == 1):
        return GENERIC
    if one[0].isdigit():
        return NUMBER
    return NOUN if one.isalpha() and len(one) > 2 else NAME


def number_of(quantity: Quantity) -> frozenset[str]:
    """Return the stems of the quantity itself."""
    return stems(quantity.text)


def of_one_kind(one: Quantity, other: Quantity) -> bool:
    """Return whether two quantities are of the same kind and dimension, or both without a unit."""
    if one.kind != other.kind:
        return False
    if one.unit is None or other.unit is None:
        return one.unit is other.unit
    return one.unit.dimension == other.unit.dimension


def owned(text: str) -> tuple[Owned, ...]:
    """Return the quantities of an answer with their owners."""
    return tuple(
        one
        for sentence in sentences(fold(text))
        for part in sentence.split("; ")
        for one in owned_in(part)
    )


@lru_cache(maxsize=256)  # each source is compared with many answers
def owned_in_all(passages: tuple[str, ...]) -> tuple[Owned, ...]:
    """Return the quantities of all passages of a source with their owners, each within its
    clause."""
    every = enumerate(passages)
    return tuple(one for number, passage in every for one in owned_in_passage(passage, number))


@lru_cache(maxsize=256)  # figures of one paper share paragraphs
def owned_in_passage(passage: str, number: int) -> tuple[Owned, ...]:
    """Return the quantities of a passage with their owners; `number` is its index."""
    found: list[Owned] = []
    before = topic = frozenset()
    for place, sentence in enumerate(sentences(fold(passage))):
        names = named_in(without_units(sentence, parse(sentence)))
        # A sentence with names of its own replaces the names of the previous one.
        ahead = before - topic if names else before | topic
        found += owned_in(sentence, ahead, (number, place), within_clause=True)
        before = stems(sentence)
        topic = names or topic
    return tuple(found)


def named_in(sentence: str) -> frozenset[str]:
    """Return the stems of the names in a sentence (HAT-CN, LiFePO4/graphene), which the next
    sentences may refer to."""
    return frozenset().union(
        *(stems_of(word) for word in texts_of_words(sentence) if is_name(word))
    )


def is_name(word: str) -> bool:
    """Return whether a word has a capital letter after another one, or before a digit."""
    return not word.islower() and bool(_NAMED.search(word))


def owned_in(
    sentence: str,
    before: frozenset[str] = frozenset(),
    place: tuple[int, int] = (0, 0),
    within_clause: bool = False,
) -> Iterator[Owned]:
    """Yield the quantities of a sentence, each with its share of the words.

    Args:
        sentence: A folded sentence.
        before: Stems of the previous sentence.
        place: Indices of the passage and the sentence.
        within_clause: Whether the share of a quantity is limited to its clause.
    """
    every = parse(sentence)
    bare = without_units(sentence, every)
    everything = stems(bare) | before

    def kind(one: Quantity) -> str:
        return one.unit.dimension if one.unit else ""

    measures = sorted(filter(is_measure, every), key=lambda one: (kind(one), one.start))
    for _, group in groupby(measures, key=kind):
        alike = list(group)
        paired = respective(bare, alike) if "respective" in sentence else {}
        for one, (start, end) in zip(alike, shares(sentence, alike), strict=True):
            if within_clause:
                first, last = clause_around(sentence, one.start)
                start, end = max(start, first), min(end, last)
            near = paired.get(one.start, stems(bare[start:end])) - number_of(one)
            yield Owned(one, near, everything - near, len(alike) == 1, place)


def without_units(sentence: str, quantities: Iterable[Quantity]) -> str:
    """Reduce the quantities in a sentence to bare numbers, without their spread; its length does
    not change."""
    for one in quantities:
        if one.kind == "spread":
            sentence = sentence[: one.start] + " " * (one.end - one.start) + sentence[one.end :]
            continue
        number = re.match(r"\W*[\d.,]*\d", one.text)
        kept = number.end() if number else len(one.text)
        gap = " " * (one.end - one.start - kept)
        sentence = sentence[: one.start + kept] + gap + sentence[one.end :]
    return sentence


def is_measure(quantity: Quantity) -> bool:
    """Return whether a quantity is a measurement rather than a small count."""
    if quantity.kind == "times":
        return True
    counts = quantity.is_count and quantity.value <= SMALL_COUNT
    return quantity.kind == "value" and not counts


def shares(sentence: str, alike: list[Quantity]) -> list[tuple[int, int]]:
    """Divide a sentence between its quantities of one kind.

    Both ends of a range ("from 3 to 5 nm", "3 ± 1 nm") share one part.

    Returns:
        The start and end of each quantity's part.
    """
    parts: list[tuple[int, int]] = []
    start, together = 0, 1
    for one, other in pairwise(alike):
        between = sentence[one.end : other.start]
        if _RANGE_GAP.match(between) and (
            "and" not in between or "between" in sentence[max(0, one.start - 20) : one.start]
        ):
            together += 1
            continue
        cut = one.end + boundary(between)
        parts += [(start, cut)] * together
        start, together = cut, 1
    return [*parts, *[(start, len(sentence))] * together]


def boundary(between: str) -> int:
    """Return where to divide the words between two quantities."""
    for pattern in _BOUNDARIES:
        if found := list(pattern.finditer(between)):
            # "(12 %), oil (13 %)": the first bracket ends the first owner.
            match = found[0] if pattern is _BOUNDARIES[3] else found[-1]
            return match.start()
    return len(between) // 2


def respective(sentence: str, alike: list[Quantity]) -> dict[int, frozenset[str]]:
    """Return the owners of quantities in lists with "respectively", by their starts."""
    runs: list[list[Quantity]] = []
    for one in alike:
        if runs and _LIST_GAP.match(sentence[runs[-1][-1].end : one.start]):
            runs[-1].append(one)
        else:
            runs.append([one])
    found: dict[int, frozenset[str]] = {}
    for run in runs:
        if len(run) < 2:
            continue
        lists = lists_before(sentence[: run[0].start], len(run))
        if after := items_after(sentence[run[-1].end :], len(run)):
            lists.append(after)
        listed = frozenset().union(*(stems(item) for one in lists for item in one))
        first, last = clause_around(sentence, run[0].start)
        last = max(last, run[-1].end)
        outside = stems(sentence[first : run[0].start] + " " + sentence[run[-1].end : last])
        for place, quantity in enumerate(run):
            own = frozenset().union(*(stems(one[place]) for one in lists))
            found[quantity.start] = own | (outside - listed)
    return found


def lists_before(text: str, count: int) -> list[list[str]]:
    """Return the last NEAREST lists of `count` items in `text`, each item without surrounding
    words."""
    # "Phen (1 μM) and K+ (80 mM)" are two names.
    text = re.sub(r"\([^()]{0,60}\)", lambda found: " " * len(found.group()), text)
    joints = list(_ITEMS.finditer(text))
    found: list[list[str]] = []
    for last in range(len(joints) - 1, count - 3, -1):
        within = joints[last - count + 2 : last + 1]
        if "," in within[-1].group().strip(", ") or not re.search(r"and|&", within[-1].group()):
            continue
        start = joints[last - count + 1].end() if last > count - 2 else 0
        end = joints[last + 1].start() if last + 1 < len(joints) else len(text)
        starts = [start, *(one.end() for one in within)]
        ends = [*(one.start() for one in within), end]
        items = [text[one:other] for one, other in zip(starts, ends, strict=True)]
        items[0] = _STOP.sub("", items[0])
        items[-1] = _AFTER_ITEM.split(items[-1])[0]
        if all(stems(item) and len(item.split()) <= LONGEST_ITEM for item in items):
            found.append(items)
            if len(found) == NEAREST:
                break
    return found


def items_after(text: str, count: int) -> list[str]:
    """Return the first list of `count` items after a list of quantities, empty if there is none."""
    text = re.sub(r"^\s*(?:±\s*[\d.]*)?[\s%]*(?:\([^()]{0,30}\))?", "", text)
    text = re.split(r",?\s*\brespectively\b|;|\.\s", text)[0]
    text = re.sub(r"^\W*\w*\s*(?:at|for|in|of|on|to|corresponding to|assigned to)\s", "", text)
    parts = [part for part in _ITEMS.split(text) if part.strip()]
    short = all(len(one.split()) <= LONGEST_ITEM for one in parts)
    return parts if short and len(parts) == count else []
