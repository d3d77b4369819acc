"""The pages of a document, read one by one, and what of them could not be."""

from dataclasses import dataclass, replace

import numpy as np

from cephalo.dataset_scripts.pdf import ocr, scan
from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf.graphics import Graphics, read_graphics
from cephalo.dataset_scripts.pdf.joining import settle_hyphens
from cephalo.dataset_scripts.pdf.layout import PageContent, to_contents
from cephalo.dataset_scripts.pdf.margins import trim_pictures
from cephalo.dataset_scripts.pdf.text import MAX_CHARS, Line, read_lines
from cephalo.dataset_scripts.pdf.text_layer import Memory

_BLANKS = 100  # characters; what a page's text may end with that is in no line


@dataclass
class Gaps:
    """How many of the pages of a document were not read, or not whole.

    `scans` and `unmapped` ones, whose fonts do not tell what their characters are, need OCR;
    `layers` are scans of which, without OCR, the text that another program left in them was taken.
    `cut` ones have more graphics or characters than are read.
    """

    pages: int
    scans: int = 0
    unmapped: int = 0
    layers: int = 0
    cut: int = 0

    def check_read(self) -> str | None:
        """What to say of pages that OCR would read, or read better, one line; None without any.

        Raises UnreadableError with it where most pages were not read. A document with fewer of
        them gives the rows of its other pages.
        """
        parts = []
        if self.scans:
            parts.append(f"{self.scans} of {self.pages} pages are scans, which need OCR")
        if self.unmapped:
            parts.append(
                f"{self.unmapped} of {self.pages} pages are in fonts that do not tell their "
                "characters, which need OCR"
            )
        if self.layers:
            parts.append(
                f"{self.layers} of {self.pages} pages are scans, read from the text that another "
                "program left in them, which may lack captions; OCR reads the scans"
            )
        if not parts:
            return None
        reason = f"{' and '.join(parts)}: {ocr.INSTALL}"
        if self.scans + self.unmapped > self.pages / 2:
            raise fast.UnreadableError(reason)
        return reason

    def describe_cut(self) -> str | None:
        """What to say of pages that were cut, one line; None without any."""
        if not self.cut:
            return None
        return (
            f"{self.cut} of {self.pages} pages have more objects or characters than are read; the "
            "others are known by their ink only"
        )


def read_pages(source: fast.Pages, count: int) -> tuple[list[PageContent], Gaps]:
    """Text lines and graphics of every page; a damaged page counts as empty.

    A page with captions in two orientations comes twice, in two frames.
    """
    pages = []
    gaps = Gaps(count)
    glyphs: Memory = {}
    for number in range(count):
        try:
            pages += _read_page(source, number, gaps, glyphs)
        except fast.UnreadableError:
            pages.append(
                PageContent(number, 1, 1, 0, [], [], np.zeros((0, 4)), np.zeros(0, np.uint8))
            )
    settle_hyphens([page.lines + page.turned for page in pages])
    return pages, gaps


def _read_page(source: fast.Pages, number: int, gaps: Gaps, glyphs: Memory) -> list[PageContent]:
    with source.open(number) as page:
        graphics = read_graphics(page)
        lines = read_lines(page, graphics.texts, glyphs)
        scanned = scan.is_scan(page, lines, graphics)
        unmapped = not scanned and scan.is_unmapped(lines)
        legible = ocr.is_available() or (scanned and scan.has_layer(lines))
        picture = scan.draw(page) if (scanned or unmapped) and legible else None
        if not scanned:
            source.keep(page)
            lines = _printed_lines(page, lines, graphics, glyphs)
            graphics = trim_pictures(page, lines, graphics)
            if graphics.cut or _is_cut(lines):
                graphics = scan.add_ink(page, lines, graphics)
                gaps.cut += 1
    # Only now, since pdfium holds the picture of a scan as long as its page is open.
    if picture and scanned:
        lines, graphics = scan.read_scan(page, picture, lines, graphics)
        gaps.cut += graphics.cut
    elif picture:
        lines = scan.read_unmapped(picture, lines)
    gaps.scans += scanned and picture is None
    gaps.layers += scanned and picture is not None and not ocr.is_available()
    gaps.unmapped += unmapped and picture is None
    return to_contents(number, page.width, page.height, lines, graphics)


def _printed_lines(
    page: fast.Page, lines: list[Line], graphics: Graphics, glyphs: Memory
) -> list[Line]:
    """The lines of a page that is no scan that a reader sees, such as white ones on graphics."""
    texts = graphics.texts
    if texts.beneath:  # no layer of a scan, but what a picture was drawn over
        lines = read_lines(page, replace(texts, hidden=texts.hidden | texts.beneath), glyphs)
    return [line for line in lines if line.visible or scan.is_on(line, page, graphics.boxes)]


def _is_cut(lines: list[Line]) -> bool:
    """Whether a page's last lines end where reading does."""
    return max((line.span[1] for line in lines), default=0) > MAX_CHARS - _BLANKS
