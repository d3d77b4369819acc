"""Find near-copies among the texts of a whole dataset, out of core."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

from cephalo.dataset_scripts.common.near_text import (
    Bands,
    bands_of,
    key_of,
    same,
    shingles,
    words,
)

MIN_WORDS = 10  # shorter text recurs by chance ("Experimental setup.")
# Originals whose shingles stay in memory, about 25 KB each for a passage of 200 words. Texts of one
# pattern ("The slope is 3.1 GPa …") are all candidates for each other without being copies.
MAX_IN_MEMORY = 2000
# What bounds the time for texts of one pattern, in which bands recur by the thousand: originals
# under one band, and originals with which a text is compared, those that share most bands first. A
# near-copy shares about 8 of the 25 bands, strangers of one pattern one or two. Equal texts are
# found whatever their number, by a key of their own.
MAX_OF_BAND, MAX_COMPARED = 200, 30


class TextCopies:
    """Texts of documents on disk, and which of them are near-copies of earlier ones.

    A text takes its own length and 26 keys of about 20 bytes on disk. The shingles of at most
    `MAX_IN_MEMORY` texts are in memory.
    """

    def __init__(self, database: sqlite3.Connection, name: str) -> None:
        """Create the tables NAME_texts, NAME_bands, NAME_shared and NAME_kept in the database."""
        self.table, self._bands, self._shared = f"{name}_texts", f"{name}_bands", f"{name}_shared"
        self._database = database
        for table in (
            f"{self.table} (number INTEGER PRIMARY KEY, document INTEGER, row INTEGER, text TEXT)",
            f"{self._bands} (band INTEGER, text INTEGER)",
        ):
            database.execute(f"CREATE TABLE {table}")
        self._kept = Bands(database, f"{name}_kept")
        self._in_memory: dict[int, tuple[int | None, int, set[str]]] = {}

    def add(self, document: int, text: str, row: int | None = None) -> None:
        """Append a text of a document, optionally with the number of its row.

        A text of less than `MIN_WORDS` words is counted and has no near-copies.
        """
        compared = len(words(text)) >= MIN_WORDS
        number = self._database.execute(
            f"INSERT INTO {self.table} (document, row, text) VALUES (?, ?, ?)",
            (document, row, text if compared else None),
        ).lastrowid
        if compared:
            found = shingles(text)
            bands = ((band, number) for band in (*bands_of(found), key_of(found)))
            self._database.executemany(f"INSERT INTO {self._bands} VALUES (?, ?)", bands)

    def originals(self) -> Iterator[tuple[int | None, int, int]]:
        """Yield (row, document, document of the original) for every text that is a near-copy.

        The original is the first earlier text that is not a near-copy itself, among those that are
        compared.
        """
        # Nearly all texts share no band with another; sorting on disk skips them.
        self._database.execute(
            f"CREATE TABLE {self._shared} AS SELECT text, band FROM "
            f"(SELECT band, text, count(*) OVER (PARTITION BY band) AS texts FROM {self._bands}) "
            "WHERE texts > 1 ORDER BY text"
        )
        self._database.execute(f"DROP TABLE {self._bands}")
        shared = self._database.execute(f"SELECT text, band FROM {self._shared} ORDER BY rowid")
        for number, found in groupby(shared, itemgetter(0)):
            bands = [band for _, band in found]
            row, document, compared = self._text(number)
            matches = self._kept.matches(bands)
            common = Counter(earlier for _, earlier in matches)
            most = sorted(common, key=lambda one: (-common[one], one))[:MAX_COMPARED]
            for earlier in sorted(most):
                _, original, other = self._original(earlier)
                if same(compared, other):
                    yield row, document, original
                    break
            else:
                counts = Counter(band for band, _ in matches)
                self._kept.add(number, (band for band in bands if counts[band] < MAX_OF_BAND))

    def _original(self, number: int) -> tuple[int | None, int, set[str]]:
        """Return `_text`, from memory for the first originals that were candidates.

        Candidates are compared in ascending order, so that a cache of the latest would be evicted
        before its next use.
        """
        if (found := self._in_memory.get(number)) is None:
            found = self._text(number)
            if len(self._in_memory) < MAX_IN_MEMORY:
                self._in_memory[number] = found
        return found

    def _text(self, number: int) -> tuple[int | None, int, set[str]]:
        """Return the row, the document and the shingles of a text."""
        query = f"SELECT row, document, text FROM {self.table} WHERE number = ?"
        row, document, text = self._database.execute(query, (number,)).fetchone()
        return row, document, shingles(text)
