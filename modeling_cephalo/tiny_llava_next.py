"""Create a tiny LLaVA-NeXT with random weights and a real tokenizer in seconds."""

from collections.abc import Iterable
from pathlib import Path

from tokenizers import processors
from transformers import (
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextProcessor,
    PreTrainedTokenizerFast,
)
from transformers.models.llava_next.image_processing_pil_llava_next import (
    LlavaNextImageProcessorPil,
)

from .checkpoint import keep_rope_theta
from .tiny import token_id, train_bpe, weights_of

EDGE, PATCH = 56, 14  # pixels
GRIDS = [[56, 112], [112, 56], [112, 112]]

# The format of llava-hf/llava-v1.6-mistral-7b-hf.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}"
    "{{ '[INST] ' }}"
    "{% for part in message['content'] if part['type'] == 'image' %}{{ '<image>\n' }}{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %}"
    "{{ ' [/INST]' }}"
    "{% else %}"
    "{% for part in message['content'] %}{{ ' ' + part['text'] }}{% endfor %}"
    "{{ '</s>' }}"
    "{% endif %}"
    "{% endfor %}"
)


def make_tiny_llava_next(folder: Path, texts: Iterable[str], seed: int = 0) -> None:
    """Write a LLaVA-NeXT checkpoint of under 2M parameters, with its processor, to `folder`.

    The tokenizer is a byte-level BPE of at most 2,048 tokens trained on `texts`; the weights are
    float32 and depend on `seed` only for a given vocabulary size.
    """
    processor = tiny_llava_next_processor(texts)
    with weights_of(seed):
        model = LlavaNextForConditionalGeneration(tiny_llava_next_config(processor.tokenizer))
    keep_rope_theta(model.config)
    model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def tiny_llava_next_config(tokenizer: PreTrainedTokenizerFast) -> LlavaNextConfig:
    """Return LLaVA-NeXT at a hidden size of 128, with two Mistral and three CLIP layers."""
    return LlavaNextConfig(
        image_token_index=token_id(tokenizer, "<image>"),
        image_grid_pinpoints=GRIDS,
        text_config={
            "model_type": "mistral",
            "vocab_size": len(tokenizer),
            "hidden_size": 128,
            "intermediate_size": 256,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 4096,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        vision_config={
            "model_type": "clip_vision_model",
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "image_size": EDGE,
            "patch_size": PATCH,
        },
    )


def tiny_llava_next_processor(texts: Iterable[str]) -> LlavaNextProcessor:
    """Create a byte-level BPE tokenizer trained on `texts`, and tiles of 56 px."""
    bpe = train_bpe(texts, ["<unk>", "<s>", "</s>", "<image>"])
    bpe.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", bpe.token_to_id("<s>"))]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<unk>",
        padding_side="left",
        model_max_length=4096,
        extra_special_tokens=["<image>"],
    )
    images = LlavaNextImageProcessorPil(
        size={"shortest_edge": EDGE},
        crop_size={"height": EDGE, "width": EDGE},
        image_grid_pinpoints=GRIDS,
    )
    return LlavaNextProcessor(
        images,
        tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )
