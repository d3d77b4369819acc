"""The figures of a folder as the workbench has them in memory, without their images.

Shards are read in the background, those that extraction adds too. A figure keeps its number as long
as the server runs.
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
"""Of columns that are no texts."""
UNDECIDED, EDITED = "undecided", "edited"
STATES = (UNDECIDED, ACCEPTED, REJECTED, EDITED)
"""What the filter of states takes."""


@dataclass
class Entry:
    """A figure: its row as extracted, where it stands, and what people decided of it."""

    number: int
    shard: Path
    place: int
    row: dict[str, Any]
    lines: list[Correction] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)

    @property
    def now(self) -> dict[str, Any]:
        """The row as people left it; as extracted, but for the box, where its crop is damaged."""
        try:
            return apply(self.row, self.verdict)
        except CephaloError:  # which the picture tells
            return apply(self.row, replace(self.verdict, crop=None))

    def is_in(self, state: str) -> bool:
        """Whether the filter of states takes it."""
        if state == UNDECIDED:
            return self.verdict.person is None
        if state == EDITED:
            return bool(self.verdict.values)
        return self.verdict.state == state

    def states(self) -> list[str]:
        """The values of the filter of states that take it."""
        return [state for state in STATES if self.is_in(state)]

    def value(self, name: str) -> Any:
        """A column as people left it, or its state."""
        return self.verdict.state if name == "state" else self.now[name]


class Catalogue:
    """All figures of a folder and the decisions about them; threads take turns."""

    def __init__(self, folder: Path, by: str, refined: Path | None = None) -> None:
        """`by` decides; conversations are in `refined`, by default in the folder itself.

        Raises CephaloError where the file of decisions is damaged.
        """
        self.folder, self.by = folder, by
        self.refined = Refined(refined or folder)
        self.file = CorrectionsFile(folder)
        self.corrections = Corrections(self.file.lines)
        self.entries: dict[int, Entry] = {}
        self.shards: dict[Path, tuple[tuple[int, int], list[int]]] = {}
        self.damaged: dict[str, str] = {}
        self.version = 0  # grows whenever figures come or go
        self.done: list[tuple[int, What, Any, Any]] = []  # before and after, to be undone
        self.tally = Tally()
        self.loaded = False  # whether all that was there at the start is read
        self._folder = Watched(folder / "figures")
        self._next = 0
        self._lock = threading.RLock()

    # --- reading

    def scan(self) -> None:
        """Read shards that are new or changed, and let go of those that are gone."""
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
        with self._lock:
            for number in self.shards.pop(path, ((0, 0), []))[1]:
                entry = self.entries.pop(number)
                self.tally.add(entry, self.findings(entry), -1)
                self.version += 1
            self.damaged.pop(path.name, None)

    def _read(self, path: Path, stamp: tuple[int, int]) -> None:
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
        entry.verdict = with_crop(verdict(entry.row, entry.lines), entry.row, self.folder)

    # --- looking

    def entry(self, number: int) -> Entry:
        """A figure. Raises CephaloError if it is gone."""
        with self._lock:
            if number not in self.entries:
                raise CephaloError("this figure is no longer there; reload the page")
            return self.entries[number]

    def all(self) -> list[Entry]:
        """All figures, in the order in which they came."""
        with self._lock:
            return list(self.entries.values())

    def counts(self) -> dict[str, Any]:
        """How many figures there are of each value of a filter, and the range of each score."""
        with self._lock:
            return self.tally.as_json()

    def verdicts_in(self, shard: Path) -> dict[int, Verdict]:
        """What people decided about the rows of a shard, by their places, as `verdicts_of`."""
        with self._lock:
            numbers = self.shards.get(shard, ((0, 0), []))[1]
            entries = (self.entries[number] for number in numbers)
            return {entry.place: entry.verdict for entry in entries if entry.lines}

    def numbers(self, places: Iterable[tuple[str, int]]) -> list[int]:
        """The numbers of figures by the names of their shards and their places in these."""
        with self._lock:
            own = {path.name: numbers for path, (_, numbers) in self.shards.items()}
            there = (own.get(name, [])[place : place + 1] for name, place in places)
            return [number for found in there for number in found]

    def on_page(self, entry: Entry) -> list[Entry]:
        """The figures of a shard that are on the page of one, itself among them."""
        with self._lock:
            numbers = self.shards[entry.shard][1]
            same = [self.entries[number] for number in numbers]
        place = entry.row["document_sha256"], entry.row["page"]
        return [one for one in same if (one.row["document_sha256"], one.row["page"]) == place]

    def mentions(self, number: int) -> list[str]:
        """The paragraphs that cite a figure, from its shard. Raises CephaloError."""
        entry = self.entry(number)
        rows = read_rows([entry.shard], ["mentions"], batch_rows=100)
        row = next(islice(rows, entry.place, None), {})
        return row.get("mentions") or []

    def findings(self, entry: Entry) -> Findings:
        """What refinement found about a figure, as extracted and as people left it."""
        images = {entry.row["image_sha256"]}
        if entry.verdict.crop:
            images.add(entry.now["image_sha256"])
        return self.refined.about(entry.shard, images)

    # --- deciding

    def decide(self, number: int, what: What, after: Any) -> Entry:
        """Record a decision about a figure; nothing where it is so already.

        Raises CephaloError for a value that the field cannot have, OSError where it cannot be
        written.
        """
        with self._lock:
            entry = self.entry(number)
            before = entry.value(what)
            after = self.checked(entry, what, after)
            if after != plain(what, before):
                self._add(entry, what, before, after)
                self.done.append((number, what, before, after))
            return entry

    def checked(self, entry: Entry, what: What, after: Any) -> Any:
        """A value for a field as it is recorded. Raises CephaloError for one it cannot have."""
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

    def tried(self, number: int, bbox: list[float]) -> tuple[Entry, Verdict]:
        """A figure, and the verdict that it would have with another box."""
        entry = self.entry(number)
        values = {**entry.verdict.values, "bbox": self.checked(entry, "bbox", bbox)}
        return entry, with_crop(Verdict(values=values), entry.row, self.folder)

    def undo(self) -> Entry | None:
        """Take the last decision back, by another one; None if there is none of this session."""
        with self._lock:
            while self.done:
                number, what, before, after = self.done[-1]
                if entry := self.entries.get(number):
                    self._add(entry, what, after, before if is_value(what, before) else None)
                self.done.pop()
                if entry:
                    return entry
            return None

    def _add(self, entry: Entry, what: What, before: Any, after: Any) -> None:
        line = self.file.add(self.by, key_of_row(entry.row), what, before, after)
        self.corrections.add(line)
        entry.lines.append(line)
        self.tally.add(entry, self.findings(entry), -1)
        self._judge(entry)
        self.tally.add(entry, self.findings(entry))

    def close(self) -> None:
        """Close the file of decisions."""
        self.file.close()


def figures_of(shard: Path) -> list[dict[str, Any]]:
    """The rows of a shard, with `COLUMNS`. Raises CephaloError if they are no figures."""
    rows = list(read_rows([shard], COLUMNS, batch_rows=500))
    for field_ in open_shard(shard).schema_arrow:
        fits = TYPES.get(field_.name, is_text)
        if field_.name in COLUMNS and not (fits(field_.type) or pa.types.is_null(field_.type)):
            raise CephaloError(
                f"{shard} holds no figures, since {field_.name!r} is {field_.type}; remove it and "
                "run the step that made it"
            )
    for row in rows:
        row |= {name: row[name] or "" for name in ("document", "document_sha256")}
    return rows


def has_page(row: dict[str, Any]) -> bool:
    """Whether a figure was cropped from a page; an image by itself is all of its page."""
    box, dpi = row["bbox"], row["dpi"]
    if not box or row["page"] is None:
        return False
    size = (row["width"] or 0, row["height"] or 0)
    whole = [0.0, 0.0, *(POINTS * side / (dpi or DEFAULT_DPI) for side in size)]
    return rounded(box) != rounded(whole)


def is_text(kind: pa.DataType) -> bool:
    """Whether a column holds texts."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def shown(entries: Iterable[Entry]) -> Iterator[dict[str, Any]]:
    """What the page knows of figures, as JSON has it."""
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
