"""Tiny models of the families of transformers that `cephalo train` packs, with their processors."""

import importlib
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import transformers
from transformers import PreTrainedTokenizerFast
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.gemma4.image_processing_pil_gemma4 import Gemma4ImageProcessorPil
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import (
    LlavaOnevisionImageProcessorPil,
)
from transformers.models.pixtral import image_processing_pil_pixtral
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.smolvlm import processing_smolvlm
from transformers.processing_utils import ProcessorMixin
from transformers.utils import is_torchvision_available

from modeling_cephalo.tiny import train_bpe, weights_of

EDGE, PATCH = 56, 14  # pixels

# One turn after the other, images before the text of theirs, as the published templates write them.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<s>' + message['role'] + '\n' }}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ IMAGE }}{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}"
    "{{ '</s>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<s>assistant\n' }}{% endif %}"
)


# Their part for videos needs torchvision, which has no build for torch on a CPU; images need none.
for _kind in (
    transformers.InternVLProcessor,
    transformers.LlavaOnevisionProcessor,
    transformers.Qwen2VLProcessor,
    transformers.Qwen2_5_VLProcessor,
    transformers.Qwen3VLProcessor,
    transformers.SmolVLMProcessor,
):
    _kind.get_attributes = classmethod(lambda cls: ["image_processor", "tokenizer"])
processing_smolvlm.num2words = str  # writes the length of a video
transformers.SmolVLMProcessor.video_processor = SimpleNamespace(num_frames=1, fps=1)
transformers.SmolVLMProcessor.__init__.__defaults__ = (None, 169, None)  # the first, for videos


class WithoutVideos(ProcessorMixin):
    """What Gemma 4's processor is, less its part for videos."""

    def __init__(self, *parts: Any, video_processor: None = None, **named: Any) -> None:
        super().__init__(*parts, **named)

    @classmethod
    def get_attributes(cls) -> list[str]:
        return ["feature_extractor", "image_processor", "tokenizer"]


transformers.Gemma4Processor.__bases__ = (WithoutVideos,)
transformers.Gemma4Processor.__init__.__defaults__ = (None, None, 280, 750, 40)

# Without torchvision, Pixtral's processor cannot be imported: it looks there for the images' own.
if not is_torchvision_available():
    _imported = "transformers.models.pixtral.image_processing_pixtral"
    sys.modules[_imported] = image_processing_pil_pixtral
    _pixtral = importlib.import_module("transformers.models.pixtral.processing_pixtral")
    for _module in (transformers, transformers.models.pixtral):
        _module.PixtralProcessor = _pixtral.PixtralProcessor


def text_config(tokenizer: PreTrainedTokenizerFast, **own: Any) -> dict[str, Any]:
    """A decoder of a hidden size of 64 with four layers."""
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 4096,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "tie_word_embeddings": False,
        **own,
    }


def tower(**own: Any) -> dict[str, Any]:
    """A vision tower of a hidden size of 32 with two layers."""
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    return {**sizes, "num_attention_heads": 4, "image_size": EDGE, "patch_size": PATCH, **own}


def make_tokenizer(texts: Iterable[str], **named: str) -> PreTrainedTokenizerFast:
    """A byte-level BPE with the special tokens that a family's processor asks for by name."""
    tokens = ["<unk>", "<s>", "</s>", *dict.fromkeys(named.values())]
    return PreTrainedTokenizerFast(
        tokenizer_object=train_bpe(texts, tokens),
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<unk>",
        model_max_length=4096,
        extra_special_tokens=named,
    )


def qwen_processor(kind: str, texts: Iterable[str]) -> Any:
    """Patches of 14 pixels, two by two of them a token."""
    tokenizer = make_tokenizer(
        texts,
        image_token="<|image_pad|>",
        video_token="<|video_pad|>",
        vision_start_token="<|vision_start|>",
        vision_end_token="<|vision_end|>",
    )
    tokenizer.add_tokens(["<think>", "</think>"])  # which are not special
    images = Qwen2VLImageProcessorPil(
        size={"shortest_edge": 28 * 28, "longest_edge": 112 * 112},
        patch_size=PATCH,
        temporal_patch_size=2,
        merge_size=2,
    )
    image = "<|vision_start|><|image_pad|><|vision_end|>"
    template = CHAT_TEMPLATE.replace("IMAGE", repr(image))
    return getattr(transformers, kind)(images, tokenizer, chat_template=template)


def qwen_ids(processor: Any) -> dict[str, int]:
    """The ids of a configuration that the tokenizer has."""
    names = ("image_token", "video_token", "vision_start_token", "vision_end_token")
    ids = processor.tokenizer.convert_tokens_to_ids
    return {f"{name}_id": ids(getattr(processor.tokenizer, name)) for name in names}


def qwen(kind: str, texts: Iterable[str], **vision: Any) -> tuple[Any, Any]:
    """A configuration of Qwen's, "Qwen3VL" and the like, and its processor."""
    processor = qwen_processor(f"{kind}Processor", texts)
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 2, 2]}
    config = getattr(transformers, f"{kind}Config")(
        text_config=text_config(processor.tokenizer, rope_parameters=rope),
        vision_config={"depth": 2, "num_heads": 4, "patch_size": PATCH, **vision},
        **qwen_ids(processor),
    )
    return config, processor


def qwen2_vl(texts: Iterable[str]) -> tuple[Any, Any]:
    return qwen("Qwen2VL", texts, embed_dim=32, hidden_size=64, mlp_ratio=2)


def qwen2_5_vl(texts: Iterable[str]) -> tuple[Any, Any]:
    sizes = {"hidden_size": 32, "intermediate_size": 64, "out_hidden_size": 64}
    return qwen("Qwen2_5_VL", texts, **sizes, window_size=56, fullatt_block_indexes=[1])


def qwen3_vl(texts: Iterable[str]) -> tuple[Any, Any]:
    sizes = {"hidden_size": 32, "intermediate_size": 64, "out_hidden_size": 64}
    added = {"deepstack_visual_indexes": [0, 1], "num_position_embeddings": 64}
    return qwen("Qwen3VL", texts, **sizes, **added)


def qwen3_5(texts: Iterable[str]) -> tuple[Any, Any]:
    """Three layers of linear attention before each of full attention."""
    processor = qwen_processor("Qwen3VLProcessor", texts)
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 2, 2]}
    linear = {"key_head_dim": 16, "value_head_dim": 16, "num_key_heads": 2, "num_value_heads": 4}
    config = transformers.Qwen3_5Config(
        text_config=text_config(
            processor.tokenizer,
            rope_parameters=rope | {"partial_rotary_factor": 1.0},
            **{f"linear_{name}": size for name, size in linear.items()},
        ),
        vision_config={
            **{"depth": 2, "num_heads": 4, "patch_size": PATCH, "hidden_size": 32},
            **{"intermediate_size": 64, "out_hidden_size": 64, "num_position_embeddings": 64},
        },
        **qwen_ids(processor),
    )
    return config, processor


def gemma3(texts: Iterable[str]) -> tuple[Any, Any]:
    tokenizer = make_tokenizer(
        texts,
        image_token="<image_soft_token>",
        boi_token="<start_of_image>",
        eoi_token="<end_of_image>",
    )
    images = Gemma3ImageProcessorPil(size={"height": EDGE, "width": EDGE})
    processor = transformers.Gemma3Processor(
        images,
        tokenizer,
        chat_template=CHAT_TEMPLATE.replace("IMAGE", "boi_token"),
        image_seq_length=4,
    )
    config = transformers.Gemma3Config(
        text_config=text_config(tokenizer, sliding_window=32, layer_types=GEMMA_LAYERS),
        vision_config=tower(),
        mm_tokens_per_image=4,
        image_token_id=tokenizer.image_token_id,
        boi_token_index=tokenizer.boi_token_id,
        eoi_token_index=tokenizer.eoi_token_id,
    )
    return config, processor


GEMMA_LAYERS = ["sliding_attention", "full_attention"] * 2


def gemma4(texts: Iterable[str]) -> tuple[Any, Any]:
    """As the smaller ones: embeddings for each layer, and keys that later layers share."""
    return gemma4_like(texts, hidden_size_per_layer_input=8, num_kv_shared_layers=2)


def gemma4_dense(texts: Iterable[str]) -> tuple[Any, Any]:
    """As the larger ones: tokens of an image see each other in sliding attention."""
    own = {"use_bidirectional_attention": "vision", "attention_k_eq_v": True}
    return gemma4_like(texts, hidden_size_per_layer_input=0, **own)


def gemma4_like(texts: Iterable[str], **own: Any) -> tuple[Any, Any]:
    tokenizer = make_tokenizer(
        texts,
        **{"image_token": "<|image|>", "boi_token": "<|image>", "eoi_token": "<image|>"},
        **{"audio_token": "<|audio|>", "boa_token": "<|audio>", "eoa_token": "<audio|>"},
        **{"video_token": "<|video|>", "soc_token": "<|channel>", "eoc_token": "<channel|>"},
    )
    processor = transformers.Gemma4Processor(
        transformers.Gemma4AudioFeatureExtractor(),
        Gemma4ImageProcessorPil(patch_size=4, max_soft_tokens=70),
        tokenizer,
        chat_template=CHAT_TEMPLATE.replace("IMAGE", "'<|image|>'"),
    )
    text = text_config(
        tokenizer,
        sliding_window=32,
        layer_types=GEMMA_LAYERS,
        global_head_dim=16,
        vocab_size_per_layer_input=len(tokenizer),
        **own,
    )
    vision = tower(patch_size=4, head_dim=8, num_key_value_heads=4, position_embedding_size=256)
    del vision["image_size"]
    config = transformers.Gemma4Config(
        text_config=text,
        vision_config=vision,
        image_token_id=tokenizer.image_token_id,
        video_token_id=tokenizer.video_token_id,
        audio_token_id=tokenizer.audio_token_id,
        boi_token_id=tokenizer.boi_token_id,
        eoi_token_id=tokenizer.eoi_token_id,
    )
    return config, processor


def mistral3(texts: Iterable[str]) -> tuple[Any, Any]:
    """Images at their own size, with a token that ends each line."""
    own = {"image": "[IMG]", "line": "[IMG_BREAK]", "end": "[IMG_END]"}
    tokenizer = make_tokenizer(texts, **own, think="[THINK]", thought="[/THINK]")
    images = image_processing_pil_pixtral.PixtralImageProcessorPil(
        size={"longest_edge": 2 * EDGE}, patch_size={"height": PATCH, "width": PATCH}
    )
    processor = transformers.PixtralProcessor(
        images,
        tokenizer,
        patch_size=PATCH,
        spatial_merge_size=2,
        chat_template=CHAT_TEMPLATE.replace("IMAGE", "'[IMG]'"),
    )
    config = transformers.Mistral3Config(
        text_config={"model_type": "mistral", **text_config(tokenizer, sliding_window=None)},
        vision_config={"model_type": "pixtral", **tower(image_size=4 * EDGE, head_dim=8)},
        image_token_index=tokenizer.convert_tokens_to_ids("[IMG]"),
        tie_word_embeddings=False,
    )
    return config, processor


def idefics3(texts: Iterable[str]) -> tuple[Any, Any]:
    return idefics3_like(texts, "Idefics3", transformers.Idefics3Processor)


def smolvlm(texts: Iterable[str]) -> tuple[Any, Any]:
    return idefics3_like(texts, "SmolVLM", transformers.SmolVLMProcessor)


def idefics3_like(texts: Iterable[str], kind: str, make: Callable[..., Any]) -> tuple[Any, Any]:
    tokenizer = make_tokenizer(
        texts,
        image_token="<image>",
        fake_image_token="<fake_token_around_image>",
        global_image_token="<global-img>",
        end_of_utterance_token="<end_of_utterance>",
        **{f"part_{row}_{col}": f"<row_{row}_col_{col}>" for row in (1, 2) for col in (1, 2)},
    )
    images = Idefics3ImageProcessorPil(
        size={"longest_edge": 2 * EDGE}, max_image_size={"longest_edge": EDGE}
    )
    template = CHAT_TEMPLATE.replace("IMAGE", "'<image>'")
    processor = make(images, tokenizer, image_seq_len=4, chat_template=template)
    config = getattr(transformers, f"{kind}Config")(
        text_config={"model_type": "llama", **text_config(tokenizer)},
        vision_config=tower(),
        scale_factor=2,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )
    return config, processor


def llava_onevision(texts: Iterable[str]) -> tuple[Any, Any]:
    tokenizer = make_tokenizer(texts, image_token="<image>", video_token="<video>")
    grids = [[EDGE, EDGE], [EDGE, 2 * EDGE], [2 * EDGE, EDGE]]
    images = LlavaOnevisionImageProcessorPil(
        size={"height": EDGE, "width": EDGE}, image_grid_pinpoints=grids
    )
    processor = transformers.LlavaOnevisionProcessor(
        images,
        tokenizer,
        num_image_tokens=(EDGE // PATCH) ** 2,
        vision_feature_select_strategy="full",
        chat_template=CHAT_TEMPLATE.replace("IMAGE", "'<image>'"),
    )
    config = transformers.LlavaOnevisionConfig(
        text_config={"model_type": "qwen2", **text_config(tokenizer)},
        vision_config={"model_type": "siglip_vision_model", **tower(vision_use_head=False)},
        image_grid_pinpoints=grids,
        image_token_index=tokenizer.image_token_id,
        video_token_index=tokenizer.video_token_id,
    )
    return config, processor


def internvl(texts: Iterable[str]) -> tuple[Any, Any]:
    tokenizer = make_tokenizer(
        texts,
        start_image_token="<img>",
        end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>",
        video_token="<video>",
    )
    images = GotOcr2ImageProcessorPil(size={"height": EDGE, "width": EDGE}, max_patches=4)
    processor = transformers.InternVLProcessor(
        images,
        tokenizer,
        image_seq_length=4,
        chat_template=CHAT_TEMPLATE.replace("IMAGE", "'<IMG_CONTEXT>'"),
    )
    config = transformers.InternVLConfig(
        text_config={"model_type": "qwen2", **text_config(tokenizer)},
        vision_config=tower(image_size=[EDGE, EDGE], patch_size=[PATCH, PATCH]),
        image_token_id=tokenizer.context_image_token_id,
        image_seq_length=4,
    )
    return config, processor


FAMILIES = {
    maker.__name__: maker
    for maker in (
        qwen2_vl,
        qwen2_5_vl,
        qwen3_vl,
        qwen3_5,
        gemma3,
        gemma4,
        gemma4_dense,
        mistral3,
        idefics3,
        smolvlm,
        llava_onevision,
        internvl,
    )
}


def make_family(folder: Path, family: str, texts: Iterable[str], seed: int = 0) -> Path:
    """A checkpoint of a family with its processor, whose decoder is lively."""
    import torch

    config, processor = FAMILIES[family](list(texts))
    with weights_of(seed):
        model = transformers.AutoModelForImageTextToText.from_config(config)
    with torch.no_grad():
        for parameter in model.get_decoder().layers.parameters():
            if parameter.ndim == 2:
                parameter.mul_(5)
    model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
