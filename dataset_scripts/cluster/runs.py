"""A run on many machines: its input and settings, and its finished chunks.

OUT/STEP-run/ contains `run.json`, `manifest.jsonl`, `chunks/NNNNNN.json` for each finished chunk,
`attempts/` for started ones, and `logs/` of each submission. The rows of a chunk are written to a
file with its number, and its JSON file is written last. The result is therefore the same after
killed tasks, lost nodes, duplicate tasks and another number of tasks.
"""

import json
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.cluster.manifest import File, follow, read_manifest, write_manifest
from cephalo.dataset_scripts.cluster.store import Store


@dataclass
class Begun:
    """A started or resumed run: its chunks, and the changes of its input since.

    `removed`, `edited` and `returned` are file names; `changed` are the numbers of the chunks with
    any of them.
    """

    chunks: int
    removed: list[str] = field(default_factory=list)
    edited: list[str] = field(default_factory=list)
    returned: list[str] = field(default_factory=list)
    changed: set[int] = field(default_factory=set)

    def gone(self) -> list[str]:
        """Return the removed and edited documents, each with the kind of its change."""
        named = [f"{name} (removed)" for name in self.removed]
        return sorted(named + [f"{name} (edited)" for name in self.edited])


@dataclass(frozen=True)
class Run:
    """A run of a step, "extract" or "refine", that writes below `out`."""

    out: str
    step: str

    @property
    def store(self) -> Store:
        """The store of the output."""
        return Store(self.out)

    def name(self, file: str) -> str:
        """Return the name of one of the run's own files in the store."""
        return f"{self.step}-run/{file}"

    def begin(
        self,
        files: Iterable[File],
        chunk: int,
        settings: dict[str, Any],
        leave_out: Callable[[Begun], None] | None = None,
    ) -> Begun:
        """Start a run, or resume it after comparing its manifest with the current input.

        Chunks with files that were removed or edited since are processed again.

        Args:
            files: Current files of the input.
            chunk: Number of files in a chunk.
            settings: What determines the rows besides the files.
            leave_out: Called before such a change is recorded; removes the output of the changed
                chunks, or raises CephaloError if nothing may change now.

        Raises:
            CephaloError: If there are no files, or the run has other settings or fewer files.
        """
        store = self.store
        with tempfile.TemporaryDirectory(prefix="cephalo-") as folder:
            listed = Path(folder) / "manifest.jsonl"
            count, sha256 = write_manifest(files, listed)
            if not count:
                raise CephaloError("no files to read; give files, or folders that contain some")
            wanted = {**settings, "chunk": chunk, "files": count, "manifest_sha256": sha256}
            wanted = json.loads(json.dumps(wanted))
            if (made := store.read_json(self.name("run.json"))) is None:
                store.put(listed, self.name("manifest.jsonl"))
            elif made == wanted | {"lines": made.get("lines")}:
                return Begun(-(-made["lines"] // chunk))
            elif other := difference(made, wanted):
                raise CephaloError(f"{store.url} was made {other}")
            else:
                return self._follow(listed, wanted, leave_out)
            self._record(wanted, count)
        return Begun(-(-count // chunk))

    def _record(self, settings: dict[str, Any], lines: int) -> None:
        """Write `run.json`; `lines` is the number of lines of the manifest, including removed
        files."""
        text = json.dumps({**settings, "lines": lines}, indent=1) + "\n"
        self.store.write(self.name("run.json"), text)

    def _follow(
        self, listed: Path, wanted: dict[str, Any], leave_out: Callable[[Begun], None] | None
    ) -> Begun:
        """Update the manifest to a new listing of the input. It can be interrupted and repeated."""
        store, chunk = self.store, wanted["chunk"]
        before, after = listed.with_name("before.jsonl"), listed.with_name("after.jsonl")
        store.fs.get_file(store.path(self.name("manifest.jsonl")), str(before))
        begun, kept, lines = Begun(0), set(), []
        for place, (file, what) in enumerate(follow(read_manifest(before), listed)):
            if what == "added":
                raise CephaloError(f"{store.url} was made {of_other_files(place, wanted)}")
            lines.append(file)
            if not file.gone:
                kept.add(place // chunk)
            if what:
                getattr(begun, what).append(PurePosixPath(file.path).name)
                begun.changed.add(place // chunk)
        begun.chunks = -(-len(lines) // chunk)
        if begun.changed and leave_out:
            leave_out(begun)
        for number in begun.changed:
            store.remove(self.name(f"chunks/{number:06d}.json"))
            store.remove(self.name(f"attempts/{number:06d}.json"))
        write_manifest(lines, after)
        store.put(after, self.name("manifest.jsonl"))
        for number in set(range(begun.chunks)) - kept - self.done():
            self.finish(number, {"empty": True})
        self._record(wanted, len(lines))
        return begun

    def check(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Compare a task's settings with those that `begin` recorded. Raises CephaloError if they
        differ because the code changed after the submission."""
        made = self.store.read_json(self.name("run.json"))
        if made is None:
            raise CephaloError(f"{self.out} contains no run of {self.step}; submit it first")
        wanted = json.loads(json.dumps(settings))
        if {key: made.get(key) for key in wanted} != wanted:
            raise CephaloError(f"{self.out} was made {difference(made, made | wanted)}")
        return made

    def done(self) -> set[int]:
        """Return the numbers of the finished chunks."""
        names = self.store.names(self.name("chunks"))
        return {int(name[:-5]) for name in names if name.endswith(".json") and name[0] != "."}

    def is_done(self, number: int) -> bool:
        """Return whether a chunk is finished."""
        return self.store.exists(self.name(f"chunks/{number:06d}.json"))

    def finish(self, number: int, facts: dict[str, Any]) -> None:
        """Mark a chunk as finished, with its totals."""
        self.store.write(self.name(f"chunks/{number:06d}.json"), json.dumps(facts) + "\n")

    def facts(self) -> Iterable[dict[str, Any]]:
        """Yield the totals of each finished chunk in order, without chunks whose files were all
        removed."""
        for number in sorted(self.done()):
            facts = self.store.read_json(self.name(f"chunks/{number:06d}.json"))
            if not facts.get("empty"):
                yield facts


def of_other_files(count: int, wanted: dict[str, Any]) -> str:
    """Format the error that a run of `count` files cannot be extended."""
    return (
        f"of {count} other files than the {wanted['files']} that are there now; "
        "give those alone, or another --out for these"
    )


def difference(made: dict[str, Any], wanted: dict[str, Any]) -> str:
    """Format how two records differ besides their files, and what to do; empty if they do not
    differ."""
    files = ("files", "manifest_sha256")
    keys = [key for key in wanted if key not in files and made.get(key) != wanted[key]]
    other = [f"{key} {made.get(key)!r}" for key in keys]
    return f"with {', '.join(other)}; use the same or another --out" if other else ""
