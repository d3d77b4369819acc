"""What a training run tells: the parts that train, the card, the push of the final model."""

from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi

from cephalo.cli.errors import CephaloError
from cephalo.model_cards.model_card import ModelFacts, model_card
from cephalo.model_cards.upload import push_folder

LIBRARIES = ("cephalo", "torch", "transformers", "trl", "peft", "datasets")

# What a model's folder on the Hub holds. Checkpoints, optimizer states, pickled arguments and what
# tells of this machine stay here.
PUSHED = (
    "README.md",
    "*.safetensors",
    "*.safetensors.index.json",
    "config.json",
    "generation_config.json",
    "adapter_config.json",
    "*processor_config.json",
    "chat_template.jinja",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
)


def trained_parts(model: Any) -> str:
    """A line that says which parts of a model train, and how many parameters they have."""
    parts: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            part = ".".join(name.removeprefix("base_model.model.").split(".")[:2])
            parts[part] = parts.get(part, 0) + parameter.numel()
    if not parts:
        raise CephaloError("nothing trains: every parameter is frozen; look at the LoRA settings")
    total = sum(parameter.numel() for parameter in model.parameters())
    listed = ", ".join(f"{part} {count:,}" for part, count in parts.items())
    return f"training {sum(parts.values()):,} of {total:,} parameters: {listed}"


def model_facts(
    trainer: Any, eval_loss: float | None, script_args: Any, model_args: Any
) -> ModelFacts:
    """What the model card tells of this run.

    The training loss is the last one logged: unlike the trainer's mean it is the same for a run
    that was stopped and went on.
    """
    arguments, dataset = trainer.args, Path(script_args.dataset_name)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    parameters = dict(trainer.model.named_parameters())
    return ModelFacts(
        repo_id=arguments.hub_model_id or Path(arguments.output_dir).name,
        base_model=None if script_args.tiny_base else model_args.model_name_or_path,
        relation="adapter" if model_args.use_peft else "finetune",
        # A folder's name, never its path, which would tell of the machine.
        dataset=dataset.name if dataset.exists() else script_args.dataset_name,
        dataset_config=script_args.dataset_config,
        dataset_revision=script_args.dataset_revision,
        rows=len(trainer.train_dataset),
        parameters=sum(parameter.numel() for parameter in parameters.values()),
        trained_parameters=sum(
            parameter.numel() for parameter in parameters.values() if parameter.requires_grad
        ),
        settings=changed_settings(arguments),
        steps=trainer.state.global_step,
        train_loss=losses[-1] if losses else None,
        eval_loss=eval_loss,
        versions={name: version(name) for name in LIBRARIES},
        random_weights=script_args.tiny_base,
    )


def changed_settings(arguments: Any) -> dict[str, Any]:
    """The plain settings of an SFTConfig that differ from its defaults; no paths, no tokens."""
    hidden = {"output_dir", "logging_dir", "hub_token", "hub_model_id", "push_to_hub"}
    hidden |= {"gradient_checkpointing", "ddp_find_unused_parameters"}  # set by TRL itself
    defaults = type(arguments)(output_dir="defaults", use_cpu=arguments.use_cpu)
    settings = {}
    for name in (item.name for item in fields(arguments) if item.name not in hidden):
        value = getattr(arguments, name)
        value = getattr(value, "value", value)  # of an enum
        default = getattr(defaults, name)
        if isinstance(value, bool | int | float | str) and value != default:
            settings[name] = value
    return settings


def write_card(folder: Path, facts: ModelFacts) -> None:
    """Write README.md into `folder`, whole."""
    aside = folder / "README.md.partial"
    aside.write_text(str(model_card(facts)), encoding="utf-8")
    aside.rename(folder / "README.md")


def push_model(api: HfApi, folder: Path, training_args: Any) -> str:
    """Push the final model, its processor and its card; return a line that says where."""
    revision = push_folder(
        api,
        folder,
        training_args.hub_model_id,
        repo_type="model",
        private=bool(training_args.hub_private_repo),
        files=sorted({path.name for pattern in PUSHED for path in folder.glob(pattern)}),
        message="Train with Cephalo",
    )
    return f"pushed {api.endpoint}/{training_args.hub_model_id} at {revision}"
