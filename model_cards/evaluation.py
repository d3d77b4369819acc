"""Read results of `cephalo eval` in a model's folder: rows of its card, and entries for the Hub."""

import re
from dataclasses import dataclass
from pathlib import Path

import httpx2
from huggingface_hub import EvalResultEntry, HfApi, constants, eval_result_entries_to_yaml
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import yaml_dump

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import write_whole
from cephalo.model_cards.hub_names import NAME
from cephalo.model_cards.model_folder import (
    file_sha256,
    model_sha256,
    read_json,
    results_files,
)

# The measures of each task for the Hub, by the start of their names. The card has all.
HEADLINES = {
    "vector_regression": "r2/",
    "classification": "accuracy",
    "answer_match": "relaxed",
    "captions": "rougeL",
}

COMMIT = re.compile("[0-9a-f]{40}")


@dataclass(frozen=True)
class Measure:
    """A measured number; `low` and `high` bound its 95 % interval. None means undefined."""

    name: str
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Evaluation:
    """The content of one results.json about this model; `file` is its path in the folder."""

    file: str
    task: str
    dataset: str
    config: str | None
    split: str
    revision: str  # of the dataset
    where: str | None  # COLUMN=VALUE
    model_revision: str | None  # commit sha, if the model was measured on the Hub
    rows: int
    unreadable: int  # questions that the model could not process; counted as wrong
    measures: list[Measure]
    groups: dict[str, list[Measure]]  # main measures

    @property
    def on_hub(self) -> bool:
        """Whether the dataset is on the Hub, as opposed to a folder."""
        parts = self.dataset.split("/")
        return len(parts) == 2 and all(NAME.fullmatch(part) for part in parts)


def read_evaluations(folder: Path, repo_id: str) -> list[Evaluation]:
    """Return the results of every results.json in or below `folder` for the model in it.

    Results belong to the model if they were measured in a folder with the same weights, config and
    tokenizer, or on the Hub under the name `repo_id` or with the same weights. Raises CephaloError
    for other and for damaged results.
    """
    paths = results_files(folder)
    sha256 = model_sha256(folder) if paths else ""
    return [read_evaluation(folder, path, repo_id, sha256) for path in paths]


def read_evaluation(folder: Path, path: Path, repo_id: str, sha256: str) -> Evaluation:
    """Read one results.json; see `read_evaluations`."""
    results = read_json(path)
    try:
        found = [one for one in results["models"] if one["revision"] == sha256]
        found = found or [one for one in results["models"] if is_hub_copy(one, folder, repo_id)]
        if not found:
            named = ", ".join(one["model"] for one in results["models"])
            raise CephaloError(
                f"{path} measured {named}, not the weights that are in {folder}; "
                "run `cephalo eval` on them, or remove the file"
            )
        source, task = results["dataset"], results["task"]
        measures = read_measures(found[0]["measures"])
        groups = {
            name: headlines(task, read_measures(group["measures"]))
            for name, group in found[0].get("groups", {}).items()
        }
        return Evaluation(
            file=path.relative_to(folder).as_posix(),
            task=task,
            dataset=source["dataset"],
            config=source["config"],
            split=source["split"],
            revision=source["revision"],
            where=source["where"],
            model_revision=None if found[0]["revision"] == sha256 else found[0]["revision"],
            rows=found[0]["n"],
            unreadable=found[0]["unreadable_questions"],
            measures=measures,
            groups=groups,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise CephaloError(
            f"{path} is not in the format of `cephalo eval` ({error!r}); run it again"
        ) from error


def is_hub_copy(measured: dict[str, str], folder: Path, repo_id: str) -> bool:
    """Return whether the model measured on the Hub is the one in `folder`: by its name `repo_id`,
    or by its weights."""
    name, commit = measured["model"].partition("@")[0], measured["revision"]
    if not COMMIT.fullmatch(commit):
        return False
    return name == repo_id or has_weights_of(folder, name, commit)


def has_weights_of(folder: Path, name: str, commit: str) -> bool:
    """Return whether the weights in a folder are those of a model on the Hub at a commit; False if
    unknown."""
    try:
        info = HfApi().model_info(name, revision=commit, files_metadata=True)
    except (httpx2.HTTPError, HFValidationError):
        return False
    theirs = {
        file.rfilename: file.lfs.sha256
        for file in info.siblings or ()
        if file.lfs and file.rfilename.endswith(".safetensors")
    }
    paths = {path.name: path for path in folder.glob("*.safetensors")}
    if not theirs or paths.keys() != theirs.keys():
        return False
    return all(file_sha256(path) == theirs[file] for file, path in paths.items())


def read_measures(found: dict[str, dict[str, float | None]]) -> list[Measure]:
    """Return the measures in results.json."""
    return [Measure(name, one["value"], one["low"], one["high"]) for name, one in found.items()]


def headlines(task: str, measures: list[Measure]) -> list[Measure]:
    """Return the main measures of a task."""
    return [one for one in measures if one.name.startswith(HEADLINES.get(task, ""))]


def write_entries(folder: Path, repo_id: str, evaluations: list[Evaluation]) -> None:
    """Write .eval_results/*.yaml, a file for each results.json on a dataset of the Hub.

    The Hub shows them with the model, and in the leaderboard of a dataset that has one. `task_id`
    is the name of the measure.
    """
    target = folder / ".eval_results"
    for stale in target.glob("cephalo-*.yaml"):
        stale.unlink()
    for evaluation in evaluations:
        if evaluation.on_hub:
            target.mkdir(exist_ok=True)
            name = re.sub(r"[^\w.]+", "-", evaluation.file.removesuffix(".json"))
            text = yaml_dump(eval_result_entries_to_yaml(entries(evaluation, repo_id)))
            write_whole(target / f"cephalo-{name}.yaml", text)


def entries(evaluation: Evaluation, repo_id: str) -> list[EvalResultEntry]:
    """Return the main measures of an evaluation for the Hub, each with its source."""
    place = [f"split {evaluation.split}", f"{evaluation.rows} rows"]
    place += [f"config {evaluation.config}"] if evaluation.config else []
    place += [f"where {evaluation.where}"] if evaluation.where else []
    return [
        EvalResultEntry(
            dataset_id=evaluation.dataset,
            task_id=one.name,
            value=one.value,
            dataset_revision=evaluation.revision,
            source_url=f"{constants.ENDPOINT}/{repo_id}/blob/main/{evaluation.file}",
            source_name="cephalo eval",
            notes=", ".join([*place, f"95 % interval {number(one.low)} to {number(one.high)}"]),
        )
        for one in headlines(evaluation.task, evaluation.measures)
        if one.value is not None
    ]


def number(value: float | None) -> str:
    """Format a number with four significant digits, or as a dash if undefined."""
    return "-" if value is None else f"{value:.4g}"
