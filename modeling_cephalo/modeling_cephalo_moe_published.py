"""Mixtures in their published form (`phi3_v_moe`, `idefics2_moe`): classes and key layout.

Each expert has separate linear layers, `model.<decoder>.layers.N.mlp.experts.E.*`, the router is
`mlp.gating_layer.gate`, and the dense model is a part called `model` beside a second, unused head.
They are saved in the same layout.
"""

from typing import TYPE_CHECKING

import torch
from transformers import PreTrainedModel
from transformers.conversion_mapping import register_checkpoint_conversion_mapping
from transformers.core_model_loading import (
    Concatenate,
    ConversionOps,
    MergeModulelist,
    WeightConverter,
    WeightRenaming,
)

from .configuration_cephalo_moe import Idefics2MoeConfig, Phi3VMoeConfig
from .modeling_cephalo_moe import MODELS, CephaloMoePhi3VForCausalLM, CephaloMoePhi3VModel

if TYPE_CHECKING:  # classes that are made at import
    Idefics2Headless = Idefics2WithHead = PreTrainedModel
else:
    Idefics2Headless, Idefics2WithHead = MODELS["idefics2"]
USED_HEAD = "model.lm_head.weight"


class Phi3VMoeModel(CephaloMoePhi3VModel):
    config: Phi3VMoeConfig


class Idefics2MoeModel(Idefics2Headless):
    config: Idefics2MoeConfig


class Phi3VMoeForCausalLM(CephaloMoePhi3VForCausalLM):
    config: Phi3VMoeConfig
    _auto_class = None


class Idefics2MoeForCausalLM(Idefics2WithHead):
    config: Idefics2MoeConfig
    _auto_class = None


class TakeUsedHead(ConversionOps):
    """Selects the head of the dense model, of the two heads in the files."""

    def convert(  # pyright: ignore[reportIncompatibleMethodOverride]  # as transformers' own do
        self,
        input_dict: dict[str, list[torch.Tensor]],
        target_patterns: list[str],
        **kwargs: object,
    ) -> dict[str, list[torch.Tensor]]:
        """Return the head by its name in the model; that of the first pattern, if it exists."""
        return {target_patterns[0]: input_dict.get(USED_HEAD) or next(iter(input_dict.values()))}

    @property
    def reverse_op(self) -> ConversionOps:
        """Return the operation that saves the head under the name in use."""
        return TakeUsedHead()


def published_layout(inputs: list[str]) -> list[WeightRenaming | WeightConverter]:
    """Return the conversions to one tensor per expert and linear layer, under the names in
    `inputs`."""
    fuse = [Concatenate(dim=1)] if len(inputs) > 1 else []
    return [
        # Everything except the head, also in reverse, where the pattern is only "model.".
        WeightRenaming(r"^model\.model\.([^l].+|l[^m].+)", r"model.\1"),
        WeightConverter([USED_HEAD, "lm_head.weight"], "lm_head.weight", [TakeUsedHead()]),
        # Full names: "mlp.gate." would, in reverse, also match "mlp.gate_proj" of Idefics2.
        WeightRenaming("mlp.gating_layer.gate.weight", "mlp.gate.weight"),
        WeightRenaming("mlp.gating_layer.gate.bias", "mlp.gate.bias"),
        WeightConverter(
            [f"mlp.experts.*.{name}.weight" for name in inputs],
            "mlp.experts.gate_up_proj",
            [MergeModulelist(dim=0), *fuse],
        ),
        WeightConverter(
            "mlp.experts.*.down_proj.weight",
            "mlp.experts.down_proj",
            [MergeModulelist(dim=0)],
        ),
    ]


def register_layouts() -> None:
    """Register the layout of the published types with transformers."""
    for model_type, inputs in (
        ("phi3_v_moe", ["gate_up_proj"]),
        ("idefics2_moe", ["gate_proj", "up_proj"]),
    ):
        register_checkpoint_conversion_mapping(model_type, published_layout(inputs), overwrite=True)
