"""Manual decisions about conversations: a JSONL file exported from the page of `cephalo refine
--review`, or written by `cephalo review`.

OUT/decisions.jsonl holds all decisions about a folder, one per line. Of several decisions about a
conversation the last one counts. `cephalo refine` applies them to the conversations that it makes,
and `decided_rows` to those that are read.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cephalo.cli.errors import CephaloError, fault_of
from cephalo.cli.files import write_whole
from cephalo.cli.rows import Row
from cephalo.dataset_scripts.common.conversations import said, turns_in
from cephalo.dataset_scripts.common.shards import read_rows

NAME = "decisions.jsonl"
ID_DIGITS = 16  # hexadecimal; of a SHA-256
MAX_LINE = 200_000  # bytes
RECORD = {"by", "at", "before", "earlier"}  # fields on which no conversation depends

Pair = tuple[str, str]
"""A question and its answer."""


class DecidedTurn(BaseModel):
    """A question and its answer, as edited."""

    question: str = Field(min_length=2, max_length=20_000)
    answer: str = Field(min_length=1, max_length=20_000)


class Decision(BaseModel):
    """A line of a decisions file.

    `id` identifies the conversation (`conversation_id`), `shard` is the stem of its file. `turns`
    are given with "edit" and replace the teacher's. `cephalo review` also records who decided and
    when (`by`, `at`) and the turns `before`; `earlier` are the identifiers of the conversation as
    earlier edits left it.
    """

    model_config = ConfigDict(extra="ignore")

    id: str
    shard: str
    decision: Literal["accept", "reject", "edit"]
    turns: list[DecidedTurn] | None = Field(default=None, min_length=1, max_length=16)
    note: str = ""
    by: str | None = None
    at: datetime | None = None
    before: list[DecidedTurn] | None = None
    earlier: list[str] | None = None

    def edited(self) -> list[Pair]:
        """Return the questions with their answers as edited; empty if they were not."""
        return [(turn.question, turn.answer) for turn in self.turns or []]


def conversation_id(figures: list[Row], task: str, turns: Sequence[Pair]) -> str:
    """Return the identifier of a conversation, from its images, its task and its words."""
    facts = [[figure["image_sha256"] for figure in figures], task, list(turns)]
    text = json.dumps(facts, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:ID_DIGITS]


def read_decisions(path: Path) -> list[Decision]:
    """Read the decisions of a file. Raises CephaloError if it is missing or a line is invalid."""
    try:
        # JSON strings may hold U+2028 and U+0085, at which `splitlines` splits too.
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CephaloError(f"cannot read decisions from {path}: {error}") from error
    decisions = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            if len(line) > MAX_LINE:
                raise ValueError(f"it has {len(line):,} characters")
            decision = Decision.model_validate_json(line)
            if decision.decision == "edit" and not decision.turns:
                raise ValueError('"edit" needs "turns"')
        except ValueError as error:
            raise CephaloError(
                f"{path}, line {number} is not a decision: {_told(error)}; correct or remove it"
            ) from error
        decisions.append(decision)
    return decisions


Decisions = dict[str, dict[str, Decision]]
"""By shard, then by conversation."""


def take_decisions(out: Path) -> Decisions:
    """Return the decisions about a folder."""
    path, by_shard = out / NAME, {}
    for one in read_decisions(path) if path.exists() else []:
        by_shard.setdefault(one.shard, {})[one.id] = one
    return by_shard


def add_decisions(out: Path, more: Path, shards: Collection[str] | None = None) -> set[str]:
    """Add the decisions of a file to those about a folder.

    Args:
        out: Folder of the conversations.
        more: The file.
        shards: Names of the existing shards, if known.

    Returns:
        The names of the shards of the added decisions.

    Raises:
        CephaloError: If a line is not a decision, or is about another shard.
    """
    path = out / NAME
    added = read_decisions(more)
    if shards is not None and (unknown := {one.shard for one in added} - {*shards}):
        raise CephaloError(
            f"{more} is about {min(unknown)!r}, which is not a shard of these figures"
        )
    before = read_decisions(path) if path.exists() else []
    write_decisions(path, {one.id: one for one in [*before, *added]}.values())
    return {one.shard for one in added}


def write_decisions(path: Path, decisions: Iterable[Decision]) -> None:
    """Write decisions, one per line."""
    write_whole(path, "".join(one.model_dump_json(exclude_none=True) + "\n" for one in decisions))


def facts_of(decisions: Iterable[Decision]) -> list[str]:
    """Return what conversations depend on of decisions, in any order."""
    return sorted(one.model_dump_json(exclude=RECORD) for one in decisions)


def decided_rows(shard: Path, rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the CONVERSATIONS rows of a shard as people edited them, without those that they
    rejected.

    Rows need the columns "query", "completion", "figures" and "task". Raises CephaloError if the
    file of decisions beside the shard's folder is damaged.
    """
    own = decisions_of(shard)
    if not own:
        yield from rows
        return
    for row in rows:
        decision = own.get(conversation_id(row["figures"], row["task"], turns_in(row)))
        if decision is None or decision.decision == "accept":
            yield row
        elif decision.decision == "edit":
            yield edited(row, decision.edited())


def count_rejected(shards: Iterable[Path]) -> int:
    """Return the number of conversations in CONVERSATIONS shards that people rejected."""
    count = 0
    for shard in shards:
        own = decisions_of(shard)
        if any(one.decision == "reject" for one in own.values()):
            for row in read_rows([shard], ["query", "completion", "figures", "task"], 500):
                decision = own.get(conversation_id(row["figures"], row["task"], turns_in(row)))
                count += decision is not None and decision.decision == "reject"
    return count


def decisions_of(shard: Path) -> dict[str, Decision]:
    """Return the decisions about the conversations of a shard, by their identifiers and those of
    earlier edits."""
    path = shard.parent.parent / NAME
    try:
        state = path.stat()
    except OSError:
        return {}
    of_folder = _decisions_at(path, state.st_mtime_ns, state.st_size)
    own = of_folder.get(shard.stem, {})
    earlier = {number: one for one in own.values() for number in one.earlier or ()}
    return earlier | own


@lru_cache(maxsize=8)
def _decisions_at(path: Path, changed: int, size: int) -> Decisions:
    """Return the decisions of a file in the state in which it was changed last."""
    return take_decisions(path.parent)


def edited(row: Row, turns: list[Pair]) -> Row:
    """Return a CONVERSATIONS row with other turns, whose scores say that a person edited it."""
    scores = json.dumps({**json.loads(row.get("scores") or "{}"), "person": "edited"})
    return {**row, **said(turns, len(row["figures"])), "scores": scores}


def _told(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'the line'}: {fault_of(first)}"
    return str(error)
