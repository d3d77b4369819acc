"""Mentions: the paragraphs of the body that cite a figure."""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from cephalo.dataset_scripts.pdf.joining import join_text
from cephalo.dataset_scripts.pdf.labels import SORTS, series_of
from cephalo.dataset_scripts.pdf.layout import Block, PageContent
from cephalo.dataset_scripts.pdf.profile import TypeProfile

END = "\u2029"  # ends the last line of a paragraph, whatever follows
_WORD = (
    r"(?P<word>(?:extended\s+data\s+|supplementary\s+)?"
    r"(?:figures?|figs?\.?|schemes?|charts?|tables?|abbildung(?:en)?|abb\.?|figuras?|图|表"
    rf"|\b(?:{SORTS})(?=s?\s\d))s?)"
)
_ITEM = r"[A-Z]{0,2}\.?\d{1,3}(?:\.\d{1,3})?(?:\s?\(?[a-z]\)?(?![a-z]))*|[IVX]{1,5}(?![A-Za-z])"
_CITATION = re.compile(
    rf"{_WORD}\s*(?P<items>(?:{_ITEM})(?:\s*(?:,|and|&|und|y|to|[\u2013\u2014-])\s*(?:and\s+)?"
    rf"(?:(?:figs?\.?|figures?)\s*)?(?:{_ITEM}|\(?[a-z]\)?(?![a-z])))*)",
    re.I,
)
_NUMBER = re.compile(r"([A-Z]{0,2}\.?\d{1,3}(?:\.\d{1,3})?|(?<![A-Za-z])[IVX]{1,5}(?![A-Za-z]))")
# How every citation begins, in lower case: without `re.I` the text is searched ten times as fast.
_BEGINNING = re.compile(
    rf"extended\s+data\s|supplementary\s|fig|abb|tab|scheme|chart|图|表|\b(?:{SORTS})s?\s\d"
)
_SERIES = {"ext": "ed", "sup": ""}  # of extended data; supplements have an S in their numbers
_FAMILY = (("tab", "table"), ("表", "table"), ("sch", "scheme"), ("chart", "chart"))


@dataclass(frozen=True)
class Parameters:
    """What makes a paragraph of the running text. Lengths are in font sizes of the body."""

    longest_range: int = 50  # numbers; "Figs. 2-400" is no range of figures
    indent: float = 0.5  # a line that begins farther right begins a paragraph
    most_indent: float = 4.0  # a line farther right than this is centred, as formulas are
    short_end: float = 1.5  # a line that ends farther from the edge ends its paragraph
    least_chars: int = 60  # a paragraph of fewer is a heading or an item of a list
    same_size: float = 0.12  # of the body's size; abstracts and block quotations differ by less
    across: float = 0.25  # of each of two columns, which a paragraph across them covers


P = Parameters()


def cited(text: str) -> set[tuple[str, str]]:
    """The (kind, number) of all that a text cites: "Figs. 2-4" → figures 2, 3 and 4.

    A number is in lower case ("s1"); with "ed" before that of extended data, and with the word's
    beginning before that of a sort that is counted by itself ("gra1" for "Graph 1").
    """
    found = set()
    for match in _citations(text):
        word = match.group("word").lower()
        kind = next((kind for start, kind in _FAMILY if start in word), "figure")
        series = series_of(word.removesuffix("s"))
        before = _SERIES.get(series, series)
        last, items = 0, match.group("items")
        previous = None
        for number in _NUMBER.finditer(items):
            value = number.group().lower()
            if previous and re.search(r"[\u2013\u2014-]|\bto\b", items[last : number.start()]):
                found |= {(kind, before + between) for between in _between(previous, value)}
            found.add((kind, before + value))
            previous, last = value, number.end()
    return found


def _citations(text: str) -> Iterator[re.Match]:
    """All matches of `_CITATION`, from the left."""
    end = 0
    for beginning in _BEGINNING.finditer(text.replace("İ", "I").lower()):  # of the same length
        match = _CITATION.match(text, beginning.start()) if beginning.start() >= end else None
        if match:
            yield match
            end = match.end()


def _between(first: str, last: str) -> list[str]:
    """Numbers strictly between two: ("2", "4") → ["3"], ("s1", "s3") → ["s2"]."""
    a, b = re.fullmatch(r"(\D*)(\d+)", first), re.fullmatch(r"(\D*)(\d+)", last)
    if not a or not b or (b.group(1) and a.group(1) != b.group(1)):
        return []
    start, end = int(a.group(2)), int(b.group(2))
    return (
        [f"{a.group(1)}{n}" for n in range(start + 1, end)] if end - start < P.longest_range else []
    )


def citation_key(kind: str, number: str) -> tuple[str, str]:
    """The key under which `find_mentions` holds the paragraphs of a caption."""
    kind = kind if kind in ("table", "scheme", "chart") else "figure"
    return kind, re.sub(r"^ext", "ed", re.sub(r"^sup(?=s)", "", number.lower()))


def find_mentions(
    pages: list[PageContent], blocks: list[list[Block]], body: TypeProfile
) -> dict[tuple[str, str], list[str]]:
    """For each cited (kind, number) the paragraphs that cite it, in reading order."""
    mentions: dict[tuple[str, str], list[str]] = defaultdict(list)
    for _, paragraph in paragraphs(pages, blocks, body):
        for key in cited(paragraph):
            mentions[key].append(paragraph)
    return mentions


def paragraphs(
    pages: list[PageContent], blocks: list[list[Block]], body: TypeProfile
) -> list[tuple[int, str]]:
    """The paragraphs of the running text, whole across columns and pages.

    Each with the number of the page on which it begins.
    """
    found: list[list[str]] = []
    begins: list[int] = []
    open_end = False
    for page, groups in zip(pages, blocks, strict=True):
        running = [block for block in groups if is_running(block, body)]
        for block in reading_order(page, running):
            left = min(line.box[0] for line in block.lines)
            right = block.box[2]
            for line in block.lines:
                indented = line.box[0] > left + P.indent * body.size
                starts = indented and line.box[0] < left + P.most_indent * body.size
                if not found or (starts and not _goes_on(found[-1])) or not open_end:
                    found.append([])
                    begins.append(page.number)
                found[-1].append(line.text)
                full = line.box[2] > right - P.short_end * body.size
                open_end = line.text[-1:] != END and (full or _goes_on(found[-1]))
    return [
        (begin, join_text(lines))
        for begin, lines in zip(begins, found, strict=True)
        if sum(map(len, lines)) > P.least_chars
    ]


def is_running(block: Block, body: TypeProfile) -> bool:
    """Whether a block is a paragraph in body type, and no caption."""
    return (
        block.paragraph
        and abs(block.lines[0].size - body.size) < P.same_size * body.size
        and not any("caption" in line.tags for line in block.lines)
    )


def reading_order(page: PageContent, blocks: list[Block]) -> list[Block]:
    """Blocks of a page, column after column, each from top to bottom.

    A paragraph across columns, such as an abstract, comes after all above it and before the rest.
    """
    tops = sorted(block.box[1] for block in blocks if _is_wide(block, page))

    def place(block: Block) -> tuple[int, bool, int, float]:
        band = bisect_right(tops, block.box[1])
        return band, not _is_wide(block, page), column_of(block, page), block.box[1]

    return sorted(blocks, key=place)


def _is_wide(block: Block, page: PageContent) -> bool:
    """Whether a paragraph covers a quarter of each of two neighbouring columns."""
    if not block.paragraph:
        return False
    x0, _, x1, _ = block.box
    return any(
        min(left[1], x1) - max(left[0], x0) > P.across * (left[1] - left[0])
        and min(right[1], x1) - max(right[0], x0) > P.across * (right[1] - right[0])
        for left, right in pairwise(page.columns)
    )


def _goes_on(lines: list[str]) -> bool:
    """Whether a paragraph cannot end here: a hyphen or no full stop at its last line's end."""
    return (
        bool(lines)
        and lines[-1][-1:] != END
        and not re.search(r"[.!?:)\]\u3002]\W{0,3}\d*$", lines[-1])
    )


def column_of(block: Block, page: PageContent) -> int:
    """The number of the column in which a block stands, counted from the left."""
    middle = (block.box[0] + block.box[2]) / 2
    return sum(middle > a for a, _ in page.columns[1:])
