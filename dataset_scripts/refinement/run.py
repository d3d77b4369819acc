"""Run a refinement: documents are streamed, many questions are in flight, and files are written
atomically and in order.

Documents are finished in input order, independent of the order of replies, so that an interrupted
and restarted run writes the same files.
"""

import asyncio
import logging
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from cephalo.cli.errors import CephaloError
from cephalo.cli.rows import Row
from cephalo.cli.where import Where
from cephalo.dataset_scripts.common.conversations import QUERY, conversation
from cephalo.dataset_scripts.common.decisions import (
    Decision,
    Decisions,
    conversation_id,
    facts_of,
)
from cephalo.dataset_scripts.refinement import documents
from cephalo.dataset_scripts.refinement.forms import Talk, Turn
from cephalo.dataset_scripts.refinement.near_equal import NearEqual, same_question
from cephalo.dataset_scripts.refinement.planning import Item, count_items, plan
from cephalo.dataset_scripts.refinement.shard_images import Images
from cephalo.dataset_scripts.refinement.teachers import (
    Answered,
    Rejection,
    Rejections,
    Teacher,
    Verified,
)

logger = logging.getLogger(__name__)

READY = 2  # questions prepared for each that may be in flight
OPEN_DOCUMENTS = 4  # for each question in flight: started and not yet written


@dataclass
class Document:
    """A shard of figures, from one or several documents, in progress. `items` is None if it was
    finished before; `figures` have no image bytes."""

    shard: Path
    made_from: str
    figures: list[Row] = field(default_factory=list)
    items: list[Item] | None = None
    rejected: Rejections = field(default_factory=dict)
    open: int = 0
    ready: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Outcome:
    """The outcome of a run. `stopped` is the reason for ending early."""

    documents: int = 0
    done_before: int = 0
    answered: int = 0  # questions
    unanswered: int = 0
    read: int = 0  # conversations that could be parsed, accepted or not
    unmatched: int = 0  # manual decisions that match no conversation
    stopped: str | None = None
    reason: str | None = None  # why the first question has no answer, or none that could be parsed


class Run:
    """Refines shards of figures into a folder."""

    def __init__(
        self,
        teacher: Teacher,
        out: Path,
        settings: dict[str, object],
        max_concurrency: int,
        retry_rejected: bool = False,
        decisions: Decisions | None = None,
        where: Where | None = None,
    ) -> None:
        """Create a run.

        The output is determined by `settings`, by the manual `decisions`, and by the figures for
        which `where` holds. `on_item` can be set to a function that is called with the number of
        questions answered or skipped.
        """
        self.teacher, self.out, self.settings = teacher, out, settings
        self.max_concurrency, self.retry_rejected = max_concurrency, retry_rejected
        self.decisions = decisions or {}
        self.where = where
        self.on_item: Callable[[int], None] = lambda items: None
        self.near_equal = NearEqual()
        self.images = Images()
        self.outcome = Outcome()
        self.open: list[Document] = []  # started and not yet written, in order

    async def refine(self, shards: Iterable[Path]) -> Outcome:
        """Refine all shards. Raises CephaloError if no further question can succeed."""
        items: asyncio.Queue[tuple[Document, Item] | None] = asyncio.Queue(self.max_concurrency)
        order: asyncio.Queue[Document | None] = asyncio.Queue(OPEN_DOCUMENTS * self.max_concurrency)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.read(shards, items, order))
                for _ in range(READY * self.max_concurrency):
                    group.create_task(self.answer(items))
                group.create_task(self.finish_in_order(order))
        except* (CephaloError, OSError, sqlite3.DatabaseError) as failures:
            raise failures.exceptions[0] from None
        return self.outcome

    async def read(
        self,
        shards: Iterable[Path],
        items: asyncio.Queue[tuple[Document, Item] | None],
        order: asyncio.Queue[Document | None],
    ) -> None:
        """Put documents and their questions into the queues, which apply back-pressure."""
        for shard in shards:
            if self.outcome.stopped:
                break
            document = await asyncio.to_thread(self.open_document, shard)
            self.open.append(document)
            await order.put(document)
            for _, about in groupby(document.items or (), key=lambda item: item.places):
                same = list(about)
                figures = same[0].figures or []
                filled = await asyncio.to_thread(self.images.filled, shard, figures)
                for item in same:
                    item.figures = filled
                    await items.put((document, item))
        for _ in range(READY * self.max_concurrency):
            await items.put(None)
        await order.put(None)

    def made_from(self, shard: Path) -> str:
        """Return the fingerprint of what determines the conversations of a shard."""
        decided = facts_of(self.decisions.get(shard.stem, {}).values())
        return documents.fingerprint(shard, self.settings | {"decisions": decided})

    def unfinished(self, shards: Iterable[Path]) -> list[Path]:
        """Return the unfinished shards."""
        return [
            shard
            for shard in shards
            if (self.retry_rejected and self.aside_path(shard, "rejected").exists())
            or not documents.is_finished(self.conversations_path(shard), self.made_from(shard))
        ]

    def open_document(self, shard: Path) -> Document:
        """Read a shard, unless its conversations exist."""
        document = Document(shard, self.made_from(shard))
        rejected = documents.read_lines(self.aside_path(shard, "rejected"))
        again = self.retry_rejected and rejected
        if not again and documents.is_finished(self.conversations_path(shard), document.made_from):
            document.ready.set()
            return document
        document.figures, unread = documents.part_figures(shard, self.where)
        for line in unread:
            logger.warning(line)
        if again:
            document.rejected = rejections(rejected)
        document.items = plan(document.figures, self.teacher.tasks)
        document.open = len(document.items)
        self.on_item(count_items([shard], self.teacher.tasks) - document.open)  # not asked
        if not document.open:
            document.ready.set()
        return document

    async def answer(self, items: asyncio.Queue[tuple[Document, Item] | None]) -> None:
        """Ask questions until the queue ends."""
        while (work := await items.get()) is not None:
            document, item = work
            item.answered = await self.teacher.ask(
                item.figures or [], item.task, document.rejected, item.others
            )
            item.figures, item.others = None, []
            self.outcome.stopped = self.outcome.stopped or item.answered.stopped
            self.on_item(1)
            document.open -= 1
            if not document.open:
                document.ready.set()

    async def finish_in_order(self, order: asyncio.Queue[Document | None]) -> None:
        """Write documents in order, each when all its questions are answered."""
        while (document := await order.get()) is not None:
            await document.ready.wait()
            await asyncio.to_thread(self.finish, document)

    def stop(self, reason: str) -> None:
        """Write the answers received for open documents, after `refine` was interrupted."""
        self.outcome.stopped = reason
        for document in list(self.open):
            for item in document.items or ():
                item.answered = item.answered or Answered(stopped=reason)
            self.finish(document)

    def finish(self, document: Document) -> None:
        """Compare the answers with all earlier ones, and write accepted and rejected ones."""
        self.write(document)
        self.open.remove(document)

    def write(self, document: Document) -> None:
        """Write the files of a document; see `finish`."""
        path = self.conversations_path(document.shard)
        if document.items is None:
            self.outcome.done_before += 1
            for answer in documents.read_answers(path):
                self.near_equal.add(answer)
            self.on_item(count_items([document.shard], self.teacher.tasks))
            return
        asked = [item for item in document.items if not item.answer.stopped]
        if document.items and not asked:  # the budget was spent before
            return
        figures, sorted_out = document.figures, SortedOut()
        for item in asked:
            shown = [figures[place] for place in item.places]
            if failure := item.answer.failure:
                self.outcome.unanswered += 1
                self.outcome.reason = self.outcome.reason or failure
                line = aside(shown, item, Verified(None, failed={"no_answer": failure}))
                sorted_out.rejected.append(line)
            else:
                self.outcome.answered += 1
            for one in item.answer.found:
                self.outcome.read += one.talk is not None
                if one.talk is None:
                    why = "; ".join(f"{name}: {detail}" for name, detail in one.failed.items())
                    self.outcome.reason = self.outcome.reason or why
                self.sort_out(document.shard, shown, item, one, sorted_out)
        whole = all(item.answer.whole for item in document.items)
        unmatched = self.decisions.get(document.shard.stem, {}).keys() - sorted_out.decided
        self.outcome.unmatched += len(unmatched) if whole else 0
        for kind in documents.ASIDE:
            lines = getattr(sorted_out, kind)
            documents.write_lines(self.aside_path(document.shard, kind), lines)
        made_from = document.made_from if whole else ""
        rows = (
            row | {"images": self.images_of(document.shard, [figures[place] for place in places])}
            for row, places in sorted_out.rows
        )
        documents.write_conversations(path, rows, made_from)
        self.outcome.documents += 1

    def sort_out(
        self,
        shard: Path,
        figures: list[Row],
        item: Item,
        one: Verified,
        into: "SortedOut",
    ) -> None:
        """Accept or reject a conversation, or set it aside as undecided, by manual decisions or
        else by checks and judges."""
        if one.talk:
            number = conversation_id(figures, item.task.name, one.talk.turns)
            if decided := self.decisions.get(shard.stem, {}).get(number):
                decide(one, decided)
                into.decided.add(number)
            elif one.undecided:
                into.undecided.append(aside(figures, item, one))
                return
        row = self.row(figures, item, one.talk, one.scores) if one.talk and not one.failed else None
        before = into.questions[tuple(item.places)]
        if row and (other := self.near_equal.match(row["answer"])):
            one.failed["near_equal"] = other[:80]
        elif one.talk and row and (asked_before := asked_already(one.talk, before)):
            one.failed["same_question"] = asked_before[:80]
        if row is None or one.talk is None or one.failed:
            into.rejected.append(aside(figures, item, one))
        else:
            self.near_equal.add(row["answer"])
            before.extend(one.talk.turns)
            into.rows.append((row, item.places))

    def row(self, figures: list[Row], item: Item, talk: Talk, scores: dict[str, object]) -> Row:
        """Build the CONVERSATIONS row of a verified conversation."""
        return conversation(
            figures,
            talk.turns,
            teacher=self.teacher.name,
            task=item.task.name,
            task_version=item.task.version,
            teacher_params=self.teacher.params() | item.answer.params(),
            scores=scores,
        )

    def images_of(self, shard: Path, figures: list[Row]) -> list[Row]:
        """Return the undecoded images of figures."""
        return [figure["image"] for figure in self.images.filled(shard, figures)]

    def conversations_path(self, shard: Path) -> Path:
        """Return the path of the conversations of a shard."""
        return self.out / "conversations" / shard.name

    def aside_path(self, shard: Path, kind: str) -> Path:
        """Return the path of the "rejected" or "undecided" answers of a shard."""
        return self.out / kind / f"{shard.stem}.jsonl"


@dataclass
class SortedOut:
    """The conversations of a document.

    Attributes:
        rows: Accepted rows without images, with the places of their figures.
        rejected: Lines of rejected conversations.
        undecided: Lines of undecided conversations.
        decided: Ids of the conversations with manual decisions.
        questions: Accepted questions and answers, by the places of their figures.
    """

    rows: list[tuple[Row, list[int]]] = field(default_factory=list)
    rejected: list[Row] = field(default_factory=list)
    undecided: list[Row] = field(default_factory=list)
    decided: set[str] = field(default_factory=set)
    questions: dict[tuple[int, ...], list[Turn]] = field(default_factory=lambda: defaultdict(list))


def decide(one: Verified, decided: Decision) -> None:
    """Apply a manual decision, which overrules checks and judges."""
    if decided.decision == "reject":
        one.failed = {"person": decided.note or "rejected"}
        return
    one.failed = {}
    assert one.talk is not None  # decisions refer to conversations by id
    if decided.decision == "edit":
        one.talk = one.talk._replace(turns=tuple(Turn(*pair) for pair in decided.edited()))
    one.scores["person"] = "edited" if decided.decision == "edit" else "accepted"


def asked_already(talk: Talk, before: list[Turn]) -> str | None:
    """Return an earlier accepted question about the same figures that asks for the same as this
    single one."""
    [turn, *later] = talk.turns
    if later or turn.question == QUERY:
        return None
    return next((other[0] for other in before if same_question(turn, other)), None)


def rejections(lines: list[Row]) -> Rejections:
    """Return the rejected answers of a document to ask again, by the keys of questions."""
    found: Rejections = {}
    for line in lines:
        if line["key"]:
            one = found.setdefault(line["key"], Rejection(line["round"]))
            one.failed |= line["failed"]
    return found


def aside(figures: list[Row], item: Item, one: Verified) -> Row:
    """Build a line of rejected/STEM.jsonl or undecided/STEM.jsonl: the conversation, and the failed
    checks with the reasons."""
    return {
        "id": conversation_id(figures, item.task.name, one.talk.turns) if one.talk else None,
        "document": figures[0]["document"],
        "figures": [
            {key: figure[key] for key in ("label", "page", "image_sha256")} for figure in figures
        ],
        "task": item.task.name,
        "task_version": item.task.version,
        "failed": one.failed,
        "turns": [turn._asdict() for turn in one.talk.turns] if one.talk else None,
        "text": one.text or None,
        "scores": one.scores,
        "key": item.answer.key,
        "round": item.answer.round,
    }
