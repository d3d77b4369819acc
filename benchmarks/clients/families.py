"""Create tiny checkpoints of the families that mistral.rs can read."""

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
# The weights of tiny models are so small that all answers are equal. With this scale, the layers of
# the decoder change their input.
LIVELINESS = 5


@dataclass(frozen=True)
class Family:
    """How a family is created, and how mistral.rs is queried.

    Attributes:
        make: Writes a checkpoint to a folder.
        architecture: Its name in mistral.rs.
        tag: Text before a question about an image, with which mistral.rs gives the prompt of
            transformers: the tag of the image, which it does not write, or the space that
            transformers' Idefics2 writes after an image.
        doubled: Text that mistral.rs repeats at the start of a prompt with images, when it reads
            its tokens again as text.
        white: The edge in pixels of an image that is not scaled.
        use_last_layer: Makes a model of transformers use the last layer of CLIP, for families that
            need the last but one: mistral.rs 0.9.5 is off by one.
        template: A chat template for mistral.rs, which flattens contents of text alone to strings.
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

    The older preprocessor_config.json, which mistral.rs reads, is saved beside its processor.
    """
    with torch.no_grad():
        for parameter in model.get_decoder().layers.parameters():
            if parameter.ndim == 2:
                parameter.mul_(LIVELINESS)
    model.save_pretrained(folder)
    images = AutoProcessor.from_pretrained(folder).image_processor
    images.to_json_file(folder / IMAGE_PROCESSOR_NAME)


def make_phi3_v(folder: Path) -> None:
    """Create a tiny decoder with a CLIP tower of the published size, which mistral.rs assumes."""
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
    """Create a tiny Idefics2."""
    make_tiny_idefics2(folder, TEXTS, seed, layers)
    finish(folder, AutoModelForImageTextToText.from_pretrained(folder))


def make_merged_idefics2(folder: Path) -> None:
    """Stack two tiny Idefics2 as the recipes of 8b models do, to five layers."""
    parts = []
    for seed, layer_range in enumerate(([0, 3], [1, 3])):
        source = folder.with_name(f"{folder.name}_{seed}")
        make_idefics2(source, seed, layers=3)
        parts.append({"sources": [{"model": str(source), "layer_range": layer_range}]})
    text = yaml.safe_dump({"merge_method": "passthrough", "dtype": "float32", "slices": parts})
    run_merge(text, DepthRecipe.model_validate(yaml.safe_load(text)), folder)


def make_llava_next(folder: Path) -> None:
    """Create a tiny LLaVA-NeXT, with the published names of its vision tower's weights.

    transformers reads both names, but writes its own, which mistral.rs does not know.
    """
    make_tiny_llava_next(folder, TEXTS)
    finish(folder, AutoModelForImageTextToText.from_pretrained(folder))
    path = folder / "model.safetensors"
    new, old = "vision_tower.", "vision_tower.vision_model."
    weights = {name.replace(new, old): tensor for name, tensor in load_file(path).items()}
    save_file(weights, path, {"format": "pt"})


def use_last_layer_of_phi3_v(model: Any) -> None:
    """Make `model` use all layers of CLIP."""
    model.model.vision_embed_tokens.clip_layers = model.config.vision_config.num_hidden_layers


def use_last_layer_of_llava_next(model: Any) -> None:
    """Make `model` use all layers of CLIP."""
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
