"""The decision on every row, and the documents of all rows, in a database on disk."""

from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cephalo.cli.files import scratch_database
from cephalo.cli.rows import Row
from cephalo.dataset_scripts.common.groups import Groups
from cephalo.dataset_scripts.common.splits import place, split_documents
from cephalo.dataset_scripts.common.tables import CONFIGS, Tables, source
from cephalo.dataset_scripts.publication.versions import Versions

# Documents are numbered from 0 in order of appearance, the rows of a config from 1. `reason` is
# null for published rows. `image` is the number from `NearCopies`, `content` a hash of the row's
# text. `copies` maps near-copies to the image that represents them; `parts` has pairs of images of
# which one shows a part of the other.
SCHEMA = """
CREATE TABLE documents (number INTEGER PRIMARY KEY, sha256 TEXT UNIQUE);
CREATE TABLE shards (
    config TEXT, folder TEXT, document INTEGER, shard TEXT,
    PRIMARY KEY (config, folder, document)
) WITHOUT ROWID;
CREATE TABLE figures (
    number INTEGER PRIMARY KEY, document INTEGER, reason TEXT,
    image INTEGER, image_sha256 TEXT, caption TEXT, page INTEGER, small INTEGER
);
CREATE INDEX figures_of_documents ON figures (document, image_sha256);
CREATE TABLE conversations (
    number INTEGER PRIMARY KEY, document INTEGER, reason TEXT, content INTEGER
);
CREATE INDEX conversations_of_documents ON conversations (document, content);
CREATE TABLE text (number INTEGER PRIMARY KEY, document INTEGER, reason TEXT, content INTEGER);
CREATE INDEX text_of_documents ON text (document, content);
CREATE TABLE kept_out (image INTEGER PRIMARY KEY, dataset TEXT);
CREATE TABLE copies (image INTEGER PRIMARY KEY, of INTEGER);
CREATE TABLE parts (one INTEGER, other INTEGER);
CREATE TABLE links (one INTEGER, other INTEGER);
CREATE TABLE shared_text (one INTEGER, other INTEGER);
"""


# Images represent their whole groups here.
DROP_KEPT_OUT = (
    """
    CREATE TEMP TABLE out AS
    SELECT DISTINCT coalesce(copies.of, kept_out.image) AS image, dataset
    FROM kept_out LEFT JOIN copies ON copies.image = kept_out.image
    """,
    "CREATE INDEX temp.out_by_image ON out (image)",
    """
    CREATE TEMP TABLE joined AS
    SELECT coalesce(first.of, one) AS one, coalesce(second.of, other) AS other FROM parts
    LEFT JOIN copies AS first ON first.image = one
    LEFT JOIN copies AS second ON second.image = other
    """,
    """
    CREATE TEMP TABLE dropped AS SELECT image, dataset FROM out
    UNION SELECT other, dataset FROM joined JOIN out ON image = one
    UNION SELECT one, dataset FROM joined JOIN out ON image = other
    """,
    "CREATE INDEX temp.dropped_by_image ON dropped (image)",
    """
    CREATE TEMP TABLE excluded AS
    SELECT number, dataset FROM figures LEFT JOIN copies ON copies.image = figures.image
    JOIN dropped ON dropped.image = coalesce(copies.of, figures.image) WHERE reason IS NULL
    """,
    "UPDATE figures SET reason = 'excluded' WHERE number IN (SELECT number FROM excluded)",
)


def content_hash(*texts: str) -> int:
    """Return a hash of texts as a signed 64-bit integer, as in SQLite."""
    digest = blake2b("\0".join(texts).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


class Figure(NamedTuple):
    """The columns of a figure for comparison. `small` refers to its printed size."""

    document: int
    image: str  # SHA-256 of its pixels
    caption: str
    page: int | None
    small: bool


class Selection:
    """The published rows of `tables`. The database and the data of the comparisons are in `folder`.

    `excluded` counts figures by the dataset that excludes them. `corrected` has the manually
    corrected captions, by document and image.
    """

    def __init__(self, folder: Path, tables: Tables, excluding: Iterable[str] = ()) -> None:
        folder.mkdir(parents=True)
        self.folder, self.tables = folder, tables
        self.database = scratch_database(folder / "rows.sqlite", SCHEMA)
        self.excluded: Counter[str] = Counter(dict.fromkeys(excluding, 0))
        self.corrected: dict[tuple[int, str], str] = {}
        self.versions = Versions(self.database)
        self._documents = 0
        self._last: tuple[str | None, int] = None, -1
        self._last_shard: tuple[tuple[str, int, Path] | None, bool] = None, False

    def document(self, row: Row) -> int:
        """Return the number of a row's document."""
        sha256 = row["document_sha256"]
        if sha256 != self._last[0]:
            query = "SELECT number FROM documents WHERE sha256 = ?"
            found = self.database.execute(query, (sha256,)).fetchone()
            if found is None:
                found = (self._documents,)
                self._documents += 1
                self.database.execute("INSERT INTO documents VALUES (?, ?)", (*found, sha256))
                self.versions.add(*found, row["title"], row["author"])
            self._last = sha256, found[0]
        return self._last[1]

    def sha256(self, document: int) -> str:
        """Return the SHA-256 of a document."""
        query = "SELECT sha256 FROM documents WHERE number = ?"
        return self.database.execute(query, (document,)).fetchone()[0]

    def in_earlier_shard(self, config: str, document: int, shard: Path) -> bool:
        """Return whether an earlier shard of the same folder has rows of the document.

        The document then occurs there under another name, or its rows continue from shard to shard.
        """
        key = config, document, shard
        if key != self._last_shard[0]:
            place = config, str(shard.parent), document
            self.database.execute(
                "INSERT OR IGNORE INTO shards VALUES (?, ?, ?, ?)", (*place, shard.name)
            )
            [first] = self.database.execute(
                "SELECT shard FROM shards WHERE config = ? AND folder = ? AND document = ?", place
            ).fetchone()
            self._last_shard = key, first != shard.name
        return self._last_shard[1]

    def enter(self, config: str, document: int, reason: str | None, content: int) -> int:
        """Append a conversation or passage with its reason, if known, and return its number.

        `content` is the hash of its text (`content_hash`).
        """
        statement = f"INSERT INTO {config} (document, reason, content) VALUES (?, ?, ?)"
        number = self.database.execute(statement, (document, reason, content)).lastrowid
        assert number is not None  # set by an INSERT
        return number

    def has_row(self, config: str, document: int, content: int) -> bool:
        """Return whether another conversation or passage of a document has the same text."""
        query = f"SELECT 1 FROM {config} WHERE document = ? AND content = ?"
        return self.database.execute(query, (document, content)).fetchone() is not None

    def drop(self, config: str, number: int, reason: str) -> None:
        """Set the reason of a row."""
        self.database.execute(f"UPDATE {config} SET reason = ? WHERE number = ?", (reason, number))

    def enter_figure(self, figure: Figure, reason: str | None, image: int | None) -> None:
        """Append a figure, with the number of its image if it is compared."""
        self.database.execute(
            "INSERT INTO figures (document, reason, image, image_sha256, caption, page, small) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (figure.document, reason, image, *figure[1:]),
        )

    def figure(self, number: int) -> Figure:
        """Return a figure by its number."""
        columns = "document, image_sha256, caption, page, small"
        query = f"SELECT {columns} FROM figures WHERE number = ?"
        return Figure(*self.database.execute(query, (number,)).fetchone())

    def has_figure(
        self, document: int, image: str, caption: str | None = None, published: bool = False
    ) -> bool:
        """Return whether a document has a figure with this image, optionally with this caption or
        published."""
        query = "SELECT 1 FROM figures WHERE document = ? AND image_sha256 = ?"
        values: tuple[int | str, ...] = document, image
        if caption is not None:
            query, values = query + " AND caption = ?", (*values, caption)
        if published:
            query += " AND reason IS NULL"
        return self.database.execute(query, values).fetchone() is not None

    def captions(self) -> Iterator[tuple[int, str]]:
        """Yield the document and the caption of every published figure."""
        query = "SELECT document, caption FROM figures WHERE reason IS NULL ORDER BY number"
        return self.database.execute(query)

    def keep_out(self, image: int, dataset: str) -> None:
        """Record that an image belongs to an excluded dataset."""
        self.database.execute("INSERT INTO kept_out VALUES (?, ?)", (image, dataset))

    def enter_copies(self, groups: Groups) -> None:
        """Insert the groups of all images."""
        roots = enumerate(groups.roots())
        copies = ((image, int(root)) for image, root in roots if image != root)
        self.database.executemany("INSERT INTO copies VALUES (?, ?)", copies)

    def enter_parts(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Insert the pairs of images of which one shows a part of the other."""
        self.database.executemany("INSERT INTO parts VALUES (?, ?)", pairs)

    def drop_kept_out(self) -> None:
        """Drop the figures that show an excluded image, a part of one, or one as a part, and count
        them by dataset.

        Near-copies count as the same image.
        """
        for statement in DROP_KEPT_OUT:
            self.database.execute(statement)
        counts = self.database.execute("SELECT dataset, count(*) FROM excluded GROUP BY dataset")
        self.excluded.update(dict(counts.fetchall()))

    def figures_of_groups(self) -> Iterator[list[int]]:
        """Yield the numbers of the figures of each group of several images, in order."""
        self.database.execute(
            "CREATE TABLE grouped AS SELECT figure, image FROM (SELECT figure, image, "
            "count(*) OVER (PARTITION BY image) AS figures FROM (SELECT figures.number AS figure, "
            "coalesce(copies.of, figures.image) AS image FROM figures LEFT JOIN copies "
            "ON copies.image = figures.image WHERE figures.reason IS NULL)) "
            "WHERE figures > 1 ORDER BY image, figure"
        )
        rows = self.database.execute("SELECT image, figure FROM grouped ORDER BY rowid")
        for _, figures in groupby(rows, itemgetter(0)):
            yield [figure for _, figure in figures]

    def link(self, one: int, other: int) -> None:
        """Record that two documents must share a split."""
        if one != other:
            self.database.execute("INSERT INTO links VALUES (?, ?)", (one, other))

    def link_parts(self) -> None:
        """Link the documents of figures of which one shows a part of the other.

        Excluded figures link none, except duplicates, which represent the published ones.
        """
        self.database.execute(
            "CREATE TABLE owners AS SELECT image, document, min(number) FROM figures "
            "WHERE image IN (SELECT one FROM parts UNION SELECT other FROM parts) "
            "AND (reason IS NULL OR reason = 'duplicate') GROUP BY image"
        )
        self.database.execute("CREATE INDEX owners_of_images ON owners (image)")
        self.database.execute(
            "INSERT INTO links SELECT DISTINCT first.document, second.document FROM parts "
            "JOIN owners AS first ON first.image = parts.one "
            "JOIN owners AS second ON second.image = parts.other "
            "WHERE first.document <> second.document ORDER BY 1, 2"
        )

    def share(self, one: int, other: int) -> None:
        """Record that a text of the second document is a near-copy of one of the first."""
        self.database.execute("INSERT INTO shared_text VALUES (?, ?)", (one, other))

    def link_by_shared_text(self, texts: str, share: float) -> None:
        """Link documents that share at least `share` of the texts of the one with fewer texts in
        the table `texts`."""
        self.database.execute("CREATE TABLE sizes (document INTEGER PRIMARY KEY, texts INTEGER)")
        self.database.execute(
            f"INSERT INTO sizes SELECT document, count(*) FROM {texts} GROUP BY document"
        )
        self.database.execute(
            "INSERT INTO links SELECT one, other FROM "
            "(SELECT one, other, count(*) AS texts FROM shared_text GROUP BY one, other) AS shared "
            "JOIN sizes AS first ON first.document = one "
            "JOIN sizes AS second ON second.document = other "
            "WHERE shared.texts >= ? * min(first.texts, second.texts)",
            (share,),
        )

    def configs(self) -> list[str]:
        """Return the configs that may have rows to publish."""
        return [config for config in CONFIGS if self.tables[source(config, self.tables)]]

    def decisions(self, config: str) -> Iterator[tuple[int, bool]]:
        """Yield the document of every row of a config, in order, and whether it is published."""
        rows = self.database.execute(f"SELECT document, reason FROM {config} ORDER BY number")
        for document, reason in rows:
            yield document, reason is None

    def count_rows(self, config: str) -> int:
        """Return the number of rows of a config."""
        return self.database.execute(f"SELECT count(*) FROM {config}").fetchone()[0]

    def dropped(self) -> Counter[tuple[str, str]]:
        """Count the excluded rows by config and reason."""
        counts: Counter[tuple[str, str]] = Counter()
        for config in self.configs():
            query = (
                f"SELECT reason, count(*) FROM {config} WHERE reason IS NOT NULL "
                "GROUP BY reason ORDER BY min(number)"
            )
            counts.update({(config, why): count for why, count in self.database.execute(query)})
        return counts

    def published(self) -> np.ndarray:
        """Return which documents have a published row, (documents,) bool."""
        published = np.zeros(self._documents, bool)
        for config in self.configs():
            query = f"SELECT document FROM {config} WHERE reason IS NULL"
            for (document,) in self.database.execute(query):
                published[document] = True
        return published

    def splits(self) -> np.ndarray:
        """Return the split of every document, as from `split_documents`."""
        shas = self.database.execute("SELECT sha256 FROM documents ORDER BY number")
        places = np.fromiter((place(sha) for (sha,) in shas), np.float64, self._documents)
        return split_documents(places, self.published(), self.links())

    def links(self) -> Iterator[tuple[int, int]]:
        """Yield the pairs of documents that must share a split."""
        return self.database.execute("SELECT one, other FROM links")

    def count_links(self) -> int:
        """Return the number of pairs of documents that must share a split."""
        [count] = self.database.execute("SELECT count(*) FROM links").fetchone()
        return count

    def figures_a_document(self) -> Counter[int]:
        """Count the documents by their number of published figures."""
        query = (
            "SELECT figures, count(*) FROM (SELECT count(*) AS figures FROM figures "
            "WHERE reason IS NULL GROUP BY document) GROUP BY figures"
        )
        return Counter(dict(self.database.execute(query).fetchall()))

    def close(self) -> None:
        """Close the database, whose files can then be deleted."""
        self.database.close()
