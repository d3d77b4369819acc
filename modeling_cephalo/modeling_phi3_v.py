"""Phi-3-vision (`phi3_v`) on transformers' Phi-3 decoder and CLIP tower.

Parameter names are those of microsoft/Phi-3-vision-128k-instruct, so published checkpoints load and
are saved unchanged. Images are processed as in the published code: a tile of CLIP patches becomes a
square of tokens, two by two patches each; `sub_GN` ends each row; the grid of sub-images and the
global view, joined by `glb_GN`, take the positions of `input_ids` with `image_token_id` or, as the
published processor writes them, minus the number of the image.

RoPE has two sets of factors. A forward pass whose highest position + 1 is above
`original_max_position_embeddings` uses the long set for all of its positions, any other the short
set. A prompt is one forward pass, so its length determines the set. During generation beyond that
length, new tokens use the long set and the cached keys do not change, as in the published code.
"""

# Untyped or partially typed: torch and transformers.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportPrivateImportUsage=false
# pyright: reportIncompatibleVariableOverride=false

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import (
    Cache,
    Phi3ForCausalLM,
    Phi3Model,
    Phi3PreTrainedModel,
    PreTrainedModel,
)
from transformers import initialization as init
from transformers.generation.utils import GenerationMixin
from transformers.modeling_outputs import (
    BaseModelOutputWithPast,
    BaseModelOutputWithPooling,
    CausalLMOutputWithPast,
)
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs, can_return_tuple
from transformers.utils.import_utils import torch_compilable_check

from .configuration_phi3_v import Phi3VConfig
from .image_embedding_phi3_v import Phi3VImageEmbedding

if TYPE_CHECKING:  # the base class that `LoadsWhole` is combined with
    _Model = PreTrainedModel
else:
    _Model = object

# The arguments of `forward` for images.
IMAGES = ("pixel_values", "image_sizes", "mm_encoder_outputs")


class Phi3VPreTrainedModel(Phi3PreTrainedModel):
    config: Phi3VConfig
    input_modalities = ("image", "text")  # pyright: ignore[reportAssignmentType]  # read as a list
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
    """Phi-3's decoder with images in place of negative input ids."""

    def __init__(self, config: Phi3VConfig) -> None:
        super().__init__(config)
        self.vision_embed_tokens = Phi3VImageEmbedding(config)
        self.post_init()

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]  # images come second
        self,
        input_ids: torch.LongTensor | None = None,
        pixel_values: torch.Tensor | None = None,
        image_sizes: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        mm_encoder_outputs: dict[str, BaseModelOutputWithPooling] | None = None,
        **kwargs: Unpack[TransformersKwargs],  # pyright: ignore[reportGeneralTypeIssues]  # as all have
    ) -> BaseModelOutputWithPast:
        """Compute hidden states as `Phi3VForCausalLM.forward`, without the head."""
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give either input_ids or inputs_embeds")
        encoded = (mm_encoder_outputs or {}).get("image")
        if pixel_values is not None and encoded is not None:
            raise ValueError("give either pixel_values or mm_encoder_outputs")
        if pixel_values is not None or encoded is not None:
            inputs_embeds = self.embed_with_images(
                input_ids, inputs_embeds, pixel_values, image_sizes, encoded
            )
        elif inputs_embeds is None:
            assert input_ids is not None
            inputs_embeds = self.embed_text(input_ids)
        return super().forward(
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            **kwargs,  # pyright: ignore[reportCallIssue]  # names that all arguments may have
        )

    @can_return_tuple
    def get_image_features(
        self,
        pixel_values: torch.Tensor,
        image_sizes: torch.LongTensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> BaseModelOutputWithPooling:
        """Return the embeddings of each image, [tokens, hidden], as the list `pooler_output`.

        The arguments are those of `Phi3VForCausalLM.forward`. With `output_hidden_states` or
        `output_attentions`, here or in `vision_config`, CLIP's are returned too. There is no
        `last_hidden_state`, since CLIP's last layer is not computed for images alone.
        """
        features, counts = self.vision_embed_tokens(pixel_values, image_sizes)
        split: Any = list(features.split(counts.tolist()))  # no tensor: they differ in length
        outputs = BaseModelOutputWithPooling(pooler_output=split)
        asked = ("output_hidden_states", "output_attentions")
        if any(kwargs.get(name, getattr(self.config.vision_config, name)) for name in asked):
            tower = self.vision_embed_tokens.tower_outputs(pixel_values, image_sizes, **kwargs)
            outputs.hidden_states, outputs.attentions = tower.hidden_states, tower.attentions
        return outputs

    def get_placeholder_mask(
        self,
        input_ids: torch.LongTensor | None,
        inputs_embeds: torch.Tensor | None = None,
        image_features: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the positions of image tokens, bool [batch, length].

        Args:
            input_ids: int [batch, length]; image tokens are `image_token_id` or negative.
            inputs_embeds: [batch, length, hidden], instead of ids; image tokens have the embedding
                of `image_token_id`.
            image_features: [tokens, hidden], to compare with the positions.

        Raises:
            ValueError: If tags are out of order, or positions and features do not match.
        """
        if input_ids is None:
            assert inputs_embeds is not None
            token = torch.tensor(self.config.image_token_id, device=inputs_embeds.device)
            mask = (inputs_embeds == self.embed_tokens(token)).all(-1)
        else:
            check_order(input_ids)
            mask = is_image_token(input_ids, self.config.image_token_id)
        if image_features is not None:
            check_places(mask, len(image_features))
        return mask

    def embed_text(self, input_ids: torch.LongTensor) -> torch.Tensor:
        """Return the embeddings of a prompt or of new tokens. Raises ValueError for image tags."""
        if input_ids.shape[1] > 1 and not input_ids.is_meta:  # new tokens are no image tags
            torch_compilable_check(
                input_ids >= 0, "the prompt has image tags but there are no images"
            )
        return self.embed_tokens(input_ids)

    def embed_with_images(
        self,
        input_ids: torch.LongTensor | None,
        inputs_embeds: torch.Tensor | None,
        pixel_values: torch.Tensor | None,
        image_sizes: torch.LongTensor | None,
        encoded: BaseModelOutputWithPooling | None,
    ) -> torch.Tensor:
        """Return the embeddings [batch, length, hidden] of text and of images, from pixels or
        encoded.

        No shape depends on the values of tensors, so that it can be compiled and exported.
        """
        mask = self.get_placeholder_mask(input_ids, inputs_embeds)
        if inputs_embeds is None:
            assert input_ids is not None
            embedded: torch.Tensor = self.embed_tokens(input_ids.masked_fill(mask, 0))
        else:
            embedded = inputs_embeds
        # Index over the batch of the image token at each position; text has that of the last one.
        numbers = (mask.flatten().cumsum(0) - 1).clamp(min=0)
        if encoded is None:
            features, counts = self.vision_embed_tokens(pixel_values, image_sizes, numbers)
            check_places(mask, counts.sum())
        else:
            assert encoded.pooler_output is not None
            features = torch.cat(list(encoded.pooler_output))
            check_places(mask, len(features))
            features = features[numbers.to(features.device)]
        features = features.to(embedded.device, embedded.dtype).view_as(embedded)
        return torch.where(mask[..., None].to(features.device), features, embedded)


def is_image_token(input_ids: torch.Tensor, image_token_id: int) -> torch.Tensor:
    """Return whether an id is the image token or a published tag, minus the number of an image."""
    return (input_ids < 0) | (input_ids == image_token_id)


def check_order(input_ids: torch.Tensor) -> None:
    """Raise ValueError if tags, negative ids, decrease in number within a row: images are attached
    in list order, whatever their tags."""
    tags = input_ids.clamp(max=0).neg()
    late = (tags > 0) & (tags < tags.cummax(1).values)
    torch_compilable_check(
        ~late,
        lambda: (
            f"image tags out of order: row {int(late.nonzero()[0, 0])} has "
            f"<|image_{int(tags[late][0])}|> after a higher one; images are attached in list "
            "order, so number the tags as they appear"
        ),
    )


def check_places(mask: torch.Tensor, tokens: int | torch.Tensor) -> None:
    """Raise ValueError unless the images' `tokens` in total fill the positions of `mask`."""
    found = mask.sum()
    torch_compilable_check(
        found == tokens,
        lambda: f"the images have {int(tokens)} tokens and the prompts have places for {found}",
    )


class LoadsWhole(_Model):
    """Base class, before a model's other bases, that rejects incomplete checkpoints."""

    @classmethod
    def from_pretrained(
        cls, *args: Any, output_loading_info: bool = False, partial: bool = False, **kwargs: Any
    ) -> Any:
        """Load a checkpoint, as every model of transformers does.

        With `partial`, missing parameters are initialized and unexpected ones ignored, with a
        warning, as in transformers; the same applies to `output_loading_info`, which returns them.
        Otherwise raises ValueError with the names of missing and unexpected parameters.
        """
        pair: Any = super().from_pretrained(*args, output_loading_info=True, **kwargs)
        model, info = pair
        told = partial or output_loading_info
        for kind in () if told else ("missing_keys", "unexpected_keys"):
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

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]  # images come second
        self,
        input_ids: torch.LongTensor | None = None,
        pixel_values: torch.Tensor | None = None,
        image_sizes: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        mm_encoder_outputs: dict[str, BaseModelOutputWithPooling] | None = None,
        **kwargs: Unpack[TransformersKwargs],  # pyright: ignore[reportGeneralTypeIssues]  # as all have
    ) -> CausalLMOutputWithPast:
        """Predict the next tokens.

        The other arguments are those of transformers' `Phi3ForCausalLM`.

        Args:
            input_ids: int [batch, length]; each token of an image takes a position with
                `image_token_id` or, as published, minus the number of the image in its row.
            pixel_values: float [images, tiles, 3, edge, edge] of all rows in order.
            image_sizes: int [images, 2], height and width in pixels of the grids of tiles.
            inputs_embeds: [batch, length, hidden], instead of ids; images may take the positions
                with the embedding of `image_token_id`.
            labels: int [batch, length]; negative ids, and therefore image positions, have no loss.
            mm_encoder_outputs: {"image": the result of `get_image_features`}, instead of pixels.

        Raises:
            ValueError: If image positions, their order and the images do not match.
        """
        if labels is not None:
            labels = labels.masked_fill(labels < 0, -100)
        return super().forward(
            input_ids=input_ids,
            pixel_values=pixel_values,  # pyright: ignore[reportCallIssue]  # goes on to Phi3VModel
            image_sizes=image_sizes,  # pyright: ignore[reportCallIssue]
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            labels=labels,  # pyright: ignore[reportArgumentType]  # any integers
            use_cache=use_cache,
            logits_to_keep=logits_to_keep,
            mm_encoder_outputs=mm_encoder_outputs,  # pyright: ignore[reportCallIssue]
            **kwargs,  # pyright: ignore[reportCallIssue]  # names that all arguments may have
        )

    def get_image_features(
        self,
        pixel_values: torch.Tensor,
        image_sizes: torch.LongTensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> BaseModelOutputWithPooling:
        """Return the result of `Phi3VModel.get_image_features`."""
        return self.model.get_image_features(pixel_values, image_sizes, **kwargs)

    # Phi-3's own computes the whole prompt again at the RoPE switch.
    prepare_inputs_for_generation = (
        GenerationMixin.prepare_inputs_for_generation  # pyright: ignore[reportAttributeAccessIssue]  # its `self` is a protocol
    )

    def _prepare_model_inputs(
        self,
        inputs: torch.Tensor | None,
        bos_token_id: torch.Tensor | None,
        model_kwargs: dict[str, Any],
    ) -> tuple[torch.Tensor, str | None, dict[str, Any]]:  # the arguments of `generate`
        """Return the start of `generate`, with published image tags replaced by `image_token_id`.

        Streamers, logits processors and transformers' own image handling then need not support
        negative ids. Images that a given cache already contains are excluded.
        """
        prepare: Any = super()._prepare_model_inputs  # pyright: ignore[reportAttributeAccessIssue]  # its `self` is a protocol
        inputs, name, model_kwargs = prepare(inputs, bos_token_id, model_kwargs)
        assert inputs is not None
        if name != "input_ids":
            return inputs, name, model_kwargs
        check_order(inputs)
        tokens = is_image_token(inputs, self.config.image_token_id)
        past = model_kwargs.get("past_key_values")
        seen = past.get_seq_length() if past is not None else 0
        given = {key: model_kwargs[key] for key in IMAGES if model_kwargs.get(key) is not None}
        if not (given or seen) and (inputs < 0).any():
            raise ValueError("the prompt has image tags but there are no images")
        if seen and given:
            others = {key: value for key, value in model_kwargs.items() if key not in IMAGES}
            model_kwargs = others | self.unseen_images(tokens, int(seen), given)
        return inputs.masked_fill(tokens, self.config.image_token_id), name, model_kwargs

    def unseen_images(
        self, tokens: torch.Tensor, seen: int, images: dict[str, Any]
    ) -> dict[str, Any]:
        """Return the arguments `images` of `forward` without the images in the first `seen`
        positions.

        All images are returned, unless `tokens`, the positions of image tokens, bool [batch,
        length], are those of whole prompts with all their images.
        """
        encoded = images.get("mm_encoder_outputs", {}).get("image")
        if encoded is not None:
            counts = torch.tensor([len(features) for features in encoded.pooler_output])
        elif "pixel_values" in images:
            embedding = self.model.vision_embed_tokens
            grids = embedding.tile_grids(images["pixel_values"], images.get("image_sizes"))
            counts = embedding.token_counts(grids).cpu()
        else:
            return images
        columns = tokens.nonzero()[:, 1].cpu()
        if len(columns) != counts.sum():
            return images
        new = (columns[counts.cumsum(0) - counts] >= seen).nonzero()[:, 0]
        if not len(new):
            return {}
        if encoded is not None:
            features = [encoded.pooler_output[index] for index in new.tolist()]
            encoded = BaseModelOutputWithPooling(pooler_output=features)  # pyright: ignore[reportArgumentType]  # a list
            return {"mm_encoder_outputs": {"image": encoded}}
        return {name: tensor[new.to(tensor.device)] for name, tensor in images.items()}


__all__ = ["Phi3VForCausalLM", "Phi3VModel", "Phi3VPreTrainedModel"]
