"""Measure what each switch of training gains: samples per second, memory and loss.

    OMP_NUM_THREADS=1 python -m benchmarks.bench_train
    OMP_NUM_THREADS=1 python -m benchmarks.bench_train --family qwen3_vl --switches

All variants train the same model from the same weights on the same rows, in the same order, at the
same learning rate. As in the published notebook of the 10b, images are split, and only the last
fifth of the decoder's layers trains; four epochs are those of the notebook of the 4b. The model is
an Idefics2 of 10M parameters in which vision tower and connector take 3.2 times the operations of
the decoder's forward pass on a row of one figure (the 8b: 3.6 times, on a figure of 1,400 x 1,000
pixels). A third of the rows is text, a third has one figure and a third two, of 700 to 1,400
pixels, as wide as one or two columns at 200 dpi; each figure is in three rows. Answers are of 8 to
120 words.
"""

import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.train_models import MODELS, make_model, make_rows, tiny_families

SEED = 0
TRAINED_LAYERS = 2


def load_model(folder: Path) -> Any:
    """Load the model with only its last layers trainable."""
    from transformers import AutoModelForImageTextToText

    from cephalo.train.freezing import freeze

    model = AutoModelForImageTextToText.from_pretrained(folder)
    freeze(model, [], TRAINED_LAYERS)
    return model


class Clock:
    """Seconds and loss of each epoch, without evaluation. Memory in MB, above the start."""

    def __init__(self, judge: Callable[[Any], float]) -> None:
        self.judge = judge
        self.wall, self.cpu, self.losses = [], [], []
        # The peak of memory counts from here.
        Path("/proc/self/clear_refs").write_text("5")
        self.at_rest = memory("VmRSS")
        self.resume()

    def resume(self) -> None:
        """Resume counting."""
        self.begun = time.perf_counter(), time.process_time()

    def stop(self, model: Any) -> None:
        """Stop counting and evaluate the model."""
        self.wall.append(time.perf_counter() - self.begun[0])
        self.cpu.append(time.process_time() - self.begun[1])
        self.memory = memory("VmHWM") - self.at_rest
        self.losses.append(self.judge(model))


def answer_loss(model: Any, rows: Any, processor: Any) -> float:
    """Return the mean loss of the tokens of held-out answers, one conversation at a time, with the
    masks of transformers; only the trainer passes those of packed rows."""
    import torch
    from torch.nn.functional import cross_entropy

    from cephalo.train.encoding import encode_row, open_images
    from cephalo.train.packing import answer_positions

    model.eval()
    text_config = model.config.get_text_config()
    trained_with, text_config._attn_implementation = text_config._attn_implementation, "sdpa"
    total, count = 0.0, 0
    with torch.inference_mode():
        for row in rows:
            images = open_images(row["images"], None)
            labels = encode_row(images, row["prompt"], row["completion"], processor)["labels"]
            positions, targets = answer_positions(torch.tensor([labels]))
            text = processor.apply_chat_template(row["prompt"] + row["completion"], tokenize=False)
            batch = processor(text=[text], images=[images] if images else None, return_tensors="pt")
            logits = model(**batch, logits_to_keep=positions, use_cache=False).logits[0]
            total += cross_entropy(logits, targets, reduction="sum").item()
            count += len(targets)
    text_config._attn_implementation = trained_with
    model.train()
    return total / count


def notebook(rows: Any, folder: Path, epochs: int, clock_of: Callable, rate: float) -> Clock:
    """Run the loop of the published notebooks: one row at a time, the processor called in the loop,
    loss on prompt, images and padding alike, a step every four rows."""
    import torch
    from transformers import AutoProcessor

    from cephalo.train.encoding import open_images

    model, processor = load_model(folder), AutoProcessor.from_pretrained(folder)
    trained = [own for own in model.parameters() if own.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=rate, weight_decay=0.0)
    model.train()
    clock = clock_of()
    for epoch in range(epochs):
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(epoch)).tolist()
        for step, index in enumerate(order, start=1):
            row = rows[index]
            text = processor.apply_chat_template(row["prompt"] + row["completion"])
            images = [open_images(row["images"], None)] if row["images"] else None
            batch = processor(text=[text], images=images, padding=True, return_tensors="pt")
            loss = model(**batch, labels=batch["input_ids"], use_cache=False).loss
            (loss / 4).backward()
            if step % 4 == 0 or step == len(order):
                torch.nn.utils.clip_grad_norm_(trained, 1.0)
                optimizer.step()
                optimizer.zero_grad()
        clock.stop(model)
        clock.resume()
    return clock


def settings(out: str, epochs: int, rate: float, **changes: Any) -> Any:
    """Return TRL's defaults, on the CPU, without truncating rows or writing checkpoints."""
    from trl import SFTConfig

    return SFTConfig(
        output_dir=out,
        num_train_epochs=epochs,
        learning_rate=rate,
        lr_scheduler_type="constant",
        max_length=None,
        bf16=False,
        use_cpu=True,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        seed=SEED,
        **changes,
    )


def timed(trainer: Any, clock_of: Callable) -> Clock:
    """Train, with an evaluation at the end of each epoch."""
    from transformers import TrainerCallback

    class Judge(TrainerCallback):
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            self.clock = clock_of()

        def on_epoch_end(self, *_: Any, model: Any, **__: Any) -> None:
            self.clock.stop(model)
            self.clock.resume()

    judge = Judge()
    trainer.add_callback(judge)
    trainer.train()
    return judge.clock


def plain_trl(
    rows: Any, folder: Path, epochs: int, clock_of: Callable, rate: float, **changes: Any
) -> Clock:
    """Run SFTTrainer with its defaults: eight rows per step, padded to the longest, since it
    refuses to pack rows with images, and activation checkpointing."""
    from datasets import Image, List
    from transformers import AutoProcessor
    from trl import SFTTrainer

    with tempfile.TemporaryDirectory() as out:
        trainer = SFTTrainer(
            model=load_model(folder),
            args=settings(out, epochs, rate, **changes),
            train_dataset=rows.cast_column("images", List(Image())),
            processing_class=AutoProcessor.from_pretrained(folder),
        )
        return timed(trainer, clock_of)


def packed(
    rows: Any,
    folder: Path,
    epochs: int,
    clock_of: Callable,
    rate: float,
    *,
    batch: int = 8,
    tokens: int | None = None,
    stored: bool = False,
    attention: str | None = None,
    **changes: Any,
) -> Clock:
    """Run PackedTrainer with some of its switches."""
    from transformers import AutoProcessor

    from cephalo.train.encoding import encode_rows
    from cephalo.train.families import FAMILIES, image_settings
    from cephalo.train.packing import PackingCollator
    from cephalo.train.trainer import PackedTrainer

    model, processor = load_model(folder), AutoProcessor.from_pretrained(folder)
    changes = {"activation_checkpointing": False, "remove_unused_columns": False, **changes}
    with tempfile.TemporaryDirectory() as out:
        trainer = PackedTrainer(
            model=model,
            args=settings(out, epochs, rate, per_device_train_batch_size=batch, **changes),
            train_dataset=encode_rows(rows, processor),
            processing_class=processor,
            data_collator=PackingCollator(
                processor.image_processor,
                family=FAMILIES[model.config.model_type],
                image_settings=image_settings(processor),
                max_tokens=tokens,
            ),
        )
        if attention:
            model.config.get_text_config()._attn_implementation = attention
        if stored:
            trainer.keep_features(Path(out) / "features", 1.0)
        return timed(trainer, clock_of)


KEPT = "TRL's defaults, activations kept"  # as for a model that fits in memory
# Of each variant: its name, the function, and its arguments.
BUDGET = 512  # tokens per sequence
WORKER = {"dataloader_num_workers": 1, "dataloader_persistent_workers": True}
WAYS: list[tuple[str, Callable, dict[str, Any]]] = [
    ("notebook's loop, 4 rows a step", notebook, {}),
    (
        "all but the worker, 4 rows a step",
        packed,
        {"batch": 4, "tokens": BUDGET, "stored": True},
    ),
    (
        "all switches, 4 rows a step",
        packed,
        {"batch": 4, "tokens": BUDGET, "stored": True, **WORKER},
    ),
    ("TRL's defaults, 8 rows a step", plain_trl, {}),
    (KEPT, plain_trl, {"activation_checkpointing": False}),
    ("logits on answers, row by row", packed, {"tokens": 1, "activation_checkpointing": True}),
    ("+ activations kept", packed, {"tokens": 1}),
    ("+ packed, one mask for all", packed, {"tokens": BUDGET, "attention": "sdpa"}),
    ("+ attention row by row", packed, {"tokens": BUDGET}),
    ("+ features of frozen parts stored", packed, {"tokens": BUDGET, "stored": True}),
    ("+ a worker that reads ahead", packed, {"tokens": BUDGET, "stored": True, **WORKER}),
]

ALL = {"tokens": BUDGET, "stored": True, **WORKER}
# All switches, and all but one of them.
SWITCHES: list[tuple[str, Callable, dict[str, Any]]] = [
    ("TRL's defaults, 8 rows a step", plain_trl, {}),
    (KEPT, plain_trl, {"activation_checkpointing": False}),
    ("all switches", packed, ALL),
    ("- activations kept", packed, {**ALL, "activation_checkpointing": True}),
    ("- packed", packed, {**ALL, "tokens": 1}),
    ("- attention row by row", packed, {**ALL, "attention": "sdpa"}),
    ("- features of frozen parts stored", packed, {**ALL, "stored": False}),
    ("- a worker that reads ahead", packed, {"tokens": BUDGET, "stored": True}),
]


def measure(
    switches: bool, way: int, folder: Path, rows: int, epochs: int, rate: float
) -> dict[str, Any]:
    """Train one variant; called in a separate process, so that memory is its own."""
    import torch
    from datasets import disable_progress_bars
    from transformers import AutoProcessor, logging

    disable_progress_bars()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    tiny_families()
    made = make_rows(rows + 12)
    processor = AutoProcessor.from_pretrained(folder)
    held_out = made.select(range(rows, rows + 12))
    _, run, options = (SWITCHES if switches else WAYS)[way]

    def clock_of() -> Clock:
        return Clock(lambda model: answer_loss(model, held_out, processor))

    clock = run(made.select(range(rows)), folder, epochs, clock_of, rate, **options)
    return {name: getattr(clock, name) for name in ("wall", "cpu", "losses", "memory")}


def memory(mark: str) -> float:
    """Return the memory of this process in megabytes: current (VmRSS) or peak (VmHWM)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{mark}:")[1].split()[0]) / 1024


def best(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the shortest times of each epoch over several runs; memory and losses of the first."""
    times = {
        key: [min(epoch) for epoch in zip(*(result[key] for result in results), strict=True)]
        for key in ("wall", "cpu")
    }
    return {**results[0], **times}


def table(results: list[dict[str, Any]], rows: int, ways: list[Any]) -> str:
    """Format the measurements as a Markdown table.

    Gains are relative to the first line of the same step size, in the main process's CPU seconds,
    after two epochs and after all; then relative to TRL without activation checkpointing, in CPU
    seconds and wall time.
    """
    epochs = len(results[0]["cpu"])
    lines = [
        f"| | samples / s | samples / CPU s | gain, 2 epochs | gain, {epochs} epochs | over TRL, "
        "activations kept | the same, on the clock | MB | loss |",
        "|---|--:|--:|--:|--:|--:|--:|--:|---|",
    ]
    [kept] = [own for (name, _, _), own in zip(ways, results, strict=True) if name == KEPT]
    start, over_trl = results[0]["cpu"], False
    for (name, _, _), result in zip(ways, results, strict=True):
        if name.startswith("notebook") or (name.startswith("TRL") and name != KEPT):
            start, over_trl = result["cpu"], name.startswith("TRL")
        gains = [sum(start[:count]) / sum(result["cpu"][:count]) for count in (2, epochs)]
        cells = [f"{rows * epochs / sum(result[key]):.2f}" for key in ("wall", "cpu")]
        cells += [f"{gain:.2f}" for gain in gains]
        for key in ("cpu", "wall"):
            cells.append(f"{sum(kept[key]) / sum(result[key]):.2f}" if over_trl else "")
        losses = " ".join(f"{loss:.4f}" for loss in result["losses"])
        lines.append(f"| {name} | {' | '.join(cells)} | {result['memory']:.0f} | {losses} |")
    return "\n".join(lines)


def main(
    rows: Annotated[int, typer.Option(help="Rows per epoch.")] = 54,
    epochs: Annotated[int, typer.Option(help="Number of epochs; at least two.", min=2)] = 4,
    repeats: Annotated[
        int, typer.Option(help="Runs of each variant, alternating; the best counts.")
    ] = 2,
    rate: Annotated[float, typer.Option(help="Learning rate.")] = 1e-3,
    family: Annotated[str, typer.Option(help=f"One of {', '.join(MODELS)}.")] = "idefics2",
    switches: Annotated[
        bool,
        typer.Option("--switches", help="Measure all switches, and all but one for each of them."),
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Also write the results as JSON to this file.")
    ] = None,
) -> None:
    """Measure each variant of training and print a table."""
    ways = SWITCHES if switches else WAYS
    found: list[list[dict[str, Any]]] = [[] for _ in ways]
    with tempfile.TemporaryDirectory() as folder:
        make_model(family, Path(folder), SEED)
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as pool:
            for _ in range(repeats):
                for way, results in enumerate(found):
                    task = pool.submit(measure, switches, way, Path(folder), rows, epochs, rate)
                    results.append(task.result())
                    print(f"{ways[way][0]}: {sum(results[-1]['wall']):.1f} s", flush=True)
    results = [best(runs) for runs in found]
    print(table(results, rows, ways))
    if out:
        out.write_text(json.dumps(results, indent=2), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
