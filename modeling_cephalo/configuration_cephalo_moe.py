"""Configurations of mixtures of experts around Idefics2, LLaVA-NeXT and Phi-3-vision.

A mixture has the configuration of its dense family and, in that of its decoder, what routes:

    config = mixture_config(dense.config, num_experts=3, num_experts_per_tok=1)
    config.get_text_config().num_experts
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import Idefics2Config, LlavaNextConfig, MistralConfig, PreTrainedConfig

from .configuration_phi3_v import Phi3VConfig

if TYPE_CHECKING:  # what the classes here come before
    _Config = PreTrainedConfig
else:
    _Config = object

# How transformers splits the experts of a decoder over devices, in tensor and in expert parallel.
EXPERTS_TP_PLAN = {
    "layers.*.mlp.experts.gate_up_proj": "packed_colwise",
    "layers.*.mlp.experts.down_proj": "rowwise",
    "layers.*.mlp.experts": "moe_tp_experts",
}
EXPERTS_EP_PLAN: Any = {  # declared in another form by transformers, and read in this one
    "layers.*.mlp.experts.gate_up_proj": "grouped_gemm",
    "layers.*.mlp.experts.down_proj": "grouped_gemm",
    "layers.*.mlp.experts": "ep_dispatch_experts",
}


def experts_plan(dense: dict[str, Any] | None) -> dict[str, Any]:
    """The tensor-parallel plan of a dense decoder with experts in the place of its MLPs."""
    return {
        name: how for name, how in (dense or {}).items() if ".mlp." not in name
    } | EXPERTS_TP_PLAN


@dataclass(kw_only=True)
class Routing(_Config):
    """What a decoder with experts has beside the configuration of the dense one.

    Each token goes to `num_experts_per_tok` of `num_experts` experts. `routing` says how they are
    weighted: "renormalised" takes the top probabilities and divides them by their sum; "published"
    takes their softmax once more, as the mixtures released with arXiv 2405.19076 do.
    `router_aux_loss_coef` times the load-balancing loss is added to the loss while training.

    Raises ValueError for counts that do not fit.
    """

    num_experts: int = 3
    num_experts_per_tok: int = 1
    routing: Literal["renormalised", "published"] = "renormalised"
    router_aux_loss_coef: float = 0.001
    output_router_logits: bool = False

    def validate_architecture(self) -> None:
        """Called by `@strict`."""
        super().validate_architecture()
        if not 1 <= self.num_experts_per_tok <= self.num_experts:
            raise ValueError(
                f"num_experts_per_tok is {self.num_experts_per_tok} of {self.num_experts} experts"
            )


@strict
class CephaloMoeTextConfig(Routing, MistralConfig):
    """Mistral with experts, the decoder of mixtures of Idefics2 and LLaVA-NeXT."""

    model_type = "cephalo_moe_text"
    base_config_key = "text_config"
    base_model_tp_plan = experts_plan(MistralConfig.base_model_tp_plan)
    base_model_ep_plan = EXPERTS_EP_PLAN

    def to_dict(self) -> dict[str, Any]:
        """As every configuration, with `rope_theta`, for which other programs look here."""
        rope = self.rope_parameters
        assert rope is not None and "rope_theta" in rope
        return super().to_dict() | {"rope_theta": rope["rope_theta"]}


# A property, which its descriptor hides from type checkers.
_IMPLEMENTATION: Any = vars(PreTrainedConfig)["_experts_implementation"]


class Mixture(_Config):
    """Comes before the configuration of a family; its code is saved beside the weights."""

    model_class = ""
    headless_class = ""

    @property
    def _experts_implementation(self) -> str | None:
        return _IMPLEMENTATION.fget(self)

    @_experts_implementation.setter
    def _experts_implementation(self, value: str | dict | None) -> None:
        """Leave out the vision tower: it has no experts, and its class would refuse."""
        if isinstance(value, str):
            value = {"": value, "text_config": value}
        _IMPLEMENTATION.fset(self, value)

    def to_dict(self) -> dict[str, Any]:
        """As every configuration, with the places of the classes in a saved folder."""
        model = f"modeling_cephalo_moe.{self.model_class}"
        places = {
            "AutoConfig": f"configuration_cephalo_moe.{type(self).__name__}",
            "AutoModel": f"modeling_cephalo_moe.{self.headless_class}",
            "AutoModelForCausalLM": model,
            "AutoModelForImageTextToText": model,
            "AutoModelForMultimodalLM": model,
        }
        return super().to_dict() | {"auto_map": places}


class RoutedText(Mixture):
    """Comes before the configuration of a family whose decoder has a configuration of its own."""

    if TYPE_CHECKING:  # what `__post_init__` makes of it
        text_config: CephaloMoeTextConfig

    def __post_init__(self, **kwargs: Any) -> None:
        if self.text_config is None or isinstance(self.text_config, dict):
            self.text_config = CephaloMoeTextConfig(**(self.text_config or {}))
        super().__post_init__(**kwargs)


@strict
class CephaloMoeIdefics2Config(RoutedText, Idefics2Config):
    """Idefics2 with experts; `text_config` is a `CephaloMoeTextConfig`."""

    model_type = "cephalo_moe_idefics2"
    model_class = "CephaloMoeIdefics2ForConditionalGeneration"
    headless_class = "CephaloMoeIdefics2Model"


@strict
class CephaloMoeLlavaNextConfig(RoutedText, LlavaNextConfig):
    """LLaVA-NeXT with experts; `text_config` is a `CephaloMoeTextConfig`."""

    model_type = "cephalo_moe_llava_next"
    model_class = "CephaloMoeLlavaNextForConditionalGeneration"
    headless_class = "CephaloMoeLlavaNextModel"


@strict
class CephaloMoePhi3VConfig(Mixture, Routing, Phi3VConfig):
    """Phi-3-vision with experts; it is its decoder's configuration too."""

    model_type = "cephalo_moe_phi3_v"
    model_class = "CephaloMoePhi3VForCausalLM"
    headless_class = "CephaloMoePhi3VModel"
    base_model_tp_plan = experts_plan(Phi3VConfig.base_model_tp_plan)
    base_model_ep_plan = EXPERTS_EP_PLAN


FAMILIES = {
    "idefics2": CephaloMoeIdefics2Config,
    "llava_next": CephaloMoeLlavaNextConfig,
    "phi3_v": CephaloMoePhi3VConfig,
}
# Of the dense model's configuration alone.
OWN_KEYS = ("model_type", "architectures", "auto_map", "transformers_version", "_name_or_path")


def mixture_config(base: PreTrainedConfig, dtype: Any = None, **routing: Any) -> PreTrainedConfig:
    """The configuration of a mixture around a dense model.

    Args:
        base: the dense model's configuration, of type idefics2, llava_next or phi3_v; it is copied.
        dtype: of the mixture's weights; that of `base` by default.
        routing: the fields of `Routing`.

    Raises ValueError for a model of another family or with another decoder, and for counts that do
    not fit.
    """
    family = getattr(base, "model_type", None)
    if family not in FAMILIES:
        raise ValueError(f"the base is of type {family!r}; give one of {', '.join(FAMILIES)}")
    decoder = base.get_text_config().model_type
    if decoder not in ("mistral", "phi3_v"):
        raise ValueError(f"a mixture is made of mistral or phi3_v decoders, not of {decoder}")
    keys = {name: value for name, value in base.to_dict().items() if name not in OWN_KEYS}
    if dtype is not None:
        keys = without_dtype(keys) | {"dtype": dtype}
    if "text_config" in keys:
        text = {name: value for name, value in keys["text_config"].items() if name not in OWN_KEYS}
        keys["text_config"] = text | routing
    else:
        keys |= routing
    return FAMILIES[family](**keys)


def without_dtype(keys: dict[str, Any]) -> dict[str, Any]:
    """A configuration's keys without those of the dtype, at any depth."""
    return {
        name: without_dtype(value) if isinstance(value, dict) else value
        for name, value in keys.items()
        if name not in ("dtype", "torch_dtype")
    }


class Published(_Config):
    """Comes before the configuration of a family that reads config.json of a published mixture."""

    _auto_class = None  # read by this package only

    def to_dict(self) -> dict[str, Any]:
        """As the mixture's configuration, without remote code."""
        output = super().to_dict()
        del output["auto_map"]
        return output

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """Read the published form, with `k` and `num_expert_models`, or what is saved here."""
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
    """lamm-mit/Cephalo-Phi-3-MoE-vision-128k-3x4b-beta and its like."""

    model_type = "phi3_v_moe"


@strict
class Idefics2MoeConfig(Published, CephaloMoeIdefics2Config):
    """lamm-mit/Cephalo-Idefics2-vision-3x8b-beta and its like."""

    model_type = "idefics2_moe"


__all__ = [
    "CephaloMoeIdefics2Config",
    "CephaloMoeLlavaNextConfig",
    "CephaloMoePhi3VConfig",
    "CephaloMoeTextConfig",
    "Idefics2MoeConfig",
    "Phi3VMoeConfig",
    "mixture_config",
]
