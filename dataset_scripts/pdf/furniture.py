"""Furniture: running heads, page numbers, line numbers, and marks that repeat from page to page."""

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
    """What makes a line or a graphic furniture. Lengths are in points if not said otherwise."""

    text_bin: float = 6.0  # half a line: texts whose tops fall into one bin stand in one place
    graphic_bin: float = 2.0  # graphics whose edges fall into one bin stand in one place
    least_pages: int = 3  # in a longer document, what stands in one place on fewer does not repeat
    share: float = 0.3  # of the pages, on which a mark repeats
    pair: int = 2  # pages that a text in the head or foot must share; all of a document of two
    head: float = 0.12  # of the page's height: the outer margins, with two lines in them
    number: float = 0.07  # of the page's height: where a page number stands alone
    least_chars: int = 4  # a text of fewer is a label that several figures may have
    small: float = 0.04  # of the page's area; larger graphics of one size at one place are figures
    drawing: int = 60  # graphics between head and foot; a watermark is drawn with fewer
    numbers: int = 3  # bare numbers beside the text; fewer are labels of a figure
    number_bin: float = 4.0  # line numbers end at one x, within this
    number_digits: int = 4  # of a line number, at most
    # The last line of a text that goes on from the line above. Lengths in font sizes.
    same_size: float = 0.06  # by which the sizes differ
    nearest: float = 0.8  # distance of baselines
    farthest: float = 1.4


P = Parameters()


def part_furniture(pages: "list[PageContent]") -> None:
    """Move furniture from the lines of `pages` to `furniture`; drop graphics that repeat.

    Furniture stands in one place on many pages. A figure may by chance share its box with
    another; three times in one place is taken for furniture only in the outer margins.
    """
    texts: Counter[tuple] = Counter()
    boxes: Counter[tuple] = Counter()
    keys = [[_text_key(line) for line in page.lines + page.turned] for page in pages]
    places = [
        list(map(tuple, np.rint(page.boxes / P.graphic_bin).astype(int).tolist())) for page in pages
    ]
    told: set[tuple] = set()  # a page in two frames has each of its lines in both
    for page, own, drawn in zip(pages, keys, places, strict=True):
        texts.update(key for key in set(own) if (page.number, key) not in told)
        told |= {(page.number, key) for key in own}
        boxes.update(set(drawn))
    often = max(P.least_pages, P.share * len(pages)) if len(pages) > 2 else 2
    for page, own, drawn in zip(pages, keys, places, strict=True):
        repeated = {
            id(line)
            for line, key in zip(page.lines + page.turned, own, strict=True)
            if len(line.text) >= P.least_chars
            and texts[key] >= (P.pair if _at_edge(line, page, P.head) else often)
        }
        found = _line_numbers(page)
        found |= _heads_and_feet(page, repeated, found)
        page.furniture = [line for line in page.lines + page.turned if id(line) in found]
        page.lines = [line for line in page.lines if id(line) not in found]
        page.turned = [line for line in page.turned if id(line) not in found]
        if len(page.boxes):
            again = np.array([boxes[key] >= often for key in drawn])
            # Pictures of one size at one place are figures all the same.
            sides = page.boxes[:, 2:] - page.boxes[:, :2]
            small = sides.prod(axis=1) < P.small * page.width * page.height
            inner = (page.boxes[:, 1] > P.head * page.height) & (
                page.boxes[:, 3] < (1 - P.head) * page.height
            )
            # So many are the axes of plots, or a drawing, that stand alike on several pages.
            drawing = (again & small & inner).sum() >= P.drawing
            keep = ~(again & small) | drawing
            page.boxes, page.kinds = page.boxes[keep], page.kinds[keep]


def _text_key(line: Line) -> tuple:
    text = _DIGITS.sub("#", line.text)
    return text, round(line.box[1] / P.text_bin), line.quarters


def _at_edge(line: Line, page: "PageContent", share: float) -> bool:
    """Whether a line lies in the head or the foot of a page, a share of its height."""
    return line.box[3] < share * page.height or line.box[1] > (1 - share) * page.height


def _heads_and_feet(page: "PageContent", repeated: set[int], known: set[int]) -> set[int]:
    """The ids of repeated lines and page numbers. `known`: furniture that was found before."""
    found = set(known)
    above: Line | None = None  # the line before in the page's content
    for line in sorted(page.lines + page.turned, key=lambda line: line.span):
        number = _at_edge(line, page, P.number) and _PAGE_NUMBER.fullmatch(line.text)
        if id(line) in repeated or number:
            text = above is not None and id(above) not in found and _goes_on(line, above)
            # Else a caption at the head of a page, or the last line of one at its foot.
            if not match_label(line.text) and not text:
                found.add(id(line))
        above = line
    return found


def _goes_on(line: Line, above: Line) -> bool:
    """Whether a line goes on from the one before it, close under it in its size."""
    step = line.box[3] - above.box[3]
    return (
        line.continues(above)
        and abs(line.size - above.size) < P.same_size * line.size
        and P.nearest * line.size < step < P.farthest * line.size
        and overlap_x(line.box, above.box) > 0
    )


def _line_numbers(page: "PageContent") -> set[int]:
    """The ids of bare numbers in one column that grow down the page beside or between the text."""
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
