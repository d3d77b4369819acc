"""Verification by judges: they answer a conversation's questions without seeing its answers, and
then compare both."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from cephalo.dataset_scripts.refinement.forms import Talk
from cephalo.dataset_scripts.refinement.quotation import OPENERS, Source
from cephalo.dataset_scripts.refinement.tasks import load_prompt
from cephalo.inference.questions import NoAnswerError, Picture, Question, Respondent

REQUESTS = 2  # per judge and conversation
MAX_KEPT = 2000  # characters of a judge's answer or reason that are stored

FORM = (
    *("schema", "no_answer", "length", "refusal", "meta_talk", "dangling_reference", "loops"),
    *("markdown", "json_text", "unfinished", "hedges", "boilerplate", "leading", "language"),
)
SAFETY = ("obeys_source", "leaks_prompt", "markup", "unsafe")
FINAL = frozenset([*FORM, *SAFETY, "repeats_source"])
"""Checks that judges cannot overrule. The others question the content, which a judge who sees the
figure can know better: a number may follow from others, or be printed in the image."""

Word = Literal["agrees", "disagrees", "undecided", "unread"]


@dataclass(frozen=True)
class Subject:
    """A conversation to verify: what the paper says about its figures, the images, named if there
    are several, and the checks that it failed with the reasons, which a majority can overrule."""

    talk: Talk
    source: Source
    shown: Sequence[str | Picture]
    doubts: Mapping[str, str]


class Verdict(BaseModel):
    """The form of a judge's reply: whether the answers agree with its own. The reason comes first,
    so that it is generated before the verdict."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})

    reason: str
    verdict: Literal["agrees", "disagrees", "undecided"]
    correctness: int = Field(ge=1, le=5)
    grounding: int = Field(ge=1, le=5)
    clarity: int = Field(ge=1, le=5)


@dataclass(frozen=True)
class Vote:
    """The result of one judge. `answer` is its own answer, given before it saw the conversation's;
    `scores` range from 1 to 5, empty if its reply could not be parsed. `lost` is True if there was
    no reply, so that another run may get one."""

    judge: str
    verdict: Word
    reason: str
    answer: str
    scores: dict[str, int] = field(default_factory=dict)
    lost: bool = False


@dataclass(frozen=True)
class Look:
    """The result of all judges; `overruled` are checks that they overruled."""

    outcome: Word
    votes: tuple[Vote, ...]
    overruled: dict[str, str] = field(default_factory=dict)

    @property
    def lost(self) -> bool:
        """Whether a judge gave no reply."""
        return any(vote.lost for vote in self.votes)

    def reason(self) -> str:
        """Return the reason of the first judge who voted for the outcome, in one line."""
        return next((vote.reason for vote in self.votes if vote.verdict == self.outcome), "")

    def facts(self) -> dict[str, object]:
        """Return the entry in a row's `scores`."""
        votes = [asdict(vote) for vote in self.votes]
        for vote in votes:
            del vote["lost"]
        facts: dict[str, object] = {"outcome": self.outcome, "votes": votes}
        return facts | ({"overruled": self.overruled} if self.overruled else {})


def majority(votes: Sequence[Vote]) -> Word:
    """Return the verdict of more than half of the judges whose replies could be parsed: "undecided"
    without such a majority, "unread" without a parsed reply."""
    counts = Counter[Word](vote.verdict for vote in votes if vote.verdict != "unread")
    if not counts:
        return "unread"
    verdict, count = counts.most_common(1)[0]
    return verdict if 2 * count > counts.total() else "undecided"


class SecondLook:
    """The judges of a run and their prompts."""

    def __init__(
        self, judges: Sequence[Respondent], threshold: int, prompts: Path | None = None
    ) -> None:
        """An agreement with a score below `threshold` counts as a disagreement."""
        self.judges, self.threshold = judges, threshold
        self.answer_prompt = load_prompt("second_answer", prompts)
        self.verdict_prompt = load_prompt("second_verdict", prompts)

    def params(self) -> dict[str, object]:
        """Return what the results depend on."""
        versions = [self.answer_prompt.version, self.verdict_prompt.version]
        names = [judge.model.settings["model"] for judge in self.judges]
        return {
            "judges": names,
            "judge_versions": versions,
            "judge_threshold": self.threshold,
        }

    async def look(self, subject: Subject) -> Look:
        """Verify a conversation with every judge.

        Raises BudgetSpentError and CephaloError as `Respondent.ask` does.
        """
        votes = [await self.vote(judge, subject) for judge in self.judges]
        outcome = majority(votes)
        return Look(outcome, tuple(votes), dict(subject.doubts) if outcome == "agrees" else {})

    async def vote(self, judge: Respondent, subject: Subject) -> Vote:
        """Return the vote of one judge."""
        try:
            return await self.asked(judge, subject)
        except NoAnswerError as error:
            return Vote(judge.model.settings["model"], "unread", str(error), "", lost=True)

    async def asked(self, judge: Respondent, subject: Subject) -> Vote:
        """Ask one judge for its own answer, and then for its verdict. Raises NoAnswerError if a
        reply is missing."""
        name, quotation = judge.model.settings["model"], subject.source.quotation
        question = f"{quotation}\n\n{questions_of(subject.talk)}"
        own = await judge.ask(Question(self.answer_prompt.text, (*subject.shown, question)))
        if own.error:
            return Vote(name, "unread", own.error, "")
        # Without images: what they show is in its own answer.
        text = comparison(subject, own.reply.text)
        judged = await judge.ask(Question(self.verdict_prompt.text, (text,), Verdict))
        kept = own.reply.text[:MAX_KEPT]
        if not isinstance(judged.value, Verdict):
            return Vote(name, "unread", judged.error or "", kept)
        return self.read(name, judged.value, kept)

    def read(self, judge: str, found: Verdict, answer: str) -> Vote:
        """Convert a verdict into a vote."""
        scores = found.model_dump(include={"correctness", "grounding", "clarity"})
        reason = " ".join(found.reason.split())[:MAX_KEPT]
        lowest = min(scores, key=lambda name: scores[name])
        if found.verdict == "agrees" and scores[lowest] < self.threshold:
            reason = f"{lowest} {scores[lowest]}: {reason}"
            return Vote(judge, "disagrees", reason, answer, scores)
        return Vote(judge, found.verdict, reason, answer, scores)


def questions_of(talk: Talk) -> str:
    """Return the questions of a conversation, without its answers."""
    if len(talk.turns) == 1:
        return f"The question: {harmless(talk.turns[0].question)}"
    return "\n".join(
        f"Question {number}: {harmless(turn.question)}" for number, turn in enumerate(talk.turns, 1)
    )


def comparison(subject: Subject, own: str) -> str:
    """Format what a judge compares: the conversation, its own answer, and the checks' doubts."""
    turns = "\n\n".join(
        f"Question: {harmless(turn.question)}\n\nAnswer to be checked: {harmless(turn.answer)}"
        for turn in subject.talk.turns
    )
    text = f"{subject.source.quotation}\n\n{turns}\n\nThe second reader's answer: {harmless(own)}"
    if subject.doubts:
        doubts = (f"- {name}: {harmless(detail)}" for name, detail in subject.doubts.items())
        text += "\n\nDoubts of rules that see the quotations only:\n" + "\n".join(doubts)
    return text


def harmless(text: str) -> str:
    """Remove the beginnings of tags and control tokens from `text`."""
    return OPENERS.sub(" ", text)
