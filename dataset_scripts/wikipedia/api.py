"""MediaWiki requests: pages as HTML, pages of a category, files and their licences.

https://www.mediawiki.org/wiki/API:REST_API/Reference and https://www.mediawiki.org/wiki/API:Query
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from cephalo.cli.addresses import is_web_address
from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.wikipedia.client import Client, PageError
from cephalo.model_cards.licenses import find_license

TITLES = 50  # maximum number in one query
MAX_ANSWERS = 2000  # maximum number of continuations of one query: a million members of a category
MAX_ADDRESS = 6000  # characters of titles in one address
MAX_IMAGE = 40 << 20  # bytes
# Formats that Pillow reads; for others (SVG, TIFF, PDF) the wiki's rendering is used.
RASTER = {"image/jpeg", "image/png", "image/gif", "image/webp"}


@dataclass(frozen=True)
class Page:
    """A web page to extract. `document` is its address or file name; `license` is the licence of
    its text, in the form of an SPDX identifier."""

    document: str
    html: bytes
    title: str | None = None
    revision: str | None = None
    license: str | None = None


@dataclass(frozen=True)
class ImageFile:
    """A file of a wiki. `url` is the address of its pixels, `page` that of its description page.

    `license` (a short name) and `author` (HTML) are as the wiki states them.
    """

    url: str
    page: str
    license: str
    author: str


@contextmanager
def _documented(address: str) -> Iterator[None]:
    """Raise PageError if an answer does not have the form that MediaWiki documents."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise PageError(f"{address} does not answer like a MediaWiki") from error


def checked_wiki(address: str) -> str:
    """Return the address of a wiki without a trailing slash. Raises CephaloError for others."""
    if not is_web_address(address):
        raise CephaloError(
            f"--wiki {address!r} is not a web address; give one such as https://de.wikipedia.org"
        )
    return address.rstrip("/")


class Wiki:
    """A MediaWiki by its address: "https://en.wikipedia.org"."""

    def __init__(self, client: Client, address: str) -> None:
        self.client, self.address = client, checked_wiki(address)

    def page_address(self, title: str) -> str:
        """Return the address of a page, however its title is spelled."""
        return f"{self.address}/wiki/{quote(title.strip().replace(' ', '_'), safe='/:,()')}"

    def page(self, title: str) -> Page:
        """Return a page by its title, following redirects. Raises PageError if it is missing."""
        key = quote(title.strip().replace(" ", "_"), safe="")
        answer = self.client.get_json(f"{self.address}/w/rest.php/v1/page/{key}/with_html")
        with _documented(self.address):
            license_ = answer.get("license") or {}
            return Page(
                document=self.page_address(answer["key"]),
                html=answer["html"].encode(errors="replace"),
                title=answer["title"],
                revision=str(answer["latest"]["id"]),
                license=find_license(f"{license_.get('url')} {license_.get('title')}"),
            )

    def category(self, name: str) -> list[str]:
        """Return the titles of the articles of "Category:NAME", without subcategories."""
        found: list[str] = []
        with _documented(self.address):
            for answer in self._query(
                list="categorymembers", cmtitle=name, cmtype="page", cmnamespace="0", cmlimit="500"
            ):
                found += [str(page["title"]) for page in answer.get("categorymembers", [])]
        return found

    def files(self, names: list[str], width: int) -> dict[str, ImageFile]:
        """Return files by their names ("Nacre.jpg"), with images at most `width` pixels wide.

        Unknown files, audio and video are omitted.
        """
        found = {}
        with _documented(self.address):
            for name, page in self._file_pages(names, width):
                if file := image_file(page, width):
                    found[name] = file
        return found

    def _file_pages(self, names: list[str], width: int) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the requested file names with their entries in the answers."""
        for group in _groups(names):
            for answer in self._query(
                titles="|".join(f"File:{name}" for name in group),
                prop="imageinfo",
                iiprop="url|size|mime|extmetadata",
                iiextmetadatafilter="LicenseShortName|License|Artist|Attribution",
                iiurlwidth=str(width),
            ):
                asked = {entry["to"]: entry["from"] for entry in answer.get("normalized", [])}
                for page in answer.get("pages", []):
                    title = asked.get(page["title"], page["title"])
                    yield title.partition(":")[2], page

    def _query(self, **parameters: str) -> Iterator[dict[str, Any]]:
        """Yield the `query` of every answer, following continuations."""
        common = {"action": "query", "format": "json", "formatversion": "2", "maxlag": "5"}
        more: dict[str, str] = {}
        for _ in range(MAX_ANSWERS):
            answer = self.client.get_json(
                f"{self.address}/w/api.php", {**common, **parameters, **more}
            )
            if not isinstance(answer, dict) or "error" in answer:
                raise PageError(f"{self.address}/w/api.php refuses: {str(answer)[:200]}")
            yield answer.get("query", {})
            more = answer.get("continue") or {}
            if not more:
                return
        raise PageError(f"{self.address}/w/api.php never ends its answer")


def _groups(names: list[str]) -> Iterator[list[str]]:
    """Split names into groups that fit into one query and a URL of acceptable length."""
    group: list[str] = []
    length = 0
    for name in names:
        size = len(quote(f"File:{name}|"))
        if group and (len(group) == TITLES or length + size > MAX_ADDRESS):
            yield group
            group, length = [], 0
        group.append(name)
        length += size
    if group:
        yield group


def image_file(page: dict[str, Any], width: int) -> ImageFile | None:
    """Build an ImageFile from an entry of prop=imageinfo; None if it has no image."""
    info = next(iter(page.get("imageinfo", [])), None)
    if not info:
        return None
    kept = info.get("width", 0) <= width and info.get("size", 0) <= MAX_IMAGE
    url = info.get("url") if kept and info.get("mime") in RASTER else info.get("thumburl")
    if not url or info.get("mime", "").partition("/")[0] in ("audio", "video"):
        return None
    told = {key: str(entry.get("value", "")) for key, entry in info.get("extmetadata", {}).items()}
    return ImageFile(
        url=url,
        page=info.get("descriptionurl", ""),
        license=told.get("LicenseShortName") or told.get("License", ""),
        author=told.get("Attribution") or told.get("Artist", ""),
    )
