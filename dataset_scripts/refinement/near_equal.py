"""Whether an answer is nearly equal to one before it, over a whole corpus in bounded memory."""

import sqlite3

from datasketch import MinHash
from rapidfuzz import fuzz

from cephalo.dataset_scripts.refinement.words import folded

LIKENESS = 90.0  # percent (rapidfuzz's ratio) from which two answers are nearly equal
BANDS, ROWS = 16, 4  # texts that share 80 % of their shingles meet in a band with p = 0.9998
SHINGLE = 3  # words
FEWEST_WORDS = 12  # shorter answers are equal by right: "Scanning electron micrographs"


class NearEqual:
    """The answers so far, in a private SQLite file that goes with the process.

    Candidates are found by MinHash and locality-sensitive hashing (Broder 1997; Indyk and Motwani
    1998), and then compared letter by letter.
    """

    def __init__(self) -> None:
        # No name: on disk, and not in memory. The threads that use it take turns.
        self.database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self.database.executescript(
            "PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF;"
            "CREATE TABLE texts (id INTEGER PRIMARY KEY, text TEXT);"
            "CREATE TABLE bands (band BLOB, id INTEGER);"
            "CREATE INDEX by_band ON bands (band);"
        )

    def match(self, answer: str) -> str | None:
        """An answer added before that is nearly equal to this one, None where there is none."""
        text = folded(answer)
        if len(text.split()) < FEWEST_WORDS:
            return None
        keys = bands(text)
        marks = ",".join("?" * len(keys))
        rows = self.database.execute(
            "SELECT text FROM texts WHERE id IN"
            f" (SELECT id FROM bands WHERE band IN ({marks}) LIMIT 1000)",
            keys,
        )
        for (other,) in rows:
            if fuzz.ratio(text, other, score_cutoff=LIKENESS):
                return other
        return None

    def add(self, answer: str) -> None:
        """Remember an answer."""
        text = folded(answer)
        if len(text.split()) < FEWEST_WORDS:
            return
        number = self.database.execute("INSERT INTO texts (text) VALUES (?)", [text]).lastrowid
        self.database.executemany(
            "INSERT INTO bands VALUES (?, ?)", [(band, number) for band in bands(text)]
        )


def bands(text: str) -> list[bytes]:
    """BANDS keys of a folded text; nearly equal texts have one in common."""
    words = text.split()
    sketch = MinHash(num_perm=BANDS * ROWS)
    sketch.update_batch(
        " ".join(words[start : start + SHINGLE]).encode()
        for start in range(len(words) - SHINGLE + 1)
    )
    values = sketch.hashvalues.reshape(BANDS, ROWS)
    return [bytes([number]) + row.tobytes() for number, row in enumerate(values)]
