"""Train the gates of a mixture from example prompts, on the activations at inference.

The input of a router is the output of the norm after the attention, in the running mixture. It
depends on the routing in earlier layers, so the gates are trained twice: first on the activations
of each expert's prompts with all tokens sent to that expert, as perfect gates would; then on those
and on the activations under the gates just trained.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional
from torch.utils.hooks import RemovableHandle
from transformers import BatchFeature

from cephalo.cli.templates import render_with
from cephalo.inference.images import open_image
from cephalo.merge_recipes.moe_recipe import GateTraining, Prompt
from modeling_cephalo.modeling_cephalo_moe import (
    CephaloMoeRouter,
    RoutedGeneration,
    expert_shares,
)

if TYPE_CHECKING:
    from modeling_cephalo.annotations import Processor

TOKENS_PER_PROMPT = 64  # sampled from each prompt, since a long one would need gigabytes
WEIGHT_DECAY = 0.01

Prompts = Sequence[Sequence[Prompt]]


@dataclass(frozen=True)
class Routing:
    """The routing of prompts.

    Attributes:
        prompts: Their number.
        accuracy: Share of the prompts with most places (tokens times layers) at the right expert.
        token_share: Share of all places at the right expert.
    """

    prompts: int
    accuracy: float
    token_share: float


def train_gates(
    model: RoutedGeneration,
    processor: "Processor",
    prompts: Prompts,
    training: GateTraining | None = None,
) -> None:
    """Train the gates of a mixture, newly built or from `from_pretrained`, and nothing else.

    By layer, it fits a multinomial logistic regression of the expert's index on the activations of
    single tokens, each expert with the same total weight.

    Args:
        model: Its routers are changed in place.
        processor: Of the model; prompts are rendered with its chat template.
        prompts: Example prompts for each expert, in order.
        training: Steps, learning rate and seed.

    Raises:
        ValueError: If the number of experts in the prompts is not that of the model.
    """
    count = model.config.get_text_config().num_experts
    if len(prompts) != count:
        raise ValueError(f"prompts for {len(prompts)} of {count} experts")
    training = training or GateTraining()
    inputs = [
        (index, encode(processor, prompt)) for index, own in enumerate(prompts) for prompt in own
    ]
    layers: list[list[torch.Tensor]] = [[] for _ in model.routers]
    experts: list[torch.Tensor] = []
    for forced in (True, False):
        generator = torch.Generator().manual_seed(training.seed)
        for expert, batch in inputs:
            found = router_inputs(model, batch, expert if forced else None)
            drawn = torch.randperm(len(found[0]), generator=generator)[:TOKENS_PER_PROMPT]
            experts.append(torch.full((len(drawn),), expert))
            for layer, hidden in zip(layers, found, strict=True):
                layer.append(hidden[drawn.to(hidden.device)].cpu())
        for router, layer in zip(model.routers, layers, strict=True):
            fit_router(router, torch.cat(layer), torch.cat(experts), training)


def encode(processor: "Processor", prompt: Prompt) -> BatchFeature:
    """Return the model's inputs for one prompt, as at inference."""
    content = [{"type": "image"}] if prompt.image else []
    messages = [{"role": "user", "content": [*content, {"type": "text", "text": prompt.text}]}]
    text = render_with(processor, messages, add_generation_prompt=True)
    images = [open_image(prompt.image)] if prompt.image else None
    return processor(text=text, images=images, return_tensors="pt")


@torch.no_grad()
def router_inputs(
    model: RoutedGeneration, batch: BatchFeature, expert: int | None
) -> list[torch.Tensor]:
    """Return the input of each layer's router, [tokens, hidden], with all tokens sent to `expert`.

    With None the routers choose.
    """
    seen: list[torch.Tensor] = []

    def look(_: torch.nn.Module, args: tuple, output: tuple) -> tuple | None:
        seen.append(args[0])
        if expert is None:
            return None
        logits, weights, experts = output
        return logits, torch.ones_like(weights[:, :1]), torch.full_like(experts[:, :1], expert)

    with hooked(model.routers, look), evaluating(model):
        model(**to_model(model, batch), use_cache=False, logits_to_keep=1)
    return seen


@contextmanager
def hooked(routers: list[CephaloMoeRouter], hook: Callable) -> Iterator[None]:
    """Install `hook` on the outputs of the routers within the block; it may replace them."""
    handles: list[RemovableHandle] = [router.register_forward_hook(hook) for router in routers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Disable dropout within the block."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def to_model(model: RoutedGeneration, batch: BatchFeature) -> dict[str, torch.Tensor]:
    """Move the tensors of a batch to the device of the embeddings, images in the model's dtype."""
    weight = model.get_input_embeddings().weight
    assert isinstance(weight, torch.Tensor)
    return {
        name: value.to(weight.device, weight.dtype if value.is_floating_point() else None)
        for name, value in batch.items()
        if isinstance(value, torch.Tensor)
    }


def fit_router(
    router: CephaloMoeRouter, hidden: torch.Tensor, experts: torch.Tensor, training: GateTraining
) -> None:
    """Fit one router by full-batch Adam from zero, so that only the sampled tokens are random.

    The regression is on standardised features; mean and scale are then folded into the router.

    Args:
        router: The router to fit.
        hidden: Its inputs, [tokens, hidden].
        experts: The target experts, int [tokens].
        training: Steps, learning rate and seed.
    """
    device = router.weight.device
    hidden, experts = hidden.to(device, torch.float32), experts.to(device)
    mean, scale = hidden.mean(0), hidden.std(0).clamp(min=1e-6)
    features = (hidden - mean) / scale
    counts = experts.bincount(minlength=len(router.bias)).float()
    weight = torch.zeros_like(router.weight, dtype=torch.float32).requires_grad_()
    bias = torch.zeros_like(router.bias, dtype=torch.float32).requires_grad_()
    optimizer = torch.optim.AdamW(
        [weight, bias], lr=training.learning_rate, weight_decay=WEIGHT_DECAY
    )
    for _ in range(training.steps):
        optimizer.zero_grad()
        logits = functional.linear(features, weight, bias)
        functional.cross_entropy(logits, experts, weight=1 / counts).backward()
        optimizer.step()
    with torch.no_grad():
        router.weight.copy_(weight / scale)
        router.bias.copy_(bias - (weight / scale) @ mean)


@torch.inference_mode()
def measure_routing(model: RoutedGeneration, processor: "Processor", prompts: Prompts) -> Routing:
    """Route the prompts of each expert, in order, and count where their tokens go.

    With k experts per token the places are its k choices, of which one can be right.
    """
    shares, right = [], []
    k = model.config.get_text_config().num_experts_per_tok
    with evaluating(model):
        for expert, own in enumerate(prompts):
            for prompt in own:
                batch = to_model(model, encode(processor, prompt))
                out = model(**batch, use_cache=False, logits_to_keep=1, output_router_logits=True)
                share = expert_shares(out.router_logits, k).mean(0)
                shares.append(share[expert].item())
                right.append(share.argmax().item() == expert)
    return Routing(
        prompts=len(right),
        accuracy=sum(right) / len(right),
        token_share=sum(shares) / len(shares),
    )
