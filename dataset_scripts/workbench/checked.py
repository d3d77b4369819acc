"""Results of refinement for the filters: states of conversations, failed checks and scores."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.common.conversations import IMPORTED
from cephalo.dataset_scripts.common.shards import read_rows

ACCEPTED = "accepted"
ASIDE = ("undecided", "rejected")
WITHOUT = "none"
"""The states of conversations, and the filter value for figures without conversations."""
ENDINGS = {ACCEPTED: ("conversations", ".parquet"), **{one: (one, ".jsonl") for one in ASIDE}}
LARGEST = 1e300  # largest absolute score; JSON integers are unbounded
JUDGED = "judge: "  # prefix for the names of scores by judges


@dataclass
class Findings:
    """Results about one figure.

    Attributes:
        states: Number of conversations in each state.
        checks: Number of conversations rejected by each check.
        lowest: Lowest value of each score.
    """

    states: Counter[str] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)
    lowest: dict[str, float] = field(default_factory=dict)

    def add(self, state: str, checks: list[str], scores: dict[str, float]) -> None:
        """Add a conversation."""
        self.states[state] += 1
        self.checks.update(checks)
        for name, value in scores.items():
            self.lowest[name] = min(value, self.lowest.get(name, value))

    def join(self, other: "Findings") -> None:
        """Add the results of another file."""
        self.states.update(other.states)
        self.checks.update(other.checks)
        for name, value in other.lowest.items():
            self.lowest[name] = min(value, self.lowest.get(name, value))


Found = dict[str, Findings]
"""Results by the SHA-256 of the figure's pixels."""


class Refined:
    """The results in a folder of `cephalo refine`, by the stem of the shard.

    Changed files are read again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[Path, tuple[tuple[int, int], Found]] = {}
        self.of_stem: dict[str, Found] = {}
        self.damaged: dict[str, str] = {}

    def scan(self) -> bool:
        """Read new and changed files. Return whether there were any."""
        there = dict(self._there())
        changed = {stem_of(path) for path in self.files if path not in there}
        for path in [path for path in self.files if path not in there]:
            del self.files[path]
            self.damaged.pop(path.name, None)
        for path, (state, stamp) in there.items():
            if path in self.files and self.files[path][0] == stamp:
                continue
            changed.add(stem_of(path))
            self.damaged.pop(path.name, None)
            try:
                found = read_findings(path, state)
            except CephaloError as error:
                found, self.damaged[path.name] = {}, str(error)
            self.files[path] = stamp, found
        for stem in changed:
            joined: Found = {}
            for kind, ending in (*ENDINGS.values(), ("conversations", f"{IMPORTED}.parquet")):
                _, found = self.files.get(self.folder / kind / f"{stem}{ending}", (None, {}))
                for image, one in found.items():
                    joined.setdefault(image, Findings()).join(one)
            self.of_stem[stem] = joined
        return bool(changed)

    def _there(self) -> Iterator[tuple[Path, tuple[str, tuple[int, int]]]]:
        """Yield the result files with their states and stamps."""
        for state, (kind, ending) in ENDINGS.items():
            for path in sorted((self.folder / kind).glob(f"*{ending}")):
                try:
                    facts = path.stat()
                except OSError:
                    continue
                yield path, (state, (facts.st_mtime_ns, facts.st_size))

    def about(self, shard: Path, images: set[str]) -> Findings:
        """Return the results for a figure of a shard, by the hashes of its pixels."""
        own = self.of_stem.get(shard.stem, {})
        found = [own[image] for image in images if image in own]
        if len(found) == 1:
            return found[0]
        both = Findings()
        for one in found:
            both.join(one)
        return both


def stem_of(path: Path) -> str:
    """Return the stem of the shard of figures for a file of conversations."""
    return path.stem.removesuffix(IMPORTED)


def read_findings(path: Path, state: str) -> Found:
    """Return the results in a file of conversations of one state.

    Raises:
        CephaloError: If the file is damaged.
    """
    found: Found = {}
    for images, checks, scores in read_accepted(path) if state == ACCEPTED else read_aside(path):
        for image in images:
            found.setdefault(image, Findings()).add(state, checks, scores)
    return found


Line = tuple[set[str], list[str], dict[str, float]]
"""Hashes of the images of a conversation, the checks that reject it, and its scores."""


def read_accepted(path: Path) -> Iterator[Line]:
    """Yield the accepted conversations of a file.

    Raises:
        CephaloError: If the file is damaged.
    """
    for row in read_rows([path], ("figures", "scores"), batch_rows=500):
        try:
            scores = numbers(json.loads(row["scores"] or "{}"))
            images = {figure["image_sha256"] for figure in row["figures"]}
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise CephaloError(
                f"{path} does not contain conversations ({error}); remove it and run "
                "`cephalo refine`"
            ) from error
        yield images, [], scores


def read_aside(path: Path) -> Iterator[Line]:
    """Yield the rejected or undecided answers of a file.

    Raises:
        CephaloError: If the file is damaged.
    """
    from cephalo.dataset_scripts.refinement.documents import read_lines

    for line in read_lines(path):
        try:
            images = {figure["image_sha256"] for figure in line["figures"]}
            yield images, list(line["failed"]), numbers(line["scores"])
        except (TypeError, KeyError) as error:
            raise CephaloError(
                f"{path} does not contain answers ({error!r}); remove it and run `cephalo refine`"
            ) from error


def numbers(scores: Any) -> dict[str, float]:
    """Return the numeric scores of a conversation, and the lowest of each kind by judges."""
    if not isinstance(scores, dict):
        return {}
    found = {name: float(value) for name, value in scores.items() if is_number(value)}
    look = scores.get("second_look")
    votes = look.get("votes") if isinstance(look, dict) else None
    for vote in votes if isinstance(votes, list) else ():
        given = vote.get("scores") if isinstance(vote, dict) else None
        for name, value in given.items() if isinstance(given, dict) else ():
            if is_number(value):
                key = JUDGED + name
                found[key] = min(float(value), found.get(key, float(value)))
    return found


def is_number(value: Any) -> bool:
    """Return whether a JSON value is a number within the limit."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= LARGEST
