"""Mixtures as they were published (`phi3_v_moe`, `idefics2_moe`): their key layout.

Each expert has linear layers of its own, `model.<decoder>.layers.N.mlp.experts.E.*`, and the router
is `mlp.gating_layer.gate`. How they route is in the configuration.
"""

from transformers.conversion_mapping import register_checkpoint_conversion_mapping
from transformers.core_model_loading import (
    Concatenate,
    MergeModulelist,
    WeightConverter,
    WeightRenaming,
)

from .configuration_cephalo_moe import Idefics2MoeConfig, Phi3VMoeConfig
from .modeling_cephalo_moe import CephaloMoeForConditionalGeneration


class PublishedMoe(CephaloMoeForConditionalGeneration):
    """A published mixture; it is saved in the published key layout, without remote code."""

    _auto_class = None
    # The published code keeps a second, unused head.
    _keys_to_ignore_on_load_unexpected = [r"^lm_head\.weight$"]  # noqa: RUF012


class Phi3VMoeForCausalLM(PublishedMoe):
    config: Phi3VMoeConfig


class Idefics2MoeForCausalLM(PublishedMoe):
    config: Idefics2MoeConfig


def published_layout(inputs: list[str]) -> list[WeightRenaming | WeightConverter]:
    """One tensor by expert, of a linear layer each, under the names in `inputs`."""
    fuse = [Concatenate(dim=1)] if len(inputs) > 1 else []
    return [
        # Whole names: "mlp.gate." would, on the way back, match "mlp.gate_proj" of Idefics2 too.
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


register_checkpoint_conversion_mapping(
    "phi3_v_moe", published_layout(["gate_up_proj"]), overwrite=True
)
register_checkpoint_conversion_mapping(
    "idefics2_moe", published_layout(["gate_proj", "up_proj"]), overwrite=True
)

__all__ = ["Idefics2MoeForCausalLM", "Phi3VMoeForCausalLM"]
