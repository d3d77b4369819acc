"""`cephalo refine`: figures become conversations that a teacher wrote and checks let through."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import locked

app = typer.Typer(rich_markup_mode=None, add_completion=False)

VERSION = "1"  # of the checks and of the rows; with another, all documents are verified again
TASKS = "describe,explain,questions,design,compare,talk"


@app.command()
def refine(
    figures: Annotated[
        Path, typer.Argument(metavar="FIGURES", help="The folder that `cephalo extract` wrote.")
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for conversations, answers and report; may be FIGURES.")
    ],
    teacher: Annotated[
        str,
        typer.Option(help="caption (no model), endpoint, or a model of the Hub or a folder."),
    ] = "endpoint",
    base_url: Annotated[
        str | None,
        typer.Option(
            envvar="OPENAI_BASE_URL", help="Address of the endpoint, with /v1; by default OpenAI's."
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="The endpoint's name of the teacher.")] = None,
    api_key: Annotated[
        str | None, typer.Option(envvar="OPENAI_API_KEY", help="Key of the endpoint.")
    ] = None,
    tasks: Annotated[str, typer.Option(help="What to ask for, comma separated.")] = TASKS,
    temperature: Annotated[float, typer.Option(min=0)] = 0.7,
    max_tokens: Annotated[int, typer.Option(min=1, help="Of one answer.")] = 1024,
    seed: Annotated[int, typer.Option()] = 0,
    max_image_edge: Annotated[
        int, typer.Option(min=16, help="Pixels of the longer edge of what the teacher sees.")
    ] = 1024,
    text_only: Annotated[
        bool, typer.Option("--text-only", help="Send no images, to a teacher that cannot see.")
    ] = False,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Questions at a time to a teacher in this process.")
    ] = 8,
    max_concurrency: Annotated[
        int, typer.Option(min=1, max=1024, help="Requests in flight to an endpoint.")
    ] = 64,
    max_retries: Annotated[
        int, typer.Option(min=0, help="After a failed request, and after a malformed answer.")
    ] = 5,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds for one request.")] = 300.0,
    max_requests: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many requests of this run.")
    ] = None,
    max_total_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Send nothing more once this run used so many tokens."),
    ] = None,
    price_in: Annotated[
        float, typer.Option(min=0, help="Price of a million prompt tokens, to tell the cost.")
    ] = 0.0,
    price_out: Annotated[
        float, typer.Option(min=0, help="Price of a million completion tokens.")
    ] = 0.0,
    judge_model: Annotated[
        str | None, typer.Option(help="A second model that scores each answer from 1 to 5.")
    ] = None,
    judge_base_url: Annotated[
        str | None, typer.Option(help="Address of the judge, where it is not the teacher's.")
    ] = None,
    judge_api_key: Annotated[
        str | None, typer.Option(envvar="JUDGE_API_KEY", help="Key of --judge-base-url.")
    ] = None,
    judge_threshold: Annotated[
        int, typer.Option(min=1, max=5, help="Answers with a lower score are rejected.")
    ] = 3,
    retry_rejected: Annotated[
        bool, typer.Option("--retry-rejected", help="Ask again for what was rejected.")
    ] = False,
) -> None:
    """Turn figures into verified conversations, written by a teacher.

    Writes OUT/conversations/*.parquet (one shard a document), OUT/rejected/*.jsonl with the
    reasons, OUT/report.html and OUT/report.json. Every answer is kept in OUT/cache when it
    arrives: run it again after an interruption, and nothing is asked twice.

    \b
    Example:
      cephalo refine runs/figures --teacher caption --out runs/figures
      cephalo refine runs/figures --base-url http://127.0.0.1:8000/v1 --model my-model \\
        --out runs/refined --tasks describe,questions --max-requests 1000
    """
    from cephalo.dataset_scripts.refinement.documents import figure_shards
    from cephalo.dataset_scripts.refinement.report import Spending, write_report
    from cephalo.dataset_scripts.refinement.tasks import parse_tasks
    from cephalo.dataset_scripts.refinement.teachers import CaptionTeacher

    shards = figure_shards(figures)
    wanted = parse_tasks(tasks)
    spending = Spending(price_in, price_out)
    with prepared(out):
        models: list[Any] = []
        who: Any = CaptionTeacher()
        if teacher != "caption":
            # Imports torch, which takes seconds.
            from cephalo.dataset_scripts.refinement.model_teacher import ModelTeacher
            from modeling_cephalo.endpoint import Limits
            from modeling_cephalo.questions import ReplyCache, Respondent, Sampling, Usage

            limits = Limits(max_concurrency, max_retries, timeout, max_image_edge)
            spending.usage = Usage(max_requests, max_total_tokens)
            spending.cache = ReplyCache(out / "cache" / "replies.sqlite")
            if teacher == "endpoint":
                models.append(connect(base_url, model, api_key, spending.usage, limits))
            else:
                models.append(load(teacher, spending.usage, batch_size, max_image_edge))
            if judge_model:
                # The teacher's key goes to the teacher's server only.
                url, key = (
                    (judge_base_url, judge_api_key) if judge_base_url else (base_url, api_key)
                )
                models.append(connect(url, judge_model, key, spending.usage, limits))
            # A judge is to say the same each time.
            asked, *judge = [
                Respondent(
                    one,
                    Sampling(warmth, max_tokens, seed),
                    spending.cache,
                    spending.usage,
                    max_retries,
                )
                for one, warmth in zip(models, (temperature, 0.0), strict=False)
            ]
            who = ModelTeacher(asked, wanted, *judge or [None], judge_threshold, text_only)
        started = time.monotonic()
        refined = refine_all(who, models, shards, out, max_concurrency, retry_rejected, spending)
        outcome = asyncio.run(refined)
        summary = write_report(figures, out, who, outcome, spending, time.monotonic() - started)
    print(f"{summary} → {out / 'report.html'}")
    if outcome.unanswered and not outcome.answered and not outcome.done_before:
        raise CephaloError(f"no question got an answer; see why in {out / 'report.html'}")
    if outcome.stopped:
        print(f"stopped: {outcome.stopped}; the same command goes on from here")


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
    from modeling_cephalo import inference
    from modeling_cephalo.local_model import LocalModel

    return LocalModel(inference.load(name), name, usage, batch_size, max_image_edge)


@contextmanager
def prepared(out: Path) -> Iterator[None]:
    """The output folder, made and held for this run. Raises CephaloError where it cannot be."""
    try:
        (out / "cache").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CephaloError(
            f"cannot write to {out}: {error.strerror}; choose another --out"
        ) from error
    with locked(out):
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise CephaloError(f"cannot write below {out}: {error}; make room") from error


async def refine_all(
    teacher: Any,
    models: list[Any],
    shards: list[Path],
    out: Path,
    max_concurrency: int,
    retry_rejected: bool,
    spending: Any,
) -> Any:
    """Refine all shards, with progress. `models` are opened for the time of it."""
    from tqdm import tqdm

    from cephalo.dataset_scripts.refinement.run import Run, count_items

    settings = {
        "version": VERSION,
        "teacher": teacher.name,
        "params": teacher.params(),
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

        run = Run(teacher, out, settings, max_concurrency, retry_rejected, advance)
        return await run.refine(shards)
