"""What a figure and its source let one count: panels, letters, and the members of lists."""

import re
from collections.abc import Iterator
from functools import lru_cache

from cephalo.dataset_scripts.refinement.quantities import Quantity, parse

FREE = 2  # "two of them", "both": whatever is compared comes in pairs
MOST_LISTED = 12  # members of a list in prose
MOST_SPANNED = 26
BEFORE_TIMES = 24  # characters before "10 times" that hold its verb
# What a panel shows, or is called.
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
    """How many members the lists of a text have: 3 of "thyme, clove and rosemary".

    Numbers in a row are a list too: 5 of "rates of 0.1, 1, 3, 5 and 10 C".
    """
    counts = set(map(len, _in_rows(text)))
    text = _PARENTHESES.sub("", re.sub(r"(?<=\d)\.(?=\d)", "", text))
    for match in _LIST.finditer(text):
        members = len(_PARTS.split(match.group()))
        if members <= MOST_LISTED:
            counts.add(members)
    return frozenset(counts)


def _in_rows(text: str) -> Iterator[list[Quantity]]:
    """Quantities that follow each other with nothing but commas and "and" between."""
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
    """How many letters or numbers the ranges in a text span: 5 of "(a-e)", 6 of "lanes 4-9"."""
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
    """What of a figure's panels (their captions) makes a number of `things`, or None."""
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
    """Whether a source counts as many, of these things where there are `things`."""
    return any(
        one.is_count
        and one.value == wanted
        and (_stem_of_any(one.noun, things) if things else one.noun or one.text[0].isalpha())
        for one in parse(source)
    )


def repeated(wanted: int, source: str, things: tuple[str, ...]) -> bool:
    """Whether a source says that something is done so many times: "cycled 10 times"."""
    return any(
        one.kind == "times"
        and one.value == wanted
        and mentions(source[max(0, one.start - BEFORE_TIMES) : one.start], things)
        for one in parse(source)
    )


def mentions(text: str, things: tuple[str, ...]) -> bool:
    """Whether a text has the stem of a word of four letters and more among `things`."""
    return any(_stem_of_any(word, things) for word in re.findall(r"[a-z]{3,}", text.lower()))


def _stem_of_any(word: str, things: tuple[str, ...]) -> bool:
    return any(word.startswith(thing.rstrip("s")[:6]) for thing in things if len(thing) > 3)
