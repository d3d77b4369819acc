"""Step: FSDP2 and ZeRO-3 in one process, and two processes that exchange gradients with gloo.

All train the same tiny model on the same rows as one plain process, whose losses are compared.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.gpu.machine import installed
from benchmarks.gpu.plan import Scale
from benchmarks.gpu.results import Row
from benchmarks.gpu.shapes import write_tiny
from benchmarks.train_models import make_rows

ROWS, STEPS = 8, 4
LIMIT = 100  # seconds of a run, of which imports take the most
ACCELERATE = Path(__file__).parents[2] / "train" / "accelerate_configs"
# Largest difference of a loss: bfloat16 has 8 significant bits, 2^-8 of a loss of about 6; in
# float32, sums in another order.
APART, APART_EXACT = 0.03, 2e-3
TRAIN = ("-m", "cephalo.cli.main", "train", "--config", "tiny.yaml")


def run(scale: Scale) -> Iterator[Row]:
    """Train in each way."""
    base, data = scale.out / "processes-base", scale.out / "processes-data"
    write_tiny("idefics2", base)
    data.mkdir(parents=True, exist_ok=True)
    make_rows(ROWS).select_columns(["images", "prompt", "completion"]).to_parquet(
        data / "train.parquet"
    )
    settings: list[str | Path] = ["--dataset_name", data, "--dataset_config", "default"]
    settings += ["--model_name_or_path", base]
    settings += ["--tiny_base", "false", "--max_steps", str(STEPS), "--logging_steps", "1"]
    settings += ["--save_steps", str(STEPS), "--feature_cache_gb", "0"]
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "1"]
    on_gpu = ["--use_cpu", "false"] if scale.device == "cuda" else []
    plain = train([[sys.executable, *TRAIN, *settings, *on_gpu]], scale.out / "plain", ROWS)
    for name, config, package in (
        ("FSDP2", "fsdp2.yaml", "torch"),
        ("ZeRO-3", "zero3.yaml", "deepspeed"),
    ):
        if scale.device == "cpu":
            yield Row(f"{name}, one process", None, note="needs a GPU")
        elif not installed(package):
            yield Row(f"{name}, one process", None, note=f"{package} is not installed")
        else:
            command = [*launch, "--config_file", ACCELERATE / config, *TRAIN, *settings, *on_gpu]
            yield compared(f"{name}, one process", plain, [command], scale.out / name, ROWS, APART)
    exact = train([[sys.executable, *TRAIN, *settings]], scale.out / "exact", ROWS)
    two = [[sys.executable, *TRAIN, *settings]] * 2
    what = "two processes, gloo"
    yield compared(what, exact, two, scale.out / "two", ROWS // 2, APART_EXACT)


def compared(
    what: str,
    expected: Sequence[float],
    commands: Sequence[Sequence[str | Path]],
    out: Path,
    batch: int,
    apart: float,
) -> Row:
    """Return the largest difference of a loss from those expected."""
    try:
        found = train(commands, out, batch)
    except subprocess.SubprocessError as error:
        return Row(what, None, note=str(error)[-300:])
    differences = [abs(one - other) for one, other in zip(found, expected, strict=True)]
    return Row(f"{what}: largest difference of a loss", max(differences), bar=f"≤ {apart}")


def train(commands: Sequence[Sequence[str | Path]], out: Path, batch: int) -> list[float]:
    """Run commands as the processes of one run; return the losses that were logged.

    Raises subprocess.SubprocessError with the end of its output if one fails or takes too long.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    processes = []
    for rank, command in enumerate(commands):
        environment = dict(os.environ)
        if len(commands) > 1:
            environment |= {
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "ACCELERATE_USE_CPU": "true",
            }
            environment |= {"WORLD_SIZE": str(len(commands)), "MASTER_ADDR": "127.0.0.1"}
            environment |= {"MASTER_PORT": str(port), "CUDA_VISIBLE_DEVICES": ""}
        words = [*command, "--output_dir", out, "--per_device_train_batch_size", batch]
        processes.append(
            subprocess.Popen(
                [str(word) for word in words],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    try:
        for process in processes:
            printed = process.communicate(timeout=LIMIT)[0]
            if process.returncode:
                raise subprocess.SubprocessError(printed.strip()[-1000:])
    finally:
        for process in processes:
            process.kill()
    state = json.loads((out / f"checkpoint-{STEPS}" / "trainer_state.json").read_text())
    return [one["loss"] for one in state["log_history"] if "loss" in one]
