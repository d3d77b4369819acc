"""Captions that go on at the head of the next page."""

import re
from itertools import pairwise

from cephalo.dataset_scripts.pdf.captions import Caption, grow
from cephalo.dataset_scripts.pdf.geometry import overlap_x
from cephalo.dataset_scripts.pdf.joining import join_text
from cephalo.dataset_scripts.pdf.labels import match_label
from cephalo.dataset_scripts.pdf.layout import BodyStyle, PageContent
from cephalo.dataset_scripts.pdf.text import Line

_ENDED = re.compile(r"[.!?\u3002]\W{0,3}$")


def continue_captions(
    pages: list[PageContent], captions: list[list[Caption]], body: BodyStyle
) -> None:
    """Give captions that break off at the foot of a page what follows on the next one.

    `captions` are those of each page. Their boxes stay on their own page.
    """
    for (page, own), (after, _) in pairwise(zip(pages, captions, strict=True)):
        if after.number != page.number + 1 or after.quarters != page.quarters:
            continue
        for caption in own:
            first = _head(after, caption, body) if _breaks_off(caption, page) else None
            if first is None:
                continue
            lines = grow(first, caption.kind, after, body)
            for line in lines:
                line.tags.add("caption")
            caption.text = join_text([caption.text, *(line.text for line in lines)])


def _breaks_off(caption: Caption, page: PageContent) -> bool:
    """Whether a caption's last line is full, ends no sentence, and has nothing below it."""
    last = caption.lines[-1]
    full = last.box[2] > caption.box[2] - 2.5 * last.size
    if caption.kind == "table" or not full or _ENDED.search(caption.text):
        return False
    return not any(
        line.box[1] > last.box[1] + 0.5 * last.size and overlap_x(line.box, caption.box) > 0
        for line in page.lines
        if "furniture" not in line.tags
    )


def _head(page: PageContent, caption: Caption, body: BodyStyle) -> Line | None:
    """The first line of a page under a caption's left edge, where it is in the caption's type.

    None where it is not, or where that is the type of the body.
    """
    last = caption.lines[-1]
    lines = [
        line
        for line in page.lines
        if "furniture" not in line.tags and overlap_x(line.box, caption.box) > 0
    ]
    first = min(lines, key=lambda line: (round(line.box[3]), line.box[0]), default=None)
    if first is None or match_label(first.text):
        return None
    alike = abs(first.size - last.size) < 0.06 * last.size and first.font == last.font
    flush = abs(first.box[0] - caption.box[0]) < 2 * last.size
    of_body = first.size > 0.97 * body.size and first.font in body.fonts
    return first if alike and flush and not of_body else None
