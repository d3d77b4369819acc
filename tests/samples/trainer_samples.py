"""Rows and a trainer of them, as `cephalo train` makes them."""

from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, Features, IterableDataset
from transformers import AutoProcessor
from trl import SFTConfig

from cephalo.dataset_scripts.common.schema import CONVERSATIONS
from cephalo.train.encoding import encode_rows
from cephalo.train.packing import PackingCollator
from cephalo.train.rows import COLUMNS, named
from cephalo.train.trainer import PackedTrainer


def as_rows(talks: list[dict[str, Any]]) -> Dataset:
    """Named rows as `load_rows` gives them."""
    features = Features({name: CONVERSATIONS[name] for name in COLUMNS})
    return named(Dataset.from_list(talks, features=features), "lab/nacre train")


def make_trainer(
    model: Any, base: Path, out: Path, rows: Dataset, **settings: Any
) -> PackedTrainer:
    """A trainer of few steps on the CPU, all rows a step; `collator` are PackingCollator's."""
    processor = AutoProcessor.from_pretrained(base)
    options = settings.pop("collator", {})
    peft_config = settings.pop("peft_config", None)
    arguments = {
        "max_steps": 3,
        "learning_rate": 2e-3,
        "per_device_train_batch_size": len(rows),
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "bf16": False,
        "use_cpu": True,
        "activation_checkpointing": False,
        "remove_unused_columns": False,
        **settings,
    }
    return PackedTrainer(
        model=model,
        args=SFTConfig(output_dir=str(out), **arguments),
        train_dataset=encode_rows(rows, processor),
        processing_class=processor,
        data_collator=PackingCollator(processor.image_processor, **options),
        peft_config=peft_config,
    )


def make_stream_trainer(base: Path, out: Path, rows: IterableDataset, batch: int) -> PackedTrainer:
    """A trainer of a stream, read by a worker, whose batches can be looked at."""
    processor = AutoProcessor.from_pretrained(base)
    arguments = SFTConfig(
        output_dir=str(out),
        max_steps=4,
        per_device_train_batch_size=batch,
        dataloader_num_workers=1,
        report_to=[],
        bf16=False,
        use_cpu=True,
        remove_unused_columns=False,
    )
    return PackedTrainer(
        model=str(base),
        args=arguments,
        train_dataset=encode_rows(rows, processor),
        processing_class=processor,
        data_collator=PackingCollator(processor.image_processor),
    )


def losses(trainer: PackedTrainer) -> list[float]:
    """The losses that were logged."""
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def step_gradients(trainer: PackedTrainer) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Loss and gradients of the first batch, before any step."""
    [batch] = list(trainer.get_train_dataloader())
    trainer.accelerator.gradient_accumulation_steps = 1
    items = trainer._get_num_items_in_batch([batch], torch.device("cpu"))
    loss = trainer.training_step(trainer.model, batch, items)
    named = trainer.model.named_parameters()
    return loss, {name: own.grad for name, own in named if own.grad is not None}
