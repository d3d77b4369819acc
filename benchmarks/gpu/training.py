"""Trainers of `cephalo train` and of TRL on one base, and the measurement of their steps."""

import gc
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, Image, List
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.utils import is_flash_attn_2_available
from trl import SFTConfig, SFTTrainer, get_peft_config

from benchmarks.gpu.machine import installed
from benchmarks.gpu.plan import Scale
from benchmarks.train_models import make_rows
from cephalo.series.tiny import CPU
from cephalo.train.arguments import parse_arguments
from cephalo.train.encoding import encode_rows
from cephalo.train.sft import find_config, make_trainer
from cephalo.train.trainer import PackedTrainer
from modeling_cephalo.checkpoint import read_config, read_processor

BATCH, TINY_BATCH = 8, 3  # rows per step; 8 is TRL's default
ENDLESS = 10**6  # steps: the measurement ends by time
ONE_EPOCH = 100  # times that rows are repeated, so that no measurement of TRL reaches the end
WARM_EPOCHS = 1  # in which kernels are chosen, and features are stored
# How a shipped train config is run here: nothing is saved, logged or pushed.
SETTINGS: dict[str, Any] = {
    "dataset_name": "none",  # rows are given
    "max_steps": ENDLESS,
    "merge_adapter": "false",
    "save_strategy": "no",
    "logging_strategy": "no",
    "report_to": "none",
    "disable_tqdm": "true",
}
# For the CPU of the rehearsal, besides the settings of the series at tiny scale.
ON_CPU = {**CPU, "dataloader_num_workers": "0", "dataloader_persistent_workers": "false"}


@dataclass(frozen=True)
class Measured:
    """Steps after the warm-up.

    `utilisation` is the share of the measured matrix-multiply rate, None for TRL; `peak_gb` is the
    memory that torch allocated on the GPU, None without one.
    """

    samples_per_second: float
    tokens_per_second: float | None
    utilisation: float | None
    peak_gb: float | None


class Meter(TrainerCallback):
    """Ends training after a warm-up and some seconds, and at least two steps; notes their time."""

    def __init__(self, warm_up: int, seconds: float, device: str) -> None:
        self.warm_up, self.seconds, self.device = warm_up, seconds, device
        self.start = self.elapsed = 0.0
        self.steps = 0
        self.trainer: Trainer | None = None

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Start after the warm-up; stop after the given seconds."""
        if state.global_step < self.warm_up:
            return
        if self.device == "cuda":
            torch.cuda.synchronize()
        if state.global_step == self.warm_up:
            self.start = time.perf_counter()
            if isinstance(self.trainer, PackedTrainer):
                self.trainer.work.taken()
            return
        self.steps = state.global_step - self.warm_up
        self.elapsed = time.perf_counter() - self.start
        if self.elapsed >= self.seconds and self.steps >= 2:
            control.should_training_stop = True


def batch(scale: Scale) -> int:
    """Return the number of rows per step."""
    return TINY_BATCH if scale.tiny else BATCH


def rows_of(count: int, scale: Scale) -> Dataset:
    """Return `count` conversations; for the rehearsal three, with no, one and two figures."""
    return make_rows(9).select([0, 3, 6]) if scale.tiny else make_rows(count)


def attention(scale: Scale) -> str:
    """Return FlashAttention's name if it is installed and there is a GPU, else "sdpa"."""
    usable = scale.device == "cuda" and is_flash_attn_2_available()
    return "flash_attention_2" if usable else "sdpa"


def optimizer() -> dict[str, str]:
    """Return torch's AdamW in place of the recipes' 8-bit one, where bitsandbytes is missing."""
    return {} if installed("bitsandbytes") else {"optim": "adamw_torch_fused"}


def parsed(recipe: str, base: Path, out: Path, scale: Scale, changes: Mapping[str, Any]) -> Any:
    """Parse a shipped train config with the settings of a measurement and `changes`."""
    settings = {**SETTINGS, "attn_implementation": attention(scale), "output_dir": out}
    settings |= {"per_device_train_batch_size": batch(scale), **optimizer()}
    settings |= {"model_name_or_path": base, **(ON_CPU if scale.device == "cpu" else {}), **changes}
    words = [part for name, value in settings.items() for part in (f"--{name}", str(value))]
    return parse_arguments(find_config(recipe), words)


def packed_trainer(
    recipe: str, base: Path, out: Path, rows: Dataset, scale: Scale, changes: Mapping[str, Any]
) -> PackedTrainer:
    """Return the trainer of `cephalo train` for a shipped train config with some changes."""
    script_args, training_args, model_args = parsed(recipe, base, out, scale, changes)
    config = read_config(base, model_args.attn_implementation)
    processor = read_processor(base, config)
    data = {"train": encode_rows(rows, processor)}
    return make_trainer(script_args, training_args, model_args, config, processor, data)


def trl_trainer(
    recipe: str, base: Path, out: Path, rows: Dataset, scale: Scale, changes: Mapping[str, Any]
) -> SFTTrainer:
    """Return TRL's trainer with its defaults, the adapter of a train config, and some changes."""
    _, training_args, model_args = parsed(recipe, base, out, scale, {})
    on_cpu = scale.device == "cpu"
    arguments: dict[str, Any] = {
        "per_device_train_batch_size": batch(scale),
        "learning_rate": training_args.learning_rate,
        "optim": training_args.optim,
        "max_length": None,  # a cut would lose image tokens
        "dataloader_num_workers": training_args.dataloader_num_workers,
        "dataloader_persistent_workers": training_args.dataloader_persistent_workers,
        "bf16": not on_cpu,
        "use_cpu": on_cpu,
        "save_strategy": "no",
        "logging_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "max_steps": ENDLESS,
        **changes,
    }
    model = AutoModelForImageTextToText.from_pretrained(
        base,
        dtype=torch.float32 if on_cpu else torch.bfloat16,
        attn_implementation=attention(scale),
    )
    return SFTTrainer(
        model=model,
        args=SFTConfig(output_dir=str(out), **arguments),
        # Within an epoch, workers prepare the next batches meanwhile.
        train_dataset=rows.select([*range(len(rows))] * ONE_EPOCH).cast_column(
            "images", List(Image())
        ),
        processing_class=AutoProcessor.from_pretrained(base),
        peft_config=get_peft_config(model_args),
    )


def measure(trainer: SFTTrainer, rows: Dataset, scale: Scale) -> Measured:
    """Train for an epoch of warm-up, then measure for the seconds of the scale."""
    steps = WARM_EPOCHS * -(-len(rows) // trainer.args.per_device_train_batch_size)
    meter = Meter(steps, scale.seconds, scale.device)
    meter.trainer = trainer
    trainer.add_callback(meter)
    if scale.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    trainer.train()
    rate = meter.steps * trainer.args.per_device_train_batch_size / meter.elapsed
    tokens = share = None
    if isinstance(trainer, PackedTrainer):
        operations, counted = trainer.work.taken()
        tokens = counted / meter.elapsed
        share = operations / meter.elapsed / trainer.matmul_rate
    return Measured(rate, tokens, share, peak_gb(scale))


def peak_gb(scale: Scale) -> float | None:
    """Return the peak of torch's memory on the GPU, in GB; None on a CPU."""
    return torch.cuda.max_memory_allocated() / 1e9 if scale.device == "cuda" else None


def free(scale: Scale) -> None:
    """Free the memory of a trainer that is no longer referenced."""
    gc.collect()
    torch._dynamo.reset()
    if scale.device == "cuda":
        torch.cuda.empty_cache()
