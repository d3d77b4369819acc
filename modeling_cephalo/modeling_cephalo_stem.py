"""`cephalo_stem`: Idefics2 with a convolutional stem in its vision tower.

A small tower that splits an image into patches directly learns fine structure slowly; with
convolutions instead (arXiv 2106.14881) it learns it early. The rest is Idefics2: configuration,
processor, keys.
"""

# Untyped or partially typed: huggingface_hub, torch and transformers.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportIncompatibleVariableOverride=false

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from huggingface_hub.dataclasses import strict
from torch import nn
from transformers import (
    Idefics2Config,
    Idefics2ForConditionalGeneration,
    Idefics2Model,
    PreTrainedModel,
)
from transformers import initialization as init
from transformers.models.idefics2.configuration_idefics2 import Idefics2VisionConfig
from transformers.models.idefics2.modeling_idefics2 import Idefics2VisionTransformer

if TYPE_CHECKING:
    from transformers import MistralConfig

GROUPS = 8  # of channels that are normalised together
# Paths of the classes in a saved folder, for `trust_remote_code=True` without this package.
AUTO_MAP = {
    "AutoConfig": "modeling_cephalo_stem.CephaloStemConfig",
    "AutoModel": "modeling_cephalo_stem.CephaloStemModel",
    "AutoModelForCausalLM": "modeling_cephalo_stem.CephaloStemForConditionalGeneration",
    "AutoModelForImageTextToText": "modeling_cephalo_stem.CephaloStemForConditionalGeneration",
    "AutoModelForMultimodalLM": "modeling_cephalo_stem.CephaloStemForConditionalGeneration",
}


@strict
class CephaloStemConfig(Idefics2Config):
    """Idefics2's configuration with `stem_channels`, the channels after each halving of the image.

    By default they double up to the hidden size of the vision tower. Raises ValueError unless the
    halvings result in one patch and the last channels are the tower's hidden size.
    """

    model_type = "cephalo_stem"

    if TYPE_CHECKING:  # the types after `__post_init__`
        stem_channels: list[int] | tuple[int, ...] = ()
        text_config: MistralConfig = MistralConfig()
        vision_config: Idefics2VisionConfig = Idefics2VisionConfig()
    else:
        stem_channels: list[int] | tuple[int, ...] | None = None

    def __post_init__(self, **kwargs: object) -> None:
        super().__post_init__(**kwargs)
        if self.stem_channels is None:  # pyright: ignore[reportUnnecessaryComparison]  # as given
            vision = self.vision_config
            assert isinstance(vision.patch_size, int)
            halvings = vision.patch_size.bit_length() - 1
            self.stem_channels = [vision.hidden_size >> n for n in reversed(range(halvings))]

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as transformers does, with the paths of the classes in a saved
        folder."""
        return super().to_dict() | {"auto_map": dict(AUTO_MAP)}

    def to_diff_dict(self) -> dict[str, Any]:
        """Return the content of config.json, with the decoder's `rope_theta` for other programs."""
        output = super().to_diff_dict()
        rope = self.text_config.rope_parameters
        assert rope is not None and "rope_theta" in rope
        output["text_config"]["rope_theta"] = rope["rope_theta"]
        return output

    def validate_architecture(self) -> None:
        """Validate the channels; called by `@strict`."""
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
    """Two convolutions with a shortcut: [n, inputs, h, w] to [n, outputs, h / 2, w / 2]."""

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


class CephaloStemVisionTransformer(Idefics2VisionTransformer):
    """Idefics2's vision tower with a stack of `StemBlock`s as its `patch_embedding`."""

    def __init__(self, config: Idefics2VisionConfig, channels: Sequence[int]) -> None:
        super().__init__(config)
        pairs = pairwise((config.num_channels, *channels))
        stem = nn.Sequential(*(StemBlock(*pair) for pair in pairs))
        self.embeddings.register_module("patch_embedding", stem)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        # He et al. (arXiv 1502.01852). With the small initial weights of the other layers, which a
        # norm compensates in the forward pass but not in the learning rate, these learn much more
        # slowly.
        if isinstance(module, nn.Conv2d):
            init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


class CephaloStemModel(Idefics2Model):
    """Idefics2 without its head, with a `CephaloStemVisionTransformer`."""

    config: CephaloStemConfig

    def __init__(self, config: CephaloStemConfig) -> None:
        super().__init__(config)
        self.vision_model = CephaloStemVisionTransformer._from_config(
            config.vision_config, channels=config.stem_channels
        )
        self.post_init()


class CephaloStemForConditionalGeneration(Idefics2ForConditionalGeneration):
    """`CephaloStemModel` with a language modelling head."""

    config: CephaloStemConfig

    def __init__(self, config: CephaloStemConfig) -> None:
        PreTrainedModel.__init__(self, config)
        text = config.text_config
        self.vocab_size = text.vocab_size
        self.model = CephaloStemModel(config)
        self.lm_head = nn.Linear(text.hidden_size, text.vocab_size, bias=False)
        self.post_init()
