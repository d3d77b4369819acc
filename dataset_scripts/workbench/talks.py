"""Conversations about a figure: accepted, undecided and rejected ones.

Decisions are appended to `decisions.jsonl` in the folder of `cephalo refine`, which applies them in
its next run, like those of its own review page.
"""

from pathlib import Path

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import locked
from cephalo.cli.rows import Row
from cephalo.dataset_scripts.common.conversations import IMPORTED
from cephalo.dataset_scripts.common.shards import read_rows
from cephalo.dataset_scripts.workbench.catalogue import Entry

COLUMNS = ("task", "query", "completion", "figures")
DECISIONS = ("accept", "reject")


def has_talks(refined: Path) -> bool:
    """Return whether a folder contains conversations."""
    return any((refined / kind).is_dir() for kind in ("conversations", "undecided", "rejected"))


def warm_up(refined: Path) -> None:
    """Import the reader of conversations, if there are any, before a figure is requested."""
    if has_talks(refined):
        import cephalo.dataset_scripts.refinement.review_page  # noqa: F401


def talks_about(refined: Path, entry: Entry) -> list[Row]:
    """Return the conversations about a figure as JSON objects.

    Args:
        refined: Folder of `cephalo refine`.
        entry: The figure.

    Returns:
        Objects with "id", "task", "turns", "state" (accepted, undecided, rejected), "reasons" of
        that state, and "decided": the decision since then.

    Raises:
        CephaloError: If a file is damaged.
    """
    if not has_talks(refined):
        return []
    # Imported here because they import `datasets`, which is not needed without conversations.
    from cephalo.dataset_scripts.refinement.decisions import conversation_id, take_decisions
    from cephalo.dataset_scripts.refinement.documents import ASIDE, read_lines
    from cephalo.dataset_scripts.refinement.review_page import talk_of

    stem, hashes = entry.shard.stem, {entry.row["image_sha256"], entry.now["image_sha256"]}
    decided = take_decisions(refined).get(stem, {})
    found: list[Row] = []

    def add(number: str | None, row: Row, turns: list[Row], state: str, why: object) -> None:
        if hashes.isdisjoint(figure["image_sha256"] for figure in row["figures"]):
            return
        decision = decided.get(number or "")
        found.append(
            {
                "id": number,
                "task": row["task"],
                "turns": turns,
                "state": state,
                "reasons": why,
                "decided": decision and decision.decision,
            }
        )

    shard = refined / "conversations" / entry.shard.name
    for row in read_rows([shard], COLUMNS, batch_rows=100) if shard.exists() else ():
        talk = talk_of(row)
        number = conversation_id(row["figures"], row["task"], talk)
        add(number, row, [turn._asdict() for turn in talk.turns], "accepted", [])
    shard = refined / "conversations" / f"{stem}{IMPORTED}.parquet"
    for row in read_rows([shard], COLUMNS, batch_rows=100) if shard.exists() else ():
        turns = [turn._asdict() for turn in talk_of(row).turns]
        add(None, row, turns, "accepted", [])  # no later run of refine decides these
    for kind in reversed(ASIDE):
        for line in read_lines(refined / kind / f"{stem}.jsonl"):
            said = line["turns"] or [{"question": "", "answer": line["text"] or ""}]
            why = [f"{name}: {detail}" for name, detail in line["failed"].items()]
            add(line["id"], line, said, kind, why)
    return found


def decide_talk(refined: Path, entry: Entry, number: object, decision: object) -> None:
    """Record a decision about a conversation. It is on disk when this returns.

    Args:
        refined: Folder of `cephalo refine`.
        entry: The figure.
        number: Id of the conversation.
        decision: "accept" or "reject".

    Raises:
        CephaloError: If there is no such conversation, or another run is writing to the folder.
    """
    if decision not in DECISIONS or not isinstance(number, str):
        raise CephaloError("the request is not a decision about a conversation")
    if number not in {talk["id"] for talk in talks_about(refined, entry)}:
        raise CephaloError("this conversation was removed; reload the page")
    from cephalo.dataset_scripts.refinement.decisions import (
        NAME,
        Decision,
        take_decisions,
        write_decisions,
    )

    new = Decision(id=number, shard=entry.shard.stem, decision=decision)
    with locked(refined):
        before = [one for own in take_decisions(refined).values() for one in own.values()]
        kept = [one for one in before if (one.shard, one.id) != (new.shard, new.id)]
        write_decisions(refined / NAME, [*kept, new])
