"""The weights of a new model, written straight from the files of its sources, piece by piece."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch
from tqdm import tqdm

from cephalo.cli.errors import CephaloError
from cephalo.merge_recipes.sources import Checkpoint, read_header

# What is held in memory of a tensor. It fits in the processor's cache: sixteen times as much took
# three times as long.
CHUNK_BYTES = 1 << 20
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
    """Where each tensor of a checkpoint lies.

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
            places[name] = Piece(path, DTYPES[entry["dtype"]], data + start, end - start)
    return places


def plan_tensor(shape: tuple[int, ...], pieces: list[Piece], dtype: str) -> Planned:
    """The tensor that `pieces` make where `dtype`, "bfloat16" or the like, is asked for.

    Whole numbers, such as positions, stay as they are.
    """
    own = pieces[0].dtype
    return Planned(getattr(torch, dtype) if own.is_floating_point else own, shape, pieces)


def write_weights(
    planned: dict[str, Planned], folder: Path, shard_bytes: int = SHARD_BYTES
) -> dict[str, str]:
    """Write safetensors files of at most `shard_bytes`, or one tensor.

    Returns the file of each tensor.
    """
    shards: list[dict[str, Planned]] = [{}]
    size = 0
    for name, tensor in planned.items():
        size += tensor.size
        if shards[-1] and size > shard_bytes:
            shards.append({})
            size = tensor.size
        shards[-1][name] = tensor
    places = {}
    total = sum(tensor.size for tensor in planned.values())
    with tqdm(total=total, desc="weights", unit="B", unit_scale=True) as bar:
        for number, shard in enumerate(shards, 1):
            file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
            write_shard(shard, folder / file, bar)
            places |= dict.fromkeys(shard, file)
    return places


def write_shard(shard: dict[str, Planned], path: Path, bar: tqdm) -> None:
    """Write one safetensors file: the header's length, the header, the tensors."""
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
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in shard.values():
            for piece in tensor.pieces:
                copy_piece(piece, tensor.dtype, file)
            bar.update(tensor.size)


def copy_piece(piece: Piece, dtype: torch.dtype, file: BinaryIO) -> None:
    """Append `piece` to `file` in `dtype`, a chunk at a time."""
    buffer = memoryview(bytearray(min(CHUNK_BYTES, piece.size)))
    with piece.path.open("rb") as source:
        source.seek(piece.start)
        left = piece.size
        while left:
            chunk = buffer[: min(CHUNK_BYTES, left)]
            if source.readinto(chunk) < len(chunk):
                raise EOFError(f"{piece.path} ends before its header says")
            left -= len(chunk)
            if piece.dtype != dtype:
                values = torch.frombuffer(chunk, dtype=piece.dtype).to(dtype)
                chunk = values.view(torch.uint8).numpy().data
            file.write(chunk)


def write_index(places: dict[str, str], folder: Path) -> None:
    """Write model.safetensors.index.json."""
    total = sum((folder / file).stat().st_size for file in set(places.values()))
    index = {"metadata": {"total_size": total}, "weight_map": places}
    text = json.dumps(index, indent=2, sort_keys=True) + "\n"
    (folder / "model.safetensors.index.json").write_text(text, encoding="utf-8")
