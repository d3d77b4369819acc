"""In-memory catalogue of the figures of a folder, without their images.

Shards are read in the background, including those that a running extraction adds. A figure keeps
its number as long as the server runs.
"""

import gc
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from cephalo.cli.errors import CephaloError
from cephalo.cli.rows import Row
from cephalo.dataset_scripts.common.corrected import DEFAULT_DPI, POINTS, apply, with_crop
from cephalo.dataset_scripts.common.correction_values import (
    ACCEPTED,
    REJECTED,
    What,
    check_value,
    is_value,
    plain,
    rounded,
)
from cephalo.dataset_scripts.common.corrections import (
    KEY,
    Correction,
    Corrections,
    CorrectionsFile,
    Verdict,
    key_of_row,
    verdict,
)
from cephalo.dataset_scripts.common.shards import open_shard, read_rows
from cephalo.dataset_scripts.workbench.checked import Findings, Refined
from cephalo.dataset_scripts.workbench.tally import Tally
from cephalo.dataset_scripts.workbench.watched import Watched

COLUMNS = (
    *(*KEY, "caption", "kind", "panels", "caption_bbox", "width", "height", "dpi"),
    *("title", "doi", "license", "text_faults"),
)
TYPES: dict[str, Callable[[pa.DataType], bool]] = {
    **dict.fromkeys(("page", "width", "height", "dpi"), pa.types.is_integer),
    **dict.fromkeys(("bbox", "caption_bbox", "panels", "text_faults"), pa.types.is_nested),
}
"""Checks of the types of columns that are not strings."""
UNDECIDED, EDITED = "undecided", "edited"
STATES = (UNDECIDED, ACCEPTED, REJECTED, EDITED)
"""Values of the state filter."""


@dataclass
class Entry:
    """A figure: its row as extracted, its position, and its corrections."""

    number: int
    shard: Path
    place: int
    row: Row
    lines: list[Correction] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)

    @property
    def now(self) -> Row:
        """The corrected row. If the image of a corrected box is damaged, the box as extracted."""
        try:
            return apply(self.row, self.verdict)
        except CephaloError:  # the image request reports it
            return apply(self.row, replace(self.verdict, crop=None))

    def is_in(self, state: str) -> bool:
        """Return whether the figure matches a value of the state filter."""
        if state == UNDECIDED:
            return self.verdict.person is None
        if state == EDITED:
            return bool(self.verdict.values)
        return self.verdict.state == state

    def states(self) -> list[str]:
        """Return the matching values of the filter of states."""
        return [state for state in STATES if self.is_in(state)]

    def value(self, name: str) -> Any:
        """Return a column of the corrected row, or the state."""
        return self.verdict.state if name == "state" else self.now[name]


class Catalogue:
    """All figures of a folder and the decisions about them. Thread-safe."""

    def __init__(self, folder: Path, by: str, refined: Path | None = None) -> None:
        """Open the file of decisions.

        Args:
            folder: Folder of the extraction.
            by: Name of the person who decides.
            refined: Folder of `cephalo refine`; `folder` if `None`.

        Raises:
            CephaloError: If the file of decisions is damaged.
        """
        self.folder, self.by = folder, by
        self.refined = Refined(refined or folder)
        self.file = CorrectionsFile(folder)
        self.corrections = Corrections(self.file.lines)
        self.entries: dict[int, Entry] = {}
        self.shards: dict[Path, tuple[tuple[int, int], list[int]]] = {}
        self.damaged: dict[str, str] = {}
        self.version = 0  # incremented when figures are added or removed
        self.done: list[tuple[int, What, object, object]] = []  # values before and after, for undo
        self.tally = Tally()
        self.loaded = False  # whether all shards present at the start were read
        self._folder = Watched(folder / "figures")
        self._next = 0
        self._lock = threading.RLock()

    # --- reading

    def scan(self) -> None:
        """Read new and changed shards, and remove the figures of deleted ones."""
        if self._folder.has_changed():
            self._scan_shards()
        if self.refined.scan():
            with self._lock:
                self.tally = Tally()
                for entry in self.entries.values():
                    self.tally.add(entry, self.findings(entry))
                self.version += 1
        self.loaded = True

    def _scan_shards(self) -> None:
        there = {}
        for path in sorted((self.folder / "figures").glob("*.parquet")):
            try:
                state = path.stat()
            except OSError:
                continue
            there[path] = state.st_mtime_ns, state.st_size
        for path in [path for path in self.shards if path not in there]:
            self._forget(path)
        for path, stamp in there.items():
            if path not in self.shards or self.shards[path][0] != stamp:
                self._forget(path)
                self._read(path, stamp)

    def _forget(self, path: Path) -> None:
        """Remove the figures of a shard."""
        with self._lock:
            for number in self.shards.pop(path, ((0, 0), []))[1]:
                entry = self.entries.pop(number)
                self.tally.add(entry, self.findings(entry), -1)
                self.version += 1
            self.damaged.pop(path.name, None)

    def _read(self, path: Path, stamp: tuple[int, int]) -> None:
        """Read the figures of a shard; log a fault if it is damaged."""
        try:
            rows = figures_of(path)
        except CephaloError as error:
            with self._lock:
                self.damaged[path.name] = str(error)
                self.shards[path] = stamp, []
            return
        with self._lock:
            found = self.corrections.of_rows(rows)[0]
            numbers = []
            for place, row in enumerate(rows):
                entry = Entry(self._next, path, place, row, found.get(place, []))
                self._judge(entry)
                self.entries[self._next] = entry
                self.tally.add(entry, self.findings(entry))
                numbers.append(self._next)
                self._next += 1
            self.shards[path] = stamp, numbers
            self.version += 1
        # Else the collector of garbage goes through all figures, again and again while they are
        # read: at ten thousand it stops every answer for a tenth of a second.
        gc.freeze()

    def _judge(self, entry: Entry) -> None:
        """Update the verdict of a figure from its corrections."""
        entry.verdict = with_crop(verdict(entry.row, entry.lines), entry.row, self.folder)

    # --- looking

    def entry(self, number: int) -> Entry:
        """Return a figure by number.

        Raises:
            CephaloError: If the figure was removed.
        """
        with self._lock:
            if number not in self.entries:
                raise CephaloError("this figure was removed; reload the page")
            return self.entries[number]

    def all(self) -> list[Entry]:
        """Return all figures, in the order in which they were read."""
        with self._lock:
            return list(self.entries.values())

    def counts(self) -> dict[str, Any]:
        """Return the number of figures per filter value, and the range of each score."""
        with self._lock:
            return self.tally.as_json()

    def verdicts_in(self, shard: Path) -> dict[int, Verdict]:
        """Return the decisions about the rows of a shard by row index, like `verdicts_of`."""
        with self._lock:
            numbers = self.shards.get(shard, ((0, 0), []))[1]
            entries = (self.entries[number] for number in numbers)
            return {entry.place: entry.verdict for entry in entries if entry.lines}

    def numbers(self, places: Iterable[tuple[str, int]]) -> list[int]:
        """Return the numbers of figures from their shard names and row indices."""
        with self._lock:
            own = {path.name: numbers for path, (_, numbers) in self.shards.items()}
            there = (own.get(name, [])[place : place + 1] for name, place in places)
            return [number for found in there for number in found]

    def on_page(self, entry: Entry) -> list[Entry]:
        """Return the figures of the same shard and page as a figure, including itself."""
        with self._lock:
            numbers = self.shards[entry.shard][1]
            same = [self.entries[number] for number in numbers]
        place = entry.row["document_sha256"], entry.row["page"]
        return [one for one in same if (one.row["document_sha256"], one.row["page"]) == place]

    def mentions(self, number: int) -> list[str]:
        """Return the paragraphs that cite a figure, from its shard.

        Raises:
            CephaloError: If the shard is damaged.
        """
        entry = self.entry(number)
        rows = read_rows([entry.shard], ["mentions"], batch_rows=100)
        row = next(islice(rows, entry.place, None), {})
        return row.get("mentions") or []

    def findings(self, entry: Entry) -> Findings:
        """Return the results of refinement for a figure, for its extracted and corrected image."""
        images = {entry.row["image_sha256"]}
        if entry.verdict.crop:
            images.add(entry.now["image_sha256"])
        return self.refined.about(entry.shard, images)

    # --- deciding

    def decide(self, number: int, what: What, after: object) -> Entry:
        """Record a decision about a figure, unless it already has this value.

        Args:
            number: Number of the figure.
            what: Field.
            after: New value.

        Raises:
            CephaloError: If the value is invalid for the field.
            OSError: If the file of decisions cannot be written.
        """
        with self._lock:
            entry = self.entry(number)
            before = entry.value(what)
            after = self.checked(entry, what, after)
            if after != plain(what, before):
                self._add(entry, what, before, after)
                self.done.append((number, what, before, after))
            return entry

    def checked(self, entry: Entry, what: What, after: Any) -> object:
        """Return the normalised value of a field.

        Raises:
            CephaloError: If the value is invalid for the field.
        """
        try:
            check_value(what, after)
        except ValueError as error:
            raise CephaloError(str(error)) from error
        if what == "bbox":
            if not has_page(entry.row):
                raise CephaloError("this figure has no page; its box cannot be corrected")
            return rounded(after)
        if after is None and what != "state":
            return plain(what, entry.row[what])
        if what == "panels":
            return plain(what, after)
        return after.strip() if isinstance(after, str) else after

    def with_box(self, number: int, bbox: list[float]) -> tuple[Entry, Verdict]:
        """Return a figure, and its verdict with another box."""
        entry = self.entry(number)
        values = {**entry.verdict.values, "bbox": self.checked(entry, "bbox", bbox)}
        return entry, with_crop(Verdict(values=values), entry.row, self.folder)

    def undo(self) -> Entry | None:
        """Revert the last decision of this session by another decision; `None` if there is none."""
        with self._lock:
            while self.done:
                number, what, before, after = self.done[-1]
                if entry := self.entries.get(number):
                    self._add(entry, what, after, before if is_value(what, before) else None)
                self.done.pop()
                if entry:
                    return entry
            return None

    def _add(self, entry: Entry, what: What, before: object, after: object) -> None:
        """Append a decision to the file and update the figure."""
        line = self.file.add(self.by, key_of_row(entry.row), what, before, after)
        self.corrections.add(line)
        entry.lines.append(line)
        self.tally.add(entry, self.findings(entry), -1)
        self._judge(entry)
        self.tally.add(entry, self.findings(entry))

    def close(self) -> None:
        """Close the file of decisions."""
        self.file.close()


def figures_of(shard: Path) -> list[Row]:
    """Return the rows of a shard, with `COLUMNS`.

    Raises:
        CephaloError: If the shard does not contain figures.
    """
    rows = list(read_rows([shard], COLUMNS, batch_rows=500))
    for field_ in open_shard(shard).schema_arrow:
        fits = TYPES.get(field_.name, is_text)
        if field_.name in COLUMNS and not (fits(field_.type) or pa.types.is_null(field_.type)):
            raise CephaloError(
                f"{shard} does not contain figures: {field_.name!r} is {field_.type}; remove it "
                "and run the step that made it"
            )
    for row in rows:
        row |= {name: row[name] or "" for name in ("document", "document_sha256")}
    return rows


def has_page(row: Row) -> bool:
    """Return whether a figure was cropped from a page. An imported image is the whole page."""
    box, dpi = row["bbox"], row["dpi"]
    if not box or row["page"] is None:
        return False
    size = (row["width"] or 0, row["height"] or 0)
    whole = [0.0, 0.0, *(POINTS * side / (dpi or DEFAULT_DPI) for side in size)]
    return rounded(box) != rounded(whole)


def is_text(kind: pa.DataType) -> bool:
    """Return whether a column contains strings."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def shown(entries: Iterable[Entry]) -> Iterator[Row]:
    """Yield the JSON objects of figures for the page."""
    for entry in entries:
        now = entry.now
        yield {
            "id": entry.number,
            **{name: now[name] for name in ("document", "label", "caption", "kind", "page")},
            **{name: now[name] for name in ("bbox", "caption_bbox", "panels", "width", "height")},
            **{name: now[name] for name in ("title", "doi", "license", "text_faults")},
            "state": entry.verdict.state,
            "extracted": {name: entry.row[name] for name in entry.verdict.values},
            "version": (now["image_sha256"] or "")[:16],
        }
