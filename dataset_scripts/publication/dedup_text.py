"""Near-copies of text: MinHash finds candidates, the overlap of their shingles decides."""

import functools
import hashlib
import math
import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

from datasketch import MinHash

SHINGLE = 3  # words
MIN_SIMILARITY = 0.8  # Jaccard index of the sets of shingles
MIN_WORDS = 10  # shorter text recurs by chance ("Experimental setup.")
# 25 bands of 5 rows find 99.99 % of pairs at the threshold; those below it are compared and left.
BANDS, ROWS = 25, 5


def words(text: str) -> list[str]:
    """The words of a text, in lower case, without punctuation."""
    return re.findall(r"\w+", text.casefold())


def shingles(text: str) -> set[str]:
    """All runs of `SHINGLE` words; of a shorter text, its words as one."""
    found = words(text)
    return {
        " ".join(found[start : start + SHINGLE])
        for start in range(max(len(found) - SHINGLE + 1, 1))
    }


def same(first: set[str], second: set[str]) -> bool:
    """Whether texts with these sets of shingles are equal or near-copies."""
    return len(first & second) >= MIN_SIMILARITY * len(first | second)


@functools.cache
def empty_minhash() -> MinHash:
    """The MinHash of no shingle; its permutations take a while to make."""
    return MinHash(BANDS * ROWS)


def bands_of(found: Iterable[str]) -> Iterator[int]:
    """A number for each band of the MinHash of a set; sets that overlap enough share at least
    one."""
    minhash = empty_minhash().copy()
    minhash.update_batch(shingle.encode() for shingle in found)
    for band, values in enumerate(minhash.hashvalues.astype("<u8").reshape(BANDS, ROWS)):
        digest = hashlib.blake2b(values.tobytes(), digest_size=8, salt=bytes([band])).digest()
        yield int.from_bytes(digest, "little", signed=True)


class TextCopies:
    """Texts of documents on disk, and which of them are near-copies of earlier ones.

    A text takes its own length, and 25 bands of about 20 bytes. In memory there are the candidates
    for one text.
    """

    def __init__(self, database: sqlite3.Connection, name: str) -> None:
        """The tables NAME_texts, NAME_bands, NAME_shared and NAME_kept are made in the database."""
        self.table, self._bands = f"{name}_texts", f"{name}_bands"
        self._shared, self._kept = f"{name}_shared", f"{name}_kept"
        self._database = database
        for table in (
            f"{self.table} (number INTEGER PRIMARY KEY, document INTEGER, row INTEGER, text TEXT)",
            f"{self._bands} (band INTEGER, text INTEGER)",
            f"{self._kept} (band INTEGER, text INTEGER, PRIMARY KEY (band, text)) WITHOUT ROWID",
        ):
            database.execute(f"CREATE TABLE {table}")

    def add(self, document: int, text: str, row: int | None = None) -> None:
        """Append a text, of a row by its number. One of less than `MIN_WORDS` words is counted and
        has no near-copies."""
        compared = len(words(text)) >= MIN_WORDS
        number = self._database.execute(
            f"INSERT INTO {self.table} (document, row, text) VALUES (?, ?, ?)",
            (document, row, text if compared else None),
        ).lastrowid
        if compared:
            bands = ((band, number) for band in bands_of(shingles(text)))
            self._database.executemany(f"INSERT INTO {self._bands} VALUES (?, ?)", bands)

    def originals(self) -> Iterator[tuple[int | None, int, int]]:
        """For every text that is a near-copy: its row, its document, and that of the original.

        The original is the first earlier text that is none itself.
        """
        # Nearly all texts share no band with another and are passed over here, sorted on disk.
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
            candidates = {
                earlier
                for band in bands
                for (earlier,) in self._database.execute(
                    f"SELECT text FROM {self._kept} WHERE band = ?", (band,)
                )
            }
            for earlier in sorted(candidates):
                _, original, other = self._text(earlier)
                if same(compared, other):
                    yield row, document, original
                    break
            else:
                self._database.executemany(
                    f"INSERT INTO {self._kept} VALUES (?, ?)", ((band, number) for band in bands)
                )

    def _text(self, number: int) -> tuple[int | None, int, set[str]]:
        """The row and the document of a text, and its shingles."""
        query = f"SELECT row, document, text FROM {self.table} WHERE number = ?"
        row, document, text = self._database.execute(query, (number,)).fetchone()
        return row, document, shingles(text)


class KeptTexts:
    """Texts in memory, each with what it is of, by which near-copies are found; none is missed.

    Of two sets of shingles that overlap enough, each sorted and without as many at its end as must
    be shared but for one, those left have one in common (prefix filtering; Bayardo, Ma and
    Srikant, WWW 2007).
    """

    def __init__(self) -> None:
        self._texts: list[tuple[Any, str]] = []
        self._with: defaultdict[str, list[int]] = defaultdict(list)  # by shingle

    def add(self, text: str, of: Any) -> None:
        """Keep a text."""
        for shingle in self._prefix(shingles(text)):
            self._with[shingle].append(len(self._texts))
        self._texts.append((of, text))

    def near(self, text: str) -> Iterator[Any]:
        """What the near-copies of a text are of."""
        compared = shingles(text)
        for number in {
            n for shingle in self._prefix(compared) for n in self._with.get(shingle, ())
        }:
            of, other = self._texts[number]
            if same(compared, shingles(other)):
                yield of

    @staticmethod
    def _prefix(found: set[str]) -> list[str]:
        return sorted(found)[: len(found) - math.ceil(MIN_SIMILARITY * len(found)) + 1]
