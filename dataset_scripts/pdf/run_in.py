"""Headings in the first row of their paragraph that are set off only by their type."""

import ctypes
import re
from dataclasses import replace

from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf.glyph_kinds import font_name
from cephalo.dataset_scripts.pdf.main_matter import BEGINNING, FINISHED
from cephalo.dataset_scripts.pdf.text import Line, is_bold

_ITALIC = re.compile(r"ital|obli|slant|cmti|cmsl|sfti|-it\b|-i$", re.I)
_STOPPED = re.compile(r"[.:;!?,\u2013\u2014-]\s*$")
_TITLE = re.compile(r"(?:\d[\d.]*\s+)?[A-Z][\w-]+")
_LONGEST = 120  # largest number of characters of a heading
_LINES = 3  # largest number of lines of a heading


def without_run_in(textpage: ctypes.c_void_p, lines: list[Line]) -> list[Line]:
    """Remove headings that run into a sentence without a stop.

    "**Base models** Our framework" loses "Base models"; "**Base models.** Our framework" is kept.
    `textpage` is the handle of `pdfium.open_text`.
    """
    lines = without_bold_lines(lines)
    return [
        replace(line, text=_without(textpage, line)) if _may_head(line, before) else line
        for before, line in zip([None, *lines], lines, strict=False)
    ]


def without_bold_lines(lines: list[Line]) -> list[Line]:
    """Remove bold headings on separate lines of a block.

    A heading has at most `_LINES` lines, has no final stop, and is followed by text that is not
    bold.
    """
    kept: list[Line] = []
    place = 0
    while place < len(lines):
        end = place
        while end < len(lines) and is_bold(lines[end].lead) and is_bold(lines[end].font):
            end += 1
        begins = not kept or bool(FINISHED.search(kept[-1].text))
        heads = 0 < end - place <= _LINES and end < len(lines) and begins
        heads = heads and lines[end].text[:1].isupper() and not _STOPPED.search(lines[end - 1].text)
        if not heads:
            end = max(end, place + 1)
            kept += lines[place:end]
        place = end
    return kept


def _may_head(line: Line, before: Line | None) -> bool:
    """Return whether a line begins like a heading. `before` is the previous line of the block."""
    return (
        line.lead != line.font
        and not line.quarters
        and bool(_TITLE.match(line.text))
        and (is_bold(line.lead) > is_bold(line.font) or _is_italic(line))
        and (before is None or bool(FINISHED.search(before.text)))
    )


def _is_italic(line: Line) -> bool:
    """Return whether a line begins in italics and continues upright."""
    return bool(_ITALIC.search(line.lead)) and not _ITALIC.search(line.font)


def _without(textpage: ctypes.c_void_p, line: Line) -> str:
    """Return the text of a line without its heading."""
    first, last = line.span
    start = fast.text_font(fast.text_object(textpage, first))
    letters = 0
    for char in range(first, min(last, first + _LONGEST)):
        code = fast.text_unicode(textpage, char)
        if code <= 32:
            continue
        owner = fast.text_object(textpage, char)
        if owner and fast.text_font(owner) != start and font_name(fast.text_font(owner)):
            break
        letters += 1
    end = _after(line.text, letters)
    heading, rest = line.text[:end], line.text[end:].lstrip()
    set_off = len(heading) > 1 and line.text[end : end + 1].isspace() and rest[:1].isupper()
    if not set_off or _STOPPED.search(heading) or len(heading) < 4:
        return line.text
    return rest if is_bold(line.lead) or BEGINNING.match(rest) else line.text


def _after(text: str, letters: int) -> int:
    """Return the position after the first `letters` characters that are not spaces."""
    for place, char in enumerate(text):
        if letters == 0:
            return place
        letters -= not char.isspace()
    return len(text)
