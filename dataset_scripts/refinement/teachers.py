"""Teachers, which write the conversations, and the one without a model: the caption."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Protocol

from rapidfuzz import fuzz

from cephalo.cli.rows import Row
from cephalo.dataset_scripts.common.conversations import QUERY
from cephalo.dataset_scripts.refinement.checks import Check, Context, failed_checks, outsized
from cephalo.dataset_scripts.refinement.forms import Talk, Turn
from cephalo.dataset_scripts.refinement.own_checks import run_checks
from cephalo.dataset_scripts.refinement.quotation import Source, source_of
from cephalo.dataset_scripts.refinement.reasoning import account
from cephalo.dataset_scripts.refinement.second_look import Look
from cephalo.dataset_scripts.refinement.tasks import Task
from cephalo.dataset_scripts.refinement.words import content, folded

Figures = list[Row]


@dataclass
class Verified:
    """A conversation, or the text of a reply without one, and the checks that it failed.

    `look` is the judges' result, None if none were asked.
    """

    talk: Talk | None
    text: str = ""
    failed: dict[str, str] = field(default_factory=dict)
    scores: dict[str, object] = field(default_factory=dict)
    look: Look | None = None

    @property
    def undecided(self) -> bool:
        """Whether judges could not decide and no check failed."""
        return not self.failed and self.look is not None and self.look.outcome == "undecided"


@dataclass
class Rejection:
    """Answers to a question that were rejected: the round of the last one, and the failed checks
    with their details."""

    round: int
    failed: dict[str, str] = field(default_factory=dict)


Rejections = dict[str, Rejection]


@dataclass
class Answered:
    """The outcome of one question.

    `key` and `round` identify the reply in the cache. `failure` is the reason for a missing reply,
    `stopped` the reason for ending the run.
    """

    found: list[Verified] = field(default_factory=list)
    key: str | None = None
    round: int = 0
    failure: str | None = None
    stopped: str | None = None

    @property
    def whole(self) -> bool:
        """Whether the next run can skip this question."""
        lost = any(one.look and one.look.lost for one in self.found)
        return not (self.stopped or self.failure or lost)

    def params(self) -> dict[str, object]:
        """Return the fields that this question adds to a row's `teacher_params`."""
        return {} if self.key is None else {"round": self.round}


class Teacher(Protocol):
    """The interface of teachers."""

    name: str
    tasks: tuple[Task, ...]

    def params(self) -> dict[str, object]:
        """Return everything besides figures and tasks that determines the answers."""
        ...

    async def ask(
        self, figures: Figures, task: Task, rejected: Rejections, others: Figures
    ) -> Answered:
        """Return the verified conversations of one question about FIGURES rows of one document.

        `rejected` maps keys of questions to rejected answers; `others` describes the other figures
        of the document. Raises CephaloError if no further question can succeed.
        """
        ...


# A caption is the source itself, in the words, the length and the language of its authors.
NOT_OF_CAPTIONS = ("repeats_source", "unfinished", "boilerplate", "hedges", "language")


class CaptionTeacher:
    """Answers with the author's caption, without a model or the network."""

    name = "caption"
    tasks = (Task("caption", "1", min_words=3, figures=1, prompt="", form=None),)

    def __init__(self, checks: Mapping[str, Check] | None = None) -> None:
        """`checks` are custom checks."""
        self.checks = checks or {}

    def params(self) -> dict[str, object]:
        """Return nothing: the figure alone determines the answer."""
        return {}

    async def ask(
        self, figures: Figures, task: Task, rejected: Rejections, others: Figures
    ) -> Answered:
        """Return the caption as the answer to the query of the original datasets."""
        talk = Talk((Turn(QUERY, figures[0]["caption"]),))
        source = source_of(figures)
        context = Context(source, task.min_words, prompt="")
        return Answered([checked(talk, context, self.checks, skip=NOT_OF_CAPTIONS)])


def checked(
    talk: Talk, context: Context, own: Mapping[str, Check], skip: Iterable[str] = ()
) -> Verified:
    """Run the checks, including custom ones (`own`), on a conversation, and compute its scores."""
    failed = failed_checks(talk, context, skip)
    if outsized(talk):
        return Verified(talk, failed=failed)
    failed |= run_checks(own, talk, context)
    return Verified(talk, failed=failed, scores=measures(talk, context.source))


def measures(talk: Talk, source: Source) -> dict[str, object]:
    """Return the `scores` of a row.

    Returns:
        `words` of the answers; `shared_words`, the share (0 to 1) of their content words in the
        source; `likeness` (0 to 1) to the most similar passage; `quantities`, the support of each
        quantity that the source does not state literally; `depth` if the task has one.
    """
    answers = " ".join(turn.answer for turn in talk.turns)
    said, text = content(answers), folded(answers)
    likeness = max((fuzz.ratio(text, folded(passage)) for passage in source.passages), default=0)
    scores: dict[str, object] = {
        "words": len(answers.split()),
        "shared_words": round(len(said & content(source.text)) / max(len(said), 1), 3),
        "likeness": round(likeness / 100, 3),
    }
    supports = account(talk.turns, source).supports
    told = [asdict(support) for support in supports if support.says_more]
    return (
        scores
        | ({"quantities": told} if told else {})
        | ({"depth": talk.depth} if talk.depth else {})
    )
