"""The configurations of bases newer than the paper, at full size without weights.

The sizes are those of config.json in the repositories that each function names. The numbers of
parameters for Qwen3-VL (4,437,815,808 and 8,767,123,696) and Gemma 3 (4,300,079,472) are those
published for the weights; those of SmolVLM (2,246,272,880 and 256,484,928) were not compared with
the published files.
"""

from typing import Any, Literal, TypeAlias

from transformers import Gemma3Config, Idefics3Config, PreTrainedConfig, Qwen3VLConfig

# SigLIP So400m, arXiv 2303.15343: the tower of Gemma 3, SmolVLM 2b and Qwen3-VL 8b.
SO400M = {"hidden_size": 1152, "intermediate_size": 4304}

Part: TypeAlias = dict[str, Any]  # fields of a configuration

QWEN3_VL: dict[str, tuple[Part, Part]] = {  # text, vision
    "4b": (
        {"hidden_size": 2560, "intermediate_size": 9728},
        {"depth": 24, "hidden_size": 1024, "intermediate_size": 4096}
        | {"deepstack_visual_indexes": [5, 11, 17]},
    ),
    "8b": (
        {"hidden_size": 4096, "intermediate_size": 12288},
        {"depth": 27, **SO400M, "deepstack_visual_indexes": [8, 16, 24]},
    ),
}


def qwen3_vl(size: Literal["4b", "8b"]) -> Qwen3VLConfig:
    """Qwen/Qwen3-VL-4B-Instruct and Qwen/Qwen3-VL-8B-Instruct."""
    text, vision = QWEN3_VL[size]
    tied = size == "4b"
    return Qwen3VLConfig(
        text_config={
            **text,
            "vocab_size": 151936,
            "num_hidden_layers": 36,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "max_position_embeddings": 262144,
            "tie_word_embeddings": tied,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 5e6,
                "mrope_section": [24, 20, 20],
                "mrope_interleaved": True,
            },
        },
        vision_config={
            **vision,
            "num_heads": 16,
            "patch_size": 16,
            "out_hidden_size": text["hidden_size"],
        },
        tie_word_embeddings=tied,
        architectures=["Qwen3VLForConditionalGeneration"],
    )


def gemma3_4b() -> Gemma3Config:
    """google/gemma-3-4b-it."""
    return Gemma3Config(
        text_config={
            "vocab_size": 262208,
            "hidden_size": 2560,
            "intermediate_size": 10240,
            "num_hidden_layers": 34,
            "num_attention_heads": 8,
            "num_key_value_heads": 4,
            "head_dim": 256,
            "sliding_window": 1024,
            "rope_scaling": {"rope_type": "linear", "factor": 8.0},
        },
        vision_config={
            "model_type": "siglip_vision_model",
            **SO400M,
            "num_hidden_layers": 27,
            "num_attention_heads": 16,
            "image_size": 896,
            "patch_size": 14,
            "vision_use_head": False,
        },
        mm_tokens_per_image=256,
        architectures=["Gemma3ForConditionalGeneration"],
    )


SMOLVLM: dict[str, Part] = {
    "2b": {
        "text_config": {
            "vocab_size": 49155,
            "hidden_size": 2048,
            "intermediate_size": 8192,
            "num_hidden_layers": 24,
            "num_attention_heads": 32,
            "num_key_value_heads": 32,
            "max_position_embeddings": 16384,
            "rope_theta": 273768.0,
        },
        "vision_config": {
            **SO400M,
            "num_hidden_layers": 27,
            "num_attention_heads": 16,
            "image_size": 384,
            "patch_size": 14,
        },
        "scale_factor": 3,
        "image_token_id": 49153,
    },
    "256m": {
        "text_config": {
            "vocab_size": 49280,
            "hidden_size": 576,
            "intermediate_size": 1536,
            "num_hidden_layers": 30,
            "num_attention_heads": 9,
            "num_key_value_heads": 3,
            "max_position_embeddings": 8192,
            "rope_theta": 100000.0,
        },
        "vision_config": {
            "hidden_size": 768,
            "intermediate_size": 3072,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "image_size": 512,
            "patch_size": 16,
        },
        "scale_factor": 4,
        "image_token_id": 49190,
    },
}


def smolvlm(size: Literal["2b", "256m"], layers: int | None = None) -> Idefics3Config:
    """HuggingFaceTB/SmolVLM-Instruct and -256M-Instruct, which are of the type idefics3.

    `layers` are those of the decoder, by default as published.
    """
    own = SMOLVLM[size]
    depth = layers or own["text_config"]["num_hidden_layers"]
    text = {"model_type": "llama", **own["text_config"], "num_hidden_layers": depth}
    architectures = ["Idefics3ForConditionalGeneration"]
    return Idefics3Config(**{**own, "text_config": text, "architectures": architectures})


def of_base(name: str) -> PreTrainedConfig:
    """Return the configuration of a base by its name on the Hub."""
    return {
        "Qwen/Qwen3-VL-4B-Instruct": lambda: qwen3_vl("4b"),
        "Qwen/Qwen3-VL-8B-Instruct": lambda: qwen3_vl("8b"),
        "google/gemma-3-4b-it": gemma3_4b,
        "HuggingFaceTB/SmolVLM-Instruct": lambda: smolvlm("2b"),
        "HuggingFaceTB/SmolVLM-256M-Instruct": lambda: smolvlm("256m"),
    }[name]()
