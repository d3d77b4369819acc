"""Chat about images with one or two models, within limits."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image

from cephalo.cli.errors import CephaloError
from cephalo.inference.images import open_image, shrunk
from cephalo.inference.local import Cephalo, Message, text_message, user_message

MOST_TURNS = 20
MOST_IMAGES = 8  # of a talk
MOST_EDGE = 2048  # pixels; a longer image is scaled down
LONGEST_QUESTION = 8000  # characters
BUSY = "The model is busy with another question; yours waits."


class Turn(NamedTuple):
    """A question, its images as paths, and the answers so far, one per model."""

    question: str
    images: tuple[str, ...]
    answers: tuple[str, ...] = ()


class Talk:
    """Models that answer one question at a time.

    `models` are loaded models by name; `settings` are those of `Cephalo.ask`.
    """

    def __init__(self, models: dict[str, Cephalo], settings: dict[str, Any]) -> None:
        self.models = models
        self.settings = settings
        self.busy = threading.Lock()

    def ask(
        self, question: str, images: Sequence[str], turns: Sequence[Turn]
    ) -> Iterator[tuple[list[Turn], str]]:
        """Yield the turns with the growing answers, and a status line, empty at the end.

        Raises CephaloError if a question or an image is rejected.
        """
        check_question(question, images, turns)
        turn = Turn(question.strip(), tuple(images))
        if not self.busy.acquire(blocking=False):
            yield [*turns, turn], BUSY
            self.busy.acquire()
        try:
            for number, (name, cephalo) in enumerate(self.models.items()):
                history = [message for past in turns for message in messages(past, number)]
                pieces = stream(cephalo, turn, history, self.settings)
                answer = ""
                yield [*turns, turn], f"{name} reads the question."
                for piece in pieces:
                    answer += piece
                    yield [*turns, with_answer(turn, answer)], f"{name} answers."
                turn = with_answer(turn, answer.strip())
            yield [*turns, turn], ""
        finally:
            self.busy.release()


def with_answer(turn: Turn, answer: str) -> Turn:
    """Return `turn` with another answer."""
    return turn._replace(answers=(*turn.answers, answer))


def stream(
    cephalo: Cephalo, turn: Turn, history: list[Message], settings: dict[str, Any]
) -> Iterator[str]:
    """Yield a model's answer, piece by piece. Raises CephaloError for invalid input."""
    pictures = [picture(path) for path in turn.images]
    try:
        yield from cephalo.stream(turn.question, pictures, history, **settings)
    except torch.OutOfMemoryError as error:
        raise CephaloError("the GPU's memory is full; ask with fewer images") from error


def messages(turn: Turn, number: int) -> list[Message]:
    """Return a past turn as messages for a model."""
    asked = user_message(turn.question, [picture(path) for path in turn.images])
    return [asked, text_message("assistant", turn.answers[number])]


def check_question(question: str, images: Sequence[str], turns: Sequence[Turn]) -> None:
    """Raise CephaloError if a question exceeds the limits of a chat or an image is invalid."""
    if not question.strip():
        raise CephaloError("the question is empty; enter one")
    if len(question) > LONGEST_QUESTION:
        raise CephaloError(
            f"the question has {len(question):,} characters; give {LONGEST_QUESTION:,} at most"
        )
    if len(turns) >= MOST_TURNS:
        raise CephaloError(f"the talk has {MOST_TURNS} turns; clear it to continue")
    count = len(images) + sum(len(turn.images) for turn in turns)
    if count > MOST_IMAGES:
        raise CephaloError(f"{count} images; a talk has {MOST_IMAGES} at most, so clear it or ask")
    for path in images:
        picture(path)


def picture(path: str) -> Image.Image:
    """Return an uploaded image, scaled down to `MOST_EDGE`.

    Raises CephaloError if it is not an image or too large, with the file name of the user.
    """
    try:
        with Path(path).open("rb") as file:
            image = open_image(file)
    except CephaloError as error:
        raise CephaloError(f"{Path(path).name}: {error}") from error
    except FileNotFoundError as error:
        raise CephaloError(f"{Path(path).name} is gone after a day; upload it again") from error
    return shrunk(image, MOST_EDGE)
