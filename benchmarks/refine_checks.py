"""Measure precision and recall of the checks of refinement on labelled answers.

    python -m benchmarks.refine_checks ANSWERS.jsonl PAPERS

A line of ANSWERS.jsonl is an answer that a teacher could give: `document`, `label` and `caption`
(its start) of the figure, `task`, `turns` (`explain`: `steps` too), `verdict` (good or bad) and
`kind`. PAPERS is a folder of the PDF files, or one that `cephalo extract` wrote.
"""

import json
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from cephalo.dataset_scripts.refinement.checks import CHECKS, Context, failed_checks
from cephalo.dataset_scripts.refinement.documents import figure_shards, read_figures
from cephalo.dataset_scripts.refinement.near_equal import same_question
from cephalo.dataset_scripts.refinement.quotation import Source, source_of
from cephalo.dataset_scripts.refinement.tasks import Talk, Turn, load_prompt, load_task
from cephalo.dataset_scripts.refinement.words import folded


@dataclass
class Judged:
    """A labelled answer and the checks that it failed."""

    answer: dict[str, Any]
    failed: dict[str, str]


def main(
    answers: Annotated[Path, typer.Argument(help="Labelled answers, one JSON object a line.")],
    papers: Annotated[Path, typer.Argument(help="PDF files, or what `cephalo extract` wrote.")],
    show: Annotated[
        bool, typer.Option("--show", help="Print good answers rejected and bad ones accepted.")
    ] = False,
) -> None:
    """Print accepted and rejected answers, by kind and by check."""
    labelled = [json.loads(line) for line in answers.read_text(encoding="utf-8").splitlines()]
    with tempfile.TemporaryDirectory() as folder:
        judged = list(judge(labelled, extracted(labelled, papers, Path(folder))))
    print_kinds(judged)
    print_checks(judged)
    if show:
        for one in judged:
            if bool(one.failed) == (one.answer["verdict"] == "good"):
                turn = one.answer["turns"][-1]
                print(f"\n{one.answer['verdict']} {one.answer['kind']}: {turn['question']}")
                print(f"  {turn['answer']}\n  {one.failed}")


def extracted(labelled: list[dict[str, Any]], papers: Path, folder: Path) -> Path:
    """Return a folder with the figures of all papers in the answers."""
    if (papers / "figures").is_dir():
        return papers
    wanted = sorted({str(papers / one["document"]) for one in labelled})
    command = [sys.executable, "-m", "cephalo.cli.main", "extract", *wanted, "--out", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def judge(labelled: list[dict[str, Any]], figures: Path) -> Iterator[Judged]:
    """Yield each answer with the checks that it fails, in the order of the file."""
    system = load_prompt("system").text
    before: dict[tuple[str, str], list[Turn]] = defaultdict(list)
    for answer, source in with_sources(labelled, figures):
        task = load_task(answer["task"])
        context = Context(source, task.min_words, f"{system}\n{task.prompt}")
        talk = talk_of(answer)
        failed = failed_checks(talk, context)
        known = before[answer["document"], start_of(answer)]
        if len(talk.turns) == 1 and answer["task"] != "describe" and not failed:
            if other := next((one for one in known if same_question(talk.turns[0], one)), None):
                failed["same_question"] = other.question
            else:
                known.append(talk.turns[0])
        yield Judged(answer, failed)


def with_sources(
    labelled: list[dict[str, Any]], figures: Path
) -> Iterator[tuple[dict[str, Any], Source]]:
    """Yield each answer with its source, in the order of the file."""
    rows = defaultdict(list)
    for shard in figure_shards(figures):
        for row in read_figures(shard):
            rows[row["document"]].append(row)
    for answer in labelled:
        of_paper = rows[answer["document"]]
        start = start_of(answer)
        alike = [row for row in of_paper if folded(row["caption"]).startswith(start)]
        # Captions of one paper may begin alike.
        own = next(
            (row for row in alike if row["label"] == answer.get("label")), *alike[:1] or [None]
        )
        if own is None:
            raise SystemExit(f"{figures} has no figure of {answer['document']} with {start!r}")
        yield answer, source_of([own], [row for row in of_paper if row is not own])


def start_of(answer: dict[str, Any]) -> str:
    """Return the start of the caption of an answer's figure, by which it is found."""
    return folded(answer["caption"])[:40]


def talk_of(answer: dict[str, Any]) -> Talk:
    """Return the conversation of a labelled answer; the steps of an explanation are part of it."""
    turns = [Turn(turn["question"], turn["answer"]) for turn in answer["turns"]]
    if steps := answer.get("steps"):
        turns = [Turn(turns[0].question, "\n\n".join([*steps, turns[0].answer]))]
    return Talk(tuple(turns), answer.get("depth"))


def print_kinds(judged: list[Judged]) -> None:
    """Print how many answers of each kind are accepted, and the totals."""
    kept, every = Counter(), Counter()
    for one in judged:
        kind = one.answer["verdict"], one.answer["kind"]
        every[kind] += 1
        kept[kind] += not one.failed
    print("verdict  kind                accepted  rejected")
    for verdict, kind in sorted(every):
        yes = kept[verdict, kind]
        print(f"{verdict:7}  {kind:18}  {yes:8}  {every[verdict, kind] - yes:8}")
    good = [not one.failed for one in judged if one.answer["verdict"] == "good"]
    bad = [bool(one.failed) for one in judged if one.answer["verdict"] == "bad"]
    print(f"\ngood kept {share(sum(good), len(good))}, bad caught {share(sum(bad), len(bad))}")
    # A repeated question is rejected whatever its answer.
    again = sum(one.failed.keys() == {"same_question"} for one in judged)
    print(f"{again} of all only for a question that was asked before\n")


def print_checks(judged: list[Judged]) -> None:
    """Print what each check rejects, correctly and incorrectly, and what only it rejects."""
    total = Counter(one.answer["verdict"] for one in judged)
    print("check               of good  of bad  alone  precision  share of bad  share of good")
    for name in [*CHECKS, "same_question"]:
        found = [one for one in judged if name in one.failed]
        if not found:
            continue
        good = sum(one.answer["verdict"] == "good" for one in found)
        bad = len(found) - good
        alone = sum(len(one.failed) == 1 for one in found)
        print(
            f"{name:18}  {good:7}  {bad:6}  {alone:5}  {bad / len(found):9.2f}"
            f"  {bad / max(1, total['bad']):12.3f}  {good / max(1, total['good']):13.3f}"
        )


def share(some: int, every: int) -> str:
    """Format a share with its numerator and denominator."""
    return f"{some / max(1, every):.3f} ({some} of {every})"


if __name__ == "__main__":
    typer.run(main)
