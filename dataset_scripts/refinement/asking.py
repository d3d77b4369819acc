"""Set up and run a refinement: build the teacher and the judges from the settings, and open
them."""

import asyncio
import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from cephalo.cli.errors import CephaloError
from cephalo.cli.logs import no_bars
from cephalo.dataset_scripts.common.decisions import take_decisions
from cephalo.dataset_scripts.refinement.checks import Check
from cephalo.dataset_scripts.refinement.estimate import estimate
from cephalo.dataset_scripts.refinement.memory import keep_small
from cephalo.dataset_scripts.refinement.model_teacher import ModelTeacher
from cephalo.dataset_scripts.refinement.options import Asking, Keys
from cephalo.dataset_scripts.refinement.own_checks import checks_digest, load_checks
from cephalo.dataset_scripts.refinement.planning import count_items
from cephalo.dataset_scripts.refinement.report import Spending
from cephalo.dataset_scripts.refinement.run import Outcome, Run
from cephalo.dataset_scripts.refinement.second_look import SecondLook
from cephalo.dataset_scripts.refinement.teachers import CaptionTeacher, Teacher
from cephalo.dataset_scripts.refinement.without_image import WithoutImage
from cephalo.inference.endpoint import Endpoint, Limits
from cephalo.inference.questions import ReplyCache, Respondent, Sampling, Usage

if TYPE_CHECKING:
    from cephalo.inference.local import Cephalo
    from cephalo.inference.local_model import LocalModel

logger = logging.getLogger(__name__)

Opened: TypeAlias = "Endpoint | LocalModel"
"""A model that stays open during a run."""

VERSION = "2"  # of the checks and of the rows; another version verifies all documents again
JUDGE_TEMPERATURE = 0.0  # judges should give the same verdict each time
INTERRUPTED = "Ctrl-C"
LINE_EVERY = 100  # questions, if no terminal can show a bar
JUDGE_RETRIES = 1  # after a malformed reply; greedy decoding hardly changes the next one


@dataclass
class Asked:
    """The outcome of a run, its teacher and its usage."""

    teacher: Teacher
    outcome: Outcome
    spending: Spending


def refine_shards(
    shards: list[Path], out: Path, asking: Asking, keys: Keys, replies: Path
) -> Asked:
    """Refine shards of figures into OUT/conversations and OUT/rejected.

    Args:
        shards: Parquet files of figures.
        out: Output folder.
        asking: The settings.
        keys: Keys of the endpoints.
        replies: SQLite file that caches every reply.

    Raises:
        CephaloError: If a model cannot be used at all.
    """
    keep_small()
    spending = Spending(asking.price_in, asking.price_out)
    models: list[Opened] = []
    checks = load_checks(asking.checks)
    teacher: Teacher = CaptionTeacher(checks)
    if asking.teacher != "caption":
        teacher = make_teacher(asking, keys, models, spending, replies, checks)
    run = make_run(teacher, out, asking)
    try:
        asyncio.run(refine_all(run, models, shards, asking, spending))
    except KeyboardInterrupt:
        run.stop(INTERRUPTED)
    return Asked(teacher, run.outcome, spending)


def make_teacher(
    asking: Asking,
    keys: Keys,
    models: list[Opened],
    spending: Spending,
    replies: Path,
    checks: dict[str, Check],
) -> ModelTeacher:
    """Build a teacher that queries models, and append the models to `models`, those of judges
    last."""
    limits = Limits(
        asking.max_concurrency, asking.max_retries, asking.timeout, asking.max_image_edge
    )
    wanted, folder = asking.wanted(), asking.prompts
    usage = spending.usage = Usage(asking.max_requests, asking.max_total_tokens)
    cache = spending.cache = ReplyCache(replies)

    def respondent(model: Opened, temperature: float, retries: int) -> Respondent:
        sampling = Sampling(temperature, asking.max_tokens, asking.seed)
        return Respondent(model, sampling, cache, usage, retries)

    if asking.teacher == "endpoint":
        models.append(connect(asking.base_url, asking.model, keys.api, usage, limits))
    else:
        models.append(load(asking.teacher, usage, asking.batch_size, asking.max_image_edge))
    # The teacher's key is sent to the teacher's server only.
    own = asking.judge_base_url
    url, key = (own, keys.judge) if own else (asking.base_url, keys.api)

    def judging(name: str) -> Respondent:
        if name == asking.model and not own and asking.teacher == "endpoint":
            judge = models[0]
        else:
            judge = connect(url, name, key, usage, limits)
            models.append(judge)
        return respondent(judge, JUDGE_TEMPERATURE, min(asking.max_retries, JUDGE_RETRIES))

    judges = [judging(name) for name in asking.asked_again]
    return ModelTeacher(
        respondent(models[0], asking.temperature, asking.max_retries),
        wanted,
        SecondLook(judges, asking.judge_threshold, folder) if judges else None,
        without_image=WithoutImage(judging(asking.text_judge), folder)
        if asking.text_judge
        else None,
        text_only=asking.text_only,
        language=asking.language,
        prompts=folder,
        checks=checks,
    )


def connect(
    url: str | None, name: str | None, key: str | None, usage: Usage, limits: Limits
) -> Endpoint:
    """Connect to an endpoint. Raises CephaloError if its model name or key is missing."""
    if not name:
        raise CephaloError("no --model; give the model name to request from the endpoint")
    if not key and not url:
        raise CephaloError("OpenAI requires a key; set OPENAI_API_KEY, or give another --base-url")
    return Endpoint(url, name, key or "-", usage, limits)


def load(name: str, usage: Usage, batch_size: int, max_image_edge: int) -> "LocalModel":
    """Load a model into this process. Raises CephaloError if that fails."""
    from cephalo.inference.local_model import LocalModel

    return LocalModel(loaded(name), name, usage, batch_size, max_image_edge)


@cache
def loaded(name: str) -> "Cephalo":
    """Return a model and its processor, loaded once per process."""
    from cephalo.inference import local

    return local.load(name)


def make_run(teacher: Teacher, out: Path, asking: Asking) -> Run:
    """Build the run of a teacher that writes to a folder."""
    settings = {
        "version": VERSION,
        "teacher": teacher.name,
        "params": teacher.params(),
        "language": asking.language,
        "tasks": {task.name: task.version for task in teacher.tasks},
        "checks": checks_digest(asking.checks),
    }
    if asking.where is not None:
        settings["where"] = asking.where
    return Run(
        teacher,
        out,
        settings,
        asking.max_concurrency,
        asking.retry_rejected,
        take_decisions(out),
        asking.condition(),
    )


async def refine_all(
    run: Run, models: list[Opened], shards: list[Path], asking: Asking, spending: Spending
) -> None:
    """Refine all shards while `models` are open. Progress is a bar on a terminal, otherwise lines
    of the log."""
    from tqdm import tqdm

    teacher, done = run.teacher, 0
    async with AsyncExitStack() as stack:
        for model in models:
            await stack.enter_async_context(model)
        if isinstance(teacher, ModelTeacher):
            left = run.unfinished(shards)
            told = estimate(teacher, left, asking.max_tokens, spending, run.where)
            logger.info(told)
        total = count_items(shards, teacher.tasks)
        bar = stack.enter_context(tqdm(total=total, unit=" questions", disable=no_bars()))

        def advance(items: int) -> None:
            nonlocal done
            done += items
            used = spending.line(done / total if total else 1.0)
            bar.set_postfix_str(used, refresh=False)
            bar.update(items)
            if bar.disable and items and (done % LINE_EVERY < items or done == total):
                told = f"{done} of {total} questions" + (f", {used}" if used else "")
                logger.info(told)

        run.on_item = advance
        await run.refine(shards)
