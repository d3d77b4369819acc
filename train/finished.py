"""Record a run in its folder: model, data and settings, and whether it is finished."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import write_whole
from cephalo.cli.json_files import Json, parse_object, read_object

if TYPE_CHECKING:
    from transformers import TrainerState

    from cephalo.train.arguments import BaseSettings, CephaloArguments, TrainingSettings


# Settings of storage, speed and logging, which do not affect the resulting model.
IMMATERIAL = ("output_dir", "hub_", "push_", "logging_", "log_", "report_to", "run_name")
IMMATERIAL += ("dataloader_", "disable_tqdm", "project", "trackio", "epoch_models", "feature_cache")


def settings_of(
    script_args: "CephaloArguments", training_args: "TrainingSettings", model_args: "BaseSettings"
) -> dict[str, Json]:
    """Return the arguments that determine the resulting model, as JSON."""
    given = asdict(script_args) | asdict(model_args) | training_args.to_dict()
    deciding = {name: value for name, value in given.items() if not name.startswith(IMMATERIAL)}
    return json.loads(json.dumps(deciding, default=str))


def keep_run(folder: Path, script_args: "CephaloArguments", model_args: "BaseSettings") -> None:
    """Record the model, data and settings in `folder`, so that another run does not resume there.

    The record of a failed run without a checkpoint or model is replaced, any other is unchanged:
    all processes of a run call this at once. Raises CephaloError if `folder` contains the
    checkpoints of another model or dataset.
    """
    run = {
        "model": model_args.model_name_or_path,
        "model_revision": model_args.model_revision,
        "dataset": script_args.dataset_name,
        "dataset_config": script_args.dataset_config,
        "dataset_revision": script_args.dataset_revision,
        "where": script_args.where,
    }
    path = folder / "run.json"
    if path.exists():
        earlier = read_object(path, "remove it if the folder holds nothing of worth")
        changed = [key for key in run if run[key] != earlier.get(key)]
        if not changed:
            return
        models = (folder / name for name in ("config.json", "adapter_config.json"))
        if last_whole_checkpoint(str(folder)) or any(model.exists() for model in models):
            key = changed[0]
            raise CephaloError(
                f"{folder} contains a run with {key} {earlier.get(key)}, this one has {run[key]}; "
                "give another --output_dir"
            )
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(run, indent=2))


def keep_finished(folder: Path, settings: dict[str, Json]) -> None:
    """Record that a run with these settings is finished."""
    path = folder / "run.json"
    run = read_object(path, "run again")
    write_whole(path, json.dumps(run | {"finished": settings}, indent=2))


def is_finished(folder: Path, settings: dict[str, Json]) -> bool:
    """Return whether a run with these settings is finished in `folder`, and its model exists."""
    try:
        run = read_object(folder / "run.json", "remove it to train again")
    except FileNotFoundError:
        return False
    return run.get("finished") == settings and any(folder.glob("*.safetensors"))


def last_whole_checkpoint(output_dir: str) -> str | None:
    """Return the newest complete checkpoint; the trainer's state is written last."""
    for path in newest_checkpoints(output_dir):
        if unreadable(path) is None:
            return str(path)
    return None


def passed_over(output_dir: str) -> list[str]:
    """Return one line for each checkpoint newer than the last complete one: its name and its
    problem."""
    lines = []
    for path in newest_checkpoints(output_dir):
        if (problem := unreadable(path)) is None:
            break
        lines.append(f"passed over {path.name}, which is not complete: {problem}")
    return lines


def newest_checkpoints(output_dir: str) -> list[Path]:
    """Return the folders of checkpoints, the newest first."""
    named = {
        int(name): path
        for path in Path(output_dir).glob("checkpoint-*")
        if (name := path.name.removeprefix("checkpoint-")).isdecimal()
    }
    return [path for _, path in sorted(named.items(), reverse=True)]


def unreadable(checkpoint: Path) -> str | None:
    """Return why training cannot resume from a checkpoint, or None if it can."""
    try:
        read_state(checkpoint)
    except FileNotFoundError:
        return "it has no trainer_state.json"
    except (OSError, ValueError) as error:
        return f"trainer_state.json: {error}"
    return None


def read_state(checkpoint: Path) -> "TrainerState":
    """Read the state of a checkpoint. Raises OSError or ValueError if the checkpoint is
    incomplete."""
    from transformers import TrainerState

    try:
        fields: dict[str, Any] = parse_object((checkpoint / "trainer_state.json").read_bytes())
        state = TrainerState(**fields)
    except TypeError as error:  # unknown fields
        raise ValueError(str(error)) from error
    steps, log = state.global_step, state.log_history
    if type(steps) is not int or steps < 0 or not isinstance(log, list):
        raise ValueError("no steps or no log")
    return state
