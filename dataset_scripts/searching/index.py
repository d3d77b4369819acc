"""The search index of a folder: an SQLite database with full-text search (FTS5).

It is stored in the folder, updated before each search, and can be deleted. A shard is indexed again
if it, its conversations or its corrections have changed.
"""

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from cephalo.cli.errors import CephaloError
from cephalo.cli.full_text import TOKENIZE, words_of
from cephalo.cli.logs import no_bars
from cephalo.cli.rows import Row
from cephalo.dataset_scripts.common.conversations import IMPORTED
from cephalo.dataset_scripts.common.corrected import corrected_rows, left_out, verdicts_of
from cephalo.dataset_scripts.common.corrections import NAME as CORRECTIONS
from cephalo.dataset_scripts.common.corrections import Verdict, facts_of
from cephalo.dataset_scripts.common.decisions import decided_rows, decisions_of
from cephalo.dataset_scripts.common.decisions import facts_of as decisions_facts
from cephalo.dataset_scripts.common.shards import read_rows
from cephalo.dataset_scripts.searching.meaning import Encoder, nearest, update_vectors

NAME = "search.sqlite"
VERSION = 2  # schema version; IF NOT EXISTS, as two searches may create the tables
COLUMNS = (
    *("caption", "label", "title", "panels", "mentions", "document", "document_sha256"),
    *("page", "kind", "license", "image_sha256", "phash"),
)
TEXTS = ("caption", "label", "panels", "title", "mentions", "answers")
TALKS = ("query", "answer", "completion", "figures", "task")
WEIGHTS = (4.0, 4.0, 2.0, 2.0, 1.0, 1.0)
"""Weights of `TEXTS` in the ranking: names of a figure count more than text about it."""
LONGEST_SHOWN = 200  # characters of a query in a message
REMEDY = "delete it, or make its folder writable"
PATIENCE = 60.0  # seconds to wait for another search that writes the index
COMMIT = 500  # shards per transaction; a killed search loses one, another waits for one
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS shards (number INTEGER PRIMARY KEY, name TEXT UNIQUE, stamp TEXT);
CREATE TABLE IF NOT EXISTS figures (
    number INTEGER PRIMARY KEY, shard INTEGER, place INTEGER, document TEXT, page INTEGER,
    label TEXT, kind TEXT, license TEXT, caption TEXT, phash INTEGER
);
CREATE INDEX IF NOT EXISTS figures_of_shards ON figures (shard);
CREATE VIRTUAL TABLE IF NOT EXISTS texts USING fts5 (
    caption, label, panels, title, mentions, answers,
    tokenize='{TOKENIZE}'
);
CREATE TABLE IF NOT EXISTS vectors (number INTEGER PRIMARY KEY, vector BLOB);
"""


VerdictsOf = Callable[[Path], dict[int, Verdict]]


class Hit(NamedTuple):
    """A figure that was found.

    `distance` is the number of different bits between its perceptual hash and that of the query
    image. `similarity` is the cosine between its embedding and that of the query text. Each is
    `None` for other queries.
    """

    shard: str
    place: int
    document: str
    page: int | None
    label: str
    kind: str
    license: str | None
    caption: str
    distance: int | None = None
    similarity: float | None = None


class Index:
    """The open index of a folder."""

    def __init__(
        self, folder: Path, refined: Path, database: sqlite3.Connection, verdicts: VerdictsOf
    ) -> None:
        self.folder, self.refined, self.database = folder, refined, database
        self.verdicts = verdicts

    def update(self) -> int:
        """Index new and changed shards, and remove deleted ones.

        Returns:
            The number of figures in the index.

        Raises:
            CephaloError: If a shard cannot be read.
        """
        there = {path.name: path for path in sorted((self.folder / "figures").glob("*.parquet"))}
        stamps = self.stamps(there)
        known = self.known()
        changed = [name for name in known | there if known.get(name) != stamps.get(name)]
        with tqdm(total=len(changed), unit=" documents", disable=no_bars()) as bar:
            for start in range(0, len(changed), COMMIT):
                self.database.execute("BEGIN IMMEDIATE")
                known = self.known()  # another search may have indexed some meanwhile
                for name in changed[start : start + COMMIT]:
                    if known.get(name) != stamps.get(name):
                        self.forget(name)
                        if name in there:
                            self.enter(there[name], stamps[name])
                    bar.update()
                self.database.commit()
        [count] = self.database.execute("SELECT count(*) FROM figures").fetchone()
        return count

    def known(self) -> dict[str, str]:
        """Return the stamps of the shards in the index, by name."""
        return dict(self.database.execute("SELECT name, stamp FROM shards"))

    def stamps(self, there: dict[str, Path]) -> dict[str, str]:
        """Return a stamp for each shard, of its file, conversations and corrections."""
        corrected = (self.folder / CORRECTIONS).exists()
        talks = {path.name: path for path in (self.refined / "conversations").glob("*.parquet")}
        stamps = {}
        for name, path in there.items():
            files = [path, *(talks[one] for one in talk_names(path.stem) if one in talks)]
            facts: list[object] = [[one.name, *stamp_of(one)] for one in files]
            decided = [one for file in files[1:] for one in decisions_of(file).values()]
            facts += [decisions_facts(decided)] if decided else []
            if corrected and (verdicts := self.verdicts(path)):
                facts.append(facts_of(verdicts))
            stamps[name] = json.dumps(facts)
        return stamps

    def forget(self, name: str) -> None:
        """Remove the figures of a shard."""
        found = self.database.execute(
            "SELECT number FROM shards WHERE name = ?", (name,)
        ).fetchone()
        if found:
            for table, key in (("texts", "rowid"), ("vectors", "number")):
                own = f"{key} IN (SELECT number FROM figures WHERE shard = ?)"
                self.database.execute(f"DELETE FROM {table} WHERE {own}", found)
            self.database.execute("DELETE FROM figures WHERE shard = ?", found)
            self.database.execute("DELETE FROM shards WHERE number = ?", found)

    def enter(self, path: Path, stamp: str) -> None:
        """Add the figures of a shard, without rejected ones."""
        insert = "INSERT INTO shards (name, stamp) VALUES (?, ?)"
        shard = self.database.execute(insert, (path.name, stamp)).lastrowid
        answers = self.answers(path.stem)
        for place, row in enumerate(corrected_rows(path, COLUMNS, batch_rows=100)):
            if left_out(row):
                continue
            texts = texts_of(row, answers.get(row["image_sha256"], []))
            facts = [row["document"], row["page"], row["label"], row["kind"], row["license"]]
            number = self.database.execute(
                "INSERT INTO figures (shard, place, document, page, label, kind, license, caption, "
                "phash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (shard, place, *facts, row["caption"], signed(row["phash"])),
            ).lastrowid
            columns = ", ".join(("rowid", *TEXTS))
            marks = ", ".join("?" * (1 + len(TEXTS)))
            self.database.execute(
                f"INSERT INTO texts ({columns}) VALUES ({marks})", (number, *texts)
            )

    def answers(self, stem: str) -> dict[str, list[str]]:
        """Return the questions and answers about the figures of a shard, by hash of the figure."""
        found: dict[str, list[str]] = {}
        for name in talk_names(stem):
            path = self.refined / "conversations" / name
            rows = read_rows([path], TALKS, 100) if path.exists() else ()
            for row in decided_rows(path, rows):
                for figure in row["figures"]:
                    said = found.setdefault(figure["image_sha256"], [])
                    said += [row["query"] or "", row["answer"] or ""]
        return found

    def find(self, text: str, most: int) -> tuple[list[Hit], bool]:
        """Return the figures whose texts contain all words, best first.

        If there are none, return those with some of the words. Words in double quotes are a phrase.

        Args:
            text: Words and phrases.
            most: Largest number of results.

        Returns:
            The figures, and whether they contain all words.

        Raises:
            CephaloError: If there are no words.
        """
        words = words_of(text)
        if not words:
            raise CephaloError(f"no word in {shown(text)}; give words such as 'nacre'")
        for how in (" ", " OR "):
            if found := self.match(how.join(words), most):
                return found, how == " "
        return [], True

    def match(self, query: str, most: int) -> list[Hit]:
        """Return the figures that match an FTS5 query, best first."""
        ranked = (
            f"SELECT rowid FROM texts WHERE texts MATCH ? "
            f"ORDER BY bm25(texts, {', '.join(map(str, WEIGHTS))}), rowid LIMIT ?"
        )
        numbers = [number for (number,) in self.database.execute(ranked, (query, most))]
        return [self.hit(number) for number in numbers]

    def like(self, phash: str, bits: int, most: int) -> list[Hit]:
        """Return the figures whose perceptual hash differs by at most `bits`, nearest first."""
        wanted = signed(phash)
        assert wanted is not None
        rows = self.database.execute("SELECT number, phash FROM figures WHERE phash IS NOT NULL")
        near = [
            (distance, number)
            for number, other in rows
            if (distance := ((wanted ^ other) & (2**64 - 1)).bit_count()) <= bits
        ]
        return [self.hit(number, distance) for distance, number in sorted(near)[:most]]

    def mean(self, text: str, most: int, encode: Encoder) -> list[Hit]:
        """Return the figures with captions, panels or titles closest in meaning to a text."""
        update_vectors(self.database, encode)
        found = nearest(self.database, encode([text])[0], most)
        return [self.hit(number)._replace(similarity=round(cosine, 3)) for cosine, number in found]

    def hit(self, number: int, distance: int | None = None) -> Hit:
        """Return a figure by its number."""
        row = self.database.execute(
            "SELECT shards.name, place, document, page, coalesce(label, ''), coalesce(kind, ''), "
            "license, coalesce(caption, '') FROM figures JOIN shards ON shards.number = shard "
            "WHERE figures.number = ?",
            (number,),
        ).fetchone()
        return Hit(*row, distance=distance)


@contextmanager
def open_index(folder: Path, refined: Path, verdicts: VerdictsOf = verdicts_of) -> Iterator[Index]:
    """Open the index of a folder. It is created if it is missing or has another version.

    Args:
        folder: Folder of figures.
        refined: Folder of `cephalo refine`.
        verdicts: Function that returns the decisions about the rows of a shard.

    Raises:
        CephaloError: If the index cannot be written, or the folder contains no figures.
    """
    if not any((folder / "figures").glob("*.parquet")):
        raise CephaloError(f"{folder} contains no figures; run `cephalo extract` first")
    path = folder / NAME
    try:
        database = connect(path)
        try:
            yield Index(folder, refined, database, verdicts)
        finally:
            database.close()
    except sqlite3.Error as error:
        busy = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
        todo = "wait for the search that is writing it" if busy else REMEDY
        raise CephaloError(f"{path}: {error}; {todo}") from error


def connect(path: Path) -> sqlite3.Connection:
    """Open the database and create its tables.

    Raises:
        sqlite3.Error: If the database cannot be opened.
    """
    database = sqlite3.connect(path, timeout=PATIENCE)
    try:
        [version] = database.execute("PRAGMA user_version").fetchone()
    except sqlite3.OperationalError:  # locked, or not readable
        database.close()
        raise
    except sqlite3.DatabaseError:  # not a database
        database.close()
        path.unlink()
        return connect(path)
    if version == VERSION:
        return database
    if version:
        database.close()
        path.unlink()
        return connect(path)
    database.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
    return database


def talk_names(stem: str) -> tuple[str, str]:
    """Return the names of the shards of conversations about the figures of a shard."""
    return f"{stem}.parquet", f"{stem}{IMPORTED}.parquet"


def stamp_of(path: Path) -> tuple[int, int]:
    """Return the modification time of a file in nanoseconds, and its size in bytes."""
    state = path.stat()
    return state.st_mtime_ns, state.st_size


def texts_of(row: Row, answers: list[str]) -> tuple[str, ...]:
    """Return the searchable texts of a figure, in the order of `TEXTS`."""
    panels = " ".join(panel["caption"] or "" for panel in row["panels"] or [])
    mentions = "\n".join(row["mentions"] or [])
    found = (row["caption"], row["label"], panels, row["title"], mentions, "\n".join(answers))
    return tuple(one or "" for one in found)


def signed(phash: str | None) -> int | None:
    """Convert a perceptual hash of 16 hexadecimal digits to a signed 64-bit integer."""
    if not phash or not re.fullmatch("[0-9a-f]{16}", phash):
        return None
    return int.from_bytes(bytes.fromhex(phash), "big", signed=True)


def shown(text: str) -> str:
    """Return a query for a message, truncated if it is long."""
    return repr(text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…")
