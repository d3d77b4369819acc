"""Measure the speed of `phi3_v` relative to its lower bounds, in one run.

    python -m benchmarks.bench_phi3_v

Text alone is compared with transformers' own Phi-3 with the same weights; images with one CLIP call
per image, and with processing the padding too. The two of each pair are timed alternately, so that
other load affects both; a ratio is that of the medians. With a GPU the model has the full size of
Phi-3-vision in bfloat16 and the table also has tokens per second.
"""

import statistics
import time
from collections.abc import Callable

import torch
from transformers import Phi3Config, Phi3ForCausalLM

from modeling_cephalo import Phi3VConfig, Phi3VForCausalLM

ROUNDS = 15
PROMPT = 512  # tokens
NEW_TOKENS = 16
PAIRS = 32  # of features that RoPE rotates in a head of the small model
IMAGES = 4


def small_config() -> Phi3VConfig:
    """Return a model that runs in tenths of a second on two cores, with tiles of 112 pixels."""
    return Phi3VConfig(
        vocab_size=8192,
        hidden_size=512,
        intermediate_size=1365,
        num_hidden_layers=6,
        num_attention_heads=8,
        pad_token_id=0,
        eos_token_id=1,
        image_token_id=2,
        rope_scaling=factors(PAIRS),
        img_processor={"image_dim_out": 256, "name": "clip_vision_model", "num_img_tokens": 16},
        vision_config={
            "hidden_size": 256,
            "intermediate_size": 1024,
            "num_hidden_layers": 6,
            "num_attention_heads": 4,
            "image_size": 112,
            "patch_size": 14,
        },
    )


def full_config() -> Phi3VConfig:
    """Return Phi-3-vision-128k as published."""
    return Phi3VConfig(rope_scaling=factors(48))


def factors(pairs: int) -> dict[str, object]:
    """Return RoPE factors of type "su"."""
    return {"type": "su", "short_factor": [1.1] * pairs, "long_factor": [4.0] * pairs}


def text_twin(model: Phi3VForCausalLM) -> Phi3ForCausalLM:
    """Return transformers' Phi-3 with the decoder of `model`, sharing its tensors."""
    fields = model.config.to_dict()
    names = set(Phi3Config().to_dict()) - {"model_type", "architectures", "dtype"}
    config = Phi3Config(**{name: fields[name] for name in names if name in fields})
    config.rope_parameters = model.config.rope_parameters
    with torch.device("meta"):
        twin = Phi3ForCausalLM(config)
    own = {name: tensor for name, tensor in model.state_dict().items() if "vision" not in name}
    twin.load_state_dict(own, assign=True)
    twin.model.rotary_emb = model.model.rotary_emb
    twin.config._attn_implementation = model.config._attn_implementation
    return twin.eval()


def side_by_side(
    ours: Callable[[], object], theirs: Callable[[], object], rounds: int = ROUNDS
) -> tuple[float, float]:
    """Return the median seconds of two calls, timed alternately after one warm-up each."""
    times: dict[Callable[[], object], list[float]] = {ours: [], theirs: []}
    for call in times:
        seconds(call)
    for turn in range(rounds):
        for call in (ours, theirs) if turn % 2 else (theirs, ours):
            times[call].append(seconds(call))
    return statistics.median(times[ours]), statistics.median(times[theirs])


def seconds(call: Callable[[], object]) -> float:
    """Return the duration of a call: wall time on a GPU, else CPU time, which excludes other
    load."""
    gpu = torch.cuda.is_available()
    clock = time.perf_counter if gpu else time.process_time
    start = clock()
    with torch.inference_mode():
        call()
    if gpu:
        torch.cuda.synchronize()
    return clock() - start


def image_batch(model: Phi3VForCausalLM) -> tuple[torch.Tensor, torch.Tensor]:
    """Return pixel_values and image_sizes of IMAGES images of 2 x 2 tiles, padded to 16 tiles."""
    edge = model.config.vision_config.image_size
    pixels = torch.rand(IMAGES, 17, 3, edge, edge, device=model.device, dtype=model.dtype)
    return pixels, torch.full((IMAGES, 2), 2 * edge, device=model.device)


def measure(model: Phi3VForCausalLM, rounds: int = ROUNDS) -> list[tuple[str, float, float]]:
    """Return (name, our seconds, seconds of the comparison) for each comparison."""
    twin = text_twin(model)
    vision = model.model.vision_embed_tokens
    ids = torch.arange(PROMPT, device=model.device)[None] % 8000 + 8
    greedy = {
        "max_new_tokens": NEW_TOKENS,
        "min_new_tokens": NEW_TOKENS,
        "do_sample": False,
        "attention_mask": torch.ones_like(ids),
    }
    pixels, sizes = image_batch(model)
    edge = model.config.vision_config.image_size
    padding = torch.full_like(sizes, 4 * edge)
    return [
        (
            f"forward of {PROMPT} tokens of text / Phi3ForCausalLM",
            *side_by_side(
                lambda: model(ids, logits_to_keep=1), lambda: twin(ids, logits_to_keep=1), rounds
            ),
        ),
        (
            f"generate {NEW_TOKENS} tokens / Phi3ForCausalLM",
            *side_by_side(
                lambda: model.generate(ids, **greedy), lambda: twin.generate(ids, **greedy), rounds
            ),
        ),
        (
            f"tiles of {IMAGES} images in one CLIP call / a call an image",
            *side_by_side(
                lambda: vision(pixels, sizes),
                lambda: [vision(pixels[n : n + 1], sizes[n : n + 1]) for n in range(IMAGES)],
                rounds,
            ),
        ),
        (
            "images of 5 tiles / the same with their 12 tiles of padding",
            *side_by_side(
                lambda: vision(pixels, sizes), lambda: vision(pixels, padding), max(3, rounds // 4)
            ),
        ),
    ]


def main() -> None:
    """Print the table."""
    torch.manual_seed(0)
    if torch.cuda.is_available():
        with torch.device("cuda"):
            torch.set_default_dtype(torch.bfloat16)
            model = Phi3VForCausalLM(full_config()).eval()
            torch.set_default_dtype(torch.float32)
    else:
        torch.set_num_threads(1)  # more threads would measure the load of the machine
        model = Phi3VForCausalLM(small_config()).eval()
    print(f"{'':58} {'ours':>9} {'other':>9} {'ratio':>6}")
    for what, ours, theirs in measure(model):
        print(f"{what:58} {ours:8.4f}s {theirs:8.4f}s {ours / theirs:6.3f}")
        if what.startswith("generate") and torch.cuda.is_available():
            print(f"{'tokens a second':58} {NEW_TOKENS / ours:9.1f} {NEW_TOKENS / theirs:9.1f}")


if __name__ == "__main__":
    main()
