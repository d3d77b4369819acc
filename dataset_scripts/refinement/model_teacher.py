"""A teacher that is a model: asked, checked, and judged by another one where that is wanted."""

import asyncio
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, Field

from cephalo.dataset_scripts.refinement.checks import Context, failed_checks
from cephalo.dataset_scripts.refinement.form import REFUSAL
from cephalo.dataset_scripts.refinement.quotation import OPENERS, Source, source_of
from cephalo.dataset_scripts.refinement.tasks import Task, load_prompt
from cephalo.dataset_scripts.refinement.teachers import Answered, Figures, Verified, measures
from modeling_cephalo.questions import (
    Answer,
    BudgetSpentError,
    NoAnswerError,
    Picture,
    Question,
    Respondent,
)


class Verdict(BaseModel):
    """The form of a judge's answer."""

    reason: str
    score: int = Field(ge=1, le=5)


class ModelTeacher:
    """Asks a model, checks what it wrote, and lets a judge score what passes."""

    def __init__(
        self,
        teacher: Respondent,
        tasks: list[Task],
        judge: Respondent | None = None,
        judge_threshold: int = 3,
        text_only: bool = False,
        language: str = "en",
    ) -> None:
        """`text_only` keeps the images from models that cannot see; `language` (ISO 639-1) is what
        answers are wanted in."""
        self.teacher, self.tasks, self.judge = teacher, tuple(tasks), judge
        self.judge_threshold, self.text_only, self.language = judge_threshold, text_only, language
        self.system, self.judge_prompt = load_prompt("system"), load_prompt("judge")
        self.name = teacher.model.settings["model"]

    def params(self) -> dict[str, Any]:
        """All that determines an answer besides the figures and the task."""
        params = self.teacher.model.settings | asdict(self.teacher.sampling)
        params |= {"system_version": self.system.version, "text_only": self.text_only}
        if self.judge:
            params["judge_model"] = self.judge.model.settings["model"]
            params["judge_version"] = self.judge_prompt.version
            params["judge_threshold"] = self.judge_threshold
        return params

    async def ask(
        self, figures: Figures, task: Task, rejected: dict[str, int], others: Figures
    ) -> Answered:
        """See `Teacher.ask`."""
        source = source_of(figures, others)
        pictures = [Picture(row["image_sha256"], row["image"]["bytes"]) for row in figures]
        if self.text_only:
            pictures = []
        question = Question(
            self.system.text, (*pictures, f"{source.quotation}\n\n{task.prompt}"), task.form
        )
        key = self.teacher.key(question)
        try:
            answer = await self.teacher.ask(question, [rejected[key]] if key in rejected else [])
            # In a thread of its own, for the words in a picture take seconds to read.
            found = await asyncio.to_thread(self.verify, answer, task, source)
            if self.judge:
                for one in found:
                    if not one.failed:
                        await self.judged(one, source, pictures)
        except NoAnswerError as error:
            return Answered(failure=str(error))
        except BudgetSpentError as error:
            return Answered(stopped=str(error))
        return Answered(found, key, answer.round)

    def verify(self, answer: Answer, task: Task, source: Source) -> list[Verified]:
        """The conversations of an answer with the checks that each failed."""
        text = answer.reply.text
        if answer.value is None:
            name = "refusal" if REFUSAL.search(text) and "{" not in text else "schema"
            if answer.reply.finish_reason == "length":
                return [Verified(None, text, {name: "cut at --max-tokens"})]
            return [Verified(None, text, {name: answer.error})]
        context = Context(
            source, task.min_words, f"{self.system.text}\n{task.prompt}", self.language
        )
        return [
            Verified(talk, failed=failed_checks(talk, context), scores=measures(talk, source))
            for talk in answer.value.talks()
        ]

    async def judged(self, one: Verified, source: Source, pictures: list[Picture]) -> None:
        """Add the judge's score, and a failed check where it is below the threshold."""
        example = "\n\n".join(f"Q: {turn.question}\n\nA: {turn.answer}" for turn in one.talk.turns)
        example = OPENERS.sub(" ", example)
        parts = (*pictures, f"{source.quotation}\n\nThe example:\n\n{example}")
        answer = await self.judge.ask(Question(self.judge_prompt.text, parts, Verdict))
        if answer.value is None:
            one.failed["judge"] = f"no score: {answer.error}"
            return
        one.scores["judge"] = answer.value.score
        if answer.value.score < self.judge_threshold:
            reason = " ".join(answer.value.reason.split())[:200]
            one.failed["judge"] = f"score {answer.value.score}: {reason}"
