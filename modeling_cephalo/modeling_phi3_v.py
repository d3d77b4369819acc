"""Phi-3-vision (`phi3_v`) on transformers' Phi-3 decoder and CLIP tower.

Parameter names are those of microsoft/Phi-3-vision-128k-instruct, so published checkpoints load
and are saved unchanged. Images enter as in the published code: a tile of CLIP patches becomes a
square of tokens, two by two patches each; `sub_GN` ends each row; the grid of sub-images and the
global view, joined by `glb_GN`, replace the positions of `input_ids` that hold minus the number
of the image.

RoPE has two sets of factors. A forward whose highest position + 1 is above
`original_max_position_embeddings` uses the long set for all of its positions, any other the short
set. A prompt is one forward, so it gets the set for its length. While generating past that length,
new tokens get the long set and the keys in the cache stay as they are, as in the published code.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import nn
from transformers import Cache, CLIPVisionModel, Phi3ForCausalLM, Phi3Model, Phi3PreTrainedModel
from transformers import initialization as init
from transformers.generation import LogitsProcessorList
from transformers.modeling_outputs import (
    BaseModelOutputWithPast,
    BaseModelOutputWithPooling,
    CausalLMOutputWithPast,
)
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs

from .configuration_phi3_v import Phi3VConfig


class Phi3VImageEmbedding(nn.Module):
    """Tiles of images to embeddings of image tokens."""

    def __init__(self, config: Phi3VConfig) -> None:
        super().__init__()
        config.check_vision()
        layer, width, hidden = (
            config.embd_layer,
            config.vision_config.hidden_size,
            config.hidden_size,
        )
        self.tile_size = config.vision_config.image_size
        self.side = config.tile_tokens
        self.use_hd_transform = layer.get("use_hd_transform", False)
        self.sub_first = layer.get("hd_transform_order", "glb_sub") == "sub_glb"
        # hidden_states[k] of CLIP is the output of its first k layers.
        depth = config.vision_config.num_hidden_layers
        self.clip_layers = config.img_processor.get("layer_idx", -2) % (depth + 1)
        self.img_processor = nn.ModuleDict({"vision_model": CLIPVisionModel(config.vision_config)})
        if self.use_hd_transform:
            width = 4 * width
            self.glb_GN = nn.Parameter(torch.zeros(1, 1, width))
            self.sub_GN = nn.Parameter(torch.zeros(1, 1, 1, width))
        if layer.get("projection_cls", "linear") == "linear":
            self.img_projection = nn.Linear(width, hidden)
        else:
            self.img_projection = nn.Sequential(
                nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, hidden)
            )

    def forward(
        self, pixel_values: torch.Tensor, image_sizes: torch.Tensor | None
    ) -> tuple[torch.Tensor, list[int]]:
        """Embed images.

        Args:
            pixel_values: float [images, tiles, 3, edge, edge], the global view first, then the
                sub-images row by row, then padding; without the HD transform
                [images, 3, edge, edge].
            image_sizes: int [images, 2], height and width of the grid of sub-images in pixels,
                multiples of the tile's edge.

        Returns:
            The embeddings of all image tokens, [tokens, hidden], and the tokens of each image.

        Raises ValueError where the two do not fit each other.
        """
        if not self.use_hd_transform:
            patches = self.encode_tiles(pixel_values)
            return self.img_projection(patches.flatten(0, 1)), [patches.shape[1]] * len(patches)
        grids = self.tile_grids(pixel_values, image_sizes)
        counts = [rows * columns + 1 for rows, columns in grids]
        # One call of CLIP for the tiles of all images, padding left out.
        tiles = torch.cat(
            [image[:count] for image, count in zip(pixel_values, counts, strict=True)]
        )
        tokens = self.merge_patches(self.encode_tiles(tiles))
        images = [
            self.lay_out(own, rows, columns)
            for own, (rows, columns) in zip(tokens.split(counts), grids, strict=True)
        ]
        return self.img_projection(torch.cat(images)), [len(image) for image in images]

    def tile_grids(
        self, pixel_values: torch.Tensor, image_sizes: torch.Tensor | None
    ) -> list[list[int]]:
        """Rows and columns of sub-images of each image. Raises ValueError for sizes that lie."""
        if image_sizes is None or len(image_sizes) != len(pixel_values):
            raise ValueError(
                f"pixel_values hold {len(pixel_values)} images and image_sizes "
                f"{0 if image_sizes is None else len(image_sizes)}"
            )
        sizes = image_sizes.tolist()
        most = pixel_values.shape[1] - 1
        for height, width in sizes:
            rows, columns = height // self.tile_size, width // self.tile_size
            if [height, width] != [rows * self.tile_size, columns * self.tile_size]:
                raise ValueError(
                    f"{height} x {width} pixels are no whole tiles of {self.tile_size}"
                )
            if not 0 < rows * columns <= most:
                raise ValueError(f"an image of {rows} x {columns} tiles comes with {most} tiles")
        return [[height // self.tile_size, width // self.tile_size] for height, width in sizes]

    def encode_tiles(self, tiles: torch.Tensor) -> torch.Tensor:
        """CLIP's patch features [tiles, patches, width] of an inner layer, class token dropped."""
        clip = self.img_processor["vision_model"]
        hidden = clip.pre_layrnorm(clip.embeddings(tiles))
        for layer in clip.encoder.layers[: self.clip_layers]:
            hidden = layer(hidden, attention_mask=None)
        return hidden[:, 1:]

    def merge_patches(self, patches: torch.Tensor) -> torch.Tensor:
        """[tiles, (2 side)^2, width] to [tiles, side, side, 4 width]: 2 x 2 patches a token."""
        tiles, _, width = patches.shape
        patches = patches.reshape(tiles, self.side, 2, self.side, 2, width)
        return patches.transpose(2, 3).reshape(tiles, self.side, self.side, 4 * width)

    def lay_out(self, tokens: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
        """The tiles of one image, [1 + rows * columns, side, side, width], as one sequence."""
        view, grid = tokens[0], tokens[1:].unflatten(0, (rows, columns))
        grid = grid.transpose(1, 2).reshape(rows * self.side, columns * self.side, -1)
        view, grid = self.end_rows(view), self.end_rows(grid)
        first, last = (grid, view) if self.sub_first else (view, grid)
        return torch.cat([first, self.glb_GN[0], last])

    def end_rows(self, grid: torch.Tensor) -> torch.Tensor:
        """[rows, columns, width] to [rows * (columns + 1), width], each row ended by `sub_GN`."""
        ends = self.sub_GN[0].expand(len(grid), 1, -1)
        return torch.cat([grid, ends], dim=1).flatten(0, 1)


class Phi3VPreTrainedModel(Phi3PreTrainedModel):
    config: Phi3VConfig
    input_modalities = ("image", "text")
    _no_split_modules = ["Phi3DecoderLayer", "Phi3VImageEmbedding"]  # noqa: RUF012
    # The published code keeps a second name for the token embeddings.
    _keys_to_ignore_on_load_unexpected = [r"vision_embed_tokens\.wte\."]  # noqa: RUF012

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, Phi3VImageEmbedding) and module.use_hd_transform:
            init.zeros_(module.glb_GN)
            init.zeros_(module.sub_GN)


class Phi3VModel(Phi3VPreTrainedModel, Phi3Model):
    """Phi-3's decoder with images in the place of negative input ids."""

    def __init__(self, config: Phi3VConfig) -> None:
        super().__init__(config)
        self.vision_embed_tokens = Phi3VImageEmbedding(config)
        self.post_init()

    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        pixel_values: torch.Tensor | None = None,
        image_sizes: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        mm_encoder_outputs: dict[str, BaseModelOutputWithPooling] | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> BaseModelOutputWithPast:
        """As `Phi3VForCausalLM.forward`, without the head."""
        if input_ids is not None and inputs_embeds is None:
            images = (mm_encoder_outputs or {}).get("image")
            if images is None and pixel_values is not None:
                images = self.get_image_features(pixel_values, image_sizes)
            inputs_embeds = self.embed(input_ids, images, past_key_values)
            input_ids = None
        return super().forward(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            **kwargs,
        )

    def get_image_features(
        self, pixel_values: torch.Tensor, image_sizes: torch.LongTensor | None = None
    ) -> BaseModelOutputWithPooling:
        """The embeddings of each image, [tokens, hidden], as the list `pooler_output`.

        The arguments are those of `Phi3VForCausalLM.forward`.
        """
        features, lengths = self.vision_embed_tokens(pixel_values, image_sizes)
        return BaseModelOutputWithPooling(pooler_output=features.split(lengths))

    def embed(
        self,
        input_ids: torch.LongTensor,
        images: BaseModelOutputWithPooling | None,
        past_key_values: Cache | None,
    ) -> torch.Tensor:
        """Embeddings [batch, length, hidden] of tokens and, where ids are negative, of images.

        Raises ValueError where the negative ids and the images do not fit each other.
        """
        inputs_embeds = self.embed_tokens(input_ids.clamp(min=0))
        if images is None:
            # Past the prompt nothing is checked: guesses of prompt lookup may repeat image ids.
            first = past_key_values is None or past_key_values.get_seq_length() == 0
            readable = not input_ids.is_meta and not torch.compiler.is_compiling()
            if first and readable and (input_ids < 0).any():
                raise ValueError("the prompt has image tags but there are no images")
            return inputs_embeds
        check_image_ids(input_ids, [len(image) for image in images.pooler_output])
        features = torch.cat(images.pooler_output)
        return inputs_embeds.masked_scatter(
            (input_ids < 0)[..., None], features.to(inputs_embeds.device, inputs_embeds.dtype)
        )


def check_image_ids(input_ids: torch.LongTensor, lengths: list[int]) -> None:
    """Raise ValueError unless the images of `lengths` tokens fit the negative ids of `input_ids`.

    Images are attached in list order, whatever their tags say. Each row must count its tags up
    from 1, or go on from the row before.
    """
    places = (input_ids < 0).nonzero()
    tags = -input_ids[tuple(places.T)]
    follows = places.diff(dim=0).eq(places.new_tensor([0, 1])).all(1) & tags.diff().eq(0)
    starts = [0, *(follows.logical_not().nonzero()[:, 0] + 1).tolist()] if len(tags) else []
    if len(starts) != len(lengths):
        raise ValueError(
            f"the prompt has {len(starts)} image tags but there are {len(lengths)} images"
        )
    rows, tags = places[starts, 0].tolist(), tags[starts].tolist()
    before_row, before_tag = -1, 0
    for row, tag in zip(rows, tags, strict=True):
        if tag != before_tag + 1 and not (row != before_row and tag == 1):
            raise ValueError(
                f"image tags out of order: row {row} has <|image_{tag}|> where another is due; "
                "images are attached in list order, so number the tags as they appear"
            )
        before_row, before_tag = row, tag
    found = [end - start for start, end in pairwise([*starts, len(places)])]
    if found != lengths:
        raise ValueError(f"images of {lengths} tokens have places for {found}")


class LoadsWhole:
    """Comes before a model's other bases and refuses checkpoints that do not fit it."""

    @classmethod
    def from_pretrained(
        cls, *args: Any, output_loading_info: bool = False, partial: bool = False, **kwargs: Any
    ) -> Any:
        """Load a checkpoint, as every model of transformers does.

        With `partial`, parameters that the checkpoint lacks are initialized and those that it has
        too many are left out, with a warning, as transformers does.

        Raises ValueError that names the parameters that the checkpoint lacks or has too many.
        """
        model, info = super().from_pretrained(*args, output_loading_info=True, **kwargs)
        for kind in () if partial else ("missing_keys", "unexpected_keys"):
            if names := sorted(info[kind]):
                listed = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if names[8:] else "")
                raise ValueError(
                    f"{model.name_or_path}: {kind.replace('_', ' ')} in the checkpoint: {listed}"
                )
        return (model, info) if output_loading_info else model


class Phi3VForCausalLM(LoadsWhole, Phi3VPreTrainedModel, Phi3ForCausalLM):
    """Phi-3-vision with a language modelling head."""

    def __init__(self, config: Phi3VConfig) -> None:
        Phi3VPreTrainedModel.__init__(self, config)
        self.model = Phi3VModel(config)
        self.vocab_size = config.vocab_size
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        pixel_values: torch.Tensor | None = None,
        image_sizes: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.LongTensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        **kwargs: Unpack[TransformersKwargs],
    ) -> CausalLMOutputWithPast:
        """Predict the next tokens.

        Args:
            input_ids: int [batch, length]; image i of a row takes a run of positions of -i, one
                for each of its tokens; rows without images are plain.
            pixel_values: float [images, tiles, 3, edge, edge] of all rows in order.
            image_sizes: int [images, 2], height and width in pixels of the grids of tiles.
            labels: int [batch, length]; negative ids, so image positions too, take no loss.
            kwargs: also mm_encoder_outputs, {"image": what `get_image_features` returned}, instead
                of pixels. Not named above, or `generate` would encode images in its own order.

        The other arguments are those of transformers' `Phi3ForCausalLM`.

        Raises ValueError where image positions, their order and the images do not fit.
        """
        if labels is not None:
            labels = labels.masked_fill(labels < 0, -100)
        return super().forward(
            input_ids=input_ids,
            pixel_values=pixel_values,
            image_sizes=image_sizes,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            labels=labels,
            use_cache=use_cache,
            logits_to_keep=logits_to_keep,
            **kwargs,
        )

    def get_image_features(
        self, pixel_values: torch.Tensor, image_sizes: torch.LongTensor | None = None
    ) -> BaseModelOutputWithPooling:
        """As `Phi3VModel.get_image_features`."""
        return self.model.get_image_features(pixel_values, image_sizes)

    def prepare_inputs_for_generation(
        self,
        input_ids: torch.LongTensor,
        past_key_values: Cache | None = None,
        is_first_iteration: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """GenerationMixin's own, without Phi-3's second run over the prompt at the RoPE switch.

        An empty cache gets the images, which GenerationMixin keeps from an assistant model.
        """
        empty = past_key_values is None or past_key_values.get_seq_length() == 0
        if empty and kwargs.get("pixel_values") is not None:
            is_first_iteration = True
        return super(Phi3ForCausalLM, self).prepare_inputs_for_generation(
            input_ids,
            past_key_values=past_key_values,
            is_first_iteration=is_first_iteration,
            **kwargs,
        )

    def _expand_inputs_for_generation(
        self, expand_size: int = 1, input_ids: torch.LongTensor | None = None, **kwargs: Any
    ) -> tuple[torch.LongTensor, dict[str, Any]]:
        """Repeat rows for beams; the images of a row are repeated together, in their order."""
        images = {name: kwargs.pop(name, None) for name in ("pixel_values", "image_sizes")}
        if images["pixel_values"] is not None and expand_size > 1:
            before = nn.functional.pad(input_ids, (1, 0))[:, :-1]
            new_image = (input_ids < 0) & (input_ids != before)
            order = torch.arange(len(images["pixel_values"])).split(new_image.sum(1).tolist())
            order = torch.cat([own.repeat(expand_size) for own in order])
            images = {name: tensor[order.to(tensor.device)] for name, tensor in images.items()}
        input_ids, kwargs = super()._expand_inputs_for_generation(
            expand_size=expand_size, input_ids=input_ids, **kwargs
        )
        return input_ids, {**kwargs, **images}

    def _get_logits_processor(self, *args: Any, **kwargs: Any) -> LogitsProcessorList:
        return TokensOnly(super()._get_logits_processor(*args, **kwargs))


class TokensOnly(LogitsProcessorList):
    """Logits processors that see image positions as token 0, as some use ids as an index."""

    def __call__(
        self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **kwargs: Any
    ) -> torch.FloatTensor:
        return super().__call__(input_ids.clamp(min=0), scores, **kwargs)


__all__ = ["Phi3VForCausalLM", "Phi3VImageEmbedding", "Phi3VModel", "Phi3VPreTrainedModel"]
