"""`cephalo train`: supervised fine-tuning of a vision-language model with TRL's SFTTrainer."""

# Untyped or partially typed: datasets, huggingface_hub, peft, safetensors, transformers and trl.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportMissingTypeStubs=false, reportPrivateImportUsage=false

import logging
import shutil
from contextlib import nullcontext
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar, cast

import typer
from safetensors import SafetensorError

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import check_outside, locked, locked_name, written_aside
from cephalo.model_cards.hub_names import check_repo_id
from cephalo.model_cards.model_card import read_facts, write_card
from cephalo.model_cards.model_folder import LOSS_PLOT
from cephalo.model_cards.upload import hub_api
from cephalo.train.encoding import encode_rows, tell_oversized
from cephalo.train.finished import (
    is_finished,
    keep_finished,
    keep_run,
    last_whole_checkpoint,
    passed_over,
    record_of,
)
from cephalo.train.freezing import freeze, trained_parts
from cephalo.train.help import CONFIGS, epilog, shipped
from cephalo.train.report import check_base, model_facts, plot_losses, push_epoch, push_model
from cephalo.train.rights import check_publishable, model_license, read_rights
from cephalo.train.rows import (
    answers_apart,
    dataset_revision,
    load_rows,
    message_texts,
    without_special_tokens,
)
from cephalo.train.values import check_installed, make_savable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datasets import Dataset, IterableDataset
    from huggingface_hub import HfApi
    from peft import LoraConfig
    from transformers import BaseImageProcessor, PreTrainedConfig

    from cephalo.train.arguments import BaseSettings, CephaloArguments, TrainingSettings
    from cephalo.train.rows import Message
    from cephalo.train.trainer import PackedTrainer
    from modeling_cephalo.annotations import Processor

logger = logging.getLogger(__name__)

A = TypeVar("A")

app = typer.Typer(rich_markup_mode=None, add_completion=False)

# Messages of safetensors and torch's writer about a failed write.
FULL_DISK = ("No space left", "failed writing file", "inline_container", "iostream error")


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, epilog=epilog()
)
def train(
    context: typer.Context,
    config: Annotated[
        str, typer.Option(help="YAML file, or the name of a shipped one such as tiny.yaml.")
    ],
) -> None:
    """Fine-tune a model on image, prompt and completion rows; save it, with a card, and push it.

    The YAML file holds the fields of TRL's ScriptArguments, SFTConfig and ModelConfig, as for `trl
    sft`; each can also be given as --field VALUE. An interrupted run resumes from the last complete
    checkpoint in output_dir when the same command is given again.

    \b
    Example:
      cephalo train --config tiny.yaml --dataset_name my-lab/nacre-figures \\
        --output_dir runs/nacre --push_to_hub --hub_model_id my-lab/nacre-tiny
      accelerate launch --config_file train/accelerate_configs/fsdp2.yaml -m cephalo.cli.main \\
        train --config idefics2-10b.yaml --dataset_name my-lab/figures --feature_cache_gb 0
    """
    path = find_config(config)
    from cephalo.train.arguments import parse_arguments  # imports torch, which takes seconds

    script_args, training_args, model_args = parse_arguments(path, context.args)
    try:
        run_training(script_args, training_args, model_args)
    except (SafetensorError, RuntimeError) as error:
        # Native code writes weights and optimizer states; its errors are not OSErrors.
        if not any(words in str(error) for words in FULL_DISK):
            raise
        folder = Path(training_args.output_dir)
        raise CephaloError(
            f"the disk of {folder} is full; free disk space, then the same command resumes "
            f"from the last complete checkpoint{checkpoint_size(folder)}"
        ) from error


def checkpoint_size(folder: Path) -> str:
    """Format the size of a checkpoint in `folder`, and the free space; "" without one."""
    if (last := last_whole_checkpoint(str(folder))) is None:
        return ""
    size = sum(path.stat().st_size for path in Path(last).rglob("*") if path.is_file())
    free = shutil.disk_usage(folder).free
    return f" (one takes {size / 1e9:.3g} GB, {free / 1e9:.3g} GB are free)"


def find_config(config: str) -> Path:
    """Return the file `config`, or the packaged one of that name.

    Raises CephaloError if there is neither.
    """
    for path in (Path(config), CONFIGS / config):
        if path.is_file():
            return path
    raise CephaloError(f"no config {config}; give a YAML file or one of: {', '.join(shipped())}")


def run_training(
    script_args: "CephaloArguments", training_args: "TrainingSettings", model_args: "BaseSettings"
) -> None:
    """Train, save with a card, and push if `push_to_hub` is set; skip what is finished.

    The arguments are not changed. Raises CephaloError before any work if the push could not succeed
    or the dataset cannot be trained on.
    """
    api = writing_api(script_args, training_args, model_args)
    check_arguments(script_args, training_args, model_args)
    script_args = changed(script_args, dataset_revision=dataset_revision(script_args))
    # The trainer would push every checkpoint with its optimizer state; only the final model is
    # pushed, in one commit.
    training_args = changed(training_args, push_to_hub=False)
    rights = read_rights(script_args)
    if api:
        check_publishable(api, rights, training_args)
    record = record_of(script_args, training_args, model_args)
    folder = Path(training_args.output_dir)
    # One process locks the folder for all of them.
    main_process = training_args.process_index == 0
    with locked(folder) if main_process else nullcontext():
        if is_finished(folder, record):
            if main_process:
                print(f"{folder} is finished: trained before with these settings; nothing changed")
        else:
            train_model(script_args, training_args, model_args, api, model_license(rights))
            if main_process:
                keep_finished(folder)
                print(f"saved {folder}")
        if api and main_process:
            print(push_model(api, folder, training_args.hub_model_id, training_args))
            for epoch, name in enumerate(script_args.epoch_models, start=1):
                print(push_epoch(api, read_facts(folder), epoch, name, training_args))


def changed(arguments: A, **values: object) -> A:
    """Copy an argument object with other values, which are not validated again."""
    copied = copy(arguments)
    for name, value in values.items():
        setattr(copied, name, value)
    return copied


def writing_api(
    script_args: "CephaloArguments", training_args: "TrainingSettings", model_args: "BaseSettings"
) -> "HfApi | None":
    """Return the client for pushes, or None if nothing is pushed.

    Raises CephaloError for names that the Hub does not accept, for a base that it does not have,
    and without a token.
    """
    if not training_args.push_to_hub:
        return None
    for name in (training_args.hub_model_id or "", *script_args.epoch_models):
        check_repo_id(name)
    check_base(script_args, model_args)
    return hub_api(training_args.hub_token)


def check_arguments(
    script_args: "CephaloArguments", training_args: "TrainingSettings", model_args: "BaseSettings"
) -> None:
    """Raise CephaloError for missing packages, and for folders that conflict."""
    check_installed(training_args, model_args)
    read = (script_args.dataset_name, script_args.text_dataset_name, model_args.model_name_or_path)
    check_outside(Path(training_args.output_dir), filter(None, read), "output_dir")
    if training_args.resume_from_checkpoint:
        raise CephaloError(
            "resume_from_checkpoint: leave it out; a run resumes by itself from the last "
            "complete checkpoint in output_dir"
        )


def train_model(
    script_args: "CephaloArguments",
    training_args: "TrainingSettings",
    model_args: "BaseSettings",
    api: "HfApi | None",
    license: str,
) -> None:
    """Train, and save the model with its card, which states `license`; `api` pushes checkpoints
    meanwhile.

    Raises CephaloError if the dataset cannot be trained on.
    """
    from modeling_cephalo.checkpoint import (
        check_values,
        check_weights,
        check_whole,
        local_folder,
        read_config,
        read_processor,
    )

    folder = Path(training_args.output_dir)
    # The other processes read what one process writes.
    with training_args.main_process_first(desc="reading rows"):
        data = load_rows(script_args)
        keep_run(folder, record_of(script_args, training_args, model_args))
        if script_args.tiny_base:
            make_base(Path(model_args.model_name_or_path), data["train"])
        base = local_folder(model_args.model_name_or_path, model_args.model_revision)
        check_whole(base, model_args.model_name_or_path)
        if training_args.local_process_index == 0:
            check_weights(base, trust_remote_code=training_args.trust_remote_code)
        config = read_config(base, model_args.attn_implementation, training_args.trust_remote_code)
        processor = read_processor(base, config, training_args.trust_remote_code)
        set_splitting(processor.image_processor, script_args.split_images)
        data = {
            split: encode_rows(
                answers_apart(without_special_tokens(rows, processor), processor),
                processor,
                max_length=length_limit(training_args, config),
                max_image_edge=script_args.max_image_edge,
                max_broken_rows=script_args.max_broken_rows,
                workers=training_args.dataloader_num_workers,
            )
            for split, rows in data.items()
        }
    trainer = make_trainer(script_args, training_args, model_args, config, processor, data)
    main_process = trainer.accelerator.is_main_process
    if main_process:
        tell_oversized(data["train"], script_args.batch_tokens, processor.image_processor)
    checkpoints = None
    if api and script_args.push_checkpoints and main_process:
        from cephalo.train.pushing import CheckpointPusher

        checkpoints = CheckpointPusher(api, training_args)
        trainer.add_callback(checkpoints)
    if main_process:
        for line in passed_over(training_args.output_dir):
            logger.warning(line)
    trainer.train(resume_from_checkpoint=last_whole_checkpoint(training_args.output_dir))
    eval_loss = trainer.evaluate()["eval_loss"] if "validation" in data else None
    facts = model_facts(trainer, eval_loss, script_args, model_args)
    save(trainer, script_args.merge_adapter)
    if main_process:
        check_values(folder)
        plot_losses(trainer.state.log_history, folder / LOSS_PLOT)
        write_card(folder, replace(facts, license=license))
        if checkpoints:
            checkpoints.finish()


def length_limit(training_args: "TrainingSettings", config: "PreTrainedConfig") -> int:
    """Return the maximum length of a row in tokens: the smaller of max_length and the model's
    limit."""
    readable = config.get_text_config().max_position_embeddings
    return min(training_args.max_length or readable, readable)


def make_trainer(
    script_args: "CephaloArguments",
    training_args: "TrainingSettings",
    model_args: "BaseSettings",
    config: "PreTrainedConfig",
    processor: "Processor",
    data: "dict[str, Dataset | IterableDataset]",
) -> "PackedTrainer":
    """Create the trainer of a run, with frozen parts.

    Raises CephaloError if nothing trains.
    """
    from trl import get_peft_config, get_quantization_config

    from cephalo.train.families import family_of, image_settings, why_unpacked
    from cephalo.train.packing import PackingCollator, long_context
    from cephalo.train.trainer import PackedTrainer

    collator = PackingCollator(
        processor.image_processor,
        family=family_of(config),
        image_settings=image_settings(processor),
        max_image_edge=script_args.max_image_edge,
        max_tokens=script_args.batch_tokens,
        max_tiles=script_args.batch_tiles,
        long_after=long_context(config),
    )
    others = cast("dict[str, object] | None", training_args.model_init_kwargs)  # parsed by trl
    loading = {
        "revision": model_args.model_revision,
        "trust_remote_code": training_args.trust_remote_code,
        "attn_implementation": model_args.attn_implementation,
        "dtype": model_args.dtype,
        "config": config,
        **(others or {}),
    }
    try:
        adapter = cast("LoraConfig | None", get_peft_config(model_args))
        if adapter and str(adapter.target_modules).isidentifier():
            # A lone name, to peft a pattern; it takes sets, which it does not declare.
            setattr(adapter, "target_modules", {str(adapter.target_modules)})  # noqa: B010
        trainer = PackedTrainer(
            model=model_args.model_name_or_path,
            # The collator uses the columns that the model does not know.
            args=changed(training_args, remove_unused_columns=False, model_init_kwargs=loading),
            train_dataset=data["train"],
            eval_dataset=data.get("validation"),
            processing_class=processor,
            data_collator=collator,
            quantization_config=get_quantization_config(model_args),
            peft_config=adapter,
        )
        trainer.get_optimizer_cls_and_kwargs(trainer.args, trainer.model)  # its name and arguments
    except (ValueError, ImportError) as error:  # of settings
        said = " ".join(str(error).split())
        if "arget modules" not in said:  # peft's message if it finds none
            raise CephaloError(f"these settings cannot train: {said}") from error
        raise CephaloError(
            f"lora_target_modules {model_args.lora_target_modules}: the model has no such parts; "
            "give names of its linear layers, such as q_proj v_proj"
        ) from error
    del loading["config"]  # the trainer's reports write the rest as JSON
    make_savable(trainer.plain_model.generation_config)
    freeze(trainer.model, script_args.freeze_parts, script_args.train_last_layers)
    line = trained_parts(trainer.model)
    if trainer.accelerator.is_main_process:
        logger.info(line)
        if slower := why_unpacked(config):
            logger.warning(slower)
    if script_args.feature_cache_gb:
        trainer.keep_features(
            Path(training_args.output_dir) / "features", script_args.feature_cache_gb
        )
    return trainer


def set_splitting(image_processor: "BaseImageProcessor", split: bool | None) -> None:
    """Set whether images are split into tiles, which is saved with the model; None changes nothing.

    Raises CephaloError for a processor without this setting.
    """
    if split is None:
        return
    if not hasattr(image_processor, "do_image_splitting"):
        raise CephaloError(
            f"split_images: {type(image_processor).__name__} of this model has no such setting; "
            "leave it out, or set max_image_edge"
        )
    setattr(image_processor, "do_image_splitting", split)  # noqa: B010 - not declared


def save(trainer: "PackedTrainer", merge_adapter: bool) -> None:
    """Save the final model and its processor to output_dir, with the adapter alone or merged."""
    if not merge_adapter:
        trainer.save_model(trainer.args.output_dir)
    elif trainer.accelerator.is_main_process:
        merged = trainer.accelerator.unwrap_model(trainer.model).merge_and_unload()
        merged.save_pretrained(trainer.args.output_dir)
        assert trainer.processing_class is not None
        trainer.processing_class.save_pretrained(trainer.args.output_dir)


def make_base(folder: Path, rows: "Dataset | IterableDataset") -> None:
    """Create the tiny base in `folder` unless it is complete."""
    from modeling_cephalo.tiny import make_tiny_idefics2

    columns = ["prompt", "completion"]
    texts = (
        text
        for row in cast("Iterable[dict[str, list[Message]]]", rows.select_columns(columns))
        for column in columns
        for text in message_texts(row[column])
    )
    # Several runs may start with the same base: the first creates it.
    with locked_name(folder, wait=True):
        if not (folder / "config.json").exists():
            with written_aside(folder) as aside:
                make_tiny_idefics2(aside, texts)
