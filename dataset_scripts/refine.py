"""`cephalo refine`: figures become conversations that a teacher wrote and checks let through."""

import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import check_outside, locked
from cephalo.dataset_scripts.cluster.cluster import (
    Cluster,
    CpusPerTask,
    GpusPerTask,
    MemPerCpu,
    Partition,
    SlurmTasks,
    TimeLimit,
)

app = typer.Typer(rich_markup_mode=None, add_completion=False)

HOTTEST = 100.0  # temperature; far above what any server takes, and infinity is no JSON
LONGEST_TIMEOUT = 86_400.0  # seconds; a day, far above any reply, and what timers can count
TASKS = "describe,explain,questions,design,compare,talk"


@app.command()
def refine(
    figures: Annotated[
        str, typer.Argument(metavar="FIGURES", help="The folder that `cephalo extract` wrote.")
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
    temperature: Annotated[float, typer.Option(min=0, max=HOTTEST)] = 0.7,
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
    timeout: Annotated[
        float,
        typer.Option(
            min=0.1, max=LONGEST_TIMEOUT, help="Seconds for one request, to the end of its reply."
        ),
    ] = 300.0,
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
    judge: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL",
            help="Model that verifies each conversation; by default the teacher, if it is an "
            "endpoint. Repeatable; the majority decides.",
        ),
    ] = None,
    judge_base_url: Annotated[
        str | None, typer.Option(help="Address of the judges, where it is not the teacher's.")
    ] = None,
    judge_api_key: Annotated[
        str | None, typer.Option(envvar="JUDGE_API_KEY", help="Key of --judge-base-url.")
    ] = None,
    judge_threshold: Annotated[
        int,
        typer.Option(
            min=1, max=5, help="Minimum score from a judge; lower-scored answers are rejected."
        ),
    ] = 3,
    no_verify: Annotated[
        bool,
        typer.Option("--no-verify", help="Skip verification by a judge; use the text checks only."),
    ] = False,
    text_judge: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Model at the judges' address that is asked without the image; conversations that "
            "it answers alike are rejected as without_image.",
        ),
    ] = None,
    review: Annotated[
        bool,
        typer.Option(
            "--review",
            help="Write OUT/undecided.html for manual review of what judges left undecided.",
        ),
    ] = False,
    decisions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.jsonl",
            help="Decisions exported from that page; added to OUT/decisions.jsonl, which every "
            "run applies.",
        ),
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of custom prompts, which override the packaged ones.",
        ),
    ] = None,
    checks: Annotated[
        list[str] | None,
        typer.Option(metavar="MODULE:FUNCTION", help="Custom check. Repeatable."),
    ] = None,
    language: Annotated[
        str, typer.Option(help="Language of the answers, as an ISO 639-1 code such as en or de.")
    ] = "en",
    retry_rejected: Annotated[
        bool,
        typer.Option("--retry-rejected", help="Ask again for rejected answers, with the reasons."),
    ] = False,
    slurm: SlurmTasks = None,
    partition: Partition = None,
    time_limit: TimeLimit = "4:00:00",
    cpus_per_task: CpusPerTask = 1,
    mem_per_cpu: MemPerCpu = 2,
    gpus_per_task: GpusPerTask = 0,
) -> None:
    """Turn figures into verified conversations, written by a teacher.

    Writes OUT/conversations/*.parquet (one shard a document), OUT/rejected/*.jsonl with the
    reasons, OUT/undecided/*.jsonl for people, OUT/report.html and OUT/report.json. Every answer is
    kept in OUT/cache when it arrives: run it again after an interruption, and nothing is asked
    twice.

    With an endpoint, a judge verifies each conversation: it answers the questions from the image
    and the source without seeing the answers, then compares both. The cost is estimated before
    anything is sent. See docs/refine.md for tasks, custom prompts and custom checks.

    With --slurm many machines share the figures, which may be an s3:// or hf:// address; OUT is a
    folder that all see, keys come from the environment, and limits are for one task. The command
    submits what is missing and returns; run it again to see what is done.

    \b
    Example:
      cephalo refine runs/figures --teacher caption --out runs/figures
      cephalo refine runs/figures --base-url http://127.0.0.1:8000/v1 --model my-model \\
        --out runs/refined --tasks describe,questions --max-requests 1000
      cephalo refine s3://lab/figures --base-url http://gpu1:8000/v1 --model my-model \\
        --out /shared/refined --slurm 20
    """
    from cephalo.dataset_scripts.common.inputs import gone_shards, told
    from cephalo.dataset_scripts.common.language import KNOWN
    from cephalo.dataset_scripts.refinement.asking import INTERRUPTED, Asking, Keys, refine_shards
    from cephalo.dataset_scripts.refinement.decisions import add_decisions
    from cephalo.dataset_scripts.refinement.documents import figure_shards, set_aside
    from cephalo.dataset_scripts.refinement.own_checks import load_checks
    from cephalo.dataset_scripts.refinement.report import write_report
    from cephalo.dataset_scripts.refinement.review_page import write_review_page

    if language not in KNOWN:
        raise CephaloError(
            f"--language {language} is not known; it is one of {', '.join(sorted(KNOWN))}"
        )
    if judge and (no_verify or teacher == "caption"):
        raise CephaloError(
            "--judge asks for a second look; leave out --no-verify, and --teacher caption"
        )
    if text_judge and teacher == "caption":
        raise CephaloError("--text-judge looks at what a model wrote; leave out --teacher caption")
    asking = Asking(
        teacher=teacher,
        base_url=base_url,
        model=model,
        tasks=tasks,
        temperature=temperature,
        max_tokens=max_tokens,
        seed=seed,
        max_image_edge=max_image_edge,
        text_only=text_only,
        batch_size=batch_size,
        max_concurrency=max_concurrency,
        max_retries=max_retries,
        timeout=timeout,
        max_requests=max_requests,
        max_total_tokens=max_total_tokens,
        price_in=price_in,
        price_out=price_out,
        judges=tuple(judge or ()),
        judge_base_url=judge_base_url,
        judge_threshold=judge_threshold,
        no_verify=no_verify,
        text_judge=text_judge,
        prompts=str(prompts.absolute()) if prompts else None,
        checks=tuple(checks or ()),
        retry_rejected=retry_rejected,
        language=language,
    )
    asking.wanted()
    check_outside(out, [figures], same=True)
    own_checks = load_checks(asking.checks)
    keys = Keys(api_key, judge_api_key)
    if slurm:
        from cephalo.dataset_scripts.cluster.refinement import submit_refinement

        cluster = Cluster(slurm, partition, time_limit, cpus_per_task, mem_per_cpu, gpus_per_task)
        print(submit_refinement(figures, out, asking, keys, cluster, decisions))
        if review:
            print(write_review_page(Path(figures), out))
        return
    if "://" in figures:
        raise CephaloError(f"{figures}: addresses are for --slurm; give a folder of this machine")
    folder = Path(figures)
    shards = figure_shards(folder)
    with prepared(out):
        started = time.monotonic()
        if gone := set_aside(out, gone_shards([folder]), {shard.name for shard in shards}):
            print(told(gone), file=sys.stderr)
        if decisions:
            add_decisions(out, decisions, {shard.stem for shard in shards})
        asked = refine_shards(shards, out, asking, keys, out / "cache" / "replies.sqlite")
        outcome = asked.outcome
        summary = write_report(
            folder,
            out,
            asked.teacher,
            outcome,
            asked.spending,
            time.monotonic() - started,
            own_checks,
        )
        print(f"{summary} → {out / 'report.html'}")
        if review:
            print(write_review_page(folder, out))
    if outcome.stopped == INTERRUPTED:
        raise KeyboardInterrupt
    if outcome.unmatched:
        print(f"{outcome.unmatched} decisions match no conversation", file=sys.stderr)
    why = f"{outcome.reason}; see all in {out / 'report.html'}"
    if outcome.answered and not outcome.read and not outcome.done_before:
        raise CephaloError(f"no reply could be read: {why}")
    if outcome.unanswered and not outcome.answered and not outcome.done_before:
        raise CephaloError(f"no question got an answer: {why}")
    if outcome.stopped:
        print(f"stopped: {outcome.stopped}; the same command goes on from here")


@contextmanager
def prepared(out: Path) -> Iterator[None]:
    """The output folder, made and held for this run. Raises CephaloError where it cannot be."""
    with locked(out):
        (out / "cache").mkdir(exist_ok=True)
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise CephaloError(f"cannot write below {out}: {error}; make room") from error
