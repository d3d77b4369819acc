"""Step: LoRA on the shapes of the series, with each switch of training, and TRL beside it."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
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
NOT_OVER_TRL = "≤ 1"  # peak memory, likewise
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
BEST = "all switches"
COMPILED = "torch.compile"
# What the bars compare, for all shapes, comes first; compiling, which takes the most time, last.
PASSES = (
    (BEST, *TRL),
    tuple(name for name in PACKED if name not in (BEST, COMPILED)),
    (COMPILED,),
)
LEAST_FREE = 30e9  # bytes of disk for a base of 17 GB and its features


def run(scale: Scale) -> Iterator[Row]:
    """Measure each shape, the most valuable variants first."""
    rows = list(scale.earlier)
    for variants in PASSES:
        for name, shape in SHAPES.items():
            for row in of_shape(name, shape, variants, scale):
                rows.append(row)
                yield row
            compared = f"{name}: over TRL"
            if BEST in variants and not scale.measured(compared):
                yield from over_trl(compared, name, rows, scale)


def of_shape(name: str, shape: Shape, variants: tuple[str, ...], scale: Scale) -> Iterator[Row]:
    """Measure the variants of one shape that are left; one that fails costs only its own rows.

    Its base is kept for other variants while the disk has space.
    """
    folder = scale.out / name
    for variant in variants:
        what = f"{name}, {variant}"
        if scale.measured(what) or (variant in TRL and not shape.trl):
            continue
        if variant == "sdpa" and attention(scale) == "sdpa":
            yield Row(what, None, note="as all switches: FlashAttention is not here")
            continue
        out = scale.out / "run"
        try:
            write_base(shape, folder, scale.device, scale.tiny)
            measured = measured_variant(variant, shape, folder, out, scale)
        except Exception as error:  # of any library; the others still run
            yield Row(what, None, note=f"{type(error).__name__}: {error}"[:300])
        else:
            yield from variant_rows(what, measured, variant == BEST, scale)
        free(scale)
        shutil.rmtree(out, ignore_errors=True)
    if variants == PASSES[-1] or shutil.disk_usage(scale.out).free < LEAST_FREE:
        shutil.rmtree(folder, ignore_errors=True)


def measured_variant(variant: str, shape: Shape, folder: Path, out: Path, scale: Scale) -> Measured:
    """Train a base in one way."""
    rows = rows_of(ROWS, scale)
    if variant in TRL:
        trainer = trl_trainer(shape.recipe, folder, out, rows, scale, TRL[variant])
    else:
        changes = PACKED[variant]
        if scale.tiny and variant == COMPILED:
            changes = {**changes, **TINY_COMPILE}
        trainer = packed_trainer(shape.recipe, folder, out, rows, scale, changes)
    return measure(trainer, rows, scale)


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


def over_trl(what: str, name: str, rows: Sequence[Row], scale: Scale) -> Iterator[Row]:
    """Return speed and memory relative to the fastest of TRL's variants that ran."""
    found = {row.what: row.value for row in rows if row.value is not None}
    theirs = [variant for variant in TRL if f"{name}, {variant}: samples" in found]
    if f"{name}, {BEST}: samples" not in found or not theirs:
        return
    best = max(theirs, key=lambda variant: found[f"{name}, {variant}: samples"])
    for value, bar in (("samples", OVER_TRL), ("peak memory", NOT_OVER_TRL)):
        own, other = (found.get(f"{name}, {one}: {value}") for one in (BEST, best))
        if own and other:
            yield Row(f"{what}: {value}", own / other, bar="" if scale.tiny else bar, note=best)
