"""Test whether a question can be answered without its image: ask a model without it and compare its
answer with the accepted one. Conversations that need no image do not teach vision."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from cephalo.dataset_scripts.refinement.forms import Talk
from cephalo.dataset_scripts.refinement.second_look import MAX_KEPT, harmless, questions_of
from cephalo.dataset_scripts.refinement.tasks import load_prompt
from cephalo.inference.questions import Question, Respondent

REQUESTS = 2  # for a conversation


class Comparison(BaseModel):
    """The form of the reply that compares two answers. The reason comes first, so that it is
    generated before the verdict."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})

    reason: str
    same: bool


class WithoutImage:
    """A model that is asked without the image, and its prompts."""

    def __init__(self, reader: Respondent, prompts: Path | None = None) -> None:
        """`prompts` is a folder of custom prompts, which override the packaged ones."""
        self.reader = reader
        self.name = reader.model.settings["model"]
        self.answer_prompt = load_prompt("blind_answer", prompts)
        self.verdict_prompt = load_prompt("blind_verdict", prompts)

    def params(self) -> dict[str, object]:
        """Return what the results depend on."""
        versions = [self.answer_prompt.version, self.verdict_prompt.version]
        return {"text_judge": self.name, "text_judge_versions": versions}

    async def finds(self, talk: Talk, title: str) -> str | None:
        """Return why a conversation needs no image, in one line; None if it does, or if a reply
        cannot be parsed.

        The model is given the paper's `title`, and nothing about the figure. Raises NoAnswerError,
        BudgetSpentError and CephaloError as `Respondent.ask` does.
        """
        text = f"The paper: {harmless(title) or 'untitled'}\n\n{questions_of(talk)}"
        own = await self.reader.ask(Question(self.answer_prompt.text, (text,)))
        if own.error:
            return None
        pairs = "\n\n".join(
            f"Question: {harmless(turn.question)}\n\nFirst answer: {harmless(turn.answer)}"
            for turn in talk.turns
        )
        both = f"{pairs}\n\nSecond answer: {harmless(own.reply.text[:MAX_KEPT])}"
        compared = await self.reader.ask(Question(self.verdict_prompt.text, (both,), Comparison))
        if not isinstance(compared.value, Comparison) or not compared.value.same:
            return None
        reason = " ".join(compared.value.reason.split())[:MAX_KEPT]
        return f"{self.name} answered the same without the image: {reason}"
