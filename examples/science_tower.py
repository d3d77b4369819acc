"""Pre-train a vision tower and its connector to predict numbers from images of plates.

Three linear heads, which are discarded, predict: the von Mises stress in small squares, from each
feature of the tower; and the six statistics, the peak energy that decides whether a crack starts,
and
whether one does, from the mean of these features and again from the mean of the connector's tokens:
the decoder's attention can read what a mean contains. Images are mirrored at random, since a
mirrored
plate has the same numbers.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Image as ImageColumn
from datasets import load_dataset
from science_base import save_whole
from torch import nn
from tqdm import tqdm
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    Trainer,
    TrainingArguments,
    set_seed,
)

from cephalo.dataset_scripts.plates.render import viridis
from cephalo.inference.images import open_image
from cephalo.train.finished import last_whole_checkpoint

# Convolutions of channels-last images take less time, but on processors with AVX2 alone their
# backward pass in torch 2.13 writes beyond its memory.
WIDE_VECTORS = "AVX512"

STATISTICS = (
    "stress_stdev",
    "stress_mean",
    "stress_median",
    "energy_peratom_std_dev",
    "energy_peratom_mean",
    "energy_peratom_median",
)
PEAK = "peak_energy"  # predicted as its logarithm, since it has a long tail
NUMBERS = len(STATISTICS) + 2
CELL = 4  # pixels, side of the squares in which the field is predicted
UNKNOWN = float("nan")


def train_tower(base: Path, plates: Path, out: Path, epochs: float, gpu: bool) -> None:
    """Train tower and connector of `base` on the plates; write model and processor to `out`.

    An interrupted run resumes from the last epoch, which is saved beside `out`.
    """
    set_seed(0)
    model = AutoModelForImageTextToText.from_pretrained(base)
    processor = AutoProcessor.from_pretrained(base)
    rows = read_rows(plates, processor.image_processor)
    reader = PlateReader(model, rows)
    arguments = TrainingArguments(
        output_dir=str(out.with_name(out.name + "-steps")),
        num_train_epochs=epochs,
        learning_rate=1e-3,
        use_cpu=not gpu,
        bf16=gpu,
        per_device_train_batch_size=64,
        weight_decay=0.05,
        lr_scheduler_type="cosine",
        warmup_steps=0.05,
        logging_steps=50,
        save_strategy="epoch",
        save_total_limit=1,
        remove_unused_columns=False,
        dataloader_drop_last=True,
        report_to=[],
        seed=0,
    )
    trainer = Trainer(reader, arguments, train_dataset=rows, data_collator=Mirrored(rows))
    trainer.train(resume_from_checkpoint=last_whole_checkpoint(arguments.output_dir))
    save_whole(model, processor, out)


class Plates(torch.utils.data.Dataset):
    """Images and their numbers, as arrays.

    Attributes:
        pixels: float16 [n, side, side], from the processor; one of three equal channels.
        fields: float16 [n, cells, cells], von Mises stress in MPa.
        numbers: float32 [n, 8]: the statistics, the logarithm of the peak energy, and 1 if a crack
            starts; NaN if unknown.
    """

    def __init__(self, pixels: np.ndarray, fields: np.ndarray, numbers: np.ndarray) -> None:
        self.pixels, self.fields, self.numbers = pixels, fields, numbers

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> int:
        return index


def read_rows(plates: Path, image_processor: Any) -> Plates:
    """Read the split `train` of the configs that have all or some of the numbers."""
    pixels, fields, numbers = [], [], []
    for config in ("fields", "notched", "cracks"):
        data = load_dataset(str(plates), config, split="train")
        for name in ("microstructure", "von_mises"):
            data = data.cast_column(name, ImageColumn(decode=False))
        wanted = {"microstructure", "von_mises", "von_mises_scale", PEAK, "initiate", *STATISTICS}
        data = data.select_columns(sorted(wanted & set(data.column_names)))
        for row in tqdm(data, desc=f"reading {config}", unit=" plates", disable=None):
            image = open_image(io.BytesIO(row["microstructure"]["bytes"]))
            seen = image_processor([image], return_tensors="np")["pixel_values"][0, 0, 0]
            cells = len(seen) // CELL
            pixels.append(seen.astype(np.float16))
            fields.append(field_of(row, cells).astype(np.float16))
            known = [row.get(name, UNKNOWN) for name in STATISTICS]
            known += [np.log(row[PEAK]), row.get("initiate", UNKNOWN)]
            numbers.append(np.array(known, dtype=np.float32))
    return Plates(np.stack(pixels), np.stack(fields), np.stack(numbers))


def field_of(row: dict[str, Any], cells: int) -> np.ndarray:
    """Return the von Mises stress of a plate in MPa, averaged over each of cells x cells squares,
    from its picture; 0 in void."""
    picture = open_image(io.BytesIO(row["von_mises"]["bytes"]))
    colours = np.asarray(picture.crop((0, 0, picture.height, picture.height)), dtype=np.int32)
    levels = np.zeros(1 << 24, dtype=np.uint8)  # white, which is void, stays 0
    levels[codes(viridis().astype(np.int32))] = np.arange(256)
    stress = levels[codes(colours)] / 255 * row["von_mises_scale"]
    block = len(stress) // cells
    return stress.reshape(cells, block, cells, block).mean(axis=(1, 3))


def codes(colours: np.ndarray) -> np.ndarray:
    """Return colours [..., 3] as one integer each."""
    return colours @ (1 << 16, 1 << 8, 1)


class Mirrored:
    """A batch of `rows`, each mirrored horizontally and vertically at random."""

    def __init__(self, rows: Plates) -> None:
        self.rows = rows

    def __call__(self, indices: list[int]) -> dict[str, torch.Tensor]:
        """Return `pixel_values` [n, 3, side, side], `fields` and `numbers`, float32."""
        pixels = torch.from_numpy(self.rows.pixels[indices]).float()
        fields = torch.from_numpy(self.rows.fields[indices]).float()
        for axis in (1, 2):
            turned = torch.rand(len(indices)) < 0.5
            for images in (pixels, fields):
                images[turned] = images[turned].flip(axis)
        return {
            "pixel_values": pixels[:, None].expand(-1, 3, -1, -1).contiguous(),
            "fields": fields,
            "numbers": torch.from_numpy(self.rows.numbers[indices]),
        }


class PlateReader(nn.Module):
    """Tower and connector of a model, with the three heads; returns the training loss."""

    def __init__(self, model: Any, rows: Plates) -> None:
        super().__init__()
        config = model.config
        self.tower, self.connector = model.model.vision_model, model.model.connector
        self.side = config.vision_config.patch_size // CELL  # squares along a patch
        self.field = nn.Linear(config.vision_config.hidden_size, self.side**2)
        self.early = nn.Linear(config.vision_config.hidden_size, NUMBERS)
        self.numbers = nn.Linear(config.text_config.hidden_size, NUMBERS)
        measured = rows.numbers[:, :-1]
        self.register_buffer("centre", torch.from_numpy(np.nanmean(measured, axis=0)))
        self.register_buffer("spread", torch.from_numpy(np.nanstd(measured, axis=0)))
        fields = rows.fields.astype(np.float32)
        self.field_scale = float(fields.std())

    def forward(
        self, pixel_values: torch.Tensor, fields: torch.Tensor, numbers: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Return the loss of a batch of Mirrored: stresses, statistics and cracks, each divided by
        its
        standard deviation."""
        count, patches = len(pixel_values), fields.shape[1] // self.side
        seen = torch.ones(count, patches, patches, dtype=torch.bool, device=pixel_values.device)
        if pixel_values.is_cuda or torch.backends.cpu.get_cpu_capability() == WIDE_VECTORS:
            pixel_values = pixel_values.contiguous(memory_format=torch.channels_last)  # faster
        features = self.tower(pixel_values, patch_attention_mask=seen).last_hidden_state
        tokens = self.connector(features, attention_mask=seen.flatten(1))
        cells = fields.reshape(count, patches, self.side, patches, self.side).transpose(2, 3)
        cells = cells.reshape(count, patches**2, self.side**2) / self.field_scale
        truth = (numbers[:, :-1] - self.centre) / self.spread
        parts = [nn.functional.smooth_l1_loss(self.field(features), cells)]
        for said in (self.early(features.mean(1)), self.numbers(tokens.mean(1))):
            parts += [
                known(nn.functional.smooth_l1_loss, said[:, :-1], truth),
                known(nn.functional.binary_cross_entropy_with_logits, said[:, -1], numbers[:, -1]),
            ]
        return {"loss": sum(parts)}


def known(loss: Any, said: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return the mean loss where the truth is known, or 0 if it is unknown everywhere."""
    where = ~truth.isnan()
    return loss(said[where], truth[where]) if where.any() else said.sum() * 0
