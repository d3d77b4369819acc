"""Differences between model families when several conversations share one sequence.

Model types that are not in `FAMILIES` train too, with one conversation per sequence.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, cast

import torch
from torch import nn
from torch.nn.functional import pad

if TYPE_CHECKING:
    from transformers import PixtralProcessor, PreTrainedConfig, PreTrainedModel

    from cephalo.train.packing import Inputs
    from modeling_cephalo.annotations import Processor


@dataclass(frozen=True)
class Family:
    """How a family combines the rows of a sequence and their images.

    Attributes:
        stacked: `get_image_features` returns tiles of equal size as one tensor [tiles, tokens,
            hidden], as the model expects; otherwise a list with one tensor per image.
        rows_of_images: The image processor treats a single image of a row differently from several,
            so it is called row by row.
        mrope: Positions have three axes (time, height, width), arXiv 2409.12191, which count the
            rows and columns of an image instead of its tokens.
        image_blocks: The kinds of layers in which tokens of an image attend to each other in both
            directions. We create these masks: those that transformers 5.23 creates for packed rows
            look up the image of a token at its position in the row instead of the sequence.
        some_see_later: The model has `image_blocks` only if its text configuration's
            `use_bidirectional_attention` is "vision".
        linear_attention: Some layers carry a state from token to token, which must be reset between
            rows, see `read_rows_apart`.
    """

    stacked: bool = False
    rows_of_images: bool = False
    mrope: bool = False
    image_blocks: tuple[str, ...] = ()
    some_see_later: bool = False
    linear_attention: bool = False


PLAIN = Family()
FAMILIES = {
    "idefics2": PLAIN,
    "cephalo_stem": PLAIN,
    "llava_next": PLAIN,
    "phi3_v": PLAIN,
    "idefics3": PLAIN,
    "smolvlm": PLAIN,
    "internvl": Family(stacked=True),
    "llava_onevision": Family(rows_of_images=True),
    "qwen2_vl": Family(mrope=True),
    "qwen2_5_vl": Family(mrope=True),
    "qwen3_vl": Family(mrope=True),
    "qwen3_5": Family(mrope=True, linear_attention=True),
    "gemma3": Family(stacked=True, image_blocks=("full_attention", "sliding_attention")),
    "gemma4": Family(image_blocks=("sliding_attention",), some_see_later=True),
    "mistral3": PLAIN,
}

# Outputs of image processors that are inputs of models; the others are used for the text.
VISION_INPUTS = (
    "pixel_values",
    "pixel_attention_mask",
    "image_sizes",
    "image_grid_thw",
    "image_position_ids",
    "batch_num_images",
)
# Inputs of models that are 1 for image tokens, and 0 elsewhere.
TOKEN_TYPES = ("mm_token_type_ids", "token_type_ids")


def family_of(config: "PreTrainedConfig") -> Family | None:
    """Return the family of a model, or of the models in a mixture of experts."""
    return FAMILIES.get(config.model_type.removeprefix("cephalo_moe_"))


def why_unpacked(config: "PreTrainedConfig") -> str | None:
    """Return why conversations of this model cannot share sequences, or None if they can."""
    if family_of(config):
        return None
    return (
        f"one conversation in each sequence, since packing was not tested for {config.model_type}; "
        "training is slower"
    )


def image_layers(config: "PreTrainedConfig") -> tuple[str, ...]:
    """Return the kinds of layers in which tokens of an image attend to each other."""
    family = family_of(config) or PLAIN
    if family.some_see_later:
        seen = getattr(config.get_text_config(), "use_bidirectional_attention", None)
        return family.image_blocks if seen == "vision" else ()
    return family.image_blocks


def read_rows_apart(model: "PreTrainedModel") -> None:
    """Make the layers of linear attention process each row of a packed sequence separately.

    transformers passes the bounds of rows to the scan only, and to a kernel that only some machines
    have; the convolution before it would mix rows.
    """
    for layer in cast("nn.ModuleList", model.get_decoder().layers):
        if isinstance(attention := getattr(layer, "linear_attn", None), nn.Module):
            attention.forward = row_by_row(attention.forward)


def row_by_row(forward: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Apply `forward` to each row of [1, tokens, hidden], without passing on the bounds."""

    def on_rows(
        hidden_states: torch.Tensor, cu_seq_lens_q: torch.Tensor | None = None, **kwargs: object
    ) -> torch.Tensor:
        if cu_seq_lens_q is None:
            return forward(hidden_states, **kwargs)
        rows = hidden_states.split(cu_seq_lens_q.diff().tolist(), dim=1)
        return torch.cat([forward(row, **kwargs) for row in rows], dim=1)

    return on_rows


def image_settings(processor: "Processor") -> dict[str, object]:
    """Return the settings that a processor passes to its image processor, beyond those of the
    latter."""
    settings = dict(getattr(processor, "images_kwargs", {}))
    settings.pop("return_tensors", None)
    if hasattr(processor, "image_break_token"):  # Pixtral rounds the size to whole tokens
        pixtral = cast("PixtralProcessor", processor)
        settings["patch_size"] = pixtral.patch_size * pixtral.spatial_merge_size
    return settings


def token_types_of(model: "PreTrainedModel") -> str | None:
    """Return the name of the input that marks image tokens, or None."""
    known = inspect.signature(model.forward).parameters
    return next((name for name in TOKEN_TYPES if name in known), None)


def image_token_of(config: "PreTrainedConfig") -> int | None:
    """Return the id of an image token; None for phi3_v, whose image ids are negative."""
    return next(
        (
            getattr(config, name)
            for name in ("image_token_id", "image_token_index")
            if getattr(config, name, None) is not None
        ),
        None,
    )


def positions_of_rows(
    model: "PreTrainedModel", sequence: "Inputs", types: torch.Tensor
) -> torch.Tensor:
    """Compute the positions of a packed sequence with multimodal RoPE, from 0 in each row.

    Args:
        model: The model, whose `get_rope_index` computes the positions of one row.
        sequence: `input_ids` [1, tokens], `cu_seq_lens_q` [rows + 1] and, if it has images,
            `image_grid_thw` [images, 3], in patches.
        types: int [1, tokens], 1 for image tokens.

    Returns:
        int64 [4, 1, tokens]: text positions, which separate the rows, then time, height and width.
    """
    rope_index = cast("Callable[..., tuple[torch.Tensor, torch.Tensor]]", model.get_rope_index)
    grids = sequence.get("image_grid_thw", ())
    first, parts = 0, []
    for start, end in pairwise(sequence["cu_seq_lens_q"].tolist()):
        own = types[:, start:end]
        images = int((own.diff(prepend=own.new_zeros(1, 1)) > 0).sum())
        positions, _ = rope_index(
            sequence["input_ids"][:, start:end],
            mm_token_type_ids=own,
            image_grid_thw=grids[first : first + images] if images else None,
        )
        parts.append(positions)
        first += images
    return torch.cat([sequence["position_ids"][None], torch.cat(parts, dim=-1)])


def masks_of_rows(
    bounds: torch.Tensor, types: torch.Tensor, window: int, image_blocks: tuple[str, ...]
) -> dict[str, torch.Tensor]:
    """Compute the attention masks of a packed sequence for layers of full and of sliding attention.

    Args:
        bounds: int [rows + 1], the bounds of the rows.
        types: int [1, tokens], 1 for image tokens.
        window: Number of tokens in the sliding window, including the token itself.
        image_blocks: The kinds of layers in which tokens of an image attend to each other.

    Returns:
        bool [1, 1, tokens, tokens] by kind of layer, true if a token attends to another.
    """
    is_image = types[0] > 0
    starts = is_image & ~pad(is_image, (1, 0))[:-1]
    image = torch.where(is_image, starts.cumsum(0), 0)  # index of a token's image, 0 without
    place = torch.arange(len(image), device=image.device)
    row = torch.bucketize(place, bounds[1:].to(image.device), right=True)
    causal = place[:, None] >= place
    same_row = row[:, None] == row
    same_image = (image[:, None] == image) & is_image
    near = place > place[:, None] - window

    def seen(kind: str) -> torch.Tensor:
        return (causal | same_image if kind in image_blocks else causal) & same_row

    return {
        "full_attention": seen("full_attention")[None, None],
        "sliding_attention": (seen("sliding_attention") & near)[None, None],
    }
