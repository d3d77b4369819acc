"""Models with random weights: in the published shapes for a GPU, tiny for the rehearsal."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.train_models import TEXT, make_model, tiny_families

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

TEXTS = [TEXT] * 20  # that the small tokenizers are trained on
SEED = 0
IDEFICS2_IMAGE = {"longest_edge": 980, "shortest_edge": 378}  # pixels, as published
IDEFICS2_TOKENS = 64  # of an image
QWEN3_VL_PATCH = 16  # pixels


def idefics2(layers: int = 32) -> "tuple[PreTrainedConfig, Any]":
    """Return the configuration of Idefics2 8b with `layers` layers, and its processor."""
    from modeling_cephalo.published import idefics2_8b
    from modeling_cephalo.tiny import tiny_idefics2_processor, token_id

    processor = tiny_idefics2_processor(TEXTS)
    processor.image_processor.size = IDEFICS2_IMAGE
    processor.image_seq_len = IDEFICS2_TOKENS
    config = idefics2_8b(layers)
    config.image_token_id = token_id(processor.tokenizer, "<image>")
    return config, processor


def phi3_v() -> "tuple[PreTrainedConfig, Any]":
    """Return the configuration of Phi-3-vision, and its processor."""
    from modeling_cephalo import Phi3VImageProcessor
    from modeling_cephalo.published import phi3_vision_128k
    from modeling_cephalo.tiny_phi3_v import IMAGE_TOKEN, tiny_phi3_v_processor

    processor = tiny_phi3_v_processor(TEXTS)
    processor.image_processor = Phi3VImageProcessor()
    config = phi3_vision_128k()
    config.image_token_id = processor.tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
    return config, processor


def qwen3_vl() -> "tuple[PreTrainedConfig, Any]":
    """Return the configuration of Qwen3-VL 4b, and its processor."""
    tiny_families()  # its processor, without the part for videos
    from family_samples import (  # pyright: ignore[reportMissingImports]
        qwen_ids,
        qwen_processor,
    )

    from cephalo.series.published import qwen3_vl

    processor = qwen_processor("Qwen3VLProcessor", TEXTS)
    images = processor.image_processor
    images.patch_size = QWEN3_VL_PATCH
    images.size = {"shortest_edge": 256 * 256, "longest_edge": 4096 * 4096}  # pixels, as published
    config = qwen3_vl("4b")
    for name, value in qwen_ids(processor).items():
        setattr(config, name, value)
    return config, processor


def smolvlm() -> "tuple[PreTrainedConfig, Any]":
    """Return the configuration of SmolVLM 2b, and its processor, with up to 4 x 4 tiles."""
    from cephalo.series.published import smolvlm
    from cephalo.series.tiny_bases import idefics3_processor

    processor, _ = idefics3_processor(TEXTS, edge=384, across=4, tokens=81)
    config = smolvlm("2b")
    config.image_token_id = processor.tokenizer.convert_tokens_to_ids("<image>")
    return config, processor


@dataclass(frozen=True)
class Shape:
    """A model of the series.

    Attributes:
        make: Returns configuration and processor in full size.
        recipe: Its train config.
        tiny: The family whose tiny model rehearses it.
        trl: Whether TRL's own trainer can process its images.
    """

    make: "Callable[[], tuple[PreTrainedConfig, Any]]"
    recipe: str
    tiny: str
    trl: bool = True


SHAPES = {
    "idefics2-8b": Shape(idefics2, "idefics2-8b-beta.yaml", "idefics2"),
    "qwen3-vl-4b": Shape(qwen3_vl, "qwen3-vl-4b.yaml", "qwen3_vl"),
    "phi3-4b": Shape(phi3_v, "phi3-4b-beta.yaml", "phi3_v", trl=False),
}
"""In the order of their worth."""
QLORA = Shape(idefics2, "idefics2-8b-24gb.yaml", "idefics2")
SMOLVLM = Shape(smolvlm, "smolvlm-2b.yaml", "idefics3")
LAST_LAYERS = Shape(lambda: idefics2(layers=40), "idefics2-10b.yaml", "idefics2")


def write_base(shape: Shape, folder: Path, device: str, tiny: bool) -> Path:
    """Write a checkpoint with random weights to `folder` unless it is there.

    Full models are in bfloat16, and their weights are drawn on the device.
    """
    if (folder / "config.json").exists():  # written last
        return folder
    if tiny:
        write_tiny(shape.tiny, folder)
        return folder
    import torch
    from transformers import AutoModelForImageTextToText

    config, processor = shape.make()
    torch.manual_seed(SEED)
    with torch.device(device):
        model = AutoModelForImageTextToText.from_config(config, dtype=torch.bfloat16)
    processor.save_pretrained(folder)
    model.save_pretrained(folder)
    return folder


def write_tiny(family: str, folder: Path) -> None:
    """Write the tiny model of a family, with its processor."""
    if family == "phi3_v":
        from modeling_cephalo.tiny_phi3_v import make_tiny_phi3_v

        make_tiny_phi3_v(folder, TEXTS, SEED)
    elif family == "idefics3":
        from cephalo.series.tiny_bases import make_tiny

        make_tiny(family, folder, TEXTS, SEED)
    else:
        make_model(family, folder, SEED)
