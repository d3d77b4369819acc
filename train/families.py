"""What differs between families of models where several conversations share one sequence.

A model type that is not in `FAMILIES` trains too, with one conversation in each sequence.
"""

import inspect
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
        image_blocks: tokens of an image see each other, those before and those after. Masks that
            say so are ours: those that transformers 5.23 makes of packed rows look the image of a
            token up at its position in the row, not in the sequence.
    """

    stacked: bool = False
    rows_of_images: bool = False
    mrope: bool = False
    image_blocks: bool = False


PLAIN = Family()
FAMILIES = {
    "idefics2": PLAIN,
    "cephalo_stem": PLAIN,
    "llava_next": PLAIN,
    "phi3_v": PLAIN,
    "cephalo_moe_idefics2": PLAIN,
    "cephalo_moe_llava_next": PLAIN,
    "cephalo_moe_phi3_v": PLAIN,
    "idefics3": PLAIN,
    "smolvlm": PLAIN,
    "internvl": Family(stacked=True),
    "llava_onevision": Family(rows_of_images=True),
    "qwen2_vl": Family(mrope=True),
    "qwen2_5_vl": Family(mrope=True),
    "qwen3_vl": Family(mrope=True),
    "gemma3": Family(stacked=True, image_blocks=True),
}

# Outputs of image processors that are inputs of models; the others describe the text to write.
VISION_INPUTS = (
    "pixel_values",
    "pixel_attention_mask",
    "image_sizes",
    "image_grid_thw",
    "batch_num_images",
)
# Inputs of models that are 1 where a token is an image's, and 0 elsewhere.
TOKEN_TYPES = ("mm_token_type_ids", "token_type_ids")


def why_unpacked(config: Any) -> str | None:
    """Why conversations of this model do not share sequences, or None if they do."""
    if config.model_type in FAMILIES:
        return None
    return (
        f"one conversation in each sequence, since packing was not tested for {config.model_type}; "
        "training is slower"
    )


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
    bounds: torch.Tensor, types: torch.Tensor, window: int
) -> dict[str, torch.Tensor]:
    """What tokens of a packed sequence see in layers of full and of sliding attention.

    Args:
        bounds: int [rows + 1], where rows begin and end.
        types: int [1, tokens], 1 where a token is an image's.
        window: tokens before its own that a token sees in sliding attention, itself counted.

    Returns:
        bool [1, 1, tokens, tokens] by kind of layer, true where a token sees another.
    """
    is_image = types[0] > 0
    starts = is_image & ~pad(is_image, (1, 0))[:-1]
    image = torch.where(is_image, starts.cumsum(0), 0)  # the number of a token's image, 0 for none
    place = torch.arange(len(image), device=image.device)
    row = torch.bucketize(place, bounds[1:].to(image.device), right=True)
    seen = place[:, None] >= place
    seen |= (image[:, None] == image) & is_image
    seen &= row[:, None] == row
    near = place > place[:, None] - window
    return {"full_attention": seen[None, None], "sliding_attention": (seen & near)[None, None]}
