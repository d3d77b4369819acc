"""Pack several conversations, with their images, into one sequence without cross-attention."""

# Untyped or partially typed: torch and transformers.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import torch
from torch.nn.functional import pad
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import flash_attention_mask

from cephalo.train.encoding import IGNORED, Encoded, count_tiles, open_images, state_key
from cephalo.train.families import PLAIN, VISION_INPUTS, Family

if TYPE_CHECKING:
    from PIL.Image import Image
    from transformers import BatchFeature, PreTrainedConfig

    from cephalo.train.features import FeatureStore

PACKED_SDPA = "packed_sdpa"
# A model's inputs by name, and what training needs besides: tensors, numbers, and lists of these.
Inputs: TypeAlias = dict[str, Any]


class ImageProcessing(Protocol):
    """An image processor of transformers, whose images are lists or lists of lists."""

    def __call__(self, images: "list[list[Image]]", **settings: Any) -> "BatchFeature": ...

    def to_json_string(self) -> str: ...


@dataclass
class PackingCollator:
    """Packs the encoded rows of one batch into as few sequences as the limits allow.

    A row is never split: one above a limit is a separate sequence, as is every row without a
    `family`. `long_after` is the length in tokens at which phi3_v changes the RoPE factors of a
    whole forward pass: rows on either side of it do not share a sequence.
    """

    image_processor: ImageProcessing
    family: Family | None = PLAIN
    image_settings: dict[str, object] = field(default_factory=dict)  # passed by the processor
    max_image_edge: int | None = None
    max_tokens: int | None = None  # in one sequence
    max_tiles: int | None = None
    long_after: int | None = None
    features: "FeatureStore | None" = None  # if vision tower and connector are frozen
    keep_states: bool = False  # if the decoder's first layers are frozen too

    def __call__(self, rows: list[Encoded]) -> Inputs:
        """Collate one batch.

        Returns:
            `sequences`: a list of results of `pack_rows`, with the images' model inputs and `rows`,
            the names of the rows; `labels`: int [1, tokens], those of all sequences.
        """
        sequences: list[Inputs] = []
        long_after = float("inf") if self.long_after is None else self.long_after
        for is_long in (False, True):
            own = [row for row in rows if (row["tokens"] > long_after) == is_long]
            sizes = [(row["tokens"], row["tiles"]) for row in own]
            max_tokens = self.max_tokens if self.family else 0  # a limit that separates all rows
            for members in fill(sizes, max_tokens, self.max_tiles):
                sequences.append(self.sequence([own[index] for index in members]))
        labels = torch.cat([sequence["labels"] for sequence in sequences], dim=1)
        return {"sequences": sequences, "labels": labels}

    def sequence(self, rows: list[Encoded]) -> Inputs:
        """Return the model's inputs for `rows` as one sequence."""
        packed = laid_out(rows)
        if self.keep_states:
            packed["states"] = [self.read_or_prepare(row) for row in rows]
        else:
            packed |= self.images_of(rows)
        return {**packed, "rows": [row["row"] for row in rows]}

    def read_or_prepare(self, row: Encoded) -> Inputs:
        """Return the stored hidden states of a row, or the inputs for them and their key."""
        assert self.features is not None
        key = state_key(row)
        if (stored := self.features.read(key)) is not None:
            return {"states": stored[0]}
        return {"state_key": key, **laid_out([row]), **self.images_of([row])}

    def images_of(self, rows: list[Encoded]) -> Inputs:
        """Return the inputs of the model, or of the feature store, for the images of `rows`."""
        pictured = [row for row in rows if row["images"]]
        if self.features is not None:
            return {"images": [self.read_or_process(row) for row in pictured]}
        return self.process([row["images"] for row in pictured]) if pictured else {}

    def process(self, images: list[list[dict[str, Any]]]) -> Inputs:
        """Return the inputs of the vision tower for the images of some rows, as one sequence."""
        opened = [open_images(own, self.max_image_edge) for own in images]
        if self.family and not self.family.rows_of_images:
            opened = [[image for own in opened for image in own]]
        inputs = self.image_processor(opened, return_tensors="pt", **self.image_settings)
        read = {name: inputs[name] for name in VISION_INPUTS if name in inputs}
        return read | {"tiles": count_tiles(inputs)}

    def settings_of_images(self) -> str:
        """Return all settings that determine the model's inputs from the pixels of an image."""
        return f"{self.image_processor.to_json_string()} {self.image_settings}"

    def read_or_process(self, row: Encoded) -> Inputs:
        """Return the stored features of a row's images, or the inputs for them and their key."""
        assert self.features is not None
        key = row["image_key"]
        if (features := self.features.read(key)) is not None:
            return {"features": features}
        return {"key": key, **self.process([row["images"]])}


def long_context(config: "PreTrainedConfig") -> int | None:
    """Return the length in tokens above which LongRoPE (arXiv 2402.13753) uses its long factors for
    a whole forward pass; None for other models."""
    rope = getattr(config.get_text_config(), "rope_parameters", None) or {}
    return (
        rope.get("original_max_position_embeddings")
        if rope.get("rope_type") == "longrope"
        else None
    )


def fill(
    sizes: list[tuple[int, int]], max_tokens: int | None, max_tiles: int | None
) -> list[list[int]]:
    """Group indices of rows of (tokens, tiles) within the limits, by first-fit decreasing.

    A row above a limit is a group by itself.
    """
    bins: list[list[int]] = []
    filled: list[list[int]] = []
    for index in sorted(range(len(sizes)), key=lambda index: (-sizes[index][0], index)):
        tokens, tiles = sizes[index]
        for members, total in zip(bins, filled, strict=True):
            if (max_tokens is None or total[0] + tokens <= max_tokens) and (
                max_tiles is None or total[1] + tiles <= max_tiles
            ):
                members.append(index)
                total[0], total[1] = total[0] + tokens, total[1] + tiles
                break
        else:
            bins.append([index])
            filled.append([tokens, tiles])
    return [sorted(members) for members in bins]


def laid_out(rows: list[Encoded]) -> Inputs:
    """Return `pack_rows` of encoded rows and, if they have them, the grids of their images,
    `image_grid_thw`, int64 [images, 3]."""
    packed = pack_rows([row["input_ids"] for row in rows], [row["labels"] for row in rows])
    grids = [grid for row in rows for grid in row["grids"]]
    return packed | ({"image_grid_thw": torch.tensor(grids)} if grids else {})


def pack_rows(ids: list[list[int]], labels: list[list[int]]) -> Inputs:
    """Concatenate rows to one sequence in the form that transformers processes separately.

    Returns:
        input_ids, labels, position_ids: int64 [1, tokens], positions from 0 in each row;
        cu_seq_lens_q and _k: int32 [rows + 1], the bounds of the rows; max_length_q and _k.
    """
    lengths = [len(row) for row in ids]
    ends = torch.tensor([0, *lengths], dtype=torch.int32).cumsum(0, dtype=torch.int32)
    return {
        "input_ids": number_images(torch.tensor([token for row in ids for token in row]))[None],
        "labels": torch.tensor([label for row in labels for label in row])[None],
        "position_ids": torch.cat([torch.arange(length) for length in lengths])[None],
        "cu_seq_lens_q": ends,
        "cu_seq_lens_k": ends,
        "max_length_q": max(lengths),
        "max_length_k": max(lengths),
    }


def number_images(ids: torch.Tensor) -> torch.Tensor:
    """Renumber phi3_v's negative ids, which count the images of a row, over all rows.

    Args:
        ids: int [tokens]; those of other families are not negative and stay.
    """
    is_image = ids < 0
    first = is_image & (ids != pad(ids[:-1], (1, 0)))
    return torch.where(is_image, -first.cumsum(0), ids)


def answer_positions(labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the positions at which next tokens are predicted, int [answers], and these tokens, int
    [answers].

    Args:
        labels: int [1, tokens]. The first token of a row has none, so no row predicts the next.
    """
    positions = (labels[0, 1:] != IGNORED).nonzero()[:, 0]
    return positions, labels[0, 1:][positions]


def packed_sdpa(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Compute torch's attention for one row of a packed sequence after the other.

    FlashAttention does the same on a GPU; attention over the whole sequence would have quadratic
    cost. Query, key and value are [1, heads, tokens, head size], the mask, if any, [1, 1, tokens,
    tokens]; the output is [1, tokens, heads, size].
    """
    bounds = kwargs.get("cu_seq_lens_q")
    if bounds is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    window = kwargs.get("sliding_window")
    outputs: list[torch.Tensor] = []
    for start, end in pairwise(bounds.tolist()):
        own_query, own_key, own_value = (one[:, :, start:end] for one in (query, key, value))
        if attention_mask is not None:
            mask = attention_mask[:, :, start:end, start:end]
        else:
            mask = banded_mask(end - start, window) if window and end - start > window else None
        output, _ = sdpa_attention_forward(module, own_query, own_key, own_value, mask, **kwargs)
        outputs.append(output)
    return torch.cat(outputs, dim=1), None


def banded_mask(length: int, window: int) -> torch.Tensor:
    """Return bool [1, 1, length, length]: a token attends to itself and the `window` - 1 before
    it."""
    distance = torch.arange(length)[:, None] - torch.arange(length)
    return ((distance >= 0) & (distance < window))[None, None]


AttentionInterface.register(PACKED_SDPA, packed_sdpa)
AttentionMaskInterface.register(PACKED_SDPA, flash_attention_mask)
