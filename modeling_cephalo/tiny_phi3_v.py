"""Create a tiny `phi3_v` with random weights and a real tokenizer in seconds."""

from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, processors
from transformers import PreTrainedTokenizerFast

from . import register
from .configuration_phi3_v import Phi3VConfig
from .image_processing_phi3_v import Phi3VImageProcessor
from .modeling_phi3_v import Phi3VForCausalLM
from .processing_phi3_v import CHAT_TEMPLATE, Phi3VProcessor
from .tiny import train_bpe, weights_of

TILE = 56  # pixels: 4 x 4 patches, so 2 x 2 tokens
TILE_TOKENS = 4
CROPS = 4
CONTEXT, SHORT_CONTEXT = 8192, 1024  # tokens
ROLES = ["<|endoftext|>", "<|assistant|>", "<|user|>", "<|end|>", "<|system|>"]
IMAGE_TOKEN = "<|image|>"
HEAD_DIM = 32


def make_tiny_phi3_v(folder: Path, texts: Iterable[str], seed: int = 0) -> None:
    """Write a Phi-3-vision checkpoint of under 2M parameters, with its processor, to `folder`.

    The tokenizer is a byte-level BPE of at most 2,048 tokens trained on `texts`; the weights are
    float32 and depend on `seed` only for a given vocabulary size.
    """
    register()  # so that the code is saved
    processor = tiny_phi3_v_processor(texts)
    with weights_of(seed):
        model = Phi3VForCausalLM(tiny_phi3_v_config(processor.tokenizer))
    model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    model.generation_config.eos_token_id = processor.tokenizer.convert_tokens_to_ids(
        ["<|endoftext|>", "<|end|>"]
    )
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def tiny_phi3_v_config(tokenizer: PreTrainedTokenizerFast) -> Phi3VConfig:
    """Return Phi-3-vision at a hidden size of 128, with two decoder and three CLIP layers."""
    pairs = HEAD_DIM // 2
    return Phi3VConfig(
        vocab_size=len(tokenizer),
        hidden_size=4 * HEAD_DIM,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=CONTEXT,
        original_max_position_embeddings=SHORT_CONTEXT,
        sliding_window=CONTEXT,
        rope_scaling={
            "type": "su",
            "short_factor": [1.0 + 0.01 * pair for pair in range(pairs)],
            "long_factor": [1.0 + 0.5 * pair for pair in range(pairs)],
        },
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        image_token_id=tokenizer.convert_tokens_to_ids(IMAGE_TOKEN),
        img_processor={
            "image_dim_out": 64,
            "model_name": "openai/clip-vit-large-patch14-336",
            "name": "clip_vision_model",
            "num_img_tokens": TILE_TOKENS,
        },
        vision_config={
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "image_size": TILE,
            "patch_size": 14,
        },
    )


def tiny_phi3_v_processor(texts: Iterable[str]) -> Phi3VProcessor:
    """Create a byte-level BPE tokenizer trained on `texts`, and tiles of 56 px, at most four."""
    bpe = train_bpe(texts, ["<unk>", "<s>", "</s>", *ROLES, IMAGE_TOKEN])
    bpe.add_special_tokens([AddedToken("<|assistant|>", rstrip=True, normalized=False)])
    bpe.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", bpe.token_to_id("<s>"))]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<s>",
        eos_token="<|endoftext|>",
        unk_token="<unk>",
        pad_token="<|endoftext|>",
        padding_side="right",
        model_max_length=CONTEXT,
        extra_special_tokens=[*ROLES, IMAGE_TOKEN],
    )
    images = Phi3VImageProcessor(num_crops=CROPS, num_img_tokens=TILE_TOKENS, tile_size=TILE)
    return Phi3VProcessor(images, tokenizer, chat_template=CHAT_TEMPLATE)
