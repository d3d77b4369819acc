"""The experts of a mixture and its router, in place of a decoder's MLPs."""

from collections.abc import Callable
from typing import TypeVar, cast

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedConfig
from transformers.activations import ACT2FN
from transformers.integrations.moe import (
    ExpertsInterface,
    grouped_mm_experts_forward,
    use_experts_implementation,
)

BY_DEVICE = "by_device"
Module = TypeVar("Module", bound=nn.Module)


def by_device(
    experts: "CephaloMoeExperts",
    hidden_states: torch.Tensor,
    top_k_index: torch.Tensor,
    top_k_weights: torch.Tensor,
) -> torch.Tensor:
    """Compute the experts by the default implementation: transformers' "grouped_mm", but "eager" on
    the CPU, where torch multiplies group by group; "eager" needs fewer copies, and supports
    quantized weights."""
    if hidden_states.device.type == "cpu" and not torch.compiler.is_compiling():
        return experts.one_by_one(hidden_states, top_k_index, top_k_weights)
    return grouped_mm_experts_forward(experts, hidden_states, top_k_index, top_k_weights)


IMPLEMENTATIONS = ExpertsInterface()
IMPLEMENTATIONS[BY_DEVICE] = by_device  # only here, not for other models


def implemented(experts: type[Module]) -> type[Module]:
    """Decorate the class of experts with the choice of an implementation."""
    decorate = use_experts_implementation(experts_interface=IMPLEMENTATIONS)
    return cast("type[Module]", decorate(experts))


@implemented
class CephaloMoeExperts(nn.Module):
    """The MLPs of all experts: `gate_up_proj` [experts, 2 inner, hidden], gate first, and
    `down_proj` [experts, hidden, inner]."""

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__()
        self.num_experts = config.num_experts
        hidden, inner = config.hidden_size, config.intermediate_size
        self.gate_up_proj = nn.Parameter(torch.empty(self.num_experts, 2 * inner, hidden))
        self.down_proj = nn.Parameter(torch.empty(self.num_experts, hidden, inner))
        # Gemma uses another name.
        self.act_fn = ACT2FN[getattr(config, "hidden_act", None) or config.hidden_activation]

    def forward(
        self, hidden_states: torch.Tensor, top_k_index: torch.Tensor, top_k_weights: torch.Tensor
    ) -> torch.Tensor:
        """Apply the experts to tokens, by `experts_implementation`.

        Args:
            hidden_states: [tokens, hidden].
            top_k_index: int [tokens, k], the experts of each token; `num_experts` for one on
                another device, in expert parallel.
            top_k_weights: [tokens, k].

        Returns:
            The weighted sums of the experts' outputs, [tokens, hidden].
        """
        return self.one_by_one(hidden_states, top_k_index, top_k_weights)

    def one_by_one(
        self, hidden_states: torch.Tensor, top_k_index: torch.Tensor, top_k_weights: torch.Tensor
    ) -> torch.Tensor:
        """Compute "eager": one expert after the other, each with all of its tokens."""
        output = torch.zeros_like(hidden_states)
        if len(hidden_states) == 1:  # decoding a single sequence: nothing to sort
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
        """Apply one expert to [tokens, hidden]."""
        gate_up = functional.linear(hidden_states, self.gate_up_proj[expert])
        gate = cast("Callable[[torch.Tensor], torch.Tensor]", self._apply_gate)  # of the decorator
        return functional.linear(gate(gate_up), self.down_proj[expert])


class CephaloMoeRouter(nn.Module):
    """Chooses k experts for each token, and their weights."""

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__()
        self.top_k, self.routing = config.num_experts_per_tok, config.routing
        self.weight = nn.Parameter(torch.empty(config.num_experts, config.hidden_size))
        self.bias = nn.Parameter(torch.empty(config.num_experts))

    def forward(self, hidden_states: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Route tokens.

        The weights are the top k of one softmax over all experts, divided by their sum. With k = 1
        that is always 1, so the sum is treated as a constant there, w = p / stop_gradient(p): still
        1, and its gradient (that of ln p) reaches the router.

        Args:
            hidden_states: [tokens, hidden], as normalised for the MLP.

        Returns:
            The logits, float32 [tokens, experts]; the weights [tokens, k]; the experts, int
            [tokens, k].
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
    """Router and experts in place of a decoder layer's MLP."""

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__()
        self.gate = CephaloMoeRouter(config)
        self.experts = CephaloMoeExperts(config)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Apply router and experts to [batch, length, hidden]."""
        tokens = hidden_states.reshape(-1, hidden_states.shape[-1])
        _, weights, experts = self.gate(tokens)
        return self.experts(tokens, experts, weights).view_as(hidden_states)
