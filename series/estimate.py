"""Estimate memory and operations of training at scale `full`, from the model on the meta device.

One sequence of `batch_tokens` tokens, of rows of equal length, passes decoder and head forward and
backward with the settings of the train config, and the allocations and multiplications of torch are
counted. Not included: the frozen vision tower, whose images are processed one row at a time before
the decoder starts, and which needs less than the decoder's backward pass; and torch.compile.
"""

import warnings
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel

if TYPE_CHECKING:
    from peft import PeftModel
    from torch.autograd.function import FunctionCtx

    from cephalo.series.table import Settings

ROW_TOKENS = 1024  # assumed, for a conversation with its image
ANSWER_SHARE = 0.25  # of tokens, assumed: logits are computed for answers only
# Assumed: the CUDA context, about 0.5 GB, and fragmentation of torch's allocator.
OVERHEAD_BYTES = 1.5e9
# Memory of a `cephalo train` process on a CPU with all its libraries, before it loads weights:
# 1,014 to 1,051 MiB on the measured machine (printed by benchmarks/bench_laptop.py).
PROCESS_BYTES = 1.1e9
# Unused memory between blocks of the C library's allocator, as a share of activations: measured as
# 0.07 for a sequence of 538 tokens and 0.25 for one of 1,079.
UNUSED_SHARE = 0.25
# Per weight in NF4 (arXiv 2305.14314): 4 bits, and a scale per block of 64, in 32 bits or, if
# scales are quantized too, in 8 bits with 32 per 256 of them.
NF4_BYTES = {False: 0.5 + 4 / 64, True: 0.5 + (1 + 4 / 256) / 64}
# Optimizer states, in bytes per parameter. AdamW has two of the parameter's own type; in 8 bits
# (arXiv 2110.02861) two bytes with a scale in 32 bits per block of 256.
ADAMW_8BIT_BYTES = 2 * (1 + 4 / 256)
LEAST_8BIT = 4096  # parameters of a tensor; smaller ones have states in 32 bits


@dataclass(frozen=True)
class Estimate:
    """Bytes at the peak of a step, and its operations.

    `activations` are what the backward pass needs, its temporaries and gradients of activations, at
    their peak; `overhead` is memory besides tensors. `forward` and `backward` are operations of a
    sequence of `tokens`; the latter with those that activation checkpointing repeats.
    """

    tokens: int
    answers: int
    weights: float
    adapters: float
    gradients: float
    states: float
    activations: float
    overhead: float
    forward: float
    backward: float

    @property
    def peak(self) -> float:
        """Bytes at the peak, including the overhead assumed for CUDA or measured on a CPU."""
        kept = self.weights + self.adapters + self.gradients + self.states
        return kept + self.activations + self.overhead

    @property
    def operations(self) -> float:
        """All operations of a sequence."""
        return self.forward + self.backward

    def lines(self, settings: "Settings") -> list[str]:
        """Format the estimate, with the source of each term."""
        often = ", computed again layer by layer" * bool(settings.get("activation_checkpointing"))
        kind = "4-bit" if settings.get("load_in_4bit") else settings.get("dtype", "float32")
        terms = {
            f"weights in {kind}": self.weights,
            "adapters": self.adapters,
            "gradients of what trains": self.gradients,
            f"optimizer {settings.get('optim', 'adamw_torch')}": self.states,
            f"activations{often}": self.activations,
            "the process with its libraries, and unused blocks"
            if settings.get("use_cpu")
            else "CUDA and unused blocks, assumed": self.overhead,
        }
        wide = max(map(len, terms))
        return [
            f"Memory at the peak of a sequence of {self.tokens:,} tokens, {self.answers:,} of them "
            "answers:",
            *(f"  {name:{wide}}  {size / 1e9:6.2f} GB" for name, size in terms.items() if size),
            f"  {'all':{wide}}  {self.peak / 1e9:6.2f} GB",
            f"Operations of that sequence: {self.forward / 1e12:.0f} TFLOP forward, "
            f"{self.backward / 1e12:.0f} backward.",
        ]


def estimate(model: PreTrainedModel, settings: "Settings", answers: int | None = None) -> Estimate:
    """Estimate a training step.

    Args:
        model: On the meta device; its layers are prepared for training here.
        settings: The fields of a train config.
        answers: Tokens of answers in a sequence, by default ANSWER_SHARE of it. Each takes a row of
            logits, of its softmax and of their gradients.
    """
    dtype = getattr(torch, settings.get("dtype", "float32"))
    model.to(dtype)
    model.requires_grad_(False)
    if settings.get("use_peft"):
        whole: torch.nn.Module = with_lora(model, settings)
    else:
        for parameter in last_layers(model, settings.get("train_last_layers")).parameters():
            parameter.requires_grad_(True)
        whole = model
    trained = [own for own in whole.parameters() if own.requires_grad]
    for own in trained:  # gradients are counted separately
        own.register_post_accumulate_grad_hook(drop_gradient)
    base_bytes = weight_bytes(model, settings)
    adapters = sum(own.nbytes for own in trained) if settings.get("use_peft") else 0.0
    tokens = settings.get("batch_tokens") or settings["per_device_train_batch_size"] * ROW_TOKENS
    answers = int(tokens * ANSWER_SHARE) if answers is None else answers
    first = first_trained(model)
    passes = 2  # backward: gradients of scores and values, and of queries and keys
    if settings.get("activation_checkpointing"):
        passes += 1
        model.activation_checkpointing_enable()
    with FlopCounterMode(display=False) as forward:
        loss = loss_of(model, tokens, answers)
    with FlopCounterMode(display=False) as backward:
        loss.backward()
    del loss
    with PeakMemory() as memory:
        loss_of(model, tokens, answers).backward()
    return Estimate(
        tokens=tokens,
        answers=answers,
        weights=base_bytes,
        adapters=adapters,
        gradients=sum(own.nbytes for own in trained),
        states=sum(state_bytes(own, settings.get("optim", "adamw_torch")) for own in trained),
        activations=memory.peak,
        overhead=PROCESS_BYTES + UNUSED_SHARE * memory.peak
        if settings.get("use_cpu")
        else OVERHEAD_BYTES,
        forward=forward.get_total_flops() + attention_operations(model, tokens, 0),
        backward=backward.get_total_flops() + passes * attention_operations(model, tokens, first),
    )


def gates_estimate(model: PreTrainedModel) -> str:
    """Format the requirements of training a mixture's gates: it runs without gradients, in
    bfloat16, twice over each prompt, and a token only uses the experts to which it is routed."""
    text = model.config.get_text_config()
    total = sum(own.numel() for own in model.parameters())
    experts = sum(own.numel() for name, own in model.named_parameters() if ".experts." in name)
    used = total - experts * (1 - text.num_experts_per_tok / text.num_experts)
    size = 2 * total + OVERHEAD_BYTES
    return (
        f"Memory to train the gates: {size / 1e9:.1f} GB, of which weights in bfloat16 take "
        f"{2 * total / 1e9:.1f}, and the rest is assumed for CUDA. Operations: at most "
        f"{2 * 2 * used / 1e9:.0f} GFLOP for each token of a prompt."
    )


def with_lora(model: PreTrainedModel, settings: "Settings") -> "PeftModel":
    """Add the adapters of `settings` to the model, in 32 bits, or in 16 beside quantized
    weights."""
    from peft import LoraConfig, get_peft_model

    [target] = settings["lora_target_modules"]
    dropout = settings.get("lora_dropout", 0.0)  # its inputs and masks are stored
    lora = LoraConfig(r=settings["lora_r"], lora_dropout=dropout, target_modules=target)
    with warnings.catch_warnings(action="ignore", category=FutureWarning):  # of peft's own code
        adapted = get_peft_model(model, lora)
    if settings.get("load_in_4bit"):
        for own in adapted.parameters():
            if own.requires_grad:
                own.data = own.data.bfloat16()
    return adapted


def last_layers(model: PreTrainedModel, count: int | None) -> torch.nn.ModuleList:
    """Return the last `count` layers of the decoder, or all."""
    layers = cast("torch.nn.ModuleList", model.get_decoder().layers)
    return layers[len(layers) - count :] if count else layers


def first_trained(model: PreTrainedModel) -> int:
    """Return the first layer of the decoder that trains, in full or by an adapter."""
    layers = cast("torch.nn.ModuleList", model.get_decoder().layers)
    return next(i for i, own in enumerate(layers) if any(p.requires_grad for p in own.parameters()))


def attention_operations(model: PreTrainedModel, tokens: int, first: int) -> float:
    """Return the operations of the forward pass of attention from layer `first` on.

    Two products of a query with each token that it attends to: the earlier ones of its row, half of
    them on average, and no more than a layer's window.
    """
    config = model.config.get_text_config()
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    kinds = getattr(config, "layer_types", None) or ["full_attention"] * config.num_hidden_layers
    seen = ROW_TOKENS / 2
    windows = [
        min(seen, config.sliding_window) if kind == "sliding_attention" else seen
        for kind in kinds[first:]
    ]
    return 4.0 * tokens * config.num_attention_heads * size * sum(windows)


def weight_bytes(model: PreTrainedModel, settings: "Settings") -> float:
    """Return the bytes of the model's own weights; in 4 bits, those of linear layers except the
    head."""
    total = sum(own.nbytes for name, own in model.named_parameters() if "lora_" not in name)
    if settings.get("load_in_4bit"):
        nf4 = NF4_BYTES[bool(settings.get("use_bnb_nested_quant"))]
        head = model.get_output_embeddings()
        for module in model.modules():
            if isinstance(module, torch.nn.Linear) and module is not head:
                if module.weight.requires_grad:  # an adapter's
                    continue
                total -= module.weight.nbytes - nf4 * module.weight.numel()
    return total


def state_bytes(parameter: torch.Tensor, optimizer: str) -> float:
    """Return the bytes of a parameter's optimizer states."""
    if "8bit" in optimizer:
        own = ADAMW_8BIT_BYTES if parameter.numel() >= LEAST_8BIT else 2 * 4
        return own * parameter.numel()
    return 2 * parameter.nbytes


def loss_of(model: PreTrainedModel, tokens: int, answers: int) -> torch.Tensor:
    """Return the loss of one sequence, as `cephalo train` computes it, with logits of answers
    only."""
    decoder: Any = model.get_decoder()
    head = cast("torch.nn.Linear", model.get_output_embeddings())
    config = model.config.get_text_config()
    config._attn_implementation = ATTENTION
    model.train()
    states = torch.empty(1, tokens, config.hidden_size, dtype=head.weight.dtype, device="meta")
    # an adapter in the first layer needs no gradient of it, but peft asks for one
    states.requires_grad_(any(own.requires_grad for own in decoder.layers[0].parameters()))
    hidden = decoder(
        inputs_embeds=states,
        # a whole mask, which is passed on as it is; ours looks at none
        attention_mask=torch.empty(1, 1, 1, 1, dtype=torch.bool, device="meta"),
        position_ids=torch.empty(1, tokens, dtype=torch.long, device="meta"),
        use_cache=False,
    )[0]
    logits = head(hidden[0, :answers])
    targets = torch.empty(answers, dtype=torch.long, device="meta")
    return cross_entropy(logits.float(), targets, reduction="sum")


def drop_gradient(parameter: torch.Tensor) -> None:
    """Delete a gradient."""
    parameter.grad = None


class PeakMemory(TorchDispatchMode):
    """Counts the bytes of tensors that are created within the block and not yet freed, and their
    peak."""

    def __init__(self) -> None:
        super().__init__()
        self.held = self.peak = 0
        self.known: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    def __torch_dispatch__(
        self,
        function: Callable[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        """Run an operation and count the storages that it created."""
        given = {id(own.untyped_storage()) for own in tensors_of((args, kwargs))}
        made = function(*args, **(kwargs or {}))
        for own in tensors_of(made):
            storage = own.untyped_storage()
            if id(storage) not in given and storage not in self.known:
                self.known.add(storage)
                self.change(storage.nbytes())
                weakref.finalize(storage, self.change, -storage.nbytes())
        return made

    def change(self, size: int) -> None:
        """Add `size` bytes, or subtract them."""
        self.held += size
        self.peak = max(self.peak, self.held)


def tensors_of(tree: object) -> list[torch.Tensor]:
    """Return the tensors in a tree of arguments or results."""
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


class Attention(torch.autograd.Function):
    """The memory of FlashAttention, which stores no scores, arXiv 2205.14135."""

    @staticmethod
    def forward(
        ctx: "FunctionCtx", query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
    ) -> torch.Tensor:
        output = torch.empty_like(query)
        logsumexp = query.new_empty(query.shape[:-1], dtype=torch.float32)
        ctx.save_for_backward(query, key, value, output, logsumexp)
        return output

    @staticmethod
    def backward(ctx: Any, *_: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(torch.empty_like(own) for own in ctx.saved_tensors[:3])


def attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **kwargs: object,
) -> tuple[torch.Tensor, None]:
    """Replace transformers' attention by one with the same shapes and memory."""
    output = cast("torch.Tensor", Attention.apply(query, key, value))
    return output.transpose(1, 2).contiguous(), None


ATTENTION = "estimated_flash"
AttentionInterface.register(ATTENTION, attention)
AttentionMaskInterface.register(ATTENTION, lambda *args, **kwargs: None)
