"""Report a training run: the card, the loss plot, and the push of the final model."""

from collections.abc import Sized
from contextlib import suppress
from dataclasses import fields, replace
from importlib.metadata import version
from pathlib import Path
from platform import machine
from typing import TYPE_CHECKING

from huggingface_hub import HfApi, try_to_load_from_cache

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import replacing
from cephalo.model_cards import push
from cephalo.model_cards.model_card import ModelFacts, Training, read_facts, write_card
from cephalo.model_cards.model_folder import hub_id
from cephalo.train.finished import read_state
from cephalo.train.freezing import trained_parts

if TYPE_CHECKING:
    from transformers import TrainerState

    from cephalo.train.arguments import BaseSettings, CephaloArguments, TrainingSettings
    from cephalo.train.trainer import PackedTrainer


LIBRARIES = ("cephalo", "torch", "transformers", "trl", "peft", "datasets")


def check_base(script_args: "CephaloArguments", model_args: "BaseSettings") -> None:
    """Raise CephaloError if an adapter would be pushed whose base is not on the Hub."""
    adapter = model_args.use_peft and not script_args.merge_adapter
    base = model_args.model_name_or_path
    if adapter and (script_args.tiny_base or hub_id(base) is None):
        raise CephaloError(
            f"others cannot load an adapter of the local folder {base}; push that first with "
            "`cephalo push`, or set merge_adapter: true"
        )


def model_facts(
    trainer: "PackedTrainer",
    eval_loss: float | None,
    script_args: "CephaloArguments",
    model_args: "BaseSettings",
) -> ModelFacts:
    """Return the facts about this run for the model card.

    The training loss is the last one logged: unlike the trainer's mean it is the same for a resumed
    run.
    """
    arguments, dataset = trainer.args, Path(script_args.dataset_name)
    adapter = model_args.use_peft and not script_args.merge_adapter
    bases, folder = ([], None) if script_args.tiny_base else bases_of(model_args, adapter)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    parameters = dict(trainer.model.named_parameters())
    training = Training(
        base_folder=folder,
        base_revision=cached_commit(model_args),
        # A folder's name, never its path, which would reveal details of the machine.
        dataset=dataset.resolve().name if dataset.exists() else script_args.dataset_name,
        dataset_config=script_args.dataset_config,
        dataset_revision=script_args.dataset_revision,
        where=script_args.where,
        rows=len(trainer.train_dataset) if isinstance(trainer.train_dataset, Sized) else None,
        steps=trainer.state.global_step,
        trained_parameters=sum(
            parameter.numel() for parameter in parameters.values() if parameter.requires_grad
        ),
        trained=trained_parts(trainer.model).partition(": ")[2],
        train_loss=losses[-1] if losses else None,
        eval_loss=eval_loss,
        settings=changed_settings(arguments),
        hardware=hardware(arguments.world_size),
        versions={name: version(name) for name in LIBRARIES},
    )
    return ModelFacts(
        repo_id=arguments.hub_model_id or Path(arguments.output_dir).resolve().name,
        model_type=trainer.model.config.model_type,
        parameters=sum(parameter.numel() for parameter in parameters.values()),
        base_models=bases,
        relation="adapter" if adapter else "finetune",
        random_weights=script_args.tiny_base,
        training=training,
    )


def bases_of(model_args: "BaseSettings", adapter: bool) -> tuple[list[str], str | None]:
    """Return the Hub ids of the base, and the name of its folder if it is not on the Hub.

    For a local folder, such as a merge, these are the bases in its card. An adapter does not fit
    them, so it has none.
    """
    name = model_args.model_name_or_path
    if base := hub_id(name):
        return [base], None
    bases: list[str] = []
    if Path(name).is_dir() and not adapter:
        with suppress(CephaloError):  # a damaged card must not lose a finished run
            bases = read_facts(Path(name)).base_models
    return bases, Path(name).resolve().name


def cached_commit(model_args: "BaseSettings") -> str | None:
    """Return the commit of the base in the Hub's cache, or None for a folder."""
    name, revision = model_args.model_name_or_path, model_args.model_revision
    if Path(name).is_dir() or hub_id(name) is None:
        return None
    path = try_to_load_from_cache(name, "config.json", revision=revision)
    return Path(path).parent.name if isinstance(path, str) else None


def hardware(processes: int) -> str:
    """Return the hardware of a run's processes, such as "2 x NVIDIA H200"."""
    import torch

    name = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {machine()}"
    return f"{processes} x {name}" if processes > 1 else name


def changed_settings(arguments: "TrainingSettings") -> dict[str, object]:
    """Return the plain settings of an SFTConfig that differ from its defaults; no paths, no
    tokens."""
    hidden = {"output_dir", "logging_dir", "hub_token", "hub_model_id", "push_to_hub"}
    hidden |= {"gradient_checkpointing", "ddp_find_unused_parameters"}  # set by TRL itself
    defaults = type(arguments)(output_dir="defaults", use_cpu=arguments.use_cpu)
    settings = {}
    for name in (item.name for item in fields(arguments) if item.name not in hidden):
        value = getattr(arguments, name)
        value = getattr(value, "value", value)  # of an enum
        default = getattr(defaults, name)
        plain = isinstance(value, bool | int | float | str)
        path = isinstance(value, str) and Path(value).is_absolute()
        if plain and not path and value != default:
            settings[name] = value
    return settings


def plot_losses(history: list[dict[str, float]], path: Path) -> None:
    """Plot the logged training and validation losses over the steps."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    for key, label, style in (("loss", "training", "-"), ("eval_loss", "validation", "o--")):
        if points := [(entry["step"], entry[key]) for entry in history if key in entry]:
            axes.plot(*zip(*points, strict=True), style, label=label)
    if not axes.lines:
        return
    axes.set(xlabel="step", ylabel="loss on answers")
    axes.legend()
    with replacing(path) as aside:
        FigureCanvasAgg(figure).print_png(aside)


def push_model(
    api: HfApi,
    folder: Path,
    repo_id: str,
    training_args: "TrainingSettings",
    revision: str | None = None,
) -> str:
    """Push the model, processor and card of `folder`; return a line with the address.

    `revision` names a branch, created if it is missing.
    """
    sha = push.push_model(
        api,
        folder,
        repo_id,
        private=bool(training_args.hub_private_repo),
        message="Train with Cephalo",
        revision=revision,
    )
    return f"pushed {api.endpoint}/{repo_id} at {sha}"


def push_epoch(
    api: HfApi, facts: ModelFacts, epoch: int, repo_id: str, training_args: "TrainingSettings"
) -> str:
    """Push the model after `epoch` as the repository `repo_id`, and as the branch epoch-N of the
    run's own repository. Returns a line with the addresses.

    Raises CephaloError if there is no checkpoint of that epoch.
    """
    folder, state = epoch_checkpoint(Path(training_args.output_dir), epoch)
    losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
    assert facts.training is not None
    training = replace(
        facts.training,
        steps=state.global_step,
        train_loss=losses[-1] if losses else None,
        eval_loss=None,
    )
    write_card(folder, replace(facts, repo_id=repo_id, training=training))
    push_model(api, folder, training_args.hub_model_id, training_args, f"epoch-{epoch}")
    return push_model(api, folder, repo_id, training_args)


def epoch_checkpoint(output_dir: Path, epoch: int) -> "tuple[Path, TrainerState]":
    """Return the checkpoint written at the end of `epoch`, and its trainer state.

    Raises CephaloError if there is none.
    """
    for folder in output_dir.glob("checkpoint-*"):
        with suppress(OSError, ValueError):
            state = read_state(folder)
            if isinstance(state.epoch, int | float) and round(state.epoch, 6) == epoch:
                return folder, state
    raise CephaloError(
        f"{output_dir} has no checkpoint of epoch {epoch}; set save_strategy: epoch, enough "
        "num_train_epochs and no save_total_limit"
    )
