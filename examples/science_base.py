"""Build the small Cephalo before training: an Idefics2 with random weights, a tokenizer of
digits."""

import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    Idefics2Config,
    Idefics2ForConditionalGeneration,
    Idefics2Processor,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.models.idefics2.image_processing_pil_idefics2 import Idefics2ImageProcessorPil

from modeling_cephalo import CephaloStemConfig, CephaloStemForConditionalGeneration
from modeling_cephalo.tiny import CHAT_TEMPLATE, IMAGE_TOKENS, weights_of

SIDE, LATENTS, WIDTH = 64, 8, 128  # pixels, tokens per image, hidden size
STEM = (24, 48, 96, WIDTH)  # channels of the convolutions, which end in patches of 16 pixels


def read_texts(plates: Path) -> list[str]:
    """Return every question and answer of the split `train`, to train a tokenizer on."""
    texts = []
    for shard in sorted((plates / "conversations").glob("train-*.parquet")):
        rows = pq.read_table(shard, columns=["query", "answer"])
        texts += rows["query"].to_pylist() + rows["answer"].to_pylist()
    return texts


def make_base(folder: Path, texts: list[str], stem: bool) -> None:
    """Write an Idefics2 of one to two million parameters with random weights, and its processor.

    With `stem`, its vision tower begins with convolutions: `modeling_cephalo_stem`.
    """
    tokenizer = make_tokenizer(texts)
    images = Idefics2ImageProcessorPil(
        size={"longest_edge": SIDE, "shortest_edge": SIDE}, do_image_splitting=False
    )
    processor = Idefics2Processor(
        images, tokenizer, image_seq_len=LATENTS, chat_template=CHAT_TEMPLATE
    )
    with weights_of(seed=0):
        if stem:
            sizes = make_sizes(tokenizer, patch=2 ** len(STEM), vision_layers=2)
            config = CephaloStemConfig(**sizes, stem_channels=STEM)
            model = CephaloStemForConditionalGeneration(config)
        else:
            sizes = make_sizes(tokenizer, patch=8, vision_layers=4)
            model = Idefics2ForConditionalGeneration(Idefics2Config(**sizes))
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.eos_token_id = [
        tokenizer.eos_token_id,
        tokenizer.convert_tokens_to_ids("<end_of_utterance>"),
    ]
    save_whole(model, processor, folder)


def save_whole(model: PreTrainedModel, processor: Idefics2Processor, folder: Path) -> None:
    """Save a model and its processor to `folder`, which is renamed into place when complete."""
    aside = folder.with_name(folder.name + ".partial")
    shutil.rmtree(aside, ignore_errors=True)
    model.save_pretrained(aside)
    processor.save_pretrained(aside)
    aside.rename(folder)


def make_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE that splits numbers into digits, so that they are read digit by
    digit."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\d"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=512,
            special_tokens=["<unk>", "<s>", "</s>", *IMAGE_TOKENS],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<unk>",
        padding_side="left",
        extra_special_tokens=IMAGE_TOKENS,
    )


def make_sizes(
    tokenizer: PreTrainedTokenizerFast, patch: int, vision_layers: int
) -> dict[str, Any]:
    """Return sizes for the configuration: `vision_layers` on patches of `patch` pixels, a resampler
    and
    two decoder layers."""
    return {
        "image_token_id": tokenizer.convert_tokens_to_ids("<image>"),
        "text_config": {
            "model_type": "mistral",
            "vocab_size": len(tokenizer),
            "hidden_size": WIDTH,
            "intermediate_size": 4 * WIDTH,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "max_position_embeddings": 512,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        "vision_config": {
            "hidden_size": WIDTH,
            "intermediate_size": 4 * WIDTH,
            "num_hidden_layers": vision_layers,
            "num_attention_heads": 4,
            "image_size": SIDE,
            "patch_size": patch,
        },
        "perceiver_config": {
            "hidden_size": WIDTH,
            "resampler_n_latents": LATENTS,
            "resampler_depth": 1,
            "resampler_n_heads": 4,
            "resampler_head_dim": WIDTH // 4,
            "num_key_value_heads": 4,
        },
    }
