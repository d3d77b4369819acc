"""Small configurations and inputs of the model families, for transformers' common tests."""

from collections.abc import Callable
from typing import Any

import torch
from transformers import Idefics2Config, LlavaNextConfig, PreTrainedConfig

from modeling_cephalo import CephaloStemConfig, Phi3VConfig, mixture_config, register
from modeling_cephalo.configuration_cephalo_moe import Idefics2MoeConfig, Phi3VMoeConfig

register()

BATCH, TEXT = 3, 7  # rows; tokens of a row besides those of its image
LAYERS, HEADS, HIDDEN, VOCABULARY = 2, 4, 32, 99
IMAGE = 1  # id of the image token
EDGE, PATCH = 8, 2  # pixels
TEXT_CONFIG = {
    "model_type": "mistral",
    "vocab_size": VOCABULARY,
    "hidden_size": HIDDEN,
    "intermediate_size": 64,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "bos_token_id": 2,
    "eos_token_id": 3,
    "pad_token_id": 0,
}
VISION_CONFIG = {
    "hidden_size": HIDDEN,
    "intermediate_size": 64,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "image_size": EDGE,
    "patch_size": PATCH,
}
LATENTS = 5
PERCEIVER_CONFIG = {
    "hidden_size": HIDDEN,
    "resampler_n_latents": LATENTS,
    "resampler_depth": LAYERS,
    "resampler_n_heads": 2,
    "num_key_value_heads": 1,
    "resampler_head_dim": 16,
}
ROUTING = {"num_experts": 3, "num_experts_per_tok": 2}


def idefics2() -> Idefics2Config:
    """Return Idefics2."""
    return Idefics2Config(
        image_token_id=IMAGE,
        text_config=dict(TEXT_CONFIG),
        vision_config=dict(VISION_CONFIG),
        perceiver_config=dict(PERCEIVER_CONFIG),
    )


def stem() -> CephaloStemConfig:
    """Return Idefics2 with a convolutional stem, whose channels are multiples of eight."""
    return CephaloStemConfig(
        image_token_id=IMAGE,
        text_config=dict(TEXT_CONFIG),
        vision_config={**VISION_CONFIG, "patch_size": 4},
        perceiver_config=dict(PERCEIVER_CONFIG),
    )


def llava_next() -> LlavaNextConfig:
    """Return LLaVA-NeXT with one possible grid of tiles."""
    return LlavaNextConfig(
        image_token_index=IMAGE,
        image_grid_pinpoints=[[EDGE, EDGE]],
        vision_feature_layer=-1,
        text_config=dict(TEXT_CONFIG),
        vision_config={**VISION_CONFIG, "model_type": "clip_vision_model", "projection_dim": 16},
    )


def phi3_v() -> Phi3VConfig:
    """Return Phi-3-vision with two sets of RoPE factors."""
    pairs = HIDDEN // HEADS // 2
    text = {name: value for name, value in TEXT_CONFIG.items() if name != "model_type"}
    return Phi3VConfig(
        **text,
        image_token_id=IMAGE,
        original_max_position_embeddings=256,
        rope_scaling={
            "type": "su",
            "short_factor": [1.0] * pairs,
            "long_factor": [1.5] * pairs,
        },
        img_processor={
            "image_dim_out": HIDDEN,
            "name": "clip_vision_model",
            "layer_idx": -1,  # as in LLaVA-NeXT here; layers above that one would not be trained
            "num_img_tokens": (EDGE // PATCH // 2) ** 2,
        },
        vision_config=dict(VISION_CONFIG),
    )


def mixture(dense: Callable[[], PreTrainedConfig]) -> PreTrainedConfig:
    """Return a mixture around a dense family."""
    return mixture_config(dense(), **ROUTING)


def published_phi3_v() -> Phi3VMoeConfig:
    """Return a mixture of phi3_v in its published layout."""
    return Phi3VMoeConfig(**without_names(mixture(phi3_v)))


def published_idefics2() -> Idefics2MoeConfig:
    """Return a mixture of Idefics2 in its published layout."""
    return Idefics2MoeConfig(**without_names(mixture(idefics2)))


def without_names(config: PreTrainedConfig) -> dict[str, Any]:
    """Return a configuration's keys, without those that name its classes."""
    own = ("model_type", "auto_map", "architectures")
    return {name: value for name, value in config.to_dict().items() if name not in own}


def idefics2_images() -> dict[str, torch.Tensor]:
    """Return one image for each row."""
    return {"pixel_values": torch.rand(BATCH, 1, 3, EDGE, EDGE)}


def llava_next_images() -> dict[str, torch.Tensor]:
    """Return one image for each row: a view of the whole and one tile."""
    return {
        "pixel_values": torch.rand(BATCH, 2, 3, EDGE, EDGE),
        "image_sizes": torch.tensor([[EDGE, EDGE]] * BATCH),
    }


phi3_v_images = llava_next_images  # of the same form
IDEFICS2_TOKENS = LATENTS
LLAVA_NEXT_TOKENS = 2 * (EDGE // PATCH) ** 2 + EDGE // PATCH  # each row of the tile ends with one
# A view and a tile of two by two tokens, whose rows end with one each, and one between the two.
PHI3_V_TOKENS = 2 * (EDGE // PATCH // 2) * (EDGE // PATCH // 2 + 1) + 1
IDEFICS2 = {"config": idefics2, "images": idefics2_images, "tokens": IDEFICS2_TOKENS}
LLAVA_NEXT = {"config": llava_next, "images": llava_next_images, "tokens": LLAVA_NEXT_TOKENS}
PHI3_V = {"config": phi3_v, "images": phi3_v_images, "tokens": PHI3_V_TOKENS}


class ModelTester:
    """The interface of a model tester in transformers' common tests.

    Args:
        parent: The test case.
        config: Creates the configuration.
        images: Creates the inputs besides text, one image for each row.
        tokens: Number of tokens of an image.
    """

    batch_size = BATCH
    num_hidden_layers, num_attention_heads, hidden_size = LAYERS, HEADS, HIDDEN
    is_training = True
    text_config, vision_config = TEXT_CONFIG, VISION_CONFIG

    def __init__(
        self,
        parent: Any,
        config: Callable[[], PreTrainedConfig],
        images: Callable[[], dict[str, torch.Tensor]],
        tokens: int,
    ) -> None:
        self.parent, self.get_config, self.images, self.tokens = parent, config, images, tokens
        self.seq_length = tokens + TEXT

    def prepare_config_and_inputs_for_common(
        self,
    ) -> tuple[PreTrainedConfig, dict[str, torch.Tensor]]:
        """Return a configuration, and rows that begin with their image."""
        config = self.get_config()
        input_ids = torch.randint(5, VOCABULARY, (BATCH, self.seq_length))
        input_ids[:, : self.tokens] = IMAGE
        mask = torch.ones_like(input_ids)
        return config, {**self.images(), "input_ids": input_ids, "attention_mask": mask}
