"""`cephalo_stem`: Idefics2 whose vision tower looks through convolutions before it attends.

A small tower that cuts an image into patches at once learns fine structure slowly; convolutions in
their place (arXiv 2106.14881) see it early. All else is Idefics2: configuration, processor, keys.
"""

from itertools import pairwise

import torch
from huggingface_hub.dataclasses import strict
from torch import nn
from transformers import Idefics2Config, Idefics2ForConditionalGeneration

GROUPS = 8  # of channels that are normalised together


@strict
class CephaloStemConfig(Idefics2Config):
    """Idefics2's configuration with `stem_channels`, the channels after each halving of the image.

    Raises ValueError unless the halvings make one patch and the last channels are the tower's
    hidden size.
    """

    model_type = "cephalo_stem"

    stem_channels: list[int] | tuple[int, ...] = (64, 256, 512, 1152)

    def validate_architecture(self) -> None:
        """Called by `@strict`."""
        vision = self.vision_config
        if 2 ** len(self.stem_channels) != vision.patch_size:
            raise ValueError(
                f"{len(self.stem_channels)} stem_channels halve an image into patches of "
                f"{2 ** len(self.stem_channels)} pixels, vision_config has {vision.patch_size}"
            )
        if self.stem_channels[-1] != vision.hidden_size or any(
            n % GROUPS for n in self.stem_channels
        ):
            raise ValueError(
                f"stem_channels {list(self.stem_channels)} must be multiples of {GROUPS} and end "
                f"with the hidden size of vision_config, {vision.hidden_size}"
            )


class StemBlock(nn.Module):
    """Two convolutions beside a shortcut: [n, inputs, h, w] to [n, outputs, h / 2, w / 2]."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False)
        self.first_norm = nn.GroupNorm(GROUPS, outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.second_norm = nn.GroupNorm(GROUPS, outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        seen = nn.functional.gelu(self.first_norm(self.first(images)))
        seen = self.second_norm(self.second(seen))
        return nn.functional.gelu(seen + self.shortcut(images))


class CephaloStemForConditionalGeneration(Idefics2ForConditionalGeneration):
    """Idefics2 with a stack of `StemBlock`s as its `patch_embedding`."""

    config_class = CephaloStemConfig

    def __init__(self, config: CephaloStemConfig) -> None:
        super().__init__(config)
        channels = pairwise((config.vision_config.num_channels, *config.stem_channels))
        stem = nn.Sequential(*(StemBlock(*pair) for pair in channels))
        self.model.vision_model.embeddings.patch_embedding = stem
        self.post_init()
        # He et al. (arXiv 1502.01852). The small weights that all else begins with, which a norm
        # makes up for in what is seen but not in how fast it turns, learn far more slowly here.
        for module in stem.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
