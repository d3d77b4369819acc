"""What differs between families of models where several conversations share one sequence.

A model type that is not in `FAMILIES` trains too, with one conversation in each sequence.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch.nn.functional import pad


@dataclass(frozen=True)
class Family:
    """How the rows of a sequence, and their images, come together.

    Attributes:
        stacked: `get_image_features` gives tiles of equal size as one tensor [tiles, tokens,
            hidden], and the model expects them so; otherwise a list with a tensor an image.
        rows_of_images: the image processor treats the only image of a row otherwise than one of
            several, so it is given the images row by row.
        mrope: positions have three axes (time, height, width), arXiv 2409.12191; they count the
            rows and columns of an image and not its tokens.
        image_blocks: the kinds of layers in which tokens of an image see each other, those before
            and those after. Masks that say so are ours: those that transformers 5.23 makes of
            packed rows look the image of a token up at its position in the row, not in the
            sequence.
        some_see_later: models of the family have `image_blocks` where their text configuration's
            `use_bidirectional_attention` is "vision", and otherwise none.
        linear_attention: some layers carry a state from token to token, which must not go on from
            row to row, see `read_rows_apart`.
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

# Outputs of image processors that are inputs of models; the others describe the text to write.
VISION_INPUTS = (
    "pixel_values",
    "pixel_attention_mask",
    "image_sizes",
    "image_grid_thw",
    "image_position_ids",
    "batch_num_images",
)
# Inputs of models that are 1 where a token is an image's, and 0 elsewhere.
TOKEN_TYPES = ("mm_token_type_ids", "token_type_ids")


def family_of(config: Any) -> Family | None:
    """The family of a model, or of the models that a mixture of experts was made of."""
    return FAMILIES.get(config.model_type.removeprefix("cephalo_moe_"))


def why_unpacked(config: Any) -> str | None:
    """Why conversations of this model do not share sequences, or None if they do."""
    if family_of(config):
        return None
    return (
        f"one conversation in each sequence, since packing was not tested for {config.model_type}; "
        "training is slower"
    )


def image_layers(config: Any) -> tuple[str, ...]:
    """The kinds of layers in which tokens of an image see each other."""
    family = family_of(config) or PLAIN
    if family.some_see_later:
        seen = getattr(config.get_text_config(), "use_bidirectional_attention", None)
        return family.image_blocks if seen == "vision" else ()
    return family.image_blocks


def read_rows_apart(model: Any) -> None:
    """Have the layers of linear attention read each row of a packed sequence by itself.

    transformers gives the bounds of rows to the scan alone, and to a kernel that only some
    machines have; the convolution before it looks back over them.
    """
    for layer in model.get_decoder().layers:
        if hasattr(layer, "linear_attn"):
            layer.linear_attn.forward = row_by_row(layer.linear_attn.forward)


def row_by_row(forward: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """`forward` on each row of [1, tokens, hidden], without the bounds that it was given."""

    def on_rows(
        hidden_states: torch.Tensor, cu_seq_lens_q: torch.Tensor | None = None, **kwargs: Any
    ) -> torch.Tensor:
        if cu_seq_lens_q is None:
            return forward(hidden_states, **kwargs)
        rows = hidden_states.split(cu_seq_lens_q.diff().tolist(), dim=1)
        return torch.cat([forward(row, **kwargs) for row in rows], dim=1)

    return on_rows


def image_settings(processor: Any) -> dict[str, Any]:
    """What a processor sets for its image processor, beyond the settings of that."""
    settings = dict(getattr(processor, "images_kwargs", {}))
    settings.pop("return_tensors", None)
    if hasattr(processor, "image_break_token"):  # Pixtral's rounds the size to whole tokens
        settings["patch_size"] = processor.patch_size * processor.spatial_merge_size
    return settings


def token_types_of(model: Any) -> str | None:
    """The input of a model that says which tokens are an image's, if it has one."""
    known = inspect.signature(model.forward).parameters
    return next((name for name in TOKEN_TYPES if name in known), None)


def image_token_of(config: Any) -> int | None:
    """The id of an image's token; None for phi3_v, whose images have ids below 0."""
    return next(
        (
            getattr(config, name)
            for name in ("image_token_id", "image_token_index")
            if getattr(config, name, None) is not None
        ),
        None,
    )


def positions_of_rows(model: Any, sequence: dict[str, Any], types: torch.Tensor) -> torch.Tensor:
    """Positions of a packed sequence with multimodal RoPE, each row's from 0.

    Args:
        model: the model whose `get_rope_index` gives the positions of one row.
        sequence: `input_ids` [1, tokens], `cu_seq_lens_q` [rows + 1] and, where it has images,
            `image_grid_thw` [images, 3], in patches.
        types: int [1, tokens], 1 where a token is an image's.

    Returns:
        int64 [4, 1, tokens]: those of the text, by which rows are told apart, then time, height
        and width.
    """
    grids: Any = sequence.get("image_grid_thw")
    first, parts = 0, []
    for start, end in pairwise(sequence["cu_seq_lens_q"].tolist()):
        own = types[:, start:end]
        images = int((own.diff(prepend=own.new_zeros(1, 1)) > 0).sum())
        positions, _ = model.get_rope_index(
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
    """What tokens of a packed sequence see in layers of full and of sliding attention.

    Args:
        bounds: int [rows + 1], where rows begin and end.
        types: int [1, tokens], 1 where a token is an image's.
        window: tokens before its own that a token sees in sliding attention, itself counted.
        image_blocks: the kinds of layers in which tokens of an image see each other.

    Returns:
        bool [1, 1, tokens, tokens] by kind of layer, true where a token sees another.
    """
    is_image = types[0] > 0
    starts = is_image & ~pad(is_image, (1, 0))[:-1]
    image = torch.where(is_image, starts.cumsum(0), 0)  # the number of a token's image, 0 for none
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
