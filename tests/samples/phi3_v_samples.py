"""A tiny phi3_v, pictures for it, and a training run of seconds that it remembers."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from PIL import Image
from trainer_samples import as_rows, make_trainer
from transformers import AutoModelForImageTextToText, AutoProcessor

from cephalo.train.trainer import PackedTrainer
from modeling_cephalo.tiny_phi3_v import make_tiny_phi3_v

# Tensors as small as these make a second thread wait; so here, and in processes started from here.
os.environ.setdefault("OMP_NUM_THREADS", "1")
torch.set_num_threads(1)

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


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A checkpoint for the tests of a module."""
    return make_model(tmp_path_factory.mktemp("phi3_v"))


@pytest.fixture(scope="module")
def loaded(folder):
    """Its model and its processor."""
    return load(folder)


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    """Noise."""
    noise = np.random.default_rng([seed, width, height]).integers(0, 255, (height, width, 3))
    return Image.fromarray(noise.astype(np.uint8))


QUESTION = "What is shown in this image?"
BRIGHT, DARK = (Image.new("RGB", (60, 50), (shade, shade, shade)) for shade in (250, 10))
TAUGHT = [
    ("Bright nacre.", [BRIGHT]),
    ("Dark steel.", [DARK]),
    ("Only text.", []),
    ("Bright, then dark.", [BRIGHT, DARK]),
]


def taught_rows() -> Dataset:
    """QUESTION about one image, none and two, with the answers of TAUGHT."""
    rows = []
    for answer, pictures in TAUGHT:
        content = [{"type": "image", "text": None} for _ in pictures]
        content.append({"type": "text", "text": QUESTION})
        rows.append(
            {
                "images": pictures,
                "prompt": [{"role": "user", "content": content}],
                "completion": [
                    {"role": "assistant", "content": [{"type": "text", "text": answer}]}
                ],
            }
        )
    return as_rows(rows)


def make_base(folder: Path) -> Path:
    """A model to teach, in `folder`."""
    make_tiny_phi3_v(folder, [QUESTION, *(answer for answer, _ in TAUGHT)])
    return folder


def teach(base: Path, out: Path, rows: Dataset, **settings: Any) -> PackedTrainer:
    """Train `base` on `rows`, all at a step, and save what comes of it in `out`."""
    settings = {"max_steps": 60, "logging_steps": 5, **settings}
    trainer = make_trainer(str(base), base, out, rows, **settings)
    trainer.train()
    trainer.save_model(out)
    return trainer
