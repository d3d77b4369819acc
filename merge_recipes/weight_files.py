"""Write the weights of a new model directly from the files of its sources, piece by piece."""

import json
import os
import shutil
from collections import defaultdict
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

import torch
from tqdm import tqdm

from cephalo.cli.errors import CephaloError
from cephalo.cli.weights import read_header
from cephalo.merge_recipes.sources import Checkpoint

CHUNK_BYTES = 1 << 20  # fits in the processor's cache
SHARD_BYTES = 2_000_000_000
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "BF16": torch.bfloat16,
    "F16": torch.float16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}


@dataclass(frozen=True)
class Piece:
    """The bytes of one tensor in a file."""

    path: Path
    dtype: torch.dtype
    start: int
    size: int

    @property
    def elements(self) -> int:
        """The number of values."""
        return self.size // self.dtype.itemsize


@dataclass(frozen=True)
class Target:
    """The destination of a piece: the descriptor of an open file, an offset in it, and its
    dtype."""

    file: int
    start: int
    dtype: torch.dtype


Targets = dict[Path, dict[Piece, list[Target]]]


@dataclass(frozen=True)
class Planned:
    """A tensor to be written: its dtype and shape, and the pieces that it consists of, in order."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    pieces: list[Piece]

    @property
    def size(self) -> int:
        """The size in bytes."""
        return sum(piece.elements for piece in self.pieces) * self.dtype.itemsize


def locate(checkpoint: Checkpoint) -> dict[str, Piece]:
    """Return the location of each tensor of a checkpoint, by its name in use.

    Raises CephaloError for a dtype that is not in DTYPES, such as those of quantised weights.
    """
    places = {}
    for path in checkpoint.weight_files:
        with path.open("rb") as file:
            data = 8 + int.from_bytes(file.read(8), "little")
        for name, entry in read_header(path).items():
            if name == "__metadata__":
                continue
            if entry["dtype"] not in DTYPES:
                raise CephaloError(
                    f"{name} of {checkpoint.name} is {entry['dtype']}, as quantized weights are; "
                    f"only {', '.join(DTYPES)} can be merged; give the model that was quantized"
                )
            start, end = entry["data_offsets"]
            own = checkpoint.spelling.get(name, name)
            places[own] = Piece(path, DTYPES[entry["dtype"]], data + start, end - start)
    return places


def plan_tensor(shape: tuple[int, ...], pieces: list[Piece], dtype: str) -> Planned:
    """Plan the tensor that `pieces` form in `dtype`, such as "bfloat16".

    Integers, such as positions, keep their dtype.
    """
    own = pieces[0].dtype
    return Planned(getattr(torch, dtype) if own.is_floating_point else own, shape, pieces)


def write_weights(
    planned: dict[str, Planned],
    digests: dict[Path, Future[str]],
    folder: Path,
    shard_bytes: int = SHARD_BYTES,
) -> dict[str, str]:
    """Write safetensors files of at most `shard_bytes`, or one tensor.

    Bytes that keep their dtype are copied by the system from file to file; only one chunk of the
    sources is held in memory.

    Args:
        planned: The tensors by name.
        digests: The weight files of the sources, from `hashed_meanwhile`.
        folder: Output folder.
        shard_bytes: Maximum size of a file.

    Returns:
        The file of each tensor.

    Raises:
        CephaloError: Before a byte is written, if the disk has too little space.
    """
    total = sum(tensor.size for tensor in planned.values())
    check_room(folder, total)
    sources = list(digests)
    shards = split(in_order(planned, sources), shard_bytes)
    names = [f"model-{n:05d}-of-{len(shards):05d}.safetensors" for n in range(1, len(shards) + 1)]
    with ExitStack() as stack:
        targets: Targets = {path: defaultdict(list) for path in sources}
        for name, shard in zip(names, shards, strict=True):
            start_shard(shard, stack.enter_context((folder / name).open("wb")), targets)
        bar = stack.enter_context(tqdm(total=total, desc="weights", unit="B", unit_scale=True))
        for path in sources:
            distribute(path, targets[path], digests[path], bar)
    return {name: file for file, shard in zip(names, shards, strict=True) for name in shard}


def check_room(folder: Path, needed: int) -> None:
    """Raise CephaloError if the disk of `folder` has less than `needed` bytes, and one per cent,
    free."""
    free = shutil.disk_usage(folder).free
    if free < needed * 1.01:
        raise CephaloError(
            f"the merged model takes {needed / 1e9:.1f} GB and {folder.parent} has "
            f"{free / 1e9:.1f} GB free; free disk space or give an --out on another disk"
        )


def in_order(planned: dict[str, Planned], sources: list[Path]) -> dict[str, Planned]:
    """Sort `planned` by location in the sources, so that sequential reads are sequential writes."""
    numbers = {path: number for number, path in enumerate(sources)}

    def place(name: str) -> tuple[int, int]:
        first = planned[name].pieces[0]
        return numbers[first.path], first.start

    return {name: planned[name] for name in sorted(planned, key=place)}


def split(planned: dict[str, Planned], shard_bytes: int) -> list[dict[str, Planned]]:
    """Split `planned` into parts of at most `shard_bytes`, or one tensor."""
    shards: list[dict[str, Planned]] = [{}]
    size = 0
    for name, tensor in planned.items():
        size += tensor.size
        if shards[-1] and size > shard_bytes:
            shards.append({})
            size = tensor.size
        shards[-1][name] = tensor
    return shards


def start_shard(shard: dict[str, Planned], file: BinaryIO, targets: Targets) -> None:
    """Write the header of a safetensors file, and record in `targets` what follows it."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, tensor in shard.items():
        end = offset + tensor.size
        header[name] = {
            "dtype": NAMES[tensor.dtype],
            "shape": tensor.shape,
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # data starts at a multiple of eight
    file.write(len(text).to_bytes(8, "little") + text)
    file.flush()
    place = file.tell()
    for tensor in shard.values():
        for piece in tensor.pieces:
            targets[piece.path][piece].append(Target(file.fileno(), place, tensor.dtype))
            place += piece.elements * tensor.dtype.itemsize


def distribute(
    path: Path, targets: dict[Piece, list[Target]], digest: Future[str], bar: tqdm
) -> None:
    """Write each piece of a file to its targets; the system may then evict it, once it is hashed
    too. Raises EOFError if the file ends too early."""
    with path.open("rb") as source:
        for piece in sorted(targets, key=lambda piece: piece.start):
            for target in targets[piece]:
                copy_piece(source, piece, target)
                bar.update(piece.elements * target.dtype.itemsize)
        digest.result()
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(source.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def copy_piece(source: BufferedReader, piece: Piece, target: Target) -> None:
    """Write a piece of an open file to its target, in the target's dtype.

    Raises EOFError if the file ends before the piece does.
    """
    done = copy_in_kernel(source, piece, target) if piece.dtype == target.dtype else 0
    buffer = memoryview(bytearray(min(CHUNK_BYTES, piece.size - done)))
    source.seek(piece.start + done)
    while done < piece.size:
        chunk = buffer[: piece.size - done]
        if source.readinto(chunk) < len(chunk):
            raise EOFError(f"{piece.path} is shorter than its header states")
        write_chunk(chunk, piece.dtype, done // piece.dtype.itemsize, target)
        done += len(chunk)


def copy_in_kernel(source: BufferedReader, piece: Piece, target: Target) -> int:
    """Copy the bytes of a piece by the system, which is faster than reading and writing them;
    return how many were copied. Not every system and pair of disks supports it."""
    done = 0
    try:
        while done < piece.size and (
            copied := os.copy_file_range(
                source.fileno(),
                target.file,
                piece.size - done,
                piece.start + done,
                target.start + done,
            )
        ):
            done += copied
    except (AttributeError, OSError):
        pass  # not Linux, or not between these disks; if one is full, the next write fails as well
    return done - done % piece.dtype.itemsize


def write_chunk(chunk: memoryview, dtype: torch.dtype, skipped: int, target: Target) -> None:
    """Write a chunk of a piece, after its first `skipped` values, in the dtype of `target`."""
    if dtype != target.dtype:
        values = torch.frombuffer(chunk, dtype=dtype).to(target.dtype)
        chunk = values.view(torch.uint8).numpy().data
    place = target.start + skipped * target.dtype.itemsize
    while chunk:  # the system may write less than requested
        written = os.pwrite(target.file, chunk, place)
        chunk, place = chunk[written:], place + written


def write_index(places: dict[str, str], folder: Path) -> None:
    """Write model.safetensors.index.json."""
    total = sum((folder / file).stat().st_size for file in set(places.values()))
    index = {"metadata": {"total_size": total}, "weight_map": places}
    text = json.dumps(index, indent=2, sort_keys=True) + "\n"
    (folder / "model.safetensors.index.json").write_text(text, encoding="utf-8")
