"""Tiny checkpoints of the families, as mistral.rs can read them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, AutoProcessor
from transformers.utils import IMAGE_PROCESSOR_NAME

from cephalo.merge_recipes.merge import run_merge
from cephalo.merge_recipes.recipe import DepthRecipe
from modeling_cephalo import Phi3VConfig, Phi3VForCausalLM, Phi3VImageProcessor, Phi3VProcessor
from modeling_cephalo.tiny import make_tiny_idefics2, weights_of
from modeling_cephalo.tiny_llava_next import make_tiny_llava_next
from modeling_cephalo.tiny_phi3_v import make_tiny_phi3_v

TEXTS = ["Scanning electron micrograph of nacre: aragonite tablets in rows under tension."] * 20
# The weights of tiny models are so small that they answer the same to everything. Scaled by this,
# the layers of the decoder change what goes through them.
LIVELINESS = 5


@dataclass(frozen=True)
class Family:
    """How a family is made, and how mistral.rs is asked.

    Attributes:
        make: writes a checkpoint into a folder.
        architecture: its name in mistral.rs.
        tag: what mistral.rs needs in front of a question about an image to have the prompt of
            transformers: the tag of the image, which it does not write, or the blank that
            transformers' Idefics2 writes after an image.
        doubled: what mistral.rs writes twice at the beginning of a prompt with images, when it
            reads its own tokens again as text.
        white: the edge in pixels of an image that is not scaled.
        use_last_layer: has a model of transformers take the last layer of CLIP, for families
            whose last but one is meant: mistral.rs 0.9.5 counts from an end that is one further.
        template: a chat template for mistral.rs, which flattens contents of text alone to strings.
    """

    make: Callable[[Path], None]
    architecture: str
    tag: str
    white: int
    template: str | None = None
    use_last_layer: Callable[[Any], None] | None = None
    doubled: str = ""


def finish(folder: Path, model: Any) -> None:
    """Scale the matrices of the decoder's layers by `LIVELINESS`, and save the model.

    Beside its processor comes the older preprocessor_config.json, in which mistral.rs looks
    for how images are prepared.
    """
    with torch.no_grad():
        for parameter in model.get_decoder().layers.parameters():
            if parameter.ndim == 2:
                parameter.mul_(LIVELINESS)
    model.save_pretrained(folder)
    images = AutoProcessor.from_pretrained(folder).image_processor
    images.to_json_file(folder / IMAGE_PROCESSOR_NAME)


def make_phi3_v(folder: Path) -> None:
    """A tiny decoder with a CLIP tower of the published size, which mistral.rs takes it to have."""
    make_tiny_phi3_v(folder, TEXTS)
    processor = Phi3VProcessor.from_pretrained(folder)
    processor.image_processor = Phi3VImageProcessor(num_crops=1)  # CLIP is slow on a CPU
    processor.save_pretrained(folder)
    config = Phi3VConfig.from_pretrained(folder).to_dict()
    del config["vision_config"]
    config["img_processor"] |= {"image_dim_out": 1024, "num_img_tokens": 144}
    with weights_of(0):
        model = Phi3VForCausalLM(Phi3VConfig(**config))
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    finish(folder, model)


def make_idefics2(folder: Path, seed: int = 0, layers: int = 2) -> None:
    """A tiny Idefics2."""
    make_tiny_idefics2(folder, TEXTS, seed, layers)
    finish(folder, AutoModelForImageTextToText.from_pretrained(folder))


def make_merged_idefics2(folder: Path) -> None:
    """Two tiny Idefics2 stacked as the recipes of 8b models stack them, into five layers."""
    parts = []
    for seed, layer_range in enumerate(([0, 3], [1, 3])):
        source = folder.with_name(f"{folder.name}_{seed}")
        make_idefics2(source, seed, layers=3)
        parts.append({"sources": [{"model": str(source), "layer_range": layer_range}]})
    text = yaml.safe_dump({"merge_method": "passthrough", "dtype": "float32", "slices": parts})
    run_merge(text, DepthRecipe.model_validate(yaml.safe_load(text)), folder)


def make_llava_next(folder: Path) -> None:
    """A tiny LLaVA-NeXT, with the published names of the weights of its vision tower.

    transformers reads both, but writes its own, which mistral.rs does not know.
    """
    make_tiny_llava_next(folder, TEXTS)
    finish(folder, AutoModelForImageTextToText.from_pretrained(folder))
    path = folder / "model.safetensors"
    new, old = "vision_tower.", "vision_tower.vision_model."
    weights = {name.replace(new, old): tensor for name, tensor in load_file(path).items()}
    save_file(weights, path, {"format": "pt"})


def use_last_layer_of_phi3_v(model: Any) -> None:
    """Have `model` take all layers of CLIP."""
    model.model.vision_embed_tokens.clip_layers = model.config.vision_config.num_hidden_layers


def use_last_layer_of_llava_next(model: Any) -> None:
    """Have `model` take all layers of CLIP."""
    model.config.vision_feature_layer = -1


# As the templates of the tiny models write a question, for contents that are strings.
IDEFICS2_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}User:"
    "{% if message['content'] is string %}{{ ' ' + message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{{ part['text'] if part['type'] == 'text' else '<image>' }}"
    "{% endfor %}{% endif %}<end_of_utterance>\n{% endfor %}Assistant:"
)
LLAVA_NEXT_TEMPLATE = (
    "{% for message in messages %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% endfor %}"
)
IDEFICS2 = ("Idefics2", " ", 112, IDEFICS2_TEMPLATE)
FAMILIES = {
    "phi3_v": Family(
        make_phi3_v,
        "Phi3V",
        "<|image_1|>\n",
        336,
        use_last_layer=use_last_layer_of_phi3_v,
        doubled="<s>",
    ),
    "Idefics2": Family(make_idefics2, *IDEFICS2),
    "Idefics2 merge": Family(make_merged_idefics2, *IDEFICS2),
    "LLaVA-NeXT": Family(
        make_llava_next,
        "LLaVANext",
        "<image>\n",
        112,
        LLAVA_NEXT_TEMPLATE,
        use_last_layer_of_llava_next,
    ),
}
