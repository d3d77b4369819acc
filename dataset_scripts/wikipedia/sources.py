"""Sources of pages: titles and categories of a wiki, saved HTML files, and HTML dumps."""

import gzip
import hashlib
import json
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from cephalo.cli.addresses import is_web_address
from cephalo.cli.errors import CephaloError
from cephalo.cli.rows import Row
from cephalo.dataset_scripts.common.inputs import file_sha256
from cephalo.dataset_scripts.wikipedia.api import Page, Wiki
from cephalo.dataset_scripts.wikipedia.client import MAX_ANSWER, PageError
from cephalo.model_cards.licenses import find_license

HTML = (".html", ".htm", ".xhtml")
DUMPS = (".json.tar.gz", ".ndjson", ".ndjson.gz")


@dataclass(frozen=True)
class PageSource:
    """A page to extract. `name` is used in messages, `load` reads the page.

    `key` is a unique identifier of 64 hexadecimal digits. `folder` holds the images of a saved
    page; None if they are on the wiki.
    """

    name: str
    key: str
    load: Callable[[], Page]
    folder: Path | None = None


def address_key(address: str) -> str:
    """Return the key of a page by its address."""
    return hashlib.sha256(address.encode()).hexdigest()


def read_titles(file: Path) -> list[str]:
    """Read titles from a file, one per line, without empty lines and comments ("#").

    Raises CephaloError.
    """
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise CephaloError(
            f"--titles {file} cannot be read; give a text file with one title per line"
        ) from error
    return [line for line in lines if line and not line.startswith("#")]


def from_titles(wiki: Wiki, titles: list[str]) -> Iterator[PageSource]:
    """Yield the pages of titles without repetition; "Category:NAME" stands for its articles."""
    seen: set[str] = set()
    for title in titles:
        names = [title]
        if title.startswith("Category:"):
            try:
                names = wiki.category(title)
                reason = "it has no articles, or there is no such category"
            except PageError as error:
                names, reason = [], str(error)
            if not names:
                yield _failed(title, reason)
        for name in names:
            address = wiki.page_address(name)
            if address not in seen:
                seen.add(address)
                yield PageSource(name, address_key(address), lambda name=name: wiki.page(name))


def _failed(name: str, reason: str) -> PageSource:
    def load() -> Page:
        raise PageError(reason)

    return PageSource(name, address_key(name), load)


def from_html(path: Path) -> PageSource:
    """Return the source of a page saved by a browser, or of any HTML file."""
    try:
        key = file_sha256(path)
    except OSError as error:
        return _failed(str(path), f"the file cannot be read: {error.strerror}")

    def load() -> Page:
        if path.stat().st_size > MAX_ANSWER:
            raise PageError(f"larger than {MAX_ANSWER >> 20} MB")
        return Page(path.name, path.read_bytes())

    return PageSource(str(path), key, load, folder=path.parent)


def local_image(folder: Path, source: str) -> Path | None:
    """Return the file in `folder` that an image's address names; None if it is outside."""
    try:
        parts = urlsplit(source)
        if parts.scheme or parts.netloc or not parts.path:
            return None
        path = (folder / unquote(parts.path)).resolve()
        inside = path.is_relative_to(folder.resolve()) and path.is_file()
    except (OSError, ValueError):
        return None
    return path if inside else None


def from_dump(path: Path) -> Iterator[PageSource]:
    """Yield the articles of a Wikimedia Enterprise HTML dump: one JSON object per line.

    The file is streamed one line at a time. A damaged file yields a failure where it breaks.
    https://enterprise.wikimedia.com/docs/data-dictionary/
    """
    try:
        for number, line in enumerate(_lines(path), 1):
            name = f"{path}, line {number}"
            try:
                yield _article(json.loads(line))
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                yield _failed(name, "no article of an HTML dump, or too long")
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        yield _failed(str(path), f"the dump breaks off: {' '.join(str(error).split())[:200]}")


def _article(row: Row) -> PageSource:
    address, licenses = row["url"], row.get("license") or [{}]
    if not is_web_address(address):
        raise ValueError("no address")
    page = Page(
        document=address,
        html=row["article_body"]["html"].encode(errors="replace"),
        title=str(row["name"]),
        revision=str(row["version"]["identifier"]) if row.get("version") else None,
        license=find_license(f"{licenses[0].get('url')} {licenses[0].get('identifier')}"),
    )
    return PageSource(address, address_key(address), lambda: page)


def _lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a dump; of a line longer than MAX_ANSWER only the beginning."""
    if path.name.endswith(".tar.gz"):
        with tarfile.open(path, "r|gz") as archive:
            for member in archive:
                if member.isfile() and (file := archive.extractfile(member)):
                    yield from _lines_of(file)
    else:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            yield from _lines_of(file)


def _lines_of(file: IO[bytes] | gzip.GzipFile) -> Iterator[bytes]:
    while line := file.readline(MAX_ANSWER):
        rest = line
        while not rest.endswith(b"\n") and (rest := file.readline(MAX_ANSWER)):
            pass
        yield line
