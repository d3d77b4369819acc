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

from benchmarks.gpu.ending import end_tree
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
SHARDED = (("FSDP2", "fsdp2.yaml", "torch"), ("ZeRO-3", "zero3.yaml", "deepspeed"))
LAUNCH = (sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "1")
TRAIN = ("-m", "cephalo.cli.main", "train", "--config", "tiny.yaml")

Commands = Sequence[Sequence[str | Path]]


def run(scale: Scale) -> Iterator[Row]:
    """Train in each way that is left."""
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
    alone = [*TRAIN, *settings]
    for name, config, package in SHARDED:
        what = f"{name}, one process"
        if scale.measured(what):
            continue
        if scale.device == "cpu":
            yield Row(what, None, note="needs a GPU")
        elif not installed(package):
            yield Row(what, None, note=f"{package} is not installed")
        else:
            on_gpu = [*alone, "--use_cpu", "false"]
            command = [*LAUNCH, "--config_file", ACCELERATE / config, *on_gpu]
            plain = [[sys.executable, *on_gpu]]
            yield compared(what, plain, [command], scale.out / name, ROWS, APART)
    what = "two processes, gloo"
    if not scale.measured(what):
        command = [sys.executable, *alone]
        yield compared(what, [command], [command] * 2, scale.out / "two", ROWS // 2, APART_EXACT)


def compared(
    what: str, plain: Commands, commands: Commands, out: Path, batch: int, apart: float
) -> Row:
    """Return the largest difference of a loss from those of a plain process."""
    try:
        expected = train(plain, out.with_name(f"{out.name}-plain"), ROWS)
        found = train(commands, out, batch)
    except subprocess.SubprocessError as error:
        return Row(what, None, note=str(error)[-300:])
    differences = [abs(one - other) for one, other in zip(found, expected, strict=True)]
    return Row(f"{what}: largest difference of a loss", max(differences), bar=f"≤ {apart}")


def train(commands: Commands, out: Path, batch: int) -> list[float]:
    """Run commands as the processes of one run; return the losses that were logged.

    Raises subprocess.SubprocessError with the end of its output if one fails or takes too long.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    out.mkdir(parents=True, exist_ok=True)
    processes: list[tuple[subprocess.Popen[bytes], Path]] = []
    try:
        for rank, command in enumerate(commands):
            environment = dict(os.environ)
            if len(commands) > 1:
                environment |= rank_of(rank, len(commands), port)
            words = [*command, "--output_dir", out, "--per_device_train_batch_size", batch]
            # In a file: a pipe that nobody reads would stop one process, and the other with it.
            log = out.with_name(f"{out.name}-{rank}.log")
            with log.open("wb") as file:
                process = subprocess.Popen(
                    [str(word) for word in words],
                    env=environment,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                )
            processes.append((process, log))
        for process, log in processes:
            if process.wait(LIMIT):
                raise subprocess.SubprocessError(log.read_text(errors="replace").strip()[-1000:])
    finally:
        for process, _ in processes:
            end_tree(process)
    state = json.loads((out / f"checkpoint-{STEPS}" / "trainer_state.json").read_text())
    return [one["loss"] for one in state["log_history"] if "loss" in one]


def rank_of(rank: int, processes: int, port: int) -> dict[str, str]:
    """Return the environment of one of several processes on the CPU."""
    return {
        **{"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes)},
        **{"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)},
        **{"ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": ""},
        # Without a network, the name of the machine may not resolve to an address.
        "GLOO_SOCKET_IFNAME": "lo" if sys.platform == "linux" else "lo0",
    }
