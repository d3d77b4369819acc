"""What a figure and its source let one count: panels, letters, and the members of lists."""

import re
from functools import lru_cache

from cephalo.dataset_scripts.refinement.quantities import Quantity, parse

FREE = 2  # "two of them", "both": whatever is compared comes in pairs
MOST_LISTED = 12  # members of a list in prose
# What a panel shows, or is called.
PANELS = re.compile(
    r"(?:panel|plot|image|micrograph|graph|diagram|picture|map|photo|spectr|view|part|chart|curve|pattern"
    r"|frame|scan|scheme|snapshot|subplot|sketch|drawing|section|histogram|figure|tile|inset|contour"
    r"|condition|sample|case|stage|step|position|specimen|depth|composition|material|scale|kind|type"
    r"|measurement|test|assay|technique|method)",
    re.IGNORECASE,
)
_RANGE = re.compile(r"\(?\b([A-Za-z])\)?\s?[-\u2013\u2014]\s?\(?([A-Za-z])\b\)?")
_MEMBER = r"[^\s,;.:()]+(?:[ -][^\s,;.:()]+){0,4}"
_LIST = re.compile(
    rf"(?:{_MEMBER}, (?:and |or )?)+(?:and |or )?{_MEMBER}|{_MEMBER} (?:and|or|&) {_MEMBER}"
)
_PARTS = re.compile(r", (?:and |or )?|\s(?:and|or|&)\s|; ")
_PARENTHESES = re.compile(r"\([^()]{0,200}\)|\[[^\][]{0,80}\]")


@lru_cache(maxsize=256)
def listed(text: str) -> frozenset[int]:
    """How many members the lists of a text have: 3 of "thyme, clove and rosemary"."""
    text = _PARENTHESES.sub("", re.sub(r"(?<=\d)\.(?=\d)", "", text))
    counts = set()
    for match in _LIST.finditer(text):
        members = len(_PARTS.split(match.group()))
        if members <= MOST_LISTED:
            counts.add(members)
    return frozenset(counts)


def lettered(text: str) -> frozenset[int]:
    """How many letters the ranges of a caption span: 5 of "(a-e)"."""
    spans = (ord(last) - ord(first) + 1 for first, last in _RANGE.findall(text))
    return frozenset(span for span in spans if 1 < span <= 26)


def counted(claim: Quantity, panels: tuple[str, ...], captions: str) -> str | None:
    """What of a figure's panels (their captions) makes the number that is claimed, or None."""
    wanted = int(claim.value)
    if claim.noun and not PANELS.match(claim.noun):
        return None
    if wanted == len(panels):
        return f"{wanted} panels"
    stem = claim.noun.rstrip("s")[:6]
    showing = sum(stem in caption.lower() for caption in panels) if len(stem) > 3 else 0
    if wanted == showing:
        return f"{wanted} panels of {claim.noun}"
    if wanted in lettered(captions):
        return f"{wanted} letters of panels"
    return None


def self_listed(claim: Quantity, sentence: str) -> bool:
    """Whether the sentence of a count names as many things: "three phases: A, B and C"."""
    return int(claim.value) in listed(sentence)


def same_count(claim: Quantity, source: str, alike: bool = False) -> bool:
    """Whether a source counts as many things, or as many of the things where `alike`."""
    stem = claim.noun.rstrip("s")[:6]
    return any(
        one.is_count
        and one.value == claim.value
        and (one.noun.startswith(stem) if alike else one.noun or not one.text[0].isdigit())
        for one in parse(source)
    )
