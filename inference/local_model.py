"""Query a checkpoint in this process in batches, so that a model can teach the next one."""

# Untyped or partially typed: torch.
# pyright: reportUnknownMemberType=false

import asyncio
import io
from collections.abc import Sequence
from types import TracebackType

import torch

from cephalo.cli.errors import CephaloError
from cephalo.cli.templates import TemplateUnboundedError
from cephalo.inference import local
from cephalo.inference.images import open_image, shrunk
from cephalo.inference.questions import (
    ModelSettings,
    NoAnswerError,
    Picture,
    Question,
    Reply,
    Sampling,
    Usage,
)

Waiting = tuple[Question, Sampling, "asyncio.Future[Reply]"]


class LocalModel:
    """A loaded model. Use it with `async with`; waiting questions are answered as one batch."""

    def __init__(
        self,
        cephalo: local.Cephalo,
        name: str,
        usage: Usage,
        batch_size: int = 8,
        max_image_edge: int = 1024,
    ) -> None:
        self.cephalo, self.usage = cephalo, usage
        self.batch_size, self.max_image_edge = batch_size, max_image_edge
        self.settings: ModelSettings = {"model": name, "max_image_edge": max_image_edge}
        self.waiting: asyncio.Queue[Waiting] = asyncio.Queue()

    async def __aenter__(self) -> "LocalModel":
        self.worker = asyncio.create_task(self.work())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.worker.cancel()
        await asyncio.gather(self.worker, return_exceptions=True)

    async def send(self, question: Question, sampling: Sampling) -> Reply:
        """Return one reply. Raises NoAnswerError for a question that the model cannot process."""
        self.usage.take_request()
        future = asyncio.get_running_loop().create_future()
        self.waiting.put_nowait((question, sampling, future))
        return await future

    async def work(self) -> None:
        """Answer waiting questions, until cancelled."""
        while True:
            batch = [await self.waiting.get()]
            while len(batch) < self.batch_size and not self.waiting.empty():
                batch.append(self.waiting.get_nowait())
            replies: Sequence[Reply | Exception]
            try:
                replies = await asyncio.to_thread(self.answer, batch)
            except torch.OutOfMemoryError:
                error = CephaloError("the GPU's memory is full; lower --batch-size")
                replies = [error] * len(batch)
            except Exception as error:  # otherwise the waiting tasks would never end
                replies = [error] * len(batch)
            for (_, _, future), reply in zip(batch, replies, strict=True):
                if future.cancelled():
                    continue
                if isinstance(reply, Exception):
                    future.set_exception(reply)
                else:
                    future.set_result(reply)

    def answer(self, batch: list[Waiting]) -> Sequence[Reply | NoAnswerError]:
        """Return the replies to a batch; if it fails, question by question."""
        try:
            return self.generate([question for question, _, _ in batch], batch[0][1])
        except TemplateUnboundedError:  # every other question would take as much time
            raise
        except CephaloError as error:
            if len(batch) == 1:
                return [NoAnswerError(str(error))]
        return [reply for one in batch for reply in self.answer([one])]

    def generate(self, questions: list[Question], sampling: Sampling) -> list[Reply]:
        """Return the replies to several questions. Raises CephaloError if one cannot be
        processed."""
        talks = [[self.message(question)] for question in questions]
        torch.manual_seed(sampling.seed)
        answers = self.cephalo.answer_batch(
            talks, max_new_tokens=sampling.max_tokens, temperature=sampling.temperature
        )
        return [
            Reply(
                answer.text,
                "stop" if answer.whole else "length",
                answer.prompt_tokens,
                answer.tokens,
            )
            for answer in answers
        ]

    def message(self, question: Question) -> local.Message:
        """Build one user's turn, since not every family's template has a system turn."""
        content: list[local.Part] = []
        for part in (question.system, *question.parts):
            if isinstance(part, Picture):
                image = shrunk(open_image(io.BytesIO(part.data)), self.max_image_edge)
                content.append({"type": "image", "image": image})
            elif part:
                content.append({"type": "text", "text": part})
        return {"role": "user", "content": content}
