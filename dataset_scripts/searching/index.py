"""The index of a folder: an SQLite database with the texts of its figures (FTS5), kept in the
folder and brought up to date before each search.

It is made from the shards, and can be deleted. A shard is read again when it, the conversations
about its figures, or the corrections of people have changed.
"""

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from cephalo.cli.errors import CephaloError
from cephalo.cli.full_text import TOKENIZE, words_of
from cephalo.cli.logs import no_bars
from cephalo.dataset_scripts.common.conversations import IMPORTED
from cephalo.dataset_scripts.common.corrected import corrected_rows, left_out, verdicts_of
from cephalo.dataset_scripts.common.corrections import NAME as CORRECTIONS
from cephalo.dataset_scripts.common.corrections import Verdict, facts_of
from cephalo.dataset_scripts.common.decisions import decided_rows, decisions_of
from cephalo.dataset_scripts.common.decisions import facts_of as decisions_facts
from cephalo.dataset_scripts.common.shards import read_rows
from cephalo.dataset_scripts.searching.meaning import Encoder, nearest, update_vectors

NAME = "search.sqlite"
VERSION = 2  # of the tables below; IF NOT EXISTS, since two first searches may make them
COLUMNS = (
    *("caption", "label", "title", "panels", "mentions", "document", "document_sha256"),
    *("page", "kind", "license", "image_sha256", "phash"),
)
TEXTS = ("caption", "label", "panels", "title", "mentions", "answers")
TALKS = ("query", "answer", "completion", "figures", "task")
WEIGHTS = (4.0, 4.0, 2.0, 2.0, 1.0, 1.0)
"""Of `TEXTS` in the rank: what a figure is called counts for more than what is said of it."""
LONGEST_SHOWN = 200  # characters of a question in a message
REMEDY = "delete it, or make its folder writable"
PATIENCE = 60.0  # seconds for another search that writes the index
COMMIT = 500  # shards per transaction: what a kill loses, and how long another search waits
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
    """A figure that was found. `distance`: bits by which its perceptual hash differs from that of
    the image that was asked for; `similarity`: the cosine of its meaning and that of the text that
    was asked for; None where neither was."""

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
    """The index of a folder, open."""

    def __init__(
        self, folder: Path, refined: Path, database: sqlite3.Connection, verdicts: VerdictsOf
    ) -> None:
        self.folder, self.refined, self.database = folder, refined, database
        self.verdicts = verdicts

    def update(self) -> int:
        """Read the shards that are new or changed, and forget those that are gone; returns how many
        figures there are. Raises CephaloError where a shard cannot be read."""
        there = {path.name: path for path in sorted((self.folder / "figures").glob("*.parquet"))}
        stamps = self.stamps(there)
        known = self.known()
        changed = [name for name in known | there if known.get(name) != stamps.get(name)]
        with tqdm(total=len(changed), unit=" documents", disable=no_bars()) as bar:
            for start in range(0, len(changed), COMMIT):
                self.database.execute("BEGIN IMMEDIATE")
                known = self.known()  # another search may have read some meanwhile
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
        """What each shard's texts are made from: its file, its conversations, and what people
        decided."""
        corrected = (self.folder / CORRECTIONS).exists()
        talks = {path.name: path for path in (self.refined / "conversations").glob("*.parquet")}
        stamps = {}
        for name, path in there.items():
            files = [path, *(talks[one] for one in talk_names(path.stem) if one in talks)]
            facts: list[Any] = [[one.name, *stamp_of(one)] for one in files]
            decided = [one for file in files[1:] for one in decisions_of(file).values()]
            facts += [decisions_facts(decided)] if decided else []
            if corrected and (verdicts := self.verdicts(path)):
                facts.append(facts_of(verdicts))
            stamps[name] = json.dumps(facts)
        return stamps

    def forget(self, name: str) -> None:
        """Remove what a shard gave."""
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
        """Add the figures of a shard, without those that a person rejected."""
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
        """The questions and answers about the figures of a shard, by the figures' pixels."""
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
        """The figures whose texts have all words of `text`, or some where none has all, best
        first; and whether all words stand in them. Words in double quotes stand together.

        Raises CephaloError where there are no words.
        """
        words = words_of(text)
        if not words:
            raise CephaloError(f"there is no word in {shown(text)}; give some, such as 'nacre'")
        for how in (" ", " OR "):
            if found := self.match(how.join(words), most):
                return found, how == " "
        return [], True

    def match(self, query: str, most: int) -> list[Hit]:
        """The figures that a query of FTS5 matches, best first."""
        ranked = (
            f"SELECT rowid FROM texts WHERE texts MATCH ? "
            f"ORDER BY bm25(texts, {', '.join(map(str, WEIGHTS))}), rowid LIMIT ?"
        )
        numbers = [number for (number,) in self.database.execute(ranked, (query, most))]
        return [self.hit(number) for number in numbers]

    def like(self, phash: str, bits: int, most: int) -> list[Hit]:
        """The figures whose perceptual hash differs from one by at most so many bits, the nearest
        first."""
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
        """The figures whose captions, panels and titles are nearest to a text by their meaning, the
        nearest first."""
        update_vectors(self.database, encode)
        found = nearest(self.database, encode([text])[0], most)
        return [self.hit(number)._replace(similarity=round(cosine, 3)) for cosine, number in found]

    def hit(self, number: int, distance: int | None = None) -> Hit:
        """A figure by its number."""
        row = self.database.execute(
            "SELECT shards.name, place, document, page, coalesce(label, ''), coalesce(kind, ''), "
            "license, coalesce(caption, '') FROM figures JOIN shards ON shards.number = shard "
            "WHERE figures.number = ?",
            (number,),
        ).fetchone()
        return Hit(*row, distance=distance)


@contextmanager
def open_index(folder: Path, refined: Path, verdicts: VerdictsOf = verdicts_of) -> Iterator[Index]:
    """The index of a folder, made where it is missing or of another version.

    `verdicts` gives what people decided about the rows of a shard; by default it is read. Raises
    CephaloError where the index cannot be written, or the folder holds no figures.
    """
    if not any((folder / "figures").glob("*.parquet")):
        raise CephaloError(f"{folder} holds no figures; run `cephalo extract` into it first")
    path = folder / NAME
    try:
        database = connect(path)
        try:
            yield Index(folder, refined, database, verdicts)
        finally:
            database.close()
    except sqlite3.Error as error:
        busy = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
        todo = "wait until the search that writes it ends" if busy else REMEDY
        raise CephaloError(f"{path}: {error}; {todo}") from error


def connect(path: Path) -> sqlite3.Connection:
    """The database, with its tables. Raises sqlite3.Error."""
    database = sqlite3.connect(path, timeout=PATIENCE)
    try:
        [version] = database.execute("PRAGMA user_version").fetchone()
    except sqlite3.OperationalError:  # locked, or not to be opened
        database.close()
        raise
    except sqlite3.DatabaseError:  # another file
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
    """The names of the shards of conversations about the figures of a shard."""
    return f"{stem}.parquet", f"{stem}{IMPORTED}.parquet"


def stamp_of(path: Path) -> tuple[int, int]:
    """When a file was changed, and how long it is."""
    state = path.stat()
    return state.st_mtime_ns, state.st_size


def texts_of(row: dict[str, Any], answers: list[str]) -> tuple[str, ...]:
    """The texts of a figure that are searched, in the order of `TEXTS`."""
    panels = " ".join(panel["caption"] or "" for panel in row["panels"] or [])
    mentions = "\n".join(row["mentions"] or [])
    found = (row["caption"], row["label"], panels, row["title"], mentions, "\n".join(answers))
    return tuple(one or "" for one in found)


def signed(phash: str | None) -> int | None:
    """A perceptual hash of 16 hexadecimal digits as SQLite's whole numbers are; None for none."""
    if not phash or not re.fullmatch("[0-9a-f]{16}", phash):
        return None
    return int.from_bytes(bytes.fromhex(phash), "big", signed=True)


def shown(text: str) -> str:
    """A question for a message, cut where it is long."""
    return repr(text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…")
