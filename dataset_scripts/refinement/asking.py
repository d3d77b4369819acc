"""What a refinement asks, and of whom: the settings of a run, its models, and the run itself."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.refinement.report import Spending
from cephalo.dataset_scripts.refinement.run import Outcome, Run, count_items
from cephalo.dataset_scripts.refinement.tasks import parse_tasks
from cephalo.dataset_scripts.refinement.teachers import CaptionTeacher

VERSION = "2"  # of the checks and of the rows; with another, all documents are verified again


@dataclass(frozen=True)
class Asking:
    """The options of `cephalo refine` that the asking depends on; keys are not among them."""

    teacher: str
    base_url: str | None
    model: str | None
    tasks: str
    temperature: float
    max_tokens: int
    seed: int
    max_image_edge: int
    text_only: bool
    batch_size: int
    max_concurrency: int
    max_retries: int
    timeout: float
    max_requests: int | None
    max_total_tokens: int | None
    price_in: float
    price_out: float
    judge_model: str | None
    judge_base_url: str | None
    judge_threshold: int
    retry_rejected: bool
    language: str


@dataclass(frozen=True)
class Keys:
    """Keys of the endpoints, which no file gets to see."""

    api: str | None
    judge: str | None


@dataclass
class Asked:
    """What a run did, and whom it asked."""

    teacher: Any
    outcome: Outcome
    spending: Spending


def refine_shards(
    shards: list[Path], out: Path, asking: Asking, keys: Keys, replies: Path
) -> Asked:
    """Refine shards of figures into OUT/conversations and OUT/rejected; `replies` is the file that
    keeps every answer.

    Raises CephaloError where a model cannot be asked at all.
    """
    spending = Spending(asking.price_in, asking.price_out)
    models: list[Any] = []
    teacher: Any = CaptionTeacher()
    if asking.teacher != "caption":
        teacher = make_teacher(asking, keys, models, spending, replies)
    run = refine_all(teacher, models, shards, out, asking, spending)
    return Asked(teacher, asyncio.run(run), spending)


def make_teacher(
    asking: Asking, keys: Keys, models: list[Any], spending: Spending, replies: Path
) -> Any:
    """A teacher that asks models, which are added to `models` with the judge's if there is one."""
    # Imports torch, which takes seconds.
    from cephalo.dataset_scripts.refinement.model_teacher import ModelTeacher
    from modeling_cephalo.endpoint import Limits
    from modeling_cephalo.questions import ReplyCache, Respondent, Sampling, Usage

    limits = Limits(
        asking.max_concurrency, asking.max_retries, asking.timeout, asking.max_image_edge
    )
    wanted = parse_tasks(asking.tasks)
    usage = spending.usage = Usage(asking.max_requests, asking.max_total_tokens)
    spending.cache = ReplyCache(replies)
    if asking.teacher == "endpoint":
        models.append(connect(asking.base_url, asking.model, keys.api, usage, limits))
    else:
        models.append(load(asking.teacher, usage, asking.batch_size, asking.max_image_edge))
    if asking.judge_model:
        # The teacher's key goes to the teacher's server only.
        own = asking.judge_base_url
        url, key = (own, keys.judge) if own else (asking.base_url, keys.api)
        models.append(connect(url, asking.judge_model, key, usage, limits))
    # A judge is to say the same each time.
    asked, *judge = [
        Respondent(
            one,
            Sampling(warmth, asking.max_tokens, asking.seed),
            spending.cache,
            usage,
            asking.max_retries,
        )
        for one, warmth in zip(models, (asking.temperature, 0.0), strict=False)
    ]
    return ModelTeacher(
        asked, wanted, *judge or [None], asking.judge_threshold, asking.text_only, asking.language
    )


def connect(url: str | None, name: str | None, key: str | None, usage: Any, limits: Any) -> Any:
    """An endpoint. Raises CephaloError where its name or key is missing."""
    from modeling_cephalo.endpoint import Endpoint

    if not name:
        raise CephaloError("no --model; give the name that the endpoint has for the teacher")
    if not key and not url:
        raise CephaloError("OpenAI wants a key; set OPENAI_API_KEY, or give another --base-url")
    return Endpoint(url, name, key or "-", usage, limits)


def load(name: str, usage: Any, batch_size: int, max_image_edge: int) -> Any:
    """A model in this process. Raises CephaloError where it cannot be loaded."""
    from modeling_cephalo.local_model import LocalModel

    return LocalModel(loaded(name), name, usage, batch_size, max_image_edge)


@cache
def loaded(name: str) -> Any:
    """A model and its processor, loaded once a process."""
    from modeling_cephalo import inference

    return inference.load(name)


async def refine_all(
    teacher: Any,
    models: list[Any],
    shards: list[Path],
    out: Path,
    asking: Asking,
    spending: Spending,
) -> Outcome:
    """Refine all shards, with progress. `models` are opened for the time of it."""
    from tqdm import tqdm

    settings = {
        "version": VERSION,
        "teacher": teacher.name,
        "params": teacher.params(),
        "language": asking.language,
        "tasks": {task.name: task.version for task in teacher.tasks},
    }
    async with AsyncExitStack() as stack:
        for model in models:
            await stack.enter_async_context(model)
        total = count_items(shards, teacher.tasks)
        bar = stack.enter_context(tqdm(total=total, unit=" questions", disable=None))

        def advance(items: int) -> None:
            bar.set_postfix_str(spending.line(bar.n / total if total else 1.0), refresh=False)
            bar.update(items)

        run = Run(teacher, out, settings, asking.max_concurrency, asking.retry_rejected, advance)
        return await run.refine(shards)
