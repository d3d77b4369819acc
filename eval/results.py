"""Build results.json: measures with intervals, by model and group, and paired comparisons."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations, count
from pathlib import Path
from typing import NotRequired, TypedDict

import numpy as np

from cephalo.eval.answers import Answer
from cephalo.eval.intervals import compare, intervals
from cephalo.eval.questions import Question, QuestionSource
from cephalo.eval.scores import Scores


@dataclass(frozen=True)
class Evaluated:
    """A model with its answers and their scores, row by row."""

    model: str
    revision: str | None
    answers: list[Answer]
    scores: Scores


class ModelResults(TypedDict):
    """The results of one model; `measures` and those of `groups` as from `intervals`."""

    model: str
    revision: str | None
    n: int
    unreadable_questions: int
    measures: dict[str, dict[str, float | None]]
    first_error: NotRequired[str]
    groups: NotRequired[dict[str, dict[str, object]]]


class Results(TypedDict):
    """The content of results.json."""

    task: str
    dataset: dict[str, object]
    models: list[ModelResults]
    comparisons: list[dict[str, object]]
    judge: NotRequired[dict[str, object]]


def shown_names(names: Sequence[str]) -> dict[str, str]:
    """Return the names of models or datasets in the results, without local paths.

    Hub ids are unchanged; a folder has the end of its path, with as many parts as distinguish it
    from the other folders.
    """
    folders = {name: Path(name).resolve() for name in names if Path(name).is_dir()}
    for depth in count(1):
        shown = {name: "/".join(path.parts[-depth:]) for name, path in folders.items()}
        if len(set(shown.values())) == len(set(folders.values())):
            return {name: shown.get(name, name) for name in names}
    raise AssertionError("unreachable")


def build_results(
    task: str,
    source: QuestionSource,
    dataset_revision: str | None,
    rows_sha256: str,
    questions: Sequence[Question],
    models: Sequence[Evaluated],
) -> Results:
    """Return all numbers of an evaluation, ready for JSON. Models are compared in the order
    given."""
    return {
        "task": task,
        "dataset": {
            **asdict(source),
            "dataset": shown_names([source.dataset])[source.dataset],
            "revision": dataset_revision,
            "rows": len(questions),
            "rows_sha256": rows_sha256,
        },
        "models": [model_results(evaluated, questions) for evaluated in models],
        "comparisons": [
            {
                "first": one.model,
                "second": other.model,
                "measures": compare(one.scores, other.scores),
            }
            for one, other in combinations(models, 2)
        ],
    }


def model_results(evaluated: Evaluated, questions: Sequence[Question]) -> ModelResults:
    """Return the measures of one model, of all rows and by group."""
    errors = [
        f"row {row}: {answer.error}" for row, answer in enumerate(evaluated.answers) if answer.error
    ]
    groups = np.array([question.group or "" for question in questions])
    found: ModelResults = {
        "model": evaluated.model,
        "revision": evaluated.revision,
        "n": len(questions),
        "unreadable_questions": len(errors),
        "measures": intervals(evaluated.scores),
    }
    if errors:
        found["first_error"] = errors[0]
    if groups.any():
        found["groups"] = {
            str(group): {
                "n": int((groups == group).sum()),
                "measures": intervals(subset(evaluated.scores, groups == group)),
            }
            for group in sorted(set(groups))
        }
    return found


def subset(scores: Scores, mask: np.ndarray) -> Scores:
    """Return the scores of some rows."""
    correct = None if scores.correct is None else scores.correct[mask]
    return replace(
        scores,
        table=scores.table[mask],
        errors=scores.errors[mask],
        parsed=scores.parsed[mask],
        correct=correct,
    )
