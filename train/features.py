"""Cache the outputs of frozen parts on disk.

A frozen vision tower and connector give each image the same features in every epoch. If the first
layers of the decoder are frozen too, as in the published notebook that trains the last ones, each
row has the same hidden states after them, which only the first epoch computes.
"""

# Untyped or partially typed: safetensors, torch and transformers.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import contextlib
import hashlib
from collections.abc import Callable, Generator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import replacing
from cephalo.train.families import family_of
from cephalo.train.freezing import LAYER, part_of
from cephalo.train.utilisation import depth_of_layer, first_trained

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel
    from transformers.modeling_outputs import BaseModelOutputWithPooling

IMAGE_PARTS = ("vision", "connector")


class FeatureStore:
    """Features of images and hidden states of rows, in files up to a total size.

    A folder belongs to one state of the weights and settings. When it is full, further features are
    recomputed each time.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder, self.max_bytes = folder, max_bytes
        folder.mkdir(parents=True, exist_ok=True)
        self.used = sum(path.stat().st_size for path in folder.glob("*.safetensors"))

    def read(self, key: str) -> list[torch.Tensor] | None:
        """Return the tensors of a key, [tokens, hidden] each, or None if they are not stored."""
        try:
            tensors = load_file(self.path(key))
        except (FileNotFoundError, SafetensorError):
            return None
        return [tensors[str(index)] for index in range(len(tensors))]

    def write(self, key: str, features: list[torch.Tensor]) -> None:
        """Store tensors, unless the folder is full."""
        size = sum(tensor.numel() * tensor.element_size() for tensor in features)
        if self.used + size > self.max_bytes:
            return
        tensors = {str(index): own.cpu().contiguous() for index, own in enumerate(features)}
        with replacing(self.path(key), shared=True) as aside:
            save_file(tensors, aside)
        self.used += self.path(key).stat().st_size

    def path(self, key: str) -> Path:
        """Return the file of a key."""
        return self.folder / f"{key}.safetensors"


def feature_store(
    model: "PreTrainedModel", settings: str, folder: Path, gigabytes: float, layers: int
) -> FeatureStore:
    """Open the store below `folder` for the weights of the model's vision tower and connector, and
    of its embeddings and first `layers` layers, and for its configuration and the `settings` of its
    image processor.

    Raises CephaloError if the vision tower or the connector trains.
    """
    digest = hashlib.sha256(f"{model.dtype} {layers} {settings}".encode())
    digest.update(model.config.to_json_string(use_diff=False).encode())
    for name, parameter in model.named_parameters():
        part, layer = part_of(name), LAYER.search(name)
        if part in IMAGE_PARTS:
            if parameter.requires_grad:
                raise CephaloError(
                    f"feature_cache_gb: {name} trains, so features of images change; add "
                    "freeze_parts: [vision, connector]"
                )
        elif not layers or (part != "embeddings" and not (layer and int(layer[1]) < layers)):
            continue
        digest.update(parameter.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return FeatureStore(folder / digest.hexdigest()[:16], int(gigabytes * 1e9))


def frozen_layers(model: "PreTrainedModel") -> int:
    """Return how many of the decoder's first layers give a row the same states in every epoch.

    It is 0 if anything before them trains, if they have dropout, for mixtures of experts, whose
    balancing loss needs every layer, and if later layers read more than the states: the tokens
    (Gemma 4's embeddings for each layer), or keys of earlier layers.
    """
    config = model.config.get_text_config()
    vision = getattr(model.config, "vision_config", None)
    dropout = any(
        isinstance(value, float) and value > 0
        for name, value in config.to_dict().items()
        if name.endswith(("dropout", "pdrop"))
    )
    read_later = ("hidden_size_per_layer_input", "num_kv_shared_layers", "enable_moe_block")
    more = any(getattr(config, name, 0) for name in read_later)
    # Decoders with experts of transformers have `enable_moe_block` or `num_experts` too.
    if dropout or more or getattr(config, "num_experts", 0):
        return 0
    first = first_trained(model)
    layers = sum(depth_of_layer(layer) < first for layer in range(config.num_hidden_layers))
    # The first layers of Qwen3-VL add image features to their output (DeepStack, arXiv 2406.04334):
    # all or none of these.
    adding = len(getattr(vision, "deepstack_visual_indexes", ()))
    return layers if layers >= adding else 0


@contextlib.contextmanager
def some_layers(model: "PreTrainedModel", first: int, last: int | None) -> Generator[None]:
    """Restrict the decoder to its layers from `first` up to `last`; without `last`, the norm is
    included."""
    decoder = model.get_decoder()
    layers, norm = cast("nn.ModuleList", decoder.layers), decoder.norm
    types = getattr(decoder.config, "layer_types", None)
    decoder.layers = layers[first:last]
    if types:  # decoders look up a layer's kind of attention by its index
        decoder.config.layer_types = types[first:last]
    if last is not None:
        decoder.norm = torch.nn.Identity()
    try:
        yield
    finally:
        decoder.layers, decoder.norm = layers, norm
        if types:
            decoder.config.layer_types = types


@torch.no_grad()
def hidden_states(
    model: "PreTrainedModel", layers: int, inputs: dict[str, torch.Tensor]
) -> torch.Tensor:
    """Compute the output of the first `layers` layers for one row, [tokens, hidden].

    One row at a time, so that the result does not depend on the batch.
    """
    with some_layers(model, 0, layers):
        return model.base_model(**inputs, use_cache=False).last_hidden_state[0]


@torch.no_grad()
def image_features(model: "PreTrainedModel", inputs: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """Compute the embeddings of the images of one row, [tokens, hidden] each or concatenated; those
    that later layers add follow along the last axis.

    One row at a time, so that the result does not depend on the batch.
    """
    encode = cast("Callable[..., BaseModelOutputWithPooling]", model.base_model.get_image_features)
    output = encode(**inputs, return_dict=True)
    added = getattr(output, "deepstack_features", [])
    assert output.pooler_output is not None
    return [torch.cat(own, dim=-1) for own in zip(output.pooler_output, *added, strict=True)]


def encoder_output(model: "PreTrainedModel", features: list[torch.Tensor]) -> SimpleNamespace:
    """Rebuild the output of `get_image_features` from that of `image_features`."""
    family = family_of(model.config)
    width = cast("nn.Embedding", model.get_input_embeddings()).weight.shape[1]
    first, *added = zip(*(own.split(width, dim=-1) for own in features), strict=True)
    pooled = torch.stack(first) if family and family.stacked else list(first)
    return SimpleNamespace(pooler_output=pooled, deepstack_features=[list(own) for own in added])
