"""A tiny phi3_v and pictures for it, made on the spot."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from modeling_cephalo.tiny_phi3_v import make_tiny_phi3_v

TEXTS = ["What is shown in this image?", "Stress and strain of nacre under tension, in MPa."]
ASK_ONE = "<|user|>\n<|image_1|>\nWhat is shown?<|end|>\n<|assistant|>\n"
ASK_TWO = "<|user|>\n<|image_1|>\n<|image_2|>\nCompare.<|end|>\n<|assistant|>\n"
ASK_TEXT = "<|user|>\nWhat is nacre?<|end|>\n<|assistant|>\n"


def make_model(folder: Path) -> Path:
    """A checkpoint in `folder` that is lively: separators are not zero, greedy text varies."""
    make_tiny_phi3_v(folder, TEXTS)
    model = AutoModelForImageTextToText.from_pretrained(folder)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name in ("sub_GN", "glb_GN"):
            parameter = getattr(model.model.vision_embed_tokens, name)
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
        for parameter in model.model.layers.parameters():
            if parameter.ndim == 2:
                parameter.mul_(6)
    model.save_pretrained(folder)
    return folder


def load(folder: Path, **kwargs: object) -> tuple[torch.nn.Module, object]:
    """The model, ready to run, and its processor."""
    model = AutoModelForImageTextToText.from_pretrained(folder, **kwargs)
    return model.eval(), AutoProcessor.from_pretrained(folder)


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    """Noise."""
    noise = np.random.default_rng([seed, width, height]).integers(0, 255, (height, width, 3))
    return Image.fromarray(noise.astype(np.uint8))
