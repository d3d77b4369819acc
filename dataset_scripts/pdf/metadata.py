"""Title, DOI, licence and authors of a document, from its metadata and first pages."""

import html
import mmap
import re
from dataclasses import dataclass
from pathlib import Path

from cephalo.dataset_scripts.pdf.authors import find_authors
from cephalo.dataset_scripts.pdf.joining import join_text
from cephalo.dataset_scripts.pdf.layout import PageContent
from cephalo.dataset_scripts.pdf.profile import TypeProfile
from cephalo.dataset_scripts.pdf.text import Line
from cephalo.model_cards.licenses import find_license

MAX_PACKETS, MAX_PACKET_BYTES = 30, 1 << 16  # limits for XMP; images have packets too
_DOI = re.compile(r"\b10\.\d{4,9}/[^\s\"<>{}|\\^\[\]`]+[^\s\"<>{}|\\^\[\]`.,;:)]", re.I)
_OWN_DOI = re.compile(r"doi(?:\.org)?\s*[:/]?\s*/?\s*$", re.I)


@dataclass(frozen=True)
class Parameters:
    """Limits for lines of the title."""

    title_half: float = 0.6  # share of the first page's height that may contain the title
    large: float = 1.15  # ratio to the body size; section headings are smaller
    words: int = 3  # words in the longest line; journal names have fewer
    same_size: float = 0.06  # relative tolerance of the sizes in a title
    gap: float = 1.5  # ratio to the size: largest gap between lines of a title
    shortest: int = 8  # characters
    longest: int = 400  # characters; longer text is an abstract in large type
    stated: int = 11  # smallest length of a title in the metadata; "Title" is a placeholder


P = Parameters()


@dataclass(frozen=True)
class Metadata:
    """Metadata of a document; unknown values are `None`.

    `license` is like an SPDX identifier: "CC-BY-4.0", "CC0-1.0", or "CC-BY" without a version.
    """

    title: str | None = None
    doi: str | None = None
    license: str | None = None
    author: str | None = None


def read_metadata(
    pages: list[PageContent], body: TypeProfile, information: dict[str, str], xmp: str = ""
) -> Metadata:
    """Collect the metadata of a document.

    Args:
        pages: Content of each page.
        body: Type of the body text.
        information: Information dictionary ("Title", "Author", "doi", ...).
        xmp: XMP packets, see `read_xmp`.
    """
    texts = [page_text(page) for page in pages[:2]] + [page_text(page) for page in pages[-2:]]
    first = texts[0] if texts else ""
    title = find_title(pages, body, information.get("Title", ""))
    creators = [*_xmp_values(xmp, "dc:creator"), information.get("Author", "")]
    # Printed values come first, because templates keep the packet of an earlier paper.
    doi = find_doi(" ".join([*information.values(), first]))
    return Metadata(
        title,
        doi
        or next(filter(None, map(find_doi, _xmp_values(xmp, "prism:doi", "dc:identifier"))), None),
        find_license(" ".join([*texts, *information.values(), *_xmp_values(xmp, "dc:rights")])),
        find_authors([line.text for line in sorted_lines(pages[0])], title, creators)
        if pages
        else None,
    )


def read_xmp(path: Path) -> str:
    """Return the uncompressed XMP packets of a PDF file, "" if there are none."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        packets, end = [], 0
        while len(packets) < MAX_PACKETS and (start := data.find(b"<x:xmpmeta", end)) >= 0:
            end = start + MAX_PACKET_BYTES
            packets.append(data[start:end].partition(b"</x:xmpmeta>")[0])
            end = start + len(packets[-1])
    return b"\n".join(packets).decode("utf-8", "replace")


def _xmp_values(xmp: str, *names: str) -> list[str]:
    """Return the texts of an XMP property, or of the items of its list."""
    values = []
    for name in names:
        for piece in xmp.split(f"<{name}>")[1:]:
            whole, end, _ = piece.partition(f"</{name}>")
            items = re.findall(r"<rdf:li[^<>]*>([^<]*)</rdf:li>", whole) or [whole]
            values += [html.unescape(item).strip() for item in items if end]
    return values


def page_text(page: PageContent) -> str:
    """Return all text of a page on one line, without hyphenation."""
    return join_text([line.text for line in sorted_lines(page)])


def sorted_lines(page: PageContent) -> list[Line]:
    """Return all lines of a page in text order."""
    return sorted(page.lines + page.turned + page.furniture, key=lambda line: line.span)


def find_doi(text: str) -> str | None:
    """Return the first DOI after "doi" or "doi.org/", or `None`."""
    text = re.sub(r"(10\.\d{4,9}/)\s+", r"\1", text)
    for match in _DOI.finditer(text):
        if _OWN_DOI.search(text[: match.start()][-16:]) or match.start() == 0:
            return match.group().lower()
    return None


def find_title(pages: list[PageContent], body: TypeProfile, stated: str) -> str | None:
    """Return the title of the metadata if it is on the first page, else the largest type there."""
    if not pages:
        return None
    first = pages[0]
    lines = [
        line for line in first.lines + first.furniture if line.box[1] < P.title_half * first.height
    ]
    page = re.sub(r"\W+", "", page_text(pages[0])).casefold()
    plain = re.sub(r"\W+", "", stated).casefold()
    if len(plain) >= P.stated and plain in page:
        return " ".join(stated.split())
    large = [line for line in lines if line.size > P.large * body.size and len(line.text) > 3]
    words = [line for line in large if len(line.text.split()) >= P.words]
    if not words:
        return None
    size = max(line.size for line in words)
    same = [line for line in large if abs(line.size - size) < P.same_size * size]
    same.sort(key=lambda line: line.box[1])
    kept = [same[0]]
    for line in same[1:]:
        if line.box[1] - kept[-1].box[3] < P.gap * size:
            kept.append(line)
    text = join_text([line.text for line in kept])
    return text if P.shortest <= len(text) <= P.longest else None
