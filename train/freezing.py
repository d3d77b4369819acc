"""Freeze parts of the model, or all but the last layers of its decoder."""

# Untyped or partially typed: torch and transformers.
# pyright: reportUnknownMemberType=false

import re
from collections import Counter
from typing import TYPE_CHECKING

from cephalo.cli.errors import CephaloError

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

# The first pattern in a parameter's name determines its part, for the names of the families of
# `families.py`. All other parameters are the text decoder.
PARTS = {
    "vision": r"vision_model\.|vision_tower\.|audio_tower\.|img_processor\."
    r"|visual\.(?!merger|deepstack_merger)",
    "connector": r"connector\.|multi_modal_projector\.|image_newline|img_projection\.|_GN$"
    r"|visual\.(merger|deepstack_merger_list)\.|embed_vision\.|embed_audio\.",
    "embeddings": r"embed_tokens(_per_layer)?\.",
    "head": r"lm_head\.",
    "text": "",
}
LAYER = re.compile(r"\blayers\.(\d+)\.")


def part_of(name: str) -> str:
    """Return the part of a parameter, a key of PARTS."""
    return next(part for part, pattern in PARTS.items() if re.search(pattern, name))


def freeze(model: "PreTrainedModel", parts: list[str], last_layers: int | None) -> None:
    """Freeze `parts` of the model; with `last_layers`, everything except this number of last
    decoder layers.

    Parameters that are already frozen, for instance by PEFT, stay so. Raises CephaloError for an
    unknown part, for a head that is the embeddings, and for more layers than there are.
    """
    if unknown := set(parts) - set(PARTS):
        raise CephaloError(
            f"freeze_parts: no part {', '.join(sorted(unknown))}; choose from {', '.join(PARTS)}"
        )
    own = {part_of(name) for name, _ in model.named_parameters()}
    if "head" in parts and "head" not in own:
        raise CephaloError(
            "freeze_parts: the head of this model is its embeddings (tie_word_embeddings); freeze "
            "embeddings, which are both, or neither"
        )
    first = 0
    if last_layers is not None:
        depth = model.config.get_text_config().num_hidden_layers
        if not 0 < last_layers <= depth:
            raise CephaloError(f"train_last_layers: {last_layers}; the decoder has {depth} layers")
        first = depth - last_layers
    for name, parameter in model.named_parameters():
        part = part_of(name)
        layer = LAYER.search(name) if part == "text" else None
        late = last_layers is None or (layer is not None and int(layer[1]) >= first)
        if part in parts or not late:
            parameter.requires_grad_(False)


def trained_parts(model: "nn.Module") -> str:
    """Format which parts train, and how many parameters they have, in one line.

    Raises CephaloError if nothing trains.
    """
    counts: Counter[str] = Counter()
    layers: set[int] = set()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            part = part_of(name)
            counts[part] += parameter.numel()
            if part == "text" and (layer := LAYER.search(name)):
                layers.add(int(layer[1]))
    if not counts:
        raise CephaloError(
            "nothing trains: every parameter is frozen; check freeze_parts, train_last_layers "
            "and the LoRA settings"
        )
    total = sum(parameter.numel() for parameter in model.parameters())
    listed = ", ".join(
        f"{part} {count:,}" + (f" (layers {ranges(layers)})" if part == "text" and layers else "")
        for part, count in counts.items()
    )
    return f"training {sum(counts.values()):,} of {total:,} parameters: {listed}"


def ranges(numbers: set[int]) -> str:
    """Format integers as ranges: {0, 1, 2, 5} is "0-2, 5"."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
