"""Configurations of published models of more families, for work at real size without any weights.

The sizes are those of config.json of the models named; what is not given is transformers' default.
"""

import json
from pathlib import Path

import transformers
from transformers import PreTrainedConfig

QWEN2_7B = {
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
}
SIGLIP_SO400M = {
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "patch_size": 14,
}


def qwen2_vl() -> PreTrainedConfig:
    """Qwen/Qwen2-VL-7B-Instruct."""
    return transformers.Qwen2VLConfig(text_config={**QWEN2_7B, "vocab_size": 152064})


def qwen2_5_vl() -> PreTrainedConfig:
    """Qwen/Qwen2.5-VL-7B-Instruct."""
    return transformers.Qwen2_5_VLConfig(
        text_config={**QWEN2_7B, "vocab_size": 152064},
        vision_config={
            "depth": 32,
            "hidden_size": 1280,
            "intermediate_size": 3420,
            "num_heads": 16,
            "out_hidden_size": 3584,
        },
    )


def qwen3_vl() -> PreTrainedConfig:
    """Qwen/Qwen3-VL-8B-Instruct."""
    return transformers.Qwen3VLConfig(
        text_config={
            "hidden_size": 4096,
            "intermediate_size": 12288,
            "num_hidden_layers": 36,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "vocab_size": 151936,
        },
        vision_config={"out_hidden_size": 4096},
    )


def qwen3_5() -> PreTrainedConfig:
    """The defaults of transformers, of 9B parameters."""
    return transformers.Qwen3_5Config(vision_config={"out_hidden_size": 4096})


def gemma3() -> PreTrainedConfig:
    """google/gemma-3-4b-it, whose 34 layers end within a period of six."""
    return transformers.Gemma3Config(
        text_config={
            "hidden_size": 2560,
            "intermediate_size": 10240,
            "num_hidden_layers": 34,
            "sliding_window": 1024,
        },
        vision_config={**SIGLIP_SO400M, "image_size": 896, "vision_use_head": False},
    )


def idefics3() -> PreTrainedConfig:
    """HuggingFaceM4/Idefics3-8B-Llama3."""
    return transformers.Idefics3Config(
        text_config={
            "model_type": "llama",
            "hidden_size": 4096,
            "intermediate_size": 14336,
            "num_key_value_heads": 8,
            "vocab_size": 128259,
        },
        vision_config={**SIGLIP_SO400M, "image_size": 364},
    )


def smolvlm() -> PreTrainedConfig:
    """HuggingFaceTB/SmolVLM2-2.2B-Instruct."""
    return transformers.SmolVLMConfig(
        text_config={
            "model_type": "llama",
            "hidden_size": 2048,
            "intermediate_size": 8192,
            "num_hidden_layers": 24,
            "vocab_size": 49280,
        },
        vision_config={**SIGLIP_SO400M, "image_size": 384},
        scale_factor=3,
    )


def llava_onevision() -> PreTrainedConfig:
    """llava-hf/llava-onevision-qwen2-7b-ov-hf."""
    return transformers.LlavaOnevisionConfig(
        text_config={"model_type": "qwen2", **QWEN2_7B, "vocab_size": 152000}
    )


def internvl() -> PreTrainedConfig:
    """OpenGVLab/InternVL3-8B-hf: the tower is transformers' default."""
    return transformers.InternVLConfig(
        text_config={"model_type": "qwen2", **QWEN2_7B, "vocab_size": 151674},
        tie_word_embeddings=False,
    )


def mistral3() -> PreTrainedConfig:
    """The defaults of transformers, of 24B parameters as mistralai/Mistral-Small-3.1."""
    return transformers.Mistral3Config()


SIZES = {
    maker.__name__: maker
    for maker in (
        *(qwen2_vl, qwen2_5_vl, qwen3_vl, qwen3_5, gemma3),
        *(idefics3, smolvlm, llava_onevision, internvl, mistral3),
    )
}


def write_hollow(config: PreTrainedConfig, shapes: dict[str, list[int]], folder: Path) -> Path:
    """A checkpoint whose bfloat16 weights take no room on the disk: a file with a hole."""
    folder.mkdir()
    config.save_pretrained(folder)
    header, end = {}, 0
    for name, shape in shapes.items():
        start = end
        size = 2
        for length in shape:
            size *= length
        end += size
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
    return folder
