"""A teacher that is a model: asked, checked, and looked at again by judges."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

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

SHOWN_KEPT = 32  # figures with their crops; the tasks of one figure come after each other
MAX_REASONS, MAX_REASON = 8, 200  # checks, and characters of each, that a teacher is told of


class ModelTeacher:
    """Asks a model, checks what it wrote, and has judges look at it a second time."""

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
        """`without_image` sets aside what needs no image; `text_only` keeps the images from models
        that cannot see; `language` (ISO 639-1) is what answers are wanted in; `prompts` is a folder
        of prompts of one's own, `checks` are checks of one's own."""
        self.teacher, self.tasks, self.second_look = teacher, tuple(tasks), second_look
        self.without_image = without_image
        self.text_only, self.language, self.checks = text_only, language, checks or {}
        self.system = load_prompt("system", prompts)
        self.final = FINAL | self.checks.keys()
        self.name = teacher.model.settings["model"]
        self.shown: OrderedDict[Any, asyncio.Task[list[str | Picture]]] = OrderedDict()

    def params(self) -> dict[str, Any]:
        """All that determines an answer besides the figures and the task."""
        params = self.teacher.model.settings | asdict(self.teacher.sampling)
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
            # In a thread of its own, for the words in a picture take seconds to read.
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
        """What is shown of figures, made in a thread, and once for the tasks of one figure."""
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
        """What the teacher is asked: images, quotations, the kind of figure, the task."""
        told = [source.quotation, kind_line(figures), task.prompt]
        return Question(self.system.text, (*shown, "\n\n".join(filter(None, told))), task.form)

    def verify(self, answer: Answer, task: Task, source: Source) -> list[Verified]:
        """The conversations of an answer with the checks that each failed."""
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
        """Add what judges find of a conversation, unless a check has settled it: they can reject
        it, leave it undecided, or set aside what the checks doubt."""
        if one.talk is None or self.final.intersection(one.failed):
            return
        one.look = await second_look.look(Subject(one.talk, source, shown, one.failed))
        one.scores["second_look"] = one.look.facts()
        if one.look.outcome == "agrees":
            one.failed = {}
        elif one.look.outcome == "disagrees":
            one.failed["second_look"] = one.look.reason()

    async def try_without(self, without: WithoutImage, one: Verified, title: str) -> None:
        """Set aside a conversation that nothing else speaks against and that needs no image."""
        if one.talk is None or one.failed:
            return
        if reason := await without.finds(one.talk, clean(title)[:MAX_TITLE]):
            one.failed["without_image"] = reason


def advice_after(before: Rejection | None) -> str:
    """What a teacher is told of answers of its that were rejected."""
    if not before or not before.failed:
        return ""
    reasons = "\n".join(
        f"- {name.replace('_', ' ')}: {harmless(detail)[:MAX_REASON]}"
        for name, detail in list(before.failed.items())[:MAX_REASONS]
    )
    return (
        f"An answer to this was rejected. Write another one that avoids what was wrong:\n{reasons}"
    )
