"""What each switch of training gains: samples a second, memory and loss, side by side in one run.

    OMP_NUM_THREADS=1 python -m benchmarks.bench_train

All ways train the same model from the same weights on the same rows, in the same order, at the
same learning rate. As in the published notebook of the 10b, images are split, the last fifth of
the decoder's layers trains and all else is frozen; four epochs are those of the notebook of the
4b. The model is an Idefics2 of 10M parameters in which vision tower and connector take 3.2 times
the operations of the decoder's forward on a row of one figure (the 8b: 3.6 times, on a figure of
1,400 x 1,000 pixels). A third of the rows is text, a third has one figure and a third two, of 700
to 1,400 pixels, as one or two columns at 200 dpi are; each is asked about in three rows. Answers
are of 8 to 120 words.
"""

import io
import json
import multiprocessing
import random
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import typer

TEXT = (
    "nacre aragonite tablets slide under tension and the crack is deflected along soft protein "
    "layers so that stress strain curves show a long plateau of hardening before failure at high "
    "toughness while silk collagen bone and wood differ in hierarchy modulus strength energy"
)
WORDS = TEXT.split(" ")
SEED = 0
LAYERS, TRAINED_LAYERS = 10, 2


def make_rows(count: int) -> Any:
    """Conversations with PNG figures."""
    import numpy as np
    from datasets import Dataset
    from PIL import Image

    from cephalo.train.rows import named, row_features

    random.seed(SEED)

    def words(least: int, most: int) -> str:
        return " ".join(random.choices(WORDS, k=round(least * (most / least) ** random.random())))

    def figure() -> dict[str, Any]:
        size = random.randrange(700, 1400), random.randrange(500, 1000)
        noise = np.random.default_rng(random.randrange(10**6)).integers(0, 255, (24, 32, 3))
        png = io.BytesIO()
        Image.fromarray(noise.astype(np.uint8)).resize(size).save(png, "PNG")
        return {"bytes": png.getvalue(), "path": None}

    rows = []
    for index in range(count):
        if index % 3 == 0:
            images = [figure() for _ in range(index // 3 % 3)]
        asked = [{"type": "image", "text": None} for _ in images]
        asked.append({"type": "text", "text": words(5, 40)})
        answer = [{"type": "text", "text": words(8, 120)}]
        rows.append(
            {
                "images": images,
                "prompt": [{"role": "user", "content": asked}],
                "completion": [{"role": "assistant", "content": answer}],
            }
        )
    return named(Dataset.from_list(rows, features=row_features()), "bench")


def make_model(folder: Path) -> None:
    """The model and processor that all ways begin with."""
    from transformers import Idefics2Config, Idefics2ForConditionalGeneration

    from modeling_cephalo.tiny import tiny_idefics2_config, tiny_idefics2_processor, weights_of

    processor = tiny_idefics2_processor([TEXT] * 20)
    processor.image_processor.size = {"longest_edge": 140, "shortest_edge": 70}
    processor.image_processor.do_image_splitting = True
    config = tiny_idefics2_config(processor.tokenizer, layers=LAYERS).to_dict()
    config["text_config"] |= {"hidden_size": 192, "intermediate_size": 640}
    config["vision_config"] |= {"hidden_size": 256, "intermediate_size": 1024, "image_size": 140}
    config["vision_config"]["num_hidden_layers"] = 5
    config["perceiver_config"]["hidden_size"] = 192
    with weights_of(SEED):
        model = Idefics2ForConditionalGeneration(Idefics2Config(**config))
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def load_model(folder: Path) -> Any:
    """The model with its last layers alone to train."""
    from transformers import AutoModelForImageTextToText

    from cephalo.train.freezing import freeze

    model = AutoModelForImageTextToText.from_pretrained(folder)
    freeze(model, [], TRAINED_LAYERS)
    return model


class Clock:
    """Seconds and loss of each epoch; judging takes no time. Memory in MB, above the start."""

    def __init__(self, judge: Callable[[Any], float]) -> None:
        self.judge = judge
        self.wall, self.cpu, self.losses = [], [], []
        # The highest mark of memory is counted from here.
        Path("/proc/self/clear_refs").write_text("5")
        self.at_rest = memory("VmRSS")
        self.resume()

    def resume(self) -> None:
        """Go on counting."""
        self.begun = time.perf_counter(), time.process_time()

    def stop(self, model: Any) -> None:
        """Stop counting and judge the model."""
        self.wall.append(time.perf_counter() - self.begun[0])
        self.cpu.append(time.process_time() - self.begun[1])
        self.memory = memory("VmHWM") - self.at_rest
        self.losses.append(self.judge(model))


def answer_loss(model: Any, encoded: Any, collator: Any) -> float:
    """The mean loss of the tokens of held-out answers."""
    import torch
    from torch.nn.functional import cross_entropy

    from cephalo.train.packing import answer_positions

    model.eval()
    total, count = 0.0, 0
    with torch.inference_mode():
        for row in encoded:
            [sequence] = collator([row])["sequences"]
            positions, targets = answer_positions(sequence.pop("labels"))
            inputs = {name: own for name, own in sequence.items() if name not in ("rows", "tiles")}
            logits = model(**inputs, logits_to_keep=positions, use_cache=False).logits[0]
            total += cross_entropy(logits, targets, reduction="sum").item()
            count += len(targets)
    model.train()
    return total / count


def notebook(rows: Any, folder: Path, epochs: int, clock_of: Callable, rate: float) -> Clock:
    """The loop of the published notebooks: a row at a time, the processor called in the loop, loss
    on prompt, images and padding alike, a step every four rows."""
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
    """TRL's defaults, on the CPU, without cutting rows or writing checkpoints."""
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
    """Train, judged at the end of each epoch."""
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


def plain_trl(rows: Any, folder: Path, epochs: int, clock_of: Callable, rate: float) -> Clock:
    """SFTTrainer with its defaults: eight rows a step, padded, activations computed again."""
    from datasets import Image, List
    from transformers import AutoProcessor
    from trl import SFTTrainer

    with tempfile.TemporaryDirectory() as out:
        trainer = SFTTrainer(
            model=load_model(folder),
            args=settings(out, epochs, rate),
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
    """PackedTrainer with some of its switches."""
    from transformers import AutoProcessor

    from cephalo.train.encoding import encode_rows
    from cephalo.train.packing import PackingCollator
    from cephalo.train.trainer import PackedTrainer

    processor = AutoProcessor.from_pretrained(folder)
    changes = {"activation_checkpointing": False, "remove_unused_columns": False, **changes}
    with tempfile.TemporaryDirectory() as out:
        trainer = PackedTrainer(
            model=load_model(folder),
            args=settings(out, epochs, rate, per_device_train_batch_size=batch, **changes),
            train_dataset=encode_rows(rows, processor),
            processing_class=processor,
            data_collator=PackingCollator(processor.image_processor, max_tokens=tokens),
        )
        if attention:
            trainer.model.config.text_config._attn_implementation = attention
        if stored:
            trainer.keep_features(Path(out) / "features", 1.0)
        return timed(trainer, clock_of)


# Of each way: its name, the function, and what it is given.
BUDGET = 512  # tokens a sequence
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
    ("logits on answers, row by row", packed, {"tokens": 1, "activation_checkpointing": True}),
    ("+ activations kept", packed, {"tokens": 1}),
    ("+ packed, one mask for all", packed, {"tokens": BUDGET, "attention": "sdpa"}),
    ("+ attention row by row", packed, {"tokens": BUDGET}),
    ("+ features of frozen parts stored", packed, {"tokens": BUDGET, "stored": True}),
    ("+ a worker that reads ahead", packed, {"tokens": BUDGET, "stored": True, **WORKER}),
]


def measure(way: int, folder: Path, rows: int, epochs: int, rate: float) -> dict[str, Any]:
    """Train in one way; called in a process of its own, whose memory is its alone."""
    import torch
    from datasets import disable_progress_bars
    from transformers import AutoProcessor, logging

    from cephalo.train.encoding import encode_rows
    from cephalo.train.packing import PackingCollator

    disable_progress_bars()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    made = make_rows(rows + 12)
    processor = AutoProcessor.from_pretrained(folder)
    held_out = encode_rows(made.select(range(rows, rows + 12)), processor)
    collator = PackingCollator(processor.image_processor)
    _, run, options = WAYS[way]

    def clock_of() -> Clock:
        return Clock(lambda model: answer_loss(model, held_out, collator))

    clock = run(made.select(range(rows)), folder, epochs, clock_of, rate, **options)
    return {name: getattr(clock, name) for name in ("wall", "cpu", "losses", "memory")}


def memory(mark: str) -> float:
    """Megabytes of memory of this process, now (VmRSS) or at most (VmHWM)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{mark}:")[1].split()[0]) / 1024


def best(results: list[dict[str, Any]]) -> dict[str, Any]:
    """The least times of each epoch over several runs; memory and losses of the first."""
    times = {
        key: [min(epoch) for epoch in zip(*(result[key] for result in results), strict=True)]
        for key in ("wall", "cpu")
    }
    return {**results[0], **times}


def table(results: list[dict[str, Any]], rows: int) -> str:
    """The measurements as a Markdown table. Gains are in the main process's CPU seconds, over the
    first line of the same step size, after two epochs and after all."""
    epochs = len(results[0]["cpu"])
    lines = [
        f"| | samples / s | samples / CPU s | gain, 2 epochs | gain, {epochs} epochs | MB | loss |",
        "|---|--:|--:|--:|--:|--:|---|",
    ]
    for (name, _, _), result in zip(WAYS, results, strict=True):
        if name.startswith(("notebook", "TRL")):
            start = result["cpu"]
        gains = [sum(start[:count]) / sum(result["cpu"][:count]) for count in (2, epochs)]
        losses = " ".join(f"{loss:.4f}" for loss in result["losses"])
        speeds = [rows * epochs / sum(result[key]) for key in ("wall", "cpu")]
        lines.append(
            f"| {name} | {speeds[0]:.2f} | {speeds[1]:.2f} | {gains[0]:.2f} | {gains[1]:.2f} | "
            f"{result['memory']:.0f} | {losses} |"
        )
    return "\n".join(lines)


def main(
    rows: Annotated[int, typer.Option(help="Rows of an epoch.")] = 54,
    epochs: Annotated[int, typer.Option(help="Epochs, two at least.", min=2)] = 4,
    repeats: Annotated[int, typer.Option(help="Runs of each way, in turns; the best counts.")] = 2,
    rate: Annotated[float, typer.Option(help="Learning rate.")] = 1e-3,
    out: Annotated[Path | None, typer.Option(help="Write the figures as JSON there too.")] = None,
) -> None:
    """Measure each way of training and print a table."""
    found: list[list[dict[str, Any]]] = [[] for _ in WAYS]
    with tempfile.TemporaryDirectory() as folder:
        make_model(Path(folder))
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as pool:
            for _ in range(repeats):
                for way, results in enumerate(found):
                    task = pool.submit(measure, way, Path(folder), rows, epochs, rate)
                    results.append(task.result())
                    print(f"{WAYS[way][0]}: {sum(results[-1]['wall']):.1f} s", flush=True)
    results = [best(runs) for runs in found]
    print(table(results, rows))
    if out:
        out.write_text(json.dumps(results, indent=2), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
