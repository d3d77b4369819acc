"""Detect statements about a panel that the source makes about another panel.

A panel is identified by words that the other panels lack: those of its caption, and those of
sentences in the text that refer to its letter.
"""

import math
import re
from collections import Counter
from functools import lru_cache
from itertools import combinations, pairwise

from cephalo.dataset_scripts.refinement.quantities import without_quantities
from cephalo.dataset_scripts.refinement.words import UNSPECIFIC, sentences, stems

AHEAD = 1.0  # least margin by which another panel must fit better
TIMES = 2.0  # least ratio by which it must fit better
SHARED = 0.3  # least share of the words of a part of an answer in the other panel
ASKED = 0.5  # weight of a word that the question contains too
FEW = 2  # stems; a part of an answer with so few is completed by the question

_LETTERS = (
    r"\(?[a-zA-Z]\)?(?:(?:\s?[,&\u2013-]\s?|\s(?:and|to|or)\s)(?:and\s)?\(?[a-zA-Z]\)?(?![\w']))*"
)
_NAMED = re.compile(
    r"\b(?:[Pp]anels?|[Pp]arts?|[Ii]mages?|[Pp]lots?|[Gg]raphs?|[Mm]aps?|[Mm]icrographs?)\s"
    r"(?P<named>(?:\([a-zA-Z]\)|[a-zA-Z]\)|[A-Zb-hj-z](?![\w']|\.\s?\w))(?:(?:\s?[,&\u2013-]\s?|\s(?:and|to|or)\s)"
    r"(?:and\s)?(?:\([a-zA-Z]\)|[a-zA-Z]\)|[A-Zb-z](?![\w']|\.\s?\w)))*)"
    r"|(?<![\w(])(?P<bare>\([a-zA-Z]\)(?:(?:\s?[,&\u2013-]\s?|\s(?:and|to|or)\s)(?:and\s)?\([a-zA-Z]\))*)"
)
_CITED = re.compile(
    r"\b[Ff]ig(?:ure|s|ures)?\.?\s?\d+\s?(?P<letters>\(?[a-zA-Z](?:\s?[,&\u2013-]\s?[a-zA-Z])*\)?)(?![\w])"
)
_SPREAD = re.compile(r"([a-z])\)?\s?(?:[\u2013-]|to)\s?\(?([a-z])")
_CUTS = [
    re.compile(one)
    for one in (r"[.;]\s", r",?\s(?:while|whereas|but)\s", r",\sand\s", r",|\sand\s")
]
# If the answer to a question is a panel, the question describes that panel.
_WHERE = re.compile(
    r"\b(?:which|what)\s(?:of the\s)?(?:two\s|three\s)?(?:panel|part|image|plot|graph|map"
    r"|micrograph|diagram|curve|spectr|picture|photo)|^\W*where\b",
    re.IGNORECASE,
)
# Only the image can decide.
_MOST = re.compile(r"\b(?:most|least|more|less|\w+est)\b", re.IGNORECASE)
# "The potentials are in panel (b)", as opposed to "Panel (b) shows the potentials".
_BACKWARD = re.compile(
    r"\b(?:in|by|of|from|shown|seen|drawn|plotted|given|displayed|mapped|depicted|presented|found)\s+$"
)


def wrong_panel(
    question: str, answer: str, panels: tuple[tuple[str, str], ...], passages: tuple[str, ...]
) -> str | None:
    """Return the first panel to which an answer assigns the content of another one, formatted as
    one line, or None."""
    profile = profiles(panels, passages)
    if len(profile) < 2:
        return None
    asked = stems(question)
    every = parts(answer)
    if swap := swapped(every, asked, profile):
        return swap
    only = len(every) == 1 and bool(_WHERE.search(question)) and not _MOST.search(question)
    for place, (letters, part) in enumerate(every):
        known = [letter for letter in letters if letter in profile]
        if not known:
            continue
        said = said_of(part)
        elliptic = only or (not place and len(said) <= FEW)
        words, less = (said | asked, frozenset()) if elliptic else (said, asked)
        fits = {letter: fit(words, less, profile[letter]) for letter in profile}
        own = max(fits[letter] for letter in known)
        rest = {other: fits[other] for other in profile if other not in letters}
        best = max(rest, key=lambda one: rest[one], default="")
        if best and rest[best] >= own + AHEAD and rest[best] >= TIMES * own:
            shared = sorted(
                (one for one in words & profile[best].keys() if counts(one, profile[best])),
                key=lambda one: (-profile[best][one], one),
            )
            telling = [one for one in words - UNSPECIFIC if not one[0].isdigit()]
            lone = len(shared) < FEW <= len(telling) and not elliptic
            if lone or len(shared) < SHARED * len(telling):
                continue  # one word among many may be from any panel
            return f"panel ({known[0]}): {', '.join(shared[:3])} is said of panel ({best})"
    return None


def said_of(part: str) -> frozenset[str]:
    """Return the stems of a statement about a panel, with its numbers but without units: "10 C" is
    not carbon."""
    numbers = frozenset(one for one in stems(part) if one[0].isdigit())
    return stems(without_quantities(part)) | numbers


def swapped(
    every: list[tuple[list[str], str]], asked: frozenset[str], profile: dict[str, dict[str, float]]
) -> str | None:
    """Return two panels whose contents an answer exchanges, formatted as one line, or None."""
    single = [(letters[0], said_of(part)) for letters, part in every if len(letters) == 1]
    single = [(letter, said) for letter, said in single if letter in profile]
    for (first, said), (second, said_too) in combinations(single, 2):
        if first == second:
            continue
        left, right = apart(profile[first], profile[second]), apart(profile[second], profile[first])
        own = fit(said, asked, left), fit(said_too, asked, right)
        cross = fit(said, asked, right), fit(said_too, asked, left)
        far = sum(cross) >= AHEAD + sum(own) and sum(cross) >= TIMES * sum(own)
        if far and cross[0] > own[0] and cross[1] > own[1]:
            words = sorted(said & right.keys(), key=lambda one: (-right[one], one))
            return f"panels ({first}) and ({second}) are swapped: {', '.join(words[:3])}"
    return None


def apart(one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    """Return the weighted stems of a panel that another one lacks."""
    return {word: weight for word, weight in one.items() if word not in other}


def fit(words: frozenset[str], asked: frozenset[str], profile: dict[str, float]) -> float:
    """Return the weight of the stems that a statement shares with a panel.

    Stems that are `asked` count less, since a question may concern all panels.
    """
    return sum(
        profile[word] * (ASKED if word in asked else 1.0)
        for word in words & profile.keys()
        if counts(word, profile)
    )


def counts(word: str, profile: dict[str, float]) -> bool:
    """Return whether a stem identifies a panel; numbers do only if the panel has no words of its
    own."""
    return not word[0].isdigit() or all(one[0].isdigit() for one in profile)


@lru_cache(maxsize=64)  # each figure has many questions
def profiles(
    panels: tuple[tuple[str, str], ...], passages: tuple[str, ...]
) -> dict[str, dict[str, float]]:
    """Return the stems of each panel by letter, weighted by inverse document frequency over the
    panels."""
    texts = {letter: stems(caption) for letter, caption in panels}
    told = {letter: set() for letter in texts}
    for passage in passages[1:]:
        for sentence in sentences(passage):
            cited = [one for found in _CITED.finditer(sentence) for one in spread(found["letters"])]
            if len(set(cited)) == 1 and cited[0] in told:
                told[cited[0]] |= stems(sentence)
    among = Counter(word for found in texts.values() for word in found)
    mentioned = Counter(word for letter in told for word in told[letter] | texts[letter])
    result = {}
    for letter, found in texts.items():
        weights = {word: 0.4 * math.log(len(texts) / mentioned[word]) for word in told[letter]}
        # Words that are in all captions get the weight 0.
        weights |= {word: math.log(len(texts) / among[word]) * 1.5 for word in found}
        result[letter] = {
            word: weight
            for word, weight in weights.items()
            if weight > 0 and word not in UNSPECIFIC
        }
    return result


def parts(answer: str) -> list[tuple[list[str], str]]:
    """Return the letters of panels that an answer names together, each with what the answer states
    about them."""
    found = []
    for sentence in sentences(answer):
        named = list(_NAMED.finditer(sentence))
        if not named:
            continue
        backward = bool(_BACKWARD.search(sentence, 0, named[0].start()))
        cuts = [0]
        for one, other in pairwise(named):
            between = sentence[one.end() : other.start()]
            cut = next((list(c.finditer(between)) for c in _CUTS if c.search(between)), None)
            place = (cut[0] if backward else cut[-1]).start() if cut else len(between)
            cuts.append(one.end() + place)
        for one, start, end in zip(named, cuts, [*cuts[1:], len(sentence)], strict=True):
            text = sentence[start : one.start()] + " " + sentence[one.end() : end]
            found.append((spread(one["named"] or one["bare"]), text))
    return found


def spread(letters: str) -> list[str]:
    """Return the letters in "(a)", "a, c" or "(b) to (d)"."""
    letters = letters.lower()
    found = re.findall(r"(?<![a-z])[a-z](?![a-z])", letters)
    for first, last in _SPREAD.findall(letters):
        found += map(chr, range(ord(first), ord(last) + 1))
    return sorted(set(found))
