"""The questions about the figures of a shard, in the order in which they are asked."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from cephalo.cli.where import Where
from cephalo.dataset_scripts.common.chosen import count_taken
from cephalo.dataset_scripts.common.shards import count_rows
from cephalo.dataset_scripts.refinement.relations import related_groups
from cephalo.dataset_scripts.refinement.showing import NEEDS
from cephalo.dataset_scripts.refinement.tasks import Task
from cephalo.dataset_scripts.refinement.teachers import Answered

SAID_OF_FIGURE = ("caption", "panels", "mentions")  # columns; the image is not among them


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

    @property
    def answer(self) -> Answered:
        """The answer, of a question that was asked or that the run was stopped before."""
        assert self.answered is not None
        return self.answered


def plan(figures: list[dict[str, Any]], tasks: Iterable[Task]) -> list[Item]:
    """The questions about the figures of a shard, those about one figure together; figures of one
    document that belong together are compared."""
    items = []
    numbered = enumerate(figures)
    for _, document in groupby(numbered, key=lambda one: one[1]["document_sha256"]):
        rows = list(document)
        said = {place: {part: row.get(part) for part in SAID_OF_FIGURE} for place, row in rows}

        def others(places: list[int], said: dict[int, Any] = said) -> list[dict[str, Any]]:
            return [one for place, one in said.items() if place not in places]

        for place, figure in rows:
            for task in tasks:
                if task.figures == 1 and (not task.needs or NEEDS[task.needs](figure)):
                    items.append(Item(task, [place], [figure], others=others([place])))
        for task in tasks:
            if task.figures > 1:
                for places in related_groups(rows, task.figures):
                    shown = [figures[place] for place in places]
                    items.append(Item(task, places, shown, others=others(places)))
    return items


def count_items(shards: list[Path], tasks: Iterable[Task]) -> int:
    """The most questions that `plan` makes of shards of one document each."""
    return sum(count_by_task(shards, tasks))


def count_by_task(
    shards: list[Path], tasks: Iterable[Task], where: Where | None = None
) -> list[int]:
    """The most questions of each task that `plan` makes of shards of one document each, about the
    figures for which a condition holds."""
    rows = [count_taken([shard], where)[0] if where else count_rows([shard]) for shard in shards]
    return [sum(rows) if task.figures == 1 else sum(one // 2 for one in rows) for task in tasks]
