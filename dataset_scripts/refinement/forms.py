"""The structured forms of a teacher's reply, and the conversations in them.

The docstrings of the forms are part of the JSON schema that the teacher receives: a change of one
is a new version of its tasks.
"""

import hashlib
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from cephalo.dataset_scripts.common.conversations import QUERY


class Turn(NamedTuple):
    """A question and its answer."""

    question: str
    answer: str


class Talk(NamedTuple):
    """A conversation: its turns, and the depth of its question if the task defines depths."""

    turns: tuple[Turn, ...]
    depth: str | None = None


class Form(BaseModel):
    """A form of answer. Strict servers want `additionalProperties: false`; we read past more."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})

    def talks(self) -> list[Talk]:
        """Return the conversations in the reply."""
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


class QuestionAnswers(Form):
    """Several questions, each by itself: the form of `design`, `read` and `unanswerable`."""

    questions: list[QuestionAnswer] = Field(min_length=1, max_length=4)

    def talks(self) -> list[Talk]:
        return [talk for question in self.questions for talk in question.talks()]


class Choice(Form):
    """A question with one right answer among four, which are put in order here: models have
    favourite letters."""

    question: str
    correct: str
    wrong: list[str] = Field(min_length=3, max_length=3)
    why: str

    @field_validator("wrong")
    @classmethod
    def different(cls, wrong: list[str], info: ValidationInfo) -> list[str]:
        """Raise ValueError if two of the four options are equal."""
        options = [option.strip().lower() for option in [*wrong, info.data.get("correct", "")]]
        if len(set(options)) < len(options):
            raise ValueError("two options are the same")
        return wrong

    def talks(self) -> list[Talk]:
        options = sorted([self.correct, *self.wrong], key=text_sha256)
        # Sorting alone would make the letter depend on the option's text.
        first = int(text_sha256(self.question), 16) % len(options)
        lettered = dict(zip("ABCD", options[first:] + options[:first], strict=True))
        listed = "\n".join(f"{letter}) {option}" for letter, option in lettered.items())
        right = next(letter for letter, option in lettered.items() if option == self.correct)
        answer = f"{right}) {self.correct}\n\n{self.why}"
        return [Talk((Turn(f"{self.question}\n{listed}", answer),))]


class Choices(Form):
    """`choice`: multiple choice."""

    questions: list[Choice] = Field(min_length=1, max_length=4)

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
    "design": QuestionAnswers,
    "compare": QuestionAnswer,
    "talk": Dialogue,
    "choice": Choices,
    "unanswerable": QuestionAnswers,
    "read": QuestionAnswers,
}


def text_sha256(text: str) -> str:
    """Return the SHA-256 of a text as hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
