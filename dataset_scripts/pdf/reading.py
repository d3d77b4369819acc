"""Read the pages of a document one by one, and count those that could not be read."""

from dataclasses import dataclass, replace

import numpy as np

from cephalo.dataset_scripts.pdf import ocr, scan
from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf.graphics import Graphics, read_graphics
from cephalo.dataset_scripts.pdf.joining import settle_hyphens
from cephalo.dataset_scripts.pdf.layout import PageContent, to_contents
from cephalo.dataset_scripts.pdf.legibility import is_garbled
from cephalo.dataset_scripts.pdf.margins import trim_pictures
from cephalo.dataset_scripts.pdf.text import MAX_CHARS, Line, read_lines
from cephalo.dataset_scripts.pdf.text_layer import Memory

_BLANKS = 100  # characters at the end of a page's text that may belong to no line


@dataclass
class Gaps:
    """Pages of a document that were not read, or not completely.

    Attributes:
        pages: Number of pages.
        scans: Scans that need OCR.
        unmapped: Pages in fonts without a character mapping, which need OCR.
        layers: Scans read from the text layer of another program, without OCR.
        cut: Pages with more graphics or characters than are read.
        garbled: Pages with many glyphs of unknown character.
    """

    pages: int
    scans: int = 0
    unmapped: int = 0
    layers: int = 0
    cut: int = 0
    garbled: int = 0

    def check_read(self) -> str | None:
        """Return a message about pages that OCR would read, or read better, or `None`.

        Raises:
            UnreadableError: If most pages were not read. Otherwise the other pages are used.
        """
        parts = []
        if self.scans:
            parts.append(f"{self.scans} of {self.pages} pages are scans, which need OCR")
        if self.unmapped:
            parts.append(
                f"{self.unmapped} of {self.pages} pages have fonts without a character "
                "mapping, which need OCR"
            )
        if self.layers:
            parts.append(
                f"{self.layers} of {self.pages} pages are scans, read from another program's text "
                "layer, which may lack captions; OCR reads the scans"
            )
        if not parts:
            return None
        reason = f"{' and '.join(parts)}: {ocr.INSTALL}"
        if self.scans + self.unmapped > self.pages / 2:
            raise fast.UnreadableError(reason)
        return reason

    def describe_cut(self) -> str | None:
        """Return a message about pages with too much content, or `None`."""
        if not self.cut:
            return None
        return (
            f"{self.cut} of {self.pages} pages have more objects or characters than are read; "
            "the rest is found by its ink only"
        )

    def describe_garbled(self) -> str | None:
        """Return a message about pages whose text was read only in part, or `None`."""
        if not self.garbled:
            return None
        return (
            f"{self.garbled} of {self.pages} pages have many glyphs whose characters are unknown; "
            "figures there may be missing, and captions wrong"
        )


def read_pages(source: fast.Pages, count: int) -> tuple[list[PageContent], Gaps]:
    """Read the lines and graphics of every page. A damaged page counts as empty.

    A page with captions in two orientations occurs twice, in two frames.

    Args:
        source: Pages of the document.
        count: Number of pages.

    Returns:
        Content of the pages, and the counts of pages that were not read.
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
    """Read a page in one or two frames, and count it in `gaps` if it is not read."""
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
    # Close the page first, since pdfium keeps the image of a scan while its page is open.
    if picture and scanned:
        lines, graphics = scan.read_scan(page, picture, lines, graphics)
        gaps.cut += graphics.cut
    elif picture:
        lines = scan.read_unmapped(picture, lines)
    gaps.scans += scanned and picture is None
    gaps.layers += scanned and picture is not None and not ocr.is_available()
    gaps.unmapped += unmapped and picture is None
    gaps.garbled += not scanned and not unmapped and is_garbled(line.text for line in lines)
    return to_contents(number, page.width, page.height, lines, graphics)


def _printed_lines(
    page: fast.Page, lines: list[Line], graphics: Graphics, glyphs: Memory
) -> list[Line]:
    """Return the visible lines of a page that is not a scan, also white text on graphics."""
    texts = graphics.texts
    if texts.beneath:  # text covered by an image, not the layer of a scan
        lines = read_lines(page, replace(texts, hidden=texts.hidden | texts.beneath), glyphs)
    return [line for line in lines if line.visible or scan.is_on(line, page, graphics.boxes)]


def _is_cut(lines: list[Line]) -> bool:
    """Return whether the last lines of a page end at the limit of characters."""
    return max((line.span[1] for line in lines), default=0) > MAX_CHARS - _BLANKS
