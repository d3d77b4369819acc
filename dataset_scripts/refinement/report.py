"""What came of a refinement: report.json, and report.html to look at."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader

from cephalo.cli.files import write_whole
from cephalo.dataset_scripts.gallery import thumbnail
from cephalo.dataset_scripts.refinement.checks import CHECKS
from cephalo.dataset_scripts.refinement.documents import read_figures, read_rejected
from cephalo.dataset_scripts.refinement.run import Outcome
from cephalo.dataset_scripts.refinement.teachers import Teacher
from cephalo.dataset_scripts.shards import read_rows

if TYPE_CHECKING:  # imports torch
    from modeling_cephalo.questions import ReplyCache, Usage

SAMPLES = 3  # of each task, and of each check
LONGEST_TEXT = 3000  # characters of a sample
OTHER_CHECKS = {
    "no_answer": "No reply within the retries; asked again by the next run.",
    "schema": "A reply that has not the form that was asked for.",
    "near_equal": "Nearly equal to an answer before it.",
    "same_question": "Asks for the same as a question before it about the same figure.",
    "judge": "Scored below the threshold by the judge.",
}


@dataclass
class Spending:
    """What a run asks and what that costs, with prices for a million tokens.

    `usage` and `cache` are None where no model is asked.
    """

    price_in: float
    price_out: float
    usage: "Usage | None" = None
    cache: "ReplyCache | None" = None

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """In the currency of the prices."""
        return (prompt_tokens * self.price_in + completion_tokens * self.price_out) / 1e6

    def line(self, done: float) -> str:
        """For the progress bar, when a share of `done` of all questions is answered."""
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
    """An answer on the page. `rank` picks samples by chance, the same ones each time."""

    rank: str
    stem: str
    task: str
    hashes: list[str]
    turns: list[dict[str, str]]
    facts: list[str]
    document: str


def write_report(
    figures: Path, out: Path, teacher: Teacher, outcome: Outcome, spending: Spending, seconds: float
) -> str:
    """Write OUT/report.json and OUT/report.html over all that OUT holds; a line for the user."""
    accepted, rejected, checks = Counter(), Counter(), defaultdict(Counter)
    samples: dict[str, list[Sample]] = defaultdict(list)
    for sample in accepted_samples(out):
        accepted[sample.task] += 1
        keep(samples[f"task:{sample.task}"], sample)
    for sample, failed in rejected_samples(out):
        rejected[sample.task] += 1
        for name in failed:
            checks[name][sample.task] += 1
            keep(samples[f"check:{name}"], sample)
    order = [task.name for task in teacher.tasks]
    order += sorted((accepted.keys() | rejected.keys()) - set(order))
    facts = {
        "teacher": teacher.name,
        "params": teacher.params(),
        "tasks": {name: {"accepted": accepted[name], "rejected": rejected[name]} for name in order},
        "checks": {name: dict(checks[name]) for name in [*OTHER_CHECKS, *CHECKS] if name in checks},
        "run": asdict(outcome) | {"seconds": round(seconds, 1)} | run_facts(spending, seconds),
        "all_runs": cache_facts(spending),
    }
    write_whole(out / "report.json", json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
    write_page(figures, out, facts, samples)
    total = accepted.total() + rejected.total()
    return (
        f"{outcome.documents} documents refined, {outcome.done_before} refined before, "
        f"{accepted.total()} of {total} conversations accepted, {outcome.unanswered} questions "
        f"without an answer, {seconds:.1f} s"
    )


def run_facts(spending: Spending, seconds: float) -> dict[str, Any]:
    """What this run asked, used and paid."""
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


def cache_facts(spending: Spending) -> dict[str, Any]:
    """What all runs into this folder used and paid."""
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
    """Every row of OUT/conversations."""
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
            facts = [f"{name.replace('_', ' ')} {value}" for name, value in scores.items()]
            yield sample_of(shard.stem, row, turns, facts)


def rejected_samples(out: Path) -> Iterator[tuple[Sample, dict[str, str]]]:
    """Every line of OUT/rejected, with the checks that it failed."""
    for path in sorted((out / "rejected").glob("*.jsonl")):
        for line in read_rejected(path):
            turns = line["turns"] or [{"question": "", "answer": line["text"] or "(no answer)"}]
            facts = [f"{name}: {detail}" for name, detail in line["failed"].items()]
            yield sample_of(path.stem, line, turns, facts), line["failed"]


def sample_of(
    stem: str, row: dict[str, Any], turns: list[dict[str, str]], facts: list[str]
) -> Sample:
    """What the page shows of a row or a rejected line."""
    hashes = [figure["image_sha256"] for figure in row["figures"]]
    rank = hashlib.sha256(json.dumps([stem, hashes, turns]).encode()).hexdigest()
    labels = ", ".join(figure["label"] or "no label" for figure in row["figures"])
    document = f"{row['document']}, {labels}"
    turns = [{name: text[:LONGEST_TEXT] for name, text in turn.items()} for turn in turns]
    return Sample(rank, stem, row["task"], hashes, turns, facts, document)


def keep(samples: list[Sample], sample: Sample) -> None:
    """Keep the SAMPLES of lowest rank, in order."""
    samples.append(sample)
    samples.sort(key=lambda one: one.rank)
    del samples[SAMPLES:]


def write_page(
    figures: Path, out: Path, facts: dict[str, Any], samples: dict[str, list[Sample]]
) -> None:
    """Write OUT/report.html whole, with small images of the samples."""
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
        name: " ".join((check.__doc__ or "").split()) for name, check in CHECKS.items()
    }
    # Captions and answers are untrusted: everything is escaped.
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    page = environment.get_template("report.html.jinja").render(
        **facts, samples=samples, images=images, meanings=meanings
    )
    write_whole(out / "report.html", page)
