"""Measure time and memory of a depth merge at full size, compared with a copy of the same bytes.

    python -m benchmarks.bench_merge --out FOLDER [--layers 32] [--repeats 2]

Random weights in the exact shape of Idefics2 8b (at most 32 text layers) are written once; both
sources of the 10b recipe are that folder. `cephalo merge`, including its start, the hashes of the
sources and the check of the result, is timed alternately with `cp -r` of the merged folder. The
inputs are evicted from the page cache before, and the time includes flushing the outputs to disk.
The ratio is that of the fastest runs. Needs about 58 GB at 32 layers.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import save_file

from modeling_cephalo.published import idefics2_8b, on_meta

SHARD_BYTES = 2_000_000_000
APPENDED = 8  # layers that the 10b recipe adds
BAR = 1.5


def write_random(folder: Path, layers: int) -> None:
    """Write bfloat16 noise in the shapes of the 8b, in shards, unless it exists."""
    if (folder / "config.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    model = on_meta(idefics2_8b(layers))
    shard, size, number, places = {}, 0, 1, {}
    for name, tensor in [*model.state_dict().items(), (None, None)]:
        if name is None or size + 2 * tensor.numel() > SHARD_BYTES:
            file = f"model-{number:05d}.safetensors"
            save_file(shard, folder / file, metadata={"format": "pt"})
            places |= dict.fromkeys(shard, file)
            shard, size, number = {}, 0, number + 1
        if name is not None:
            shard[name] = torch.randn(tensor.shape).mul_(0.02).bfloat16()
            size += 2 * tensor.numel()
    index = {"metadata": {}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    idefics2_8b(layers).save_pretrained(folder)


def flush(folder: Path, evict: bool = False) -> None:
    """Flush the files of `folder` to disk; with `evict`, also drop them from the page cache."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
            if evict:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def timed(command: list[str], source: Path, target: Path) -> tuple[float, float, float]:
    """Return seconds, CPU seconds and peak resident megabytes of a command that creates `target`.

    `source` is its input.
    """
    shutil.rmtree(target, ignore_errors=True)
    flush(source, evict=True)
    start = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{command[0]} failed")
    flush(target)
    seconds = time.perf_counter() - start
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    """Write the source, merge and copy the result alternately, and print the results as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="a folder with room")
    parser.add_argument("--layers", type=int, default=32, help="text layers of the source")
    parser.add_argument("--repeats", type=int, default=2, help="merges and copies")
    arguments = parser.parse_args()
    source, merged, copied = (arguments.out / name for name in ("source", "merged", "copied"))
    # In a separate process, since a child's peak memory starts at that of its parent.
    writer = multiprocessing.get_context("spawn").Process(
        target=write_random, args=(source, arguments.layers)
    )
    writer.start()
    writer.join()
    recipe = arguments.out / "recipe.yml"
    recipe.write_text(
        "merge_method: passthrough\ndtype: bfloat16\nslices:\n"
        f"  - sources: [{{model: {source}, layer_range: [0, {arguments.layers}]}}]\n"
        f"  - sources: [{{model: {source}, "
        f"layer_range: [{arguments.layers - APPENDED}, {arguments.layers}]}}]\n"
    )
    command = [sys.executable, "-m", "cephalo.cli.main", "merge", str(recipe), "--out", str(merged)]
    merges, copies = [], []
    for _ in range(arguments.repeats):
        merges.append(timed(command, source, merged))
        copies.append(timed(["cp", "-r", str(merged), str(copied)], merged, copied))
        shutil.rmtree(copied)
    config = json.loads((merged / "config.json").read_text())
    size = sum(path.stat().st_size for path in merged.iterdir())
    print(
        json.dumps(
            {
                "source_layers": arguments.layers,
                "merged_layers": config["text_config"]["num_hidden_layers"],
                "gigabytes": round(size / 1e9, 1),
                "merge_seconds": [round(seconds, 1) for seconds, _, _ in merges],
                "copy_seconds": [round(seconds, 1) for seconds, _, _ in copies],
                "merge_cpu_seconds": [round(cpu, 1) for _, cpu, _ in merges],
                "copy_cpu_seconds": [round(cpu, 1) for _, cpu, _ in copies],
                "ratio": round(min(merges)[0] / min(copies)[0], 2),
                "bar": BAR,
                "peak_megabytes": round(max(megabytes for _, _, megabytes in merges)),
            }
        )
    )


if __name__ == "__main__":
    main()
