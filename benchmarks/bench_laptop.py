"""Train a model of the size of SmolVLM 256M on a CPU: seconds per step, memory, hours per run.

    OMP_NUM_THREADS=1 python -m benchmarks.bench_laptop

The weights are random, and the sizes of model and tokenizer those of SmolVLM-256M-Instruct; the
settings are those of `laptop.yaml`. A row is a figure of 900 x 700 pixels with an answer of 150
words. In the first epoch the images pass the vision tower, in the second they are read from the
feature store. Seconds are CPU time on one thread. The peak memory of the process is compared with
the estimate of `cephalo series` for the same tokens and answers, for the rows that `--size` gives.
"""

import random
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from benchmarks.bench_train import memory

if TYPE_CHECKING:
    from cephalo.series.estimate import Estimate

ROWS, BATCH = 8, 4
WORDS = 150
FIGURE = (900, 700)  # pixels
RUN_ROWS, RUN_EPOCHS = 2000, 2  # of the run whose duration is printed


def answers() -> list[str]:
    """Return an answer for each row, of made-up words."""
    choose = random.Random(0)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(choose.choices(letters, k=choose.randint(2, 9))) for _ in range(400)]
    return [" ".join(choose.choices(words, k=WORDS)) for _ in range(ROWS)]


def make_base(folder: Path) -> None:
    """Create random weights in the shape of SmolVLM-256M-Instruct, with a processor of its
    settings."""
    import torch
    from transformers import AutoModelForImageTextToText

    from cephalo.series.published import smolvlm
    from cephalo.series.tiny_bases import idefics3_processor

    processor, _ = idefics3_processor(answers(), edge=512, across=4, tokens=64)
    config: Any = smolvlm("256m")
    config.image_token_id = processor.tokenizer.convert_tokens_to_ids("<image>")
    torch.manual_seed(0)
    AutoModelForImageTextToText.from_config(config).save_pretrained(folder)
    processor.save_pretrained(folder)


def make_data(folder: Path) -> None:
    """Create rows of a figure of noise, a question and an answer."""
    import numpy as np
    from datasets import Dataset
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 255, (ROWS, FIGURE[1], FIGURE[0], 3), np.uint8)
    question = {"type": "text", "text": "What does the figure say about the toughness of nacre?"}
    rows = [
        {
            "images": [Image.fromarray(pixels)],
            "prompt": [{"role": "user", "content": [{"type": "image", "text": None}, question]}],
            "completion": [{"role": "assistant", "content": [{"type": "text", "text": answer}]}],
        }
        for pixels, answer in zip(noise, answers(), strict=True)
    ]
    Dataset.from_list(rows).to_parquet(folder / "train.parquet")


@dataclass
class Measured:
    """Of a run: CPU seconds of each step, tokens and answers of the longest sequence, and the bytes
    of the process before the first step and at the peak of one."""

    seconds: list[float]
    tokens: int
    answers: int
    before: float
    peak: float


def run(base: Path, data: Path, out: Path, batch: int) -> Measured:
    """Train two epochs."""
    from cephalo.train.arguments import parse_arguments
    from cephalo.train.sft import find_config, run_training
    from cephalo.train.trainer import PackedTrainer

    marks, sequences, resident, peaks = [], [(0, 0)], [], []
    step = PackedTrainer.training_step

    def timed(self: Any, model: Any, inputs: Any, *args: Any) -> Any:
        if not marks:
            marks.append(time.process_time())
            # The peak of memory counts from here, without loading and saving.
            Path("/proc/self/clear_refs").write_text("5")
            resident.append(memory("VmRSS"))
        loss = step(self, model, inputs, *args)
        sequences.extend(
            (own["labels"].shape[1], int((own["labels"] >= 0).sum())) for own in inputs["sequences"]
        )
        marks.append(time.process_time())
        peaks.append(memory("VmHWM"))
        return loss

    settings = {
        "model_name_or_path": base,
        "dataset_name": data,
        "dataset_config": "default",
        "output_dir": out,
        "dataloader_num_workers": 0,
        "save_strategy": "no",
        "report_to": "none",
        "per_device_train_batch_size": batch,
    }
    words = [str(word) for name, value in settings.items() for word in (f"--{name}", value)]
    arguments = parse_arguments(find_config("laptop.yaml"), words)
    trainer: Any = PackedTrainer
    trainer.training_step = timed
    run_training(*arguments)
    seconds = [after - before for before, after in pairwise(marks)]
    return Measured(seconds, *max(sequences), resident[0] * 2**20, max(peaks) * 2**20)


def estimated(found: Measured) -> "Estimate":
    """Return the estimate of `cephalo series` for sequences of as many tokens and answers."""
    import yaml

    from cephalo.series.estimate import estimate
    from cephalo.series.published import smolvlm
    from cephalo.train.sft import find_config
    from modeling_cephalo.published import on_meta

    settings = yaml.safe_load(find_config("laptop.yaml").read_text(encoding="utf-8"))
    settings["batch_tokens"] = found.tokens
    return estimate(on_meta(smolvlm("256m")), settings, found.answers)


def main(size: int = BATCH) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        base, data = Path(folder) / "base", Path(folder) / "data"
        data.mkdir()
        make_base(base)
        make_data(data)
        found = run(base, data, Path(folder) / "out", size)
    half = len(found.seconds) // 2
    first, later = (min(own) for own in (found.seconds[:half], found.seconds[half:]))
    steps = RUN_ROWS // size
    hours = steps * (first + (RUN_EPOCHS - 1) * later) / 3600
    print(
        f"a step of {size} rows, {found.tokens:,} tokens, {found.answers:,} of them answers: "
        f"{first:.1f} s on one core, {later:.1f} s with stored images"
    )
    print(f"{RUN_ROWS:,} rows, {RUN_EPOCHS} epochs: {hours:.1f} hours on one core")
    from cephalo.series.estimate import PROCESS_BYTES

    wanted = estimated(found)
    print(
        f"memory: {found.peak / 1e9:.2f} GB measured, {wanted.peak / 1e9:.2f} GB estimated, "
        f"ratio {found.peak / wanted.peak:.2f}; before the first step {found.before / 1e9:.2f} GB "
        f"measured, {PROCESS_BYTES / 1e9:.2f} GB assumed"
    )


if __name__ == "__main__":
    typer.run(main)
