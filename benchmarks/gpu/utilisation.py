"""Step: LoRA on the shapes of the series, with each switch of training, and TRL beside it."""

import shutil
from collections.abc import Iterator
from typing import Any

from benchmarks.gpu.plan import Scale
from benchmarks.gpu.results import Row
from benchmarks.gpu.shapes import SHAPES, Shape, write_base
from benchmarks.gpu.training import (
    Measured,
    attention,
    batch,
    free,
    measure,
    packed_trainer,
    rows_of,
    trl_trainer,
)

ROWS = 48  # conversations in an epoch
LEAST_UTILISATION = "≥ 0.4"
OVER_TRL = "≥ 1.5"  # samples per second relative to TRL with its best settings
CACHE = {"feature_cache_gb": "20"}
KEPT = {"activation_checkpointing": "false"}
# All switches, then all but one or one more, as changes to the train config.
PACKED: dict[str, dict[str, str]] = {
    "all switches": {**CACHE, **KEPT},
    "without stored features": {"feature_cache_gb": "0", **KEPT},
    "activations computed again": CACHE,
    "not packed": {**CACHE, **KEPT, "batch_tokens": "1"},
    "sdpa": {**CACHE, **KEPT, "attn_implementation": "sdpa"},
    "torch.compile": {**CACHE, **KEPT, "torch_compile": "true"},
}
# Compiling for a CPU takes minutes; this traces the model and generates no code.
TINY_COMPILE = {"torch_compile_backend": "aot_eager"}
TRL: dict[str, dict[str, Any]] = {
    "TRL, activations kept": {"activation_checkpointing": False},
    "TRL's defaults": {},
}
BEST, BEST_TRL = "all switches", "TRL, activations kept"


def run(scale: Scale) -> Iterator[Row]:
    """Measure each shape, the most valuable variants first."""
    for name, shape in SHAPES.items():
        yield from of_shape(name, shape, scale)


def of_shape(name: str, shape: Shape, scale: Scale) -> Iterator[Row]:
    """Measure the variants of one shape; one that fails costs only its own rows."""
    folder = scale.out / name
    write_base(shape, folder, scale.device, scale.tiny)
    rows = rows_of(ROWS, scale)
    makers = {variant: (packed_trainer, changes) for variant, changes in PACKED.items()}
    if shape.trl:
        makers |= {variant: (trl_trainer, changes) for variant, changes in TRL.items()}
    order = [BEST, *([BEST_TRL] if shape.trl else []), *makers]
    found: dict[str, Measured] = {}
    for variant in dict.fromkeys(order):
        if variant == "sdpa" and attention(scale) == "sdpa":
            yield Row(f"{name}, sdpa", None, note="as all switches: FlashAttention is not here")
            continue
        make, changes = makers[variant]
        if scale.tiny and "torch_compile" in changes:
            changes = {**changes, **TINY_COMPILE}
        out = scale.out / "run"
        try:
            trainer = make(shape.recipe, folder, out, rows, scale, changes)
            found[variant] = measure(trainer, rows, scale)
        except Exception as error:  # of any library; the others still run
            yield Row(f"{name}, {variant}", None, note=f"{type(error).__name__}: {error}"[:300])
        else:
            yield from variant_rows(f"{name}, {variant}", found[variant], variant == BEST, scale)
        trainer = None
        free(scale)
        shutil.rmtree(out, ignore_errors=True)
        if variant == BEST_TRL and {BEST, BEST_TRL} <= found.keys():
            yield from over_trl(name, found[BEST], found[BEST_TRL], scale)
    shutil.rmtree(folder)


def variant_rows(what: str, measured: Measured, best: bool, scale: Scale) -> Iterator[Row]:
    """Return the rows of one variant; the best one has the bar, on a GPU."""
    yield Row(
        f"{what}: samples", measured.samples_per_second, "1/s", note=f"{batch(scale)} rows a step"
    )
    if measured.tokens_per_second is not None:
        yield Row(f"{what}: tokens", measured.tokens_per_second, "1/s")
    if measured.utilisation is not None:
        bar = LEAST_UTILISATION if best and not scale.tiny else ""
        yield Row(f"{what}: utilisation", measured.utilisation, bar=bar)
    if measured.peak_gb is not None:
        yield Row(f"{what}: peak memory", measured.peak_gb, "GB")


def over_trl(name: str, ours: Measured, theirs: Measured, scale: Scale) -> Iterator[Row]:
    """Return speed and memory relative to TRL's."""
    speed = ours.samples_per_second / theirs.samples_per_second
    yield Row(f"{name}: speed over {BEST_TRL}", speed, bar="" if scale.tiny else OVER_TRL)
    if ours.peak_gb and theirs.peak_gb:
        yield Row(f"{name}: memory over {BEST_TRL}", ours.peak_gb / theirs.peak_gb, bar="≤ 1")
