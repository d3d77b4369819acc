"""Step: tokens per second of Phi-3-vision and of a mixture of three of it."""

import time
from collections.abc import Iterator
from typing import Any

import torch
from transformers import PreTrainedModel

from benchmarks import bench_moe, bench_phi3_v
from benchmarks.gpu.plan import Scale
from benchmarks.gpu.results import Row
from benchmarks.gpu.training import free
from modeling_cephalo import CephaloMoePhi3VForCausalLM, Phi3VForCausalLM, mixture_config

EXPERTS = 3
PROMPT, NEW_TOKENS = 512, 128
TINY_PROMPT, TINY_NEW_TOKENS = 16, 8
BATCHES = (1, 16)
# The cache of transformers that has a fixed size, with which it compiles the forward pass on a GPU.
STATIC = {"cache_implementation": "static"}
CACHES: dict[str, dict[str, Any]] = {"growing cache": {}, "static cache, compiled": STATIC}
EXPERT_KERNELS = ("grouped_mm", "eager")


def run(scale: Scale) -> Iterator[Row]:
    """Measure the dense model, then the mixture with each implementation of its experts."""
    config = bench_moe.base_config() if scale.tiny else bench_phi3_v.full_config()
    dense = on_device(Phi3VForCausalLM, config, scale)
    yield from of_model("Phi-3-vision", dense, scale)
    del dense
    free(scale)
    mixture = on_device(
        CephaloMoePhi3VForCausalLM, mixture_config(config, num_experts=EXPERTS), scale
    )
    for kernel in EXPERT_KERNELS:
        mixture.set_experts_implementation(kernel)
        yield from of_model(f"mixture of {EXPERTS}, experts by {kernel}", mixture, scale)


def on_device(kind: type[PreTrainedModel], config: Any, scale: Scale) -> PreTrainedModel:
    """Return a model with random weights in bfloat16."""
    torch.manual_seed(0)
    with torch.device(scale.device):
        return kind._from_config(config, dtype=torch.bfloat16).eval()


def of_model(name: str, model: PreTrainedModel, scale: Scale) -> Iterator[Row]:
    """Measure greedy generation with each cache, alone and in a batch."""
    prompt, new = (TINY_PROMPT, TINY_NEW_TOKENS) if scale.tiny else (PROMPT, NEW_TOKENS)
    for cache, settings in CACHES.items():
        for batch in BATCHES:
            what = f"{name}, {cache}, batch of {batch}"
            try:
                rate = tokens_per_second(model, batch, prompt, new, settings, scale)
            except Exception as error:  # of one kernel; the others still run
                yield Row(what, None, "tokens/s", note=f"{type(error).__name__}: {error}"[:300])
            else:
                yield Row(what, rate, "tokens/s", note=f"{new} tokens after {prompt}")


def tokens_per_second(
    model: PreTrainedModel,
    batch: int,
    prompt: int,
    new: int,
    settings: dict[str, Any],
    scale: Scale,
) -> float:
    """Return the rate of greedy generation after one call that warms up and compiles."""
    ids = torch.arange(batch * prompt, device=model.device).view(batch, prompt) % 2000 + 8
    seconds = 0.0
    for _ in range(2):
        start = time.perf_counter()
        model.generate(  # pyright: ignore[reportCallIssue]  # of GenerationMixin
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            min_new_tokens=new,
            max_new_tokens=new,
            **settings,
        )
        if scale.device == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
    return batch * new / seconds
