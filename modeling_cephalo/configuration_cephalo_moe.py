"""Configurations of mixtures of experts around vision-language models.

A mixture has the configuration of its dense family, with the routing in that of its decoder:

    config = mixture_config(dense.config, num_experts=3, num_experts_per_tok=1)
    config.get_text_config().num_experts

For families and decoders of transformers they derive from its classes: `CephaloMoeQwen3VLConfig`
from `Qwen3VLConfig`, `CephaloMoeQwen3VLTextConfig` from `Qwen3VLTextConfig`, and so on.
"""

# Untyped or partially typed: huggingface_hub, torch and transformers.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportIncompatibleVariableOverride=false

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from huggingface_hub.dataclasses import strict
from transformers import CONFIG_MAPPING, PreTrainedConfig

from .configuration_phi3_v import Phi3VConfig

if TYPE_CHECKING:  # base classes that the classes here are combined with
    import torch

    _Config = PreTrainedConfig
else:
    _Config = object

# The families of transformers that mixtures support, and their possible decoders: each layer has
# one gated MLP without biases, the tensors `gate_proj`, `up_proj` and `down_proj`.
FAMILIES = (
    "idefics2",
    "llava_next",
    "gemma3",
    "idefics3",
    "internvl",
    "llava_onevision",
    "mistral3",
    "qwen2_vl",
    "qwen2_5_vl",
    "qwen3_vl",
    "qwen3_5",
    "smolvlm",
)
DECODERS = (
    "mistral",
    "gemma3_text",
    "llama",
    "qwen2",
    "qwen2_vl_text",
    "qwen2_5_vl_text",
    "qwen3",
    "qwen3_vl_text",
    "qwen3_5_text",
)

# How transformers splits the experts of a decoder over devices, in tensor and in expert parallel.
EXPERTS_TP_PLAN = {
    "layers.*.mlp.experts.gate_up_proj": "packed_colwise",
    "layers.*.mlp.experts.down_proj": "rowwise",
    "layers.*.mlp.experts": "moe_tp_experts",
}
EXPERTS_EP_PLAN: Any = {  # transformers declares another type, but reads this one
    "layers.*.mlp.experts.gate_up_proj": "grouped_gemm",
    "layers.*.mlp.experts.down_proj": "grouped_gemm",
    "layers.*.mlp.experts": "ep_dispatch_experts",
}


def experts_plan(dense: dict[str, str] | None) -> dict[str, str]:
    """Return the tensor-parallel plan of a dense decoder with experts in place of its MLPs."""
    return {
        name: how for name, how in (dense or {}).items() if ".mlp." not in name
    } | EXPERTS_TP_PLAN


@dataclass(kw_only=True)
class Routing(_Config):
    """The fields of a decoder with experts, in addition to the configuration of the dense one.

    Each token is routed to `num_experts_per_tok` of `num_experts` experts. `routing` determines
    their weights: "renormalised" divides the top probabilities by their sum; "published" applies
    another softmax to them, as the mixtures released with arXiv 2405.19076 do.
    `router_aux_loss_coef` times the load-balancing loss is added to the loss in training.

    Raises ValueError for invalid counts.
    """

    num_experts: int = 3
    num_experts_per_tok: int = 1
    routing: Literal["renormalised", "published"] = "renormalised"
    router_aux_loss_coef: float = 0.001
    output_router_logits: bool = False

    def validate_architecture(self) -> None:
        """Validate the counts; called by `@strict`."""
        super().validate_architecture()
        if not 1 <= self.num_experts_per_tok <= self.num_experts:
            raise ValueError(
                f"num_experts_per_tok is {self.num_experts_per_tok} of {self.num_experts} experts"
            )


class RoutedText(Routing):
    """Base class, before the configuration of a decoder that is a part of a family's."""

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as transformers does, with `rope_theta` for other programs, if
        it is the same in all layers."""
        rope = dict(self.rope_parameters or {})
        own = {"rope_theta": rope["rope_theta"]} if "rope_theta" in rope else {}
        return super().to_dict() | own


def routed_text(decoder: str) -> type[PreTrainedConfig]:
    """Return the configuration class of a decoder with experts, by the model type of the dense
    one."""
    dense = CONFIG_MAPPING[decoder]
    # The first one has no name in its type, by which saved mixtures are known.
    name, own = (dense.__name__, decoder) if decoder != "mistral" else ("TextConfig", "text")
    parts = {
        "__module__": __name__,
        "__doc__": f"{dense.__name__} with experts, the decoder of mixtures.",
        "model_type": f"cephalo_moe_{own}",
        "base_config_key": "text_config",
        "base_model_tp_plan": experts_plan(dense.base_model_tp_plan),
        "base_model_ep_plan": EXPERTS_EP_PLAN,
    }
    return strict(type(f"CephaloMoe{name}", (RoutedText, dense), parts))


TEXT_CONFIGS: dict[str, Any] = {decoder: routed_text(decoder) for decoder in DECODERS}

# A property, which its descriptor hides from type checkers.
_IMPLEMENTATION: property = vars(PreTrainedConfig)["_experts_implementation"]


class Mixture(_Config):
    """Base class, before the configuration of a family; its code is saved beside the weights."""

    model_class = ""
    headless_class = ""

    @property
    def _experts_implementation(self) -> str | None:
        return _IMPLEMENTATION.__get__(self)

    @_experts_implementation.setter
    def _experts_implementation(self, value: str | dict[str, str] | None) -> None:
        """Set it for all parts except the vision tower, whose class does not support experts."""
        if isinstance(value, str):
            value = {"": value, "text_config": value}
        _IMPLEMENTATION.__set__(self, value)

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as transformers does, with the paths of the classes in a saved
        folder."""
        model = f"modeling_cephalo_moe.{self.model_class}"
        places = {
            "AutoConfig": f"configuration_cephalo_moe.{type(self).__name__}",
            "AutoModel": f"modeling_cephalo_moe.{self.headless_class}",
            "AutoModelForCausalLM": model,
            "AutoModelForImageTextToText": model,
            "AutoModelForMultimodalLM": model,
        }
        return super().to_dict() | {"auto_map": places}


class MixtureOfFamily(Mixture):
    """Base class, before the configuration of a family whose decoder has its own configuration."""

    default_decoder = ""  # the model type of a decoder with experts

    if TYPE_CHECKING:  # the type after `__post_init__`
        text_config: PreTrainedConfig | dict[str, Any] | None

    def __post_init__(self, **kwargs: object) -> None:
        if self.text_config is None or isinstance(self.text_config, dict):
            known = {own.model_type: own for own in TEXT_CONFIGS.values()}
            keys = dict(self.text_config or {})
            kind = keys.pop("model_type", self.default_decoder)
            if kind not in known:
                raise ValueError(f"text_config is of type {kind!r}, not of {', '.join(known)}")
            self.text_config = known[kind](**keys)
        super().__post_init__(**kwargs)


def mixture_of_family(family: str) -> type[PreTrainedConfig]:
    """Return the configuration class of a mixture, by the model type of its dense family."""
    dense = CONFIG_MAPPING[family]
    name = f"CephaloMoe{dense.__name__}"
    decoder = TEXT_CONFIGS[dense.sub_configs_defaults["text_config"].model_type]
    parts = {
        "__module__": __name__,
        "__doc__": f"{dense.__name__} with experts in its decoder.",
        "model_type": f"cephalo_moe_{family}",
        "model_class": f"{name.removesuffix('Config')}ForConditionalGeneration",
        "headless_class": f"{name.removesuffix('Config')}Model",
        "default_decoder": decoder.model_type,
        # Otherwise transformers would create a text_config of the dense type.
        "sub_configs_defaults": {**dense.sub_configs_defaults, "text_config": decoder},
    }
    return strict(type(name, (MixtureOfFamily, dense), parts))


@strict
class CephaloMoePhi3VConfig(Mixture, Routing, Phi3VConfig):
    """Phi-3-vision with experts. It is also the configuration of its decoder."""

    model_type = "cephalo_moe_phi3_v"
    model_class = "CephaloMoePhi3VForCausalLM"
    headless_class = "CephaloMoePhi3VModel"
    base_model_tp_plan = experts_plan(Phi3VConfig.base_model_tp_plan)
    base_model_ep_plan = EXPERTS_EP_PLAN


FAMILY_CONFIGS: dict[str, Any] = {  # made at import too
    **{family: mixture_of_family(family) for family in FAMILIES},
    "phi3_v": CephaloMoePhi3VConfig,
}
MADE = {own.__name__: own for own in (*TEXT_CONFIGS.values(), *FAMILY_CONFIGS.values())}
globals().update(MADE)
if TYPE_CHECKING:

    def __getattr__(name: str) -> type[PreTrainedConfig]: ...


# Of the dense model's configuration only.
OWN_KEYS = ("model_type", "architectures", "auto_map", "transformers_version", "_name_or_path")


def mixture_config(
    base: PreTrainedConfig, dtype: "str | torch.dtype | None" = None, **routing: Any
) -> PreTrainedConfig:
    """Return the configuration of a mixture around a dense model.

    Args:
        base: The dense model's configuration, of a type in `FAMILIES` or phi3_v; it is copied.
        dtype: Of the mixture's weights; by default that of `base`.
        routing: The fields of `Routing`.

    Raises:
        ValueError: For a model of another family or with another decoder, and for invalid counts.
    """
    family = getattr(base, "model_type", None)
    if family not in FAMILY_CONFIGS:
        raise ValueError(
            f"the base is of type {family!r}; mixtures support {', '.join(FAMILY_CONFIGS)}"
        )
    keys: dict[str, Any] = {
        name: value for name, value in base.to_dict().items() if name not in OWN_KEYS
    }
    if dtype is not None:
        keys = {**without_dtype(keys), "dtype": dtype}
    if family == "phi3_v":
        return CephaloMoePhi3VConfig(**keys, **routing)
    decoder = base.get_text_config()
    if decoder.model_type not in TEXT_CONFIGS:
        raise ValueError(
            f"the decoder is of type {decoder.model_type!r}; experts are made of the MLPs of "
            f"{', '.join(TEXT_CONFIGS)}"
        )
    if getattr(decoder, "mlp_bias", False):
        raise ValueError("the MLPs of the decoder have biases (mlp_bias), and experts have none")
    stored: dict[str, Any] = keys["text_config"]
    text = {name: value for name, value in stored.items() if name not in OWN_KEYS}
    kind = TEXT_CONFIGS[decoder.model_type].model_type
    keys["text_config"] = {**text, **routing, "model_type": kind}
    return FAMILY_CONFIGS[family](**keys)


def without_dtype(keys: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration's keys without those of the dtype, at any depth."""
    return {
        name: without_dtype(value) if isinstance(value, dict) else value
        for name, value in keys.items()
        if name not in ("dtype", "torch_dtype")
    }


class Published(_Config):
    """Base class, before the configuration of a family, that reads config.json of a published
    mixture."""

    _auto_class = None  # read by this package only

    def to_dict(self) -> dict[str, Any]:
        """Return the mixture's configuration without remote code."""
        output = super().to_dict()
        del output["auto_map"]
        return output

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: object) -> Self:
        """Read the published form, with `k` and `num_expert_models`, or the form saved here."""
        if "num_expert_models" in config_dict:
            keys = dict(config_dict)
            # Of the published code; `architectures` is no list there.
            for name in ("architectures", "auto_map", "use_embeddings_in_router"):
                keys.pop(name, None)
            routing = {
                "num_experts": keys.pop("num_expert_models"),
                "num_experts_per_tok": keys.pop("k"),
                "routing": "published",
            }
            if "text_config" in keys:
                text = {k: v for k, v in keys["text_config"].items() if k != "model_type"}
                keys["text_config"] = text | routing
            else:
                keys |= routing
            config_dict = keys
        return super().from_dict(config_dict, **kwargs)


@strict
class Phi3VMoeConfig(Published, CephaloMoePhi3VConfig):
    """lamm-mit/Cephalo-Phi-3-MoE-vision-128k-3x4b-beta and similar models."""

    model_type = "phi3_v_moe"


if TYPE_CHECKING:  # a class that is made at import
    Idefics2Mixture = PreTrainedConfig
else:
    Idefics2Mixture = FAMILY_CONFIGS["idefics2"]


@strict
class Idefics2MoeConfig(Published, Idefics2Mixture):
    """lamm-mit/Cephalo-Idefics2-vision-3x8b-beta and similar models."""

    model_type = "idefics2_moe"


__all__ = [  # pyright: ignore[reportUnsupportedDunderAll]  # of a table
    *MADE,
    "Idefics2MoeConfig",
    "Phi3VMoeConfig",
    "mixture_config",
]
