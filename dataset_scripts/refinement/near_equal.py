"""Whether an answer is nearly equal to one before it, over a whole corpus in bounded memory."""

import sqlite3
from functools import lru_cache

from datasketch import MinHash
from rapidfuzz import fuzz

from cephalo.dataset_scripts.refinement.words import folded, stem, stems

LIKENESS = 90.0  # percent (rapidfuzz's ratio) from which two answers are nearly equal
BANDS, ROWS = 16, 4  # texts that share 80 % of their shingles meet in a band with p = 0.9998
SHINGLE = 3  # words
ASKED, ANSWERED = 0.7, 0.3  # shares of the words of both from which two questions are one
SAME_ANSWER = 0.7  # share from which they are even if each asks for something of its own
FEWEST_WORDS = 12  # shorter answers are equal by right: "Scanning electron micrographs"
_EMPTY = MinHash(num_perm=BANDS * ROWS)  # its permutations take longer than a text


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
        """An answer added before that is nearly equal to this one, or None."""
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


# Words of a question that ask, and do not say for what.
_ASKING = frozenset(
    map(
        stem,
        [
            "affect",
            "change",
            "connect",
            "depend",
            "describe",
            "effect",
            "explain",
            "happen",
            "influence",
            "mark",
            "respond",
            "role",
        ],
    )
)


def same_question(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Whether two questions about one figure, each with its answer, ask for the same.

    "What do the red circles mark?" and "What do the yellow circles mark?" each have a word of
    their own, and are two unless their answers are one.
    """
    (asked, said), (asked_too, said_too) = one, other
    first, second = stems(asked) - _ASKING, stems(asked_too) - _ASKING
    answers = share(stems(said), stems(said_too))
    if answers < ANSWERED:
        return False
    if first - second and second - first:
        return answers >= SAME_ANSWER and share(first, second) >= 1 - ASKED
    return share(first, second) >= ASKED


def share(one: frozenset[str], other: frozenset[str]) -> float:
    """The share of all stems that both have."""
    return len(one & other) / max(1, len(one | other))


@lru_cache(maxsize=8)  # an answer is compared, and then remembered
def bands(text: str) -> tuple[bytes, ...]:
    """BANDS keys of a folded text; nearly equal texts have one in common."""
    words = text.split()
    sketch = _EMPTY.copy()
    sketch.update_batch(
        " ".join(words[start : start + SHINGLE]).encode()
        for start in range(len(words) - SHINGLE + 1)
    )
    values = sketch.hashvalues.reshape(BANDS, ROWS)
    return tuple(bytes([number]) + row.tobytes() for number, row in enumerate(values))
