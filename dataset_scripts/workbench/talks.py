"""Conversations about a figure: accepted, undecided, rejected and imported ones.

Decisions are appended to `decisions.jsonl` in the folder of `cephalo refine`, which applies them in
its next run, like those of its own review page. `publish` and `export` apply them to accepted and
imported conversations before that.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from cephalo.cli.errors import CephaloError, fault_of
from cephalo.cli.files import locked
from cephalo.cli.rows import Row
from cephalo.dataset_scripts.common.conversations import IMPORTED
from cephalo.dataset_scripts.common.shards import read_rows
from cephalo.dataset_scripts.workbench.catalogue import Entry

if TYPE_CHECKING:
    from cephalo.dataset_scripts.common.decisions import Decision

COLUMNS = ("task", "query", "completion", "figures")
DECISIONS = ("accept", "reject", "edit")


def has_talks(refined: Path) -> bool:
    """Return whether a folder contains conversations."""
    return any((refined / kind).is_dir() for kind in ("conversations", "undecided", "rejected"))


def warm_up(refined: Path) -> None:
    """Import the reader of conversations, if there are any, before a figure is requested."""
    if has_talks(refined):
        import cephalo.dataset_scripts.refinement.documents  # noqa: F401


def talks_about(refined: Path, entry: Entry) -> list[Row]:
    """Return the conversations about a figure as JSON objects.

    Args:
        refined: Folder of `cephalo refine`.
        entry: The figure.

    Returns:
        Objects with "id", "shard" (stem of the file), "task", "images", "turns" (as edited),
        "before" (turns before the edit), "state" (accepted, undecided, rejected), "reasons" of that
        state, and "decided": the decision since then.

    Raises:
        CephaloError: If a file is damaged.
    """
    if not has_talks(refined):
        return []
    # Imported here because they import `datasets`, which is not needed without conversations.
    from cephalo.dataset_scripts.common.conversations import turns_in
    from cephalo.dataset_scripts.common.decisions import conversation_id, decisions_of
    from cephalo.dataset_scripts.refinement.documents import ASIDE, read_lines

    stem, hashes = entry.shard.stem, {entry.row["image_sha256"], entry.now["image_sha256"]}
    found: list[Row] = []

    def add(shard: str, row: Row, number: Any, turns: Any, state: str, why: Any) -> None:
        if hashes.isdisjoint(figure["image_sha256"] for figure in row["figures"]):
            return
        decision = decided.get(number or "")
        after = decision.edited() if decision else []
        found.append(
            {
                "id": number,
                "shard": shard,
                "task": row["task"],
                "images": [figure["image_sha256"] for figure in row["figures"]],
                "turns": as_json(after or turns),
                "before": as_json(turns),
                "state": state,
                "reasons": why,
                "decided": decision and decision.decision,
            }
        )

    for name in (stem, f"{stem}{IMPORTED}"):
        shard = refined / "conversations" / f"{name}.parquet"
        decided = decisions_of(shard)
        for row in read_rows([shard], COLUMNS, batch_rows=100) if shard.exists() else ():
            turns = turns_in(row)
            number = conversation_id(row["figures"], row["task"], turns)
            add(name, row, number, turns, "accepted", [])
    decided = decisions_of(refined / "conversations" / f"{stem}.parquet")
    for kind in reversed(ASIDE):
        for line in read_lines(refined / kind / f"{stem}.jsonl"):
            turns = [(turn["question"], turn["answer"]) for turn in line["turns"] or ()]
            why = [f"{name}: {detail}" for name, detail in line["failed"].items()]
            add(stem, line, line["id"], turns or [("", line["text"] or "")], kind, why)
    return found


def as_json(turns: list[tuple[str, str]]) -> list[dict[str, str]]:
    """Convert questions and answers to JSON objects."""
    return [{"question": question, "answer": answer} for question, answer in turns]


def decide_talk(
    refined: Path, entry: Entry, by: str, number: Any, decision: Any, turns: Any = None
) -> None:
    """Record a decision about a conversation. It is on disk when this returns.

    Args:
        refined: Folder of `cephalo refine`.
        entry: The figure.
        by: Name of the reviewer.
        number: Id of the conversation.
        decision: "accept", "reject" or "edit".
        turns: Edited questions and answers for "edit", [{"question", "answer"}]. Restoring the
            previous texts removes the decision.

    Raises:
        CephaloError: If there is no such conversation, a text is empty or too long, or another run
            is writing to the folder.
    """
    if decision not in DECISIONS or not isinstance(number, str):
        raise CephaloError("the request is not a decision about a conversation")
    talk = next((one for one in talks_about(refined, entry) if one["id"] == number), None)
    if talk is None:
        raise CephaloError("this conversation was removed; reload the page")
    from cephalo.dataset_scripts.common.decisions import (
        NAME,
        take_decisions,
        write_decisions,
    )

    with locked(refined):
        others, prior = [], None
        for one in (one for own in take_decisions(refined).values() for one in own.values()):
            if is_about(one, talk):
                prior = one
            else:
                others.append(one)
        new = next_decision(talk, prior, by, decision, turns)
        write_decisions(refined / NAME, [*others, new] if new else others)


def is_about(one: "Decision", talk: dict[str, Any]) -> bool:
    """Return whether a decision is about a conversation, or produced its current turns."""
    from cephalo.dataset_scripts.common.decisions import conversation_id

    if one.shard != talk["shard"]:
        return False
    if talk["id"] in (one.id, *(one.earlier or ())):
        return True
    figures = [{"image_sha256": image} for image in talk["images"]]
    made = conversation_id(figures, talk["task"], one.edited()) if one.turns else None
    return made == talk["id"]


def next_decision(
    talk: dict[str, Any], prior: "Decision | None", by: str, decision: str, turns: Any
) -> "Decision | None":
    """Return the new decision about a conversation, `None` if it restores the original state.

    Raises:
        CephaloError: If the texts are invalid.
    """
    from cephalo.dataset_scripts.common.decisions import MAX_LINE, Decision

    earlier = list(prior.earlier or ()) if prior else []
    if prior and talk["id"] not in (prior.id, *earlier):
        earlier.append(talk["id"])
    try:
        new = Decision(
            id=prior.id if prior else talk["id"],
            shard=talk["shard"],
            decision=decision,  # pyright: ignore[reportArgumentType]
            turns=turns if decision == "edit" else None,
            by=by,
            at=datetime.now(UTC).replace(microsecond=0),
            before=(prior and prior.before) or talk["before"],
            earlier=earlier or None,
        )
    except ValidationError as error:
        raise CephaloError(f"not saved: {told_of(error)}") from error
    if decision == "edit" and len(new.turns or ()) != len(talk["before"]):
        raise CephaloError("not saved: an edited conversation keeps its number of questions")
    if len(new.model_dump_json()) > MAX_LINE:
        raise CephaloError(f"not saved: the conversation has more than {MAX_LINE:,} characters")
    return None if new.turns == new.before and not earlier else new


def told_of(error: ValidationError) -> str:
    """Return the first error in the texts of a conversation."""
    first = error.errors()[0]
    names = [str(part) for part in first["loc"] if part in ("question", "answer")]
    return f"{names[0] if names else 'the conversation'}: {fault_of(first)}"
