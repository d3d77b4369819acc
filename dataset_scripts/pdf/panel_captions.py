"""Split the captions of compound figures at their panel marks.

A caption marks its panels in one of several styles: "(a) …", "a) …", "a, …", "Panel A …". The mark
is before its text ("(a) XRD pattern") or after it ("XRD pattern (a)"). Each style is a hypothesis:
all its marks are scored as leading and as following marks, and the sequence with the best score is
used.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import islice

MAX_PANELS = 26
_MOST_MARKS = 300  # marks of one style in a caption; bounds the time
_REACH = 40  # characters before a mark that are searched for "Fig. 2"


@dataclass(frozen=True)
class MarkWeights:
    """Weights of a mark in a role, from 0 (impossible) to 1 (typical).

    Mainly their order matters: typical, plausible, doubtful, excluded.
    """

    typical: float = 1.0  # before a clause, or at the end of a phrase
    joined: float = 0.9  # after "and", "of" or another word that needs a continuation
    inside: float = 0.4  # between two words: either role is possible
    doubtful: float = 0.1  # looks like a reference: "as in (a),"
    switch: float = 0.7  # cost of leading and following marks in one caption
    skipped: float = 0.02  # cost of a skipped mark, so that the first of two runs is used
    again: float = 0.45  # factor for a repeated letter, which is likely a reference
    seen: float = 0.3  # bonus for a letter that is also printed in the figure
    least: float = 0.5  # smallest mean weight of a style that explains the caption


WEIGHTS = MarkWeights()

_LETTER = "[A-Za-z]"
_JOINT = r"(?:,\s*(?:and|&)?|;|and|&|[\u2013\u2014-]|to)"
_LIST = rf"({_LETTER}(?:\s*{_JOINT}\s*{_LETTER}(?![A-Za-z]))*)"
_ROMAN = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii")
# Name, prior (how often such text is a mark) and pattern of each style. Group 1 has the letters.
_STYLES: tuple[tuple[str, float, re.Pattern[str]], ...] = (
    ("bracketed", 1.0, re.compile(rf"\(\s?\d?{_LIST}(?:,\s?[a-z]{{3,}})?\s?\)")),
    ("roman", 0.8, re.compile(r"\((x?(?:i{1,3}|i?v|vi{0,3}|ix)|x)\)")),
    ("panel", 1.0, re.compile(rf"\b[Pp]anels?\s{_LIST}(?![A-Za-z(])[:.,]?")),
    ("half bracket", 0.95, re.compile(rf"(?<![A-Za-z0-9(]){_LIST}\)(?=\s)")),
    ("punctuated", 0.8, re.compile(rf"(?:^|(?<=[\s.;:,\u2013-])){_LIST}[,.:|]\s+(?=\S)")),
    ("bare", 0.7, re.compile(r"(?:^|(?<=[.;:,(]\s)|(?<=[\s(]))([A-Za-z])\s+(?=[A-Za-z0-9])")),
)
_REFERENCE = re.compile(
    r"\b(?:figures?|figs?|refs?|eqs?|eqns?|equations?|tables?|schemes?|sections?)\b\.?"
    r"\s*[S\d.\u2013-]*\s*$",
    re.I,
)
_CHAINED = re.compile(r"^\s*(?:,|and|&|to|or|[\u2013-]|,\s*and)?\s*$")
_GOES_ON = (  # words that cannot end a phrase
    "an and as at between by during for from in into of on or over panel panels per the through "
    "to under using versus via vs with within without"
)
_DANGLING = re.compile(rf"(?:^|\W)(?:a|(?i:{_GOES_ON.replace(' ', '|')}))\W*$")
_SENTENCE = re.compile(
    r"(?:(?<=[a-z]{3})[.?!:]|(?<=[)\]\d%\u00b0A-Z])[.?!])\s+(?=[^a-z\s])|(?<=[\d)])\.\s+(?=[a-z])"
)
_ABBREVIATED = re.compile(r"(?:\b(?:Fig|Figs|Eq|Ref|Refs|ca|vs|approx|var|spp|et al)|\b[A-Z])$")
_OPENING = ".;:,([|\u2013\u2014\u3002\uff1b\uff1a\uff0c\u3001\uff08"  # also in Chinese type
_CLOSING = ".,;:)]\u3002\uff1b\uff1a\uff0c\u3001\uff09"
_CONJUNCTION = re.compile(r"\b(?:and|or|&)$")
_EDGES = " \t\n,;:.|"
_OWN_STOP = re.compile(r"[.:]\s+\S")  # "(e). Text": a stop after a mark
_LEADING_JOIN = re.compile(r"^(?:(?:and|or|while|&)\b\s*)+", re.I)
_TRAILING_JOIN = re.compile(r"[\s,;:.]+(?:and|or|while|&|panels?)$", re.I)


@dataclass(frozen=True)
class Mark:
    """A mark: its letters and its position in the text."""

    letters: tuple[str, ...]
    start: int
    end: int


@dataclass(frozen=True)
class _Reading:
    """A sequence of marks, whether each is before its text, and the score of the sequence."""

    marks: tuple[Mark, ...]
    leads: tuple[bool, ...]
    score: float


def caption_parts(text: str, seen: Collection[str] = ()) -> dict[str, str]:
    """Split a caption at its panel marks.

    A common lead ("SEM images of: (a) …") belongs to no panel. The text of the last leading mark
    extends to the end of the caption.

    Args:
        text: The caption.
        seen: Letters printed in the figure, which help to choose a reading.

    Returns:
        The text of each letter, without mark and closing punctuation, in the order of the letters.
        Empty if no style names two panels or more, starting at the first letter.
    """
    best: tuple[float, _Reading] | None = None
    for style, prior, pattern in _STYLES:
        marks = list(islice(_find_marks(text, style, pattern), _MOST_MARKS))
        for reading in _readings(text, marks, style, seen):
            score = prior * reading.score
            if best is None or score > best[0]:
                best = score, reading
    if best is None:
        return {}
    parts = _cut(text, best[1])
    order = _ROMAN if "ii" in parts else sorted(parts)
    return {letter: parts[letter] for letter in order if letter in parts}


def _find_marks(text: str, style: str, pattern: re.Pattern[str]) -> Iterable[Mark]:
    """Yield the marks of a style, without references to other figures ("Fig. 2(a) and (b)")."""
    excluded = -1
    for match in pattern.finditer(text):
        start, end = match.span()
        chained = excluded >= 0 and _CHAINED.match(text[excluded:start])
        if style != "panel" and (
            chained or _REFERENCE.search(text[max(0, start - _REACH) : start])
        ):
            excluded = end
            continue
        letters = (match.group(1),) if style == "roman" else _spread(match.group(1))
        last = len(letters) - 1
        # "(a, c)" is a list. Without brackets, only consecutive letters are: "a, b".
        if letters and (style == "bracketed" or ord(letters[last][0]) - ord(letters[0][0]) == last):
            yield Mark(letters, start, end)


def _spread(listed: str) -> tuple[str, ...]:
    """Expand a list of letters: "a, c" → a, c; "a-c" → a, b, c.

    Empty if the case changes or a range is descending.
    """
    parts = re.split(rf"\s*({_JOINT})\s*(?={_LETTER}(?![A-Za-z]))", listed)
    letters = [parts[0]]
    for joint, letter in zip(parts[1::2], parts[2::2], strict=True):
        if letter.islower() != letters[0].islower():
            return ()
        if joint in ("to", "-", "\u2013", "\u2014"):
            if letter <= letters[-1]:
                return ()
            letters += [chr(code) for code in range(ord(letters[-1]) + 1, ord(letter) + 1)]
        else:
            letters.append(letter)
    return tuple(letters)


def _readings(
    text: str, marks: list[Mark], style: str, seen: Collection[str]
) -> Iterable[_Reading]:
    """Return the best reading of the marks of a style in upper and in lower case."""
    found = []
    for upper in (True, False):
        own = [mark for mark in marks if mark.letters[0].isupper() == upper]
        weights = [_weigh(text, mark, style, seen) for mark in own]
        named: set[str] = set()
        for index, mark in enumerate(own):
            if named.issuperset(mark.letters):
                lead, follow = weights[index]
                weights[index] = WEIGHTS.again * lead, WEIGHTS.again * follow
            named.update(mark.letters)
        alphabet = _ROMAN if style == "roman" else _alphabet(upper)
        reading = _best_run(text, own, weights, alphabet)
        mixed = _unordered(own, weights, alphabet)
        if mixed and (not reading or _count(mixed) > _count(reading)):
            reading = mixed
        if reading and reading.score >= WEIGHTS.least:
            found.append(reading)
            break  # lower-case letters beside upper-case ones label details within panels
    return found


def _alphabet(upper: bool) -> tuple[str, ...]:
    """Return the letters that may name panels."""
    first = ord("A" if upper else "a")
    return tuple(chr(code) for code in range(first, first + MAX_PANELS))


def _count(reading: _Reading) -> int:
    """Return the number of letters in a reading."""
    return sum(len(mark.letters) for mark in reading.marks)


def _weigh(text: str, mark: Mark, style: str, seen: Collection[str]) -> tuple[float, float]:
    """Return the weights of a mark as a leading and as a following mark."""
    before = text[: mark.start].rstrip()
    after = text[mark.end :].lstrip()
    opens = not before or before[-1] in _OPENING
    closes = not after or after[0] in _CLOSING
    closes = closes and not (opens and _OWN_STOP.match(after))
    closes = closes or (not opens and bool(re.match(r"(?:and|or|&|while)\b", after)))
    known = WEIGHTS.seen if mark.letters[0] in seen else 0.0
    goes_on = bool(_DANGLING.search(before[-12:]))
    if closes:
        lead = 0.0 if not goes_on else WEIGHTS.doubtful
    elif opens:
        lead = WEIGHTS.typical
    elif goes_on:
        lead = WEIGHTS.joined
    else:
        lead = WEIGHTS.inside
    if style in ("panel", "punctuated", "bare", "roman") or opens:
        follow = 0.0
    elif goes_on:
        follow = WEIGHTS.inside if closes else 0.0
    else:
        follow = WEIGHTS.typical if closes else WEIGHTS.inside + 0.1
    if style == "bare" and not opens:
        lead = min(lead, WEIGHTS.inside)
    if style == "panel":
        lead = WEIGHTS.typical if opens and not closes else WEIGHTS.doubtful
    return (lead + known if lead else 0.0), (follow + known if follow else 0.0)


def _best_run(
    text: str,
    marks: list[Mark],
    weights: list[tuple[float, float]],
    alphabet: tuple[str, ...],
) -> _Reading | None:
    """Return the run of marks through the alphabet with the largest sum of weights.

    Dynamic programming over marks and roles. `None` if no run names two panels.
    """
    place = {letter: index for index, letter in enumerate(alphabet)}
    best: list[list[tuple[float, int, int] | None]] = [[None, None] for _ in marks]
    for index, mark in enumerate(marks):
        if any(letter not in place for letter in mark.letters):
            continue
        for role in (0, 1):
            weight = weights[index][role]
            if not weight:
                continue
            if mark.letters[0] == alphabet[0]:
                best[index][role] = (weight * len(mark.letters), -1, 0)
                continue
            for earlier in range(index):
                if place[marks[earlier].letters[-1]] + 1 != place[mark.letters[0]]:
                    continue
                for before in (0, 1):
                    known = best[earlier][before]
                    if known is None:
                        continue
                    skipped = WEIGHTS.skipped * (index - earlier - 1)
                    total = known[0] + weight * len(mark.letters) - skipped
                    if before != role:
                        between = text[marks[earlier].end : mark.start]
                        if before == 0 and not _divide(between):
                            continue
                        total -= WEIGHTS.switch
                    so_far = best[index][role]
                    if so_far is None or total > so_far[0]:
                        best[index][role] = (total, earlier, before)
    ends = [
        (entry[0], index, role)
        for index, roles in enumerate(best)
        for role, entry in enumerate(roles)
        if entry is not None
    ]
    readings = []
    for total, index, role in ends:
        chain = []
        at, now = index, role
        while at >= 0 and (entry := best[at][now]):
            chain.append((at, now))
            _, at, now = entry
        chain.reverse()
        kept = tuple(marks[at] for at, _ in chain)
        letters = sum(len(mark.letters) for mark in kept)
        if letters > 1:
            mean = total / letters
            readings.append((total, _Reading(kept, tuple(now == 0 for _, now in chain), mean)))
    return max(readings, key=lambda entry: entry[0], default=(0, None))[1]


def _unordered(
    marks: list[Mark], weights: list[tuple[float, float]], alphabet: tuple[str, ...]
) -> _Reading | None:
    """Return marks in another order than the alphabet, "(a, c) …; (b, d) …", each letter once.

    `None` unless they name all letters from the first to the last.
    """
    role = 0 if sum(lead for lead, _ in weights) >= sum(follow for _, follow in weights) else 1
    kept: list[Mark] = []
    total = 0.0
    named: set[str] = set()
    for mark, weight in zip(marks, weights, strict=True):
        if weight[role] > WEIGHTS.doubtful and not named & set(mark.letters):
            kept.append(mark)
            named |= set(mark.letters)
            total += weight[role] * len(mark.letters)
    if len(named) < 3 or named != set(alphabet[: len(named)]):
        return None
    return _Reading(tuple(kept), (role == 0,) * len(kept), total / len(named))


def _cut(text: str, reading: _Reading) -> dict[str, str]:
    """Return the text of each letter for a reading."""
    parts: dict[str, str] = {}
    marks, leads = reading.marks, reading.leads
    for index, (mark, lead) in enumerate(zip(marks, leads, strict=True)):
        if lead:
            stop = marks[index + 1].start if index + 1 < len(marks) else len(text)
            share = text[mark.end : stop]
            if index + 1 < len(marks):
                divided = not leads[index + 1] and _divide(share)
                share = share[:divided] if divided else _without_next_lead(share)
                share = _own_sentences(share) if leads[index + 1] else share
        else:
            start = marks[index - 1].end if index else 0
            share = text[start : mark.start]
            if index and leads[index - 1]:
                share = share[_divide(share) or 0 :]
            share = share[_last_sentence(share, title=not index) :]
            share = share[share.rfind("; ") + 1 :] if index else share
        share = _clean(share)
        for letter in mark.letters:
            parts[letter] = share
    return parts


def _divide(between: str) -> int | None:
    """Return the position that separates the texts of a leading and a following mark."""
    sentence = _last_sentence(between)
    if sentence:
        return sentence
    for divider in ("; ", ", and ", " and ", ", "):
        at = between.rfind(divider)
        if at > 0:
            return at
    return None


def _last_sentence(text: str, title: bool = False) -> int:
    """Return the start of the last sentence of `text`; with `title`, also after a title."""
    start = 0
    for match in _SENTENCE.finditer(text):
        colon = match.group().startswith(":")
        if (title or not colon) and not _ABBREVIATED.search(text[: match.start()]):
            start = match.end()
    return start


def _without_next_lead(share: str) -> str:
    """Remove the lead of the next mark from the end of a text: "…; SEM images of" or "…: "."""
    bare = share.rstrip()
    if not bare.endswith(":") and not _DANGLING.search(bare[-12:]):
        return share
    trimmed = _TRAILING_JOIN.sub("", bare.rstrip(_EDGES))
    if trimmed != bare.rstrip(_EDGES):
        return trimmed
    dividers = [match.start() for match in re.finditer(r"[;,]\s|\.\s+(?=[A-Z])", bare[:-1])]
    if not dividers:
        dividers = [match.start() for match in re.finditer(r"\sand\s", bare)]
    return share[: dividers[-1]] if dividers and dividers[-1] > 0 else share


def _own_sentences(share: str) -> str:
    """Remove a final sentence that continues into the next mark: "… X. The plot (b) shows"."""
    bare = share.rstrip()
    start = _last_sentence(bare)
    ended = not bare[-1:].isalpha() or _CONJUNCTION.search(bare)
    return share if ended or not start else share[:start]


def _clean(share: str) -> str:
    """Remove punctuation and conjunctions at both ends of a text."""
    share = _LEADING_JOIN.sub("", share.strip(_EDGES)).strip(_EDGES)
    shorter = _TRAILING_JOIN.sub("", share)
    return shorter.strip(_EDGES)
