"""`cephalo eval`: measure and compare models on the questions of a dataset."""

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import check_outside, locked, write_whole

if TYPE_CHECKING:
    from cephalo.eval.questions import Question
    from cephalo.eval.results import Evaluated, Results
    from cephalo.eval.scores import Scores


app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def evaluate(
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL...", help="Hub names, NAME@REVISION, or folders."),
    ],
    dataset: Annotated[str, typer.Option(help="Dataset: a Hub name or a folder.")],
    task: Annotated[
        str,
        typer.Option(help="vector_regression, classification, answer_match or captions."),
    ],
    out: Annotated[
        Path, typer.Option(help="Output folder for answers, results.json and report.html.")
    ],
    config: Annotated[str | None, typer.Option(help="Config of the dataset.")] = None,
    split: Annotated[str, typer.Option(help="Split of the dataset.")] = "test",
    revision: Annotated[str | None, typer.Option(help="Branch or commit of the dataset.")] = None,
    where: Annotated[
        str | None, typer.Option(metavar="COLUMN=VALUE", help="Evaluate only rows with this value.")
    ] = None,
    group_by: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Also report measures by the values of a column."),
    ] = None,
    max_samples: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of rows, sampled with a fixed seed.")
    ] = None,
    question_column: Annotated[
        str | None, typer.Option(help="Column of questions; by default found by its name.")
    ] = None,
    answer_column: Annotated[
        str | None, typer.Option(help="Column of answers; by default found by its name.")
    ] = None,
    image_column: Annotated[
        str | None, typer.Option(help="Column of images; by default found by its name.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Questions per batch.")] = 8,
    max_new_tokens: Annotated[
        int, typer.Option(min=1, help="Maximum length of an answer, in tokens.")
    ] = 128,
    judge: Annotated[
        str | None,
        typer.Option(help="Model name of a judge that compares answers in pairs."),
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="Base URL of the judge, with /v1; by default OpenAI's.")
    ] = None,
    api_key: Annotated[
        str | None, typer.Option(envvar="OPENAI_API_KEY", help="API key of the judge.")
    ] = None,
) -> None:
    """Evaluate models on a dataset, with confidence intervals, and compare them in pairs.

    Answers are saved in OUT as they arrive, so an interrupted run resumes without asking twice.
    Several models answer the same rows and are compared with paired tests and, with --judge, by a
    model that knows the reference answers.

    \b
    Example:
      cephalo eval my-lab/nacre-tiny --task vector_regression --dataset my-lab/plates \\
        --config conversations --where task=CalculateVonMisesStressStatistics \\
        --group-by family --out runs/eval
    """
    from cephalo.eval import questions as asking
    from cephalo.eval.report import write_report
    from cephalo.eval.results import build_results, shown_names
    from cephalo.eval.scores import METRICS

    if task not in METRICS:
        raise CephaloError(f"no task {task!r}; give one of {', '.join(METRICS)}")
    if judge and len(set(models)) < 2:
        raise CephaloError("a judge compares models; name two or more")
    check_outside(out, [dataset])
    dataset_revision = asking.hub_revision(dataset, revision, "dataset")
    pinned = None if Path(dataset).is_dir() else dataset_revision
    source = asking.QuestionSource(dataset, config, split, pinned, where, max_samples)
    asked = asking.load_questions(source, question_column, answer_column, image_column, group_by)
    # References of another task are rejected before a model is loaded.
    score(task, asked, [question.answer for question in asked])
    rows = asking.rows_sha256(asked)
    settings = {"rows_sha256": rows, "batch_size": batch_size, "max_new_tokens": max_new_tokens}
    shown = shown_names(models)
    with locked(out):
        evaluated = [measure(name, shown[name], task, asked, out, settings) for name in shown]
        results = build_results(task, source, dataset_revision, rows, asked, evaluated)
        if judge:
            results["judge"] = judged(judge, base_url, api_key, asked, evaluated, out)
        write_whole(out / "results.json", json.dumps(results, indent=2, ensure_ascii=False) + "\n")
        write_report(out / "report.html", results, asked, evaluated)
    print(summary(results))
    print(f"{out / 'results.json'}\n{out / 'report.html'}")


def measure(
    name: str,
    shown: str,
    task: str,
    asked: "list[Question]",
    out: Path,
    settings: dict[str, object],
) -> "Evaluated":
    """Return one model's answers and scores. `name` may include @REVISION; results name it
    `shown`."""
    from cephalo.eval.answers import answer_all
    from cephalo.eval.questions import hub_revision
    from cephalo.eval.results import Evaluated
    from cephalo.model_cards.hub_names import split_revision

    model, branch = split_revision(name)
    commit = hub_revision(model, branch, "model")
    folder = out / "answers" / folder_name(name)
    answers = answer_all(
        model,
        None if Path(model).is_dir() else commit,
        asked,
        folder,
        settings | {"model": model, "revision": commit},
    )
    return Evaluated(shown, commit, answers, score(task, asked, [one.answer for one in answers]))


def score(task: str, asked: "list[Question]", answers: list[str]) -> "Scores":
    """Return the scores of answers. Components of vectors are named as in the question."""
    from cephalo.eval.scores import METRICS

    options = {}
    if task == "vector_regression" and (names := component_names(asked[0].text)):
        options["components"] = names
    return METRICS[task](answers, [question.answer for question in asked], **options)


def component_names(question: str) -> list[str]:
    """Return the names in a question of the form "Calculate... <a, b, c>", empty for others."""
    found = re.search(r"<([\w ]+(?:,[\w ]+)*)>", question)
    return [name.strip() for name in found.group(1).split(",")] if found else []


def folder_name(model: str) -> str:
    """Return a readable, unique folder name for a model's answers."""
    safe = re.sub(r"[^\w.-]+", "-", model).strip("-.")[-60:]
    return f"{safe}-{hashlib.sha256(model.encode()).hexdigest()[:8]}"


def judged(
    judge: str,
    base_url: str | None,
    api_key: str | None,
    asked: "list[Question]",
    evaluated: "list[Evaluated]",
    out: Path,
) -> dict[str, object]:
    """Return the judge's comparison of every later model with the first."""
    from cephalo.eval.judge import judge_answers, open_judge

    first, *others = [(one.model, [answer.answer for answer in one.answers]) for one in evaluated]
    pairs: list[dict[str, object]] = []
    for name, texts in others:
        respondent = open_judge(judge, base_url, api_key, out)
        found = judge_answers(asked, first[1], texts, respondent)
        pairs.append({"first": first[0], "second": name, **found})
    return {"model": judge, "pairs": pairs}


def summary(results: "Results") -> str:
    """Format the measures of all models, one line each."""
    lines = []
    for model in results["models"]:
        lines.append(f"{model['model']} ({model['n']} rows)")
        for name, found in model["measures"].items():
            shown = [
                "-" if found[key] is None else f"{found[key]:.4g}"
                for key in ("value", "low", "high")
            ]
            lines.append(f"  {name:32} {shown[0]:>8}  ({shown[1]} to {shown[2]})")
        if unread := model["unreadable_questions"]:
            why = model.get("first_error")
            lines.append(f"  {unread} could not be read and count as wrong: {why}")
    return "\n".join(lines)
