"""Train a model of the size of SmolVLM 256M on a CPU: seconds per step, memory, hours per run.

    OMP_NUM_THREADS=1 python -m benchmarks.bench_laptop

The weights are random, and the sizes of model and tokenizer those of SmolVLM-256M-Instruct; the
settings are those of `laptop.yaml`. A row is a figure of 900 x 700 pixels with an answer of 150
words. In the first epoch the images pass the vision tower, in the second they are read from the
feature store. Seconds are CPU time on one thread. Memory above that of the process before it loads
the model is compared with the estimate of `cephalo series` for the same tokens.
"""

import random
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import typer

from benchmarks.bench_train import memory

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


def run(base: Path, data: Path, out: Path) -> tuple[list[float], int, int]:
    """Train two epochs.

    Returns the CPU seconds of each step, the tokens of the longest sequence, and the bytes of
    memory at the peak of a step above those before the model was loaded.
    """
    from cephalo.train.arguments import parse_arguments
    from cephalo.train.sft import find_config, run_training
    from cephalo.train.trainer import PackedTrainer

    marks, tokens, peaks = [], [0], [0.0]
    step = PackedTrainer.training_step

    def timed(self: Any, model: Any, inputs: Any, *args: Any) -> Any:
        if not marks:
            marks.append(time.process_time())
            # The peak of memory counts from here, without loading and saving.
            Path("/proc/self/clear_refs").write_text("5")
        loss = step(self, model, inputs, *args)
        tokens.extend(own["input_ids"].shape[1] for own in inputs["sequences"])
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
    }
    words = [str(word) for name, value in settings.items() for word in (f"--{name}", value)]
    arguments = parse_arguments(find_config("laptop.yaml"), words)
    at_rest = memory("VmRSS")
    trainer: Any = PackedTrainer
    trainer.training_step = timed
    run_training(*arguments)
    seconds = [after - before for before, after in pairwise(marks)]
    return seconds, max(tokens), int((max(peaks) - at_rest) * 2**20)


def estimated(tokens: int) -> float:
    """Return the estimate of `cephalo series` for sequences of so many tokens, in bytes."""
    import yaml

    from cephalo.series.estimate import OVERHEAD_BYTES, estimate
    from cephalo.series.published import smolvlm
    from cephalo.train.sft import find_config
    from modeling_cephalo.published import on_meta

    settings = yaml.safe_load(find_config("laptop.yaml").read_text(encoding="utf-8"))
    found = estimate(on_meta(smolvlm("256m")), settings | {"batch_tokens": tokens})
    return found.peak - OVERHEAD_BYTES


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        base, data = Path(folder) / "base", Path(folder) / "data"
        data.mkdir()
        make_base(base)
        make_data(data)
        seconds, tokens, peak = run(base, data, Path(folder) / "out")
    half = len(seconds) // 2
    first, later = (min(own) for own in (seconds[:half], seconds[half:]))
    steps = RUN_ROWS // BATCH
    hours = steps * (first + (RUN_EPOCHS - 1) * later) / 3600
    print(
        f"a step of {BATCH} rows, {tokens:,} tokens: {first:.1f} s on one core, "
        f"{later:.1f} s with stored images"
    )
    print(f"{RUN_ROWS:,} rows, {RUN_EPOCHS} epochs: {hours:.1f} hours on one core")
    print(
        f"memory: {peak / 1e9:.2f} GB measured, {estimated(tokens) / 1e9:.2f} GB estimated, "
        f"ratio {peak / estimated(tokens):.2f}"
    )


if __name__ == "__main__":
    typer.run(main)
