"""What a frozen vision tower and connector make of images: computed once, then read from disk."""

import hashlib
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from cephalo.cli.errors import CephaloError
from cephalo.train.freezing import part_of

IMAGE_PARTS = ("vision", "connector")


class FeatureStore:
    """Features of a row's images under the hash of their pixels, in files up to a total size.

    A folder belongs to one state of the weights. What no longer fits is computed each time.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder, self.max_bytes = folder, max_bytes
        folder.mkdir(parents=True, exist_ok=True)
        self.used = sum(path.stat().st_size for path in folder.glob("*.safetensors"))

    def read(self, key: str) -> list[torch.Tensor] | None:
        """The features of each image, [tokens, hidden], or None where they are not stored."""
        try:
            tensors = load_file(self.path(key))
        except (FileNotFoundError, SafetensorError):
            return None
        return [tensors[str(index)] for index in range(len(tensors))]

    def write(self, key: str, features: list[torch.Tensor]) -> None:
        """Store features, unless the folder is full."""
        size = sum(tensor.numel() * tensor.element_size() for tensor in features)
        if self.used + size > self.max_bytes:
            return
        tensors = {str(index): own.cpu().contiguous() for index, own in enumerate(features)}
        # Several processes may write the same features: each writes aside under its own name.
        aside = self.path(key).with_suffix(f".{os.getpid()}.tmp")
        save_file(tensors, aside)
        aside.replace(self.path(key))
        self.used += self.path(key).stat().st_size

    def path(self, key: str) -> Path:
        """The file of one row's images."""
        return self.folder / f"{key}.safetensors"


def feature_store(model: Any, folder: Path, gigabytes: float) -> FeatureStore:
    """The store below `folder` for the weights of the model's vision tower and connector.

    Raises CephaloError where some of them train.
    """
    digest = hashlib.sha256(repr(model.dtype).encode())
    for name, parameter in model.named_parameters():
        if part_of(name) not in IMAGE_PARTS:
            continue
        if parameter.requires_grad:
            raise CephaloError(
                f"feature_cache_gb: {name} trains, so features of images change; add "
                "freeze_parts: [vision, connector]"
            )
        digest.update(parameter.detach().cpu().contiguous().view(torch.uint8).numpy())
    return FeatureStore(folder / digest.hexdigest()[:16], int(gigabytes * 1e9))


@torch.no_grad()
def image_features(model: Any, inputs: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """The embeddings of the images of one row, [tokens, hidden] each or all in one.

    One row at a time, so that they do not depend on which rows come together.
    """
    return list(model.base_model.get_image_features(**inputs).pooler_output)
