"""Create tiny models with random weights and a real tokenizer in seconds.

They have every part of the real architecture at a size that two CPU cores train in minutes. They
test the pipeline from data to answers, not the quality.
"""

# Untyped or partially typed: torch and transformers.
# pyright: reportUnknownMemberType=false

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    Idefics2Config,
    Idefics2ForConditionalGeneration,
    Idefics2Processor,
    PreTrainedTokenizerFast,
)
from transformers.models.idefics2.image_processing_pil_idefics2 import Idefics2ImageProcessorPil

from .checkpoint import keep_rope_theta

VOCABULARY = 2048
LATENTS = 16  # tokens per image in the text
IMAGE_EDGE = {"longest_edge": 112, "shortest_edge": 56}  # pixels
IMAGE_TOKENS = ["<fake_token_around_image>", "<image>", "<end_of_utterance>"]

# The format of HuggingFaceM4/idefics2-8b-chatty. It includes the beginning-of-sequence token, so
# that training and inference have the same ids.
CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ message['role'].capitalize() }}"
    "{{ ':' if message['content'][0]['type'] == 'image' else ': ' }}"
    "{% for line in message['content'] %}"
    "{{ line['text'] if line['type'] == 'text' else '<image>' }}"
    "{% endfor %}"
    "<end_of_utterance>\n"
    "{% endfor %}"
    "{{ 'Assistant:' if add_generation_prompt }}"
)


def make_tiny_idefics2(folder: Path, texts: Iterable[str], seed: int = 0, layers: int = 2) -> None:
    """Write an Idefics2 checkpoint of under 10M parameters, with its processor, to `folder`.

    `layers` are those of the decoder: with 32, the recipes of the 8b can merge it. The tokenizer is
    a byte-level BPE of at most 2,048 tokens trained on `texts`; the weights are float32 and depend
    on `seed` only for a given vocabulary size.
    """
    processor = tiny_idefics2_processor(texts)
    with weights_of(seed):
        config = tiny_idefics2_config(processor.tokenizer, layers)
        model = Idefics2ForConditionalGeneration(config)
    keep_rope_theta(model.config)
    model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    model.generation_config.eos_token_id = [
        processor.tokenizer.eos_token_id,
        processor.tokenizer.convert_tokens_to_ids("<end_of_utterance>"),
    ]
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def token_id(tokenizer: PreTrainedTokenizerFast, token: str) -> int:
    """Return the id of one token."""
    number = tokenizer.convert_tokens_to_ids(token)
    assert isinstance(number, int)
    return number


def tiny_idefics2_config(tokenizer: PreTrainedTokenizerFast, layers: int = 2) -> Idefics2Config:
    """Return Idefics2 at a hidden size of 128, with `layers` decoder and two vision layers."""
    return Idefics2Config(
        image_token_id=token_id(tokenizer, "<image>"),
        text_config={
            "model_type": "mistral",
            "vocab_size": len(tokenizer),
            "hidden_size": 128,
            "intermediate_size": 448,
            "num_hidden_layers": layers,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 2048,
            "rms_norm_eps": 1e-5,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        vision_config={
            "hidden_size": 128,
            "intermediate_size": 384,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": IMAGE_EDGE["longest_edge"],
            "patch_size": 14,
        },
        perceiver_config={
            "hidden_size": 128,
            "rms_norm_eps": 1e-5,
            "resampler_n_latents": LATENTS,
            "resampler_depth": 1,
            "resampler_n_heads": 4,
            "resampler_head_dim": 32,
            "num_key_value_heads": 2,
        },
    )


def tiny_idefics2_processor(texts: Iterable[str]) -> Idefics2Processor:
    """Create a byte-level BPE tokenizer trained on `texts`, and Idefics2's image processor at 112
    px."""
    bpe = train_bpe(texts, ["<unk>", "<s>", "</s>", *IMAGE_TOKENS])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<unk>",
        padding_side="left",
        model_max_length=2048,
        extra_special_tokens=IMAGE_TOKENS,
    )
    images = Idefics2ImageProcessorPil(size=IMAGE_EDGE, do_image_splitting=False)
    return Idefics2Processor(images, tokenizer, image_seq_len=LATENTS, chat_template=CHAT_TEMPLATE)


def train_bpe(texts: Iterable[str], special_tokens: list[str]) -> Tokenizer:
    """Train a byte-level BPE of at most 2,048 tokens, `special_tokens` first."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=special_tokens,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return bpe


@contextmanager
def weights_of(seed: int) -> Generator[None]:
    """Make random weights within the block depend on `seed` only; torch's generator is restored."""
    generator_state = torch.get_rng_state()
    torch.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(generator_state)
