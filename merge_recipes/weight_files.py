"""The weights of a new model, written straight from the files of its sources, piece by piece."""

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
    """Where a piece goes: the descriptor of an open file, a place in it, the dtype there."""

    file: int
    start: int
    dtype: torch.dtype


Targets = dict[Path, dict[Piece, list[Target]]]


@dataclass(frozen=True)
class Planned:
    """A tensor to be written: its dtype and shape, and the pieces that lie in it one after the
    other."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    pieces: list[Piece]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(piece.elements for piece in self.pieces) * self.dtype.itemsize


def locate(checkpoint: Checkpoint) -> dict[str, Piece]:
    """Where each tensor of a checkpoint lies, by the name that it goes by.

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
                    f"{name} of {checkpoint.name} is {entry['dtype']}; "
                    f"only {', '.join(DTYPES)} can be merged"
                )
            start, end = entry["data_offsets"]
            own = checkpoint.spelling.get(name, name)
            places[own] = Piece(path, DTYPES[entry["dtype"]], data + start, end - start)
    return places


def plan_tensor(shape: tuple[int, ...], pieces: list[Piece], dtype: str) -> Planned:
    """The tensor that `pieces` make where `dtype`, "bfloat16" or the like, is asked for.

    Whole numbers, such as positions, stay as they are.
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
        digests: the weight files of the sources, as `hashed_meanwhile` gives them.

    Returns the file of each tensor. Raises CephaloError before a byte is written if the disk has
    no room for them.
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
    """Raise CephaloError if the disk of `folder` has not `needed` bytes, and one per cent, free."""
    free = shutil.disk_usage(folder).free
    if free < needed * 1.01:
        raise CephaloError(
            f"the merged model takes {needed / 1e9:.1f} GB and {folder.parent} has "
            f"{free / 1e9:.1f} GB free; free some space or give an --out on another disk"
        )


def in_order(planned: dict[str, Planned], sources: list[Path]) -> dict[str, Planned]:
    """`planned` as it lies in the sources, so that what is read in order is written in order."""
    numbers = {path: number for number, path in enumerate(sources)}

    def place(name: str) -> tuple[int, int]:
        first = planned[name].pieces[0]
        return numbers[first.path], first.start

    return {name: planned[name] for name in sorted(planned, key=place)}


def split(planned: dict[str, Planned], shard_bytes: int) -> list[dict[str, Planned]]:
    """`planned` in parts of at most `shard_bytes`, or one tensor."""
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
    """Write the header of a safetensors file, and note in `targets` what is to follow it."""
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
    text += b" " * (-len(text) % 8)  # the data begins at a multiple of eight
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
    """Write each piece of a file to its targets; then the system need not keep it in memory, once
    it is hashed too. Raises EOFError if the file ends too early."""
    with path.open("rb") as source:
        for piece in sorted(targets, key=lambda piece: piece.start):
            for target in targets[piece]:
                copy_piece(source, piece, target)
                bar.update(piece.elements * target.dtype.itemsize)
        digest.result()
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(source.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def copy_piece(source: BufferedReader, piece: Piece, target: Target) -> None:
    """Write a piece of an open file to its target, in the dtype there.

    Raises EOFError if the file ends before the piece does.
    """
    done = copy_in_kernel(source, piece, target) if piece.dtype == target.dtype else 0
    buffer = memoryview(bytearray(min(CHUNK_BYTES, piece.size - done)))
    source.seek(piece.start + done)
    while done < piece.size:
        chunk = buffer[: piece.size - done]
        if source.readinto(chunk) < len(chunk):
            raise EOFError(f"{piece.path} ends before its header says")
        write_chunk(chunk, piece.dtype, done // piece.dtype.itemsize, target)
        done += len(chunk)


def copy_in_kernel(source: BufferedReader, piece: Piece, target: Target) -> int:
    """Have the system copy the bytes of a piece, which costs less than to read and write them;
    returns how many it did. Not every system and pair of disks can."""
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
        pass  # not Linux, or not between these disks; on a full one the next write fails as well
    return done - done % piece.dtype.itemsize


def write_chunk(chunk: memoryview, dtype: torch.dtype, skipped: int, target: Target) -> None:
    """Write a chunk of a piece, after `skipped` values of it, in the dtype of `target`."""
    if dtype != target.dtype:
        values = torch.frombuffer(chunk, dtype=dtype).to(target.dtype)
        chunk = values.view(torch.uint8).numpy().data
    place = target.start + skipped * target.dtype.itemsize
    while chunk:  # the system may write less than it is given
        written = os.pwrite(target.file, chunk, place)
        chunk, place = chunk[written:], place + written


def write_index(places: dict[str, str], folder: Path) -> None:
    """Write model.safetensors.index.json."""
    total = sum((folder / file).stat().st_size for file in set(places.values()))
    index = {"metadata": {"total_size": total}, "weight_map": places}
    text = json.dumps(index, indent=2, sort_keys=True) + "\n"
    (folder / "model.safetensors.index.json").write_text(text, encoding="utf-8")
