"""Record a run in its folder: model, data and settings, and whether it is finished."""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from math import prod
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import write_whole
from cephalo.cli.json_files import parse_object, read_object

if TYPE_CHECKING:
    from transformers import TrainerState

    from cephalo.train.arguments import BaseSettings, CephaloArguments, TrainingSettings

logger = logging.getLogger(__name__)

RECORD = "run.json"
LONGEST_VALUE = 100  # characters of a setting in a message
MOST_NAMED = 6  # settings in a message
# Settings of storage, speed and logging, by the beginning of their names. They do not affect the
# resulting model, or by rounding only: how rows are packed, what is recomputed, where it runs. An
# interrupted run may go on with other ones, for instance after memory did not suffice. Any other
# setting may affect it.
IMMATERIAL = ("output_dir", "hub_", "push_", "logging_", "log_", "report_to", "run_name", "project")
IMMATERIAL += ("trackio", "disable_tqdm", "debug", "skip_memory_metrics", "epoch_models", "save_")
IMMATERIAL += ("dataloader_num", "dataloader_pin", "dataloader_persistent", "dataloader_prefetch")
IMMATERIAL += ("dataset_num_proc", "max_broken_rows", "feature_cache")
IMMATERIAL += ("batch_tokens", "batch_tiles")
IMMATERIAL += ("activation_", "gradient_checkpointing", "attn_implementation", "use_cpu", "ddp_")
IMMATERIAL += ("torch_empty_cache_steps", "local_rank", "resume_from_checkpoint")
# Their product is the number of rows per step, which alone affects the model.
PER_STEP = ("per_device_train_batch_size", "gradient_accumulation_steps", "processes")
LENGTH = ("num_train_epochs", "max_steps")
# The name of a setting in the record, and its name as an argument.
IDENTITY = {
    "model": "model_name_or_path",
    "model_revision": "model_revision",
    "dataset": "dataset_name",
    "dataset_config": "dataset_config",
    "dataset_revision": "dataset_revision",
    "where": "where",
}

Record = dict[str, Any]


def record_of(
    script_args: "CephaloArguments", training_args: "TrainingSettings", model_args: "BaseSettings"
) -> Record:
    """Return the record of a run: model, data, and the settings that may affect the resulting
    model, as JSON."""
    given = asdict(script_args) | asdict(model_args) | training_args.to_dict()
    given["processes"] = training_args.world_size * max(1, training_args.n_gpu)
    record: Record = {name: given.pop(argument) for name, argument in IDENTITY.items()}
    record["settings"] = {
        name: value for name, value in given.items() if not name.startswith(IMMATERIAL)
    }
    return json.loads(json.dumps(record, default=str))


def read_record(folder: Path) -> Record | None:
    """Return the record of the run in `folder`, or None if there is none.

    Earlier versions recorded the settings when the run was finished, as `finished`.
    """
    try:
        record = read_object(
            folder / RECORD, "remove it if you do not need the content of the folder"
        )
    except FileNotFoundError:
        return None
    if isinstance(record.get("finished"), dict):
        record |= {"settings": record["finished"], "finished": True}
    return record


def is_finished(folder: Path, record: Record) -> bool:
    """Return whether the run of `record` is finished in `folder`, and its model exists.

    Raises CephaloError if `folder` contains a model or complete checkpoints of another run: with
    other settings it would continue training from them, or keep them as its own result.
    """
    earlier = read_record(folder)
    if not has_results(folder):
        return False
    if earlier is None:
        raise CephaloError(
            f"{folder} contains a model or checkpoints without the settings of their run "
            f"({RECORD}); give another --output_dir"
        )
    finished = bool(earlier.get("finished")) and any(folder.glob("*.safetensors"))
    if changed := differences(earlier, record, finished):
        name, old, new = changed[0]
        others = ", ".join(pair[0] for pair in changed[1:MOST_NAMED])
        further = (
            f", with --model_name_or_path {folder} to train its model further"
            if finished and name in LENGTH
            else ""
        )
        raise CephaloError(
            f"{folder} contains a run with {name} {brief(old)}, this one has {brief(new)}"
            f"{f' (also differ: {others})' if others else ''}; "
            f"give another --output_dir{further}, or {name} {brief(old)} as before"
        )
    return finished


def has_results(folder: Path) -> bool:
    """Return whether `folder` contains a model or a complete checkpoint."""
    models = (folder / name for name in ("config.json", "adapter_config.json"))
    return last_whole_checkpoint(str(folder)) is not None or any(path.exists() for path in models)


def differences(earlier: Record, record: Record, finished: bool) -> list[tuple[str, Any, Any]]:
    """Return the settings in which two records differ, with both values.

    Settings that only one of them has are not compared: another version of a library wrote it. With
    another number of processes, a run that is not finished has other steps.
    """
    pairs = [(name, earlier.get(name), record[name]) for name in IDENTITY]
    old, new = earlier.get("settings"), record["settings"]
    if isinstance(old, dict):
        counted = PER_STEP[:-1] if finished else PER_STEP
        same = rows_per_step(old, counted) == rows_per_step(new, counted)
        ignored = PER_STEP if same else set(PER_STEP) - set(counted)
        both = [name for name in new if name in old and name not in ignored]
        pairs += [(name, old[name], new[name]) for name in both]
    return [pair for pair in pairs if pair[1] != pair[2]]


def rows_per_step(settings: dict[str, Any], counted: Sequence[str]) -> Any:
    """Return the product of some settings of PER_STEP, or None if they are not numbers."""
    values = [settings.get(name, 1) for name in counted]
    return prod(values) if all(isinstance(value, int) for value in values) else None


def brief(value: Any) -> str:
    """Format a setting as in a YAML file, of bounded length."""
    text = value if isinstance(value, str) else json.dumps(value)
    return shorten(text, LONGEST_VALUE, placeholder="…")


def keep_run(folder: Path, record: Record) -> None:
    """Record a run in `folder`, so that another run does not resume there.

    The record of a failed run without a checkpoint or model is replaced, that of an interrupted one
    stays unless it lacks settings: all processes of a run call this at once. Raises CephaloError if
    `folder` contains the model or checkpoints of another run.
    """
    is_finished(folder, record)
    earlier = read_record(folder)
    if earlier and has_results(folder):
        if "settings" in earlier:
            return
        logger.warning(
            f"{folder} does not record the settings of its run, which an earlier version started; "
            "it continues with the present settings"
        )
    if earlier == record:
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / RECORD, json.dumps(record, indent=2))


def keep_finished(folder: Path) -> None:
    """Record that the run in `folder` is finished."""
    run = read_object(folder / RECORD, "run again")
    write_whole(folder / RECORD, json.dumps(run | {"finished": True}, indent=2))


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
        lines.append(f"skipped {path.name}, which is incomplete: {problem}")
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
