"""Detect statements of an answer that contradict its source: the opposite trend, comparison or
negation, or a reversed conversion.

Words with a direction ("rises", "slower") are compared with those of the source that have the same
words near them. In "the faster the cooling, the finer the dendrites" the product of both directions
is compared; in "X is larger than Y" the order of X and Y matters.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

from cephalo.dataset_scripts.refinement.denials import NOT, Conflict, denied, reversed_change
from cephalo.dataset_scripts.refinement.direction_words import (
    DEGREE,
    SIGNS,
    can_direct,
    plain,
    says_direction,
)
from cephalo.dataset_scripts.refinement.words import (
    UNSPECIFIC,
    clauses,
    named,
    sentences,
    spelled_out,
    stem,
    stems,
    words,
)

REACH = 5  # words to either side that are near a word with a direction
SUBJECT = 7  # words at the start of a clause that are near all directions in it
SHARE = 0.5  # least share of the words near one that are also near the other
NEAR, LINKED = 1.0, 1.9  # least weight of the shared words, with one direction and with two
ONE_WORD = 1.0  # weight of one word, too little for different kinds of directions
AGREED = 0.6  # an agreeing statement with this share of the contrary one's weight outweighs it
TOLD = 1.2  # as NEAR, for a fact, which must match as a whole
UNSPECIFIC_WEIGHT = 0.6  # of a word such as "temperature"

_WITH_AMOUNT = {"amount", "speed", "strength", "size"}
# Less of these is better: if only one side has one of them, directions are not compared.
_LESS_IS_BETTER = """
resistance resistant impedance loss time delay barrier overpotential IC50 MIC dose defect error
uncertainty polarization polarisation width thickness inhibition damage difference gap hysteresis
distance spacing stress strain viscosity
"""
_INVERSE = frozenset(map(stem, _LESS_IS_BETTER.split()))
_THAN = re.compile(r"\b(?:than|compared (?:to|with)|in contrast to|unlike|over that of)\b")
# Before a direction that is a condition of another one: a verb, and any other word.
_WHEN = re.compile(r"\b(?:as|when|if|whenever|once)\s+(?:\S+\s+){0,6}$", re.IGNORECASE)
_PASSIVE = re.compile(
    r"\b(?:after|before|as|when|if|once|until)\s+(?:\S+\s+){0,4}(?:is|are|was|were|been)\s+$",
    re.IGNORECASE,
)
_WITH = re.compile(
    r"\b(?:(?:with|upon|on|by|at|after|under|for)\s+(?:\w+\s+){0,2}|(?:as|when"
    r"|if)\s+(?:\w+\s+){0,4})$",
    re.IGNORECASE,
)
_ANSWERS = re.compile(r"^\W*(?:yes|no|indeed)[.,;:]\s+", re.IGNORECASE)
# "From these results we can see that" adds nothing to what follows.
_LEAD = re.compile(
    r"^[^,;]{0,70}?\b(?:see|seen|found?|find|observe|observed|show|shown|shows|showed|noted?|reveals?"
    r"|revealed|indicates?|indicated|suggests?|clear|concluded?|demonstrates?|demonstrated|evident"
    r"|implies|means|confirms?|confirmed) that\s"
)
_VERB = re.compile(r"\w+(?:[^s]s|ose|ew|ell|ank)$")
_ADVICE = re.compile(
    r"^\W*(?:(?:use|choose|pour|keep|make|add|compare|wrap|pass|remove|avoid|expect|apply|select|try"
    r"|replace|vary|combine|shorten|one could|it could)\b"
    # "Heat the melt", but "Heat stress leads to".
    r"|(?:raise|lower|increase|reduce|cast|cool|heat|test|work|measure|start|coat|dose)\s"
    r"(?:the|an?|it|them|this|these|at|with|in|by|for|from|to|up|down|both|each|more|less|only)\b)",
    re.IGNORECASE,
)
_RATES = frozenset(map(stem, ["rate", "speed", "velocity", "kinetics", "reaction"]))
# "65 °C higher, 1050 against 985 °C": the values make the comparison explicit.
_BOTH_VALUES = re.compile(r"\d[^.;]{0,40}\b(?:against|instead of|rather than|versus|vs\.?)\s+\d")
_BOTH = re.compile(r"\bthe (?:\w+er|more|less)\b[^,;]*,? the (?:\w+er|more|less)\b", re.IGNORECASE)
# "A higher level makes it slower": the first direction is a condition of the second.
_CAUSES = re.compile(
    r"\b(?:makes?|means?|leads? to|led to|results? in|resulted in|causes?|gives?|produces?"
    r"|corresponds? to|implies|brings?|entails?)\b"
)
_EFFECT = re.compile(
    r"\s*(?:what (?:does|do|would|will|did)\b.*"
    r"\b(?:do|cause|change|bring about|lead to|result in)\b"
    r"|what (?:is|are) the (?:effects?|influence|consequences?|results?) of\b"
    r"|what (?:happens|follows) (?:with|on|at|from)\b)",
    re.IGNORECASE,
)
_ASKED = stems(
    "happen depend dependence change affect effect influence respond behave role play do"
)
_PRONOUN = re.compile(r"^\W*(?:it|they|this|these|its|their|yes|no|indeed)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Directed:
    """A word with a direction: the stems near it, and the stems that it is compared with.

    `condition` is the word with a direction in the same sentence on which this one depends.
    """

    word: str
    kind: str
    sign: int
    near: frozenset[str]
    than: frozenset[str] = frozenset()
    condition: "Directed | None" = None

    @property
    def is_extreme(self) -> bool:
        """Whether this is a superlative of an amount."""
        return self.kind == "amount" and self.word.endswith("est")

    @property
    def rising(self) -> bool:
        """Whether this condition is the default direction: "with increasing temperature"."""
        return self.sign > 0 and self.word.startswith(("increas", "ris"))


def against_source(question: str, answer: str, passages: tuple[str, ...]) -> str | None:
    """Return the first statement of an answer that contradicts the source, in one line, or None."""
    return against(question, answer, spelled_out(passages), "the source says")


def against_laws(question: str, answer: str) -> str | None:
    """Return the first statement of an answer that contradicts general knowledge, in one line, or
    None."""
    return against(question, answer, load_laws(), "it is known that", whole=True)


@cache
def load_laws() -> tuple[str, ...]:
    """Load the facts of general knowledge."""
    lines = Path(__file__).with_name("laws.txt").read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


def against(
    question: str, answer: str, passages: tuple[str, ...], says: str, whole: bool = False
) -> str | None:
    """Return the first statement of an answer that contradicts a passage, in one line, or None.

    `says` introduces the passage in that line. With `whole`, the answer and its question must
    contain all words of the passage.
    """
    stated = directed_in_all(passages)
    asked = stems(question)
    for sentence in sentences(_ANSWERS.sub("", answer)):
        if _ADVICE.match(sentence) or _BOTH_VALUES.search(sentence):
            continue
        topic, said = frozenset(), directed_in(sentence)
        if _PRONOUN.match(sentence):
            topic, on = topic_of(question)
            said = directed_in(sentence, topic)
            said = tuple(replace(one, condition=one.condition or on) for one in said)
        present = asked | stems(sentence)
        found = (
            contradicted(said, stated, asked | stems(sentence), whole)
            or denied(sentence, passages, present if whole else None)
            or reversed_change(sentence, passages)
        )
        if found:
            return f"{found[0]}, where {says} {found[1]}"
    return None


def topic_of(question: str) -> tuple[frozenset[str], Directed | None]:
    """Return the stems of what a pronoun refers to after a question, and the condition in the
    question.

    "What does a higher melt level do?" asks for the effect of a condition.
    """
    asked = stems(question) - _ASKED
    effect = _EFFECT.match(question)
    if not effect:
        return asked, None
    on = next((one for one, _ in directed_in_clause(question, frozenset())), None)
    if on is None:
        return asked, None
    return frozenset(), replace(on, near=on.near - _ASKED)


def contradicted(
    said: tuple[Directed, ...],
    stated: tuple[Directed, ...],
    present: frozenset[str],
    whole: bool = False,
) -> Conflict | None:
    """Return a direction that is the opposite of its nearest counterparts in the source, or None.

    `present` are the stems of the answer and its question; with `whole`, a counterpart must have no
    others.
    """
    for mine in said:
        agree, against, other = 0.0, 0.0, None
        for theirs in stated:
            if whole and not within(theirs, mine, present):
                continue
            on = theirs.condition
            if on and not mine.condition and not on.near & present:
                continue  # it depends on a change of something else
            weight, sign = compare(mine, theirs)
            if sign > 0:
                agree = max(agree, weight)
            elif weight > against:
                against, other = weight, theirs
        enough = TOLD if whole else NEAR
        if other and against >= enough and agree < AGREED * against:
            return f"“{mine.word}” of {named(mine.near & other.near)}", f"“{other.word}”"
    return None


def within(theirs: Directed, mine: Directed, present: frozenset[str]) -> bool:
    """Return whether a counterpart and its condition have no other stems than those `present`."""
    every = theirs.near | theirs.than
    if theirs.condition:
        if not mine.condition:
            return False
        every |= theirs.condition.near
    return every - UNSPECIFIC <= present


def compare(mine: Directed, theirs: Directed) -> tuple[float, int]:
    """Return the weight of the stems that two directions share, 0 if they are not comparable, and 1
    if they agree or -1 if they are opposite."""
    weight = overlap(mine, theirs)
    if not weight:
        return 0.0, 1
    sign = mine.sign * theirs.sign * order(mine, theirs)
    mine_too, theirs_too = mine.condition, theirs.condition
    if mine_too and theirs_too:
        also = overlap(mine_too, theirs_too)
        if also and weight + also >= LINKED:
            return weight + also, sign * mine_too.sign * theirs_too.sign
        return 0.0, 1
    if mine_too or (theirs_too and not theirs_too.rising):
        return 0.0, 1
    return weight, sign


def overlap(mine: Directed, theirs: Directed) -> float:
    """Return the weight of the stems near both directions, 0 if they share too few."""
    kinds = {mine.kind, theirs.kind}
    if len(kinds) > 1 and not ("amount" in kinds and kinds <= _WITH_AMOUNT):
        return 0.0
    shared = mine.near & theirs.near
    if kinds == {"amount", "speed"} and not shared & _RATES:
        return 0.0
    if not shared or ((mine.near ^ theirs.near) & _INVERSE):
        return 0.0
    if len(shared) < SHARE * min(len(mine.near), len(theirs.near)):
        return 0.0
    weight = sum(map(weigh, shared)) + 0.5 * sum(map(weigh, mine.than & theirs.than))
    # The highest and the lowest member of one set do not contradict each other.
    superlatives = mine.word.endswith("est") and theirs.word.endswith("est")
    if mine.is_extreme != theirs.is_extreme:
        return 0.0  # "at the lowest dose" does not describe a trend
    return weight if (len(kinds) == 1 and not superlatives) or weight > ONE_WORD else 0.0


def weigh(one: str) -> float:
    """Return the weight of a shared stem. A single letter is as often a unit as a name."""
    return UNSPECIFIC_WEIGHT if one in UNSPECIFIC or len(one) == 1 else 1.0


def order(mine: Directed, theirs: Directed) -> int:
    """Return -1 if two comparisons have the opposite order ("X than Y" and "Y than X"), else 1."""
    if not mine.than or not theirs.than:
        return 1
    first, second = mine.near - mine.than, mine.than - mine.near
    left, right = theirs.near - theirs.than, theirs.than - theirs.near
    # The compared quantity stands with the first item only, and is in both sets.
    crossed = len(first & right) + len(second & left)
    return -1 if crossed > len(second & right) else 1


@lru_cache(maxsize=256)  # each source is compared with many answers
def directed_in_all(passages: tuple[str, ...]) -> tuple[Directed, ...]:
    """Return the words with a direction in all passages."""
    return tuple(one for passage in passages for one in directed_in_passage(passage))


@lru_cache(maxsize=256)  # figures of one paper share paragraphs
def directed_in_passage(passage: str) -> tuple[Directed, ...]:
    """Return the words with a direction in a passage."""
    return tuple(one for sentence in sentences(passage) for one in directed_in(sentence))


@lru_cache(maxsize=64)  # an answer is compared with its source and with general knowledge
def directed_in(sentence: str, topic: frozenset[str] = frozenset()) -> tuple[Directed, ...]:
    """Return the words with a direction in a sentence; `topic` replaces its pronouns."""
    found: list[Directed] = []
    conditions: list[Directed] = []
    both = _BOTH.search(sentence) or causes_another(sentence)
    before = topic
    for clause in clauses(sentence):
        subject = before if _PRONOUN.match(clause) else frozenset()
        for one, conditional in directed_in_clause(clause, subject):
            first_of_both = both and not found and not conditions
            (conditions if conditional or first_of_both else found).append(one)
        before = stems(clause) or before
    if not found:
        return tuple(conditions)
    on = conditions[-1] if conditions else None
    return tuple(replace(one, condition=on) for one in found)


def causes_another(sentence: str) -> bool:
    """Return whether one direction in a sentence causes another one."""
    cause = _CAUSES.search(sentence)
    parts = (sentence[: cause.start()], sentence[cause.end() :]) if cause else ()
    return bool(parts) and all(
        any(plain(word.text.lower()) in SIGNS for word in words(part)) for part in parts
    )


def directed_in_clause(clause: str, topic: frozenset[str]) -> Iterator[tuple[Directed, bool]]:
    """Yield the words with a direction in a clause, and whether each is a condition of others."""
    clause = _LEAD.sub("", clause)
    than = _THAN.search(clause)
    limit = than.start() if than else len(clause)
    other = stems(clause[than.end() :]) if than else frozenset()
    found = words(clause)
    places = [
        place
        for place, word in enumerate(found)
        if can_direct(word.text) and word.start < limit and says_direction(clause, found, place)
    ]
    if not places:
        return
    subject = frozenset(topic)
    for word in found[: min(SUBJECT, places[0])]:
        subject |= word.stems
    adverbs = frozenset().union(*(word.stems for word in found if word.text.endswith("ly")))
    degree = 1
    for place, following in zip(places, [*places, -1][1:], strict=True):
        word = found[place].text.lower()
        if word in DEGREE and following == place + 1:  # "less symmetrical"
            degree = DEGREE[word]
            continue
        kind, sign = SIGNS[plain(word)]
        sign, degree = sign * degree, 1
        start = found[place].start
        if NOT.search(clause, max(0, start - 14), start):
            sign = -sign
        condition = _WHEN if _VERB.match(word) else _WITH
        conditional = bool(condition.search(clause, 0, start) or _PASSIVE.search(clause, 0, start))
        first, last = max(0, place - REACH), place + REACH + 1
        # Words nearer to another direction belong to that one.
        for one in places:
            if one < place:
                first = max(first, (one + place) // 2 + 1)
            elif one > place:
                last = min(last, (one + place) // 2 + 1)
        near = frozenset().union(*(one.stems for one in found[first:last] if one.start < limit))
        if not conditional:
            near |= subject
        near -= {stem(found[one].text) for one in places}
        near = frozenset(one for one in near - adverbs if not one[0].isdigit())
        if near:
            yield Directed(word, kind, sign, near, other), conditional
