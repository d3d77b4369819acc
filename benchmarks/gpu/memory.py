"""Step: QLoRA of the 8b within 24 GB, and full training of the last 8 layers of the 10b.

The peaks stand beside what `cephalo series NAME --scale check` estimates for the same recipe.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import yaml

from benchmarks.gpu.machine import installed
from benchmarks.gpu.plan import Scale
from benchmarks.gpu.results import Row
from benchmarks.gpu.shapes import LAST_LAYERS, QLORA, Shape, write_base
from benchmarks.gpu.training import free, measure, optimizer, packed_trainer, rows_of
from cephalo.series.estimate import estimate
from cephalo.train.sft import find_config
from modeling_cephalo.published import on_meta

ROWS = 64
# Rows per step, of some 300 tokens each: sequences reach the recipe's limit of 4,096 tokens, for
# which memory is estimated.
BATCH = "32"
CARDS = {"QLoRA of the 8b": (QLORA, 24), "last 8 layers of the 10b": (LAST_LAYERS, 80)}
"""By name: the shape and the memory in GB of the GPU that its recipe is for."""


def run(scale: Scale) -> Iterator[Row]:
    """Measure both recipes; one that fails costs only its own row."""
    for name, (shape, gigabytes) in CARDS.items():
        what = f"{name}: peak memory"
        if scale.measured(what):
            continue
        changes: dict[str, Any] = {"per_device_train_batch_size": BATCH, "feature_cache_gb": "0"}
        if shape is QLORA and not installed("bitsandbytes"):
            yield Row(what, None, "GB", note="bitsandbytes is not installed")
            if not scale.tiny:
                continue
            changes |= {"load_in_4bit": "false", "use_bnb_nested_quant": "false"}
        folder = scale.out / shape.recipe
        try:
            yield from of_recipe(name, shape, gigabytes, scale, changes, folder)
        except Exception as error:  # of any library, out of memory above all
            yield Row(what, None, "GB", note=f"{type(error).__name__}: {error}"[:300])
        free(scale)
        shutil.rmtree(folder, ignore_errors=True)


def of_recipe(
    name: str, shape: Shape, gigabytes: int, scale: Scale, changes: dict[str, Any], folder: Path
) -> Iterator[Row]:
    """Measure one recipe, with no more memory than the GPU that it is for."""
    yield Row(f"{name}: estimated peak memory", estimated_gb(shape), "GB")
    limit_memory(None, scale)
    base = write_base(shape, folder / "base", scale.device, scale.tiny)
    free(scale)
    limit_memory(gigabytes * 1e9, scale)
    rows = rows_of(ROWS, scale)
    trainer = packed_trainer(shape.recipe, base, folder / "run", rows, scale, changes)
    measured = measure(trainer, rows, scale)
    yield Row(f"{name}: samples", measured.samples_per_second, "1/s")
    if measured.peak_gb is not None:
        yield Row(
            f"{name}: peak memory",
            measured.peak_gb,
            "GB",
            f"≤ {gigabytes}",
            f"optimizer {trainer.args.optim}",
        )


def limit_memory(size: float | None, scale: Scale) -> None:
    """Limit the bytes that torch takes on the GPU; None removes the limit."""
    if scale.device == "cuda":
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, (size or total) / total))


def estimated_gb(shape: Shape) -> float:
    """Return the estimated peak of a shape and its recipe, in GB, with the optimizer used."""
    settings = yaml.safe_load(find_config(shape.recipe).read_text(encoding="utf-8")) | optimizer()
    return estimate(on_meta(shape.make()[0]), settings).peak / 1e9
