"""Step: packed loss and gradients against row by row, in bfloat16, for each family.

bfloat16 has 8 significant bits, so neither packed rows nor single ones give the exact gradient.
Both are compared with row by row in float32: packing is right if its distance is about as large.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForImageTextToText, AutoProcessor

from benchmarks.gpu.plan import Scale
from benchmarks.gpu.results import Row
from benchmarks.gpu.shapes import TEXTS
from benchmarks.gpu.training import attention, free
from benchmarks.train_models import make_rows, tiny_families
from cephalo.train.families import family_of, image_layers, image_settings
from cephalo.train.trainer import PackedTrainer

ROWS = 6
EDGE = 200  # pixels: images of some tiles in the tiny models
# Distance of packed gradients from float32 over that of single rows: 1 is expected, and sums in
# another order scatter.
BAR = "≤ 1.5"
PAPER = ("idefics2", "llava_next", "phi3_v")
Gradients = dict[str, torch.Tensor]


def run(scale: Scale) -> Iterator[Row]:
    """Compare each family, with FlashAttention if it is installed, and with sdpa."""
    rows = make_rows(ROWS)
    ways = dict.fromkeys((attention(scale), "sdpa"))
    for family in (*tiny_families(), *PAPER):
        left = [way for way in ways if not scale.measured(named(family, way))]
        if not left:
            continue
        folder = make_base(family, scale.out / family)
        for way in left:
            if way != "sdpa" and image_layers(config_of(folder)):
                continue  # this family's masks exist for sdpa only
            try:
                yield compare(named(family, way), folder, rows, way, scale)
            except Exception as error:  # of one family; the others still run
                yield Row(named(family, way), None, note=f"{type(error).__name__}: {error}"[:300])
            free(scale)
        shutil.rmtree(folder)


def named(family: str, way: str) -> str:
    """Return the name of a comparison."""
    return f"{family}, {way}"


def config_of(folder: Path) -> Any:
    """Return the configuration in a folder."""
    from modeling_cephalo.checkpoint import read_config

    return read_config(folder)


def make_base(family: str, folder: Path) -> Path:
    """Write the tiny checkpoint of a family of the tests, whose decoder changes its input."""
    tiny_families()
    from family_samples import make_family  # pyright: ignore[reportMissingImports]
    from moe_samples import make_dense  # pyright: ignore[reportMissingImports]

    if family in PAPER:
        return make_dense(folder, family, 0, TEXTS)
    return make_family(folder, family, TEXTS)


def compare(what: str, base: Path, rows: Dataset, way: str, scale: Scale) -> Row:
    """Return the distance of packed gradients from float32 over that of single rows."""
    exact_loss, exact = gradients(base, rows, torch.float32, "sdpa", 1, scale)
    row_loss, single = gradients(base, rows, torch.bfloat16, way, 1, scale)
    packed_loss, packed = gradients(base, rows, torch.bfloat16, way, None, scale)
    losses = f"loss {packed_loss:.4f} packed, {row_loss:.4f} row by row, {exact_loss:.4f} exact"
    apart = distance(packed, exact), distance(single, exact)
    note = f"{losses}; gradients {apart[0]:.4f} and {apart[1]:.4f} from float32"
    return Row(
        f"{what}: gradient error, packed over row by row", apart[0] / apart[1], "", BAR, note
    )


def gradients(
    base: Path, rows: Dataset, dtype: torch.dtype, way: str, limit: int | None, scale: Scale
) -> tuple[float, Gradients]:
    """Return the loss and the gradients of one step over all rows.

    `limit` is the maximum number of tokens in a sequence: 1 separates all rows, None packs all.
    """
    from trl import SFTConfig

    from cephalo.train.encoding import encode_rows
    from cephalo.train.packing import PackingCollator

    processor = AutoProcessor.from_pretrained(base)
    model = AutoModelForImageTextToText.from_pretrained(base, dtype=dtype, attn_implementation=way)
    trainer = PackedTrainer(
        model=model,
        args=SFTConfig(
            output_dir=str(scale.out / "run"),
            per_device_train_batch_size=len(rows),
            activation_checkpointing=False,
            remove_unused_columns=False,
            bf16=False,
            use_cpu=scale.device == "cpu",
            report_to=[],
        ),
        train_dataset=encode_rows(rows, processor),
        processing_class=processor,
        data_collator=PackingCollator(
            processor.image_processor,
            family=family_of(model.config),
            image_settings=image_settings(processor),
            max_image_edge=EDGE,
            max_tokens=limit,
        ),
    )
    [batch] = list(trainer.get_train_dataloader())
    items = trainer._get_num_items_in_batch([batch], trainer.args.device)
    loss = trainer.training_step(trainer.model, batch, items)
    named = trainer.model.named_parameters()
    own = {name: one.grad.float().cpu() for name, one in named if one.grad is not None}
    return loss.item(), own


def distance(found: Gradients, exact: Gradients) -> float:
    """Return the norm of the difference of all gradients, relative to that of the exact ones."""
    assert found.keys() == exact.keys()
    apart = sum((found[name] - own).square().sum().item() for name, own in exact.items())
    return (apart / sum(own.square().sum().item() for own in exact.values())) ** 0.5
