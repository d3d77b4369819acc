"""Count what a figure and its source enumerate: panels, letters, and the members of lists."""

import re
from collections.abc import Iterator
from functools import lru_cache

from cephalo.dataset_scripts.refinement.quantities import Quantity, parse

FREE = 2  # "two of them", "both": comparisons are between two
MOST_LISTED = 12  # members of a list in prose
MOST_SPANNED = 26
BEFORE_TIMES = 24  # characters before "10 times" that contain its verb
# What a panel can show or be called.
PANELS = re.compile(
    r"(?:panel|plot|image|micrograph|graph|diagram|picture|map|photo|spectr|view|part|chart|curve|pattern"
    r"|frame|scan|scheme|snapshot|subplot|sketch|drawing|section|histogram|figure|tile|inset|contour"
    r"|condition|sample|case|stage|step|position|specimen|depth|composition|material|scale|kind|type"
    r"|measurement|test|assay|technique|method)",
    re.IGNORECASE,
)
_RANGE = re.compile(r"\(?(?:\b|(?<=\d))([A-Za-z])\)?\s?[-\u2013\u2014]\s?\(?([A-Za-z])\b\)?")
_NUMBERED = re.compile(
    r"(?P<thing>[A-Za-z]{3,}) ?(?P<first>\d{1,2})\s?[-\u2013\u2014]\s?(?P<last>\d{1,2})(?!\d)"
)
_MEMBER = r"[^\s,;.:()]{1,40}(?: [^\s,;.:()]{1,40}){0,4}"
_LIST = re.compile(
    rf"(?<![^\s,;.:()])(?:(?:{_MEMBER}, (?:and |or )?){{1,12}}(?:and |or )?{_MEMBER}"
    rf"|{_MEMBER} (?:and|or|&) {_MEMBER})"
)
_PARTS = re.compile(r", (?:and |or )?|\s(?:and|or|&)\s|; ")
_PARENTHESES = re.compile(r"\([^()]{0,200}\)|\[[^\][]{0,80}\]")


@lru_cache(maxsize=256)
def listed(text: str) -> frozenset[int]:
    """Return the lengths of the lists in a text: 3 for "thyme, clove and rosemary".

    Consecutive numbers count as a list too: 5 for "rates of 0.1, 1, 3, 5 and 10 C".
    """
    counts = set(map(len, _in_rows(text)))
    text = _PARENTHESES.sub("", re.sub(r"(?<=\d)\.(?=\d)", "", text))
    for match in _LIST.finditer(text):
        members = len(_PARTS.split(match.group()))
        if members <= MOST_LISTED:
            counts.add(members)
    return frozenset(counts)


def _in_rows(text: str) -> Iterator[list[Quantity]]:
    """Yield runs of quantities that only commas and conjunctions separate."""
    row: list[Quantity] = []
    for one in parse(text):
        if row and _PARTS.fullmatch(text, row[-1].end, one.start):
            row.append(one)
            continue
        if len(row) > 1:
            yield row
        row = [one]
    if len(row) > 1:
        yield row


def spanned(text: str, things: tuple[str, ...]) -> frozenset[int]:
    """Return the lengths of the ranges in a text: 5 for "(a-e)", 6 for "lanes 4-9"."""
    spans = [ord(last) - ord(first) + 1 for first, last in _RANGE.findall(text)]
    spans += [
        int(match["last"]) - int(match["first"]) + 1
        for match in _NUMBERED.finditer(text)
        if _stem_of_any(match["thing"].lower(), things)
    ]
    return frozenset(span for span in spans if 1 < span <= MOST_SPANNED)


def counted(
    wanted: int, things: tuple[str, ...], panels: tuple[str, ...], captions: str
) -> str | None:
    """Return what gives the number of `things` in a figure, or None.

    Args:
        wanted: The number.
        things: Words that may name what is counted.
        panels: Captions of the figure's panels.
        captions: All captions.
    """
    if wanted in spanned(captions, things):
        return f"{wanted} in a range of letters or numbers"
    if not any(map(PANELS.match, things)):
        return None
    if wanted == len(panels):
        return f"{wanted} panels"
    if wanted == sum(mentions(caption, things) for caption in panels):
        return f"{wanted} panels of {things[0]}"
    return None


def same_count(wanted: int, source: str, things: tuple[str, ...]) -> bool:
    """Return whether a source contains the same count, of one of `things` if any are given."""
    return any(
        one.is_count
        and one.value == wanted
        and (_stem_of_any(one.noun, things) if things else one.noun or one.text[0].isalpha())
        for one in parse(source)
    )


def repeated(wanted: int, source: str, things: tuple[str, ...]) -> bool:
    """Return whether a source states that something was repeated so many times: "cycled 10
    times"."""
    return any(
        one.kind == "times"
        and one.value == wanted
        and mentions(source[max(0, one.start - BEFORE_TIMES) : one.start], things)
        for one in parse(source)
    )


def mentions(text: str, things: tuple[str, ...]) -> bool:
    """Return whether a text has a word with the stem of one of `things` of four letters or more."""
    return any(_stem_of_any(word, things) for word in re.findall(r"[a-z]{3,}", text.lower()))


def _stem_of_any(word: str, things: tuple[str, ...]) -> bool:
    return any(word.startswith(thing.rstrip("s")[:6]) for thing in things if len(thing) > 3)
