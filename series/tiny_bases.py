"""Create tiny checkpoints of the bases newer than the paper, with random weights."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import transformers
from transformers import PreTrainedConfig, PreTrainedTokenizerFast, ProcessorMixin
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.utils import is_torchvision_available

from cephalo.cli.errors import CephaloError
from cephalo.series import published
from modeling_cephalo.checkpoint import keep_rope_theta
from modeling_cephalo.tiny import train_bpe, weights_of

if TYPE_CHECKING:
    from transformers.video_processing_utils import BaseVideoProcessor

CONTEXT = 4096  # tokens
EDGE, PATCH = 56, 14  # pixels
HEAD_DIM = 32
VISION_HIDDEN = 64

# The formats of the published templates, for images before their text.
CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<|vision_start|><|image_pad|><|vision_end|>' }}"
    "{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}"
    "{{ '<|im_end|>\n' }}"
    "{% endfor %}"
    "{{ '<|im_start|>assistant\n' if add_generation_prompt }}"
)
GEMMA = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) }}"
    "{{ '\n' }}"
    "{% for part in message['content'] %}"
    "{{ '<start_of_image>' if part['type'] == 'image' else part['text'] }}"
    "{% endfor %}"
    "{{ '<end_of_turn>\n' }}"
    "{% endfor %}"
    "{{ '<start_of_turn>model\n' if add_generation_prompt }}"
)
SMOLVLM = (
    "<|im_start|>"
    "{% for message in messages %}"
    "{{ message['role'].capitalize() }}"
    "{{ ':' if message['content'][0]['type'] == 'image' else ': ' }}"
    "{% for part in message['content'] %}"
    "{{ '<image>' if part['type'] == 'image' else part['text'] }}"
    "{% endfor %}"
    "{{ '<end_of_utterance>\n' }}"
    "{% endfor %}"
    "{{ 'Assistant:' if add_generation_prompt }}"
)


def make_tiny(
    family: str, folder: Path, texts: Iterable[str], seed: int = 0, layers: int = 2
) -> None:
    """Write a checkpoint of a family, a key of FAMILIES, with its processor, to `folder`.

    It is the published model with all sizes and numbers of layers reduced. The tokenizer is a
    byte-level BPE of at most 2,048 tokens trained on `texts`; the weights are float32 and depend on
    `seed` only for a given vocabulary size. Raises CephaloError if its processor needs torchvision,
    which is not installed.
    """
    make_config, make_processor = FAMILIES[family]
    config: PreTrainedConfig = make_config()
    processor, end = make_processor(texts)
    reduce_sizes(config, processor.tokenizer, layers)
    with weights_of(seed):
        model = transformers.AutoModelForImageTextToText.from_config(config)
    keep_rope_theta(model.config)
    ids = processor.tokenizer.convert_tokens_to_ids
    model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    model.generation_config.eos_token_id = [processor.tokenizer.eos_token_id, ids(end)]
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def reduce_sizes(config: PreTrainedConfig, tokenizer: PreTrainedTokenizerFast, layers: int) -> None:
    """Reduce a published configuration to the sizes of a tiny model, with the ids of its
    tokenizer."""
    text, vision = config.get_text_config(), config.vision_config
    set_all(
        text,
        vocab_size=len(tokenizer),
        hidden_size=4 * HEAD_DIM,
        intermediate_size=256,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=HEAD_DIM,
        max_position_embeddings=CONTEXT,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    set_all(vision, hidden_size=VISION_HIDDEN, intermediate_size=128, image_size=EDGE)
    vision.patch_size = PATCH
    vision.num_attention_heads, vision.num_hidden_layers = 4, 2
    if config.model_type == "qwen3_vl":
        set_all(vision, out_hidden_size=text.hidden_size, num_position_embeddings=64)
        vision.deepstack_visual_indexes = [0, 1]
        text.rope_parameters["mrope_section"] = [8, 4, 4]  # of HEAD_DIM / 2
    elif config.model_type == "gemma3":
        text.layer_types = ["sliding_attention", "full_attention"] * (layers // 2)
        set_all(text, sliding_window=64, query_pre_attn_scalar=HEAD_DIM)
        set_all(config, mm_tokens_per_image=4)
    else:
        set_all(config, scale_factor=2)
    for name in TOKEN_IDS:
        if hasattr(config, f"{name}_id") and hasattr(tokenizer, f"{name}_id"):
            setattr(config, f"{name}_id", getattr(tokenizer, f"{name}_id"))


TOKEN_IDS = (
    *("image_token", "video_token", "vision_start_token", "vision_end_token"),
    *("boi_token", "eoi_token"),
)


def set_all(config: PreTrainedConfig, **values: object) -> None:
    """Set some fields."""
    for name, value in values.items():
        setattr(config, name, value)


def make_tokenizer(texts: Iterable[str], turns: list[str], **named: str) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE with the tokens of turns, and those that a processor looks up by
    name."""
    special = [*turns, *dict.fromkeys(named.values())]
    return PreTrainedTokenizerFast(
        tokenizer_object=train_bpe(texts, ["<unk>", "<s>", "</s>", *special]),
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<unk>",
        model_max_length=CONTEXT,
        additional_special_tokens=turns,
        extra_special_tokens=named,
    )


def qwen3_vl_processor(texts: Iterable[str]) -> tuple[ProcessorMixin, str]:
    """Return a processor with patches of 14 pixels, two by two of them per token, and the token
    that ends a turn."""
    videos = qwen3_vl_videos()
    tokenizer = make_tokenizer(
        texts,
        ["<|im_start|>", "<|im_end|>"],
        image_token="<|image_pad|>",
        video_token="<|video_pad|>",
        vision_start_token="<|vision_start|>",
        vision_end_token="<|vision_end|>",
    )
    images = Qwen2VLImageProcessorPil(
        size={"shortest_edge": 28 * 28, "longest_edge": 112 * 112},
        patch_size=PATCH,
        temporal_patch_size=2,
        merge_size=2,
    )
    make = transformers.Qwen3VLProcessor
    return make(images, tokenizer, videos, chat_template=CHATML), "<|im_end|>"


def qwen3_vl_videos() -> "BaseVideoProcessor":
    """Return the video part, which the processor of Qwen3-VL requires.

    Raises CephaloError if torchvision is not installed.
    """
    if not is_torchvision_available():
        raise CephaloError(
            "the processor of Qwen3-VL needs torchvision, which is not installed; run: pip install "
            "torchvision"
        )
    from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor

    return Qwen3VLVideoProcessor(patch_size=PATCH)


def gemma3_processor(texts: Iterable[str]) -> tuple[ProcessorMixin, str]:
    """Return a processor for images of 56 pixels, four tokens each, and the token that ends a
    turn."""
    tokenizer = make_tokenizer(
        texts,
        ["<start_of_turn>", "<end_of_turn>"],
        image_token="<image_soft_token>",
        boi_token="<start_of_image>",
        eoi_token="<end_of_image>",
    )
    images = Gemma3ImageProcessorPil(size={"height": EDGE, "width": EDGE})
    make = transformers.Gemma3Processor
    return make(images, tokenizer, chat_template=GEMMA, image_seq_length=4), "<end_of_turn>"


def idefics3_processor(
    texts: Iterable[str], edge: int = EDGE, across: int = 2, tokens: int = 4
) -> tuple[ProcessorMixin, str]:
    """Return the processor of Idefics3 and SmolVLM, and the token that ends a turn.

    Args:
        texts: Texts to train the tokenizer on.
        edge: Edge of a tile, in pixels.
        across: Maximum number of tiles in a row and in a column of an image.
        tokens: Tokens per tile.
    """
    places = range(1, across + 1)
    tokenizer = make_tokenizer(
        texts,
        ["<|im_start|>"],
        image_token="<image>",
        fake_image_token="<fake_token_around_image>",
        global_image_token="<global-img>",
        end_of_utterance_token="<end_of_utterance>",
        **{f"part_{row}_{col}": f"<row_{row}_col_{col}>" for row in places for col in places},
    )
    images = Idefics3ImageProcessorPil(
        size={"longest_edge": across * edge}, max_image_size={"longest_edge": edge}
    )
    make = transformers.Idefics3Processor
    processor = make(images, tokenizer, image_seq_len=tokens, chat_template=SMOLVLM)
    return processor, "<end_of_utterance>"


FAMILIES: dict[
    str,
    tuple[Callable[[], PreTrainedConfig], Callable[[Iterable[str]], tuple[ProcessorMixin, str]]],
] = {
    "qwen3_vl": (lambda: published.qwen3_vl("4b"), qwen3_vl_processor),
    "gemma3": (published.gemma3_4b, gemma3_processor),
    "idefics3": (lambda: published.smolvlm("2b"), idefics3_processor),
}
