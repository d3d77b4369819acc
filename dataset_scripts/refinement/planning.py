"""Plan the questions about the figures of a shard, in the order of asking."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from cephalo.cli.rows import Row
from cephalo.cli.where import Where
from cephalo.dataset_scripts.common.chosen import count_taken
from cephalo.dataset_scripts.common.shards import count_rows
from cephalo.dataset_scripts.refinement.relations import related_groups
from cephalo.dataset_scripts.refinement.showing import NEEDS
from cephalo.dataset_scripts.refinement.tasks import Task
from cephalo.dataset_scripts.refinement.teachers import Answered

SAID_OF_FIGURE = ("caption", "panels", "mentions")  # columns about a figure, without the image


@dataclass
class Item:
    """A question.

    `places` are the row numbers of its `figures`, which are released once it is answered. `others`
    describe the other figures of the document.
    """

    task: Task
    places: list[int]
    figures: list[Row] | None
    answered: Answered | None = None
    others: list[Row] = field(default_factory=list)

    @property
    def answer(self) -> Answered:
        """The answer to a question that was asked, or that the run skipped when it stopped."""
        assert self.answered is not None
        return self.answered


def plan(figures: list[Row], tasks: Iterable[Task]) -> list[Item]:
    """Return the questions about the figures of a shard, those about one figure together. Related
    figures of a document are compared."""
    items = []
    numbered = enumerate(figures)
    for _, document in groupby(numbered, key=lambda one: one[1]["document_sha256"]):
        rows = list(document)
        said = {place: {part: row.get(part) for part in SAID_OF_FIGURE} for place, row in rows}

        def others(places: list[int], said: dict[int, Row] = said) -> list[Row]:
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
    """Return an upper bound of the number of questions that `plan` creates for shards of one
    document each."""
    return sum(count_by_task(shards, tasks))


def count_by_task(
    shards: list[Path], tasks: Iterable[Task], where: Where | None = None
) -> list[int]:
    """Return that bound for each task, counting only figures for which `where` holds."""
    rows = [count_taken([shard], where)[0] if where else count_rows([shard]) for shard in shards]
    return [sum(rows) if task.figures == 1 else sum(one // 2 for one in rows) for task in tasks]
