"""The run of a refinement: documents stream through, many questions are in flight, files appear
whole and in order.

Documents are finished in their order, whatever the order of the answers, so that a run that was
killed and started again ends with the same files.
"""

import asyncio
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.conversations import QUERY, conversation
from cephalo.dataset_scripts.refinement import documents
from cephalo.dataset_scripts.refinement.near_equal import NearEqual, same_question
from cephalo.dataset_scripts.refinement.tasks import Task, groups
from cephalo.dataset_scripts.refinement.teachers import Answered, Teacher, Verified
from cephalo.dataset_scripts.shards import count_rows

READY = 2  # questions being made ready for each that may be in flight
SAID_OF_FIGURE = ("caption", "panels", "mentions")  # columns; the image is not among them
OPEN_DOCUMENTS = 4  # for each question in flight: begun, and not yet written


@dataclass
class Item:
    """One question. `figures` are let go when it is answered; `places` are their row numbers.

    `others` are what is said of the other figures of the document.
    """

    task: Task
    places: list[int]
    figures: list[dict[str, Any]] | None
    answered: Answered | None = None
    others: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Document:
    """A shard of figures, of one document or of several, on its way through. `items` is None where
    it was finished before."""

    shard: Path
    made_from: str
    items: list[Item] | None = None
    rejected: dict[str, int] = field(default_factory=dict)
    open: int = 0
    ready: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Outcome:
    """What a run did. `stopped` says why it ended early."""

    documents: int = 0
    done_before: int = 0
    answered: int = 0  # questions
    unanswered: int = 0
    stopped: str | None = None


class Run:
    """Refines shards of figures into a folder."""

    def __init__(
        self,
        teacher: Teacher,
        out: Path,
        settings: dict[str, Any],
        max_concurrency: int,
        retry_rejected: bool = False,
        on_item: Callable[[int], None] = lambda items: None,
    ) -> None:
        """`settings` determine the files together with the figures; `on_item` hears how many
        questions were answered or skipped."""
        self.teacher, self.out, self.settings = teacher, out, settings
        self.max_concurrency, self.retry_rejected = max_concurrency, retry_rejected
        self.on_item = on_item
        self.near_equal = NearEqual()
        self.outcome = Outcome()

    async def refine(self, shards: Iterable[Path]) -> Outcome:
        """Refine all shards. Raises CephaloError where going on is of no use."""
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
        """Put documents and their questions into the queues, which hold this back when full."""
        for shard in shards:
            if self.outcome.stopped:
                break
            document = await asyncio.to_thread(self.open_document, shard)
            await order.put(document)
            for item in document.items or ():
                await items.put((document, item))
        for _ in range(READY * self.max_concurrency):
            await items.put(None)
        await order.put(None)

    def open_document(self, shard: Path) -> Document:
        """Read a shard, unless its conversations are there."""
        made_from = documents.fingerprint(shard, self.settings)
        document = Document(shard, made_from)
        rejected = documents.read_rejected(self.rejected_path(shard))
        again = self.retry_rejected and rejected
        if not again and documents.is_finished(self.conversations_path(shard), made_from):
            document.ready.set()
            return document
        figures = documents.read_figures(shard)
        if again:
            document.rejected = {line["key"]: line["round"] for line in rejected if line["key"]}
        document.items = plan(figures, self.teacher.tasks)
        document.open = len(document.items)
        if not document.open:
            document.ready.set()
        return document

    async def answer(self, items: asyncio.Queue[tuple[Document, Item] | None]) -> None:
        """Ask one question after the other until there are no more."""
        while (work := await items.get()) is not None:
            document, item = work
            item.answered = await self.teacher.ask(
                item.figures, item.task, document.rejected, item.others
            )
            item.figures, item.others = None, []
            self.outcome.stopped = self.outcome.stopped or item.answered.stopped
            self.on_item(1)
            document.open -= 1
            if not document.open:
                document.ready.set()

    async def finish_in_order(self, order: asyncio.Queue[Document | None]) -> None:
        """Write documents in their order, each when all of its questions are answered."""
        while (document := await order.get()) is not None:
            await document.ready.wait()
            await asyncio.to_thread(self.finish, document)

    def finish(self, document: Document) -> None:
        """Compare the answers with all before them, and write what is kept and what is not."""
        path = self.conversations_path(document.shard)
        if document.items is None:
            self.outcome.done_before += 1
            for answer in documents.read_answers(path):
                self.near_equal.add(answer)
            self.on_item(count_items([document.shard], self.teacher.tasks))
            return
        asked = [item for item in document.items if not item.answered.stopped]
        if document.items and not asked:  # the budget was spent before
            return
        figures = documents.read_figures(document.shard)
        rows, rejected = [], []
        questions: dict[tuple[int, ...], list[tuple[str, str]]] = defaultdict(list)
        for item in asked:
            shown = [figures[place] for place in item.places]
            if failure := item.answered.failure:
                self.outcome.unanswered += 1
                rejected.append(rejection(shown, item, Verified(None), {"no_answer": failure}))
            else:
                self.outcome.answered += 1
            for one in item.answered.found:
                row = self.row(shown, item, one) if not one.failed else None
                before = questions[tuple(item.places)]
                if row and (other := self.near_equal.match(row["answer"])):
                    one.failed["near_equal"] = other[:80]
                elif row and (asked_before := asked_already(one, before)):
                    one.failed["same_question"] = asked_before[:80]
                if one.failed:
                    rejected.append(rejection(shown, item, one, one.failed))
                else:
                    self.near_equal.add(row["answer"])
                    before.extend(one.talk.turns)
                    rows.append(row)
        whole = not any(item.answered.stopped or item.answered.failure for item in document.items)
        documents.write_rejected(self.rejected_path(document.shard), rejected)
        documents.write_conversations(path, rows, document.made_from if whole else "")
        self.outcome.documents += 1

    def row(self, figures: list[dict[str, Any]], item: Item, one: Verified) -> dict[str, Any]:
        """The CONVERSATIONS row of a verified conversation."""
        return conversation(
            figures,
            one.talk.turns,
            teacher=self.teacher.name,
            task=item.task.name,
            task_version=item.task.version,
            teacher_params=self.teacher.params() | item.answered.params(),
            scores=one.scores,
        )

    def conversations_path(self, shard: Path) -> Path:
        """Where the conversations of a shard go."""
        return self.out / "conversations" / shard.name

    def rejected_path(self, shard: Path) -> Path:
        """Where the rejected answers of a shard go."""
        return self.out / "rejected" / f"{shard.stem}.jsonl"


def asked_already(one: Verified, before: list[tuple[str, str]]) -> str | None:
    """A question about the same figures, kept before, that asks for the same as this single one."""
    if len(one.talk.turns) > 1 or one.talk.turns[0].question == QUERY:
        return None
    turn = one.talk.turns[0]
    return next((other[0] for other in before if same_question(turn, other)), None)


def plan(figures: list[dict[str, Any]], tasks: Iterable[Task]) -> list[Item]:
    """The questions about the figures of a shard, those about one figure together; figures are
    compared within their document."""
    items = []
    numbered = enumerate(figures)
    for _, document in groupby(numbered, key=lambda one: one[1]["document_sha256"]):
        rows = list(document)
        said = {place: {part: row.get(part) for part in SAID_OF_FIGURE} for place, row in rows}

        def others(places: list[int], said: dict[int, Any] = said) -> list[dict[str, Any]]:
            return [one for place, one in said.items() if place not in places]

        for place, figure in rows:
            items += [
                Item(task, [place], [figure], others=others([place]))
                for task in tasks
                if task.figures == 1
            ]
        for task in tasks:
            if task.figures > 1:
                for group in groups(rows, task.figures):
                    places, shown = map(list, zip(*group, strict=True))
                    items.append(Item(task, places, shown, others=others(places)))
    return items


def count_items(shards: list[Path], tasks: Iterable[Task]) -> int:
    """How many questions `plan` makes of shards of one document each in which every figure has a
    caption."""
    total = 0
    for shard in shards:
        rows = count_rows([shard])
        for task in tasks:
            whole, rest = divmod(rows, task.figures)
            total += whole + (rest > 1)
    return total


def rejection(
    figures: list[dict[str, Any]], item: Item, one: Verified, failed: dict[str, str]
) -> dict[str, Any]:
    """One line of rejected/STEM.jsonl: what was said, which checks it failed, and why."""
    return {
        "document": figures[0]["document"],
        "figures": [
            {key: figure[key] for key in ("label", "page", "image_sha256")} for figure in figures
        ],
        "task": item.task.name,
        "task_version": item.task.version,
        "failed": failed,
        "turns": [turn._asdict() for turn in one.talk.turns] if one.talk else None,
        "text": one.text or None,
        "scores": one.scores,
        "key": item.answered.key,
        "round": item.answered.round,
    }
