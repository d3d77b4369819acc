"""A run over many machines: what it reads and with which settings, and which chunks are done.

OUT/STEP-run/ holds `run.json` and `manifest.jsonl`, `chunks/NNNNNN.json` of each chunk that is
done, `attempts/` of those that were begun, and `logs/` of each submission. A chunk's rows go to a
file named after its number, and its own file is written last: a task that was killed, a node that
was lost, a task that runs twice and another number of tasks end in the same files.
"""

import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.scale.manifest import File, write_manifest
from cephalo.dataset_scripts.scale.store import Store


@dataclass(frozen=True)
class Run:
    """The run of a step, "extract" or "refine", that writes below `out`."""

    out: str
    step: str

    @property
    def store(self) -> Store:
        """Where it writes."""
        return Store(self.out)

    def name(self, file: str) -> str:
        """The name of one of the run's own files in its store."""
        return f"{self.step}-run/{file}"

    def begin(self, files: Iterable[File], chunk: int, settings: dict[str, Any]) -> int:
        """List the files and write the manifest, or check that it is still the same.

        Returns the number of chunks. Raises CephaloError where there are no files, and where the
        run there was made of other files or with other settings.
        """
        store = self.store
        with tempfile.TemporaryDirectory(prefix="cephalo-") as folder:
            listed = Path(folder) / "manifest.jsonl"
            count, sha256 = write_manifest(files, listed)
            if not count:
                raise CephaloError("no files to read; give files, or folders that hold some")
            wanted = {**settings, "chunk": chunk, "files": count, "manifest_sha256": sha256}
            wanted = json.loads(json.dumps(wanted))
            if (made := store.read_json(self.name("run.json"))) is None:
                store.put(listed, self.name("manifest.jsonl"))
                store.write(self.name("run.json"), json.dumps(wanted, indent=1) + "\n")
            elif made != wanted:
                raise CephaloError(f"{store.url} was made {difference(made, wanted)}")
        return -(-count // chunk)

    def check(self, settings: dict[str, Any]) -> dict[str, Any]:
        """What `begin` recorded, for a task. Raises CephaloError where the task's code has other
        settings: it was changed after the submission."""
        made = self.store.read_json(self.name("run.json"))
        if made is None:
            raise CephaloError(f"{self.out} holds no run of {self.step}; submit it first")
        wanted = json.loads(json.dumps(settings))
        if {key: made.get(key) for key in wanted} != wanted:
            raise CephaloError(f"{self.out} was made {difference(made, made | wanted)}")
        return made

    def done(self) -> set[int]:
        """The numbers of the chunks that are done."""
        names = self.store.names(self.name("chunks"))
        return {int(name[:-5]) for name in names if name.endswith(".json") and name[0] != "."}

    def is_done(self, number: int) -> bool:
        """Whether a chunk is done."""
        return self.store.exists(self.name(f"chunks/{number:06d}.json"))

    def finish(self, number: int, facts: dict[str, Any]) -> None:
        """Mark a chunk as done, with what it gave."""
        self.store.write(self.name(f"chunks/{number:06d}.json"), json.dumps(facts) + "\n")

    def facts(self) -> Iterable[dict[str, Any]]:
        """What each chunk that is done gave, in order."""
        for number in sorted(self.done()):
            yield self.store.read_json(self.name(f"chunks/{number:06d}.json"))


def difference(made: dict[str, Any], wanted: dict[str, Any]) -> str:
    """What differs between two records, and what to do about it, for an error."""
    if made.get("manifest_sha256") != wanted.get("manifest_sha256"):
        return (
            f"of {made.get('files')} other files than the {wanted['files']} that are there now; "
            "give those alone, or another --out for these"
        )
    other = [f"{key} {made.get(key)!r}" for key in wanted if made.get(key) != wanted[key]]
    return f"with {', '.join(other)}; use the same or another --out"
