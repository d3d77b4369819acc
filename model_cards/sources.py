"""The sources of a dataset on disk: documents and images with author, licence and URL."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cephalo.cli.files import scratch_database
from cephalo.cli.rows import Row

TOLD = ("document", "title", "author", "doi", "license", "source_url")
MAX_COUNTED = 1000  # sources whose counts are held in memory
SCHEMA = f"""
CREATE TABLE sources (
    number INTEGER PRIMARY KEY, key BLOB UNIQUE, {", ".join(f"{name} TEXT" for name in TOLD)},
    figures INTEGER, passages INTEGER
);
CREATE TABLE cited (document_sha256 TEXT PRIMARY KEY) WITHOUT ROWID;
"""


@dataclass
class Attribution:
    """A document, or an image with its own author or licence."""

    document: str
    title: str | None = None
    author: str | None = None
    doi: str | None = None
    license: str | None = None
    source_url: str | None = None
    figures: int = 0
    passages: int = 0

    @property
    def url(self) -> str | None:
        """The URL of the source, if it has one."""
        url = self.source_url or (f"https://doi.org/{self.doi}" if self.doi else self.document)
        try:
            return url if urlsplit(url).scheme in ("http", "https") else None
        except ValueError:  # no address at all
            return None

    @property
    def host(self) -> str:
        """The host of the source's URL, "" if it has none."""
        return urlsplit(self.url or "").hostname or ""


class Sources:
    """All sources in order of appearance, in a new database at `path`."""

    def __init__(self, path: Path) -> None:
        self._database = scratch_database(path, SCHEMA)
        self._counts: dict[tuple[str | None, ...], Counter[str]] = {}
        self._last: str | None = None  # the document cited last

    def cite(self, row: Row, what: str | None = None) -> None:
        """Insert the source of a row if it is new, and count one of its "figures" or "passages"."""
        if row["document_sha256"] != self._last:
            self._last = row["document_sha256"]
            self._database.execute("INSERT OR IGNORE INTO cited VALUES (?)", (self._last,))
        counts = self._counts.setdefault(tuple(row.get(name) for name in TOLD), Counter())
        if what:
            counts[what] += 1
        if len(self._counts) > MAX_COUNTED:
            self._write()

    def is_cited(self, document_sha256: str) -> bool:
        """Return whether a row of a document was cited."""
        query = "SELECT 1 FROM cited WHERE document_sha256 = ?"
        return self._database.execute(query, (document_sha256,)).fetchone() is not None

    def web_pages(self) -> int:
        """Return the number of documents that are web pages."""
        self._write()
        query = (
            "SELECT count(DISTINCT document) FROM sources "
            "WHERE document GLOB 'http://*' OR document GLOB 'https://*'"
        )
        return self._database.execute(query).fetchone()[0]

    def __iter__(self) -> Iterator[Attribution]:
        self._write()
        columns = ", ".join((*TOLD, "figures", "passages"))
        for row in self._database.execute(f"SELECT {columns} FROM sources ORDER BY number"):
            yield Attribution(*row)

    def _write(self) -> None:
        """Write the counts in memory to the database."""
        marks = ", ".join("?" * len(TOLD))
        self._database.executemany(
            f"INSERT INTO sources (key, {', '.join(TOLD)}, figures, passages) "
            f"VALUES (?, {marks}, ?, ?) ON CONFLICT (key) DO UPDATE SET "
            "figures = figures + excluded.figures, passages = passages + excluded.passages",
            (
                (key_of(told), *told, counts["figures"], counts["passages"])
                for told, counts in self._counts.items()
            ),
        )
        self._counts.clear()


def key_of(told: tuple[str | None, ...]) -> bytes:
    """Return the identity of a source, since two nulls are different in SQL."""
    return hashlib.sha256(repr(told).encode(errors="surrogatepass")).digest()[:16]
