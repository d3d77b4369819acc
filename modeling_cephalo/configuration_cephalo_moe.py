"""Configuration of `cephalo_moe`: a mixture of experts around a vision-language model."""

import copy
from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, Idefics2Config, LlavaNextConfig, PreTrainedConfig

from .configuration_phi3_v import Phi3VConfig

FAMILIES = {"phi3_v": Phi3VConfig, "idefics2": Idefics2Config, "llava_next": LlavaNextConfig}
# Where the classes are in a saved folder, for `trust_remote_code=True` without this package.
AUTO_MAP = {
    "AutoConfig": "configuration_cephalo_moe.CephaloMoeConfig",
    "AutoModelForCausalLM": "modeling_cephalo_moe.CephaloMoeForConditionalGeneration",
    "AutoModelForImageTextToText": "modeling_cephalo_moe.CephaloMoeForConditionalGeneration",
}
# What TRL looks up beside the sizes of the decoder, in the decoder's own configuration.
MIRRORED = ("num_experts", "num_experts_per_tok", "output_router_logits", "router_aux_loss_coef")


@strict
class CephaloMoeConfig(PreTrainedConfig):
    """A model of one of three families whose decoder MLPs are `num_experts` experts and a router.

    `base_config` is the configuration of the dense model, of type phi3_v, idefics2 or llava_next.
    Each token goes to `num_experts_per_tok` experts. `routing` says how they are weighted:
    "renormalised" takes the top probabilities and divides them by their sum; "published" takes
    their softmax once more, as the mixtures released with arXiv 2405.19076 do.
    `router_aux_loss_coef` times the load-balancing loss is added to the loss while training.

    Raises ValueError for a base of another family and for counts that do not fit.
    """

    model_type = "cephalo_moe"
    sub_configs = {"base_config": AutoConfig}  # noqa: RUF012

    base_config: dict | PreTrainedConfig | None = None
    num_experts: int = 3
    num_experts_per_tok: int = 1
    routing: Literal["renormalised", "published"] = "renormalised"
    router_aux_loss_coef: float = 0.001
    output_router_logits: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        self.base_config = read_base(self.base_config)
        super().__post_init__(**kwargs)
        for name in MIRRORED:
            setattr(self.get_text_config(), name, getattr(self, name))

    def validate_architecture(self) -> None:
        """Called by `@strict`."""
        if not 1 <= self.num_experts_per_tok <= self.num_experts:
            raise ValueError(
                f"num_experts_per_tok is {self.num_experts_per_tok} of {self.num_experts} experts"
            )
        text = self.get_text_config().model_type
        if text not in ("phi3_v", "mistral"):
            raise ValueError(f"a mixture is made of mistral or phi3_v decoders, not of {text}")

    def get_text_config(self, **kwargs: Any) -> PreTrainedConfig:
        """The configuration of the base's decoder."""
        return self.base_config.get_text_config(**kwargs)

    def to_dict(self) -> dict[str, Any]:
        """As every configuration; the base as in its own config.json, without what is mirrored."""
        output = super().to_dict()
        output["base_config"] = own_keys(output["base_config"])
        output["auto_map"] = dict(AUTO_MAP)
        return output

    def to_diff_dict(self) -> dict[str, Any]:
        """What config.json holds: `to_dict` without defaults."""
        output = super().to_diff_dict()
        output["base_config"] = own_keys(self.base_config.to_diff_dict())
        return output


def own_keys(base: dict[str, Any]) -> dict[str, Any]:
    """`base` and its decoder's part without what belongs to the mixture."""
    dropped = (*MIRRORED, "auto_map", "transformers_version")
    return {
        name: own_keys(value) if name == "text_config" else value
        for name, value in base.items()
        if name not in dropped
    }


def read_base(base: dict | PreTrainedConfig | None) -> PreTrainedConfig:
    """`base` as a configuration of its family. Raises ValueError where it is of none."""
    family = base.get("model_type") if isinstance(base, dict) else getattr(base, "model_type", None)
    if family not in FAMILIES:
        raise ValueError(f"base_config is of type {family!r}; give one of {', '.join(FAMILIES)}")
    return FAMILIES[family](**base) if isinstance(base, dict) else copy.deepcopy(base)


class PublishedMoeConfig(CephaloMoeConfig):
    """config.json of a published mixture: the base's keys, `k` and `num_expert_models`, flat."""

    base_type = ""
    _auto_class = None  # read by this package only

    def to_dict(self) -> dict[str, Any]:
        """As `CephaloMoeConfig`, without remote code."""
        output = super().to_dict()
        del output["auto_map"]
        return output

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """Read the flat form, or the nested one that `save_pretrained` writes."""
        if "base_config" not in config_dict:
            base = dict(config_dict)
            # Of the published code, not of the base; `architectures` is no list there.
            for name in ("architectures", "auto_map", "use_embeddings_in_router"):
                base.pop(name, None)
            config_dict = {
                "num_experts": base.pop("num_expert_models"),
                "num_experts_per_tok": base.pop("k"),
                "routing": "published",
                "dtype": base.get("torch_dtype"),
                "base_config": {**base, "model_type": cls.base_type},
            }
        return super().from_dict(config_dict, **kwargs)


@strict
class Phi3VMoeConfig(PublishedMoeConfig):
    """lamm-mit/Cephalo-Phi-3-MoE-vision-128k-3x4b-beta and its like."""

    model_type = "phi3_v_moe"
    base_type = "phi3_v"


@strict
class Idefics2MoeConfig(PublishedMoeConfig):
    """lamm-mit/Cephalo-Idefics2-vision-3x8b-beta and its like."""

    model_type = "idefics2_moe"
    base_type = "idefics2"


__all__ = ["CephaloMoeConfig", "Idefics2MoeConfig", "Phi3VMoeConfig"]
