"""Write the reports of a refinement: report.json and report.html."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from jinja2 import Environment, FileSystemLoader

from cephalo.cli.files import write_whole
from cephalo.cli.rows import Row
from cephalo.dataset_scripts.common.gallery import thumbnail
from cephalo.dataset_scripts.common.shards import read_rows
from cephalo.dataset_scripts.refinement.checks import CHECKS, Check
from cephalo.dataset_scripts.refinement.documents import OTHER_CHECKS, read_figures, read_lines
from cephalo.dataset_scripts.refinement.run import Outcome
from cephalo.dataset_scripts.refinement.tasks import Task
from cephalo.inference.questions import ReplyCache, Usage

SAMPLES = 3  # of each task, and of each check
LONGEST_TEXT = 3000  # characters of a sample
OUTCOMES = ("agrees", "disagrees", "undecided", "unread")  # of a second look


@dataclass
class Spending:
    """The usage of a run and its cost, from prices per million tokens.

    `usage` and `cache` are None without a model.
    """

    price_in: float
    price_out: float
    usage: Usage | None = None
    cache: ReplyCache | None = None

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Return the cost in the currency of the prices."""
        return (prompt_tokens * self.price_in + completion_tokens * self.price_out) / 1e6

    def line(self, done: float) -> str:
        """Return the text for the progress bar when the share `done` (0 to 1) of all questions is
        answered."""
        if self.usage is None:
            return ""
        used = self.usage.prompt_tokens, self.usage.completion_tokens
        text = f"{sum(used):,} tokens"
        if self.price_in or self.price_out:
            text += (
                f", cost {self.cost(*used):.2f} of about {self.cost(*used) / max(done, 1e-9):.2f}"
            )
        return text


@dataclass
class Sample:
    """An answer on the page. The samples of lowest `rank` are shown: a random choice, but the same
    each time."""

    rank: str
    stem: str
    task: str
    hashes: list[str]
    turns: list[dict[str, str]]
    facts: list[str]
    document: str
    look: str | None  # outcome of the judges


class Described(Protocol):
    """The attributes of a teacher that a report needs."""

    @property
    def name(self) -> str: ...

    @property
    def tasks(self) -> tuple[Task, ...]: ...

    def params(self) -> dict[str, object]: ...


def write_report(
    figures: Path,
    out: Path,
    teacher: Described,
    outcome: Outcome,
    spending: Spending,
    seconds: float,
    own_checks: Mapping[str, Check],
) -> str:
    """Write OUT/report.json and OUT/report.html about everything in OUT. Returns a summary of one
    line."""
    accepted, rejected, checks = Counter(), Counter(), defaultdict(Counter)
    undecided, looks = Counter(), Counter()
    samples: dict[str, list[Sample]] = defaultdict(list)
    for sample in accepted_samples(out):
        accepted[sample.task] += 1
        looks[sample.look] += 1
        keep(samples[f"task:{sample.task}"], sample)
    for sample, _ in samples_aside(out, "undecided"):
        undecided[sample.task] += 1
        looks[sample.look] += 1
        keep(samples["undecided"], sample)
    for sample, failed in samples_aside(out, "rejected"):
        rejected[sample.task] += 1
        looks[sample.look] += 1
        for name in failed:
            checks[name][sample.task] += 1
            keep(samples[f"check:{name}"], sample)
    order = [task.name for task in teacher.tasks]
    order += sorted((accepted.keys() | rejected.keys() | undecided.keys()) - set(order))
    names = [*OTHER_CHECKS, *CHECKS, *own_checks]
    names += sorted(checks.keys() - set(names))
    del looks[None]
    facts = {
        "teacher": teacher.name,
        "params": teacher.params(),
        "tasks": {name: {"accepted": accepted[name], "rejected": rejected[name]} for name in order},
        "checks": {name: dict(checks[name]) for name in names if name in checks},
        "undecided": dict(undecided),
        "second_look": {name: looks[name] for name in OUTCOMES if name in looks},
        "run": asdict(outcome) | {"seconds": round(seconds, 1)} | run_facts(spending, seconds),
        "all_runs": cache_facts(spending),
    }
    write_whole(out / "report.json", json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
    write_page(figures, out, facts, samples, CHECKS | dict(own_checks))
    total = accepted.total() + rejected.total() + undecided.total()
    return (
        f"{outcome.documents} documents refined, {outcome.done_before} refined before, "
        f"{accepted.total()} of {total} conversations accepted, "
        + (f"{undecided.total()} undecided (see --review), " if undecided else "")
        + f"{outcome.unanswered} questions without an answer, {seconds:.1f} s"
    )


def run_facts(spending: Spending, seconds: float) -> dict[str, object]:
    """Return the requests, tokens and cost of this run."""
    if spending.usage is None:
        return {}
    usage = {
        name: value
        for name, value in asdict(spending.usage).items()
        if name not in ("max_requests", "max_total_tokens")
    }
    tokens = usage["prompt_tokens"] + usage["completion_tokens"]
    return usage | {
        "requests_per_second": round(usage["requests"] / max(seconds, 1e-9), 2),
        "tokens_per_second": round(tokens / max(seconds, 1e-9), 1),
        "cost": round(spending.cost(usage["prompt_tokens"], usage["completion_tokens"]), 4),
    }


def cache_facts(spending: Spending) -> dict[str, object]:
    """Return the replies, tokens and cost of all runs into this folder."""
    if spending.cache is None:
        return {}
    replies, prompt_tokens, completion_tokens = spending.cache.totals()
    return {
        "replies": replies,
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "cost": round(spending.cost(prompt_tokens, completion_tokens), 4),
    }


def accepted_samples(out: Path) -> Iterator[Sample]:
    """Yield every row of OUT/conversations."""
    columns = ["task", "prompt", "completion", "query", "scores", "figures", "document"]
    for shard in sorted((out / "conversations").glob("*.parquet")):
        for row in read_rows([shard], columns, batch_rows=100):
            said = [message["content"][0]["text"] for message in row["completion"]]
            asked = [row["query"], *said[1::2]]
            turns = [
                {"question": question, "answer": answer}
                for question, answer in zip(asked, said[::2], strict=True)
            ]
            scores = json.loads(row["scores"])
            yield sample_of(shard.stem, row, turns, scores, facts_of(scores))


def samples_aside(out: Path, kind: str) -> Iterator[tuple[Sample, dict[str, str]]]:
    """Yield every line of OUT/rejected or OUT/undecided, with the failed checks."""
    for path in sorted((out / kind).glob("*.jsonl")):
        for line in read_lines(path):
            turns = line["turns"] or [{"question": "", "answer": line["text"] or "(no answer)"}]
            facts = [f"{name}: {detail}" for name, detail in line["failed"].items()]
            scores = line["scores"]
            facts = facts or votes_of(scores)
            yield sample_of(path.stem, line, turns, scores, facts), line["failed"]


def facts_of(scores: dict[str, Any]) -> list[str]:
    """Format a row's scores."""
    plain = {name: value for name, value in scores.items() if not isinstance(value, dict)}
    return [f"{name.replace('_', ' ')} {value}" for name, value in plain.items()] + votes_of(scores)


def votes_of(scores: dict[str, Any]) -> list[str]:
    """Format the judges' votes, one line each."""
    votes = scores.get("second_look", {}).get("votes", [])
    return [f"{vote['judge']} {vote['verdict']}: {vote['reason']}" for vote in votes]


def sample_of(
    stem: str,
    row: Row,
    turns: list[dict[str, str]],
    scores: dict[str, Any],
    facts: list[str],
) -> Sample:
    """Build the sample of a row, or of a rejected or undecided line."""
    hashes = [figure["image_sha256"] for figure in row["figures"]]
    rank = hashlib.sha256(json.dumps([stem, hashes, turns]).encode()).hexdigest()
    labels = ", ".join(figure["label"] or "no label" for figure in row["figures"])
    document = f"{row['document']}, {labels}"
    turns = [{name: text[:LONGEST_TEXT] for name, text in turn.items()} for turn in turns]
    look = scores.get("second_look", {}).get("outcome")
    return Sample(rank, stem, row["task"], hashes, turns, facts, document, look)


def keep(samples: list[Sample], sample: Sample) -> None:
    """Add a sample, and keep the SAMPLES of lowest rank, in order."""
    samples.append(sample)
    samples.sort(key=lambda one: one.rank)
    del samples[SAMPLES:]


def write_page(
    figures: Path,
    out: Path,
    facts: dict[str, object],
    samples: dict[str, list[Sample]],
    checks: Mapping[str, Check],
) -> None:
    """Write OUT/report.html atomically, with small images of the samples."""
    wanted = defaultdict(set)
    for sample in (sample for group in samples.values() for sample in group):
        wanted[sample.stem].update(sample.hashes)
    images = {}
    for stem, hashes in wanted.items():
        shard = figures / "figures" / f"{stem}.parquet"
        for row in read_figures(shard) if shard.exists() else ():
            if row["image_sha256"] in hashes:
                images[row["image_sha256"]] = thumbnail(row["image"]["bytes"])
    meanings = OTHER_CHECKS | {
        name: " ".join((check.__doc__ or "").split()) for name, check in checks.items()
    }
    # Captions and answers are untrusted: everything is escaped.
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    page = environment.get_template("report.html.jinja").render(
        **facts, samples=samples, images=images, meanings=meanings
    )
    write_whole(out / "report.html", page)
