"""Find versions of one paper, such as a preprint and its journal article, with rewritten text.

Their titles and authors agree, and many captions or passages have the same content in other words,
in another order, or with numbers in another form. MinHash finds titles that may agree.
"""

import re
import sqlite3
import unicodedata
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

from cephalo.dataset_scripts.common.near_text import bands_of, words

# Jaccard index of the sets of terms of two titles, and of two equivalent texts. 90 % of the
# captions that `benchmarks.copies.versions` rewrites reach 0.67; of 5,253 pairs of different papers
# two have captions above 0.38, and their titles agree by 0.25 at most.
MIN_TITLE, MIN_TEXT = 0.7, 0.4
MIN_TERMS = 4  # of a title or a text; shorter ones recur by chance
MIN_AUTHORS = 0.3  # of the names of the document with fewer, if both have any
# Least share of the texts of the document with fewer, and their least number.
MIN_SHARED, MIN_TEXTS = 0.3, 2
MAX_TEXTS = 200  # of a document that are compared
NEXT = 20  # following documents with a band of its title that a document is compared with
STEM = 5  # significant letters of a word: "increases" equals "increasing"
COMMON = frozenset(
    words(
        "the and for with from that this are was were been has have had not but its their which "
        "when where between into than then also can may using used use shows show shown showing "
        "figure fig panel panels respectively obtained depicted presented displayed illustrates "
        "research article paper original letter preprint"
    )
)
NUMBER_WORDS = {
    word: str(number)
    for number, word in enumerate(
        words("zero one two three four five six seven eight nine ten eleven twelve")
    )
}


def terms(text: str) -> set[str]:
    """Return the stems of a text's content words, and its numbers in a canonical form."""
    # Compatibility forms: superscripts, ligatures, the micro sign.
    plain = unicodedata.normalize("NFKC", text).casefold()
    plain = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", plain)
    found = set()
    for term in re.findall(r"\d+(?:\.\d+)?|[^\W\d_]+", plain):
        if term[0].isdecimal():
            found.add(f"{float(term):g}")
        elif term in NUMBER_WORDS:
            found.add(NUMBER_WORDS[term])
        elif len(term) > 2 and term not in COMMON:
            found.add(term[:STEM])
    return found


def names(authors: str | None) -> set[str]:
    """Return the words of authors' names, without initials."""
    plain = unicodedata.normalize("NFKD", authors or "").casefold()
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return {name for name in re.findall(r"[^\W\d_]+", plain) if len(name) > 2}


def likeness(first: set[str], second: set[str]) -> float:
    """Return the Jaccard index of two sets of terms; 0 if one has too few terms."""
    if min(len(first), len(second)) < MIN_TERMS:
        return 0.0
    return len(first & second) / len(first | second)


def say_the_same(texts: list[str], others: list[str]) -> bool:
    """Return whether enough texts of two documents are equivalent, counting each text once."""
    fewer, more = sorted(([terms(text) for text in some] for some in (texts, others)), key=len)
    fewer = [some for some in fewer if len(some) >= MIN_TERMS]
    left = [some for some in more if len(some) >= MIN_TERMS]
    shared = 0
    for some in fewer:
        best = max(left, key=lambda other: likeness(some, other), default=set())
        if likeness(some, best) >= MIN_TEXT:
            shared += 1
            left.remove(best)
    count = min(len(fewer), len(left) + shared)
    return shared > 0 and shared >= max(min(MIN_TEXTS, count), MIN_SHARED * count)


class Versions:
    """Titles and authors of documents, on disk, about 1 KB each."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        for table in (
            "titles (document INTEGER PRIMARY KEY, title TEXT, authors TEXT)",
            "title_bands (band INTEGER, document INTEGER)",
            "title_pairs (one INTEGER, other INTEGER, PRIMARY KEY (one, other)) WITHOUT ROWID",
        ):
            database.execute(f"CREATE TABLE {table}")

    def add(self, document: int, title: str | None, authors: str | None) -> None:
        """Add a document unless it is known or its title has too few terms."""
        found = terms(title or "")
        if len(found) < MIN_TERMS:
            return
        new = self._database.execute(
            "INSERT OR IGNORE INTO titles VALUES (?, ?, ?)", (document, title, authors)
        )
        if new.rowcount:
            bands = ((band, document) for band in bands_of(found))
            self._database.executemany("INSERT INTO title_bands VALUES (?, ?)", bands)

    def pairs(self, texts: str) -> Iterator[tuple[int, int]]:
        """Yield the pairs of documents that are versions of one paper, comparing the texts in the
        table `texts`."""
        shared = self._database.execute(
            "SELECT band, document FROM (SELECT band, document, count(*) OVER (PARTITION BY band) "
            "AS documents FROM title_bands) WHERE documents > 1 ORDER BY band, document"
        )
        for _, found in groupby(shared, itemgetter(0)):
            documents = [document for _, document in found]
            self._database.executemany(
                "INSERT OR IGNORE INTO title_pairs VALUES (?, ?)",
                (
                    (one, other)
                    for place, one in enumerate(documents)
                    for other in documents[place + 1 : place + 1 + NEXT]
                ),
            )
        if self._database.execute("SELECT 1 FROM title_pairs").fetchone() is None:
            return
        self._database.execute(f"CREATE INDEX texts_of_documents ON {texts} (document)")
        for one, other in self._database.execute("SELECT one, other FROM title_pairs"):
            if self._titles_agree(one, other) and say_the_same(
                self._texts(texts, one), self._texts(texts, other)
            ):
                yield one, other

    def _titles_agree(self, one: int, other: int) -> bool:
        """Return whether the titles of two documents agree, and their authors if both are known."""
        query = "SELECT title, authors FROM titles WHERE document = ?"
        title, authors = self._database.execute(query, (one,)).fetchone()
        other_title, other_authors = self._database.execute(query, (other,)).fetchone()
        if likeness(terms(title), terms(other_title)) < MIN_TITLE:
            return False
        first, second = names(authors), names(other_authors)
        return len(first & second) >= MIN_AUTHORS * min(len(first), len(second))

    def _texts(self, table: str, document: int) -> list[str]:
        """Return the first texts of a document."""
        query = f"SELECT text FROM {table} WHERE document = ? AND text IS NOT NULL LIMIT ?"
        return [text for (text,) in self._database.execute(query, (document, MAX_TEXTS))]
