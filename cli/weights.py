"""Read weight files by their headers and in pieces, without importing a model library."""

import json
import os
from pathlib import Path
from typing import TypedDict

import numpy as np
from safetensors import SafetensorError, safe_open

from cephalo.cli.errors import CephaloError
from cephalo.cli.json_files import parse_object

INDEX = "model.safetensors.index.json"
WHOLE = "model.safetensors"
ADAPTER = "adapter_model.safetensors"

CHUNK_BYTES = 1 << 20  # fits in the processor's cache
# For each dtype of floating-point numbers: the unsigned integer of its size, the bits without the
# sign, and the smallest of these that encodes infinity or NaN (IEEE 754; OCP 8-bit formats).
FLOATS = {
    "F64": (np.uint64, 0x7FFF_FFFF_FFFF_FFFF, 0x7FF0_0000_0000_0000),
    "F32": (np.uint32, 0x7FFF_FFFF, 0x7F80_0000),
    "F16": (np.uint16, 0x7FFF, 0x7C00),
    "BF16": (np.uint16, 0x7FFF, 0x7F80),
    "F8_E5M2": (np.uint8, 0x7F, 0x7C),
    "F8_E4M3": (np.uint8, 0x7F, 0x7F),
}


class TensorEntry(TypedDict):
    """An entry of a tensor in the header of a safetensors file; offsets are in bytes."""

    dtype: str
    shape: list[int]
    data_offsets: list[int]


def weight_files(folder: Path, name: str) -> list[Path]:
    """Return the weight files of a model: those in its index, or else a single file.

    `name` is the model's name in errors. Raises CephaloError if a file or the index is missing or
    broken.
    """
    names = {ADAPTER if (folder / ADAPTER).exists() else WHOLE}
    if (folder / INDEX).exists():
        names = set(indexed_files(folder / INDEX).values())
    for file in names:
        if Path(file).name != file or not (folder / file).is_file():
            raise CephaloError(
                f"cannot load {name}: it has no {file}; download all of it, or convert it"
            )
    return sorted(folder / file for file in names)


def indexed_files(index: Path) -> dict[str, str]:
    """Return the file of each tensor. Raises CephaloError if the index is broken."""
    try:
        found = parse_object(index.read_bytes())["weight_map"]
        if not isinstance(found, dict):
            raise TypeError("its weight_map is not an object")
        files = {name: file for name, file in found.items() if isinstance(file, str)}
        if files and len(files) == len(found):
            return files
    except OSError as error:
        raise CephaloError(f"cannot read {index}: {error}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise CephaloError(f"{index} is broken ({error!r}); download it again") from error
    raise CephaloError(f"{index} names no files; download it again")


def read_header(path: Path) -> dict[str, TensorEntry]:
    """Return the JSON header of a safetensors file (its first 8 bytes are the header's length).

    The entry "__metadata__" contains texts and describes no tensor.

    Raises CephaloError if it is not such a file, is truncated, or has offsets that do not fit its
    shapes.
    """
    try:
        with safe_open(path, "numpy"):  # checks all of this
            pass
        with path.open("rb") as file:
            return json.loads(file.read(int.from_bytes(file.read(8), "little")))
    except SafetensorError as error:
        raise CephaloError(f"{path} is not a complete safetensors file: {error}") from error
    except OSError as error:
        raise CephaloError(f"cannot read {path}: {error}") from error


def check_finite(path: Path) -> None:
    """Raise a CephaloError that names the tensors of a file with non-finite values.

    The file is read once, in pieces, at the speed of the disk.
    """
    if wrong := not_finite(path):
        more = f" and {len(wrong) - 5} more" if wrong[5:] else ""
        raise CephaloError(
            f"{path} contains NaN or infinity in {', '.join(wrong[:5])}{more}; the model is "
            "unusable; train, merge or download it again"
        )


def not_finite(path: Path) -> list[str]:
    """Return the tensors of a safetensors file with an infinite or NaN value."""
    header = read_header(path)
    wrong: list[str] = []
    with path.open("rb") as file:
        data = 8 + int.from_bytes(file.read(8), "little")
        for name, entry in header.items():
            if name == "__metadata__" or entry["dtype"] not in FLOATS:
                continue
            start, end = entry["data_offsets"]
            if has_infinite(file.fileno(), data + start, data + end, entry["dtype"]):
                wrong.append(name)
    return wrong


def has_infinite(file: int, start: int, end: int, dtype: str) -> bool:
    """Return whether a value between two offsets of an open file is infinite or NaN."""
    kind, magnitude, infinite = FLOATS[dtype]
    buffer = np.empty(CHUNK_BYTES, np.uint8)
    while start < end:
        piece = buffer[: min(CHUNK_BYTES, end - start)]
        if os.preadv(file, [piece.data], start) < len(piece):
            raise CephaloError("a weight file was truncated while it was read; try again")
        values = piece.view(kind)
        values &= kind(magnitude)
        if values.max() >= infinite:
            return True
        start += len(piece)
    return False
