"""Check for values that TRL accepts but that cannot train."""

import math
from typing import TYPE_CHECKING, NamedTuple

from cephalo.cli.errors import CephaloError
from cephalo.cli.packages import need_packages

if TYPE_CHECKING:
    from transformers import GenerationConfig

    from cephalo.train.arguments import BaseSettings, TrainingSettings


class Range(NamedTuple):
    """From `least` to `most`, described by `words`."""

    least: float
    most: float
    words: str


COUNT = Range(1, 2**31, "a whole number from 1")
FROM_ZERO = Range(0, 2**31, "a number from 0")
ABOVE_ZERO = Range(5e-324, 1e9, "a number above 0")
SHARE = Range(0, 0.9999, "a number from 0 to 0.9999")
PROCESSES = Range(0, 1024, "a number from 0 to 1024")
SEED = Range(0, 2**32 - 1, "a whole number from 0 to 4294967295")  # NumPy's range

TRAINING = {
    "learning_rate": ABOVE_ZERO,
    "per_device_train_batch_size": COUNT,
    "per_device_eval_batch_size": COUNT,
    "gradient_accumulation_steps": COUNT,
    "dataloader_num_workers": PROCESSES,
    "dataloader_prefetch_factor": COUNT,
    "max_length": COUNT,
    "logging_steps": ABOVE_ZERO,
    "save_steps": ABOVE_ZERO,
    "save_total_limit": COUNT,
    "eval_steps": ABOVE_ZERO,
    "weight_decay": FROM_ZERO,
    "max_grad_norm": FROM_ZERO,
    "adam_beta1": SHARE,
    "adam_beta2": SHARE,
    "adam_epsilon": FROM_ZERO,
    "warmup_steps": FROM_ZERO,
    "label_smoothing_factor": SHARE,
    "neftune_noise_alpha": FROM_ZERO,
    "seed": SEED,
    "data_seed": SEED,
}
LORA = {
    "lora_r": COUNT,
    "lora_alpha": COUNT,
    "lora_dropout": Range(0, 0.99, "a number from 0 to 0.99"),
}
FLASH = "flash_attention_2"


def check_values(training_args: "TrainingSettings", model_args: "BaseSettings") -> None:
    """Raise CephaloError for the first value that is missing, out of range or unknown."""
    if not model_args.model_name_or_path:
        raise CephaloError(
            "no model; set model_name_or_path in the config or give --model_name_or_path "
            "NAMESPACE/NAME"
        )
    for arguments, ranges in ((training_args, TRAINING), (model_args, LORA)):
        for name, wanted in ranges.items():
            value = getattr(arguments, name)
            if value is not None and not wanted.least <= value <= wanted.most:
                raise CephaloError(f"{name} {value}: give {wanted.words}")
    check_length(training_args.num_train_epochs, training_args.max_steps)
    if training_args.save_only_model:
        raise CephaloError(
            "save_only_model: leave it out; a run could not resume from checkpoints without the "
            "state of the optimizer"
        )
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    known = {"eager", *ALL_ATTENTION_FUNCTIONS.valid_keys()}
    attention = model_args.attn_implementation
    # Kernels on the Hub, NAMESPACE/NAME, are left to transformers.
    if attention is not None and "/" not in attention and attention not in known:
        raise CephaloError(
            f"attn_implementation {attention}: give one of {', '.join(sorted(known))}"
        )
    if unknown := sorted({*trackers(training_args)} - {*INTEGRATION_TO_CALLBACK}):
        known = ", ".join(sorted(INTEGRATION_TO_CALLBACK))
        raise CephaloError(f"report_to {unknown[0]}: give none, or some of {known}")


def check_length(epochs: float, steps: int) -> None:
    """Raise CephaloError for a run without a step, which would save an untrained model, or without
    an end."""
    if not math.isfinite(epochs):
        raise CephaloError(f"num_train_epochs {epochs}: give a number")
    if steps <= 0 and epochs <= 0:
        raise CephaloError(
            f"num_train_epochs {epochs:g} and max_steps {steps} train nothing; give one above 0"
        )


def trackers(training_args: "TrainingSettings") -> list[str]:
    """Return the names in report_to."""
    names = training_args.report_to or []
    names = [names] if isinstance(names, str) else names
    return [name for name in names if name not in ("none", "all")]


def check_installed(training_args: "TrainingSettings", model_args: "BaseSettings") -> None:
    """Raise CephaloError if the run needs a package that is not installed."""
    from transformers.integrations import get_available_reporting_integrations
    from transformers.training_args import OptimizerNames
    from transformers.utils import is_flash_attn_2_available, is_liger_kernel_available

    if model_args.attn_implementation == FLASH and not is_flash_attn_2_available():
        raise CephaloError(
            f"attn_implementation {FLASH} needs flash-attn and a GPU, which are missing; give "
            "--attn_implementation sdpa"
        )
    if training_args.use_liger_kernel and not is_liger_kernel_available():
        raise CephaloError("use_liger_kernel needs liger-kernel; run: pip install liger-kernel")
    if missing := sorted({*trackers(training_args)} - {*get_available_reporting_integrations()}):
        raise CephaloError(
            f"report_to {missing[0]}: it is not installed; install it, or give --report_to none"
        )
    for bits in (4, 8):
        if getattr(model_args, f"load_in_{bits}bit"):
            need_packages(f"load_in_{bits}bit", "quantize", "bitsandbytes")
    if "8bit" in (optimizer := OptimizerNames(training_args.optim).value):
        need_packages(f"optim {optimizer}", "quantize", "bitsandbytes")


def make_savable(generation: "GenerationConfig") -> None:
    """Fix the generation settings of a base that transformers loads but would not save.

    Bases such as Vicuna set a temperature without `do_sample`, which is set here. Raises
    CephaloError for other errors, which would end the run at its first checkpoint.
    """
    try:
        generation.validate(strict=True)
    except (ValueError, TypeError):
        generation.do_sample = True
        try:
            generation.validate(strict=True)
        except (ValueError, TypeError) as error:
            raise CephaloError(
                f"the base's generation_config.json is invalid: {' '.join(str(error).split())}; "
                "correct it or remove it"
            ) from error
