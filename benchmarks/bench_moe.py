"""Measure tokens per second of a mixture of experts and of its dense model.

    python -m benchmarks.bench_moe [--batch 4] [--length 256] [--new-tokens 32] [--repeats 7]

Both have random weights in the shape of a small Phi-3-vision decoder (1024 wide, MLP 4096, 4
layers) and run alternately in one process, so that other load slows both. The prompts are random
tokens, which random gates spread over all experts. `prefill` is one forward pass over batch x
length tokens; `decode` is greedy generation after a prompt of one token, alone or for `batch`
prompts together. Decoding alone includes the routing of one token, a fixed cost that is visible at
this width. In a batch, the few tokens use several experts, whose weights must all be read instead
of those of one MLP in the dense model: `weights_read` is this ratio. If reading weights takes all
of the time, the speed ratio cannot exceed its inverse, so it has no bar. Figures are medians.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from transformers import PreTrainedModel

from modeling_cephalo import (
    CephaloMoePhi3VForCausalLM,
    Phi3VConfig,
    Phi3VForCausalLM,
    mixture_config,
)
from modeling_cephalo.modeling_cephalo_moe import expert_shares

EXPERTS = 3
PROMPT = 1  # token; the prefill of a longer one would count as decoding
BARS = {"prefill": 0.95, "decode_alone": 0.95}  # of the dense model's tokens a second


def base_config() -> Phi3VConfig:
    """Return a decoder whose MLPs dominate, as in the real models, with a tiny vision tower."""
    return Phi3VConfig(
        vocab_size=2048,
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=4,
        num_attention_heads=16,
        num_key_value_heads=16,
        pad_token_id=0,
        eos_token_id=2,
        image_token_id=3,
        max_position_embeddings=4096,
        original_max_position_embeddings=4096,
        img_processor={
            "name": "clip_vision_model",
            "image_dim_out": 64,
            "num_img_tokens": 4,
        },
        vision_config={
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 1,
            "num_attention_heads": 4,
            "image_size": 56,
            "patch_size": 14,
        },
    )


def timed(work: Callable[[], object]) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def tasks(model: PreTrainedModel, ids: torch.Tensor, new_tokens: int) -> dict[str, tuple]:
    """Return what is timed: a call, and its number of tokens."""

    @torch.inference_mode()
    def prefill() -> None:
        model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)

    def decode(prompts: torch.Tensor) -> None:
        model.generate(
            input_ids=prompts,
            attention_mask=torch.ones_like(prompts),
            do_sample=False,
            min_new_tokens=new_tokens,
            max_new_tokens=new_tokens,
        )

    return {
        "prefill": (prefill, ids.numel()),
        "decode_alone": (lambda: decode(ids[:1, :PROMPT]), new_tokens),
        "decode_together": (lambda: decode(ids[:, :PROMPT]), len(ids) * new_tokens),
    }


@torch.inference_mode()
def weights_read(mixture: CephaloMoePhi3VForCausalLM, tokens: torch.Tensor) -> float:
    """Return how much of the mixture's weights one step of decoding reads, relative to the dense
    model.

    Args:
        mixture: The mixture.
        tokens: int [batch, length]; the tokens of each column are decoded together.
    """
    logits = mixture(input_ids=tokens, output_router_logits=True).router_logits
    k = mixture.config.num_experts_per_tok
    hits = [
        len(layer.view(*tokens.shape, -1)[:, column].topk(k).indices.unique())
        for layer in logits
        for column in range(tokens.shape[1])
    ]
    layers = mixture.model.layers
    experts = sum(p.numel() for layer in layers for p in layer.mlp.experts.parameters())
    head = mixture.get_output_embeddings().weight.numel()
    others = sum(p.numel() for p in layers.parameters()) - experts + head
    expert = experts / EXPERTS
    return (others + statistics.mean(hits) * expert) / (others + expert)


def measure(batch: int, length: int, new_tokens: int, repeats: int, k: int = 1) -> dict:
    """Return tokens per second by task, dense and mixture, their ratio, and the load of the
    experts."""
    torch.manual_seed(0)
    base = base_config()
    dense = Phi3VForCausalLM(base).eval()
    config = mixture_config(base, num_experts=EXPERTS, num_experts_per_tok=k)
    mixture = CephaloMoePhi3VForCausalLM(config).eval()
    ids = torch.randint(3, base.vocab_size, (batch, length))
    with torch.inference_mode():
        logits = mixture(input_ids=ids, output_router_logits=True).router_logits
    found = {
        "batch": batch,
        "length": length,
        "experts": EXPERTS,
        "experts_per_token": k,
        "implementation": mixture.config._experts_implementation,
        "busiest_expert_share": round(expert_shares(logits, k).max().item(), 2),
    }
    both = [tasks(model, ids, new_tokens) for model in (dense, mixture)]
    for name in both[0]:
        seconds: tuple[list[float], list[float]] = ([], [])
        for repeat in range(repeats + 1):
            for own, task in zip(seconds, both, strict=True):
                elapsed = timed(task[name][0])
                if repeat:  # the first one warms up
                    own.append(elapsed)
        rates = [both[0][name][1] / statistics.median(own) for own in seconds]
        found[name] = {
            "dense_tokens_per_second": round(rates[0], 1),
            "mixture_tokens_per_second": round(rates[1], 1),
            "ratio": round(rates[1] / rates[0], 2),
        }
    found["decode_together"]["weights_read"] = round(weights_read(mixture, ids), 2)
    return found


def main() -> None:
    """Measure, print JSON, and print for each measure whether its bar is met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--new-tokens", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    found = measure(arguments.batch, arguments.length, arguments.new_tokens, arguments.repeats)
    found["bars"] = BARS
    found["met"] = {name: found[name]["ratio"] >= bar for name, bar in BARS.items()}
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
