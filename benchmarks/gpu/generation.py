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
    """Measure the dense model and the mixture, with each implementation of its experts. Compiling
    comes last, since it takes the most time."""
    config = bench_moe.base_config() if scale.tiny else bench_phi3_v.full_config()
    mixture = mixture_config(config, num_experts=EXPERTS)
    for cache in CACHES:
        yield from of_kind(Phi3VForCausalLM, config, {"Phi-3-vision": ""}, cache, scale)
        free(scale)
        kernels = {
            f"mixture of {EXPERTS}, experts by {kernel}": kernel for kernel in EXPERT_KERNELS
        }
        yield from of_kind(CephaloMoePhi3VForCausalLM, mixture, kernels, cache, scale)
        free(scale)


def of_kind(
    kind: type[PreTrainedModel], config: Any, kernels: dict[str, str], cache: str, scale: Scale
) -> Iterator[Row]:
    """Measure one model with each implementation of its experts, if any, that is left."""
    left = {
        (name, batch): kernel
        for name, kernel in kernels.items()
        for batch in BATCHES
        if not scale.measured(named(name, cache, batch))
    }
    model = on_device(kind, config, scale) if left else None
    for (name, batch), kernel in left.items():
        assert model is not None
        if kernel:
            model.set_experts_implementation(kernel)
        yield of_model(name, model, cache, batch, scale)


def named(name: str, cache: str, batch: int) -> str:
    """Return the name of a measurement."""
    return f"{name}, {cache}, batch of {batch}"


def on_device(kind: type[PreTrainedModel], config: Any, scale: Scale) -> PreTrainedModel:
    """Return a model with random weights in bfloat16."""
    torch.manual_seed(0)
    with torch.device(scale.device):
        return kind._from_config(config, dtype=torch.bfloat16).eval()


def of_model(name: str, model: PreTrainedModel, cache: str, batch: int, scale: Scale) -> Row:
    """Measure greedy generation with a cache."""
    prompt, new = (TINY_PROMPT, TINY_NEW_TOKENS) if scale.tiny else (PROMPT, NEW_TOKENS)
    what = named(name, cache, batch)
    try:
        rate = tokens_per_second(model, batch, prompt, new, CACHES[cache], scale)
    except Exception as error:  # of one kernel; the others still run
        return Row(what, None, "tokens/s", note=f"{type(error).__name__}: {error}"[:300])
    return Row(what, rate, "tokens/s", note=f"{new} tokens after {prompt}")


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
