"""Mixtures of experts around vision-language models.

Each is a subclass of its family's class, so that images, positions, attention, caches and
generation are those of the dense model; only the `mlp` of each decoder layer is replaced by experts
and a router. Tokens only pass their own experts, through transformers' grouped experts.

For families and decoders of transformers they derive from its classes, as the configurations do:
`CephaloMoeQwen3VLModel` from `Qwen3VLModel`, and so on.
"""

# Untyped or partially typed: torch and transformers.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportPrivateImportUsage=false
# pyright: reportIncompatibleVariableOverride=false, reportPrivateUsage=false

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn
from transformers import (
    CONFIG_MAPPING,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    MODEL_MAPPING,
    AutoModel,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers import initialization as init
from transformers.modeling_outputs import ModelOutput, MoeCausalLMOutputWithPast
from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func
from transformers.models.phi3.modeling_phi3 import Phi3PreTrainedModel
from transformers.utils.output_capturing import OutputRecorder

from .configuration_cephalo_moe import (
    FAMILIES,
    FAMILY_CONFIGS,
    TEXT_CONFIGS,
    CephaloMoePhi3VConfig,
)
from .experts_cephalo_moe import BY_DEVICE, CephaloMoeExperts, CephaloMoeMLP, CephaloMoeRouter
from .modeling_phi3_v import LoadsWhole, Phi3VForCausalLM, Phi3VModel

if TYPE_CHECKING:  # base classes that the classes here are combined with
    _Model = PreTrainedModel
else:
    _Model = object

# Decoders


@dataclass
class RouterLogits:
    """A container that the decoder fills: the headless models of most families drop other outputs
    than hidden states. It is not a list, since accelerate copies lists for modules."""

    layers: tuple[torch.Tensor, ...] = ()


class WithExperts(_Model):
    """Base class, before a family's class, which would claim not to support experts."""

    @classmethod
    def _can_set_experts_implementation(cls) -> bool:
        return True

    def get_correct_experts_implementation(self, requested_experts: str | None) -> str:
        """Return the implementation to use: transformers' choice for the requested one, "by_device"
        by default if torch has grouped products."""
        if requested_experts == BY_DEVICE:
            return BY_DEVICE
        found = super().get_correct_experts_implementation(requested_experts)
        return BY_DEVICE if requested_experts is None and found == "grouped_mm" else found


class RoutedDecoder(WithExperts):
    """Base class, before the class of a decoder, that replaces its MLPs by experts."""

    # Training steps are too small for the eight bits of a bfloat16 router.
    _keep_in_fp32_modules_strict = ["mlp.gate.weight", "mlp.gate.bias"]  # noqa: RUF012

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__(config)
        layers = self.layers
        assert isinstance(layers, nn.ModuleList)
        for layer in layers:
            layer.mlp = CephaloMoeMLP(config)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, CephaloMoeExperts):
            for weight in (module.gate_up_proj, module.down_proj):
                assert isinstance(weight, torch.Tensor)
                init.normal_(weight, std=self.config.initializer_range)
        elif isinstance(module, CephaloMoeRouter):
            init.normal_(module.weight, std=self.config.initializer_range)
            init.zeros_(module.bias)


def filling(forward: Callable[..., ModelOutput]) -> Any:  # of the type of `forward`
    """Wrap a decoder's `forward` to fill the `RouterLogits` given as `router_logits`."""

    @wraps(forward)
    def filled(
        self: PreTrainedModel,
        *args: object,
        router_logits: RouterLogits | None = None,
        **kwargs: object,
    ) -> ModelOutput:
        outputs = forward(self, *args, **kwargs)
        if router_logits is not None and "router_logits" in outputs:
            router_logits.layers = outputs["router_logits"]
        return outputs

    return filled


def recorded(outputs: dict[str, object] | None) -> dict[str, object]:
    """Return which outputs of a decoder may be recorded, including the logits of the routers."""
    return {**(outputs or {}), "router_logits": OutputRecorder(CephaloMoeRouter, index=0)}


class CephaloMoePhi3VModel(RoutedDecoder, Phi3VModel):
    config: CephaloMoePhi3VConfig
    _can_record_outputs = recorded(Phi3PreTrainedModel._can_record_outputs)
    forward = filling(Phi3VModel.forward)


def routed_decoder(decoder: str, config: type[PreTrainedConfig]) -> type[PreTrainedModel]:
    """Return the class of a decoder with experts, by the model type of the dense one."""
    dense = cast("type[PreTrainedModel]", MODEL_MAPPING[CONFIG_MAPPING[decoder]])
    parts = {
        "__module__": __name__,
        "config_class": config,
        "_can_record_outputs": recorded(dense._can_record_outputs),
        "forward": filling(dense.forward),
    }
    return type(f"{config.__name__.removesuffix('Config')}Model", (RoutedDecoder, dense), parts)


DECODERS: dict[str, type[PreTrainedModel]] = {
    config.model_type: routed_decoder(decoder, config) for decoder, config in TEXT_CONFIGS.items()
}


class RoutedHeadless(WithExperts):
    """Base class, before a headless model that has a decoder with its own configuration."""

    def __init__(self, config: PreTrainedConfig) -> None:
        text = config.get_text_config()
        routed = DECODERS[text.model_type]
        # Here, since remote code may be loaded twice, with two classes of one configuration.
        AutoModel.register(type(text), routed, exist_ok=True)
        super().__init__(config)
        decoder = self.get_decoder()
        if not isinstance(decoder, routed):  # created by name instead of AutoModel
            [place] = (name for name, child in self.named_children() if child is decoder)
            setattr(self, place, routed._from_config(text))


# Models with a language modelling head


@dataclass
class CephaloMoeCausalLMOutputWithPast(MoeCausalLMOutputWithPast):
    """Output of the dense families with `router_logits`, float32 [batch * length, experts] by
    layer, and `aux_loss`, the load-balancing loss."""

    # A tensor, or a tuple of them.
    image_hidden_states: object = None
    video_hidden_states: object = None


class RoutedGeneration(WithExperts, LoadsWhole):
    """Base class, before a family's class with a head, that builds it on the headless mixture."""

    headless: type[PreTrainedModel]

    def __init__(self, config: PreTrainedConfig) -> None:
        PreTrainedModel.__init__(self, config)
        text = config.get_text_config()
        self.vocab_size = text.vocab_size
        self.model = self.headless(config)
        self.lm_head = nn.Linear(text.hidden_size, text.vocab_size, bias=False)
        self.post_init()

    @property
    def routers(self) -> list[CephaloMoeRouter]:
        """The router of each layer, in order."""
        layers = self.get_decoder().layers
        assert isinstance(layers, nn.ModuleList)
        return [cast("CephaloMoeMLP", layer.mlp).gate for layer in layers]


def balanced(
    forward: Callable[..., ModelOutput],
) -> Any:  # of the arguments of `forward`
    """Wrap a family's `forward` to return router logits and the load-balancing loss.

    `output_router_logits` requests both, by default as in the decoder's configuration. In training
    with labels, `router_aux_loss_coef` times the load-balancing loss of Switch Transformers (arXiv
    2101.03961, equations 4 to 6), over all layers as in Mixtral, is added to the loss.
    """
    names = list(inspect.signature(forward).parameters)[1:]

    @wraps(forward)
    def routed(
        self: RoutedGeneration,
        *args: Any,
        **kwargs: Any,  # the arguments of `forward`
    ) -> tuple[object, ...] | CephaloMoeCausalLMOutputWithPast:
        kwargs |= zip(names, args, strict=False)
        text, labels = self.config.get_text_config(), kwargs.get("labels")
        return_dict = kwargs.pop("return_dict", None)
        wanted = kwargs.pop("output_router_logits", None)
        wanted = text.output_router_logits if wanted is None else wanted
        balance = self.training and labels is not None and text.router_aux_loss_coef > 0
        found = RouterLogits()
        kwargs |= {"output_router_logits": wanted or balance, "router_logits": found}
        outputs = dict(forward(self, **kwargs, return_dict=True))
        if wanted or balance:
            outputs["aux_loss"] = load_balancing_loss_func(
                found.layers,  # pyright: ignore[reportArgumentType]  # one of each layer
                text.num_experts,
                text.num_experts_per_tok,
                mask_of_last(kwargs.get("attention_mask"), len(found.layers[0])),
            )
        if balance:
            share = batch_share(kwargs["labels"], kwargs.get("num_items_in_batch"))
            weight = text.router_aux_loss_coef * share
            outputs["loss"] = outputs["loss"] + weight * outputs["aux_loss"]
        if wanted:
            outputs["router_logits"] = found.layers
        output = CephaloMoeCausalLMOutputWithPast(**outputs)
        if return_dict is None:
            return_dict = self.config.return_dict
        return output if return_dict else output.to_tuple()

    routed.__annotations__ = {
        **forward.__annotations__,
        "return": tuple[object, ...] | CephaloMoeCausalLMOutputWithPast,
    }
    return routed


class CephaloMoePhi3VForCausalLM(RoutedGeneration, Phi3VForCausalLM):
    config: CephaloMoePhi3VConfig
    headless = CephaloMoePhi3VModel
    forward = balanced(Phi3VForCausalLM.forward)


def of_family(family: str) -> tuple[type[PreTrainedModel], type[PreTrainedModel]]:
    """Return the classes of a family's mixture, headless and with a head, by the dense model
    type."""
    config, dense = FAMILY_CONFIGS[family], CONFIG_MAPPING[family]
    parts = {"__module__": __name__, "config_class": config}
    model = cast("type[PreTrainedModel]", MODEL_MAPPING[dense])
    with_head = cast("type[PreTrainedModel]", MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING[dense])
    headless = type(config.headless_class, (RoutedHeadless, model), parts)
    parts |= {"headless": headless, "forward": balanced(with_head.forward)}
    return headless, type(config.model_class, (RoutedGeneration, with_head), parts)


MODELS: dict[str, tuple[type[PreTrainedModel], type[PreTrainedModel]]] = {
    **{family: of_family(family) for family in FAMILIES},
    "phi3_v": (CephaloMoePhi3VModel, CephaloMoePhi3VForCausalLM),
}
MADE = {own.__name__: own for own in (*DECODERS.values(), *chain(*MODELS.values()))}
globals().update(MADE)
if TYPE_CHECKING:

    def __getattr__(name: str) -> type[PreTrainedModel]: ...


def mask_of_last(mask: torch.Tensor | None, tokens: int) -> torch.Tensor | None:
    """Return the columns of an attention mask [batch, length] for the last `tokens` of the batch,
    without those of a cache; None for a mask of another form, with which all tokens count."""
    if not torch.is_tensor(mask) or mask.ndim != 2:
        return None
    return mask[:, -(tokens // len(mask)) :]


def batch_share(labels: torch.Tensor, num_items: torch.Tensor | int | None) -> torch.Tensor | float:
    """Return the share of an optimizer step's labels in this batch.

    With gradient accumulation the trainer sums the losses of batches, each divided by the labels of
    the whole step; the load-balancing loss must be a mean over them too.
    """
    return 1.0 if num_items is None else (labels >= 0).sum() / num_items


def expert_shares(
    router_logits: Iterable[torch.Tensor], k: int, attention_mask: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the share of the tokens' k places at each expert, float32 [layers, experts].

    Args:
        router_logits: float [batch * length, experts] by layer, as the model returns them.
        k: Experts per token.
        attention_mask: [batch, length]; tokens with 0 are not counted.
    """
    shares = []
    for logits in router_logits:
        if attention_mask is not None:
            logits = logits[attention_mask.flatten().bool()]
        chosen = logits.topk(k, dim=-1).indices.flatten()
        shares.append(chosen.bincount(minlength=logits.shape[-1]) / len(chosen))
    return torch.stack(shares)


__all__ = [*MADE, "expert_shares"]  # pyright: ignore[reportUnsupportedDunderAll]  # of a table
