"""Read and write manual decisions about figures: FOLDER/corrections.jsonl, one decision per line.

A line identifies a figure by its `Key` rather than by its place in a shard, so that decisions
survive another extraction of the same document. Shards are never edited; `corrected_rows` applies
the decisions. Of two decisions about one field of a figure the later one counts, so the files of
two people can be merged by concatenation.
"""

import json
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from cephalo.cli.errors import CephaloError, fault_of
from cephalo.cli.rows import Row
from cephalo.dataset_scripts.common.correction_values import (
    LONGEST_TEXT,
    What,
    check_value,
    is_value,
    plain,
    rounded,
)
from cephalo.dataset_scripts.common.geometry import iou

logger = logging.getLogger(__name__)

NAME = "corrections.jsonl"
# Characters: three texts of maximum length, a file name and panels, with six characters per control
# character.
MAX_LINE = 600_000
SAME_BOX = 0.5  # intersection over union from which boxes are of one figure
SURELY_SAME_BOX = 0.8  # the same if the labels differ


class Key(BaseModel):
    """The identity of a figure: its place in the document and its pixels, as extracted."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    document_sha256: str = Field(max_length=200)
    document: str = Field(default="", max_length=2000)
    page: int | None = None
    label: str | None = Field(default=None, max_length=LONGEST_TEXT)
    bbox: tuple[float, float, float, float] | None = None
    image_sha256: str | None = Field(default=None, max_length=200)

    @property
    def name(self) -> str:
        """The figure in words, on one line."""
        page = "" if self.page is None else f", page {self.page + 1}"
        name = f"{self.label or 'a figure without a label'} of {self.document}{page}"
        return "".join(one if one.isprintable() else " " for one in name)


KEY = ("document_sha256", "document", "page", "label", "bbox", "image_sha256")
"""Columns of FIGURES that form a key."""


class Correction(BaseModel):
    """A decision: one line of the file.

    Attributes:
        by: Who decided.
        at: When, with a time zone.
        key: The figure.
        what: The field: "state" (accepted, rejected, or null for undecided), or a column.
        before: The previous value.
        after: The new value; null resets a text or the panels to what was extracted.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    by: str = Field(min_length=1, max_length=200)
    at: AwareDatetime
    key: Key
    what: What
    before: Any = None
    after: Any

    @model_validator(mode="after")
    def _check(self) -> "Correction":
        check_value(self.what, self.after)
        return self


def read_corrections(path: Path) -> list[Correction]:
    """Return the decisions in a file, empty if it is missing.

    A last line that a crash cut is skipped with a warning. Raises CephaloError if the file cannot
    be read or another line is invalid.
    """
    try:
        # JSON strings may hold U+2028 and U+0085, at which `splitlines` splits too.
        text = path.read_bytes().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CephaloError(f"cannot read {path}: {error.strerror}; check permissions") from error
    *lines, tail = text.split("\n")
    corrections = []
    for number, line in enumerate([*lines, tail], 1):
        if not line.strip():
            continue
        try:
            if len(line) > MAX_LINE:
                raise ValueError(f"it has {len(line):,} characters")
            corrections.append(Correction.model_validate_json(line))
        except ValueError as error:
            if number > len(lines) and was_cut(line):
                logger.warning("%s: the last line is incomplete and skipped: %s", path, line[:80])
                continue
            raise CephaloError(
                f"{path}, line {number} is not a decision: {told(error)}; correct or remove it"
            ) from error
    return corrections


def was_cut(line: str) -> bool:
    """Return whether an incomplete line is one of `CorrectionsFile.add`. Lines from other sources
    must not be truncated."""
    start = '{"by":'
    try:
        json.loads(line)
    except ValueError:
        return start.startswith(line[: len(start)]) or not line.strip("\0")
    return False


def told(error: ValueError) -> str:
    """Format an error of a line in one line."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'the line'}: {fault_of(first)}"
    return str(error)


class CorrectionsFile:
    """A folder's file of decisions, open for appending. Each decision is on disk when `add`
    returns.

    Its owner holds the lock of the file's name (`cephalo.cli.files.locked_name`).
    """

    def __init__(self, folder: Path) -> None:
        """Open the file. Raises CephaloError if it cannot be written or read."""
        self.path = folder / NAME
        self.lines = read_corrections(self.path)
        self.latest = max((line.at for line in self.lines), default=datetime.now(UTC))
        try:
            made = not self.path.exists()
            self.file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            if made:
                _sync_folder(folder)
            self._mend_tail()
        except OSError as error:
            raise CephaloError(
                f"cannot write {self.path}: {error.strerror}; check the permissions of the folder"
            ) from error

    def _mend_tail(self) -> None:
        """Truncate an incomplete last line, and add a missing line end."""
        data = self.path.read_bytes()
        tail = data.rpartition(b"\n")[2]
        if not tail:
            return
        try:
            Correction.model_validate_json(tail)
        except ValueError:
            os.ftruncate(self.file, len(data) - len(tail))
        else:
            os.write(self.file, b"\n")
        os.fsync(self.file)

    def add(self, by: str, key: Key, what: What, before: object, after: object) -> Correction:
        """Append a decision with the current time. Raises OSError if it cannot be written, and
        ValueError for a value that the field cannot have."""
        # Never before earlier decisions, even if the clock was set back or is another machine's.
        self.latest = max(datetime.now(UTC), self.latest)
        if isinstance(before, str):
            before = before[:LONGEST_TEXT]
        elif what == "panels" and not is_value(what, before):  # those of a file of others
            before = None
        line = Correction(by=by, at=self.latest, key=key, what=what, before=before, after=after)
        data = (line.model_dump_json() + "\n").encode()
        end = os.fstat(self.file).st_size
        try:
            written = os.write(self.file, data)
            if written < len(data):
                raise OSError(28, "no space left")
            os.fsync(self.file)
        except OSError:
            os.ftruncate(self.file, end)
            raise
        self.lines.append(line)
        return line

    def close(self) -> None:
        """Close the file."""
        os.close(self.file)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@dataclass
class Verdict:
    """The manual decisions about a figure.

    Attributes:
        state: "accepted", "rejected" or None.
        values: Columns that differ from what was extracted.
        crop: Path of the image in a corrected box, None without one.
    """

    state: str | None = None
    values: dict[str, Any] = field(default_factory=dict)
    crop: Path | None = None

    @property
    def person(self) -> str | None:
        """The decision in a word: accepted, rejected, or edited without either; None without
        one."""
        return self.state or ("edited" if self.values else None)


def verdict(row: Row, lines: Iterable[Correction]) -> Verdict:
    """Combine the decisions about a row of FIGURES; the later of two about one field counts."""
    found: dict[str, Any] = {}
    # A stable sort: of equal times, the later line.
    for line in sorted(lines, key=lambda line: line.at):
        found[line.what] = line.after
    state = found.pop("state", None)
    for name in ("bbox", "panels"):
        if name in found:
            found[name] = plain(name, found[name])
    values = {
        name: value
        for name, value in found.items()
        if value is not None and value != plain(name, row.get(name))
    }
    return Verdict(state, values)


def key_of_row(row: Row) -> Key:
    """Return the key of a row of FIGURES, as extracted."""
    values: dict[str, Any] = {name: row.get(name) for name in KEY}
    if values["bbox"] is not None:
        values["bbox"] = tuple(rounded(values["bbox"]))
    values["document"] = (values["document"] or "")[:2000]
    values["label"] = None if values["label"] is None else values["label"][:LONGEST_TEXT]
    return Key(**values)


def find_row(key: Key, keys: list[Key]) -> int | None:
    """Return the index in `keys`, those of the current document, of the figure that a key
    identifies, or None.

    It is the figure with the same pixels on the page; else the one with the same label; else the
    one in the same place.
    """
    best: tuple[tuple[bool, bool, float], int] | None = None
    for place, other in enumerate(keys):
        if other.page != key.page:
            continue
        share = iou(key.bbox, other.bbox) if key.bbox and other.bbox else 0.0
        same_pixels = key.image_sha256 is not None and key.image_sha256 == other.image_sha256
        same_label = bool(key.label) and key.label == other.label
        labels_differ = bool(key.label and other.label) and not same_label
        near = share >= (SURELY_SAME_BOX if labels_differ else SAME_BOX)
        alone = same_label and sum(one.label == key.label for one in keys if one.page == key.page)
        if not (same_pixels or near or alone == 1):
            continue
        rank = ((same_pixels, same_label, share), place)
        if best is None or rank[0] > best[0]:
            best = rank
    return best and best[1]


class Corrections:
    """The decisions about the figures of a folder, by document."""

    def __init__(self, lines: Iterable[Correction]) -> None:
        self.by_document: dict[str, dict[Key, list[Correction]]] = {}
        for line in lines:
            self.add(line)

    def add(self, line: Correction) -> None:
        """Add the latest decision."""
        keys = self.by_document.setdefault(line.key.document_sha256, {})
        keys.setdefault(line.key, []).append(line)

    def of_rows(self, rows: list[Row]) -> tuple[dict[int, list[Correction]], set[Key]]:
        """Return the decisions about the rows of a shard, by row number, and the keys that were
        found.

        The rows need the columns `KEY`.
        """
        places: dict[str, list[int]] = {}
        for place, row in enumerate(rows):
            if row["document_sha256"] in self.by_document:
                places.setdefault(row["document_sha256"], []).append(place)
        found: dict[int, list[Correction]] = {}
        met = set()
        for document, own in places.items():
            keys = [key_of_row(rows[place]) for place in own]
            for key, lines in self.by_document[document].items():
                if (index := find_row(key, keys)) is not None:
                    found.setdefault(own[index], []).extend(lines)
                    met.add(key)
        return found, met


def corrections_of(folder: Path) -> Corrections:
    """Return the decisions about the figures of a folder. Raises CephaloError if a line is
    invalid."""
    path = folder / NAME
    try:
        state = path.stat()
    except OSError:
        return Corrections([])
    return _corrections(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=8)
def _corrections(path: Path, _modified: int, _size: int) -> Corrections:
    return Corrections(read_corrections(path))


def facts_of(verdicts: dict[int, Verdict]) -> list[Any]:
    """Return what rows depend on in the verdicts about a shard, as JSON."""
    return json.loads(
        json.dumps(
            [
                [place, one.state, one.values, one.crop is None or one.crop.exists()]
                for place, one in sorted(verdicts.items())
            ]
        )
    )
