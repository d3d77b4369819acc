"""Mixtures of experts around phi3_v, Idefics2 and LLaVA-NeXT.

Each is its family's own class, so that images, attention, caches and generation are those of the
dense model; only the `mlp` of each decoder layer is experts and a router. Tokens go to their own
experts alone, through transformers' grouped experts.
"""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import (
    AutoModel,
    Idefics2ForConditionalGeneration,
    Idefics2Model,
    LlavaNextForConditionalGeneration,
    LlavaNextModel,
    MistralModel,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.integrations.moe import (
    ExpertsInterface,
    grouped_mm_experts_forward,
    use_experts_implementation,
)
from transformers.modeling_outputs import MoeCausalLMOutputWithPast
from transformers.models.mistral.modeling_mistral import MistralPreTrainedModel
from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func
from transformers.models.phi3.modeling_phi3 import Phi3PreTrainedModel
from transformers.utils.output_capturing import OutputRecorder

from .configuration_cephalo_moe import (
    CephaloMoeIdefics2Config,
    CephaloMoeLlavaNextConfig,
    CephaloMoePhi3VConfig,
    CephaloMoeTextConfig,
)
from .modeling_phi3_v import LoadsWhole, Phi3VForCausalLM, Phi3VModel


def grouped_mm(
    experts: "CephaloMoeExperts",
    hidden_states: torch.Tensor,
    top_k_index: torch.Tensor,
    top_k_weights: torch.Tensor,
) -> torch.Tensor:
    """The implementation "grouped_mm": transformers' own, except on the CPU, where torch multiplies
    group after group. There "eager" does so with fewer copies, and with quantized weights too."""
    if hidden_states.device.type == "cpu" and not torch.compiler.is_compiling():
        return experts.one_by_one(hidden_states, top_k_index, top_k_weights)
    return grouped_mm_experts_forward(experts, hidden_states, top_k_index, top_k_weights)


IMPLEMENTATIONS = ExpertsInterface()
IMPLEMENTATIONS["grouped_mm"] = grouped_mm  # here only, not for other models


@use_experts_implementation(experts_interface=IMPLEMENTATIONS)
class CephaloMoeExperts(nn.Module):
    """The MLPs of all experts: `gate_up_proj` [experts, 2 inner, hidden], gate first, and
    `down_proj` [experts, hidden, inner]."""

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__()
        self.num_experts = config.num_experts
        hidden, inner = config.hidden_size, config.intermediate_size
        self.gate_up_proj = nn.Parameter(torch.empty(self.num_experts, 2 * inner, hidden))
        self.down_proj = nn.Parameter(torch.empty(self.num_experts, hidden, inner))
        self.act_fn = ACT2FN[config.hidden_act]

    def forward(
        self, hidden_states: torch.Tensor, top_k_index: torch.Tensor, top_k_weights: torch.Tensor
    ) -> torch.Tensor:
        """Send tokens through their experts; `experts_implementation` says how.

        Args:
            hidden_states: [tokens, hidden].
            top_k_index: int [tokens, k], experts; `num_experts` for one of another device.
            top_k_weights: [tokens, k].

        Returns:
            The weighted sums of the experts' outputs, [tokens, hidden].
        """
        return self.one_by_one(hidden_states, top_k_index, top_k_weights)

    def one_by_one(
        self, hidden_states: torch.Tensor, top_k_index: torch.Tensor, top_k_weights: torch.Tensor
    ) -> torch.Tensor:
        """The implementation "eager": one expert after the other, each with all of its tokens."""
        output = torch.zeros_like(hidden_states)
        if len(hidden_states) == 1:  # decoding alone: there is nothing to sort
            for expert, weight in zip(top_k_index[0].tolist(), top_k_weights[0], strict=True):
                if expert < self.num_experts:
                    output = output + self.mlp(expert, hidden_states) * weight
            return output
        chosen = top_k_index.flatten()
        order = chosen.argsort()
        loads = chosen.bincount(minlength=self.num_experts).tolist()
        tokens = (order // top_k_index.shape[-1]).split(loads)
        weights = top_k_weights.flatten()[order, None].split(loads)
        for expert in range(self.num_experts):
            if loads[expert]:
                own = self.mlp(expert, hidden_states[tokens[expert]]) * weights[expert]
                output.index_add_(0, tokens[expert], own.to(output.dtype))
        return output

    def mlp(self, expert: int, hidden_states: torch.Tensor) -> torch.Tensor:
        """[tokens, hidden] through one expert to the same."""
        gate_up = functional.linear(hidden_states, self.gate_up_proj[expert])
        return functional.linear(self._apply_gate(gate_up), self.down_proj[expert])


class CephaloMoeRouter(nn.Module):
    """Chooses k experts for each token, and their weights."""

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__()
        self.top_k, self.routing = config.num_experts_per_tok, config.routing
        self.weight = nn.Parameter(torch.empty(config.num_experts, config.hidden_size))
        self.bias = nn.Parameter(torch.empty(config.num_experts))

    def forward(self, hidden_states: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Route tokens.

        Args:
            hidden_states: [tokens, hidden], as normalised for the MLP.

        Returns:
            The logits, float32 [tokens, experts]; the weights [tokens, k]; the experts,
            int [tokens, k].

        The weights are the top k of one softmax over all experts, divided by their sum. With k = 1
        that is always 1, so the sum is taken as a constant there, w = p / stop_gradient(p): still
        1, and its gradient (that of ln p) reaches the router.
        """
        logits = functional.linear(hidden_states.float(), self.weight.float(), self.bias.float())
        weights, experts = logits.softmax(-1).topk(self.top_k, dim=-1)
        if self.routing == "published":
            weights = weights.softmax(-1)
        else:
            total = weights.detach() if self.top_k == 1 else weights.sum(-1, keepdim=True)
            weights = weights / total
        return logits, weights.to(hidden_states.dtype), experts


class CephaloMoeMLP(nn.Module):
    """What takes the place of a decoder layer's MLP."""

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__()
        self.gate = CephaloMoeRouter(config)
        self.experts = CephaloMoeExperts(config)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """[batch, length, hidden] to the same."""
        tokens = hidden_states.reshape(-1, hidden_states.shape[-1])
        _, weights, experts = self.gate(tokens)
        return self.experts(tokens, experts, weights).view_as(hidden_states)


# Decoders


@dataclass
class RouterLogits:
    """Filled by the decoder: what it returns besides hidden states does not get past the headless
    models of Idefics2 and LLaVA-NeXT. No list, as accelerate hands copies of lists to modules."""

    layers: tuple[torch.Tensor, ...] = ()


class WithExperts:
    """Comes before a family's class, whose answer to this question would be inherited: no."""

    @classmethod
    def _can_set_experts_implementation(cls) -> bool:
        return True


class RoutedDecoder(WithExperts):
    """Comes before the class of a decoder and puts experts in the place of its MLPs."""

    # Steps of training are lost in the eight bits of a bfloat16 router.
    _keep_in_fp32_modules_strict = ["mlp.gate.weight", "mlp.gate.bias"]  # noqa: RUF012

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__(config)
        for layer in self.layers:
            layer.mlp = CephaloMoeMLP(config)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, CephaloMoeExperts):
            init.normal_(module.gate_up_proj, std=self.config.initializer_range)
            init.normal_(module.down_proj, std=self.config.initializer_range)
        elif isinstance(module, CephaloMoeRouter):
            init.normal_(module.weight, std=self.config.initializer_range)
            init.zeros_(module.bias)


def filling(forward: Callable) -> Callable:
    """A decoder's `forward` that fills the `RouterLogits` given as `router_logits`."""

    @wraps(forward)
    def filled(
        self: PreTrainedModel, *args: Any, router_logits: RouterLogits | None = None, **kwargs: Any
    ) -> Any:
        outputs = forward(self, *args, **kwargs)
        if router_logits is not None and "router_logits" in outputs:
            router_logits.layers = outputs["router_logits"]
        return outputs

    return filled


class CephaloMoeTextModel(RoutedDecoder, MistralModel):
    config: CephaloMoeTextConfig
    _can_record_outputs = {  # noqa: RUF012
        **MistralPreTrainedModel._can_record_outputs,
        "router_logits": OutputRecorder(CephaloMoeRouter, index=0),
    }
    forward = filling(MistralModel.forward)


class CephaloMoePhi3VModel(RoutedDecoder, Phi3VModel):
    config: CephaloMoePhi3VConfig
    _can_record_outputs = {  # noqa: RUF012
        **Phi3PreTrainedModel._can_record_outputs,
        "router_logits": OutputRecorder(CephaloMoeRouter, index=0),
    }
    forward = filling(Phi3VModel.forward)


class RoutedText(WithExperts):
    """Comes before a headless model that makes its decoder through AutoModel."""

    def __init__(self, config: PreTrainedConfig) -> None:
        # Here and not once: remote code may be loaded twice, with two classes of one configuration.
        AutoModel.register(type(config.text_config), CephaloMoeTextModel, exist_ok=True)
        super().__init__(config)


class CephaloMoeIdefics2Model(RoutedText, Idefics2Model):
    config: CephaloMoeIdefics2Config


class CephaloMoeLlavaNextModel(RoutedText, LlavaNextModel):
    config: CephaloMoeLlavaNextConfig


# Models with a language modelling head


@dataclass
class CephaloMoeCausalLMOutputWithPast(MoeCausalLMOutputWithPast):
    """As the dense families return, with `router_logits`, float32 [batch * length, experts] by
    layer, and `aux_loss`, the load-balancing loss."""

    image_hidden_states: Any = None


class RoutedGeneration(WithExperts, LoadsWhole):
    """Comes before a family's class with a head, and builds it on the headless mixture."""

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
        return [layer.mlp.gate for layer in self.get_decoder().layers]


def balanced(forward: Callable) -> Callable:
    """A family's `forward` with router logits and the load-balancing loss.

    `output_router_logits` asks for both, by default as the decoder's configuration says. While
    training with labels, `router_aux_loss_coef` times the load-balancing loss of Switch
    Transformers (arXiv 2101.03961, equations 4 to 6), over all layers as in Mixtral, is added to
    the loss.
    """
    names = list(inspect.signature(forward).parameters)[1:]

    @wraps(forward)
    def routed(
        self: RoutedGeneration, *args: Any, **kwargs: Any
    ) -> tuple | CephaloMoeCausalLMOutputWithPast:
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
                found.layers,
                text.num_experts,
                text.num_experts_per_tok,
                kwargs.get("attention_mask"),
            )
        if balance:
            weight = text.router_aux_loss_coef * batch_share(
                labels, kwargs.get("num_items_in_batch")
            )
            outputs["loss"] = outputs["loss"] + weight * outputs["aux_loss"]
        if wanted:
            outputs["router_logits"] = found.layers
        output = CephaloMoeCausalLMOutputWithPast(**outputs)
        if return_dict is None:
            return_dict = self.config.return_dict
        return output if return_dict else output.to_tuple()

    routed.__annotations__ = {
        **forward.__annotations__,
        "return": tuple | CephaloMoeCausalLMOutputWithPast,
    }
    return routed


class CephaloMoeIdefics2ForConditionalGeneration(
    RoutedGeneration, Idefics2ForConditionalGeneration
):
    config: CephaloMoeIdefics2Config
    headless = CephaloMoeIdefics2Model
    forward = balanced(Idefics2ForConditionalGeneration.forward)


class CephaloMoeLlavaNextForConditionalGeneration(
    RoutedGeneration, LlavaNextForConditionalGeneration
):
    config: CephaloMoeLlavaNextConfig
    headless = CephaloMoeLlavaNextModel
    forward = balanced(LlavaNextForConditionalGeneration.forward)


class CephaloMoePhi3VForCausalLM(RoutedGeneration, Phi3VForCausalLM):
    config: CephaloMoePhi3VConfig
    headless = CephaloMoePhi3VModel
    forward = balanced(Phi3VForCausalLM.forward)


def batch_share(labels: torch.Tensor, num_items: torch.Tensor | int | None) -> torch.Tensor | float:
    """What part of an optimizer step's labels these are.

    With gradient accumulation the trainer adds up the losses of its batches, each already divided
    by the labels of the whole step; the load-balancing loss must be a mean over them too.
    """
    return 1.0 if num_items is None else (labels >= 0).sum() / num_items


def expert_shares(
    router_logits: Iterable[torch.Tensor], k: int, attention_mask: torch.Tensor | None = None
) -> torch.Tensor:
    """The part of the tokens' k places that each expert takes, float32 [layers, experts].

    Args:
        router_logits: float [batch * length, experts] by layer, as the model returns them.
        k: experts per token.
        attention_mask: [batch, length]; tokens where it is 0 are not counted.
    """
    shares = []
    for logits in router_logits:
        if attention_mask is not None:
            logits = logits[attention_mask.flatten().bool()]
        chosen = logits.topk(k, dim=-1).indices.flatten()
        shares.append(chosen.bincount(minlength=logits.shape[-1]) / len(chosen))
    return torch.stack(shares)


__all__ = [
    "CephaloMoeIdefics2ForConditionalGeneration",
    "CephaloMoeIdefics2Model",
    "CephaloMoeLlavaNextForConditionalGeneration",
    "CephaloMoeLlavaNextModel",
    "CephaloMoePhi3VForCausalLM",
    "CephaloMoePhi3VModel",
    "CephaloMoeTextModel",
    "expert_shares",
]
