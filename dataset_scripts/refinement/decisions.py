"""Manual decisions about answers: a JSONL file exported from the page of `--review`.

OUT/decisions.jsonl holds all decisions about a folder, one per line. Of several decisions about an
answer the last one counts.
"""

import hashlib
import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cephalo.cli.errors import CephaloError, fault_of
from cephalo.cli.files import write_whole
from cephalo.cli.rows import Row
from cephalo.dataset_scripts.refinement.forms import Talk, Turn

NAME = "decisions.jsonl"
ID_DIGITS = 16  # hexadecimal; of a SHA-256
MAX_LINE = 200_000  # bytes


class DecidedTurn(BaseModel):
    """A question and its answer, as edited."""

    question: str = Field(min_length=2, max_length=20_000)
    answer: str = Field(min_length=1, max_length=20_000)


class Decision(BaseModel):
    """A line of a decisions file.

    `id` identifies the conversation (`conversation_id`), `shard` is the stem of its file. `turns`
    are given with "edit" and replace the teacher's.
    """

    model_config = ConfigDict(extra="ignore")

    id: str
    shard: str
    decision: Literal["accept", "reject", "edit"]
    turns: list[DecidedTurn] | None = Field(default=None, min_length=1, max_length=16)
    note: str = ""

    def applied_to(self, talk: Talk) -> Talk:
        """Return the conversation as edited."""
        if self.decision != "edit" or not self.turns:
            return talk
        return talk._replace(turns=tuple(Turn(turn.question, turn.answer) for turn in self.turns))


def conversation_id(figures: list[Row], task: str, talk: Talk) -> str:
    """Return the identifier of a conversation, from its images, its task and its words."""
    facts = [[figure["image_sha256"] for figure in figures], task, talk.turns]
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
    return sorted(one.model_dump_json() for one in decisions)


def _told(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'the line'}: {fault_of(first)}"
    return str(error)
