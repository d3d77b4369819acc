"""Page furniture: running heads, page numbers, line numbers and repeated marks."""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from cephalo.dataset_scripts.common.geometry import overlap_x
from cephalo.dataset_scripts.pdf.labels import match_label
from cephalo.dataset_scripts.pdf.text import Line

if TYPE_CHECKING:
    from cephalo.dataset_scripts.pdf.layout import PageContent

_DIGITS = re.compile(r"\d+")
_PAGE_NUMBER = re.compile(r"[\W\d]{1,6}|[ivxl]{1,5}")


@dataclass(frozen=True)
class Parameters:
    """Limits for furniture. Lengths are in points unless stated otherwise."""

    text_bin: float = 6.0  # bin size for the top of a text, half a line
    graphic_bin: float = 2.0  # bin size for the edges of a graphic
    least_pages: int = 3  # smallest number of pages with a repeated mark, in a longer document
    share: float = 0.3  # smallest share of the pages with a repeated mark
    pair: int = 2  # smallest number of pages with a repeated text in the head or foot
    head: float = 0.12  # share of the page's height: head or foot, with room for two lines
    number: float = 0.07  # share of the page's height: head or foot with only a page number
    least_chars: int = 4  # a shorter text is a label that several figures may have
    small: float = 0.04  # share of the page's area; larger repeated graphics are figures
    drawing: int = 60  # graphics between head and foot; a watermark has fewer
    numbers: int = 3  # smallest number of line numbers on a page; fewer are labels of a figure
    number_bin: float = 4.0  # tolerance for the right edges of line numbers
    number_digits: int = 4  # largest number of digits of a line number
    # Last line of a paragraph, which continues the line above. Lengths in font sizes.
    same_size: float = 0.06  # relative difference of the sizes
    nearest: float = 0.8  # smallest baseline distance
    farthest: float = 1.4  # largest baseline distance


P = Parameters()


def part_furniture(pages: "list[PageContent]") -> None:
    """Move furniture from the lines of `pages` to `furniture`, and drop repeated graphics.

    The pages are changed in place. Furniture has the same position on many pages. Two figures may
    have equal boxes by chance, so that boxes on three pages count as furniture only in the outer
    margins.
    """
    texts: Counter[tuple] = Counter()
    boxes: Counter[tuple] = Counter()
    keys = [[_text_key(line) for line in page.lines + page.turned] for page in pages]
    places = [
        list(map(tuple, np.rint(page.boxes / P.graphic_bin).astype(int).tolist())) for page in pages
    ]
    told: set[tuple] = set()  # lines counted; a page in two frames has each line twice
    for page, own, drawn in zip(pages, keys, places, strict=True):
        texts.update(key for key in set(own) if (page.number, key) not in told)
        told |= {(page.number, key) for key in own}
        boxes.update(set(drawn))
    often = max(P.least_pages, P.share * len(pages)) if len(pages) > 2 else 2
    least = min(P.pair, often)
    for page, own, drawn in zip(pages, keys, places, strict=True):
        repeated = {
            id(line)
            for line, key in zip(page.lines + page.turned, own, strict=True)
            if texts[key] >= least
            and len(line.text) >= P.least_chars
            and texts[key] >= (P.pair if _at_edge(line, page, P.head) else often)
        }
        found = _line_numbers(page)
        found |= _heads_and_feet(page, repeated, found)
        page.furniture = [line for line in page.lines + page.turned if id(line) in found]
        page.lines = [line for line in page.lines if id(line) not in found]
        page.turned = [line for line in page.turned if id(line) not in found]
        if len(page.boxes):
            again = np.array([boxes[key] >= often for key in drawn])
            # Large graphics with the same size and position are figures nevertheless.
            sides = page.boxes[:, 2:] - page.boxes[:, :2]
            small = sides.prod(axis=1) < P.small * page.width * page.height
            inner = (page.boxes[:, 1] > P.head * page.height) & (
                page.boxes[:, 3] < (1 - P.head) * page.height
            )
            # So many repeated graphics are the axes of plots, or a drawing shown on several pages.
            drawing = (again & small & inner).sum() >= P.drawing
            keep = ~(again & small) | drawing
            page.boxes, page.kinds = page.boxes[keep], page.kinds[keep]


def _text_key(line: Line) -> tuple:
    """Return the text with digits masked, its vertical bin and its orientation."""
    text = _DIGITS.sub("#", line.text)
    return text, round(line.box[1] / P.text_bin), line.quarters


def _at_edge(line: Line, page: "PageContent", share: float) -> bool:
    """Return whether a line is in the head or foot, each a share of the page's height."""
    return line.box[3] < share * page.height or line.box[1] > (1 - share) * page.height


def _heads_and_feet(page: "PageContent", repeated: set[int], known: set[int]) -> set[int]:
    """Return the ids of repeated lines and page numbers. `known` is the furniture found before."""
    found = set(known)
    above: Line | None = None  # the preceding line in the content stream
    for line in sorted(page.lines + page.turned, key=lambda line: line.span):
        number = _at_edge(line, page, P.number) and _PAGE_NUMBER.fullmatch(line.text)
        if id(line) in repeated or number:
            text = above is not None and id(above) not in found and _goes_on(line, above)
            # Keep captions at the top of a page, and the last line of a caption at the bottom.
            if not match_label(line.text) and not text:
                found.add(id(line))
        above = line
    return found


def _goes_on(line: Line, above: Line) -> bool:
    """Return whether a line continues the line before it: same size, directly below."""
    step = line.box[3] - above.box[3]
    return (
        line.continues(above)
        and abs(line.size - above.size) < P.same_size * line.size
        and P.nearest * line.size < step < P.farthest * line.size
        and overlap_x(line.box, above.box) > 0
    )


def _line_numbers(page: "PageContent") -> set[int]:
    """Return the ids of increasing bare numbers in one column beside or between the text."""
    numbers = [
        line for line in page.lines if line.text.isdecimal() and len(line.text) <= P.number_digits
    ]
    groups: dict[int, list[Line]] = defaultdict(list)
    for line in numbers:
        groups[round(line.box[2] / P.number_bin)].append(line)
    columns = page.columns or [(0.0, page.width)]
    found = set()
    for group in groups.values():
        group.sort(key=lambda line: line.box[1])
        values = [int(line.text) for line in group]
        rising = all(a < b for a, b in pairwise(values))
        outside = all(
            line.box[2] < left or line.box[0] > right for line in group for left, right in columns
        )
        if len(group) >= P.numbers and rising and outside:
            found |= {id(line) for line in group}
    return found
