"""The configurations of the published base models, at full size without weights.

The sizes are those of config.json in HuggingFaceM4/idefics2-8b-chatty,
microsoft/Phi-3-vision-128k-instruct and llava-hf/llava-v1.6-mistral-7b-hf.
"""

import torch
from transformers import (
    AutoModelForImageTextToText,
    Idefics2Config,
    LlavaNextConfig,
    PreTrainedConfig,
    PreTrainedModel,
)

from . import register
from .configuration_phi3_v import Phi3VConfig

MISTRAL_7B = {
    "model_type": "mistral",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 32768,
}


def idefics2_8b(layers: int = 32) -> Idefics2Config:
    """Return Idefics2 8b with `layers` decoder layers: 40 and 48 are the 10b and 12b."""
    return Idefics2Config(
        text_config={
            **MISTRAL_7B,
            "num_hidden_layers": layers,
            "vocab_size": 32003,
            "pad_token_id": 0,
        },
        vision_config={
            "hidden_size": 1152,
            "intermediate_size": 4304,
            "num_hidden_layers": 27,
            "num_attention_heads": 16,
            "image_size": 980,
            "patch_size": 14,
        },
        perceiver_config={"hidden_size": 4096, "rms_norm_eps": 1e-5},
        architectures=["Idefics2ForConditionalGeneration"],
    )


def phi3_vision_128k() -> Phi3VConfig:
    """Return Phi-3-vision; the 48 factors of its long context, which affect no shape, are ones."""
    return Phi3VConfig(
        vocab_size=32064,
        hidden_size=3072,
        intermediate_size=8192,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=32,
        max_position_embeddings=131072,
        original_max_position_embeddings=4096,
        rope_scaling={"type": "su", "short_factor": [1.0] * 48, "long_factor": [1.0] * 48},
        architectures=["Phi3VForCausalLM"],
    )


def llava_v16_mistral_7b() -> LlavaNextConfig:
    """Return LLaVA-v1.6 on Mistral 7B."""
    return LlavaNextConfig(
        text_config={**MISTRAL_7B, "vocab_size": 32064},
        vision_config={
            "model_type": "clip_vision_model",
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "image_size": 336,
            "patch_size": 14,
            "projection_dim": 768,
            "vocab_size": 32000,
        },
        image_token_index=32000,
        architectures=["LlavaNextForConditionalGeneration"],
    )


def on_meta(config: PreTrainedConfig) -> PreTrainedModel:
    """Create the model of `config` on the meta device, without memory for its weights."""
    register()
    with torch.device("meta"):
        return AutoModelForImageTextToText.from_config(config)
