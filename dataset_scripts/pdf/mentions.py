"""Mentions: paragraphs of the body that cite a figure."""

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

END = "\u2029"  # ends the last line of a paragraph regardless of the next line
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
# Start of every citation, in lower case: searching without `re.I` is ten times as fast.
_BEGINNING = re.compile(
    rf"extended\s+data\s|supplementary\s|fig|abb|tab|scheme|chart|图|表|\b(?:{SORTS})s?\s\d"
)
_SERIES = {"ext": "ed", "sup": ""}  # extended data; numbers of supplements have an S already
_FAMILY = (("tab", "table"), ("表", "table"), ("sch", "scheme"), ("chart", "chart"))


@dataclass(frozen=True)
class Parameters:
    """Limits for paragraphs of running text. Lengths are in body font sizes."""

    longest_range: int = 50  # numbers; "Figs. 2-400" is not a range of figures
    indent: float = 0.5  # smallest indent of a new paragraph
    most_indent: float = 4.0  # largest indent; lines farther right are centred, as formulas are
    short_end: float = 1.5  # distance from the right edge, above which a line ends its paragraph
    least_chars: int = 60  # a shorter paragraph is a heading or a list item
    same_size: float = 0.12  # relative tolerance of the size; covers abstracts and quotations
    across: float = 0.25  # share of both columns covered by a paragraph across them


P = Parameters()


def cited(text: str) -> set[tuple[str, str]]:
    """Return the (kind, number) of all figures and tables that a text cites.

    "Figs. 2-4" gives figures 2, 3 and 4. Numbers are in lower case ("s1"), with the prefix "ed" for
    extended data, and the start of the word for kinds that are numbered separately ("gra1" for
    "Graph 1").
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
    """Yield all matches of `_CITATION`, from left to right."""
    end = 0
    for beginning in _BEGINNING.finditer(text.replace("İ", "I").lower()):  # keeps the length
        match = _CITATION.match(text, beginning.start()) if beginning.start() >= end else None
        if match:
            yield match
            end = match.end()


def _between(first: str, last: str) -> list[str]:
    """Return the numbers strictly between two: ("2", "4") → ["3"], ("s1", "s3") → ["s2"]."""
    a, b = re.fullmatch(r"(\D*)(\d+)", first), re.fullmatch(r"(\D*)(\d+)", last)
    if not a or not b or (b.group(1) and a.group(1) != b.group(1)):
        return []
    start, end = int(a.group(2)), int(b.group(2))
    return (
        [f"{a.group(1)}{n}" for n in range(start + 1, end)] if end - start < P.longest_range else []
    )


def citation_key(kind: str, number: str) -> tuple[str, str]:
    """Return the key of a caption in the result of `find_mentions`."""
    kind = kind if kind in ("table", "scheme", "chart") else "figure"
    return kind, re.sub(r"^ext", "ed", re.sub(r"^sup(?=s)", "", number.lower()))


def find_mentions(
    pages: list[PageContent], blocks: list[list[Block]], body: TypeProfile
) -> dict[tuple[str, str], list[str]]:
    """Return the paragraphs that cite each (kind, number), in reading order.

    Args:
        pages: Content of each page.
        blocks: Blocks of text of each page.
        body: Type of the body text.
    """
    mentions: dict[tuple[str, str], list[str]] = defaultdict(list)
    for _, paragraph in paragraphs(pages, blocks, body):
        for key in cited(paragraph):
            mentions[key].append(paragraph)
    return mentions


def paragraphs(
    pages: list[PageContent], blocks: list[list[Block]], body: TypeProfile
) -> list[tuple[int, str]]:
    """Return the paragraphs of the running text, joined across columns and pages.

    Each has the index of the page on which it begins.
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
    """Return whether a block is a paragraph in body type and not a caption."""
    return (
        block.paragraph
        and abs(block.lines[0].size - body.size) < P.same_size * body.size
        and not any("caption" in line.tags for line in block.lines)
    )


def reading_order(page: PageContent, blocks: list[Block]) -> list[Block]:
    """Return the blocks of a page column by column, each from top to bottom.

    A paragraph across columns, such as an abstract, comes after the blocks above it and before the
    others.
    """
    tops = sorted(block.box[1] for block in blocks if _is_wide(block, page))

    def place(block: Block) -> tuple[int, bool, int, float]:
        band = bisect_right(tops, block.box[1])
        return band, not _is_wide(block, page), column_of(block, page), block.box[1]

    return sorted(blocks, key=place)


def _is_wide(block: Block, page: PageContent) -> bool:
    """Return whether a paragraph covers a quarter of each of two neighbouring columns."""
    if not block.paragraph:
        return False
    x0, _, x1, _ = block.box
    return any(
        min(left[1], x1) - max(left[0], x0) > P.across * (left[1] - left[0])
        and min(right[1], x1) - max(right[0], x0) > P.across * (right[1] - right[0])
        for left, right in pairwise(page.columns)
    )


def _goes_on(lines: list[str]) -> bool:
    """Return whether a paragraph is unfinished: its last line has a hyphen or no full stop."""
    return (
        bool(lines)
        and lines[-1][-1:] != END
        and not re.search(r"[.!?:)\]\u3002]\W{0,3}\d*$", lines[-1])
    )


def column_of(block: Block, page: PageContent) -> int:
    """Return the index of the column of a block, counted from the left."""
    middle = (block.box[0] + block.box[2]) / 2
    return sum(middle > a for a, _ in page.columns[1:])
