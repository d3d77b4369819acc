"""Mixtures of experts (`cephalo_moe`) around phi3_v, Idefics2 and LLaVA-NeXT.

The dense model of the family is kept as `model`, so that images, attention, caches and generation
are its own; only the `mlp` of each decoder layer is replaced by experts and a router. Tokens go to
their own experts alone, through transformers' grouped experts.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import (
    Cache,
    GenerationMixin,
    Idefics2ForConditionalGeneration,
    Idefics2Model,
    LlavaNextForConditionalGeneration,
    LlavaNextModel,
    PreTrainedModel,
)
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.integrations import use_experts_implementation
from transformers.modeling_outputs import BaseModelOutputWithPast, MoeCausalLMOutputWithPast
from transformers.modeling_utils import slice_logits_to_keep
from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

from .configuration_cephalo_moe import CephaloMoeConfig
from .modeling_phi3_v import LoadsWhole, Phi3VForCausalLM, Phi3VModel


@use_experts_implementation
class CephaloMoeExperts(nn.Module):
    """The MLPs of all experts: `gate_up_proj` [experts, 2 inner, hidden], gate first, and
    `down_proj` [experts, hidden, inner]."""

    def __init__(self, config: CephaloMoeConfig) -> None:
        super().__init__()
        text = config.get_text_config()
        self.num_experts = config.num_experts
        hidden, inner = text.hidden_size, text.intermediate_size
        self.gate_up_proj = nn.Parameter(torch.empty(self.num_experts, 2 * inner, hidden))
        self.down_proj = nn.Parameter(torch.empty(self.num_experts, hidden, inner))
        self.act_fn = ACT2FN[text.hidden_act]

    def forward(
        self, hidden_states: torch.Tensor, top_k_index: torch.Tensor, top_k_weights: torch.Tensor
    ) -> torch.Tensor:
        """The implementation "eager", one expert after the other; others are transformers'.

        Args:
            hidden_states: [tokens, hidden].
            top_k_index: int [tokens, k], the experts of each token.
            top_k_weights: [tokens, k].

        Returns:
            The weighted sums of the experts' outputs, [tokens, hidden].
        """
        output = torch.zeros_like(hidden_states)
        for expert in top_k_index.unique().tolist():
            tokens, place = torch.where(top_k_index == expert)
            gate_up = functional.linear(hidden_states[tokens], self.gate_up_proj[expert])
            own = functional.linear(self._apply_gate(gate_up), self.down_proj[expert])
            own = own * top_k_weights[tokens, place, None]
            output.index_add_(0, tokens, own.to(output.dtype))
        return output


class CephaloMoeRouter(nn.Module):
    """Chooses k experts for each token, and their weights."""

    def __init__(self, config: CephaloMoeConfig) -> None:
        super().__init__()
        self.top_k, self.routing = config.num_experts_per_tok, config.routing
        hidden = config.get_text_config().hidden_size
        self.weight = nn.Parameter(torch.empty(config.num_experts, hidden))
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
            total = weights.sum(-1, keepdim=True)
            weights = weights / (total.detach() if self.top_k == 1 else total)
        return logits, weights.to(hidden_states.dtype), experts


class CephaloMoeMLP(nn.Module):
    """What takes the place of a decoder layer's MLP."""

    def __init__(self, config: CephaloMoeConfig) -> None:
        super().__init__()
        self.gate = CephaloMoeRouter(config)
        self.experts = CephaloMoeExperts(config)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """[batch, length, hidden] to the same."""
        tokens = hidden_states.reshape(-1, hidden_states.shape[-1])
        _, weights, experts = self.gate(tokens)
        return self.experts(tokens, experts, weights).view_as(hidden_states)


class RoutedBackbone:
    """Comes before the class of a family's headless model and gives it experts."""

    decoder_name = ""

    def __init__(self, config: CephaloMoeConfig) -> None:
        super().__init__(config.base_config)
        for layer in self.routed_decoder.layers:
            layer.mlp = CephaloMoeMLP(config)
            init_mlp(layer.mlp, config.get_text_config().initializer_range)

    @property
    def routed_decoder(self) -> nn.Module:
        """The decoder, whose `layers` hold the experts."""
        return self.get_submodule(self.decoder_name)

    def forward(
        self, *args: Any, output_router_logits: bool = False, **kwargs: Any
    ) -> BaseModelOutputWithPast:
        """As the family's model, and `router_logits` of each layer on request."""
        with self.recorded_logits(output_router_logits) as logits:
            outputs = super().forward(*args, **{**kwargs, "return_dict": True})
        if output_router_logits:
            outputs["router_logits"] = tuple(logits)
        return outputs

    @contextmanager
    def recorded_logits(self, wanted: bool) -> Iterator[list[torch.Tensor]]:
        """Collect the router logits of each layer that runs inside."""
        logits: list[torch.Tensor] = []
        hooks = [
            layer.mlp.gate.register_forward_hook(lambda _, args, output: logits.append(output[0]))
            for layer in (self.routed_decoder.layers if wanted else ())
        ]
        try:
            yield logits
        finally:
            for hook in hooks:
                hook.remove()


@torch.no_grad()
def init_mlp(mlp: CephaloMoeMLP, std: float) -> None:
    """Random weights; the families' own initialisation does not know these modules."""
    for name, parameter in mlp.named_parameters():
        if name == "gate.bias":
            init.zeros_(parameter)
        else:
            init.normal_(parameter, std=std)


class RoutedPhi3V(RoutedBackbone, Phi3VModel):
    pass


class RoutedIdefics2(RoutedBackbone, Idefics2Model):
    decoder_name = "text_model"


class RoutedLlavaNext(RoutedBackbone, LlavaNextModel):
    decoder_name = "language_model"


FAMILIES = {
    "phi3_v": (Phi3VForCausalLM, RoutedPhi3V),
    "idefics2": (Idefics2ForConditionalGeneration, RoutedIdefics2),
    "llava_next": (LlavaNextForConditionalGeneration, RoutedLlavaNext),
}


class CephaloMoePreTrainedModel(PreTrainedModel):
    config: CephaloMoeConfig
    input_modalities = ("image", "text")
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True
    # Steps of training are lost in the eight bits of a bfloat16 router.
    _keep_in_fp32_modules_strict = ["mlp.gate.weight", "mlp.gate.bias"]  # noqa: RUF012


class CephaloMoeForConditionalGeneration(LoadsWhole, CephaloMoePreTrainedModel, GenerationMixin):
    """A mixture of experts with a language modelling head."""

    def __init__(self, config: CephaloMoeConfig) -> None:
        super().__init__(config)
        # Loading in another dtype reaches the base's configuration, but not that of its parts.
        for part in config.base_config.sub_configs:
            getattr(config.base_config, part).dtype = config.base_config.dtype
        dense, routed = FAMILIES[config.base_config.model_type]
        with torch.device("meta"):  # its weights are replaced at once
            self.model = dense(config.base_config)
        text = config.get_text_config()
        self.model.model = routed(config)
        self.model.lm_head = nn.Linear(text.hidden_size, text.vocab_size, bias=False)
        self.model.post_init()
        self.post_init()

    @property
    def base_model(self) -> nn.Module:
        """The model without its head."""
        return self.model.model

    @property
    def routers(self) -> list[CephaloMoeRouter]:
        """The router of each layer, in order."""
        return [layer.mlp.gate for layer in self.base_model.routed_decoder.layers]

    def get_input_embeddings(self) -> nn.Module:
        """The token embeddings."""
        return self.model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the token embeddings."""
        self.model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        """The language modelling head."""
        return self.model.get_output_embeddings()

    def set_output_embeddings(self, value: nn.Module) -> None:
        """Replace the language modelling head."""
        self.model.set_output_embeddings(value)

    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        pixel_values: torch.Tensor | None = None,
        pixel_attention_mask: torch.Tensor | None = None,
        image_sizes: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.LongTensor | None = None,
        use_cache: bool | None = None,
        output_router_logits: bool | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        **kwargs: Any,
    ) -> MoeCausalLMOutputWithPast:
        """Predict the next tokens.

        Args:
            output_router_logits: return `router_logits`, float32 [batch * length, experts] by
                layer, and `aux_loss`, the load-balancing loss; by default as the configuration
                says.

        The other arguments are those of the family's own model, which takes either
        `pixel_attention_mask` (idefics2) or `image_sizes` (phi3_v, llava_next) or none.

        While training with labels, `router_aux_loss_coef` times the load-balancing loss of Switch
        Transformers (arXiv 2101.03961, equations 4 to 6), over all layers as in Mixtral, is added
        to the loss.
        """
        if output_router_logits is None:
            output_router_logits = self.config.output_router_logits
        coefficient = self.config.router_aux_loss_coef
        balance = self.training and labels is not None and coefficient > 0
        # Only what is given: a family's model does not know the arguments of the others.
        images = {
            "pixel_values": pixel_values,
            "pixel_attention_mask": pixel_attention_mask,
            "image_sizes": image_sizes,
        }
        outputs = self.base_model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            output_router_logits=output_router_logits or balance,
            **{name: value for name, value in images.items() if value is not None},
            **kwargs,
        )
        hidden_states = slice_logits_to_keep(outputs.last_hidden_state, logits_to_keep)
        logits = self.get_output_embeddings()(hidden_states)
        loss = aux_loss = None
        if labels is not None:
            # phi3_v has negative ids at images.
            labels = labels.masked_fill(labels < 0, -100)
            vocabulary = self.config.get_text_config().vocab_size
            loss = self.loss_function(logits, labels, vocab_size=vocabulary, **kwargs)
        if output_router_logits or balance:
            aux_loss = load_balancing_loss_func(
                outputs.router_logits,
                self.config.num_experts,
                self.config.num_experts_per_tok,
                attention_mask,
            )
        if balance:
            share = batch_share(labels, kwargs.get("num_items_in_batch"))
            loss = loss + coefficient * share * aux_loss.to(loss.device)
        return MoeCausalLMOutputWithPast(
            loss=loss,
            aux_loss=aux_loss,
            logits=logits,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            router_logits=outputs.router_logits if output_router_logits else None,
        )

    def prepare_inputs_for_generation(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """As the family does."""
        return self.model.prepare_inputs_for_generation(*args, **kwargs)

    def _expand_inputs_for_generation(self, *args: Any, **kwargs: Any) -> Any:
        return self.model._expand_inputs_for_generation(*args, **kwargs)

    def _get_logits_processor(self, *args: Any, **kwargs: Any) -> Any:
        return self.model._get_logits_processor(*args, **kwargs)


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
    "CephaloMoeForConditionalGeneration",
    "CephaloMoePreTrainedModel",
    "expert_shares",
]
