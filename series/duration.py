"""Estimate the training time at scale `full`, from floating-point operations."""

from cephalo.series.table import Row, train_settings

CARD = "one A100 80 GB"
CARD_FLOPS = 312e12  # per second, bfloat16 without sparsity: NVIDIA's data sheet of the A100
# Assumed, not measured. PaLM reached 0.46 (arXiv 2204.02311, table 3), with large batches.
UTILISATION = 0.3


def flop_per_token(row: Row) -> float:
    """Return the floating-point operations of training on one token, of text or of an image.

    Two for each parameter in the forward pass, two for the gradient of activations and two for that
    of weights (arXiv 2001.08361, section 2.1), and two more if activation checkpointing repeats the
    forward pass. LoRA has no gradient of the base's weights, but passes through all of it; if only
    the last layers train, the backward pass ends at them.
    """
    if train_settings(row).get("use_peft"):
        return (2 + 2 + 2) * row.parameters
    return 2 * row.parameters + (2 + 2 + 2) * row.trains


def duration(row: Row) -> str:
    """Format the minutes per million tokens as a sentence."""
    minutes = round(1e6 * flop_per_token(row) / (CARD_FLOPS * UTILISATION) / 60)
    epochs = train_settings(row)["num_train_epochs"]
    return (
        f"About {minutes} minute{'s' * (minutes != 1)} per million tokens and epoch "
        f"(epochs: {epochs}) on {CARD}, assumed to reach {UTILISATION:.0%} of its "
        f"{CARD_FLOPS / 1e12:.0f} TFLOP/s."
    )
