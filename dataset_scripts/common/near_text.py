"""Find near-copies of text by MinHash and locality-sensitive hashing on disk.

Every search for near-copies of text uses these bands (Broder 1997; Indyk and Motwani 1998); callers
compare the candidates in their own way. datasketch computes the MinHash. Its MinHashLSH is not
used, since it needs about 8 KB of memory per text: 250 GB for the passages of a million papers.
"""

import functools
import hashlib
import re
import sqlite3
from collections.abc import Iterable, Iterator

from datasketch import MinHash

SHINGLE = 3  # words
MIN_SIMILARITY = 0.8  # Jaccard index of two sets of shingles from which texts are near-copies
# Pairs at the threshold share a band with p = 0.9999; pairs below it are compared and discarded.
BANDS, ROWS = 25, 5


def words(text: str) -> list[str]:
    """Split a text into lower-case words without punctuation."""
    return re.findall(r"\w+", text.casefold())


def shingles(text: str) -> set[str]:
    """Return all runs of `SHINGLE` words; a shorter text is one shingle."""
    found = words(text)
    return {
        " ".join(found[start : start + SHINGLE])
        for start in range(max(len(found) - SHINGLE + 1, 1))
    }


def same(first: set[str], second: set[str]) -> bool:
    """Return whether two sets of shingles are equal or near-copies."""
    shared = len(first & second)
    return shared >= MIN_SIMILARITY * (len(first) + len(second) - shared)  # of the union


@functools.cache
def empty_minhash() -> MinHash:
    """Return the MinHash of the empty set; computing its permutations takes milliseconds."""
    return MinHash(BANDS * ROWS)


def bands_of(found: Iterable[str]) -> list[int]:
    """Return one signed 64-bit key for each band of the MinHash of a set of strings.

    Two sets with a Jaccard index of at least `MIN_SIMILARITY` almost surely share a key.
    """
    minhash = empty_minhash().copy()
    minhash.update_batch(shingle.encode() for shingle in found)
    digests = (
        hashlib.blake2b(values.tobytes(), digest_size=8, salt=bytes([band])).digest()
        for band, values in enumerate(minhash.hashvalues.astype("<u8").reshape(BANDS, ROWS))
    )
    return [int.from_bytes(digest, "little", signed=True) for digest in digests]


@functools.lru_cache(maxsize=16)  # a text is looked for, and then added
def bands_of_text(text: str) -> list[int]:
    """Return the keys of the shingles of a text; see `bands_of`."""
    return bands_of(shingles(text))


def key_of(found: Iterable[str]) -> int:
    """Return one signed 64-bit key of a set of strings, which other sets almost surely have not."""
    digest = hashlib.blake2b("\n".join(sorted(found)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


class Bands:
    """An index of texts by the keys of their bands, in one table of an SQLite database."""

    def __init__(self, database: sqlite3.Connection, table: str) -> None:
        self._database, self._table = database, table
        database.execute(
            f"CREATE TABLE {table} (band INTEGER, text INTEGER, PRIMARY KEY (band, text)) "
            "WITHOUT ROWID"
        )

    def add(self, text: int, bands: Iterable[int]) -> None:
        """Insert the number of a text under its keys."""
        self._database.executemany(
            f"INSERT INTO {self._table} VALUES (?, ?)", ((band, text) for band in bands)
        )

    def matches(self, bands: list[int]) -> list[tuple[int, int]]:
        """Return each key of a text that others have, with the number of each of them."""
        marks = ",".join("?" * len(bands))
        query = f"SELECT band, text FROM {self._table} WHERE band IN ({marks})"
        return self._database.execute(query, bands).fetchall()

    def sharing(self, bands: list[int], most: int = -1) -> list[int]:
        """Return the numbers of the texts that share a key, in ascending order.

        Args:
            bands: The keys of a text.
            most: Maximum number of texts; -1 returns all.
        """
        marks = ",".join("?" * len(bands))
        query = f"SELECT DISTINCT text FROM {self._table} WHERE band IN ({marks}) LIMIT ?"
        return sorted(text for (text,) in self._database.execute(query, [*bands, most]))


class TextIndex:
    """Texts in a private SQLite file that is deleted with the process, searched by their bands.

    Threads may share an index if only one uses it at a time.
    """

    def __init__(self) -> None:
        # A database without a name is a temporary file of which SQLite caches some pages.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.executescript(
            "PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF;"
            "CREATE TABLE texts (number INTEGER PRIMARY KEY, text TEXT);"
        )
        self._bands = Bands(self._database, "bands")

    def add(self, text: str, number: int | None = None) -> None:
        """Add a text under the number that `candidates` returns (default: the next one)."""
        row = self._database.execute("INSERT INTO texts VALUES (?, ?)", (number, text))
        assert row.lastrowid is not None
        self._bands.add(row.lastrowid, bands_of_text(text))

    def candidates(self, text: str, most: int = -1) -> Iterator[tuple[int, str]]:
        """Yield the numbers and texts that may be near-copies of a text, in ascending order.

        Args:
            text: The text.
            most: Maximum number of candidates; -1 yields all.
        """
        for number in self._bands.sharing(bands_of_text(text), most):
            query = "SELECT text FROM texts WHERE number = ?"
            yield number, self._database.execute(query, (number,)).fetchone()[0]

    def near(self, text: str) -> Iterator[int]:
        """Yield the numbers of the near-copies of a text, in ascending order."""
        compared = shingles(text)
        return (
            number for number, other in self.candidates(text) if same(compared, shingles(other))
        )
