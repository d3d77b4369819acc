"""What a teacher is asked for: a prompt in `prompts/NAME.md` and the form of the answer.

A prompt's front matter holds its version, which every row names, the fewest words of an answer,
and how many figures of one paper are shown together where it is more than one.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.conversations import QUERY

PROMPTS = Path(__file__).with_name("prompts")


class Turn(NamedTuple):
    """A question and its answer."""

    question: str
    answer: str


class Talk(NamedTuple):
    """One conversation: its turns, and how deep it asks, where the task tells depths apart."""

    turns: tuple[Turn, ...]
    depth: str | None = None


class Form(BaseModel):
    """A form of answer. Strict servers want `additionalProperties: false`; we read past more."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})

    def talks(self) -> list[Talk]:
        """The conversations that the answer holds."""
        raise NotImplementedError


class Description(Form):
    """`describe`: the query of the original Cephalo datasets, answered."""

    description: str

    def talks(self) -> list[Talk]:
        return [Talk((Turn(QUERY, self.description),))]


class Explanation(Form):
    """`explain`: the steps of reasoning are part of the answer that is trained on."""

    question: str
    reasoning: list[str] = Field(min_length=1, max_length=8)
    answer: str

    def talks(self) -> list[Talk]:
        answer = "\n\n".join([*self.reasoning, self.answer])
        return [Talk((Turn(self.question, answer),))]


class QuestionAnswer(Form):
    """A question and its answer; by itself the form of `compare`."""

    question: str
    answer: str

    def talks(self) -> list[Talk]:
        return [Talk((Turn(self.question, self.answer),))]


class DeepQuestion(QuestionAnswer):
    """One of `questions`."""

    depth: Literal["observe", "understand", "infer"]


class Questions(Form):
    """`questions`: several, at several depths."""

    questions: list[DeepQuestion] = Field(min_length=1, max_length=8)

    def talks(self) -> list[Talk]:
        return [Talk((Turn(one.question, one.answer),), one.depth) for one in self.questions]


class Design(Form):
    """`design`: questions about a material to be made."""

    questions: list[QuestionAnswer] = Field(min_length=1, max_length=4)

    def talks(self) -> list[Talk]:
        return [talk for question in self.questions for talk in question.talks()]


class Dialogue(Form):
    """`talk`: several turns, each building on the ones before."""

    turns: list[QuestionAnswer] = Field(min_length=2, max_length=8)

    def talks(self) -> list[Talk]:
        return [Talk(tuple(Turn(turn.question, turn.answer) for turn in self.turns))]


FORMS: dict[str, type[Form]] = {
    "describe": Description,
    "explain": Explanation,
    "questions": Questions,
    "design": Design,
    "compare": QuestionAnswer,
    "talk": Dialogue,
}


@dataclass(frozen=True)
class Task:
    """What is asked about each figure, or about groups of up to `figures` of one paper."""

    name: str
    version: str
    min_words: int
    figures: int
    prompt: str
    form: type[Form] | None  # None where no model is asked


class Prompt(NamedTuple):
    """The text of a prompt and its version."""

    text: str
    version: str


def load_prompt(name: str) -> Prompt:
    """A prompt that is no task: "system" or "judge"."""
    facts, text = read_prompt(name)
    return Prompt(text, facts["version"])


def load_task(name: str) -> Task:
    """The task of a name in FORMS."""
    facts, text = read_prompt(name)
    return Task(
        name=name,
        version=facts["version"],
        min_words=facts["min_words"],
        figures=facts.get("figures", 1),
        prompt=text,
        form=FORMS[name],
    )


def read_prompt(name: str) -> tuple[dict[str, Any], str]:
    """The front matter and the text of a file in PROMPTS."""
    _, matter, text = (PROMPTS / f"{name}.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(matter), text.strip()


def parse_tasks(text: str) -> list[Task]:
    """The tasks named in a comma separated list, in the order of FORMS. Raises CephaloError."""
    names = {name.strip() for name in text.split(",") if name.strip()}
    if not names or names - FORMS.keys():
        raise CephaloError(f"--tasks {text!r}: choose from {', '.join(FORMS)}")
    return [load_task(name) for name in FORMS if name in names]


def groups(figures: list[dict[str, Any]], size: int) -> list[list[dict[str, Any]]]:
    """What a task is asked about: each figure, or runs of 2 to `size` figures of one paper."""
    if size == 1:
        return [[figure] for figure in figures]
    runs = (figures[start : start + size] for start in range(0, len(figures), size))
    return [run for run in runs if len(run) > 1]
