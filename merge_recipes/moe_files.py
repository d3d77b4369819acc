"""The weights of a mixture, written straight from the files of its sources, piece by piece."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch

from cephalo.merge_recipes.moe_sources import Dense
from cephalo.merge_recipes.sources import read_header

CHUNK_BYTES = 1 << 24  # what is held in memory of a tensor
SHARD_BYTES = 2_000_000_000
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "BF16": torch.bfloat16,
    "F16": torch.float16,
}
NAMES = {str(dtype).removeprefix("torch."): name for name, dtype in DTYPES.items()}


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
    """A tensor to be written: its shape, and the pieces that lie in it one after the other."""

    shape: tuple[int, ...]
    pieces: list[Piece]

    def size(self, dtype: torch.dtype) -> int:
        """Bytes in `dtype`."""
        return sum(piece.elements for piece in self.pieces) * dtype.itemsize


def locate(dense: Dense) -> dict[str, Piece]:
    """Where each tensor of a checkpoint lies, by its name in the model."""
    places = {}
    for path in dense.checkpoint.weight_files:
        with path.open("rb") as file:
            data = 8 + int.from_bytes(file.read(8), "little")
        for name, entry in read_header(path).items():
            if name != "__metadata__":
                start, end = entry["data_offsets"]
                places[name] = Piece(path, DTYPES[entry["dtype"]], data + start, end - start)
    return {name: places[file] for name, file in dense.files.items()}


def plan(
    shapes: dict[str, tuple[int, ...]], base: Dense, experts: list[Dense]
) -> dict[str, Planned]:
    """What to write for each tensor of a mixture but its gates.

    Args:
        shapes: of all tensors of the mixture, by name.

    Stacking experts, and fusing the two projections of one, is laying their bytes one after the
    other, as both happen along the first dimension.
    """
    base_places, expert_places = locate(base), [locate(expert) for expert in experts]
    planned = {}
    for name, shape in shapes.items():
        inner = name.removeprefix("model.")
        if ".mlp.experts." in inner:
            own = inner.replace(".experts.", ".")
            pieces = [
                places[part]
                for expert, places in zip(experts, expert_places, strict=True)
                for part in expert.mlp_parts(own)
            ]
        elif ".mlp.gate." in inner or inner not in base_places:  # a tied weight is not in the files
            continue
        else:
            pieces = [base_places[inner]]
        planned[name] = Planned(shape, pieces)
    return planned


def write_weights(
    planned: dict[str, Planned], dtype: str, folder: Path, shard_bytes: int = SHARD_BYTES
) -> dict[str, str]:
    """Write safetensors files of at most `shard_bytes`, or one tensor, in `dtype` ("bfloat16" …).

    Returns the file of each tensor.
    """
    target = DTYPES[NAMES[dtype]]
    shards: list[dict[str, Planned]] = [{}]
    size = 0
    for name, tensor in planned.items():
        size += tensor.size(target)
        if shards[-1] and size > shard_bytes:
            shards.append({})
            size = tensor.size(target)
        shards[-1][name] = tensor
    places = {}
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        write_shard(shard, target, folder / file)
        places |= dict.fromkeys(shard, file)
    return places


def write_shard(shard: dict[str, Planned], dtype: torch.dtype, path: Path) -> None:
    """Write one safetensors file: the header's length, the header, the tensors."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, tensor in shard.items():
        end = offset + tensor.size(dtype)
        header[name] = {
            "dtype": NAMES[str(dtype).removeprefix("torch.")],
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
                copy_piece(piece, dtype, file)


def copy_piece(piece: Piece, dtype: torch.dtype, file: BinaryIO) -> None:
    """Append `piece` to `file` in `dtype`, a chunk at a time."""
    with piece.path.open("rb") as source:
        source.seek(piece.start)
        left = piece.size
        while left:
            chunk = bytearray(source.read(min(CHUNK_BYTES, left)))
            if not chunk:
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
