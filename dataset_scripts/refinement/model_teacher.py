"""A teacher that queries a model, runs the checks, and has judges verify the answers."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from cephalo.dataset_scripts.refinement.checks import Check, Context
from cephalo.dataset_scripts.refinement.form import REFUSAL
from cephalo.dataset_scripts.refinement.forms import Form
from cephalo.dataset_scripts.refinement.quotation import MAX_TITLE, Source, clean, source_of
from cephalo.dataset_scripts.refinement.second_look import (
    FINAL,
    SecondLook,
    Subject,
    harmless,
)
from cephalo.dataset_scripts.refinement.showing import kind_line, pictures_of
from cephalo.dataset_scripts.refinement.tasks import Task, load_prompt
from cephalo.dataset_scripts.refinement.teachers import (
    Answered,
    Figures,
    Rejection,
    Rejections,
    Verified,
    checked,
)
from cephalo.dataset_scripts.refinement.without_image import WithoutImage
from cephalo.inference.data_urls import with_pixels
from cephalo.inference.questions import (
    Answer,
    BudgetSpentError,
    NoAnswerError,
    Picture,
    Question,
    Respondent,
)

SHOWN_KEPT = 32  # figures with their crops; the tasks of one figure are consecutive
MAX_REASONS, MAX_REASON = 8, 200  # checks, and characters of each, in the advice to a teacher


class ModelTeacher:
    """Queries a model, checks its answers, and has judges verify them."""

    def __init__(
        self,
        teacher: Respondent,
        tasks: list[Task],
        second_look: SecondLook | None = None,
        *,
        without_image: WithoutImage | None = None,
        text_only: bool = False,
        language: str = "en",
        prompts: Path | None = None,
        checks: Mapping[str, Check] | None = None,
    ) -> None:
        """Create a teacher.

        Args:
            teacher: The model that writes.
            tasks: What to ask.
            second_look: The judges.
            without_image: Model that answers without the image, to reject conversations that do not
                need it.
            text_only: Whether to send no images, for models without vision.
            language: ISO 639-1 code of the required language.
            prompts: Folder of custom prompts.
            checks: Custom checks.
        """
        self.teacher, self.tasks, self.second_look = teacher, tuple(tasks), second_look
        self.without_image = without_image
        self.text_only, self.language, self.checks = text_only, language, checks or {}
        self.system = load_prompt("system", prompts)
        self.final = FINAL | self.checks.keys()
        self.name = teacher.model.settings["model"]
        self.shown: OrderedDict[object, asyncio.Task[list[str | Picture]]] = OrderedDict()

    def params(self) -> dict[str, object]:
        """Return everything besides figures and tasks that determines the answers."""
        params = {**self.teacher.model.settings, **asdict(self.teacher.sampling)}
        params |= {"system_version": self.system.version, "text_only": self.text_only}
        for looks in filter(None, (self.second_look, self.without_image)):
            params |= looks.params()
        return params

    async def ask(
        self, figures: Figures, task: Task, rejected: Rejections, others: Figures
    ) -> Answered:
        """See `Teacher.ask`."""
        source = source_of(figures, others)
        shown = [] if self.text_only else await self.pictures(figures)
        question = self.question(figures, task, source, shown)
        key = self.teacher.key(question)
        before = rejected.get(key)
        try:
            answer = await self.teacher.ask(
                question, [before.round] if before else [], advice_after(before)
            )
            # In a separate thread, because OCR takes seconds.
            found = await asyncio.to_thread(self.verify, answer, task, source)
            if self.second_look:
                for one in found:
                    await self.look_again(self.second_look, one, source, shown)
            if self.without_image:
                for one in found:
                    await self.try_without(self.without_image, one, figures[0]["title"] or "")
        except NoAnswerError as error:
            return Answered(failure=str(error))
        except BudgetSpentError as error:
            return Answered(stopped=str(error))
        return Answered(found, key, answer.round)

    async def pictures(self, figures: Figures) -> list[str | Picture]:
        """Return the images of figures. They are prepared in a thread, and once for all tasks of a
        figure."""
        key = tuple((one["document_sha256"], one["page"], one["image_sha256"]) for one in figures)
        task = self.shown.get(key)
        if task is None:
            work = with_pixels(pictures_of, figures)
            task = self.shown[key] = asyncio.create_task(work)
            while len(self.shown) > SHOWN_KEPT:
                self.shown.popitem(last=False)
        return await task

    def question(
        self, figures: Figures, task: Task, source: Source, shown: list[str | Picture]
    ) -> Question:
        """Build the question: images, quotations, kind of figure, task."""
        told = [source.quotation, kind_line(figures), task.prompt]
        return Question(self.system.text, (*shown, "\n\n".join(filter(None, told))), task.form)

    def verify(self, answer: Answer, task: Task, source: Source) -> list[Verified]:
        """Return the conversations in an answer, each with the checks that it failed."""
        text = answer.reply.text
        if not isinstance(answer.value, Form):
            name = "refusal" if REFUSAL.search(text) and "{" not in text else "schema"
            if answer.reply.finish_reason == "length":
                return [Verified(None, text, {name: "cut at --max-tokens"})]
            return [Verified(None, text, {name: answer.error or ""})]
        context = Context(
            source, task.min_words, f"{self.system.text}\n{task.prompt}", self.language
        )
        return [checked(talk, context, self.checks) for talk in task.talks(answer.value)]

    async def look_again(
        self, second_look: SecondLook, one: Verified, source: Source, shown: list[str | Picture]
    ) -> None:
        """Add the judges' result to a conversation, unless it failed a final check. Judges can
        reject it, leave it undecided, or overrule the other checks."""
        if one.talk is None or self.final.intersection(one.failed):
            return
        one.look = await second_look.look(Subject(one.talk, source, shown, one.failed))
        one.scores["second_look"] = one.look.facts()
        if one.look.outcome == "agrees":
            one.failed = {}
        elif one.look.outcome == "disagrees":
            one.failed["second_look"] = one.look.reason()

    async def try_without(self, without: WithoutImage, one: Verified, title: str) -> None:
        """Reject a conversation that passed everything else but needs no image."""
        if one.talk is None or one.failed:
            return
        if reason := await without.finds(one.talk, clean(title)[:MAX_TITLE]):
            one.failed["without_image"] = reason


def advice_after(before: Rejection | None) -> str:
    """Return advice for the teacher about its rejected answer, empty if there is none."""
    if not before or not before.failed:
        return ""
    reasons = "\n".join(
        f"- {name.replace('_', ' ')}: {harmless(detail)[:MAX_REASON]}"
        for name, detail in list(before.failed.items())[:MAX_REASONS]
    )
    return (
        f"An answer to this was rejected. Write another one that avoids what was wrong:\n{reasons}"
    )
