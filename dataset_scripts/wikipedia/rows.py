"""Build the rows and shards of a page, in a worker process."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cephalo.cli.addresses import is_web_address
from cephalo.cli.rows import Row
from cephalo.dataset_scripts.common.document_shards import DocumentOutcome, write_shards
from cephalo.dataset_scripts.common.passages import text_rows
from cephalo.dataset_scripts.pdf.prose import is_prose
from cephalo.dataset_scripts.wikipedia.api import Page
from cephalo.dataset_scripts.wikipedia.article import Article, WebFigure, text_of
from cephalo.dataset_scripts.wikipedia.images import ImageError, image_columns
from cephalo.model_cards.licenses import find_license

MAX_AUTHOR = 500  # characters


@dataclass(frozen=True)
class Picture:
    """A figure whose image is in the file `path`.

    `address` is its description page; `license` (a short name) and `author` (HTML) are as the wiki
    states them, "" if it does not.
    """

    figure: WebFigure
    path: Path
    address: str = ""
    license: str = ""
    author: str = ""


def page_to_shard(
    page: Page, article: Article, pictures: list[Picture], shard: Path, width: int, text: bool
) -> DocumentOutcome:
    """Write the rows of a page to its shards, with images at most `width` pixels wide.

    With `text` its paragraphs are written to the `text` table. Raises ShardError.
    """
    document = document_columns(page, article)
    rows, left_out = [], {}
    for picture in pictures:
        try:
            rows.append(figure_row(picture, document, width))
        except (ImageError, OSError) as error:
            left_out[picture.figure.name or picture.figure.source[:200]] = str(error)
    passages = None
    if text:
        paragraphs = ((0, paragraph) for paragraph in article.paragraphs if is_prose(paragraph))
        passages = text_rows(paragraphs, document)
    write_shards(shard, rows, passages)
    return DocumentOutcome(len(rows), 1, left_out=left_out)


def document_columns(page: Page, article: Article) -> Row:
    """Return the columns of TEXT that are the same for a whole page."""
    address = page.document if is_web_address(page.document) else article.address
    license_ = page.license or article.license
    return {
        "document": address or page.document,
        "document_sha256": hashlib.sha256(page.html).hexdigest(),
        "title": page.title or article.title,
        "doi": None,
        "license": license_,
        "author": contributors(address) if license_ and address else None,
        "source_url": address,
        "revision": page.revision or article.revision,
    }


def figure_row(picture: Picture, document: Row, width: int) -> Row:
    """Build a row of FIGURES. A web page counts as one page and has no labels, points or dpi.

    Raises ImageError and OSError.
    """
    return {
        **document,
        **image_columns(picture.path.read_bytes(), width),
        "caption": picture.figure.caption,
        "label": "",
        "kind": "figure",
        "panels": [],
        "mentions": picture.figure.mentions,
        "figure_text": [],
        "text_faults": [],
        "page": 0,
        "bbox": None,
        "caption_bbox": None,
        "dpi": None,
        # The licence of the text does not apply to its images.
        "license": image_license(picture.license),
        "author": text_of(picture.author)[:MAX_AUTHOR] or None,
        "source_url": picture.address or document["source_url"],
    }


def image_license(name: str) -> str | None:
    """Return an SPDX-like identifier for a licence's short name, or that name; None for "".

    "CC BY-SA 3.0" → "CC-BY-SA-3.0"; "Public domain" → "PDM-1.0", its mark.
    """
    plain = text_of(name)[:100]
    if plain.casefold() in ("public domain", "pd"):
        return "PDM-1.0"
    return find_license(plain) or plain or None


def contributors(address: str) -> str:
    """Return the authors whom the licence of a wiki's text requires to be named."""
    host = urlsplit(address).hostname or ""
    return "Wikipedia contributors" if "wikipedia" in host else f"Contributors to {host}"
