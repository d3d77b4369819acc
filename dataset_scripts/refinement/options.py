"""The options of `cephalo refine` that determine what is asked, and which models."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from cephalo.cli.errors import CephaloError
from cephalo.cli.options import MOST_SEED
from cephalo.cli.where import HELP

if TYPE_CHECKING:
    from cephalo.cli.where import Where
    from cephalo.dataset_scripts.refinement.tasks import Task

HOTTEST = 100.0  # temperature; far above the maximum of any server, and infinity is not valid JSON
MOST_PRICE = 1e6  # per million tokens; keeps the estimated cost finite
# Seconds; one day, far longer than any reply takes and within the range of timers.
LONGEST_TIMEOUT = 86_400.0
TASKS = "describe,explain,questions,design,compare,talk"

SAMPLING, REQUESTS, VERIFICATION = "Sampling", "Requests and cost", "Verification"  # headings


@dataclass(frozen=True)
class Asking:
    """The settings that determine the questions and answers, without keys."""

    teacher: Annotated[
        str, Option(help="caption (no model), endpoint, or a model of the Hub or a folder.")
    ] = "endpoint"
    base_url: Annotated[
        str | None,
        Option(
            envvar="OPENAI_BASE_URL", help="Address of the endpoint, with /v1; by default OpenAI's."
        ),
    ] = None
    model: Annotated[str | None, Option(help="Model name to request from the endpoint.")] = None
    tasks: Annotated[str, Option(help="Tasks, comma separated.")] = TASKS
    prompts: Annotated[
        Path | None,
        Option(
            metavar="DIR",
            resolve_path=True,  # tasks of a cluster run in other folders
            help="Folder of custom prompts, which override the packaged ones.",
        ),
    ] = None
    language: Annotated[
        str, Option(help="Language of the answers, as an ISO 639-1 code such as en or de.")
    ] = "en"
    max_image_edge: Annotated[
        int,
        Option(
            min=16,
            help="Maximum edge of images sent to the teacher, in pixels.",
        ),
    ] = 1024
    where: Annotated[str | None, Option(metavar="CONDITION", help=HELP)] = None
    text_only: Annotated[
        bool, Option("--text-only", help="Send no images, for a teacher without vision.")
    ] = False
    checks: Annotated[
        list[str], Option(metavar="MODULE:FUNCTION", help="Custom check. Repeatable.")
    ] = field(default_factory=list)
    retry_rejected: Annotated[
        bool, Option("--retry-rejected", help="Ask again for rejected answers, with the reasons.")
    ] = False

    temperature: Annotated[
        float,
        Option(
            min=0,
            max=HOTTEST,
            rich_help_panel=SAMPLING,
            help="Sampling temperature of the teacher; 0 decodes greedily.",
        ),
    ] = 0.7
    max_tokens: Annotated[
        int,
        Option(min=1, rich_help_panel=SAMPLING, help="Maximum length of one answer, in tokens."),
    ] = 1024
    seed: Annotated[
        int,
        Option(
            min=0,
            max=MOST_SEED,
            rich_help_panel=SAMPLING,
            help="Random seed of the teacher's sampling.",
        ),
    ] = 0

    batch_size: Annotated[
        int,
        Option(
            min=1,
            rich_help_panel=REQUESTS,
            help="Batch size of a teacher in this process.",
        ),
    ] = 8
    max_concurrency: Annotated[
        int,
        Option(
            min=1,
            max=1024,
            rich_help_panel=REQUESTS,
            help="Maximum number of concurrent requests to an endpoint.",
        ),
    ] = 64
    max_retries: Annotated[
        int,
        Option(
            min=0,
            rich_help_panel=REQUESTS,
            help="Retries after a failed request, and after a malformed answer.",
        ),
    ] = 5
    timeout: Annotated[
        float,
        Option(
            min=0.1,
            max=LONGEST_TIMEOUT,
            rich_help_panel=REQUESTS,
            help="Timeout of one request, in seconds.",
        ),
    ] = 300.0
    max_requests: Annotated[
        int | None,
        Option(min=1, rich_help_panel=REQUESTS, help="Maximum number of requests of this run."),
    ] = None
    max_total_tokens: Annotated[
        int | None,
        Option(
            min=1,
            rich_help_panel=REQUESTS,
            help="Maximum number of tokens of this run.",
        ),
    ] = None
    price_in: Annotated[
        float,
        Option(
            min=0,
            max=MOST_PRICE,
            rich_help_panel=REQUESTS,
            help="Price of a million prompt tokens, for the cost estimate.",
        ),
    ] = 0.0
    price_out: Annotated[
        float,
        Option(
            min=0,
            max=MOST_PRICE,
            rich_help_panel=REQUESTS,
            help="Price of a million completion tokens.",
        ),
    ] = 0.0

    judges: Annotated[
        list[str],
        Option(
            "--judge",
            metavar="MODEL",
            rich_help_panel=VERIFICATION,
            help="Model that verifies each conversation; by default the teacher, if it is an "
            "endpoint. Repeatable; the majority decides.",
        ),
    ] = field(default_factory=list)
    judge_base_url: Annotated[
        str | None,
        Option(
            rich_help_panel=VERIFICATION,
            help="Address of the judges; by default the teacher's.",
        ),
    ] = None
    judge_threshold: Annotated[
        int,
        Option(
            min=1,
            max=5,
            rich_help_panel=VERIFICATION,
            help="Minimum score from a judge; lower-scored answers are rejected.",
        ),
    ] = 3
    no_verify: Annotated[
        bool,
        Option(
            "--no-verify",
            rich_help_panel=VERIFICATION,
            help="Skip verification by a judge; use the text checks only.",
        ),
    ] = False
    text_judge: Annotated[
        str | None,
        Option(
            metavar="MODEL",
            rich_help_panel=VERIFICATION,
            help="Model at the judges' address that is asked without the image; conversations that "
            "it answers alike are rejected as without_image.",
        ),
    ] = None

    def check(self) -> None:
        """Raise CephaloError for incompatible options and for unknown tasks and checks."""
        from cephalo.dataset_scripts.common.language import KNOWN
        from cephalo.dataset_scripts.refinement.own_checks import load_checks

        if self.language not in KNOWN:
            raise CephaloError(
                f"--language {self.language} is not known; it is one of {', '.join(sorted(KNOWN))}"
            )
        captions = self.teacher == "caption"
        if self.judges and (self.no_verify or captions):
            raise CephaloError(
                "--judge requires verification; leave out --no-verify, and --teacher caption"
            )
        if self.text_judge and captions:
            raise CephaloError(
                "--text-judge requires a model's answers; leave out --teacher caption"
            )
        self.wanted()
        self.condition()
        load_checks(self.checks)

    def condition(self) -> Where | None:
        """Return the condition on figures. Raises CephaloError if it cannot be parsed."""
        from cephalo.dataset_scripts.common.chosen import condition_on

        return condition_on("figures", self.where) if self.where is not None else None

    @property
    def asked_again(self) -> tuple[str, ...]:
        """The names of the judges; an endpoint without judges verifies its own answers."""
        if self.no_verify or self.teacher == "caption":
            return ()
        alone = (self.model or "",) if self.teacher == "endpoint" else ()
        return tuple(self.judges) or alone

    def wanted(self) -> list[Task]:
        """Return the tasks. Raises CephaloError for unknown names."""
        from cephalo.dataset_scripts.refinement.tasks import parse_tasks

        return parse_tasks(self.tasks, self.prompts)


@dataclass(frozen=True)
class Keys:
    """Keys of the endpoints, which are never written to a file."""

    api: Annotated[
        str | None, Option("--api-key", envvar="OPENAI_API_KEY", help="Key of the endpoint.")
    ] = None
    judge: Annotated[
        str | None,
        Option(
            "--judge-api-key",
            envvar="JUDGE_API_KEY",
            rich_help_panel=VERIFICATION,
            help="Key of --judge-base-url.",
        ),
    ] = None
